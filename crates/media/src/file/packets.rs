//! The packets of a video stream as the container lists them.

use crate::libav::nal_units::{self, Framing, Start};
use crate::libav::{Packet, PacketEntry, StreamInfo};
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
    pub beginning: Beginning,
}

impl PacketList {
    pub fn push(&mut self, packet: &Packet, stream: &StreamInfo) {
        let codec = stream.codec.as_str();
        // VP8 hides its alternate reference frames in packets of their own; bit 4 of the first byte is show_frame
        // (RFC 6386, 9.1).
        let is_invisible = codec == "vp8" && packet.bytes().first().is_some_and(|byte| byte & 0x10 == 0);
        let [pts, dts] =
            [packet.pts(), packet.dts()].map(|ticks| ticks.filter(|ticks| ticks.unsigned_abs() < MOST_TICKS));
        if pts.is_none() {
            self.without_pts.push(self.packets.len());
        }
        let (is_key, is_whole) = self.beginning.judge(packet, stream);
        self.durations.push(packet.duration());
        self.packets.push(PacketEntry {
            pts: Pts(pts.unwrap_or(0)),
            dts,
            position: packet.position(),
            size: packet.size(),
            is_key,
            is_shown: is_whole && !packet.is_hidden() && !is_invisible && packet.size() > 0,
        });
    }
}

/// Finds out which packets are true keyframes, and which pictures near them can't be decoded.
#[derive(Clone, Default)]
pub(crate) struct Beginning {
    has_key: bool,
    /// Reference pictures until the picture is whole, where decoding begins with one that is renewed bit by bit.
    recovering: Option<u32>,
    /// Pictures that are shown before this one can't be decoded.
    whole_from: Option<WholeFrom>,
}

#[derive(Clone, Copy)]
enum WholeFrom {
    /// The next picture that others refer to.
    NextReference,
    Pts(i64),
    /// As far as they say so themselves.
    Skipped(i64),
}

impl Beginning {
    /// Whether decoding can start with this packet, and whether its picture can be decoded.
    fn judge(&mut self, packet: &Packet, stream: &StreamInfo) -> (bool, bool) {
        let (codec, bytes, framing) = (stream.codec.as_str(), packet.bytes(), stream.framing);
        let pts = packet.pts().unwrap_or(i64::MIN);
        if packet.is_key() {
            let start = nal_units::start(codec, bytes, framing);
            let is_first = !self.has_key;
            match start {
                Start::Here | Start::Open { .. } => {
                    let loses = matches!(start, Start::Open { is_broken } if is_broken || is_first);
                    let whole_from =
                        if codec == "hevc" { WholeFrom::Skipped(pts) } else { WholeFrom::Pts(pts) };
                    *self = Self { has_key: true, recovering: None, whole_from: loses.then_some(whole_from) };
                    return (true, true);
                }
                Start::After(frames) if is_first => {
                    *self = Self { has_key: true, recovering: Some(frames), whole_from: None };
                    self.is_lost(pts, codec, bytes, framing);
                    return (true, false);
                }
                Start::After(_) | Start::Nowhere => {}
            }
        }
        (false, !self.is_lost(pts, codec, bytes, framing))
    }

    fn is_lost(&mut self, pts: i64, codec: &str, bytes: &[u8], framing: Framing) -> bool {
        if self.recovering.is_none() && self.whole_from.is_none() {
            return false;
        }
        let refers = nal_units::is_reference(codec, bytes, framing);
        if let Some(left) = self.recovering {
            self.recovering = left.checked_sub(refers.into()).filter(|&left| left > 0);
            if self.recovering.is_none() {
                self.whole_from = Some(WholeFrom::NextReference);
            }
            return true;
        }
        match self.whole_from {
            Some(WholeFrom::NextReference) if refers => {
                self.whole_from = Some(WholeFrom::Pts(pts));
                false
            }
            Some(WholeFrom::NextReference) => true,
            Some(WholeFrom::Pts(first)) => pts < first,
            Some(WholeFrom::Skipped(first)) => {
                pts < first && nal_units::is_skipped_leading(codec, bytes, framing)
            }
            None => false,
        }
    }
}
