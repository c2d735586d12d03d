//! Streamed fragments contain every frame once, at its own time, for any container.

use pigweight_media::hls::{Segments, Streamer};
use pigweight_media::{Error, FrameReader, Video};
use pigweight_testkit::videos::{bar_code, video};
use std::path::Path;

/// Seconds from the video's beginning, and the number that the picture bears.
fn frames(path: &Path, from_first: bool) -> Vec<(f64, Option<u32>)> {
    let video = Video::open(path).expect("it opens");
    let mut reader = FrameReader::open(&video).expect("the reader opens");
    let mut found = Vec::new();
    while let Some(frame) = reader.next_frame().expect("it is read") {
        let secs = if from_first { frame.secs } else { video.info().time_base.secs(frame.pts) };
        found.push((secs, bar_code(&frame.picture.view())));
    }
    found
}

fn same(one: &[(f64, Option<u32>)], other: &[(f64, Option<u32>)]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| (one.0 - other.0).abs() < 1e-4 && one.1 == other.1)
}

const STREAMED: [&str; 20] = [
    "gop25.mp4",
    "gop150.mp4",
    "vfr.mp4",
    "copy.mkv",
    "copy.ts",
    "copy.mov",
    "fragmented.mp4",
    "start10.mp4",
    "start10.ts",
    "leading.mp4",
    "leading.ts",
    "leading.mkv",
    "hevc.mp4",
    "vp9.webm",
    "av1.mkv",
    "raw.h264",
    "oneframe.mp4",
    "coarse.mp4",
    "h264.avi",
    "rot90.mp4",
];

#[test]
fn all_fragments_together_are_the_video() {
    let folder = tempfile::tempdir().unwrap();
    for name in STREAMED {
        let opened = Video::open(&video(name)).expect(name);
        let mut streamer = Streamer::open(&opened).expect(name);
        let segments = streamer.segments().clone();
        let mut bytes = streamer.init().expect(name);
        for number in 0..segments.segments().len() {
            bytes.extend(streamer.fragment(number).expect(name));
        }
        let path = folder.path().join("all.mp4");
        std::fs::write(&path, bytes).unwrap();
        let (streamed, original) = (frames(&path, false), frames(&video(name), true));
        assert!(same(&streamed, &original), "{name}: {streamed:?} instead of {original:?}");
        let turned = Video::open(&path).unwrap().info().orientation;
        assert_eq!(turned, opened.info().orientation, "{name}");
    }
}

#[test]
fn a_player_can_start_at_any_fragment() {
    let folder = tempfile::tempdir().unwrap();
    for name in STREAMED {
        let opened = Video::open(&video(name)).expect(name);
        let mut streamer = Streamer::open(&opened).expect(name);
        let segments = streamer.segments().clone();
        let init = streamer.init().expect(name);
        let original = frames(&video(name), true);
        let is_independent = segments.playlist("").contains("INDEPENDENT");
        // x265 lets frames lead, too, where nothing else is said.
        assert_eq!(is_independent, !(name.starts_with("leading") || name == "hevc.mp4"), "{name}");
        for (number, segment) in segments.segments().iter().enumerate() {
            let path = folder.path().join("one.mp4");
            std::fs::write(&path, [init.clone(), streamer.fragment(number).expect(name)].concat()).unwrap();
            let (start, end) = (segment.start_secs(), segment.start_secs() + segment.duration_secs());
            let within = |&&(secs, _): &&(f64, _)| (start - 1e-4..end - 1e-4).contains(&secs);
            let expected: Vec<_> = original.iter().filter(within).copied().collect();
            let mut streamed = frames(&path, false);
            // Frames in front of an open keyframe need the fragment before.
            streamed.retain(|frame| within(&frame));
            let missing = if is_independent { 0 } else { 3 };
            assert!(streamed.len() + missing >= expected.len(), "{name} {number}");
            assert!(
                streamed.iter().all(|one| expected.iter().any(|other| same(&[*one], &[*other]))),
                "{name} {number}"
            );
        }
    }
}

#[test]
fn the_playlist_is_cut_at_keyframes_and_covers_the_video() {
    let opened = Video::open(&video("gop25.mp4")).unwrap();
    let segments = Segments::of(&opened).unwrap();
    assert_eq!(
        segments.playlist("a/"),
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n\
         #EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=\"a/init.mp4\"\n#EXTINF:4.000000,\na/0.m4s\n#EXTINF:2.000000,\n\
         a/1.m4s\n#EXT-X-ENDLIST\n"
    );
    for name in STREAMED {
        let opened = Video::open(&video(name)).expect(name);
        let sum: f64 =
            Segments::of(&opened).expect(name).segments().iter().map(|one| one.duration_secs()).sum();
        assert!((sum - opened.duration_secs()).abs() < 1e-6, "{name}: {sum}");
    }
}

#[test]
fn the_playlist_says_when_the_video_was_recorded() {
    for name in ["recorded.mp4", "recorded.mkv"] {
        let opened = Video::open(&video(name)).expect(name);
        let playlist = Segments::of(&opened).expect(name).playlist("");
        let (_, list) = playlist.split_once("init.mp4\"\n").expect(name);
        assert!(list.starts_with("#EXT-X-PROGRAM-DATE-TIME:2026-11-23T11:05:00.000Z\n#EXTINF:"), "{list}");
        assert_eq!(list.matches("DATE-TIME").count(), 1, "players count on from the first");
    }
    // A clock that was never set says nothing.
    for name in ["gop25.mp4", "unset.mp4", "copy.ts"] {
        let opened = Video::open(&video(name)).expect(name);
        assert_eq!(opened.info().recorded_at, None, "{name}");
        assert!(!Segments::of(&opened).expect(name).playlist("").contains("DATE-TIME"), "{name}");
    }
}

/// Of 6 s of AAC at 44,100 Hz, 1,024 samples a packet.
#[test]
fn sound_is_kept_and_each_packet_belongs_to_one_fragment() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["gop25.mp4", "copy.mkv", "copy.ts", "start10.ts"] {
        let opened = Video::open(&video(name)).expect(name);
        let mut streamer = Streamer::open(&opened).expect(name);
        let segments = streamer.segments().clone();
        let init = streamer.init().expect(name);
        let mut all = Vec::new();
        for number in 0..segments.segments().len() {
            let path = folder.path().join("one.mp4");
            std::fs::write(&path, [init.clone(), streamer.fragment(number).expect(name)].concat()).unwrap();
            all.extend(sound_pts(&path));
        }
        assert!((255..=260).contains(&all.len()), "{name}: {}", all.len());
        let is_steady = |pair: &[f64]| (pair[1] - pair[0] - 1024.0 / 44_100.0).abs() < 1.1e-3;
        assert!(all.windows(2).all(is_steady), "{name}: {all:?}");
    }
}

#[test]
fn sound_of_any_kind_is_no_hindrance() {
    let folder = tempfile::tempdir().unwrap();
    // How long it is heard. Browsers know no AC-3: it is left out.
    for (name, secs) in [
        ("mp3.mkv", 6.0),
        ("opus.mkv", 6.0),
        ("flac.mkv", 6.0),
        ("ac3.mkv", 0.0),
        ("latesound.ts", 1.0),
        ("shortsound.mkv", 1.0),
    ] {
        let opened = Video::open(&video(name)).expect(name);
        let mut streamer = Streamer::open(&opened).expect(name);
        let segments = streamer.segments().clone();
        let mut bytes = streamer.init().expect(name);
        for number in 0..segments.segments().len() {
            bytes.extend(streamer.fragment(number).expect(name));
        }
        let path = folder.path().join("all.mp4");
        std::fs::write(&path, bytes).unwrap();
        assert!(same(&frames(&path, false), &frames(&video(name), true)), "{name}");
        let heard = sound_pts(&path);
        let heard_secs = heard.last().map_or(0.0, |last| last - heard[0]);
        assert!((heard_secs - secs).abs() < 0.2, "{name}: {heard_secs} s");
        let first = if name == "latesound.ts" { 5.0 } else { 0.0 };
        assert!(heard.first().is_none_or(|begin| (begin - first).abs() < 0.1), "{name}: {heard:?}");
    }
}

/// Viewers share an open file, each at another place.
#[test]
fn fragments_are_the_same_in_whatever_order_they_are_made() {
    for name in ["gop25.mp4", "copy.mkv", "leading.ts", "raw.h264", "mp3.mkv", "h264.avi"] {
        let opened = Video::open(&video(name)).expect(name);
        let fresh = |number: usize| Streamer::open(&opened).expect(name).fragment(number).expect(name);
        let mut shared = Streamer::open(&opened).expect(name);
        let init = shared.init().expect(name);
        let count = shared.segments().segments().len();
        for number in [count - 1, 0, 0, count - 1].into_iter().chain((0..count).rev()).chain(0..count) {
            assert_eq!(shared.fragment(number).expect(name), fresh(number), "{name} {number}");
        }
        assert_eq!(shared.init().expect(name), init, "{name}");
    }
}

#[test]
fn a_truncated_file_gives_an_error_and_no_partial_fragment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shrinks.mp4");
    std::fs::copy(video("gop25.mp4"), &path).unwrap();
    let opened = Video::open(&path).unwrap();
    let mut streamer = Streamer::open(&opened).unwrap();
    streamer.fragment(1).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(file.metadata().unwrap().len() * 8 / 10).unwrap();
    assert!(matches!(streamer.fragment(1), Err(Error::Changed { .. } | Error::Libav { .. })));
    streamer.fragment(0).unwrap();
}

#[test]
fn keyframes_too_far_apart_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("noise.mp4");
    let source = "nullsrc=size=1280x720:rate=25:duration=2,geq=random(1)*255:128:128";
    let mut command = std::process::Command::new("ffmpeg");
    command.args(["-v", "error", "-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "ultrafast"]);
    let made = command.args(["-qp", "1", "-g", "1000", "-pix_fmt", "yuv420p"]).arg(&path).status().unwrap();
    assert!(made.success() && std::fs::metadata(&path).unwrap().len() > 64 << 20);
    let error = Segments::of(&Video::open(&path).unwrap()).unwrap_err();
    assert!(error.to_string().contains("keyframes lie too far apart"), "{error}");
}

fn sound_pts(path: &Path) -> Vec<f64> {
    let mut command = std::process::Command::new("ffprobe");
    command.args([
        "-v",
        "error",
        "-select_streams",
        "a",
        "-show_entries",
        "packet=pts_time",
        "-of",
        "csv=p=0",
    ]);
    let output = command.arg(path).output().expect("ffprobe comes with ffmpeg");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("numbers");
    text.split_whitespace().map(|word| word.trim_end_matches(',').parse().expect(word)).collect()
}

#[test]
fn formats_that_browsers_cannot_play_are_refused_with_a_reason() {
    for (name, reason) in [
        ("mpeg4.avi", "coded as mpeg4"),
        ("mjpeg.avi", "coded as mjpeg"),
        ("vp8.webm", "coded as vp8"),
        ("editlist.mp4", "begins with frames that are not shown"),
    ] {
        let opened = Video::open(&video(name)).expect(name);
        let error = Segments::of(&opened).expect_err(name);
        assert!(
            matches!(error, Error::NotStreamable { .. }) && error.to_string().contains(reason),
            "{error}"
        );
    }
}
