//! Runs a source through the detector: one thread decodes, the sessions of the inference service detect, and results come out in
//! frame order.
//!
//! Queues between them are bounded. A file waits for the slowest step, so no frame is skipped. A camera is never held
//! back, and frames that could not be taken are counted ([`Pressure`]). The decoding thread decides which frames are
//! inferred (`core::inference_schedule`); tracking reports back through [`LineProximity`].

use crate::analysis::frame_source::{FrameSource, Next, Pressure};
use crate::analysis::line_proximity::LineProximity;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use pigweight_core::detection::Detection;
use pigweight_core::inference_schedule::{
    FrameTime, InferenceReason, Position, Schedule, ScheduledFrame, Scheduler,
};
use pigweight_core::motion::SmallLuma;
use pigweight_core::time::Pts;
use pigweight_detect::Device;
use pigweight_detect::service::{Client, Completed, Inference, Urgency};
use pigweight_media::{DecodedFrame, Picture};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Memory for pictures kept for the schedule's lookback.
const LOOKBACK_BYTES: u64 = 64 << 20;
/// Memory for pictures that wait for the detector.
const INFERENCE_QUEUE_BYTES: u64 = 64 << 20;
/// Frames, without pictures, between decoding and tracking: enough for every session to have work at one inference a second.
const FRAME_QUEUE_DEPTH: usize = 512;
/// As many frames as half a second holds at the highest inference rate, and one to spare.
const LOOKBACK_FRAMES: u64 = 6;
/// Pictures of a camera that wait for the detector: the newest.
const CAMERA_QUEUE_DEPTH: usize = 1;

/// Why frames end before the source does.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source could not be read further.
    #[error("{0}")]
    Media(#[from] pigweight_media::Error),
    /// The source is away; analysis continues from here when it is back.
    #[error("the file is not there any more: {0}")]
    Away(pigweight_media::Error),
    /// The model could not be run.
    #[error("{0}")]
    Detect(#[from] pigweight_detect::Error),
    /// The detections that an earlier run stored could not be read.
    #[error("{0}")]
    StoredDetections(pigweight_store::Error),
    /// All inference threads have ended.
    #[error("the detector's threads have ended; start the program again, and report what its log says")]
    NoDetector,
}

/// How frames are inferred.
pub struct FrameInference<'a> {
    /// The detector.
    pub inference: &'a Inference,
    /// Width of its input, px; `None`: the model's own.
    pub input_width: Option<u32>,
    /// Which frames are inferred.
    pub schedule: Schedule,
    /// Reports whether animals are near a line; `None`: there are no lines.
    pub line_proximity: Option<&'a LineProximity>,
}

/// Where to start: behind what is already done.
#[derive(Default)]
pub struct StartPosition {
    /// The last decoded frame.
    pub after_pts: Option<Pts>,
    /// The schedule's state after it.
    pub position: Position,
}

/// A frame after its inference, without its picture.
pub struct InferredFrame<T> {
    /// The frame's pts.
    pub pts: Pts,
    /// Since the source's second 0.
    pub secs: f64,
    /// The decoder guessed parts of it.
    pub is_damaged: bool,
    /// Frames are missing before it: animals aren't tracked across the gap.
    pub follows_gap: bool,
    /// Why it was inferred, and the result of `examine`; `None` if it wasn't.
    pub inferred: Option<(InferenceReason, T)>,
    /// What ran the detector.
    pub device: Option<Device>,
    /// The schedule's state after it.
    pub position: Position,
}

/// A decoded frame; without its picture if it won't be inferred.
struct Decoded {
    pts: Pts,
    secs: f64,
    is_damaged: bool,
    follows_gap: bool,
    picture: Option<Picture>,
}

/// A frame on its way to tracking: without a picture, so that many may wait.
struct PendingFrame<T> {
    pts: Pts,
    secs: f64,
    is_damaged: bool,
    follows_gap: bool,
    /// Why it is inferred, and where the result arrives.
    inference: Option<(InferenceReason, Receiver<InferenceResult<T>>)>,
    position: Position,
}

/// The result for a picture, and what ran the detector.
type InferenceResult<T> = Result<(T, Option<Device>), Error>;

enum Pending<T> {
    Frame(PendingFrame<T>),
    End(f64),
    Failed(Error),
}

/// Receives every frame as it is decoded, on the decoding thread.
pub type Observer<'a> = &'a mut (dyn FnMut(&DecodedFrame) + Send);

impl FrameInference<'_> {
    /// Decodes `source`, infers the scheduled frames, and passes the result of `examine` for each picture and its
    /// detections to `follow`, in order. `observe` receives each decoded frame before the detector does. The work ends when `follow` returns.
    ///
    /// # Errors
    /// If the source doesn't open; later errors come out of the iterator.
    pub fn run<T: Send + 'static, R>(
        &self,
        source: &mut dyn FrameSource,
        start: StartPosition,
        observe: Observer<'_>,
        examine: impl Fn(&Picture, Vec<Detection>) -> T + Send + Sync + 'static,
        follow: impl FnOnce(InferredFrames<T>) -> R,
    ) -> Result<R, Error> {
        source.start_after(start.after_pts)?;
        let bytes = source.picture_bytes().max(1);
        let lookback = (LOOKBACK_BYTES / bytes).clamp(1, LOOKBACK_FRAMES) as usize;
        let pressure = source.pressure();
        let (urgency, depth) = match pressure {
            Pressure::Wait => (Urgency::Background, self.queue_depth(bytes)),
            Pressure::KeepNewest => (Urgency::Live, CAMERA_QUEUE_DEPTH),
        };
        let client = self.inference.client(urgency, depth).at_input_width(self.input_width);
        let client = &client;
        let line_proximity = self.line_proximity;
        let passed_over = Arc::new(AtomicU64::new(0));
        std::thread::scope(|scope| {
            let (to_tracking, frames) = bounded::<Pending<T>>(FRAME_QUEUE_DEPTH);
            let decoding = DecodingThread {
                pressure,
                scheduler: Scheduler::new(self.schedule, start.position, lookback),
                line_proximity,
                client,
                urgency,
                examine: Arc::new(examine),
                to_tracking,
                passed_over: passed_over.clone(),
            };
            scope.spawn(move || decoding.run(source, observe));
            // Frees the decoding thread, however `follow` ends; the thread ends when its channel closes.
            let _release = ReleaseOnDrop { line_proximity, client };
            Ok(follow(InferredFrames { frames, passed_over, end_secs: None }))
        })
    }

    /// Pictures of `bytes` each that may wait for the detector: as many as fit in one batch, within the memory limit.
    fn queue_depth(&self, bytes: u64) -> usize {
        let room = (INFERENCE_QUEUE_BYTES / bytes) as usize;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let least = 2 * self.inference.sessions().min(cores);
        self.inference.default_queue_depth().min(room.max(least))
    }
}

struct ReleaseOnDrop<'a> {
    line_proximity: Option<&'a LineProximity>,
    client: &'a Client,
}

impl Drop for ReleaseOnDrop<'_> {
    fn drop(&mut self) {
        self.client.cancel();
        if let Some(line_proximity) = self.line_proximity {
            line_proximity.end();
        }
    }
}

struct DecodingThread<'a, T, E> {
    pressure: Pressure,
    scheduler: Scheduler<Decoded>,
    line_proximity: Option<&'a LineProximity>,
    client: &'a Client,
    urgency: Urgency,
    examine: Arc<E>,
    to_tracking: Sender<Pending<T>>,
    passed_over: Arc<AtomicU64>,
}

impl<T: Send + 'static, E: Fn(&Picture, Vec<Detection>) -> T + Send + Sync + 'static>
    DecodingThread<'_, T, E>
{
    fn run(mut self, source: &mut dyn FrameSource, observe: Observer<'_>) {
        // One frame is held back, so that the time of the next frame, or the end, is known when each is scheduled.
        let mut held: Option<Decoded> = None;
        let mut follows_gap = false;
        loop {
            match source.next() {
                Ok(Next::Frame(frame)) => {
                    observe(&frame);
                    let DecodedFrame { pts, secs, is_damaged, picture } = frame;
                    let next = Decoded { pts, secs, is_damaged, follows_gap, picture: Some(picture) };
                    follows_gap = false;
                    if let Some(frame) = held.replace(next)
                        && !self.schedule(frame, Some(secs))
                    {
                        return;
                    }
                }
                Ok(Next::Gap) => {
                    if !self.settle(held.take()) {
                        return;
                    }
                    follows_gap = true;
                }
                // Not the end of the source: unscheduled frames are read again when it continues.
                Ok(Next::Away(error)) => return self.end(Pending::Failed(Error::Away(error))),
                Err(error) if error.is_of_worker() => return self.end(Pending::Failed(error.into())),
                Ok(Next::End { end_secs }) => {
                    if self.settle(held) {
                        self.end(Pending::End(end_secs));
                    }
                    return;
                }
                // Frames before it are complete.
                Err(error) => {
                    if self.settle(held) {
                        self.end(Pending::Failed(error.into()));
                    }
                    return;
                }
            }
        }
    }

    /// The last message; there is no receiver if tracking has stopped for its own reason.
    fn end(&self, last: Pending<T>) {
        let _stopped = self.to_tracking.send(last);
    }

    /// No more frames now: schedules the held frame and all that wait. `false` if the receiver is gone.
    fn settle(&mut self, held: Option<Decoded>) -> bool {
        if let Some(frame) = held
            && !self.schedule(frame, None)
        {
            return false;
        }
        let rest = self.scheduler.restart();
        self.send(rest)
    }

    /// `false` if the receiver is gone.
    fn schedule(&mut self, frame: Decoded, next_secs: Option<f64>) -> bool {
        let secs = frame.secs;
        let (line_proximity, pressure) = (self.line_proximity, self.pressure);
        let luma = |frame: &Decoded| {
            frame.picture.as_ref().map_or_else(SmallLuma::default, |picture| SmallLuma::of(&picture.view()))
        };
        let is_near_line = || {
            line_proximity.is_some_and(|line_proximity| match pressure {
                Pressure::Wait => line_proximity.was_near(secs),
                Pressure::KeepNewest => line_proximity.is_known_near(secs),
            })
        };
        let scheduled =
            self.scheduler
                .push(frame, FrameTime { secs, next_secs }, luma, is_near_line, |frame| frame.picture = None);
        self.send(scheduled)
    }

    fn send(&self, scheduled: Vec<ScheduledFrame<Decoded>>) -> bool {
        scheduled.into_iter().all(|scheduled| {
            let ScheduledFrame { item, reason, position } = scheduled;
            let Decoded { pts, secs, is_damaged, follows_gap, picture } = item;
            if self.pressure == Pressure::KeepNewest && self.to_tracking.is_full() {
                self.pass_over();
                return true;
            }
            let inference = match (reason, picture) {
                (Some(reason), Some(picture)) => {
                    if let Some(line_proximity) = self.line_proximity {
                        line_proximity.expect(secs);
                    }
                    Some((reason, self.infer(picture)))
                }
                _ => None,
            };
            let frame = PendingFrame { pts, secs, is_damaged, follows_gap, inference, position };
            match self.pressure {
                Pressure::Wait => self.to_tracking.send(Pending::Frame(frame)).is_ok(),
                // Only this thread sends, so a queue that wasn't full a moment ago has space.
                Pressure::KeepNewest => match self.to_tracking.try_send(Pending::Frame(frame)) {
                    Ok(()) => true,
                    Err(TrySendError::Full(_)) => {
                        self.pass_over();
                        true
                    }
                    Err(TrySendError::Disconnected(_)) => false,
                },
            }
        })
    }

    fn pass_over(&self) {
        self.passed_over.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("pigweight_frames_passed_over_total").increment(1);
    }

    /// If the detector has ended, nothing comes.
    fn infer(&self, picture: Picture) -> Receiver<InferenceResult<T>> {
        let (sender, result) = bounded(1);
        let examine = self.examine.clone();
        let urgency = self.urgency;
        let then = move |completed: Completed<Picture>| {
            let Completed { picture, found, device, at_once, waited, took } = completed;
            if device.is_some() {
                metrics::histogram!("pigweight_inference_seconds").record(took.as_secs_f64());
                metrics::histogram!("pigweight_inference_pictures").record(at_once as f64);
                metrics::histogram!("pigweight_inference_wait_seconds", "for" => urgency.name())
                    .record(waited.as_secs_f64());
            }
            // Tracking may have stopped.
            let _stopped =
                sender.send(found.map(|found| (examine(&picture, found), device)).map_err(Error::Detect));
        };
        match self.pressure {
            Pressure::Wait => self.client.submit(picture, then),
            Pressure::KeepNewest => self.client.offer(picture, then),
        };
        result
    }
}

/// Frames in order. Ends with the first error, after the frames before it.
pub struct InferredFrames<T> {
    frames: Receiver<Pending<T>>,
    passed_over: Arc<AtomicU64>,
    end_secs: Option<f64>,
}

impl<T> InferredFrames<T> {
    /// Frames, or inferences of frames, that a camera has lost so far because the analysis was slower.
    pub fn passed_over(&self) -> u64 {
        self.passed_over.load(Ordering::Relaxed)
    }

    /// End of the last frame; known when the source has ended.
    pub fn end_secs(&self) -> Option<f64> {
        self.end_secs
    }
}

impl<T> Iterator for InferredFrames<T> {
    type Item = Result<InferredFrame<T>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let frame = match self.frames.recv().ok()? {
            Pending::Frame(frame) => frame,
            Pending::Failed(error) => return Some(Err(error)),
            Pending::End(end_secs) => {
                self.end_secs = Some(end_secs);
                return None;
            }
        };
        let PendingFrame { pts, secs, is_damaged, follows_gap, inference, position } = frame;
        let (inferred, device) = match inference {
            None => (None, None),
            Some((reason, result)) => match result.recv().unwrap_or(Err(Error::NoDetector)) {
                Ok((examined, device)) => (Some((reason, examined)), device),
                Err(Error::Detect(pigweight_detect::Error::PassedOver)) => {
                    self.passed_over.fetch_add(1, Ordering::Relaxed);
                    metrics::counter!("pigweight_frames_passed_over_total").increment(1);
                    (None, None)
                }
                Err(error) => return Some(Err(error)),
            },
        };
        Some(Ok(InferredFrame { pts, secs, is_damaged, follows_gap, inferred, device, position }))
    }
}
