//! The distribution of a camera's access units: bounded, and never waiting for a subscriber.

use crate::access_unit::{AccessUnit, CLOCK_RATE_HZ};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast::{self, error::RecvError};

/// Units that a subscriber may be behind: some seconds of any camera.
const MOST_BEHIND: usize = 256;
/// Of the units since the last keyframe, which a new subscriber gets at once.
const MOST_RECENT_TICKS: i64 = 10 * CLOCK_RATE_HZ as i64;
const MOST_RECENT_BYTES: usize = 8 << 20;
const MOST_RECENT_UNITS: usize = 600;

/// The sending end.
#[derive(Debug)]
pub(crate) struct Broadcast(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    /// `None` after the end.
    sender: Option<broadcast::Sender<Arc<AccessUnit>>>,
    recent: Recent,
}

/// The units since the last keyframe, unless they are too many.
#[derive(Debug, Default)]
struct Recent {
    units: VecDeque<Arc<AccessUnit>>,
    bytes: usize,
}

impl Broadcast {
    pub(crate) fn new() -> Self {
        let sender = Some(broadcast::Sender::new(MOST_BEHIND));
        Self(Mutex::new(Inner { sender, recent: Recent::default() }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panicking holder leaves units that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn send(&self, unit: AccessUnit) {
        let unit = Arc::new(unit);
        let mut inner = self.lock();
        inner.recent.add(&unit);
        if let Some(sender) = &inner.sender {
            // Without subscribers, sending fails and nothing is lost. The lock is held while sending, so that a new subscriber neither misses nor repeats a unit.
            let _unheard = sender.send(unit);
        }
    }

    /// Units of the connection that ended are of no use to a new subscriber.
    pub(crate) fn forget(&self) {
        self.lock().recent = Recent::default();
    }

    /// Ends all subscriptions, also later ones.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.sender = None;
        inner.recent = Recent::default();
    }

    pub(crate) fn subscribe(&self) -> Subscription {
        let inner = self.lock();
        let receiver = match &inner.sender {
            Some(sender) => sender.subscribe(),
            // Its sender is gone at once: the subscription has ended.
            None => broadcast::Sender::new(1).subscribe(),
        };
        let first = inner.recent.units.clone();
        Subscription { waits_for_keyframe: first.is_empty(), first, receiver }
    }
}

impl Recent {
    fn add(&mut self, unit: &Arc<AccessUnit>) {
        if unit.is_keyframe {
            *self = Self::default();
        } else if self.units.is_empty() {
            return;
        }
        self.bytes += unit.data.len();
        self.units.push_back(unit.clone());
        let is_long =
            self.units.front().is_some_and(|first| unit.time_ticks - first.time_ticks > MOST_RECENT_TICKS);
        if is_long || self.bytes > MOST_RECENT_BYTES || self.units.len() > MOST_RECENT_UNITS {
            // Its beginning can't be left out, so a new subscriber waits for the next keyframe.
            *self = Self::default();
        }
    }
}

/// What a subscriber receives.
#[derive(Clone, Debug)]
pub enum Received {
    /// The next access unit. The first is a keyframe, and so is the one after [`Received::Lost`].
    Unit(Arc<AccessUnit>),
    /// The subscriber was too slow: this many units were dropped.
    Lost(u64),
    /// The camera was stopped.
    End,
}

/// One subscriber of a camera.
#[derive(Debug)]
pub struct Subscription {
    first: VecDeque<Arc<AccessUnit>>,
    receiver: broadcast::Receiver<Arc<AccessUnit>>,
    waits_for_keyframe: bool,
}

impl Subscription {
    /// The next access unit, when there is one.
    pub async fn next(&mut self) -> Received {
        if let Some(unit) = self.first.pop_front() {
            return Received::Unit(unit);
        }
        loop {
            let received = self.receiver.recv().await;
            if let Some(received) = self.take(received) {
                return received;
            }
        }
    }

    /// The same for threads; not for use in an asynchronous task.
    pub fn blocking_next(&mut self) -> Received {
        if let Some(unit) = self.first.pop_front() {
            return Received::Unit(unit);
        }
        loop {
            let received = self.receiver.blocking_recv();
            if let Some(received) = self.take(received) {
                return received;
            }
        }
    }

    fn take(&mut self, received: Result<Arc<AccessUnit>, RecvError>) -> Option<Received> {
        match received {
            Ok(unit) if self.waits_for_keyframe && !unit.is_keyframe => None,
            Ok(unit) => {
                self.waits_for_keyframe = false;
                Some(Received::Unit(unit))
            }
            Err(RecvError::Lagged(units)) => {
                self.waits_for_keyframe = true;
                Some(Received::Lost(units))
            }
            Err(RecvError::Closed) => Some(Received::End),
        }
    }
}
