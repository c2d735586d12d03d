//! Encoding a stream without a container: VP8, frame by frame.

use super::{Frame, Packet};
use ffmpeg_sys_next as ffi;
use std::ptr;

/// What to encode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamEncoderSettings {
    /// px.
    pub width: u32,
    /// px.
    pub height: u32,
    /// Of the frames' pts: ticks a second.
    pub clock_rate_hz: u32,
    /// Frames from one keyframe to the next, at most.
    pub keyframe_interval: u32,
    /// About this many.
    pub bits_per_sec: i64,
}

/// An open encoder. What goes in comes out at once: it doesn't look ahead.
pub(crate) struct StreamEncoder {
    context: *mut ffi::AVCodecContext,
    packet: Packet,
}

// SAFETY: no thread affinity; not `Sync`.
unsafe impl Send for StreamEncoder {}

/// A coded frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CodedFrame {
    pub data: Vec<u8>,
    pub pts: i64,
    pub is_keyframe: bool,
}

impl StreamEncoder {
    /// Opens the encoder of libvpx for VP8, which every browser receives.
    pub(crate) fn vp8(settings: &StreamEncoderSettings) -> Result<Self, i32> {
        super::silence_log();
        let invalid = ffi::AVERROR(ffi::EINVAL);
        let int = |value: u32| i32::try_from(value).map_err(|_| invalid);
        // SAFETY: every pointer is checked before use; the value owns the context as soon as it exists, so each early return frees it.
        unsafe {
            let codec = ffi::avcodec_find_encoder_by_name(c"libvpx".as_ptr());
            if codec.is_null() {
                return Err(ffi::AVERROR_ENCODER_NOT_FOUND);
            }
            let encoder = Self {
                context: ffi::avcodec_alloc_context3(codec),
                packet: Packet::new().ok_or(ffi::AVERROR(ffi::ENOMEM))?,
            };
            if encoder.context.is_null() {
                return Err(ffi::AVERROR(ffi::ENOMEM));
            }
            let context = &mut *encoder.context;
            context.width = int(settings.width)?;
            context.height = int(settings.height)?;
            context.pix_fmt = ffi::AVPixelFormat::AV_PIX_FMT_YUV420P;
            context.time_base = ffi::AVRational { num: 1, den: int(settings.clock_rate_hz)? };
            context.gop_size = int(settings.keyframe_interval)?;
            context.bit_rate = settings.bits_per_sec;
            context.rc_max_rate = settings.bits_per_sec * 2;
            context.rc_buffer_size = int(u32::try_from(settings.bits_per_sec).map_err(|_| invalid)?)?;
            context.thread_count = 1;
            let mut options = ptr::null_mut();
            for (name, value) in [
                // As fast as it can, and nothing held back.
                (c"deadline", c"realtime"),
                (c"cpu-used", c"8"),
                (c"lag-in-frames", c"0"),
                (c"error-resilient", c"default"),
            ] {
                ffi::av_dict_set(&raw mut options, name.as_ptr(), value.as_ptr(), 0);
            }
            let code = ffi::avcodec_open2(encoder.context, codec, &raw mut options);
            ffi::av_dict_free(&raw mut options);
            check(code)?;
            Ok(encoder)
        }
    }

    /// Encodes one planar 4:2:0 frame of the stream's size. Pts only grow.
    pub(crate) fn encode(&mut self, frame: &Frame) -> Result<Vec<CodedFrame>, i32> {
        let mut coded = Vec::new();
        // SAFETY: the context is open and the frame is whole; a packet's bytes are valid until the next call on it, and are copied before.
        unsafe {
            check(ffi::avcodec_send_frame(self.context, ptr::from_ref(frame.get())))?;
            loop {
                match ffi::avcodec_receive_packet(self.context, self.packet.0) {
                    0.. => {}
                    code if code == ffi::AVERROR(ffi::EAGAIN) || code == ffi::AVERROR_EOF => {
                        return Ok(coded);
                    }
                    code => return Err(code),
                }
                let packet = &*self.packet.0;
                let length = usize::try_from(packet.size).unwrap_or(0);
                coded.push(CodedFrame {
                    data: std::slice::from_raw_parts(packet.data, length).to_vec(),
                    pts: packet.pts,
                    is_keyframe: packet.flags & ffi::AV_PKT_FLAG_KEY != 0,
                });
                ffi::av_packet_unref(self.packet.0);
            }
        }
    }
}

fn check(code: i32) -> Result<(), i32> {
    if code < 0 { Err(code) } else { Ok(()) }
}

impl Drop for StreamEncoder {
    fn drop(&mut self) {
        // SAFETY: null or made in `vp8`, freed only here.
        unsafe { ffi::avcodec_free_context(&raw mut self.context) }
    }
}
