//! JPEG directly from planar YUV, without RGB.

use crate::decode::full_range::{FullRange, Size};
use crate::error::{Error, Result};
use crate::output::overlay::{Canvas, Ink, OverlayBox};
use pigweight_core::geometry::Rect;
use pigweight_core::picture::PictureView;

/// Encodes `picture` at `quality` (1–100) with `boxes` drawn on it. `scale` is the picture's size divided by that of
/// the frame on which the boxes were detected.
///
/// # Errors
/// [`Error::Jpeg`] if turbojpeg refuses, for example a picture of more than 65,535 px a side.
pub fn encode(picture: PictureView<'_>, quality: u8, boxes: &[OverlayBox], scale: f32) -> Result<Vec<u8>> {
    let refused = |error: turbojpeg::Error| Error::Jpeg { reason: error.to_string() };
    let mut compressor = turbojpeg::Compressor::new().map_err(refused)?;
    compressor.set_quality(i32::from(quality.clamp(1, 100))).map_err(refused)?;
    let (pixels, subsampling) = drawn_planes(picture, boxes, scale);
    let image = turbojpeg::YuvImage {
        pixels: pixels.as_slice(),
        width: picture.width as usize,
        align: 1,
        height: picture.height as usize,
        subsamp: subsampling,
    };
    compressor.compress_yuv_to_vec(image).map_err(refused)
}

/// A JPEG made no wider than `most_width_px` and no larger than `most_bytes`, by halves; as it is if it is that already. It must be one that
/// [`encode`] has made.
///
/// # Errors
/// [`Error::Jpeg`] if turbojpeg refuses, or an eighth of the picture is still too large.
pub fn reduced(jpeg: &[u8], quality: u8, most_width_px: u32, most_bytes: usize) -> Result<Vec<u8>> {
    let refused = |error: turbojpeg::Error| Error::Jpeg { reason: error.to_string() };
    let mut decompressor = turbojpeg::Decompressor::new().map_err(refused)?;
    let header = decompressor.read_header(jpeg).map_err(refused)?;
    if header.width <= most_width_px as usize && jpeg.len() <= most_bytes {
        return Ok(jpeg.to_vec());
    }
    for halves in [2, 4, 8] {
        let factor = turbojpeg::ScalingFactor::new(1, halves);
        let size = header.scaled(factor);
        if size.width > most_width_px as usize {
            continue;
        }
        decompressor.set_scaling_factor(factor).map_err(refused)?;
        let pitch = size.width * 3;
        let mut pixels = vec![0; pitch * size.height];
        let format = turbojpeg::PixelFormat::RGB;
        let image = turbojpeg::Image {
            pixels: &mut pixels[..],
            width: size.width,
            pitch,
            height: size.height,
            format,
        };
        decompressor.decompress(jpeg, image).map_err(refused)?;
        let mut compressor = turbojpeg::Compressor::new().map_err(refused)?;
        compressor.set_quality(i32::from(quality.clamp(1, 100))).map_err(refused)?;
        compressor.set_subsamp(turbojpeg::Subsamp::Sub2x2).map_err(refused)?;
        let image =
            turbojpeg::Image { pixels: &pixels[..], width: size.width, pitch, height: size.height, format };
        let smaller = compressor.compress_to_vec(image).map_err(refused)?;
        if smaller.len() <= most_bytes {
            return Ok(smaller);
        }
    }
    let reason =
        format!("the picture is larger than {most_bytes} bytes or {most_width_px} px even as an eighth");
    Err(Error::Jpeg { reason })
}

/// Tightly packed Y, U and V planes, full range, BT.601 as JPEG requires, with the boxes drawn.
fn drawn_planes(picture: PictureView<'_>, boxes: &[OverlayBox], scale: f32) -> (Vec<u8>, turbojpeg::Subsamp) {
    let FullRange { mut samples, size } = FullRange::of(picture);
    let Size { width, height, columns, rows, shift_x, shift_y } = size;
    let [y, u, v] = size.split(&mut samples);
    for found in boxes {
        let ink = if found.is_measured { Ink::MEASURED } else { Ink::INTERPOLATED };
        let thickness = (width / 480).max(2);
        let dash = (!found.is_measured).then_some(thickness * 4);
        let rect = scaled(found.rect, scale, scale);
        Canvas { samples: &mut *y, width, height }.outline(rect, thickness, dash, ink.y);
        let rect = scaled(rect, 1.0 / f32::from(1_u8 << shift_x), 1.0 / f32::from(1_u8 << shift_y));
        let (thickness, dash) = ((thickness >> shift_x).max(1), dash.map(|dash| (dash >> shift_x).max(1)));
        Canvas { samples: &mut *u, width: columns, height: rows }.outline(rect, thickness, dash, ink.u);
        Canvas { samples: &mut *v, width: columns, height: rows }.outline(rect, thickness, dash, ink.v);
    }
    let subsampling = match (shift_x, shift_y) {
        (0, 0) => turbojpeg::Subsamp::None,
        (1, 0) => turbojpeg::Subsamp::Sub2x1,
        (0, _) => turbojpeg::Subsamp::Sub1x2,
        _ => turbojpeg::Subsamp::Sub2x2,
    };
    // turbojpeg needs luma for whole chroma samples: an odd side is padded with its last column or row.
    let (full_width, full_height) = (columns << shift_x, rows << shift_y);
    if (full_width, full_height) == (width, height) {
        return (samples, subsampling);
    }
    let mut planes = filled_up(y, width, full_width, full_height);
    planes.extend_from_slice(u);
    planes.extend_from_slice(v);
    (planes, subsampling)
}

/// A plane of rows of `width` samples made `full_width` × `full_height` by repeating its last column and row.
fn filled_up(plane: &[u8], width: usize, full_width: usize, full_height: usize) -> Vec<u8> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::picture::subsampled;
    use pigweight_core::picture::{ColorMatrix, Plane, Planes};

    #[test]
    fn a_picture_is_halved_until_it_fits() {
        let gray = vec![128; 1000 * 600];
        let plane = Plane { samples: &gray, stride: 1000 };
        let planes = Planes::Yuv {
            y: plane,
            u: plane,
            v: plane,
            chroma_shift_x: 0,
            chroma_shift_y: 0,
            matrix: ColorMatrix::Bt709,
            full_range: false,
        };
        let whole = encode(PictureView { width: 1000, height: 600, planes }, 80, &[], 1.0).unwrap();
        assert_eq!(reduced(&whole, 80, 1000, 1 << 20).unwrap(), whole);
        for (most_width_px, width, height) in [(999, 500, 300), (300, 250, 150), (125, 125, 75)] {
            let smaller = reduced(&whole, 80, most_width_px, 1 << 20).unwrap();
            let header = turbojpeg::read_header(&smaller).unwrap();
            assert_eq!((header.width, header.height), (width, height));
        }
        assert!(reduced(&whole, 80, 124, 1 << 20).is_err());
        assert!(reduced(&whole, 80, 1000, 100).is_err());
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
}
