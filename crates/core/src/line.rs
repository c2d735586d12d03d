//! Lines drawn on the picture, and their crossings.
//!
//! The rule, version [`RULE_VERSION`]: a track is on the side where its centre was last clear of the line,
//! by a quarter of its box's extent along the line's normal. When it becomes clear on the other side and its path
//! went through the finite segment, that is one crossing, reported with the frame on which the centre first was past
//! the line. So noise on one side, a stop on the line and a turn back on it count nothing; a return counts in the
//! other direction. A track that begins where another one just ended inherits its side, so an identity switch on the
//! line doesn't lose or repeat a crossing. Of two tracks of one animal, its head and its rump, the first to cross counts
//! (`fragments.rs`; not in version 1). `docs/design/0003-line-crossing.md` has reasons and figures.
//!
//! Guarantee: the same tracks give the same crossings, at any frame rate and with any interruptions.
//! Left out: which animals are unique ([`unique_count`] gives bounds), and weighings.

mod fragments;

pub use fragments::Fragments;

use crate::geometry::{Point, Rect};
use crate::time::{Elapsed, Pts};
use crate::track::{TrackId, TrackedBox};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use thiserror::Error;

/// Raised whenever the same tracks could give other crossings; stored with each run.
pub const RULE_VERSION: u32 = 2;

/// The first version in which the parts of one animal count once.
const FRAGMENTS_SINCE: u32 = 2;

/// How far the centre must be past the line to be clear of it: parts of the box's extent along the normal.
const CLEAR_EXTENTS: f64 = 0.25;
/// For how long after its end another track can inherit a track's side.
const STITCH_SECS: f64 = 2.0;
/// How near the end the other must begin: parts of the square root of the box's area. Of a pig
/// twice as long as broad, 0.7 of its breadth.
const STITCH_BODIES: f32 = 0.5;
/// Tracks unseen for this long are forgotten. Longer than any tracker keeps a lost track.
const FORGET_SECS: f64 = 30.0;
/// How far the edge of a nearby animal may be from the line, parts of the longer side of its box.
const NEAR_BODIES: f32 = 1.0;

/// An end this far from the picture's corner, px, is an error: no picture is a tenth as large.
pub const MAX_PX: f32 = 100_000.0;

/// A directed segment on the picture. Made only by [`Line::new`], so it always has a direction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Ends")]
#[non_exhaustive]
pub struct Line {
    /// Where the arrow begins, px.
    pub start: Point,
    /// Where it points, px.
    pub end: Point,
}

#[derive(Deserialize)]
struct Ends {
    start: Point,
    end: Point,
}

/// Why two points don't make a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LineError {
    /// The ends are (nearly) one point: there is nothing to cross and no direction.
    #[error("the line's ends are one point; draw them at least a pixel apart")]
    ZeroLength,
    /// An end is NaN or infinite.
    #[error("the line's ends are not finite numbers; give px of the picture")]
    NotFinite,
    /// An end is further out than [`MAX_PX`].
    #[error("the line's ends lie more than {MAX_PX:.0} px away; give px of the picture")]
    TooFar,
    /// Nothing on the picture can ever cross it.
    #[error("the line lies outside the picture, which is {width} × {height} px; draw it across the picture")]
    OutsidePicture {
        /// The picture's, px.
        width: u32,
        /// The picture's, px.
        height: u32,
    },
}

impl Line {
    /// From the arrow's start to its tip, px, at least a pixel apart.
    pub fn new(start: Point, end: Point) -> Result<Self, LineError> {
        let length_px = start.distance(end);
        if !length_px.is_finite() {
            Err(LineError::NotFinite)
        } else if length_px < 1.0 {
            Err(LineError::ZeroLength)
        } else {
            Ok(Self { start, end })
        }
    }

    /// Whether it makes sense on a picture of this size. Checked when a line is drawn, not in [`Line::new`], so that
    /// older stored lines stay readable.
    ///
    /// # Errors
    /// [`LineError::TooFar`] and [`LineError::OutsidePicture`].
    pub fn check_on_picture(self, width: u32, height: u32) -> Result<(), LineError> {
        self.check_reach()?;
        let (from, to) = (self.start, self.end);
        // The part of the segment, 0 to 1, that is within both pairs of edges (Liang and Barsky).
        let (mut begin, mut end) = (0.0_f64, 1.0_f64);
        for (from, to, edge) in [(from.x, to.x, width), (from.y, to.y, height)] {
            let (from, way, edge) = (f64::from(from), f64::from(to) - f64::from(from), f64::from(edge));
            if way == 0.0 {
                if from < 0.0 || from > edge {
                    end = -1.0;
                }
            } else {
                let (one, other) = (-from / way, (edge - from) / way);
                begin = begin.max(one.min(other));
                end = end.min(one.max(other));
            }
        }
        if begin > end { Err(LineError::OutsidePicture { width, height }) } else { Ok(()) }
    }

    /// Whether an animal is within about a body's length of the segment, so that it may soon cross it.
    pub fn is_near(self, animal: Rect) -> bool {
        let body_px = animal.width.max(animal.height);
        self.distance_px(animal.center()) <= body_px * (0.5 + NEAR_BODIES)
    }

    /// From a point to the nearest point of the segment.
    fn distance_px(self, point: Point) -> f32 {
        let (way_x, way_y) = (self.end.x - self.start.x, self.end.y - self.start.y);
        let along = (point.x - self.start.x) * way_x + (point.y - self.start.y) * way_y;
        // A line is at least a pixel long.
        let part = (along / (way_x * way_x + way_y * way_y)).clamp(0.0, 1.0);
        point.distance(Point { x: self.start.x + part * way_x, y: self.start.y + part * way_y })
    }

    /// Whether both ends are at or near positions a picture could have.
    ///
    /// # Errors
    /// [`LineError::TooFar`].
    pub fn check_reach(self) -> Result<(), LineError> {
        let is_far = |point: Point| point.x.abs().max(point.y.abs()) > MAX_PX;
        if is_far(self.start) || is_far(self.end) { Err(LineError::TooFar) } else { Ok(()) }
    }

    /// How far to the right of the arrow the point lies, as seen on the picture, in px times the line's length;
    /// negative on the left. As y points down, of an arrow that points up the screen right is towards larger x.
    fn rightness(self, point: Point) -> f64 {
        turn(self.start, self.end, point)
    }

    /// The box's extent along the line's normal, in px times the line's length.
    fn extent(self, rect: Rect) -> f64 {
        let (x, y) = (
            f64::from(self.end.x) - f64::from(self.start.x),
            f64::from(self.end.y) - f64::from(self.start.y),
        );
        y.abs() * f64::from(rect.width) + x.abs() * f64::from(rect.height)
    }

    /// Whether the straight path between two points on different sides of the line goes through its segment, that is, whether
    /// the ends lie on different sides of the path.
    fn is_between_ends(self, from: Point, to: Point) -> bool {
        let (start, end) = (turn(from, to, self.start), turn(from, to, self.end));
        start.min(end) <= 0.0 && start.max(end) >= 0.0
    }
}

/// The cross product of the vectors to `end` and to `point`: positive if `point` lies to the right. In f64, so that
/// it is exact for boxes on the grid of [`crate::detection::GRID_PX`]: a mirrored scene gives the same counts on the same frames.
fn turn(start: Point, end: Point, point: Point) -> f64 {
    let [start_x, start_y, end_x, end_y, x, y] =
        [start.x, start.y, end.x, end.y, point.x, point.y].map(f64::from);
    (end_x - start_x) * (y - start_y) - (end_y - start_y) * (x - start_x)
}

impl TryFrom<Ends> for Line {
    type Error = LineError;

    fn try_from(Ends { start, end }: Ends) -> Result<Self, LineError> {
        Self::new(start, end)
    }
}

/// Which way a line was crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the left of the arrow start→end to its right, as seen on the picture (y points down): for an arrow
    /// that points up the screen, from left to right.
    Forward,
    /// The other way.
    Backward,
}

impl Direction {
    /// The other one.
    pub const fn reversed(self) -> Self {
        match self {
            Self::Forward => Self::Backward,
            Self::Backward => Self::Forward,
        }
    }

    /// The direction towards this side.
    fn to(side: Side) -> Self {
        match side {
            Side::Right => Self::Forward,
            Side::Left => Self::Backward,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Forward => "forward",
            Self::Backward => "backward",
        })
    }
}

/// One settled passage of a track over a line.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crossing {
    /// Which way.
    pub direction: Direction,
    /// The first frame on which the centre was past the line and stayed past it.
    pub pts: Pts,
    /// The same in seconds.
    pub secs: f64,
    /// The track; after an identity switch on the line, the new one.
    pub track: TrackId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Side {
    Left,
    Right,
}

/// The first frame past the line, while the crossing isn't settled.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Passage {
    pts: Pts,
    secs: f64,
    /// Whether the path went through the segment, not around its ends.
    through: bool,
}

/// A track's state at a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Walk {
    seen_secs: f64,
    rect: Rect,
    /// The side where it was last clear of the line; unknown if it began on the line.
    side: Option<Side>,
    passage: Option<Passage>,
    /// Another track has inherited this one's side.
    taken_over: bool,
}

/// Counts the crossings of one line.
///
/// Made again from its parts, it resumes exactly (if floats are stored exactly, as postcard does).
#[derive(Clone, Debug, PartialEq)]
pub struct LineCounter {
    sides: Sides,
    fragments: Option<Fragments>,
}

/// The part of a counter that knows on which side of the line each track is: all of it in version 1 of the rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sides {
    line: Line,
    elapsed: Elapsed,
    walks: BTreeMap<TrackId, Walk>,
}

impl LineCounter {
    /// Without tracks, by the current rule.
    pub fn new(line: Line) -> Self {
        Self::by_rule(line, RULE_VERSION)
    }

    /// By the rule of this version.
    pub fn by_rule(line: Line, rule_version: u32) -> Self {
        let sides = Sides { line, elapsed: Elapsed::default(), walks: BTreeMap::new() };
        Self { sides, fragments: has_fragments(rule_version).then(Fragments::default) }
    }

    /// What is to be stored; the second part is missing in version 1 of the rule.
    pub fn parts(&self) -> (&Sides, Option<&Fragments>) {
        (&self.sides, self.fragments.as_ref())
    }

    /// From what was stored.
    pub fn from_parts(sides: Sides, fragments: Option<Fragments>) -> Self {
        Self { sides, fragments }
    }

    /// The line.
    pub fn line(&self) -> Line {
        self.sides.line
    }

    /// Takes the animals on the next frame and returns the crossings that it settles, by track.
    pub fn update(&mut self, pts: Pts, secs: f64, boxes: &[TrackedBox]) -> Vec<Crossing> {
        let now_secs = self.sides.elapsed.advance(secs);
        let mut boxes: Vec<&TrackedBox> = boxes.iter().filter(|tracked| is_a_place(tracked.rect)).collect();
        boxes.sort_by_key(|tracked| tracked.track);
        boxes.dedup_by_key(|tracked| tracked.track);
        let mut crossings = self.sides.update(now_secs, (pts, secs), &boxes);
        if let Some(fragments) = &mut self.fragments {
            fragments.update(self.sides.line, now_secs, &boxes);
            crossings.retain(|crossing| fragments.is_first(now_secs, crossing));
        }
        crossings
    }
}

/// Whether counters by this version of the rule have that part.
pub const fn has_fragments(rule_version: u32) -> bool {
    rule_version >= FRAGMENTS_SINCE
}

impl Sides {
    fn update(&mut self, now_secs: f64, (pts, secs): (Pts, f64), boxes: &[&TrackedBox]) -> Vec<Crossing> {
        self.walks.retain(|_, walk| walk.seen_secs >= now_secs - FORGET_SECS);
        self.take_over(now_secs, boxes);
        let line = self.line;
        boxes
            .iter()
            .filter_map(|tracked| {
                let new_walk = || Walk {
                    seen_secs: now_secs,
                    rect: tracked.rect,
                    side: None,
                    passage: None,
                    taken_over: false,
                };
                let walk = self.walks.entry(tracked.track).or_insert_with(new_walk);
                let crossed = walk.advance(line, pts, secs, tracked.rect);
                walk.seen_secs = now_secs;
                walk.taken_over = false;
                let (direction, passage) = crossed?;
                Some(Crossing { direction, pts: passage.pts, secs: passage.secs, track: tracked.track })
            })
            .collect()
    }

    /// Passes the state of tracks that ended nearby to those that begin on this frame, nearest pair first.
    fn take_over(&mut self, now_secs: f64, boxes: &[&TrackedBox]) {
        let seen_now = |track: &TrackId| boxes.binary_search_by_key(track, |tracked| tracked.track).is_ok();
        let mut pairs = Vec::new();
        for beginning in boxes.iter().filter(|tracked| !self.walks.contains_key(&tracked.track)) {
            for (&ended, walk) in self.walks.iter().filter(|(track, _)| !seen_now(track)) {
                let bodies = walk.rect.center().distance(beginning.rect.center()) / walk.rect.area().sqrt();
                if !walk.taken_over && now_secs - walk.seen_secs <= STITCH_SECS && bodies < STITCH_BODIES {
                    pairs.push((bodies, ended, beginning.track));
                }
            }
        }
        // Stable, and gathered by track: ties go to the lower numbers.
        pairs.sort_by(|one, other| one.0.total_cmp(&other.0));
        for (_, ended, beginning) in pairs {
            // The ended one keeps its state: it may only be hidden, and its successor another animal.
            if !self.walks.contains_key(&beginning)
                && let Some(walk) = self.walks.get_mut(&ended).filter(|walk| !walk.taken_over)
            {
                let successor = walk.clone();
                walk.taken_over = true;
                self.walks.insert(beginning, successor);
            }
        }
    }
}

impl Walk {
    /// Takes the next position and returns the crossing that it settles.
    fn advance(&mut self, line: Line, pts: Pts, secs: f64, rect: Rect) -> Option<(Direction, Passage)> {
        let (from, to) = (self.rect.center(), rect.center());
        self.rect = rect;
        let rightness = line.rightness(to);
        let is_clear = rightness.abs() > CLEAR_EXTENTS * line.extent(rect);
        // Exactly on the line is on neither side.
        let place = match rightness {
            right if right > 0.0 => Some(Side::Right),
            right if right < 0.0 => Some(Side::Left),
            _ => None,
        };
        let (Some(_), Some(place)) = (self.side, place.filter(|&place| Some(place) != self.side)) else {
            if self.side.is_none() && is_clear {
                self.side = place;
            }
            self.passage = None;
            return None;
        };
        let passage = *self.passage.get_or_insert_with(|| Passage {
            pts,
            secs,
            through: line.is_between_ends(from, to),
        });
        if !is_clear {
            return None;
        }
        self.side = Some(place);
        self.passage = None;
        passage.through.then_some((Direction::to(place), passage))
    }
}

fn is_a_place(rect: Rect) -> bool {
    let finite = [rect.x, rect.y, rect.width, rect.height].iter().all(|px| px.is_finite());
    finite && rect.width > 0.0 && rect.height > 0.0
}

/// A lower bound of the number of different animals: at least those seen at once, at least the net crossings.
/// It is never the number of tracks, which counts an animal again each time it is lost (19 % too many in a real pig
/// alley). `pen_size`, if known, is the maximum.
pub fn unique_count(peak_at_once: u32, net_crossings: i64, pen_size: Option<u32>) -> u32 {
    let crossed = u32::try_from(net_crossings.unsigned_abs()).unwrap_or(u32::MAX);
    peak_at_once.max(crossed).min(pen_size.unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_without_direction_are_refused_also_when_read() {
        let point = Point::new(3.0, 4.0);
        assert_eq!(Line::new(point, point), Err(LineError::ZeroLength));
        assert_eq!(Line::new(point, Point::new(f32::NAN, 0.0)), Err(LineError::NotFinite));
        assert_eq!(Line::new(point, Point::new(f32::INFINITY, 0.0)), Err(LineError::NotFinite));
        let read = serde_json::from_str::<Line>(r#"{"start":{"x":1,"y":1},"end":{"x":1,"y":1}}"#);
        assert!(read.unwrap_err().to_string().contains("one point"));
    }

    #[test]
    fn a_line_must_touch_its_picture() {
        let on = |x1, y1, x2, y2| {
            Line::new(Point::new(x1, y1), Point::new(x2, y2)).unwrap().check_on_picture(640, 360)
        };
        for (x1, y1, x2, y2) in [
            (320.0, 360.0, 320.0, 0.0),
            (-50.0, 100.0, 900.0, 200.0),
            (-10.0, 10.0, 10.0, -10.0),
            (640.0, 0.0, 640.0, 360.0),
            (10.0, 10.0, 20.0, 20.0),
        ] {
            assert_eq!(on(x1, y1, x2, y2), Ok(()), "{x1},{y1} to {x2},{y2}");
        }
        let outside = Err(LineError::OutsidePicture { width: 640, height: 360 });
        for (x1, y1, x2, y2) in [
            (-500.0, 0.0, -500.0, 360.0),
            (0.0, 361.0, 640.0, 361.0),
            // Its bounding box meets the picture, the line passes the corner.
            (-20.0, 10.0, 10.0, -20.0),
            (650.0, 100.0, 900.0, 100.0),
        ] {
            assert_eq!(on(x1, y1, x2, y2), outside, "{x1},{y1} to {x2},{y2}");
        }
        assert_eq!(on(0.0, 0.0, 100_001.0, 0.0), Err(LineError::TooFar));
        assert_eq!(on(0.0, -1e30, 0.0, 100.0), Err(LineError::TooFar));
    }

    #[test]
    fn right_of_an_arrow_up_the_screen_is_towards_larger_x() {
        let up = Line::new(Point::new(50.0, 100.0), Point::new(50.0, 0.0)).unwrap();
        assert!(up.rightness(Point::new(60.0, 30.0)) > 0.0);
        let to_the_right = Line::new(Point::new(0.0, 50.0), Point::new(100.0, 50.0)).unwrap();
        assert!(to_the_right.rightness(Point::new(60.0, 70.0)) > 0.0, "right is down the screen");
    }

    #[test]
    fn directions_are_written_as_words() {
        assert_eq!(serde_json::to_string(&Direction::Forward).unwrap(), "\"forward\"");
        assert_eq!(Direction::Backward.to_string(), "backward");
        assert_eq!(Direction::Forward.reversed(), Direction::Backward);
    }

    #[test]
    fn unique_count_is_the_greater_bound_capped_by_the_pen() {
        assert_eq!(unique_count(3, 12, None), 12);
        assert_eq!(unique_count(14, -12, None), 14);
        assert_eq!(unique_count(3, -12, None), 12);
        assert_eq!(unique_count(14, 12, Some(13)), 13);
        assert_eq!(unique_count(0, i64::MIN, None), u32::MAX);
    }
}
