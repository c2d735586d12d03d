//! Single frames as JPEG.

use super::Shared;
use super::error::Problem;
use super::types::{Query, present_video};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use pigweight_core::track::Origin;
use pigweight_media::overlay::OverlayBox;
use pigweight_media::{DecodedFrame, FrameSeeker, Video, jpeg};
use pigweight_store::{Store, VideoRecord};
use serde::Deserialize;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::Semaphore;
use utoipa::IntoParams;

/// Decoders that stay open for the next frame of the same video; an open 1080p decoder holds about 60 MB.
const IDLE_SEEKERS: usize = 3;
/// Opened videos whose index stays in memory.
const KNOWN_VIDEOS: usize = 32;
/// Bump when the bytes of an answer change for the same frame.
const ETAG_VERSION: u32 = 1;

/// Decoders kept open between requests, with a bound on how many decode at once.
pub struct FramePool {
    idle: Mutex<Vec<(String, FrameSeeker)>>,
    known: Mutex<Vec<(String, Video)>>,
    permits: Semaphore,
}

impl FramePool {
    /// At most `parallel` decodings at once; more wait.
    pub fn new(parallel: usize) -> Self {
        Self {
            idle: Mutex::new(Vec::new()),
            known: Mutex::new(Vec::new()),
            permits: Semaphore::new(parallel.max(1)),
        }
    }

    /// The opened video, from memory or the store's index.
    pub async fn video(&self, store: &Store, record: &VideoRecord) -> Result<Video, Problem> {
        if let Some(error) = &record.error {
            return Err(Problem::unreadable(error.clone()));
        }
        if let Some((_, video)) = lock(&self.known).iter().find(|(id, _)| *id == record.id) {
            return Ok(video.clone());
        }
        let (store, runtime, record) = (store.clone(), tokio::runtime::Handle::current(), record.clone());
        let id = record.id.clone();
        let video = blocking(move || crate::library::open(&store, &runtime, &record)).await??;
        let mut known = lock(&self.known);
        if known.len() >= KNOWN_VIDEOS {
            known.remove(0);
        }
        known.push((id, video.clone()));
        Ok(video)
    }

    async fn frame(
        &self,
        id: &str,
        video: &Video,
        pts: pigweight_core::time::Pts,
    ) -> Result<DecodedFrame, Problem> {
        // The semaphore is never closed.
        let _permit = self.permits.acquire().await.map_err(Problem::internal)?;
        let seeker = {
            let mut idle = lock(&self.idle);
            idle.iter().position(|(open, _)| open == id).map(|place| idle.remove(place).1)
        };
        let opened = video.clone();
        let (frame, seeker) = blocking(move || {
            let mut seeker = match seeker {
                Some(seeker) => seeker,
                None => FrameSeeker::open(&opened)?,
            };
            seeker.frame(pts).map(|frame| (frame, seeker))
        })
        .await??;
        let mut idle = lock(&self.idle);
        if idle.len() >= IDLE_SEEKERS {
            idle.remove(0);
        }
        idle.push((id.to_owned(), seeker));
        Ok(frame)
    }

    /// Work on a video's file, no more at once than decodings.
    pub async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let _permit = self.permits.acquire().await.map_err(Problem::internal)?;
        blocking(work).await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Each change of these lists is a single push or remove: a panicking holder leaves them whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(Problem::internal)
}

#[derive(Deserialize, IntoParams)]
pub struct FrameQuery {
    /// The video.
    id: String,
    /// Seconds since the first frame; the frame that is on the screen then is served.
    t: f64,
    /// JPEG quality, 1 to 100; default 80.
    quality: Option<u8>,
    /// Draw the boxes that were found; default true.
    inference: Option<bool>,
    /// Width of the answer, px, at least 1 and never larger than the original.
    width: Option<u32>,
}

/// The exact frame at a moment as JPEG, with the boxes found on it.
#[utoipa::path(
    get, path = "/api/video_file/frame_optimized", params(FrameQuery),
    responses(
        (status = 200, content_type = "image/jpeg", body = Vec<u8>, headers(
            ("X-Frame-Time" = f64, description = "Seconds of the frame served"),
            ("X-Frame-Pts" = i64, description = "Its pts"),
            ("X-Has-Inference" = bool, description = "Whether boxes could be drawn"))),
        (status = 304, description = "Unchanged since the ETag that was sent"),
        (status = 400, body = Problem), (status = 404, body = Problem), (status = 416, body = Problem),
        (status = 422, body = Problem))
)]
pub async fn frame_optimized(
    app: Shared,
    Query(query): Query<FrameQuery>,
    request_headers: HeaderMap,
) -> Result<Response, Problem> {
    let quality = query.quality.unwrap_or(80);
    if !(1..=100).contains(&quality) {
        return Err(Problem::bad_request("quality lies between 1 and 100"));
    }
    if query.width == Some(0) {
        return Err(Problem::bad_request("width is at least 1 px; leave it out for the original's"));
    }
    let record = present_video(&app, &query.id).await?;
    let video = app.frames.video(&app.store, &record).await?;
    let pts = video.frame_at(query.t)?;
    let secs = video.secs(pts);

    let mut boxes = None;
    if query.inference.unwrap_or(true)
        && let Some(run) = app.store.latest_run(&record.id).await?
        && let Some(settled) = app.store.settled_at(&run.id, secs).await?.filter(|frame| frame.pts == pts)
    {
        boxes = Some((run.id, settled.boxes));
    }
    let width = query.width.unwrap_or(0);
    let etag = format!(
        "\"{ETAG_VERSION}-{}-{}-{quality}-{width}-{}\"",
        record.id,
        pts.0,
        boxes.as_ref().map_or("plain", |(run, _)| run)
    );
    let mut headers = HeaderMap::new();
    headers.insert(header::ETAG, header_value(&etag));
    // A frame of a file never changes, its boxes may with another run: the browser asks again with the ETag.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert("x-has-inference", header_value(&boxes.is_some().to_string()));
    if request_headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }

    let started = Instant::now();
    let frame = app.frames.frame(&record.id, &video, pts).await?;
    metrics::histogram!("pigweight_frame_decode_seconds").record(started.elapsed().as_secs_f64());
    headers.insert("x-frame-time", header_value(&frame.secs.to_string()));
    headers.insert("x-frame-pts", header_value(&frame.pts.0.to_string()));
    if frame.pts != pts {
        // The frame's own bytes are damaged and the one before it is served: its boxes are others.
        boxes = None;
        headers.remove(header::ETAG);
        headers.insert("x-has-inference", HeaderValue::from_static("false"));
    }
    let started = Instant::now();
    let drawn: Vec<OverlayBox> = boxes
        .map(|(_, boxes)| boxes)
        .unwrap_or_default()
        .iter()
        .map(|found| OverlayBox { rect: found.rect, is_measured: found.origin == Origin::Measured })
        .collect();
    let bytes = blocking(move || {
        let full_width = frame.picture.width() as f32;
        let picture = frame.picture.scaled_to_width(width);
        let scale = picture.width() as f32 / full_width;
        jpeg::encode(picture.view(), quality, &drawn, scale)
    })
    .await??;
    metrics::histogram!("pigweight_frame_encode_seconds").record(started.elapsed().as_secs_f64());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
    Ok((headers, Body::from(bytes)).into_response())
}

/// Our own text: letters, digits and punctuation that every header may hold.
fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
