//! A packet's description, without its bytes.

use pigweight_core::time::Pts;

/// One packet of the video stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketEntry {
    /// Presentation time of its frame, ticks. From the container, or counted.
    pub pts: Pts,
    /// The container's decode timestamp.
    pub dts: Option<i64>,
    /// Its position in the file according to the demuxer, or −1.
    pub position: i64,
    /// Bytes.
    pub size: u32,
    /// Decoding can start here.
    pub is_key: bool,
    /// Its frame is displayed at some time. This isn't so for packets before the first keyframe, outside the edit list or
    /// without their own picture.
    pub is_shown: bool,
}
