//! Draws boxes into a picture that is sent as JPEG.

use pigweight_core::geometry::Rect;

/// Luma and chroma of a box's outline, full range BT.601.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ink {
    /// Luma.
    pub y: u8,
    /// Blue difference.
    pub u: u8,
    /// Red difference.
    pub v: u8,
}

impl Ink {
    /// Measured: yellow, readable on pink, brown, black and infrared grey alike.
    pub const MEASURED: Self = Self { y: 210, u: 16, v: 146 };
    /// Interpolated: the same, dimmed; drawn dashed, so that colour isn't the only sign.
    pub const INTERPOLATED: Self = Self { y: 180, u: 60, v: 138 };
}

/// A box to draw.
#[derive(Clone, Copy, Debug)]
pub struct OverlayBox {
    /// px of the picture it was detected on.
    pub rect: Rect,
    /// Solid if measured, dashed if interpolated.
    pub is_measured: bool,
}

/// One plane to draw on.
pub(crate) struct Canvas<'a> {
    pub samples: &'a mut [u8],
    pub width: usize,
    pub height: usize,
}

impl Canvas<'_> {
    /// The outline of `rect`, px of this plane, `thickness` px wide, inside the box. Dashes are `dash` px long.
    pub(crate) fn outline(&mut self, rect: Rect, thickness: usize, dash: Option<usize>, value: u8) {
        let inside = rect.clipped(self.width as f32, self.height as f32);
        let (left, top) = (inside.x as usize, inside.y as usize);
        let (right, bottom) = (inside.right() as usize, inside.bottom() as usize);
        let is_drawn = |along: usize| dash.is_none_or(|dash| (along / dash.max(1)).is_multiple_of(2));
        for y in top..bottom {
            let is_edge_row = y < top + thickness || y + thickness >= bottom;
            for x in left..right {
                let is_edge_column = x < left + thickness || x + thickness >= right;
                let along = if is_edge_row { x - left } else { y - top };
                if (is_edge_row || is_edge_column) && is_drawn(along) {
                    self.samples[y * self.width + x] = value;
                }
            }
        }
    }
}
