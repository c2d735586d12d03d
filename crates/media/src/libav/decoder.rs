//! A decoder of one video stream.

use super::frame::StatedColors;
use super::hevc_layers;
use super::{Frame, Input, NO_TIMESTAMP, Packet};
use ffmpeg_sys_next as ffi;
use serde::{Deserialize, Serialize};
use std::ptr;

/// An open decoder.
pub(crate) struct Decoder {
    context: *mut ffi::AVCodecContext,
    is_progressive: bool,
    /// Whether no other picture refers to pictures marked as non-reference.
    knows_non_reference: bool,
    /// What the container says of the colors; streams often say nothing.
    colors: Option<StatedColors>,
}

// SAFETY: codec contexts have no thread affinity; `Decoder` is not `Sync`.
unsafe impl Send for Decoder {}

/// How a stream without a container is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamCodec {
    /// H.264, Annex B.
    H264,
    /// H.265, Annex B.
    H265,
    /// JPEG pictures, one after the other.
    Mjpeg,
}

/// Which pictures may be skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skip {
    /// Decode all.
    Nothing,
    /// Skip pictures from which no other is predicted.
    NonReference,
}

/// The decoder's output.
pub(crate) enum Received {
    /// A frame and the ordinal of the packet it came from.
    Frame(Frame, i64),
    /// It needs another packet first.
    NeedsPacket,
    /// Nothing more will come.
    End,
}

impl Decoder {
    /// `None` if there is no decoder for the stream or it doesn't open. With more than one thread each frame comes
    /// out later, by that many packets minus one.
    pub(crate) fn open(input: &Input, stream_index: i32, max_pixels: u64, threads: i32) -> Option<Self> {
        let stream = input.stream(stream_index)?;
        // SAFETY: `stream` lives as long as `input`; each pointer is checked before it is used, and the context is owned by the
        // returned value as soon as it exists.
        unsafe {
            let parameters = (*stream).codecpar;
            let codec = ffi::avcodec_find_decoder((*parameters).codec_id);
            if codec.is_null() {
                return None;
            }
            let context = ffi::avcodec_alloc_context3(codec);
            if context.is_null() {
                return None;
            }
            let is_progressive = (*parameters).field_order == ffi::AVFieldOrder::AV_FIELD_PROGRESSIVE;
            let is_hevc = (*parameters).codec_id == ffi::AVCodecID::AV_CODEC_ID_HEVC;
            let knows_non_reference = !is_hevc || hevc_layers::has_one_layer(input.head(stream_index));
            let colors = StatedColors::of_parameters(parameters);
            let decoder = Self { context, is_progressive, knows_non_reference, colors: Some(colors) };
            if ffi::avcodec_parameters_to_context(context, parameters) < 0 {
                return None;
            }
            (*context).thread_count = threads;
            (*context).max_pixels = i64::try_from(max_pixels).unwrap_or(i64::MAX);
            (*context).pkt_timebase = (*stream).time_base;
            (ffi::avcodec_open2(context, codec, ptr::null_mut()) >= 0).then_some(decoder)
        }
    }

    /// A decoder of a stream that brings its parameter sets itself (Annex B, JPEG). `None` if this libav has none for the codec.
    pub(crate) fn of_codec(codec: StreamCodec, max_pixels: u64) -> Option<Self> {
        super::silence_log();
        let id = match codec {
            StreamCodec::H264 => ffi::AVCodecID::AV_CODEC_ID_H264,
            StreamCodec::H265 => ffi::AVCodecID::AV_CODEC_ID_HEVC,
            StreamCodec::Mjpeg => ffi::AVCodecID::AV_CODEC_ID_MJPEG,
        };
        // SAFETY: each pointer is checked before it is used, and the context is owned by the returned value as soon as it exists.
        unsafe {
            let codec = ffi::avcodec_find_decoder(id);
            if codec.is_null() {
                return None;
            }
            let context = ffi::avcodec_alloc_context3(codec);
            if context.is_null() {
                return None;
            }
            let decoder = Self { context, is_progressive: false, knows_non_reference: false, colors: None };
            // More threads would hold back as many frames.
            (*context).thread_count = 1;
            (*context).max_pixels = i64::try_from(max_pixels).unwrap_or(i64::MAX);
            (ffi::avcodec_open2(context, codec, ptr::null_mut()) >= 0).then_some(decoder)
        }
    }

    /// Whether the stream says that each packet is a whole frame, and not one of two fields.
    pub(crate) fn is_progressive(&self) -> bool {
        self.is_progressive
    }

    /// Takes effect with the next packet. Nothing is skipped if the stream doesn't say for certain what may be.
    pub(crate) fn skip(&mut self, skip: Skip) {
        let discard = match skip {
            Skip::NonReference if self.knows_non_reference => ffi::AVDiscard::AVDISCARD_NONREF,
            Skip::Nothing | Skip::NonReference => ffi::AVDiscard::AVDISCARD_DEFAULT,
        };
        // SAFETY: the context is exclusively ours; libav reads the field per packet.
        unsafe { (*self.context).skip_frame = discard }
    }

    /// Sends a packet, or `None` for the end of the stream. Every frame must have been received before.
    pub(crate) fn send(&mut self, packet: Option<&Packet>) -> Result<(), i32> {
        let packet = packet.map_or(ptr::null(), |packet| packet.0.cast_const());
        // SAFETY: the packet is valid or null, which means the end.
        let code = unsafe { ffi::avcodec_send_packet(self.context, packet) };
        if code < 0 { Err(code) } else { Ok(()) }
    }

    /// The next frame in display order.
    pub(crate) fn receive(&mut self) -> Result<Received, i32> {
        super::step();
        let mut frame = Frame::new().ok_or(ffi::AVERROR(ffi::ENOMEM))?;
        // SAFETY: both objects are valid and exclusively ours.
        match unsafe { ffi::avcodec_receive_frame(self.context, frame.as_mut_ptr()) } {
            0.. => {
                if let Some(colors) = self.colors {
                    frame.complete_colors(colors);
                }
                let ordinal = match frame.pts() {
                    NO_TIMESTAMP => frame.best_effort_timestamp(),
                    pts => pts,
                };
                Ok(Received::Frame(frame, ordinal))
            }
            ffi::AVERROR_EOF => Ok(Received::End),
            code if code == ffi::AVERROR(ffi::EAGAIN) => Ok(Received::NeedsPacket),
            code => Err(code),
        }
    }

    /// Resets it, as before the first packet.
    pub(crate) fn flush(&mut self) {
        // SAFETY: the context is open.
        unsafe { ffi::avcodec_flush_buffers(self.context) }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: allocated in `open`, freed only here.
        unsafe { ffi::avcodec_free_context(&raw mut self.context) }
    }
}
