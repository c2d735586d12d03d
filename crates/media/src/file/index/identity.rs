//! Identifies packets that were read after a seek in the index.

use super::{Timing, VideoIndex};
use crate::file::clock;
use crate::libav::Packet;
use pigweight_core::time::Pts;

impl VideoIndex {
    /// Whether all packets were stamped by one clock: then no time is stated twice.
    pub(crate) fn has_one_clock(&self) -> bool {
        self.clocks.is_empty()
    }

    /// Ticks that were added to a packet's times as the container states them.
    pub(crate) fn added_ticks(&self, ordinal: usize) -> i64 {
        clock::added_ticks(&self.clocks, ordinal)
    }

    /// Ordinals of the packets of each clock, with the ticks added to their times.
    pub(crate) fn clocks(&self) -> impl DoubleEndedIterator<Item = (std::ops::Range<usize>, i64)> + '_ {
        let starts = |place: usize| self.clocks.get(place).map(|clock| clock.first as usize);
        (0..=self.clocks.len()).map(move |place| {
            let start = place.checked_sub(1).and_then(starts).unwrap_or(0);
            let added = place.checked_sub(1).map_or(0, |before| self.clocks[before].added_ticks);
            (start..starts(place).unwrap_or(self.packets.len()), added)
        })
    }

    /// A packet's pts as the container states it.
    pub(crate) fn stated_pts(&self, ordinal: usize) -> Option<i64> {
        match self.restated.binary_search_by_key(&ordinal, |&(number, _)| number as usize) {
            Ok(place) => self.restated[place].1,
            Err(_) => Some(self.packets[ordinal].pts.0.saturating_sub(self.added_ticks(ordinal))),
        }
    }

    /// Identifies a packet by its position or its time, and its size.
    pub(crate) fn find(&self, packet: &Packet) -> Option<usize> {
        let same = |&number: &usize| {
            let entry = &self.packets[number];
            entry.size == packet.size()
                && (self.timing == Timing::Counted || packet.pts() == self.stated_pts(number))
                && (packet.position() < 0 || entry.position < 0 || packet.position() == entry.position)
        };
        let place = self.packets.partition_point(|entry| entry.position < packet.position());
        let by_position = (place..self.packets.len())
            .take_while(|&number| self.packets[number].position == packet.position())
            .find(same);
        if by_position.is_some() && packet.position() >= 0 {
            return by_position;
        }
        let stated = packet.pts().filter(|_| self.timing == Timing::Stated)?;
        let mut found = self.clocks().filter_map(|(range, added)| {
            let number = self.ordinal_of(Pts(stated.checked_add(added)?))?;
            range.contains(&number).then_some(number).filter(same)
        });
        // Without a position, one time of two clocks names no packet.
        found.next().filter(|_| found.next().is_none())
    }
}
