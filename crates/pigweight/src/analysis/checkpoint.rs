//! Checkpoints: a run's settled frames and the state to resume from, written in one transaction.
//!
//! Only settled frames are written; unsettled ones are part of the state, so no frame is lost or processed twice.

use crate::analysis::line_proximity;
use crate::status::Progress;
use pigweight_core::count::{ScoreCalibration, UncertaintyTotals};
use pigweight_core::inference_schedule::Position;
use pigweight_core::interpolate::{SettledFrame, SettledTracker};
use pigweight_core::time::{Pts, Timeline};
use pigweight_core::track::TrackerSettings;
use pigweight_detect::Device;
use pigweight_store::{Checkpoint, RunRecord, Store, columns};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// A checkpoint is written after this much of the video …
const CHECKPOINT_VIDEO_SECS: f64 = 10.0;
/// … or after this long, whichever comes first.
const CHECKPOINT_AFTER: Duration = Duration::from_secs(2);

/// What a run needs to resume, besides settled frames. Stored: fields keep their order.
#[derive(Serialize, Deserialize)]
pub struct State {
    pub tracker: SettledTracker,
    pub last_pts: Option<Pts>,
    pub position: Position,
    pub recent: line_proximity::Recent,
}

impl State {
    /// For a new run.
    pub fn new(settings: &TrackerSettings) -> Self {
        Self {
            tracker: SettledTracker::new(settings.clone()),
            last_pts: None,
            position: Position::default(),
            recent: line_proximity::Recent::new(),
        }
    }

    /// As a run's last checkpoint left it; `None` if another version of this program wrote it.
    pub fn stored(checkpoint: Option<Vec<u8>>, settings: &TrackerSettings) -> Option<Self> {
        match checkpoint {
            None => Some(Self::new(settings)),
            Some(bytes) => postcard::from_bytes(&bytes).ok(),
        }
    }
}

/// How the uncertainty of a run's counts is measured.
#[derive(Clone, Copy)]
pub struct UncertaintyMeasure {
    /// What the detector's scores mean.
    pub calibration: ScoreCalibration,
    /// Boxes count from this score on.
    pub min_score: f32,
    /// Px of the detector's input per px of the picture.
    pub input_scale: f32,
}

/// Collects settled frames and writes them.
pub struct CheckpointWriter<'a> {
    store: &'a Store,
    runtime: &'a Handle,
    timeline: Timeline,
    run: RunRecord,
    settled: Vec<SettledFrame>,
    uncertainty: Option<UncertaintyMeasure>,
    /// Not written yet.
    pub damaged_frames: u64,
    /// What has run the detector so far.
    pub devices: BTreeSet<String>,
    started: Instant,
    last_written: Instant,
    frames_before: i64,
}

impl<'a> CheckpointWriter<'a> {
    /// Resumes behind the last checkpoint of `run`.
    pub fn new(
        store: &'a Store,
        runtime: &'a Handle,
        timeline: Timeline,
        run: RunRecord,
        uncertainty: Option<UncertaintyMeasure>,
    ) -> Self {
        let now = Instant::now();
        // Before the first inference the run names the expected device.
        let devices = if run.frames_done > 0 { devices_of(&run) } else { BTreeSet::new() };
        Self {
            store,
            runtime,
            timeline,
            settled: Vec::new(),
            uncertainty,
            damaged_frames: 0,
            devices,
            started: now,
            last_written: now,
            frames_before: run.frames_done,
            run,
        }
    }

    /// As written.
    pub fn run(&self) -> &RunRecord {
        &self.run
    }

    /// As written, at the end.
    pub fn into_run(self) -> RunRecord {
        self.run
    }

    /// Whether anything was written since the run was resumed.
    pub fn has_advanced(&self) -> bool {
        self.run.frames_done > self.frames_before
    }

    /// Adds frames to the next checkpoint.
    pub fn add(&mut self, settled: Vec<SettledFrame>) {
        self.settled.extend(settled);
    }

    /// Records what ran the detector.
    pub fn add_device(&mut self, device: Device) {
        if !self.devices.contains(device.name()) {
            self.devices.insert(device.name().to_owned());
        }
    }

    /// Whether it is time for the next checkpoint.
    pub fn is_due(&self) -> bool {
        let (Some(first), Some(last)) = (self.settled.first(), self.settled.last()) else { return false };
        last.secs - first.secs >= CHECKPOINT_VIDEO_SECS || self.last_written.elapsed() >= CHECKPOINT_AFTER
    }

    /// Writes the settled frames; in the last call, `end_secs` is the end of the last frame. Returns the progress, which may only be reported now.
    ///
    /// # Errors
    /// If the store refuses: then nothing is written.
    pub fn write(&mut self, state: &State, end_secs: Option<f64>) -> pigweight_store::Result<Progress> {
        let state = postcard::to_stdvec(state)
            .map_err(|_| pigweight_store::Error::Damaged { what: "pipeline state" })?;
        let counted_to_secs = match (end_secs, self.settled.last()) {
            (Some(end_secs), _) => end_secs,
            (None, Some(frame)) => frame.secs,
            (None, None) => self.run.counted_to_secs,
        };
        let step = Checkpoint {
            frames: &self.settled,
            timeline: columns::Timeline {
                time_base: self.timeline.time_base,
                first_pts: self.timeline.first_pts,
            },
            damaged_frames: self.damaged_frames,
            uncertainty: self.uncertainty.map(|measure| measure.totals(&self.settled)),
            state,
            counted_to_secs,
            is_last: end_secs.is_some(),
        };
        self.runtime.block_on(async {
            self.store.write_checkpoint(&self.run.id, self.run.next_chunk, &step).await?;
            let devices = self.devices.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            if !devices.is_empty() && devices != self.run.device {
                self.store.set_device(&self.run.id, &devices).await?;
            }
            self.run = self.store.run(&self.run.id).await?;
            Ok::<_, pigweight_store::Error>(())
        })?;
        let elapsed_secs = self.started.elapsed().as_secs_f64();
        let frames_now = (self.run.frames_done - self.frames_before) as f64;
        let progress = Progress {
            run: self.run.clone(),
            count: self.settled.last().map(|frame| frame.boxes.len() as u32),
            frames_per_sec: if elapsed_secs > 0.0 { frames_now / elapsed_secs } else { 0.0 },
            written: Instant::now(),
        };
        tracing::info!(frames = self.run.frames_done, "checkpoint written");
        self.settled.clear();
        self.damaged_frames = 0;
        self.last_written = Instant::now();
        Ok(progress)
    }
}

impl UncertaintyMeasure {
    fn totals(&self, frames: &[SettledFrame]) -> UncertaintyTotals {
        let mut totals = UncertaintyTotals::default();
        for frame in frames {
            totals.add(&self.calibration, frame, self.min_score, self.input_scale);
        }
        totals
    }
}

/// Device names as stored with a run.
pub fn devices_of(run: &RunRecord) -> BTreeSet<String> {
    run.device.split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
