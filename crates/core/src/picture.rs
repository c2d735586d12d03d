//! A decoded picture, passed from the decoder to its consumers: 8-bit planes and their layout.

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

/// A picture with its own samples.
pub trait Viewable {
    /// The samples.
    fn view(&self) -> PictureView<'_>;
}
