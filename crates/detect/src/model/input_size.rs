//! The size of a model's input: its own, a part of it that a picture covers, or another width where the model allows that.

use super::Model;
use crate::layout::coarsest_stride;

/// Widths of the input that may be chosen, as shares of the model's own.
const WIDTH_SHARES: [f32; 4] = [0.8, 1.0, 1.2, 1.4];

impl Model {
    /// Widths of the input, px, that it can infer, the narrowest first. Only its own where its size can't be changed: on a device that
    /// infers pictures of several videos at once, on servers, and for a model with constants for one size.
    pub fn input_widths(&self) -> Vec<u32> {
        let own = self.info.input_width;
        if !self.info.is_trimmed {
            return vec![own as u32];
        }
        let stride = self.stride();
        let near = |share: f32| ((own as f32 * share / stride as f32).round() as usize).max(1) * stride;
        let mut widths: Vec<u32> = WIDTH_SHARES
            .into_iter()
            .map(|share| if share == 1.0 { own } else { near(share) } as u32)
            .collect();
        widths.sort_unstable();
        widths.dedup();
        widths
    }

    /// The multiple that an input's sides must have, px.
    pub(super) fn stride(&self) -> usize {
        coarsest_stride(self.info.input_width, self.info.input_height, &self.reading.layout)
    }

    /// The input size, px, for a picture of `width` × `height` px; `input_width`: one of [`Self::input_widths`] instead of its own.
    pub(crate) fn size_for(&self, width: u32, height: u32, input_width: Option<u32>) -> (usize, usize) {
        match &self.local {
            Some(local) if self.info.is_trimmed => {
                let stride = self.stride();
                let form = match input_width {
                    Some(px) if px as usize != local.form.width => local.form.of_width(px as usize, stride),
                    _ => local.form,
                };
                let trimmed = form.trimmed(width, height, stride);
                (trimmed.width, trimmed.height)
            }
            _ => (self.info.input_width, self.info.input_height),
        }
    }
}
