//! Samples as JPEG wants them: full range, BT.601, tightly packed.
//!
//! All in 16-bit whole numbers over rows, which compilers turn into vector instructions of any processor; within one step of
//! what real numbers give.

use crate::picture::subsampled;
use pigweight_core::picture::{ColorMatrix, PictureView, Plane, Planes};

/// Planes without gaps.
pub(crate) struct FullRange {
    pub y: Vec<u8>,
    pub u: Vec<u8>,
    pub v: Vec<u8>,
    /// log2 of the subsampling of chroma.
    pub shift_x: u8,
    pub shift_y: u8,
}

impl FullRange {
    /// A copy of the picture's samples.
    pub(crate) fn of(picture: PictureView<'_>) -> Self {
        let (width, height) = (picture.width as usize, picture.height as usize);
        match picture.planes {
            Planes::Rgb(plane) => {
                let [y, u, v] = from_rgb(plane, width, height);
                Self { y, u, v, shift_x: 0, shift_y: 0 }
            }
            Planes::Yuv { y, u, v, chroma_shift_x, chroma_shift_y, matrix, full_range } => {
                let columns = subsampled(picture.width, chroma_shift_x);
                let rows = subsampled(picture.height, chroma_shift_y);
                let mut full = Self {
                    y: packed(y, width, height),
                    u: packed(u, columns, rows),
                    v: packed(v, columns, rows),
                    shift_x: chroma_shift_x,
                    shift_y: chroma_shift_y,
                };
                if !full_range {
                    full.y.iter_mut().for_each(stretch_luma);
                    full.u.iter_mut().chain(&mut full.v).for_each(stretch_chroma);
                }
                if matrix == ColorMatrix::Bt709 {
                    full.turn_into_bt601(width, columns);
                }
                full
            }
        }
    }

    /// Both matrices meet in RGB; the product of one's inverse with the other (full range, ITU-R BT.601-7 and BT.709-6
    /// coefficients) is this, with Cb and Cr around 0:
    ///
    /// ```text
    /// Y + 0.10166 Cb + 0.19180 Cr      in 1/256
    /// 0.98999 Cb - 0.11064 Cr          in 1/512, the whole one apart
    /// 0.98367 Cr - 0.07248 Cb
    /// ```
    fn turn_into_bt601(&mut self, width: usize, columns: usize) {
        let mut added = vec![0_i16; columns];
        let mut wide = vec![0_i16; width];
        let rows_of_chroma = self.u.chunks_exact(columns).zip(self.v.chunks_exact(columns));
        for ((u, v), lines) in rows_of_chroma.zip(self.y.chunks_mut(width << self.shift_y)) {
            for ((added, &u), &v) in added.iter_mut().zip(u).zip(v) {
                *added = 26 * centred(u) + 49 * centred(v);
            }
            if self.shift_x == 0 {
                wide.copy_from_slice(&added);
            } else {
                for (pair, &added) in wide.chunks_mut(1 << self.shift_x).zip(&added) {
                    pair.fill(added);
                }
            }
            for line in lines.chunks_exact_mut(width) {
                for (luma, &added) in line.iter_mut().zip(&wide) {
                    *luma = (i16::from(*luma) + ((added + 128) >> 8)).clamp(0, 255) as u8;
                }
            }
        }
        for (u, v) in self.u.iter_mut().zip(&mut self.v) {
            let (cb, cr) = (centred(*u), centred(*v));
            *u = (128 + cb + ((-5 * cb - 57 * cr + 256) >> 9)).clamp(0, 255) as u8;
            *v = (128 + cr + ((-8 * cr - 37 * cb + 256) >> 9)).clamp(0, 255) as u8;
        }
    }
}

fn centred(chroma: u8) -> i16 {
    i16::from(chroma) - 128
}

/// 16–235 to 0–255 (ITU-R BT.601-7, 2.5.3): by 1 + 42/256.
fn stretch_luma(luma: &mut u8) {
    let above_black = i16::from(*luma) - 16;
    *luma = (above_black + ((above_black * 42 + 128) >> 8)).clamp(0, 255) as u8;
}

/// 16–240 around 128 to 0–255: by 1 + 71/512.
fn stretch_chroma(chroma: &mut u8) {
    let centred = centred(*chroma);
    *chroma = (128 + centred + ((centred * 71 + 256) >> 9)).clamp(0, 255) as u8;
}

fn packed(plane: Plane<'_>, columns: usize, rows: usize) -> Vec<u8> {
    let mut packed = Vec::with_capacity(columns * rows);
    for row in 0..rows {
        match plane.samples.get(row * plane.stride..row * plane.stride + columns) {
            Some(line) if !plane.samples.is_empty() => packed.extend_from_slice(line),
            // A plane that libav left out (a damaged frame) is grey.
            _ => packed.resize(packed.len() + columns, 128),
        }
    }
    packed
}

/// JFIF's RGB to YCbCr (ITU-T T.871, 7).
fn from_rgb(plane: Plane<'_>, width: usize, height: usize) -> [Vec<u8>; 3] {
    let mut planes = [(); 3].map(|()| vec![128_u8; width * height]);
    for row in 0..height {
        let Some(line) = plane.samples.get(row * plane.stride..row * plane.stride + width * 3) else { break };
        for (x, rgb) in line.chunks_exact(3).enumerate() {
            let [r, g, b] = [f32::from(rgb[0]), f32::from(rgb[1]), f32::from(rgb[2])];
            let at = row * width + x;
            planes[0][at] = (0.299 * r + 0.587 * g + 0.114 * b + 0.5) as u8;
            planes[1][at] = (128.5 - 0.168_736 * r - 0.331_264 * g + 0.5 * b) as u8;
            planes[2][at] = (128.5 + 0.5 * r - 0.418_688 * g - 0.081_312 * b) as u8;
        }
    }
    planes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(samples: [u8; 3], matrix: ColorMatrix, full_range: bool) -> [u8; 3] {
        let plane = |sample: &'static [u8]| Plane { samples: sample, stride: 2 };
        let [y, u, v] = samples.map(|sample| plane(Box::leak(Box::new([sample; 4]))));
        let (chroma_shift_x, chroma_shift_y) = (0, 0);
        let planes = Planes::Yuv { y, u, v, chroma_shift_x, chroma_shift_y, matrix, full_range };
        let full = FullRange::of(PictureView { width: 2, height: 2, planes });
        [full.y[3], full.u[3], full.v[3]]
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
        assert_eq!(full.y, [100, 100, 113, 113, 100, 100, 100, 113, 113, 100, 100, 100, 100, 100, 87]);
    }
}
