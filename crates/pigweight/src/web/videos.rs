//! Registered videos.

use super::Shared;
use super::error::Problem;
use super::types::{Video, present_video};
use axum::Json;
use axum::extract::Path;
use serde::Serialize;
use utoipa::ToSchema;

/// All videos that lie in the folders now.
#[utoipa::path(get, path = "/api/videos", responses((status = 200, body = Vec<Video>)))]
pub async fn list(app: Shared) -> Result<Json<Vec<Video>>, Problem> {
    let mut videos = Vec::new();
    for video in app.store.videos().await? {
        if app.live.is_present(&video.id) {
            let run = app.store.latest_run(&video.id).await?;
            videos.push(Video::new(&video, run.as_ref(), &app));
        }
    }
    Ok(Json(videos))
}

/// One video.
#[utoipa::path(
    get, path = "/api/videos/{id}",
    responses((status = 200, body = Video), (status = 404, body = Problem))
)]
pub async fn one(app: Shared, Path(id): Path<String>) -> Result<Json<Video>, Problem> {
    let video = present_video(&app, &id).await?;
    let run = app.store.latest_run(&id).await?;
    Ok(Json(Video::new(&video, run.as_ref(), &app)))
}

/// When each frame is shown: run lengths of distances between pts.
#[derive(Serialize, ToSchema)]
pub struct FrameTimes {
    /// Length of a tick in seconds: numerator, denominator.
    pub time_base: [u32; 2],
    /// Ticks; this is second 0.
    pub first_pts: i64,
    /// `[distance in ticks, how many frames follow at this distance]`, in order.
    pub runs: Vec<[i64; 2]>,
    pub frames: usize,
}

/// The pts of every frame.
#[utoipa::path(
    get, path = "/api/videos/{id}/index",
    responses((status = 200, body = FrameTimes), (status = 404, body = Problem), (status = 422, body = Problem))
)]
pub async fn index(app: Shared, Path(id): Path<String>) -> Result<Json<FrameTimes>, Problem> {
    let record = present_video(&app, &id).await?;
    let video = app.pool.video(&app.store, &record).await?;
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
        time_base: [base.numerator(), base.denominator()],
        first_pts: video.index().first_pts().0,
        runs,
        frames: video.index().frame_count(),
    }))
}
