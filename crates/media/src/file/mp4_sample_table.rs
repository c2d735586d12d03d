//! Reads the packets of an mp4 or mov from its sample table ("moov"): at once, where reading all packets takes as long as the disk
//! takes for the whole file. The first and the last packet are read, so that their durations are known.
//!
//! libav has read the table when it opens the file, with edit lists applied, and exposes all but the pts, which
//! follow from the composition offsets. The result is compared with packets actually read: at the beginning, at
//! positions throughout, and at the end. Anything unusual is left to the scan of all packets.

use crate::file::mp4_boxes;
use crate::file::packets::{MOST_TICKS, PacketList};
use crate::libav::PacketEntry;
use crate::libav::nal_units::{self, Start};
use crate::libav::{Input, Packet, SeekTarget, StreamInfo};
use pigweight_core::time::Pts;
use std::path::Path;

/// Positions at which real packets are compared with the table, besides its beginning and end.
const PLACES: usize = 8;
/// Packets compared at each.
const COMPARED: usize = 48;
/// For keyframes farther apart, the packets themselves are searched: tables omit some (recovery points).
const MOST_PACKETS_FROM_KEY_TO_KEY: usize = 1000;

/// Whether the file has such a table. In VP8 the packet itself says whether its frame is shown.
pub(crate) fn may_list(input: &Input, stream: &StreamInfo) -> bool {
    input.format_name().contains("mp4") && stream.codec != "vp8"
}

/// `None` if all packets must be read. Leaves the input at any position.
pub(crate) fn packets(path: &Path, input: &mut Input, stream: &StreamInfo) -> Option<PacketList> {
    if !may_list(input, stream) {
        return None;
    }
    let mut packets = input.listed_packets(stream.index);
    if packets.is_empty() || i64::try_from(packets.len()) != Ok(stream.frames_promised) {
        return None;
    }
    let length = std::fs::metadata(path).ok()?.len();
    let is_inside = |packet: &PacketEntry| {
        let end = u64::try_from(packet.position).map(|start| start.saturating_add(packet.size.into()));
        end.is_ok_and(|end| end <= length)
    };
    let keys: Vec<usize> = (0..packets.len()).filter(|&number| packets[number].is_key).collect();
    let is_usual = packets.iter().all(is_inside)
        && packets.windows(2).all(|pair| pair[0].dts < pair[1].dts)
        && keys.first() == Some(&0)
        && keys.windows(2).all(|pair| pair[1] - pair[0] <= MOST_PACKETS_FROM_KEY_TO_KEY);
    let &last_key = keys.last().filter(|&&key| packets.len() - key <= MOST_PACKETS_FROM_KEY_TO_KEY)?;
    if !is_usual || !set_pts(&mut packets, &mp4_boxes::composition_offsets(path, stream.id)?) {
        return None;
    }
    // libav shifts all of them equally, so that none is displayed before it is decoded.
    let first = next_of(input, stream.index)?;
    let shift = first.pts()?.checked_sub(packets[0].pts.0)?;
    for packet in &mut packets {
        packet.pts = Pts(packet.pts.0.checked_add(shift)?);
    }
    // A cut through an open group: what is shown before its keyframe can't be decoded.
    let begins = nal_units::start(&stream.codec, first.bytes(), stream.framing);
    if begins != Start::Here && packets.iter().any(|packet| packet.pts < packets[0].pts) {
        return None;
    }
    let is_possible = |ticks: i64| ticks.unsigned_abs() < MOST_TICKS;
    if !packets.iter().all(|packet| is_possible(packet.pts.0) && packet.dts.is_none_or(is_possible)) {
        return None;
    }
    let mut reader = Comparison { input, stream, durations: vec![0; packets.len()] };
    reader.take(&first, &packets, 0)?;
    reader.compare(&packets, 1, COMPARED)?;
    for place in 1..=PLACES {
        let landed = reader.seek(&packets, keys[place * (keys.len() - 1) / (PLACES + 1)])?;
        reader.compare(&packets, landed + 1, COMPARED)?;
    }
    let landed = reader.seek(&packets, last_key)?;
    reader.compare(&packets, landed + 1, usize::MAX)?;
    let durations = reader.durations;
    next_of(input, stream.index).is_none().then(|| PacketList { packets, durations, ..PacketList::default() })
}

/// Whether there is one offset for each packet.
fn set_pts(packets: &mut [PacketEntry], offsets: &[(u32, i32)]) -> bool {
    if offsets.is_empty() {
        return true;
    }
    let mut rest = packets;
    for &(count, offset) in offsets {
        let Some((run, after)) = rest.split_at_mut_checked(count as usize) else { return false };
        for packet in run {
            packet.pts = Pts(packet.pts.0.saturating_add(offset.into()));
        }
        rest = after;
    }
    rest.is_empty()
}

/// Reads packets and compares them with the table; `None` if they differ.
struct Comparison<'a> {
    input: &'a mut Input,
    stream: &'a StreamInfo,
    durations: Vec<i64>,
}

impl Comparison<'_> {
    fn take(&mut self, packet: &Packet, listed: &[PacketEntry], number: usize) -> Option<()> {
        *self.durations.get_mut(number)? = packet.duration();
        (is_as_listed(packet, listed.get(number)?) && self.is_start_if_key(packet)).then_some(())
    }

    /// Tables call pictures keyframes that are only renewed bit by bit from there on.
    fn is_start_if_key(&self, packet: &Packet) -> bool {
        let start = || nal_units::start(&self.stream.codec, packet.bytes(), self.stream.framing);
        !packet.is_key() || matches!(start(), Start::Here | Start::Open { .. })
    }

    /// Compares at most `most` packets from this number on.
    fn compare(&mut self, listed: &[PacketEntry], from: usize, most: usize) -> Option<()> {
        (from..listed.len()).take(most).try_for_each(|number| {
            let packet = next_of(self.input, self.stream.index)?;
            self.take(&packet, listed, number)
        })
    }

    /// Seeks to a keyframe, or shortly before it; returns the number of the packet read there.
    fn seek(&mut self, listed: &[PacketEntry], key: usize) -> Option<usize> {
        self.input.seek(self.stream.index, SeekTarget::Timestamp(listed[key].pts.0)).ok()?;
        let packet = next_of(self.input, self.stream.index)?;
        let landed = listed.binary_search_by_key(&packet.dts(), |listed| listed.dts).ok()?;
        let is_near = landed <= key && key - landed <= 2 * MOST_PACKETS_FROM_KEY_TO_KEY;
        is_near.then_some(())?;
        self.take(&packet, listed, landed).map(|()| landed)
    }
}

fn next_of(input: &mut Input, stream_index: i32) -> Option<Packet> {
    loop {
        let packet = input.read().ok()??;
        if packet.stream_index() == stream_index {
            return Some(packet);
        }
    }
}

fn is_as_listed(packet: &Packet, listed: &PacketEntry) -> bool {
    packet.pts() == Some(listed.pts.0)
        && packet.dts() == listed.dts
        && packet.position() == listed.position
        && packet.size() == listed.size
        && packet.is_key() == listed.is_key
        && (packet.is_hidden() || packet.size() == 0) != listed.is_shown
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "videos made for the test")]
mod tests {
    use super::*;
    use crate::file::container::open_input;
    use crate::file::index::read_all;
    use crate::file::other_streams::OtherStreams;
    use crate::file::partial_index::PartialReports;
    use pigweight_core::time::TimeBase;
    use pigweight_testkit::videos::video;

    #[test]
    fn the_sample_table_equals_reading_all_packets() {
        let mut listed = Vec::new();
        for path in std::fs::read_dir(video("").as_path()).unwrap().map(|entry| entry.unwrap().path()) {
            let Ok((mut input, stream)) = open_input(&path) else { continue };
            input.keep_only(&[stream.index]);
            let Some(list) = packets(&path, &mut input, &stream) else { continue };
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let (mut input, _) = open_input(&path).unwrap();
            let time_base = TimeBase::new(1, stream.time_base.1.unsigned_abs()).unwrap();
            let (others, parts) = (&mut OtherStreams::default(), &mut PartialReports::none());
            let read = read_all(&mut input, (&stream, time_base), others, parts);
            assert_eq!(list.packets, read.packets, "{name}");
            let same = |(&known, read): (&i64, i64)| known == 0 || known == read;
            assert!(list.durations.iter().zip(read.durations).all(same), "{name}");
            let last = (0..list.packets.len()).max_by_key(|&number| list.packets[number].pts).unwrap();
            assert!(list.durations[last] > 0 && list.durations[0] > 0, "{name}");
            assert_eq!((read.damage, read.without_pts), (None, Vec::new()), "{name}");
            listed.push(name);
        }
        listed.sort();
        // Excluded: fragments, truncated files, and files without a table.
        let expected = [
            "btail.mp4",
            "coarse.mp4",
            "copy.mov",
            "corrupt.mp4",
            "dated.mov",
            "editlist.mp4",
            "flat.mp4",
            "gop150.mp4",
            "gop25.mp4",
            "hevc.mp4",
            "large8k.mp4",
            "late_hidden.mp4",
            "layers.mp4",
            "leading.mp4",
            "oneframe.mp4",
            "opengop.mp4",
            "recorded.mp4",
            "rot90.mp4",
            "start10.mp4",
            "still_last.mp4",
            "tail.mp4",
            "unset.mp4",
            "vfr.mp4",
        ];
        assert_eq!(listed, expected);
    }
}
