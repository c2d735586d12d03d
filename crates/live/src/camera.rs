//! A camera: one task that connects, receives, and connects again.

use crate::access_unit::{AccessUnit, Codec, StreamFormat};
use crate::failure::Failure;
use crate::retry::Retries;
use crate::session::{CONNECT_TIMEOUT, Connector, STALL_TIMEOUT, Session, SessionUnit};
use crate::state::{CameraState, StateChange, StateHistory};
use crate::stream_meter::StreamMeter;
use crate::subscription::{Broadcast, Subscription};
use crate::survey::StreamSurvey;
use crate::timeline::CameraTimeline;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What a camera has delivered since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Delivered {
    /// Access units.
    pub units: u64,
    /// Connections that became live.
    pub connections: u64,
    /// RTP packets that were lost.
    pub lost_packets: u64,
    /// How often the camera's clock jumped or stood still.
    pub clock_jumps: u64,
    /// Whether frames come in another order than they are shown (B-frames), and frames that come later refer to them.
    pub has_reordered_frames: bool,
    /// How far the camera's clock has run from this machine's since the connection began, seconds; positive: it is fast.
    pub drift_secs: f64,
}

/// A running camera. Dropping it ends its task.
#[derive(Debug)]
pub struct Camera {
    shared: Arc<Shared>,
    task: Mutex<Option<JoinHandle<()>>>,
    state: watch::Receiver<StateHistory>,
    stop: watch::Sender<bool>,
}

#[derive(Debug)]
struct Shared {
    broadcast: Broadcast,
    delivered: Mutex<Delivered>,
    /// The last one; kept while the camera is away.
    survey: Mutex<Option<StreamSurvey>>,
}

impl Shared {
    fn new(survey: Option<StreamSurvey>) -> Self {
        Self { broadcast: Broadcast::new(), delivered: Mutex::default(), survey: Mutex::new(survey) }
    }
}

/// Sends units that are made of a camera's, to subscribers as the camera's own has them.
#[derive(Debug)]
pub struct Publisher(Arc<Shared>);

impl Publisher {
    /// Without subscribers.
    pub fn new() -> Self {
        Self(Arc::new(Shared::new(None)))
    }

    /// For those who subscribe.
    pub fn subscriber(&self) -> Subscriber {
        Subscriber(self.0.clone())
    }

    /// Whether a [`Subscriber`] or a clone of one exists.
    pub fn has_subscribers(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Sends the next unit. Never waits.
    pub fn send(&self, unit: AccessUnit) {
        self.0.broadcast.send(unit);
    }

    /// What comes doesn't follow what was sent: new subscribers don't get it.
    pub fn forget(&self) {
        self.0.broadcast.forget();
    }
}

impl Default for Publisher {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.0.broadcast.close();
    }
}

/// Subscribes to a camera, also after the [`Camera`] was dropped: then the subscription has ended.
#[derive(Clone, Debug)]
pub struct Subscriber(Arc<Shared>);

impl Subscriber {
    /// The camera's access units from the last keyframe on.
    pub fn subscribe(&self) -> Subscription {
        self.0.broadcast.subscribe()
    }
}

impl Camera {
    /// Starts it on the current runtime; it connects at once. Its timeline begins at `timeline_start_secs`: where an earlier timeline ended, for example.
    pub fn start(connector: Box<dyn Connector>, timeline_start_secs: f64) -> Self {
        Self::start_surveyed(connector, timeline_start_secs, None)
    }

    /// The same, with what is known of what it sends until it is measured.
    pub fn start_surveyed(
        connector: Box<dyn Connector>,
        timeline_start_secs: f64,
        survey: Option<StreamSurvey>,
    ) -> Self {
        let shared = Arc::new(Shared::new(survey));
        let (state_sender, state) = watch::channel(StateHistory::new(unix_ms()));
        let (stop, stopped) = watch::channel(false);
        let task = Task {
            connector,
            shared: shared.clone(),
            state: state_sender,
            timeline: CameraTimeline::default(),
            retries: Retries::default(),
            started: Instant::now(),
            timeline_start_secs,
            epoch: 0,
            meter: StreamMeter::default(),
        };
        Self { shared, task: Mutex::new(Some(tokio::spawn(task.run(stopped)))), state, stop }
    }

    /// Its state and those before it.
    pub fn history(&self) -> StateHistory {
        self.state.borrow().clone()
    }

    /// Waits for a state. `None` if the camera is stopped first.
    pub async fn wait_for(&self, is_wanted: impl Fn(&CameraState) -> bool) -> Option<StateChange> {
        let mut state = self.state.clone();
        let found = state.wait_for(|history| is_wanted(&history.now().state)).await;
        found.ok().map(|history| history.now().clone())
    }

    /// What it has delivered.
    pub fn delivered(&self) -> Delivered {
        *self.shared.delivered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it sends, as measured last; `None`: too little has come so far.
    pub fn survey(&self) -> Option<StreamSurvey> {
        *self.shared.survey.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its access units from the last keyframe on.
    pub fn subscribe(&self) -> Subscription {
        self.shared.broadcast.subscribe()
    }

    /// For those who subscribe later.
    pub fn subscriber(&self) -> Subscriber {
        Subscriber(self.shared.clone())
    }

    fn take_task(&self) -> Option<JoinHandle<()>> {
        // A handle is only ever taken out.
        self.task.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Ends its connection and all subscriptions, and waits for that.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        if let Some(task) = self.take_task() {
            // It was cancelled or has panicked: it has ended.
            let _ended = task.await;
        }
        self.shared.broadcast.close();
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        if let Some(task) = self.take_task() {
            task.abort();
        }
        self.shared.broadcast.close();
    }
}

struct Task {
    connector: Box<dyn Connector>,
    shared: Arc<Shared>,
    state: watch::Sender<StateHistory>,
    timeline: CameraTimeline,
    retries: Retries,
    started: Instant,
    /// The place on its timeline then.
    timeline_start_secs: f64,
    epoch: u32,
    meter: StreamMeter,
}

impl Task {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        tokio::select! {
            () = self.reconnect_for_ever() => {}
            // A dropped sender stops it as well.
            _ = stopped.wait_for(|&is_stopped| is_stopped) => {}
        }
        self.enter(CameraState::Stopped);
    }

    async fn reconnect_for_ever(&mut self) {
        loop {
            let mut live_since = None;
            let failure = match self.connect().await {
                Ok(session) => {
                    live_since = Some(Instant::now());
                    self.receive(session).await
                }
                Err(failure) => failure,
            };
            let lasted = live_since.map_or(Duration::ZERO, |since| since.elapsed());
            let wait = self.retries.after(&failure, lasted, fastrand::f64());
            tracing::info!(camera = self.connector.host(), wait_secs = wait.as_secs_f64(), "{failure}");
            self.shared.broadcast.forget();
            let retry_unix_ms = unix_ms().saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
            self.enter(CameraState::Away { failure, retry_unix_ms });
            tokio::time::sleep(wait).await;
            self.enter(CameraState::Connecting);
        }
    }

    async fn connect(&self) -> Result<Box<dyn Session>, Failure> {
        let silent = || Failure::Silent { host: self.connector.host(), secs: CONNECT_TIMEOUT.as_secs() };
        tokio::time::timeout(CONNECT_TIMEOUT, self.connector.connect()).await.map_err(|_| silent())?
    }

    /// Until the connection fails.
    async fn receive(&mut self, mut session: Box<dyn Session>) -> Failure {
        self.timeline.reconnect();
        self.meter = StreamMeter::default();
        self.shared.delivered.lock().unwrap_or_else(PoisonError::into_inner).has_reordered_frames = false;
        self.epoch = self.epoch.saturating_add(1);
        let (mut format, mut sample_entry) = (None, None::<Arc<[u8]>>);
        loop {
            let unit = match tokio::time::timeout(STALL_TIMEOUT, session.next()).await {
                Ok(Ok(unit)) => unit,
                Ok(Err(failure)) => return failure,
                Err(_) => return Failure::Stalled { secs: STALL_TIMEOUT.as_secs() },
            };
            let now = session.format();
            if format != Some(now) {
                if format.is_none() {
                    self.shared.delivered.lock().unwrap_or_else(PoisonError::into_inner).connections += 1;
                }
                format = Some(now);
                self.enter(CameraState::Live(now));
            }
            if unit.is_keyframe {
                let entry = session.sample_entry();
                // Units share one as long as it stays the same.
                if entry.as_deref() != sample_entry.as_deref() {
                    sample_entry = entry.map(Arc::from);
                }
            }
            self.measure(&unit, now, session.clock_offset_secs());
            self.deliver(unit, now.codec, sample_entry.clone());
        }
    }

    fn measure(&mut self, unit: &SessionUnit, format: StreamFormat, clock_offset_secs: Option<f64>) {
        self.meter.see(unit);
        if let Some(measures) = self.meter.measures() {
            let survey = StreamSurvey { format, measures, clock_offset_secs };
            *self.shared.survey.lock().unwrap_or_else(PoisonError::into_inner) = Some(survey);
        }
    }

    fn deliver(&mut self, unit: SessionUnit, codec: Codec, sample_entry: Option<Arc<[u8]>>) {
        let arrived_secs = self.timeline_start_secs + self.started.elapsed().as_secs_f64();
        let placement = self.timeline.place(unit.session_ticks, arrived_secs);
        let arrived_unix_ms = unix_ms();
        {
            let mut delivered = self.shared.delivered.lock().unwrap_or_else(PoisonError::into_inner);
            delivered.units += 1;
            delivered.lost_packets += u64::from(unit.lost_packets);
            delivered.has_reordered_frames = self.meter.has_reordered_frames();
            delivered.clock_jumps = self.timeline.rebased();
            delivered.drift_secs = self.timeline.drift_secs(unit.session_ticks, arrived_secs);
        }
        self.shared.broadcast.send(AccessUnit {
            data: unit.data,
            codec,
            sample_entry,
            time_ticks: placement.time_ticks,
            arrived_unix_ms,
            is_keyframe: unit.is_keyframe,
            is_disposable: unit.is_disposable,
            epoch: self.epoch,
            follows_gap: placement.follows_gap,
            lost_packets: unit.lost_packets,
        });
    }

    fn enter(&self, state: CameraState) {
        self.state.send_if_modified(|history| history.enter(state, unix_ms()));
    }
}

/// By this machine's clock.
fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
