//! Who crossed a line, read off the true paths and not off what a tracker makes of them.

use pigweight_core::geometry::{Point, Rect};
use pigweight_core::line::{Direction, Line};
use std::collections::BTreeMap;

/// An animal on a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrueBox {
    /// Which animal, from 1; never given again.
    pub id: u32,
    /// The axis-parallel box round its body, shadow left out, px, clipped to the picture.
    pub rect: Rect,
    /// The middle of the whole body's box, px.
    pub center: Point,
}

/// A true passage over a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrueCrossing {
    /// Which way.
    pub direction: Direction,
    /// When the middle of the body went over the line, to stay on the other side.
    pub secs: f64,
    /// Which animal.
    pub id: u32,
}

/// Follows the middles of bodies over a line. An animal has changed sides when its middle is a quarter of the body's
/// extent past the line; until then it only stands on it.
pub(super) struct Passages {
    line: Line,
    sides: BTreeMap<u32, Side>,
    pub(super) crossings: Vec<TrueCrossing>,
}

#[derive(Default)]
struct Side {
    /// 1 right of the arrow, -1 left, 0 not yet known.
    settled: i8,
    last: Option<Point>,
    /// When the middle came over the line, and whether between its ends.
    over: Option<(f64, bool)>,
}

impl Passages {
    pub(super) fn new(line: Line) -> Self {
        Self { line, sides: BTreeMap::new(), crossings: Vec::new() }
    }

    pub(super) fn follow(&mut self, secs: f64, id: u32, body: Rect) {
        let (start, end) = (self.line.start, self.line.end);
        let (along_x, along_y) = (end.x - start.x, end.y - start.y);
        let length = along_x.hypot(along_y);
        let center = body.center();
        let right_px = (along_x * (center.y - start.y) - along_y * (center.x - start.x)) / length;
        let clear_px = (along_y.abs() * body.width + along_x.abs() * body.height) / length / 4.0;
        let place = if right_px > 0.0 { 1 } else { -1 };
        let side = self.sides.entry(id).or_default();
        let last = side.last.replace(center).unwrap_or(center);
        if side.settled == 0 || side.settled == place {
            side.over = None;
            if right_px.abs() > clear_px {
                side.settled = place;
            }
            return;
        }
        let share =
            ((last.x + center.x) / 2.0 - start.x) * along_x + ((last.y + center.y) / 2.0 - start.y) * along_y;
        let is_between = (0.0..=length * length).contains(&share);
        let (over_secs, is_through) = *side.over.get_or_insert((secs, is_between));
        if right_px.abs() > clear_px {
            side.settled = place;
            side.over = None;
            if is_through {
                let direction = if place > 0 { Direction::Forward } else { Direction::Backward };
                self.crossings.push(TrueCrossing { direction, secs: over_secs, id });
            }
        }
    }
}
