//! One step of the tracker, shared by the online and the settled tracker.
//!
//! An inference passes through stages from the strongest to the weakest evidence; what one stage matches is left out of the next
//! ones. Guarantees: after every inference each detection has at most one owner, and tracks unseen for
//! `lost_secs` and `lost_inferences` are dropped, so memory depends on the scene and never on the video's length.

use super::assign::{Costs, assign};
use super::identity::Identity;
pub(crate) use super::identity::{TrackKey, between};
use super::{TrackId, TrackerSettings};
use crate::detection::Detection;
use crate::geometry::Rect;
use crate::time::Elapsed;
use serde::{Deserialize, Serialize};

/// Coordinates beyond this are invalid in any picture, px.
const FARTHEST_PX: f32 = 1e6;

/// No track is kept longer than this, however rare inferences are.
const LONGEST_LOST_SECS: f64 = 10.0;

/// The cost of leaving a track unmatched in stage 1.
const ALONE_COST: f32 = 1.0;

/// The tracks and the tracker's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Engine {
    settings: TrackerSettings,
    elapsed: Elapsed,
    now_secs: f64,
    /// Inferences since the start or since all tracks were ended; more than two count as two.
    inferences: u8,
    keys_given: u64,
    numbers_given: u32,
    /// In order of creation: ties go to the older.
    identities: Vec<Identity>,
}

/// An inference being processed: the tracks and detections still unmatched.
struct Matching<'a> {
    detections: &'a [Detection],
    sureness: Vec<f32>,
    /// Index into the identities.
    owner: Vec<Option<usize>>,
    seen: Vec<bool>,
}

impl Matching<'_> {
    fn free_detections(&self, scores: std::ops::Range<f32>) -> Vec<usize> {
        let wanted = |&index: &usize| {
            self.owner[index].is_none()
                && self.sureness[index] >= 0.0
                && scores.contains(&self.detections[index].score)
        };
        (0..self.detections.len()).filter(wanted).collect()
    }

    /// Matches free tracks with free detections; `cost` is `None` for pairs that are excluded.
    fn pair(
        &mut self,
        tracks: &[usize],
        detections: &[usize],
        gate: f32,
        cost: impl Fn(usize, usize) -> Option<f32>,
    ) {
        let costs = Costs::from_pairs(tracks.len(), detections.len(), |row, column| {
            cost(tracks[row], detections[column])
        });
        for (row, column) in assign(&costs, gate) {
            self.owner[detections[column]] = Some(tracks[row]);
            self.seen[tracks[row]] = true;
        }
    }
}

impl Engine {
    pub(crate) fn new(settings: TrackerSettings) -> Self {
        Self {
            settings,
            elapsed: Elapsed::default(),
            now_secs: 0.0,
            inferences: 0,
            keys_given: 0,
            numbers_given: 0,
            identities: Vec::new(),
        }
    }

    /// Advances to the next frame and ends tracks that were lost for too long. Returns the time since the first
    /// frame.
    pub(crate) fn pass_time(&mut self, secs: f64) -> f64 {
        self.now_secs = self.elapsed.advance(secs);
        // 1 ms of tolerance, because pts may be in ms.
        let earliest_secs = self.now_secs - self.settings.lost_secs - 1e-3;
        let earliest_of_all_secs = self.now_secs - LONGEST_LOST_SECS;
        let lost_inferences = self.settings.lost_inferences;
        self.identities.retain(|identity| {
            let last_secs = identity.last_seen_secs();
            last_secs >= earliest_secs
                || (identity.missed_inferences < lost_inferences && last_secs >= earliest_of_all_secs)
        });
        self.now_secs
    }

    /// Ends every track: after a gap, identities are unknown. Numbers aren't reused.
    pub(crate) fn end_all(&mut self) {
        self.identities.clear();
        self.inferences = 0;
    }

    /// Takes the current detections and returns the owner of each.
    pub(crate) fn observe(&mut self, detections: &[Detection]) -> Vec<Option<TrackKey>> {
        let owner = self.pair_all(detections);
        let direction_secs = self.settings.direction_secs;
        for identity in &mut self.identities {
            identity.missed_inferences += 1;
        }
        let mut keys: Vec<Option<TrackKey>> = vec![None; detections.len()];
        for (index, owner) in owner.iter().enumerate() {
            if let Some(owner) = *owner {
                let identity = &mut self.identities[owner];
                // Found again.
                identity.missed_inferences -= 1;
                identity.observe(self.now_secs, &detections[index], direction_secs);
                keys[index] = Some(identity.key);
            }
        }
        // A first detection that isn't repeated at the next inference was false.
        self.identities.retain(|identity| identity.track.is_some() || identity.missed_inferences == 0);
        // No animal can have walked in before the first inference: what stands there is as likely as ever, not new.
        let new_score = if self.inferences > 0 { self.settings.new_score } else { self.settings.high_score };
        for (index, detection) in detections.iter().enumerate() {
            if keys[index].is_none() && detection.score >= new_score && is_a_place(detection) {
                let key = TrackKey(self.keys_given);
                self.keys_given += 1;
                self.identities.push(Identity::new(key, self.now_secs, detection));
                keys[index] = Some(key);
            }
        }
        self.confirm();
        self.end_duplicates();
        keys
    }

    /// The number of a live, confirmed track.
    pub(crate) fn track_of(&self, key: TrackKey) -> Option<TrackId> {
        self.identity_of(key)?.track
    }

    /// The filter's current box of a live, confirmed track.
    pub(crate) fn estimate_of(&self, track: TrackId) -> Option<Rect> {
        let identity = self.identities.iter().find(|identity| identity.track == Some(track))?;
        Some(identity.predicted(self.now_secs))
    }

    /// Predicted boxes of the confirmed tracks.
    pub(crate) fn places(&self, ahead_secs: f64) -> impl Iterator<Item = Rect> {
        let confirmed = self.identities.iter().filter(|identity| identity.track.is_some());
        confirmed.map(move |identity| identity.predicted(self.now_secs + ahead_secs))
    }

    /// If there was one inference alone, confirms what it has found: no other one contradicts it. Returns whether it was so.
    pub(crate) fn confirm_single_inference(&mut self) -> bool {
        let is_single = self.inferences == 1;
        if is_single {
            self.confirm_if(|_| true);
        }
        is_single
    }

    fn confirm_if(&mut self, is_enough: impl Fn(&Identity) -> bool) {
        for identity in &mut self.identities {
            if identity.track.is_none() && is_enough(identity) {
                self.numbers_given += 1;
                identity.track = Some(TrackId(self.numbers_given));
            }
        }
    }

    /// The settings.
    pub(crate) fn settings(&self) -> &TrackerSettings {
        &self.settings
    }

    /// Whether it may still be confirmed or found again.
    pub(crate) fn is_alive(&self, key: TrackKey) -> bool {
        self.identity_of(key).is_some()
    }

    fn identity_of(&self, key: TrackKey) -> Option<&Identity> {
        let index = self.identities.binary_search_by_key(&key, |identity| identity.key).ok()?;
        self.identities.get(index)
    }

    fn pair_all(&self, detections: &[Detection]) -> Vec<Option<usize>> {
        let settings = &self.settings;
        let predicted: Vec<Rect> =
            self.identities.iter().map(|identity| identity.predicted(self.now_secs)).collect();
        let sureness =
            |detection| if is_a_place(detection) { settings.sureness(detection.score) } else { f32::NAN };
        let mut matching = Matching {
            detections,
            sureness: detections.iter().map(sureness).collect(),
            owner: vec![None; detections.len()],
            seen: vec![false; self.identities.len()],
        };
        let tracks = |wanted: &dyn Fn(usize, &Identity) -> bool| -> Vec<usize> {
            let both = self.identities.iter().enumerate();
            both.filter(|&(index, identity)| wanted(index, identity)).map(|(index, _)| index).collect()
        };
        let sure = matching.sureness.clone();
        let high_scores = settings.high_score..f32::INFINITY;

        // 1. Predicted position and direction: tracked and lost tracks against high scores. Only overlap
        // decides which pairs are possible. An unmatched track costs 1, more than any pair, so a bad direction
        // makes a pair the last choice but doesn't exclude it.
        let confirmed = tracks(&|_, identity| identity.track.is_some());
        let high = matching.free_detections(high_scores.clone());
        matching.pair(&confirmed, &high, ALONE_COST, |track, detection| {
            let (identity, rect) = (&self.identities[track], detections[detection].rect);
            let overlap = predicted[track].iou(rect) * sure[detection];
            if overlap < settings.match_overlap {
                return None;
            }
            let ahead = 0.5 - identity.turn_to(rect.center(), settings.direction_bodies);
            Some(1.0 - overlap - settings.direction_weight * ahead * sure[detection])
        });

        // 2. A low score where a track is expected is a half-hidden animal (ByteTrack). Not for lost tracks:
        // too many boxes have low scores.
        let seen = matching.seen.clone();
        let tracked = tracks(&|index, identity| {
            identity.track.is_some() && !seen[index] && identity.missed_inferences == 0
        });
        let low = matching.free_detections(settings.low_score..settings.high_score);
        matching.pair(&tracked, &low, 1.0 - settings.low_iou, |track, detection| {
            let iou = predicted[track].iou(detections[detection].rect);
            (iou >= settings.low_iou).then_some(1.0 - iou)
        });

        // 3. Last observed position: animals stop, but predictions move on (observation-centric recovery, OC-SORT).
        let seen = matching.seen.clone();
        let missing = tracks(&|index, identity| identity.track.is_some() && !seen[index]);
        let high = matching.free_detections(high_scores.clone());
        matching.pair(&missing, &high, 1.0 - settings.recover_iou, |track, detection| {
            let iou = self.identities[track].last_seen_rect().iou(detections[detection].rect);
            (iou >= settings.recover_iou).then_some(1.0 - iou)
        });

        // 4. Unconfirmed tracks get what is left.
        let unconfirmed = tracks(&|_, identity| identity.track.is_none());
        let high = matching.free_detections(high_scores);
        matching.pair(&unconfirmed, &high, 1.0 - settings.unconfirmed_overlap, |track, detection| {
            let overlap = predicted[track].iou(detections[detection].rect) * sure[detection];
            (overlap >= settings.unconfirmed_overlap).then_some(1.0 - overlap)
        });
        matching.owner
    }

    fn confirm(&mut self) {
        let is_first = self.inferences == 0;
        self.inferences = (self.inferences + 1).min(2);
        let TrackerSettings { new_score, confirm_hits, .. } = self.settings;
        // Whatever is sure on the first inference is confirmed at once.
        self.confirm_if(|identity| {
            identity.hits >= confirm_hits || (is_first && identity.first_score >= new_score)
        });
    }

    fn end_duplicates(&mut self) {
        let (now, limit) = (self.now_secs, self.settings.duplicate_iou);
        let predicted: Vec<Rect> = self.identities.iter().map(|identity| identity.predicted(now)).collect();
        let mut ended = vec![false; self.identities.len()];
        for (tracked, identity) in self.identities.iter().enumerate() {
            for (lost, other) in self.identities.iter().enumerate() {
                let both_confirmed = identity.track.is_some() && other.track.is_some();
                if both_confirmed
                    && identity.missed_inferences == 0
                    && other.missed_inferences > 0
                    && predicted[tracked].iou(predicted[lost]) > limit
                {
                    // The one observed for longer stays.
                    let life = now - identity.born_secs;
                    let other_life = other.last_seen_secs() - other.born_secs;
                    ended[if life > other_life { lost } else { tracked }] = true;
                }
            }
        }
        let mut index = 0;
        self.identities.retain(|_| {
            index += 1;
            !ended[index - 1]
        });
    }
}

/// Whether the box is valid: finite, with some size, in or near a picture.
pub(crate) fn is_a_place(detection: &Detection) -> bool {
    let Rect { x, y, width, height } = detection.rect;
    // Comparisons with NaN are false.
    let near = |px: f32| px.abs() <= FARTHEST_PX;
    near(x)
        && near(y)
        && near(width)
        && near(height)
        && width > 0.0
        && height > 0.0
        && detection.score.is_finite()
}
