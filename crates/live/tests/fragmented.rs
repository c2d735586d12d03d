//! Fragments for players that are fed while the camera sends: every frame at its time, whatever the camera does; and a viewer over a slow line never drifts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pigweight_live::fragmented::{FragmentedViewer, MOST_BEHIND, Next, Outgoing, Over, SILENCE_TIMEOUT};
use pigweight_live::recording::{Initialization, NotPlayable, Segments};
use pigweight_live::{AccessUnit, Codec};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

const FRAME_TICKS: i64 = 6000;
const FRAME: Duration = Duration::from_nanos(66_666_667);
const GOP: i64 = 30;
/// RTP timestamps wrap on the way.
const START_TICKS: i64 = 4_294_967_296 - 20 * FRAME_TICKS;

fn sample_entry(profile: u8) -> Arc<[u8]> {
    let mut entry = vec![0; 86];
    entry[4..8].copy_from_slice(b"avc1");
    entry[32..36].copy_from_slice(&[2, 128, 1, 104]);
    entry.extend([0, 0, 0, 12]);
    entry.extend(b"avcC");
    entry.extend([1, profile, 0x40, 0x1f]);
    let length = entry.len() as u32;
    entry[..4].copy_from_slice(&length.to_be_bytes());
    entry.into()
}

fn unit(ticks: i64, is_keyframe: bool, bytes: usize) -> AccessUnit {
    let mut data = vec![0, 0, 0, 1, if is_keyframe { 0x65 } else { 0x41 }];
    data.extend((0..bytes).map(|byte| 1 + (byte % 200) as u8));
    AccessUnit {
        data: data.into(),
        codec: Codec::H264,
        sample_entry: Some(sample_entry(0x4d)),
        time_ticks: START_TICKS + ticks,
        arrived_unix_ms: 1_700_000_000_000,
        is_keyframe,
        is_disposable: false,
        epoch: 1,
        follows_gap: false,
        lost_packets: 0,
    }
}

fn frame(place: i64) -> Arc<AccessUnit> {
    Arc::new(unit(place * FRAME_TICKS, place % GOP == 0, 50))
}

/// Of a fragment: decode time, duration, presentation, ticks of the player's time.
fn times(fragment: &[u8]) -> (i64, i64, i64) {
    let u32_at = |at: usize| i64::from(u32::from_be_bytes(fragment[at..at + 4].try_into().unwrap()));
    assert_eq!(&fragment[4..8], b"moof");
    assert_eq!(u32_at(80), 1, "one frame");
    let decode = u32_at(60) << 32 | u32_at(64);
    (decode, u32_at(88), decode + u32_at(100))
}

/// Checks what players ask of the fragments of these frames, and returns when each is shown, as ticks on the camera's timeline.
fn shown(frames: &[AccessUnit]) -> Vec<i64> {
    let mut segments = Segments::default();
    let (mut zero_ticks, mut last, mut shown) = (None, None::<(i64, i64)>, Vec::new());
    for frame in frames {
        let segment = segments.next(frame).unwrap().unwrap();
        if let Some(Initialization { zero_ticks: zero, .. }) = segment.initialization {
            assert!(zero_ticks.is_none_or(|before| before == zero), "the player's time goes on");
            zero_ticks = Some(zero);
        }
        let (decode, duration, presentation) = times(&segment.fragment);
        if let Some((last_decode, last_duration)) = last {
            let step = decode - last_decode;
            assert!(step > 0 && step <= 2 * last_duration, "{step} after {last_duration}: players drop it");
        }
        assert!(duration > 0 && presentation >= decode);
        last = Some((decode, duration));
        shown.push(zero_ticks.unwrap() + presentation);
    }
    shown
}

#[test]
fn each_frame_is_shown_at_its_own_time() {
    let steady: Vec<AccessUnit> = (0..90).map(|place| (*frame(place)).clone()).collect();
    // As encoders with B-frames send them: 0 4 2 1 3 8 6 5 7.
    let order = |place: i64| match place {
        0 => 0,
        _ => (place - 1) / 4 * 4 + [4, 2, 1, 3][usize::try_from((place - 1) % 4).unwrap()],
    };
    let reordered: Vec<AccessUnit> =
        (0..90).map(|place| unit(order(place) * FRAME_TICKS, place == 0, 50)).collect();
    // Ten frames a second become one, and a pause of a minute follows.
    let slowing: Vec<AccessUnit> = (0..20_i64)
        .map(|place| {
            unit(
                place * 9000 + (place - 9).max(0) * 81_000 + i64::from(place > 15) * 5_400_000,
                place == 0,
                9,
            )
        })
        .collect();
    for frames in [steady, reordered, slowing] {
        let expected: Vec<i64> = frames.iter().map(|frame| frame.time_ticks).collect();
        assert_eq!(shown(&frames), expected);
    }
}

proptest! {
    #[test]
    fn whatever_a_camera_does_players_drop_nothing(gaps in prop::collection::vec(1_i64..300_000, 1..60)) {
        let mut ticks = 0;
        let frames: Vec<AccessUnit> = gaps.iter().map(|gap| { ticks += gap; unit(ticks, true, 9) }).collect();
        let expected: Vec<i64> = frames.iter().map(|frame| frame.time_ticks).collect();
        prop_assert_eq!(shown(&frames), expected);
    }
}

#[test]
fn another_coding_is_announced_and_what_is_not_played_is_refused() {
    let mut segments = Segments::default();
    let first = segments.next(&unit(0, true, 9)).unwrap().unwrap().initialization.unwrap();
    assert_eq!(first.codec, "avc1.4d401f");
    assert_eq!(&first.segment[4..8], b"ftyp");
    assert_eq!(segments.next(&unit(6000, true, 9)).unwrap().unwrap().initialization, None);
    let high = AccessUnit { sample_entry: Some(sample_entry(0x64)), ..unit(12_000, true, 9) };
    assert_eq!(segments.next(&high).unwrap().unwrap().initialization.unwrap().codec, "avc1.64401f");
    for unplayable in [
        AccessUnit { codec: Codec::Mjpeg, ..unit(18_000, true, 9) },
        AccessUnit { codec: Codec::Vp8, ..unit(18_000, true, 9) },
        AccessUnit { sample_entry: None, ..unit(18_000, true, 9) },
        AccessUnit { sample_entry: Some(vec![0; 100].into()), ..unit(18_000, true, 9) },
    ] {
        assert_eq!(segments.next(&unplayable), Err(NotPlayable));
    }
}

/// A line of this many bytes a second between a viewer and its browser, with a large buffer in between, as TCP has it.
struct Line {
    viewer: FragmentedViewer,
    now: Instant,
    bytes_per_sec: usize,
    /// On the way.
    buffer: VecDeque<(usize, Outgoing)>,
    credit: usize,
    /// The times of the frames that arrived, as numbers of frames, and when.
    arrived: Vec<(i64, Instant)>,
    zero_ticks: i64,
    returns_marks: bool,
}

impl Line {
    const BUFFER_BYTES: usize = 4 << 20;

    fn new(bytes_per_sec: usize) -> Self {
        Self {
            viewer: FragmentedViewer::default(),
            now: Instant::now(),
            bytes_per_sec,
            buffer: VecDeque::new(),
            credit: 0,
            arrived: Vec::new(),
            zero_ticks: 0,
            returns_marks: true,
        }
    }

    fn run_for(&mut self, duration: Duration) -> Option<Over> {
        const STEP: Duration = Duration::from_millis(5);
        let until = self.now + duration;
        while self.now < until {
            while self.buffer.iter().map(|(bytes, _)| bytes).sum::<usize>() < Self::BUFFER_BYTES {
                match self.viewer.next(self.now) {
                    Next::Send(message) => {
                        let bytes = match &message {
                            Outgoing::Fragment(fragment) => fragment.len(),
                            _ => 100,
                        };
                        self.buffer.push_back((bytes, message));
                    }
                    Next::WaitUntil(at) => {
                        assert!(at > self.now, "it would be asked again and again");
                        break;
                    }
                    Next::Over(over) => return Some(over),
                }
            }
            self.credit += self.bytes_per_sec * 5 / 1000;
            while self.buffer.front().is_some_and(|(bytes, _)| *bytes <= self.credit) {
                let (bytes, message) = self.buffer.pop_front().unwrap();
                self.credit -= bytes;
                match message {
                    Outgoing::Initialization(initialization) => self.zero_ticks = initialization.zero_ticks,
                    Outgoing::Fragment(fragment) => {
                        let (_, _, presentation) = times(&fragment);
                        let place = (presentation + self.zero_ticks - START_TICKS) / FRAME_TICKS;
                        self.arrived.push((place, self.now));
                    }
                    Outgoing::Mark(mark) if self.returns_marks => self.viewer.returned(self.now, mark),
                    Outgoing::Mark(_) => {}
                }
            }
            if self.buffer.is_empty() {
                self.credit = 0;
            }
            self.now += STEP;
        }
        None
    }
}

#[test]
fn a_viewer_begins_with_the_frames_since_the_last_keyframe_and_misses_none() {
    let mut line = Line::new(10_000_000);
    line.viewer.push(line.now, frame(3));
    for place in 30..50 {
        line.viewer.push(line.now, frame(place));
    }
    for place in 50..100 {
        line.viewer.push(line.now, frame(place));
        assert_eq!(line.run_for(FRAME), None);
    }
    let places: Vec<i64> = line.arrived.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, (30..100).collect::<Vec<_>>());
}

#[test]
fn a_viewer_over_a_slow_line_is_brought_forward_to_a_keyframe_and_never_drifts() {
    // 50 kB a frame, 750 kB a second, over a line that carries half of it.
    let mut line = Line::new(375_000);
    let mut pushed = Vec::new();
    for place in 0..900 {
        let large = unit(place * FRAME_TICKS, place % GOP == 0, 50_000);
        line.viewer.push(line.now, Arc::new(large));
        pushed.push(line.now);
        assert_eq!(line.run_for(FRAME), None);
    }
    // From its arrival at the server to its arrival at the viewer.
    let latest = line.arrived.iter().map(|&(place, at)| at - pushed[place as usize]).max().unwrap();
    // Two seconds at this side, and what was on the way: more than half a second of frames at half the rate.
    assert!(latest < MOST_BEHIND + Duration::from_secs(2), "{latest:?} late");
    let (last, at) = *line.arrived.last().unwrap();
    assert!(line.now - at < Duration::from_secs(5) && last > 800, "it goes on: {last}");
    let jumps: Vec<_> = line.arrived.windows(2).filter(|pair| pair[1].0 != pair[0].0 + 1).collect();
    assert!(!jumps.is_empty() && jumps.iter().all(|pair| pair[1].0 % GOP == 0), "{jumps:?}");
}

#[test]
fn after_lost_frames_it_goes_on_at_a_keyframe() {
    let mut line = Line::new(10_000_000);
    for place in 0..100 {
        match place {
            10 => line.viewer.lose(),
            40 => line
                .viewer
                .push(line.now, Arc::new(AccessUnit { lost_packets: 2, ..(*frame(place)).clone() })),
            _ => line.viewer.push(line.now, frame(place)),
        }
        line.run_for(FRAME);
    }
    let places: Vec<i64> = line.arrived.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, (0..10).chain(30..40).chain(60..100).collect::<Vec<_>>());
}

#[test]
fn a_viewer_that_returns_no_mark_is_given_up_and_costs_little_before() {
    let mut line = Line::new(10_000_000);
    line.returns_marks = false;
    let begun = line.now;
    let mut over = None;
    for place in 0..600 {
        line.viewer.push(line.now, frame(place));
        over = line.run_for(FRAME);
        // Marks that were never sent change nothing.
        line.viewer.returned(line.now, u64::MAX);
        if over.is_some() {
            break;
        }
    }
    assert_eq!(over, Some(Over::Silent));
    let lasted = line.now - begun;
    assert!((SILENCE_TIMEOUT..SILENCE_TIMEOUT + Duration::from_secs(1)).contains(&lasted), "{lasted:?}");
    let sent = line.arrived.len();
    assert!(sent < 20, "{sent} frames in less than a second");
}

#[test]
fn it_ends_with_its_camera_and_where_the_camera_sends_something_else() {
    let mut line = Line::new(10_000_000);
    line.viewer.push(line.now, frame(0));
    assert_eq!(line.run_for(FRAME), None);
    line.viewer.push(line.now, Arc::new(AccessUnit { codec: Codec::Mjpeg, ..(*frame(30)).clone() }));
    assert_eq!(line.run_for(FRAME), Some(Over::NotPlayable(NotPlayable)));
    let mut line = Line::new(10_000_000);
    line.viewer.end();
    assert_eq!(line.run_for(FRAME), Some(Over::CameraStopped));
}
