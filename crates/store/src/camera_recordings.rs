//! What cameras have sent, kept in files. The binary writes the files; here is which ones there are.

use crate::error::{Error, Result};
use crate::{Store, new_id};
use sqlx::FromRow;

/// Of a camera's timeline.
pub const TICKS_PER_SEC: i64 = 90_000;

/// What is kept of what a camera sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(rename_all = "snake_case")]
pub enum RecordingMode {
    /// Everything, as long as there is room; around crossings and marks for longest.
    All,
    /// What lies around crossings and marks; the rest for some minutes.
    Marked,
    /// Nothing.
    Off,
}

impl RecordingMode {
    /// As in the table, the API and the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Marked => "marked",
            Self::Off => "off",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::All, Self::Marked, Self::Off].into_iter().find(|mode| mode.name() == name)
    }
}

/// A file with a stretch of a camera.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct CameraRecording {
    /// ULID; the name of its file.
    pub id: String,
    /// Its camera.
    pub source_id: String,
    /// Of its first frame on the camera's timeline.
    pub start_ticks: i64,
    /// End of its last frame; `None` while it is being written.
    pub end_ticks: Option<i64>,
    /// Time of day of its first frame, milliseconds since 1970.
    pub started_at_millis: i64,
    /// Of its file, when it was written.
    pub size_bytes: i64,
    /// Frames in it, when it was written.
    pub frames: i64,
    /// A crossing or a mark lies in it or near it.
    pub is_marked: bool,
}

/// How much is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordedBytes {
    /// Of one camera.
    pub of_camera: i64,
    /// Of all, removed cameras included.
    pub of_all: i64,
}

/// `$1`: seconds around a crossing that are kept with it. Times are compared in seconds.
const SELECT: &str = "select recorded.id, recorded.source_id, start_ticks, end_ticks, started_at_millis, size_bytes, frames, \
     (exists (select 1 from cameras join runs on runs.video_id = cameras.video_id join crossings on crossings.run_id = runs.id \
       where cameras.source_id = recorded.source_id and crossings.secs >= start_ticks / 90000.0 - $1 \
       and (end_ticks is null or crossings.secs <= end_ticks / 90000.0 + $1)) \
      or exists (select 1 from camera_marks where camera_marks.source_id = recorded.source_id \
       and to_secs >= start_ticks / 90000.0 and (end_ticks is null or from_secs <= end_ticks / 90000.0))) as is_marked \
     from camera_recordings recorded";

impl Store {
    /// Notes that a recording begins; its file is written afterwards.
    pub async fn begin_recording(
        &self,
        source_id: &str,
        start_ticks: i64,
        started_at_millis: i64,
    ) -> Result<String> {
        let id = new_id();
        sqlx::query(
            "insert into camera_recordings (id, source_id, start_ticks, started_at_millis) values ($1, $2, $3, $4)",
        )
        .bind(&id)
        .bind(source_id)
        .bind(start_ticks)
        .bind(started_at_millis)
        .execute(&self.pool)
        .await
        .map_err(|error| Error::from_sql("recording a camera", error))?;
        Ok(id)
    }

    /// Notes that a recording has ended.
    pub async fn end_recording(&self, id: &str, end_ticks: i64, size_bytes: i64, frames: i64) -> Result<()> {
        sqlx::query(
            "update camera_recordings set end_ticks = $2, size_bytes = $3, frames = $4 where id = $1",
        )
        .bind(id)
        .bind(end_ticks)
        .bind(size_bytes)
        .bind(frames)
        .execute(&self.pool)
        .await
        .map_err(|error| Error::from_sql("recording a camera", error))?;
        Ok(())
    }

    /// Forgets a recording; its file is removed afterwards.
    pub async fn remove_recording(&self, id: &str) -> Result<()> {
        sqlx::query("delete from camera_recordings where id = $1")
            .bind(id)
            .execute(&self.pool)
            .await
            .map_err(|error| Error::from_sql("removing a recording", error))?;
        Ok(())
    }

    /// Recordings that overlap a stretch of a camera's timeline, in its order, at most `most`.
    pub async fn recordings(
        &self,
        source_id: &str,
        (from_ticks, to_ticks): (i64, i64),
        margin_secs: f64,
        most: u32,
    ) -> Result<Vec<CameraRecording>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{SELECT} where recorded.source_id = $2 and (end_ticks is null or end_ticks > $3) and start_ticks < $4 \
             order by start_ticks, recorded.id limit $5"
        )))
        .bind(margin_secs)
        .bind(source_id)
        .bind(from_ticks)
        .bind(to_ticks)
        .bind(most)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("listing recordings", error))
    }

    /// One recording of a camera.
    pub async fn recording(&self, source_id: &str, id: &str, margin_secs: f64) -> Result<CameraRecording> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{SELECT} where recorded.source_id = $2 and recorded.id = $3"
        )))
        .bind(margin_secs)
        .bind(source_id)
        .bind(id)
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| Error::from_sql("reading a recording", error))?
        .ok_or_else(|| Error::NotFound { kind: "recording", id: id.to_owned() })
    }

    /// The recording that shows a moment, if there is one: of those that begin before it, the last.
    pub async fn recording_at(&self, source_id: &str, ticks: i64) -> Result<Option<CameraRecording>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{SELECT} where recorded.source_id = $2 and start_ticks <= $3 and (end_ticks is null or end_ticks > $3) \
             order by start_ticks desc, recorded.id desc limit 1"
        )))
        .bind(0.0)
        .bind(source_id)
        .bind(ticks)
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| Error::from_sql("finding a recording", error))
    }

    /// The ends of what is recorded nearest to a moment that isn't: before it and after it.
    pub async fn recorded_around(&self, source_id: &str, ticks: i64) -> Result<(Option<i64>, Option<i64>)> {
        let failed = |error| Error::from_sql("finding a recording", error);
        let before = sqlx::query_scalar(
            "select max(end_ticks) from camera_recordings where source_id = $1 and end_ticks <= $2",
        );
        let after = sqlx::query_scalar(
            "select min(start_ticks) from camera_recordings where source_id = $1 and start_ticks > $2",
        );
        let before = before.bind(source_id).bind(ticks).fetch_one(&self.pool).await.map_err(failed)?;
        let after = after.bind(source_id).bind(ticks).fetch_one(&self.pool).await.map_err(failed)?;
        Ok((before, after))
    }

    /// Recordings that are not being written, those to be removed first: unmarked ones before marked ones, older ones before newer
    /// ones. `None`: of all cameras.
    pub async fn recordings_to_remove(
        &self,
        source_id: Option<&str>,
        margin_secs: f64,
        most: u32,
    ) -> Result<Vec<CameraRecording>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{SELECT} where end_ticks is not null and ($2 is null or recorded.source_id = $2) \
             order by is_marked, started_at_millis, recorded.id limit $3"
        )))
        .bind(margin_secs)
        .bind(source_id)
        .bind(most)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("listing recordings", error))
    }

    /// All recordings, of removed cameras too, as they stand in the store.
    pub async fn all_recordings(&self) -> Result<Vec<CameraRecording>> {
        sqlx::query_as(
            "select id, source_id, start_ticks, end_ticks, started_at_millis, size_bytes, frames, false as is_marked \
             from camera_recordings order by id",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("listing recordings", error))
    }

    /// How much is recorded, without what is being written.
    pub async fn recorded_bytes(&self, source_id: &str) -> Result<RecordedBytes> {
        let (of_camera, of_all): (i64, i64) = sqlx::query_as(
            "select coalesce(sum(case when source_id = $1 then size_bytes end), 0), coalesce(sum(size_bytes), 0) \
             from camera_recordings",
        )
        .bind(source_id)
        .fetch_one(&self.pool)
        .await
        .map_err(|error| Error::from_sql("measuring recordings", error))?;
        Ok(RecordedBytes { of_camera, of_all })
    }

    /// The end of a camera's timeline so far, seconds: of what was counted and of what was recorded.
    pub async fn camera_end_secs(&self, source_id: &str) -> Result<f64> {
        let (counted, recorded): (f64, i64) = sqlx::query_as(
            "select coalesce((select max(counted_to_secs) from runs join cameras on cameras.video_id = runs.video_id \
               where cameras.source_id = $1), 0.0), \
             coalesce((select max(coalesce(end_ticks, start_ticks)) from camera_recordings where source_id = $1), 0)",
        )
        .bind(source_id)
        .fetch_one(&self.pool)
        .await
        .map_err(|error| Error::from_sql("reading a camera", error))?;
        Ok(counted.max(recorded as f64 / TICKS_PER_SEC as f64))
    }
}
