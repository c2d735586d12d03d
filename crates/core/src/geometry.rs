//! Points, boxes and segments in picture pixels: x to the right, y down, the origin at the top left.

use serde::{Deserialize, Serialize};

/// A point in the picture, px.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// To the right, px.
    pub x: f32,
    /// Down, px.
    pub y: f32,
}

impl Point {
    /// The point at (`x`, `y`), px.
    pub const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }

    /// Euclidean distance, px.
    pub fn distance(self, other: Self) -> f32 {
        (self.x - other.x).hypot(self.y - other.y)
    }
}

/// An axis-parallel box, px. Width and height are not negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rect {
    /// Left edge, px.
    pub x: f32,
    /// Top edge, px.
    pub y: f32,
    /// px.
    pub width: f32,
    /// px.
    pub height: f32,
}

impl Rect {
    /// From the top left corner and the size.
    pub const fn new(x: f32, y: f32, width: f32, height: f32) -> Self {
        Self { x, y, width, height }
    }

    /// From the centre and the size.
    pub fn from_center(center: Point, width: f32, height: f32) -> Self {
        Self { x: center.x - width / 2.0, y: center.y - height / 2.0, width, height }
    }

    /// From two opposite corners; an inverted box becomes an empty one.
    pub fn from_corners(left: f32, top: f32, right: f32, bottom: f32) -> Self {
        Self { x: left, y: top, width: (right - left).max(0.0), height: (bottom - top).max(0.0) }
    }

    /// The same at another scale.
    pub fn scaled(self, factor: f32) -> Self {
        Self::new(self.x * factor, self.y * factor, self.width * factor, self.height * factor)
    }

    /// Right edge, px.
    pub fn right(self) -> f32 {
        self.x + self.width
    }

    /// Bottom edge, px.
    pub fn bottom(self) -> f32 {
        self.y + self.height
    }

    /// The middle.
    pub fn center(self) -> Point {
        Point::new(self.x + self.width / 2.0, self.y + self.height / 2.0)
    }

    /// px².
    pub fn area(self) -> f32 {
        self.width * self.height
    }

    /// Area of the intersection, px²; 0 if the boxes don't overlap.
    pub fn intersection_area(self, other: Self) -> f32 {
        let width = self.right().min(other.right()) - self.x.max(other.x);
        let height = self.bottom().min(other.bottom()) - self.y.max(other.y);
        if width <= 0.0 || height <= 0.0 { 0.0 } else { width * height }
    }

    /// The smallest box around both.
    pub fn union(self, other: Self) -> Self {
        let (left, top) = (self.x.min(other.x), self.y.min(other.y));
        Self::from_corners(left, top, self.right().max(other.right()), self.bottom().max(other.bottom()))
    }

    /// Intersection over union, 0 to 1; 0 for empty boxes.
    pub fn iou(self, other: Self) -> f32 {
        let intersection = self.intersection_area(other);
        let union = self.area() + other.area() - intersection;
        if union > 0.0 { intersection / union } else { 0.0 }
    }

    /// The part inside a picture of `width` × `height` px; empty if there is none.
    pub fn clipped(self, width: f32, height: f32) -> Self {
        Self::from_corners(
            self.x.clamp(0.0, width),
            self.y.clamp(0.0, height),
            self.right().clamp(0.0, width),
            self.bottom().clamp(0.0, height),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iou_of_equal_disjoint_empty_and_half_covered_boxes() {
        let unit = Rect::new(0.0, 0.0, 2.0, 2.0);
        assert_eq!(unit.iou(unit), 1.0);
        assert_eq!(unit.iou(Rect::new(5.0, 0.0, 2.0, 2.0)), 0.0);
        assert_eq!(Rect::default().iou(Rect::default()), 0.0);
        assert_eq!(unit.iou(Rect::new(0.0, 0.0, 2.0, 1.0)), 0.5);
    }

    #[test]
    fn clipping_keeps_only_what_lies_in_the_picture() {
        assert_eq!(Rect::new(-5.0, 2.0, 10.0, 10.0).clipped(8.0, 8.0), Rect::new(0.0, 2.0, 5.0, 6.0));
        assert_eq!(Rect::new(20.0, 20.0, 5.0, 5.0).clipped(8.0, 8.0).area(), 0.0);
    }
}
