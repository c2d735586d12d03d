//! Bytes → frames, and back to browsers.
//!
//! A [`Video`] is an opened file with its [`VideoIndex`]: every packet with its time, size, place and whether it
//! is a keyframe. [`FrameReader`] decodes all frames in order; [`FrameSeeker`] serves the one exact frame asked
//! for. Both name each frame by its integer pts, never by a count of frames per second.
//!
//! Where the bytes are foreign and the process must live, [`isolate::Workers`] opens the video: all of the above then works on it
//! as before, in processes that may do nothing else.
//!
//! Left out on purpose: what is on a picture (the detect crate), and what is kept (the store crate).

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
pub use decode::frame::DecodedFrame;
pub use decode::picture::Picture;
pub use decode::still;
pub use error::{Error, Result};
pub use file::access::{FileAccess, WorkerSettings};
pub use file::index::{Timing, VideoIndex};
pub use file::video::{Rotation, Video, VideoInfo};
pub use libav::PacketEntry;
pub use output::video_writer::{VideoWriter, VideoWriterSettings};
pub use output::{jpeg, overlay, preview};

/// HTTP Live Streaming: where a video is cut, and the fragments.
pub mod hls {
    pub use crate::access::streamer::Streamer;
    pub use crate::output::hls::{Segment, Segments};
}
