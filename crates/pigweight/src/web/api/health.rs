//! Server status and metrics.

use crate::artifacts::disk_space;
use crate::reason::Reasoned as _;
use crate::web::api::count_socket::Lag;
use crate::web::api::receivers::Receiver;
use crate::web::api::types::{Run, RunState};
use crate::web::api::video_socket;
use crate::web::app::App;
use crate::web::app::Shared;
use crate::web::auth::caller::Caller;
use crate::web::request::problem::Problem;
use axum::Json;
use pigweight_detect::{DeviceReport, EndpointReport};
use pigweight_store::{JobState, Reason};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use utoipa::ToSchema;

/// The server in a few facts.
#[derive(Serialize, ToSchema)]
pub struct Health {
    pub status: Status,
    pub version: &'static str,
    /// What is missing or wrong and what to do about it.
    pub message: Option<String>,
    /// A short name of `message` that stays the same, for programs that say it in other words; null where it has none.
    pub reason_code: Option<String>,
    pub uptime_secs: u64,
    /// Null where none is loaded.
    pub model: Option<ModelHealth>,
    /// Null where no model is loaded.
    pub device: Option<Device>,
    /// Inference servers, from the start on, whether they are there or not.
    pub endpoints: Vec<Endpoint>,
    /// The MQTT broker; null where none is configured.
    pub mqtt: Option<Receiver>,
    /// Webhooks, in the order of the configuration.
    pub webhooks: Vec<Receiver>,
}

#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Ok,
    /// Videos are shown and not counted.
    NoModel,
    /// Something is wrong and `message` says what: results cannot be written, a device or inference server is gone, the model gives nonsense, other programs are not told.
    Degraded,
}

/// The detector as it was read.
#[derive(Serialize, ToSchema)]
pub struct ModelHealth {
    pub name: String,
    /// Of the file; or says that it is built in.
    pub path: String,
    /// How its outputs are read: yolox, yolox_decoded, yolov5, yolov8, end_to_end, detr, detr_rows, detr_boxes, nms_rows.
    pub layout: &'static str,
    /// Width and height, px.
    pub input: [usize; 2],
    pub classes: Vec<String>,
    /// A box is a pig from this score on, where its folder was not calibrated.
    pub min_score: f32,
    /// BLAKE3 of the file.
    pub hash: String,
}

/// What runs the detector, as measured.
#[derive(Serialize, ToSchema)]
pub struct Device {
    /// What looks now: cpu, cuda, tensorrt, openvino, remote.
    pub name: &'static str,
    /// One inference of one picture (of 16:9, where `detect.trim_border` leaves its border out), measured when the model was loaded; on a processor on one core.
    pub inference_ms: f64,
    /// Threads of one inference.
    pub threads: usize,
    /// Inferences side by side.
    pub sessions: usize,
    /// Pictures at once at the most.
    pub batch: usize,
    /// What `auto` tried first, and why it is not used.
    pub tried: Vec<String>,
}

/// An inference server.
#[derive(Serialize, ToSchema)]
pub struct Endpoint {
    pub url: String,
    /// Why it is not asked; null while it is.
    pub trouble: Option<String>,
}

impl From<EndpointReport> for Endpoint {
    fn from(EndpointReport { url, trouble, .. }: EndpointReport) -> Self {
        Self { url, trouble }
    }
}

/// Whether everything works.
#[utoipa::path(get, path = "/api/health", responses((status = 200, body = Health)))]
pub async fn health(_: Caller, app: Shared) -> Result<Json<Health>, Problem> {
    let inference = app.detector.now();
    let report = inference.as_ref().ok().map(|inference| inference.model().device());
    let of_disk = || disk_space::is_full(&app.config.data).then(|| disk_full(&app.config.data));
    let of_device = || {
        let trouble = report.as_ref().and_then(|report| report.trouble.clone());
        trouble.map(|trouble| Reason::new("device_trouble", trouble))
    };
    let of_model = || {
        let doubt = inference.as_ref().ok().and_then(|inference| inference.model_warning());
        doubt.map(|doubt| Reason::new("model_doubted", doubt))
    };
    let receivers = app.notifications.reports();
    let of_receivers = || receivers.trouble();
    let trouble =
        app.status.trouble().or_else(of_disk).or_else(of_device).or_else(of_model).or_else(of_receivers);
    let (status, reason) = match (trouble, &inference) {
        (Some(trouble), _) => (Status::Degraded, Some(trouble)),
        (None, Err(missing)) => (Status::NoModel, Some(missing.error.reason())),
        (None, Ok(_)) => (Status::Ok, None),
    };
    let endpoints = match &inference {
        Err(missing) => missing.endpoints(),
        Ok(_) => report.as_ref().map(|report| report.endpoints.clone()).unwrap_or_default(),
    };
    let model = inference.as_ref().ok().map(|inference| inference.model());
    Ok(Json(Health {
        status,
        version: env!("CARGO_PKG_VERSION"),
        reason_code: reason.as_ref().map(|reason| reason.code.to_owned()),
        message: reason.map(|reason| reason.text),
        uptime_secs: app.started.elapsed().as_secs(),
        model: model.map(|model| ModelHealth {
            name: model.info().name.clone(),
            path: model.place(),
            layout: model.info().head.name(),
            input: [model.info().input_width, model.info().input_height],
            classes: model.info().classes.clone(),
            min_score: app.config.detect.min_score(),
            hash: model.info().hash.clone(),
        }),
        device: inference.as_ref().ok().zip(report).map(|(inference, report)| Device {
            name: report.device.name(),
            inference_ms: inference.model().speed().inference.as_secs_f64() * 1000.0,
            threads: inference.model().settings().threads,
            sessions: inference.sessions(),
            batch: report.batch,
            tried: report.tried,
        }),
        endpoints: endpoints.into_iter().map(Endpoint::from).collect(),
        mqtt: receivers.mqtt.map(Receiver::of),
        webhooks: receivers.webhooks.into_iter().map(Receiver::of).collect(),
    }))
}

/// Reported before the first write fails: an idle server would not notice.
fn disk_full(folder: &Path) -> Reason {
    let text = format!(
        "the disk of {} is full: no results and no new videos can be kept, nothing written before is lost; free some space and it \
         goes on",
        folder.display()
    );
    Reason::new("disk_full", text)
}

/// Figures for Prometheus; `docs/guide/grafana.json` is a dashboard of them.
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn metrics(_: Caller, app: Shared) -> Result<String, Problem> {
    // Gauges that are computed on request.
    for (state, count) in videos_by_state(&app).await? {
        metrics::gauge!("pigweight_videos", "state" => state).set(f64::from(count));
    }
    for (state, count) in cameras_by_state(&app).await? {
        metrics::gauge!("pigweight_cameras", "state" => state).set(f64::from(count));
    }
    if let Some(webrtc) = &app.webrtc {
        metrics::gauge!("pigweight_webrtc_viewers").set(webrtc.viewers() as f64);
    }
    let free = app.video_sockets.available_permits();
    metrics::gauge!("pigweight_video_socket_viewers")
        .set((video_socket::MOST_VIEWERS - free.min(video_socket::MOST_VIEWERS)) as f64);
    app.notifications.measure(&app.store).await?;
    let previews = app.previews.clone();
    let bytes = tokio::task::spawn_blocking(move || previews.budget().used_bytes())
        .await
        .map_err(Problem::internal)?;
    metrics::gauge!("pigweight_small_pictures_bytes").set(bytes as f64);
    match app.detector.now() {
        Ok(inference) => {
            for (urgency, waiting) in inference.waiting() {
                metrics::gauge!("pigweight_inference_waiting", "for" => urgency.name()).set(waiting as f64);
            }
            let report = inference.model().device();
            describe_device(&report);
            describe_endpoints(&report.endpoints);
        }
        Err(missing) => describe_endpoints(&missing.endpoints()),
    }
    let counted = app.store.count_jobs().await?;
    for state in JobState::ALL {
        // A state without jobs is reported as well, or its gauge would keep its value.
        let jobs = counted.iter().find(|(of, ..)| *of == state).map_or(0, |(_, jobs, _)| *jobs);
        metrics::gauge!("pigweight_jobs", "state" => state.name()).set(jobs as f64);
    }
    metrics::gauge!("pigweight_stream_pieces_bytes").set(app.hls_parts.bytes() as f64);
    if let Some(bytes) = resident_bytes("self") {
        metrics::gauge!("process_resident_memory_bytes").set(bytes as f64);
    }
    let workers = pigweight_media::isolate::running();
    metrics::gauge!("pigweight_workers").set(workers.len() as f64);
    // A job that ended meanwhile holds nothing.
    let bytes: u64 = workers.iter().filter_map(|pid| resident_bytes(&pid.to_string())).sum();
    metrics::gauge!("pigweight_workers_resident_memory_bytes").set(bytes as f64);
    Ok(app.metrics.render() + &sources(&app).await?)
}

/// What lies before each video that is worked on now. Written here and not kept by the recorder, which would go on telling of every
/// video that there ever was.
async fn sources(app: &App) -> Result<String, Problem> {
    let mut lags = Vec::new();
    for id in app.cancellation.current() {
        let video = app.store.video(&id).await?;
        // The run in progress, even if another one is published.
        let run = match app.status.latest(&id) {
            Some(progress) => Some(progress.run),
            None => app.store.shown_run(&id).await?,
        };
        let lag = Lag::of(app, &video, run.as_ref());
        lags.push((label(&video.name), lag));
    }
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, value: &dyn Fn(&Lag) -> Option<f64>| {
        if lags.is_empty() {
            return;
        }
        text += &format!("# HELP {name} {help}\n# TYPE {name} gauge\n");
        for (source, lag) in &lags {
            if let Some(value) = value(lag) {
                text += &format!("{name}{{source=\"{source}\"}} {value}\n");
            }
        }
    };
    let frames = "Frames of a video in work that are not counted yet.";
    gauge("pigweight_source_backlog_frames", frames, &|lag| Some(lag.backlog_frames as f64));
    let secs = "Seconds of a video in work that are not counted yet.";
    gauge("pigweight_source_lag_seconds", secs, &|lag| Some(lag.video_secs));
    let age = "Seconds since the figures of a video in work were written.";
    gauge("pigweight_source_figures_age_seconds", age, &|lag| lag.age_secs);
    Ok(text)
}

/// As Prometheus reads a label's value.
fn label(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn describe_device(report: &DeviceReport) {
    use pigweight_detect::Device::{Cpu, Cuda, Openvino, Remote, Tensorrt};
    for device in [Cpu, Cuda, Tensorrt, Openvino, Remote] {
        let is_used = u8::from(report.device == device);
        metrics::gauge!("pigweight_device", "device" => device.name()).set(f64::from(is_used));
    }
}

fn describe_endpoints(endpoints: &[EndpointReport]) {
    for endpoint in endpoints {
        let url = &endpoint.url;
        let is_up = u8::from(endpoint.trouble.is_none());
        metrics::gauge!("pigweight_inference_server_up", "endpoint" => url.clone()).set(f64::from(is_up));
        for (outcome, count) in [("answered", endpoint.answered), ("failed", endpoint.failed)] {
            let labels = [("endpoint", url.clone()), ("outcome", outcome.to_owned())];
            metrics::counter!("pigweight_inference_server_requests_total", &labels).absolute(count);
        }
    }
}

/// How many videos there are in each state; those that wait are the queue of the background work.
async fn cameras_by_state(app: &App) -> Result<BTreeMap<&'static str, u32>, Problem> {
    // All states, so that a figure doesn't stay when the last camera has left its state.
    let mut states = BTreeMap::from([("connecting", 0), ("live", 0), ("away", 0), ("stopped", 0)]);
    for camera in app.store.cameras().await? {
        let state =
            app.cameras.status(&camera.id).map_or("stopped", |status| status.states.now().state.name());
        *states.entry(state).or_default() += 1;
    }
    Ok(states)
}

async fn videos_by_state(app: &App) -> Result<[(&'static str, u32); 6], Problem> {
    let [mut reading, mut waiting, mut running, mut done, mut failed, mut cancelled] = [0; 6];
    let jobs = app.store.latest_jobs().await?;
    let runs = app.store.shown_runs().await?;
    for video in app.store.videos().await?.into_iter().filter(|video| video.is_present) {
        let run = runs.get(&video.id);
        let job = jobs.get(&video.id);
        let state = run.map(|run| Run::new(run, &video, app, job).state);
        *match state {
            _ if video.error.is_some() => &mut failed,
            _ if video.frames.is_none() => &mut reading,
            None | Some(RunState::Queued) => &mut waiting,
            Some(RunState::Running) => &mut running,
            Some(RunState::Done) => &mut done,
            Some(RunState::Failed) => &mut failed,
            Some(RunState::Cancelled | RunState::Abandoned) => &mut cancelled,
        } += 1;
    }
    Ok([
        ("reading", reading),
        ("waiting", waiting),
        ("running", running),
        ("done", done),
        ("failed", failed),
        ("cancelled", cancelled),
    ])
}

/// Memory of a process, where the system tells it (Linux): the second number is pages.
fn resident_bytes(process: &str) -> Option<u64> {
    let pages = std::fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
    let pages: u64 = pages.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}
