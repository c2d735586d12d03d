//! Recordings are whole after each fragment, and hold every frame at its time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pigweight_live::recording::clip::{ClipError, ClipPart, clip_range, write_clip};
use pigweight_live::recording::layout::set_decode_ticks;
use pigweight_live::recording::{FileLayout, LayoutError, RecordingWriter, Written};
use pigweight_live::{AccessUnit, Codec};
use proptest::prelude::*;
use std::io::{self, Cursor, Write};

const FRAME_TICKS: i64 = 6000;
const START_TICKS: i64 = 1_000_000_007;

/// A frame at a place on the timeline, counted in frames.
fn frame(place: i64, is_keyframe: bool, bytes: usize) -> AccessUnit {
    let mut data = vec![0, 0, 0, 1, if is_keyframe { 0x65 } else { 0x41 }];
    data.extend((0..bytes).map(|byte| 1 + (byte % 200) as u8));
    AccessUnit {
        data: data.into(),
        codec: Codec::H264,
        sample_entry: None,
        time_ticks: START_TICKS + place * FRAME_TICKS,
        arrived_unix_ms: 0,
        is_keyframe,
        is_disposable: false,
        epoch: 1,
        follows_gap: false,
        lost_packets: 0,
    }
}

/// As large as a real one.
fn sample_entry() -> Vec<u8> {
    let mut entry = vec![0; 120];
    entry[3] = 120;
    entry[4..8].copy_from_slice(b"avc1");
    entry[32..36].copy_from_slice(&[2, 128, 1, 104]);
    entry
}

fn written(frames: &[AccessUnit], is_reordered: bool) -> (Vec<u8>, Written) {
    let mut writer =
        RecordingWriter::begin(Vec::new(), &sample_entry(), START_TICKS, 1_700_000_000, is_reordered)
            .unwrap();
    for frame in frames {
        writer.add(frame).unwrap();
    }
    writer.finish().unwrap()
}

fn layout(file: &[u8]) -> FileLayout {
    FileLayout::read(&mut Cursor::new(file)).unwrap()
}

fn steady(frames: i64) -> Vec<AccessUnit> {
    (0..frames).map(|place| frame(place, place % 30 == 0, 50)).collect()
}

#[test]
fn a_file_is_cut_into_fragments_of_half_a_second_and_at_keyframes() {
    let (file, written) = written(&steady(60), false);
    let layout = layout(&file);
    assert_eq!(written.frames, 60);
    assert_eq!(written.size_bytes, file.len() as u64);
    assert_eq!((written.start_ticks, written.end_ticks), (START_TICKS, START_TICKS + 60 * FRAME_TICKS));
    assert_eq!(layout.frames(), 60);
    assert_eq!(layout.whole_bytes(), file.len() as u64);
    assert_eq!(layout.duration_ticks(), 60 * FRAME_TICKS as u64);
    assert_eq!(layout.fragments.len(), 8);
    let starts = layout.fragments.iter().map(|fragment| fragment.decode_ticks / FRAME_TICKS as u64);
    assert_eq!(starts.collect::<Vec<_>>(), [0, 8, 16, 24, 30, 38, 46, 54]);
    let keys = layout.fragments.iter().map(|fragment| fragment.starts_with_keyframe);
    assert_eq!(keys.collect::<Vec<_>>(), [true, false, false, false, true, false, false, false]);
}

#[test]
fn what_a_killed_process_left_is_whole_up_to_the_last_fragment() {
    let (file, _) = written(&steady(60), false);
    let whole = layout(&file);
    for length in 0..file.len() {
        let found = match FileLayout::read(&mut Cursor::new(&file[..length])) {
            Ok(found) => found,
            Err(error) => panic!("cut off after {length} bytes: {error}"),
        };
        let there = whole.fragments.iter().filter(|fragment| fragment.bytes.end <= length as u64).count();
        assert_eq!(found.fragments.len(), there);
        assert!(found.whole_bytes() <= length as u64);
    }
}

#[test]
fn a_file_whose_last_bytes_never_reached_the_disk_is_cut_there() {
    let (mut file, _) = written(&steady(60), false);
    let last = layout(&file).fragments[7].clone();
    file[last.bytes.start as usize..].fill(0);
    let found = layout(&file);
    assert_eq!((found.fragments.len(), found.whole_bytes()), (7, last.bytes.start));
}

#[test]
fn files_of_other_programs_are_refused() {
    let (file, _) = written(&steady(10), false);
    let mut foreign = file.clone();
    let moof = foreign.windows(4).position(|kind| kind == b"moof").unwrap();
    foreign[moof..moof + 4].copy_from_slice(b"free");
    let others: [&[u8]; 3] = [b"RIFF\0\0\0\x10AVI LIST", &foreign, &[0, 0, 0, 4, b'f', b't', b'y', b'p']];
    for other in others {
        let read = FileLayout::read(&mut Cursor::new(other));
        assert!(matches!(read, Err(LayoutError::Foreign(_))), "{read:?}");
    }
}

/// When each frame of a file is shown, in the order of the file, ticks from its start.
fn shown(file: &[u8]) -> Vec<i64> {
    let mut all = Vec::new();
    for fragment in layout(file).fragments {
        let bytes = &file[fragment.bytes.start as usize..fragment.bytes.end as usize];
        let u32_at = |at: usize| i64::from(u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()));
        let mut decode = fragment.decode_ticks as i64;
        for number in 0..fragment.frames as usize {
            let sample = 88 + number * 16;
            all.push(decode + u32_at(sample + 12));
            decode += u32_at(sample);
        }
    }
    all
}

#[test]
fn reordered_frames_keep_their_times() {
    // I P B B P B B …, as many encoders send them.
    let places = (0..20).flat_map(|group| match group {
        0 => vec![0],
        _ => vec![group * 3, group * 3 - 2, group * 3 - 1],
    });
    let frames: Vec<_> = places.map(|place| frame(place, place == 0, 20)).collect();
    let (file, written) = written(&frames, true);
    let expected: Vec<i64> = frames.iter().map(|frame| frame.time_ticks - START_TICKS + 90_000).collect();
    assert_eq!(shown(&file), expected);
    assert_eq!(written.end_ticks, START_TICKS + 58 * FRAME_TICKS);
}

#[test]
fn a_full_disk_leaves_a_file_that_is_whole() {
    struct Small(Vec<u8>, usize);
    impl Write for Small {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.1.saturating_sub(self.0.len());
            if room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let taken = bytes.len().min(room);
            self.0.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut disk = Small(Vec::new(), 5000);
    let mut writer = RecordingWriter::begin(&mut disk, &sample_entry(), START_TICKS, 0, false).unwrap();
    let failed = steady(200).iter().find_map(|frame| writer.add(frame).err()).unwrap();
    assert_eq!(failed.kind(), io::ErrorKind::StorageFull);
    let told = writer.written();
    let layout = layout(&disk.0);
    assert_eq!((layout.frames(), layout.whole_bytes()), (told.frames, told.size_bytes));
    assert!(told.frames > 0);
}

#[test]
fn a_fragment_can_be_moved_to_another_time() {
    let (mut file, _) = written(&steady(20), false);
    let second = layout(&file).fragments[1].clone();
    let bytes = &mut file[second.bytes.start as usize..second.bytes.end as usize];
    set_decode_ticks(bytes, 1 << 40).unwrap();
    assert_eq!(layout(&file).fragments[1].decode_ticks, 1 << 40);
    assert!(set_decode_ticks(&mut [0; 30], 1).is_err());
}

fn part(from: i64, frames: i64, entry: &[u8]) -> ClipPart<Cursor<Vec<u8>>> {
    let start_ticks = START_TICKS + from * FRAME_TICKS;
    let mut writer = RecordingWriter::begin(Vec::new(), entry, start_ticks, 0, false).unwrap();
    for place in 0..frames {
        writer.add(&frame(from + place, place % 30 == 0, 50)).unwrap();
    }
    let (file, _) = writer.finish().unwrap();
    ClipPart { layout: layout(&file), file: Cursor::new(file), start_ticks }
}

fn places(range: std::ops::Range<i64>) -> std::ops::Range<i64> {
    START_TICKS + range.start * FRAME_TICKS..START_TICKS + range.end * FRAME_TICKS
}

#[test]
fn a_clip_begins_at_a_keyframe_and_keeps_the_gaps_between_recordings() {
    // Frames 0 to 89, 90 to 119, and 150 to 179 after a gap.
    let entry = sample_entry();
    let mut parts = [part(0, 90, &entry), part(90, 30, &entry), part(150, 30, &entry)];
    let stretch = places(40..160);
    let mut clip = Vec::new();
    let written = write_clip(&mut parts, &stretch, 1_700_000_000, &mut clip).unwrap();
    // Frame 30 is the keyframe before it; its end lies in the fragment of the frames 158 to 165.
    assert_eq!(written.start_ticks, START_TICKS + 30 * FRAME_TICKS);
    assert_eq!(clip_range(&parts, &stretch).unwrap(), written.start_ticks..written.end_ticks);
    let expected: Vec<i64> = (30..120).chain(150..166).map(|place| (place - 30) * FRAME_TICKS).collect();
    assert_eq!(shown(&clip), expected);
    assert_eq!((layout(&clip).frames(), written.size_bytes), (106, clip.len() as u64));
}

#[test]
fn a_clip_of_nothing_or_of_two_codings_is_refused() {
    let mut other = sample_entry();
    other[33] = 200;
    let mut parts = [part(0, 90, &sample_entry()), part(90, 30, &other)];
    let outside = write_clip(&mut parts, &places(200..300), 0, &mut Vec::new());
    assert!(matches!(outside, Err(ClipError::Empty)));
    let both = write_clip(&mut parts, &places(80..100), 0, &mut Vec::new());
    assert!(matches!(both, Err(ClipError::Changed { ticks }) if ticks == START_TICKS + 90 * FRAME_TICKS));
    assert!(write_clip(&mut parts, &places(10..90), 0, &mut Vec::new()).is_ok());
    assert!(write_clip(&mut parts, &places(90..100), 0, &mut Vec::new()).is_ok());
}

proptest! {
    /// Whatever a camera sends, frames are in the file once, in its order, and those in order are shown at their times.
    #[test]
    fn every_frame_is_written_once(
        steps in proptest::collection::vec((1i64..200, any::<bool>(), 0usize..3000), 1..200),
    ) {
        let mut place = 0;
        let frames: Vec<_> = steps.iter().map(|&(step, is_keyframe, bytes)| {
            let made = frame(place, is_keyframe, bytes);
            place += step;
            made
        }).collect();
        let (file, written) = written(&frames, false);
        prop_assert_eq!(written.frames, frames.len() as u64);
        let expected: Vec<i64> = frames.iter().map(|frame| frame.time_ticks - START_TICKS).collect();
        prop_assert_eq!(shown(&file), expected);
        prop_assert!(written.end_ticks > frames.last().unwrap().time_ticks);
    }

    /// Arbitrary bytes are no reason to panic or to take memory.
    #[test]
    fn arbitrary_files_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _read = FileLayout::read(&mut Cursor::new(bytes));
    }
}
