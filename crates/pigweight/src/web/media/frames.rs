//! Single frames as JPEG.

use crate::analysis::camera_source::TIME_BASE;
use crate::web::app::{App, Shared};
use crate::web::auth::caller::Caller;
use crate::web::media::recorded_files::RecordedFrame;
use crate::web::media::video_pool::VideoPool;
use crate::web::request::arguments::{Field, Kind, Query, RequestArguments};
use crate::web::request::conditional;
use crate::web::request::problem::Problem;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use pigweight_core::geometry::Rect;
use pigweight_core::time::Pts;
use pigweight_core::track::Origin;
use pigweight_media::overlay::OverlayBox;
use pigweight_media::{DecodedFrame, Video, jpeg};
use pigweight_store::VideoRecord;
use serde::Deserialize;
use std::time::Instant;
use utoipa::{IntoParams, ToSchema};

/// Raise it when the bytes of a response change for the same frame.
const ETAG_VERSION: u32 = 2;

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

impl RequestArguments for FrameQuery {
    const FIELDS: &'static [Field] = &[
        Field::needed("id", Kind::Text),
        Field::needed("t", Kind::Number),
        Field::optional("quality", Kind::Whole(0, 255)),
        Field::optional("inference", Kind::Truth),
        Field::optional("width", Kind::Whole(0, u32::MAX as i64)),
        Field::optional("mode", Kind::OneOf(&["exact", "nearest"])),
    ];
}

/// Which frame is served.
#[derive(Clone, Copy, Deserialize, ToSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
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
            ("X-Has-Inference" = bool, description = "Whether boxes could be drawn"),
            ("X-Frame-Damaged" = bool, description = "Whether parts of it were guessed, because its bytes are damaged"))),
        (status = 304, description = "Unchanged since the ETag that was sent"),
        (status = 400, body = Problem), (status = 404, body = Problem), (status = 416, body = Problem),
        (status = 422, body = Problem))
)]
pub async fn frame_optimized(
    caller: Caller,
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
    let record = caller.recording(&app, &query.id).await?;
    let place = FramePlace::find(&app, &record, query.t).await?;
    let on_screen = place.pts;
    let pts = match query.mode {
        Some(Mode::Nearest) => place.video.index().key_near(on_screen).unwrap_or(on_screen),
        _ => on_screen,
    };
    let video = &place.video;
    let (secs, told_pts) = place.told(pts);

    let mut boxes = None;
    if query.inference.unwrap_or(true)
        && let Some(run) = app.store.shown_run(&record.id).await?
        && let Some(settled) =
            app.store.settled_at(&run.id, secs).await?.filter(|frame| frame.pts == told_pts)
    {
        boxes = Some((run.id, settled.boxes));
    }
    let width = query.width.unwrap_or(0);
    let etag = format!(
        "\"{ETAG_VERSION}-{}-{}-{quality}-{width}-{}\"",
        place.opened_id,
        pts.0,
        boxes.as_ref().map_or("plain", |(run, _)| run)
    );
    let mut headers = HeaderMap::new();
    if video.is_whole() {
        headers.insert(header::ETAG, header_value(&etag));
    }
    // A frame of a file never changes, but its boxes may with another run: the browser revalidates with the ETag.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert("x-has-inference", header_value(&boxes.is_some().to_string()));
    headers
        .insert("x-frame-mode", HeaderValue::from_static(if pts == on_screen { "exact" } else { "nearest" }));
    if conditional::is_known(&request_headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    name_frame(&mut headers, secs, told_pts);
    let cached = app.pool.jpegs.get(&etag).filter(|_| video.is_whole());
    metrics::counter!("pigweight_jpeg_cache_total", "found" => cached.is_some().to_string()).increment(1);
    headers.insert("x-frame-damaged", HeaderValue::from_static("false"));
    if let Some(bytes) = cached {
        return Ok(jpeg_answer(headers, bytes));
    }
    let drawn = boxes.map(|(_, boxes)| boxes).unwrap_or_default();
    let drawn = drawn
        .iter()
        .map(|found| OverlayBox { rect: found.rect, is_measured: found.origin == Origin::Measured });
    let jpeg = Jpeg { pts, width, quality, boxes: drawn.collect(), part: None };
    let JpegOfFrame { pts: shown, is_damaged, bytes } = app.pool.jpeg(&place.opened_id, video, jpeg).await?;
    if is_damaged {
        // Only a frame that is whole is kept, here and by browsers: who asks again is told again.
        headers.remove(header::ETAG);
        headers.insert("x-frame-damaged", HeaderValue::from_static("true"));
    }
    if shown == pts && !is_damaged && video.is_whole() {
        app.pool.jpegs.put(etag, bytes.clone());
    } else if shown != pts {
        // The frame's own bytes are damaged and the one before it is served: its boxes differ.
        headers.remove(header::ETAG);
        headers.insert("x-has-inference", HeaderValue::from_static("false"));
        let (secs, told_pts) = place.told(shown);
        name_frame(&mut headers, secs, told_pts);
    }
    Ok(jpeg_answer(headers, bytes))
}

/// A frame and the file that it is in: the video's own, or one of a camera's recordings.
pub(super) struct FramePlace {
    /// Of the video or the recording.
    pub opened_id: String,
    pub video: Video,
    /// In the file, the frame that is on the screen at the moment asked for.
    pub pts: Pts,
    /// Of a camera.
    recorded: Option<RecordedFrame>,
}

impl FramePlace {
    pub async fn find(app: &App, record: &VideoRecord, t: f64) -> Result<Self, Problem> {
        if record.is_of_camera {
            let (recorded, pts) = app.recorded.frame(&app.pool, &record.source_id, t).await?;
            let (opened_id, video) = (recorded.id.clone(), recorded.video.clone());
            return Ok(Self { opened_id, video, pts, recorded: Some(recorded) });
        }
        // The last known frame may not be the one on the screen at that time.
        let reaches = |part: &Video| part.secs(part.index().last_pts()) > t;
        let video = app.pool.video_with(record, reaches).await?;
        let pts = video.frame_at(t)?;
        Ok(Self { opened_id: record.id.clone(), video, pts, recorded: None })
    }

    /// How a frame of the file is named: seconds and pts of the video, or of the camera's timeline.
    pub fn told(&self, pts: Pts) -> (f64, Pts) {
        match &self.recorded {
            None => (self.video.secs(pts), pts),
            Some(recorded) => {
                let pts = recorded.on_timeline(pts);
                (TIME_BASE.secs(pts), pts)
            }
        }
    }
}

/// The requested form of a frame.
pub struct Jpeg {
    pub pts: Pts,
    /// px; 0 for the original's.
    pub width: u32,
    pub quality: u8,
    pub boxes: Vec<OverlayBox>,
    /// px of the frame; all of it if `None`.
    pub part: Option<Rect>,
}

/// A frame as JPEG.
pub struct JpegOfFrame {
    /// Of the frame itself; if it does not come out, of the one before it, which is without boxes.
    pub pts: Pts,
    /// Parts of it were guessed.
    pub is_damaged: bool,
    pub bytes: Bytes,
}

impl VideoPool {
    /// A frame as JPEG.
    pub async fn jpeg(&self, id: &str, video: &Video, wanted: Jpeg) -> Result<JpegOfFrame, Problem> {
        let Jpeg { pts, width, quality, boxes, part } = wanted;
        let encode = move |frame: DecodedFrame| {
            let started = Instant::now();
            let mut boxes = if frame.pts == pts { boxes } else { Vec::new() };
            let full_width = frame.picture.width() as f32;
            let picture = frame.picture.scaled_to_width(width);
            let scale = picture.width() as f32 / full_width;
            let view = match part {
                None => picture.view(),
                Some(part) => {
                    let (view, (left, top)) = picture.view().cropped(part.scaled(scale));
                    for drawn in &mut boxes {
                        drawn.rect.x -= left as f32 / scale;
                        drawn.rect.y -= top as f32 / scale;
                    }
                    view
                }
            };
            let encoded = jpeg::encode(view, quality, &boxes, scale);
            metrics::histogram!("pigweight_frame_encode_seconds").record(started.elapsed().as_secs_f64());
            let (pts, is_damaged) = (frame.pts, frame.is_damaged);
            encoded.map(|bytes| JpegOfFrame { pts, is_damaged, bytes: Bytes::from(bytes) })
        };
        Ok(self.with_frame(id, video, pts, encode).await??)
    }
}

/// The headers that name the served frame.
pub fn name_frame(headers: &mut HeaderMap, secs: f64, pts: Pts) {
    headers.insert("x-frame-time", header_value(&secs.to_string()));
    headers.insert("x-frame-pts", header_value(&pts.0.to_string()));
}

/// A JPEG with its headers.
pub fn jpeg_answer(mut headers: HeaderMap, bytes: Bytes) -> Response {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
    (headers, Body::from(bytes)).into_response()
}

/// Our own text: letters, digits and punctuation that every header may contain.
pub fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
