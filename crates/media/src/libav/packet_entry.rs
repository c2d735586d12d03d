//! What is known of a packet without its bytes.

use pigweight_core::time::Pts;

/// One packet of the video stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketEntry {
    /// When its frame is shown, ticks. Given by the container, or counted.
    pub pts: Pts,
    /// The container's decode timestamp.
    pub dts: Option<i64>,
    /// Where the demuxer found it in the file, or −1.
    pub position: i64,
    /// Bytes.
    pub size: u32,
    /// Decoding can start here.
    pub is_key: bool,
    /// Its frame is on the screen at some time. Packets before the first keyframe, outside the edit list or
    /// without a picture of their own are not.
    pub is_shown: bool,
}
