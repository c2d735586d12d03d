//! A decoded frame: planes of samples, reference-counted by libav.

use ffmpeg_sys_next as ffi;
use pigweight_core::picture::{ColorMatrix, PictureView, Plane, Planes};

/// A frame owned by us.
pub(crate) struct Frame(*mut ffi::AVFrame);

// SAFETY: frame buffers are reference-counted with atomics; `Frame` is not `Sync`, and its samples are only
// read through `&self` once it has left the decoder.
unsafe impl Send for Frame {}

/// The sample layouts the product reads without conversion, and the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PixelFormat {
    /// 8-bit planar YUV with the shifts of its chroma planes.
    PlanarYuv { chroma_shift_x: u8, chroma_shift_y: u8 },
    /// 8-bit packed RGB.
    Rgb24,
    /// Something the scaler must turn into one of the above; RGB-like ones keep full chroma as RGB.
    Other { is_rgb: bool },
}

/// A frame's color description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Colors {
    pub transfer: Transfer,
    pub primaries: Primaries,
    pub coefficients: Coefficients,
    /// Luma from 0 rather than from a sixteenth.
    pub full_range: bool,
}

/// Transfer characteristics (ITU-T H.273, table 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transfer {
    /// BT.709, BT.601, sRGB: standard dynamic range.
    Usual,
    /// Perceptual quantiser of SMPTE ST 2084.
    Pq,
    /// Hybrid log-gamma of ARIB STD-B67.
    Hlg,
}

/// Color primaries (ITU-T H.273, table 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Primaries {
    /// BT.709, or near it.
    Usual,
    /// BT.2020.
    Bt2020,
    /// Display P3.
    DisplayP3,
}

/// Matrix coefficients (ITU-T H.273, table 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coefficients {
    Bt601,
    Bt709,
    Bt2020,
}

/// The color description's numbers as a stream states them; 2, and 0 for the range, say nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct StatedColors {
    pub primaries: u32,
    pub transfer: u32,
    pub matrix: u32,
    pub range: u32,
}

const UNSPECIFIED: u32 = 2;

impl StatedColors {
    /// # Safety
    /// The parameters are valid.
    pub(super) unsafe fn of_parameters(parameters: *const ffi::AVCodecParameters) -> Self {
        // SAFETY: per this function's contract. Read as numbers: files may state some that the enumerations lack.
        unsafe {
            Self {
                primaries: (&raw const (*parameters).color_primaries).cast::<u32>().read(),
                transfer: (&raw const (*parameters).color_trc).cast::<u32>().read(),
                matrix: (&raw const (*parameters).color_space).cast::<u32>().read(),
                range: (&raw const (*parameters).color_range).cast::<u32>().read(),
            }
        }
    }
}

impl Colors {
    /// Whether 8-bit planes with a [`ColorMatrix`] can't say it: shown as they are, the colors would be pale or wrong.
    pub(crate) fn are_unusual(self) -> bool {
        self.transfer != Transfer::Usual
            || self.primaries != Primaries::Usual
            || self.coefficients == Coefficients::Bt2020
    }
}

impl Frame {
    pub(super) fn new() -> Option<Self> {
        // SAFETY: returns a new frame or null.
        let frame = unsafe { ffi::av_frame_alloc() };
        (!frame.is_null()).then_some(Self(frame))
    }

    /// A writable frame with buffers of its own; `None` when memory is short or the size is absurd.
    pub(super) fn with_buffers(format: ffi::AVPixelFormat, width: u32, height: u32) -> Option<Self> {
        let mut frame = Self::new()?;
        // SAFETY: the frame is new and ours; av_frame_get_buffer checks the size.
        unsafe {
            let raw = frame.as_mut_ptr();
            (*raw).format = format as i32;
            (*raw).width = i32::try_from(width).ok()?;
            (*raw).height = i32::try_from(height).ok()?;
            (ffi::av_frame_get_buffer(raw, 0) >= 0).then_some(frame)
        }
    }

    /// An RGB frame to write into; `None` when memory is short.
    pub(crate) fn rgb(width: u32, height: u32) -> Option<Self> {
        Self::with_buffers(ffi::AVPixelFormat::AV_PIX_FMT_RGB24, width, height)
    }

    /// A frame of 8-bit planes to write into; `None` for a subsampling that libav has no format for, or when memory is
    /// short.
    pub(crate) fn yuv(
        (width, height): (u32, u32),
        shifts: (u8, u8),
        matrix: ColorMatrix,
        full_range: bool,
    ) -> Option<Self> {
        let mut frame = Self::with_buffers(yuv_format(shifts)?, width, height)?;
        frame.set_color(matrix, full_range);
        Some(frame)
    }

    /// A copy of 8-bit planes; `None` as for [`Self::yuv`].
    pub(crate) fn of(view: &PictureView<'_>) -> Option<Self> {
        let (width, height) = (view.width as usize, view.height as usize);
        match view.planes {
            Planes::Rgb(plane) => {
                let mut frame = Self::rgb(view.width, view.height)?;
                frame.copy_plane(0, plane, width * 3, height)?;
                Some(frame)
            }
            Planes::Yuv { y, u, v, chroma_shift_x, chroma_shift_y, matrix, full_range } => {
                let shifts = (chroma_shift_x, chroma_shift_y);
                let mut frame = Self::yuv((view.width, view.height), shifts, matrix, full_range)?;
                let columns = width.div_ceil(1 << chroma_shift_x);
                let rows = height.div_ceil(1 << chroma_shift_y);
                frame.copy_plane(0, y, width, height)?;
                frame.copy_plane(1, u, columns, rows)?;
                frame.copy_plane(2, v, columns, rows)?;
                Some(frame)
            }
        }
    }

    fn copy_plane(&mut self, index: usize, plane: Plane<'_>, columns: usize, rows: usize) -> Option<()> {
        let (samples, stride) = self.plane_mut(index, columns, rows)?;
        for (line, row) in samples.chunks_mut(stride).zip(0..rows) {
            match plane.samples.get(row * plane.stride..row * plane.stride + columns) {
                Some(source) => line[..columns].copy_from_slice(source),
                // A plane that libav left out is grey.
                None => line[..columns].fill(128),
            }
        }
        Some(())
    }

    /// How its samples are to be read.
    pub(super) fn set_color(&mut self, matrix: ColorMatrix, full_range: bool) {
        // SAFETY: the frame is exclusively ours.
        unsafe {
            (*self.0).color_range = match full_range {
                true => ffi::AVColorRange::AVCOL_RANGE_JPEG,
                false => ffi::AVColorRange::AVCOL_RANGE_MPEG,
            };
            (*self.0).colorspace = match matrix {
                ColorMatrix::Bt601 => ffi::AVColorSpace::AVCOL_SPC_SMPTE170M,
                ColorMatrix::Bt709 => ffi::AVColorSpace::AVCOL_SPC_BT709,
            };
        }
    }

    /// The first three planes of a frame made by `with_buffers`, each with its stride; `sizes` are columns and rows of each.
    pub(crate) fn planes_mut(&mut self, sizes: [(usize, usize); 3]) -> Option<[(&mut [u8], usize); 3]> {
        // SAFETY: makes the buffers ours alone (copies them if they are shared).
        if unsafe { ffi::av_frame_make_writable(self.0) } < 0 {
            return None;
        }
        let places = [0, 1, 2].map(|index| {
            let (columns, rows) = sizes[index];
            let Plane { samples, stride } = self.plane(index, columns, rows);
            (samples.len(), stride)
        });
        if places.iter().any(|&(length, _)| length == 0) {
            return None;
        }
        Some([0, 1, 2].map(|index| {
            let (length, stride) = places[index];
            // SAFETY: as in `plane`; planes don't overlap, and `&mut self` keeps other slices away.
            (unsafe { std::slice::from_raw_parts_mut(self.get().data[index], length) }, stride)
        }))
    }

    /// The same samples once more, not copied; `None` when memory is short.
    pub(crate) fn share(&self) -> Option<Self> {
        // SAFETY: the frame is valid; its buffers are counted, and nobody writes into those of a frame that has left the decoder
        // (`plane_mut` makes them its own first).
        let frame = unsafe { ffi::av_frame_clone(self.0) };
        (!frame.is_null()).then_some(Self(frame))
    }

    /// What its buffers take of memory, bytes, whoever shares them.
    pub(crate) fn held_bytes(&self) -> usize {
        let held = self.get().buf.iter().filter(|buffer| !buffer.is_null());
        // SAFETY: checked for null; a frame's buffers live as long as the frame.
        held.map(|&buffer| unsafe { (*buffer).size }).sum()
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut ffi::AVFrame {
        self.0
    }

    pub(super) fn get(&self) -> &ffi::AVFrame {
        // SAFETY: allocated in `new`, freed only on drop.
        unsafe { &*self.0 }
    }

    pub(super) fn pts(&self) -> i64 {
        self.get().pts
    }

    pub(super) fn best_effort_timestamp(&self) -> i64 {
        self.get().best_effort_timestamp
    }

    pub(crate) fn set_pts(&mut self, pts: i64) {
        // SAFETY: the frame is exclusively ours.
        unsafe {
            (*self.0).pts = pts;
        }
    }

    pub(crate) fn width(&self) -> u32 {
        u32::try_from(self.get().width).unwrap_or(0)
    }

    pub(crate) fn height(&self) -> u32 {
        u32::try_from(self.get().height).unwrap_or(0)
    }

    /// Decoded in spite of errors: parts of it are guessed.
    pub(crate) fn is_corrupt(&self) -> bool {
        self.get().flags & ffi::AV_FRAME_FLAG_CORRUPT != 0 || self.get().decode_error_flags != 0
    }

    pub(crate) fn pixel_format(&self) -> PixelFormat {
        use ffi::AVPixelFormat as F;
        let planar = |x, y| PixelFormat::PlanarYuv { chroma_shift_x: x, chroma_shift_y: y };
        match self.raw_format() {
            F::AV_PIX_FMT_YUV420P | F::AV_PIX_FMT_YUVJ420P => planar(1, 1),
            F::AV_PIX_FMT_YUV422P | F::AV_PIX_FMT_YUVJ422P => planar(1, 0),
            F::AV_PIX_FMT_YUV444P | F::AV_PIX_FMT_YUVJ444P => planar(0, 0),
            F::AV_PIX_FMT_YUV440P | F::AV_PIX_FMT_YUVJ440P => planar(0, 1),
            F::AV_PIX_FMT_RGB24 => PixelFormat::Rgb24,
            other => {
                // SAFETY: looks up a static table; null for an unknown format.
                let descriptor = unsafe { ffi::av_pix_fmt_desc_get(other) };
                // SAFETY: checked for null; the table is static.
                let flags = if descriptor.is_null() { 0 } else { unsafe { (*descriptor).flags } };
                let rgb = u64::from(ffi::AV_PIX_FMT_FLAG_RGB.unsigned_abs())
                    | u64::from(ffi::AV_PIX_FMT_FLAG_PAL.unsigned_abs());
                PixelFormat::Other { is_rgb: flags & rgb != 0 }
            }
        }
    }

    pub(super) fn raw_format(&self) -> ffi::AVPixelFormat {
        // SAFETY: libav writes only values of its own enumeration into a decoded video frame's `format`, and the
        // bindings are generated from the very headers it was built with.
        unsafe { std::mem::transmute::<i32, ffi::AVPixelFormat>(self.get().format) }
    }

    /// What the stream states, or what players take where it states nothing: BT.709 from 720 lines on.
    pub(crate) fn color_matrix(&self) -> ColorMatrix {
        match self.stated_matrix() {
            Some(Coefficients::Bt601) => ColorMatrix::Bt601,
            Some(Coefficients::Bt709 | Coefficients::Bt2020) => ColorMatrix::Bt709,
            None if self.is_full_range() => ColorMatrix::Bt601,
            None if self.height() >= 720 => ColorMatrix::Bt709,
            None => ColorMatrix::Bt601,
        }
    }

    fn stated_matrix(&self) -> Option<Coefficients> {
        use ffi::AVColorSpace as C;
        let stated = self.stated_colors().matrix;
        let is = |one: C| stated == one as u32;
        if is(C::AVCOL_SPC_BT709) {
            Some(Coefficients::Bt709)
        } else if [C::AVCOL_SPC_BT470BG, C::AVCOL_SPC_SMPTE170M, C::AVCOL_SPC_FCC].into_iter().any(is) {
            Some(Coefficients::Bt601)
        } else if is(C::AVCOL_SPC_BT2020_NCL) || is(C::AVCOL_SPC_BT2020_CL) {
            Some(Coefficients::Bt2020)
        } else {
            None
        }
    }

    /// Its color description. Where primaries aren't stated, those of the rest of the description are taken.
    pub(crate) fn colors(&self) -> Colors {
        use ffi::AVColorPrimaries as P;
        use ffi::AVColorTransferCharacteristic as T;
        let stated = self.stated_colors();
        let transfer = match stated.transfer {
            code if code == T::AVCOL_TRC_SMPTE2084 as u32 => Transfer::Pq,
            code if code == T::AVCOL_TRC_ARIB_STD_B67 as u32 => Transfer::Hlg,
            _ => Transfer::Usual,
        };
        let matrix = self.stated_matrix();
        let primaries = match stated.primaries {
            code if code == P::AVCOL_PRI_BT2020 as u32 => Primaries::Bt2020,
            code if code == P::AVCOL_PRI_SMPTE432 as u32 => Primaries::DisplayP3,
            UNSPECIFIED if transfer != Transfer::Usual || matrix == Some(Coefficients::Bt2020) => {
                Primaries::Bt2020
            }
            _ => Primaries::Usual,
        };
        let coefficients = match (matrix, self.color_matrix()) {
            (Some(stated), _) => stated,
            (None, _) if transfer != Transfer::Usual || primaries == Primaries::Bt2020 => {
                Coefficients::Bt2020
            }
            (None, ColorMatrix::Bt601) => Coefficients::Bt601,
            (None, ColorMatrix::Bt709) => Coefficients::Bt709,
        };
        Colors { transfer, primaries, coefficients, full_range: self.is_full_range() }
    }

    pub(super) fn stated_colors(&self) -> StatedColors {
        // SAFETY: the frame is valid. Read as numbers: files may state some that the enumerations lack.
        unsafe {
            StatedColors {
                primaries: (&raw const (*self.0).color_primaries).cast::<u32>().read(),
                transfer: (&raw const (*self.0).color_trc).cast::<u32>().read(),
                matrix: (&raw const (*self.0).colorspace).cast::<u32>().read(),
                range: (&raw const (*self.0).color_range).cast::<u32>().read(),
            }
        }
    }

    /// Takes from the container what the stream itself leaves open.
    pub(super) fn complete_colors(&mut self, container: StatedColors) {
        let own = self.stated_colors();
        let or = |own: u32, open: u32, other: u32| if own == open { other } else { own };
        // SAFETY: the frame is exclusively ours. Written as numbers, which is how they are read: libav's own structure, from which
        // these come, holds them likewise.
        unsafe {
            let raw = self.0;
            let write = |field: *mut u32, value: u32| field.write(value);
            write(
                (&raw mut (*raw).color_primaries).cast(),
                or(own.primaries, UNSPECIFIED, container.primaries),
            );
            write((&raw mut (*raw).color_trc).cast(), or(own.transfer, UNSPECIFIED, container.transfer));
            write((&raw mut (*raw).colorspace).cast(), or(own.matrix, UNSPECIFIED, container.matrix));
            write((&raw mut (*raw).color_range).cast(), or(own.range, 0, container.range));
        }
    }

    /// The shifts of the chroma planes of planar YUV with 10 bits, two bytes a sample, little endian.
    pub(crate) fn ten_bit_shifts(&self) -> Option<(u8, u8)> {
        use ffi::AVPixelFormat as F;
        match self.raw_format() {
            F::AV_PIX_FMT_YUV420P10LE => Some((1, 1)),
            F::AV_PIX_FMT_YUV422P10LE => Some((1, 0)),
            F::AV_PIX_FMT_YUV444P10LE => Some((0, 0)),
            _ => None,
        }
    }

    pub(crate) fn is_full_range(&self) -> bool {
        use ffi::AVPixelFormat as F;
        self.stated_colors().range == ffi::AVColorRange::AVCOL_RANGE_JPEG as u32
            || matches!(
                self.raw_format(),
                F::AV_PIX_FMT_YUVJ420P
                    | F::AV_PIX_FMT_YUVJ422P
                    | F::AV_PIX_FMT_YUVJ444P
                    | F::AV_PIX_FMT_YUVJ440P
            )
    }

    /// The samples of plane `index`, which has `rows` rows of `columns` bytes. Empty where libav has no such
    /// plane or stores it bottom-up.
    pub(crate) fn plane(&self, index: usize, columns: usize, rows: usize) -> Plane<'_> {
        let frame = self.get();
        let empty = Plane { samples: &[], stride: 0 };
        let (Some(&data), Some(&stride)) = (frame.data.get(index), frame.linesize.get(index)) else {
            return empty;
        };
        let Ok(stride) = usize::try_from(stride) else { return empty };
        if data.is_null() || stride < columns || rows == 0 || columns == 0 {
            return empty;
        }
        // SAFETY: libav allocates `stride` bytes for each of a plane's rows, the last one at least `columns`
        // long; the callers ask for no more rows and columns than the frame's format and size give.
        let samples = unsafe { std::slice::from_raw_parts(data, stride * (rows - 1) + columns) };
        Plane { samples, stride }
    }

    /// Writes into plane `index` of a frame made by `with_buffers`, row by row.
    pub(crate) fn plane_mut(
        &mut self,
        index: usize,
        columns: usize,
        rows: usize,
    ) -> Option<(&mut [u8], usize)> {
        // SAFETY: makes the buffers ours alone (copies them if they are shared).
        if unsafe { ffi::av_frame_make_writable(self.0) } < 0 {
            return None;
        }
        let Plane { samples, stride } = self.plane(index, columns, rows);
        let length = samples.len();
        if length == 0 {
            return None;
        }
        // SAFETY: as in `plane`; writable after the first call, and `&mut self` keeps other slices away.
        Some((unsafe { std::slice::from_raw_parts_mut(self.get().data[index], length) }, stride))
    }

    /// A tag of the picture file, "Orientation" of EXIF for instance.
    pub(crate) fn metadata(&self, key: &std::ffi::CStr) -> Option<String> {
        // SAFETY: the dictionary may be null, which libav allows; an entry's value is NUL-terminated.
        unsafe {
            let entry = ffi::av_dict_get(self.get().metadata, key.as_ptr(), std::ptr::null(), 0);
            (!entry.is_null())
                .then(|| std::ffi::CStr::from_ptr((*entry).value).to_string_lossy().into_owned())
        }
    }
}

/// 8-bit planes with these shifts of the chroma ones; `None` for a subsampling that libav has no format for.
pub(super) fn yuv_format(shifts: (u8, u8)) -> Option<ffi::AVPixelFormat> {
    use ffi::AVPixelFormat as F;
    match shifts {
        (0, 0) => Some(F::AV_PIX_FMT_YUV444P),
        (1, 0) => Some(F::AV_PIX_FMT_YUV422P),
        (0, 1) => Some(F::AV_PIX_FMT_YUV440P),
        (1, 1) => Some(F::AV_PIX_FMT_YUV420P),
        _ => None,
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        // SAFETY: allocated in `new`, freed only here.
        unsafe { ffi::av_frame_free(&raw mut self.0) }
    }
}
