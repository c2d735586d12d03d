//! Recordings: a camera's own frames in fragmented MP4 files, not transcoded.
//!
//! ```text
//! access units → boxes (how MP4 states them) → writer (one file) → layout (what a file holds, also after a crash) → clip (a stretch of several)
//! ```
//! A file is whole after each fragment, so a process that is killed loses the fragment that it was collecting: half a second, or one frame where
//! frames are further apart. What was half written is found and cut off by [`layout::FileLayout`].
//!
//! Players that are fed while a camera sends get the same boxes, a fragment for each frame ([`Segments`]).
//!
//! Left out on purpose: which files there are, and how long they are kept.

mod annex_b;
mod boxes;
pub mod clip;
mod codec_string;
pub mod layout;
mod segments;
pub mod writer;

/// The sample entry of JPEG pictures, which need no parameters. `None`: MP4 states no sides that long.
pub fn jpeg_sample_entry((width_px, height_px): (u32, u32)) -> Option<Vec<u8>> {
    Some(boxes::jpeg_sample_entry(width_px.try_into().ok()?, height_px.try_into().ok()?))
}

pub use codec_string::codec_string;
pub use layout::{FileLayout, Fragment, LayoutError};
pub use segments::{Initialization, NotPlayable, Segment, Segments};
pub use writer::{RecordingWriter, Written};
