//! Crossings: what the tracks of a run did at the lines of its recording.
//!
//! They are a fold over the run's chunks. For each run and line version a row of `line_progress` keeps the counter's state
//! and the next chunk; crossings and that row are written in one transaction, so a crossing is neither lost nor doubled. A
//! checkpoint folds its own chunk; a line that is drawn or moved later is folded by [`Store::fold_lines`].

use crate::error::{Error, Result};
use crate::events::SettledCrossing;
use crate::lines::{self, VideoLine};
use crate::shown::CURRENT;
use crate::{Store, Transaction, columns, events, line_counter, new_id};
use pigweight_core::interpolate::SettledFrame;
use pigweight_core::line::{Crossing, Direction, LineCounter};
use sqlx::{FromRow, SqliteConnection};
use std::collections::BTreeMap;

/// Chunks that are folded before they are written: one sync of the disk for ten minutes of video.
const CHUNKS_AT_ONCE: i64 = 64;
/// Runs in one answer of [`Store::runs_behind_on_lines`].
const RUNS_AT_ONCE: i64 = 100;

/// [`Direction`] as it is stored.
#[derive(Clone, Copy, sqlx::Type)]
#[sqlx(rename_all = "snake_case")]
pub(crate) enum StoredDirection {
    Forward,
    Backward,
}

impl From<StoredDirection> for Direction {
    fn from(stored: StoredDirection) -> Self {
        match stored {
            StoredDirection::Forward => Self::Forward,
            StoredDirection::Backward => Self::Backward,
        }
    }
}

impl From<Direction> for StoredDirection {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Forward => Self::Forward,
            Direction::Backward => Self::Backward,
        }
    }
}

/// A crossing. Its identifier never changes.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct LineCrossing {
    /// ULID.
    pub id: String,
    /// The run whose track crossed.
    pub run_id: String,
    /// The line.
    pub line_id: String,
    /// The version of the line that was crossed, a ULID.
    pub line_version_id: String,
    /// That version's number, from 1.
    pub line_version_number: i64,
    /// Which way.
    #[sqlx(try_from = "StoredDirection")]
    pub direction: Direction,
    /// The animal's track in the run.
    #[sqlx(try_from = "i64")]
    pub track: u32,
    /// First frame beyond the line, ticks.
    pub pts: i64,
    /// The same in seconds since the first frame.
    pub secs: f64,
}

/// How far a line has been counted in a run.
#[derive(Clone, Debug, PartialEq)]
pub struct LineProgress {
    /// The version of the line, a ULID.
    pub line_version_id: String,
    /// Seconds up to which its crossings are known.
    pub counted_to_secs: f64,
    /// Everything settled has been counted.
    pub is_up_to_date: bool,
}

/// A line version on its way through the chunks.
struct Fold {
    line_version_id: String,
    /// As read; a writer that finds another value in the row has been overtaken.
    read_chunk: i64,
    next_chunk: i64,
    counter: LineCounter,
    crossings: Vec<Crossing>,
}

impl Fold {
    fn take(&mut self, frames: &[SettledFrame]) {
        for frame in frames {
            self.crossings.extend(self.counter.update(frame.pts, frame.secs, &frame.boxes));
        }
        self.next_chunk += 1;
    }
}

const COLUMNS: &str = "crossings.id, crossings.run_id, line_versions.line_id, crossings.line_version_id, \
     line_versions.number as line_version_number, crossings.direction, crossings.track, crossings.pts, crossings.secs";

impl Store {
    /// Counts the lines of the run's recording over all chunks that they have not been counted over yet. Safe to call at any
    /// time and from several places.
    pub async fn fold_lines(&self, run_id: &str) -> Result<()> {
        while self.fold_some_chunks(run_id).await? {}
        Ok(())
    }

    /// The same over ten minutes of video at the most. `false` if there was nothing to do.
    pub async fn fold_some_chunks(&self, run_id: &str) -> Result<bool> {
        let failed = |error| Error::from_sql("counting a line", error);
        let mut folds = {
            let mut connection = self.pool.acquire().await.map_err(failed)?;
            read_folds(&mut connection, run_id).await?
        };
        let Some(first) = folds.iter().map(|fold| fold.next_chunk).min() else { return Ok(false) };
        for chunk in first..first + CHUNKS_AT_ONCE {
            let Some(frames) = self.chunk(run_id, chunk).await? else { break };
            for fold in folds.iter_mut().filter(|fold| fold.next_chunk == chunk) {
                fold.take(&frames);
            }
        }
        folds.retain(|fold| fold.next_chunk > fold.read_chunk);
        if folds.is_empty() {
            return Ok(false);
        }
        let mut transaction = self.begin_write("counting a line").await?;
        let mut settled = Vec::new();
        for fold in &folds {
            // Another one may have counted the same chunks meanwhile: then what it wrote holds.
            settled.extend(write_fold(&mut transaction, run_id, fold).await?);
        }
        events::tell_crossings(&mut transaction, run_id, settled).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// Runs that people see or that are in progress, and that have chunks some line has not been counted over; those whose
    /// identifier follows `after`, at most a hundred. Runs of lines that do not apply to them are among them.
    pub async fn runs_behind_on_lines(&self, after: Option<&str>) -> Result<Vec<String>> {
        sqlx::query_scalar(
            "select distinct runs.id from runs join videos on videos.id = runs.video_id \
             join lines on lines.video_id = videos.id or lines.source_id = videos.source_id \
             join line_versions on line_versions.line_id = lines.id and line_versions.number = \
             (select max(newest.number) from line_versions as newest where newest.line_id = lines.id) \
             left join line_progress on line_progress.run_id = runs.id and line_progress.line_version_id = line_versions.id \
             where lines.deleted_at is null and not videos.is_superseded and runs.next_chunk > coalesce(line_progress.next_chunk, 0) \
             and (runs.id = videos.published_run_id or runs.state in ('running', 'failed')) \
             and ($1 is null or runs.id > $1) order by runs.id limit $2",
        )
        .bind(after)
        .bind(RUNS_AT_ONCE)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("finding lines to count", error))
    }

    /// The crossings of a run over the lines that hold for its recording, each in its current version, in order of time.
    pub async fn crossings(&self, run_id: &str) -> Result<Vec<LineCrossing>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS} from crossings {CURRENT} where crossings.run_id = $1 \
             order by crossings.pts, line_versions.line_id, crossings.number"
        )))
        .bind(run_id)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("reading crossings", error))
    }

    /// One crossing, of any line version.
    pub async fn crossing(&self, id: &str) -> Result<LineCrossing> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS} from crossings join line_versions on line_versions.id = crossings.line_version_id \
             where crossings.id = $1"
        )))
        .bind(id)
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| Error::from_sql("reading a crossing", error))?
        .ok_or_else(|| Error::NotFound { kind: "crossing", id: id.to_owned() })
    }

    /// The crossings of a run over one version of a line, in order of time.
    pub async fn crossings_of_version(
        &self,
        run_id: &str,
        line_version_id: &str,
    ) -> Result<Vec<LineCrossing>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS} from crossings join line_versions on line_versions.id = crossings.line_version_id \
             where crossings.run_id = $1 and crossings.line_version_id = $2 order by crossings.pts, crossings.number"
        )))
        .bind(run_id)
        .bind(line_version_id)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("reading crossings", error))
    }

    /// How often each line, in its current version, was crossed in a run: line, direction, number.
    pub async fn count_crossings(&self, run_id: &str) -> Result<Vec<(String, Direction, i64)>> {
        let counts: Vec<(String, StoredDirection, i64)> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select line_versions.line_id, crossings.direction, count(*) from crossings {CURRENT} where crossings.run_id = $1 \
             group by line_versions.line_id, crossings.direction"
        )))
        .bind(run_id)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("counting crossings", error))?;
        Ok(counts.into_iter().map(|(line, direction, count)| (line, direction.into(), count)).collect())
    }

    /// How often each line of a source, in its current version, was crossed in the published runs of its recordings.
    pub async fn count_crossings_of_source(&self, source_id: &str) -> Result<Vec<(String, Direction, i64)>> {
        let counts: Vec<(String, StoredDirection, i64)> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select line_versions.line_id, crossings.direction, count(*) from crossings {CURRENT} \
             where videos.source_id = $1 and crossings.run_id = videos.published_run_id and not videos.is_superseded \
             group by line_versions.line_id, crossings.direction"
        )))
        .bind(source_id)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("counting crossings", error))?;
        Ok(counts.into_iter().map(|(line, direction, count)| (line, direction.into(), count)).collect())
    }

    /// How far each line version has been counted in a run, by its identifier. A version that is missing has not been begun.
    pub async fn line_progress(&self, run_id: &str) -> Result<BTreeMap<String, LineProgress>> {
        let rows: Vec<(String, bool, f64)> = sqlx::query_as(
            "select line_progress.line_version_id, line_progress.next_chunk >= runs.next_chunk, \
             case when line_progress.next_chunk >= runs.next_chunk then runs.counted_to_secs \
             else coalesce(detection_chunks.last_secs, 0.0) end \
             from line_progress join runs on runs.id = line_progress.run_id \
             left join detection_chunks on detection_chunks.run_id = line_progress.run_id \
             and detection_chunks.sequence = line_progress.next_chunk - 1 where line_progress.run_id = $1",
        )
        .bind(run_id)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("reading how far lines are counted", error))?;
        Ok(rows
            .into_iter()
            .map(|(id, is_up_to_date, counted_to_secs)| {
                (id.clone(), LineProgress { line_version_id: id, counted_to_secs, is_up_to_date })
            })
            .collect())
    }
}

/// Counts the lines that are up to date over a chunk that this transaction has added. `true` if some line is behind.
pub(crate) async fn fold_new_chunk(
    transaction: &mut Transaction,
    run_id: &str,
    chunk: i64,
    data: &[u8],
) -> Result<bool> {
    let mut folds = read_folds(transaction, run_id).await?;
    if folds.is_empty() {
        return Ok(false);
    }
    // From the stored form, on whose grid interpolated boxes lie: a line drawn later is counted from that as well.
    let frames = columns::decode(data).ok_or(Error::Damaged { what: "detections" })?;
    let mut is_any_behind = false;
    let mut settled = Vec::new();
    for fold in &mut folds {
        if fold.next_chunk == chunk {
            fold.take(&frames);
            settled.extend(write_fold(transaction, run_id, fold).await?);
        } else {
            is_any_behind = true;
        }
    }
    events::tell_crossings(transaction, run_id, settled).await?;
    Ok(is_any_behind)
}

/// The lines that apply to the run's recording, each with the state of its counting.
async fn read_folds(connection: &mut SqliteConnection, run_id: &str) -> Result<Vec<Fold>> {
    let (video_id, rule_version): (String, u32) =
        sqlx::query_as("select video_id, rule_version from runs where id = $1")
            .bind(run_id)
            .fetch_optional(&mut *connection)
            .await
            .map_err(|error| Error::from_sql("counting a line", error))?
            .ok_or_else(|| Error::NotFound { kind: "run", id: run_id.to_owned() })?;
    let lines = lines::of_video(connection, &video_id).await?;
    let mut folds = Vec::new();
    for line in &lines {
        folds.extend(read_fold(connection, (run_id, rule_version), line).await?);
    }
    Ok(folds)
}

async fn read_fold(
    connection: &mut SqliteConnection,
    (run_id, rule_version): (&str, u32),
    line: &VideoLine,
) -> Result<Option<Fold>> {
    let Some(segment) = line.segment() else { return Ok(None) };
    let progress: Option<(i64, Vec<u8>)> = sqlx::query_as(
        "select next_chunk, counter from line_progress where run_id = $1 and line_version_id = $2",
    )
    .bind(run_id)
    .bind(&line.line.version_id)
    .fetch_optional(connection)
    .await
    .map_err(|error| Error::from_sql("counting a line", error))?;
    let (next_chunk, counter) = match progress {
        Some((next_chunk, counter)) => (next_chunk, line_counter::decode(&counter, rule_version)?),
        None => (0, LineCounter::by_rule(segment, rule_version)),
    };
    let line_version_id = line.line.version_id.clone();
    Ok(Some(Fold { line_version_id, read_chunk: next_chunk, next_chunk, counter, crossings: Vec::new() }))
}

/// Writes what a fold has found, unless another one has gone on with the same line meanwhile. Gives the crossings that it wrote.
async fn write_fold(
    transaction: &mut Transaction,
    run_id: &str,
    fold: &Fold,
) -> Result<Vec<SettledCrossing>> {
    let failed = |error| Error::from_sql("counting a line", error);
    let counter = line_counter::encode(&fold.counter)?;
    let written = if fold.read_chunk > 0 {
        sqlx::query(
            "update line_progress set next_chunk = $3, counter = $4 where run_id = $1 and line_version_id = $2 \
             and next_chunk = $5",
        )
    } else {
        sqlx::query(
            "insert into line_progress (run_id, line_version_id, next_chunk, counter) \
             select $1, $2, $3, $4 where $5 = 0 on conflict do nothing",
        )
    }
    .bind(run_id)
    .bind(&fold.line_version_id)
    .bind(fold.next_chunk)
    .bind(counter)
    .bind(fold.read_chunk)
    .execute(&mut **transaction)
    .await
    .map_err(failed)?;
    if written.rows_affected() == 0 {
        return Ok(Vec::new());
    }
    let first: i64 = sqlx::query_scalar(
        "select coalesce(max(number) + 1, 0) from crossings where run_id = $1 and line_version_id = $2",
    )
    .bind(run_id)
    .bind(&fold.line_version_id)
    .fetch_one(&mut **transaction)
    .await
    .map_err(failed)?;
    let mut settled = Vec::with_capacity(fold.crossings.len());
    for (number, crossing) in (first..).zip(&fold.crossings) {
        let id = new_id();
        sqlx::query(
            "insert into crossings (id, run_id, line_version_id, number, direction, track, pts, secs) \
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(&id)
        .bind(run_id)
        .bind(&fold.line_version_id)
        .bind(number)
        .bind(StoredDirection::from(crossing.direction))
        .bind(i64::from(crossing.track.0))
        .bind(crossing.pts.0)
        .bind(crossing.secs)
        .execute(&mut **transaction)
        .await
        .map_err(failed)?;
        settled.push(SettledCrossing { id, secs: crossing.secs });
    }
    Ok(settled)
}
