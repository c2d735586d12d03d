//! Registered video files.

use crate::error::{Error, Result};
use crate::reason::Reason;
use crate::{Store, new_id, now_secs};
use sqlx::{FromRow, Row as _};

/// What tells one file's content from another's without reading all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileIdentity {
    /// Absolute.
    pub path: String,
    /// Bytes.
    pub size_bytes: i64,
    /// Since 1970.
    pub modified_nanos: i64,
    /// Of the first 64 KiB.
    pub head_hash: String,
    /// Of pieces from all over it, where they were read: by them a file is known that was put back with another time than before.
    pub samples_hash: Option<String>,
}

/// What was found out about a file.
#[derive(Clone, Debug, Default)]
pub struct NewVideo {
    /// Why it cannot be read.
    pub error: Option<Reason>,
    /// What is missing although it can be read.
    pub damage: Option<String>,
    /// libav's short name.
    pub container: Option<String>,
    /// libav's short name.
    pub codec: Option<String>,
    /// Sound beside the picture.
    pub has_audio: Option<bool>,
    /// px.
    pub width_px: Option<u32>,
    /// px.
    pub height_px: Option<u32>,
    /// Frames shown.
    pub frames: Option<u64>,
    /// From the first frame to the end of the last.
    pub duration_secs: Option<f64>,
    /// When recording began as the file says, seconds since 1970 (UTC).
    pub recorded_at: Option<i64>,
    /// The media crate's own form.
    pub packet_index: Option<Vec<u8>>,
}

/// A registered video.
#[derive(Clone, Debug, FromRow)]
pub struct VideoRecord {
    /// ULID.
    pub id: String,
    /// Absolute.
    pub path: String,
    /// What people call it.
    pub name: String,
    /// Why it cannot be read.
    pub error: Option<String>,
    /// Its [`Reason::code`].
    pub error_code: Option<String>,
    /// What is missing although it can be read.
    pub damage: Option<String>,
    /// libav's short name.
    pub container: Option<String>,
    /// libav's short name.
    pub codec: Option<String>,
    /// 1 with sound.
    pub has_audio: Option<i64>,
    /// px.
    pub width_px: Option<i64>,
    /// px.
    pub height_px: Option<i64>,
    /// Frames shown.
    pub frames: Option<i64>,
    /// Seconds.
    pub duration_secs: Option<f64>,
    /// When recording began as the file says, seconds since 1970 (UTC).
    pub recorded_at: Option<i64>,
    /// 1 where the background leaves it alone.
    pub paused: i64,
    /// Whether [`FileIdentity::samples_hash`] is kept.
    pub is_sampled: bool,
}

const COLUMNS: &str = "id, path, name, error, error_code, damage, container, codec, has_audio, width_px, height_px, frames, \
                       duration_secs, recorded_at, paused, samples_hash is not null as is_sampled";

impl Store {
    /// The video at this path, if it is still the file it was when it was registered.
    pub async fn video_of_file(&self, file: &FileIdentity) -> Result<Option<VideoRecord>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS} from videos where path = $1 and size_bytes = $2 and modified_nanos = $3 \
             and head_hash = $4 and superseded = 0"
        )))
        .bind(&file.path)
        .bind(file.size_bytes)
        .bind(file.modified_nanos)
        .bind(&file.head_hash)
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| Error::from_sql("looking for a video", error))
    }

    /// Registers a file that has not been looked at yet, once, however many ask for it at the same time. Another file that
    /// was at this path before stays, with its runs, as superseded; where it comes back, it is that video again, and its jobs go on.
    pub async fn add_video(&self, file: &FileIdentity, name: &str) -> Result<VideoRecord> {
        let failed = |error| Error::from_sql("registering a video", error);
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        // Writing before reading: whoever comes second waits here, and finds what the first one wrote.
        sqlx::query(
            "update videos set superseded = 1 where path = $1 and superseded = 0 \
             and not (size_bytes = $2 and modified_nanos = $3 and head_hash = $4)",
        )
        .bind(&file.path)
        .bind(file.size_bytes)
        .bind(file.modified_nanos)
        .bind(&file.head_hash)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        // The same bytes with another time: copied back, say.
        sqlx::query(
            "update videos set superseded = 0, modified_nanos = $3 where id = (select id from videos where path = $1 \
             and size_bytes = $2 and head_hash = $4 and samples_hash = $5 order by added_at desc, id desc limit 1) \
             and not exists (select 1 from videos where path = $1 and superseded = 0)",
        )
        .bind(&file.path)
        .bind(file.size_bytes)
        .bind(file.modified_nanos)
        .bind(&file.head_hash)
        .bind(&file.samples_hash)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        sqlx::query(
            "insert into videos (id, path, name, size_bytes, modified_nanos, head_hash, samples_hash, added_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing",
        )
        .bind(new_id())
        .bind(&file.path)
        .bind(name)
        .bind(file.size_bytes)
        .bind(file.modified_nanos)
        .bind(&file.head_hash)
        .bind(&file.samples_hash)
        .bind(now_secs())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        // Nobody will read the file that was there before.
        sqlx::query(
            "update jobs set state = 'cancelled', error = $1, error_code = $4, finished_at = $2, holder = null, held_until = null \
             where state in ('waiting', 'running') and video_id in \
             (select id from videos where path = $3 and superseded = 1)",
        )
        .bind(crate::jobs::REPLACED)
        .bind(now_secs())
        .bind(&file.path)
        .bind(crate::jobs::REPLACED_CODE)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        // And the one that is back is what they were made for.
        sqlx::query(
            "update jobs set state = 'waiting', error = null, error_code = null, finished_at = null, tries = 0, due_at = 0 \
             where state = 'cancelled' and error = $1 and video_id in \
             (select id from videos where path = $2 and superseded = 0)",
        )
        .bind(crate::jobs::REPLACED)
        .bind(&file.path)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        let added = self.video_of_file(file).await?;
        // Somebody else registered yet another file at this path in between.
        added.ok_or_else(|| Error::NotFound { kind: "video", id: file.path.clone() })
    }

    /// Keeps what a file is known by that was registered without it.
    pub async fn keep_samples(&self, id: &str, samples_hash: &str) -> Result<()> {
        sqlx::query("update videos set samples_hash = $2 where id = $1")
            .bind(id)
            .bind(samples_hash)
            .execute(&self.pool)
            .await
            .map_err(|error| Error::from_sql("registering a video", error))?;
        Ok(())
    }

    /// Keeps what was found out about a registered file.
    pub async fn describe_video(&self, id: &str, video: &NewVideo) -> Result<VideoRecord> {
        let failed = |error| Error::from_sql("describing a video", error);
        sqlx::query(
            "update videos set error = $2, damage = $3, container = $4, codec = $5, has_audio = $6, width_px = $7, \
             height_px = $8, frames = $9, duration_secs = $10, packet_index = $11, recorded_at = $12, error_code = $13 \
             where id = $1",
        )
        .bind(id)
        .bind(video.error.as_ref().map(|reason| &reason.text))
        .bind(&video.damage)
        .bind(&video.container)
        .bind(&video.codec)
        .bind(video.has_audio.map(i64::from))
        .bind(video.width_px.map(i64::from))
        .bind(video.height_px.map(i64::from))
        .bind(video.frames.map(u64::cast_signed))
        .bind(video.duration_secs)
        .bind(&video.packet_index)
        .bind(video.recorded_at)
        .bind(video.error.as_ref().map(|reason| reason.code))
        .execute(&self.pool)
        .await
        .map_err(failed)?;
        self.video(id).await
    }

    /// Whether the background leaves a video alone.
    pub async fn pause_video(&self, id: &str, paused: bool) -> Result<VideoRecord> {
        sqlx::query("update videos set paused = $2 where id = $1")
            .bind(id)
            .bind(i64::from(paused))
            .execute(&self.pool)
            .await
            .map_err(|error| Error::from_sql("pausing the work on a video", error))?;
        self.video(id).await
    }

    /// All videos that are not superseded, by name.
    pub async fn videos(&self) -> Result<Vec<VideoRecord>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS} from videos where superseded = 0 order by name, id"
        )))
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("listing videos", error))
    }

    /// One video.
    pub async fn video(&self, id: &str) -> Result<VideoRecord> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!("select {COLUMNS} from videos where id = $1")))
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| Error::from_sql("reading a video", error))?
            .ok_or_else(|| Error::NotFound { kind: "video", id: id.to_owned() })
    }

    /// The stored packet index of a video.
    pub async fn packet_index(&self, id: &str) -> Result<Option<Vec<u8>>> {
        let row = sqlx::query("select packet_index from videos where id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| Error::from_sql("reading an index", error))?
            .ok_or_else(|| Error::NotFound { kind: "video", id: id.to_owned() })?;
        row.try_get(0).map_err(|error| Error::from_sql("reading an index", error))
    }
}
