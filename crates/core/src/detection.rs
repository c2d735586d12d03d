//! What a detector says about one frame.

use crate::geometry::Rect;
use serde::{Deserialize, Serialize};

/// Boxes are kept on a grid of this many px, from the moment they are made. What is stored is then exactly
/// what was tracked, and analysing stored detections again gives the same count.
pub const GRID_PX: f32 = 0.5;

/// Scores are kept in steps of `1 / SCORE_STEPS`.
pub const SCORE_STEPS: f32 = 100.0;

/// A box with a score on one frame.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Where, px of the upright frame.
    pub rect: Rect,
    /// How sure, 0 to 1.
    pub score: f32,
    /// Index of the class in the model's own list.
    pub class: u16,
}

impl Detection {
    /// The same detection on the grid that is stored ([`GRID_PX`], [`SCORE_STEPS`]).
    pub fn on_grid(self) -> Self {
        let snap = |px: f32| (px / GRID_PX).round() * GRID_PX;
        let Rect { x, y, width, height } = self.rect;
        Self {
            rect: Rect::new(snap(x), snap(y), snap(width), snap(height)),
            score: (self.score * SCORE_STEPS).round() / SCORE_STEPS,
            class: self.class,
        }
    }
}
