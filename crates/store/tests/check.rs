//! Every kind of damage to a store is detected; an intact store has no findings.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Walk, counted, described, geometry, new_run, opened, write_walk};
use pigweight_store::{Finding, LineScope, NewJob, NewLine, Store};
use std::collections::BTreeSet;
use std::path::Path;

async fn filled() -> tempfile::TempDir {
    let (folder, store) = opened().await;
    store.register_process("me", true).await.unwrap();
    let (a, b) = (described(&store, "a", (800, 400)).await, described(&store, "b", (800, 400)).await);
    let line = NewLine {
        name: "1".into(),
        scope: LineScope::Source(a.source_id.clone()),
        geometry: geometry(200.0),
    };
    let line = store.add_line(&line).await.unwrap();
    let job = NewJob { fingerprint: "s".into(), run: new_run(&a.id, "s") };
    store.enqueue_jobs(&[job]).await.unwrap();
    counted(&store, &a.id, "s", Walk::default()).await;
    let run = store.start_run(&new_run(&b.id, "s")).await.unwrap();
    write_walk(&store, &run, Walk { to: 40, ..Walk::default() }).await;
    store.change_line(&line.id, "1", &geometry(300.0)).await.unwrap();
    for run in store.runs_behind_on_lines(None).await.unwrap() {
        store.fold_lines(&run).await.unwrap();
    }
    store.close().await;
    folder
}

async fn findings(folder: &Path) -> Vec<Finding> {
    let store = Store::open_read_only(folder).await.unwrap();
    let mut found = Vec::new();
    store.check(&mut |finding| found.push(finding)).await.unwrap();
    store.close().await;
    found
}

async fn damage(folder: &Path, sql: &'static str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(folder.join("pigweight.sqlite"))
        .foreign_keys(false);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let changed = sqlx::raw_sql(sql).execute(&pool).await.unwrap();
    assert!(changed.rows_affected() > 0, "{sql}");
    pool.close().await;
}

#[tokio::test]
async fn a_sound_store_has_no_findings_and_is_not_changed() {
    let folder = filled().await;
    let before = std::fs::read(folder.path().join("pigweight.sqlite")).unwrap();
    assert_eq!(findings(folder.path()).await, []);
    assert_eq!(std::fs::read(folder.path().join("pigweight.sqlite")).unwrap(), before);
    let store = Store::open_read_only(folder.path()).await.unwrap();
    let checked = store.check(&mut |_| {}).await.unwrap();
    assert_eq!((checked.runs, checked.frames), (2, 140));
    assert!(checked.crossings >= 6, "{checked:?}");
}

#[tokio::test]
async fn each_damage_is_found() {
    for (code, sql) in [
        ("video_without_source", "update videos set source_id = null where name = 'a'"),
        ("reference_broken", "delete from sources"),
        (
            "published_run_missing",
            "update videos set published_run_id = null where published_run_id is not null",
        ),
        (
            "published_run_wrong",
            "update videos set published_run_id = (select id from runs where state = 'done') where name = 'b'",
        ),
        ("job_run_wrong", "update jobs set run_id = (select id from runs where state = 'running')"),
        ("job_lease_wrong", "update jobs set lease_owner = 'me'"),
        ("line_versions_wrong", "update line_versions set number = 7 where number = 2"),
        ("checkpoint_missing", "delete from run_checkpoints"),
        ("checkpoint_left", "insert into run_checkpoints select id, x'00' from runs where state = 'done'"),
        (
            "progress_ahead",
            "update line_progress set next_chunk = 99 where run_id in (select id from runs where state = 'running')",
        ),
        ("crossings_without_progress", "delete from line_progress"),
        ("crossings_wrong", "delete from crossings where id in (select min(id) from crossings)"),
        ("crossings_wrong", "update crossings set direction = 'backward' where direction = 'forward'"),
        ("crossings_wrong", "update line_versions set x1_px = 333, x2_px = 333 where number = 2"),
        ("line_counter_wrong", "update line_progress set counter = x'00'"),
        ("run_totals_wrong", "update runs set count_sum = count_sum + 1"),
        ("run_totals_wrong", "update runs set frames_inferred = 0"),
        ("chunk_missing", "delete from detection_chunks where sequence = 1"),
        ("chunk_damaged", "update detection_chunks set data = x'0300' where sequence = 1"),
        ("chunk_wrong", "update detection_chunks set boxes = 1 where sequence = 1"),
        ("chunk_wrong", "update detection_chunks set last_secs = 0 where sequence = 1"),
        ("chunk_left", "update runs set next_chunk = 2 where state = 'running'"),
        ("counts_wrong", "update counts set max = 9 where level_secs = 10"),
        ("counts_wrong", "delete from counts where level_secs = 1 and bucket = 2"),
    ] {
        let folder = filled().await;
        damage(folder.path(), sql).await;
        let found = findings(folder.path()).await;
        let codes: BTreeSet<_> = found.iter().map(|finding| finding.code).collect();
        assert!(codes.contains(code), "{sql}: {found:?}");
        assert!(
            found.iter().all(|finding| !finding.text.contains('\n') && finding.text.len() > 20),
            "{found:?}"
        );
    }
}

#[tokio::test]
async fn a_damaged_file_is_reported_as_damaged_wherever_the_damage_is() {
    const PAGE: usize = 4096;
    let folder = filled().await;
    let path = folder.path().join("pigweight.sqlite");
    let sound = std::fs::read(&path).unwrap();
    let pages = sound.len() / PAGE;
    let mut unnoticed = Vec::new();
    for page in 0..pages {
        let mut bytes = sound.clone();
        bytes[page * PAGE..][..PAGE].fill(0xa5);
        std::fs::write(&path, bytes).unwrap();
        match Store::open_read_only(folder.path()).await {
            Ok(store) => {
                let mut found = Vec::new();
                let checked = store.check(&mut |finding| found.push(finding)).await;
                assert!(checked.is_ok(), "page {page}: {:?}", checked.err());
                assert!(
                    found.iter().all(|finding| finding.code == "store_damaged"),
                    "page {page}: {found:?}"
                );
                if found.is_empty() {
                    unnoticed.push(page);
                }
                store.close().await;
            }
            Err(error) => {
                assert!(matches!(error, pigweight_store::Error::Corrupt { .. }), "page {page}: {error}");
            }
        }
    }
    // Free pages hold nothing.
    assert!(unnoticed.len() * 10 <= pages, "of {pages} pages these: {unnoticed:?}");
}

#[tokio::test]
async fn a_failed_check_says_why() {
    let folder = filled().await;
    let store = Store::open(folder.path()).await.unwrap();
    let refused = Store::open_read_only(folder.path()).await.err().unwrap();
    assert!(matches!(refused, pigweight_store::Error::FolderInUse { .. }), "{refused}");
    store.close().await;
    let empty = tempfile::tempdir().unwrap();
    let refused = Store::open_read_only(empty.path()).await.err().unwrap();
    assert!(matches!(refused, pigweight_store::Error::NoStore { .. }), "{refused}");
    damage(folder.path(), "delete from _sqlx_migrations where version > 7").await;
    let refused = Store::open_read_only(folder.path()).await.err().unwrap();
    assert!(matches!(refused, pigweight_store::Error::NotUpgraded { here: 7, .. }), "{refused}");
    assert!(refused.to_string().contains("pigweight serve"), "{refused}");
}
