//! What was written is told by topic, once it is committed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{described, geometry, new_run, opened};
use pigweight_store::{ChangeCounts, LineScope, NewJob, NewLine, Store, TOPICS, Topic};

fn newer(before: ChangeCounts, after: ChangeCounts) -> Vec<Topic> {
    TOPICS
        .into_iter()
        .zip(before.into_iter().zip(after))
        .filter(|(_, (old, new))| new > old)
        .map(|(topic, _)| topic)
        .collect()
}

#[tokio::test]
async fn each_change_is_told_with_its_topics_from_every_connection() {
    let (folder, store) = opened().await;
    let background = store.background_connections().await.unwrap();
    for (store, name) in [(&store, "a"), (&background, "b")] {
        let before = *store.watch_changes().borrow();
        let video = described(store, name, (800, 400)).await;
        let with_video = *store.watch_changes().borrow();
        assert_eq!(newer(before, with_video), [Topic::Videos]);
        store
            .enqueue_jobs(&[NewJob { fingerprint: "s".into(), run: new_run(&video.id, "s") }])
            .await
            .unwrap();
        let with_job = *store.watch_changes().borrow();
        assert_eq!(newer(with_video, with_job), [Topic::Videos, Topic::Jobs]);
        let scope = LineScope::Video(video.id.clone());
        store.add_line(&NewLine { name: "1".into(), scope, geometry: geometry(200.0) }).await.unwrap();
        let with_line = *store.watch_changes().borrow();
        assert!(newer(with_job, with_line).contains(&Topic::Lines));
        // Reading changes nothing.
        store.video(&video.id).await.unwrap();
        assert_eq!(*store.watch_changes().borrow(), with_line);
    }
    background.close().await;
    store.close().await;
    let read_only = Store::open_read_only(folder.path()).await.unwrap();
    assert_eq!(*read_only.watch_changes().borrow(), ChangeCounts::default());
}
