//! The index: every packet of the video stream, and the order in which their frames are shown.
//!
//! ```text
//! packets  (decode order)   0:I  1:P  2:b  3:b  4:P …      the ordinal names a packet and its frame
//! display  (shown order)    0    2    3    1    4   …      ordinals sorted by pts
//! ```
//! It is made from the container's own list of packets (mp4), or by one scan of all packets; if every
//! packet has its pts, nothing is decoded. If one lacks it (raw H.264, AVI with B-frames), or two share it, only decoding finds the
//! order: then one decoding pass makes the index, and [`Timing::Counted`] says so.

mod stored;

use crate::error::{Error, Result};
use crate::file::container::{MAX_PIXELS, open_input};
use crate::file::packets::PacketList;
use crate::file::partial_index::PartialReports;
use crate::file::shape::Shape;
use crate::file::{matroska_length, mp4_sample_table};
use crate::libav::PacketEntry;
use crate::libav::{Decoder, Input, Packet, Received, StreamInfo};
use pigweight_core::time::{Pts, TimeBase};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Where the pts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Timing {
    /// From the container.
    Stated,
    /// Frames counted in the order the decoder gave them; times from sorted dts or the frame rate.
    Counted,
}

/// See the module's head.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoIndex {
    packets: Vec<PacketEntry>,
    display: Vec<u32>,
    timing: Timing,
    last_duration_ticks: i64,
    damage: Option<String>,
    shape: Shape,
}

impl VideoIndex {
    /// For pictures of this shape.
    pub(crate) fn with_shape(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    /// Of the first frame.
    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    pub(crate) fn scan(
        path: &Path,
        input: &mut Input,
        stream: &StreamInfo,
        time_base: TimeBase,
        parts: &mut PartialReports<'_, Self>,
    ) -> Result<Self> {
        input.keep_only(&[stream.index]);
        let PacketList { mut packets, durations, without_pts, mut damage, beginning: _ } =
            match mp4_sample_table::packets(path, input, stream) {
                Some(found) => found,
                None if mp4_sample_table::may_list(input, stream) => {
                    read_all(&mut reopened(path, stream)?, stream, parts)
                }
                None => read_all(input, stream, parts),
            };
        let read = packets.len() as i64;
        if damage.is_none() && stream.frames_promised > read {
            damage = Some(format!("only {read} of {} frames are in the file", stream.frames_promised));
        }
        if damage.is_none() {
            damage = matroska_length::bytes_missing_of_matroska(path)
                .map(|bytes| format!("its last {bytes} bytes are missing"));
        }
        hide_before_first_key(&mut packets);
        let frame_ticks = frame_ticks(stream, time_base, &durations);
        let is_stated = !without_pts.iter().any(|&number| packets[number].is_shown);
        let display = if is_stated { stated_order(&packets) } else { None };
        let timing = if display.is_some() { Timing::Stated } else { Timing::Counted };
        let display = display.unwrap_or_default();
        let mut index = Self {
            packets,
            display,
            timing,
            last_duration_ticks: frame_ticks,
            damage,
            shape: Shape::UNKNOWN,
        };
        if timing == Timing::Counted {
            index.count_frames(path, stream.index, frame_ticks)?;
        }
        index.note_last_duration(&durations);
        Ok(index)
    }

    /// The index of what has been read so far: all packets before the last keyframe, because later frames may be displayed among those
    /// that follow it. `None` if there is nothing yet, or if only the whole file gives the order.
    pub(crate) fn so_far(found: &PacketList) -> Option<Self> {
        let last_key = found.packets.iter().rposition(|packet| packet.is_key)?;
        if !found.without_pts.is_empty() {
            return None;
        }
        let mut packets = found.packets[..last_key].to_vec();
        hide_before_first_key(&mut packets);
        let display = stated_order(&packets).filter(|display| !display.is_empty())?;
        let (timing, shape) = (Timing::Stated, Shape::UNKNOWN);
        let mut index = Self { packets, display, timing, last_duration_ticks: 1, damage: None, shape };
        index.note_last_duration(&found.durations);
        Some(index)
    }

    /// Decodes the whole stream to find the order of its frames, and gives them times.
    fn count_frames(&mut self, path: &Path, stream_index: i32, frame_ticks: i64) -> Result<()> {
        let (mut input, _) = open_input(path)?;
        input.keep_only(&[stream_index]);
        let mut decoder = Decoder::open(&input, stream_index, MAX_PIXELS, 1)
            .ok_or_else(|| Error::NoDecoder { path: path.to_owned(), codec: "unknown".into() })?;
        let mut ordinal = 0_i64;
        let mut ended = false;
        while !ended {
            let packet = match input.read() {
                Ok(Some(packet)) if packet.stream_index() != stream_index => continue,
                Ok(packet) => packet,
                Err(_) => None,
            };
            ended = packet.is_none();
            let packet = packet.map(|mut packet| {
                packet.set_ordinal(ordinal);
                ordinal += 1;
                packet
            });
            if decoder.send(packet.as_ref()).is_err() && !ended {
                continue;
            }
            while let Ok(Received::Frame(_, from)) = decoder.receive() {
                if let Some(number) = u32::try_from(from).ok().filter(|&n| (n as usize) < self.packets.len())
                {
                    self.display.push(number);
                }
            }
        }
        let mut seen = vec![false; self.packets.len()];
        self.display.retain(|&number| !std::mem::replace(&mut seen[number as usize], true));
        for (packet, seen) in self.packets.iter_mut().zip(seen) {
            packet.is_shown = seen;
        }
        let mut times: Vec<i64> = self.packets.iter().filter_map(|packet| packet.dts).collect();
        times.sort_unstable();
        times.dedup();
        let stated = times.len() >= self.display.len();
        for (place, &number) in self.display.iter().enumerate() {
            let counted = (place as i64).saturating_mul(frame_ticks);
            self.packets[number as usize].pts = Pts(if stated { times[place] } else { counted });
        }
        Ok(())
    }

    fn note_last_duration(&mut self, durations: &[i64]) {
        let stated = self
            .display
            .last()
            .and_then(|&number| durations.get(number as usize))
            .copied()
            .filter(|&ticks| ticks > 0 && self.timing == Timing::Stated);
        let spacing = match self.display.as_slice() {
            [.., before, last] => self.packet(*last).pts.0 - self.packet(*before).pts.0,
            _ => 0,
        };
        if let Some(ticks) = stated {
            self.last_duration_ticks = ticks;
        } else if spacing > 0 {
            self.last_duration_ticks = spacing;
        }
    }

    /// How many frames are shown.
    pub fn frame_count(&self) -> usize {
        self.display.len()
    }

    /// Where the pts come from.
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// A fault of the file that doesn't prevent reading, in one sentence.
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// All packets in decode order.
    pub fn packets(&self) -> &[PacketEntry] {
        &self.packets
    }

    /// The pts of every shown frame, ascending.
    pub fn frame_pts(&self) -> impl ExactSizeIterator<Item = Pts> + '_ {
        self.display.iter().map(|&number| self.packet(number).pts)
    }

    /// The first frame's pts; zero for an empty index.
    pub fn first_pts(&self) -> Pts {
        self.display.first().map_or(Pts(0), |&number| self.packet(number).pts)
    }

    /// The last frame's pts; zero for an empty index.
    pub fn last_pts(&self) -> Pts {
        self.display.last().map_or(Pts(0), |&number| self.packet(number).pts)
    }

    /// Whether the first frame that is shown is a keyframe.
    pub(crate) fn begins_with_keyframe(&self) -> bool {
        self.display.first().is_some_and(|&number| self.packet(number).is_key)
    }

    /// How long the last frame stays, ticks.
    pub fn last_duration_ticks(&self) -> i64 {
        self.last_duration_ticks
    }

    /// The last frame that isn't after `pts`.
    pub fn frame_at(&self, pts: Pts) -> Option<Pts> {
        let after = self.display.partition_point(|&number| self.packet(number).pts <= pts);
        after.checked_sub(1).map(|place| self.packet(self.display[place]).pts)
    }

    /// How many frames are shown before the one with exactly this pts.
    pub fn place_of(&self, pts: Pts) -> Option<usize> {
        self.display.binary_search_by_key(&pts, |&number| self.packet(number).pts).ok()
    }

    /// The pts of the frame with index `place` in display order.
    pub fn pts_at(&self, place: usize) -> Option<Pts> {
        self.display.get(place).map(|&number| self.packet(number).pts)
    }

    /// The pts of every frame from which decoding can start, ascending.
    pub fn key_pts(&self) -> impl Iterator<Item = Pts> + '_ {
        self.display
            .iter()
            .map(|&number| self.packet(number))
            .filter(|packet| packet.is_key)
            .map(|packet| packet.pts)
    }

    /// Of the frames from which decoding can start, the one nearest in time.
    pub fn key_near(&self, pts: Pts) -> Option<Pts> {
        self.key_pts().min_by_key(|key| key.0.abs_diff(pts.0))
    }

    /// The ordinal of the packet whose frame has exactly this pts.
    pub(crate) fn ordinal_of(&self, pts: Pts) -> Option<usize> {
        Some(self.display[self.place_of(pts)?] as usize)
    }

    /// The keyframe from which the frame of packet `ordinal` decodes correctly. A picture that is displayed before the
    /// keyframe it follows in the stream (open GOP) needs the keyframe before that.
    pub(crate) fn key_for(&self, ordinal: usize) -> usize {
        let keys = |until: usize| (0..=until).rev().find(|&number| self.packets[number].is_key);
        let Some(key) = keys(ordinal) else { return 0 };
        if self.packets[ordinal].pts < self.packets[key].pts {
            return key.checked_sub(1).and_then(keys).unwrap_or(key);
        }
        key
    }

    /// Identifies a packet by its time or position and its size.
    pub(crate) fn find(&self, packet: &Packet) -> Option<usize> {
        let same = |&number: &usize| {
            let entry = &self.packets[number];
            entry.size == packet.size()
                && (self.timing == Timing::Counted || packet.pts() == Some(entry.pts.0))
                && (packet.position() < 0 || entry.position < 0 || packet.position() == entry.position)
        };
        if let (Timing::Stated, Some(pts)) = (self.timing, packet.pts())
            && let Some(number) = self.ordinal_of(Pts(pts)).filter(same)
        {
            return Some(number);
        }
        let place = self.packets.partition_point(|entry| entry.position < packet.position());
        (place..self.packets.len())
            .take_while(|&number| self.packets[number].position == packet.position())
            .find(same)
    }

    fn packet(&self, number: u32) -> &PacketEntry {
        &self.packets[number as usize]
    }
}

/// The file from its beginning.
fn reopened(path: &Path, stream: &StreamInfo) -> Result<Input> {
    let (mut input, found) = open_input(path)?;
    if found.index != stream.index {
        return Err(Error::Changed { path: path.to_owned() });
    }
    input.keep_only(&[stream.index]);
    Ok(input)
}

/// Reads on to the end, and reports partial results from time to time.
pub(crate) fn read_all(
    input: &mut Input,
    stream: &StreamInfo,
    parts: &mut PartialReports<'_, VideoIndex>,
) -> PacketList {
    let mut found = PacketList::default();
    loop {
        match input.read() {
            Ok(Some(packet)) if packet.stream_index() == stream.index => {
                found.push(&packet, stream);
                if packet.is_key() {
                    parts.report_if_due(|| VideoIndex::so_far(&found));
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => return found,
            Err(code) => {
                found.damage = Some(format!("reading stops early: {}", crate::libav::describe(code)));
                return found;
            }
        }
    }
}

/// Nothing decodes before the first keyframe.
fn hide_before_first_key(packets: &mut [PacketEntry]) {
    for packet in packets.iter_mut().take_while(|packet| !packet.is_key) {
        packet.is_shown = false;
    }
}

/// Ordinals of shown packets by pts, if no two share one.
fn stated_order(packets: &[PacketEntry]) -> Option<Vec<u32>> {
    let mut display: Vec<u32> =
        (0_u32..).zip(packets).filter(|(_, packet)| packet.is_shown).map(|(number, _)| number).collect();
    display.sort_by_key(|&number| packets[number as usize].pts);
    let unique = display.windows(2).all(|pair| packets[pair[0] as usize].pts < packets[pair[1] as usize].pts);
    unique.then_some(display)
}

/// Ticks of one frame at the stream's average rate; at least one.
fn frame_ticks(stream: &StreamInfo, time_base: TimeBase, durations: &[i64]) -> i64 {
    if let (numerator @ 1.., denominator @ 1..) = stream.average_frame_rate {
        let secs = f64::from(denominator) / f64::from(numerator);
        let ticks = secs * f64::from(time_base.denominator()) / f64::from(time_base.numerator());
        return (ticks.round() as i64).max(1);
    }
    durations.iter().copied().find(|&ticks| ticks > 0).unwrap_or(1)
}
