//! Writing a run step by step.

use crate::clock::unix_secs;
use crate::columns::{self, Timeline};
use crate::error::{Error, Result};
use crate::runs::{self, RunState};
use crate::{Store, Transaction, crossings};
use pigweight_core::count::UncertaintyTotals;
use pigweight_core::curve::CurveBuilder;
use pigweight_core::interpolate::SettledFrame;

/// What one step of a run adds.
pub struct Checkpoint<'a> {
    /// Newly settled frames; they follow those of the checkpoint before.
    pub frames: &'a [SettledFrame],
    /// How their pts become seconds.
    pub timeline: Timeline,
    /// How many of these frames were damaged.
    pub damaged_frames: u64,
    /// How far their counts may be off, if the detector says what its scores mean.
    pub uncertainty: Option<UncertaintyTotals>,
    /// The pipeline's state after them.
    pub state: Vec<u8>,
    /// End of the last of them.
    pub counted_to_secs: f64,
    /// Nothing follows.
    pub is_last: bool,
}

impl Store {
    /// Writes a step of a run: frames, counts, crossings, progress and state, all or nothing. `chunk` is the sequence number
    /// that the writer takes to be next. The last step publishes the run.
    ///
    /// # Errors
    /// [`Error::Overtaken`] if another writer has been there or the run was abandoned.
    pub async fn write_checkpoint(&self, run_id: &str, chunk: i64, step: &Checkpoint<'_>) -> Result<()> {
        let failed = |error| Error::from_sql("writing a checkpoint", error);
        // Packed before the transaction: it takes milliseconds in which others could write.
        let data = (!step.frames.is_empty()).then(|| columns::encode(step.frames, step.timeline));
        let mut transaction = self.begin_write("writing a checkpoint").await?;
        let next_chunk = chunk + i64::from(data.is_some());
        let video_id = advance_run(&mut transaction, run_id, chunk, next_chunk, step).await?;
        if let Some(data) = &data {
            insert_chunk(&mut transaction, run_id, chunk, step, data).await?;
            add_counts(&mut transaction, run_id, step.frames).await?;
        }
        let is_any_behind = match &data {
            Some(data) => crossings::fold_new_chunk(&mut transaction, run_id, chunk, data).await?,
            None => false,
        };
        if step.is_last {
            sqlx::query("delete from run_checkpoints where run_id = $1")
                .bind(run_id)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
            runs::publish(&mut transaction, &video_id, run_id).await?;
        } else {
            sqlx::query(
                "insert into run_checkpoints (run_id, state) values ($1, $2) on conflict (run_id) do update set state = excluded.state",
            )
            .bind(run_id)
            .bind(&step.state)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        if is_any_behind {
            // A line was being counted over earlier chunks meanwhile. If this fails, it is done at the next checkpoint or
            // start: the step itself is written.
            let _later = self.fold_lines(run_id).await;
        }
        Ok(())
    }
}

/// The run's totals. Gives its video.
async fn advance_run(
    transaction: &mut Transaction,
    run_id: &str,
    chunk: i64,
    next_chunk: i64,
    step: &Checkpoint<'_>,
) -> Result<String> {
    let counts = step.frames.iter().map(|frame| frame.boxes.len() as i64);
    let totals = step.uncertainty.unwrap_or_default();
    let state = if step.is_last { RunState::Done } else { RunState::Running };
    let video_id: Option<String> = sqlx::query_scalar(
        "update runs set frames_done = frames_done + $3, frames_inferred = frames_inferred + $4, \
         damaged_frames = damaged_frames + $5, counted_to_secs = $6, count_sum = count_sum + $7, \
         count_max = case when count_max < $8 then $8 else count_max end, next_chunk = $9, state = $10, finished_at = $11, \
         uncertainty_squares = coalesce(uncertainty_squares + $12, $12), measured_boxes = measured_boxes + $13, \
         small_boxes = small_boxes + $14 \
         where id = $1 and next_chunk = $2 and state = 'running' returning video_id",
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
    .bind(state)
    .bind(step.is_last.then(unix_secs))
    .bind(step.uncertainty.map(|totals| totals.squares))
    .bind(totals.boxes.cast_signed())
    .bind(totals.small_boxes.cast_signed())
    .fetch_optional(&mut **transaction)
    .await
    .map_err(|error| Error::from_sql("writing a checkpoint", error))?;
    video_id.ok_or(Error::Overtaken)
}

async fn insert_chunk(
    transaction: &mut Transaction,
    run_id: &str,
    chunk: i64,
    step: &Checkpoint<'_>,
    data: &[u8],
) -> Result<()> {
    let boxes: usize = step.frames.iter().map(|frame| frame.boxes.len() + frame.unmatched.len()).sum();
    let secs = |frame: Option<&SettledFrame>| frame.map_or(0.0, |frame| frame.secs);
    sqlx::query(
        "insert into detection_chunks (run_id, sequence, first_secs, last_secs, frames, boxes, data) \
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(run_id)
    .bind(chunk)
    .bind(secs(step.frames.first()))
    .bind(secs(step.frames.last()))
    .bind(step.frames.len() as i64)
    .bind(boxes as i64)
    .bind(data)
    .execute(&mut **transaction)
    .await
    .map_err(|error| Error::from_sql("writing a checkpoint", error))?;
    Ok(())
}

async fn add_counts(transaction: &mut Transaction, run_id: &str, frames: &[SettledFrame]) -> Result<()> {
    let mut curve = CurveBuilder::new();
    let mut buckets = Vec::new();
    for frame in frames {
        buckets.extend(curve.push(frame.secs, frame.boxes.len() as u32));
    }
    buckets.extend(curve.finish());
    for bucket in buckets {
        sqlx::query(
            "insert into counts (run_id, level_secs, bucket, frames, sum, min, max) \
             values ($1, $2, $3, $4, $5, $6, $7) on conflict (run_id, level_secs, bucket) do update set \
             frames = counts.frames + excluded.frames, sum = counts.sum + excluded.sum, \
             min = case when excluded.min < counts.min then excluded.min else counts.min end, \
             max = case when excluded.max > counts.max then excluded.max else counts.max end",
        )
        .bind(run_id)
        .bind(i64::from(bucket.level_secs))
        .bind(bucket.bucket)
        .bind(i64::from(bucket.frames))
        .bind(bucket.sum.cast_signed())
        .bind(i64::from(bucket.min))
        .bind(i64::from(bucket.max))
        .execute(&mut **transaction)
        .await
        .map_err(|error| Error::from_sql("writing a checkpoint", error))?;
    }
    Ok(())
}
