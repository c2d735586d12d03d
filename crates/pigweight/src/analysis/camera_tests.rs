//! Tests of the interface for cameras: a source that drops frames, has gaps, goes away, comes back and never ends.
//!
//! There is no camera yet. These tests must hold for each one to come.

use crate::analysis::frame_source::{FrameSource, Next, Pressure};
use crate::analysis::frames::{FrameInference, StartPosition};
use crate::analysis::pipeline::{Analysis, Error};
use crate::analysis::settings::RunSettings;
use crossbeam_channel::bounded;
use pigweight_core::detection::Detection;
use pigweight_core::inference_schedule::Schedule;
use pigweight_core::time::{Pts, Timeline};
use pigweight_core::track::{TrackId, TrackerSettings};
use pigweight_detect::service::Inference;
use pigweight_detect::{Model, ModelSettings, ModelSource};
use pigweight_media::{DecodedFrame, FrameReader, Video, VideoWriter, VideoWriterSettings};
use pigweight_store::{FileIdentity, FileStat, NewSource, RunState, Store};
use pigweight_testkit::scene::{Scene, SceneSettings};
use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const FRAMES_PER_SEC: u32 = 15;
/// Of the film that the camera repeats.
const FILM_FRAMES: u32 = 30;

/// What the camera does next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// This many frames.
    Frames(u32),
    /// This many frames are lost.
    Gap(u32),
    /// The connection breaks.
    Away,
}

/// Shows a rendered pen; after its last step it continues for ever.
struct SimulatedCamera {
    film: Video,
    reader: Option<FrameReader>,
    steps: VecDeque<Step>,
    /// The next frame's number since the camera was switched on: it counts on while disconnected.
    clock: i64,
    delivered: Arc<AtomicU64>,
    /// Why it doesn't open.
    opening_error: Option<pigweight_media::Error>,
    /// Called when all steps are done.
    at_end: Box<dyn FnMut() + Send>,
}

impl SimulatedCamera {
    fn new(film: &Video, clock: i64, steps: &[Step]) -> Self {
        Self {
            film: film.clone(),
            reader: None,
            steps: steps.iter().copied().collect(),
            clock,
            delivered: Arc::default(),
            opening_error: None,
            at_end: Box::new(|| {}),
        }
    }

    fn frame(&mut self) -> DecodedFrame {
        loop {
            let reader = self.reader.get_or_insert_with(|| FrameReader::open(&self.film).expect("the film"));
            match reader.next_frame().expect("the film") {
                Some(frame) => {
                    let pts = Pts(self.clock);
                    self.clock += 1;
                    self.delivered.fetch_add(1, Ordering::SeqCst);
                    return DecodedFrame { pts, secs: self.timeline().secs(pts), ..frame };
                }
                None => self.reader = None,
            }
        }
    }
}

impl FrameSource for SimulatedCamera {
    fn timeline(&self) -> Timeline {
        let time_base = pigweight_core::time::TimeBase::new(1, FRAMES_PER_SEC).expect("a time base");
        Timeline { time_base, first_pts: Pts(0), started_at: Some(1_800_000_000) }
    }

    fn pressure(&self) -> Pressure {
        Pressure::KeepNewest
    }

    fn picture_bytes(&self) -> u64 {
        u64::from(self.film.info().width) * u64::from(self.film.info().height) * 3 / 2
    }

    fn start_after(&mut self, _pts: Option<Pts>) -> Result<(), pigweight_media::Error> {
        self.opening_error.take().map_or(Ok(()), Err)
    }

    fn next(&mut self) -> Result<Next, pigweight_media::Error> {
        match self.steps.pop_front() {
            Some(Step::Frames(0)) => self.next(),
            Some(Step::Frames(left)) => {
                self.steps.push_front(Step::Frames(left - 1));
                Ok(Next::Frame(self.frame()))
            }
            Some(Step::Gap(lost)) => {
                self.clock += i64::from(lost);
                Ok(Next::Gap)
            }
            Some(Step::Away) => {
                let path = self.film.path().to_owned();
                Ok(Next::Away(pigweight_media::Error::Unreadable { path, reason: "no route to host".into() }))
            }
            None => {
                (self.at_end)();
                Ok(Next::Frame(self.frame()))
            }
        }
    }
}

fn film(folder: &Path) -> Video {
    let path = folder.join("film.mp4");
    let settings =
        SceneSettings { width: 320, height: 180, pigs: 4, marked: true, ..SceneSettings::default() };
    let mut scene = Scene::pen(3, settings);
    let mut writer = VideoWriter::create(
        &path,
        VideoWriterSettings {
            width: 320,
            height: 180,
            frames_per_sec: FRAMES_PER_SEC,
            keyframe_interval: FRAMES_PER_SEC,
            bit_rate: 800_000,
        },
    )
    .expect("a writer");
    for frame in 0..FILM_FRAMES {
        scene.advance_to(f64::from(frame) / f64::from(FRAMES_PER_SEC));
        writer.write_rgb(&scene.draw()).expect("it is written");
    }
    writer.finish().expect("it is whole");
    Video::open(&path).expect("it opens")
}

fn inference() -> Inference {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::env::set_current_dir(&root).expect("the checkout");
    let source = ModelSource::File("fixtures/models/drawn-pigs.onnx".into());
    let model =
        Model::load(ModelSettings { min_score: 0.05, ..ModelSettings::new(source) }).expect("it loads");
    Inference::start(model, 1, None).expect("threads")
}

fn settings() -> RunSettings {
    RunSettings {
        schedule: Schedule::EveryFrame,
        tracker: TrackerSettings::for_min_score(0.3),
        input_width: None,
        has_repaired_times: false,
    }
}

/// A store with a registered recording.
struct StoredCamera {
    runtime: tokio::runtime::Runtime,
    store: Store,
    video_id: String,
}

impl StoredCamera {
    fn open(folder: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let store = runtime.block_on(Store::open(&folder.join("data"))).expect("a store");
        let file = FileIdentity {
            path: "/camera".to_owned(),
            stat: FileStat { size_bytes: 1, modified_nanos: 1, changed_nanos: None, inode: None },
            head_hash: "camera".to_owned(),
            samples_hash: None,
        };
        let video_id =
            runtime.block_on(store.add_video(&file, "camera", &NewSource::Upload)).expect("registered").id;
        Self { runtime, store, video_id }
    }

    fn run(
        &self,
        inference: &Inference,
        camera: &mut SimulatedCamera,
        stop: &AtomicBool,
    ) -> Result<(), Error> {
        self.attempt(inference, camera, stop, false)
    }

    fn attempt(
        &self,
        inference: &Inference,
        camera: &mut SimulatedCamera,
        stop: &AtomicBool,
        is_last_try: bool,
    ) -> Result<(), Error> {
        let settings = settings();
        let analysis = Analysis {
            video_id: &self.video_id,
            inference,
            settings: &settings,
            is_last_try,
            show: None,
            box_size: None,
        };
        let handle = self.runtime.handle();
        analysis.run(camera, &self.store, handle, stop, &mut |_| {}, &mut |_| {}).map(drop)
    }

    /// Every stored frame, with the tracks on it.
    fn frames(&self) -> Vec<(i64, BTreeSet<TrackId>)> {
        let run = self.runtime.block_on(self.store.runs(&self.video_id)).expect("runs").remove(0);
        let chunks = (0..run.next_chunk).flat_map(|sequence| {
            self.runtime.block_on(self.store.chunk(&run.id, sequence)).expect("a chunk").unwrap_or_default()
        });
        chunks.map(|frame| (frame.pts.0, frame.boxes.iter().map(|tracked| tracked.track).collect())).collect()
    }
}

#[test]
fn a_busy_detector_never_blocks_a_camera_and_dropped_frames_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let film = film(folder.path());
    let inference = inference();
    // More frames than all queues hold together.
    const FRAMES: u32 = 900;
    let mut camera = SimulatedCamera::new(&film, 0, &[Step::Frames(FRAMES)]);
    let (delivered_all, all_delivered) = bounded(1);
    camera.at_end = Box::new(move || {
        // Sent once; later calls find the queue full or the receiver gone.
        let _told = delivered_all.try_send(());
    });
    let frames = FrameInference {
        input_width: None,
        inference: &inference,
        schedule: Schedule::EveryFrame,
        line_proximity: None,
    };
    let (release, wait) = bounded::<()>(1);
    let is_held = AtomicBool::new(true);
    // The only session blocks at its first picture until the camera has shown everything.
    let examine = move |_: &_, found: Vec<Detection>| {
        if is_held.swap(false, Ordering::SeqCst) {
            let _released = wait.recv();
        }
        found.len()
    };
    let follow = |mut frames: crate::analysis::frames::InferredFrames<usize>| {
        all_delivered.recv().expect("the camera shows everything while nothing is taken");
        drop(release);
        let received: Vec<_> = frames
            .by_ref()
            .map(|frame| frame.expect("a frame"))
            .take_while(|frame| frame.pts.0 < i64::from(FRAMES) - 1)
            .map(|frame| (frame.pts, frame.inferred.is_some()))
            .take(400)
            .collect();
        (received, frames.passed_over())
    };
    let start = StartPosition::default();
    let (received, passed_over) =
        frames.run(&mut camera, start, &mut |_| {}, examine, follow).expect("the camera is there");
    assert!(received.windows(2).all(|pair| pair[0].0 < pair[1].0), "frames stay in order");
    let inferred = received.iter().filter(|(_, is_inferred)| *is_inferred).count();
    assert!((1..=2).contains(&inferred), "the first, and perhaps the newest: {inferred}");
    // Frames that the queue to tracking could not hold, and inferences that newer ones replaced.
    assert!(passed_over >= u64::from(FRAMES) - 512, "{passed_over}");
}

#[test]
fn animals_are_not_followed_across_a_gap() {
    let folder = tempfile::tempdir().expect("a folder");
    let film = film(folder.path());
    let (inference, kept) = (inference(), StoredCamera::open(folder.path()));
    // After a gap, as at the start, frames wait for a second: what is stored is beyond it.
    let steps = [Step::Frames(20), Step::Gap(45), Step::Frames(90), Step::Away];
    let mut camera = SimulatedCamera::new(&film, 0, &steps);
    let ended = kept.run(&inference, &mut camera, &AtomicBool::new(false));
    assert!(matches!(ended, Err(Error::SourceAway(_))));
    let stored = kept.frames();
    let tracks = |range: std::ops::Range<i64>| -> BTreeSet<TrackId> {
        let within = stored.iter().filter(|(pts, _)| range.contains(pts));
        within.flat_map(|(_, tracks)| tracks.iter().copied()).collect()
    };
    let (before, after) = (tracks(0..20), tracks(65..155));
    assert!(!before.is_empty() && !after.is_empty(), "{stored:?}");
    assert!(before.is_disjoint(&after), "{before:?} {after:?}");
    assert!(
        stored.iter().all(|(_, tracks)| !tracks.is_empty()),
        "before the first inference nothing is known: that is no count of 0: {stored:?}"
    );
    assert!(
        stored.iter().any(|(pts, _)| (0..20).contains(pts)),
        "what is known before the gap is settled by it"
    );
    assert!(stored.iter().all(|(pts, _)| !(20..65).contains(pts)), "nothing is made up for the gap");
}

#[test]
fn a_reconnected_camera_continues_the_same_run_and_stops_on_request() {
    let folder = tempfile::tempdir().expect("a folder");
    let film = film(folder.path());
    let (inference, kept) = (inference(), StoredCamera::open(folder.path()));
    let mut camera = SimulatedCamera::new(&film, 0, &[Step::Frames(30), Step::Away]);
    let ended = kept.run(&inference, &mut camera, &AtomicBool::new(false));
    assert!(matches!(ended, Err(Error::SourceAway(_))));
    // It continued showing its pen meanwhile.
    let mut camera = SimulatedCamera::new(&film, 100, &[Step::Gap(0), Step::Frames(90)]);
    let stop = Arc::new(AtomicBool::new(false));
    let stop_at_end = stop.clone();
    camera.at_end = Box::new(move || stop_at_end.store(true, Ordering::SeqCst));
    let ended = kept.run(&inference, &mut camera, &stop);
    assert!(matches!(ended, Err(Error::Stopped)));
    let runs = kept.runtime.block_on(kept.store.runs(&kept.video_id)).expect("runs");
    assert_eq!((runs.len(), runs[0].state), (1, RunState::Running), "a camera's run is never done by itself");
    let pts: Vec<i64> = kept.frames().into_iter().map(|(pts, _)| pts).collect();
    assert!(pts.windows(2).all(|pair| pair[0] < pair[1]), "none is lost or stored twice: {pts:?}");
    assert!(pts.iter().any(|&pts| pts < 30) && pts.iter().any(|&pts| pts >= 100), "{pts:?}");
}

#[test]
fn a_source_whose_worker_ends_while_it_opens_is_tried_again_like_one_whose_worker_ends_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let film = film(folder.path());
    let (inference, kept) = (inference(), StoredCamera::open(folder.path()));
    let stop = AtomicBool::new(false);
    let ended =
        || pigweight_media::Error::WorkerEnded { path: film.path().to_owned(), reason: "signal 9".into() };
    let none = || pigweight_media::Error::NoWorker { reason: "too many open files".into() };
    let attempt = |error: pigweight_media::Error, is_last_try| {
        let mut camera = SimulatedCamera::new(&film, 0, &[]);
        camera.opening_error = Some(error);
        kept.attempt(&inference, &mut camera, &stop, is_last_try)
    };
    let state = || {
        let runs = kept.runtime.block_on(kept.store.runs(&kept.video_id)).expect("runs");
        (runs.len(), runs[0].state)
    };
    assert!(matches!(attempt(ended(), false), Err(Error::Interrupted(_))));
    assert_eq!(state(), (1, RunState::Running));
    // What is counted until then is gone on with.
    let mut camera = SimulatedCamera::new(&film, 0, &[Step::Frames(30), Step::Away]);
    assert!(matches!(kept.run(&inference, &mut camera, &stop), Err(Error::SourceAway(_))));
    let counted = kept.frames().len();
    assert!(counted > 0);
    assert!(matches!(attempt(ended(), false), Err(Error::Interrupted(_))));
    assert_eq!((state(), kept.frames().len()), ((1, RunState::Running), counted));
    // That no process can be started is no fault of the file, however often it happens.
    assert!(matches!(attempt(none(), true), Err(Error::Interrupted(_))));
    assert_eq!(state(), (1, RunState::Running));
    assert!(matches!(attempt(ended(), true), Err(Error::Frames(_))));
    assert_eq!(state(), (1, RunState::Failed));
}
