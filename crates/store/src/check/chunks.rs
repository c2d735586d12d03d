//! A run's stored frames against its totals and its counts.

use super::Finding;
use crate::error::{Error, Result};
use crate::runs::RunRecord;
use crate::{Store, columns};
use pigweight_core::curve::{CountBucket, CurveBuilder};
use pigweight_core::interpolate::SettledFrame;
use sqlx::FromRow;
use std::collections::BTreeMap;

/// What a run's row says, computed from its chunks.
#[derive(Default, PartialEq, Debug)]
struct Totals {
    frames: i64,
    inferred: i64,
    sum: i64,
    max: i64,
}

#[derive(FromRow)]
struct Chunk {
    first_secs: f64,
    last_secs: f64,
    frames: i64,
    boxes: i64,
    data: Vec<u8>,
}

/// Gives the number of frames that were read.
pub async fn check(store: &Store, run: &RunRecord, tell: &mut (dyn FnMut(Finding) + Send)) -> Result<u64> {
    let again = "delete the run's video from its folder and put it back under another name to count it again";
    let mut totals = Totals::default();
    let mut buckets: BTreeMap<(u32, i64), CountBucket> = BTreeMap::new();
    let mut last_secs = f64::NEG_INFINITY;
    for sequence in 0..run.next_chunk {
        let Some(chunk) = read(store, &run.id, sequence).await? else {
            tell(Finding::new(
                "chunk_missing",
                format!("run {}: chunk {sequence} is missing; {again}", run.id),
            ));
            return Ok(totals.frames.cast_unsigned());
        };
        let Some(frames) = columns::decode(&chunk.data) else {
            tell(Finding::new(
                "chunk_damaged",
                format!("run {}: chunk {sequence} cannot be read back; {again}", run.id),
            ));
            return Ok(totals.frames.cast_unsigned());
        };
        if let Some(wrong) = disagreement(&chunk, &frames, last_secs) {
            tell(Finding::new("chunk_wrong", format!("run {}: chunk {sequence}: {wrong}; {again}", run.id)));
        }
        last_secs = chunk.last_secs;
        let mut curve = CurveBuilder::new();
        for frame in &frames {
            let count = frame.boxes.len();
            totals.frames += 1;
            totals.inferred += i64::from(frame.reason.is_some());
            totals.sum += count as i64;
            totals.max = totals.max.max(count as i64);
            merge(&mut buckets, curve.push(frame.secs, count as u32));
        }
        merge(&mut buckets, curve.finish());
    }
    let stated = Totals {
        frames: run.frames_done,
        inferred: run.frames_inferred,
        sum: run.count_sum,
        max: run.count_max,
    };
    if stated != totals {
        tell(Finding::new(
            "run_totals_wrong",
            format!("run {}: its row says {stated:?}, its chunks {totals:?}; {again}", run.id),
        ));
    }
    let more: i64 =
        sqlx::query_scalar("select count(*) from detection_chunks where run_id = $1 and sequence >= $2")
            .bind(&run.id)
            .bind(run.next_chunk)
            .fetch_one(&store.pool)
            .await
            .map_err(|error| Error::from_sql("checking chunks", error))?;
    if more > 0 {
        tell(Finding::new(
            "chunk_left",
            format!("run {}: {more} chunks lie behind its end; {again}", run.id),
        ));
    }
    compare_counts(store, run, &buckets, tell).await?;
    Ok(totals.frames.cast_unsigned())
}

async fn read(store: &Store, run_id: &str, sequence: i64) -> Result<Option<Chunk>> {
    sqlx::query_as(
        "select first_secs, last_secs, frames, boxes, data from detection_chunks where run_id = $1 and sequence = $2",
    )
    .bind(run_id)
    .bind(sequence)
    .fetch_optional(&store.pool)
    .await
    .map_err(|error| Error::from_sql("checking chunks", error))
}

fn disagreement(chunk: &Chunk, frames: &[SettledFrame], after_secs: f64) -> Option<String> {
    let boxes: usize = frames.iter().map(|frame| frame.boxes.len() + frame.unmatched.len()).sum();
    let ends = frames.first().zip(frames.last()).map(|(first, last)| (first.secs, last.secs));
    let is_same = |one: f64, other: f64| (one - other).abs() < 1e-6;
    let stated = (chunk.first_secs, chunk.last_secs);
    if chunk.frames != frames.len() as i64 || chunk.boxes != boxes as i64 {
        Some(format!(
            "its row says {} frames and {} boxes, it holds {} and {boxes}",
            chunk.frames,
            chunk.boxes,
            frames.len()
        ))
    } else if !ends.is_some_and(|ends| is_same(ends.0, stated.0) && is_same(ends.1, stated.1)) {
        Some(format!("its row says {} to {} s, it holds {ends:?}", stated.0, stated.1))
    } else if chunk.first_secs < after_secs {
        Some(format!("it begins at {} s, before the end of the chunk before", chunk.first_secs))
    } else {
        None
    }
}

fn merge(buckets: &mut BTreeMap<(u32, i64), CountBucket>, new: Vec<CountBucket>) {
    for bucket in new {
        let key = (bucket.level_secs, bucket.bucket);
        let merged = buckets.get(&key).and_then(|known| known.merge(bucket)).unwrap_or(bucket);
        buckets.insert(key, merged);
    }
}

async fn compare_counts(
    store: &Store,
    run: &RunRecord,
    buckets: &BTreeMap<(u32, i64), CountBucket>,
    tell: &mut (dyn FnMut(Finding) + Send),
) -> Result<()> {
    let rows: Vec<(i64, i64, i64, i64, i64, i64)> =
        sqlx::query_as("select level_secs, bucket, frames, sum, min, max from counts where run_id = $1")
            .bind(&run.id)
            .fetch_all(&store.pool)
            .await
            .map_err(|error| Error::from_sql("checking counts", error))?;
    let computed = |bucket: &CountBucket| {
        (
            i64::from(bucket.level_secs),
            bucket.bucket,
            i64::from(bucket.frames),
            bucket.sum.cast_signed(),
            i64::from(bucket.min),
            i64::from(bucket.max),
        )
    };
    let is_right = |row: &&(i64, i64, i64, i64, i64, i64)| {
        let key = u32::try_from(row.0).ok().map(|level| (level, row.1));
        key.and_then(|key| buckets.get(&key)).is_some_and(|bucket| computed(bucket) == **row)
    };
    let right = rows.iter().filter(is_right).count();
    if right == rows.len() && right == buckets.len() {
        return Ok(());
    }
    let first = rows.iter().find(|row| !is_right(row));
    let place = first.map_or_else(
        || "one is missing".to_owned(),
        |(level, bucket, ..)| format!("the first at {} s, {level} s long", bucket * level),
    );
    tell(Finding::new(
        "counts_wrong",
        format!(
            "run {}: {} of {} stretches of its curve disagree with its frames, {place}; \
             restore the data folder from a backup, or count the video again",
            run.id,
            rows.len().max(buckets.len()) - right,
            buckets.len()
        ),
    ));
    Ok(())
}
