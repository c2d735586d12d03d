//! Recordings of cameras that are open: which file shows a moment, and where.

use crate::artifacts::recordings::Recordings;
use crate::web::media::video_pool::VideoPool;
use crate::web::request::problem::Problem;
use crate::web::request::stretch::{secs, ticks};
use pigweight_core::time::Pts;
use pigweight_live::recording::FileLayout;
use pigweight_media::Video;
use pigweight_store::{CameraRecording, Store};
use quick_cache::sync::Cache;
use std::sync::Arc;

/// Indexes of ended recordings that stay in memory; each is of a minute.
const KNOWN_VIDEOS: usize = 64;
/// Layouts of ended recordings that stay in memory: some hours of several cameras.
const KNOWN_LAYOUTS: usize = 2000;

/// Opens recordings. What is being written is opened for each request.
pub struct RecordedVideos {
    store: Store,
    /// Their files.
    pub files: Arc<Recordings>,
    videos: Cache<String, Video>,
    layouts: Cache<String, Arc<FileLayout>>,
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

impl RecordedVideos {
    /// Opens nothing yet.
    pub fn new(store: Store, files: Arc<Recordings>) -> Self {
        Self { store, files, videos: Cache::new(KNOWN_VIDEOS), layouts: Cache::new(KNOWN_LAYOUTS) }
    }

    /// The recording that shows a camera at a moment, and the frame that was on the screen then, as a pts of its file.
    ///
    /// # Errors
    /// 404 if nothing was recorded then.
    pub async fn frame(
        &self,
        pool: &VideoPool,
        source_id: &str,
        t: f64,
    ) -> Result<(RecordedFrame, Pts), Problem> {
        if !t.is_finite() {
            return Err(Problem::bad_request("t is a number of seconds since the camera was added"));
        }
        let wanted = ticks(t);
        let Some(recording) = self.store.recording_at(source_id, wanted).await? else {
            return Err(self.not_recorded(source_id, t).await?);
        };
        let video = self.video(pool, &recording).await?;
        let first = video.index().first_pts();
        let zero_ticks = recording.start_ticks - first.0;
        let pts = match video.frame_at(secs(wanted - recording.start_ticks)) {
            Ok(pts) => pts,
            // It is still being written, and this isn't in the file yet.
            Err(pigweight_media::Error::OutsideVideo { .. }) if recording.end_ticks.is_none() => {
                return Err(self.not_recorded(source_id, t).await?);
            }
            Err(_) => return Err(damaged(&recording)),
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

    async fn video(&self, pool: &VideoPool, recording: &CameraRecording) -> Result<Video, Problem> {
        if let Some(video) = self.videos.get(&recording.id) {
            return Ok(video);
        }
        let path = self.files.path(&recording.source_id, &recording.id);
        let workers = pool.open_videos.workers();
        let opened = pool.work(move || match workers {
            Some(workers) => workers.open_in_parts(&path, None, &mut |_| {}),
            None => Video::open(&path),
        });
        let video = match opened.await? {
            Ok(video) => video,
            Err(error) if error.is_of_worker() => return Err(error.into()),
            Err(error) => {
                tracing::warn!("a recording can't be read: {error}");
                return Err(damaged(recording));
            }
        };
        if recording.end_ticks.is_some() {
            self.videos.insert(recording.id.clone(), video.clone());
        }
        Ok(video)
    }

    /// `None`: its file is gone or can't be read.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn layout(
        &self,
        pool: &VideoPool,
        recording: CameraRecording,
    ) -> Result<Option<Arc<FileLayout>>, Problem> {
        if let Some(layout) = self.layouts.get(&recording.id) {
            return Ok(Some(layout));
        }
        let (recordings, read) = (self.files.clone(), recording.clone());
        let layout = pool.work(move || recordings.layout(&read)).await?;
        let layout = match layout {
            Ok(layout) => Arc::new(layout),
            Err(error) => {
                // What is left can be played.
                tracing::warn!("a recording is left out of a playlist: {error:#}");
                return Ok(None);
            }
        };
        if recording.end_ticks.is_some() {
            self.layouts.insert(recording.id, layout.clone());
        }
        Ok(Some(layout))
    }
}

/// Without the path, which is nobody's business.
fn damaged(recording: &CameraRecording) -> Problem {
    let until = recording.end_ticks.map_or_else(String::new, |end| format!(" to {:.3}", secs(end)));
    Problem::unreadable(format!(
        "what is recorded from {:.3}{until} s is damaged or gone; ask for a moment before or after it",
        secs(recording.start_ticks)
    ))
}
