//! Previews: any frame as a small picture in milliseconds, and thumbnails for the timeline.

use crate::web::app::Shared;
use crate::web::auth::caller::Caller;
use crate::web::media::frames::{Jpeg, JpegOfFrame, header_value, jpeg_answer, name_frame};
use crate::web::request::arguments::{Field, Kind, Query, RequestArguments};
use crate::web::request::problem::Problem;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use pigweight_core::time::Pts;
use pigweight_media::{preview, sprites};
use serde::Deserialize;
use utoipa::IntoParams;

/// Width in px of a small frame that isn't stored yet.
const WIDTH: u32 = 640;
/// A frame of a file never changes: a changed file gets another id.
pub(super) const FOREVER: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");

#[derive(Deserialize, IntoParams)]
pub struct PreviewQuery {
    /// The frame's pts, from `/api/videos/{id}/index`.
    pts: i64,
}

impl RequestArguments for PreviewQuery {
    const FIELDS: &'static [Field] = &[Field::needed("pts", Kind::Whole(i64::MIN, i64::MAX))];
}

/// The exact frame, small. What the background work has made already comes from the disk; the rest is decoded.
#[utoipa::path(
    get, path = "/api/videos/{id}/preview/frame", params(PreviewQuery),
    responses(
        (status = 200, content_type = "image/jpeg", body = Vec<u8>, headers(
            ("X-Frame-Time" = f64, description = "Seconds of the frame served"),
            ("X-Frame-Pts" = i64, description = "Its pts"),
            ("X-Frame-Source" = String, description = "`kept` or `decoded`"))),
        (status = 404, description = "No such video, or no frame with this pts", body = Problem),
        (status = 422, body = Problem))
)]
pub async fn frame(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    Query(query): Query<PreviewQuery>,
) -> Result<Response, Problem> {
    let record = caller.video(&app, &id).await?;
    let pts = Pts(query.pts);
    let video = app.pool.video_with(&record, |part| part.index().last_pts() >= pts).await?;
    let place = video.index().place_of(pts).ok_or_else(|| {
        Problem::not_found(format!(
            "no frame of this video has the pts {}; /api/videos/{id}/index lists them",
            pts.0
        ))
    })?;
    let mut headers = HeaderMap::new();
    let previews = app.previews.clone();
    let kept_id = id.clone();
    let kept = tokio::task::spawn_blocking(move || previews.frame(&kept_id, place as u64)).await;
    // A disk error doesn't prevent decoding.
    let kept = kept.map_err(Problem::internal)?.unwrap_or_else(|error| {
        tracing::warn!("{error}");
        None
    });
    if let Some(bytes) = kept {
        name_frame(&mut headers, video.secs(pts), pts);
        headers.insert(header::CACHE_CONTROL, FOREVER);
        headers.insert("x-frame-source", header_value("kept"));
        metrics::counter!("pigweight_small_pictures_total", "source" => "kept").increment(1);
        return Ok(jpeg_answer(headers, Bytes::from(bytes)));
    }
    metrics::counter!("pigweight_small_pictures_total", "source" => "decoded").increment(1);
    let jpeg = Jpeg { pts, width: WIDTH, quality: preview::QUALITY, boxes: Vec::new(), part: None };
    let JpegOfFrame { pts: shown, bytes, .. } = app.pool.jpeg(&id, &video, jpeg).await?;
    name_frame(&mut headers, video.secs(shown), shown);
    // If the frame's own bytes are damaged, the one before it is served; with a partial index, its pts may still change.
    let keep = if shown == pts && video.is_whole() { FOREVER } else { HeaderValue::from_static("no-store") };
    headers.insert(header::CACHE_CONTROL, keep);
    headers.insert("x-frame-source", header_value("decoded"));
    Ok(jpeg_answer(headers, bytes))
}

/// Thumbnails of keyframes: `sprites.vtt`, a WebVTT map from moments to parts of pictures, and those pictures, `0.jpg`, …
#[utoipa::path(
    get, path = "/api/videos/{id}/preview/{name}",
    responses(
        (status = 200, content_type = "text/vtt", body = String),
        (status = 404, description = "No such video, or its thumbnails are not made yet", body = Problem))
)]
pub async fn sprite(
    caller: Caller,
    app: Shared,
    Path((id, name)): Path<(String, String)>,
) -> Result<Response, Problem> {
    caller.video(&app, &id).await?;
    let kind = match name.strip_suffix(".jpg") {
        None if name == sprites::MAP => "text/vtt",
        Some(number) if number.parse::<u32>().is_ok_and(|parsed| parsed.to_string() == number) => {
            "image/jpeg"
        }
        _ => return Err(Problem::not_found(format!("there is no preview {name}; ask for {}", sprites::MAP))),
    };
    let bytes = tokio::fs::read(app.previews.folder(&id).join(&name)).await.map_err(|_| {
        Problem::not_found("the thumbnails of this video are not made yet; ask again in a few seconds")
    })?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(kind)), (header::CACHE_CONTROL, FOREVER)], bytes)
        .into_response())
}
