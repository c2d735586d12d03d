//! Notes the states of cameras for webhooks, each once.
//!
//! A camera keeps its last 200 changes itself, so none is missed between two looks. What a camera did in the second before the process
//! was killed is not noted; after the start it is connecting.

use crate::background::camera_supervisor::CameraSupervisor;
use crate::notifications::steady_state::StateTracker;
use pigweight_store::{CameraStateEvent, Store};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const INTERVAL: Duration = Duration::from_secs(1);

/// Notes states until it is told to stop.
pub async fn work(store: Store, cameras: Arc<CameraSupervisor>, mut stop: watch::Receiver<bool>) {
    let mut trackers = BTreeMap::new();
    let mut times = tokio::time::interval(INTERVAL);
    times.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = times.tick() => {}
            // A dropped sender stops it as well.
            _ = stop.wait_for(|&is_stopped| is_stopped) => return,
        }
        // What can't be written now is noted at the next look; who writes results reports why.
        if let Err(error) = note(&store, &cameras, &mut trackers).await {
            tracing::debug!("states of cameras are not noted: {error}");
        }
    }
}

async fn note(
    store: &Store,
    cameras: &CameraSupervisor,
    trackers: &mut BTreeMap<String, StateTracker>,
) -> pigweight_store::Result<()> {
    let ids: Vec<String> = store.cameras().await?.into_iter().map(|camera| camera.id).collect();
    trackers.retain(|id, _| ids.contains(id));
    for id in ids {
        let Some(status) = cameras.status(&id) else { continue };
        let mut tracker = trackers.get(&id).cloned().unwrap_or_default();
        let entered = tracker.follow(&status.states).into_iter();
        // Not the camera's: the server is stopping.
        let entered = entered.filter(|state| state.state != "stopped");
        let events: Vec<CameraStateEvent> = entered
            .map(|entered| CameraStateEvent {
                state: entered.state,
                reason: entered.reason,
                since_millis: entered.since_millis,
            })
            .collect();
        if !events.is_empty() {
            store.tell_camera_states(&id, &events).await?;
        }
        trackers.insert(id, tracker);
    }
    Ok(())
}
