//! The inference service: all inferences of the process run here.
//!
//! It has a configured number of sessions, each on its own thread. On a processor, background pictures have idle-priority threads, and viewers and
//! cameras as many others. A caller opens a
//! [`Client`], which has its own bounded queue. The next picture comes from the most urgent queue that has one, among
//! equally urgent ones from the one served longest ago. So a viewer waits for one inference of equal urgency at most, and
//! a long video doesn't delay others. Dropping a client removes what waits in its queue.
//!
//! If the model's device gains from batches, waiting pictures are taken together, after a few milliseconds of waiting for
//! more: one thread does so at a time, and never with a viewer's picture. A processor takes them one by one.
//!
//! A picture carries the function that gets the result, on the inference thread. So only the
//! result leaves the service, and no picture waits for its consumer.

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

/// Urgency, highest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// A viewer.
    Viewer,
    /// A camera.
    Live,
    /// Recorded video.
    Background,
}

impl Urgency {
    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Live => "live",
            Self::Background => "background",
        }
    }
}

/// Which pictures a thread infers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ThreadRole {
    All,
    /// Those of viewers and cameras.
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

/// The outcome for a picture.
pub struct Completed<P> {
    /// The picture itself.
    pub picture: P,
    /// All its detections.
    pub found: Result<Vec<Detection>>,
    /// The device that ran, if any did.
    pub device: Option<Device>,
    /// Pictures in the batch.
    pub at_once: usize,
    /// From submission to the start of inference.
    pub waited: Duration,
    /// The inference itself, of the whole batch.
    pub took: Duration,
}

/// How long to wait for more pictures for a batch.
const GATHERED_FOR: Duration = Duration::from_millis(3);
/// This many inferences in a row must be full of boxes before it is reported.
const MOST_FULL: u32 = 50;

/// Sessions of one model, and their clients. Cheap to clone; when the last handle and the last client are gone, the
/// threads end.
#[derive(Clone)]
pub struct Inference {
    inner: Arc<Owner>,
}

/// Ends the threads when the last handle is gone.
struct Owner {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.end();
        // A request to a server may take as long as the patience; ending the service doesn't wait for it.
        if self.shared.model.device().device == Device::Remote {
            return;
        }
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        // The last handle may be dropped with a task, on one of these threads.
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
    /// There is work.
    work: Condvar,
    /// A queue has become shorter.
    room: Condvar,
    /// Inferences in a row with as many boxes as allowed.
    full_in_a_row: AtomicU32,
}

#[derive(Default)]
struct State {
    queues: BTreeMap<u64, Queue>,
    opened: u64,
    served: u64,
    living_sessions: usize,
    /// Threads gathering a batch of their kind: new pictures are for them.
    gathering: Vec<ThreadRole>,
    is_over: bool,
}

struct Queue {
    urgency: Urgency,
    waiting: VecDeque<(Instant, Task)>,
    last_served: u64,
}

/// A picture and the function that gets its result.
trait PendingTask: Send {
    fn view(&self) -> PictureView<'_>;
    fn input_width(&self) -> Option<u32>;
    fn answer(self: Box<Self>, result: TaskResult);
}

type Task = Box<dyn PendingTask>;

/// The outcome for one picture of a batch.
struct TaskResult {
    found: Result<Vec<Detection>>,
    device: Option<Device>,
    at_once: usize,
    waited: Duration,
    took: Duration,
}

struct SubmittedPicture<P, F> {
    picture: P,
    input_width: Option<u32>,
    then: F,
}

impl<P: Viewable + Send, F: FnOnce(Completed<P>) + Send> PendingTask for SubmittedPicture<P, F> {
    fn view(&self) -> PictureView<'_> {
        self.picture.view()
    }

    fn input_width(&self) -> Option<u32> {
        self.input_width
    }

    fn answer(self: Box<Self>, result: TaskResult) {
        let Self { picture, then, .. } = *self;
        let TaskResult { found, device, at_once, waited, took } = result;
        then(Completed { picture, found, device, at_once, waited, took });
    }
}

impl Inference {
    /// Starts the threads: `workers` parallel inferences on a processor; on another device as many as it gains from.
    ///
    /// With `give_way`, a processor infers background pictures on separate threads, each of which calls it first, and has as many others
    /// for the rest, so that viewers and cameras neither queue behind the background nor run at its priority.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub fn start(model: Model, workers: usize, give_way: Option<fn()>) -> Result<Self> {
        let sessions = model.sessions(workers);
        // On other devices threads have little to do, and each session takes the device's memory.
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
            // Linux shows 15 characters.
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

    /// The model.
    pub fn model(&self) -> &Model {
        &self.inner.shared.model
    }

    /// Parallel inferences.
    pub fn sessions(&self) -> usize {
        self.inner.shared.sessions
    }

    /// How many pictures a client with many should queue: enough for every session to have work.
    pub fn default_queue_depth(&self) -> usize {
        let sessions = self.sessions();
        (2 * sessions).max(sessions * self.model().batch())
    }

    /// Why the model may not work, in words.
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

    /// Opens a client; at most `depth` pictures wait in its queue.
    pub fn client(&self, urgency: Urgency, depth: usize) -> Client {
        let mut state = self.inner.shared.state();
        state.opened += 1;
        let number = state.opened;
        // Opening queues again and again gives no precedence.
        let last_served = state.served;
        state.queues.insert(number, Queue { urgency, waiting: VecDeque::new(), last_served });
        Client { inference: self.clone(), number, depth: depth.max(1), input_width: None }
    }

    /// Waiting pictures, by urgency.
    pub fn waiting(&self) -> [(Urgency, usize); 3] {
        let state = self.inner.shared.state();
        [Urgency::Viewer, Urgency::Live, Urgency::Background].map(|urgency| {
            let queues = state.queues.values().filter(|queue| queue.urgency == urgency);
            (urgency, queues.map(|queue| queue.waiting.len()).sum())
        })
    }
}

/// A client. If it is dropped, its waiting pictures aren't inferred.
pub struct Client {
    inference: Inference,
    number: u64,
    depth: usize,
    input_width: Option<u32>,
}

impl Client {
    /// Infers its pictures at this width of the input, one of [`Model::input_widths`]; `None`: the model's own.
    pub fn at_input_width(mut self, input_width: Option<u32>) -> Self {
        self.input_width = input_width;
        self
    }

    /// Submits a picture; `then` is called with the result on the inference thread and must not wait for
    /// anything. Waits while the queue is full. `false` if the service has ended: `then` is not called.
    pub fn submit<P: Viewable + Send + 'static>(
        &self,
        picture: P,
        then: impl FnOnce(Completed<P>) + Send + 'static,
    ) -> bool {
        self.submit_at(picture, self.input_width, then)
    }

    /// The same at an input width of its own.
    pub fn submit_at<P: Viewable + Send + 'static>(
        &self,
        picture: P,
        input_width: Option<u32>,
        then: impl FnOnce(Completed<P>) + Send + 'static,
    ) -> bool {
        let shared = &self.inference.inner.shared;
        let task: Task = Box::new(SubmittedPicture { picture, input_width, then });
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
        // The gathering thread must be notified, not just any.
        shared.work.notify_all();
        true
    }
}

impl Client {
    /// Offers a picture without ever waiting: if the queue is full, the oldest queued picture makes room and its `then` is called with
    /// [`Error::PassedOver`]. For cameras, where only the newest picture matters. `false` if the service has ended: `then` is not called.
    pub fn offer<P: Viewable + Send + 'static>(
        &self,
        picture: P,
        then: impl FnOnce(Completed<P>) + Send + 'static,
    ) -> bool {
        let shared = &self.inference.inner.shared;
        let task: Task = Box::new(SubmittedPicture { picture, input_width: self.input_width, then });
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

    /// Cancels waiting pictures and accepts no more: like dropping, for clients that are shared.
    pub fn cancel(&self) {
        let shared = &self.inference.inner.shared;
        let queue = shared.state().queues.remove(&self.number);
        // Pictures are dropped without the lock.
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
    /// From the most urgent non-empty queue; of equal ones, from the one served longest ago.
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
        // Tasks run without the lock; code under it doesn't panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next batch, at most `most` pictures; `None` when there will be none.
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

    /// Waits briefly for more pictures.
    fn gather<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        serves: ThreadRole,
        taken: &mut Vec<(Duration, Task)>,
        most: usize,
    ) -> MutexGuard<'a, State> {
        let until = Instant::now() + GATHERED_FOR;
        state.gathering.push(serves);
        // Callers whose queue was full may continue.
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
                    // Runs with what there is.
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
        // Pictures from now on are for others.
        self.work.notify_all();
        state
    }

    /// Records signs of a faulty model.
    fn note(&self, found: &Result<Vec<Detection>>) {
        match found {
            // Some of the kept boxes may lie outside the picture.
            Ok(found) if found.len() * 10 >= MAX_DETECTIONS * 9 => {
                // Saturates: a counter that wraps would start again.
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

/// A thread with a session. If all of them panic, no caller waits for ever.
struct SessionThread(Arc<Shared>);

impl SessionThread {
    fn serve(self, serves: ThreadRole) {
        let mut detector = self.0.model.detector();
        let most = self.0.model.batch();
        while let Some(tasks) = self.0.next(serves, most) {
            self.infer(&mut detector, tasks);
        }
    }

    /// Infers all of them in one batch; if that fails for a reason that may lie in one of them, one by one.
    fn infer(&self, detector: &mut Detector, tasks: Vec<(Duration, Task)>) {
        let started = Instant::now();
        let at_once = tasks.len();
        let views: Vec<PictureView<'_>> = tasks.iter().map(|(_, task)| task.view()).collect();
        let widths: Vec<Option<u32>> = tasks.iter().map(|(_, task)| task.input_width()).collect();
        let detected = detector.detect_batch_at(&views, &widths);
        drop(views);
        let took = started.elapsed();
        match detected {
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
