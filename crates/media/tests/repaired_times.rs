//! Times and streams as recorders, phones and exporters write them: every frame comes once, in order and at its time; what was done is told.
//!
//! Frame n of each film bears n as a bar code.

use pigweight_media::hls::Streamer;
use pigweight_media::{FrameReader, FrameSeeker, Timing, Video};
use pigweight_testkit::videos::{bar_code, video};
use std::time::Duration;

fn open(name: &str) -> Video {
    Video::open(&video(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Seconds since the first frame, and the number in the picture.
fn read(opened: &Video) -> Vec<(f64, u32)> {
    let name = opened.path().display();
    let mut reader = FrameReader::open(opened).expect("the reader opens");
    let mut frames = Vec::new();
    while let Some(frame) = reader.next_frame().expect("reading goes on") {
        let number = bar_code(&frame.picture.view());
        frames.push((frame.secs, number.unwrap_or_else(|| panic!("{name}: no bar code at {}", frame.secs))));
    }
    frames
}

/// Frames in order, single frames in any order, parts of a growing index and the stream agree with `expected`.
fn every_way_gives(name: &str, expected: &[(f64, u32)]) {
    let opened = open(name);
    let found = read(&opened);
    let is_same = |(found, expected): (&(f64, u32), &(f64, u32))| {
        found.1 == expected.1 && (found.0 - expected.0).abs() < 0.0015
    };
    let differs = found.iter().zip(expected).position(|pair| !is_same(pair));
    assert!(
        found.len() == expected.len() && differs.is_none(),
        "{name}: {} frames instead of {}, the first other one {:?} instead of {:?}; repairs: {:?}",
        found.len(),
        expected.len(),
        differs.map(|place| found[place]),
        differs.map(|place| expected[place]),
        opened.index().repairs()
    );
    let stored = Video::open_stored(&video(name), Some(opened.stored_index())).expect(name);
    assert_eq!(stored.index(), opened.index(), "{name}: stored and read back");
    let mut seeker = FrameSeeker::open(&stored).expect(name);
    let pts: Vec<_> = opened.index().frame_pts().collect();
    for step in 0..pts.len() {
        let place = step * 37 % pts.len();
        let frame = seeker.frame(pts[place]).expect(name);
        assert_eq!(frame.pts, pts[place], "{name} frame {place}");
        assert_eq!(bar_code(&frame.picture.view()), Some(expected[place].1), "{name} frame {place}");
    }
    let mut parts = Vec::new();
    let whole = Video::open_in_parts(&video(name), None, Duration::ZERO, &mut |part| parts.push(part));
    assert_eq!(whole.expect(name).index(), opened.index(), "{name}");
    for part in parts {
        let known: Vec<_> = part.index().frame_pts().collect();
        assert_eq!(pts[..known.len()], known, "{name}: a part of {} frames", known.len());
    }
    streams(name, expected);
}

fn streams(name: &str, expected: &[(f64, u32)]) {
    let opened = open(name);
    let Ok(mut streamer) = Streamer::open(&opened) else { return };
    let count = streamer.segments().segments().len();
    let mut bytes = streamer.init().expect(name);
    for number in 0..count {
        bytes.extend(streamer.fragment(number).expect(name));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("all.mp4");
    std::fs::write(&path, bytes).expect("it can be written");
    let streamed = Video::open(&path).expect(name);
    let found = read(&streamed);
    // What is hidden is there for a tick before the next frame.
    let shown: Vec<_> = found
        .iter()
        .enumerate()
        .filter(|(place, frame)| found.get(place + 1).is_none_or(|next| next.0 - frame.0 > 0.002))
        .map(|(_, frame)| *frame)
        .collect();
    assert_eq!(shown.len(), expected.len(), "{name}: {shown:?}");
    for (found, expected) in shown.iter().zip(expected) {
        assert!(
            found.1 == expected.1 && (found.0 - expected.0).abs() < 0.0025,
            "{name}, streamed: {found:?} instead of {expected:?}"
        );
    }
}

fn numbered(numbers: impl IntoIterator<Item = u32>) -> Vec<(f64, u32)> {
    numbers.into_iter().enumerate().map(|(place, number)| (place as f64 / 25.0, number)).collect()
}

fn repairs(name: &str) -> String {
    open(name).index().repairs().map(str::to_owned).unwrap_or_default()
}

#[test]
fn a_clock_that_begins_anew_goes_on_where_the_one_before_ended() {
    every_way_gives("clock_back.ts", &numbered(0..150));
    let told = repairs("clock_back.ts");
    assert!(told.contains("back by 46.0") && told.contains("s at 3.0"), "{told}");
    every_way_gives("clock_back_twice.ts", &numbered(0..150));
    assert!(repairs("clock_back_twice.ts").contains("once more later"), "{}", repairs("clock_back_twice.ts"));
}

#[test]
fn a_clock_that_jumps_a_day_ahead_leaves_no_day_without_pictures() {
    every_way_gives("clock_ahead.ts", &numbered(0..100));
    assert!(repairs("clock_ahead.ts").contains("clock jumps"), "{}", repairs("clock_ahead.ts"));
    every_way_gives("clock_ahead_and_back.ts", &numbered(0..150));
}

#[test]
fn a_counter_that_runs_over_is_no_jump() {
    every_way_gives("wrap.ts", &numbered(0..150));
    assert_eq!(open("wrap.ts").index().repairs(), None);
}

#[test]
fn one_time_stated_twice_leaves_all_others_as_they_are() {
    let paused =
        (0..150).map(|number| (f64::from(number) / 25.0 + if number < 100 { 0.0 } else { 7.0 }, number));
    every_way_gives("same_time.mkv", &paused.collect::<Vec<_>>());
    let told = repairs("same_time.mkv");
    assert!(told.contains("a frame states a time that can't be its own"), "{told}");
    every_way_gives("same_time_b.mkv", &numbered(0..150));
    for name in ["same_time.mkv", "same_time_b.mkv"] {
        assert_eq!(
            (open(name).index().timing(), open(name).index().damage()),
            (Timing::Stated, None),
            "{name}"
        );
    }
}

#[test]
fn a_frame_whose_time_lies_hours_away_is_shown_in_its_place() {
    every_way_gives("far_frame.mkv", &numbered(0..150));
    every_way_gives("far_first.mkv", &numbered(0..150));
    let opened = open("late_hidden.mp4");
    let last = opened.duration_secs();
    assert!(last < 6.1, "{last} s");
    let shown: Vec<_> = numbered(0..150).into_iter().collect();
    let hidden: Vec<u32> = read(&opened).iter().map(|frame| frame.1).collect();
    let left: Vec<_> = shown.into_iter().filter(|frame| hidden.contains(&frame.1)).collect();
    assert_eq!(left.len(), 149, "one is hidden");
    every_way_gives("late_hidden.mp4", &left);
}

#[test]
fn trimmed_films_are_whole() {
    every_way_gives("trimmed_end.mp4", &numbered(0..55));
    every_way_gives("trimmed_start.mp4", &numbered(50..150));
    every_way_gives("trimmed_middle.mp4", &numbered((0..35).chain(100..150)));
    every_way_gives("trimmed_middle_b.mp4", &numbered((0..35).chain(100..150)));
    for name in ["trimmed_end.mp4", "trimmed_start.mp4", "trimmed_middle.mp4", "trimmed_middle_b.mp4"] {
        assert_eq!((open(name).index().damage(), open(name).index().repairs()), (None, None), "{name}");
    }
}

#[test]
fn frames_that_a_recorder_dropped_are_no_damage() {
    let kept = |number: &u32| number % 7 != 3 && !(60..=64).contains(number);
    let expected: Vec<_> = (0..150).filter(kept).map(|number| (f64::from(number) / 25.0, number)).collect();
    every_way_gives("dropped.avi", &expected);
    assert_eq!(open("dropped.avi").index().damage(), None);
    // The same file without its end.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cut.avi");
    let bytes = std::fs::read(video("dropped.avi")).expect("it is there");
    std::fs::write(&path, &bytes[..bytes.len() * 7 / 10]).expect("it can be written");
    let cut = Video::open(&path).expect("it opens");
    assert!(
        cut.index().damage().is_some_and(|damage| damage.contains("frames are in the file")),
        "the loss is told"
    );
}

#[test]
fn a_still_picture_beside_a_film_is_not_the_film() {
    for name in ["still_first.mkv", "still_last.mp4"] {
        every_way_gives(name, &numbered(0..150));
        assert_eq!(open(name).index().repairs(), None, "{name}");
    }
}

#[test]
fn what_another_stream_holds_is_told() {
    let opened = open("other_programme.ts");
    let damage = opened.index().damage().unwrap_or_default().to_owned();
    assert!(damage.starts_with("3.0 s are left out"), "{damage}");
    assert_eq!(read(&opened).len(), 75);
    let beside = open("side_by_side.ts");
    assert_eq!(beside.index().damage(), None, "both are whole");
    assert!(
        repairs("side_by_side.ts").contains("another video stream of 384 × 216 px"),
        "{}",
        repairs("side_by_side.ts")
    );
    assert_eq!(read(&beside).len(), 150);
}

#[test]
fn a_recorders_own_container_opens_under_any_name() {
    every_way_gives("recorder.dav", &numbered(0..150));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("download.mp4");
    std::fs::copy(video("recorder.dav"), &path).expect("a copy");
    assert_eq!(read(&Video::open(&path).expect("it opens")).len(), 150);
}

#[test]
fn the_cameras_own_date_comes_before_that_of_an_export() {
    // 2026-02-03 04:50:30 UTC.
    for name in ["dated.mov", "dated.mkv", "dated.avi"] {
        assert_eq!(open(name).info().recorded_at, Some(1_770_094_230), "{name}");
    }
}
