//! Repairs the times of packets, in this one place and once: everything else uses the repaired ones.
//!
//! ```text
//! stated    30.0 … 33.9 │ 12.0 … 15.9      a camera that restarted: two clocks
//! repaired  30.0 … 33.9 │ 34.0 … 37.9      each later clock is shifted so that it follows the one before
//! ```
//! A new clock begins where time goes back, or more than an hour ahead of everything around it. Shorter gaps are kept: recorders pause.
//! Single packets whose time lies apart from all of their neighbours, that share it with another, or that have none are *doubtful*; they get
//! times from the frames shown beside them ([`crate::file::doubtful_times`]). All other stated times hold.
//!
//! What is decided about a packet depends on [`LOOK_AHEAD`] packets after it at most, so that the index of a file that is still being read is
//! a prefix of the whole file's.

use crate::file::packets::PacketList;
use crate::libav::PacketEntry;
use pigweight_core::time::{Pts, TimeBase};
use serde::{Deserialize, Serialize};

/// Packets around one with which it is compared. Decoders reorder by 16 frames at most.
pub(crate) const LOOK_AHEAD: usize = 20;
/// Frames by which the order of display and of decoding may differ, and some.
const REORDERED_FRAMES: i64 = 20;
/// Time that goes ahead by more is another clock, unless the frames around are as far apart.
const LONGEST_GAP_SECS: i64 = 3600;
/// How many times as long as the steps around it.
const FAR: i64 = 10;
/// More clocks than this are no clocks: times are counted then.
pub(crate) const MOST_CLOCKS: usize = 10_000;

/// Packets from `first` on were stamped by another clock; `added_ticks` are in all their times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Clock {
    pub first: u32,
    pub added_ticks: i64,
    /// By how much time jumped here, beyond the usual step. 0 for a counter that ran over.
    pub jumped_ticks: i64,
}

/// What is known of a stream's times besides its packets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub time_base: TimeBase,
    /// Decode times come from the file, and aren't made up from presentation times.
    pub states_dts: bool,
    /// Frames come out in the order of their packets.
    pub keeps_order: bool,
    /// Where the packets don't tell.
    pub frame_ticks: i64,
}

/// What was found; the packets have their repaired times.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// In order. Empty if one clock stamped all packets.
    pub clocks: Vec<Clock>,
    /// Ordinals of packets whose own pts can't be believed.
    pub doubtful: Vec<usize>,
}

/// Finds the clocks and the doubtful packets, and shifts all times onto one line.
pub(crate) fn repair(list: &mut PacketList, facts: &Facts) -> Found {
    let packets = &mut list.packets;
    let mut is_doubtful = vec![false; packets.len()];
    for &number in &list.without_pts {
        is_doubtful[number] = true;
    }
    // What an edit list hides may lie anywhere, for example at the time of what follows it.
    let mut times: Vec<Option<i64>> = packets
        .iter()
        .zip(&is_doubtful)
        .map(|(packet, &is)| (packet.is_shown && !is).then_some(packet.pts.0))
        .collect();
    let mut decoded: Vec<Option<i64>> =
        packets.iter().map(|packet| packet.dts.filter(|_| packet.is_shown)).collect();
    let early = if facts.states_dts { far_from_decoding(&times, &decoded, facts) } else { Vec::new() };
    let alone = if facts.keeps_order { against_order(&times) } else { Vec::new() };
    for number in apart(&times, &times, facts).into_iter().chain(early).chain(alone) {
        is_doubtful[number] = true;
    }
    for (time, &is) in times.iter_mut().zip(&is_doubtful) {
        *time = time.filter(|_| !is);
    }
    if facts.states_dts {
        for number in apart(&decoded, &times, facts).into_iter().chain(against_order(&decoded)) {
            decoded[number] = None;
            packets[number].dts = None;
        }
    }
    let clocks = clocks(&times, &decoded, facts);
    for (place, clock) in clocks.iter().enumerate() {
        let end = clocks.get(place + 1).map_or(packets.len(), |next| next.first as usize);
        for packet in &mut packets[clock.first as usize..end] {
            packet.pts = Pts(packet.pts.0.saturating_add(clock.added_ticks));
            packet.dts = packet.dts.map(|dts| dts.saturating_add(clock.added_ticks));
        }
    }
    let doubtful = (0..packets.len()).filter(|&number| is_doubtful[number]).collect();
    Found { clocks, doubtful }
}

/// Ticks that a clock adds to the packets after its first.
pub(crate) fn added_ticks(clocks: &[Clock], ordinal: usize) -> i64 {
    let after = clocks.partition_point(|clock| clock.first as usize <= ordinal);
    after.checked_sub(1).map_or(0, |place| clocks[place].added_ticks)
}

/// The usual step from frame to frame around a packet.
pub(crate) fn usual_step(times: &[Option<i64>], number: usize, facts: &Facts) -> i64 {
    let from = |range: std::ops::Range<usize>| -> Option<i64> {
        let mut near: Vec<i64> = times.get(range)?.iter().flatten().copied().collect();
        near.sort_unstable();
        let mut steps: Vec<i64> =
            near.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).filter(|&step| step > 0).collect();
        steps.sort_unstable();
        (steps.len() >= 2).then(|| steps[steps.len() / 2])
    };
    let before = number.saturating_sub(LOOK_AHEAD)..number;
    let after = number..(number + LOOK_AHEAD).min(times.len());
    from(before).or_else(|| from(after)).unwrap_or(facts.frame_ticks).max(1)
}

/// By how much the times of neighbours may differ from their order. Where frames come in bursts, more than their usual step says.
fn reach(times: &[Option<i64>], number: usize, facts: &Facts) -> i64 {
    let around = number.saturating_sub(LOOK_AHEAD)..(number + 1 + LOOK_AHEAD).min(times.len());
    let mut near: Vec<i64> = times[around].iter().flatten().copied().collect();
    near.sort_unstable();
    let mut steps: Vec<i64> = near.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
    steps.sort_unstable();
    // Without the steps to what lies apart.
    steps.truncate(steps.len() - steps.len() / 8);
    let sum = steps.iter().fold(0_i64, |sum, step| sum.saturating_add(*step));
    let mean = sum / (steps.len() as i64).max(1);
    REORDERED_FRAMES.saturating_mul(mean.max(usual_step(times, number, facts)))
}

/// Packets whose time lies far from that of all others around them, against their order.
fn apart(times: &[Option<i64>], shown: &[Option<i64>], facts: &Facts) -> Vec<usize> {
    let mut found = Vec::new();
    for (number, time) in times.iter().enumerate() {
        let Some(time) = *time else { continue };
        let before = times[number.saturating_sub(LOOK_AHEAD)..number].iter().flatten();
        let after = times[number + 1..(number + 1 + LOOK_AHEAD).min(times.len())].iter().flatten();
        // Its neighbours decide most of the time, without the sum of all.
        let nearest = |times: &mut dyn Iterator<Item = &i64>| times.map(|other| time.abs_diff(*other)).min();
        let near = nearest(&mut before.clone().rev().take(2)).into_iter();
        let near = near.chain(nearest(&mut after.clone().take(2))).min();
        let Some(near) = near.filter(|&near| near > facts.frame_ticks.unsigned_abs()) else { continue };
        // Decode times may follow each other by single ticks.
        let reach = reach(shown, number, facts);
        if near <= reach.unsigned_abs() {
            continue;
        }
        let is_apart =
            before.clone().chain(after.clone()).all(|other| time.abs_diff(*other) > reach.unsigned_abs());
        let is_against_order =
            before.clone().any(|&other| other > time) || after.clone().any(|&other| other < time);
        // Where it begins another clock alone, the rest is what lies apart from it: a clock has more than one packet.
        if is_apart && is_against_order {
            found.push(number);
        }
    }
    found
}

/// Single packets that lie before or after both of their neighbours, which are in order.
fn against_order(times: &[Option<i64>]) -> Vec<usize> {
    let is_against = |three: &[Option<i64>]| match three {
        &[Some(before), Some(time), Some(after)] => before < after && !(before..=after).contains(&time),
        _ => false,
    };
    times.windows(3).enumerate().filter(|(_, three)| is_against(three)).map(|(place, _)| place + 1).collect()
}

/// Packets that are shown long after or before they are decoded, although decoding doesn't come there soon.
fn far_from_decoding(times: &[Option<i64>], decoded: &[Option<i64>], facts: &Facts) -> Vec<usize> {
    let offset = |number: usize| Some(times[number]?.saturating_sub(decoded[number]?));
    let mut first: Vec<i64> = (0..times.len()).filter_map(offset).take(2 * LOOK_AHEAD).collect();
    first.sort_unstable();
    // All may be late by the same.
    let Some(&usual) = first.get(first.len() / 2) else { return Vec::new() };
    let is_far = |number: &usize| {
        let number = *number;
        let Some(late) = offset(number).map(|offset| offset.saturating_sub(usual)) else { return false };
        if late.saturating_abs() <= facts.frame_ticks {
            return false;
        }
        let reach = reach(times, number, facts);
        let due = times[number].unwrap_or(0).saturating_sub(usual).saturating_sub(reach);
        let ahead = &decoded[number..(number + 1 + LOOK_AHEAD).min(decoded.len())];
        late < -reach || late > reach && ahead.iter().flatten().all(|&dts| dts < due)
    };
    (0..times.len()).filter(is_far).collect()
}

/// Where another clock begins.
fn clocks(times: &[Option<i64>], decoded: &[Option<i64>], facts: &Facts) -> Vec<Clock> {
    let longest_gap = LONGEST_GAP_SECS
        .saturating_mul(
            i64::from(facts.time_base.denominator()) / i64::from(facts.time_base.numerator()).max(1),
        )
        .max(1);
    let time_of = |number: usize| if facts.states_dts { decoded[number] } else { times[number] };
    let mut clocks: Vec<Clock> = Vec::new();
    let (mut began_at, mut added) = (0, 0_i64);
    let mut last: Option<(usize, i64)> = None;
    let mut last_step: Option<i64> = None;
    // The last stated times of the present clock.
    let (mut shown_until, mut decoded_until) = (None::<i64>, None::<i64>);
    for number in 0..times.len() {
        if let Some(time) = time_of(number) {
            if let Some((before, from)) = last {
                let step = time.saturating_sub(from);
                let is_back = step < 0 && goes_back(times, (began_at, number), (time, step), facts);
                let is_far = step > longest_gap && last_step.is_none_or(|before| step / FAR > before) && {
                    let next = (number + 1..(number + 4).min(times.len())).find_map(time_of);
                    next.is_none_or(|next| step / FAR > next.saturating_sub(time).saturating_abs())
                };
                if (is_back || is_far) && clocks.len() < MOST_CLOCKS {
                    let usual = usual_step(&times[..number], before + 1, facts);
                    let over = counter_length(facts.time_base);
                    let ran_over =
                        over.filter(|over| (1..=longest_gap).contains(&step.saturating_add(*over)));
                    added = added.saturating_add(ran_over.unwrap_or_else(|| {
                        let begins = first_shown(times, number, usual).unwrap_or(time);
                        let shown = shown_until.unwrap_or(from).saturating_add(usual).saturating_sub(begins);
                        match (decoded_until, decoded[number]) {
                            (Some(until), Some(dts)) if facts.states_dts => {
                                shown.max(until.saturating_add(usual).saturating_sub(dts))
                            }
                            _ => shown,
                        }
                    }));
                    let jumped_ticks = match over {
                        _ if ran_over.is_some() => 0,
                        // libav takes what lies before its first minute for a counter that ran over.
                        Some(over) if time >= over || from < 0 && step > over / 2 => step - over - usual,
                        _ => step.saturating_sub(usual),
                    };
                    clocks.push(Clock { first: number as u32, added_ticks: added, jumped_ticks });
                    (began_at, last_step, shown_until, decoded_until) = (number, None, None, None);
                } else {
                    last_step = Some(step.saturating_abs());
                }
            }
            last = Some((number, time));
        }
        shown_until = shown_until.max(times[number]);
        decoded_until = decoded_until.max(decoded[number]);
    }
    clocks
}

/// Whether a packet's time lies before those of its clock, by more than decoders reorder.
fn goes_back(
    times: &[Option<i64>],
    (began_at, number): (usize, usize),
    (time, step): (i64, i64),
    facts: &Facts,
) -> bool {
    let usual = usual_step(&times[began_at..], number - began_at, facts);
    if facts.states_dts || facts.keeps_order {
        return step < -usual;
    }
    let reach = reach(times, number, facts).unsigned_abs();
    let recent = &times[number.saturating_sub(LOOK_AHEAD).max(began_at)..number];
    recent.iter().flatten().all(|other| time.abs_diff(*other) > reach)
}

/// The earliest time in a clock that begins here: frames may be shown before the first packet's.
fn first_shown(times: &[Option<i64>], number: usize, usual: i64) -> Option<i64> {
    let reach = 2 * REORDERED_FRAMES.saturating_mul(usual).unsigned_abs();
    let ahead = &times[number..(number + LOOK_AHEAD).min(times.len())];
    let own = ahead.iter().flatten().next().copied()?;
    ahead.iter().flatten().filter(|other| own.abs_diff(**other) <= reach).min().copied()
}

/// Ticks after which the counter of a container begins anew: 33 bits of 1/90,000 s in MPEG, 32 bits of milliseconds in Flash and others.
fn counter_length(time_base: TimeBase) -> Option<i64> {
    match (time_base.numerator(), time_base.denominator()) {
        (1, 90_000) => Some(1 << 33),
        (1, 1000) => Some(1 << 32),
        _ => None,
    }
}

/// The number of packets before the first about which more packets may decide otherwise.
pub(crate) fn settled(clocks: &[Clock], doubtful: &[usize], packets: usize) -> usize {
    let open_from = packets.saturating_sub(2 * LOOK_AHEAD);
    let clocks = clocks.iter().map(|clock| clock.first as usize);
    clocks.chain(doubtful.iter().copied()).filter(|&number| number >= open_from).min().unwrap_or(packets)
}

/// Whether all times are such that sums of them can't overflow.
pub(crate) fn are_possible(packets: &[PacketEntry]) -> bool {
    let is_possible = |ticks: i64| ticks.unsigned_abs() < crate::file::packets::MOST_TICKS;
    packets.iter().all(|packet| is_possible(packet.pts.0) && packet.dts.is_none_or(is_possible))
}
