//! The state of a camera. It is in exactly one, and its last changes are kept.

use crate::access_unit::StreamFormat;
use crate::failure::Failure;
use std::collections::VecDeque;

/// Changes that are kept.
const MOST_CHANGES: usize = 200;

/// What a camera is doing.
#[derive(Clone, Debug, PartialEq)]
pub enum CameraState {
    /// It is being connected.
    Connecting,
    /// Frames arrive.
    Live(StreamFormat),
    /// It can't be reached or has stopped; it is tried again by itself.
    Away {
        /// Why.
        failure: Failure,
        /// When it is tried again, milliseconds since 1970.
        retry_unix_ms: i64,
    },
    /// It was stopped.
    Stopped,
}

impl CameraState {
    /// A permanent name for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Live(_) => "live",
            Self::Away { .. } => "away",
            Self::Stopped => "stopped",
        }
    }
}

/// A state and when it began.
#[derive(Clone, Debug, PartialEq)]
pub struct StateChange {
    /// Milliseconds since 1970.
    pub since_unix_ms: i64,
    /// The state from then on.
    pub state: CameraState,
}

/// The state of a camera and the ones before it, oldest first.
#[derive(Clone, Debug)]
pub struct StateHistory {
    changes: VecDeque<StateChange>,
    now: StateChange,
}

impl StateHistory {
    /// Connecting since then.
    pub fn new(unix_ms: i64) -> Self {
        let now = StateChange { since_unix_ms: unix_ms, state: CameraState::Connecting };
        Self { changes: VecDeque::new(), now }
    }

    /// Enters a state. `false`: it was in it already.
    pub fn enter(&mut self, state: CameraState, unix_ms: i64) -> bool {
        if self.now.state == state {
            return false;
        }
        let before = std::mem::replace(&mut self.now, StateChange { since_unix_ms: unix_ms, state });
        self.changes.push_back(before);
        if self.changes.len() > MOST_CHANGES {
            self.changes.pop_front();
        }
        true
    }

    /// The current one.
    pub fn now(&self) -> &StateChange {
        &self.now
    }

    /// The ones before it, oldest first.
    pub fn earlier(&self) -> impl Iterator<Item = &StateChange> {
        self.changes.iter()
    }
}
