//! What tracking tells the schedule: whether an animal was near a line.
//!
//! Decoding runs ahead of tracking by as much as the queues hold, which differs from machine to machine. So that the same
//! video gives the same looks everywhere, the answer for a frame is that of the last look a second before it; where
//! tracking has not come so far yet, decoding waits for it. In that second an animal goes on: where it is heading
//! counts as well ([`is_near`]).

use pigweight_core::geometry::Rect;
use pigweight_core::interpolate::SettledTracker;
use pigweight_core::line::Line;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How far behind a frame the look lies that says what is near. Long enough for a few sessions to work side by side.
const BEHIND_SECS: f64 = 1.0;
/// The moments at which the place of an animal is asked for, seconds from now.
const AHEAD_SECS: [f64; 3] = [0.0, BEHIND_SECS / 2.0, BEHIND_SECS];

/// What was near at looks of the last second: stored with a run, so that it goes on as if nothing had happened.
pub type Recent = VecDeque<(f64, bool)>;

/// Between the thread that decodes and the one that tracks.
#[derive(Default)]
pub struct Nearness {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    /// By the time of the look, of which the answer may not be known yet.
    looks: VecDeque<(f64, Option<bool>)>,
    is_over: bool,
}

/// Whether one of the animals is near one of the lines, or will be within the second in which this is the answer.
pub fn is_near(lines: &[Line], tracker: &SettledTracker) -> bool {
    let is_near = |animal: Rect| lines.iter().any(|line| line.is_near(animal));
    !lines.is_empty() && AHEAD_SECS.iter().any(|&ahead_secs| tracker.places(ahead_secs).any(is_near))
}

impl Nearness {
    /// Goes on behind looks of which the answers are known.
    pub fn after(recent: &Recent) -> Self {
        let looks = recent.iter().map(|&(secs, is_near)| (secs, Some(is_near))).collect();
        Self { state: Mutex::new(State { looks, is_over: false }), news: Condvar::new() }
    }

    /// Decoding: there will be a look at `secs`.
    pub fn will_tell(&self, secs: f64) {
        self.state().looks.push_back((secs, None));
    }

    /// Tracking: what the look at `secs` showed. Gives what was near at the looks of the last second.
    pub fn tell(&self, secs: f64, is_near: bool) -> Recent {
        let mut state = self.state();
        // Looks are tracked in the order in which they were decided on.
        if let Some(look) = state.looks.iter_mut().find(|look| look.1.is_none()) {
            look.1 = Some(is_near);
        }
        // No frame that is still to come asks for what lies before the last look a second ago.
        while state.looks.get(1).is_some_and(|look| look.0 <= secs - BEHIND_SECS) {
            state.looks.pop_front();
        }
        self.news.notify_all();
        state.looks.iter().map_while(|&(secs, is_near)| Some((secs, is_near?))).collect()
    }

    /// Decoding: whether an animal was near a line at the last look a second before the frame at `secs`.
    pub fn was_near(&self, secs: f64) -> bool {
        let mut state = self.state();
        loop {
            match state.looks.iter().rfind(|look| look.0 <= secs - BEHIND_SECS) {
                None => return false,
                Some((_, Some(is_near))) => return *is_near,
                Some(_) if state.is_over => return false,
                Some(_) => state = self.news.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Tracking has ended: nobody waits for it any more.
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
    fn the_answer_is_that_of_the_last_look_a_second_before() {
        let nearness = Nearness::default();
        for (look, is_near) in [(0.0, true), (0.5, false), (1.0, true)] {
            nearness.will_tell(look);
            nearness.tell(look, is_near);
        }
        let answers: Vec<bool> = [0.9, 1.0, 1.4, 1.5, 1.9, 2.0].map(|secs| nearness.was_near(secs)).into();
        assert_eq!(answers, [false, true, true, false, false, true]);
        nearness.will_tell(2.0);
        let recent = nearness.tell(2.0, false);
        assert_eq!(recent, [(1.0, true), (2.0, false)]);
        let resumed = Nearness::after(&recent);
        assert!(resumed.was_near(2.4) && !resumed.was_near(3.0));
    }

    #[test]
    fn decoding_waits_for_tracking_and_not_for_one_that_has_ended() {
        let nearness = Nearness::default();
        nearness.will_tell(0.0);
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| nearness.was_near(1.2));
            nearness.tell(0.0, true);
            assert!(asked.join().unwrap());
            nearness.will_tell(1.0);
            let asked = scope.spawn(|| nearness.was_near(2.2));
            nearness.end();
            assert!(!asked.join().unwrap());
        });
    }

    #[test]
    fn hours_of_looks_keep_a_second() {
        let nearness = Nearness::default();
        for second in 0..10_000 {
            nearness.will_tell(f64::from(second));
            assert!(nearness.tell(f64::from(second), false).len() <= 3);
        }
    }
}
