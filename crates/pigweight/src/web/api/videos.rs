//! Registered videos.

use crate::web::api::types::{Video, expected_secs};
use crate::web::app::Shared;
use crate::web::auth::caller::Caller;
use crate::web::request::arguments::{Body, Field, Kind, Query, RequestArguments};
use crate::web::request::pages::{PageOf, page_headers, unknown_cursor};
use crate::web::request::problem::Problem;
use axum::Json;
use axum::extract::Path;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which videos.
#[derive(Deserialize, IntoParams)]
pub struct OfSource {
    /// Only the recordings of this source.
    source: Option<String>,
}

impl RequestArguments for OfSource {
    const FIELDS: &'static [Field] = &[Field::optional("source", Kind::Text)];
}

/// Videos that lie in the folders now, by name, in pages.
#[utoipa::path(
    get, path = "/api/videos", params(PageOf, OfSource),
    responses((status = 200, body = Vec<Video>,
               headers(("link" = String, description = "The next page, rel=\"next\"; absent on the last one"),
                       ("x-total-count" = i64, description = "Videos in all pages"))),
              (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub async fn list(
    caller: Caller,
    app: Shared,
    Query(page): Query<PageOf>,
    Query(of): Query<OfSource>,
) -> Result<(HeaderMap, Json<Vec<Video>>), Problem> {
    let source = of.source.as_deref();
    if let Some(source) = source {
        // An unknown source isn't the same as no recordings.
        caller.source(&app, source).await?;
    }
    let limit = page.limit();
    if let Some(cursor) = page.cursor() {
        app.store.video(cursor).await.map_err(|_| unknown_cursor(cursor))?;
    }
    let records = app.store.videos_page(source, page.cursor(), limit).await?;
    let total = app.store.count_videos(source).await?;
    let headers =
        page_headers(records.len(), limit, records.last().map(|video| video.id.as_str()), Some(total))?;
    let mut videos = Vec::new();
    for record in &records {
        videos.push(Video::of(&app, record).await?);
    }
    Ok((headers, Json(videos)))
}

/// One video.
#[utoipa::path(
    get, path = "/api/videos/{id}",
    responses((status = 200, body = Video), (status = 404, body = Problem))
)]
pub async fn one(caller: Caller, app: Shared, Path(id): Path<String>) -> Result<Json<Video>, Problem> {
    let video = caller.video(&app, &id).await?;
    Ok(Json(Video::of(&app, &video).await?))
}

/// What the background shall do with a video.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkState {
    /// Pause the background work: what is counted stays, and the work continues from there later.
    pub paused: bool,
}

impl RequestArguments for WorkState {
    const FIELDS: &'static [Field] = &[Field::needed("paused", Kind::Truth)];
}

/// Pauses or resumes the background work on a video. The setting survives a restart.
#[utoipa::path(
    put, path = "/api/videos/{id}/work", request_body = WorkState,
    responses((status = 200, body = Video), (status = 400, body = Problem), (status = 404, body = Problem),
              (status = 413, body = Problem), (status = 415, body = Problem))
)]
pub async fn change_work(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    Body(WorkState { paused }): Body<WorkState>,
) -> Result<Json<Video>, Problem> {
    caller.video(&app, &id).await?;
    // Stored first: work that starts meanwhile reads it.
    let video = app.store.pause_video(&id, paused).await?;
    if paused {
        app.cancellation.stop(&id);
    } else {
        app.wake();
    }
    Ok(Json(Video::of(&app, &video).await?))
}

/// When each frame is shown: run lengths of distances between pts.
#[derive(Serialize, ToSchema)]
pub struct FrameTimes {
    /// Whether all frames are there. Where the file is still being read, those before its last keyframe so far are.
    pub is_whole: bool,
    /// To the end of the last frame; of a file that is still being read, what it says of itself.
    pub duration_secs: f64,
    /// The stored picture is mirrored, and shown the other way round. Not every browser does that.
    pub is_mirrored: bool,
    /// Length of a tick in seconds: numerator, denominator.
    pub time_base: [u32; 2],
    /// Ticks; this is second 0.
    pub first_pts: i64,
    /// `[distance in ticks, how many frames follow at this distance]`, in order.
    pub runs: Vec<[i64; 2]>,
    pub frames: usize,
}

/// The pts of every frame; while a file is being read for the first time, of those that are known.
#[utoipa::path(
    get, path = "/api/videos/{id}/index",
    responses((status = 200, body = FrameTimes), (status = 404, body = Problem), (status = 422, body = Problem))
)]
pub async fn index(caller: Caller, app: Shared, Path(id): Path<String>) -> Result<Json<FrameTimes>, Problem> {
    let record = caller.video(&app, &id).await?;
    let video = app.pool.video_with(&record, |_| true).await?;
    let mut runs: Vec<[i64; 2]> = Vec::new();
    let mut before = video.index().first_pts();
    for pts in video.index().frame_pts().skip(1) {
        let distance = pts.0 - before.0;
        before = pts;
        match runs.last_mut() {
            Some([same, count]) if *same == distance => *count += 1,
            _ => runs.push([distance, 1]),
        }
    }
    let base = video.info().time_base;
    Ok(Json(FrameTimes {
        is_whole: video.is_whole(),
        duration_secs: expected_secs(&video),
        is_mirrored: video.info().orientation.is_mirrored,
        time_base: [base.numerator(), base.denominator()],
        first_pts: video.index().first_pts().0,
        runs,
        frames: video.index().frame_count(),
    }))
}
