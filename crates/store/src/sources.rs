//! Sources: a folder of one camera's recordings, an upload, or a camera (`cameras.rs`).

use crate::clock::unix_secs;
use crate::error::{Error, Result};
use crate::{Store, Transaction, new_id};
use sqlx::FromRow;

/// The origin of recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(rename_all = "snake_case")]
pub enum SourceKind {
    /// A folder that directly holds recordings.
    Folder,
    /// One file that was uploaded.
    Upload,
    /// A camera.
    Camera,
}

impl SourceKind {
    /// As in the table and the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Upload => "upload",
            Self::Camera => "camera",
        }
    }
}

/// The source that a file belongs to when it is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewSource {
    /// All files of a folder share one.
    Folder {
        /// Absolute.
        folder: String,
        /// For people; kept from the first file on.
        name: String,
    },
    /// One of its own.
    Upload,
    /// That of a camera: a clip of what it sent.
    Camera {
        /// The source's identifier. If there is none of it, the clip is a source of its own, as an upload is.
        source_id: String,
    },
}

/// A source.
#[derive(Clone, Debug, FromRow)]
pub struct SourceRecord {
    /// ULID.
    pub id: String,
    /// A folder, an upload or a camera.
    pub kind: SourceKind,
    /// For people.
    pub name: String,
    /// Absolute; `None` for an upload or a camera.
    pub folder: Option<String>,
    /// Boxes count as animals from this score on, in all its recordings; `None`: as calibrated or configured.
    pub min_score: Option<f64>,
    /// Seconds since 1970.
    pub created_at: i64,
    /// How many animals a person says there are.
    pub animals: Option<i64>,
    /// Width of the detector's input as a person has set it, px; `None`: chosen from the size of the animals.
    pub input_width_px: Option<i64>,
    /// The width that was chosen, px.
    pub measured_input_width_px: Option<i64>,
    /// Median side (root of the area) of its animals, px of the detector's usual input.
    pub measured_animal_px: Option<f64>,
    /// Time of an inference at the chosen width.
    pub measured_inference_secs: Option<f64>,
    /// BLAKE3 of the model that it was measured with.
    pub measured_with: Option<String>,
    /// Recordings whose files are there now.
    pub videos: i64,
    /// Lines for all its recordings.
    pub lines: i64,
}

/// A person's changes to a source; `None` leaves a value as it is.
#[derive(Clone, Debug, Default)]
pub struct SourceChange {
    /// For people.
    pub name: Option<String>,
    /// `Some(None)`: as calibrated or configured.
    pub min_score: Option<Option<f64>>,
    /// `Some(None)`: unknown.
    pub animals: Option<Option<i64>>,
    /// `Some(None)`: chosen from the size of the animals.
    pub input_width_px: Option<Option<i64>>,
}

/// The input width that fits a source's animals, and what it was chosen from.
#[derive(Clone, Debug, PartialEq)]
pub struct InputMeasurement {
    /// px.
    pub input_width_px: i64,
    /// Median side (root of the area) of the animals, px of the detector's usual input.
    pub animal_px: f64,
    /// Of an inference at this width.
    pub inference_secs: f64,
    /// BLAKE3 of the model.
    pub model_hash: String,
}

const SELECT: &str = "select id, kind, name, folder, min_score, created_at, animals, \
     input_width_px, measured_input_width_px, measured_animal_px, measured_inference_secs, measured_with, \
     (select count(*) from videos where videos.source_id = sources.id and not is_superseded \
      and exists (select 1 from presence where presence.video_id = videos.id)) as videos, \
     (select count(*) from lines where lines.source_id = sources.id and deleted_at is null) as lines from sources";

impl Store {
    /// At most `limit` sources that follow the source `after`, by name.
    pub async fn sources(&self, after: Option<&str>, limit: u32) -> Result<Vec<SourceRecord>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{SELECT} where $1 is null or (name, id) > (select name, id from sources where id = $1) \
             order by name, id limit $2"
        )))
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("listing sources", error))
    }

    /// One source.
    pub async fn source(&self, id: &str) -> Result<SourceRecord> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} where id = $1")))
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| Error::from_sql("reading a source", error))?
            .ok_or_else(|| Error::NotFound { kind: "source", id: id.to_owned() })
    }

    /// Keeps what was measured of a source's animals.
    pub async fn keep_input_measurement(&self, id: &str, found: &InputMeasurement) -> Result<()> {
        sqlx::query(
            "update sources set measured_input_width_px = $2, measured_animal_px = $3, measured_inference_secs = $4, \
             measured_with = $5 where id = $1",
        )
        .bind(id)
        .bind(found.input_width_px)
        .bind(found.animal_px)
        .bind(found.inference_secs)
        .bind(&found.model_hash)
        .execute(&self.pool)
        .await
        .map_err(|error| Error::from_sql("keeping the size of animals", error))?;
        Ok(())
    }

    /// Renames a source or sets its threshold, its number of animals or its input width.
    pub async fn change_source(&self, id: &str, change: &SourceChange) -> Result<SourceRecord> {
        sqlx::query(
            "update sources set name = coalesce($2, name), min_score = case when $3 then $4 else min_score end, \
             animals = case when $5 then $6 else animals end, \
             input_width_px = case when $7 then $8 else input_width_px end where id = $1",
        )
        .bind(id)
        .bind(&change.name)
        .bind(change.min_score.is_some())
        .bind(change.min_score.flatten())
        .bind(change.animals.is_some())
        .bind(change.animals.flatten())
        .bind(change.input_width_px.is_some())
        .bind(change.input_width_px.flatten())
        .execute(&self.pool)
        .await
        .map_err(|error| Error::from_sql("changing a source", error))?;
        self.source(id).await
    }

    /// Moves a recording to another source. From now on that source's lines and settings hold for it; its own lines stay its
    /// own. What was counted of the lines of the source before is kept and no longer shown.
    pub async fn move_video(&self, video_id: &str, source_id: &str) -> Result<()> {
        self.source(source_id).await?;
        let moved = sqlx::query("update videos set source_id = $2 where id = $1")
            .bind(video_id)
            .bind(source_id)
            .execute(&self.pool)
            .await
            .map_err(|error| Error::from_sql("moving a video", error))?;
        if moved.rows_affected() == 0 {
            return Err(Error::NotFound { kind: "video", id: video_id.to_owned() });
        }
        Ok(())
    }
}

/// The identifier of the source of a file that is being registered. A file that takes the place of another one belongs where
/// that one belonged.
pub(crate) async fn of_new_video(
    transaction: &mut Transaction,
    path: &str,
    name: &str,
    source: &NewSource,
) -> Result<String> {
    let failed = |error| Error::from_sql("registering a source", error);
    let before: Option<String> = sqlx::query_scalar(
        "select source_id from videos where path = $1 and source_id is not null order by number desc limit 1",
    )
    .bind(path)
    .fetch_optional(&mut **transaction)
    .await
    .map_err(failed)?;
    if let Some(before) = before {
        return Ok(before);
    }
    let (kind, name, folder) = match source {
        NewSource::Folder { folder, name } => (SourceKind::Folder, name.as_str(), Some(folder)),
        NewSource::Upload => (SourceKind::Upload, name, None),
        NewSource::Camera { source_id } => {
            let camera = sqlx::query_scalar("select id from sources where id = $1 and kind = 'camera'");
            let camera = camera.bind(source_id).fetch_optional(&mut **transaction).await.map_err(failed)?;
            match camera {
                Some(camera) => return Ok(camera),
                None => (SourceKind::Upload, name, None),
            }
        }
    };
    let id = new_id();
    sqlx::query(
        "insert into sources (id, kind, name, folder, created_at) values ($1, $2, $3, $4, $5) on conflict do nothing",
    )
    .bind(&id)
    .bind(kind)
    .bind(name)
    .bind(folder)
    .bind(unix_secs())
    .execute(&mut **transaction)
    .await
    .map_err(failed)?;
    let Some(folder) = folder else { return Ok(id) };
    sqlx::query_scalar("select id from sources where folder = $1")
        .bind(folder)
        .fetch_one(&mut **transaction)
        .await
        .map_err(failed)
}

/// Before there were sources, uploads lay in one folder of videos. The upgrade cannot know which folder that is; here it is
/// known, and each upload becomes a source of its own.
pub(crate) async fn give_uploads_their_own(store: &Store) -> Result<()> {
    let failed = |error| Error::from_sql("upgrading uploads", error);
    let uploads = store.folder.join("uploads");
    let uploads = uploads.canonicalize().unwrap_or(uploads).to_string_lossy().into_owned();
    let shared: Option<String> = sqlx::query_scalar("select id from sources where folder = $1")
        .bind(&uploads)
        .fetch_optional(&store.pool)
        .await
        .map_err(failed)?;
    let Some(shared) = shared else { return Ok(()) };
    let mut transaction = store.begin_write("upgrading uploads").await?;
    // The first of them has given the source its identifier: it keeps it.
    for sql in [
        "insert into sources (id, kind, name, created_at) select id, 'upload', name, added_at from videos \
         where source_id = $1 and id <> $1",
        "update videos set source_id = id where source_id = $1",
        "update sources set kind = 'upload', folder = null, \
         name = coalesce((select name from videos where videos.id = $1), name) where id = $1",
    ] {
        sqlx::query(sql).bind(&shared).execute(&mut *transaction).await.map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)
}
