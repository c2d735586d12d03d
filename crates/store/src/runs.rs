//! Runs: one analysis of a video each. One of a video's runs is published.

use crate::clock::unix_secs;
use crate::error::{Error, Result};
use crate::shown::SHOWN;
use crate::{Store, Transaction, events, new_id};
use sqlx::{FromRow, Row as _};
use std::collections::BTreeMap;

/// State of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(rename_all = "snake_case")]
pub enum RunState {
    /// In progress, or will be at the next start.
    Running,
    /// Every frame that can be decoded is settled.
    Done,
    /// It stopped for good; what was settled before stays.
    Failed,
    /// Other settings apply now. It isn't continued or shown; if its settings come back, it continues at its checkpoint.
    Abandoned,
}

impl RunState {
    /// As in the table and the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
        }
    }
}

/// What identifies a run: equal values, same run.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// The video.
    pub video_id: String,
    /// The model file's name.
    pub model_name: String,
    /// BLAKE3 of the model file.
    pub model_hash: String,
    /// As measured. It does not belong to the identity.
    pub device: String,
    /// Everything that could change the result, one canonical line.
    pub settings: String,
    /// The part of the settings that decides which frames are inferred and how: see [`Store::run_to_track_again`].
    pub inference_settings: String,
    /// Detections from this score on are kept.
    pub least_score: f64,
    /// Of the counting rules.
    pub rule_version: u32,
}

/// A run.
#[derive(Clone, Debug, FromRow)]
pub struct RunRecord {
    /// ULID.
    pub id: String,
    /// The video.
    pub video_id: String,
    /// The model file's name.
    pub model_name: String,
    /// BLAKE3 of the model file.
    pub model_hash: String,
    /// As measured.
    pub device: String,
    /// Its state.
    pub state: RunState,
    /// Why it failed.
    pub error: Option<String>,
    /// Seconds since 1970.
    pub created_at: i64,
    /// Seconds since 1970.
    pub finished_at: Option<i64>,
    /// Settled and written.
    pub frames_done: i64,
    /// Of those, frames that the detector processed; the others are interpolated.
    pub frames_inferred: i64,
    /// Frames of which the decoder guessed parts.
    pub damaged_frames: i64,
    /// End of what is settled.
    pub counted_to_secs: f64,
    /// Animals summed over settled frames.
    pub count_sum: i64,
    /// Most animals on a settled frame.
    pub count_max: i64,
    /// Sequence number of the chunk to write next.
    pub next_chunk: i64,
    /// The squared uncertainties of the inferred frames' counts, summed; `None` if the detector doesn't say what its scores mean.
    pub uncertainty_squares: Option<f64>,
    /// Counted boxes on inferred frames, if it does.
    pub measured_boxes: i64,
    /// Of those, boxes smaller than the detector finds reliably.
    pub small_boxes: i64,
}

impl RunRecord {
    /// Animals on the picture, on average over settled frames.
    pub fn count_mean(&self) -> Option<f64> {
        (self.frames_done > 0).then(|| self.count_sum as f64 / self.frames_done as f64)
    }

    /// Nine of ten frames' true numbers lie within the count ± this many animals (root of the mean square over inferred frames).
    /// `None` if the detector doesn't say what its scores mean, or nothing was found.
    pub fn count_uncertainty(&self) -> Option<f64> {
        // Where nothing at all was found, there are no scores that could say how sure that is.
        let squares = self.uncertainty_squares.filter(|_| self.frames_inferred > 0 && self.count_sum > 0)?;
        Some((squares / self.frames_inferred as f64).max(0.0).sqrt())
    }

    /// The share of counted boxes that are smaller than the detector finds reliably.
    pub fn small_share(&self) -> Option<f64> {
        (self.measured_boxes > 0).then(|| self.small_boxes as f64 / self.measured_boxes as f64)
    }
}

const COLUMNS: &str = "id, video_id, model_name, model_hash, device, state, error, created_at, finished_at, frames_done, frames_inferred, \
     damaged_frames, counted_to_secs, count_sum, count_max, next_chunk, \
     uncertainty_squares, measured_boxes, small_boxes";

impl Store {
    /// The run that people see of a video: the published one. Before any is complete, the one in progress.
    pub async fn shown_run(&self, video_id: &str) -> Result<Option<RunRecord>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS} from runs where id = (select {SHOWN} from videos where id = $1)"
        )))
        .bind(video_id)
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| Error::from_sql("reading a run", error))
    }

    /// The runs that people see of all videos whose files are there, by the video's identifier.
    pub async fn shown_runs(&self) -> Result<BTreeMap<String, RunRecord>> {
        let runs: Vec<RunRecord> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS} from runs where id in (select {SHOWN} from videos \
             where exists (select 1 from presence where presence.video_id = videos.id))"
        )))
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("reading runs", error))?;
        Ok(runs.into_iter().map(|run| (run.video_id.clone(), run)).collect())
    }

    /// All runs of a video, the newest first.
    pub async fn runs(&self, video_id: &str) -> Result<Vec<RunRecord>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS} from runs where video_id = $1 order by number desc"
        )))
        .bind(video_id)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("reading runs", error))
    }

    /// One run.
    pub async fn run(&self, id: &str) -> Result<RunRecord> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!("select {COLUMNS} from runs where id = $1")))
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| Error::from_sql("reading a run", error))?
            .ok_or_else(|| Error::NotFound { kind: "run", id: id.to_owned() })
    }

    /// The pipeline's state after the run's last checkpoint; `None` before the first and after the end.
    pub async fn checkpoint(&self, run_id: &str) -> Result<Option<Vec<u8>>> {
        sqlx::query_scalar("select state from run_checkpoints where run_id = $1")
            .bind(run_id)
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| Error::from_sql("reading a checkpoint", error))
    }

    /// The run with this identity: a complete one, which is published; or one to continue, abandoned or not; or a new one. A
    /// failed run is not continued.
    pub async fn start_run(&self, run: &NewRun) -> Result<RunRecord> {
        let failed = |error| Error::from_sql("starting a run", error);
        let mut transaction = self.begin_write("starting a run").await?;
        let found: Option<(String, RunState)> = sqlx::query_as(
            "select id, state from runs where video_id = $1 and model_hash = $2 and settings = $3 and rule_version = $4 \
             and state <> 'failed' order by case state when 'done' then 0 else 1 end, number desc limit 1",
        )
        .bind(&run.video_id)
        .bind(&run.model_hash)
        .bind(&run.settings)
        .bind(i64::from(run.rule_version))
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed)?;
        let id = match found {
            Some((id, state)) => {
                if state == RunState::Done {
                    publish(&mut transaction, &run.video_id, &id).await?;
                } else {
                    sqlx::query("update runs set state = 'running' where id = $1 and state = 'abandoned'")
                        .bind(&id)
                        .execute(&mut *transaction)
                        .await
                        .map_err(failed)?;
                }
                id
            }
            None => {
                let id = new_id();
                sqlx::query(
                    "insert into runs (id, video_id, model_name, model_hash, device, settings, rule_version, state, created_at, \
                     inference_settings, least_score, number) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, \
                     (select coalesce(max(number), 0) + 1 from runs))",
                )
                .bind(&id)
                .bind(&run.video_id)
                .bind(&run.model_name)
                .bind(&run.model_hash)
                .bind(&run.device)
                .bind(&run.settings)
                .bind(i64::from(run.rule_version))
                .bind(RunState::Running)
                .bind(unix_secs())
                .bind(&run.inference_settings)
                .bind(run.least_score)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
                id
            }
        };
        transaction.commit().await.map_err(failed)?;
        self.run(&id).await
    }

    /// A complete run that inferred the frames that `run` would infer, and kept all detections that `run` wants. Of several the
    /// one that kept the least besides.
    pub async fn run_to_track_again(&self, run: &NewRun) -> Result<Option<RunRecord>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS} from runs where video_id = $1 and model_hash = $2 and inference_settings = $3 \
             and least_score <= $4 and state = 'done' order by least_score desc, number desc limit 1"
        )))
        .bind(&run.video_id)
        .bind(&run.model_hash)
        .bind(&run.inference_settings)
        .bind(run.least_score)
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| Error::from_sql("finding a run to track again", error))
    }

    /// Notes the devices that have inferred frames of a run so far.
    pub async fn set_device(&self, run_id: &str, device: &str) -> Result<()> {
        sqlx::query("update runs set device = $2 where id = $1")
            .bind(run_id)
            .bind(device)
            .execute(&self.pool)
            .await
            .map_err(|error| Error::from_sql("noting a run's device", error))?;
        Ok(())
    }

    /// Ends a run that cannot continue; what was settled stays.
    pub async fn fail_run(&self, run_id: &str, reason: &str) -> Result<()> {
        let failed = |error| Error::from_sql("ending a run", error);
        let mut transaction = self.begin_write("ending a run").await?;
        sqlx::query("update runs set state = 'failed', error = $2, finished_at = $3 where id = $1 and state = 'running'")
            .bind(run_id)
            .bind(reason)
            .bind(unix_secs())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        sqlx::query(
            "delete from run_checkpoints where run_id = $1 and exists (select 1 from runs where id = $1 and state = 'failed')",
        )
        .bind(run_id)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// Bytes and boxes of a run's stored detections.
    pub async fn stored_size(&self, run_id: &str) -> Result<(i64, i64)> {
        let failed = |error| Error::from_sql("measuring a run", error);
        let row = sqlx::query(
            "select coalesce(sum(length(data)), 0), coalesce(sum(boxes), 0) from detection_chunks where run_id = $1",
        )
        .bind(run_id)
        .fetch_one(&self.pool)
        .await
        .map_err(failed)?;
        Ok((row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?))
    }
}

/// People see this run of the video from now on. It is complete. `false` if they saw it already.
pub(crate) async fn publish(transaction: &mut Transaction, video_id: &str, run_id: &str) -> Result<bool> {
    let before: Option<(Option<String>, Option<String>)> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "select published_run_id, {SHOWN} from videos where id = $1"
    )))
    .bind(video_id)
    .fetch_optional(&mut **transaction)
    .await
    .map_err(|error| Error::from_sql("publishing a run", error))?;
    let published = sqlx::query(
        "update videos set published_run_id = $2 where id = $1 and coalesce(published_run_id, '') <> $2",
    )
    .bind(video_id)
    .bind(run_id)
    .execute(&mut **transaction)
    .await
    .map_err(|error| Error::from_sql("publishing a run", error))?;
    if published.rows_affected() == 0 {
        return Ok(false);
    }
    let (replaced, shown) = before.unwrap_or_default();
    let was_shown = shown.as_deref() == Some(run_id);
    events::tell_published(transaction, run_id, replaced.as_deref(), was_shown).await?;
    Ok(true)
}
