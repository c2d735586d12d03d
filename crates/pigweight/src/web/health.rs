//! How the server is.

use super::Shared;
use super::error::Problem;
use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// The server in a few facts.
#[derive(Serialize, ToSchema)]
pub struct Health {
    pub status: Status,
    pub version: &'static str,
    /// What is missing or wrong and what to do about it.
    pub message: Option<String>,
    pub uptime_secs: u64,
    /// Null where none is loaded.
    pub model: Option<ModelHealth>,
    /// Null where no model is loaded.
    pub device: Option<Device>,
}

#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Ok,
    /// Videos are shown and not counted.
    NoModel,
    /// Results cannot be written; `message` says why.
    Degraded,
}

/// The detector as it was read.
#[derive(Serialize, ToSchema)]
pub struct ModelHealth {
    pub name: String,
    /// Of the file; or says that it is built in.
    pub path: String,
    /// How its outputs are read: yolox, yolov5, yolov8, end_to_end, detr.
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
    pub name: &'static str,
    /// One inference on one core, measured when the model was loaded.
    pub inference_ms: f64,
    /// Threads of one inference.
    pub threads: usize,
}

/// Whether everything works.
#[utoipa::path(get, path = "/api/health", responses((status = 200, body = Health)))]
pub async fn health(app: Shared) -> Json<Health> {
    let trouble = app.live.trouble();
    let (status, message) = match (&trouble, &app.model) {
        (Some(trouble), _) => (Status::Degraded, Some(trouble.clone())),
        (None, Err(reason)) => (Status::NoModel, Some(reason.clone())),
        (None, Ok(_)) => (Status::Ok, None),
    };
    let model = app.model.as_ref().ok();
    Json(Health {
        status,
        version: env!("CARGO_PKG_VERSION"),
        message,
        uptime_secs: app.started.elapsed().as_secs(),
        model: model.map(|model| ModelHealth {
            name: model.info().name.clone(),
            path: model.settings().source.to_string(),
            layout: model.info().head.name(),
            input: [model.info().input_width, model.info().input_height],
            classes: model.info().classes.clone(),
            min_score: app.min_score,
            hash: model.info().hash.clone(),
        }),
        device: model.map(|model| Device {
            name: "cpu",
            inference_ms: model.speed().inference.as_secs_f64() * 1000.0,
            threads: model.settings().threads,
        }),
    })
}

/// Figures for Prometheus.
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn metrics(app: Shared) -> Result<String, Problem> {
    Ok(app.metrics.render())
}
