//! The packets of a video stream as the container lists them.

use crate::libav::{Packet, PacketEntry};
use pigweight_core::time::Pts;

/// Times beyond this are damage: 4,000 years of nanoseconds fit below it, and sums of two can't overflow.
pub(crate) const MOST_TICKS: u64 = 1 << 57;

/// All packets of a video stream in decode order, as they were found.
#[derive(Clone, Default)]
pub(crate) struct PacketList {
    pub packets: Vec<PacketEntry>,
    /// Duration of each in ticks; 0 if unknown.
    pub durations: Vec<i64>,
    /// Ordinals of those without a pts in the container.
    pub without_pts: Vec<usize>,
    /// The error that ended reading.
    pub damage: Option<String>,
}

impl PacketList {
    pub fn push(&mut self, packet: &Packet, codec: &str) {
        // VP8 hides its alternate reference frames in packets of their own; bit 4 of the first byte is show_frame
        // (RFC 6386, 9.1).
        let is_invisible = codec == "vp8" && packet.first_byte().is_some_and(|byte| byte & 0x10 == 0);
        let [pts, dts] =
            [packet.pts(), packet.dts()].map(|ticks| ticks.filter(|ticks| ticks.unsigned_abs() < MOST_TICKS));
        if pts.is_none() {
            self.without_pts.push(self.packets.len());
        }
        self.durations.push(packet.duration());
        self.packets.push(PacketEntry {
            pts: Pts(pts.unwrap_or(0)),
            dts,
            position: packet.position(),
            size: packet.size(),
            is_key: packet.is_key(),
            is_shown: !packet.is_hidden() && !is_invisible && packet.size() > 0,
        });
    }
}
