//! What callers use: readers, seekers and streamers that work in this process or in a worker, as the video says.

pub(crate) mod reader;
pub(crate) mod seeker;
pub mod sprites;
pub(crate) mod streamer;
