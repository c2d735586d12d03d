//! Lines that people draw. A line belongs to a source and holds for all its recordings, or to one recording.
//!
//! A line keeps its identity while it is moved: each change of its place is a new version, and what earlier versions counted
//! stays. A new name is no new version. A deleted line is no longer shown or counted.

use crate::clock::unix_secs;
use crate::error::{Error, Result};
use crate::line_geometry::LineGeometry;
use crate::{Store, Transaction, new_id};
use pigweight_core::line::Line;
use sqlx::FromRow;

/// Lines of one source, and of one recording. Each is counted over every recording that it holds for.
pub const MOST_LINES: u32 = 64;

/// What a line applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineScope {
    /// All recordings of this source, older and newer.
    Source(String),
    /// This recording.
    Video(String),
}

/// A line to keep.
#[derive(Clone, Debug, PartialEq)]
pub struct NewLine {
    /// For people.
    pub name: String,
    /// What it applies to.
    pub scope: LineScope,
    /// Its position.
    pub geometry: LineGeometry,
}

/// A line in its current version.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct LineRecord {
    /// ULID.
    pub id: String,
    /// The source for whose recordings it holds,
    pub source_id: Option<String>,
    /// or the recording for which it holds.
    pub video_id: Option<String>,
    /// For people.
    pub name: String,
    /// Seconds since 1970.
    pub created_at: i64,
    /// The current version's identifier, a ULID.
    pub version_id: String,
    /// The current version's number, from 1.
    pub version_number: i64,
    /// The current version's place.
    #[sqlx(flatten)]
    pub geometry: LineGeometry,
}

impl LineRecord {
    /// What it applies to.
    pub fn scope(&self) -> LineScope {
        match (&self.source_id, &self.video_id) {
            (Some(id), _) => LineScope::Source(id.clone()),
            (None, id) => LineScope::Video(id.clone().unwrap_or_default()),
        }
    }
}

/// A version of a line.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct LineVersion {
    /// ULID.
    pub id: String,
    /// The line.
    pub line_id: String,
    /// From 1.
    pub number: i64,
    /// Seconds since 1970.
    pub created_at: i64,
    /// Its position.
    #[sqlx(flatten)]
    pub geometry: LineGeometry,
}

/// A line that holds for a recording.
#[derive(Clone, Debug)]
pub struct VideoLine {
    /// The line, as it was drawn.
    pub line: LineRecord,
    /// Its place on this recording's picture; `None` if that has another aspect than the picture it was drawn on, so that the
    /// line does not apply.
    pub on_video: Option<LineGeometry>,
}

impl VideoLine {
    /// The segment to count over; `None` if the line does not apply.
    pub fn segment(&self) -> Option<Line> {
        self.on_video.as_ref().and_then(|geometry| geometry.line().ok())
    }
}

/// The result of changing a line.
#[derive(Clone, Debug)]
pub struct LineChange {
    /// As it is now.
    pub line: LineRecord,
    /// The version before, if the line was moved.
    pub moved_from: Option<LineVersion>,
}

pub(crate) const SELECT: &str = "select lines.id, lines.source_id, lines.video_id, lines.name, lines.created_at, \
     line_versions.id as version_id, line_versions.number as version_number, x1_px, y1_px, x2_px, y2_px, picture_width_px, \
     picture_height_px from lines join line_versions on line_versions.line_id = lines.id and line_versions.number = \
     (select max(newest.number) from line_versions as newest where newest.line_id = lines.id)";
const VERSION_COLUMNS: &str =
    "id, line_id, number, created_at, x1_px, y1_px, x2_px, y2_px, picture_width_px, picture_height_px";

impl Store {
    /// Keeps a new line.
    ///
    /// # Errors
    /// [`Error::Line`] if its ends make no line, [`Error::NotFound`] if there is no such source or video, [`Error::TooManyLines`] if it
    /// has [`MOST_LINES`].
    pub async fn add_line(&self, line: &NewLine) -> Result<LineRecord> {
        line.geometry.line()?;
        let (source_id, video_id) = match &line.scope {
            LineScope::Source(id) => (Some(self.source(id).await?.id), None),
            LineScope::Video(id) => (None, Some(self.video(id).await?.id)),
        };
        let failed = |error| Error::from_sql("keeping a line", error);
        let id = new_id();
        let mut transaction = self.begin_write("keeping a line").await?;
        let drawn: i64 = sqlx::query_scalar(
            "select count(*) from lines where (source_id = $1 or video_id = $2) and deleted_at is null",
        )
        .bind(&source_id)
        .bind(&video_id)
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed)?;
        if drawn >= i64::from(MOST_LINES) {
            return Err(Error::TooManyLines { most: MOST_LINES });
        }
        sqlx::query(
            "insert into lines (id, source_id, video_id, name, created_at, number) \
             values ($1, $2, $3, $4, $5, (select coalesce(max(number), 0) + 1 from lines))",
        )
        .bind(&id)
        .bind(source_id)
        .bind(video_id)
        .bind(&line.name)
        .bind(unix_secs())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        insert_version(&mut transaction, &id, 1, &line.geometry).await?;
        transaction.commit().await.map_err(failed)?;
        self.line(&id).await
    }

    /// Renames or moves a line. `geometry` may be given on a picture of another size than the line was drawn on; if it is the
    /// same place, there is no new version.
    pub async fn change_line(&self, id: &str, name: &str, geometry: &LineGeometry) -> Result<LineChange> {
        geometry.line()?;
        let failed = |error| Error::from_sql("changing a line", error);
        let mut transaction = self.begin_write("changing a line").await?;
        let renamed = sqlx::query("update lines set name = $2 where id = $1 and deleted_at is null")
            .bind(id)
            .bind(name)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        if renamed.rows_affected() == 0 {
            return Err(Error::NotFound { kind: "line", id: id.to_owned() });
        }
        let before: LineVersion = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select {VERSION_COLUMNS} from line_versions where line_id = $1 order by number desc limit 1"
        )))
        .bind(id)
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed)?;
        let is_moved = !before.geometry.is_same_place(geometry);
        if is_moved {
            insert_version(&mut transaction, id, before.number + 1, geometry).await?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(LineChange { line: self.line(id).await?, moved_from: is_moved.then_some(before) })
    }

    /// Deletes a line: it is no longer shown or counted. Its earlier counts are kept.
    pub async fn remove_line(&self, id: &str) -> Result<()> {
        let removed = sqlx::query("update lines set deleted_at = $2 where id = $1 and deleted_at is null")
            .bind(id)
            .bind(unix_secs())
            .execute(&self.pool)
            .await
            .map_err(|error| Error::from_sql("deleting a line", error))?;
        if removed.rows_affected() == 0 {
            return Err(Error::NotFound { kind: "line", id: id.to_owned() });
        }
        Ok(())
    }

    /// One line that is not deleted.
    pub async fn line(&self, id: &str) -> Result<LineRecord> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{SELECT} where lines.id = $1 and lines.deleted_at is null"
        )))
        .bind(id)
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| Error::from_sql("reading a line", error))?
        .ok_or_else(|| Error::NotFound { kind: "line", id: id.to_owned() })
    }

    /// The versions of a line, deleted or not, the first first.
    pub async fn line_versions(&self, line_id: &str) -> Result<Vec<LineVersion>> {
        let versions: Vec<LineVersion> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select {VERSION_COLUMNS} from line_versions where line_id = $1 order by number"
        )))
        .bind(line_id)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("reading a line's versions", error))?;
        if versions.is_empty() {
            return Err(Error::NotFound { kind: "line", id: line_id.to_owned() });
        }
        Ok(versions)
    }

    /// The lines that hold for a recording, its source's and its own, in the order they were drawn.
    pub async fn lines_of_video(&self, video_id: &str) -> Result<Vec<VideoLine>> {
        let mut connection =
            self.pool.acquire().await.map_err(|error| Error::from_sql("reading lines", error))?;
        of_video(&mut connection, video_id).await
    }

    /// The lines that hold for all recordings of a source, in the order they were drawn.
    pub async fn lines_of_source(&self, source_id: &str) -> Result<Vec<LineRecord>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{SELECT} where lines.source_id = $1 and lines.deleted_at is null order by lines.number"
        )))
        .bind(source_id)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("reading lines", error))
    }
}

/// See [`Store::lines_of_video`].
pub(crate) async fn of_video(
    connection: &mut sqlx::SqliteConnection,
    video_id: &str,
) -> Result<Vec<VideoLine>> {
    let failed = |error| Error::from_sql("reading lines", error);
    let size: Option<(Option<i64>, Option<i64>)> =
        sqlx::query_as("select width_px, height_px from videos where id = $1")
            .bind(video_id)
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed)?;
    let (width_px, height_px) = size.unwrap_or_default();
    let lines: Vec<LineRecord> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{SELECT} where (lines.video_id = $1 or lines.source_id = (select source_id from videos where id = $1)) \
         and lines.deleted_at is null order by lines.number"
    )))
    .bind(video_id)
    .fetch_all(&mut *connection)
    .await
    .map_err(failed)?;
    let placed = lines
        .into_iter()
        .map(|line| VideoLine { on_video: line.geometry.scaled_to(width_px, height_px), line });
    Ok(placed.collect())
}

async fn insert_version(
    transaction: &mut Transaction,
    line_id: &str,
    number: i64,
    geometry: &LineGeometry,
) -> Result<()> {
    sqlx::query(
        "insert into line_versions (id, line_id, number, x1_px, y1_px, x2_px, y2_px, picture_width_px, picture_height_px, \
         created_at, camera_settled_secs) select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, \
         (select max(runs.counted_to_secs) from lines join cameras on cameras.source_id = lines.source_id \
         or cameras.video_id = lines.video_id join runs on runs.video_id = cameras.video_id where lines.id = $2)",
    )
    .bind(new_id())
    .bind(line_id)
    .bind(number)
    .bind(geometry.x1_px)
    .bind(geometry.y1_px)
    .bind(geometry.x2_px)
    .bind(geometry.y2_px)
    .bind(geometry.picture_width_px)
    .bind(geometry.picture_height_px)
    .bind(unix_secs())
    .execute(&mut **transaction)
    .await
    .map_err(|error| Error::from_sql("keeping a line's version", error))?;
    Ok(())
}
