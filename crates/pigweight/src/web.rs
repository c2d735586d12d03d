//! The HTTP interface: routes, JSON, status codes. Other modules don't know them.

pub mod api;
pub mod app;
pub mod auth;
pub mod client;
pub mod connections;
mod media;
mod openapi;
mod page;
mod request;
pub mod serve;

pub use app::App;
pub use media::recorded_files::RecordedVideos;
pub use media::video_pool::VideoPool;
pub use openapi::openapi_json;
#[cfg(test)]
pub use request::problem::Problem;

use openapi::Document;

use axum::Router;
use axum::extract::Request;
use axum::http::header;
use axum::middleware::{self, Next};
use axum::response::Response;
use std::sync::Arc;
use std::time::Instant;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate as _, SizeAbove};
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Adds all routes of the API to the given document.
fn api_router(document: utoipa::openapi::OpenApi) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(document)
        .routes(routes!(api::videos::list))
        .routes(routes!(api::videos::one))
        .routes(routes!(api::videos::index))
        .routes(routes!(api::videos::change_work))
        .routes(routes!(media::file::original))
        .routes(routes!(api::counts::detections))
        .routes(routes!(api::counts::counts))
        .routes(routes!(api::counts::crossings))
        .routes(routes!(api::tables::crossings))
        .routes(routes!(api::tables::counts))
        .routes(routes!(api::counts::count_at_time))
        .routes(routes!(api::runs::list))
        .routes(routes!(api::runs::one))
        .routes(routes!(api::runs::schedule))
        .routes(routes!(api::runs::compare))
        .routes(routes!(media::frames::frame_optimized))
        .routes(routes!(media::crossing_picture::picture))
        .routes(routes!(media::preview::frame))
        .routes(routes!(media::preview::sprite))
        .routes(routes!(media::hls::playlist))
        .routes(routes!(media::hls::part))
        .routes(routes!(api::jobs::list))
        .routes(routes!(api::jobs::one))
        .routes(routes!(api::jobs::pause))
        .routes(routes!(api::jobs::resume))
        .routes(routes!(api::jobs::cancel))
        .routes(routes!(api::jobs::retry))
        .routes(routes!(api::jobs::prioritise))
        .routes(routes!(api::lines::list, api::lines::add))
        .routes(routes!(api::lines::one, api::lines::change, api::lines::remove))
        .routes(routes!(api::line_versions::list))
        .routes(routes!(api::sources::list))
        .routes(routes!(api::sources::one, api::sources::change))
        .routes(routes!(api::sources::move_video))
        .routes(routes!(api::sources::change_video))
        .routes(routes!(api::cameras::list, api::cameras::add))
        .routes(routes!(api::discoveries::begin))
        .routes(routes!(api::discoveries::one, api::discoveries::remove))
        .routes(routes!(api::discoveries::enter_credentials))
        .routes(routes!(api::discoveries::picture))
        .routes(routes!(api::discoveries::add))
        .routes(routes!(api::cameras::one, api::cameras::change, api::cameras::remove))
        .routes(routes!(api::cameras::states))
        .routes(routes!(api::cameras::frame))
        .routes(routes!(api::mjpeg::mjpeg))
        .routes(routes!(api::recordings::list))
        .routes(routes!(media::recorded::file))
        .routes(routes!(media::recorded::playlist))
        .routes(routes!(api::recordings::marks, api::recordings::add_mark))
        .routes(routes!(api::recordings::remove_mark))
        .routes(routes!(api::recordings::add_clip))
        .routes(routes!(api::webrtc::whep))
        .routes(routes!(api::webrtc::whep_end))
        .routes(routes!(api::webrtc::webrtc_offer))
        .routes(routes!(api::calibration::calibrate))
        .routes(routes!(api::adaptation::adapt, api::adaptation::one, api::adaptation::remove))
        .routes(routes!(api::health::health))
        .routes(routes!(api::health::metrics))
        .routes(routes!(api::count_socket::count_updates))
        .routes(routes!(api::changes_socket::changes))
        .routes(routes!(api::video_socket::play))
        .merge(uploads())
}

fn uploads() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(api::uploads::create, api::uploads::list, api::uploads::options))
        .routes(routes!(
            api::uploads::progress,
            api::uploads::add,
            api::uploads::override_method,
            api::uploads::remove
        ))
        .layer(middleware::from_fn(api::uploads::speak_tus))
}

/// The complete service.
pub fn router(app: Arc<App>) -> Router {
    let (api, _) = api_router(Document::openapi()).split_for_parts();
    let document = openapi_json();
    // Video and pictures are compressed already, and compressing would break byte ranges.
    let compressible = SizeAbove::new(1024)
        .and(NotForContentType::IMAGES)
        .and(NotForContentType::const_new("video/"))
        .and(NotForContentType::const_new("multipart/"))
        .and(NotForContentType::const_new("application/octet-stream"));
    api.route(
        "/api/openapi.json",
        axum::routing::get(|| async move { ([(header::CONTENT_TYPE, "application/json")], document) }),
    )
    .route("/api/{*path}", axum::routing::any(request::problem::unknown_path))
    .fallback_service(axum::routing::get(page::page))
    .layer(middleware::from_fn(request::problem::problems_only))
    .layer(CompressionLayer::new().compress_when(compressible))
    .layer(middleware::from_fn(measure))
    .layer(middleware::from_fn_with_state(app.clone(), note_trouble))
    .layer(middleware::from_fn_with_state(app.clone(), request::origin::guard))
    .layer(middleware::from_fn_with_state(app.clone(), request::host::guard))
    .layer(middleware::from_fn(request::drain_body::read_the_rest))
    .with_state(app)
}

/// What an answer says of the whole server is told in its health as well.
async fn note_trouble(app: app::Shared, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if let Some(request::problem::ServerTrouble(trouble)) = response.extensions().get() {
        app.status.report_trouble(trouble);
    }
    response
}

/// Counts requests by route and status, and measures their duration.
async fn measure(route: Option<axum::extract::MatchedPath>, request: Request, next: Next) -> Response {
    let route = route.map_or_else(|| "page".to_owned(), |route| route.as_str().to_owned());
    let started = Instant::now();
    let response = next.run(request).await;
    let labels = [("route", route), ("status", response.status().as_u16().to_string())];
    metrics::counter!("pigweight_http_requests_total", &labels).increment(1);
    metrics::histogram!("pigweight_http_request_seconds", &labels).record(started.elapsed().as_secs_f64());
    response
}
