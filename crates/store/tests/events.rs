//! Events: what webhooks are told, in which order, and that none is lost.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Walk, counted, described, geometry, new_run, opened, write_walk};
use pigweight_store::{
    CameraPlace, EnteredState, EventBody, EventKind, LineScope, NewJob, NewLine, Reason, RunRecord, Store,
};

const ALL: [EventKind; 3] = [EventKind::Crossing, EventKind::Run, EventKind::CameraState];

/// Everything that a webhook has yet to receive, as it would receive it.
async fn receive(store: &Store, webhook: &str, kinds: &[EventKind]) -> Vec<EventBody> {
    let mut received = Vec::new();
    while let Some(event) = store.next_event(webhook, kinds).await.unwrap().event {
        assert_eq!(
            store.next_event(webhook, kinds).await.unwrap().event.as_ref(),
            Some(&event),
            "until it is finished"
        );
        store.finish_event(webhook, event.number).await.unwrap();
        received.push(event.body);
    }
    received
}

fn crossings_of(events: &[EventBody], run: &RunRecord) -> Vec<f64> {
    let crossings = events.iter().filter_map(|event| match event {
        EventBody::Crossing { crossing, .. } if crossing.run_id == run.id => Some(crossing.secs),
        _ => None,
    });
    crossings.collect()
}

fn publications(events: &[EventBody]) -> Vec<(String, Option<String>)> {
    let runs = events.iter().filter_map(|event| match event {
        EventBody::Run { run_id, replaced_run_id, .. } => Some((run_id.clone(), replaced_run_id.clone())),
        _ => None,
    });
    runs.collect()
}

fn webhooks(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

async fn draw(store: &Store, scope: LineScope, x: f64) -> String {
    let line = NewLine { scope, name: "gate".into(), geometry: geometry(x) };
    store.add_line(&line).await.unwrap().id
}

#[tokio::test]
async fn crossings_are_told_in_order_while_the_first_run_goes_on_and_once() {
    let (_folder, store) = opened().await;
    store.register_webhooks(&webhooks(&["a"])).await.unwrap();
    let video = described(&store, "a", (800, 400)).await;
    draw(&store, LineScope::Video(video.id.clone()), 200.0).await;
    draw(&store, LineScope::Source(video.source_id.clone()), 300.0).await;
    let run = store.start_run(&new_run(&video.id, "one")).await.unwrap();
    write_walk(&store, &run, Walk { to: 65, ..Walk::default() }).await;
    let early = receive(&store, "a", &ALL).await;
    assert!(!crossings_of(&early, &run).is_empty(), "{early:?}");
    let run = store.run(&run.id).await.unwrap();
    write_walk(&store, &run, Walk { from: 65, is_last: true, ..Walk::default() }).await;
    let late = receive(&store, "a", &ALL).await;
    let told: Vec<f64> = [crossings_of(&early, &run), crossings_of(&late, &run)].concat();
    let shown: Vec<f64> =
        store.crossings(&run.id).await.unwrap().iter().map(|crossing| crossing.secs).collect();
    assert!(told.len() >= 4 && told.is_sorted(), "{told:?}");
    assert_eq!(told, shown, "each that people see, once");
    assert_eq!(publications(&late), [(run.id.clone(), None)]);
    assert_eq!(store.waiting_events("a").await.unwrap(), 0);
}

#[tokio::test]
async fn a_recount_is_told_when_it_is_published_and_again_when_it_is_replaced() {
    let (_folder, store) = opened().await;
    store.register_webhooks(&webhooks(&["a"])).await.unwrap();
    let video = described(&store, "a", (800, 400)).await;
    draw(&store, LineScope::Video(video.id.clone()), 200.0).await;
    let job = |settings: &str| NewJob { fingerprint: settings.into(), run: new_run(&video.id, settings) };
    store.enqueue_jobs(&[job("one")]).await.unwrap();
    let first = counted(&store, &video.id, "one", Walk::default()).await;
    let number = crossings_of(&receive(&store, "a", &ALL).await, &first).len();
    assert!(number >= 2);
    store.enqueue_jobs(&[job("two")]).await.unwrap();
    let second = store.start_run(&new_run(&video.id, "two")).await.unwrap();
    write_walk(&store, &second, Walk { to: 90, ..Walk::default() }).await;
    assert_eq!(receive(&store, "a", &ALL).await, [], "nobody sees it yet");
    let second = store.run(&second.id).await.unwrap();
    write_walk(&store, &second, Walk { from: 90, is_last: true, ..Walk::default() }).await;
    let told = receive(&store, "a", &ALL).await;
    assert_eq!(publications(&told[..1]), [(second.id.clone(), Some(first.id.clone()))], "{told:?}");
    assert_eq!(crossings_of(&told[1..], &second).len(), number);
    // Back to the settings before: a receiver that dropped these crossings gets them anew.
    store.enqueue_jobs(&[job("one")]).await.unwrap();
    let told = receive(&store, "a", &ALL).await;
    assert_eq!(publications(&told[..1]), [(first.id.clone(), Some(second.id))]);
    assert_eq!(crossings_of(&told[1..], &first).len(), number);
}

#[tokio::test]
async fn a_line_drawn_on_a_counted_video_tells_its_crossings() {
    let (_folder, store) = opened().await;
    store.register_webhooks(&webhooks(&["a"])).await.unwrap();
    let video = described(&store, "a", (800, 400)).await;
    let run = counted(&store, &video.id, "one", Walk::default()).await;
    assert_eq!(publications(&receive(&store, "a", &ALL).await).len(), 1);
    draw(&store, LineScope::Video(video.id.clone()), 200.0).await;
    store.fold_lines(&run.id).await.unwrap();
    let told = receive(&store, "a", &ALL).await;
    assert_eq!(crossings_of(&told, &run).len(), store.crossings(&run.id).await.unwrap().len());
    assert!(!told.is_empty());
}

#[tokio::test]
async fn a_line_drawn_on_a_camera_tells_what_crosses_from_then_on() {
    let (_folder, store) = opened().await;
    store.register_webhooks(&webhooks(&["a"])).await.unwrap();
    let place =
        CameraPlace { url: "rtsp://10.0.0.5/s".into(), counting_url: None, user_name: None, password: None };
    let camera = store.add_camera("Gate", &place, 2).await.unwrap().unwrap();
    store.set_camera_size(&camera.video_id, (800, 400)).await.unwrap();
    draw(&store, LineScope::Source(camera.id.clone()), 200.0).await;
    let run = store.start_run(&new_run(&camera.video_id, "one")).await.unwrap();
    write_walk(&store, &run, Walk { to: 65, ..Walk::default() }).await;
    let before = crossings_of(&receive(&store, "a", &ALL).await, &run);
    assert!(!before.is_empty());
    // Another line at the same place: the animals that crossed it were there before it.
    draw(&store, LineScope::Video(camera.video_id.clone()), 210.0).await;
    store.fold_lines(&run.id).await.unwrap();
    assert_eq!(receive(&store, "a", &ALL).await, []);
    let run = store.run(&run.id).await.unwrap();
    write_walk(&store, &run, Walk { from: 65, ..Walk::default() }).await;
    let after = receive(&store, "a", &ALL).await;
    let lines: std::collections::BTreeSet<_> = after
        .iter()
        .filter_map(|event| match event {
            EventBody::Crossing { crossing, .. } => Some(crossing.line_id.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(lines.len(), 2, "the animal that turns back crosses both: {after:?}");
}

#[tokio::test]
async fn states_of_a_camera_are_told_until_it_is_removed() {
    let (_folder, store) = opened().await;
    store.register_webhooks(&webhooks(&["a"])).await.unwrap();
    let place =
        CameraPlace { url: "rtsp://10.0.0.5/s".into(), counting_url: None, user_name: None, password: None };
    let camera = store.add_camera("Gate", &place, 2).await.unwrap().unwrap();
    let away =
        EnteredState { state: "away", reason: Some(Reason::new("silent", "it is silent")), since_millis: 5 };
    store.note_camera_states(&camera.id, std::slice::from_ref(&away)).await.unwrap();
    store.remove_camera(&camera.id).await.unwrap();
    store.note_camera_states(&camera.id, std::slice::from_ref(&away)).await.unwrap();
    let states: Vec<_> = receive(&store, "a", &ALL)
        .await
        .into_iter()
        .map(|event| match event {
            EventBody::CameraState { state, reason, name, .. } => (name, state, reason.map(|(code, _)| code)),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [("Gate", "away", Some("silent")), ("Gate", "removed", None)];
    let expected =
        expected.map(|(name, state, code)| (name.to_owned(), state.to_owned(), code.map(str::to_owned)));
    assert_eq!(states, expected);
}

#[tokio::test]
async fn a_webhook_gets_what_came_since_it_was_added_and_what_it_wants() {
    let (_folder, store) = opened().await;
    let video = described(&store, "a", (800, 400)).await;
    draw(&store, LineScope::Video(video.id.clone()), 200.0).await;
    counted(&store, &video.id, "one", Walk::default()).await;
    store.register_webhooks(&webhooks(&["a"])).await.unwrap();
    assert_eq!(receive(&store, "a", &ALL).await, [], "what was before it is not told");
    let job = NewJob { fingerprint: "two".into(), run: new_run(&video.id, "two") };
    store.enqueue_jobs(&[job]).await.unwrap();
    counted(&store, &video.id, "two", Walk::default()).await;
    store.register_webhooks(&webhooks(&["a", "b"])).await.unwrap();
    assert_eq!(receive(&store, "b", &ALL).await, []);
    assert_eq!(receive(&store, "a", &[EventKind::CameraState]).await, []);
    assert_eq!(store.waiting_events("a").await.unwrap(), 0, "what it doesn't want is not kept for it");
    // One that was removed and comes back is new.
    store.register_webhooks(&webhooks(&["b"])).await.unwrap();
    store.register_webhooks(&webhooks(&["a", "b"])).await.unwrap();
    assert_eq!(receive(&store, "a", &ALL).await, []);
    store.forget_webhook("a").await.unwrap();
    assert!(store.next_event("a", &ALL).await.is_err());
}

#[tokio::test]
async fn events_wait_for_the_slowest_webhook_and_survive_a_restart() {
    let (folder, store) = opened().await;
    store.register_webhooks(&webhooks(&["a", "b"])).await.unwrap();
    let video = described(&store, "a", (800, 400)).await;
    draw(&store, LineScope::Video(video.id.clone()), 200.0).await;
    counted(&store, &video.id, "one", Walk::default()).await;
    let to_a = receive(&store, "a", &ALL).await;
    store.close().await;
    let store = Store::open(folder.path()).await.unwrap();
    store.register_webhooks(&webhooks(&["a", "b"])).await.unwrap();
    assert_eq!(receive(&store, "b", &ALL).await, to_a);
    assert_eq!(receive(&store, "a", &ALL).await, []);
}

#[tokio::test]
async fn topics_are_noted_once_until_they_are_emptied() {
    let (_folder, store) = opened().await;
    store.add_retained_topics(&["a".to_owned(), "b".to_owned()]).await.unwrap();
    store.add_retained_topics(&["b".to_owned()]).await.unwrap();
    store.remove_retained_topic("a").await.unwrap();
    assert_eq!(store.retained_topics().await.unwrap().into_iter().collect::<Vec<_>>(), ["b"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_event_that_comes_while_the_next_one_is_asked_for_is_not_lost() {
    const EVENTS: i64 = 300;
    let (_folder, store) = opened().await;
    store.register_webhooks(&webhooks(&["a"])).await.unwrap();
    let place =
        CameraPlace { url: "rtsp://10.0.0.5/s".into(), counting_url: None, user_name: None, password: None };
    let camera = store.add_camera("Gate", &place, 2).await.unwrap().unwrap();
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for since_millis in 1..=EVENTS {
                let state = if since_millis % 2 == 0 { "away" } else { "live" };
                let entered = EnteredState { state, reason: None, since_millis };
                store.note_camera_states(&camera.id, &[entered]).await.unwrap();
            }
        }
    });
    let mut received = Vec::new();
    loop {
        let was_finished = writer.is_finished();
        match store.next_event("a", &ALL).await.unwrap().event {
            Some(event) => {
                received.push(event.occurred_at_millis);
                store.finish_event("a", event.number).await.unwrap();
            }
            None if was_finished => break,
            None => tokio::task::yield_now().await,
        }
    }
    writer.await.unwrap();
    assert_eq!(received, (1..=EVENTS).collect::<Vec<_>>());
}
