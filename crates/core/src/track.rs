//! Tracking: turns the detections of each inference into tracks of animals.
//!
//! Method: a Kalman prediction for each track (`track/motion.rs`) and optimal assignment
//! (`track/assign.rs`) in stages from the strongest to the weakest evidence (`track/engine.rs`), with every constant
//! in seconds. Sources: SORT (Bewley et al. 2016), ByteTrack (Zhang et al. 2022), OC-SORT (Cao et al. 2023);
//! `docs/design/0002-tracking.md` has the figures. Guarantees: the same detections give the same tracks, and a
//! tracker stored at any frame resumes exactly.
//!
//! Left out: appearance (pigs in a pen look alike), camera motion (cameras over pens are fixed), and the
//! class, which isn't used for matching: give a tracker only detections that may be the same animal.

pub(crate) mod assign;
pub(crate) mod engine;
mod identity;
mod motion;
mod settings;

pub use settings::TrackerSettings;

use crate::detection::Detection;
use crate::geometry::Rect;
use engine::Engine;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One animal followed over frames, numbered from 1 in the order of confirmation. Not a count: an animal that is lost
/// for long gets another number when it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TrackId(pub u32);

impl fmt::Display for TrackId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Origin of a tracked box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Measured by the detector on this frame; the box is the detector's own.
    Measured,
    /// Interpolated linearly between two observations.
    Interpolated,
}

/// An animal on a frame.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrackedBox {
    /// The animal.
    pub track: TrackId,
    /// The box, px of the upright frame.
    pub rect: Rect,
    /// The detection's score; between two observations the mean weighted by nearness in time.
    pub score: f32,
    /// The detection's class; between two observations that of the earlier one.
    pub class: u16,
    /// Measured or interpolated.
    pub origin: Origin,
}

/// Online tracks, for cameras and other callers that can't wait. For recorded videos,
/// [`crate::interpolate::SettledTracker`] gives more.
///
/// Once deserialised, it resumes exactly (if floats are stored exactly, as postcard does).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tracker {
    engine: Engine,
}

impl Tracker {
    /// Without tracks.
    pub fn new(settings: TrackerSettings) -> Self {
        Self { engine: Engine::new(settings) }
    }

    /// Takes the detections at `secs` and returns the confirmed tracks seen on this frame, by track.
    ///
    /// Call it for inferred frames only, including those without detections. Invalid boxes
    /// (not finite, empty) are ignored. Time that doesn't increase counts as a thousandth of a second.
    pub fn update(&mut self, secs: f64, detections: &[Detection]) -> Vec<TrackedBox> {
        self.engine.pass_time(secs);
        let owners = self.engine.observe(detections);
        let mut boxes: Vec<_> = detections
            .iter()
            .zip(owners)
            .filter_map(|(detection, owner)| {
                let track = self.engine.track_of(owner?)?;
                Some(measured(track, detection))
            })
            .collect();
        boxes.sort_unstable_by_key(|tracked| tracked.track);
        boxes
    }

    /// The same tracks with the filter's boxes instead of the detector's: smoother, as ByteTrack and BoT-SORT write
    /// them for benchmarks. Only for comparison with those; stored, shown and counted boxes are the detector's own,
    /// because they are evidence.
    pub fn update_estimates(&mut self, secs: f64, detections: &[Detection]) -> Vec<TrackedBox> {
        let mut boxes = self.update(secs, detections);
        for tracked in &mut boxes {
            tracked.rect = self.engine.estimate_of(tracked.track).unwrap_or(tracked.rect);
        }
        boxes
    }
}

/// The box of a track that was seen.
pub(crate) fn measured(track: TrackId, detection: &Detection) -> TrackedBox {
    let &Detection { rect, score, class } = detection;
    TrackedBox { track, rect, score, class, origin: Origin::Measured }
}
