//! One place in which all inference happens, whoever asks for it.
//!
//! Sessions are as many as was said, each on a thread of its own with one session. Who wants pictures looked at opens a
//! [`Client`], which has a queue of its own with a bound. The next picture is taken from the most urgent queue that has one, and among
//! equally urgent ones from the one that was served longest ago: so a viewer's question waits for one inference at the most, and
//! a long video keeps no other from its turn. A client that is dropped takes what waits in it along.
//!
//! Pictures come with what is to be done with the result, on the thread that looked: so that nothing but the
//! result leaves here, and no picture waits for its reader.

use crate::error::{Error, Result};
use crate::model::{Detector, Model};
use pigweight_core::detection::Detection;
use pigweight_core::picture::Viewable;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Who waits, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// Somebody who looks at the screen.
    Viewer,
    /// What happens now.
    Live,
    /// What happened before.
    Background,
}

impl Urgency {
    /// As metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Live => "live",
            Self::Background => "background",
        }
    }
}

/// What became of a picture.
pub struct Served<P> {
    /// The picture itself.
    pub picture: P,
    /// Everything that was found on it.
    pub found: Result<Vec<Detection>>,
    /// From being asked to being taken up.
    pub waited: Duration,
    /// The inference itself.
    pub took: Duration,
}

/// Sessions of one model, and those who wait for them. Cheap to clone; when the last handle and the last client are gone, the
/// threads end.
#[derive(Clone)]
pub struct Inference {
    inner: Arc<Owner>,
}

/// Ends the threads when nobody can ask them any more.
struct Owner {
    shared: Arc<Shared>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.end();
    }
}

struct Shared {
    model: Model,
    sessions: usize,
    state: Mutex<State>,
    /// There is something to do.
    work: Condvar,
    /// A queue has become shorter.
    room: Condvar,
}

#[derive(Default)]
struct State {
    queues: BTreeMap<u64, Queue>,
    opened: u64,
    served: u64,
    living_sessions: usize,
    is_over: bool,
}

struct Queue {
    urgency: Urgency,
    waiting: VecDeque<(Instant, Task)>,
    last_served: u64,
}

type Task = Box<dyn FnOnce(&mut Lazy, Duration) + Send>;

/// A session that is made when it is needed first; a model that was loaded before loads again.
struct Lazy {
    model: Model,
    detector: Option<Detector>,
}

impl Lazy {
    fn detector(&mut self) -> Result<&mut Detector> {
        let detector = match self.detector.take() {
            Some(detector) => detector,
            None => self.model.detector()?,
        };
        Ok(self.detector.insert(detector))
    }
}

impl Inference {
    /// Starts the threads; `sessions` inferences run side by side.
    ///
    /// # Errors
    /// Where the system has no more threads.
    pub fn start(model: Model, sessions: usize) -> Result<Self> {
        let sessions = sessions.max(1);
        let state = State { living_sessions: sessions, ..State::default() };
        let shared = Arc::new(Shared {
            model,
            sessions,
            state: Mutex::new(state),
            work: Condvar::new(),
            room: Condvar::new(),
        });
        let inference = Self { inner: Arc::new(Owner { shared: shared.clone() }) };
        for number in 0..sessions {
            let living = Living(shared.clone());
            std::thread::Builder::new()
                .name(format!("inference {number}"))
                .spawn(move || living.serve())
                .map_err(|error| Error::Run { reason: format!("cannot start a thread: {error}") })?;
        }
        Ok(inference)
    }

    /// The model that looks.
    pub fn model(&self) -> &Model {
        &self.inner.shared.model
    }

    /// Inferences that run side by side.
    pub fn sessions(&self) -> usize {
        self.inner.shared.sessions
    }

    /// A queue for one who asks; at most `depth` pictures wait in it.
    pub fn client(&self, urgency: Urgency, depth: usize) -> Client {
        let mut state = self.inner.shared.state();
        state.opened += 1;
        let number = state.opened;
        // Nobody gets ahead of the others by opening a queue again and again.
        let last_served = state.served;
        state.queues.insert(number, Queue { urgency, waiting: VecDeque::new(), last_served });
        Client { inference: self.clone(), number, depth: depth.max(1) }
    }

    /// Pictures that wait, by urgency.
    pub fn waiting(&self) -> [(Urgency, usize); 3] {
        let state = self.inner.shared.state();
        [Urgency::Viewer, Urgency::Live, Urgency::Background].map(|urgency| {
            let queues = state.queues.values().filter(|queue| queue.urgency == urgency);
            (urgency, queues.map(|queue| queue.waiting.len()).sum())
        })
    }
}

/// One who asks. Dropped, what still waits is not looked at.
pub struct Client {
    inference: Inference,
    number: u64,
    depth: usize,
}

impl Client {
    /// Lets a picture be looked at, and `then` be called with the result on the thread that looked; `then` must not wait for
    /// anything. Waits while the queue is full. `false` where nobody looks any more: `then` is not called.
    pub fn ask<P: Viewable + Send + 'static>(
        &self,
        picture: P,
        then: impl FnOnce(Served<P>) + Send + 'static,
    ) -> bool {
        let shared = &self.inference.inner.shared;
        let task: Task = Box::new(move |session, waited| {
            let started = Instant::now();
            let found = session.detector().and_then(|detector| detector.detect(&picture.view()));
            then(Served { picture, found, waited, took: started.elapsed() });
        });
        let mut state = shared.state();
        loop {
            if state.is_over {
                return false;
            }
            let Some(queue) = state.queues.get_mut(&self.number) else { return false };
            if queue.waiting.len() < self.depth {
                queue.waiting.push_back((Instant::now(), task));
                break;
            }
            state = shared.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        shared.work.notify_one();
        true
    }
}

impl Client {
    /// What waits is not looked at any more, and nothing else will be: as when it is dropped, for those who share it.
    pub fn give_up(&self) {
        let shared = &self.inference.inner.shared;
        let queue = shared.state().queues.remove(&self.number);
        // Pictures are given back without the lock.
        drop(queue);
        shared.room.notify_all();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Tasks run without the lock; what happens under it does not panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next task; `None` when there will be none.
    fn next(&self) -> Option<(Duration, Task)> {
        let mut state = self.state();
        loop {
            if state.is_over {
                return None;
            }
            state.served += 1;
            let served = state.served;
            let waiting = state.queues.values_mut().filter(|queue| !queue.waiting.is_empty());
            if let Some(queue) = waiting.min_by_key(|queue| (queue.urgency, queue.last_served)) {
                queue.last_served = served;
                if let Some((asked, task)) = queue.waiting.pop_front() {
                    drop(state);
                    self.room.notify_all();
                    return Some((asked.elapsed(), task));
                }
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn end(&self) {
        let mut state = self.state();
        state.is_over = true;
        let queues = std::mem::take(&mut state.queues);
        drop(state);
        drop(queues);
        self.work.notify_all();
        self.room.notify_all();
    }
}

/// A thread with a session. Should all of them come to a bad end, nobody waits for ever.
struct Living(Arc<Shared>);

impl Living {
    fn serve(self) {
        let mut session = Lazy { model: self.0.model.clone(), detector: None };
        while let Some((waited, task)) = self.0.next() {
            task(&mut session, waited);
        }
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.living_sessions -= 1;
        let was_last = state.living_sessions == 0;
        drop(state);
        if was_last {
            self.0.end();
        }
    }
}
