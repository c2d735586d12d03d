//! A decoded picture, passed from the decoder to its consumers: 8-bit planes and their layout.

use crate::geometry::Rect;

/// One plane of 8-bit samples.
#[derive(Clone, Copy, Debug)]
pub struct Plane<'a> {
    /// At least `stride * (rows - 1) + columns` samples.
    pub samples: &'a [u8],
    /// Samples from the start of a row to the start of the next.
    pub stride: usize,
}

/// The matrix that converts luma and chroma to RGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ColorMatrix {
    /// ITU-R BT.601, also used by JPEG.
    Bt601,
    /// ITU-R BT.709.
    Bt709,
}

/// The planes of a picture.
#[derive(Clone, Copy, Debug)]
pub enum Planes<'a> {
    /// Luma and two chroma planes.
    Yuv {
        /// Full size.
        y: Plane<'a>,
        /// Subsampled by the shifts, blue difference.
        u: Plane<'a>,
        /// Subsampled by the shifts, red difference.
        v: Plane<'a>,
        /// log2 of the horizontal subsampling of chroma: 1 for 4:2:0 and 4:2:2, 0 for 4:4:4.
        chroma_shift_x: u8,
        /// log2 of the vertical subsampling of chroma: 1 for 4:2:0.
        chroma_shift_y: u8,
        /// The conversion to RGB.
        matrix: ColorMatrix,
        /// Luma 0–255 (JPEG) rather than 16–235.
        full_range: bool,
    },
    /// Interleaved red, green and blue samples, full range.
    Rgb(Plane<'a>),
}

/// An upright picture, borrowed from its decoder.
#[derive(Clone, Copy, Debug)]
pub struct PictureView<'a> {
    /// px.
    pub width: u32,
    /// px.
    pub height: u32,
    /// The samples.
    pub planes: Planes<'a>,
}

impl<'a> PictureView<'a> {
    /// The part of it that `rect` covers, as far as there is one, and where its left top corner lies, px. It begins at whole chroma samples, and
    /// is at least one px wide and high. Nothing is copied.
    pub fn cropped(&self, rect: Rect) -> (Self, (u32, u32)) {
        let (step_x, step_y) = match self.planes {
            Planes::Yuv { chroma_shift_x, chroma_shift_y, .. } => (1 << chroma_shift_x, 1 << chroma_shift_y),
            Planes::Rgb(_) => (1, 1),
        };
        let begins = |from: f32, side: u32, step: u32| {
            (from.max(0.0) as u32).min(side.saturating_sub(1)) / step * step
        };
        let (left, top) = (begins(rect.x, self.width, step_x), begins(rect.y, self.height, step_y));
        let ends =
            |to: f32, begin: u32, side: u32| (to.max(0.0).ceil() as u32).clamp((begin + 1).min(side), side);
        let (right, bottom) = (ends(rect.right(), left, self.width), ends(rect.bottom(), top, self.height));
        let from = |plane: Plane<'a>, x: u32, y: u32| Plane {
            samples: plane.samples.get(y as usize * plane.stride + x as usize..).unwrap_or(&[]),
            stride: plane.stride,
        };
        let planes = match self.planes {
            Planes::Yuv { y, u, v, chroma_shift_x, chroma_shift_y, matrix, full_range } => {
                let chroma = |plane| from(plane, left >> chroma_shift_x, top >> chroma_shift_y);
                let (y, u, v) = (from(y, left, top), chroma(u), chroma(v));
                Planes::Yuv { y, u, v, chroma_shift_x, chroma_shift_y, matrix, full_range }
            }
            Planes::Rgb(plane) => Planes::Rgb(from(plane, 3 * left, top)),
        };
        (Self { width: right - left, height: bottom - top, planes }, (left, top))
    }
}

/// A picture with its own samples.
pub trait Viewable {
    /// The samples.
    fn view(&self) -> PictureView<'_>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_picture_begins_at_whole_chroma_samples_and_stays_within_it() {
        let luma: Vec<u8> = (0..48).collect();
        let chroma: Vec<u8> = (0..12).collect();
        let plane = |samples, stride| Plane { samples, stride };
        let planes = Planes::Yuv {
            y: plane(&luma[..], 8),
            u: plane(&chroma[..], 4),
            v: plane(&chroma[..], 4),
            chroma_shift_x: 1,
            chroma_shift_y: 1,
            matrix: ColorMatrix::Bt601,
            full_range: true,
        };
        let picture = PictureView { width: 8, height: 6, planes };
        let cases = [
            (Rect::new(3.0, 2.5, 3.2, 2.0), (2, 2), (5, 3)),
            (Rect::new(-5.0, -5.0, 100.0, 100.0), (0, 0), (8, 6)),
            (Rect::new(100.0, 100.0, 5.0, 5.0), (6, 4), (2, 2)),
            (Rect::new(1.0, 1.0, 0.0, 0.0), (0, 0), (1, 1)),
            (Rect::new(f32::NAN, 0.0, 4.0, 4.0), (0, 0), (1, 4)),
        ];
        for (rect, corner, size) in cases {
            let (part, found) = picture.cropped(rect);
            assert_eq!((found, (part.width, part.height)), (corner, size), "{rect:?}");
            let Planes::Yuv { y, u, .. } = part.planes else { panic!("planes of another kind") };
            assert_eq!(u32::from(y.samples[0]), corner.1 * 8 + corner.0);
            assert_eq!(u32::from(u.samples[0]), corner.1 / 2 * 4 + corner.0 / 2);
        }
        let pixels: Vec<u8> = (0..48).collect();
        let picture = PictureView { width: 4, height: 4, planes: Planes::Rgb(plane(&pixels, 12)) };
        let (part, corner) = picture.cropped(Rect::new(1.0, 2.0, 2.0, 1.0));
        let Planes::Rgb(found) = part.planes else { panic!("planes of another kind") };
        assert_eq!((corner, (part.width, part.height), found.samples[0]), ((1, 2), (2, 1), 27));
    }
}
