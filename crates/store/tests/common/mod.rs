//! A store with videos, and two animals that walk through them.
#![allow(dead_code, reason = "each test takes what it needs")]

use pigweight_core::geometry::Rect;
use pigweight_core::inference_schedule::InferenceReason;
use pigweight_core::interpolate::SettledFrame;
use pigweight_core::time::{Pts, TimeBase};
use pigweight_core::track::{Origin, TrackId, TrackedBox};
use pigweight_store::columns::Timeline;
use pigweight_store::{
    Checkpoint, FileIdentity, FileStat, LineGeometry, NewRun, NewSource, NewVideo, RunRecord, Store,
    VideoRecord,
};

const TICKS_PER_FRAME: i64 = 3600;
const CHUNK_FRAMES: usize = 13;

pub async fn opened() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    (folder, store)
}

pub fn file(name: &str) -> FileIdentity {
    FileIdentity {
        path: format!("/v/{name}.mp4"),
        stat: FileStat { size_bytes: 10, modified_nanos: 1, changed_nanos: Some(2), inode: Some(3) },
        head_hash: name.into(),
        samples_hash: Some(format!("samples of {name}")),
    }
}

pub fn folder_source(folder: &str) -> NewSource {
    NewSource::Folder { folder: folder.into(), name: folder.trim_start_matches('/').into() }
}

pub async fn described(store: &Store, name: &str, size_px: (u32, u32)) -> VideoRecord {
    described_in(store, name, size_px, &folder_source("/v")).await
}

pub async fn described_in(store: &Store, name: &str, size_px: (u32, u32), source: &NewSource) -> VideoRecord {
    let video = store.add_video(&file(name), name, source).await.unwrap();
    let known = NewVideo {
        width_px: Some(size_px.0),
        height_px: Some(size_px.1),
        frames: Some(100),
        duration_secs: Some(4.0),
        ..NewVideo::default()
    };
    store.describe_video(&video.id, &known).await.unwrap()
}

pub fn new_run(video_id: &str, settings: &str) -> NewRun {
    NewRun {
        video_id: video_id.into(),
        model_name: "m".into(),
        model_hash: "h".into(),
        device: "cpu".into(),
        settings: settings.into(),
        inference_settings: "every frame".into(),
        least_score: 0.05,
        rule_version: 1,
    }
}

/// An upright line on a picture of 800 × 400 px; to the right is forward.
pub fn geometry(x: f64) -> LineGeometry {
    LineGeometry {
        x1_px: x,
        y1_px: 100.0,
        x2_px: x,
        y2_px: 0.0,
        picture_width_px: Some(800),
        picture_height_px: Some(400),
    }
}

/// A part of a hundred frames in which two animals walk to the right, one of which turns back in the middle.
#[derive(Clone, Copy)]
pub struct Walk {
    pub from: i64,
    pub to: i64,
    pub scale: f32,
    pub is_last: bool,
}

impl Default for Walk {
    fn default() -> Self {
        Self { from: 0, to: 100, scale: 1.0, is_last: false }
    }
}

pub fn timeline() -> Timeline {
    Timeline { time_base: TimeBase::new(1, 90_000).unwrap(), first_pts: Pts(9000) }
}

fn frame(number: i64, scale: f32) -> SettledFrame {
    let pts = Pts(9000 + number * TICKS_PER_FRAME);
    let turned = if number < 50 { number } else { 100 - number };
    let animal = |track, place: i64, y: f32| TrackedBox {
        track: TrackId(track),
        rect: Rect::new(place as f32 * 8.0 * scale, y * scale, 60.0 * scale, 30.0 * scale),
        score: 0.8,
        class: 0,
        origin: Origin::Measured,
    };
    let boxes = vec![animal(1, number, 10.0), animal(2, turned, 60.0)];
    SettledFrame {
        pts,
        secs: timeline().secs(pts),
        reason: Some(InferenceReason::EveryFrame),
        boxes,
        unmatched: Vec::new(),
    }
}

pub async fn write_walk(store: &Store, run: &RunRecord, walk: Walk) {
    let frames: Vec<_> = (walk.from..walk.to).map(|number| frame(number, walk.scale)).collect();
    for (next_chunk, part) in (run.next_chunk..).zip(frames.chunks(CHUNK_FRAMES)) {
        let step = Checkpoint {
            frames: part,
            timeline: timeline(),
            damaged_frames: 0,
            uncertainty: None,
            state: vec![1, 2, 3],
            counted_to_secs: part.last().unwrap().secs,
            is_last: walk.is_last && part.last() == frames.last(),
        };
        store.write_checkpoint(&run.id, next_chunk, &step).await.unwrap();
    }
}

/// A complete run.
pub async fn counted(store: &Store, video_id: &str, settings: &str, walk: Walk) -> RunRecord {
    let run = store.start_run(&new_run(video_id, settings)).await.unwrap();
    write_walk(store, &run, Walk { is_last: true, ..walk }).await;
    store.run(&run.id).await.unwrap()
}
