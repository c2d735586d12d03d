//! Pictures and packets → output: JPEG, previews, HLS, video files.

pub mod hls;
pub mod jpeg;
pub mod overlay;
pub mod preview;
pub(crate) mod transcoder;
pub(crate) mod video_writer;
