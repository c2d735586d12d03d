//! What a camera showed: the files of its recordings, and streams out of them.

use crate::web::app::Shared;
use crate::web::auth::caller::Caller;
use crate::web::request::arguments::Query;
use crate::web::request::problem::Problem;
use crate::web::request::stretch::{Stretch, StretchQuery, secs, ticks};
use axum::extract::{Path, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use pigweight_live::recording::FileLayout;
use pigweight_store::{CameraRecording, TICKS_PER_SEC};
use std::fmt::Write as _;
use std::sync::Arc;
use tower_http::services::ServeFile;

/// A segment of a stream lasts at least this long, and extends to the next keyframe.
const LEAST_SEGMENT_TICKS: u64 = 4 * TICKS_PER_SEC as u64;
/// Recordings of one playlist.
const MOST_RECORDINGS: u32 = 2000;
/// Longest playlist.
const MOST_PLAYLIST_SECS: f64 = 24.0 * 3600.0;

/// The file of a recording: MP4, as the camera sent it. While it is being written, its end may be cut off.
#[utoipa::path(
    get, path = "/api/cameras/{id}/recordings/{recording}",
    responses((status = 200, description = "The whole file", content_type = "video/mp4", body = Vec<u8>),
              (status = 206, description = "A range of it"), (status = 404, body = Problem), (status = 416))
)]
pub async fn file(
    caller: Caller,
    app: Shared,
    Path((id, recording)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let camera = caller.camera(&app, &id).await?;
    let recording = app.store.recording(&camera.id, &recording, 0.0).await?;
    let path = app.recorded.files.path(&camera.id, &recording.id);
    if !path.is_file() {
        return Err(Problem::not_found(
            "the file of this recording is gone: removed to make room for newer ones, or by somebody",
        ));
    }
    let mut response = ServeFile::new(path).try_call(request).await.map_err(Problem::internal)?;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("video/mp4"));
    let caching = if recording.end_ticks.is_some() { "private, max-age=3600" } else { "no-store" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    Ok(response.into_response())
}

/// What a camera showed, as an HLS media playlist (RFC 8216) of its recordings. Its times of day are the camera's `created_at` and the seconds since.
/// Without `to`, up to now.
#[utoipa::path(
    get, path = "/api/cameras/{id}/hls", params(StretchQuery),
    responses((status = 200, content_type = "application/vnd.apple.mpegurl", body = String),
              (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub async fn playlist(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    Query(query): Query<StretchQuery>,
) -> Result<Response, Problem> {
    let camera = caller.camera(&app, &id).await?;
    let end_secs = app.store.camera_end_secs(&camera.id).await?;
    let stretch = Stretch::of(&query, camera.created_at, end_secs, MOST_PLAYLIST_SECS)?;
    let range = (ticks(stretch.from_secs), ticks(stretch.to_secs));
    let recordings = app.store.recordings(&camera.id, range, 0.0, MOST_RECORDINGS).await?;
    let mut pieces = Vec::new();
    for recording in recordings {
        if let Some(layout) = app.recorded.layout(&app.pool, recording.clone()).await? {
            pieces.push((recording, layout));
        }
    }
    let text = media_playlist(&pieces, range, camera.created_at);
    let text = text.ok_or_else(|| Problem::not_found("nothing of that time is recorded"))?;
    let headers =
        [(header::CONTENT_TYPE, "application/vnd.apple.mpegurl"), (header::CACHE_CONTROL, "no-store")];
    Ok((StatusCode::OK, headers, text).into_response())
}

/// A part of a file that begins with a keyframe.
struct Segment {
    first_byte: u64,
    end_byte: u64,
    start_ticks: u64,
    duration_ticks: u64,
}

fn segments(layout: &FileLayout) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    for fragment in &layout.fragments {
        match segments.last_mut() {
            Some(last) if !fragment.starts_with_keyframe || last.duration_ticks < LEAST_SEGMENT_TICKS => {
                last.end_byte = fragment.bytes.end;
                last.duration_ticks = fragment.decode_ticks + fragment.duration_ticks - last.start_ticks;
            }
            _ => segments.push(Segment {
                first_byte: fragment.bytes.start,
                end_byte: fragment.bytes.end,
                start_ticks: fragment.decode_ticks,
                duration_ticks: fragment.duration_ticks,
            }),
        }
    }
    segments
}

/// `None`: there is nothing in it.
fn media_playlist(
    pieces: &[(CameraRecording, Arc<FileLayout>)],
    (from_ticks, to_ticks): (i64, i64),
    created_at: i64,
) -> Option<String> {
    let (mut text, mut longest) = (String::new(), 0);
    for (recording, layout) in pieces {
        let at = format!("recordings/{}", recording.id);
        let mut is_first = true;
        for segment in segments(layout) {
            let start = recording.start_ticks + segment.start_ticks.cast_signed();
            if start + segment.duration_ticks.cast_signed() <= from_ticks || start >= to_ticks {
                continue;
            }
            // Writing to a string cannot fail.
            if std::mem::take(&mut is_first) {
                if !text.is_empty() {
                    text.push_str("#EXT-X-DISCONTINUITY\n");
                }
                let head = layout.head_bytes;
                let _written = writeln!(text, "#EXT-X-MAP:URI=\"{at}\",BYTERANGE=\"{head}@0\"");
                // The camera's own timeline as time of day, like all its counts: clocks that were set don't show.
                let ms = created_at * 1000 + start * 1000 / TICKS_PER_SEC;
                if let Ok(time) = jiff::Timestamp::from_millisecond(ms) {
                    let _written = writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{time:.3}");
                }
            }
            longest = longest.max(segment.duration_ticks);
            let duration = secs(segment.duration_ticks.cast_signed());
            let _written = writeln!(
                text,
                "#EXTINF:{duration:.6},\n#EXT-X-BYTERANGE:{}@{}\n{at}",
                segment.end_byte - segment.first_byte,
                segment.first_byte
            );
        }
    }
    let target = secs(longest.cast_signed()).ceil().max(1.0);
    (!text.is_empty()).then(|| {
        format!(
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n\
             #EXT-X-INDEPENDENT-SEGMENTS\n{text}#EXT-X-ENDLIST\n"
        )
    })
}
