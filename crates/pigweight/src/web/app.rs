//! Shared state of all handlers.

use crate::artifacts::previews::Previews;
use crate::background::adaptations::Adaptations;
use crate::background::camera_discovery::CameraDiscoveries;
use crate::background::camera_state_log::CameraStateLog;
use crate::background::camera_supervisor::CameraSupervisor;
use crate::background::cancellation::Cancellation;
use crate::background::detector_slot::{DetectorSlot, Missing};
use crate::config::Config;
use crate::config::hosts::KnownHosts;
use crate::notifications::Notifications;
use crate::sources::clips::Clips;
use crate::sources::uploads::Uploads;
use crate::status::Status;
use crate::web::auth::caller::Authenticator;
use crate::web::media::recorded_files::RecordedVideos;
use crate::web::media::video_pool::VideoPool;
use metrics_exporter_prometheus::PrometheusHandle;
use pigweight_detect::service::Inference;
use pigweight_live::webrtc::WebRtc;
use pigweight_store::{Store, VideoRecord};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Semaphore;

/// Shared state of all handlers.
pub struct App {
    /// Identifies the caller of a request.
    pub authenticator: Box<dyn Authenticator>,
    /// The store.
    pub store: Store,
    /// Current status.
    pub status: Arc<Status>,
    /// The detector, or why there is none.
    pub detector: Arc<DetectorSlot>,
    /// Detectors that are adapted to sources.
    pub adaptations: Arc<Adaptations>,
    /// The cameras.
    pub cameras: Arc<CameraSupervisor>,
    /// What they were doing.
    pub camera_states: Arc<CameraStateLog>,
    /// Searches for cameras on the network.
    pub discoveries: Arc<CameraDiscoveries>,
    /// Webhooks and MQTT.
    pub notifications: Arc<Notifications>,
    /// Viewers of cameras; `None`: WebRTC is off.
    pub webrtc: Option<WebRtc>,
    /// Places for viewers of cameras over WebSockets.
    pub video_sockets: Arc<Semaphore>,
    /// Places for clients that get a camera's pictures one after the other.
    pub mjpeg_clients: Arc<Semaphore>,
    /// The server's configuration.
    pub config: Arc<Config>,
    /// The names under which it may be asked.
    pub known_hosts: KnownHosts,
    /// Open videos.
    pub pool: VideoPool,
    /// Stream segments in flight.
    pub hls_parts: crate::web::media::hls_parts::HlsParts,
    /// Counts of frames that no analysis has reached yet.
    pub on_demand_counts: crate::web::media::on_demand_count::OnDemandCounts,
    /// Previews.
    pub previews: Arc<Previews>,
    /// Recordings of cameras.
    pub recorded: RecordedVideos,
    /// Clips of cameras.
    pub clips: Clips,
    /// Uploads.
    pub uploads: Uploads,
    /// Wakes the background work when there is something new.
    pub wake: crossbeam_channel::Sender<()>,
    /// Wakes the thread that counts lines.
    pub count_lines: crossbeam_channel::Sender<()>,
    /// The owner name under which this process sees files.
    pub owner: String,
    /// Stops the server.
    pub cancellation: Arc<Cancellation>,
    /// For the uptime.
    pub started: Instant,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
}

impl App {
    /// Wakes the thread that counts lines over runs where they haven't been counted yet.
    pub fn count_lines(&self) {
        // A full queue means that it was already woken.
        let _already_woken = self.count_lines.try_send(());
    }

    /// The detector that counts a video: its folder's, or the usual one.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn detector_of(&self, video: &VideoRecord) -> Result<Inference, Missing> {
        let (detector, video) = (self.detector.clone(), video.clone());
        // A folder's detector is loaded when it is first needed.
        match tokio::task::spawn_blocking(move || detector.for_video(&video)).await {
            Ok(found) => found,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }

    /// Wakes the background work after a change.
    pub fn wake(&self) {
        // A full queue means that it was already woken.
        let _already_woken = self.wake.try_send(());
    }
}

/// The form in which handlers receive it.
pub type Shared = axum::extract::State<Arc<App>>;
