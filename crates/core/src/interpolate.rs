//! Settled tracks of a recorded video: a frame is returned when nothing later can change it.
//!
//! Waiting has three benefits. A gap in a track is interpolated linearly between its ends, which is
//! better than any prediction (and the only option on frames without an inference). The first
//! detection of an animal, unconfirmed at first, is restored when the second confirms it. And at the start of a video, a confirmed
//! track is followed back through the detections that were too unsure to start it: what the second stage of the tracker does
//! forward in time (ByteTrack), this does backward. Only at the start, where the animals of the scene are there already: later
//! on, unsure detections before a track are mostly of an animal at the edge of the picture, too little of it to count.
//!
//! Guarantee: every frame comes out once, in order, at most [`TrackerSettings::lost_secs`] (or as long as
//! [`TrackerSettings::lost_inferences`] take, and one frame) later, at the start [`TrackerSettings::lookback_secs`] and an
//! inference; so memory depends on the scene and the frame rate, never on the video's length.

use crate::detection::Detection;
use crate::geometry::Rect;
use crate::inference_schedule::InferenceReason;
use crate::time::Pts;
use crate::track::assign::{Costs, assign};
use crate::track::engine::{Engine, TrackKey, between, is_a_place};
use crate::track::{Origin, TrackId, TrackedBox, TrackerSettings, measured};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// A settled frame: nothing can change it any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SettledFrame {
    /// As given.
    pub pts: Pts,
    /// As given.
    pub secs: f64,
    /// Why this frame was inferred; `None` if it wasn't.
    pub reason: Option<InferenceReason>,
    /// The animals on it, by track.
    pub boxes: Vec<TrackedBox>,
    /// Detections that belong to no confirmed track, as given, without invalid boxes.
    pub unmatched: Vec<Detection>,
}

/// The detections of an inferred frame, and why it was inferred.
#[derive(Clone, Copy, Debug)]
pub struct InferredDetections<'a> {
    /// The schedule's reason.
    pub reason: InferenceReason,
    /// All detections; an empty list is a result too.
    pub detections: &'a [Detection],
}

impl<'a> InferredDetections<'a> {
    /// For a schedule that infers every frame.
    pub fn every(detections: &'a [Detection]) -> Self {
        Self { reason: InferenceReason::EveryFrame, detections }
    }
}

/// The tracker for recorded videos.
///
/// Once deserialised, it resumes exactly, waiting frames included (if floats are stored exactly, as postcard does).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SettledTracker {
    engine: Engine,
    waiting: VecDeque<Waiting>,
    /// Number of the first waiting frame; frames count from 0.
    first_waiting: u64,
    /// Elapsed time of the first inference since the start or since all tracks were ended.
    begun_secs: Option<f64>,
    /// In order of creation. Ended tracks stay while a frame of theirs waits.
    trails: BTreeMap<TrackKey, Trail>,
}

/// A waiting frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Waiting {
    pts: Pts,
    secs: f64,
    elapsed_secs: f64,
    reason: Option<InferenceReason>,
    detections: Vec<(Detection, Option<TrackKey>)>,
    filled: Vec<TrackedBox>,
}

/// What is needed to fill a track's next gap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Trail {
    track: Option<TrackId>,
    first_frame: u64,
    first: Detection,
    last_frame: u64,
    last: Detection,
}

impl SettledTracker {
    /// Without tracks.
    pub fn new(settings: TrackerSettings) -> Self {
        Self {
            engine: Engine::new(settings),
            waiting: VecDeque::new(),
            first_waiting: 0,
            begun_secs: None,
            trails: BTreeMap::new(),
        }
    }

    /// Takes the next frame and returns those that it settles. `inference: None` means the frame wasn't inferred:
    /// its boxes are interpolated.
    pub fn push(
        &mut self,
        pts: Pts,
        secs: f64,
        inference: Option<InferredDetections<'_>>,
    ) -> Vec<SettledFrame> {
        let elapsed_secs = self.engine.pass_time(secs);
        if inference.is_some() {
            self.begun_secs.get_or_insert(elapsed_secs);
        }
        let frame = self.first_waiting + self.waiting.len() as u64;
        self.waiting.push_back(Waiting {
            pts,
            secs,
            elapsed_secs,
            reason: inference.map(|inference| inference.reason),
            detections: Vec::new(),
            filled: Vec::new(),
        });
        if let Some(InferredDetections { detections, .. }) = inference {
            let mut owners = self.engine.observe(detections);
            let mut confirmed = Vec::new();
            for (detection, owner) in detections.iter().zip(&mut owners) {
                // A duplicate may have ended in the inference that saw it; its detection then has no owner.
                *owner = owner.filter(|&key| self.engine.is_alive(key));
                if let Some(key) = *owner
                    && self.observe(key, frame, *detection)
                {
                    confirmed.push(key);
                }
            }
            if let Some(newest) = self.waiting.back_mut() {
                let both = detections.iter().copied().zip(owners);
                newest.detections = both.filter(|(detection, _)| is_a_place(detection)).collect();
            }
            self.follow_back(confirmed);
        }
        let settled = self.settled_end();
        self.release(settled)
    }

    /// No more frames: returns all that wait.
    pub fn finish(&mut self) -> Vec<SettledFrame> {
        if self.engine.confirm_single_inference() {
            for (&key, trail) in &mut self.trails {
                trail.track = self.engine.track_of(key);
            }
        }
        self.release(self.first_waiting + self.waiting.len() as u64)
    }

    /// A gap without frames follows: returns the waiting frames and ends every track. Frames may follow; their animals get
    /// new numbers. Frames after the last inference are left out: nothing is known of them, and no boxes would say that nothing is there.
    pub fn end_tracks(&mut self) -> Vec<SettledFrame> {
        let mut settled = self.finish();
        let known = settled.iter().rposition(|frame| frame.reason.is_some()).map_or(0, |last| last + 1);
        settled.truncate(known);
        self.engine.end_all();
        self.trails.clear();
        self.begun_secs = None;
        settled
    }

    /// Predicted boxes of the confirmed animals, this many seconds after the last frame.
    pub fn places(&self, ahead_secs: f64) -> impl Iterator<Item = Rect> {
        self.engine.places(ahead_secs)
    }

    /// A track was seen. Returns whether this confirmed it.
    fn observe(&mut self, key: TrackKey, frame: u64, detection: Detection) -> bool {
        let track = self.engine.track_of(key);
        let Some(trail) = self.trails.get_mut(&key) else {
            let trail =
                Trail { track, first_frame: frame, first: detection, last_frame: frame, last: detection };
            self.trails.insert(key, trail);
            return track.is_some();
        };
        let is_confirmed_now = trail.track.is_none() && track.is_some();
        let (from_frame, from) = (trail.last_frame, trail.last);
        trail.last_frame = frame;
        trail.last = detection;
        trail.track = track;
        if let Some(track) = trail.track {
            self.fill(track, (from_frame, from), (frame, detection));
        }
        is_confirmed_now
    }

    /// Follows tracks of the start that were confirmed just now back from their first detections, inference by inference, as long
    /// as each has a detection that no track owns where the animal was.
    fn follow_back(&mut self, mut tracks: Vec<TrackKey>) {
        tracks.retain(|key| {
            let first =
                self.trails.get(key).and_then(|trail| self.waiting.get(self.place_of(trail.first_frame)?));
            first.is_some_and(|first| self.is_at_the_start(first.elapsed_secs))
        });
        for place in (0..self.waiting.len()).rev() {
            let frame = self.first_waiting + place as u64;
            let Some(waiting) = self.waiting.get(place).filter(|waiting| waiting.reason.is_some()) else {
                continue;
            };
            if tracks.is_empty() {
                return;
            }
            let begun_later =
                |key: &&TrackKey| self.trails.get(key).is_some_and(|trail| trail.first_frame > frame);
            let rows: Vec<TrackKey> = tracks.iter().filter(begun_later).copied().collect();
            let matches = self.matches_before(&rows, waiting);
            tracks.retain(|key| !rows.contains(key) || matches.iter().any(|(matched, _)| matched == key));
            for (key, column) in matches {
                self.extend_back(key, frame, place, column);
            }
        }
    }

    /// Which free detections of a frame show these tracks, whose first detections are later: pairs of a track and an index.
    fn matches_before(&self, tracks: &[TrackKey], waiting: &Waiting) -> Vec<(TrackKey, usize)> {
        let settings = self.engine.settings();
        let is_free = |owner: Option<TrackKey>| {
            owner.is_none_or(|key| {
                !self.engine.is_alive(key) && self.trails.get(&key).is_none_or(|trail| trail.track.is_none())
            })
        };
        let free: Vec<usize> = (0..waiting.detections.len())
            .filter(|&index| {
                let (detection, owner) = waiting.detections[index];
                detection.score >= settings.low_score && is_free(owner)
            })
            .collect();
        let costs = Costs::from_pairs(tracks.len(), free.len(), |row, column| {
            let first = self.trails.get(&tracks[row])?.first;
            let iou = first.rect.iou(waiting.detections[free[column]].0.rect);
            (iou >= settings.low_iou).then_some(1.0 - iou)
        });
        let pairs = assign(&costs, 1.0 - settings.low_iou);
        pairs.into_iter().map(|(row, column)| (tracks[row], free[column])).collect()
    }

    /// An earlier detection becomes the first one of a track.
    fn extend_back(&mut self, key: TrackKey, frame: u64, place: usize, column: usize) {
        let Some((detection, owner)) =
            self.waiting.get_mut(place).and_then(|waiting| waiting.detections.get_mut(column))
        else {
            return;
        };
        let (detection, _) = (*detection, owner.replace(key));
        let Some(trail) = self.trails.get_mut(&key) else { return };
        let (to_frame, to) = (trail.first_frame, trail.first);
        trail.first_frame = frame;
        trail.first = detection;
        if let Some(track) = trail.track {
            self.fill(track, (frame, detection), (to_frame, to));
        }
    }

    /// Fills the frames between two observations.
    fn fill(
        &mut self,
        track: TrackId,
        (from_frame, from): (u64, Detection),
        (to_frame, to): (u64, Detection),
    ) {
        let elapsed_secs = |frame: u64| Some(self.waiting.get(self.place_of(frame)?)?.elapsed_secs);
        let (Some(from_secs), Some(to_secs)) = (elapsed_secs(from_frame), elapsed_secs(to_frame)) else {
            return;
        };
        for frame in from_frame + 1..to_frame {
            let Some(waiting) = self.place_of(frame).and_then(|place| self.waiting.get_mut(place)) else {
                continue;
            };
            // Elapsed time increases with every frame, so this never divides by zero.
            let part = ((waiting.elapsed_secs - from_secs) / (to_secs - from_secs)) as f32;
            waiting.filled.push(TrackedBox {
                track,
                rect: between(from.rect, to.rect, part),
                score: from.score + (to.score - from.score) * part,
                class: from.class,
                origin: Origin::Interpolated,
            });
        }
    }

    fn place_of(&self, frame: u64) -> Option<usize> {
        usize::try_from(frame.checked_sub(self.first_waiting)?).ok()
    }

    /// The first frame that may still change. The last observation of a live track is kept, because the gap after it
    /// may be filled; an unconfirmed track is kept from its first detection on. At the start, a track may still be followed back
    /// to the first frame.
    fn settled_end(&self) -> u64 {
        let end = self.first_waiting + self.waiting.len() as u64;
        let living = || {
            let living = self.trails.iter().filter(|&(&key, _)| self.engine.is_alive(key));
            living.map(|(_, trail)| trail)
        };
        // Of the tracks that may still be confirmed, the one that started first; or one that starts now.
        let unconfirmed = living().filter(|trail| trail.track.is_none()).map(|trail| trail.first_frame);
        let first_start = unconfirmed.min().unwrap_or(end.saturating_sub(1));
        let start = self.place_of(first_start).and_then(|place| self.waiting.get(place));
        if start.is_some_and(|frame| self.is_at_the_start(frame.elapsed_secs)) {
            return self.first_waiting;
        }
        let holds =
            living().map(|trail| if trail.track.is_some() { trail.last_frame } else { trail.first_frame });
        holds.min().unwrap_or(end)
    }

    /// Whether a track that starts now is followed back to the first inference. 1 ms of tolerance, because pts may be in ms.
    fn is_at_the_start(&self, elapsed_secs: f64) -> bool {
        let lookback_secs = self.engine.settings().lookback_secs;
        self.begun_secs.is_some_and(|begun_secs| elapsed_secs - begun_secs <= lookback_secs + 1e-3)
    }

    /// Returns the waiting frames before `end`.
    fn release(&mut self, end: u64) -> Vec<SettledFrame> {
        let count = self.place_of(end).unwrap_or(0).min(self.waiting.len());
        let frames: Vec<_> =
            self.waiting.drain(..count).map(|waiting| settle(waiting, &self.trails)).collect();
        self.first_waiting += count as u64;
        let (engine, first_waiting) = (&self.engine, self.first_waiting);
        self.trails.retain(|&key, trail| trail.last_frame >= first_waiting || engine.is_alive(key));
        frames
    }
}

fn settle(waiting: Waiting, trails: &BTreeMap<TrackKey, Trail>) -> SettledFrame {
    let Waiting { pts, secs, reason, detections, filled: mut boxes, .. } = waiting;
    let mut unmatched = Vec::new();
    for (detection, owner) in detections {
        match owner.and_then(|key| trails.get(&key)?.track) {
            Some(track) => boxes.push(measured(track, &detection)),
            None => unmatched.push(detection),
        }
    }
    boxes.sort_unstable_by_key(|tracked| tracked.track);
    SettledFrame { pts, secs, reason, boxes, unmatched }
}
