//! Bytes → frames, and back to browsers.
//!
//! A [`Video`] is an opened file with its [`VideoIndex`]: every packet with its time, size, position and whether it
//! is a keyframe. [`FrameReader`] decodes all frames in order; [`FrameSeeker`] serves exact single frames.
//! Both name each frame by its integer pts, never by frames per second.
//!
//! A [`StreamDecoder`] decodes what comes without a file: the access units of a camera. A [`StreamTranscoder`] transcodes them for browsers.
//!
//! If the bytes are foreign and the process must survive, [`isolate::Workers`] opens the video: then all of the above works
//! as before, in confined processes.
//!
//! Left out on purpose: what is in a picture (the detect crate), and storage (the store crate).

mod access;
mod decode;
mod error;
mod file;
pub mod isolate;
mod libav;
mod output;
mod path_bytes;

pub use access::reader::FrameReader;
pub use access::seeker::FrameSeeker;
pub use access::sprites;
pub use access::stream_decoder::StreamDecoder;
pub use access::stream_transcoder::StreamTranscoder;
pub use decode::frame::DecodedFrame;
pub use decode::picture::Picture;
pub use decode::still;
pub use error::{Error, Result};
pub use file::access::{FileAccess, WorkerSettings};
pub use file::index::{Timing, VideoIndex};
pub use file::orientation::{Orientation, Turn};
pub use file::video::{Video, VideoInfo};
pub use libav::{PacketEntry, StreamCodec};
pub use output::transcoder::TranscodedFrame;
pub use output::video_writer::{VideoWriter, VideoWriterSettings};
pub use output::{jpeg, overlay, preview};

/// HTTP Live Streaming: a video's segments and fragments.
pub mod hls {
    pub use crate::access::streamer::Streamer;
    pub use crate::output::hls::{Segment, Segments};
}
