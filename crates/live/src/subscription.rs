//! The distribution of a camera's access units: bounded, and never waiting for a subscriber.

use crate::access_unit::{AccessUnit, CLOCK_RATE_HZ};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::broadcast::{self, error::RecvError};

/// Units that a subscriber may be behind: some seconds of any camera.
const MOST_BEHIND: usize = 256;
/// Units that are noted until it is looked which of them are still held: more than can be held.
const MOST_NOTED_UNITS: usize = 4096;
/// Bytes of all units that subscribers still hold or haven't received. Half a minute of a large camera, or a second of one that sends far too much.
const MOST_HELD_BYTES: usize = 64 << 20;
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
    held: Held,
    /// Units were left out because there was no room.
    has_dropped: bool,
}

/// The units that somebody may still hold, oldest first.
#[derive(Debug, Default)]
struct Held {
    units: VecDeque<(Weak<AccessUnit>, usize)>,
    bytes: usize,
}

impl Held {
    /// Whether there is room for another unit.
    fn has_room(&mut self, bytes: usize) -> bool {
        // Old ones are let go first; one that is held for long hides a few behind it, which then count as held.
        while let Some((_, bytes)) = self.units.front().filter(|(unit, _)| unit.strong_count() == 0) {
            self.bytes -= bytes;
            self.units.pop_front();
        }
        if self.bytes + bytes > MOST_HELD_BYTES || self.units.len() > MOST_NOTED_UNITS {
            self.units.retain(|(unit, _)| unit.strong_count() > 0);
            self.bytes = self.units.iter().map(|(_, bytes)| bytes).sum();
        }
        self.bytes + bytes <= MOST_HELD_BYTES
    }

    fn add(&mut self, unit: &Arc<AccessUnit>) {
        self.bytes += unit.data.len();
        self.units.push_back((Arc::downgrade(unit), unit.data.len()));
    }
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
        Self(Mutex::new(Inner {
            sender,
            recent: Recent::default(),
            held: Held::default(),
            has_dropped: false,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panicking holder leaves units that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn send(&self, mut unit: AccessUnit) {
        let mut inner = self.lock();
        if !inner.held.has_room(unit.data.len()) {
            // What is missing can't be referred to.
            inner.recent = Recent::default();
            inner.has_dropped = true;
            return;
        }
        if std::mem::take(&mut inner.has_dropped) {
            // Receivers wait for the next keyframe then, as after packets that were lost on the way.
            unit.lost_packets = unit.lost_packets.max(1);
        }
        let unit = Arc::new(unit);
        inner.held.add(&unit);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_unit::Codec;

    fn unit(number: u8, bytes: usize) -> AccessUnit {
        AccessUnit {
            data: vec![number; bytes].into(),
            codec: Codec::H264,
            sample_entry: None,
            time_ticks: number.into(),
            arrived_unix_ms: 0,
            is_keyframe: true,
            is_disposable: false,
            epoch: 1,
            follows_gap: false,
            lost_packets: 0,
        }
    }

    #[tokio::test]
    async fn units_that_nobody_takes_are_bounded_in_bytes_and_what_is_left_out_shows_as_loss() {
        let broadcast = Broadcast::new();
        let mut slow = broadcast.subscribe();
        for number in 0..100 {
            broadcast.send(unit(number, 4 << 20));
        }
        let mut taken = 0;
        while let Ok(Received::Unit(unit)) =
            tokio::time::timeout(std::time::Duration::ZERO, slow.next()).await
        {
            assert_eq!(unit.lost_packets, 0);
            taken += 1;
        }
        assert_eq!(taken, MOST_HELD_BYTES / (4 << 20), "the rest was left out");
        broadcast.send(unit(200, 4 << 20));
        let Received::Unit(next) = slow.next().await else { panic!("it goes on") };
        assert_eq!((next.time_ticks, next.lost_packets), (200, 1));
    }
}
