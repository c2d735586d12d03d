//! Frames whose memory is reused when they are dropped, on any thread.
//!
//! Allocating large frames and freeing them a moment later, on many threads, leaves holes in the heap larger than the frames.

use super::Frame;
use super::frame::yuv_format;
use ffmpeg_sys_next as ffi;
use pigweight_core::picture::ColorMatrix;
use std::ptr;

/// Rows begin at multiples of so many bytes, as libav's own do for AVX-512.
const ALIGNMENT: i32 = 64;
/// What libav's loops may read past the last row.
const PADDING: usize = 128;

/// Buffers of one size; holds as many as were in use at once.
pub(crate) struct FramePool {
    pool: *mut ffi::AVBufferPool,
    bytes: usize,
}

// SAFETY: buffer pools lock themselves; `FramePool` is not `Sync`.
unsafe impl Send for FramePool {}

impl FramePool {
    /// Holds nothing.
    pub(crate) fn new() -> Self {
        Self { pool: ptr::null_mut(), bytes: 0 }
    }

    /// As [`Frame::rgb`].
    pub(crate) fn rgb(&mut self, width: u32, height: u32) -> Option<Frame> {
        self.frame(ffi::AVPixelFormat::AV_PIX_FMT_RGB24, width, height)
    }

    /// As [`Frame::yuv`].
    pub(crate) fn yuv(
        &mut self,
        (width, height): (u32, u32),
        shifts: (u8, u8),
        matrix: ColorMatrix,
        full_range: bool,
    ) -> Option<Frame> {
        let mut frame = self.frame(yuv_format(shifts)?, width, height)?;
        frame.set_color(matrix, full_range);
        Some(frame)
    }

    fn frame(&mut self, format: ffi::AVPixelFormat, width: u32, height: u32) -> Option<Frame> {
        let (columns, rows) = (i32::try_from(width).ok()?, i32::try_from(height).ok()?);
        // SAFETY: computes a number; negative for a size that is absurd.
        let bytes = unsafe { ffi::av_image_get_buffer_size(format, columns, rows, ALIGNMENT) };
        let bytes = usize::try_from(bytes).ok().filter(|&bytes| bytes > 0)? + PADDING;
        let mut frame = Frame::new()?;
        self.fit(bytes);
        // SAFETY: a new pool or the one of this size, or null, for which no buffer is asked; the buffer becomes the frame's as soon as it
        // exists, and has the bytes that the same libav says this format, size and alignment take.
        unsafe {
            if self.pool.is_null() {
                return None;
            }
            let buffer = ffi::av_buffer_pool_get(self.pool);
            if buffer.is_null() {
                return None;
            }
            let raw = frame.as_mut_ptr();
            (*raw).buf[0] = buffer;
            (*raw).format = format as i32;
            (*raw).width = columns;
            (*raw).height = rows;
            let filled = ffi::av_image_fill_arrays(
                (&raw mut (*raw).data).cast(),
                (&raw mut (*raw).linesize).cast(),
                (*buffer).data,
                format,
                columns,
                rows,
                ALIGNMENT,
            );
            (*raw).extended_data = (&raw mut (*raw).data).cast();
            (filled >= 0).then_some(frame)
        }
    }

    /// Buffers of another size are freed, those in use when their frames are dropped.
    fn fit(&mut self, bytes: usize) {
        if bytes != self.bytes {
            self.end();
            // SAFETY: a pool of buffers of libav's own making, or null.
            self.pool = unsafe { ffi::av_buffer_pool_init(bytes, None) };
            self.bytes = bytes;
        }
    }

    fn end(&mut self) {
        // SAFETY: ours, or null, which is passed over; it lives on until its last buffer has come back. Null afterwards.
        unsafe { ffi::av_buffer_pool_uninit(&raw mut self.pool) }
    }
}

impl Drop for FramePool {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::picture::Picture;
    use pigweight_core::picture::Planes;

    #[test]
    fn frames_of_any_size_are_complete_and_their_buffers_are_reused() {
        let mut pool = FramePool::new();
        let mut address = |size: (u32, u32), shade: u8| {
            let mut frame = pool.yuv(size, (1, 1), ColorMatrix::Bt709, false).unwrap();
            let (columns, rows) = (size.0 as usize, size.1 as usize);
            let chroma = (columns.div_ceil(2), rows.div_ceil(2));
            let planes = [(columns, rows), chroma, chroma];
            // Each with its own shade, written over its whole length: none overlaps another.
            for (number, (columns, rows)) in planes.into_iter().enumerate() {
                let (samples, _) = frame.plane_mut(number, columns, rows).unwrap();
                samples.fill(shade + number as u8);
            }
            let picture = Picture::of_frame(frame);
            let Planes::Yuv { y, u, v, .. } = picture.view().planes else { panic!("planes") };
            for (number, (plane, (columns, rows))) in [y, u, v].into_iter().zip(planes).enumerate() {
                assert!(plane.stride >= columns && plane.stride.is_multiple_of(ALIGNMENT as usize));
                assert_eq!(plane.samples.len(), plane.stride * (rows - 1) + columns);
                assert!(plane.samples.iter().all(|&sample| sample == shade + number as u8), "plane {number}");
            }
            assert_eq!((picture.width(), picture.height()), size);
            let address = y.samples.as_ptr() as usize;
            (address, picture)
        };
        let (first, held) = address((641, 359), 10);
        let (second, _) = address((641, 359), 20);
        assert_ne!(first, second);
        // The second is gone, the first is not.
        let (third, _) = address((641, 359), 30);
        assert_eq!(second, third);
        let (_, other) = address((1, 1), 40);
        assert_eq!(held.view().width, 641);
        drop((held, other));
        assert!(pool.rgb(u32::MAX, 5).is_none() && pool.rgb(0, 0).is_none());
        assert!(pool.rgb(3, 2).is_some());
        assert!(pool.yuv((4, 4), (2, 2), ColorMatrix::Bt601, true).is_none());
    }
}
