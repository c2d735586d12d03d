//! The tracker's constants. `docs/design/0002-tracking.md` lists their sources and the alternatives tried.

use serde::{Deserialize, Serialize};

/// The tracker's settings. Times are in seconds, never in frames, because what an animal does between two inferences
/// depends on the time between them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackerSettings {
    /// Detections from this score on take part in every stage.
    pub high_score: f32,
    /// Detections from this score on may continue a track that was seen at the last inference.
    pub low_score: f32,
    /// An unmatched detection starts a track from this score on; on the first inference from `high_score` on, because no animal can
    /// have walked in before it.
    pub new_score: f32,
    /// How long a lost track is kept …
    pub lost_secs: f64,
    /// … and over how many inferences, whichever takes longer: if inferences are rare, an unsure detector needs as many chances
    /// to find an animal again.
    pub lost_inferences: u32,
    /// Tracks that start within this time of the first inference, or of a gap, are followed back to it through detections with low
    /// scores (settled tracks only: these frames wait that much longer).
    pub lookback_secs: f64,
    /// A track is confirmed after this many inferences in a row (on the first inference, at once).
    pub confirm_hits: u32,
    /// Stage 1: the least overlap of a prediction and a detection: IoU × confidence, which is the score rescaled so that
    /// `high_score` is 0.6.
    pub match_overlap: f32,
    /// Stage 2, low scores: the least IoU.
    pub low_iou: f32,
    /// Recovery at the last observed position: the least IoU.
    pub recover_iou: f32,
    /// Unconfirmed tracks: the least overlap (IoU × confidence).
    pub unconfirmed_overlap: f32,
    /// If a seen and a lost track overlap by more, they are one: the younger ends. IoU.
    pub duplicate_iou: f32,
    /// How much a detection in the direction of motion is preferred; cost per half turn.
    pub direction_weight: f32,
    /// The length of the motion within `direction_secs` from which its direction has full weight. Shorter motions have less weight in
    /// proportion, because the jitter of a standing animal has no direction. Parts of the square root of the
    /// box's area.
    pub direction_bodies: f32,
    /// The direction of motion is measured over at least this long.
    pub direction_secs: f64,
}

impl TrackerSettings {
    /// For detectors with score distributions like YOLOX's on MOT17: high from 0.6, low from 0.1, new from 0.7.
    pub fn mot() -> Self {
        Self {
            high_score: 0.6,
            low_score: 0.1,
            new_score: 0.7,
            lost_secs: 1.0,
            lost_inferences: 12,
            lookback_secs: 1.0,
            confirm_hits: 2,
            match_overlap: 0.1,
            low_iou: 0.5,
            recover_iou: 0.3,
            unconfirmed_overlap: 0.3,
            duplicate_iou: 0.85,
            direction_weight: 0.2,
            direction_bodies: 0.15,
            direction_secs: 0.1,
        }
    }

    /// For a detector whose detections count from `min_score` on: low from a sixth of it, new
    /// a quarter of the way up to 1. `for_min_score(0.6)` is [`Self::mot`].
    pub fn for_min_score(min_score: f32) -> Self {
        let high_score = if min_score.is_finite() { min_score.clamp(0.01, 0.99) } else { 0.6 };
        Self {
            high_score,
            low_score: high_score / 6.0,
            new_score: high_score + 0.25 * (1.0 - high_score),
            ..Self::mot()
        }
    }

    /// The score rescaled so that `high_score` is 0.6, the value the overlaps above were tuned for. Without this, a
    /// detector that is sure at 0.3 could never reach them.
    pub(crate) fn sureness(&self, score: f32) -> f32 {
        const REFERENCE_HIGH: f32 = 0.6;
        let high = self.high_score;
        let score = score.clamp(0.0, 1.0);
        if score < high {
            score * (REFERENCE_HIGH / high)
        } else {
            REFERENCE_HIGH + (score - high) * ((1.0 - REFERENCE_HIGH) / (1.0 - high).max(1e-3))
        }
    }
}

impl Default for TrackerSettings {
    fn default() -> Self {
        Self::mot()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minimum_of_0_6_is_mot() {
        let (mot, same) = (TrackerSettings::mot(), TrackerSettings::for_min_score(0.6));
        assert_eq!(same.high_score, mot.high_score);
        assert!((same.low_score - mot.low_score).abs() < 1e-6);
        assert!((same.new_score - mot.new_score).abs() < 1e-6);
    }

    #[test]
    fn confidence_is_the_score_for_mot_and_rises_from_0_to_1() {
        let mot = TrackerSettings::mot();
        for score in [0.0, 0.05, 0.3, 0.6, 0.8, 1.0] {
            assert!((mot.sureness(score) - score).abs() < 1e-6);
        }
        for min_score in [0.0, 0.05, 0.25, 0.5, 0.9, 1.0, f32::NAN] {
            let settings = TrackerSettings::for_min_score(min_score);
            assert_eq!(settings.sureness(0.0), 0.0);
            assert!((settings.sureness(settings.high_score) - 0.6).abs() < 1e-6);
            assert!((settings.sureness(1.0) - 1.0).abs() < 1e-6);
        }
    }
}
