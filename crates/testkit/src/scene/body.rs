//! The shape of a pig from above: where its parts are, and the box round them.
//!
//! Parts are measured in body lengths, from the snout at u = 0.5 to the tail at u = -0.5; v is to the right. The back
//! bends along a parabola. Painting and truth use these same numbers, so they cannot part.

use pigweight_core::geometry::{Point, Rect};

/// How a body lies at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pose {
    pub(super) x: f32,
    pub(super) y: f32,
    /// Radians; 0 looks to the right, a quarter turn looks down.
    pub(super) heading: f32,
    /// Of the back, per body length: positive bends to the right.
    pub(super) bend: f32,
    /// Of the gait, radians.
    pub(super) stride: f32,
}

/// What an animal keeps for life.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body {
    pub(super) length_px: f32,
    /// Breadth over that of a usual pig.
    pub(super) girth: f32,
}

/// An ellipse in body lengths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) u: f32,
    pub(super) v: f32,
    pub(super) half_length: f32,
    pub(super) half_breadth: f32,
}

const fn part(u: f32, v: f32, half_length: f32, half_breadth: f32) -> Part {
    Part { u, v, half_length, half_breadth }
}

/// Rump, belly, shoulders and head, which flow into one another.
pub(super) const TORSO: [Part; 4] = [
    part(-0.20, 0.0, 0.215, 0.180),
    part(-0.01, 0.0, 0.270, 0.192),
    part(0.17, 0.0, 0.170, 0.160),
    part(0.335, 0.0, 0.120, 0.100),
];
pub(super) const SNOUT: Part = part(0.448, 0.0, 0.052, 0.052);
pub(super) const EARS: [Part; 2] = [part(0.285, -0.105, 0.060, 0.042), part(0.285, 0.105, 0.060, 0.042)];
/// What the flowing together adds at the most, body lengths.
pub(super) const BLEND: f32 = 0.05;

impl Pose {
    /// The pose a part of the way to the next one.
    pub(super) fn towards(self, next: Self, share: f32) -> Self {
        let way = |from: f32, to: f32| from + (to - from) * share;
        Self {
            x: way(self.x, next.x),
            y: way(self.y, next.y),
            heading: self.heading + wrapped(next.heading - self.heading) * share,
            bend: way(self.bend, next.bend),
            stride: way(self.stride, next.stride),
        }
    }

    fn curve(self, u: f32) -> f32 {
        self.bend * (u * u - 0.08)
    }

    /// From the body to the picture.
    pub(super) fn to_picture(self, body: Body, u: f32, v: f32) -> Point {
        let (sin, cos) = self.heading.sin_cos();
        let (along, across) = (u * body.length_px, (v * body.girth + self.curve(u)) * body.length_px);
        Point::new(self.x + cos * along - sin * across, self.y + sin * along + cos * across)
    }

    /// From the picture to the body, given the heading's sine and cosine.
    pub(super) fn to_body(self, body: Body, (sin, cos): (f32, f32), x: f32, y: f32) -> (f32, f32) {
        let (x, y) = ((x - self.x) / body.length_px, (y - self.y) / body.length_px);
        let u = cos * x + sin * y;
        (u, (cos * y - sin * x - self.curve(u)) / body.girth)
    }

    /// The tail, which wags with the gait.
    pub(super) fn tail(self) -> Part {
        part(-0.455, 0.018 * self.stride.sin(), 0.045, 0.016)
    }

    /// The feet, which show beside the body in turn.
    pub(super) fn feet(self) -> [Part; 4] {
        let swing = 0.05 * self.stride.sin();
        [
            part(0.21 + swing, -0.150, 0.045, 0.030),
            part(0.21 - swing, 0.150, 0.045, 0.030),
            part(-0.25 - swing, -0.162, 0.045, 0.030),
            part(-0.25 + swing, 0.162, 0.045, 0.030),
        ]
    }

    /// The axis-parallel box round all that is drawn of the body, shadow left out; not clipped to the picture.
    pub(super) fn outline(self, body: Body) -> Rect {
        /// Points on each part's edge.
        const POINTS: u8 = 24;
        let (mut left, mut top, mut right, mut bottom) = (f32::MAX, f32::MAX, f32::MIN, f32::MIN);
        let parts = TORSO.into_iter().chain([SNOUT, self.tail()]).chain(EARS).chain(self.feet());
        for Part { u, v, half_length, half_breadth } in parts {
            for point in 0..POINTS {
                let (sin, cos) = (f32::from(point) / f32::from(POINTS) * std::f32::consts::TAU).sin_cos();
                let Point { x, y } = self.to_picture(body, u + half_length * cos, v + half_breadth * sin);
                (left, right) = (left.min(x), right.max(x));
                (top, bottom) = (top.min(y), bottom.max(y));
            }
        }
        Rect::from_corners(left, top, right, bottom)
    }
}

impl Part {
    /// How far a point lies outside the edge, about, in body lengths; negative inside.
    pub(super) fn distance(self, u: f32, v: f32) -> f32 {
        let (u, v) = ((u - self.u) / self.half_length, (v - self.v) / self.half_breadth);
        let radius = u.hypot(v);
        let slope = (u / self.half_length).hypot(v / self.half_breadth);
        if slope < 1e-6 { -self.half_breadth } else { (radius - 1.0) * radius / slope }
    }
}

/// An angle from -π to π.
pub(super) fn wrapped(angle: f32) -> f32 {
    use std::f32::consts::{PI, TAU};
    (angle + PI).rem_euclid(TAU) - PI
}
