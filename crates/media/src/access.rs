//! Readers, seekers and streamers for callers: they work in this process or in a worker, depending on the video.

pub(crate) mod reader;
pub(crate) mod seeker;
pub mod sprites;
pub(crate) mod stream_decoder;
pub(crate) mod stream_transcoder;
pub(crate) mod streamer;
