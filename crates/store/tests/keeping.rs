//! Written data is read back; a step is written completely or not at all; lines are counted from stored tracks.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pigweight_core::detection::Detection;
use pigweight_core::geometry::Rect;
use pigweight_core::inference_schedule::InferenceReason;
use pigweight_core::interpolate::SettledFrame;
use pigweight_core::time::{Pts, TimeBase};
use pigweight_core::track::{Origin, TrackId, TrackedBox};
use pigweight_store::columns::{Timeline, decode, encode};
use pigweight_store::{
    Checkpoint, Error, FileIdentity, FileStat, NewRun, NewSource, RunRecord, RunState, Store,
};
use proptest::prelude::*;

const TICKS_PER_FRAME: i64 = 3600;

fn timeline() -> Timeline {
    Timeline { time_base: TimeBase::new(1, 90_000).unwrap(), first_pts: Pts(9000) }
}

fn frame(number: i64, boxes: Vec<TrackedBox>) -> SettledFrame {
    let pts = Pts(9000 + number * TICKS_PER_FRAME);
    SettledFrame {
        pts,
        secs: timeline().secs(pts),
        reason: Some(InferenceReason::EveryFrame),
        boxes,
        unmatched: Vec::new(),
    }
}

fn tracked(track: u32, x: f32, y: f32) -> TrackedBox {
    let rect = Rect::new(x, y, 60.0, 30.0);
    TrackedBox { track: TrackId(track), rect, score: 80.0 / 100.0, class: 0, origin: Origin::Measured }
}

fn file(path: &str) -> FileIdentity {
    FileIdentity {
        path: path.into(),
        stat: FileStat { size_bytes: 10, modified_nanos: 1, changed_nanos: None, inode: None },
        head_hash: "a".into(),
        samples_hash: None,
    }
}

async fn started(store: &Store) -> RunRecord {
    let video = store.add_video(&file("/v/pen.mp4"), "pen.mp4", &NewSource::Upload).await.unwrap();
    store.start_run(&new_run(&video.id)).await.unwrap()
}

fn new_run(video_id: &str) -> NewRun {
    NewRun {
        video_id: video_id.into(),
        model_name: "m".into(),
        model_hash: "h".into(),
        device: "cpu".into(),
        settings: "s".into(),
        inference_settings: "every frame".into(),
        least_score: 0.05,
        rule_version: 1,
    }
}

async fn write(store: &Store, run: &RunRecord, frames: &[SettledFrame], is_last: bool) -> Result<(), Error> {
    let step = Checkpoint {
        frames,
        timeline: timeline(),
        damaged_frames: 0,
        uncertainty: None,
        state: vec![1, 2, 3],
        counted_to_secs: frames.last().map_or(0.0, |frame| frame.secs),
        is_last,
    };
    store.write_checkpoint(&run.id, run.next_chunk, &step).await
}

#[tokio::test]
async fn a_run_is_found_again_and_its_steps_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let run = started(&store).await;
    let frames: Vec<_> = (0..50).map(|n| frame(n, vec![tracked(1, 10.0, 10.0); (n % 3) as usize])).collect();
    write(&store, &run, &frames[..20], false).await.unwrap();
    // The same writer again, with its old idea of what comes next: nothing is doubled.
    assert!(matches!(write(&store, &run, &frames[..20], false).await, Err(Error::Overtaken)));
    let run = store.run(&run.id).await.unwrap();
    write(&store, &run, &frames[20..], true).await.unwrap();
    store.close().await;

    let store = Store::open(folder.path()).await.unwrap();
    let run = store.start_run(&new_run(&run.video_id)).await.unwrap();
    assert_eq!((run.state, run.frames_done, run.count_max), (RunState::Done, 50, 2));
    let sum: usize = frames.iter().map(|frame| frame.boxes.len()).sum();
    assert_eq!(run.count_sum, sum as i64);
    assert_eq!(store.detections(&run.id, 0.0, 100.0, 100).await.unwrap(), (frames.clone(), true));
    let (first, are_all) = store.detections(&run.id, 0.0, 100.0, 1).await.unwrap();
    assert!(!are_all && !first.is_empty() && frames.starts_with(&first), "a part is told as a part");
    let (window, _) = store.detections(&run.id, 0.39, 0.81, 100).await.unwrap();
    assert_eq!(window, frames[10..=20]);
    assert_eq!(store.settled_at(&run.id, 0.45).await.unwrap().unwrap(), frames[11]);
    let fine = store.counts(&run.id, 0.0, 2.0, 10).await.unwrap();
    assert_eq!((fine.level_secs, fine.points.len()), (0.2, 10), "as many points as were asked for");
    let curve = store.counts(&run.id, 0.0, 2.0, 3).await.unwrap();
    assert_eq!(curve.level_secs, 1.0);
    assert_eq!(curve.points.len(), 2);
    assert_eq!((curve.points[0].min, curve.points[0].max), (0, 2));
    assert!(
        matches!(write(&store, &run, &frames, true).await, Err(Error::Overtaken)),
        "a finished run is closed"
    );
}

#[tokio::test]
async fn another_file_at_the_same_path_is_another_video() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let first = store.add_video(&file("/v/a.mp4"), "a.mp4", &NewSource::Upload).await.unwrap();
    let changed =
        FileIdentity { stat: FileStat { modified_nanos: 2, ..file("/v/a.mp4").stat }, ..file("/v/a.mp4") };
    assert!(store.video_of_file(&changed).await.unwrap().is_none());
    let second = store.add_video(&changed, "a.mp4", &NewSource::Upload).await.unwrap();
    let listed: Vec<_> = store.videos().await.unwrap().into_iter().map(|video| video.id).collect();
    assert_eq!(listed, [second.id]);
    assert!(store.video(&first.id).await.is_ok(), "the old one keeps its results");
}

#[tokio::test]
async fn concurrent_registrations_of_a_file_return_the_same_video() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    for round in 0..20 {
        let file = file(&format!("/v/{round}.mp4"));
        let (one, other, third) = tokio::join!(
            store.add_video(&file, "a", &NewSource::Upload),
            store.add_video(&file, "a", &NewSource::Upload),
            store.add_video(&file, "a", &NewSource::Upload)
        );
        let ids = [one, other, third].map(|video| video.unwrap().id);
        assert!(ids[0] == ids[1] && ids[1] == ids[2], "{ids:?}");
    }
}

#[tokio::test]
async fn one_process_owns_a_folder_and_an_unusable_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    assert!(matches!(Store::open(folder.path()).await, Err(Error::FolderInUse { .. })));
    drop(store);
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(Store::open(&file.join("below")).await, Err(Error::FolderUnusable { .. })));
}

/// 30 animals that shuffle about, seen with the jitter of a real detector (3 % of the width).
#[test]
fn a_box_takes_at_most_four_bytes() {
    let mut state = 1_u64;
    let mut noise = || {
        // The sum of four uniform numbers is close to normal.
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
        };
        (uniform() + uniform() + uniform() + uniform()) * 1.73
    };
    let mut places: Vec<(f32, f32)> =
        (0..30).map(|n| ((n % 6) as f32 * 100.0, (n / 6) as f32 * 70.0)).collect();
    let frames: Vec<SettledFrame> = (0..250)
        .map(|n| {
            let boxes = places.iter_mut().enumerate().map(|(track, place)| {
                place.0 += noise() * 0.5;
                place.1 += noise() * 0.5;
                let width = 60.0 * (1.0 + 0.03 * noise());
                let rect = Rect::new(place.0 + 1.8 * noise(), place.1 + 1.8 * noise(), width, 32.0 + noise());
                let found = Detection { rect, score: 0.8 + 0.05 * noise(), class: 0 }.on_grid();
                TrackedBox {
                    track: TrackId(track as u32 + 1),
                    rect: found.rect,
                    score: found.score,
                    class: 0,
                    origin: Origin::Measured,
                }
            });
            frame(n, boxes.collect())
        })
        .collect();
    let bytes = encode(&frames, timeline());
    let per_box = bytes.len() as f64 / (250.0 * 30.0);
    assert!(per_box <= 4.0, "{per_box:.2} bytes a box");
    assert_eq!(decode(&bytes).unwrap(), frames);
}

prop_compose! {
    fn any_frames()(rows in prop::collection::vec(
        (prop::option::of(prop::sample::select(&InferenceReason::ALL)), prop::collection::vec((1_u32..500, 0_i32..8000, 0_i32..8000, 0_u8..=100, any::<bool>()), 0..8), 0_usize..4), 0..20,
    )) -> Vec<SettledFrame> {
        rows.into_iter().enumerate().map(|(number, (reason, boxes, unmatched))| {
            let boxes: Vec<_> = boxes.into_iter().map(|(track, x, y, score, measured)| TrackedBox {
                track: TrackId(track),
                rect: Rect::new(x as f32, y as f32, 10.0, 7.0),
                score: f32::from(score) / 100.0,
                class: u16::from(score) % 3,
                origin: if measured { Origin::Measured } else { Origin::Interpolated },
            }).collect();
            let unmatched = (0..unmatched)
                .map(|n| Detection { rect: Rect::new(n as f32, 1.0, 2.0, 3.0), score: 20.0 / 100.0, class: 1 })
                .collect();
            SettledFrame { reason, unmatched, ..frame(number as i64, boxes) }
        }).collect()
    }
}

proptest! {
    #[test]
    fn columns_give_back_what_was_put_in(frames in any_frames()) {
        prop_assert_eq!(decode(&encode(&frames, timeline())), Some(frames));
    }

    #[test]
    fn damaged_columns_are_refused_and_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), frames in any_frames(), at in any::<prop::sample::Index>()) {
        let _whatever = decode(&bytes);
        bytes = encode(&frames, timeline());
        let place = at.index(bytes.len());
        bytes[place] ^= 0x55;
        let _whatever = decode(&bytes);
        bytes.truncate(place);
        prop_assert_eq!(decode(&bytes), None);
    }
}
