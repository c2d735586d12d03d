//! Reading stored detections back.

use crate::Store;
use crate::columns;
use crate::error::{Error, Result};
use pigweight_core::interpolate::SettledFrame;
use sqlx::Row as _;

impl Store {
    /// Settled frames from `from_secs` up to and including `to_secs`, in order, and whether these are all: `limit` bounds how many
    /// chunks are read at once.
    pub async fn detections(
        &self,
        run_id: &str,
        from_secs: f64,
        to_secs: f64,
        limit: u32,
    ) -> Result<(Vec<SettledFrame>, bool)> {
        let failed = |error| Error::from_sql("reading detections", error);
        let rows = sqlx::query(
            "select data from detection_chunks where run_id = $1 and last_secs >= $2 and first_secs <= $3 \
             order by sequence limit $4",
        )
        .bind(run_id)
        .bind(from_secs)
        .bind(to_secs)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        let are_all = rows.len() < limit as usize;
        let mut frames = Vec::new();
        for row in rows {
            let data: &[u8] = row.try_get(0).map_err(failed)?;
            let chunk = columns::decode(data).ok_or(Error::Damaged { what: "detections" })?;
            frames.extend(chunk.into_iter().filter(|frame| frame.secs >= from_secs && frame.secs <= to_secs));
        }
        Ok((frames, are_all))
    }

    /// The settled frame that is on the screen at `secs`: the last one not after it.
    pub async fn settled_at(&self, run_id: &str, secs: f64) -> Result<Option<SettledFrame>> {
        let failed = |error| Error::from_sql("reading detections", error);
        let row = sqlx::query(
            "select data from detection_chunks where run_id = $1 and first_secs <= $2 order by sequence desc limit 1",
        )
        .bind(run_id)
        .bind(secs)
        .fetch_optional(&self.pool)
        .await
        .map_err(failed)?;
        let Some(row) = row else { return Ok(None) };
        let chunk =
            columns::decode(row.try_get(0).map_err(failed)?).ok_or(Error::Damaged { what: "detections" })?;
        Ok(chunk.into_iter().rev().find(|frame| frame.secs <= secs))
    }

    /// One chunk by its number; `None` if the run hasn't reached it.
    pub async fn chunk(&self, run_id: &str, sequence: i64) -> Result<Option<Vec<SettledFrame>>> {
        let failed = |error| Error::from_sql("reading detections", error);
        let row = sqlx::query("select data from detection_chunks where run_id = $1 and sequence = $2")
            .bind(run_id)
            .bind(sequence)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed)?;
        row.map(|row| {
            columns::decode(row.try_get(0).map_err(failed)?).ok_or(Error::Damaged { what: "detections" })
        })
        .transpose()
    }
}
