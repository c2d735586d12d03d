//! A data folder of the previous version opens with all its numbers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pigweight_store::{JobFilter, LineScope, NewSource, RunState, SourceKind, Store, VideoRecord};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/folder_of_version_7");

/// Lays the store of upgrade 7 into a folder, which takes the place of `/data`.
async fn lay_out(folder: &Path) {
    let sql = std::fs::read_to_string(format!("{FIXTURE}/folder.sql")).unwrap();
    let sql =
        sql.replace("/data/uploads/", &format!("{}/uploads/", folder.canonicalize().unwrap().display()));
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(folder.join("pigweight.sqlite"))
        .create_if_missing(true)
        .foreign_keys(false);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap();
    pool.close().await;
}

/// In the words of the fixture's `make.rs`.
async fn summary_of(store: &Store, folder: &Path) -> String {
    let mut text = String::new();
    for video in store.videos().await.unwrap() {
        tell(store, &video, &mut text).await;
    }
    text.replace(&format!("{}/uploads/", folder.canonicalize().unwrap().display()), "/data/uploads/")
}

async fn tell(store: &Store, video: &VideoRecord, text: &mut String) {
    let VideoRecord { id, path, name, error, error_code, codec, frames, duration_secs, is_paused, .. } =
        video;
    writeln!(text, "video {id} {path:?} {name:?} {error:?} {error_code:?} {codec:?} {frames:?} {duration_secs:?} paused={is_paused}").unwrap();
    let index = store.packet_index(id).await.unwrap();
    writeln!(text, "size {:?} {:?} index {index:?}", video.width_px, video.height_px).unwrap();
    for line in store.lines_of_video(id).await.unwrap() {
        let place = line.on_video.unwrap();
        let ends = [place.x1_px, place.y1_px, place.x2_px, place.y2_px];
        writeln!(text, "line {} {:?} {ends:?}", line.line.id, line.line.name).unwrap();
    }
    for run in store.runs(id).await.unwrap() {
        let state = if run.state == RunState::Abandoned { RunState::Running } else { run.state };
        let checkpoint = store.checkpoint(&run.id).await.unwrap();
        writeln!(
            text,
            "run {} {} {:?} frames {} {} {} to {} sum {} max {} next {} checkpoint {checkpoint:?}",
            run.id,
            state.name(),
            run.error,
            run.frames_done,
            run.frames_inferred,
            run.damaged_frames,
            run.counted_to_secs,
            run.count_sum,
            run.count_max,
            run.next_chunk
        )
        .unwrap();
        for points in [10_000, 10, 3] {
            let window = store.counts(&run.id, 0.0, 20.0, points).await.unwrap();
            let sum: f64 = window.points.iter().map(|point| point.mean).sum();
            let ends: Vec<_> = window.points.iter().map(|point| (point.min, point.max)).collect();
            let ends = &ends[..ends.len().min(5)];
            writeln!(text, "counts {} {} {sum:.6} {ends:?}", window.level_secs, window.points.len()).unwrap();
        }
        let (frames, _) = store.detections(&run.id, 0.0, 20.0, 1000).await.unwrap();
        let inferred = frames.iter().filter(|frame| frame.reason.is_some()).count();
        let places: f64 =
            frames.iter().flat_map(|frame| &frame.boxes).map(|found| f64::from(found.rect.x)).sum();
        writeln!(text, "detections {} {inferred} {places:.2}", frames.len()).unwrap();
        for crossing in store.crossings(&run.id).await.unwrap() {
            let direction = crossing.direction;
            writeln!(
                text,
                "crossing {} {direction} {} {} {}",
                crossing.line_id, crossing.track, crossing.pts, crossing.secs
            )
            .unwrap();
        }
    }
    let filter = JobFilter { video_id: Some(id.clone()), limit: 100, ..JobFilter::default() };
    for job in store.jobs(&filter).await.unwrap() {
        writeln!(
            text,
            "job {} {} {} {} {} {:?} {:?} {:?} {}",
            job.id,
            job.number,
            job.fingerprint,
            job.state.name(),
            job.tries,
            job.error,
            job.error_code,
            job.run_id,
            job.frames_done
        )
        .unwrap();
    }
}

async fn by_name(store: &Store) -> BTreeMap<String, VideoRecord> {
    store.videos().await.unwrap().into_iter().map(|video| (video.name.clone(), video)).collect()
}

#[tokio::test]
async fn every_number_of_the_version_before_is_there() {
    let folder = tempfile::tempdir().unwrap();
    lay_out(folder.path()).await;
    let store = Store::open(folder.path()).await.unwrap();
    let expected = std::fs::read_to_string(format!("{FIXTURE}/expected.txt")).unwrap();
    let found = summary_of(&store, folder.path()).await;
    let differences: Vec<_> =
        expected.lines().zip(found.lines()).filter(|(one, other)| one != other).collect();
    assert!(
        expected.lines().count() == found.lines().count() && differences.is_empty(),
        "{differences:#?}\n{found}"
    );
    // And again after the next start.
    store.close().await;
    let store = Store::open(folder.path()).await.unwrap();
    assert_eq!(summary_of(&store, folder.path()).await, expected);
}

#[tokio::test]
async fn upgrade_makes_a_source_of_each_folder_and_upload_and_keeps_lines_with_their_recordings() {
    let folder = tempfile::tempdir().unwrap();
    lay_out(folder.path()).await;
    let store = Store::open(folder.path()).await.unwrap();
    let videos = by_name(&store).await;
    let source = async |name: &str| store.source(&videos[name].source_id).await.unwrap();
    let yard = source("yard/gate.mp4").await;
    assert_eq!(
        (yard.kind, yard.name.as_str(), yard.folder.as_deref()),
        (SourceKind::Folder, "yard", Some("/videos/yard"))
    );
    assert_eq!(source("yard/pen.mp4").await.id, yard.id);
    assert_eq!(source("yard/loop.mp4").await.id, yard.id);
    let root = source("cut.mp4").await;
    assert_eq!((root.name.as_str(), root.folder.as_deref()), ("videos", Some("/videos")));
    assert_eq!(source("broken.mp4").await.id, root.id);
    let (one, other) = (source("phone.mp4").await, source("phone (2).mp4").await);
    assert!(one.id != other.id && one.kind == SourceKind::Upload && other.kind == SourceKind::Upload);
    assert_eq!((one.name.as_str(), one.folder), ("phone.mp4", None));
    assert_eq!(store.sources(None, 100).await.unwrap().len(), 4);
    // A line of the version before is its recording's own.
    let gate = &videos["yard/gate.mp4"];
    for line in store.lines_of_video(&gate.id).await.unwrap() {
        assert_eq!((line.line.scope(), line.line.version_number), (LineScope::Video(gate.id.clone()), 1));
        assert_eq!(line.line.geometry.picture_width_px, Some(1280));
    }
    assert!(store.lines_of_source(&yard.id).await.unwrap().is_empty());
    // A new file in a known folder belongs to its source.
    let file = pigweight_store::FileIdentity {
        path: "/videos/yard/new.mp4".into(),
        stat: pigweight_store::FileStat {
            size_bytes: 1,
            modified_nanos: 1,
            changed_nanos: None,
            inode: None,
        },
        head_hash: "new".into(),
        samples_hash: None,
    };
    let new_source = NewSource::Folder { folder: "/videos/yard".into(), name: "yard".into() };
    assert_eq!(store.add_video(&file, "yard/new.mp4", &new_source).await.unwrap().source_id, yard.id);
}

#[tokio::test]
async fn the_newest_complete_run_is_published_and_crossings_get_identifiers() {
    let folder = tempfile::tempdir().unwrap();
    lay_out(folder.path()).await;
    let store = Store::open(folder.path()).await.unwrap();
    let videos = by_name(&store).await;
    let shown = async |name: &str| store.shown_run(&videos[name].id).await.unwrap().unwrap();
    assert_eq!(shown("yard/gate.mp4").await.state, RunState::Done);
    // It was being counted anew: the complete run is shown.
    let pen = shown("yard/pen.mp4").await;
    assert_eq!((pen.state, pen.frames_done), (RunState::Done, 375));
    assert_eq!(videos["yard/pen.mp4"].published_run_id.as_ref(), Some(&pen.id));
    // Never complete: the newest, and the one before it is abandoned.
    let cut = shown("cut.mp4").await;
    assert_eq!((cut.state, cut.frames_done), (RunState::Running, 250));
    let states: Vec<_> =
        store.runs(&videos["cut.mp4"].id).await.unwrap().into_iter().map(|run| run.state).collect();
    assert_eq!(states, [RunState::Running, RunState::Abandoned]);
    assert_eq!(shown("failed.mp4").await.state, RunState::Failed);

    let gate = shown("yard/gate.mp4").await;
    let before = store.crossings(&gate.id).await.unwrap();
    let ids: BTreeSet<_> = before.iter().map(|crossing| crossing.id.clone()).collect();
    assert!(before.len() > 1 && ids.len() == before.len() && ids.iter().all(|id| id.len() == 26));
    // What is left to count is counted at the start, and changes no crossing that there was.
    assert_eq!(store.runs_behind_on_lines(None).await.unwrap(), std::slice::from_ref(&gate.id));
    let progress = store.line_progress(&gate.id).await.unwrap();
    assert!(
        progress.values().all(|progress| !progress.is_up_to_date && progress.counted_to_secs == 9.96),
        "{progress:?}"
    );
    store.fold_lines(&gate.id).await.unwrap();
    assert!(store.runs_behind_on_lines(None).await.unwrap().is_empty());
    let after = store.crossings(&gate.id).await.unwrap();
    assert!(after.len() > before.len());
    assert!(before.iter().all(|crossing| after.contains(crossing)));
    assert_eq!(store.crossing(&before[0].id).await.unwrap(), before[0]);
}
