//! The server: everything that runs between [`Server::start`] and [`Server::stop`].
//!
//! A server owns its runtime. All its tasks run there and all its threads are joined when it stops, so one process can start several
//! one after the other, as tests do.

use crate::analysis::model_trial::load_model;
use crate::analysis::settings::model_settings;
use crate::artifacts::previews::Previews;
use crate::artifacts::recordings::Recordings;
use crate::background::adaptations::Adaptations;
use crate::background::camera_discovery::CameraDiscoveries;
use crate::background::camera_state_log::CameraStateLog;
use crate::background::camera_supervisor::CameraSupervisor;
use crate::background::cancellation::Cancellation;
use crate::background::detector_slot::{self, DetectorSlot};
use crate::background::enqueued_fingerprints::EnqueuedFingerprints;
use crate::background::job_context::{JobContext, MOST_STARTS, ended_too_often};
use crate::background::{Background, BackgroundSettings};
use crate::config::Config;
use crate::config::cameras::WebRtcConfig;
use crate::config::hosts::KnownHosts;
use crate::describe::counted;
use crate::metric_help;
use crate::notifications::{self, Notifications};
use crate::reason::Reasoned as _;
use crate::sources::clips::Clips;
use crate::sources::file_access;
use crate::sources::library::OwnFolders;
use crate::sources::open_videos::OpenVideos;
use crate::sources::uploads::Uploads;
use crate::status::Status;
use crate::web::api::{mjpeg, video_socket};
use crate::web::auth::caller::{Authenticator, LocalAuthenticator};
use crate::web::connections::Limits;
use crate::web::serve::serve;
use crate::web::{App, RecordedVideos, VideoPool, router};
use anyhow::Context as _;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use pigweight_detect::Device;
use pigweight_detect::service::Inference;
use pigweight_live::webrtc::{WebRtc, WebRtcSettings};
use pigweight_store::Store;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// Histogram buckets, seconds: from a cached response to a frame from a long GOP.
const LATENCY_BUCKETS: [f64; 11] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0];
/// Open files that no request has used for this long are closed.
const RELEASE_AFTER: Duration = Duration::from_secs(120);
/// Interval at which job leases are renewed, well within their length, and histograms are merged.
const RENEW_LEASES_EVERY: Duration = Duration::from_secs(20);
/// Old uploads are removed after a week.
const REMOVE_OLD_UPLOADS_EVERY: Duration = Duration::from_secs(3600);
/// How long to wait for a data folder that another process holds.
const FOLDER_WAIT: Duration = Duration::from_secs(2);
const FOLDER_TRIES: u32 = 40;
/// How long requests in flight may take when the server stops.
const DRAIN_REQUESTS: Duration = Duration::from_secs(2);
/// How long blocking work may take to notice the stop. Files being read from end to end aren't waited for longer.
const DRAIN_BLOCKING: Duration = Duration::from_secs(5);

/// A running server.
pub struct Server {
    runtime: Runtime,
    address: SocketAddr,
    summary: String,
    shutdown: watch::Sender<bool>,
    serving: JoinHandle<()>,
    notifications: Arc<Notifications>,
    cameras: Arc<CameraSupervisor>,
    camera_states: Arc<CameraStateLog>,
    discoveries: Arc<CameraDiscoveries>,
    background: Background,
    stores: [Store; 2],
}

impl Server {
    /// Opens the data folder, loads the model, binds the address and starts all work. Blocks; not for use in an asynchronous task.
    ///
    /// # Errors
    /// If the folder is in use, the address is taken, or a configured model or device doesn't work.
    pub fn start(config: Config) -> anyhow::Result<Self> {
        Self::start_with(config, Box::new(LocalAuthenticator))
    }

    /// The same; `authenticator` identifies who sends a request.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(config: Config, authenticator: Box<dyn Authenticator>) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let started = runtime.block_on(start(Arc::new(config), authenticator));
        match started {
            Ok(Started {
                address,
                summary,
                shutdown,
                serving,
                notifications,
                cameras,
                camera_states,
                discoveries,
                background,
                stores,
            }) => Ok(Self {
                runtime,
                address,
                summary,
                shutdown,
                serving,
                notifications,
                cameras,
                camera_states,
                discoveries,
                background,
                stores,
            }),
            Err(error) => {
                runtime.shutdown_timeout(DRAIN_BLOCKING);
                Err(error)
            }
        }
    }

    /// The address it listens on, with the actual port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Describes what it serves, for people: lines that end with a line break.
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// Waits for a future while the server runs.
    pub fn block_on<T>(&self, until: impl Future<Output = T>) -> T {
        self.runtime.block_on(until)
    }

    /// Stops all work: requests in flight get a moment, background work stops at the next frame, all threads are joined, and the data folder is
    /// released.
    ///
    /// # Errors
    /// If background work has panicked.
    pub fn stop(self) -> anyhow::Result<()> {
        let Self {
            runtime,
            shutdown,
            serving,
            notifications,
            cameras,
            camera_states,
            discoveries,
            background,
            stores,
            ..
        } = self;
        shutdown.send_replace(true);
        let served = runtime.block_on(async {
            // A browser that holds a video open must not keep the server running.
            tokio::time::timeout(DRAIN_REQUESTS, serving).await
        });
        // Before the cameras: that they stop is not their state.
        runtime.block_on(async {
            camera_states.stop().await;
            notifications.stop().await;
            discoveries.stop().await;
        });
        cameras.stop();
        let ended = background.stop();
        runtime.block_on(async {
            for store in stores {
                store.close().await;
            }
        });
        runtime.shutdown_timeout(DRAIN_BLOCKING);
        if let Ok(served) = served {
            served?;
        }
        ended
    }
}

struct Started {
    address: SocketAddr,
    summary: String,
    shutdown: watch::Sender<bool>,
    serving: JoinHandle<()>,
    notifications: Arc<Notifications>,
    cameras: Arc<CameraSupervisor>,
    camera_states: Arc<CameraStateLog>,
    discoveries: Arc<CameraDiscoveries>,
    background: Background,
    stores: [Store; 2],
}

async fn start(config: Arc<Config>, authenticator: Box<dyn Authenticator>) -> anyhow::Result<Started> {
    // Before anything is opened.
    let limits = Limits::of_this_process();
    let store = open_store(&config.data).await?;
    let listener = tokio::net::TcpListener::bind(config.listen).await.with_context(|| {
        format!("cannot listen on {}; stop what does, or name another with --listen ADDR", config.listen)
    })?;
    let address = listener.local_addr()?;
    // A full disk doesn't prevent viewing existing data.
    if let Err(error) = store.announce(&local_address(address).to_string()) {
        tracing::warn!("other commands will not find this server: {error}");
    }
    let open_videos = OpenVideos::new(store.clone(), file_access::start(&config).await?);
    let detector = Arc::new(DetectorSlot::new(start_detector(&config)?, config.clone()));
    let metrics = metrics_recorder()?;
    let status = Arc::new(Status::default());
    let previews = Arc::new(Previews::new(&config.data, config.preview.disk_gb));
    let uploads = Uploads::new(&config.data, config.upload.max_gb);
    uploads.recover().await?;
    let clips = Clips::open(&config.data)?;
    let own = OwnFolders { uploads: uploads.folder().canonicalize()?, clips: clips.folder().to_owned() };
    let cancellation = Arc::new(Cancellation::default());
    let owner = ulid::Ulid::generate().to_string().to_lowercase();
    // Capacity one, as `wake`.
    let (count_lines, lines_to_count) = crossbeam_channel::bounded(1);
    // Capacity one: waking twice is waking once.
    let (wake, woken) = crossbeam_channel::bounded(1);
    // Capacity one, as `wake`.
    let (wake_adaptations, adaptations_woken) = crossbeam_channel::bounded(1);
    let adaptations = Arc::new(Adaptations::new(
        config.clone(),
        store.clone(),
        open_videos.clone(),
        wake.clone(),
        wake_adaptations,
    ));
    // The folder belongs to this process, so the leases of earlier processes have ended.
    if let Err(error) = store.register_process(&owner, true).await {
        status.report_trouble(&error.reason());
    }
    if let Err(error) = store.reclaim_jobs(true, MOST_STARTS, &ended_too_often()).await {
        status.report_trouble(&error.reason());
    }
    let background_store = store.background_connections().await?;
    let recordings =
        Arc::new(Recordings::new(&config.data, background_store.clone(), config.recording.clone()));
    // Cameras that can't be recorded are shown and counted all the same.
    if let Err(error) = recordings.repair().await {
        status.report_trouble(&error.reason());
    }
    let context = Arc::new(JobContext {
        store: background_store.clone(),
        status: status.clone(),
        detector: detector.clone(),
        config: config.clone(),
        enqueued: EnqueuedFingerprints::default(),
        open_videos: open_videos.clone(),
        previews: previews.clone(),
        recordings: recordings.clone(),
        cancellation: cancellation.clone(),
        count_lines: count_lines.clone(),
        lease_owner: owner.clone(),
    });
    if let Err(error) = notifications::register(&config, &store).await {
        status.report_trouble(&error.reason());
    }
    let cameras = CameraSupervisor::start(context.clone()).await?;
    let camera_states = CameraStateLog::start(background_store.clone(), cameras.clone());
    let discoveries = Arc::new(CameraDiscoveries::new(context.clone()));
    let notifications = Notifications::start(&config, &store, &status, &cameras)?;
    let webrtc = start_webrtc(&config, address).await?;
    let has_tcp = config.webrtc.tcp;
    let entrance = webrtc.as_ref().filter(|_| has_tcp).map(WebRtc::tcp_entrance);
    let app = Arc::new(App {
        adaptations: adaptations.clone(),
        cameras: cameras.clone(),
        camera_states: camera_states.clone(),
        discoveries: discoveries.clone(),
        notifications: notifications.clone(),
        webrtc,
        video_sockets: Arc::new(Semaphore::new(video_socket::MOST_VIEWERS)),
        mjpeg_clients: Arc::new(Semaphore::new(mjpeg::MOST_VIEWERS)),
        authenticator,
        store: store.clone(),
        status,
        detector: detector.clone(),
        config: config.clone(),
        known_hosts: KnownHosts::new(&config.allowed_hosts),
        pool: VideoPool::new(std::thread::available_parallelism().map_or(1, usize::from), open_videos),
        hls_parts: Default::default(),
        on_demand_counts: Default::default(),
        previews,
        recorded: RecordedVideos::new(store.clone(), recordings),
        clips,
        uploads,
        wake: wake.clone(),
        count_lines,
        owner,
        cancellation,
        started: Instant::now(),
        metrics: metrics.clone(),
    });
    let settings = BackgroundSettings {
        context: context.clone(),
        own,
        wake,
        woken,
        lines_to_count,
        adaptations,
        adaptations_woken,
    };
    // Reading the folders blocks.
    let background = tokio::task::spawn_blocking(move || Background::start(settings)).await??;
    let summary = summary(&config, &detector, background.videos_found());
    let (shutdown, is_shutdown) = watch::channel(false);
    spawn_upkeep(&app, &store, &context, metrics);
    spawn_detector_search(&config, &app);
    let serving = tokio::spawn(serve(listener, entrance, router(app), limits, is_shutdown.clone()));
    Ok(Started {
        address,
        summary,
        shutdown,
        serving,
        notifications,
        cameras,
        camera_states,
        discoveries,
        background,
        stores: [background_store, store],
    })
}

/// Viewers of cameras use UDP at the same address and port, unless the configuration names another. If that is taken, the page plays cameras over its own connection.
async fn start_webrtc(config: &Config, address: SocketAddr) -> anyhow::Result<Option<WebRtc>> {
    let WebRtcConfig { enabled, listen, tcp, addresses } = config.webrtc.clone();
    if !enabled {
        return Ok(None);
    }
    let settings =
        WebRtcSettings { listen: listen.unwrap_or(address), tcp: tcp.then_some(address), addresses };
    match WebRtc::start(settings.clone()).await {
        Ok(webrtc) => Ok(Some(webrtc)),
        Err(error) if listen.is_some() => Err(error).with_context(|| {
            format!("cannot receive UDP at {}; name another address with webrtc.listen", settings.listen)
        }),
        Err(error) => {
            tracing::warn!(
                "browsers get cameras without WebRTC, as UDP at {} can't be used ({error}); name another address with webrtc.listen",
                settings.listen
            );
            Ok(None)
        }
    }
}

/// Opens the store as soon as its previous process is completely gone: a killed server may have been starting a process, which holds the folder
/// until it has started.
async fn open_store(folder: &Path) -> pigweight_store::Result<Store> {
    let mut tries = tokio::time::interval(FOLDER_WAIT / FOLDER_TRIES);
    for number in 0..FOLDER_TRIES {
        tries.tick().await;
        match Store::open(folder).await {
            Err(pigweight_store::Error::FolderInUse { .. }) if number == 0 => {
                tracing::warn!("the data folder {} is in use; waiting for it", folder.display());
            }
            Err(pigweight_store::Error::FolderInUse { .. }) => {}
            opened => return opened,
        }
    }
    Store::open(folder).await
}

/// One recorder for the process, for any number of servers.
fn metrics_recorder() -> anyhow::Result<PrometheusHandle> {
    static RECORDER: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut recorder = RECORDER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*recorder {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &LATENCY_BUCKETS)?
        .install_recorder()?;
    metric_help::describe();
    Ok(recorder.insert(handle).clone())
}

/// Closes idle files, renews leases and merges histograms, until the runtime ends.
fn spawn_upkeep(app: &Arc<App>, store: &Store, context: &Arc<JobContext>, metrics: PrometheusHandle) {
    let pool = app.clone();
    tokio::spawn(async move {
        let mut times = tokio::time::interval(RELEASE_AFTER);
        loop {
            times.tick().await;
            let app = pool.clone();
            // Ending a process may wait for its disk.
            let _released = tokio::task::spawn_blocking(move || app.pool.release(RELEASE_AFTER)).await;
        }
    });
    let uploads = app.clone();
    tokio::spawn(async move {
        let mut times = tokio::time::interval(REMOVE_OLD_UPLOADS_EVERY);
        loop {
            times.tick().await;
            uploads.uploads.remove_old().await;
        }
    });
    let (store, lease_owner) = (store.clone(), context.lease_owner.clone());
    tokio::spawn(async move {
        let mut times = tokio::time::interval(RENEW_LEASES_EVERY);
        loop {
            times.tick().await;
            // If /metrics is never read, each measurement would be kept for ever otherwise.
            metrics.run_upkeep();
            // If this can't be written, nothing else can, and that is reported.
            let _unwritten = store.renew_leases(&lease_owner).await;
            let _unwritten = store.reclaim_jobs(false, MOST_STARTS, &ended_too_often()).await;
        }
    });
}

/// Waits for missing inference servers.
fn spawn_detector_search(config: &Config, app: &Arc<App>) {
    if !app.detector.now().is_err_and(|missing| missing.is_awaited()) {
        return;
    }
    let (detector, wake) = (app.detector.clone(), app.wake.clone());
    let (settings, workers) = (model_settings(config), config.detect.workers);
    tokio::spawn(async move { detector.wait_for_servers(settings, workers, wake).await });
}

/// The detector, or why there is none. A configured model or device that doesn't work is an error. If the built-in model doesn't load because
/// ONNX Runtime is missing, or no inference server is there yet, videos are shown all the same.
fn start_detector(config: &Config) -> anyhow::Result<Result<Inference, pigweight_detect::Error>> {
    let model = match load_model(model_settings(config)) {
        Err(error @ pigweight_detect::Error::RemoteGone { .. }) => return Ok(Err(error)),
        Err(error) if config.model.is_none() && is_of_runtime(&error) => return Ok(Err(error)),
        loaded => loaded?,
    };
    Ok(Ok(detector_slot::start(model, config.detect.workers)?))
}

fn is_of_runtime(error: &pigweight_detect::Error) -> bool {
    use pigweight_detect::Error::{RuntimeMissing, RuntimeUnusable};
    matches!(error, RuntimeMissing | RuntimeUnusable { .. })
}

/// Describes what is served, line by line.
fn summary(config: &Config, detector: &DetectorSlot, videos: usize) -> String {
    let device = match detector.now() {
        Ok(inference) => describe(&inference),
        Err(missing) => format!("Videos are shown and not counted: {}", missing.error),
    };
    let folders = if config.videos.is_empty() {
        "No folder of videos is named; give one with --videos DIR, or add videos in the page".to_owned()
    } else {
        let folders: Vec<_> = config.videos.iter().map(|folder| folder.display().to_string()).collect();
        format!("{} in {}", counted(videos, "video"), folders.join(", "))
    };
    format!("{device}\n{folders}\nResults are kept in {}\n", config.data.display())
}

/// The detector and its speed, for people.
fn describe(inference: &Inference) -> String {
    let model = inference.model();
    let report = model.device();
    let ms = model.speed().inference.as_secs_f64() * 1000.0;
    let how = match report.device {
        Device::Cpu => {
            format!("{ms:.1} ms a frame on one core, {} (cpu)", counted(inference.sessions(), "core"))
        }
        device if report.batch > 1 => {
            format!("{ms:.1} ms a frame on the device {device}, up to {} at once", report.batch)
        }
        device => format!("{ms:.1} ms a frame on the device {device}"),
    };
    let place = report.endpoints.first().map_or_else(|| model.info().name.clone(), |_| model.place());
    let trouble = report.trouble.map_or_else(String::new, |trouble| format!("\n{trouble}"));
    format!("Detector: {place}, {how}{trouble}")
}

/// An address at which this machine reaches the server: one that listens on every address is reached locally.
fn local_address(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[cfg(test)]
mod tests;
