//! The pipeline: source → decode → detect → track → count → store → report.
//!
//! [`FrameInference`] decodes and detects on its own threads; the caller's thread tracks, and writes a checkpoint every
//! few seconds. An interrupted run continues behind its last checkpoint.

use crate::accuracy::input_width::usual_scale;
use crate::analysis::checkpoint::{CheckpointWriter, State, UncertaintyMeasure, devices_of};
use crate::analysis::frame_source::{FrameSource, Pressure};
use crate::analysis::frames::{self, FrameInference, InferredFrame, Observer, StartPosition};
use crate::analysis::line_proximity::{self, LineProximity};
use crate::analysis::retrack::StoredDetections;
use crate::analysis::settings::RunSettings;
use crate::describe::Chain;
use crate::reason::Reasoned;
use crate::status::{LiveDetections, Progress};
use pigweight_core::detection::Detection;
use pigweight_core::interpolate::InferredDetections;
use pigweight_core::line::Line;
use pigweight_core::time::Timeline;
use pigweight_detect::service::Inference;
use pigweight_media::Picture;
use pigweight_store::{Reason, RunRecord, RunState, Store, VideoLine};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Handle;

/// Why a run didn't complete.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source could not be read further, or the model not run: the run has failed.
    #[error(transparent)]
    Frames(#[from] frames::Error),
    /// A checkpoint could not be written; the run continues from the last one.
    #[error("{0}")]
    Store(#[from] pigweight_store::Error),
    /// It was stopped; it can continue from here later.
    #[error("stopped")]
    Stopped,
    /// The process that read the video is gone; the run can continue from here later.
    #[error("{0}")]
    Interrupted(pigweight_media::Error),
    /// The detector is gone; the run can continue from here later.
    #[error("{0}")]
    DetectorGone(pigweight_detect::Error),
    /// The source is away; the run continues from here when it is back.
    #[error("the file is not there any more: {0}")]
    SourceAway(pigweight_media::Error),
}

impl Reasoned for Error {
    fn reason(&self) -> Reason {
        let code = match self {
            Self::Frames(frames::Error::Media(error)) => error.code(),
            Self::Frames(frames::Error::Detect(error)) => error.code(),
            Self::Frames(frames::Error::StoredDetections(error)) => error.code(),
            Self::Frames(frames::Error::NoDetector) => "no_detector",
            Self::Frames(frames::Error::Away(_)) | Self::SourceAway(_) => "file_gone",
            Self::Store(error) => error.code(),
            Self::Stopped => "stopped",
            Self::Interrupted(error) => error.code(),
            Self::DetectorGone(error) => error.code(),
        };
        if let Self::Interrupted(error) | Self::Frames(frames::Error::Media(error)) = self {
            return error.reason();
        }
        Reason::new(code, Chain(self).to_string())
    }
}

/// One analysis of one recording.
pub struct Analysis<'a> {
    /// The recording's identifier in the store.
    pub video_id: &'a str,
    /// The detector.
    pub inference: &'a Inference,
    /// The settings.
    pub settings: &'a RunSettings,
    /// If the process that reads the video ends once more and nothing was written before, the run has failed.
    pub is_last_try: bool,
    /// Receives the detections of each inferred frame at once, for viewers of a camera.
    pub show: Option<&'a dyn Fn(LiveDetections)>,
    /// Width and height of the picture that boxes are in px of, if a smaller stream of it is analysed; `None`: that of the frames.
    pub box_size: Option<(u32, u32)>,
}

impl Analysis<'_> {
    /// Starts or resumes a run and completes it. `observe` receives every frame decoded for
    /// it; `tell` is called for each checkpoint once it is written. Must not be called from an asynchronous task: it blocks.
    ///
    /// # Errors
    /// Why the run didn't complete. Except for [`Error::Frames`] it stays open.
    pub fn run(
        &self,
        source: &mut dyn FrameSource,
        store: &Store,
        runtime: &Handle,
        stop: &AtomicBool,
        observe: Observer<'_>,
        tell: &mut dyn FnMut(&Progress),
    ) -> Result<RunRecord, Error> {
        let new_run = self.settings.run_of(self.video_id, self.inference.model());
        let run = runtime.block_on(store.start_run(&new_run))?;
        if run.state != RunState::Running {
            return Ok(run);
        }
        let checkpoint = runtime.block_on(store.checkpoint(&run.id))?;
        let Some(state) = State::stored(checkpoint, &self.settings.tracker) else {
            // Continuing without its state would duplicate what is written: this run is closed and a new one starts.
            let reason = "its checkpoint is of another version; a new run was started";
            runtime.block_on(store.fail_run(&run.id, reason))?;
            return self.run(source, store, runtime, stop, observe, tell);
        };
        if run.frames_done > 0 {
            tracing::info!(frames = run.frames_done, "going on where an earlier analysis was cut off");
        }
        // A camera's run never ends: what was detected before belongs to the run of then.
        let earlier = match source.pressure() {
            Pressure::Wait => runtime.block_on(store.run_to_track_again(&new_run))?,
            Pressure::KeepNewest => None,
        };
        let mut tracking = Tracking::new(self, store, runtime, source.timeline(), run, state, stop, tell)?;
        tracking.is_camera = source.pressure() == Pressure::KeepNewest;
        tracking.waits_for_inference = tracking.is_camera;
        let ended = match earlier {
            Some(earlier) => self.track_again(earlier, &mut tracking),
            None => self.track_source(source, observe, &mut tracking),
        };
        if let Err(Error::Frames(error)) = &ended {
            let reason = match error {
                frames::Error::Media(error) => error.reason().text,
                error => Chain(error).to_string(),
            };
            runtime.block_on(store.fail_run(&tracking.checkpoints.run().id, &reason))?;
        }
        ended.map(|()| tracking.checkpoints.into_run())
    }

    /// Px of the detector's input per px of the picture.
    fn input_scale(&self, store: &Store, runtime: &Handle) -> Result<f32, Error> {
        let video = runtime.block_on(store.video(self.video_id))?;
        let model = self.inference.model();
        let px = |side: Option<i64>| side.and_then(|side| u32::try_from(side).ok()).unwrap_or(1);
        let usual_width = model.info().input_width as f32;
        let width = self.settings.input_width.map_or(usual_width, |px| px as f32);
        Ok(usual_scale(model, px(video.width_px), px(video.height_px)) * width / usual_width)
    }

    fn track_source(
        &self,
        source: &mut dyn FrameSource,
        observe: Observer<'_>,
        tracking: &mut Tracking<'_, '_>,
    ) -> Result<(), Error> {
        let line_proximity = LineProximity::after(&tracking.state.recent);
        let inference = FrameInference {
            inference: self.inference,
            input_width: self.settings.input_width,
            schedule: self.settings.schedule,
            line_proximity: Some(&line_proximity),
        };
        let start =
            StartPosition { after_pts: tracking.state.last_pts, position: tracking.state.position.clone() };
        let low_score = self.settings.tracker.low_score;
        // Stored and tracked boxes are the same: tracked again, they give the same tracks.
        let box_size = self.box_size;
        let tracked = move |picture: &Picture, mut found: Vec<Detection>| {
            if let Some(size) = box_size.filter(|&size| size != (picture.width(), picture.height())) {
                scale_boxes(&mut found, (picture.width(), picture.height()), size);
            }
            Detection::tracked_from(found, low_score)
        };
        let has_advanced = tracking.checkpoints.has_advanced();
        let followed = inference.run(source, start, observe, tracked, |mut frames| {
            let followed = tracking.follow(&mut frames, Some(&line_proximity));
            if frames.passed_over() > 0 {
                tracing::info!(
                    frames = frames.passed_over(),
                    "passed over, as the camera was faster than the analysis"
                );
            }
            let failure = followed?;
            tracking.finish(frames.end_secs(), failure)
        });
        // A source that doesn't open is no other than one that breaks off later.
        followed.unwrap_or_else(|error| Err(self.classify(error, has_advanced)))
    }

    /// What an error of the source or the detector means for the run. Only [`Error::Frames`] ends it for good.
    fn classify(&self, error: frames::Error, has_advanced: bool) -> Error {
        match error {
            frames::Error::Away(error) => Error::SourceAway(error),
            frames::Error::Media(error)
                if error.is_of_worker() && (!self.is_last_try || has_advanced || error.is_of_machine()) =>
            {
                Error::Interrupted(error)
            }
            frames::Error::Detect(error) if error.is_passing() => Error::DetectorGone(error),
            // A full or busy disk says nothing about the video.
            frames::Error::StoredDetections(error) => error.into(),
            error => error.into(),
        }
    }

    /// Tracks the detections of an earlier run. Nothing is decoded, so there is nothing to observe.
    fn track_again(&self, earlier: RunRecord, tracking: &mut Tracking<'_, '_>) -> Result<(), Error> {
        tracing::info!(run = earlier.id, "tracking again what an earlier analysis detected");
        let checkpoints = &mut tracking.checkpoints;
        checkpoints.damaged_frames =
            (earlier.damaged_frames - checkpoints.run().damaged_frames).max(0).cast_unsigned();
        checkpoints.devices = devices_of(&earlier);
        let end_secs = earlier.counted_to_secs;
        let stored = StoredDetections::new(
            tracking.store,
            tracking.runtime,
            earlier,
            tracking.state.last_pts,
            self.settings.tracker.low_score,
        );
        let failure = tracking.follow(&mut stored.frames(), None)?;
        tracking.finish(Some(end_secs), failure)
    }
}

/// From px of one picture to px of another that shows the same. Each side by itself: small streams of cameras are often squeezed.
fn scale_boxes(found: &mut [Detection], from: (u32, u32), to: (u32, u32)) {
    let (by_x, by_y) = (to.0 as f32 / from.0.max(1) as f32, to.1 as f32 / from.1.max(1) as f32);
    for detection in found {
        let rect = &mut detection.rect;
        (rect.x, rect.width) = (rect.x * by_x, rect.width * by_x);
        (rect.y, rect.height) = (rect.y * by_y, rect.height * by_y);
    }
}

/// Tracks and writes, in frame order.
struct Tracking<'a, 't> {
    analysis: &'a Analysis<'a>,
    store: &'a Store,
    runtime: &'a Handle,
    checkpoints: CheckpointWriter<'a>,
    state: State,
    /// Of a camera, at the start and after a gap: the first frames may be passed over, and before the first inference nothing is known of
    /// them. They are left out: no count is not a count of 0.
    waits_for_inference: bool,
    is_camera: bool,
    /// As drawn when the last checkpoint was written.
    lines: Vec<Line>,
    stop: &'a AtomicBool,
    tell: &'t mut dyn FnMut(&Progress),
}

impl<'a, 't> Tracking<'a, 't> {
    #[expect(clippy::too_many_arguments, reason = "all that a run needs, put together once")]
    fn new(
        analysis: &'a Analysis<'a>,
        store: &'a Store,
        runtime: &'a Handle,
        timeline: Timeline,
        run: RunRecord,
        state: State,
        stop: &'a AtomicBool,
        tell: &'t mut dyn FnMut(&Progress),
    ) -> Result<Self, Error> {
        let uncertainty = match analysis.inference.model().info().calibration {
            Some(calibration) => Some(UncertaintyMeasure {
                calibration,
                min_score: analysis.settings.tracker.high_score,
                input_scale: analysis.input_scale(store, runtime)?,
            }),
            None => None,
        };
        let checkpoints = CheckpointWriter::new(store, runtime, timeline, run, uncertainty);
        let mut tracking = Self {
            analysis,
            store,
            runtime,
            checkpoints,
            state,
            waits_for_inference: false,
            is_camera: false,
            lines: Vec::new(),
            stop,
            tell,
        };
        tracking.read_lines()?;
        Ok(tracking)
    }

    /// Takes frames until there are none. Returns what ended them early for good.
    fn follow(
        &mut self,
        frames: &mut dyn Iterator<Item = Result<InferredFrame<Vec<Detection>>, frames::Error>>,
        line_proximity: Option<&LineProximity>,
    ) -> Result<Option<frames::Error>, Error> {
        for frame in frames {
            if self.stop.load(Ordering::Relaxed) {
                self.write(None)?;
                return Err(Error::Stopped);
            }
            match frame {
                Ok(frame) => self.track(frame, line_proximity),
                Err(error) => {
                    // What was read until then is kept, and may have brought the run further.
                    if !matches!(error, frames::Error::StoredDetections(_)) {
                        self.write(None)?;
                    }
                    match self.analysis.classify(error, self.checkpoints.has_advanced()) {
                        Error::Frames(error) => return Ok(Some(error)),
                        passing => return Err(passing),
                    }
                }
            }
            if self.checkpoints.is_due() {
                self.write(None)?;
            }
        }
        Ok(None)
    }

    /// No more frames.
    fn finish(&mut self, end_secs: Option<f64>, failure: Option<frames::Error>) -> Result<(), Error> {
        self.checkpoints.add(self.state.tracker.finish());
        match failure {
            None => self.write(end_secs),
            Some(failure) => {
                self.write(None)?;
                Err(failure.into())
            }
        }
    }

    fn track(&mut self, frame: InferredFrame<Vec<Detection>>, line_proximity: Option<&LineProximity>) {
        let InferredFrame { pts, secs, inferred, device, is_damaged, follows_gap, position } = frame;
        if let Some(device) = device {
            self.checkpoints.add_device(device);
        }
        self.checkpoints.damaged_frames += u64::from(is_damaged);
        if follows_gap {
            self.checkpoints.add(self.state.tracker.end_tracks());
            self.waits_for_inference = self.is_camera;
        }
        self.state.last_pts = Some(pts);
        self.state.position = position;
        if self.waits_for_inference && inferred.is_none() {
            return;
        }
        self.waits_for_inference = false;
        if let (Some((_, detections)), Some(show)) = (&inferred, self.analysis.show) {
            let least = self.analysis.settings.tracker.high_score;
            let detections = detections.iter().filter(|found| found.score >= least).copied().collect();
            show(LiveDetections { pts, secs, detections });
        }
        let inferred =
            inferred.as_ref().map(|(reason, detections)| InferredDetections { reason: *reason, detections });
        self.checkpoints.add(self.state.tracker.push(pts, secs, inferred));
        if inferred.is_some()
            && let Some(line_proximity) = line_proximity
        {
            let is_near = line_proximity::is_near(&self.lines, &self.state.tracker);
            self.state.recent = line_proximity.report(secs, is_near);
        }
    }

    /// While animals are near a line, more frames are inferred; lines drawn during the run take effect at the next checkpoint.
    fn read_lines(&mut self) -> Result<(), Error> {
        let drawn = self.runtime.block_on(self.store.lines_of_video(self.analysis.video_id))?;
        self.lines = drawn.iter().filter_map(VideoLine::segment).collect();
        Ok(())
    }

    fn write(&mut self, end_secs: Option<f64>) -> Result<(), Error> {
        let progress = self.checkpoints.write(&self.state, end_secs)?;
        self.read_lines()?;
        (self.tell)(&progress);
        Ok(())
    }
}
