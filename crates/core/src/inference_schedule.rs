//! Inference schedule: on which frames of a source the detector runs, and why.
//!
//! Inference is the most expensive part, so it runs only where it adds information. Rates are in Hz, never in frames, because what
//! an animal does between two inferences depends on the time between them. Boxes of other frames are interpolated.
//!
//! By motion ([`Schedule::ByMotion`]), a scene is *still* if nothing differed from the last inferred picture for a second; it is then
//! inferred once a second. Each frame is compared with the last *inferred* one, so that slow drift adds up. The frame that differs is
//! inferred at once, and so are frames of the half second before it, in which the motion began. While something moves, inferences are
//! frequent enough for identities to hold, and more frequent while an animal is near a line. `docs/design/0010-schedule.md` has
//! figures and rejected alternatives.
//!
//! This module reads no clock and doesn't depend on a picture's size: the same frames give the same inferences, also if the
//! [`Position`] was stored in between.

use crate::motion::SmallLuma;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

/// Raised whenever the same frames could give other inferences; stored with each run.
pub const RULE_VERSION: u32 = 1;

/// Pts in milliseconds make 0.1 s come as 0.099 or 0.101.
const ROUNDING_SECS: f64 = 1e-3;

/// How inferred frames are selected.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Schedule {
    /// Every frame.
    EveryFrame,
    /// A frame is inferred if at least this much time has passed since the last inferred one.
    Interval {
        /// Seconds.
        secs: f64,
    },
    /// As often as the scene requires.
    ByMotion(InferenceIntervals),
}

/// The longest intervals between two inferences, and the definition of a still scene.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InferenceIntervals {
    /// While something moves, seconds.
    pub moving_secs: f64,
    /// While something moves and an animal is near a line, seconds.
    pub near_line_secs: f64,
    /// While nothing moves, seconds.
    pub still_secs: f64,
    /// A scene is still when nothing moved for this long, seconds.
    pub still_after_secs: f64,
    /// When a still scene starts to move, frames this far back are inferred as well, seconds.
    pub lookback_secs: f64,
}

impl InferenceIntervals {
    /// Identities hold down to 6 Hz and crossings want 10 (MOT17 and rendered pens, every Nth frame).
    pub const USUAL: Self = Self {
        moving_secs: 1.0 / 6.0,
        near_line_secs: 0.1,
        still_secs: 1.0,
        still_after_secs: 1.0,
        lookback_secs: 0.5,
    };
}

/// Why a frame was inferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InferenceReason {
    /// Every frame is inferred.
    EveryFrame,
    /// A fixed interval had passed.
    Interval,
    /// The first frame: nothing is known before it.
    First,
    /// The last frame: frames after the last inference have no second neighbour to interpolate from.
    Last,
    /// The lowest rate in a still scene.
    Still,
    /// The lowest rate while something moves.
    Moving,
    /// The lowest rate while something moves and an animal is near a line.
    NearLine,
    /// It differs from the last inferred picture, in a scene that was still.
    MotionStart,
    /// It precedes, by a short time, a frame that woke a still scene.
    BeforeMotion,
}

impl InferenceReason {
    /// All of them. A reason's index is its stored number, so new ones go to the end.
    pub const ALL: [Self; 9] = [
        Self::EveryFrame,
        Self::Interval,
        Self::First,
        Self::Last,
        Self::Still,
        Self::Moving,
        Self::NearLine,
        Self::MotionStart,
        Self::BeforeMotion,
    ];
}

/// The schedule's state: all that its next decision depends on, besides later frames.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    inferred_secs: Option<f64>,
    /// The last frame that was inferred or kept for lookback.
    kept_secs: Option<f64>,
    moved_secs: Option<f64>,
    /// The last inferred picture.
    seen: Option<Arc<SmallLuma>>,
}

/// A frame as the schedule sees it.
#[derive(Clone, Copy, Debug)]
pub struct FrameTime {
    /// Seconds.
    pub secs: f64,
    /// Time of the next frame, seconds; `None` for the last one. A rate is kept by inferring while there is still time.
    pub next_secs: Option<f64>,
}

/// A frame with its decision.
#[derive(Debug)]
pub struct ScheduledFrame<T> {
    /// As given.
    pub item: T,
    /// Why it is inferred; `None` if it isn't.
    pub reason: Option<InferenceReason>,
    /// The schedule's state after it.
    pub position: Position,
}

/// Decides frame by frame. Frames that may still be inferred by lookback wait in it, bounded by
/// [`InferenceIntervals::lookback_secs`] and `most_kept`.
#[derive(Debug)]
pub struct Scheduler<T> {
    schedule: Schedule,
    position: Position,
    waiting: VecDeque<Waiting<T>>,
    /// Pictures that may wait at once.
    most_kept: usize,
}

#[derive(Debug)]
struct Waiting<T> {
    item: T,
    secs: f64,
    is_kept: bool,
    /// The state when the frame arrived: a run that resumes from here keeps the same frames after it.
    kept_secs: Option<f64>,
}

impl<T> Scheduler<T> {
    /// Resumes from `position`, which is the default at the beginning. At most `most_kept` of the waiting frames keep their
    /// picture.
    pub fn new(schedule: Schedule, position: Position, most_kept: usize) -> Self {
        Self { schedule, position, waiting: VecDeque::new(), most_kept }
    }

    /// Takes the next frame and returns those that are decided by it, in order. `luma` computes the frame's brightness, `is_near_line`
    /// says whether an animal is near a line; both are called only if needed. `shed` drops the picture of a frame that
    /// waits and won't be inferred.
    pub fn push(
        &mut self,
        item: T,
        moment: FrameTime,
        luma: impl FnOnce(&T) -> SmallLuma,
        is_near_line: impl FnOnce() -> bool,
        shed: impl Fn(&mut T),
    ) -> Vec<ScheduledFrame<T>> {
        let floors = match self.schedule {
            Schedule::EveryFrame => {
                return vec![self.infer(item, moment.secs, InferenceReason::EveryFrame, None)];
            }
            Schedule::Interval { secs } => return vec![self.at_interval(item, moment, secs)],
            Schedule::ByMotion(floors) => floors,
        };
        let FrameTime { secs, .. } = moment;
        let luma = Arc::new(luma(&item));
        let was_still = self.position.moved_secs.is_none_or(|moved| secs - moved >= floors.still_after_secs);
        let moved = self.position.seen.as_ref().is_some_and(|seen| luma.moved_since(seen));
        let mut decided = Vec::new();
        if was_still && moved {
            decided.extend(self.take_lookback(secs - floors.lookback_secs));
        }
        if moved {
            self.position.moved_secs = Some(secs);
        }
        let reason = match self.position.inferred_secs {
            None => Some(InferenceReason::First),
            _ if was_still && moved => Some(InferenceReason::MotionStart),
            _ if moment.next_secs.is_none() => Some(InferenceReason::Last),
            Some(last) => {
                let would_pause = moment.next_secs.map_or(f64::INFINITY, |next| next - last);
                let passes = |floor_secs: f64| would_pause > floor_secs + ROUNDING_SECS;
                if was_still {
                    passes(floors.still_secs).then_some(InferenceReason::Still)
                } else if passes(floors.moving_secs) {
                    Some(InferenceReason::Moving)
                } else {
                    (passes(floors.near_line_secs) && is_near_line()).then_some(InferenceReason::NearLine)
                }
            }
        };
        match reason {
            Some(reason) => {
                decided.extend(self.release(f64::INFINITY));
                decided.push(self.infer(item, secs, reason, Some(luma)));
            }
            // Lookback applies to still scenes only.
            None if was_still => {
                let since = self.position.kept_secs.unwrap_or(f64::NEG_INFINITY);
                let next = moment.next_secs.unwrap_or(f64::INFINITY);
                let is_kept = self.most_kept > 0 && next - since > floors.near_line_secs + ROUNDING_SECS;
                let mut item = item;
                if is_kept {
                    self.position.kept_secs = Some(secs);
                } else {
                    shed(&mut item);
                }
                self.waiting.push_back(Waiting { item, secs, is_kept, kept_secs: self.position.kept_secs });
                decided.extend(self.release(secs - floors.lookback_secs));
                while self.waiting.iter().filter(|frame| frame.is_kept).count() > self.most_kept {
                    decided.extend(self.let_first_go());
                }
            }
            None => decided.push(ScheduledFrame { item, reason: None, position: self.position.clone() }),
        }
        decided
    }

    /// No more frames: returns all that wait.
    pub fn finish(&mut self) -> Vec<ScheduledFrame<T>> {
        self.release(f64::INFINITY)
    }

    /// A gap follows: returns all waiting frames and forgets the scene. The frame after the gap is inferred as the first.
    pub fn restart(&mut self) -> Vec<ScheduledFrame<T>> {
        let rest = self.finish();
        self.position = Position::default();
        rest
    }

    fn at_interval(&mut self, item: T, moment: FrameTime, interval_secs: f64) -> ScheduledFrame<T> {
        let reason = match self.position.inferred_secs {
            None => Some(InferenceReason::First),
            _ if moment.next_secs.is_none() => Some(InferenceReason::Last),
            Some(last) => {
                (moment.secs - last >= interval_secs - ROUNDING_SECS).then_some(InferenceReason::Interval)
            }
        };
        match reason {
            Some(reason) => self.infer(item, moment.secs, reason, None),
            None => ScheduledFrame { item, reason: None, position: self.position.clone() },
        }
    }

    fn infer(
        &mut self,
        item: T,
        secs: f64,
        reason: InferenceReason,
        luma: Option<Arc<SmallLuma>>,
    ) -> ScheduledFrame<T> {
        self.position.inferred_secs = Some(secs);
        self.position.kept_secs = Some(secs);
        self.position.seen = luma;
        ScheduledFrame { item, reason: Some(reason), position: self.position.clone() }
    }

    /// Infers waiting frames kept from `since_secs` on. The frame that woke the scene is still to come, so a run that resumes
    /// between these frames must detect it again: the last inferred picture stays the one to compare with.
    fn take_lookback(&mut self, since_secs: f64) -> Vec<ScheduledFrame<T>> {
        let waiting = std::mem::take(&mut self.waiting);
        let decide = |Waiting { item, secs, is_kept, kept_secs }| {
            let reason =
                (is_kept && secs >= since_secs - ROUNDING_SECS).then_some(InferenceReason::BeforeMotion);
            if reason.is_some() {
                self.position.inferred_secs = Some(secs);
            }
            ScheduledFrame { item, reason, position: Position { kept_secs, ..self.position.clone() } }
        };
        waiting.into_iter().map(decide).collect()
    }

    /// Returns waiting frames before `until_secs`, not inferred.
    fn release(&mut self, until_secs: f64) -> Vec<ScheduledFrame<T>> {
        let count = self.waiting.iter().take_while(|frame| frame.secs < until_secs - ROUNDING_SECS).count();
        (0..count).filter_map(|_| self.let_first_go()).collect()
    }

    fn let_first_go(&mut self) -> Option<ScheduledFrame<T>> {
        let Waiting { item, kept_secs, .. } = self.waiting.pop_front()?;
        Some(ScheduledFrame { item, reason: None, position: Position { kept_secs, ..self.position.clone() } })
    }
}

#[cfg(test)]
mod tests;
