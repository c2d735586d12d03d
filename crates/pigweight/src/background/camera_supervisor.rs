//! The cameras of the server: each is connected, decoded and counted for as long as it is registered.
//!
//! A camera has one task, which keeps its connection alive (the live crate), and two threads, which count what comes
//! (`camera_counting.rs`) and record it (`camera_recorder.rs`). Unlike the rest of the background these threads have the usual priority: what a
//! camera shows can't wait.

use crate::background::camera_connector::connector_of;
use crate::background::camera_counting::{CameraCounting, LatestPicture};
use crate::background::camera_recorder::CameraRecorder;
use crate::background::camera_transcoder::CameraTranscoder;
use crate::background::job_context::JobContext;
use anyhow::Context as _;
use pigweight_live::address::{AddressError, Credentials};
use pigweight_live::camera::Delivered;
use pigweight_live::state::StateHistory;
use pigweight_live::survey::survey;
use pigweight_live::{Camera, CameraAddress, CameraState, Failure, StreamSurvey, Subscriber};
use pigweight_store::{CameraPlace, CameraRecord, Reason, RecordingMode};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Handle;

/// Cameras of one server.
pub const MOST_CAMERAS: u32 = 64;
/// A live camera without a whole picture for this long is told. Keyframes come every ten seconds at the slowest.
const PICTURE_TIMEOUT: Duration = Duration::from_secs(12);
/// Between what a camera sent before a restart and what it sends after it, at least.
const RESTART_SECS: f64 = 1.0;
/// The code of that reason.
pub const NO_PICTURE: &str = "no_picture";
/// The code of the reason that the stream for counting is away.
const COUNTING_STREAM_AWAY: &str = "counting_stream_away";

/// Connects, counts and ends cameras.
pub struct CameraSupervisor {
    /// Held while a camera is added, changed or removed: the store and what runs change together.
    changes: tokio::sync::Mutex<()>,
    context: Arc<JobContext>,
    runtime: Handle,
    running: Mutex<BTreeMap<String, RunningCamera>>,
    is_stopped: AtomicBool,
}

struct RunningCamera {
    /// What people see, and what is recorded.
    camera: Arc<Camera>,
    /// Another stream of it, which is counted; `None`: that one is.
    counting_camera: Option<Arc<Camera>>,
    counting: Arc<CameraCounting>,
    recorder: Arc<CameraRecorder>,
    transcoder: CameraTranscoder,
    name: String,
    threads: [JoinHandle<()>; 2],
}

/// Why a camera wasn't added, changed or removed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The store refused: there is no such camera, or nothing can be written.
    #[error(transparent)]
    Store(#[from] pigweight_store::Error),
    /// There are as many as a server takes.
    #[error("there are {MOST_CAMERAS} cameras already; remove one first")]
    TooMany,
    /// It is registered, and could not be started.
    #[error("the camera could not be started: {0:#}")]
    NotStarted(anyhow::Error),
}

/// What a camera is doing, for people and programs.
pub struct CameraStatus {
    /// Its states, the current one last.
    pub states: StateHistory,
    /// What it has delivered since this process started.
    pub delivered: Delivered,
    /// What it sends, as measured last.
    pub survey: Option<StreamSurvey>,
    /// The stream that is counted, if it is another.
    pub counting: Option<CountingStream>,
    /// Why it isn't counted although it is live.
    pub trouble: Option<Reason>,
    /// Why it isn't recorded although it should be.
    pub recording_trouble: Option<Reason>,
}

/// A stream of a camera that is counted and not shown.
pub struct CountingStream {
    /// Its states, the current one last.
    pub states: StateHistory,
    /// What it sends, as measured last.
    pub survey: Option<StreamSurvey>,
}

/// What a camera sends, as it was looked at before it was added.
#[derive(Clone, Copy, Default)]
pub struct CameraSurvey {
    /// What people see.
    pub shown: Option<StreamSurvey>,
    /// What is counted, if it is another stream.
    pub counting: Option<StreamSurvey>,
}

impl CameraSupervisor {
    /// Starts the registered cameras.
    ///
    /// # Errors
    /// If the store can't be read, or the system has no more threads.
    pub async fn start(context: Arc<JobContext>) -> anyhow::Result<Arc<Self>> {
        let cameras = Arc::new(Self {
            changes: tokio::sync::Mutex::default(),
            context,
            runtime: Handle::current(),
            running: Mutex::default(),
            is_stopped: AtomicBool::new(false),
        });
        for record in cameras.context.store.cameras().await? {
            // One that can't be started is told and doesn't keep the others from it.
            if let Err(error) = cameras.run_first(record).await {
                cameras.context.status.report_trouble(&Reason::new("camera_not_started", error.to_string()));
            }
        }
        Ok(cameras)
    }

    /// Connects a camera of an earlier start.
    async fn run_first(&self, record: CameraRecord) -> anyhow::Result<()> {
        let store = &self.context.store;
        let end_secs = store.camera_end_secs(&record.id).await?;
        let heard_millis = record.created_at.saturating_mul(1000).saturating_add((end_secs * 1000.0) as i64);
        let now_millis = jiff::Timestamp::now().as_millisecond();
        let ended = Reason::new(
            "server_ended",
            "the server ended without being stopped: it was killed, or the power failed",
        );
        // On a full disk the camera is shown all the same.
        if let Err(error) = store.end_camera_states(&record.id, heard_millis, now_millis, ended).await {
            tracing::warn!("{error}");
        }
        self.run(record, CameraSurvey::default()).await
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, RunningCamera>> {
        // Every change is a single insertion or removal.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a camera and connects it.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn add(
        self: &Arc<Self>,
        name: String,
        place: CameraPlace,
        survey: CameraSurvey,
    ) -> Result<CameraRecord, ChangeError> {
        let cameras = self.clone();
        whole(async move {
            let _changing = cameras.changes.lock().await;
            let added = cameras.context.store.add_camera(&name, &place, MOST_CAMERAS).await?;
            let record = added.ok_or(ChangeError::TooMany)?;
            cameras.run(record.clone(), survey).await.map_err(ChangeError::NotStarted)?;
            Ok(record)
        })
        .await
    }

    /// Renames a camera; connects it anew if it is elsewhere now.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn change(
        self: &Arc<Self>,
        id: String,
        name: String,
        place: CameraPlace,
    ) -> Result<CameraRecord, ChangeError> {
        let cameras = self.clone();
        whole(async move {
            let _changing = cameras.changes.lock().await;
            let before = cameras.context.store.camera(&id).await?;
            let record = cameras.context.store.change_camera(&id, &name, &place).await?;
            let is_same = (&before.url, &before.user_name, &before.password, &before.counting_url)
                == (&record.url, &record.user_name, &record.password, &record.counting_url);
            if !is_same || cameras.status(&id).is_none() {
                cameras.end(&id).await;
                cameras
                    .run(record.clone(), CameraSurvey::default())
                    .await
                    .map_err(ChangeError::NotStarted)?;
            }
            Ok(record)
        })
        .await
    }

    /// Sets what is kept of what a camera sends; `None`: as configured.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn set_recording(
        self: &Arc<Self>,
        id: String,
        mode: Option<RecordingMode>,
    ) -> Result<CameraRecord, ChangeError> {
        let cameras = self.clone();
        whole(async move {
            let _changing = cameras.changes.lock().await;
            let record = cameras.context.store.set_camera_recording(&id, mode).await?;
            if let Some(running) = cameras.running().get(&id) {
                running.recorder.set_mode_of(&record);
            }
            Ok(record)
        })
        .await
    }

    /// Removes a camera and disconnects it, and removes its recordings; what was counted stays.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn remove(self: &Arc<Self>, id: String) -> Result<(), ChangeError> {
        let cameras = self.clone();
        whole(async move {
            let _changing = cameras.changes.lock().await;
            cameras.context.store.remove_camera(&id).await?;
            cameras.end(&id).await;
            cameras.context.recordings.remove_all(&id).await?;
            Ok(())
        })
        .await
    }

    /// Disconnects a camera.
    async fn end(&self, id: &str) {
        let found = self.running().remove(id);
        if let Some(found) = found {
            let runtime = self.runtime.clone();
            // Its thread may be writing.
            let _ended = tokio::task::spawn_blocking(move || found.end(&runtime)).await;
        }
    }

    /// Connects a registered camera that isn't running.
    async fn run(&self, record: CameraRecord, survey: CameraSurvey) -> anyhow::Result<()> {
        let place = CameraPlace {
            url: record.url.clone(),
            counting_url: record.counting_url.clone(),
            user_name: record.user_name.clone(),
            password: record.password.clone(),
        };
        let damaged = || format!("the address of {} is damaged", record.name);
        let address = address_of(&place).with_context(damaged)?;
        let counting_address = counting_address_of(&place).with_context(damaged)?;
        // Second 0 is when the camera was added, also after a restart; but nothing happens twice at one time, even if the clock was set back.
        let clock_secs = (jiff::Timestamp::now().as_millisecond() - record.created_at * 1000) as f64 / 1000.0;
        let end_secs = self.context.store.camera_end_secs(&record.id).await?;
        let timeline_start_secs =
            if end_secs > 0.0 { clock_secs.max(end_secs + RESTART_SECS) } else { clock_secs.max(0.0) };
        let mut running = self.running();
        if self.is_stopped.load(Ordering::SeqCst) {
            return Ok(());
        }
        let _in_runtime = self.runtime.enter();
        let connect = |address, survey| {
            let connector = connector_of(address, &self.context);
            Arc::new(Camera::start_surveyed(connector, timeline_start_secs, survey))
        };
        let camera = connect(address, survey.shown);
        let counting_camera = counting_address.map(|address| connect(address, survey.counting));
        let (id, name) = (record.id.clone(), record.name.clone());
        let JobContext { store, recordings, .. } = &*self.context;
        let recorder = Arc::new(CameraRecorder::new(recordings.clone(), store.clone(), record.clone()));
        let counting =
            CameraCounting::new(self.context.clone(), camera.clone(), counting_camera.clone(), record);
        let counting = Arc::new(counting);
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let thread = std::thread::Builder::new().name(name.into()).spawn(work);
            thread.context("cannot start the threads of a camera")
        };
        let (work, runtime) = (counting.clone(), self.runtime.clone());
        let counts = spawn("camera", Box::new(move || work.run(&runtime)))?;
        let (work, runtime, subscription) = (recorder.clone(), self.runtime.clone(), camera.subscribe());
        let records = spawn("recorder", Box::new(move || work.run(subscription, &runtime)));
        let records = match records {
            Ok(records) => records,
            Err(error) => {
                // Its thread ends when the camera is dropped.
                counting.end();
                return Err(error);
            }
        };
        let threads = [counts, records];
        running.insert(
            id,
            RunningCamera {
                camera,
                counting_camera,
                counting,
                recorder,
                transcoder: CameraTranscoder::default(),
                name,
                threads,
            },
        );
        Ok(())
    }

    /// Ends all cameras, for good. Blocks.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        let all = std::mem::take(&mut *self.running());
        for camera in all.values() {
            camera.counting.end();
        }
        for camera in all.into_values() {
            camera.end(&self.runtime);
        }
    }

    /// Connects to a stream of a camera once, looks at it for a few seconds, and returns what it sends.
    ///
    /// # Errors
    /// Why it can't be connected.
    pub async fn survey(&self, address: CameraAddress) -> Result<StreamSurvey, Failure> {
        survey(&*connector_of(address, &self.context)).await
    }

    /// A camera is being added, changed or removed: one that isn't running will be in a moment.
    pub fn is_changing(&self) -> bool {
        self.changes.try_lock().is_err()
    }

    /// What a camera is doing; `None`: it isn't running.
    pub fn status(&self, id: &str) -> Option<CameraStatus> {
        let running = self.running();
        let RunningCamera { camera, counting_camera, counting, recorder, .. } = running.get(id)?;
        let states = camera.history();
        let counting_stream = counting_camera
            .as_ref()
            .map(|counted| CountingStream { states: counted.history(), survey: counted.survey() });
        let counted_states = counting_stream.as_ref().map_or(&states, |stream| &stream.states);
        let trouble = counting_stream
            .as_ref()
            .and_then(|stream| counting_stream_away(&stream.states))
            .or_else(|| no_picture(counted_states, counting))
            .or_else(|| counting.trouble());
        Some(CameraStatus {
            delivered: camera.delivered(),
            survey: camera.survey(),
            trouble,
            recording_trouble: recorder.trouble(),
            states,
            counting: counting_stream,
        })
    }

    /// For viewers of a camera; `None`: it isn't running.
    pub fn subscriber(&self, id: &str) -> Option<Subscriber> {
        Some(self.running().get(id)?.camera.subscriber())
    }

    /// For viewers whose browser doesn't take what the camera sends: VP8, coded while somebody looks. `None`: it isn't running, or there are no
    /// more threads.
    pub fn transcoded(&self, id: &str) -> Option<Subscriber> {
        let running = self.running();
        let RunningCamera { camera, transcoder, name, .. } = running.get(id)?;
        let workers = self.context.open_videos.workers();
        match transcoder.subscriber(name, &camera.subscriber(), workers, &self.runtime) {
            Ok(subscriber) => Some(subscriber),
            Err(error) => {
                tracing::error!("cannot start the thread that transcodes a camera: {error}");
                None
            }
        }
    }

    /// The latest picture of a camera; `None`: it isn't running.
    pub fn picture(&self, id: &str) -> Option<Arc<LatestPicture>> {
        Some(self.running().get(id)?.counting.picture.clone())
    }
}

/// Runs a change to its end, even if its client no longer waits.
async fn whole<T: Send + 'static>(
    change: impl Future<Output = Result<T, ChangeError>> + Send + 'static,
) -> Result<T, ChangeError> {
    match tokio::spawn(change).await {
        Ok(changed) => changed,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// That a camera sends something, and nothing that can be shown or counted.
fn no_picture(states: &StateHistory, counting: &CameraCounting) -> Option<Reason> {
    let CameraState::Live(_) = states.now().state else { return None };
    let live_ms = jiff::Timestamp::now().as_millisecond() - states.now().since_unix_ms;
    let is_new = live_ms < i64::try_from(PICTURE_TIMEOUT.as_millis()).unwrap_or(i64::MAX);
    let has_picture = counting.picture.age().is_some_and(|age| age < PICTURE_TIMEOUT);
    (!is_new && !has_picture).then(|| {
        Reason::new(
            NO_PICTURE,
            "the camera sends, but no whole picture can be decoded: it sends no keyframes, or what arrives is damaged; \
             set a keyframe every one to two seconds in its settings, or start it anew",
        )
    })
}

/// That the stream that is counted can't be received, while the one that people see may be.
fn counting_stream_away(states: &StateHistory) -> Option<Reason> {
    match &states.now().state {
        CameraState::Away { failure, .. } => {
            Some(Reason::new(COUNTING_STREAM_AWAY, format!("the stream for counting: {failure}")))
        }
        CameraState::Connecting | CameraState::Live(_) | CameraState::Stopped => None,
    }
}

impl RunningCamera {
    fn end(self, runtime: &Handle) {
        self.counting.end();
        runtime.block_on(async {
            self.camera.stop().await;
            if let Some(camera) = &self.counting_camera {
                camera.stop().await;
            }
        });
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of a camera broke down; the log says where");
            }
        }
    }
}

/// Where a camera is, with its credentials.
///
/// # Errors
/// If that is no address.
pub fn address_of(place: &CameraPlace) -> Result<CameraAddress, AddressError> {
    address_with(&place.url, place)
}

/// Where the stream is that is counted, if it is another, with the same credentials.
///
/// # Errors
/// If that is no address.
pub fn counting_address_of(place: &CameraPlace) -> Result<Option<CameraAddress>, AddressError> {
    place.counting_url.as_deref().map(|url| address_with(url, place)).transpose()
}

fn address_with(url: &str, place: &CameraPlace) -> Result<CameraAddress, AddressError> {
    let credentials = place
        .user_name
        .as_ref()
        .map(|user| Credentials { user: user.clone(), password: place.password.clone().unwrap_or_default() });
    Ok(CameraAddress::parse(url)?.with_credentials(credentials))
}

/// The reason of a state, for people and programs.
pub fn reason_of(state: &CameraState) -> Option<Reason> {
    match state {
        CameraState::Away { failure, .. } => Some(Reason::new(failure.code(), failure.to_string())),
        CameraState::Connecting | CameraState::Live(_) | CameraState::Stopped => None,
    }
}
