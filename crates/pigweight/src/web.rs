//! The HTTP edge: routes, JSON, status codes. Nothing behind it knows of them.

mod asked;
mod assets;
mod byte_range;
pub mod client;
mod counts;
mod error;
mod file;
mod frames;
mod health;
mod hls;
pub mod jobs;
mod jpeg_cache;
mod lines;
mod live;
mod piece;
mod pool;
mod preview;
mod runs;
mod types;
mod unread;
pub mod unseen;
mod uploads;
mod videos;

pub use error::Problem;
pub use pool::VideoPool;

use crate::config::Config;
use crate::detecting::Detecting;
use crate::live::Live;
use crate::previews::Previews;
use crate::uploads::Uploads;
use crate::work::Work;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use metrics_exporter_prometheus::PrometheusHandle;
use pigweight_store::Store;
use std::sync::Arc;
use std::time::Instant;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate as _, SizeAbove};
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What the handlers share.
pub struct App {
    /// What is kept.
    pub store: Store,
    /// What is going on.
    pub live: Arc<Live>,
    /// Who looks at pictures, or why nobody does.
    pub detecting: Arc<Detecting>,
    /// What the server was told.
    pub config: Arc<Config>,
    /// Open videos.
    pub pool: VideoPool,
    /// Pieces of streams that are on their way.
    pub pieces: hls::Pieces,
    /// Small pictures.
    pub previews: Arc<Previews>,
    /// Files that come over the network.
    pub uploads: Uploads,
    /// Wakes the background work when there is something new.
    pub wake: crossbeam_channel::Sender<()>,
    /// Stops it.
    pub work: Arc<Work>,
    /// For the uptime.
    pub started: Instant,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
}

impl App {
    /// Lets the background look at what has changed.
    pub fn wake(&self) {
        // A full queue means that it has been woken already.
        let _already_woken = self.wake.try_send(());
    }
}

type Shared = axum::extract::State<Arc<App>>;

#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "PigWeight",
    description = "Pigs in videos: how many, when, which way, with the pictures that prove it. All `secs` and `t` are \
                   seconds since the first frame of a video; places are px of the upright picture. Errors are problem \
                   documents (RFC 9457) whose `detail` tells what to do."
))]
struct Document;

fn api() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(videos::list))
        .routes(routes!(videos::one))
        .routes(routes!(videos::index))
        .routes(routes!(videos::change_work))
        .routes(routes!(file::original))
        .routes(routes!(counts::detections))
        .routes(routes!(counts::counts))
        .routes(routes!(counts::crossings))
        .routes(routes!(counts::count_at_time))
        .routes(routes!(runs::list))
        .routes(routes!(runs::schedule))
        .routes(routes!(runs::compare))
        .routes(routes!(frames::frame_optimized))
        .routes(routes!(preview::frame))
        .routes(routes!(preview::sprite))
        .routes(routes!(hls::playlist))
        .routes(routes!(hls::part))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::one))
        .routes(routes!(jobs::pause))
        .routes(routes!(jobs::resume))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::retry))
        .routes(routes!(jobs::prioritise))
        .routes(routes!(lines::list, lines::add))
        .routes(routes!(lines::change, lines::remove))
        .routes(routes!(health::health))
        .routes(routes!(health::metrics))
        .routes(routes!(live::count_updates))
        .merge(uploads())
}

fn uploads() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(uploads::create, uploads::options))
        .routes(routes!(uploads::progress, uploads::add, uploads::remove))
        .layer(middleware::from_fn(uploads::speak_tus))
}

/// The OpenAPI document as it is served and committed (`docs/reference/openapi.json`).
pub fn openapi_json() -> String {
    let mut document = api().into_openapi();
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    document.info.license = None;
    let mut text = document.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// The whole service.
pub fn router(app: Arc<App>) -> Router {
    let (api, _) = api().split_for_parts();
    let document = openapi_json();
    // Video and pictures are compressed already, and compressing would break byte ranges.
    let compressible = SizeAbove::new(1024)
        .and(NotForContentType::IMAGES)
        .and(NotForContentType::const_new("video/"))
        .and(NotForContentType::const_new("application/octet-stream"));
    api.route(
        "/api/openapi.json",
        axum::routing::get(|| async move { ([(header::CONTENT_TYPE, "application/json")], document) }),
    )
    .route("/api/{*path}", axum::routing::any(error::unknown_path))
    .fallback_service(axum::routing::get(assets::page))
    .layer(middleware::from_fn(error::problems_only))
    .layer(CompressionLayer::new().compress_when(compressible))
    .layer(middleware::from_fn(measure))
    .layer(middleware::from_fn(guard))
    .layer(middleware::from_fn(unread::read_the_rest))
    .with_state(app)
}

/// Requests by route and status, and how long they took.
async fn measure(route: Option<axum::extract::MatchedPath>, request: Request, next: Next) -> Response {
    let route = route.map_or_else(|| "page".to_owned(), |route| route.as_str().to_owned());
    let started = Instant::now();
    let response = next.run(request).await;
    let labels = [("route", route), ("status", response.status().as_u16().to_string())];
    metrics::counter!("pigweight_http_requests_total", &labels).increment(1);
    metrics::histogram!("pigweight_http_request_seconds", &labels).record(started.elapsed().as_secs_f64());
    response
}

/// A page elsewhere on the web must not be able to change lines on a farm's PC through its user's browser: requests
/// that change something must come from the page itself or from a program, not from another origin.
async fn guard(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let is_foreign = match (text(header::ORIGIN), text(header::HOST)) {
        (Some(origin), Some(host)) => origin.split_once("://").is_none_or(|(_, authority)| authority != host),
        _ => false,
    };
    let is_change = !matches!(request.method().as_str(), "GET" | "HEAD" | "OPTIONS");
    let is_socket = headers.contains_key(header::UPGRADE);
    let mut response = if is_foreign && (is_change || is_socket) {
        Problem::forbidden(
            "this request came from a page of another site; use the page that PigWeight serves",
        )
        .into()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
