//! Conversion of sample layouts and sizes (swscale).

use super::frame::Coefficients;
use super::{Frame, PixelFormat};
use ffmpeg_sys_next as ffi;
use pigweight_core::picture::ColorMatrix;
use std::ptr;

/// SWS_BILINEAR: a macro in older headers, an enumerator in newer ones, 2 in all of them.
const BILINEAR: i32 = 2;
const RGB: ffi::AVPixelFormat = ffi::AVPixelFormat::AV_PIX_FMT_RGB24;
const YUV: ffi::AVPixelFormat = ffi::AVPixelFormat::AV_PIX_FMT_YUV420P;

/// Converts frames to 8-bit 4:2:0 or RGB of a given size; keeps its tables while the input format stays the same.
pub(crate) struct Scaler {
    context: *mut ffi::SwsContext,
}

// SAFETY: a scaling context has no thread affinity; `Scaler` is not `Sync`.
unsafe impl Send for Scaler {}

impl Scaler {
    pub(crate) fn new() -> Self {
        Self { context: ptr::null_mut() }
    }

    /// The frame at `width` × `height` px as planar 4:2:0 in its own range, or as RGB if it came as RGB.
    /// `None` if swscale doesn't support the format or memory is short.
    pub(crate) fn convert(&mut self, source: &Frame, width: u32, height: u32) -> Option<Frame> {
        let to_rgb =
            matches!(source.pixel_format(), PixelFormat::Rgb24 | PixelFormat::Other { is_rgb: true });
        let format = if to_rgb { RGB } else { YUV };
        self.converted(source, width, height, format, source.is_full_range())
    }

    /// The frame in its own size, range and matrix as planar 4:2:0 with 10 bits.
    pub(crate) fn convert_to_ten_bits(&mut self, source: &Frame) -> Option<Frame> {
        let format = ffi::AVPixelFormat::AV_PIX_FMT_YUV420P10LE;
        self.converted(source, source.width(), source.height(), format, source.is_full_range())
    }

    /// As [`Self::convert`], and planar 4:2:0 of RGB too.
    pub(crate) fn convert_to_yuv(&mut self, source: &Frame, width: u32, height: u32) -> Option<Frame> {
        self.converted(source, width, height, YUV, source.is_full_range())
    }

    /// As [`Self::convert_to_yuv`], always in limited range: codecs that state no range have that one.
    pub(crate) fn convert_to_limited_yuv(
        &mut self,
        source: &Frame,
        width: u32,
        height: u32,
    ) -> Option<Frame> {
        self.converted(source, width, height, YUV, false)
    }

    fn converted(
        &mut self,
        source: &Frame,
        width: u32,
        height: u32,
        target_format: ffi::AVPixelFormat,
        to_full_range: bool,
    ) -> Option<Frame> {
        let mut target = Frame::with_buffers(target_format, width, height)?;
        let full_range = i32::from(source.is_full_range());
        let target_range = i32::from(to_full_range);
        let matrix = match (source.colors().coefficients, source.color_matrix()) {
            (Coefficients::Bt2020, _) => ffi::SWS_CS_BT2020,
            (_, ColorMatrix::Bt601) => ffi::SWS_CS_ITU601,
            (_, ColorMatrix::Bt709) => ffi::SWS_CS_ITU709,
        };
        // SAFETY: sizes and formats are those of the frames; sws_getCachedContext frees or reuses the context we
        // hand it and answers null where it cannot convert; the plane arrays belong to frames that outlive the call.
        unsafe {
            self.context = ffi::sws_getCachedContext(
                self.context,
                source.get().width,
                source.get().height,
                source.raw_format(),
                target.get().width,
                target.get().height,
                target_format,
                BILINEAR,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null(),
            );
            if self.context.is_null() {
                return None;
            }
            let table = ffi::sws_getCoefficients(matrix);
            ffi::sws_setColorspaceDetails(
                self.context,
                table,
                full_range,
                table,
                target_range,
                0,
                1 << 16,
                1 << 16,
            );
            let raw = target.as_mut_ptr();
            let rows = ffi::sws_scale(
                self.context,
                source.get().data.as_ptr().cast(),
                source.get().linesize.as_ptr(),
                0,
                source.get().height,
                (*raw).data.as_ptr(),
                (*raw).linesize.as_ptr(),
            );
            if rows <= 0 {
                return None;
            }
        }
        target.set_color(source.color_matrix(), to_full_range);
        Some(target)
    }
}

impl Drop for Scaler {
    fn drop(&mut self) {
        // SAFETY: null or made by sws_getCachedContext, freed only here.
        unsafe { ffi::sws_freeContext(self.context) }
    }
}
