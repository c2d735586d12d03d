//! One track from its first observation to its end: its motion and its last observed positions.

use super::TrackId;
use super::motion::Motion;
use crate::detection::Detection;
use crate::geometry::{Point, Rect};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Identifies a track from its creation on, before it is confirmed and gets its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct TrackKey(pub(crate) u64);

/// However dense inferences are, no more of them are remembered.
const LONGEST_TRAIL: usize = 16;

/// An observation: where and when an animal was seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Observation {
    at_secs: f64,
    rect: Rect,
}

/// A track.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) key: TrackKey,
    /// Given on confirmation.
    pub(crate) track: Option<TrackId>,
    pub(crate) born_secs: f64,
    /// Of the detection it started with.
    pub(crate) first_score: f32,
    pub(crate) hits: u32,
    /// Inferences since the last observation.
    pub(crate) missed_inferences: u32,
    /// The motion at the last observation; predictions start from there.
    motion: Motion,
    /// The last observations, oldest first, never empty: as many as the direction of motion needs.
    trail: VecDeque<Observation>,
}

impl Identity {
    pub(crate) fn new(key: TrackKey, at_secs: f64, detection: &Detection) -> Self {
        Self {
            key,
            track: None,
            born_secs: at_secs,
            first_score: detection.score,
            hits: 1,
            missed_inferences: 0,
            motion: Motion::starting_at(detection.rect),
            trail: VecDeque::from([Observation { at_secs, rect: detection.rect }]),
        }
    }

    /// The predicted box at `at_secs`.
    pub(crate) fn predicted(&self, at_secs: f64) -> Rect {
        self.motion_now().predicted(at_secs - self.last_seen_secs()).rect()
    }

    pub(crate) fn last_seen_secs(&self) -> f64 {
        self.trail.back().map_or(self.born_secs, |last| last.at_secs)
    }

    pub(crate) fn last_seen_rect(&self) -> Rect {
        self.trail.back().map_or_else(|| self.motion.rect(), |last| last.rect)
    }

    /// The track was seen.
    ///
    /// After a gap the filter is updated along the straight line to the new position, one step for each missed inference, as
    /// if it had been observed in all of them. Otherwise the drift of the prediction stays in the velocity
    /// (observation-centric re-update, OC-SORT, Cao et al. 2023).
    pub(crate) fn observe(&mut self, at_secs: f64, detection: &Detection, direction_secs: f64) {
        let (from, from_secs) = (self.last_seen_rect(), self.last_seen_secs());
        let steps = self.missed_inferences + 1;
        let step_secs = (at_secs - from_secs) / f64::from(steps);
        let mut motion = self.motion_now();
        for step in 1..=steps {
            let part = step as f32 / steps as f32;
            motion = motion.predicted(step_secs).corrected(between(from, detection.rect, part));
        }
        self.motion = motion;
        self.hits += 1;
        self.missed_inferences = 0;
        self.trail.push_back(Observation { at_secs, rect: detection.rect });
        // The second is old enough: the first isn't needed any more. 1 ms of tolerance, because pts may be in ms.
        let enough = |trail: &VecDeque<Observation>| {
            trail.len() > LONGEST_TRAIL
                || trail.get(1).is_some_and(|second| at_secs - second.at_secs >= direction_secs - 1e-3)
        };
        while enough(&self.trail) {
            self.trail.pop_front();
        }
    }

    /// How far moving to `place` would turn the direction of motion, half turns (0 straight on, 1 back). The shorter the motion,
    /// the nearer to a quarter turn, which is neutral; `full_bodies` is a sufficient motion.
    pub(crate) fn turn_to(&self, place: Point, full_bodies: f32) -> f32 {
        const NO_OPINION: f32 = 0.5;
        let Some(oldest) = self.trail.front() else { return NO_OPINION };
        let start = oldest.rect.center();
        let newest = self.last_seen_rect().center();
        let (walked_x, walked_y) = (newest.x - start.x, newest.y - start.y);
        let (to_x, to_y) = (place.x - start.x, place.y - start.y);
        let walked_px = walked_x.hypot(walked_y);
        let lengths = walked_px * to_x.hypot(to_y);
        if lengths <= f32::EPSILON {
            return NO_OPINION;
        }
        let cosine = (walked_x * to_x + walked_y * to_y) / lengths;
        let turn = cosine.clamp(-1.0, 1.0).acos() / std::f32::consts::PI;
        let belief = (walked_px / (full_bodies * oldest.rect.area().sqrt())).min(1.0);
        NO_OPINION + (turn - NO_OPINION) * belief
    }

    fn motion_now(&self) -> Motion {
        if self.missed_inferences == 0 { self.motion } else { self.motion.with_size_at_rest() }
    }
}

/// The box at fraction `part` between the two.
pub(crate) fn between(from: Rect, to: Rect, part: f32) -> Rect {
    let mix = |from: f32, to: f32| from + (to - from) * part;
    Rect::new(mix(from.x, to.x), mix(from.y, to.y), mix(from.width, to.width), mix(from.height, to.height))
}
