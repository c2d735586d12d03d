//! A semaphore that is fair between clients.
//!
//! A client that requests a thousand frames at once waits for them. Requests of other clients are served in between, in round-robin order. The
//! queue is bounded: a request that would wait too long is rejected at once.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Requests that wait. At 50 ms a frame the last of a client waits some seconds.
const MOST_WAITING: usize = 512;
const MOST_WAITING_OF_CLIENT: usize = 128;

/// See the module's head.
pub struct FairQueue {
    state: Mutex<State>,
}

struct State {
    free: usize,
    /// Waiting requests of each client, oldest first.
    waiting: BTreeMap<IpAddr, VecDeque<oneshot::Sender<Place>>>,
    /// Clients in round-robin order, each once.
    turns: VecDeque<IpAddr>,
}

/// A permit. Dropping it hands it to the next request.
pub struct Place(Option<Arc<FairQueue>>);

/// The queue is full.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

impl FairQueue {
    /// With this many permits.
    pub fn new(places: usize) -> Arc<Self> {
        let state = State { free: places.max(1), waiting: BTreeMap::new(), turns: VecDeque::new() };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// [`Full`] at once, if too many wait.
    pub async fn enter(self: &Arc<Self>, client: IpAddr) -> Result<Place, Full> {
        let turn = {
            let mut state = self.state();
            if state.free > 0 {
                state.free -= 1;
                return Ok(Place(Some(self.clone())));
            }
            state.join(client)?
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
    fn join(&mut self, client: IpAddr) -> Result<oneshot::Receiver<Place>, Full> {
        // Cancelled requests make room.
        for waiting in self.waiting.values_mut() {
            waiting.retain(|next| !next.is_closed());
        }
        let in_all: usize = self.waiting.values().map(VecDeque::len).sum();
        let own = self.waiting.get(&client).map_or(0, VecDeque::len);
        if in_all >= MOST_WAITING || own >= MOST_WAITING_OF_CLIENT {
            return Err(Full);
        }
        let (sender, receiver) = oneshot::channel();
        if !self.turns.contains(&client) {
            self.turns.push_back(client);
        }
        self.waiting.entry(client).or_default().push_back(sender);
        Ok(receiver)
    }

    /// The next request that isn't cancelled.
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        while let Some(client) = self.turns.pop_front() {
            let Some(waiting) = self.waiting.get_mut(&client) else { continue };
            let next = std::iter::from_fn(|| waiting.pop_front()).find(|next| !next.is_closed());
            if waiting.is_empty() {
                self.waiting.remove(&client);
            } else {
                self.turns.push_back(client);
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

    fn client(number: u8) -> IpAddr {
        [10, 0, 0, number].into()
    }

    /// A request that waits, and gets a place when it is its turn.
    fn ask(queue: &Arc<FairQueue>, number: u8) -> futures::future::BoxFuture<'static, Result<Place, Full>> {
        let queue = queue.clone();
        let mut asked = async move { queue.enter(client(number)).await }.boxed();
        assert!(asked.as_mut().now_or_never().is_none(), "it waits");
        asked
    }

    #[test]
    fn one_of_each_client_is_served_in_turn() {
        let queue = FairQueue::new(1);
        let mut place = queue.enter(client(9)).now_or_never();
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
        assert!(queue.enter(client(1)).now_or_never().is_some(), "it is free again");
    }

    #[test]
    fn who_waits_no_more_is_passed_over_and_loses_no_place() {
        let queue = FairQueue::new(2);
        let places: Vec<_> = (0..2).map(|_| queue.enter(client(9)).now_or_never()).collect();
        let gone = ask(&queue, 1);
        let mut stays = ask(&queue, 1);
        drop(gone);
        drop(places);
        assert!(matches!(stays.as_mut().now_or_never(), Some(Ok(_))));
        let both: Vec<_> = (0..2).map(|_| queue.enter(client(9)).now_or_never()).collect();
        assert!(both.iter().all(Option::is_some));
    }

    #[test]
    fn the_queue_is_bounded_for_each_and_for_all() {
        let queue = FairQueue::new(1);
        let _place = queue.enter(client(0)).now_or_never().expect("it is free");
        let mut waiting = Vec::new();
        for number in 1..=4 {
            for _ in 0..MOST_WAITING_OF_CLIENT {
                waiting.push(ask(&queue, number));
            }
            assert!(matches!(queue.enter(client(number)).now_or_never(), Some(Err(Full))), "{number}");
        }
        assert!(matches!(queue.enter(client(5)).now_or_never(), Some(Err(Full))), "512 wait");
        waiting.pop();
        waiting.push(ask(&queue, 5));
    }
}
