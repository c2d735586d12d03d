//! Writing a video file: one stream, constant frame rate.

use super::{Frame, Packet};
use ffmpeg_sys_next as ffi;
use std::ffi::CString;
use std::path::Path;
use std::ptr;

/// What to write.
pub(crate) struct EncoderSettings {
    pub width: u32,
    pub height: u32,
    pub frames_per_sec: u32,
    /// Encoders to try, the first that is built in wins.
    pub codecs: &'static [&'static std::ffi::CStr],
    /// Frames from one keyframe to the next.
    pub keyframe_interval: u32,
    pub bit_rate: i64,
}

/// An open file with its encoder.
pub(crate) struct Encoder {
    output: *mut ffi::AVFormatContext,
    context: *mut ffi::AVCodecContext,
    packet: Packet,
}

// SAFETY: no thread affinity; not `Sync`.
unsafe impl Send for Encoder {}

impl Encoder {
    /// Opens `path`; the container follows from its extension.
    pub(crate) fn create(path: &Path, settings: &EncoderSettings) -> Result<Self, i32> {
        super::silence_log();
        let invalid = ffi::AVERROR(ffi::EINVAL);
        let mut url = b"file:".to_vec();
        url.extend_from_slice(path.as_os_str().as_encoded_bytes());
        let url = CString::new(url).map_err(|_| invalid)?;
        // SAFETY: every pointer is checked before use; the value owns both contexts as soon as they exist, so
        // each early return frees them.
        unsafe {
            let codec = settings
                .codecs
                .iter()
                .map(|name| ffi::avcodec_find_encoder_by_name(name.as_ptr()))
                .find(|codec| !codec.is_null())
                .ok_or(ffi::AVERROR_ENCODER_NOT_FOUND)?;
            let mut encoder = Self {
                output: ptr::null_mut(),
                context: ptr::null_mut(),
                packet: Packet::new().ok_or(ffi::AVERROR(ffi::ENOMEM))?,
            };
            check(ffi::avformat_alloc_output_context2(
                &raw mut encoder.output,
                ptr::null(),
                ptr::null(),
                url.as_ptr(),
            ))?;
            encoder.context = ffi::avcodec_alloc_context3(codec);
            if encoder.context.is_null() {
                return Err(ffi::AVERROR(ffi::ENOMEM));
            }
            let context = &mut *encoder.context;
            context.width = i32::try_from(settings.width).map_err(|_| invalid)?;
            context.height = i32::try_from(settings.height).map_err(|_| invalid)?;
            context.pix_fmt = ffi::AVPixelFormat::AV_PIX_FMT_YUV420P;
            let rate = i32::try_from(settings.frames_per_sec).map_err(|_| invalid)?;
            context.time_base = ffi::AVRational { num: 1, den: rate };
            context.framerate = ffi::AVRational { num: rate, den: 1 };
            context.gop_size = i32::try_from(settings.keyframe_interval).map_err(|_| invalid)?;
            context.bit_rate = settings.bit_rate;
            // As cameras send it: what is sent as one then reaches browsers by WebRTC, which shows frames in the order in which they come.
            context.max_b_frames = 0;
            context.color_range = ffi::AVColorRange::AVCOL_RANGE_MPEG;
            context.colorspace = ffi::AVColorSpace::AVCOL_SPC_SMPTE170M;
            if (*(*encoder.output).oformat).flags & ffi::AVFMT_GLOBALHEADER != 0 {
                context.flags |= ffi::AV_CODEC_FLAG_GLOBAL_HEADER.cast_signed();
            }
            let mut options = ptr::null_mut();
            ffi::av_dict_set(&raw mut options, c"preset".as_ptr(), c"veryfast".as_ptr(), 0);
            let code = ffi::avcodec_open2(encoder.context, codec, &raw mut options);
            ffi::av_dict_free(&raw mut options);
            check(code)?;
            let stream = ffi::avformat_new_stream(encoder.output, ptr::null());
            if stream.is_null() {
                return Err(ffi::AVERROR(ffi::ENOMEM));
            }
            (*stream).time_base = (*encoder.context).time_base;
            (*stream).avg_frame_rate = (*encoder.context).framerate;
            check(ffi::avcodec_parameters_from_context((*stream).codecpar, encoder.context))?;
            check(ffi::avio_open(&raw mut (*encoder.output).pb, url.as_ptr(), ffi::AVIO_FLAG_WRITE))?;
            let mut options = ptr::null_mut();
            ffi::av_dict_set(&raw mut options, c"movflags".as_ptr(), c"+faststart".as_ptr(), 0);
            let code = ffi::avformat_write_header(encoder.output, &raw mut options);
            ffi::av_dict_free(&raw mut options);
            check(code)?;
            Ok(encoder)
        }
    }

    /// Encodes one planar 4:2:0 frame, whose pts counts frames; `None` ends the stream.
    pub(crate) fn write(&mut self, frame: Option<&Frame>) -> Result<(), i32> {
        let raw = frame.map_or(ptr::null(), |frame| ptr::from_ref(frame.get()));
        // SAFETY: both contexts are open; the packet is ours, and av_interleaved_write_frame takes what it refers to.
        unsafe {
            check(ffi::avcodec_send_frame(self.context, raw))?;
            loop {
                match ffi::avcodec_receive_packet(self.context, self.packet.0) {
                    0.. => {}
                    ffi::AVERROR_EOF => return check(ffi::av_write_trailer(self.output)),
                    code if code == ffi::AVERROR(ffi::EAGAIN) => return Ok(()),
                    code => return Err(code),
                }
                let stream = *(*self.output).streams;
                ffi::av_packet_rescale_ts(self.packet.0, (*self.context).time_base, (*stream).time_base);
                (*self.packet.0).stream_index = 0;
                check(ffi::av_interleaved_write_frame(self.output, self.packet.0))?;
            }
        }
    }

    /// A writable frame of the stream's size.
    pub(crate) fn frame(&self) -> Option<Frame> {
        // SAFETY: the context is open.
        let (width, height) = unsafe { ((*self.context).width, (*self.context).height) };
        Frame::with_buffers(
            ffi::AVPixelFormat::AV_PIX_FMT_YUV420P,
            u32::try_from(width).ok()?,
            u32::try_from(height).ok()?,
        )
    }
}

fn check(code: i32) -> Result<(), i32> {
    if code < 0 { Err(code) } else { Ok(()) }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: null or made in `create`, freed only here; avio_closep allows null.
        unsafe {
            ffi::avcodec_free_context(&raw mut self.context);
            if !self.output.is_null() {
                ffi::avio_closep(&raw mut (*self.output).pb);
                ffi::avformat_free_context(self.output);
            }
        }
    }
}
