//! JPEG straight from planar YUV: no way through RGB.

use crate::error::{Error, Result};
use crate::overlay::{Canvas, Ink, OverlayBox};
use crate::picture::subsampled;
use pigweight_core::geometry::Rect;
use pigweight_core::picture::{ColorMatrix, PictureView, Plane, Planes};
use std::borrow::Cow;

/// Encodes `picture` at `quality` (1–100) with `boxes` drawn on it. `scale` is the picture's size over that of
/// the frame on which the boxes were found.
///
/// # Errors
/// [`Error::Jpeg`] where turbojpeg refuses, for a picture of more than 65,535 px a side for instance.
pub fn encode(picture: PictureView<'_>, quality: u8, boxes: &[OverlayBox], scale: f32) -> Result<Vec<u8>> {
    let refused = |error: turbojpeg::Error| Error::Jpeg { reason: error.to_string() };
    let mut compressor = turbojpeg::Compressor::new().map_err(refused)?;
    compressor.set_quality(i32::from(quality.clamp(1, 100))).map_err(refused)?;
    let (pixels, subsampling) = full_range_planes(picture, boxes, scale);
    let image = turbojpeg::YuvImage {
        pixels: pixels.as_slice(),
        width: picture.width as usize,
        align: 1,
        height: picture.height as usize,
        subsamp: subsampling,
    };
    compressor.compress_yuv_to_vec(image).map_err(refused)
}

/// Tightly packed Y, U and V planes, full range, BT.601 as JPEG wants them.
fn full_range_planes(
    picture: PictureView<'_>,
    boxes: &[OverlayBox],
    scale: f32,
) -> (Vec<u8>, turbojpeg::Subsamp) {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let (mut y, mut u, mut v, shift_x, shift_y) = match picture.planes {
        Planes::Rgb(plane) => {
            let [y, u, v] = from_rgb(plane, width, height);
            (y, u, v, 0, 0)
        }
        Planes::Yuv { y, u, v, chroma_shift_x, chroma_shift_y, matrix, full_range } => {
            let columns = subsampled(picture.width, chroma_shift_x);
            let rows = subsampled(picture.height, chroma_shift_y);
            let mut y = stretched(y, width, height, (!full_range).then(luma_table));
            let chroma = || (!full_range).then(chroma_table);
            let mut u = stretched(u, columns, rows, chroma());
            let mut v = stretched(v, columns, rows, chroma());
            if matrix == ColorMatrix::Bt709 {
                bt709_to_bt601(&mut y, &mut u, &mut v, width, columns, chroma_shift_x, chroma_shift_y);
            }
            (y, u, v, chroma_shift_x, chroma_shift_y)
        }
    };
    let columns = subsampled(picture.width, shift_x);
    let rows = subsampled(picture.height, shift_y);
    for found in boxes {
        let ink = if found.is_measured { Ink::MEASURED } else { Ink::INTERPOLATED };
        let thickness = (width / 480).max(2);
        let dash = (!found.is_measured).then_some(thickness * 4);
        let rect = scaled(found.rect, scale, scale);
        Canvas { samples: &mut y, width, height }.outline(rect, thickness, dash, ink.y);
        let rect = scaled(rect, 1.0 / f32::from(1_u8 << shift_x), 1.0 / f32::from(1_u8 << shift_y));
        let (thickness, dash) = ((thickness >> shift_x).max(1), dash.map(|dash| (dash >> shift_x).max(1)));
        Canvas { samples: &mut u, width: columns, height: rows }.outline(rect, thickness, dash, ink.u);
        Canvas { samples: &mut v, width: columns, height: rows }.outline(rect, thickness, dash, ink.v);
    }
    let subsampling = match (shift_x, shift_y) {
        (0, 0) => turbojpeg::Subsamp::None,
        (1, 0) => turbojpeg::Subsamp::Sub2x1,
        (0, _) => turbojpeg::Subsamp::Sub1x2,
        _ => turbojpeg::Subsamp::Sub2x2,
    };
    // turbojpeg wants luma of whole chroma samples: an odd side is filled up with its last column or row.
    let mut planes = filled_up(y, width, columns << shift_x, rows << shift_y);
    planes.append(&mut u);
    planes.append(&mut v);
    (planes, subsampling)
}

/// A plane of rows of `width` samples made `full_width` × `full_height` by repeating its last column and row.
fn filled_up(plane: Vec<u8>, width: usize, full_width: usize, full_height: usize) -> Vec<u8> {
    if plane.len() == full_width * full_height {
        return plane;
    }
    let mut filled = Vec::with_capacity(full_width * full_height);
    for row in plane.chunks_exact(width) {
        filled.extend_from_slice(row);
        filled.extend(std::iter::repeat_n(row[width - 1], full_width - width));
    }
    while filled.len() < full_width * full_height {
        filled.extend_from_within(filled.len() - full_width..);
    }
    filled
}

fn scaled(rect: Rect, x: f32, y: f32) -> Rect {
    Rect::new(rect.x * x, rect.y * y, rect.width * x, rect.height * y)
}

/// 16–235 to 0–255 (ITU-R BT.601-7, 2.5.3).
fn luma_table() -> [u8; 256] {
    std::array::from_fn(|value| ((value as f32 - 16.0) * 255.0 / 219.0).round().clamp(0.0, 255.0) as u8)
}

/// 16–240 around 128 to 0–255.
fn chroma_table() -> [u8; 256] {
    std::array::from_fn(|value| {
        ((value as f32 - 128.0) * 255.0 / 224.0 + 128.0).round().clamp(0.0, 255.0) as u8
    })
}

fn stretched(plane: Plane<'_>, columns: usize, rows: usize, table: Option<[u8; 256]>) -> Vec<u8> {
    let mut packed = Vec::with_capacity(columns * rows);
    // A plane that libav left out (a damaged frame) is grey.
    let grey = [128_u8];
    for row in 0..rows {
        let line: Cow<'_, [u8]> = match plane.samples.get(row * plane.stride..row * plane.stride + columns) {
            Some(line) if !plane.samples.is_empty() => Cow::Borrowed(line),
            _ => Cow::Owned(grey.repeat(columns)),
        };
        match &table {
            Some(table) => packed.extend(line.iter().map(|&value| table[usize::from(value)])),
            None => packed.extend_from_slice(&line),
        }
    }
    packed
}

/// Both matrices meet in RGB; the product of one's inverse with the other is this (full range, ITU-R BT.601-7 and
/// BT.709-6 coefficients), in 1/65536.
fn bt709_to_bt601(
    y: &mut [u8],
    u: &mut [u8],
    v: &mut [u8],
    width: usize,
    columns: usize,
    shift_x: u8,
    shift_y: u8,
) {
    const Y_FROM: [i32; 2] = [6_662, 12_570];
    const U_FROM: [i32; 2] = [64_880, -7_251];
    const V_FROM: [i32; 2] = [-4_750, 64_465];
    let clamp = |value: i32| value.clamp(0, 255) as u8;
    let mix = |[a, b]: [i32; 2], cb: i32, cr: i32| (a * cb + b * cr + 32_768) >> 16;
    for (row, line) in y.chunks_exact_mut(width).enumerate() {
        let chroma_row = (row >> shift_y) * columns;
        for (x, luma) in line.iter_mut().enumerate() {
            let at = chroma_row + (x >> shift_x);
            let (cb, cr) = (i32::from(u[at]) - 128, i32::from(v[at]) - 128);
            *luma = clamp(i32::from(*luma) + mix(Y_FROM, cb, cr));
        }
    }
    for (u, v) in u.iter_mut().zip(v) {
        let (cb, cr) = (i32::from(*u) - 128, i32::from(*v) - 128);
        *u = clamp(128 + mix(U_FROM, cb, cr));
        *v = clamp(128 + mix(V_FROM, cb, cr));
    }
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

    /// From BT.709 YCbCr through RGB to BT.601 YCbCr in floating point, against the integer mix.
    #[test]
    fn the_matrix_change_is_that_through_rgb() {
        for (y0, cb, cr) in [(128, 128, 128), (90, 100, 170), (200, 140, 120), (60, 160, 90)] {
            let (yf, cbf, crf) = (f64::from(y0), f64::from(cb) - 128.0, f64::from(cr) - 128.0);
            let r = yf + 1.5748 * crf;
            let g = yf - 0.187_324 * cbf - 0.468_124 * crf;
            let b = yf + 1.8556 * cbf;
            let expected_y = 0.299 * r + 0.587 * g + 0.114 * b;
            let expected_u = 128.0 + (b - expected_y) / 1.772;
            let expected_v = 128.0 + (r - expected_y) / 1.402;
            let (mut y, mut u, mut v) = ([y0 as u8], [cb as u8], [cr as u8]);
            bt709_to_bt601(&mut y, &mut u, &mut v, 1, 1, 0, 0);
            for (got, expected) in [(y[0], expected_y), (u[0], expected_u), (v[0], expected_v)] {
                assert!((f64::from(got) - expected).abs() <= 1.0, "{got} for {expected}");
            }
        }
    }

    /// Odd sides of subsampled pictures once panicked inside turbojpeg.
    #[test]
    fn pictures_of_any_size_and_subsampling_become_jpegs() {
        for (width, height) in [(1, 1), (1, 2), (3, 3), (321, 181), (320, 181), (321, 180), (640, 360)] {
            for (shift_x, shift_y) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                let (y, c) = (vec![128; (width * height) as usize], vec![128; (width * height) as usize]);
                let chroma = Plane { samples: &c, stride: subsampled(width, shift_x) };
                let planes = Planes::Yuv {
                    y: Plane { samples: &y, stride: width as usize },
                    u: chroma,
                    v: chroma,
                    chroma_shift_x: shift_x,
                    chroma_shift_y: shift_y,
                    matrix: ColorMatrix::Bt709,
                    full_range: false,
                };
                let boxes = [OverlayBox { rect: Rect::new(0.0, 0.0, 900.0, 900.0), is_measured: false }];
                let bytes = encode(PictureView { width, height, planes }, 80, &boxes, 1.0).unwrap();
                let header = turbojpeg::read_header(&bytes).unwrap();
                assert_eq!((header.width, header.height), (width as usize, height as usize));
            }
        }
    }

    #[test]
    fn limited_range_reaches_black_and_white() {
        assert_eq!((luma_table()[16], luma_table()[235]), (0, 255));
        assert_eq!((chroma_table()[128], chroma_table()[240]), (128, 255));
    }
}
