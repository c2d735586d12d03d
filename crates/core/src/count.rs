//! The count of a frame and how far it may be off, from the scores that it was made of.
//!
//! A calibrated detector states the probability that a box with a given score is a separate animal, and how many animals get no box at
//! all (`training/pigtrain/calibrate.py` measures both on scenes outside training). From these follow the expected number of animals
//! on a frame and its variance, if boxes were independent. They are not: animals in the same corner are missed together. The
//! calibration therefore also states by which factor counts spread more.
//!
//! The uncertainty of a video's mean count is not smaller than that of its frames, because neighbouring frames share their error.

use crate::interpolate::SettledFrame;
use crate::track::Origin;
use serde::{Deserialize, Serialize};

/// Detectors are made so that counts are best at this threshold, and calibrated at it.
const USUAL_MIN_SCORE: f32 = 0.3;

/// What the scores of a detector mean. Stored in the model's file.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreCalibration {
    /// Log-odds of a box being a separate animal: `offset + slope * log-odds of its score`.
    pub offset: f64,
    /// See `offset`.
    pub slope: f64,
    /// Animals without any box, per animal with one.
    pub missed_share: f64,
    /// Nine of ten counts lie within this many standard deviations of the truth.
    pub spread: f64,
    /// Animals whose boxes have shorter sides (root of the area) in px of the detector's input are missed more often than found.
    pub reliable_side_px: f32,
}

/// The count of a frame and how far it may be off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CountEstimate {
    /// Animals counted: tracked boxes.
    pub count: u32,
    /// Animals to expect, from all scores.
    pub expected: f64,
    /// Nine of ten true numbers lie within the count ± this many animals.
    pub uncertainty: f64,
}

/// Sums over the inferred frames of a stretch of video.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct UncertaintyTotals {
    /// Squares of the frames' uncertainties, added up.
    pub squares: f64,
    /// Counted boxes.
    pub boxes: u64,
    /// Of those, boxes smaller than the detector finds reliably.
    pub small_boxes: u64,
}

impl ScoreCalibration {
    /// Whether the numbers make sense: finite, of a usual size, and higher scores mean more.
    pub fn is_valid(&self) -> bool {
        let Self { offset, slope, missed_share, spread, reliable_side_px } = *self;
        let in_range = |value: f64, most: f64| (0.0..=most).contains(&value);
        offset.abs() <= 20.0
            && slope > 0.0
            && slope <= 20.0
            && in_range(missed_share, 10.0)
            && in_range(spread, 10.0)
            && in_range(f64::from(reliable_side_px), 10_000.0)
    }

    /// The probability that a box with this score is a separate animal, where scores are lower than usual by `shift` in log-odds.
    fn probability(&self, score: f32, shift: f64) -> f64 {
        let log_odds = self.offset + self.slope * (log_odds(score) + shift);
        1.0 / (1.0 + (-log_odds).exp())
    }

    /// The estimate for an inferred frame. Boxes count as animals from `min_score` on; a tracked box with a lower score was seen before
    /// and after, and is taken to be as sure as one at `min_score`. A threshold other than the usual one says that the detector is less or more sure of
    /// the animals of this scene: scores are shifted so that it takes the usual one's place.
    pub fn estimate(&self, frame: &SettledFrame, min_score: f32) -> CountEstimate {
        let shift = log_odds(USUAL_MIN_SCORE) - log_odds(min_score);
        let probability = |score: f32| self.probability(score, shift);
        let tracked = frame.boxes.iter().map(|tracked| probability(tracked.score.max(min_score)));
        let unmatched = frame.unmatched.iter().map(|detection| probability(detection.score));
        let (mut found, mut variance) = (0.0, 0.0);
        for probability in tracked.chain(unmatched) {
            found += probability;
            variance += probability * (1.0 - probability);
        }
        let missed = self.missed_share * found;
        let (count, expected) = (frame.boxes.len() as u32, found + missed);
        // Missed animals are Poisson: their variance is their mean.
        let deviation = self.spread * (variance + missed).sqrt();
        CountEstimate { count, expected, uncertainty: deviation.hypot(expected - f64::from(count)) }
    }
}

fn log_odds(score: f32) -> f64 {
    let score = f64::from(score).clamp(1e-4, 1.0 - 1e-4);
    (score / (1.0 - score)).ln()
}

impl UncertaintyTotals {
    /// Adds a settled frame. Frames without an inference say nothing new. `input_scale`: px of the detector's input per px of the picture.
    pub fn add(
        &mut self,
        calibration: &ScoreCalibration,
        frame: &SettledFrame,
        min_score: f32,
        input_scale: f32,
    ) {
        if frame.reason.is_none() {
            return;
        }
        let estimate = calibration.estimate(frame, min_score);
        let measured = frame.boxes.iter().filter(|tracked| tracked.origin == Origin::Measured);
        let sides = measured.map(|tracked| tracked.rect.area().max(0.0).sqrt() * input_scale);
        // In steps of 1/1024, which doubles add exactly: the sum does not depend on where a run was interrupted.
        self.squares += (estimate.uncertainty.powi(2) * 1024.0).round() / 1024.0;
        for side_px in sides {
            self.boxes += 1;
            self.small_boxes += u64::from(side_px < calibration.reliable_side_px);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::Detection;
    use crate::geometry::Rect;
    use crate::inference_schedule::InferenceReason;
    use crate::time::Pts;
    use crate::track::{TrackId, TrackedBox};
    use proptest::prelude::*;

    const AS_STATED: ScoreCalibration =
        ScoreCalibration { offset: 0.0, slope: 1.0, missed_share: 0.0, spread: 1.0, reliable_side_px: 30.0 };

    fn frame(tracked: &[f32], unmatched: &[f32]) -> SettledFrame {
        let rect = Rect::new(0.0, 0.0, 20.0, 20.0);
        let boxes = tracked.iter().zip(1..).map(|(&score, number)| TrackedBox {
            track: TrackId(number),
            rect,
            score,
            class: 0,
            origin: Origin::Measured,
        });
        SettledFrame {
            pts: Pts(0),
            secs: 0.0,
            reason: Some(InferenceReason::First),
            boxes: boxes.collect(),
            unmatched: unmatched.iter().map(|&score| Detection { rect, score, class: 0 }).collect(),
        }
    }

    #[test]
    fn with_scores_that_are_probabilities_the_estimate_is_that_of_independent_boxes() {
        for (tracked, unmatched, expected, uncertainty) in [
            (&[][..], &[][..], 0.0, 0.0),
            (&[0.5, 0.5], &[], 1.0, (0.5_f64 + 1.0).sqrt()),
            (&[0.9], &[0.1], 1.0, 0.18_f64.sqrt()),
            // Seen again and again with a low score: as sure as the threshold.
            (&[0.05], &[], 0.3, (0.21_f64 + 0.49).sqrt()),
        ] {
            let found = AS_STATED.estimate(&frame(tracked, unmatched), 0.3);
            assert_eq!(found.count as usize, tracked.len());
            assert!((found.expected - expected).abs() < 1e-6, "{tracked:?} {unmatched:?}: {found:?}");
            assert!((found.uncertainty - uncertainty).abs() < 1e-6, "{tracked:?} {unmatched:?}: {found:?}");
        }
    }

    #[test]
    fn a_threshold_of_its_own_makes_a_dim_scene_as_certain_as_a_bright_one() {
        let bright = AS_STATED.estimate(&frame(&[0.3, 0.5, 0.8], &[0.1]), 0.3);
        // The same with all log-odds lower by those between 0.3 and 0.15.
        let dimmed = |score: f32| {
            let odds = (log_odds(score) - log_odds(0.3) + log_odds(0.15)).exp();
            (odds / (1.0 + odds)) as f32
        };
        let dim = AS_STATED.estimate(&frame(&[0.3, 0.5, 0.8].map(dimmed), &[dimmed(0.1)]), 0.15);
        assert!((dim.expected - bright.expected).abs() < 1e-3, "{dim:?} {bright:?}");
        assert!((dim.uncertainty - bright.uncertainty).abs() < 1e-3);
    }

    #[test]
    fn animals_without_a_box_are_expected_and_make_the_count_less_certain() {
        let calibration = ScoreCalibration { missed_share: 0.25, spread: 2.0, ..AS_STATED };
        let found = calibration.estimate(&frame(&[0.9999; 8], &[]), 0.3);
        assert!((found.expected - 10.0).abs() < 0.01);
        assert!((found.uncertainty - (4.0_f64 * 2.0 + 4.0).sqrt()).abs() < 0.01, "{found:?}");
    }

    #[test]
    fn only_inferred_frames_and_measured_boxes_are_added_up() {
        let mut totals = UncertaintyTotals::default();
        let mut interpolated = frame(&[0.9], &[]);
        interpolated.reason = None;
        totals.add(&AS_STATED, &interpolated, 0.3, 1.0);
        assert_eq!(totals, UncertaintyTotals::default());
        // 20 px sides: small at the picture's own scale, not at twice that.
        totals.add(&AS_STATED, &frame(&[0.9, 0.9], &[]), 0.3, 1.0);
        totals.add(&AS_STATED, &frame(&[0.9, 0.9], &[]), 0.3, 2.0);
        assert_eq!((totals.boxes, totals.small_boxes), (4, 2));
        assert!((totals.squares - 2.0 * (0.18 + 0.04)).abs() < 2e-3, "{totals:?}");
    }

    #[test]
    fn impossible_calibrations_are_not_valid() {
        assert!(AS_STATED.is_valid());
        for bad in [
            ScoreCalibration { offset: f64::NAN, ..AS_STATED },
            ScoreCalibration { slope: -1.0, ..AS_STATED },
            ScoreCalibration { slope: f64::INFINITY, ..AS_STATED },
            ScoreCalibration { missed_share: -0.1, ..AS_STATED },
            ScoreCalibration { spread: 1e9, ..AS_STATED },
            ScoreCalibration { reliable_side_px: f32::NAN, ..AS_STATED },
        ] {
            assert!(!bad.is_valid(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn every_score_gives_a_probability_that_rises_with_it(one in prop::num::f32::ANY, other in 0.0_f32..1.0) {
            let probability = |score: f32| AS_STATED.probability(if score.is_nan() { 0.0 } else { score }, 0.0);
            prop_assert!((0.0..=1.0).contains(&probability(one)));
            prop_assert!(one.is_nan() || one < other || probability(one) >= probability(other));
        }
    }
}
