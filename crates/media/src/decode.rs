//! Packets → upright pictures, in order or the one exact frame, in this process.

pub(crate) mod frame;
mod frame_window;
pub(crate) mod full_range;
pub(crate) mod local_reader;
pub(crate) mod local_seeker;
pub(crate) mod local_stream_decoder;
pub(crate) mod picture;
pub(crate) mod picture_maker;
mod sdr;
pub mod still;
