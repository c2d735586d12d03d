//! A picture of tightly packed RGB samples that is drawn on.

/// A colour, 0 to 255 each; red, green, blue.
pub(super) type Color = [f32; 3];

#[derive(Clone, Debug)]
pub(super) struct Canvas {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) rgb: Vec<u8>,
}

impl Canvas {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, height, rgb: vec![0; width * height * 3] }
    }

    /// Where a pixel's samples begin.
    pub(super) fn place(&self, x: usize, y: usize) -> usize {
        (y * self.width + x) * 3
    }

    /// Lays a colour over a pixel; `cover` 0 leaves it, 1 hides it.
    pub(super) fn cover(&mut self, place: usize, color: Color, cover: f32) {
        for (sample, wanted) in self.rgb[place..place + 3].iter_mut().zip(color) {
            let now = f32::from(*sample);
            *sample = (now + (wanted - now) * cover + 0.5) as u8;
        }
    }

    /// The pixels of a box as far as it lies on the picture.
    pub(super) fn pixels(
        &self,
        [left, top, right, bottom]: [f32; 4],
    ) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let clip = |px: f32, limit: usize| (px.max(0.0) as usize).min(limit);
        (
            clip(left.floor(), self.width)..clip(right.ceil(), self.width),
            clip(top.floor(), self.height)..clip(bottom.ceil(), self.height),
        )
    }

    /// Fills a rectangle.
    pub(super) fn fill(&mut self, corners: [f32; 4], color: Color) {
        let (columns, rows) = self.pixels(corners);
        for y in rows {
            for x in columns.clone() {
                let place = self.place(x, y);
                self.cover(place, color, 1.0);
            }
        }
    }

    /// Fills a disc with a smooth edge.
    pub(super) fn disc(&mut self, (x, y): (f32, f32), radius: f32, color: Color) {
        let (columns, rows) =
            self.pixels([x - radius - 1.0, y - radius - 1.0, x + radius + 1.0, y + radius + 1.0]);
        for row in rows {
            for column in columns.clone() {
                let distance = (column as f32 + 0.5 - x).hypot(row as f32 + 0.5 - y);
                let place = self.place(column, row);
                self.cover(place, color, (radius + 0.5 - distance).clamp(0.0, 1.0));
            }
        }
    }

    /// Swaps left and right.
    pub(super) fn mirror(&mut self) {
        for row in self.rgb.chunks_exact_mut(self.width * 3) {
            for x in 0..self.width / 2 {
                let other = self.width - 1 - x;
                for sample in 0..3 {
                    row.swap(x * 3 + sample, other * 3 + sample);
                }
            }
        }
    }
}
