//! Single frames as JPEG.

use super::Shared;
use super::error::Problem;
use super::jpeg_cache::JpegCache;
use super::types::{Query, present_video};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use pigweight_core::time::Pts;
use pigweight_core::track::Origin;
use pigweight_media::overlay::OverlayBox;
use pigweight_media::{DecodedFrame, FrameSeeker, Video, jpeg};
use pigweight_store::{Store, VideoRecord};
use serde::Deserialize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use utoipa::{IntoParams, ToSchema};

/// Decoders that stay open for the next frame of the same video; an open 1080p decoder holds about 60 MB.
const IDLE_SEEKERS: usize = 3;
/// Opened videos whose index stays in memory.
const KNOWN_VIDEOS: usize = 32;
/// Of whole frames as JPEG: about 200 at 1080p.
const CACHED_BYTES: usize = 48 << 20;
/// Bump when the bytes of an answer change for the same frame.
const ETAG_VERSION: u32 = 1;

/// Decoders kept open between requests, with a bound on how many decode at once.
pub struct FramePool {
    idle: Arc<Mutex<Vec<(String, FrameSeeker)>>>,
    known: Mutex<Vec<(String, Video)>>,
    permits: Arc<Semaphore>,
    /// JPEGs of whole frames, by their ETag.
    jpegs: JpegCache,
}

/// Says that nobody waits any more when the future that waited is dropped: the browser went on to another frame.
struct WaitsNoMore(Arc<AtomicBool>);

impl Drop for WaitsNoMore {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Counts one more in a gauge as long as it lives.
struct Counted(metrics::Gauge);

impl Counted {
    fn up(gauge: &'static str) -> Self {
        let gauge = metrics::gauge!(gauge);
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

impl FramePool {
    /// At most `parallel` decodings at once; more wait.
    pub fn new(parallel: usize) -> Self {
        Self {
            idle: Arc::default(),
            known: Mutex::new(Vec::new()),
            permits: Arc::new(Semaphore::new(parallel.max(1))),
            jpegs: JpegCache::new(CACHED_BYTES),
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

    /// Decodes a frame and does `then` with it, on the same thread. When the caller stops waiting, decoding stops too.
    async fn with_frame<T: Send + 'static>(
        &self,
        id: &str,
        video: &Video,
        pts: Pts,
        then: impl FnOnce(DecodedFrame) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = self.permit().await?;
        let given_up = Arc::new(AtomicBool::new(false));
        let _waits = WaitsNoMore(given_up.clone());
        let (idle, id, video) = (self.idle.clone(), id.to_owned(), video.clone());
        blocking(move || {
            // Until the work ends, which may be later than the wait for it.
            let _permit = permit;
            let started = Instant::now();
            let mut seeker = match take(&idle, &id) {
                Some(seeker) => seeker,
                None => FrameSeeker::open(&video)?,
            };
            let frame = seeker.frame_unless(pts, &|| given_up.load(Ordering::Relaxed));
            let sought = seeker.sought().unwrap_or_default();
            if !matches!(&frame, Err(error) if !matches!(error, pigweight_media::Error::GivenUp)) {
                put_back(&idle, id, seeker);
            }
            if matches!(&frame, Err(pigweight_media::Error::GivenUp)) {
                metrics::counter!("pigweight_frames_given_up_total").increment(1);
            }
            let frame = frame?;
            metrics::histogram!("pigweight_frame_seek_seconds").record(sought.as_secs_f64());
            let decoding = started.elapsed().saturating_sub(sought);
            metrics::histogram!("pigweight_frame_decode_seconds").record(decoding.as_secs_f64());
            Ok(then(frame))
        })
        .await?
    }

    /// Work on a video's file, no more at once than decodings.
    pub async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = self.permit().await?;
        blocking(move || {
            let _permit = permit;
            work()
        })
        .await
    }

    /// The right to decode; how many wait for it, and for how long, is told.
    async fn permit(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let (started, waiting) = (Instant::now(), Counted::up("pigweight_frames_waiting"));
        // The semaphore is never closed.
        let permit = self.permits.clone().acquire_owned().await.map_err(Problem::internal)?;
        drop(waiting);
        metrics::histogram!("pigweight_frame_wait_seconds").record(started.elapsed().as_secs_f64());
        Ok(permit)
    }
}

fn take(idle: &Mutex<Vec<(String, FrameSeeker)>>, id: &str) -> Option<FrameSeeker> {
    let mut idle = lock(idle);
    idle.iter().position(|(open, _)| open == id).map(|place| idle.remove(place).1)
}

fn put_back(idle: &Mutex<Vec<(String, FrameSeeker)>>, id: String, seeker: FrameSeeker) {
    let mut idle = lock(idle);
    if idle.len() >= IDLE_SEEKERS {
        idle.remove(0);
    }
    idle.push((id, seeker));
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
    /// `exact` (default), or `nearest`: the keyframe nearest in time, at the price of one decoding.
    mode: Option<Mode>,
}

/// Which frame is served.
#[derive(Clone, Copy, Deserialize, ToSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Exact,
    Nearest,
}

/// The exact frame at a moment as JPEG, with the boxes found on it.
#[utoipa::path(
    get, path = "/api/video_file/frame_optimized", params(FrameQuery),
    responses(
        (status = 200, content_type = "image/jpeg", body = Vec<u8>, headers(
            ("X-Frame-Time" = f64, description = "Seconds of the frame served"),
            ("X-Frame-Pts" = i64, description = "Its pts"),
            ("X-Frame-Mode" = String, description = "`exact`: on the screen at `t`; `nearest`: the keyframe nearest to it"),
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
    let on_screen = video.frame_at(query.t)?;
    let pts = match query.mode {
        Some(Mode::Nearest) => video.index().key_near(on_screen).unwrap_or(on_screen),
        _ => on_screen,
    };
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
    headers
        .insert("x-frame-mode", HeaderValue::from_static(if pts == on_screen { "exact" } else { "nearest" }));
    if request_headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    name_frame(&mut headers, secs, pts);
    let cached = app.frames.jpegs.get(&etag);
    metrics::counter!("pigweight_jpeg_cache_total", "found" => cached.is_some().to_string()).increment(1);
    if let Some(bytes) = cached {
        return Ok(jpeg_answer(headers, bytes));
    }
    let drawn = boxes.map(|(_, boxes)| boxes).unwrap_or_default();
    let drawn = drawn
        .iter()
        .map(|found| OverlayBox { rect: found.rect, is_measured: found.origin == Origin::Measured });
    let jpeg = Jpeg { pts, width, quality, boxes: drawn.collect() };
    let (shown, bytes) = app.frames.jpeg(&record.id, &video, jpeg).await?;
    if shown == pts {
        app.frames.jpegs.put(etag, bytes.clone());
    } else {
        // The frame's own bytes are damaged and the one before it is served: its boxes are others.
        headers.remove(header::ETAG);
        headers.insert("x-has-inference", HeaderValue::from_static("false"));
        name_frame(&mut headers, video.secs(shown), shown);
    }
    Ok(jpeg_answer(headers, bytes))
}

/// What is wanted of a frame.
pub struct Jpeg {
    pub pts: Pts,
    /// px; 0 for the original's.
    pub width: u32,
    pub quality: u8,
    pub boxes: Vec<OverlayBox>,
}

impl FramePool {
    /// A frame as JPEG, and which it is: where its bytes are damaged, the one before it, without boxes.
    pub async fn jpeg(&self, id: &str, video: &Video, wanted: Jpeg) -> Result<(Pts, Bytes), Problem> {
        let Jpeg { pts, width, quality, boxes } = wanted;
        let encode = move |frame: DecodedFrame| {
            let started = Instant::now();
            let boxes = if frame.pts == pts { boxes } else { Vec::new() };
            let full_width = frame.picture.width() as f32;
            let picture = frame.picture.scaled_to_width(width);
            let scale = picture.width() as f32 / full_width;
            let encoded = jpeg::encode(picture.view(), quality, &boxes, scale);
            metrics::histogram!("pigweight_frame_encode_seconds").record(started.elapsed().as_secs_f64());
            encoded.map(|bytes| (frame.pts, Bytes::from(bytes)))
        };
        Ok(self.with_frame(id, video, pts, encode).await??)
    }
}

/// The headers that say which frame is served.
pub fn name_frame(headers: &mut HeaderMap, secs: f64, pts: Pts) {
    headers.insert("x-frame-time", header_value(&secs.to_string()));
    headers.insert("x-frame-pts", header_value(&pts.0.to_string()));
}

/// A JPEG with its headers.
pub fn jpeg_answer(mut headers: HeaderMap, bytes: Bytes) -> Response {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
    (headers, Body::from(bytes)).into_response()
}

/// Our own text: letters, digits and punctuation that every header may hold.
pub fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
