//! Keeps the states of cameras over restarts, each once, and so tells them to webhooks.
//!
//! A camera keeps its last 200 changes itself, so none is missed between two looks. What a camera did in the second before the process
//! was killed is not kept; the next start says that the server had ended.

use crate::background::camera_supervisor::CameraSupervisor;
use crate::background::steady_state::{StateTracker, SteadyState};
use pigweight_store::{EnteredState, KeptState, Store};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

const INTERVAL: Duration = Duration::from_secs(1);

/// The states of all cameras of a server.
pub struct CameraStateLog {
    store: Store,
    cameras: Arc<CameraSupervisor>,
    /// What was kept last. Held while states are written, so that a reader finds each once.
    trackers: Mutex<BTreeMap<String, StateTracker>>,
    stop: watch::Sender<bool>,
    task: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl CameraStateLog {
    /// Keeps states from now on, on the current runtime.
    pub fn start(store: Store, cameras: Arc<CameraSupervisor>) -> Arc<Self> {
        let (stop, is_stopped) = watch::channel(false);
        let log = Arc::new(Self {
            store,
            cameras,
            trackers: Mutex::default(),
            stop,
            task: std::sync::Mutex::default(),
        });
        let task = tokio::spawn(log.clone().work(is_stopped));
        // Only ever replaced as a whole.
        *log.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        log
    }

    /// Keeps that nothing is known of the cameras from now on. Before they are stopped: that is the server's state and not theirs.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && task.await.is_err()
        {
            tracing::error!("keeping the states of cameras broke down; the log says where");
        }
    }

    /// The last `most` states of a camera, the latest first, up to now.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn states(&self, camera_id: &str, most: u32) -> pigweight_store::Result<Vec<KeptState>> {
        let trackers = self.trackers.lock().await;
        let mut states = self.store.camera_states(camera_id, most).await?;
        if let Some(status) = self.cameras.status(camera_id) {
            let mut tracker = trackers.get(camera_id).cloned().unwrap_or_default();
            for SteadyState { state, reason, since_millis } in tracker.follow(&status.states) {
                let (reason_code, reason) =
                    reason.map(|reason| (reason.code.to_owned(), reason.text)).unzip();
                states.insert(0, KeptState { state: state.to_owned(), reason_code, reason, since_millis });
            }
            states.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        }
        Ok(states)
    }

    async fn work(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut times = tokio::time::interval(INTERVAL);
        times.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut is_stopped = false;
        while !is_stopped {
            tokio::select! {
                _ = times.tick() => {}
                // A dropped sender stops it as well.
                _ = stop.wait_for(|&is_stopped| is_stopped) => is_stopped = true,
            }
            // What can't be written now is kept at the next look; who writes results reports why.
            if let Err(error) = self.note(is_stopped).await {
                tracing::debug!("states of cameras are not kept: {error}");
            }
        }
    }

    async fn note(&self, is_stopped: bool) -> pigweight_store::Result<()> {
        let mut trackers = self.trackers.lock().await;
        let ids: Vec<String> = self.store.cameras().await?.into_iter().map(|camera| camera.id).collect();
        trackers.retain(|id, _| ids.contains(id));
        for id in ids {
            let Some(status) = self.cameras.status(&id) else { continue };
            let mut tracker = trackers.get(&id).cloned().unwrap_or_default();
            let mut entered: Vec<EnteredState> =
                tracker.follow(&status.states).into_iter().map(entered_state).collect();
            if is_stopped {
                let since_millis = jiff::Timestamp::now().as_millisecond();
                entered.push(EnteredState { state: "stopped", reason: None, since_millis });
            }
            self.store.note_camera_states(&id, &entered).await?;
            trackers.insert(id, tracker);
        }
        Ok(())
    }
}

fn entered_state(SteadyState { state, reason, since_millis }: SteadyState) -> EnteredState {
    EnteredState { state, reason, since_millis }
}
