//! Counts one camera: a run that goes on for as long as the camera does.

use crate::accuracy::input_width;
use crate::analysis::camera_source::CameraSource;
use crate::analysis::frame_source::{FrameSource as _, Next};
use crate::analysis::pipeline::{Analysis, Error};
use crate::analysis::settings::RunSettings;
use crate::background::detector_slot::no_detector;
use crate::background::job_context::JobContext;
use crate::reason::Reasoned as _;
use crate::status::LiveDetections;
use pigweight_detect::service::Inference;
use pigweight_live::{Camera, CameraState};
use pigweight_media::overlay::OverlayBox;
use pigweight_media::{DecodedFrame, jpeg};
use pigweight_store::{CameraRecord, Reason, RunRecord};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// After a failure that isn't the camera's.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// A picture is kept at least this often, so that there is one after the camera has gone.
const PICTURE_INTERVAL: Duration = Duration::from_secs(5);
const JPEG_QUALITY: u8 = 80;
/// Pictures between inferences show the boxes before them, if they are not older.
const BOXES_HOLD_SECS: f64 = 0.3;
/// When the camera's animals are measured, inferences of a run: after a minute or so. An older run keeps its input, because another one would begin a
/// new run, and what the old one counted would not be shown any more.
const MEASURED_AT_INFERENCES: Range<i64> = 200..2000;
/// Of the run's first chunks.
const MEASURED_CHUNKS: u32 = 50;
/// No camera has more.
const MOST_SIDE_PX: u32 = 16_384;

/// A picture of a camera.
#[derive(Clone)]
pub struct CameraPicture {
    /// JPEG.
    pub jpeg: bytes::Bytes,
    /// On the camera's timeline.
    pub pts: i64,
    /// Seconds since the camera was added.
    pub secs: f64,
}

/// The latest picture of a camera, encoded on request, once for all who want it.
pub struct LatestPicture {
    /// When the last whole frame came.
    seen: Mutex<Option<Instant>>,
    plain: Encoded,
    with_boxes: Encoded,
}

/// The latest picture in one form.
struct Encoded {
    is_wanted: AtomicBool,
    latest: watch::Sender<Option<(Instant, CameraPicture)>>,
}

impl Encoded {
    fn new() -> Self {
        Self { is_wanted: AtomicBool::new(false), latest: watch::Sender::new(None) }
    }

    fn encode(&self, frame: &DecodedFrame, boxes: &[OverlayBox], scale: f32) {
        match jpeg::encode(frame.picture.view(), JPEG_QUALITY, boxes, scale) {
            Ok(bytes) => {
                let picture = CameraPicture { jpeg: bytes.into(), pts: frame.pts.0, secs: frame.secs };
                self.latest.send_replace(Some((Instant::now(), picture)));
            }
            Err(error) => tracing::warn!("{error}"),
        }
    }

    async fn next(&self, patience: Duration) -> Option<CameraPicture> {
        let mut changes = self.latest.subscribe();
        changes.borrow_and_update();
        self.is_wanted.store(true, Ordering::SeqCst);
        // Without a change the one before it is the latest.
        let _changed = tokio::time::timeout(patience, changes.changed()).await;
        changes.borrow().as_ref().map(|(_, picture)| picture.clone())
    }
}

impl LatestPicture {
    fn new() -> Self {
        Self { seen: Mutex::default(), plain: Encoded::new(), with_boxes: Encoded::new() }
    }

    /// How long there has been no whole frame; `None`: there has been none at all.
    pub fn age(&self) -> Option<Duration> {
        // Only ever replaced as a whole.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).map(|seen| seen.elapsed())
    }

    /// `found`: what was found last, px of the camera's picture, which is this wide.
    fn see(
        &self,
        frame: &DecodedFrame,
        found: &watch::Receiver<Option<Arc<LiveDetections>>>,
        camera_width_px: u32,
    ) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let latest = |encoded: &Encoded| encoded.latest.borrow().as_ref().map(|(made, _)| made.elapsed());
        let is_due = latest(&self.plain).is_none_or(|age| age >= PICTURE_INTERVAL);
        if self.plain.is_wanted.swap(false, Ordering::SeqCst) || is_due {
            self.plain.encode(frame, &[], 1.0);
        }
        if self.with_boxes.is_wanted.swap(false, Ordering::SeqCst) {
            let found = found.borrow().clone();
            let is_near =
                |found: &Arc<LiveDetections>| (0.0..=BOXES_HOLD_SECS).contains(&(frame.secs - found.secs));
            let found = found.filter(is_near);
            let detections = found.iter().flat_map(|found| &found.detections);
            let boxes: Vec<_> =
                detections.map(|found| OverlayBox { rect: found.rect, is_measured: true }).collect();
            // A smaller stream may be counted in place of the large one, whose px the boxes are in.
            let scale = frame.picture.view().width as f32 / camera_width_px.max(1) as f32;
            self.with_boxes.encode(frame, &boxes, scale);
        }
    }

    /// The next picture, or the latest if none comes within `patience`; `None`: there has been none.
    pub async fn next(&self, patience: Duration) -> Option<CameraPicture> {
        self.plain.next(patience).await
    }

    /// The same with the boxes that were found last.
    pub async fn next_with_boxes(&self, patience: Duration) -> Option<CameraPicture> {
        self.with_boxes.next(patience).await
    }
}

/// The counting of one camera.
pub struct CameraCounting {
    context: Arc<JobContext>,
    /// What people see: boxes and lines are in px of its picture.
    camera: Arc<Camera>,
    /// What is counted: the same, or a smaller stream of it.
    counted: Arc<Camera>,
    record: CameraRecord,
    /// Its latest picture.
    pub picture: Arc<LatestPicture>,
    /// Ends the current analysis: the camera was ended, or other settings hold.
    stop: AtomicBool,
    is_ended: Mutex<bool>,
    ended: Condvar,
    trouble: Mutex<Option<Reason>>,
}

impl CameraCounting {
    /// Counts nothing yet.
    pub fn new(
        context: Arc<JobContext>,
        camera: Arc<Camera>,
        counting_camera: Option<Arc<Camera>>,
        record: CameraRecord,
    ) -> Self {
        Self {
            context,
            counted: counting_camera.unwrap_or_else(|| camera.clone()),
            camera,
            record,
            picture: Arc::new(LatestPicture::new()),
            stop: AtomicBool::new(false),
            is_ended: Mutex::new(false),
            ended: Condvar::new(),
            trouble: Mutex::default(),
        }
    }

    fn is_ended(&self) -> MutexGuard<'_, bool> {
        // A flag is whole at any time.
        self.is_ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the camera isn't counted.
    pub fn trouble(&self) -> Option<Reason> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_trouble(&self, trouble: Option<Reason>) {
        let mut known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(trouble) = trouble.as_ref().filter(|trouble| known.as_ref() != Some(trouble)) {
            tracing::warn!(camera = self.record.name, "{trouble}");
        }
        *known = trouble;
    }

    /// Ends the counting at the next frame.
    pub fn end(&self) {
        *self.is_ended() = true;
        self.stop.store(true, Ordering::SeqCst);
        self.ended.notify_all();
    }

    /// Waits, unless it is ended.
    fn pause(&self) {
        let guard = self.is_ended();
        // Woken early by the end alone.
        let _ended = self.ended.wait_timeout_while(guard, RETRY_INTERVAL, |is_ended| !*is_ended);
    }

    /// Counts until it is ended. Blocks.
    pub fn run(&self, runtime: &Handle) {
        while !*self.is_ended() {
            let Some(size) = self.wait_for_size(runtime) else { return };
            let started = Instant::now();
            match self.count(runtime, size) {
                Ok(()) => {
                    self.set_trouble(None);
                    // A camera that changes its size with every picture must not keep the machine busy.
                    if started.elapsed() < RETRY_INTERVAL {
                        self.pause();
                    }
                }
                Err(reason) => {
                    self.set_trouble(Some(reason));
                    self.show(runtime, size);
                }
            }
        }
    }

    /// The size of the pictures, px, when the camera is live. `None`: it was ended.
    fn wait_for_size(&self, runtime: &Handle) -> Option<(u32, u32)> {
        let has_size = |state: &CameraState| match state {
            CameraState::Live(format) => format.size.is_some_and(|(width, height)| {
                (1..=MOST_SIDE_PX).contains(&width) && (1..=MOST_SIDE_PX).contains(&height)
            }),
            _ => false,
        };
        let is_over = |state: &CameraState| matches!(state, CameraState::Stopped);
        let found = runtime.block_on(self.camera.wait_for(|state| has_size(state) || is_over(state)))?;
        match found.state {
            CameraState::Live(format) => format.size,
            _ => None,
        }
    }

    fn source(&self, size: (u32, u32)) -> CameraSource {
        let workers = self.context.open_videos.workers();
        let name = format!("camera {}", self.record.name);
        CameraSource::new(self.counted.subscribe(), workers, name, self.record.created_at, Some(size))
    }

    /// Counts until the camera's picture or the settings change, or something is wrong.
    fn count(&self, runtime: &Handle, size: (u32, u32)) -> Result<(), Reason> {
        let Self { context, record, .. } = self;
        let store = &context.store;
        let unwritten = |error: pigweight_store::Error| error.reason();
        runtime.block_on(store.set_camera_size(&record.video_id, size)).map_err(unwritten)?;
        let video = runtime.block_on(store.video(&record.video_id)).map_err(unwritten)?;
        let plan = context.plan(&video).map_err(|_| no_detector())?;
        let settings = plan.settings(&video).map_err(|error| error.reason())?;
        self.stop.store(*self.is_ended(), Ordering::SeqCst);
        let show = |detections| context.status.report_live(&record.video_id, detections);
        let analysis = Analysis {
            video_id: &record.video_id,
            inference: &plan.inference,
            settings: &settings,
            is_last_try: false,
            show: Some(&show),
            box_size: (!Arc::ptr_eq(&self.camera, &self.counted)).then_some(size),
        };
        let found = context.status.watch_live(&record.video_id);
        let observe = &mut |frame: &DecodedFrame| self.picture.see(frame, &found, size.0);
        let mut is_measured = video.input_width_px.is_some()
            || video.is_measured_with(&plan.inference.model().info().hash)
            || !input_width::is_chosen(&plan.config, plan.inference.model());
        let ended =
            analysis.run(&mut self.source(size), store, runtime, &self.stop, observe, &mut |progress| {
                if !is_measured && MEASURED_AT_INFERENCES.contains(&progress.run.frames_inferred) {
                    is_measured = true;
                    self.measure(runtime, &plan.inference, &progress.run, size);
                }
                context.status.report_progress(&record.video_id, progress.clone());
                context.status.clear_trouble();
                self.set_trouble(None);
                if !self.holds(runtime, &settings) || self.has_other_size(size) {
                    self.stop.store(true, Ordering::SeqCst);
                }
            });
        context.status.end(&record.video_id);
        match ended {
            // The picture has another size, the settings have changed, or it was ended.
            Err(Error::Stopped | Error::SourceAway(_)) => Ok(()),
            Err(Error::Store(error)) => {
                context.status.report_trouble(&error.reason());
                Err(error.reason())
            }
            Err(error @ (Error::Frames(_) | Error::DetectorGone(_) | Error::Interrupted(_))) => {
                Err(error.reason())
            }
            // A run of a camera has no end.
            Ok(_) => Err(Reason::new(
                "camera_run_ended",
                "the count of the camera ended by itself; it begins anew",
            )),
        }
    }

    /// Chooses the input width for the animals that the camera shows. Another one than now begins another run.
    fn measure(&self, runtime: &Handle, inference: &Inference, run: &RunRecord, size: (u32, u32)) {
        let store = &self.context.store;
        let detections = store.detections(&run.id, 0.0, run.counted_to_secs, MEASURED_CHUNKS);
        let measured = runtime.block_on(detections).map_err(anyhow::Error::from).and_then(|(frames, _)| {
            input_width::measure_camera((store, runtime), inference, &self.record.id, size, &frames)
        });
        if let Err(error) = measured {
            tracing::debug!("{}: its animals are not measured: {error}", self.record.name);
        }
    }

    /// Whether the picture that boxes are in px of is another now.
    fn has_other_size(&self, size: (u32, u32)) -> bool {
        matches!(self.camera.history().now().state, CameraState::Live(format) if format.size.is_some_and(|now| now != size))
    }

    /// Whether a run with these settings is still wanted.
    fn holds(&self, runtime: &Handle, settings: &RunSettings) -> bool {
        let Ok(video) = runtime.block_on(self.context.store.video(&self.record.video_id)) else {
            return true;
        };
        let Ok(plan) = self.context.plan(&video) else { return true };
        // An error while reading may be gone at the next step.
        plan.settings(&video).map_or(true, |now| now == *settings)
    }

    /// Shows the camera without counting it, until there is a detector.
    fn show(&self, runtime: &Handle, size: (u32, u32)) {
        if self.trouble().is_none_or(|trouble| trouble.code != no_detector().code) {
            self.pause();
            return;
        }
        let mut source = self.source(size);
        // Nothing is found meanwhile.
        let found = self.context.status.watch_live(&self.record.video_id);
        let mut looked = Instant::now();
        while !*self.is_ended() {
            if looked.elapsed() >= RETRY_INTERVAL {
                looked = Instant::now();
                let video = runtime.block_on(self.context.store.video(&self.record.video_id));
                if video.is_ok_and(|video| self.context.plan(&video).is_ok()) {
                    return;
                }
            }
            match source.next() {
                Ok(Next::Frame(frame)) => self.picture.see(&frame, &found, size.0),
                Ok(Next::Gap) => {}
                Ok(Next::Away(_) | Next::End { .. }) | Err(_) => return,
            }
        }
    }
}
