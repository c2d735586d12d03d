//! Bytes → frames, and back to browsers.
//!
//! A [`Video`] is an opened file with its [`VideoIndex`]: every packet with its time, size, place and whether it
//! is a keyframe. [`FrameReader`] decodes all frames in order; [`FrameSeeker`] serves the one exact frame asked
//! for. Both name each frame by its integer pts, never by a count of frames per second.
//!
//! Where the bytes are foreign and the process must live, [`worker::Workers`] opens the video: all of the above then works on it
//! as before, in processes that may do nothing else.
//!
//! Left out on purpose: what is on a picture (the detect crate), and what is kept (the store crate).

mod encode;
mod error;
mod full_range;
mod hevc;
pub mod hls;
mod index;
pub mod jpeg;
mod libav;
mod listed;
mod mp4;
pub mod overlay;
mod parts;
mod picture;
pub mod preview;
mod reader;
mod seek;
mod sniff;
pub mod sprites;
pub mod still;
mod video;
pub mod worker;

pub use encode::{VideoWriter, VideoWriterSettings};
pub use error::{Error, Result};
pub use index::{PacketEntry, Timing, VideoIndex};
pub use picture::Picture;
pub use reader::{DecodedFrame, FrameReader};
pub use seek::FrameSeeker;
pub use video::{Rotation, Video, VideoInfo};
