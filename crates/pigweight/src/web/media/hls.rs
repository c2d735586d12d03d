//! HTTP Live Streaming: a playlist and its segments.

use crate::web::app::Shared;
use crate::web::auth::caller::Caller;
use crate::web::media::file::unchanged;
use crate::web::media::hls_part::Piece;
use crate::web::request::problem::Problem;
use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use pigweight_media::Video;
use pigweight_media::hls::Segments;

/// Segments never change: a changed file gets another id.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("private, max-age=3600");

/// The video as an HLS media playlist (RFC 8216) of its own packets, cut at keyframes; its pieces lie beside it.
#[utoipa::path(
    get, path = "/api/video_file/stream_hls/{id}",
    responses(
        (status = 200, content_type = "application/vnd.apple.mpegurl", body = String),
        (status = 404, body = Problem),
        (status = 422, description = "Unreadable, or browsers cannot play its codec", body = Problem))
)]
pub async fn playlist(caller: Caller, app: Shared, Path(id): Path<String>) -> Result<Response, Problem> {
    let video = streamed(&caller, &app, &id).await?;
    // Relative, so that it works under any path: this playlist has the same name as the folder of its segments.
    let text =
        app.pool.work(move || Segments::of(&video).map(|cut| cut.playlist(&format!("{id}/")))).await??;
    Ok(([(header::CONTENT_TYPE, "application/vnd.apple.mpegurl")], text).into_response())
}

/// A piece of the playlist: `init.mp4`, or a fragment by its number, `0.m4s`.
#[utoipa::path(
    get, path = "/api/video_file/stream_hls/{id}/{name}",
    responses(
        (status = 200, content_type = "video/mp4", body = Vec<u8>), (status = 404, body = Problem),
        (status = 422, body = Problem), (status = 503, description = "Too much is on its way already", body = Problem))
)]
pub async fn part(
    caller: Caller,
    app: Shared,
    Path((id, name)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let video = streamed(&caller, &app, &id).await?;
    let unknown =
        || Problem::not_found(format!("{name} is not in the playlist /api/video_file/stream_hls/{id}"));
    let piece = Piece::named(&name).ok_or_else(unknown)?;
    let bytes = app.pool.stream(&id, &video, move |streamer| match piece {
        Piece::Head => streamer.init(),
        Piece::Fragment(number) => streamer.fragment(number),
    });
    let bytes = bytes.await?;
    let bytes = bytes.map_err(|error| match error {
        pigweight_media::Error::OutsideVideo { .. } => unknown(),
        error => error.into(),
    })?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("video/mp4")),
        (header::CACHE_CONTROL, CACHE_CONTROL),
    ];
    Ok((headers, app.hls_parts.send(bytes)?).into_response())
}

/// The video, if its file is still the one that was indexed.
async fn streamed(caller: &Caller, app: &Shared, id: &str) -> Result<Video, Problem> {
    let record = caller.video(app, id).await?;
    unchanged(app, &record).await?;
    app.pool.video(&record).await
}
