//! The interface to FFmpeg's libraries, and so the only module with `unsafe`.
//!
//! Each type owns one libav object, frees it on drop and gives safe methods; no raw pointer leaves this module.
//! The rules that make it sound: an object is used by one thread at a time (types are `Send`, not `Sync`);
//! every pointer libav returns is checked before use; sizes that come from a file are checked by libav against
//! its own buffers and by us against the picture's size before a slice is made of them.
#![allow(unsafe_code, reason = "FFI to libav; every block says why it holds")]

mod decoder;
mod encoder;
mod frame;
mod frame_pool;
mod hevc_layers;
mod input;
mod muxer;
pub(crate) mod nal_units;
mod packet_entry;
mod scaler;
mod stream_encoder;

pub use decoder::StreamCodec;
pub(crate) use decoder::{Decoder, Received, Skip};
pub(crate) use encoder::{Encoder, EncoderSettings};
pub(crate) use frame::{Coefficients, Colors, Frame, PixelFormat, Primaries, Transfer};
pub(crate) use frame_pool::FramePool;
pub(crate) use input::{Input, OpenFailure, Packet, SeekTarget, StreamInfo};
pub(crate) use muxer::{FragmentMuxer, PacketTimes, StreamToWrite};
pub use packet_entry::PacketEntry;
pub(crate) use scaler::Scaler;
pub(crate) use stream_encoder::{CodedFrame, StreamEncoder, StreamEncoderSettings};

use ffmpeg_sys_next as ffi;
use std::ffi::CStr;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

/// libav's "no timestamp".
pub(crate) const NO_TIMESTAMP: i64 = ffi::AV_NOPTS_VALUE;

/// libav's code for lack of memory.
pub(crate) const NO_MEMORY: i32 = ffi::AVERROR(ffi::ENOMEM);

/// Packets read and frames received by this process.
static STEPS: AtomicU64 = AtomicU64::new(0);

/// Grows as long as libav makes progress.
pub(crate) fn steps() -> u64 {
    STEPS.load(Ordering::Relaxed)
}

fn step() {
    STEPS.fetch_add(1, Ordering::Relaxed);
}

/// libav's words for a return code.
pub(crate) fn describe(code: i32) -> String {
    let mut text = [0 as std::ffi::c_char; 128];
    // SAFETY: the buffer is writable for its whole length, and av_strerror always terminates it within that.
    let message = unsafe {
        ffi::av_strerror(code, text.as_mut_ptr(), text.len());
        CStr::from_ptr(text.as_ptr())
    };
    message.to_string_lossy().into_owned()
}

/// libav prints to stderr by itself; errors reach us as return codes, so its log is off.
fn silence_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: sets a global integer; called before any other libav function of this process by `Once`.
        unsafe { ffi::av_log_set_level(ffi::AV_LOG_QUIET) }
    });
}
