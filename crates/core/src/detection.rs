//! A detector's results for one frame.

use crate::geometry::Rect;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// Corners of boxes are rounded to a grid of this many px before tracking. So stored boxes are exactly
/// the tracked ones, and analysing stored detections again gives the same count. One px of the picture is finer than
/// one px of a detector's input, and each halving costs half a byte a box.
pub const GRID_PX: f32 = 1.0;

/// Scores are stored in steps of `1 / SCORE_STEPS`.
pub const SCORE_STEPS: f32 = 100.0;

/// A box with a score on one frame.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Position, px of the upright frame.
    pub rect: Rect,
    /// Confidence, 0 to 1.
    pub score: f32,
    /// Index of the class in the model's own list.
    pub class: u16,
}

impl Detection {
    /// The same detection on the stored grid ([`GRID_PX`], [`SCORE_STEPS`]). No corner moves by more than half
    /// a step, except if a side would vanish: it becomes a whole step long.
    pub fn on_grid(self) -> Self {
        let snap = |px: f32| (px / GRID_PX).round() * GRID_PX;
        let Rect { x, y, width, height } = self.rect;
        let side = |from: f32, to: f32| (snap(to) - snap(from)).max(GRID_PX);
        Self {
            rect: Rect::new(snap(x), snap(y), side(x, x + width), side(y, y + height)),
            score: (self.score * SCORE_STEPS).round() / SCORE_STEPS,
            class: self.class,
        }
    }

    /// A frame's detections as they are tracked: on the stored grid, from `least_score` on, the highest score first. Scores are compared after
    /// rounding, and ties are broken by what is stored, so that tracking what was stored gives the same tracks.
    pub fn tracked_from(detections: impl IntoIterator<Item = Self>, least_score: f32) -> Vec<Self> {
        let on_grid = detections.into_iter().map(Self::on_grid);
        // A threshold that was computed may be a hair above the hundredth that it stands for.
        let is_enough = |found: &Self| found.score >= least_score - 1e-5;
        let mut tracked: Vec<Self> = on_grid.filter(is_enough).collect();
        let place = |found: &Self| [found.rect.x, found.rect.y, found.rect.width, found.rect.height];
        tracked.sort_by(|one, other| {
            let scores = other.score.total_cmp(&one.score);
            let places = place(one)
                .iter()
                .zip(place(other))
                .map(|(one, other)| one.total_cmp(&other))
                .find(|order| order.is_ne());
            scores.then(places.unwrap_or(Ordering::Equal)).then(one.class.cmp(&other.class))
        });
        tracked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tracked_does_not_depend_on_the_order_or_on_having_been_stored() {
        let at = |x: f32, score: f32| Detection { rect: Rect::new(x, 3.3, 20.0, 10.0), score, class: 0 };
        // 0.0951 is stored as 0.1, 0.0949 as 0.09.
        let found = [at(1.0, 0.0951), at(50.2, 0.5), at(40.4, 0.501), at(90.0, 0.0949), at(9.0, 0.9)];
        let tracked = Detection::tracked_from(found, 0.1);
        assert_eq!(tracked.iter().map(|found| found.rect.x).collect::<Vec<_>>(), [9.0, 40.0, 50.0, 1.0]);
        assert_eq!(Detection::tracked_from(found.into_iter().rev(), 0.1), tracked);
        assert_eq!(Detection::tracked_from(tracked.clone(), 0.1), tracked);
        assert_eq!(Detection::tracked_from(found, 0.6 / 6.0), tracked);
    }

    #[test]
    fn quantisation_moves_no_corner_by_more_than_half_a_step_and_keeps_every_box() {
        let boxes = [
            (10.49, 20.51, 30.02, 5.0),
            (-3.5, 0.0, 7.25, 0.75),
            (100.2, 7.4, 0.1, 0.2), // thinner than a step
        ];
        for (x, y, width, height) in boxes {
            let raw = Detection { rect: Rect::new(x, y, width, height), score: 0.4567, class: 2 };
            let Detection { rect, score, class } = raw.on_grid();
            for (place, snapped) in [(x, rect.x), (y, rect.y)] {
                assert!((place - snapped).abs() <= GRID_PX / 2.0, "{raw:?}");
            }
            for (place, snapped) in [(x + width, rect.right()), (y + height, rect.bottom())] {
                assert!((place - snapped).abs() <= GRID_PX, "{raw:?}"); // a whole step where a side would vanish
            }
            assert!(rect.width >= GRID_PX && rect.height >= GRID_PX, "{raw:?}");
            assert_eq!((score, class), (0.46, 2));
            assert_eq!(raw.on_grid().on_grid(), raw.on_grid());
        }
    }
}
