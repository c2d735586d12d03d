//! What a camera showed: frames and streams out of its recordings, on the camera's timeline.

use crate::web::api::recordings::{Stretch, StretchQuery};
use crate::web::app::{App, Shared};
use crate::web::auth::caller::Caller;
use crate::web::request::arguments::Query;
use crate::web::request::problem::Problem;
use axum::extract::{Path, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use pigweight_core::time::Pts;
use pigweight_live::recording::FileLayout;
use pigweight_media::Video;
use pigweight_store::{CameraRecording, TICKS_PER_SEC};
use quick_cache::sync::Cache;
use std::fmt::Write as _;
use std::sync::Arc;
use tower_http::services::ServeFile;

/// Indexes of ended recordings that stay in memory; each is of a minute.
const KNOWN_VIDEOS: usize = 64;
/// Layouts of ended recordings that stay in memory: some hours of several cameras.
const KNOWN_LAYOUTS: usize = 2000;
/// A segment of a stream lasts at least this long, and extends to the next keyframe.
const LEAST_SEGMENT_TICKS: u64 = 4 * TICKS_PER_SEC as u64;
/// Recordings of one playlist.
const MOST_RECORDINGS: u32 = 2000;
/// Longest playlist.
const MOST_PLAYLIST_SECS: f64 = 24.0 * 3600.0;

/// Recordings that are open. What is being written is opened for each request.
pub struct RecordedVideos {
    videos: Cache<String, Video>,
    layouts: Cache<String, Arc<FileLayout>>,
}

impl Default for RecordedVideos {
    fn default() -> Self {
        Self { videos: Cache::new(KNOWN_VIDEOS), layouts: Cache::new(KNOWN_LAYOUTS) }
    }
}

/// A frame of a camera and where it is recorded.
pub struct RecordedFrame {
    /// The recording's.
    pub id: String,
    /// Its file.
    pub video: Video,
    /// On the camera's timeline, of the file's pts 0.
    zero_ticks: i64,
}

impl RecordedFrame {
    /// A pts of the file on the camera's timeline.
    pub fn on_timeline(&self, pts: Pts) -> Pts {
        Pts(pts.0 + self.zero_ticks)
    }
}

/// Ticks of a camera's timeline.
pub fn ticks(secs: f64) -> i64 {
    (secs * TICKS_PER_SEC as f64).round() as i64
}

fn secs(ticks: i64) -> f64 {
    ticks as f64 / TICKS_PER_SEC as f64
}

impl App {
    /// The recording that shows a camera at a moment, and the frame that was on the screen then, as a pts of its file.
    ///
    /// # Errors
    /// 404 if nothing was recorded then.
    pub async fn recorded_frame(&self, source_id: &str, t: f64) -> Result<(RecordedFrame, Pts), Problem> {
        let wanted = ticks(t);
        let Some(recording) = self.store.recording_at(source_id, wanted).await? else {
            return Err(self.not_recorded(source_id, t).await?);
        };
        let video = self.recorded_video(&recording).await?;
        let first = video.index().first_pts();
        let zero_ticks = recording.start_ticks - first.0;
        let pts = match video.frame_at(secs(wanted - recording.start_ticks)) {
            Ok(pts) => pts,
            // It is still being written, and this isn't in the file yet.
            Err(pigweight_media::Error::OutsideVideo { .. }) => {
                return Err(self.not_recorded(source_id, t).await?);
            }
            Err(error) => return Err(error.into()),
        };
        Ok((RecordedFrame { id: recording.id, video, zero_ticks }, pts))
    }

    /// Says what is recorded nearest to that moment.
    async fn not_recorded(&self, source_id: &str, t: f64) -> Result<Problem, Problem> {
        let around = self.store.recorded_around(source_id, ticks(t)).await?;
        let nearest = match around {
            (Some(before), Some(after)) => {
                format!("it ends at {:.3} s and goes on at {:.3} s", secs(before), secs(after))
            }
            (Some(before), None) => format!("the latest before it ends at {:.3} s", secs(before)),
            (None, Some(after)) => format!("the earliest begins at {:.3} s", secs(after)),
            (None, None) => "nothing is".to_owned(),
        };
        Ok(Problem::not_found(format!(
            "the camera is not recorded at t = {t:?} s: {nearest}; GET /api/cameras/{source_id}/recordings lists what is recorded"
        )))
    }

    async fn recorded_video(&self, recording: &CameraRecording) -> Result<Video, Problem> {
        if let Some(video) = self.recorded_videos.videos.get(&recording.id) {
            return Ok(video);
        }
        let path = self.recordings.path(&recording.source_id, &recording.id);
        let workers = self.pool.open_videos.workers();
        let opened = self.pool.work(move || match workers {
            Some(workers) => workers.open_in_parts(&path, None, &mut |_| {}),
            None => Video::open(&path),
        });
        let video = opened.await??;
        if recording.end_ticks.is_some() {
            self.recorded_videos.videos.insert(recording.id.clone(), video.clone());
        }
        Ok(video)
    }

    /// `None`: its file was removed to make room since it was listed.
    async fn layout(&self, recording: CameraRecording) -> Result<Option<Arc<FileLayout>>, Problem> {
        if let Some(layout) = self.recorded_videos.layouts.get(&recording.id) {
            return Ok(Some(layout));
        }
        let (recordings, read) = (self.recordings.clone(), recording.clone());
        let layout = self.pool.work(move || recordings.layout(&read)).await?;
        let layout = match layout {
            Ok(layout) => Arc::new(layout),
            Err(_) if !self.recordings.path(&recording.source_id, &recording.id).exists() => return Ok(None),
            Err(error) => return Err(Problem::internal(format!("{error:#}"))),
        };
        if recording.end_ticks.is_some() {
            self.recorded_videos.layouts.insert(recording.id, layout.clone());
        }
        Ok(Some(layout))
    }
}

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
    let path = app.recordings.path(&camera.id, &recording.id);
    if !path.is_file() {
        return Err(Problem::not_found("the recording was removed to make room for newer ones"));
    }
    let mut response = ServeFile::new(path).try_call(request).await.map_err(Problem::internal)?;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("video/mp4"));
    let caching = if recording.end_ticks.is_some() { "private, max-age=3600" } else { "no-store" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    Ok(response.into_response())
}

/// What a camera showed, as an HLS media playlist (RFC 8216) of its recordings; times of day are in it. Without `to`, up to now.
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
    let stretch = Stretch::of(&query, camera.created_at, MOST_PLAYLIST_SECS)?;
    let range = (ticks(stretch.from_secs), ticks(stretch.to_secs));
    let recordings = app.store.recordings(&camera.id, range, 0.0, MOST_RECORDINGS).await?;
    let mut pieces = Vec::new();
    for recording in recordings {
        if let Some(layout) = app.layout(recording.clone()).await? {
            pieces.push((recording, layout));
        }
    }
    let text = media_playlist(&pieces, range);
    let text = text.ok_or_else(|| Problem::not_found("nothing of that time is recorded"))?;
    let headers = [(header::CONTENT_TYPE, "application/vnd.apple.mpegurl"), (header::CACHE_CONTROL, "no-store")];
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
                let ms = recording.started_at_millis
                    + segment.start_ticks.cast_signed() * 1000 / TICKS_PER_SEC;
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
