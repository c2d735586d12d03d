//! Runs and their checkpoints.

use crate::columns::{self, Timeline};
use crate::error::{Error, Result};
use crate::{Store, new_id, now_secs};
use pigweight_core::curve::CurveBuilder;
use pigweight_core::interpolate::SettledFrame;
use sqlx::{FromRow, Row as _};

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Work is going on, or will go on at the next start.
    Running,
    /// Every frame that can be decoded is settled.
    Done,
    /// It stopped for good; what was settled before stays.
    Failed,
}

impl RunState {
    /// As in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// What makes a run the run it is.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// The video.
    pub video_id: String,
    /// The model file's name.
    pub model_name: String,
    /// Of the model file.
    pub model_hash: String,
    /// As measured.
    pub device: String,
    /// Everything that could change the result, one canonical line.
    pub settings: String,
    /// The part of the settings that says what is looked at, and how: see [`Store::run_to_track_again`].
    pub looks: String,
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
    /// As measured.
    pub device: String,
    /// `running`, `done`, `failed`.
    pub state: String,
    /// Why it failed.
    pub error: Option<String>,
    /// Settled and written.
    pub frames_done: i64,
    /// Of those, seen by the detector.
    pub frames_looked: i64,
    /// Parts were guessed by the decoder.
    pub damaged_frames: i64,
    /// End of what is settled.
    pub counted_to_secs: f64,
    /// Over settled frames.
    pub count_sum: i64,
    /// Over settled frames.
    pub count_max: i64,
    /// Sequence of the chunk to write next.
    pub next_chunk: i64,
    /// The pipeline's state after the last chunk.
    pub checkpoint: Option<Vec<u8>>,
}

impl RunRecord {
    /// Animals on the picture, on average over settled frames.
    pub fn count_mean(&self) -> Option<f64> {
        (self.frames_done > 0).then(|| self.count_sum as f64 / self.frames_done as f64)
    }
}

/// What one step of a run adds.
pub struct Checkpoint<'a> {
    /// Newly settled frames, following those of the checkpoint before.
    pub frames: &'a [SettledFrame],
    /// How their pts become seconds.
    pub timeline: Timeline,
    /// Frames of these whose bytes were damaged.
    pub damaged_frames: u64,
    /// The pipeline's state after them.
    pub state: Vec<u8>,
    /// End of the last of them.
    pub counted_to_secs: f64,
    /// There is nothing after them.
    pub is_last: bool,
}

const COLUMNS: &str = "id, video_id, model_name, device, state, error, frames_done, frames_looked, damaged_frames, \
     counted_to_secs, count_sum, count_max, next_chunk, checkpoint";

impl Store {
    /// The newest run of a video, whatever its model.
    pub async fn latest_run(&self, video_id: &str) -> Result<Option<RunRecord>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS} from runs where video_id = $1 order by created_at desc, id desc limit 1"
        )))
        .bind(video_id)
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| Error::from_sql("reading a run", error))
    }

    /// All runs of a video, the newest first.
    pub async fn runs(&self, video_id: &str) -> Result<Vec<RunRecord>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS} from runs where video_id = $1 order by created_at desc, id desc"
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

    /// The run with the same video, model, settings and rules that has not failed, or a new one.
    pub async fn find_or_start_run(&self, run: &NewRun) -> Result<RunRecord> {
        let found: Option<RunRecord> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS} from runs where video_id = $1 and model_hash = $2 and settings = $3 \
             and rule_version = $4 and state <> 'failed' order by created_at desc, id desc limit 1"
        )))
        .bind(&run.video_id)
        .bind(&run.model_hash)
        .bind(&run.settings)
        .bind(i64::from(run.rule_version))
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| Error::from_sql("looking for a run", error))?;
        if let Some(found) = found {
            return Ok(found);
        }
        let id = new_id();
        sqlx::query(
            "insert into runs (id, video_id, model_name, model_hash, device, settings, rule_version, state, created_at, \
             looks, least_score) values ($1, $2, $3, $4, $5, $6, $7, 'running', $8, $9, $10)",
        )
        .bind(&id)
        .bind(&run.video_id)
        .bind(&run.model_name)
        .bind(&run.model_hash)
        .bind(&run.device)
        .bind(&run.settings)
        .bind(i64::from(run.rule_version))
        .bind(now_secs())
        .bind(&run.looks)
        .bind(run.least_score)
        .execute(&self.pool)
        .await
        .map_err(|error| Error::from_sql("starting a run", error))?;
        self.run(&id).await
    }

    /// A finished run of which the looks are those that `run` would make, and which kept all that it wants to see; the one that kept the
    /// least besides.
    pub async fn run_to_track_again(&self, run: &NewRun) -> Result<Option<RunRecord>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS} from runs where video_id = $1 and model_hash = $2 and looks = $3 and least_score <= $4 \
             and state = 'done' order by least_score desc, created_at desc, id desc limit 1"
        )))
        .bind(&run.video_id)
        .bind(&run.model_hash)
        .bind(&run.looks)
        .bind(run.least_score)
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| Error::from_sql("looking for a run to track again", error))
    }

    /// Writes a step of a run as a whole: frames, counts, progress and state, or nothing of it. `chunk` is the
    /// sequence that the writer takes to be next.
    ///
    /// # Errors
    /// [`Error::Overtaken`] when another writer has been there.
    pub async fn write_checkpoint(&self, run_id: &str, chunk: i64, step: &Checkpoint<'_>) -> Result<()> {
        let failed = |error| Error::from_sql("writing a checkpoint", error);
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        let mut next_chunk = chunk;
        if let (Some(first), Some(last)) = (step.frames.first(), step.frames.last()) {
            let boxes: usize =
                step.frames.iter().map(|frame| frame.boxes.len() + frame.unmatched.len()).sum();
            sqlx::query(
                "insert into detection_chunks (run_id, sequence, first_secs, last_secs, frames, boxes, data) \
                 values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
            )
            .bind(run_id)
            .bind(chunk)
            .bind(first.secs)
            .bind(last.secs)
            .bind(step.frames.len() as i64)
            .bind(boxes as i64)
            .bind(columns::encode(step.frames, step.timeline))
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
            next_chunk += 1;
        }
        let counts = step.frames.iter().map(|frame| frame.boxes.len() as i64);
        let state = if step.is_last { RunState::Done } else { RunState::Running };
        let updated = sqlx::query(
            "update runs set frames_done = frames_done + $3, frames_looked = frames_looked + $4, \
             damaged_frames = damaged_frames + $5, counted_to_secs = $6, count_sum = count_sum + $7, \
             count_max = max(count_max, $8), next_chunk = $9, checkpoint = $10, state = $11, finished_at = $12 \
             where id = $1 and next_chunk = $2 and state = 'running'",
        )
        .bind(run_id)
        .bind(chunk)
        .bind(step.frames.len() as i64)
        .bind(step.frames.iter().filter(|frame| frame.reason.is_some()).count() as i64)
        .bind(step.damaged_frames.cast_signed())
        .bind(step.counted_to_secs)
        .bind(counts.clone().sum::<i64>())
        .bind(counts.max().unwrap_or(0))
        .bind(next_chunk)
        .bind(&step.state)
        .bind(state.name())
        .bind(step.is_last.then(now_secs))
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        if updated.rows_affected() != 1 {
            return Err(Error::Overtaken);
        }
        let mut curve = CurveBuilder::new();
        let mut buckets = Vec::new();
        for frame in step.frames {
            buckets.extend(curve.push(frame.secs, frame.boxes.len() as u32));
        }
        buckets.extend(curve.finish());
        for bucket in buckets {
            sqlx::query(
                "insert into counts (run_id, level_secs, bucket, frames, sum, min, max) \
                 values ($1, $2, $3, $4, $5, $6, $7) on conflict (run_id, level_secs, bucket) do update set \
                 frames = counts.frames + excluded.frames, sum = counts.sum + excluded.sum, \
                 min = min(counts.min, excluded.min), max = max(counts.max, excluded.max)",
            )
            .bind(run_id)
            .bind(i64::from(bucket.level_secs))
            .bind(bucket.bucket)
            .bind(i64::from(bucket.frames))
            .bind(bucket.sum.cast_signed())
            .bind(i64::from(bucket.min))
            .bind(i64::from(bucket.max))
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// What has looked at the frames of a run so far.
    pub async fn set_device(&self, run_id: &str, device: &str) -> Result<()> {
        sqlx::query("update runs set device = $2 where id = $1")
            .bind(run_id)
            .bind(device)
            .execute(&self.pool)
            .await
            .map_err(|error| Error::from_sql("noting a run's device", error))?;
        Ok(())
    }

    /// Ends a run that cannot go on; what was settled stays.
    pub async fn fail_run(&self, run_id: &str, reason: &str) -> Result<()> {
        sqlx::query("update runs set state = 'failed', error = $2, finished_at = $3 where id = $1 and state = 'running'")
            .bind(run_id)
            .bind(reason)
            .bind(now_secs())
            .execute(&self.pool)
            .await
            .map_err(|error| Error::from_sql("ending a run", error))?;
        Ok(())
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
