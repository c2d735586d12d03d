//! The state of a camera without the attempts in between, as it is kept and told to other programs.
//!
//! A camera that is off is tried every few seconds: away, connecting, away. To another program it is away, since the first of them, until
//! it is live or away for another reason.

use crate::background::camera_supervisor::reason_of;
use pigweight_live::state::StateHistory;
use pigweight_live::{CameraState, StateChange};
use pigweight_store::Reason;

/// A state without the attempts in between.
#[derive(Clone, Debug, PartialEq)]
pub struct SteadyState {
    /// `connecting`, `live`, `away`, `stopped`.
    pub state: &'static str,
    /// Why it is away.
    pub reason: Option<Reason>,
    /// When it began, milliseconds since 1970.
    pub since_millis: i64,
}

impl SteadyState {
    fn of(change: &StateChange) -> Self {
        Self {
            state: change.state.name(),
            reason: reason_of(&change.state),
            since_millis: change.since_unix_ms,
        }
    }

    /// Whether a change is one to another program.
    fn is_left_by(&self, change: &StateChange) -> bool {
        let code = |reason: &Option<Reason>| reason.as_ref().map(|reason| reason.code);
        match change.state {
            CameraState::Connecting => self.state != "away" && self.state != "connecting",
            _ => {
                let next = Self::of(change);
                (self.state, code(&self.reason)) != (next.state, code(&next.reason))
            }
        }
    }
}

/// Follows a camera through its states.
#[derive(Clone, Debug, Default)]
pub struct StateTracker {
    /// The last change that was looked at, and what it was to others.
    last: Option<(StateChange, SteadyState)>,
}

impl StateTracker {
    /// The states that the camera has entered since the last look, the first first.
    pub fn follow(&mut self, history: &StateHistory) -> Vec<SteadyState> {
        let changes: Vec<&StateChange> = history.earlier().chain([history.now()]).collect();
        let seen =
            self.last.as_ref().and_then(|(last, _)| changes.iter().rposition(|change| *change == last));
        let mut entered = Vec::new();
        // If the last one isn't among them, its address was changed, and the history is another one.
        for change in &changes[seen.map_or(0, |place| place + 1)..] {
            let before = self.last.as_ref().map(|(_, steady)| steady);
            let steady = match before {
                Some(before) if !before.is_left_by(change) => before.clone(),
                _ => {
                    let next = SteadyState::of(change);
                    entered.push(next.clone());
                    next
                }
            };
            self.last = Some(((*change).clone(), steady));
        }
        entered
    }

    /// The current one; `None` before the first look.
    pub fn now(&self) -> Option<&SteadyState> {
        self.last.as_ref().map(|(_, steady)| steady)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pigweight_live::{Codec, Failure, StreamFormat};

    fn away(failure: Failure) -> CameraState {
        CameraState::Away { failure, retry_unix_ms: 0 }
    }

    #[test]
    fn attempts_of_a_camera_that_is_off_are_no_changes() {
        let live = |width| {
            CameraState::Live(StreamFormat {
                codec: Codec::H264,
                size: Some((width, 480)),
                frames_per_sec: None,
            })
        };
        let off = || away(Failure::Stalled { secs: 5 });
        let silent = || away(Failure::Silent { host: "camera".into(), secs: 10 });
        let mut history = StateHistory::new(1);
        let states = [
            live(640),
            live(800),
            off(),
            CameraState::Connecting,
            silent(),
            CameraState::Connecting,
            silent(),
            live(640),
            off(),
        ];
        for (ms, state) in (2..).zip(states) {
            history.enter(state, ms);
        }
        let entered = StateTracker::default().follow(&history);
        let told: Vec<_> = entered
            .into_iter()
            .map(|state| (state.state, state.reason.map(|reason| reason.code), state.since_millis))
            .collect();
        let (stalled, silent) = (Failure::Stalled { secs: 5 }.code(), "silent");
        assert_eq!(
            told,
            [
                ("connecting", None, 1),
                ("live", None, 2),
                ("away", Some(stalled), 4),
                ("away", Some(silent), 6),
                ("live", None, 9),
                ("away", Some(stalled), 10)
            ]
        );
    }

    #[test]
    fn an_hour_of_attempts_is_one_state() {
        let silent = || away(Failure::Silent { host: "camera".into(), secs: 10 });
        let mut history = StateHistory::new(1);
        let mut tracker = StateTracker::default();
        assert_eq!(tracker.follow(&history).len(), 1);
        history.enter(silent(), 2);
        assert_eq!(tracker.follow(&history).len(), 1);
        // The history forgets its oldest changes meanwhile.
        for attempt in 0..500 {
            history.enter(CameraState::Connecting, 3 + attempt);
            assert_eq!(tracker.follow(&history), []);
            history.enter(silent(), 3 + attempt);
            assert_eq!(tracker.follow(&history), []);
        }
        let now = tracker.now().map(|now| (now.state, now.since_millis));
        assert_eq!(now, Some(("away", 2)));
        // Its address was changed: another history.
        let history = StateHistory::new(9000);
        assert_eq!(tracker.follow(&history), []);
    }
}
