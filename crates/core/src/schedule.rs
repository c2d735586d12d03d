//! Which frames of a source the detector looks at, and why.
//!
//! Inference is the dear part, so it is spent where it tells something. The floors are in Hz, never in frames: what an animal
//! does between two looks depends on the time between them. Frames in between are filled from both neighbours.
//!
//! By motion ([`Schedule::ByMotion`]), a scene is *still* when nothing differed from the last picture that was looked at for a
//! second; it is then looked at once a second. Each frame is compared with the last one *looked at*, so that slow drift adds
//! up. The frame that differs is looked at at once, and so are those of the half second before it, in which the motion
//! began. While something moves, the scene is looked at often enough for identities to hold, and more often while an animal is
//! near a line. `docs/design/0010-schedule.md` has figures and rejected alternatives.
//!
//! Nothing here reads a clock or knows a picture's size: the same frames give the same looks, also when the
//! [`Position`] was stored in between.

use crate::motion::SmallLuma;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

/// Grows whenever the same frames could give other looks; kept with each run.
pub const RULE_VERSION: u32 = 1;

/// Pts in milliseconds make 0.1 s come as 0.099 or 0.101.
const ROUNDING_SECS: f64 = 1e-3;

/// How it is decided which frames the detector looks at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Schedule {
    /// Every frame.
    EveryFrame,
    /// A frame is looked at when at least this long has passed since the last one that was.
    Interval {
        /// Seconds.
        secs: f64,
    },
    /// As often as what is seen asks for.
    ByMotion(InferenceIntervals),
}

/// The longest pauses between two looks, and what a still scene is.
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
    /// When a still scene comes to move, what lies so far back is looked at as well, seconds.
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

/// InferenceReason the detector looked at a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InferenceReason {
    /// Every frame is looked at.
    EveryFrame,
    /// A fixed interval had passed.
    Interval,
    /// Nothing was known before it.
    First,
    /// What follows the last look has no neighbour to be filled from.
    Last,
    /// The floor of a still scene.
    Still,
    /// The floor of a scene in which something moves.
    Moving,
    /// The floor while something moves and an animal is near a line.
    NearLine,
    /// It differs from the picture that was looked at last, in a scene that was still.
    MotionStart,
    /// It lies shortly before a frame that woke a still scene.
    BeforeMotion,
}

impl InferenceReason {
    /// All of them; a reason's place is its stored number, so new ones go to the end.
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

/// Where a schedule stands: all that its next decision depends on, besides the frames to come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    inferred_secs: Option<f64>,
    /// The last frame that was looked at or kept to be looked back at.
    kept_secs: Option<f64>,
    moved_secs: Option<f64>,
    /// What the detector saw last.
    seen: Option<Arc<SmallLuma>>,
}

/// A frame as the schedule sees it.
#[derive(Clone, Copy, Debug)]
pub struct FrameTime {
    /// Seconds.
    pub secs: f64,
    /// Of the frame that follows, seconds; `None` for the last one. A floor is kept by looking while there is still time.
    pub next_secs: Option<f64>,
}

/// A frame that was decided on.
#[derive(Debug)]
pub struct ScheduledFrame<T> {
    /// As given.
    pub item: T,
    /// InferenceReason the detector looks at it; `None`: it does not.
    pub reason: Option<InferenceReason>,
    /// Where the schedule stands behind it.
    pub position: Position,
}

/// Decides frame by frame; what may still be looked back at waits in it, bounded by [`InferenceIntervals::lookback_secs`] and by
/// `most_kept`.
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
    /// As it was when the frame had come: whoever goes on from here keeps the same frames after it.
    kept_secs: Option<f64>,
}

impl<T> Scheduler<T> {
    /// Goes on from `position`; at the beginning that is the default. Of what waits at most `most_kept` frames keep their
    /// picture.
    pub fn new(schedule: Schedule, position: Position, most_kept: usize) -> Self {
        Self { schedule, position, waiting: VecDeque::new(), most_kept }
    }

    /// Takes the next frame, gives those that are decided by it, in order. `luma` makes the frame's brightness, `is_near_line`
    /// says whether an animal is near a line: both are asked only where it matters. `shed` takes the picture off a frame that
    /// waits and will not be looked at.
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
            // Only a still scene is looked back at.
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

    /// No frame follows: gives all that wait.
    pub fn finish(&mut self) -> Vec<ScheduledFrame<T>> {
        self.release(f64::INFINITY)
    }

    /// A gap follows: gives all frames that wait, and forgets the scene. The frame after the gap is inferred as the first.
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

    /// Looks at what waits and was kept from `since_secs` on. What woke the scene is still to come, so whoever goes on from
    /// between these frames must find it again: the picture that was seen last stays the one to compare with.
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

    /// Gives what waits from before `until_secs`, not looked at.
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
#[path = "schedule/tests.rs"]
mod tests;
