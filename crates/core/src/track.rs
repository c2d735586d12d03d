//! Which boxes are one animal: detections of each look in, tracks out.
//!
//! The method in a sentence: a Kalman prediction for each track (`track/motion.rs`), optimal assignment
//! (`track/assign.rs`) in stages from the surest to the least sure evidence (`track/engine.rs`), every constant
//! in seconds. Sources: SORT (Bewley et al. 2016), ByteTrack (Zhang et al. 2022), OC-SORT (Cao et al. 2023);
//! `docs/design/0002-tracking.md` has the figures. The promise: the same detections give the same tracks, and a
//! tracker stored at any frame goes on exactly as if nothing had happened.
//!
//! Left out: appearance (pigs of a pen look alike), motion of the camera (cameras over pens are fixed), and the
//! class, which does not take part in matching: give a tracker only detections that may be the same animal.

mod assign;
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

/// One animal followed over frames, numbered from 1 in the order of confirmation. Not a count: an animal lost
/// for long comes back under another number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TrackId(pub u32);

impl fmt::Display for TrackId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Where a tracked box comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The detector saw it on this frame; the box is the detector's own.
    Measured,
    /// Between two observations, on the straight line.
    Interpolated,
}

/// An animal on a frame.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrackedBox {
    /// Which animal.
    pub track: TrackId,
    /// Where, px of the upright frame.
    pub rect: Rect,
    /// The detection's score; between two observations the mean weighted by nearness.
    pub score: f32,
    /// The detection's class; between two observations that of the earlier one.
    pub class: u16,
    /// Seen or filled in.
    pub origin: Origin,
}

/// Tracks as they are known at once: for cameras, and for whoever cannot wait. A recorded video gets more from
/// [`crate::interpolate::SettledTracker`].
///
/// Serialised (floats kept exactly, as postcard does), it goes on exactly where it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tracker {
    engine: Engine,
}

impl Tracker {
    /// With no animals yet.
    pub fn new(settings: TrackerSettings) -> Self {
        Self { engine: Engine::new(settings) }
    }

    /// Takes what the detector saw at `secs`; gives the confirmed tracks seen on this frame, by track.
    ///
    /// Only frames the detector looked at are given, also those on which it saw nothing. Boxes that are none
    /// (not finite, empty) are ignored. Time that does not grow counts as a thousandth of a second.
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

    /// The same tracks with the filter's boxes in place of the detector's: steadier, as ByteTrack and BoT-SORT write
    /// them in the benchmarks' text. For comparison with those alone; what is stored, shown and counted are the detector's own
    /// boxes, being proof.
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
