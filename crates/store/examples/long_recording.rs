//! How fast a window of a long recording is read back. `long_recording FOLDER [HOURS]`, for `make bench`.
//!
//! Twenty animals that walk, stand and turn, 25 frames a second, every fourth of them inferred; ten hours by default, in
//! checkpoints of ten seconds as a run writes them. Prints one line of JSON.
#![allow(clippy::print_stdout, reason = "its result")]

use pigweight_core::geometry::Rect;
use pigweight_core::inference_schedule::InferenceReason;
use pigweight_core::interpolate::SettledFrame;
use pigweight_core::time::{Pts, TimeBase};
use pigweight_core::track::{Origin, TrackId, TrackedBox};
use pigweight_store::columns::Timeline;
use pigweight_store::{Checkpoint, FileIdentity, FileStat, NewRun, NewSource, RunRecord, Store};
use pigweight_testkit::random::Random;
use std::error::Error;
use std::f32::consts::TAU;
use std::path::Path;
use std::time::{Duration, Instant};

const ANIMALS: usize = 20;
const FRAMES_PER_SEC: u64 = 25;
const CHECKPOINT_SECS: u64 = 10;
const TICKS_PER_FRAME: i64 = 3600;
const ASKS: usize = 500;
const POINTS: u32 = 1000;
/// px.
const PICTURE: [f32; 2] = [1920.0, 1080.0];

#[derive(Clone, Copy)]
struct Animal {
    track: u32,
    center: [f32; 2],
    heading: f32,
    /// px a frame.
    speed: f32,
}

impl Animal {
    fn walk(&mut self, random: &mut Random, next_track: &mut u32) {
        if random.chance(1.0 / 250.0) {
            self.speed = if random.chance(0.3) { random.between(0.0, 5.0) } else { 0.0 };
        }
        // Hidden behind another one, and found again under another number.
        if random.chance(1.0 / 15_000.0) {
            self.track = *next_track;
            *next_track += 1;
        }
        self.heading += random.between(-0.1, 0.1);
        let step = [self.speed * self.heading.cos(), self.speed * self.heading.sin()];
        for ((place, step), end) in self.center.iter_mut().zip(step).zip(PICTURE) {
            *place = (*place + step).clamp(0.0, end);
        }
    }

    /// A detector's box is never quite still.
    fn seen(&self, is_measured: bool, random: &mut Random) -> TrackedBox {
        let [width, height] = [170.0 + random.between(-2.0, 2.0), 90.0 + random.between(-2.0, 2.0)];
        let [x, y] = self.center.map(|place| place + random.between(-1.0, 1.0));
        TrackedBox {
            track: TrackId(self.track),
            rect: Rect::new(
                (x - width / 2.0).round(),
                (y - height / 2.0).round(),
                width.round(),
                height.round(),
            ),
            score: random.between(0.8, 0.95),
            class: 0,
            origin: if is_measured { Origin::Measured } else { Origin::Interpolated },
        }
    }
}

struct Herd {
    animals: Vec<Animal>,
    random: Random,
    next_track: u32,
}

impl Herd {
    fn new() -> Self {
        let mut random = Random::new(1);
        let animals = (0..ANIMALS as u32).map(|track| Animal {
            track,
            center: PICTURE.map(|end| random.between(0.0, end)),
            heading: random.between(0.0, TAU),
            speed: 0.0,
        });
        Self { animals: animals.collect(), random, next_track: ANIMALS as u32 }
    }

    fn boxes(&mut self, is_inferred: bool) -> Vec<TrackedBox> {
        for animal in &mut self.animals {
            animal.walk(&mut self.random, &mut self.next_track);
        }
        self.animals.iter().map(|animal| animal.seen(is_inferred, &mut self.random)).collect()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("long_recording FOLDER [HOURS]")?;
    let hours: u64 = arguments.next().map_or(Ok(10), |hours| hours.parse())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(Path::new(&folder), hours * 3600))
}

async fn measure(folder: &Path, secs: u64) -> Result<(), Box<dyn Error>> {
    let store = Store::open(folder).await?;
    let started = Instant::now();
    let run = write(&store, secs).await?;
    let written = started.elapsed();
    let mut random = Random::new(2);
    let (mut windows, mut curves, mut boxes) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ASKS {
        let from = random.below(secs.saturating_sub(10) as usize) as f64;
        let started = Instant::now();
        let (frames, _) = store.detections(&run.id, from, from + 10.0, u32::MAX).await?;
        windows.push(started.elapsed());
        boxes += frames.iter().map(|frame| frame.boxes.len()).sum::<usize>();
        let [one, other] = [(); 2].map(|()| random.below(secs as usize) as f64);
        let started = Instant::now();
        let curve = store.counts(&run.id, one.min(other), one.max(other), POINTS).await?;
        curves.push(started.elapsed());
        if curve.points.len() > POINTS as usize + 1 {
            return Err(format!("{} points were asked for and {} came", POINTS, curve.points.len()).into());
        }
    }
    let all = secs * FRAMES_PER_SEC * ANIMALS as u64;
    let bytes = std::fs::metadata(folder.join("pigweight.sqlite"))?.len();
    let mean = boxes / ASKS;
    println!(
        "{{\"boxes\":{all},\"bytes_a_box\":{:.2},\"write_secs\":{:.0},\"boxes_a_window\":{mean},\"window_ms\":{},\"curve_ms\":{}}}",
        bytes as f64 / all as f64,
        written.as_secs_f64(),
        quantiles(windows),
        quantiles(curves)
    );
    store.close().await;
    Ok(())
}

async fn write(store: &Store, secs: u64) -> Result<RunRecord, Box<dyn Error>> {
    let file = FileIdentity {
        path: "/videos/long.mp4".into(),
        stat: FileStat { size_bytes: 1, modified_nanos: 1, changed_nanos: None, inode: None },
        head_hash: "0".into(),
        samples_hash: None,
    };
    let video = store.add_video(&file, "long.mp4", &NewSource::Upload).await?;
    let new_run = NewRun {
        video_id: video.id,
        model_name: "none".into(),
        model_hash: "none".into(),
        device: "none".into(),
        settings: "bench".into(),
        inference_settings: "bench".into(),
        least_score: 0.05,
        rule_version: 1,
    };
    let run = store.start_run(&new_run).await?;
    let time_base = TimeBase::new(1, 90_000).ok_or("a time base")?;
    let timeline = Timeline { time_base, first_pts: Pts(0) };
    let mut herd = Herd::new();
    for (number, start) in (0..secs).step_by(CHECKPOINT_SECS as usize).enumerate() {
        let frames: Vec<SettledFrame> = (0..CHECKPOINT_SECS * FRAMES_PER_SEC)
            .map(|frame| {
                let ordinal = (start * FRAMES_PER_SEC + frame) as i64;
                let pts = Pts(ordinal * TICKS_PER_FRAME);
                let reason = (ordinal % 4 == 0).then_some(InferenceReason::EveryFrame);
                let boxes = herd.boxes(reason.is_some());
                SettledFrame { pts, secs: timeline.secs(pts), reason, boxes, unmatched: Vec::new() }
            })
            .collect();
        let step = Checkpoint {
            counted_to_secs: (start + CHECKPOINT_SECS) as f64,
            is_last: start + CHECKPOINT_SECS >= secs,
            frames: &frames,
            timeline,
            damaged_frames: 0,
            uncertainty: None,
            state: Vec::new(),
        };
        store.write_checkpoint(&run.id, number as i64, &step).await?;
    }
    Ok(store.run(&run.id).await?)
}

fn quantiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let ms = |share: usize| 1e3 * times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64();
    format!("{{\"p50\":{:.2},\"p95\":{:.2}}}", ms(50), ms(95))
}
