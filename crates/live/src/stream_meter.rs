//! What a camera really sends, measured: what it states is often wrong.

use crate::access_unit::CLOCK_RATE_HZ;
use crate::session::SessionUnit;
use std::collections::VecDeque;

/// Rates are those of so much of the stream.
const WINDOW_TICKS: i64 = 10 * CLOCK_RATE_HZ as i64;
/// Frames of a window: what a camera of 120 frames a second sends in it.
const MOST_FRAMES: usize = 1200;
/// Of less, rates say nothing: cameras begin with a burst.
const LEAST_TICKS: i64 = 2 * CLOCK_RATE_HZ as i64;
/// Of one a second, this many.
const LEAST_FRAMES: usize = 3;
/// Intervals between keyframes that are looked at: some cameras begin with a short one.
const MOST_INTERVALS: usize = 4;

/// What was measured since the connection began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StreamMeasures {
    /// Frames a second, by their own times.
    pub frames_per_sec: Option<f64>,
    /// Bits a second, coded.
    pub bits_per_sec: Option<f64>,
    /// The longest of the last four intervals between keyframes, seconds; or how long there has been none, if that is longer.
    pub keyframe_interval_secs: Option<f64>,
    /// Frames from one keyframe to the next, in the last complete interval.
    pub keyframe_interval_frames: Option<u32>,
    /// Frames come in another order than they are shown (B-frames), and later ones refer to them.
    pub has_reordered_frames: bool,
    /// Share of the frames before which packets were lost, 0 to 1.
    pub loss_share: f64,
}

struct Seen {
    ticks: i64,
    bytes: usize,
    is_after_loss: bool,
}

/// Measures one connection. Reads no clock.
#[derive(Default)]
pub struct StreamMeter {
    window: VecDeque<Seen>,
    bytes: usize,
    after_loss: usize,
    latest_ticks: i64,
    /// Its time, and the frames since, itself included.
    last_keyframe: Option<(i64, u32)>,
    /// Ticks and frames of complete ones.
    intervals: VecDeque<(i64, u32)>,
    /// Of the frames since the last keyframe.
    last_shown_ticks: Option<i64>,
    has_reordered_frames: bool,
}

impl StreamMeter {
    /// The next frame.
    pub fn see(&mut self, unit: &SessionUnit) {
        self.follow_order(unit);
        let ticks = unit.session_ticks;
        if unit.is_keyframe {
            if let Some((since, frames)) = self.last_keyframe {
                self.intervals.push_back((ticks.saturating_sub(since).max(0), frames));
                if self.intervals.len() > MOST_INTERVALS {
                    self.intervals.pop_front();
                }
            }
            self.last_keyframe = Some((ticks, 1));
        } else if let Some((_, frames)) = &mut self.last_keyframe {
            *frames = frames.saturating_add(1);
        }
        // After a jump of the camera's clock nothing before it can be compared.
        if self.window.back().is_some_and(|last| ticks.abs_diff(last.ticks) > WINDOW_TICKS.unsigned_abs()) {
            (self.bytes, self.after_loss) = (0, 0);
            self.window.clear();
            self.intervals.clear();
            self.last_keyframe = unit.is_keyframe.then_some((ticks, 1));
        }
        let is_after_loss = unit.lost_packets > 0;
        self.window.push_back(Seen { ticks, bytes: unit.data.len(), is_after_loss });
        self.bytes += unit.data.len();
        self.after_loss += usize::from(is_after_loss);
        self.latest_ticks = ticks;
        while self.window.len() > MOST_FRAMES
            || self.window.front().is_some_and(|first| ticks.saturating_sub(first.ticks) > WINDOW_TICKS)
        {
            let Some(first) = self.window.pop_front() else { break };
            self.bytes -= first.bytes;
            self.after_loss -= usize::from(first.is_after_loss);
        }
    }

    /// Whether a frame has come after one that is shown later. At once, as viewers depend on it.
    pub fn has_reordered_frames(&self) -> bool {
        self.has_reordered_frames
    }

    /// What was measured; `None`: too little has come for that.
    pub fn measures(&self) -> Option<StreamMeasures> {
        let first = self.window.front()?;
        let span_ticks = self.latest_ticks.saturating_sub(first.ticks);
        if span_ticks < LEAST_TICKS || self.window.len() < LEAST_FRAMES {
            return None;
        }
        let intervals = (self.window.len() - 1) as f64;
        let secs = seconds(span_ticks);
        let open = self.last_keyframe.map(|(since, _)| self.latest_ticks.saturating_sub(since));
        let longest = self.intervals.iter().map(|&(ticks, _)| ticks).max();
        let keyframe_interval = match (longest, open) {
            (Some(longest), Some(open)) => Some(longest.max(open)),
            // The first one is still going on: it says something once it is longer than any that is advised.
            (None, Some(open)) if open >= LEAST_TICKS => Some(open),
            _ => None,
        };
        Some(StreamMeasures {
            frames_per_sec: Some(intervals / secs),
            bits_per_sec: Some(self.bytes.saturating_sub(first.bytes) as f64 * 8.0 / secs),
            keyframe_interval_secs: keyframe_interval.map(seconds),
            keyframe_interval_frames: self.intervals.back().map(|&(_, frames)| frames),
            has_reordered_frames: self.has_reordered_frames,
            loss_share: self.after_loss as f64 / self.window.len() as f64,
        })
    }

    /// Whether what was measured won't change much: two intervals between keyframes are complete.
    pub fn is_complete(&self) -> bool {
        self.intervals.len() >= 2 && self.measures().is_some()
    }

    fn follow_order(&mut self, unit: &SessionUnit) {
        let latest = self.last_shown_ticks.filter(|_| !unit.is_keyframe);
        self.last_shown_ticks = latest.max(Some(unit.session_ticks));
        // A viewer can do without one that no other refers to.
        self.has_reordered_frames |=
            latest.is_some_and(|latest| unit.session_ticks < latest) && !unit.is_disposable;
    }
}

fn seconds(ticks: i64) -> f64 {
    ticks as f64 / f64::from(CLOCK_RATE_HZ)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(ticks: i64, is_keyframe: bool) -> SessionUnit {
        SessionUnit {
            data: vec![0; 1000].into(),
            session_ticks: ticks,
            is_keyframe,
            is_disposable: false,
            lost_packets: 0,
        }
    }

    /// A camera of so many frames a second, a keyframe every `group` frames.
    fn measured(rate: i64, group: i64, frames: i64) -> Option<StreamMeasures> {
        let mut meter = StreamMeter::default();
        for number in 0..frames {
            meter.see(&unit(number * 90_000 / rate, number % group == 0));
        }
        meter.measures()
    }

    #[test]
    fn rates_and_keyframes_of_cameras() {
        let table = [
            // rate, group, frames → keyframe interval s, frames
            (15, 30, 150, Some(2.0), Some(30)),
            (25, 25, 1000, Some(1.0), Some(25)),
            (1, 1, 5, Some(1.0), Some(1)),
            (120, 120, 3000, Some(1.0), Some(120)),
            // The first interval has not ended, and is long already.
            (15, 900, 120, Some(119.0 / 15.0), None),
        ];
        for (rate, group, frames, secs, between) in table {
            let found = measured(rate, group, frames).expect("enough frames");
            let close = |one: Option<f64>, other: Option<f64>| match (one, other) {
                (Some(one), Some(other)) => (one - other).abs() < 0.05 * other,
                (one, other) => one == other,
            };
            assert!(close(found.frames_per_sec, Some(rate as f64)), "{rate}: {found:?}");
            assert!(close(found.bits_per_sec, Some(8000.0 * rate as f64)), "{rate}: {found:?}");
            assert!(close(found.keyframe_interval_secs, secs), "{rate}, {group}: {found:?}");
            assert_eq!(found.keyframe_interval_frames, between, "{rate}, {group}");
        }
    }

    #[test]
    fn too_little_says_nothing() {
        assert_eq!(measured(25, 25, 30), None, "little more than a second");
        assert_eq!(measured(25, 25, 0), None);
    }

    #[test]
    fn a_clock_that_jumps_or_stands_still_makes_no_absurd_rate() {
        let mut meter = StreamMeter::default();
        for number in 0..100 {
            meter.see(&unit(number * 6000, number % 15 == 0));
        }
        // A day ahead, then an hour back.
        for start in [24 * 3600 * 90_000, 23 * 3600 * 90_000] {
            for number in 0..60 {
                meter.see(&unit(start + number * 6000, number % 15 == 0));
            }
            let found = meter.measures().expect("four seconds since the jump");
            assert!((found.frames_per_sec.unwrap_or(0.0) - 15.0).abs() < 0.5, "{found:?}");
            assert!(found.keyframe_interval_secs.unwrap_or(0.0) < 1.1, "{found:?}");
        }
        let mut meter = StreamMeter::default();
        for _ in 0..5000 {
            meter.see(&unit(7, true));
        }
        assert_eq!(meter.measures(), None);
        assert!(meter.window.len() <= MOST_FRAMES);
    }

    #[test]
    fn b_frames_and_losses_are_noticed() {
        let mut meter = StreamMeter::default();
        for group in 0..10_i64 {
            for (order, is_key) in [(0, true), (2, false), (1, false), (4, false), (3, false)] {
                let lost_packets = u16::from(group == 5 && order == 4);
                let ticks = (group * 5 + order) * 9000;
                meter.see(&SessionUnit { lost_packets, ..unit(ticks, is_key) });
            }
        }
        let found = meter.measures().expect("five seconds");
        assert!(found.has_reordered_frames && meter.is_complete());
        assert!((found.loss_share - 0.02).abs() < 1e-9, "{found:?}");
    }
}
