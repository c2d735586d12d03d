//! The shown run of a video is a complete one, until another one is complete.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Walk, counted, described, new_run, opened, write_walk};
use pigweight_store::{Error, JobState, NewJob, RunState, Store};

fn job(video_id: &str, settings: &str) -> NewJob {
    NewJob { fingerprint: settings.into(), run: new_run(video_id, settings) }
}

async fn shown(store: &Store, video_id: &str) -> Option<(String, RunState)> {
    store.shown_run(video_id).await.unwrap().map(|run| (run.id, run.state))
}

#[tokio::test]
async fn a_count_does_not_vanish_during_a_recount() {
    let (_folder, store) = opened().await;
    let video = described(&store, "a", (800, 400)).await;
    assert_eq!(shown(&store, &video.id).await, None);
    // Before any run is complete the one in progress is shown.
    let first = store.start_run(&new_run(&video.id, "first")).await.unwrap();
    write_walk(&store, &first, Walk { to: 50, ..Walk::default() }).await;
    assert_eq!(shown(&store, &video.id).await, Some((first.id.clone(), RunState::Running)));
    assert_eq!(store.checkpoint(&first.id).await.unwrap(), Some(vec![1, 2, 3]));
    let first = store.run(&first.id).await.unwrap();
    write_walk(&store, &first, Walk { from: 50, is_last: true, ..Walk::default() }).await;
    assert_eq!(store.checkpoint(&first.id).await.unwrap(), None, "a complete run needs none");
    let done = Some((first.id.clone(), RunState::Done));
    assert_eq!(shown(&store, &video.id).await, done);

    // Other settings count beside it …
    store.enqueue_jobs(&[job(&video.id, "second")]).await.unwrap();
    let second = store.start_run(&new_run(&video.id, "second")).await.unwrap();
    write_walk(&store, &second, Walk { to: 50, ..Walk::default() }).await;
    assert_eq!(shown(&store, &video.id).await, done);
    // … a failure changes nothing …
    store.fail_run(&second.id, "broken").await.unwrap();
    assert_eq!(shown(&store, &video.id).await, done);
    assert_eq!(store.checkpoint(&second.id).await.unwrap(), None);
    // … and the last checkpoint publishes.
    let again = counted(&store, &video.id, "second", Walk::default()).await;
    assert_ne!(again.id, second.id);
    assert_eq!(shown(&store, &video.id).await, Some((again.id.clone(), RunState::Done)));
    assert_eq!(store.video(&video.id).await.unwrap().published_run_id, Some(again.id));
}

#[tokio::test]
async fn going_back_to_earlier_settings_shows_the_earlier_run_at_once() {
    let (_folder, store) = opened().await;
    let video = described(&store, "a", (800, 400)).await;
    store.enqueue_jobs(&[job(&video.id, "first")]).await.unwrap();
    let first = counted(&store, &video.id, "first", Walk::default()).await;
    store.enqueue_jobs(&[job(&video.id, "second")]).await.unwrap();
    let second = counted(&store, &video.id, "second", Walk::default()).await;
    let planned = store.enqueue_jobs(&[job(&video.id, "first")]).await.unwrap();
    assert_eq!(planned.published, std::slice::from_ref(&video.id));
    assert_eq!(shown(&store, &video.id).await, Some((first.id.clone(), RunState::Done)));
    assert!(store.enqueue_jobs(&[job(&video.id, "first")]).await.unwrap().published.is_empty());
    // The same without planning: a command that counts with these settings.
    store.start_run(&new_run(&video.id, "second")).await.unwrap();
    assert_eq!(shown(&store, &video.id).await, Some((second.id.clone(), RunState::Done)));
    // A job that is made for settings of a complete run knows it from the beginning.
    store.enqueue_jobs(&[job(&video.id, "second")]).await.unwrap();
    let latest = store.latest_job(&video.id).await.unwrap().unwrap();
    assert_eq!((latest.state, latest.fingerprint.as_str()), (JobState::Waiting, "second"));
}

#[tokio::test]
async fn an_unfinished_run_with_other_settings_is_abandoned_and_never_shown() {
    let (_folder, store) = opened().await;
    let video = described(&store, "a", (800, 400)).await;
    store.enqueue_jobs(&[job(&video.id, "first")]).await.unwrap();
    let first = store.start_run(&new_run(&video.id, "first")).await.unwrap();
    write_walk(&store, &first, Walk { to: 26, ..Walk::default() }).await;
    store.enqueue_jobs(&[job(&video.id, "second")]).await.unwrap();
    assert_eq!(store.run(&first.id).await.unwrap().state, RunState::Abandoned);
    assert_eq!(shown(&store, &video.id).await, None);
    // A process that still writes it gets an error.
    let step = pigweight_store::Checkpoint {
        frames: &[],
        timeline: common::timeline(),
        damaged_frames: 0,
        uncertainty: None,
        state: Vec::new(),
        counted_to_secs: 1.0,
        is_last: true,
    };
    assert!(matches!(store.write_checkpoint(&first.id, 2, &step).await, Err(Error::Overtaken)));
    let second = store.start_run(&new_run(&video.id, "second")).await.unwrap();
    assert_eq!(shown(&store, &video.id).await, Some((second.id, RunState::Running)));
    // Its settings come back: it continues at its checkpoint.
    store.enqueue_jobs(&[job(&video.id, "first")]).await.unwrap();
    let continued = store.start_run(&new_run(&video.id, "first")).await.unwrap();
    assert_eq!(
        (continued.id.as_str(), continued.state, continued.frames_done),
        (first.id.as_str(), RunState::Running, 26)
    );
    assert_eq!(store.checkpoint(&first.id).await.unwrap(), Some(vec![1, 2, 3]));
    write_walk(&store, &continued, Walk { from: 26, is_last: true, ..Walk::default() }).await;
    assert_eq!(shown(&store, &video.id).await, Some((first.id, RunState::Done)));
}
