//! Moments of a source: integers in its own time base. Frames per second never address a frame.

use serde::{Deserialize, Serialize};

/// A presentation timestamp: a whole number of ticks of the source's [`TimeBase`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pts(pub i64);

/// The length of one tick, `numerator / denominator` seconds. Both are positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeBase {
    numerator: u32,
    denominator: u32,
}

impl TimeBase {
    /// `None` if a part is zero: such a time base can't express time.
    pub const fn new(numerator: u32, denominator: u32) -> Option<Self> {
        if numerator == 0 || denominator == 0 { None } else { Some(Self { numerator, denominator }) }
    }

    /// Ticks per tick-length: the fraction's upper part.
    pub const fn numerator(self) -> u32 {
        self.numerator
    }

    /// The fraction's lower part.
    pub const fn denominator(self) -> u32 {
        self.denominator
    }

    /// Seconds from the time base's own zero to `pts`.
    pub fn secs(self, pts: Pts) -> f64 {
        pts.0 as f64 * f64::from(self.numerator) / f64::from(self.denominator)
    }

    /// The last tick that isn't after `secs`. A thousandth of a tick is tolerated, so that
    /// `floor_pts(secs(p)) == p` despite rounding.
    pub fn floor_pts(self, secs: f64) -> Pts {
        let ticks = secs * f64::from(self.denominator) / f64::from(self.numerator);
        Pts((ticks + 1e-3).floor() as i64)
    }
}

/// The timeline of a recording or a camera: converts pts to seconds, and has its start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timeline {
    /// Of every pts.
    pub time_base: TimeBase,
    /// Second 0.
    pub first_pts: Pts,
    /// The wall clock at second 0, seconds since 1970 (UTC), if known.
    pub started_at: Option<i64>,
}

impl Timeline {
    /// Seconds since second 0.
    pub fn secs(&self, pts: Pts) -> f64 {
        self.time_base.secs(Pts(pts.0 - self.first_pts.0))
    }
}

/// The shortest time counted between two frames. If time repeats or runs backwards (broken
/// pts, a camera that set its clock), each frame counts this much, so that every wait ends
/// after a bounded number of frames.
const SHORTEST_STEP_SECS: f64 = 1e-3;

/// The longest: no wait is longer, and a broken time far ahead must not use up the precision.
const LONGEST_STEP_SECS: f64 = 3600.0;

/// Time that only grows, made from times that may not: trackers and counters use it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Elapsed {
    last_secs: Option<f64>,
    elapsed_secs: f64,
}

impl Elapsed {
    /// Takes the time of the next frame and returns how long after the first frame it is.
    pub(crate) fn advance(&mut self, secs: f64) -> f64 {
        if !secs.is_finite() {
            self.elapsed_secs += SHORTEST_STEP_SECS;
        } else if let Some(last) = self.last_secs.replace(secs) {
            self.elapsed_secs += (secs - last).clamp(SHORTEST_STEP_SECS, LONGEST_STEP_SECS);
        }
        self.elapsed_secs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_zero_in_the_time_base_is_refused() {
        assert_eq!(TimeBase::new(0, 90_000), None);
        assert_eq!(TimeBase::new(1, 0), None);
    }

    #[test]
    fn elapsed_time_survives_a_clock_that_jumps_stops_or_breaks() {
        let mut elapsed = Elapsed::default();
        let steps = [100.0, 100.5, 100.5, 40.0, 40.5, f64::NAN, 41.0].map(|secs| elapsed.advance(secs));
        let expected = [0.0, 0.5, 0.501, 0.502, 1.002, 1.003, 1.503];
        for (step, expected) in steps.into_iter().zip(expected) {
            assert!((step - expected).abs() < 1e-9, "{steps:?}");
        }
    }

    proptest! {
        #[test]
        fn seconds_lead_back_to_the_same_tick(
            ticks in 0_i64..2_000_000_000, numerator in 1_u32..1002, denominator in 1_u32..90_001,
        ) {
            let base = TimeBase::new(numerator, denominator).unwrap();
            prop_assert_eq!(base.floor_pts(base.secs(Pts(ticks))), Pts(ticks));
        }
    }
}
