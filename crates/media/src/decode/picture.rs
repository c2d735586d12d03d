//! A decoded picture, upright, in a supported sample layout.

use crate::file::video::Rotation;
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
    /// Rotated: tightly packed planes.
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
    /// Converts a decoded frame to a supported layout and rotates it upright. `None` for a format that swscale can't
    /// convert either.
    pub(crate) fn from_frame(frame: Frame, rotation: Rotation, scaler: &mut Scaler) -> Option<Self> {
        let frame = match frame.pixel_format() {
            PixelFormat::Other { .. } => scaler.convert(&frame, frame.width(), frame.height())?,
            _ => frame,
        };
        Some(Self::of_frame(frame).turned(rotation))
    }

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

    fn turned(self, rotation: Rotation) -> Self {
        if rotation == Rotation::None {
            return self;
        }
        let view = self.view();
        let (columns, rows) = (self.width as usize, self.height as usize);
        let (matrix, full_range, planes) = match view.planes {
            Planes::Rgb(plane) => {
                (ColorMatrix::Bt601, true, TurnedPlanes::Rgb(turn::<3>(plane, columns, rows, rotation)))
            }
            Planes::Yuv { y, u, v, chroma_shift_x, chroma_shift_y, matrix, full_range } => {
                let chroma_columns = subsampled(self.width, chroma_shift_x);
                let chroma_rows = subsampled(self.height, chroma_shift_y);
                let (turned_shift_x, turned_shift_y) = if rotation.swaps_sides() {
                    (chroma_shift_y, chroma_shift_x)
                } else {
                    (chroma_shift_x, chroma_shift_y)
                };
                let planes = TurnedPlanes::Yuv {
                    y: turn::<1>(y, columns, rows, rotation),
                    u: turn::<1>(u, chroma_columns, chroma_rows, rotation),
                    v: turn::<1>(v, chroma_columns, chroma_rows, rotation),
                    chroma_shift_x: turned_shift_x,
                    chroma_shift_y: turned_shift_y,
                };
                (matrix, full_range, planes)
            }
        };
        let (width, height) =
            if rotation.swaps_sides() { (self.height, self.width) } else { (self.width, self.height) };
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
        // `from_frame` leaves no other format than RGB here.
        PixelFormat::Rgb24 | PixelFormat::Other { .. } => {
            Planes::Rgb(frame.plane(0, width as usize * 3, height as usize))
        }
    }
}

/// A plane of `columns` × `rows` samples of `N` bytes, rotated; the result is tightly packed.
fn turn<const N: usize>(plane: Plane<'_>, columns: usize, rows: usize, rotation: Rotation) -> Vec<u8> {
    let mut turned = vec![0; columns * rows * N];
    if plane.samples.is_empty() {
        return turned;
    }
    let turned_columns = if rotation.swaps_sides() { rows } else { columns };
    for row in 0..rows {
        let line = &plane.samples[row * plane.stride..][..columns * N];
        for (column, sample) in line.chunks_exact(N).enumerate() {
            let (to_row, to_column) = match rotation {
                Rotation::None => (row, column),
                Rotation::Quarter => (column, rows - 1 - row),
                Rotation::Half => (rows - 1 - row, columns - 1 - column),
                Rotation::ThreeQuarters => (columns - 1 - column, row),
            };
            turned[(to_row * turned_columns + to_column) * N..][..N].copy_from_slice(sample);
        }
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarter_turns_move_the_corners_clockwise() {
        let plane = Plane { samples: &[1, 2, 3, 0, 4, 5, 6, 0], stride: 4 };
        assert_eq!(turn::<1>(plane, 3, 2, Rotation::Quarter), [4, 1, 5, 2, 6, 3]);
        assert_eq!(turn::<1>(plane, 3, 2, Rotation::Half), [6, 5, 4, 3, 2, 1]);
        assert_eq!(turn::<1>(plane, 3, 2, Rotation::ThreeQuarters), [3, 6, 2, 5, 1, 4]);
    }
}
