//! Thumbnails of keyframes in a few large pictures, with a WebVTT map from moments to parts of them. The page draws them
//! within the pointer event.
//!
//! The map is written last: if it exists, all exist.

use crate::access::seeker::FrameSeeker;
use crate::decode::full_range::FullRange;
use crate::error::{Error, Result};
use crate::file::video::Video;
use crate::libav::Scaler;
use crate::output::jpeg;
use pigweight_core::picture::{ColorMatrix, PictureView, Plane, Planes};
use pigweight_core::time::Pts;
use std::fmt::Write as _;
use std::path::Path;

/// The map's name in its folder; next to it are `0.jpg`, `1.jpg`, …
pub const MAP: &str = "sprites.vtt";
/// px of a thumbnail's longer side.
const LONG_SIDE: u32 = 160;
/// Thumbnails in a row and rows in a sheet: every browser decodes 1600 px fast.
const COLUMNS: usize = 10;
const PER_SHEET: usize = 100;
/// More can't be distinguished on a timeline.
const MOST: usize = 400;
/// Closer thumbnails show nothing new.
const LEAST_SECS: f64 = 1.0;
const QUALITY: u8 = 60;
/// A keyframe that crashes the worker process is skipped. More than this many crashes have another cause.
const MOST_WORKERS_LOST: u32 = 3;

/// Makes a video's thumbnails in `folder`, unless they exist; `false` if `is_stopped` said so before the end.
///
/// # Errors
/// [`Error::Preview`] if the disk fails; otherwise the video's error.
pub fn make(video: &Video, folder: &Path, is_stopped: &dyn Fn() -> bool) -> Result<bool> {
    if folder.join(MAP).is_file() {
        return Ok(true);
    }
    let failed =
        |error: std::io::Error| Error::Preview { path: folder.to_owned(), reason: error.to_string() };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let moments = moments(video);
    let size = thumbnail_size(video);
    let mut seeker = FrameSeeker::open(video)?;
    let mut scaler = Scaler::new();
    let mut map = String::from("WEBVTT\n");
    let mut workers_lost = 0;
    for (number, moments_of_sheet) in moments.chunks(PER_SHEET).enumerate() {
        let mut sheet = Sheet::new(size, moments_of_sheet.len());
        for (place, &pts) in moments_of_sheet.iter().enumerate() {
            // A keyframe that can't be decoded, or is replaced by the frame before it, isn't in the map.
            let frame = match seeker.frame_unless(pts, is_stopped) {
                Err(Error::Cancelled) => return Ok(false),
                Err(error) if error.is_of_worker() && workers_lost == MOST_WORKERS_LOST => return Err(error),
                Err(error) if error.is_of_worker() => {
                    workers_lost += 1;
                    None
                }
                frame => frame.ok().filter(|frame| frame.pts == pts),
            };
            let Some(small) = frame.and_then(|frame| frame.picture.small_copy(size.0, size.1, &mut scaler))
            else {
                continue;
            };
            sheet.lay(place, &small.view());
            let all = number * PER_SHEET + place;
            let end = moments.get(all + 1).map_or(video.duration_secs(), |&next| video.secs(next));
            let (x, y) = sheet.corner(place);
            // Rounded up to a whole millisecond: rounded down it would name the frame before.
            let (begin, end) = (vtt_time(video.secs(pts)), vtt_time(end));
            // Writing to memory can't fail.
            let _written =
                write!(map, "\n{begin} --> {end}\n{number}.jpg#xywh={x},{y},{},{}\n", size.0, size.1);
        }
        let bytes = jpeg::encode(sheet.view(), QUALITY, &[], 1.0)?;
        std::fs::write(folder.join(format!("{number}.jpg")), bytes).map_err(failed)?;
    }
    let partial = folder.join("sprites.partial");
    std::fs::write(&partial, map)
        .and_then(|()| std::fs::rename(&partial, folder.join(MAP)))
        .map_err(failed)?;
    Ok(true)
}

/// Keyframes spread over the video, the first among them.
fn moments(video: &Video) -> Vec<Pts> {
    let spacing = (video.duration_secs() / MOST as f64).max(LEAST_SECS);
    let mut moments = Vec::new();
    let mut next = 0.0;
    for pts in video.index().key_pts() {
        let secs = video.secs(pts);
        if secs >= next || moments.is_empty() {
            moments.push(pts);
            // On the grid, so that rare keyframes don't thin out those after them.
            next = ((secs / spacing).floor() + 1.0) * spacing;
        }
    }
    if moments.is_empty() {
        moments.push(video.index().first_pts());
    }
    moments
}

fn thumbnail_size(video: &Video) -> (u32, u32) {
    let (width, height) = (video.info().width.max(1), video.info().height.max(1));
    let even = |size: u32| (size & !1).max(2);
    if width >= height {
        (LONG_SIDE, even((u64::from(LONG_SIDE) * u64::from(height) / u64::from(width)) as u32))
    } else {
        (even((u64::from(LONG_SIDE) * u64::from(width) / u64::from(height)) as u32), LONG_SIDE)
    }
}

/// Whole milliseconds, not before `secs`.
fn vtt_time(secs: f64) -> String {
    let milliseconds = (secs * 1000.0 - 1e-6).ceil().max(0.0) as u64;
    let (secs, milliseconds) = (milliseconds / 1000, milliseconds % 1000);
    format!("{:02}:{:02}:{:02}.{milliseconds:03}", secs / 3600, secs / 60 % 60, secs % 60)
}

/// Thumbnails in a grid, 4:2:0, as JPEG has them: frames of a video may differ in range and matrix.
struct Sheet {
    size: (usize, usize),
    columns: usize,
    rows: usize,
    planes: [Vec<u8>; 3],
}

impl Sheet {
    fn new((width, height): (u32, u32), count: usize) -> Self {
        let size = (width as usize, height as usize);
        let columns = count.clamp(1, COLUMNS);
        let rows = count.div_ceil(COLUMNS).max(1);
        let samples = size.0 * columns * size.1 * rows;
        let planes = [vec![128; samples], vec![128; samples / 4], vec![128; samples / 4]];
        Self { size, columns, rows, planes }
    }

    fn corner(&self, place: usize) -> (usize, usize) {
        (place % COLUMNS * self.size.0, place / COLUMNS * self.size.1)
    }

    fn lay(&mut self, place: usize, thumbnail: &PictureView<'_>) {
        let mut full = FullRange::of(*thumbnail);
        if (full.size.shift_x, full.size.shift_y) != (1, 1) {
            return;
        }
        let [y, u, v] = full.size.split(&mut full.samples);
        let (left, top) = self.corner(place);
        let width = self.size.0 * self.columns;
        for (plane, source, shift) in [(0, y, 0), (1, u, 1), (2, v, 1)] {
            let (columns, rows, stride) = (self.size.0 >> shift, self.size.1 >> shift, width >> shift);
            for row in 0..rows {
                let at = ((top >> shift) + row) * stride + (left >> shift);
                if let Some(line) = source.get(row * columns..(row + 1) * columns) {
                    self.planes[plane][at..at + columns].copy_from_slice(line);
                }
            }
        }
    }

    fn view(&self) -> PictureView<'_> {
        let (width, height) = (self.size.0 * self.columns, self.size.1 * self.rows);
        let plane = |number: usize, stride| Plane { samples: &self.planes[number], stride };
        PictureView {
            width: width as u32,
            height: height as u32,
            planes: Planes::Yuv {
                y: plane(0, width),
                u: plane(1, width / 2),
                v: plane(2, width / 2),
                chroma_shift_x: 1,
                chroma_shift_y: 1,
                matrix: ColorMatrix::Bt601,
                full_range: true,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_map_are_not_before_their_frames() {
        for (secs, text) in [
            (0.0, "00:00:00.000"),
            (1.04, "00:00:01.040"),
            (3661.0401, "01:01:01.041"),
            (100.0 / 3.0, "00:00:33.334"),
        ] {
            assert_eq!(vtt_time(secs), text);
        }
    }
}
