//! A limit on concurrent work, fair between visitors.
//!
//! Who asks for a thousand frames at once waits for them; others are served in between, one of each in turn. The queue is bounded: a visitor that would wait
//! for very long is told so at once.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Requests that wait. At 50 ms a frame the last of a visitor waits some seconds.
const MOST_WAITING: usize = 512;
const MOST_WAITING_OF_VISITOR: usize = 128;

/// See the module's head.
pub struct FairQueue {
    state: Mutex<State>,
}

struct State {
    free: usize,
    /// Of each visitor with someone waiting, the first first.
    waiting: BTreeMap<IpAddr, VecDeque<oneshot::Sender<Place>>>,
    /// Whose turn it is; each visitor once.
    turns: VecDeque<IpAddr>,
}

/// The right to work. It goes to the next when this is dropped.
pub struct Place(Option<Arc<FairQueue>>);

/// Too many wait already.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

impl FairQueue {
    /// So many work at once.
    pub fn new(places: usize) -> Arc<Self> {
        let state = State { free: places.max(1), waiting: BTreeMap::new(), turns: VecDeque::new() };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// [`Full`] at once, if too many wait.
    pub async fn enter(self: &Arc<Self>, visitor: IpAddr) -> Result<Place, Full> {
        let turn = {
            let mut state = self.state();
            if state.free > 0 {
                state.free -= 1;
                return Ok(Place(Some(self.clone())));
            }
            state.join(visitor)?
        };
        // Places are handed on, so a waiting one is never forgotten.
        turn.await.map_err(|_| Full)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is complete in itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn join(&mut self, visitor: IpAddr) -> Result<oneshot::Receiver<Place>, Full> {
        // Those who wait no more make room.
        for waiting in self.waiting.values_mut() {
            waiting.retain(|next| !next.is_closed());
        }
        let in_all: usize = self.waiting.values().map(VecDeque::len).sum();
        let own = self.waiting.get(&visitor).map_or(0, VecDeque::len);
        if in_all >= MOST_WAITING || own >= MOST_WAITING_OF_VISITOR {
            return Err(Full);
        }
        let (sender, receiver) = oneshot::channel();
        if !self.turns.contains(&visitor) {
            self.turns.push_back(visitor);
        }
        self.waiting.entry(visitor).or_default().push_back(sender);
        Ok(receiver)
    }

    /// The next who waits still.
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        while let Some(visitor) = self.turns.pop_front() {
            let Some(waiting) = self.waiting.get_mut(&visitor) else { continue };
            let next = std::iter::from_fn(|| waiting.pop_front()).find(|next| !next.is_closed());
            if waiting.is_empty() {
                self.waiting.remove(&visitor);
            } else {
                self.turns.push_back(visitor);
            }
            if next.is_some() {
                return next;
            }
        }
        None
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(queue) = self.0.take() else { return };
        loop {
            let mut state = queue.state();
            let Some(next) = state.next() else {
                state.free += 1;
                return;
            };
            drop(state);
            match next.send(Self(Some(queue.clone()))) {
                Ok(()) => return,
                // Gone in this moment. Its place isn't dropped, which would take this path again.
                Err(mut place) => place.0 = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn visitor(number: u8) -> IpAddr {
        [10, 0, 0, number].into()
    }

    /// A request that waits, and gets a place when it is its turn.
    fn ask(queue: &Arc<FairQueue>, number: u8) -> futures::future::BoxFuture<'static, Result<Place, Full>> {
        let queue = queue.clone();
        let mut asked = async move { queue.enter(visitor(number)).await }.boxed();
        assert!(asked.as_mut().now_or_never().is_none(), "it waits");
        asked
    }

    #[test]
    fn one_of_each_visitor_is_served_in_turn() {
        let queue = FairQueue::new(1);
        let mut place = queue.enter(visitor(9)).now_or_never();
        let mut waiting: Vec<(u8, _)> =
            [1, 1, 1, 1, 2, 2, 3].map(|number| (number, ask(&queue, number))).into();
        let mut served = Vec::new();
        while !waiting.is_empty() {
            // Given back, it goes to the next.
            drop(place.take());
            let next = waiting.iter_mut().position(|(_, asked)| {
                place = asked.as_mut().now_or_never();
                place.is_some()
            });
            served.push(waiting.remove(next.expect("one of those who wait")).0);
        }
        assert_eq!(served, [1, 2, 3, 1, 2, 1, 1]);
        drop(place);
        assert!(queue.enter(visitor(1)).now_or_never().is_some(), "it is free again");
    }

    #[test]
    fn who_waits_no_more_is_passed_over_and_loses_no_place() {
        let queue = FairQueue::new(2);
        let places: Vec<_> = (0..2).map(|_| queue.enter(visitor(9)).now_or_never()).collect();
        let gone = ask(&queue, 1);
        let mut stays = ask(&queue, 1);
        drop(gone);
        drop(places);
        assert!(matches!(stays.as_mut().now_or_never(), Some(Ok(_))));
        let both: Vec<_> = (0..2).map(|_| queue.enter(visitor(9)).now_or_never()).collect();
        assert!(both.iter().all(Option::is_some));
    }

    #[test]
    fn the_queue_is_bounded_for_each_and_for_all() {
        let queue = FairQueue::new(1);
        let _place = queue.enter(visitor(0)).now_or_never().expect("it is free");
        let mut waiting = Vec::new();
        for number in 1..=4 {
            for _ in 0..MOST_WAITING_OF_VISITOR {
                waiting.push(ask(&queue, number));
            }
            assert!(matches!(queue.enter(visitor(number)).now_or_never(), Some(Err(Full))), "{number}");
        }
        assert!(matches!(queue.enter(visitor(5)).now_or_never(), Some(Err(Full))), "512 wait");
        waiting.pop();
        waiting.push(ask(&queue, 5));
    }
}
