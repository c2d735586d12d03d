//! Motion detection between two pictures: a cheap comparison of brightness that saves inferences while nothing
//! moves.
//!
//! A picture is reduced to 160 × 90 samples, which also averages out noise. Something moved if more than a few of the
//! hundred samples of a 10 × 10 cell changed clearly. `docs/design/0010-schedule.md` has the measurements
//! behind the constants.

use crate::picture::{PictureView, Plane, Planes};
use serde::{Deserialize, Serialize};

const COLUMNS: usize = 160;
const ROWS: usize = 90;
/// Samples along each side of a cell.
const CELL: usize = 10;
/// A sample has changed if it differs by this much or more, of 255.
const CHANGED_BY: u8 = 8;
/// Something moved in a cell if this many samples changed, of a hundred.
const MOVED_FROM: u32 = 14;
/// The most picture rows averaged into one row of samples: enough against noise.
const MOST_ROWS: usize = 4;

/// The brightness of a picture, 160 × 90 samples for any shape.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmallLuma(Vec<u8>);

impl std::fmt::Debug for SmallLuma {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sum: u64 = self.0.iter().map(|&sample| u64::from(sample)).sum();
        write!(formatter, "SmallLuma(mean {})", sum / self.0.len().max(1) as u64)
    }
}

impl SmallLuma {
    /// Samples in a row.
    pub const COLUMNS: usize = COLUMNS;
    /// Rows.
    pub const ROWS: usize = ROWS;

    /// Row by row, from the top left.
    pub fn samples(&self) -> &[u8] {
        &self.0
    }

    /// Of a picture; for RGB, of its green.
    pub fn of(picture: &PictureView<'_>) -> Self {
        let (width, height) = (picture.width as usize, picture.height as usize);
        match &picture.planes {
            Planes::Yuv { y, .. } => Self::of_samples(*y, width, height, 1, 0),
            Planes::Rgb(plane) => Self::of_samples(*plane, width, height, 3, 1),
        }
    }

    fn of_samples(plane: Plane<'_>, width: usize, height: usize, step: usize, first: usize) -> Self {
        let mut small = Vec::with_capacity(COLUMNS * ROWS);
        let mut sums = [0_u32; COLUMNS];
        for row in 0..ROWS {
            let (from, to) = part(row, ROWS, height);
            let every = (to - from).div_ceil(MOST_ROWS).max(1);
            let mut rows = 0;
            sums.fill(0);
            for y in (from..to).step_by(every) {
                let samples = plane.samples.get(y * plane.stride..).unwrap_or_default();
                add_row(samples, width, step, first, &mut sums);
                rows += 1;
            }
            for (column, sum) in sums.iter().enumerate() {
                let (from, to) = part(column, COLUMNS, width);
                small.push((sum / ((to - from) as u32 * rows).max(1)) as u8);
            }
        }
        Self(small)
    }

    /// Whether something moved between `before` and this picture.
    pub fn moved_since(&self, before: &Self) -> bool {
        let strips = self.0.chunks_exact(COLUMNS * CELL).zip(before.0.chunks_exact(COLUMNS * CELL));
        for (here, before) in strips {
            let mut changed = [0_u32; COLUMNS / CELL];
            for (here, before) in here
                .chunks_exact(CELL)
                .zip(before.chunks_exact(CELL))
                .enumerate()
                .map(|(number, (here, before))| ((number % (COLUMNS / CELL), here), before))
            {
                let (cell, here) = here;
                let differs = |(here, before): (&u8, &u8)| u32::from(here.abs_diff(*before) >= CHANGED_BY);
                changed[cell] += here.iter().zip(before).map(differs).sum::<u32>();
            }
            if changed.iter().any(|&changed| changed >= MOVED_FROM) {
                return true;
            }
        }
        false
    }
}

/// The samples of `length` that part `number` of `parts` covers: at least one; the last sample if none are left.
fn part(number: usize, parts: usize, length: usize) -> (usize, usize) {
    let from = (number * length / parts).min(length.saturating_sub(1));
    (from, ((number + 1) * length / parts).clamp(from + 1, length.max(from + 1)))
}

fn add_row(samples: &[u8], width: usize, step: usize, first: usize, sums: &mut [u32; COLUMNS]) {
    for (column, sum) in sums.iter_mut().enumerate() {
        let (from, to) = part(column, COLUMNS, width);
        let samples = samples.get(from * step..(to * step).min(samples.len())).unwrap_or_default();
        *sum += match step {
            1 => samples.iter().map(|&sample| u32::from(sample)).sum::<u32>(),
            _ => samples.iter().skip(first).step_by(step).map(|&sample| u32::from(sample)).sum(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A grey floor with a dark body on it.
    fn picture(width: usize, height: usize, body: (usize, usize, usize, usize), noise: u32) -> SmallLuma {
        let (left, top, wide, high) = body;
        let mut seed = 7_u32;
        let samples: Vec<u8> = (0..width * height)
            .map(|place| {
                let (x, y) = (place % width, place / width);
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let grain = if noise == 0 { 0 } else { (seed >> 16) % noise };
                let is_body = (left..left + wide).contains(&x) && (top..top + high).contains(&y);
                (if is_body { 90 } else { 140 }) + grain as u8
            })
            .collect();
        let y = Plane { samples: &samples, stride: width };
        let planes = Planes::Yuv {
            y,
            u: y,
            v: y,
            chroma_shift_x: 1,
            chroma_shift_y: 1,
            matrix: crate::picture::ColorMatrix::Bt709,
            full_range: false,
        };
        SmallLuma::of(&PictureView { width: width as u32, height: height as u32, planes })
    }

    #[test]
    fn motion_by_a_tenth_of_a_body_is_detected_and_noise_is_not() {
        for (width, height) in [(640, 360), (1920, 1080), (704, 576), (360, 640), (3840, 2160)] {
            let (wide, high) = (width / 10, height / 8);
            let before = picture(width, height, (width / 3, height / 3, wide, high), 20);
            let same = picture(width, height, (width / 3, height / 3, wide, high), 21);
            assert!(!same.moved_since(&before), "{width} × {height}");
            let moved = picture(width, height, (width / 3 + wide.div_ceil(8), height / 3, wide, high), 20);
            assert!(moved.moved_since(&before), "{width} × {height}");
            assert!(before.moved_since(&moved));
        }
    }

    #[test]
    fn a_slow_walk_adds_up() {
        let before = picture(640, 360, (100, 100, 64, 40), 0);
        let step = |number: usize| picture(640, 360, (100 + number, 100, 64, 40), 0);
        assert!(!step(1).moved_since(&before));
        assert!(!step(2).moved_since(&step(1)));
        assert!((1..10).any(|number| step(number).moved_since(&before)));
    }

    #[test]
    fn pictures_of_any_size_have_one() {
        for (width, height) in [(1, 1), (2, 500), (159, 89), (161, 91), (16, 9)] {
            let small = picture(width, height, (0, 0, 0, 0), 0);
            assert_eq!(small.0, vec![140; COLUMNS * ROWS], "{width} × {height}");
        }
        // Green of interleaved pixels.
        let samples: Vec<u8> = (0..320 * 180).flat_map(|_| [1, 99, 3]).collect();
        let planes = Planes::Rgb(Plane { samples: &samples, stride: 960 });
        let small = SmallLuma::of(&PictureView { width: 320, height: 180, planes });
        assert_eq!(small.0, vec![99; COLUMNS * ROWS]);
    }
}
