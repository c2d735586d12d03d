//! Access units: the coded frames of a camera.

use std::sync::Arc;

/// Ticks a second of all times of a camera.
pub const CLOCK_RATE_HZ: u32 = 90_000;

/// How a camera's frames are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// H.264, Annex B.
    H264,
    /// H.265, Annex B.
    H265,
    /// A JPEG picture: each is a keyframe.
    Mjpeg,
    /// VP8: what was transcoded for browsers. No camera sends it.
    Vp8,
}

/// What a camera sends, as far as it has said so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StreamFormat {
    /// Of its video.
    pub codec: Codec,
    /// Width and height in px.
    pub size: Option<(u32, u32)>,
    /// As stated by the camera; often wrong.
    pub frames_per_sec: Option<f64>,
}

/// One coded frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessUnit {
    /// Annex B, where a keyframe begins with its parameter sets; or a JPEG picture, or a VP8 frame. Shared by all that receive it.
    pub data: Arc<[u8]>,
    /// How it is coded.
    pub codec: Codec,
    /// The codec's `VisualSampleEntry` box (ISO/IEC 14496-12), with which the frames since the last keyframe can be written to an MP4 file. `None` if the
    /// session has none.
    pub sample_entry: Option<Arc<[u8]>>,
    /// On the camera's timeline, in ticks of [`CLOCK_RATE_HZ`]. Grows from unit to unit, except where B-frames are sent before frames that are
    /// shown later.
    pub time_ticks: i64,
    /// When it arrived, milliseconds since 1970 by this machine's clock.
    pub arrived_unix_ms: i64,
    /// Decoding can start here.
    pub is_keyframe: bool,
    /// No other frame refers to it.
    pub is_disposable: bool,
    /// Counts connections: units of two epochs don't refer to each other.
    pub epoch: u32,
    /// Time is missing before it. Animals aren't followed across the gap.
    pub follows_gap: bool,
    /// RTP packets that were lost before it.
    pub lost_packets: u16,
}
