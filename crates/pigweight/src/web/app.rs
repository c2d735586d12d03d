//! What all handlers share.

use crate::artifacts::previews::Previews;
use crate::background::cancellation::Cancellation;
use crate::background::detector_slot::DetectorSlot;
use crate::config::Config;
use crate::sources::uploads::Uploads;
use crate::status::Status;
use crate::web::auth::caller::Authenticator;
use crate::web::media::video_pool::VideoPool;
use metrics_exporter_prometheus::PrometheusHandle;
use pigweight_store::Store;
use std::sync::Arc;
use std::time::Instant;

/// What the handlers share.
pub struct App {
    /// Who sends a request.
    pub authenticator: Box<dyn Authenticator>,
    /// What is kept.
    pub store: Store,
    /// What is going on.
    pub status: Arc<Status>,
    /// Who looks at pictures, or why nobody does.
    pub detector: Arc<DetectorSlot>,
    /// What the server was told.
    pub config: Arc<Config>,
    /// Open videos.
    pub pool: VideoPool,
    /// Pieces of streams that are on their way.
    pub hls_parts: crate::web::media::hls_parts::HlsParts,
    /// Counts of frames that no analysis has come to yet.
    pub on_demand_counts: crate::web::media::on_demand_count::OnDemandCounts,
    /// Small pictures.
    pub previews: Arc<Previews>,
    /// Files that come over the network.
    pub uploads: Uploads,
    /// Wakes the background work when there is something new.
    pub wake: crossbeam_channel::Sender<()>,
    /// Wakes the thread that counts lines.
    pub count_lines: crossbeam_channel::Sender<()>,
    /// The name under which this process sees files.
    pub owner: String,
    /// Stops it.
    pub cancellation: Arc<Cancellation>,
    /// For the uptime.
    pub started: Instant,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
}

impl App {
    /// Lets lines be counted over what they have not been counted over yet.
    pub fn count_lines(&self) {
        // A full queue means that it has been woken already.
        let _already_woken = self.count_lines.try_send(());
    }

    /// Lets the background look at what has changed.
    pub fn wake(&self) {
        // A full queue means that it has been woken already.
        let _already_woken = self.wake.try_send(());
    }
}

/// How handlers take it.
pub type Shared = axum::extract::State<Arc<App>>;
