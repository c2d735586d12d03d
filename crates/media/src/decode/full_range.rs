//! Samples as JPEG needs them: full range, BT.601, tightly packed.
//!
//! Uses 16-bit integers over rows, which compilers vectorise on any processor; results are within one step of
//! real arithmetic.

use crate::decode::picture::subsampled;
use pigweight_core::picture::{ColorMatrix, PictureView, Plane, Planes};

/// Y, U and V planes without gaps, consecutive.
pub(crate) struct FullRange {
    pub samples: Vec<u8>,
    pub size: Size,
}

/// Sizes of the planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// Of luma.
    pub width: usize,
    /// Of luma.
    pub height: usize,
    /// Of chroma.
    pub columns: usize,
    /// Of chroma.
    pub rows: usize,
    /// log2 of the subsampling of chroma.
    pub shift_x: u8,
    pub shift_y: u8,
}

impl Size {
    fn of(picture: &PictureView<'_>, shift_x: u8, shift_y: u8) -> Self {
        Self {
            width: picture.width as usize,
            height: picture.height as usize,
            columns: subsampled(picture.width, shift_x),
            rows: subsampled(picture.height, shift_y),
            shift_x,
            shift_y,
        }
    }

    /// The planes of these samples.
    pub(crate) fn split(self, samples: &mut [u8]) -> [&mut [u8]; 3] {
        let (y, chroma) = samples.split_at_mut(self.width * self.height);
        let (u, v) = chroma.split_at_mut(self.columns * self.rows);
        [y, u, v]
    }

    fn grey(self) -> Vec<u8> {
        vec![GREY; self.width * self.height + 2 * self.columns * self.rows]
    }
}

/// For planes that libav left out (a damaged frame).
const GREY: u8 = 128;

impl FullRange {
    /// A copy of the picture's samples.
    pub(crate) fn of(picture: PictureView<'_>) -> Self {
        match picture.planes {
            Planes::Rgb(plane) => {
                let size = Size::of(&picture, 0, 0);
                let mut samples = size.grey();
                from_rgb(plane, size.width, size.split(&mut samples));
                Self { samples, size }
            }
            Planes::Yuv { y, u, v, chroma_shift_x, chroma_shift_y, matrix, full_range } => {
                let size = Size::of(&picture, chroma_shift_x, chroma_shift_y);
                let mut samples = size.grey();
                from_yuv([y, u, v], matrix, full_range, size, size.split(&mut samples));
                Self { samples, size }
            }
        }
    }
}

/// Row by row, so that a row stays in the cache for all steps.
///
/// Both matrices meet in RGB; the product of one's inverse with the other (full range, ITU-R BT.601-7 and BT.709-6
/// coefficients) is this, with Cb and Cr around 0:
///
/// ```text
/// Y + 0.10166 Cb + 0.19180 Cr      in 1/256
/// 0.98999 Cb - 0.11064 Cr          in 1/512, the whole one apart
/// 0.98367 Cr - 0.07248 Cb
/// ```
fn from_yuv(
    [from_y, from_u, from_v]: [Plane<'_>; 3],
    matrix: ColorMatrix,
    is_full: bool,
    size: Size,
    [y, u, v]: [&mut [u8]; 3],
) {
    let Size { width, columns, shift_x, shift_y, .. } = size;
    let is_bt709 = matrix == ColorMatrix::Bt709;
    let mut added = vec![0_i16; columns];
    let mut wide = vec![0_i16; width];
    let chroma = u.chunks_exact_mut(columns).zip(v.chunks_exact_mut(columns));
    for (row, (u, v)) in chroma.enumerate() {
        copy_row(from_u, row, u);
        copy_row(from_v, row, v);
        if !is_full {
            u.iter_mut().chain(&mut *v).for_each(stretch_chroma);
        }
        if is_bt709 {
            for ((added, u), v) in added.iter_mut().zip(&mut *u).zip(&mut *v) {
                let (cb, cr) = (centred(*u), centred(*v));
                *added = (26 * cb + 49 * cr + 128) >> 8;
                *u = (128 + cb + ((-5 * cb - 57 * cr + 256) >> 9)).clamp(0, 255) as u8;
                *v = (128 + cr + ((-8 * cr - 37 * cb + 256) >> 9)).clamp(0, 255) as u8;
            }
            if shift_x == 0 {
                wide.copy_from_slice(&added);
            } else {
                for (pair, &added) in wide.chunks_mut(1 << shift_x).zip(&added) {
                    pair.fill(added);
                }
            }
        }
        let first = row << shift_y;
        let lines = y.chunks_exact_mut(width).enumerate().skip(first).take(1 << shift_y);
        for (row, line) in lines {
            copy_row(from_y, row, line);
            match (is_full, is_bt709) {
                (true, false) => {}
                (false, false) => line.iter_mut().for_each(|luma| *luma = stretched(*luma) as u8),
                (true, true) => add(line, &wide, i16::from),
                (false, true) => add(line, &wide, stretched),
            }
        }
    }
}

fn copy_row(from: Plane<'_>, row: usize, to: &mut [u8]) {
    // Missing samples stay grey.
    if let Some(line) = from.samples.get(row * from.stride..row * from.stride + to.len()) {
        to.copy_from_slice(line);
    }
}

#[inline(always)]
fn add(line: &mut [u8], added: &[i16], of: impl Fn(u8) -> i16) {
    for (luma, &added) in line.iter_mut().zip(added) {
        *luma = (of(*luma) + added).clamp(0, 255) as u8;
    }
}

fn centred(chroma: u8) -> i16 {
    i16::from(chroma) - 128
}

/// 16–235 to 0–255 (ITU-R BT.601-7, 2.5.3): by 1 + 42/256.
fn stretched(luma: u8) -> i16 {
    let above_black = i16::from(luma) - 16;
    (above_black + ((above_black * 42 + 128) >> 8)).clamp(0, 255)
}

/// 16–240 around 128 to 0–255: by 1 + 71/512.
fn stretch_chroma(chroma: &mut u8) {
    let centred = centred(*chroma);
    *chroma = (128 + centred + ((centred * 71 + 256) >> 9)).clamp(0, 255) as u8;
}

/// JFIF's RGB to YCbCr (ITU-T T.871, 7).
fn from_rgb(plane: Plane<'_>, width: usize, [y, u, v]: [&mut [u8]; 3]) {
    for row in 0..y.len() / width.max(1) {
        let Some(line) = plane.samples.get(row * plane.stride..row * plane.stride + width * 3) else { break };
        for (x, rgb) in line.chunks_exact(3).enumerate() {
            let [r, g, b] = [f32::from(rgb[0]), f32::from(rgb[1]), f32::from(rgb[2])];
            let at = row * width + x;
            y[at] = (0.299 * r + 0.587 * g + 0.114 * b + 0.5) as u8;
            u[at] = (128.5 - 0.168_736 * r - 0.331_264 * g + 0.5 * b) as u8;
            v[at] = (128.5 + 0.5 * r - 0.418_688 * g - 0.081_312 * b) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(samples: [u8; 3], matrix: ColorMatrix, full_range: bool) -> [u8; 3] {
        let plane = |sample: &'static [u8]| Plane { samples: sample, stride: 2 };
        let [y, u, v] = samples.map(|sample| plane(Box::leak(Box::new([sample; 4]))));
        let (chroma_shift_x, chroma_shift_y) = (0, 0);
        let planes = Planes::Yuv { y, u, v, chroma_shift_x, chroma_shift_y, matrix, full_range };
        let mut full = FullRange::of(PictureView { width: 2, height: 2, planes });
        let [y, u, v] = full.size.split(&mut full.samples);
        [y[3], u[3], v[3]]
    }

    /// From limited BT.709 YCbCr through RGB to full BT.601 YCbCr in real numbers, for every luma and many chromas.
    #[test]
    fn samples_are_those_that_go_through_rgb() {
        for luma in 16..=235_u8 {
            for (cb, cr) in [(128, 128), (100, 170), (140, 120), (160, 90), (60, 200), (200, 60), (16, 128)] {
                let yf = (f64::from(luma) - 16.0) * 255.0 / 219.0;
                let [cbf, crf] = [cb, cr].map(|c| (f64::from(c) - 128.0) * 255.0 / 224.0);
                let r = yf + 1.5748 * crf;
                let g = yf - 0.187_324 * cbf - 0.468_124 * crf;
                let b = yf + 1.8556 * cbf;
                let expected_y = 0.299 * r + 0.587 * g + 0.114 * b;
                let expected =
                    [expected_y, 128.0 + (b - expected_y) / 1.772, 128.0 + (r - expected_y) / 1.402];
                let got = one([luma, cb, cr], ColorMatrix::Bt709, false);
                for (got, expected) in got.into_iter().zip(expected) {
                    assert!(
                        (f64::from(got) - expected.clamp(0.0, 255.0)).abs() <= 1.51,
                        "{luma} {cb} {cr}: {got} for {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn black_white_and_grey_are_reached_and_full_range_is_left_alone() {
        assert_eq!(one([16, 128, 240], ColorMatrix::Bt601, false), [0, 128, 255]);
        assert_eq!(one([235, 16, 128], ColorMatrix::Bt601, false), [255, 0, 128]);
        assert_eq!(one([0, 0, 255], ColorMatrix::Bt601, false), [0, 0, 255]);
        for sample in 0..=255 {
            assert_eq!(one([sample, sample, 77], ColorMatrix::Bt601, true), [sample, sample, 77]);
        }
    }

    #[test]
    fn each_luma_gets_the_chroma_that_lies_over_it() {
        let luma = [100; 15];
        let (u, v) = ([128, 255, 128, 128, 128, 0], [128; 6]);
        let planes = Planes::Yuv {
            y: Plane { samples: &luma, stride: 5 },
            u: Plane { samples: &u, stride: 3 },
            v: Plane { samples: &v, stride: 3 },
            chroma_shift_x: 1,
            chroma_shift_y: 1,
            matrix: ColorMatrix::Bt709,
            full_range: true,
        };
        let full = FullRange::of(PictureView { width: 5, height: 3, planes });
        assert_eq!(
            full.samples[..15],
            [100, 100, 113, 113, 100, 100, 100, 113, 113, 100, 100, 100, 100, 100, 87]
        );
    }
}
