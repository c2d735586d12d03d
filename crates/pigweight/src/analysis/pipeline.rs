//! The way of the data: source → decode → detect → track → count → store → tell.
//!
//! `looking.rs` decodes and detects on threads of its own; the caller's thread tracks, and writes a checkpoint every few
//! seconds.
//!
//! A run that was cut off goes on behind its last checkpoint. Only settled frames are written; what was still open
//! travels in the checkpoint's state, so that no frame is lost or done twice.

use crate::analysis::frames::{self, Begin, Looked, Looking, Watch};
use crate::analysis::line_proximity::{self, Nearness};
use crate::analysis::retrack::Kept;
use crate::describe::Chain;
use pigweight_core::detection::Detection;
use pigweight_core::interpolate::{Look, SettledFrame, SettledTracker};
use pigweight_core::line::{Line, RULE_VERSION};
use pigweight_core::schedule::{self, Position, Schedule};
use pigweight_core::time::Pts;
use pigweight_core::track::TrackerSettings;
use pigweight_detect::service::Inference;
use pigweight_detect::{Device, Model, ModelSettings};
use pigweight_media::Video;
use pigweight_store::columns::Timeline;
use pigweight_store::{Checkpoint, NewRun, RunRecord, Store};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// A checkpoint is written after this much of the video …
const CHECKPOINT_VIDEO_SECS: f64 = 10.0;
/// … or after this long, whichever comes first.
const CHECKPOINT_AFTER: Duration = Duration::from_secs(2);

/// What a run does besides the model: everything that could change its result.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSettings {
    /// Which frames are looked at.
    pub schedule: Schedule,
    /// How detections become tracks.
    pub tracker: TrackerSettings,
}

/// How far a run is, told after it is written.
#[derive(Clone, Debug)]
pub struct Progress {
    /// As written.
    pub run: RunRecord,
    /// Animals on the last settled frame.
    pub count: Option<u32>,
    /// Since this process took the run up.
    pub frames_per_sec: f64,
    /// When it was written.
    pub written: Instant,
}

/// Why a run did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The video could not be read on, or the model not run.
    #[error(transparent)]
    Looking(#[from] frames::Error),
    /// A step could not be written.
    #[error("{0}")]
    Store(#[from] pigweight_store::Error),
    /// It was told to stop; it goes on from here another time.
    #[error("stopped")]
    Stopped,
    /// The process that read the video is gone; it goes on from here another time.
    #[error("{0}")]
    Interrupted(pigweight_media::Error),
    /// What looks is gone; it goes on from here another time.
    #[error("{0}")]
    Waiting(pigweight_detect::Error),
    /// The video's file is not where it was; it goes on from here when it is there again.
    #[error("the file is not there any more: {0}")]
    Gone(pigweight_media::Error),
}

impl Error {
    /// Whether it says nothing about the video: the run stays open and goes on later.
    fn is_passing(&self) -> bool {
        match self {
            // A full disk, say.
            Self::Store(_) | Self::Stopped | Self::Interrupted(_) | Self::Gone(_) | Self::Waiting(_) => true,
            Self::Looking(_) => false,
        }
    }
}

impl RunSettings {
    /// The run that these settings and a model ask for: what makes it the run it is.
    pub fn run_of(&self, video_id: &str, model: &Model) -> NewRun {
        let looks = describe_looks(model);
        NewRun {
            video_id: video_id.to_owned(),
            model_name: model.info().name.clone(),
            model_hash: model.info().hash.clone(),
            device: model.device().device.name().to_owned(),
            settings: format!("{self:?} {looks}"),
            looks: format!("{:?} {looks}", self.schedule),
            least_score: f64::from(self.tracker.low_score),
            rule_version: RULE_VERSION,
        }
    }
}

/// Everything besides the schedule and the model's bytes that could change what is seen, in one line that is equal for equal settings.
fn describe_looks(model: &Model) -> String {
    // Nor the device: it is told with the run, and what one has counted another need not count again, be it that the one leaves the border out and the
    // other does not.
    let ModelSettings {
        head,
        classes,
        class_names,
        max_iou,
        min_score: _,
        source: _,
        threads: _,
        device: _,
        trims_border,
    } = model.settings();
    let looks = schedule::RULE_VERSION;
    let border = if *trims_border { " without border" } else { "" };
    format!("looks v{looks} {head:?} {classes:?} {class_names:?} {max_iou}{border}")
}

/// What a checkpoint needs besides what is settled.
#[derive(Serialize, Deserialize)]
struct State {
    tracker: SettledTracker,
    last_pts: Option<Pts>,
    position: Position,
    recent: line_proximity::Recent,
}

/// One analysis of one video.
pub struct Analysis<'a> {
    /// Opened.
    pub video: &'a Video,
    /// Its identifier in the store.
    pub video_id: &'a str,
    /// Who looks.
    pub inference: &'a Inference,
    /// What to do.
    pub settings: &'a RunSettings,
    /// Where the process that reads the video is gone once more, and nothing was written before, the run has failed.
    pub is_last_try: bool,
}

impl Analysis<'_> {
    /// Starts a run or takes it up where it was left, and brings it to its end. `watch` sees every frame that is decoded for
    /// it, `tell` hears of each step once it is written. Must not be called from an asynchronous task: it blocks.
    pub fn run(
        &self,
        store: &Store,
        runtime: &Handle,
        stop: &AtomicBool,
        watch: Watch<'_>,
        tell: &mut dyn FnMut(&Progress),
    ) -> Result<RunRecord, Error> {
        let new_run = self.settings.run_of(self.video_id, self.inference.model());
        let run = runtime.block_on(store.find_or_start_run(&new_run))?;
        if run.state != "running" {
            return Ok(run);
        }
        if run.frames_done > 0 {
            tracing::info!(frames = run.frames_done, "going on where an earlier analysis was cut off");
        }
        let state = match &run.checkpoint {
            None => State {
                tracker: SettledTracker::new(self.settings.tracker.clone()),
                last_pts: None,
                position: Position::default(),
                recent: line_proximity::Recent::new(),
            },
            Some(bytes) => match postcard::from_bytes(bytes) {
                Ok(state) => state,
                // Going on without it would double what is written: this run is closed and a new one begun.
                Err(_) => {
                    let reason = "its checkpoint is of another version; a new run was started";
                    runtime.block_on(store.fail_run(&run.id, reason))?;
                    return self.run(store, runtime, stop, watch, tell);
                }
            },
        };
        let nearness = Nearness::after(&state.recent);
        let mut steps = Steps::new(self, store, runtime, &run, state, &nearness);
        steps.read_lines()?;
        let ended = match runtime.block_on(store.run_to_track_again(&new_run))? {
            Some(earlier) => self.track_again(earlier, steps, stop, tell),
            None => self.work(steps, stop, watch, tell),
        };
        match &ended {
            Err(error) if !error.is_passing() => {
                runtime.block_on(store.fail_run(&run.id, &Chain(error).to_string()))?;
            }
            Ok(_) | Err(_) => {}
        }
        ended
    }

    /// Nothing is decoded for it, so nobody can watch.
    fn track_again(
        &self,
        earlier: RunRecord,
        mut steps: Steps<'_>,
        stop: &AtomicBool,
        tell: &mut dyn FnMut(&Progress),
    ) -> Result<RunRecord, Error> {
        tracing::info!(run = earlier.id, "tracking again what an earlier analysis saw");
        steps.damaged_frames =
            earlier.damaged_frames.saturating_sub(steps.run.damaged_frames).max(0).cast_unsigned();
        let least_score = self.settings.tracker.low_score;
        steps.devices = devices(&earlier.device);
        let kept = Kept::new(steps.store, steps.runtime, earlier, steps.state.last_pts, least_score);
        steps.follow(kept.looked(), stop, tell)
    }

    fn work(
        &self,
        steps: Steps<'_>,
        stop: &AtomicBool,
        watch: Watch<'_>,
        tell: &mut dyn FnMut(&Progress),
    ) -> Result<RunRecord, Error> {
        let looking = Looking {
            video: self.video,
            inference: self.inference,
            schedule: self.settings.schedule,
            nearness: Some(steps.nearness),
        };
        let begin = Begin { after_pts: steps.state.last_pts, position: steps.state.position.clone() };
        let low_score = self.settings.tracker.low_score;
        looking.through_watched(
            begin,
            watch,
            move |_, found| kept(found, low_score),
            |looks| steps.follow(looks, stop, tell),
        )?
    }
}

/// What is tracked is what is stored.
fn kept(found: Vec<Detection>, low_score: f32) -> Vec<Detection> {
    found.into_iter().filter(|found| found.score >= low_score).map(Detection::on_grid).collect()
}

/// Tracking and writing, in order of the frames.
struct Steps<'a> {
    analysis: &'a Analysis<'a>,
    store: &'a Store,
    runtime: &'a Handle,
    run: RunRecord,
    state: State,
    nearness: &'a Nearness,
    /// As drawn when the last step was written.
    lines: Vec<Line>,
    settled: Vec<SettledFrame>,
    damaged_frames: u64,
    started: Instant,
    last_written: Instant,
    frames_before: i64,
    /// What has looked so far.
    devices: BTreeSet<String>,
}

/// Devices as a run names them.
fn devices(text: &str) -> BTreeSet<String> {
    text.split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

impl<'a> Steps<'a> {
    fn new(
        analysis: &'a Analysis<'a>,
        store: &'a Store,
        runtime: &'a Handle,
        run: &RunRecord,
        state: State,
        nearness: &'a Nearness,
    ) -> Self {
        let now = Instant::now();
        Self {
            analysis,
            store,
            runtime,
            run: run.clone(),
            state,
            nearness,
            lines: Vec::new(),
            settled: Vec::new(),
            damaged_frames: 0,
            started: now,
            last_written: now,
            frames_before: run.frames_done,
            // Before the first look it is the one that was expected to.
            devices: if run.frames_done > 0 { devices(&run.device) } else { BTreeSet::new() },
        }
    }

    fn follow(
        mut self,
        looks: impl Iterator<Item = Result<Looked<Vec<Detection>>, frames::Error>>,
        stop: &AtomicBool,
        tell: &mut dyn FnMut(&Progress),
    ) -> Result<RunRecord, Error> {
        let mut failure = None;
        for looked in looks {
            if stop.load(Ordering::Relaxed) {
                self.write(false, tell)?;
                return Err(Error::Stopped);
            }
            match looked {
                Ok(looked) => self.track(looked),
                Err(frames::Error::Media(error)) if self.is_gone() => {
                    self.write(false, tell)?;
                    return Err(Error::Gone(error));
                }
                Err(frames::Error::Media(error)) if error.is_of_worker() => {
                    self.write(false, tell)?;
                    if !self.analysis.is_last_try || self.run.frames_done > self.frames_before {
                        return Err(Error::Interrupted(error));
                    }
                    failure = Some(frames::Error::Media(error).into());
                    break;
                }
                Err(frames::Error::Detect(error)) if error.is_passing() => {
                    self.write(false, tell)?;
                    return Err(Error::Waiting(error));
                }
                // A full disk or a busy one says nothing about the video.
                Err(frames::Error::Kept(error)) => return Err(error.into()),
                Err(error) => {
                    failure = Some(error.into());
                    break;
                }
            }
            if self.is_due() {
                self.write(false, tell)?;
            }
        }
        self.settled.extend(self.state.tracker.finish());
        self.write(failure.is_none(), tell)?;
        failure.map_or(Ok(self.run), Err)
    }

    fn track(&mut self, looked: Looked<Vec<Detection>>) {
        let Looked { pts, secs, seen, device, is_damaged, position } = looked;
        if let Some(device) = device.map(Device::name)
            && !self.devices.contains(device)
        {
            self.devices.insert(device.to_owned());
        }
        self.damaged_frames += u64::from(is_damaged);
        self.state.last_pts = Some(pts);
        self.state.position = position;
        let look = seen.as_ref().map(|(why, detections)| Look { why: *why, detections });
        self.settled.extend(self.state.tracker.push(pts, secs, look));
        if look.is_some() {
            let is_near = line_proximity::is_near(&self.lines, &self.state.tracker);
            self.state.recent = self.nearness.tell(secs, is_near);
        }
    }

    /// Lines that are drawn while the run goes on are looked at more closely from then on.
    fn read_lines(&mut self) -> Result<(), Error> {
        let drawn = self.runtime.block_on(self.store.lines(self.analysis.video_id))?;
        self.lines = drawn.iter().filter_map(|line| line.line().ok()).collect();
        Ok(())
    }

    /// Where the disk was taken away, say.
    fn is_gone(&self) -> bool {
        !self.analysis.video.path().exists()
    }

    fn is_due(&self) -> bool {
        let length_secs = match (self.settled.first(), self.settled.last()) {
            (Some(first), Some(last)) => last.secs - first.secs,
            _ => return false,
        };
        length_secs >= CHECKPOINT_VIDEO_SECS || self.last_written.elapsed() >= CHECKPOINT_AFTER
    }

    fn write(&mut self, is_last: bool, tell: &mut dyn FnMut(&Progress)) -> Result<(), Error> {
        let video = self.analysis.video;
        let state = postcard::to_stdvec(&self.state)
            .map_err(|_| pigweight_store::Error::Damaged { what: "pipeline state" })?;
        let counted_to_secs = match self.settled.last() {
            _ if is_last => video.duration_secs(),
            Some(frame) => frame.secs,
            None => self.run.counted_to_secs,
        };
        let timeline = Timeline { time_base: video.info().time_base, first_pts: video.index().first_pts() };
        let step = Checkpoint {
            frames: &self.settled,
            timeline,
            damaged_frames: self.damaged_frames,
            state,
            counted_to_secs,
            is_last,
        };
        self.runtime.block_on(async {
            self.store.write_checkpoint(&self.run.id, self.run.next_chunk, &step).await?;
            let devices = self.devices.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            if !devices.is_empty() && devices != self.run.device {
                self.store.set_device(&self.run.id, &devices).await?;
            }
            self.store.count_lines(&self.run.id).await?;
            self.run = self.store.run(&self.run.id).await?;
            Ok::<_, pigweight_store::Error>(())
        })?;
        self.read_lines()?;
        let elapsed = self.started.elapsed().as_secs_f64();
        let done_now = (self.run.frames_done - self.frames_before) as f64;
        tell(&Progress {
            run: self.run.clone(),
            count: self.settled.last().map(|frame| frame.boxes.len() as u32),
            frames_per_sec: if elapsed > 0.0 { done_now / elapsed } else { 0.0 },
            written: Instant::now(),
        });
        tracing::info!(frames = self.run.frames_done, "checkpoint written");
        self.settled.clear();
        self.damaged_frames = 0;
        self.last_written = Instant::now();
        Ok(())
    }
}
