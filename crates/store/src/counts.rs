//! Counts over time, at the level of detail that was asked for.

use crate::Store;
use crate::error::{Error, Result};
use pigweight_core::curve::LEVELS_SECS;
use sqlx::Row as _;

/// One point of the curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CountPoint {
    /// Start of the stretch, or the frame's own moment.
    pub secs: f64,
    /// Animals on the picture.
    pub mean: f64,
    /// Animals on the picture.
    pub min: u32,
    /// Animals on the picture.
    pub max: u32,
}

/// A part of the curve.
#[derive(Clone, Debug, PartialEq)]
pub struct CountWindow {
    /// Length of a point's interval; 0 if each point is a frame.
    pub level_secs: u32,
    /// In order of time.
    pub points: Vec<CountPoint>,
}

/// Frames a second that a per-frame answer is planned for; a denser video is answered a level coarser.
const PLANNED_FRAMES_PER_SEC: f64 = 60.0;

impl Store {
    /// Counts from `from_secs` to `to_secs` in about `points` points at the most.
    pub async fn counts(
        &self,
        run_id: &str,
        from_secs: f64,
        to_secs: f64,
        points: u32,
    ) -> Result<CountWindow> {
        let length_secs = (to_secs - from_secs).max(0.0);
        let points = f64::from(points.max(1));
        if length_secs * PLANNED_FRAMES_PER_SEC <= points {
            let frames = self.detections(run_id, from_secs, to_secs, u32::MAX).await?;
            let points = frames
                .iter()
                .map(|frame| {
                    let count = frame.boxes.len() as u32;
                    CountPoint { secs: frame.secs, mean: f64::from(count), min: count, max: count }
                })
                .collect();
            return Ok(CountWindow { level_secs: 0, points });
        }
        let level_secs = LEVELS_SECS
            .into_iter()
            .find(|&level| length_secs / f64::from(level) <= points)
            .unwrap_or(LEVELS_SECS[LEVELS_SECS.len() - 1]);
        let failed = |error| Error::from_sql("reading counts", error);
        let rows = sqlx::query(
            "select bucket, frames, sum, min, max from counts where run_id = $1 and level_secs = $2 \
             and bucket >= $3 and bucket <= $4 order by bucket",
        )
        .bind(run_id)
        .bind(i64::from(level_secs))
        .bind((from_secs / f64::from(level_secs)).floor() as i64)
        .bind((to_secs / f64::from(level_secs)).floor() as i64)
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        let points = rows
            .into_iter()
            .map(|row| {
                let number = |column: usize| row.try_get::<i64, _>(column).map_err(failed);
                Ok(CountPoint {
                    secs: number(0)? as f64 * f64::from(level_secs),
                    mean: number(2)? as f64 / number(1)?.max(1) as f64,
                    min: u32::try_from(number(3)?).unwrap_or(0),
                    max: u32::try_from(number(4)?).unwrap_or(0),
                })
            })
            .collect::<Result<_>>()?;
        Ok(CountWindow { level_secs, points })
    }
}
