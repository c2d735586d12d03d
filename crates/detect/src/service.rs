//! One place in which all inference happens, whoever asks for it.
//!
//! Sessions are as many as was said, each on a thread of its own; on a processor those that give way look at what lies in the background, and as
//! many others at what somebody waits for. Who wants pictures looked at opens a
//! [`Client`], which has a queue of its own with a bound. The next picture is taken from the most urgent queue that has one, and among
//! equally urgent ones from the one that was served longest ago: so a viewer's question waits for one inference of its like at the most, and
//! a long video keeps no other from its turn. A client that is dropped takes what waits in it along.
//!
//! Where the model's device gains from several pictures at once, those that wait are taken together, and a few milliseconds are waited for
//! more: one thread does so at a time, and never with a viewer's picture. A processor takes them one by one.
//!
//! Pictures come with what is to be done with the result, on the thread that looked: so that nothing but the
//! result leaves here, and no picture waits for its reader.

use crate::detector::{Detector, MAX_DETECTIONS};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::model::Model;
use pigweight_core::detection::Detection;
use pigweight_core::picture::{PictureView, Viewable};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
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

/// Whose pictures a thread looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ThreadRole {
    All,
    /// Those of viewers, and what happens now.
    Interactive,
    Background,
}

impl ThreadRole {
    fn takes(self, urgency: Urgency) -> bool {
        match self {
            Self::All => true,
            Self::Interactive => urgency != Urgency::Background,
            Self::Background => urgency == Urgency::Background,
        }
    }
}

/// What became of a picture.
pub struct Completed<P> {
    /// The picture itself.
    pub picture: P,
    /// Everything that was found on it.
    pub found: Result<Vec<Detection>>,
    /// What looked, where anything did.
    pub device: Option<Device>,
    /// Pictures that were looked at at once.
    pub at_once: usize,
    /// From being asked to being taken up.
    pub waited: Duration,
    /// The inference itself, of all that were looked at at once.
    pub took: Duration,
}

/// How long one waits for more pictures to be looked at at once.
const GATHERED_FOR: Duration = Duration::from_millis(3);
/// So many looks in a row must be full of boxes before that is told.
const MOST_FULL: u32 = 50;

/// Sessions of one model, and those who wait for them. Cheap to clone; when the last handle and the last client are gone, the
/// threads end.
#[derive(Clone)]
pub struct Inference {
    inner: Arc<Owner>,
}

/// Ends the threads when nobody can ask them any more.
struct Owner {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.end();
        // A request to a server may take as long as patience lasts; whoever ends the service does not wait for it.
        if self.shared.model.device().device == Device::Remote {
            return;
        }
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        // The last handle may go with a task, on one of these threads.
        let me = std::thread::current().id();
        for thread in threads.into_iter().filter(|thread| thread.thread().id() != me) {
            // A panic is in the log.
            let _panicked = thread.join();
        }
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
    /// Looks in a row with as many boxes as there may be.
    full_in_a_row: AtomicU32,
}

#[derive(Default)]
struct State {
    queues: BTreeMap<u64, Queue>,
    opened: u64,
    served: u64,
    living_sessions: usize,
    /// Those that wait for more pictures of their kind: those that come are for them.
    gathering: Vec<ThreadRole>,
    is_over: bool,
}

struct Queue {
    urgency: Urgency,
    waiting: VecDeque<(Instant, Task)>,
    last_served: u64,
}

/// A picture and what is to be done with what is found on it.
trait PendingTask: Send {
    fn view(&self) -> PictureView<'_>;
    fn answer(self: Box<Self>, look: TaskResult);
}

type Task = Box<dyn PendingTask>;

/// What became of one picture of those that were looked at at once.
struct TaskResult {
    found: Result<Vec<Detection>>,
    device: Option<Device>,
    at_once: usize,
    waited: Duration,
    took: Duration,
}

struct SubmittedPicture<P, F> {
    picture: P,
    then: F,
}

impl<P: Viewable + Send, F: FnOnce(Completed<P>) + Send> PendingTask for SubmittedPicture<P, F> {
    fn view(&self) -> PictureView<'_> {
        self.picture.view()
    }

    fn answer(self: Box<Self>, look: TaskResult) {
        let Self { picture, then } = *self;
        let TaskResult { found, device, at_once, waited, took } = look;
        then(Completed { picture, found, device, at_once, waited, took });
    }
}

impl Inference {
    /// Starts the threads: `workers` inferences run side by side on a processor, on another device as many as it gains from.
    ///
    /// With `give_way` a processor looks at the background's pictures on threads of their own, each of which calls it first, and as many others have
    /// the rest: so that whoever waits neither stands behind the background nor gives way with it.
    ///
    /// # Errors
    /// Where the system has no more threads.
    pub fn start(model: Model, workers: usize, give_way: Option<fn()>) -> Result<Self> {
        let sessions = model.sessions(workers);
        // Elsewhere than on a processor threads have little to do, and each session takes the device's memory.
        let give_way = give_way.filter(|_| model.is_on_processor());
        let kinds: &[ThreadRole] = match give_way {
            Some(_) => &[ThreadRole::Interactive, ThreadRole::Background],
            None => &[ThreadRole::All],
        };
        let state = State { living_sessions: sessions * kinds.len(), ..State::default() };
        let shared = Arc::new(Shared {
            model,
            sessions,
            state: Mutex::new(state),
            work: Condvar::new(),
            room: Condvar::new(),
            full_in_a_row: AtomicU32::new(0),
        });
        let inference = Self { inner: Arc::new(Owner { shared: shared.clone(), threads: Mutex::default() }) };
        for (number, &serves) in (0..sessions).flat_map(|_| kinds).enumerate() {
            let living = SessionThread(shared.clone());
            let give_way = give_way.filter(|_| serves == ThreadRole::Background);
            // Linux shows 15 letters.
            let name = if give_way.is_some() { "background" } else { "inference" };
            let thread = std::thread::Builder::new()
                .name(format!("{name} {number}"))
                .spawn(move || {
                    if let Some(give_way) = give_way {
                        give_way();
                    }
                    living.serve(serves);
                })
                .map_err(|error| Error::Run { reason: format!("cannot start a thread: {error}") })?;
            inference.inner.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(inference)
    }

    /// Whether both are handles of the same service.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// The model that looks.
    pub fn model(&self) -> &Model {
        &self.inner.shared.model
    }

    /// Inferences that run side by side.
    pub fn sessions(&self) -> usize {
        self.inner.shared.sessions
    }

    /// Pictures that one who has many lets wait: enough for every session to have work.
    pub fn default_queue_depth(&self) -> usize {
        let sessions = self.sessions();
        (2 * sessions).max(sessions * self.model().batch())
    }

    /// What makes it doubtful that the model works, in words.
    pub fn model_warning(&self) -> Option<String> {
        let full = self.inner.shared.full_in_a_row.load(Ordering::Relaxed);
        (full >= MOST_FULL).then(|| {
            format!(
                "the model {} finds up to {MAX_DETECTIONS} boxes, all that there may be, on picture after picture: it is broken, or its outputs are read wrongly; try one \
                 with `pigweight detect`, and see detect.head and detect.min_score",
                self.model().info().name
            )
        })
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
    pub fn submit<P: Viewable + Send + 'static>(
        &self,
        picture: P,
        then: impl FnOnce(Completed<P>) + Send + 'static,
    ) -> bool {
        let shared = &self.inference.inner.shared;
        let task: Task = Box::new(SubmittedPicture { picture, then });
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
        // Whoever gathers must hear of it, not just anyone.
        shared.work.notify_all();
        true
    }
}

impl Client {
    /// Queues a picture without ever waiting: where the queue is full, the picture that has waited longest makes room and its `then` is called with
    /// [`Error::PassedOver`]. For cameras, of which only the newest picture matters. `false` where the service has ended: `then` is not called.
    pub fn offer<P: Viewable + Send + 'static>(
        &self,
        picture: P,
        then: impl FnOnce(Completed<P>) + Send + 'static,
    ) -> bool {
        let shared = &self.inference.inner.shared;
        let task: Task = Box::new(SubmittedPicture { picture, then });
        let mut state = shared.state();
        if state.is_over {
            return false;
        }
        let Some(queue) = state.queues.get_mut(&self.number) else { return false };
        let passed_over = if queue.waiting.len() >= self.depth { queue.waiting.pop_front() } else { None };
        queue.waiting.push_back((Instant::now(), task));
        drop(state);
        shared.work.notify_all();
        // Without the lock: `then` belongs to the caller.
        if let Some((since, task)) = passed_over {
            task.answer(TaskResult {
                found: Err(Error::PassedOver),
                device: None,
                at_once: 0,
                waited: since.elapsed(),
                took: Duration::ZERO,
            });
        }
        true
    }

    /// What waits is not looked at any more, and nothing else will be: as when it is dropped, for those who share it.
    pub fn cancel(&self) {
        let shared = &self.inference.inner.shared;
        let queue = shared.state().queues.remove(&self.number);
        // Pictures are given back without the lock.
        drop(queue);
        shared.room.notify_all();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl State {
    /// From the most urgent queue that has something, and of those from the one that was served longest ago.
    fn take(&mut self, serves: ThreadRole) -> Option<(Urgency, Instant, Task)> {
        self.served += 1;
        let served = self.served;
        let waiting =
            self.queues.values_mut().filter(|queue| serves.takes(queue.urgency) && !queue.waiting.is_empty());
        let queue = waiting.min_by_key(|queue| (queue.urgency, queue.last_served))?;
        queue.last_served = served;
        let (asked, task) = queue.waiting.pop_front()?;
        Some((queue.urgency, asked, task))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Tasks run without the lock; what happens under it does not panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be looked at next, at most `most` pictures at once; `None` when there will be nothing.
    fn next(&self, serves: ThreadRole, most: usize) -> Option<Vec<(Duration, Task)>> {
        let mut state = self.state();
        let mut taken = Vec::new();
        loop {
            if state.is_over {
                return None;
            }
            if !state.gathering.contains(&serves) {
                let mut is_hurried = false;
                while taken.len() < most
                    && let Some((urgency, asked, task)) = state.take(serves)
                {
                    is_hurried |= urgency == Urgency::Viewer;
                    taken.push((asked.elapsed(), task));
                }
                if !taken.is_empty() {
                    if taken.len() < most && !is_hurried {
                        state = self.gather(state, serves, &mut taken, most);
                    }
                    drop(state);
                    self.room.notify_all();
                    return Some(taken);
                }
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for more pictures, not for long.
    fn gather<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        serves: ThreadRole,
        taken: &mut Vec<(Duration, Task)>,
        most: usize,
    ) -> MutexGuard<'a, State> {
        let until = Instant::now() + GATHERED_FOR;
        state.gathering.push(serves);
        // Those whose queue was full may ask on.
        self.room.notify_all();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || taken.len() >= most || state.is_over {
                break;
            }
            state = self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            while taken.len() < most
                && let Some((urgency, asked, task)) = state.take(serves)
            {
                taken.push((asked.elapsed(), task));
                if urgency == Urgency::Viewer {
                    // Goes with what there is.
                    state.gathering.retain(|&other| other != serves);
                    self.work.notify_all();
                    return state;
                }
            }
            if taken.len() < most {
                self.room.notify_all();
            }
        }
        state.gathering.retain(|&other| other != serves);
        // What comes from now on is for others.
        self.work.notify_all();
        state
    }

    /// Notes what makes the model doubtful.
    fn note(&self, found: &Result<Vec<Detection>>) {
        match found {
            // Some of those that were kept may lie beside the picture.
            Ok(found) if found.len() * 10 >= MAX_DETECTIONS * 9 => {
                // Stays where it is at its end: a look count that runs over would begin anew.
                let _most = self
                    .full_in_a_row
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full| full.checked_add(1));
            }
            Ok(_) => self.full_in_a_row.store(0, Ordering::Relaxed),
            Err(_) => {}
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
struct SessionThread(Arc<Shared>);

impl SessionThread {
    fn serve(self, serves: ThreadRole) {
        let mut detector = self.0.model.detector();
        let most = self.0.model.batch();
        while let Some(tasks) = self.0.next(serves, most) {
            self.infer(&mut detector, tasks);
        }
    }

    /// Looks at all of them at once; where that fails for a reason that may lie in one of them, at each by itself.
    fn infer(&self, detector: &mut Detector, tasks: Vec<(Duration, Task)>) {
        let started = Instant::now();
        let at_once = tasks.len();
        let views: Vec<PictureView<'_>> = tasks.iter().map(|(_, task)| task.view()).collect();
        let looked = detector.detect_batch(&views);
        drop(views);
        let took = started.elapsed();
        match looked {
            Ok((found, device)) => {
                for ((waited, task), found) in tasks.into_iter().zip(found) {
                    let found = Ok(found);
                    self.0.note(&found);
                    task.answer(TaskResult { found, device: Some(device), at_once, waited, took });
                }
            }
            Err(error) if at_once == 1 || error.is_passing() => {
                for (waited, task) in tasks {
                    task.answer(TaskResult {
                        found: Err(error.clone()),
                        device: None,
                        at_once,
                        waited,
                        took,
                    });
                }
            }
            Err(_) => {
                for task in tasks {
                    self.infer(detector, vec![task]);
                }
            }
        }
    }
}

impl Drop for SessionThread {
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
