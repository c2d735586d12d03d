//! Registered video files.

use crate::clock::unix_secs;
use crate::error::{Error, Result};
use crate::reason::Reason;
use crate::sources::{self, NewSource};
use crate::{Store, Transaction, new_id};
use sqlx::{FromRow, Row as _};

/// A file's metadata, read without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct FileStat {
    /// Bytes.
    pub size_bytes: i64,
    /// Time of modification, nanoseconds since 1970. Copying tools set it back.
    pub modified_nanos: i64,
    /// Time of change of the inode, nanoseconds since 1970. Nothing sets it back. `None` where the file system has none or the
    /// change is so recent that another one could bear the same time.
    pub changed_nanos: Option<i64>,
    /// Number of the inode.
    pub inode: Option<i64>,
}

impl FileStat {
    /// Whether nothing can have been written to the file between the two. Without a time of change that cannot be said.
    pub fn is_unchanged(&self, later: &Self) -> bool {
        self == later && self.changed_nanos.is_some() && self.inode.is_some()
    }
}

/// Distinguishes a file's content from another's without reading all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileIdentity {
    /// Absolute, as [`crate::path_text`] writes it.
    pub path: String,
    /// Size and times.
    pub stat: FileStat,
    /// BLAKE3 of the first 64 KiB.
    pub head_hash: String,
    /// BLAKE3 of samples from all over the file, if they were read. They identify a file that was copied back with another
    /// time than before.
    pub samples_hash: Option<String>,
}

/// A file to register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// Identifies its content.
    pub file: FileIdentity,
    /// For people: the path below the folder it was found in.
    pub name: String,
    /// The source it belongs to, unless its path was known before.
    pub source: NewSource,
}

/// A registered file as it was when it was last read.
#[derive(Clone, Debug, FromRow)]
pub struct KnownFile {
    /// Size and times.
    #[sqlx(flatten)]
    pub stat: FileStat,
    /// Its video.
    #[sqlx(flatten)]
    pub video: VideoRecord,
}

/// The result of opening a file.
#[derive(Clone, Debug, Default)]
pub struct NewVideo {
    /// Why it cannot be read.
    pub error: Option<Reason>,
    /// What is missing although it can be read.
    pub damage: Option<String>,
    /// What was wrong with its times, and how it was repaired.
    pub repairs: Option<String>,
    /// libav's short name.
    pub container: Option<String>,
    /// libav's short name.
    pub codec: Option<String>,
    /// Whether it has audio.
    pub has_audio: Option<bool>,
    /// px.
    pub width_px: Option<u32>,
    /// px.
    pub height_px: Option<u32>,
    /// Frames shown.
    pub frames: Option<u64>,
    /// From the first frame to the end of the last.
    pub duration_secs: Option<f64>,
    /// Start of the recording as the file says, seconds since 1970 (UTC).
    pub recorded_at: Option<i64>,
    /// The media crate's own form.
    pub packet_index: Option<Vec<u8>>,
}

/// A registered video.
#[derive(Clone, Debug, FromRow)]
pub struct VideoRecord {
    /// ULID.
    pub id: String,
    /// The source it is a recording of.
    pub source_id: String,
    /// Absolute, as [`crate::path_text`] writes it.
    pub path: String,
    /// For people: the path below the folder it was found in.
    pub name: String,
    /// Why it cannot be read.
    pub error: Option<String>,
    /// Its [`Reason::code`].
    pub error_code: Option<String>,
    /// What is missing although it can be read.
    pub damage: Option<String>,
    /// What was wrong with its times, and how it was repaired.
    pub repairs: Option<String>,
    /// libav's short name.
    pub container: Option<String>,
    /// libav's short name.
    pub codec: Option<String>,
    /// Whether it has audio.
    pub has_audio: Option<bool>,
    /// Of the upright picture, px.
    pub width_px: Option<i64>,
    /// Of the upright picture, px.
    pub height_px: Option<i64>,
    /// Frames shown.
    pub frames: Option<i64>,
    /// Seconds.
    pub duration_secs: Option<f64>,
    /// Start of the recording as the file says, seconds since 1970 (UTC).
    pub recorded_at: Option<i64>,
    /// Its own threshold, or else its source's: boxes count as animals from this score on.
    pub min_score: Option<f64>,
    /// BLAKE3 of the model that its own threshold was fitted with; `None`: it holds for all.
    pub min_score_model: Option<String>,
    /// Its source's threshold.
    pub source_min_score: Option<f64>,
    /// How many animals a person says its source holds.
    pub animals: Option<i64>,
    /// Width of the detector's input as a person has set it for its source, px.
    pub input_width_px: Option<i64>,
    /// The width chosen from the size of its source's animals, px.
    pub measured_input_width_px: Option<i64>,
    /// BLAKE3 of the model that this was measured with.
    pub measured_with: Option<String>,
    /// BLAKE3 of the adapted detector whose view it was compared with.
    pub view_checked_with: Option<String>,
    /// Whether it shows that view; `None`: that detector doesn't say.
    pub view_matches: Option<bool>,
    /// The run that people see; `None` before one is complete.
    pub published_run_id: Option<String>,
    /// The background does not work on it.
    pub is_paused: bool,
    /// Its file is there now.
    pub is_present: bool,
    /// It is what a camera sends, and has no file.
    pub is_of_camera: bool,
    /// Whether [`FileIdentity::samples_hash`] is known.
    pub is_sampled: bool,
}

const COLUMNS: &str = "id, source_id, path, name, error, error_code, damage, repairs, container, codec, has_audio, width_px, height_px, \
     frames, duration_secs, recorded_at, view_checked_with, view_matches, published_run_id, is_paused, samples_hash is not null as is_sampled, \
     coalesce(min_score, (select min_score from sources where sources.id = videos.source_id)) as min_score, \
     case when min_score is not null then min_score_model end as min_score_model, \
     (select min_score from sources where sources.id = videos.source_id) as source_min_score, \
     (select animals from sources where sources.id = videos.source_id) as animals, \
     (select input_width_px from sources where sources.id = videos.source_id) as input_width_px, \
     (select measured_input_width_px from sources where sources.id = videos.source_id) as measured_input_width_px, \
     (select measured_with from sources where sources.id = videos.source_id) as measured_with, \
     exists (select 1 from presence where presence.video_id = videos.id) as is_present, \
     exists (select 1 from cameras where cameras.video_id = videos.id) as is_of_camera";

impl VideoRecord {
    /// The file.
    pub fn file_path(&self) -> std::path::PathBuf {
        crate::path_of_text(&self.path)
    }

    /// The input width for a model, px: as a person has set it, or as chosen for this model; `None`: the model's own.
    pub fn input_width_for(&self, model_hash: &str) -> Option<i64> {
        let measured = self.measured_input_width_px.filter(|_| self.is_measured_with(model_hash));
        self.input_width_px.or(measured)
    }

    /// Whether it shows another view than the one that this adapted detector (its BLAKE3) has learned.
    pub fn shows_other_view_than(&self, detector_hash: &str) -> bool {
        self.view_checked_with.as_deref() == Some(detector_hash) && self.view_matches == Some(false)
    }

    /// Whether the animals of its source were measured with this model.
    pub fn is_measured_with(&self, model_hash: &str) -> bool {
        self.measured_with.as_deref() == Some(model_hash)
    }

    /// The threshold for a model. One that was fitted with another model doesn't hold: its scores mean something else.
    pub fn min_score_for(&self, model_hash: &str) -> Option<f64> {
        match &self.min_score_model {
            Some(fitted_with) if fitted_with != model_hash => self.source_min_score,
            _ => self.min_score,
        }
    }
}

impl Store {
    /// How many videos are known whose files lay in a folder or below it.
    pub async fn count_known_below(&self, folder: &std::path::Path) -> Result<i64> {
        let prefix = format!("{}/", crate::path_text(folder));
        sqlx::query_scalar(
            "select count(*) from videos where substr(path, 1, length($1)) = $1 and not is_superseded",
        )
        .bind(prefix)
        .fetch_one(&self.pool)
        .await
        .map_err(|error| Error::from_sql("counting a folder's videos", error))
    }

    /// The video at this path, if its size, time and beginning are those with which it was registered.
    pub async fn video_of_file(&self, file: &FileIdentity) -> Result<Option<VideoRecord>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS} from videos where path = $1 and size_bytes = $2 and modified_nanos = $3 \
             and head_hash = $4 and not is_superseded"
        )))
        .bind(&file.path)
        .bind(file.stat.size_bytes)
        .bind(file.stat.modified_nanos)
        .bind(&file.head_hash)
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| Error::from_sql("finding a video", error))
    }

    /// All registered files, so that a scan opens only those that changed.
    pub async fn known_files(&self) -> Result<Vec<KnownFile>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS}, size_bytes, modified_nanos, changed_nanos, inode from videos where not is_superseded"
        )))
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("listing files", error))
    }

    /// Registers a file that has not been opened yet; once, however many ask for it at the same time. Another file that was at
    /// this path stays, with its runs, as superseded. If it comes back, it is that video again and its jobs continue.
    pub async fn add_video(
        &self,
        file: &FileIdentity,
        name: &str,
        source: &NewSource,
    ) -> Result<VideoRecord> {
        let mut transaction = self.begin_write("registering a video").await?;
        let id = add_in(&mut transaction, file, name, source).await?;
        transaction.commit().await.map_err(|error| Error::from_sql("registering a video", error))?;
        self.video(&id).await
    }

    /// The same for many files in one transaction: all or none. Gives the identifiers in the same order.
    pub async fn add_videos(&self, files: &[NewFile]) -> Result<Vec<String>> {
        let mut transaction = self.begin_write("registering videos").await?;
        let mut ids = Vec::with_capacity(files.len());
        for NewFile { file, name, source } in files {
            ids.push(add_in(&mut transaction, file, name, source).await?);
        }
        transaction.commit().await.map_err(|error| Error::from_sql("registering videos", error))?;
        Ok(ids)
    }

    /// Notes that files, by their videos, were read and have the content they had, so that the next scan need not read them.
    pub async fn keep_file_stats(&self, stats: &[(String, FileStat)]) -> Result<()> {
        let failed = |error| Error::from_sql("noting the state of files", error);
        let mut transaction = self.begin_write("noting the state of files").await?;
        for (id, stat) in stats {
            sqlx::query("update videos set changed_nanos = $2, inode = $3 where id = $1")
                .bind(id)
                .bind(stat.changed_nanos)
                .bind(stat.inode)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// Keeps the samples of a file that was registered without them.
    pub async fn keep_samples(&self, id: &str, samples_hash: &str) -> Result<()> {
        sqlx::query("update videos set samples_hash = $2 where id = $1")
            .bind(id)
            .bind(samples_hash)
            .execute(&self.pool)
            .await
            .map_err(|error| Error::from_sql("registering a video", error))?;
        Ok(())
    }

    /// Stores the result of opening a registered file.
    pub async fn describe_video(&self, id: &str, video: &NewVideo) -> Result<VideoRecord> {
        let failed = |error| Error::from_sql("describing a video", error);
        sqlx::query(
            "update videos set error = $2, damage = $3, container = $4, codec = $5, has_audio = $6, width_px = $7, \
             height_px = $8, frames = $9, duration_secs = $10, packet_index = $11, recorded_at = $12, error_code = $13, repairs = $14 \
             where id = $1",
        )
        .bind(id)
        .bind(video.error.as_ref().map(|reason| &reason.text))
        .bind(&video.damage)
        .bind(&video.container)
        .bind(&video.codec)
        .bind(video.has_audio)
        .bind(video.width_px.map(i64::from))
        .bind(video.height_px.map(i64::from))
        .bind(video.frames.map(u64::cast_signed))
        .bind(video.duration_secs)
        .bind(&video.packet_index)
        .bind(video.recorded_at)
        .bind(video.error.as_ref().map(|reason| reason.code))
        .bind(&video.repairs)
        .execute(&self.pool)
        .await
        .map_err(failed)?;
        self.video(id).await
    }

    /// Keeps whether a video shows the view that an adapted detector (its BLAKE3) has learned; `None`: that can't be said.
    pub async fn keep_view(
        &self,
        id: &str,
        detector_hash: &str,
        matches: Option<bool>,
    ) -> Result<VideoRecord> {
        sqlx::query("update videos set view_checked_with = $2, view_matches = $3 where id = $1")
            .bind(id)
            .bind(detector_hash)
            .bind(matches)
            .execute(&self.pool)
            .await
            .map_err(|error| Error::from_sql("keeping the view of a video", error))?;
        self.video(id).await
    }

    /// Whether the background leaves a video alone.
    pub async fn pause_video(&self, id: &str, is_paused: bool) -> Result<VideoRecord> {
        sqlx::query("update videos set is_paused = $2 where id = $1")
            .bind(id)
            .bind(is_paused)
            .execute(&self.pool)
            .await
            .map_err(|error| Error::from_sql("pausing the work on a video", error))?;
        self.video(id).await
    }

    /// Sets a recording's own threshold; `None`: its source's. One that was fitted with a model (BLAKE3) holds for that alone.
    pub async fn set_video_min_score(
        &self,
        id: &str,
        min_score: Option<f64>,
        fitted_with: Option<&str>,
    ) -> Result<VideoRecord> {
        sqlx::query("update videos set min_score = $2, min_score_model = $3 where id = $1")
            .bind(id)
            .bind(min_score)
            .bind(fitted_with)
            .execute(&self.pool)
            .await
            .map_err(|error| Error::from_sql("setting a video's threshold", error))?;
        self.video(id).await
    }

    /// All videos, also those whose files are gone or were replaced, by identifier.
    pub async fn all_videos(&self) -> Result<Vec<VideoRecord>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!("select {COLUMNS} from videos order by id")))
            .fetch_all(&self.pool)
            .await
            .map_err(|error| Error::from_sql("listing videos", error))
    }

    /// All videos that are not superseded, by name.
    pub async fn videos(&self) -> Result<Vec<VideoRecord>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS} from videos where not is_superseded order by name, id"
        )))
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("listing videos", error))
    }

    /// At most `limit` videos whose files are there, by name: those that follow the video `after`. With `source_id` only that
    /// source's.
    pub async fn videos_page(
        &self,
        source_id: Option<&str>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<VideoRecord>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS} from videos where not is_superseded \
             and exists (select 1 from presence where presence.video_id = videos.id) \
             and ($1 is null or source_id = $1) \
             and ($2 is null or (name, id) > (select name, id from videos where id = $2)) order by name, id limit $3"
        )))
        .bind(source_id)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("listing videos", error))
    }

    /// How many videos there are in all pages of [`Store::videos_page`].
    pub async fn count_videos(&self, source_id: Option<&str>) -> Result<i64> {
        sqlx::query_scalar(
            "select count(*) from videos where not is_superseded \
             and exists (select 1 from presence where presence.video_id = videos.id) and ($1 is null or source_id = $1)",
        )
        .bind(source_id)
        .fetch_one(&self.pool)
        .await
        .map_err(|error| Error::from_sql("counting videos", error))
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

/// See [`Store::add_video`].
async fn add_in(
    transaction: &mut Transaction,
    file: &FileIdentity,
    name: &str,
    source: &NewSource,
) -> Result<String> {
    let failed = |error| Error::from_sql("registering a video", error);
    sqlx::query(
        "update videos set is_superseded = true where path = $1 and not is_superseded \
         and not (size_bytes = $2 and modified_nanos = $3 and head_hash = $4)",
    )
    .bind(&file.path)
    .bind(file.stat.size_bytes)
    .bind(file.stat.modified_nanos)
    .bind(&file.head_hash)
    .execute(&mut **transaction)
    .await
    .map_err(failed)?;
    // The same bytes with another time: copied back, say.
    sqlx::query(
        "update videos set is_superseded = false, modified_nanos = $3 where id = (select id from videos where path = $1 \
         and size_bytes = $2 and head_hash = $4 and samples_hash = $5 order by number desc limit 1) \
         and not exists (select 1 from videos where path = $1 and not is_superseded)",
    )
    .bind(&file.path)
    .bind(file.stat.size_bytes)
    .bind(file.stat.modified_nanos)
    .bind(&file.head_hash)
    .bind(&file.samples_hash)
    .execute(&mut **transaction)
    .await
    .map_err(failed)?;
    let known: Option<String> =
        sqlx::query_scalar("select id from videos where path = $1 and not is_superseded")
            .bind(&file.path)
            .fetch_optional(&mut **transaction)
            .await
            .map_err(failed)?;
    let id = match known {
        Some(id) => id,
        None => {
            let source_id = sources::of_new_video(transaction, &file.path, name, source).await?;
            let id = new_id();
            sqlx::query(
                "insert into videos (id, source_id, path, name, size_bytes, modified_nanos, head_hash, samples_hash, added_at, number) \
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, (select coalesce(max(number), 0) + 1 from videos))",
            )
            .bind(&id)
            .bind(source_id)
            .bind(&file.path)
            .bind(name)
            .bind(file.stat.size_bytes)
            .bind(file.stat.modified_nanos)
            .bind(&file.head_hash)
            .bind(&file.samples_hash)
            .bind(unix_secs())
            .execute(&mut **transaction)
            .await
            .map_err(failed)?;
            id
        }
    };
    sqlx::query("update videos set changed_nanos = $2, inode = $3 where id = $1")
        .bind(&id)
        .bind(file.stat.changed_nanos)
        .bind(file.stat.inode)
        .execute(&mut **transaction)
        .await
        .map_err(failed)?;
    crate::presence::forget_superseded(transaction, &file.path).await?;
    crate::jobs::follow_replacement(transaction, &file.path).await?;
    Ok(id)
}
