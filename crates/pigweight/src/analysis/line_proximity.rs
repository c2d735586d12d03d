//! Feedback from tracking to the schedule: whether an animal was near a line.
//!
//! Decoding runs ahead of tracking by what the queues hold, which differs between machines. To get the same
//! inferences everywhere, the answer for a frame is that of the last inference at least a second before it. If
//! tracking hasn't come that far, decoding waits. Animals move during that second, so their predicted
//! positions count as well ([`is_near`]).

use pigweight_core::geometry::Rect;
use pigweight_core::interpolate::SettledTracker;
use pigweight_core::line::Line;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How far before a frame the inference lies whose answer is used. Long enough for a few sessions to work in parallel.
const BEHIND_SECS: f64 = 1.0;
/// Times for which an animal's position is predicted, seconds from now.
const AHEAD_SECS: [f64; 3] = [0.0, BEHIND_SECS / 2.0, BEHIND_SECS];

/// Answers of the inferences of the last second: stored with a run, so that it resumes exactly.
pub type Recent = VecDeque<(f64, bool)>;

/// Shared by the decoding and the tracking thread.
#[derive(Default)]
pub struct LineProximity {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    /// By time of the inference, whose answer may not be known yet.
    inferences: VecDeque<(f64, Option<bool>)>,
    is_over: bool,
}

/// Whether one of the animals is near one of the lines, or will be within the second in which this answer is used.
pub fn is_near(lines: &[Line], tracker: &SettledTracker) -> bool {
    let is_near = |animal: Rect| lines.iter().any(|line| line.is_near(animal));
    !lines.is_empty() && AHEAD_SECS.iter().any(|&ahead_secs| tracker.places(ahead_secs).any(is_near))
}

impl LineProximity {
    /// Resumes behind inferences whose answers are known.
    pub fn after(recent: &Recent) -> Self {
        let inferences = recent.iter().map(|&(secs, is_near)| (secs, Some(is_near))).collect();
        Self { state: Mutex::new(State { inferences, is_over: false }), news: Condvar::new() }
    }

    /// Decoding: the frame at `secs` will be inferred.
    pub fn expect(&self, secs: f64) {
        self.state().inferences.push_back((secs, None));
    }

    /// Tracking: the result of the inference at `secs`. Returns the answers of the last second.
    pub fn report(&self, secs: f64, is_near: bool) -> Recent {
        let mut state = self.state();
        match state.inferences.iter_mut().find(|inference| inference.0 == secs && inference.1.is_none()) {
            Some(inference) => inference.1 = Some(is_near),
            // A camera's inferences aren't expected: any of them may be skipped.
            None => state.inferences.push_back((secs, Some(is_near))),
        }
        // No later frame needs answers from before the last inference a second ago.
        while state.inferences.get(1).is_some_and(|inference| inference.0 <= secs - BEHIND_SECS) {
            state.inferences.pop_front();
        }
        self.news.notify_all();
        state.inferences.iter().map_while(|&(secs, is_near)| Some((secs, is_near?))).collect()
    }

    /// Decoding: whether an animal was near a line at the last inference a second before the frame at `secs`.
    pub fn was_near(&self, secs: f64) -> bool {
        let mut state = self.state();
        loop {
            match state.inferences.iter().rfind(|inference| inference.0 <= secs - BEHIND_SECS) {
                None => return false,
                Some((_, Some(is_near))) => return *is_near,
                Some(_) if state.is_over => return false,
                Some(_) => state = self.news.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Decoding a camera: whether an animal was near a line at the last inference with a known answer, without waiting.
    pub fn is_known_near(&self, secs: f64) -> bool {
        let state = self.state();
        state
            .inferences
            .iter()
            .rev()
            .find_map(|&(at, is_near)| is_near.filter(|_| at <= secs))
            .unwrap_or(false)
    }

    /// Tracking has ended: decoding no longer waits for it.
    pub fn end(&self) {
        self.state().is_over = true;
        self.news.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proximity_is_that_of_the_last_inference_a_second_before() {
        let line_proximity = LineProximity::default();
        for (inference, is_near) in [(0.0, true), (0.5, false), (1.0, true)] {
            line_proximity.expect(inference);
            line_proximity.report(inference, is_near);
        }
        let answers: Vec<bool> =
            [0.9, 1.0, 1.4, 1.5, 1.9, 2.0].map(|secs| line_proximity.was_near(secs)).into();
        assert_eq!(answers, [false, true, true, false, false, true]);
        line_proximity.expect(2.0);
        let recent = line_proximity.report(2.0, false);
        assert_eq!(recent, [(1.0, true), (2.0, false)]);
        let resumed = LineProximity::after(&recent);
        assert!(resumed.was_near(2.4) && !resumed.was_near(3.0));
    }

    #[test]
    fn decoding_waits_for_tracking_unless_tracking_has_ended() {
        let line_proximity = LineProximity::default();
        line_proximity.expect(0.0);
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| line_proximity.was_near(1.2));
            line_proximity.report(0.0, true);
            assert!(asked.join().unwrap());
            line_proximity.expect(1.0);
            let asked = scope.spawn(|| line_proximity.was_near(2.2));
            line_proximity.end();
            assert!(!asked.join().unwrap());
        });
    }

    #[test]
    fn only_the_last_second_of_inferences_is_kept() {
        let line_proximity = LineProximity::default();
        for second in 0..10_000 {
            line_proximity.expect(f64::from(second));
            assert!(line_proximity.report(f64::from(second), false).len() <= 3);
        }
    }
}
