//! A line's position, and its position on a recording of another size.

use crate::error::Result;
use pigweight_core::geometry::Point;
use pigweight_core::line::Line;
use sqlx::FromRow;

/// Aspects that differ by no more than this are the same: encoders round sizes up to whole blocks.
const ASPECT_TOLERANCE: f64 = 0.01;
/// Moves by less than this are none: numbers that went through a page and back.
const SAME_PLACE_PX: f64 = 0.01;

/// A directed segment, px of the upright picture that it was drawn on.
#[derive(Clone, Copy, Debug, PartialEq, FromRow)]
pub struct LineGeometry {
    /// Start, px.
    pub x1_px: f64,
    /// Start, px.
    pub y1_px: f64,
    /// End, px.
    pub x2_px: f64,
    /// End, px.
    pub y2_px: f64,
    /// Of the picture, px; `None` if it was not known when the line was drawn.
    pub picture_width_px: Option<i64>,
    /// Of the picture, px; `None` if it was not known when the line was drawn.
    pub picture_height_px: Option<i64>,
}

impl LineGeometry {
    /// The segment on the picture that it was drawn on.
    ///
    /// # Errors
    /// If the ends make no line.
    pub fn line(&self) -> Result<Line> {
        let [x1, y1, x2, y2] = [self.x1_px, self.y1_px, self.x2_px, self.y2_px].map(|px| px as f32);
        Ok(Line::new(Point::new(x1, y1), Point::new(x2, y2))?)
    }

    /// The same line on a picture of another size; `None` if that has another aspect. Where one of the sizes is not known, the
    /// line stays as it is.
    pub fn scaled_to(&self, width_px: Option<i64>, height_px: Option<i64>) -> Option<Self> {
        let (Some(width), Some(height)) = (width_px, height_px) else { return Some(*self) };
        let (Some(drawn_width), Some(drawn_height)) = (self.picture_width_px, self.picture_height_px) else {
            return Some(*self);
        };
        if (drawn_width, drawn_height) == (width, height) {
            return Some(*self);
        }
        let [width, height, drawn_width, drawn_height] =
            [width, height, drawn_width, drawn_height].map(|px| px.max(1) as f64);
        let aspect = (width / height) / (drawn_width / drawn_height);
        if (aspect - 1.0).abs() > ASPECT_TOLERANCE {
            return None;
        }
        let (across, down) = (width / drawn_width, height / drawn_height);
        Some(Self {
            x1_px: self.x1_px * across,
            y1_px: self.y1_px * down,
            x2_px: self.x2_px * across,
            y2_px: self.y2_px * down,
            picture_width_px: width_px,
            picture_height_px: height_px,
        })
    }

    /// Whether both are the same place, on whichever picture each was drawn.
    pub fn is_same_place(&self, other: &Self) -> bool {
        let Some(scaled) = self.scaled_to(other.picture_width_px, other.picture_height_px) else {
            return false;
        };
        let ends = |line: &Self| [line.x1_px, line.y1_px, line.x2_px, line.y2_px];
        ends(&scaled).iter().zip(ends(other)).all(|(one, other)| (one - other).abs() < SAME_PLACE_PX)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
    use super::*;

    fn drawn(picture: Option<(i64, i64)>) -> LineGeometry {
        LineGeometry {
            x1_px: 100.0,
            y1_px: 0.0,
            x2_px: 100.0,
            y2_px: 720.0,
            picture_width_px: picture.map(|(width, _)| width),
            picture_height_px: picture.map(|(_, height)| height),
        }
    }

    #[test]
    fn a_line_is_scaled_to_the_same_aspect_and_holds_for_no_other() {
        let line = drawn(Some((1280, 720)));
        let half = line.scaled_to(Some(640), Some(360)).unwrap();
        assert_eq!((half.x1_px, half.y2_px, half.picture_width_px), (50.0, 360.0, Some(640)));
        assert!(line.is_same_place(&half) && half.is_same_place(&line));
        // 1920 × 1088 is 16:9 in whole blocks.
        assert!(line.scaled_to(Some(1920), Some(1088)).is_some());
        assert!(line.scaled_to(Some(720), Some(1280)).is_none());
        assert!(line.scaled_to(Some(640), Some(480)).is_none());
        assert_eq!(line.scaled_to(None, Some(480)), Some(line));
        assert_eq!(drawn(None).scaled_to(Some(640), Some(480)), Some(drawn(None)));
        assert!(!line.is_same_place(&LineGeometry { x1_px: 101.0, ..line }));
    }
}
