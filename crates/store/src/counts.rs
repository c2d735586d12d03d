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
    pub level_secs: f64,
    /// In order of time.
    pub points: Vec<CountPoint>,
}

/// Windows of this length are answered from the frames themselves, if stored levels would give less than half of the points.
const MOST_FINE_SECS: f64 = 600.0;
/// Levels that aren't stored.
const FINE_LEVELS_SECS: [f64; 4] = [0.05, 0.1, 0.2, 0.5];

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
        if length_secs <= MOST_FINE_SECS && length_secs * 2.0 <= points {
            let (frames, _) = self.detections(run_id, from_secs, to_secs, u32::MAX).await?;
            let frames: Vec<(f64, u32)> =
                frames.iter().map(|frame| (frame.secs, frame.boxes.len() as u32)).collect();
            let level_secs = if frames.len() as f64 <= points {
                0.0
            } else {
                let fits = |level: &f64| length_secs / level <= points;
                FINE_LEVELS_SECS.into_iter().find(fits).unwrap_or(1.0)
            };
            return Ok(CountWindow { level_secs, points: points_of(&frames, level_secs) });
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
        Ok(CountWindow { level_secs: f64::from(level_secs), points })
    }
}

/// Points of frames, each with its seconds and its count, in order of time.
fn points_of(frames: &[(f64, u32)], level_secs: f64) -> Vec<CountPoint> {
    let bucket = |secs: f64| if level_secs > 0.0 { (secs / level_secs).floor() } else { secs };
    let same = |one: &(f64, u32), other: &(f64, u32)| bucket(one.0) == bucket(other.0);
    let point = |frames: &[(f64, u32)]| {
        let counts = || frames.iter().map(|&(_, count)| count);
        let begins = bucket(frames[0].0);
        CountPoint {
            secs: if level_secs > 0.0 { begins * level_secs } else { begins },
            mean: counts().map(f64::from).sum::<f64>() / frames.len() as f64,
            min: counts().min().unwrap_or(0),
            max: counts().max().unwrap_or(0),
        }
    };
    frames.chunk_by(same).map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_a_bucket_make_one_point_and_others_their_own() {
        let frames = [(0.0, 2), (0.04, 4), (0.12, 1), (0.5, 0)];
        let of = |level| {
            points_of(&frames, level).iter().map(|p| (p.secs, p.mean, p.min, p.max)).collect::<Vec<_>>()
        };
        assert_eq!(of(0.0), [(0.0, 2.0, 2, 2), (0.04, 4.0, 4, 4), (0.12, 1.0, 1, 1), (0.5, 0.0, 0, 0)]);
        assert_eq!(of(0.1), [(0.0, 3.0, 2, 4), (0.1, 1.0, 1, 1), (0.5, 0.0, 0, 0)]);
        assert_eq!(points_of(&[], 0.1), []);
    }
}
