//! The index: every packet of the video stream, and the order in which their frames are shown.
//!
//! ```text
//! packets  (decode order)   0:I  1:P  2:b  3:b  4:P …      the ordinal names a packet and its frame
//! display  (shown order)    0    2    3    1    4   …      ordinals sorted by pts
//! ```
//! It is made from the container's own list of packets (mp4), or by one scan of all packets; if every
//! packet has a pts of its own, nothing is decoded. Times that can't be right are repaired ([`crate::file::clock`]): all pts and dts here are
//! repaired ones, and the index knows the stated ones too. If many packets lack a pts (raw H.264, AVI with B-frames), only decoding finds
//! the order: then one decoding pass makes the index, and [`Timing::Counted`] says so.

mod identity;
mod notes;
mod stored;

use crate::error::{Error, Result};
use crate::file::clock::{self, Clock, Facts};
use crate::file::container::{MAX_PIXELS, open_known};
use crate::file::doubtful_times::Doubtful;
use crate::file::other_streams::OtherStreams;
use crate::file::packets::PacketList;
use crate::file::partial_index::PartialReports;
use crate::file::shape::Shape;
use crate::file::{mp4_sample_table, truncation};
use crate::libav::PacketEntry;
use crate::libav::{Decoder, Input, Received, StreamInfo};
use pigweight_core::time::{Pts, TimeBase};
use serde::{Deserialize, Serialize};
use std::ops::Range;
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
    repairs: Option<String>,
    /// Later clocks than the first.
    clocks: Vec<Clock>,
    /// Packets whose pts was replaced, ascending, with the stated one.
    restated: Vec<(u32, Option<i64>)>,
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
        let promised = truncation::frames_promised(input, stream);
        let mut others = OtherStreams::default();
        let mut list = match mp4_sample_table::packets(path, input, stream) {
            Some(found) => found,
            None if mp4_sample_table::may_list(input, stream) => {
                let mut input = open_known(path, stream.index)?;
                input.keep_only(&[stream.index]);
                read_all(&mut input, (stream, time_base), &mut others, parts)
            }
            None => {
                input.keep_pictures();
                read_all(input, (stream, time_base), &mut others, parts)
            }
        };
        let mut damage = list.damage.take();
        if damage.is_none() {
            damage = truncation::of(path, input, promised, list.packets.len());
        }
        hide_before_first_key(&mut list.packets);
        let facts = facts(input, stream, time_base, &list);
        let mut index = Self::repaired(&mut list, &facts, |index, doubtful| {
            index.give_times(path, stream.index, doubtful, &facts)
        })?;
        if index.timing == Timing::Counted {
            index.count_frames(path, stream.index, facts.frame_ticks)?;
        }
        index.note_last_duration(&list.durations);
        let left_out = others.left_out(&index.packets, time_base);
        let beside = if left_out.is_none() { others.beside(input) } else { None };
        index.damage = match (damage, left_out) {
            (Some(damage), Some(left_out)) => Some(format!("{damage}; {left_out}")),
            (damage, left_out) => damage.or(left_out),
        };
        index.repairs = index.describe_repairs(time_base, beside);
        Ok(index)
    }

    /// The index of what has been read so far: all packets before the last keyframe, because later frames may be displayed among those
    /// that follow it. `None` if there is nothing yet, or if only the whole file gives the order.
    fn so_far(found: &PacketList, facts: &Facts) -> Option<Self> {
        let mut list = found.clone();
        let count = list.packets.len();
        hide_before_first_key(&mut list.packets);
        let mut settled = count;
        let mut index = Self::repaired(&mut list, facts, |index, doubtful| {
            let shared = Doubtful::find(&index.packets, doubtful);
            let is_ordered = shared.as_ref().is_some_and(|shared| shared.is_empty() || facts.keeps_order);
            let shared = shared.filter(|_| is_ordered).map(|shared| shared.ordinals().collect::<Vec<_>>());
            let all: Vec<usize> = shared.into_iter().flatten().chain(doubtful.iter().copied()).collect();
            settled = clock::settled(&index.clocks, &all, count);
            Ok(is_ordered && index.give_times_in_order(doubtful, facts))
        })
        .ok()?;
        if index.timing == Timing::Counted {
            return None;
        }
        let last_key = index.packets.get(..settled.saturating_add(1).min(count))?;
        let last_key = last_key.iter().rposition(|packet| packet.is_key)?;
        index.packets.truncate(last_key);
        index.clocks.retain(|clock| (clock.first as usize) < last_key);
        index.restated.retain(|(number, _)| (*number as usize) < last_key);
        index.display = stated_order(&index.packets).filter(|display| !display.is_empty())?;
        index.last_duration_ticks = 1;
        index.note_last_duration(&found.durations);
        Some(index)
    }

    /// Repairs the times of these packets. `give_times` gives the doubtful ones theirs; if it can't, times must be counted.
    fn repaired(
        list: &mut PacketList,
        facts: &Facts,
        give_times: impl FnOnce(&mut Self, &[usize]) -> Result<bool>,
    ) -> Result<Self> {
        let stated: Vec<i64> = list.packets.iter().map(|packet| packet.pts.0).collect();
        let clock::Found { clocks, doubtful } = clock::repair(list, facts);
        let mut index = Self {
            packets: std::mem::take(&mut list.packets),
            display: Vec::new(),
            timing: Timing::Counted,
            last_duration_ticks: facts.frame_ticks,
            damage: None,
            repairs: None,
            clocks,
            restated: Vec::new(),
            shape: Shape::UNKNOWN,
        };
        // Of a packet that isn't shown only its place in the order matters.
        let mut before = Pts(0);
        for number in 0..index.packets.len() {
            let packet = &mut index.packets[number];
            if doubtful.binary_search(&number).is_ok() && !packet.is_shown {
                packet.pts = packet.dts.filter(|_| facts.states_dts).map_or(before, Pts);
            }
            before = packet.pts;
        }
        let is_possible = clock::are_possible(&index.packets);
        if !is_possible {
            index.clocks.clear();
            index.packets.iter_mut().for_each(|packet| packet.dts = None);
        }
        if is_possible && give_times(&mut index, &doubtful)? && clock::are_possible(&index.packets) {
            index.timing = Timing::Stated;
            let is_stated = |number: usize| {
                let added = clock::added_ticks(&index.clocks, number);
                index.packets[number].pts.0 == stated[number].saturating_add(added)
                    && list.without_pts.binary_search(&number).is_err()
            };
            let restated = (0..index.packets.len()).filter(|&number| !is_stated(number));
            index.restated = restated
                .map(|number| {
                    let stated = list.without_pts.binary_search(&number).is_err().then_some(stated[number]);
                    (number as u32, stated)
                })
                .collect();
        }
        Ok(index)
    }

    /// Whether every shown frame has a time of its own now. Decodes groups of pictures if only that gives the order of doubtful frames.
    fn give_times(&mut self, path: &Path, stream: i32, without: &[usize], facts: &Facts) -> Result<bool> {
        let Some(doubtful) = Doubtful::find(&self.packets, without) else { return Ok(false) };
        if doubtful.is_empty() || facts.keeps_order {
            return Ok(self.give_times_in_order(without, facts));
        }
        let Some(groups) = doubtful.groups(&self.packets) else { return Ok(false) };
        let orders = decoded_orders(path, stream, &groups)?;
        Ok(self.take_times(doubtful, Some(&orders), facts))
    }

    fn give_times_in_order(&mut self, without: &[usize], facts: &Facts) -> bool {
        match Doubtful::find(&self.packets, without) {
            Some(doubtful) => self.take_times(doubtful, None, facts),
            None => false,
        }
    }

    fn take_times(&mut self, doubtful: Doubtful, orders: Option<&[Vec<u32>]>, facts: &Facts) -> bool {
        let is_whole = doubtful.is_empty() || doubtful.place(&mut self.packets, orders, facts);
        let display = if is_whole { stated_order(&self.packets) } else { None };
        let is_found = display.is_some();
        self.display = display.unwrap_or_default();
        is_found
    }

    /// Decodes the whole stream to find the order of its frames, and gives them times.
    fn count_frames(&mut self, path: &Path, stream_index: i32, frame_ticks: i64) -> Result<()> {
        let all = 0..self.packets.len();
        let orders = decoded_orders(path, stream_index, std::slice::from_ref(&all))?;
        self.display = orders.into_iter().flatten().filter(|&number| (number as usize) < all.end).collect();
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

    /// What was wrong with the file's times and how it was repaired, or what else a reader has to know of them, in one sentence.
    pub fn repairs(&self) -> Option<&str> {
        self.repairs.as_deref()
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

    fn packet(&self, number: u32) -> &PacketEntry {
        &self.packets[number as usize]
    }
}

/// Reads on to the end, and reports partial results from time to time.
pub(crate) fn read_all(
    input: &mut Input,
    (stream, time_base): (&StreamInfo, TimeBase),
    others: &mut OtherStreams,
    parts: &mut PartialReports<'_, VideoIndex>,
) -> PacketList {
    let mut found = PacketList::default();
    loop {
        match input.read() {
            Ok(Some(packet)) if packet.stream_index() == stream.index => {
                found.push(&packet, stream);
                if packet.is_key() {
                    parts.report_if_due(|| {
                        VideoIndex::so_far(&found, &facts(input, stream, time_base, &found))
                    });
                }
            }
            Ok(Some(packet)) => others.note(input, &packet),
            Ok(None) => return found,
            Err(code) => {
                found.damage = Some(format!("reading stops early: {}", crate::libav::describe(code)));
                return found;
            }
        }
    }
}

/// The ordinals of the frames that a decoder gives for each of these groups of packets, in its order.
fn decoded_orders(path: &Path, stream_index: i32, groups: &[Range<usize>]) -> Result<Vec<Vec<u32>>> {
    let mut input = open_known(path, stream_index)?;
    input.keep_only(&[stream_index]);
    let mut orders = Vec::new();
    let mut ordinal = 0;
    for group in groups {
        let mut decoder = Decoder::open(&input, stream_index, MAX_PIXELS, 1)
            .ok_or_else(|| Error::NoDecoder { path: path.to_owned(), codec: "unknown".into() })?;
        let mut order = Vec::new();
        let mut ended = false;
        while !ended {
            let packet = if ordinal >= group.end {
                None
            } else {
                match input.read() {
                    Ok(Some(packet)) if packet.stream_index() != stream_index => continue,
                    Ok(packet) => packet,
                    Err(_) => None,
                }
            };
            ended = packet.is_none();
            let packet = packet.map(|mut packet| {
                packet.set_ordinal(ordinal as i64);
                ordinal += 1;
                packet
            });
            if !ended && ordinal <= group.start {
                continue;
            }
            if decoder.send(packet.as_ref()).is_err() && !ended {
                continue;
            }
            while let Ok(Received::Frame(_, from)) = decoder.receive() {
                order.extend(u32::try_from(from));
            }
        }
        orders.push(order);
    }
    Ok(orders)
}

fn facts(input: &Input, stream: &StreamInfo, time_base: TimeBase, list: &PacketList) -> Facts {
    let steps_back = list.packets.windows(2).filter(|pair| pair[1].pts < pair[0].pts).count();
    // libav may not have seen a reordered frame yet.
    let keeps_order = stream.reordered_frames == 0 && steps_back * 50 <= list.packets.len();
    let with_dts = list.packets.iter().filter(|packet| packet.dts.is_some()).count();
    let states_dts =
        ["mpegts", "mpeg", "mov,mp4", "flv", "avi"].iter().any(|name| input.format_name().starts_with(name));
    Facts {
        time_base,
        states_dts: states_dts && with_dts * 10 >= list.packets.len() * 9,
        keeps_order,
        frame_ticks: frame_ticks(stream, time_base, &list.durations),
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
