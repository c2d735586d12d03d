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
        use ffi::AVColorSpace as C;
        // SAFETY: the frame is valid. Read as a number: files may state one that the enumeration lacks.
        let stated = unsafe { (&raw const (*self.0).colorspace).cast::<u32>().read() };
        let is = |one: C| stated == one as u32;
        match stated {
            _ if is(C::AVCOL_SPC_BT709) => ColorMatrix::Bt709,
            _ if [C::AVCOL_SPC_BT470BG, C::AVCOL_SPC_SMPTE170M, C::AVCOL_SPC_FCC].into_iter().any(is) => {
                ColorMatrix::Bt601
            }
            _ if self.is_full_range() => ColorMatrix::Bt601,
            _ if self.height() >= 720 => ColorMatrix::Bt709,
            _ => ColorMatrix::Bt601,
        }
    }

    pub(crate) fn is_full_range(&self) -> bool {
        use ffi::AVPixelFormat as F;
        // SAFETY: as in `color_matrix`.
        let stated = unsafe { (&raw const (*self.0).color_range).cast::<u32>().read() };
        stated == ffi::AVColorRange::AVCOL_RANGE_JPEG as u32
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
