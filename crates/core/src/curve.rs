//! Counts over time, small enough to draw a day: buckets of 1, 10 and 100 s, and the steps of crossings.
//!
//! Guarantee: buckets of a run that was split in two, merged by key, equal those of the whole run; only the crossings
//! themselves grow with the number of frames. A bucket without frames doesn't exist: "not inferred"
//! and "no pigs" stay two answers.

use crate::line::Direction;
use serde::{Deserialize, Serialize};

/// Lengths of buckets. A curve is drawn from the level with about as many buckets as the page has px.
pub const LEVELS_SECS: [u32; 3] = [1, 10, 100];

/// The counts of the frames within one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountBucket {
    /// Its length, one of [`LEVELS_SECS`].
    pub level_secs: u32,
    /// Its number: `floor(secs / level_secs)`.
    pub bucket: i64,
    /// How many frames were counted in it, at least one.
    pub frames: u32,
    /// The sum of their counts.
    pub sum: u64,
    /// The least count.
    pub min: u32,
    /// The greatest count.
    pub max: u32,
}

impl CountBucket {
    /// The mean count.
    pub fn mean(&self) -> f64 {
        self.sum as f64 / f64::from(self.frames.max(1))
    }

    /// Its start, seconds.
    pub fn start_secs(&self) -> f64 {
        self.bucket as f64 * f64::from(self.level_secs)
    }

    /// Merges two parts of a bucket that a split of the run went through; `None` if they aren't the same bucket.
    pub fn merge(self, other: Self) -> Option<Self> {
        (self.level_secs == other.level_secs && self.bucket == other.bucket).then(|| Self {
            frames: self.frames.saturating_add(other.frames),
            sum: self.sum.saturating_add(other.sum),
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            ..self
        })
    }

    fn of_frame(level_secs: u32, secs: f64, count: u32) -> Self {
        let bucket = (secs / f64::from(level_secs)).floor() as i64;
        Self { level_secs, bucket, frames: 1, sum: u64::from(count), min: count, max: count }
    }
}

/// Makes buckets from counts in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CurveBuilder {
    open: [Option<CountBucket>; LEVELS_SECS.len()],
}

impl CurveBuilder {
    /// Without counts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the count of the frame at `secs` and returns the buckets that this completes, fine to coarse.
    ///
    /// If time runs backwards, a bucket may be returned twice: the caller [merges](CountBucket::merge) by key. Times that
    /// aren't finite are ignored.
    pub fn push(&mut self, secs: f64, count: u32) -> Vec<CountBucket> {
        let mut completed = Vec::new();
        if secs.is_finite() {
            for (open, level_secs) in self.open.iter_mut().zip(LEVELS_SECS) {
                let frame = CountBucket::of_frame(level_secs, secs, count);
                match open.and_then(|bucket| bucket.merge(frame)) {
                    Some(grown) => *open = Some(grown),
                    None => completed.extend(open.replace(frame)),
                }
            }
        }
        completed
    }

    /// No more counts: returns the open buckets, fine to coarse.
    pub fn finish(&mut self) -> Vec<CountBucket> {
        self.open.iter_mut().filter_map(Option::take).collect()
    }
}

/// Crossings up to a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crossed {
    /// Crossings in the arrow's direction ([`Direction::Forward`]).
    pub forward: u64,
    /// Crossings against it.
    pub backward: u64,
}

impl Crossed {
    /// Forward minus backward.
    pub fn net(self) -> i64 {
        self.forward.cast_signed().saturating_sub(self.backward.cast_signed())
    }
}

/// Crossings as steps over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepCurve {
    /// By time; each with the totals up to and including it.
    steps: Vec<(f64, Crossed)>,
}

impl StepCurve {
    /// From crossings in any order; those at a time that isn't finite are left out.
    pub fn new(crossings: impl IntoIterator<Item = (f64, Direction)>) -> Self {
        let mut crossings: Vec<_> = crossings.into_iter().filter(|(secs, _)| secs.is_finite()).collect();
        crossings.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut crossed = Crossed::default();
        let steps = crossings
            .into_iter()
            .map(|(secs, direction)| {
                match direction {
                    Direction::Forward => crossed.forward += 1,
                    Direction::Backward => crossed.backward += 1,
                }
                (secs, crossed)
            })
            .collect();
        Self { steps }
    }

    /// Totals up to and including `secs`.
    pub fn at(&self, secs: f64) -> Crossed {
        let passed = self.steps.partition_point(|&(step_secs, _)| step_secs <= secs);
        passed
            .checked_sub(1)
            .and_then(|last| self.steps.get(last))
            .map_or(Crossed::default(), |&(_, crossed)| crossed)
    }

    /// Totals of all.
    pub fn total(&self) -> Crossed {
        self.steps.last().map_or(Crossed::default(), |&(_, crossed)| crossed)
    }
}

/// A run's totals, updated frame by frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountSummary {
    /// Frames counted.
    pub frames: u64,
    /// The sum of their counts.
    pub sum: u64,
    /// The greatest count: the most animals seen at once.
    pub max: u32,
}

impl CountSummary {
    /// Takes the count of one more frame.
    pub fn push(&mut self, count: u32) {
        self.frames += 1;
        self.sum += u64::from(count);
        self.max = self.max.max(count);
    }

    /// The mean count; `None` if nothing was counted, which isn't the same as no pigs.
    pub fn mean(&self) -> Option<f64> {
        (self.frames > 0).then(|| self.sum as f64 / self.frames as f64)
    }

    /// Merges two parts of a run.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self { frames: self.frames + other.frames, sum: self.sum + other.sum, max: self.max.max(other.max) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Curve = BTreeMap<(u32, i64), CountBucket>;

    fn curve(counts: &[(f64, u32)]) -> Curve {
        let mut builder = CurveBuilder::new();
        let mut kept = Curve::new();
        let mut buckets: Vec<_> =
            counts.iter().flat_map(|&(secs, count)| builder.push(secs, count)).collect();
        buckets.extend(builder.finish());
        for bucket in buckets {
            keep(&mut kept, bucket);
        }
        kept
    }

    fn keep(kept: &mut Curve, bucket: CountBucket) {
        let key = (bucket.level_secs, bucket.bucket);
        let merged = kept.get(&key).map_or(Some(bucket), |there| there.merge(bucket)).unwrap();
        kept.insert(key, merged);
    }

    #[test]
    fn buckets_hold_what_their_frames_counted() {
        let kept = curve(&[(0.0, 3), (0.5, 5), (1.0, 4), (25.0, 7), (f64::NAN, 99)]);
        assert_eq!(kept.len(), 3 + 2 + 1, "25 s make no empty buckets");
        let first = kept[&(1, 0)];
        assert_eq!((first.frames, first.sum, first.min, first.max, first.mean()), (2, 8, 3, 5, 4.0));
        assert_eq!(kept[&(100, 0)].frames, 4);
        assert_eq!(kept[&(10, 2)].start_secs(), 20.0);
    }

    #[test]
    fn times_before_zero_have_buckets_of_their_own() {
        assert_eq!(curve(&[(-0.5, 1)])[&(10, -1)].sum, 1);
    }

    #[test]
    fn different_buckets_are_not_merged() {
        let bucket = CountBucket::of_frame(1, 0.0, 1);
        assert_eq!(bucket.merge(CountBucket::of_frame(1, 1.0, 1)), None);
        assert_eq!(bucket.merge(CountBucket::of_frame(10, 0.0, 1)), None);
    }

    #[test]
    fn steps_include_their_moment() {
        let steps = StepCurve::new([
            (5.0, Direction::Backward),
            (2.0, Direction::Forward),
            (2.0, Direction::Forward),
            (f64::NAN, Direction::Forward),
        ]);
        assert_eq!(steps.at(1.999), Crossed::default());
        assert_eq!(steps.at(2.0), Crossed { forward: 2, backward: 0 });
        assert_eq!(steps.at(f64::INFINITY), steps.total());
        assert_eq!(steps.total().net(), 1);
        assert_eq!(StepCurve::default().total().net(), 0);
    }

    #[test]
    fn a_summary_of_nothing_has_no_mean() {
        let mut summary = CountSummary::default();
        assert_eq!(summary.mean(), None);
        summary.push(0);
        assert_eq!(summary.mean(), Some(0.0));
        summary.push(5);
        assert_eq!((summary.mean(), summary.max), (Some(2.5), 5));
    }

    proptest! {
        #[test]
        fn a_run_cut_in_two_gives_the_same_buckets(
            steps in prop::collection::vec((0.0_f64..3.0, 0_u32..40), 0..200), cut in 0_usize..200,
        ) {
            let mut secs = 0.0;
            let counts: Vec<_> = steps.iter().map(|&(step, count)| { secs += step; (secs, count) }).collect();
            let (before, after) = counts.split_at(cut.min(counts.len()));
            let mut joined = curve(before);
            for bucket in curve(after).into_values() {
                keep(&mut joined, bucket);
            }
            let whole = curve(&counts);
            prop_assert_eq!(&joined, &whole);
            for level in LEVELS_SECS {
                let of_level = whole.values().filter(|bucket| bucket.level_secs == level);
                let sum: u64 = of_level.map(|bucket| bucket.sum).sum();
                prop_assert_eq!(sum, counts.iter().map(|&(_, count)| u64::from(count)).sum::<u64>());
            }
        }
    }
}
