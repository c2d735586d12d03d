//! Jobs are taken by one process, held, given back, and changed by people; nothing is lost or duplicated.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pigweight_store::{
    Error, FileIdentity, FileStat, JobFilter, JobState, NewJob, NewRun, NewSource, Reason, Release, Store,
};

fn file(name: &str, head_hash: &str) -> FileIdentity {
    FileIdentity {
        path: format!("/v/{name}"),
        stat: FileStat { size_bytes: 10, modified_nanos: 1, changed_nanos: None, inode: None },
        head_hash: head_hash.into(),
        samples_hash: None,
    }
}

/// With settings of the fingerprint's name.
fn job(video_id: &str, fingerprint: &str) -> NewJob {
    NewJob { fingerprint: fingerprint.into(), run: new_run(video_id, fingerprint) }
}

fn new_run(video_id: &str, settings: &str) -> NewRun {
    NewRun {
        video_id: video_id.into(),
        model_name: "m".into(),
        model_hash: "h".into(),
        device: "cpu".into(),
        settings: settings.into(),
        inference_settings: "i".into(),
        least_score: 0.1,
        rule_version: 1,
    }
}

fn source() -> NewSource {
    NewSource::Folder { folder: "/v".into(), name: "v".into() }
}

fn came_to_an_end() -> Reason {
    Reason::new("ended_too_often", "came to an end")
}

/// A store with a job for each of these videos.
async fn with_jobs(names: &[&str]) -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let mut jobs = Vec::new();
    for name in names {
        let video = store.add_video(&file(name, "a"), name, &source()).await.unwrap();
        jobs.push(job(&video.id, "fingerprint"));
    }
    store.enqueue_jobs(&jobs).await.unwrap();
    (folder, store)
}

async fn listed(store: &Store, state: Option<JobState>) -> Vec<(String, &'static str)> {
    let filter = JobFilter { state, limit: 100, ..JobFilter::default() };
    let jobs = store.jobs(&filter).await.unwrap();
    jobs.into_iter().map(|job| (job.video_name.clone(), job.state.name())).collect()
}

async fn id_of(store: &Store, name: &str) -> String {
    let jobs = store.jobs(&JobFilter { limit: 100, ..JobFilter::default() }).await.unwrap();
    jobs.into_iter().find(|job| job.video_name == name).unwrap().id
}

#[tokio::test]
async fn the_next_is_the_most_urgent_and_among_those_the_oldest() {
    let (_folder, store) = with_jobs(&["a", "b", "c"]).await;
    let names = async || -> Vec<String> {
        store.waiting_jobs().await.unwrap().into_iter().map(|job| job.video_name).collect()
    };
    assert_eq!(names().await, ["a", "b", "c"]);
    store.prioritise_job(&id_of(&store, "c").await, 5).await.unwrap();
    store.prioritise_job(&id_of(&store, "a").await, -5).await.unwrap();
    assert_eq!(names().await, ["c", "b", "a"]);
    for priority in [-101, 101, i64::MAX] {
        let refused = store.prioritise_job(&id_of(&store, "c").await, priority).await.unwrap_err();
        assert!(refused.to_string().contains("-100 (last) to 100 (first)"), "{refused}");
    }
    // Asked for again, nothing is doubled and no order changes.
    let video_id = store.job(&id_of(&store, "b").await).await.unwrap().video_id;
    assert!(store.enqueue_jobs(&[job(&video_id, "fingerprint")]).await.unwrap().replaced.is_empty());
    assert_eq!(names().await, ["c", "b", "a"]);
}

#[tokio::test]
async fn only_one_of_two_workers_leases_a_job() {
    let (_folder, store) = with_jobs(&["a"]).await;
    let id = id_of(&store, "a").await;
    let (one, other) = tokio::join!(store.take_job(&id, "one"), store.take_job(&id, "other"));
    let taken = [one.unwrap(), other.unwrap()].into_iter().flatten().collect::<Vec<_>>();
    assert_eq!(taken.len(), 1);
    let owner = taken[0].lease_owner.clone().unwrap();
    let loser = if owner == "one" { "other" } else { "one" };
    // Who has it not changes nothing.
    store.release_job(&id, loser, Release::Failed(&Reason::new("no_frames", "broken"))).await.unwrap();
    assert_eq!(store.job(&id).await.unwrap().state, JobState::Running);
    store.release_job(&id, &owner, Release::Done).await.unwrap();
    let done = store.job(&id).await.unwrap();
    assert_eq!(
        (done.state, done.lease_owner.is_none(), done.finished_at.is_some()),
        (JobState::Done, true, true)
    );
    assert!(store.take_job(&id, "third").await.unwrap().is_none());
}

#[tokio::test]
async fn attempts_without_progress_are_limited_and_progress_resets_them() {
    let (_folder, store) = with_jobs(&["a"]).await;
    let id = id_of(&store, "a").await;
    let video_id = store.job(&id).await.unwrap().video_id;
    let run = store.start_run(&new_run(&video_id, "fingerprint")).await.unwrap();
    for tries in 1..=3 {
        let taken = store.take_job(&id, "me").await.unwrap().unwrap();
        assert_eq!(taken.tries, tries);
        if tries == 2 {
            // A stop is no try.
            store.release_job(&id, "me", Release::Requeue).await.unwrap();
            assert_eq!(store.take_job(&id, "me").await.unwrap().unwrap().tries, 2);
        }
        assert_eq!(
            store.reclaim_jobs(false, 3, &Reason::new("gone", "gone")).await.unwrap(),
            0,
            "it is held still"
        );
        // As after kill -9.
        assert_eq!(store.reclaim_jobs(true, 3, &came_to_an_end()).await.unwrap(), 1);
    }
    let failed = store.job(&id).await.unwrap();
    assert_eq!((failed.state, failed.error.as_deref()), (JobState::Failed, Some("came to an end")));

    // A person may try again, as often.
    assert_eq!(store.retry_job(&id).await.unwrap().state, JobState::Waiting);
    for _ in 0..10 {
        assert!(store.take_job(&id, "me").await.unwrap().unwrap().tries <= 2);
        assert!(store.record_progress(&id, "me", &run.id).await.unwrap());
        store.reclaim_jobs(true, 3, &came_to_an_end()).await.unwrap();
        assert_eq!(store.job(&id).await.unwrap().state, JobState::Waiting, "it came forward each time");
    }
    store.take_job(&id, "me").await.unwrap().unwrap();
    store
        .release_job(&id, "me", Release::Interrupted(60, &Reason::new("worker_ended", "its reader is gone")))
        .await
        .unwrap();
    assert!(store.waiting_jobs().await.unwrap().is_empty(), "not before its time");
    assert_eq!(store.job(&id).await.unwrap().error.as_deref(), Some("its reader is gone"));
}

#[tokio::test]
async fn a_user_request_holds_against_the_worker_of_the_job() {
    let (_folder, store) = with_jobs(&["a", "b"]).await;
    let (a, b) = (id_of(&store, "a").await, id_of(&store, "b").await);
    store.take_job(&a, "me").await.unwrap().unwrap();
    assert_eq!(store.cancel_job(&a).await.unwrap().state, JobState::Cancelled);
    assert!(!store.record_progress(&a, "me", "no run").await.unwrap());
    store.release_job(&a, "me", Release::Done).await.unwrap();
    assert_eq!(store.job(&a).await.unwrap().state, JobState::Cancelled);
    for refused in
        [store.cancel_job(&a).await, store.pause_job(&a, true).await, store.prioritise_job(&a, 1).await]
    {
        let message = refused.unwrap_err();
        assert!(matches!(message, Error::JobEnded { state: "cancelled", .. }), "{message}");
        assert!(
            !message.to_string().contains('\n') && message.to_string().contains("only waiting"),
            "{message}"
        );
    }
    assert!(matches!(store.retry_job(&b).await, Err(Error::JobEnded { .. })));

    // A pause belongs to the video: the job waits for any caller.
    assert_eq!(store.pause_job(&b, true).await.unwrap().state, JobState::Paused);
    assert!(store.waiting_jobs().await.unwrap().is_empty());
    assert!(store.take_job(&b, "me").await.unwrap().is_none());
    let video_id = store.job(&b).await.unwrap().video_id;
    assert!(store.video(&video_id).await.unwrap().is_paused);
    assert_eq!(listed(&store, Some(JobState::Paused)).await, [("b".to_owned(), "paused")]);
    store.pause_video(&video_id, false).await.unwrap();
    assert_eq!(store.job(&b).await.unwrap().state, JobState::Waiting);

    for unknown in [store.job("nobody").await, store.cancel_job("nobody").await, store.retry_job("").await] {
        assert!(matches!(unknown, Err(Error::NotFound { kind: "job", .. })));
    }
    assert_eq!(
        listed(&store, None).await,
        [("b".to_owned(), "waiting"), ("a".to_owned(), "cancelled")],
        "what is to come stands first"
    );
    let counts = store.count_jobs().await.unwrap();
    assert_eq!(counts.len(), 2, "{counts:?}");
}

#[tokio::test]
async fn another_model_or_file_replaces_the_job() {
    let (_folder, store) = with_jobs(&["a"]).await;
    let first = store.job(&id_of(&store, "a").await).await.unwrap();
    store.take_job(&first.id, "me").await.unwrap().unwrap();
    let replaced = store.enqueue_jobs(&[job(&first.video_id, "other")]).await.unwrap();
    assert_eq!(replaced.replaced, std::slice::from_ref(&first.video_id));
    let outdated = store.job(&first.id).await.unwrap();
    assert_eq!(outdated.state, JobState::Cancelled);
    assert!(outdated.error.unwrap().contains("settings changed"));
    let second = store.latest_job(&first.video_id).await.unwrap().unwrap();
    assert_eq!((second.fingerprint.as_str(), second.state), ("other", JobState::Waiting));
    assert_eq!(store.latest_jobs().await.unwrap()[&first.video_id].id, second.id);
    let refused = store.retry_job(&first.id).await.unwrap_err();
    assert!(matches!(&refused, Error::JobOutdated { now, .. } if *now == second.id), "{refused}");
    // Back to the earlier settings: that job continues.
    store.enqueue_jobs(&[job(&first.video_id, "fingerprint")]).await.unwrap();
    assert_eq!(store.job(&first.id).await.unwrap().state, JobState::Waiting);
    assert_eq!(store.job(&second.id).await.unwrap().state, JobState::Cancelled);
    assert_eq!(store.latest_jobs().await.unwrap()[&first.video_id].id, first.id, "the one that is to come");
    // What a person cancelled stays so.
    store.cancel_job(&first.id).await.unwrap();
    store.enqueue_jobs(&[job(&first.video_id, "fingerprint")]).await.unwrap();
    assert_eq!(store.job(&first.id).await.unwrap().state, JobState::Cancelled);

    store.retry_job(&first.id).await.unwrap();
    store.add_video(&file("a", "b"), "a", &source()).await.unwrap();
    let replaced = store.job(&first.id).await.unwrap();
    assert_eq!(replaced.state, JobState::Cancelled);
    assert!(replaced.error.unwrap().contains("replaced"));
    assert!(matches!(store.retry_job(&first.id).await, Err(Error::JobReplaced { .. })));
    assert!(store.waiting_jobs().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_restored_file_continues_its_job() {
    let sampled = |nanos: i64, samples: &str| FileIdentity {
        stat: FileStat { modified_nanos: nanos, ..file("a", "head").stat },
        samples_hash: Some(samples.to_owned()),
        ..file("a", "head")
    };
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let first = store.add_video(&sampled(1, "whole"), "a", &source()).await.unwrap();
    store.enqueue_jobs(&[job(&first.id, "fingerprint")]).await.unwrap();
    let id = id_of(&store, "a").await;
    // Copied back, it has another time.
    let again = store.add_video(&sampled(2, "whole"), "a", &source()).await.unwrap();
    assert_eq!((&again.id, again.is_sampled), (&first.id, true));
    assert_eq!(store.video_of_file(&sampled(2, "whole")).await.unwrap().unwrap().id, first.id);
    assert_eq!(store.job(&id).await.unwrap().state, JobState::Waiting);
    // Another one of the same size and beginning is another video …
    let other = store.add_video(&sampled(3, "torn"), "a", &source()).await.unwrap();
    assert_ne!(other.id, first.id);
    let replaced = store.job(&id).await.unwrap();
    assert_eq!((replaced.state, replaced.error_code.as_deref()), (JobState::Cancelled, Some("replaced")));
    // … and if the first one is put back in its place, its job continues.
    assert_eq!(store.add_video(&sampled(4, "whole"), "a", &source()).await.unwrap().id, first.id);
    let back = store.job(&id).await.unwrap();
    assert_eq!((back.state, back.error), (JobState::Waiting, None));
    assert_eq!(store.videos().await.unwrap().len(), 1);
    // What was registered without samples is known by its time alone.
    let unsampled_file = file("b", "head");
    let unsampled = store.add_video(&unsampled_file, "b", &source()).await.unwrap();
    assert!(!unsampled.is_sampled);
    let touched = FileIdentity {
        stat: FileStat { modified_nanos: 2, ..unsampled_file.stat },
        ..unsampled_file.clone()
    };
    assert_ne!(store.add_video(&touched, "b", &source()).await.unwrap().id, unsampled.id);
    store.keep_samples(&unsampled.id, "whole").await.unwrap();
    assert!(store.video(&unsampled.id).await.unwrap().is_sampled);
}

#[tokio::test]
async fn jobs_are_found_by_the_beginning_or_end_of_their_identifiers() {
    let (_folder, store) = with_jobs(&["a", "b"]).await;
    let id = id_of(&store, "b").await;
    for word in [&id[..], &id[18..], &id[18..22], &id[..25], &id[18..].to_uppercase()] {
        let filter = JobFilter { named: Some(word.to_owned()), limit: 100, ..JobFilter::default() };
        let found = store.jobs(&filter).await.unwrap();
        assert!(found.iter().any(|job| job.id == id), "{word}");
        assert!(found.len() == 1 || word.len() == 25, "{word}");
    }
    for word in ["nobody", &id[5..12], "", "%", "_"] {
        let filter = JobFilter { named: Some(word.to_owned()), limit: 100, ..JobFilter::default() };
        let found = store.jobs(&filter).await.unwrap().len();
        assert_eq!(found, if word.is_empty() { 2 } else { 0 }, "{word}");
    }
}
