//! The tracker's constants. `docs/design/0002-tracking.md` says where each comes from and what was tried instead.

use serde::{Deserialize, Serialize};

/// What the tracker decides by. Times are in seconds, never in frames: what an animal does between two looks
/// depends on the time between them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackerSettings {
    /// Detections from this score on take part in every stage.
    pub high_score: f32,
    /// Detections from this score on may continue a track that was seen at the last look.
    pub low_score: f32,
    /// A detection that belongs to nobody starts a track from this score on.
    pub new_score: f32,
    /// How long a track that is not seen is waited for …
    pub lost_secs: f64,
    /// … and over how many looks, whichever takes longer: a detector that is unsure of an animal needs as many chances to see it again where
    /// one looks seldom.
    pub lost_inferences: u32,
    /// A track is believed after this many looks in a row (on the very first look, at once).
    pub confirm_hits: u32,
    /// Stage 1: the least overlap of a prediction and a detection: IoU × sureness, the score moved to the
    /// scale on which `high_score` is 0.6.
    pub match_overlap: f32,
    /// Stage 2, low scores: the least IoU.
    pub low_iou: f32,
    /// Recovery at the last place an animal was seen: the least IoU.
    pub recover_iou: f32,
    /// A track not confirmed yet: the least overlap (IoU × sureness).
    pub unconfirmed_overlap: f32,
    /// Two tracks, one seen and one lost, that overlap by more are one: the younger ends. IoU.
    pub duplicate_iou: f32,
    /// How much a detection that lies in the direction of the walk is preferred; cost per half turn.
    pub direction_weight: f32,
    /// The walk, within `direction_secs`, from which on its direction is fully believed; of shorter walks only in
    /// proportion, as the jitter of a standing animal has no direction. Parts of the body, the square root of the
    /// box's area.
    pub direction_bodies: f32,
    /// The direction of the walk is taken over at least this long.
    pub direction_secs: f64,
}

impl TrackerSettings {
    /// For detectors whose scores spread as YOLOX's do on MOT17: high from 0.6, low from 0.1, new from 0.7.
    pub fn mot() -> Self {
        Self {
            high_score: 0.6,
            low_score: 0.1,
            new_score: 0.7,
            lost_secs: 1.0,
            lost_inferences: 12,
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

    /// For a detector of which detections from `min_score` on are to be believed: low from a sixth of it, new
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

    /// A score on the scale on which `high_score` is 0.6. The overlaps above were found there; without this a
    /// detector that is sure at 0.3 could not reach them with any box.
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
    fn sureness_is_the_score_itself_for_mot_and_rises_from_0_to_1_for_all() {
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
