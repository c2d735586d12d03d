//! Samples of pictures in transit between processes: rows without gaps, plane after plane.

use crate::decode::picture::{Picture, subsampled};
use crate::file::container::MAX_PIXELS;
use crate::isolate::wire::Samples;
use crate::libav::FramePool;
use pigweight_core::picture::{PictureView, Plane, Planes};
use std::borrow::Cow;
use std::io::{self, Read};

/// The sample layout, and the samples plane by plane.
pub(super) fn samples<'a>(view: &PictureView<'a>) -> (Samples, Vec<Cow<'a, [u8]>>) {
    let (width, height) = (view.width as usize, view.height as usize);
    match view.planes {
        Planes::Rgb(plane) => (Samples::Rgb, vec![packed(plane, 3 * width, height)]),
        Planes::Yuv { y, u, v, chroma_shift_x, chroma_shift_y, matrix, full_range } => {
            let columns = subsampled(view.width, chroma_shift_x);
            let rows = subsampled(view.height, chroma_shift_y);
            let samples = Samples::Yuv { shifts: (chroma_shift_x, chroma_shift_y), matrix, full_range };
            (samples, vec![packed(y, width, height), packed(u, columns, rows), packed(v, columns, rows)])
        }
    }
}

fn packed(plane: Plane<'_>, columns: usize, rows: usize) -> Cow<'_, [u8]> {
    // A plane that libav left out is grey.
    if plane.samples.is_empty() {
        return Cow::Owned(vec![128; columns * rows]);
    }
    match plane.samples.get(..columns * rows) {
        Some(samples) if plane.stride == columns => Cow::Borrowed(samples),
        _ => {
            Cow::Owned(plane.samples.chunks(plane.stride).flat_map(|row| &row[..columns]).copied().collect())
        }
    }
}

/// Reads a picture of `length` bytes.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] if size and bytes don't match, [`io::ErrorKind::OutOfMemory`]; and errors of reading.
pub(super) fn read(
    (width, height): (u32, u32),
    samples: Samples,
    length: u64,
    from: &mut impl Read,
    pool: &mut FramePool,
) -> io::Result<Picture> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > MAX_PIXELS {
        return Err(invalid());
    }
    let (columns, rows) = (width as usize, height as usize);
    let (frame, planes) = match samples {
        Samples::Rgb => (pool.rgb(width, height), vec![(3 * columns, rows)]),
        Samples::Yuv { shifts, matrix, full_range } => {
            if shifts.0 > 1 || shifts.1 > 1 {
                return Err(invalid());
            }
            let chroma = (subsampled(width, shifts.0), subsampled(height, shifts.1));
            (pool.yuv((width, height), shifts, matrix, full_range), vec![(columns, rows), chroma, chroma])
        }
    };
    if planes.iter().map(|(columns, rows)| (columns * rows) as u64).sum::<u64>() != length {
        return Err(invalid());
    }
    let no_memory = || io::Error::from(io::ErrorKind::OutOfMemory);
    let mut frame = frame.ok_or_else(no_memory)?;
    for (number, (columns, rows)) in planes.into_iter().enumerate() {
        let (plane, stride) = frame.plane_mut(number, columns, rows).ok_or_else(no_memory)?;
        if stride == columns {
            from.read_exact(plane)?;
        } else {
            let mut packed = vec![0; columns * rows];
            from.read_exact(&mut packed)?;
            for (line, row) in plane.chunks_mut(stride).zip(packed.chunks(columns)) {
                line[..columns].copy_from_slice(row);
            }
        }
    }
    Ok(Picture::of_frame(frame))
}
