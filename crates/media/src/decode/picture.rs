//! A decoded picture, upright, in a supported sample layout.

use crate::file::orientation::Orientation;
use crate::libav::{Frame, PixelFormat, Scaler};
use pigweight_core::picture::{ColorMatrix, PictureView, Plane, Planes, Viewable};

/// An upright picture with its own samples.
pub struct Picture {
    width: u32,
    height: u32,
    storage: Storage,
}

enum Storage {
    /// As the decoder (or the scaler) left it.
    Frame(Frame),
    /// Turned or mirrored: tightly packed planes.
    Turned { planes: TurnedPlanes, matrix: ColorMatrix, full_range: bool },
}

enum TurnedPlanes {
    Yuv { y: Vec<u8>, u: Vec<u8>, v: Vec<u8>, chroma_shift_x: u8, chroma_shift_y: u8 },
    Rgb(Vec<u8>),
}

impl Viewable for Picture {
    fn view(&self) -> PictureView<'_> {
        Self::view(self)
    }
}

impl Picture {
    /// A frame that is upright and in a supported layout.
    pub(crate) fn of_frame(frame: Frame) -> Self {
        Self { width: frame.width(), height: frame.height(), storage: Storage::Frame(frame) }
    }

    /// px.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// px.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The samples.
    pub fn view(&self) -> PictureView<'_> {
        let planes = match &self.storage {
            Storage::Frame(frame) => frame_planes(frame),
            Storage::Turned { planes: TurnedPlanes::Rgb(samples), .. } => {
                Planes::Rgb(Plane { samples, stride: self.width as usize * 3 })
            }
            Storage::Turned {
                planes: TurnedPlanes::Yuv { y, u, v, chroma_shift_x, chroma_shift_y },
                matrix,
                full_range,
            } => {
                let chroma_stride = subsampled(self.width, *chroma_shift_x);
                Planes::Yuv {
                    y: Plane { samples: y, stride: self.width as usize },
                    u: Plane { samples: u, stride: chroma_stride },
                    v: Plane { samples: v, stride: chroma_stride },
                    chroma_shift_x: *chroma_shift_x,
                    chroma_shift_y: *chroma_shift_y,
                    matrix: *matrix,
                    full_range: *full_range,
                }
            }
        };
        PictureView { width: self.width, height: self.height, planes }
    }

    /// The picture scaled to `width` px with its aspect kept. `self` if that isn't smaller, or if there
    /// is no memory for it.
    pub fn scaled_to_width(self, width: u32) -> Self {
        if width == 0 || width >= self.width {
            return self;
        }
        let height = self.height_at(width);
        match self.with_frame(|frame| Scaler::new().convert(frame, width, height)) {
            Some(frame) => Self { width, height, storage: Storage::Frame(frame) },
            None => self,
        }
    }

    /// A small copy as planar 4:2:0, `width` × `height` px; `None` if there is no memory for it.
    pub(crate) fn small_copy(&self, width: u32, height: u32, scaler: &mut Scaler) -> Option<Self> {
        let frame = self.with_frame(|frame| scaler.convert_to_yuv(frame, width, height))?;
        Some(Self { width, height, storage: Storage::Frame(frame) })
    }

    /// Whether it is planar 4:2:0 already.
    pub(crate) fn is_usual_yuv(&self) -> bool {
        matches!(self.view().planes, Planes::Yuv { chroma_shift_x: 1, chroma_shift_y: 1, .. })
    }

    /// Size of the picture at `width` px, with its aspect kept.
    pub(crate) fn height_at(&self, width: u32) -> u32 {
        (u64::from(self.height) * u64::from(width) / u64::from(self.width.max(1))).max(2) as u32
    }

    fn with_frame(&self, use_it: impl FnOnce(&Frame) -> Option<Frame>) -> Option<Frame> {
        match &self.storage {
            Storage::Frame(frame) => use_it(frame),
            Storage::Turned { .. } => use_it(&Frame::of(&self.view())?),
        }
    }

    /// Upright.
    pub(crate) fn turned(self, orientation: Orientation) -> Self {
        if orientation == Orientation::default() {
            return self;
        }
        let view = self.view();
        let (columns, rows) = (self.width as usize, self.height as usize);
        let (matrix, full_range, planes) = match view.planes {
            Planes::Rgb(plane) => {
                (ColorMatrix::Bt601, true, TurnedPlanes::Rgb(turn::<3>(plane, columns, rows, orientation)))
            }
            Planes::Yuv { y, u, v, chroma_shift_x, chroma_shift_y, matrix, full_range } => {
                let chroma_columns = subsampled(self.width, chroma_shift_x);
                let chroma_rows = subsampled(self.height, chroma_shift_y);
                let (turned_shift_x, turned_shift_y) = if orientation.swaps_sides() {
                    (chroma_shift_y, chroma_shift_x)
                } else {
                    (chroma_shift_x, chroma_shift_y)
                };
                let planes = TurnedPlanes::Yuv {
                    y: turn::<1>(y, columns, rows, orientation),
                    u: turn::<1>(u, chroma_columns, chroma_rows, orientation),
                    v: turn::<1>(v, chroma_columns, chroma_rows, orientation),
                    chroma_shift_x: turned_shift_x,
                    chroma_shift_y: turned_shift_y,
                };
                (matrix, full_range, planes)
            }
        };
        let (width, height) =
            if orientation.swaps_sides() { (self.height, self.width) } else { (self.width, self.height) };
        Self { width, height, storage: Storage::Turned { planes, matrix, full_range } }
    }
}

/// Samples of a chroma row or column: odd sizes round up.
pub(crate) fn subsampled(size: u32, shift: u8) -> usize {
    (size as usize).div_ceil(1 << shift)
}

fn frame_planes(frame: &Frame) -> Planes<'_> {
    let (width, height) = (frame.width(), frame.height());
    match frame.pixel_format() {
        PixelFormat::PlanarYuv { chroma_shift_x, chroma_shift_y } => {
            let columns = subsampled(width, chroma_shift_x);
            let rows = subsampled(height, chroma_shift_y);
            Planes::Yuv {
                y: frame.plane(0, width as usize, height as usize),
                u: frame.plane(1, columns, rows),
                v: frame.plane(2, columns, rows),
                chroma_shift_x,
                chroma_shift_y,
                matrix: frame.color_matrix(),
                full_range: frame.is_full_range(),
            }
        }
        // `PictureMaker` leaves no other format than RGB here.
        PixelFormat::Rgb24 | PixelFormat::Other { .. } => {
            Planes::Rgb(frame.plane(0, width as usize * 3, height as usize))
        }
    }
}

/// A plane of `columns` × `rows` samples of `N` bytes, upright; the result is tightly packed.
fn turn<const N: usize>(plane: Plane<'_>, columns: usize, rows: usize, orientation: Orientation) -> Vec<u8> {
    let mut turned = vec![0; columns * rows * N];
    if plane.samples.is_empty() || columns == 0 || rows == 0 {
        return turned;
    }
    let seen_columns = if orientation.swaps_sides() { rows } else { columns };
    // Along a row that is seen, stored samples follow each other at equal distances.
    let offset = |place: (usize, usize)| {
        let (row, column) = orientation.stored_place(place, (columns, rows));
        row * plane.stride + column * N
    };
    for (row, line) in turned.chunks_exact_mut(seen_columns * N).enumerate() {
        let first = offset((row, 0));
        let step = if seen_columns > 1 { offset((row, 1)).wrapping_sub(first) } else { 0 };
        let mut at = first;
        for sample in line.chunks_exact_mut(N) {
            if let Some(stored) = plane.samples.get(at..at + N) {
                sample.copy_from_slice(stored);
            }
            at = at.wrapping_add(step);
        }
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_and_mirrors_move_the_corners() {
        use crate::file::orientation::Turn;
        let plane = Plane { samples: &[1, 2, 3, 0, 4, 5, 6, 0], stride: 4 };
        for (turn_by, straight, mirrored) in [
            (Turn::None, [1, 2, 3, 4, 5, 6], [3, 2, 1, 6, 5, 4]),
            (Turn::Quarter, [4, 1, 5, 2, 6, 3], [6, 3, 5, 2, 4, 1]),
            (Turn::Half, [6, 5, 4, 3, 2, 1], [4, 5, 6, 1, 2, 3]),
            (Turn::ThreeQuarters, [3, 6, 2, 5, 1, 4], [1, 4, 2, 5, 3, 6]),
        ] {
            let seen = |is_mirrored| turn::<1>(plane, 3, 2, Orientation { is_mirrored, turn: turn_by });
            assert_eq!(seen(false), straight, "{turn_by:?}");
            assert_eq!(seen(true), mirrored, "{turn_by:?} of the mirrored one");
        }
        let rgb = Plane { samples: &[1, 2, 3, 4, 5, 6], stride: 6 };
        let mirrored = Orientation { is_mirrored: true, turn: Turn::None };
        assert_eq!(turn::<3>(rgb, 2, 1, mirrored), [4, 5, 6, 1, 2, 3]);
    }
}
