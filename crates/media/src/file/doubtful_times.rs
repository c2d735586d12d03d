//! Times for the few frames whose own times are invalid: two frames at one time, a frame hours away, a frame without a time.
//!
//! Such a frame is placed between its neighbours in decoder output order, into the gap that fits best. If there are many, all stated times are
//! discarded and frames are counted instead.

use crate::file::clock::{Facts, LOOK_AHEAD, usual_step};
use crate::libav::PacketEntry;
use pigweight_core::time::Pts;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Of so many frames one may be doubtful.
const FRAMES_PER_DOUBTFUL: usize = 4;
/// Groups of pictures that are decoded to find the order of their frames.
const MOST_GROUPS: usize = 500;

/// Shown packets that share their pts with another, and those that were doubtful before.
pub(crate) struct Doubtful {
    /// Shown packets whose times hold, by time.
    believed: Vec<u32>,
    /// By ordinal, with the time that it shares with others.
    doubtful: BTreeMap<u32, Option<i64>>,
}

impl Doubtful {
    /// `None` if too many are doubtful.
    pub(crate) fn find(packets: &[PacketEntry], without_time: &[usize]) -> Option<Self> {
        let mut doubtful: BTreeMap<u32, Option<i64>> = BTreeMap::new();
        doubtful.extend(
            without_time
                .iter()
                .filter(|&&number| packets[number].is_shown)
                .map(|&number| (number as u32, None)),
        );
        let mut believed: Vec<u32> = (0_u32..)
            .zip(packets)
            .filter(|(number, packet)| packet.is_shown && !doubtful.contains_key(number))
            .map(|(number, _)| number)
            .collect();
        let pts = |number: u32| packets[number as usize].pts;
        believed.sort_by_key(|&number| pts(number));
        let shown = believed.len() + doubtful.len();
        for pair in believed.windows(2) {
            if pts(pair[0]) == pts(pair[1]) {
                doubtful.extend(pair.iter().map(|&number| (number, Some(pts(number).0))));
            }
        }
        believed.retain(|number| !doubtful.contains_key(number));
        (doubtful.len() * FRAMES_PER_DOUBTFUL <= shown).then_some(Self { believed, doubtful })
    }

    /// Whether all times hold.
    pub(crate) fn is_empty(&self) -> bool {
        self.doubtful.is_empty()
    }

    /// Ordinals of the doubtful packets.
    pub(crate) fn ordinals(&self) -> impl Iterator<Item = usize> + '_ {
        self.doubtful.keys().map(|&number| number as usize)
    }

    /// Ordinals of packets to decode for the order of the doubtful frames: from keyframe to keyframe. `None` if they are too many.
    pub(crate) fn groups(&self, packets: &[PacketEntry]) -> Option<Vec<Range<usize>>> {
        let mut groups: Vec<Range<usize>> = Vec::new();
        for &number in self.doubtful.keys() {
            let number = number as usize;
            let key_until = |end: usize| (0..end).rev().find(|&place| packets[place].is_key);
            let key = key_until(number + 1)?;
            // Frames that lead a keyframe need the one before it, and follow it in the file.
            let start = key_until(key).unwrap_or(key);
            let next = (number + 1..packets.len()).find(|&place| packets[place].is_key);
            let end = next.map_or(packets.len(), |next| (next + LOOK_AHEAD).min(packets.len()));
            match groups.last_mut() {
                Some(last) if start < last.end => last.end = last.end.max(end),
                _ => groups.push(start..end),
            }
        }
        (groups.len() <= MOST_GROUPS).then_some(groups)
    }

    /// Gives the doubtful frames their times. `orders`: the decoder's, of the ordinals of each group; without any, frames come in the
    /// order of their packets. `false` if there is no room between two frames.
    pub(crate) fn place(
        self,
        packets: &mut [PacketEntry],
        orders: Option<&[Vec<u32>]>,
        facts: &Facts,
    ) -> bool {
        let Self { believed, doubtful } = self;
        let before = match orders {
            Some(orders) => before_in_decoded(orders, &doubtful),
            None => before_in_file(packets, &doubtful),
        };
        let holds: BTreeSet<u32> = believed.iter().copied().collect();
        // Doubtful frames by the one before them whose time holds, in their order.
        let mut runs: BTreeMap<Option<u32>, Vec<u32>> = BTreeMap::new();
        for (number, before) in before {
            runs.entry(before.filter(|before| holds.contains(before))).or_default().push(number);
        }
        let mut placed = BTreeSet::new();
        for (before, run) in runs {
            let pts = |number: u32| packets[number as usize].pts;
            let next =
                before.map_or(0, |before| believed.partition_point(|&other| pts(other) <= pts(before)));
            let next = believed.get(next).map(|&number| pts(number).0);
            let previous = before.map(|before| pts(before).0);
            let stated = run.iter().find_map(|number| doubtful[number]);
            let near = before.or(believed.first().copied()).unwrap_or(0) as usize;
            let times: Vec<Option<i64>> = packets
                .iter()
                .enumerate()
                .skip(near.saturating_sub(LOOK_AHEAD))
                .take(2 * LOOK_AHEAD)
                .map(|(number, packet)| holds.contains(&(number as u32)).then_some(packet.pts.0))
                .collect();
            let step = usual_step(&times, near.min(LOOK_AHEAD), facts);
            let Some(found) = between(previous, next, stated, run.len(), step) else { return false };
            for (number, time) in run.iter().zip(found) {
                packets[*number as usize].pts = Pts(time);
                placed.insert(*number);
            }
        }
        // No frame comes of the others.
        for &number in doubtful.keys().filter(|number| !placed.contains(number)) {
            packets[number as usize].is_shown = false;
        }
        true
    }
}

/// Each doubtful frame with the one before it that isn't, in the decoder's order.
fn before_in_decoded(orders: &[Vec<u32>], doubtful: &BTreeMap<u32, Option<i64>>) -> Vec<(u32, Option<u32>)> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for order in orders {
        let mut before = None;
        for &number in order {
            if !doubtful.contains_key(&number) {
                before = Some(number);
            } else if seen.insert(number) {
                found.push((number, before));
            }
        }
    }
    found
}

fn before_in_file(packets: &[PacketEntry], doubtful: &BTreeMap<u32, Option<i64>>) -> Vec<(u32, Option<u32>)> {
    let before = |number: u32| {
        (0..number).rev().find(|before| packets[*before as usize].is_shown && !doubtful.contains_key(before))
    };
    doubtful.keys().map(|&number| (number, before(number))).collect()
}

/// Times for `count` frames between two others. One of them may hold the time that is stated, if it lies there: the one that leaves the
/// frames before and after it nearest to their usual step.
fn between(
    previous: Option<i64>,
    next: Option<i64>,
    stated: Option<i64>,
    count: usize,
    step: i64,
) -> Option<Vec<i64>> {
    let count = i64::try_from(count).ok()?;
    let lies_between =
        |time: &i64| previous.is_none_or(|previous| previous < *time) && next.is_none_or(|next| *time < next);
    let room_before = |time: i64| previous.map(|previous| time.saturating_sub(previous));
    let room_after = |time: i64| next.map(|next| next.saturating_sub(time));
    let (kept, time) = match (stated.filter(lies_between), previous, next) {
        (Some(time), ..) => {
            let misfit = |room: Option<i64>, steps: i64| {
                room.map_or(0, |room| room.saturating_sub(steps * step).saturating_abs().min(2 * step))
            };
            let kept = (0..count).min_by_key(|&kept| {
                misfit(room_before(time), kept + 1).saturating_add(misfit(room_after(time), count - kept))
            })?;
            (kept, time)
        }
        // After the frame before them; at the beginning, before the one after them.
        (None, Some(previous), _) => (-1, previous),
        (None, None, Some(next)) => (count, next),
        (None, None, None) => (0, 0),
    };
    let step_before = room_before(time).map_or(step, |room| step.min(room / (kept + 1).max(1)));
    let step_after = room_after(time).map_or(step, |room| step.min(room / (count - kept).max(1)));
    let is_possible = (kept <= 0 || step_before >= 1) && (kept + 1 >= count || step_after >= 1);
    let times = (0..count).map(|place| {
        let steps = place - kept;
        time.saturating_add(steps.saturating_mul(if steps < 0 { step_before } else { step_after }))
    });
    is_possible.then(|| times.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_get_the_hole_that_fits_them() {
        let cases = [
            // Two at one time: the hole is after it, before it, on no side, in front of a long gap.
            ((Some(1120), Some(1240), Some(1160), 2), vec![1160, 1200]),
            ((Some(1080), Some(1200), Some(1160), 2), vec![1120, 1160]),
            ((Some(1120), Some(1200), Some(1160), 2), vec![1160, 1180]),
            ((Some(1080), Some(9000), Some(1160), 2), vec![1120, 1160]),
            ((Some(1120), Some(9000), Some(1160), 2), vec![1160, 1200]),
            ((None, Some(120), Some(40), 2), vec![40, 80]),
            ((Some(40), None, Some(120), 2), vec![80, 120]),
            // Three.
            ((Some(0), Some(160), Some(80), 3), vec![40, 80, 120]),
            // Without a time, or with one that lies elsewhere.
            ((Some(0), Some(80), None, 1), vec![40]),
            ((Some(0), Some(40), None, 1), vec![20]),
            ((Some(0), None, Some(-5), 2), vec![40, 80]),
            ((None, Some(80), None, 2), vec![0, 40]),
        ];
        for ((previous, next, stated, count), expected) in cases {
            let found = between(previous, next, stated, count, 40);
            assert_eq!(found, Some(expected), "{previous:?} {next:?} {stated:?} {count}");
        }
        assert_eq!(between(Some(4), Some(6), Some(5), 2, 40), None, "no room");
    }
}
