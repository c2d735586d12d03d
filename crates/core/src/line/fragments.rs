//! Two tracks of one animal at a line.
//!
//! A detector sometimes boxes an animal in parts, for example where a bar or a spray mark divides it: head and rump walk over the line as two
//! tracks. Their boxes give them away: while both walk, the box around both is as large as one animal. How large an animal is at this line
//! follows from the others that pass it. `docs/design/0003-line-crossing.md` has the rule and its figures.

use super::{Crossing, Direction, Line};
use crate::geometry::{Point, Rect};
use crate::track::{TrackId, TrackedBox};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Boxes within so many of their longer sides of the line take part.
const REACH_BODIES: f32 = 4.0;
/// The sizes of so many tracks are known, the newest.
const MOST_SIZES: usize = 64;
/// With fewer sizes of others nothing is said.
const FEWEST_SIZES: usize = 2;
/// So many that are known nearest to a place say how large an animal is there: a camera that looks obliquely shows distant ones smaller.
const NEAREST_SIZES: usize = 7;
/// The area of the box around both, in parts of an animal's, is at most this …
const MOST_UNION: f32 = 1.25;
/// … and the sum of their areas at most this. Of two whole animals, one half behind the other, it is two.
const MOST_SUM: f32 = 1.75;
/// For at least this share of the time that both are seen near the line …
const LEAST_SHARE: f64 = 0.7;
/// … and at least for this long …
const LEAST_SECS: f64 = 1.0;
/// … in which the union's centre went at least this far, in animals: what stands close together may be two that lie.
const LEAST_WAY_BODIES: f32 = 1.0;
/// The parts of an animal cross within this time: one that turns back and comes again is not counted less.
const MOST_BETWEEN_SECS: f64 = 3.0;
/// Pairs not seen together for this long are forgotten.
const FORGET_SECS: f64 = 10.0;
/// Tracks are compared up to this distance of their centres, in parts of the sum of their longer sides.
const COMPARED_SIDES: f32 = 1.0;

/// What is known of the tracks near a line, to tell parts of an animal from animals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fragments {
    /// Of tracks that came near, oldest first.
    sizes: VecDeque<Size>,
    /// Tracks that are near each other at the same time, by number.
    pairs: Vec<Pair>,
    /// The last crossings, counted or not: who, which way and when.
    crossed: VecDeque<(TrackId, Direction, f64)>,
    now_secs: f64,
}

/// The largest box of a track near the line.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Size {
    track: TrackId,
    center: Point,
    area_px: f32,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Pair {
    /// The lower number first.
    tracks: (TrackId, TrackId),
    start: Point,
    /// Farthest from the start, px.
    way_px: f32,
    seen_secs: f64,
    together_secs: f64,
    /// Of that, so long the union was as large as one animal.
    one_secs: f64,
}

impl Fragments {
    /// Takes the boxes of the next frame. `now_secs` only grows.
    pub(super) fn update(&mut self, line: Line, now_secs: f64, boxes: &[&TrackedBox]) {
        let step_secs = (now_secs - self.now_secs).max(0.0);
        self.now_secs = now_secs;
        self.pairs.retain(|pair| now_secs - pair.seen_secs <= FORGET_SECS);
        let near: Vec<&TrackedBox> =
            boxes.iter().copied().filter(|tracked| is_within(line, tracked.rect, REACH_BODIES)).collect();
        for tracked in &near {
            self.measure(tracked);
        }
        for (place, one) in near.iter().enumerate() {
            for other in near.iter().skip(place + 1) {
                self.compare(one, other, step_secs);
            }
        }
    }

    /// A track is as large as it was at its largest: at the picture's edge, or behind another animal, less of it is seen.
    fn measure(&mut self, tracked: &TrackedBox) {
        let size = Size { track: tracked.track, center: tracked.rect.center(), area_px: tracked.rect.area() };
        if let Some(known) = self.sizes.iter_mut().find(|known| known.track == size.track) {
            if size.area_px > known.area_px {
                *known = size;
            }
            return;
        }
        self.sizes.push_back(size);
        if self.sizes.len() > MOST_SIZES {
            self.sizes.pop_front();
        }
    }

    fn compare(&mut self, one: &TrackedBox, other: &TrackedBox, step_secs: f64) {
        let sides_px = longer_side_px(one.rect) + longer_side_px(other.rect);
        if one.rect.center().distance(other.rect.center()) > COMPARED_SIDES * sides_px {
            return;
        }
        let tracks = (one.track.min(other.track), one.track.max(other.track));
        let union = one.rect.union(other.rect);
        let Some(usual_area_px) = self.usual_area_px(tracks, union.center()) else { return };
        let now_secs = self.now_secs;
        let place = match self.find(tracks) {
            Ok(place) => place,
            Err(place) => {
                let start = union.center();
                let pair = Pair {
                    tracks,
                    start,
                    way_px: 0.0,
                    seen_secs: now_secs,
                    together_secs: 0.0,
                    one_secs: 0.0,
                };
                self.pairs.insert(place, pair);
                place
            }
        };
        let Some(pair) = self.pairs.get_mut(place) else { return };
        pair.seen_secs = now_secs;
        pair.together_secs += step_secs;
        pair.way_px = pair.way_px.max(union.center().distance(pair.start));
        let sum_px = one.rect.area() + other.rect.area();
        if union.area() <= MOST_UNION * usual_area_px && sum_px <= MOST_SUM * usual_area_px {
            pair.one_secs += step_secs;
        }
    }

    /// Where a pair is, or belongs.
    fn find(&self, tracks: (TrackId, TrackId)) -> Result<usize, usize> {
        self.pairs.binary_search_by_key(&tracks, |pair| pair.tracks)
    }

    /// How large an animal is at a place: the lower quartile of the areas of the other tracks that are known nearest to it. Not the median:
    /// two small animals in a row are no parts of a large one.
    fn usual_area_px(&self, (one, other): (TrackId, TrackId), place: Point) -> Option<f32> {
        let others = self.sizes.iter().filter(|size| size.track != one && size.track != other);
        let mut nearest: Vec<(f32, f32)> =
            others.map(|size| (size.center.distance(place), size.area_px)).collect();
        if nearest.len() < FEWEST_SIZES {
            return None;
        }
        if nearest.len() > NEAREST_SIZES {
            nearest.select_nth_unstable_by(NEAREST_SIZES, |one, other| one.0.total_cmp(&other.0));
            nearest.truncate(NEAREST_SIZES);
        }
        let quarter = nearest.len() / 4;
        let (_, &mut (_, area_px), _) =
            nearest.select_nth_unstable_by(quarter, |one, other| one.1.total_cmp(&other.1));
        Some(area_px)
    }

    /// Whether a crossing is to be counted: no other part of the same animal has just crossed in the same direction.
    pub(super) fn is_first(&mut self, now_secs: f64, crossing: &Crossing) -> bool {
        self.crossed.retain(|&(_, _, secs)| now_secs - secs <= MOST_BETWEEN_SECS);
        let is_part_of = |&(track, direction, _): &(TrackId, Direction, f64)| {
            direction == crossing.direction && self.are_one(track, crossing.track)
        };
        let is_first = !self.crossed.iter().any(is_part_of);
        self.crossed.push_back((crossing.track, crossing.direction, now_secs));
        is_first
    }

    /// Whether two tracks are parts of one animal, as far as is known by now.
    fn are_one(&self, one: TrackId, other: TrackId) -> bool {
        let tracks = (one.min(other), one.max(other));
        let pair = self.find(tracks).ok().and_then(|place| self.pairs.get(place));
        let Some(pair) = pair else { return false };
        let Some(usual_area_px) = self.usual_area_px(tracks, pair.start) else { return false };
        pair.one_secs >= LEAST_SECS
            && pair.one_secs >= LEAST_SHARE * pair.together_secs
            && pair.way_px >= LEAST_WAY_BODIES * usual_area_px.sqrt()
    }
}

fn is_within(line: Line, rect: Rect, bodies: f32) -> bool {
    line.distance_px(rect.center()) <= bodies * longer_side_px(rect)
}

fn longer_side_px(rect: Rect) -> f32 {
    rect.width.max(rect.height)
}
