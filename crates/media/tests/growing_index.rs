//! A video is usable while its index is being read: the known part is right, and the rest is added.

use pigweight_media::{FrameReader, FrameSeeker, Timing, Video};
use pigweight_testkit::videos::{bar_code, video};
use std::time::Duration;

/// All parts that are told when there are no pauses, and the whole.
fn parts(name: &str) -> (Vec<Video>, Video) {
    let mut parts = Vec::new();
    let whole = Video::open_in_parts(&video(name), None, Duration::ZERO, &mut |part| parts.push(part));
    (parts, whole.expect(name))
}

#[test]
fn each_partial_index_is_a_prefix_of_the_whole_and_its_frames_are_exact() {
    for name in [
        "copy.ts",
        "copy.mkv",
        "opengop.ts",
        "leading.ts",
        "leading.mkv",
        "start10.ts",
        "latesound.ts",
        "cut.ts",
        "truncated.mkv",
    ] {
        let (parts, whole) = parts(name);
        assert_eq!(whole.index().timing(), Timing::Stated, "{name}");
        assert!(!parts.is_empty() && whole.is_whole(), "{name}");
        let all: Vec<_> = whole.index().frame_pts().collect();
        let mut seeker = FrameSeeker::open(&whole).expect(name);
        let mut known = 0;
        for part in &parts {
            let pts: Vec<_> = part.index().frame_pts().collect();
            assert!(!part.is_whole() && pts.len() > known, "{name} grows");
            assert_eq!(all[..pts.len()], pts, "{name}");
            assert_eq!(part.index().packets(), &whole.index().packets()[..part.index().packets().len()]);
            let share = part.share_read().expect("these containers tell places");
            assert!((0.0..1.0).contains(&share), "{name} {share}");
            let mut seeker_of_part = FrameSeeker::open(part).expect(name);
            for place in [known, (known + pts.len()) / 2, pts.len() - 1] {
                let [here, there] = [&mut seeker_of_part, &mut seeker].map(|seeker| {
                    let frame = seeker.frame(pts[place]).expect(name);
                    (frame.pts, bar_code(&frame.picture.view()))
                });
                assert_eq!(here, there, "{name} frame {place}");
                assert_eq!(here.0, pts[place], "{name}");
            }
            let beyond = all[pts.len()];
            assert!(seeker_of_part.frame(beyond).is_err(), "{name}: not known yet");
            known = pts.len();
        }
        let mut reader = FrameReader::open(parts.last().expect("there are parts")).expect(name);
        let mut read = 0;
        while reader.next_frame().expect(name).is_some() {
            read += 1;
        }
        assert_eq!(read, known, "{name}: a part ends where its index ends");
    }
}

#[test]
fn whole_file_properties_are_unknown_until_the_end() {
    // Times are counted; the list tells all at once; there is one keyframe.
    for name in ["raw.h264", "gop25.mp4", "vp9.webm"] {
        assert!(parts(name).0.is_empty(), "{name}");
    }
}

#[test]
fn progress_is_reported_no_more_often_than_agreed() {
    let mut reports = 0;
    let opened =
        Video::open_in_parts(&video("copy.ts"), None, Duration::from_secs(600), &mut |_| reports += 1);
    assert!(opened.is_ok());
    assert_eq!(reports, 0);
}

#[test]
fn the_container_duration_is_reported() {
    for name in ["copy.mkv", "copy.ts", "gop25.mp4"] {
        let whole = parts(name).1;
        let stated = whole.info().stated_secs.expect(name);
        assert!((stated - whole.duration_secs()).abs() < 0.2, "{name}: {stated}");
    }
    assert_eq!(parts("raw.h264").1.info().stated_secs, None);
}
