//! A decoded frame, and how a video's frames are read.

use crate::decode::picture::Picture;
use pigweight_core::time::Pts;
use serde::{Deserialize, Serialize};

/// A frame with its pts and time.
pub struct DecodedFrame {
    /// Its pts.
    pub pts: Pts,
    /// Seconds since the first frame of the video.
    pub secs: f64,
    /// The upright picture.
    pub picture: Picture,
    /// Parts of it were guessed, because its bytes are damaged.
    pub is_damaged: bool,
}

/// How a video is read.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Pass {
    /// Frames up to this one are skipped.
    pub after: Option<Pts>,
    /// That decode.
    pub threads: i32,
    /// px; wider pictures are scaled where they are decoded.
    pub most_width: Option<u32>,
}

impl Pass {
    /// On one core, because inference keeps the others busy.
    pub(crate) const USUAL: Self = Self { after: None, threads: 1, most_width: None };
}
