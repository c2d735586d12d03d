//! Which frames of a video are looked at by the detector.

use serde::{Deserialize, Serialize};

/// How often the detector looks. A floor in Hz, not in frames: what a pig does between two looks depends on
/// the time between them. Frames in between are filled from both neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Schedule {
    /// Every frame.
    EveryFrame,
    /// A frame is looked at when at least this long has passed since the last one that was.
    Interval {
        /// Seconds.
        secs: f64,
    },
}

impl Schedule {
    /// Ten looks a second: enough beside a line (findings on fixed cameras: identities hold down to 6 Hz,
    /// crossings want 10).
    pub const DEFAULT: Self = Self::Interval { secs: 0.1 };

    /// Whether to look at the frame at `secs`, when the last look was at `last_secs`.
    pub fn wants(self, secs: f64, last_secs: Option<f64>) -> bool {
        // A thousandth of a second is forgiven: pts in milliseconds make 0.1 s come as 0.099.
        match (self, last_secs) {
            (Self::EveryFrame, _) | (_, None) => true,
            (Self::Interval { secs: interval }, Some(last)) => secs - last >= interval - 1e-3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(schedule: Schedule, fps: f64) -> usize {
        let mut last = None;
        (0..100)
            .filter(|&n| {
                let secs = f64::from(n) / fps;
                let wanted = schedule.wants(secs, last);
                if wanted {
                    last = Some(secs);
                }
                wanted
            })
            .count()
    }

    #[test]
    fn slow_videos_lose_no_look_and_fast_ones_keep_the_floor() {
        assert_eq!(looks(Schedule::DEFAULT, 5.0), 100);
        assert_eq!(looks(Schedule::DEFAULT, 10.0), 100);
        assert_eq!(looks(Schedule::DEFAULT, 20.0), 50);
        assert_eq!(looks(Schedule::DEFAULT, 25.0), 34);
        assert_eq!(looks(Schedule::EveryFrame, 50.0), 100);
    }
}
