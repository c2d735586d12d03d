//! A request for a frame returns exactly that frame, in every container and coding order.
//!
//! Every frame of the videos has its number as a bar code; expected values come from how they were made.

use pigweight_core::picture::{PictureView, Planes};
use pigweight_core::time::Pts;
use pigweight_media::{FrameReader, FrameSeeker, Timing, Video};
use pigweight_testkit::videos::{bar_code, video};
use std::path::Path;

/// All frames in order: pts and the number in the picture.
fn read_all(video: &Video) -> Vec<(Pts, u32)> {
    let mut reader = FrameReader::open(video).expect("the reader opens");
    let mut frames = Vec::new();
    while let Some(frame) = reader.next_frame().expect("reading goes on") {
        frames.push((frame.pts, number(&frame.picture.view(), video)));
    }
    assert_eq!(reader.damaged_packets(), 0);
    frames
}

fn number(picture: &PictureView<'_>, video: &Video) -> u32 {
    bar_code(picture).unwrap_or_else(|| panic!("no bar code in {}", video.path().display()))
}

fn open(path: &Path) -> Video {
    Video::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Reads the whole video, then asks for every frame in an order that jumps to and fro.
fn every_frame_is_exact(name: &str, expected: &[u32]) {
    let video = open(&video(name));
    let frames = read_all(&video);
    assert_eq!(frames.iter().map(|&(_, number)| number).collect::<Vec<_>>(), expected, "{name} in order");
    assert_eq!(video.index().frame_pts().collect::<Vec<_>>(), frames.iter().map(|f| f.0).collect::<Vec<_>>());

    let mut seeker = FrameSeeker::open(&video).expect("the seeker opens");
    let count = frames.len();
    // 37 is prime to every count here, so each frame is asked for once; every third time its successor follows.
    for step in 0..count {
        let place = step * 37 % count;
        for place in [place, place + 1].into_iter().take(1 + usize::from(step.is_multiple_of(3))) {
            let Some(&(pts, expected)) = frames.get(place) else { continue };
            let frame = seeker.frame(pts).unwrap_or_else(|error| panic!("{name} frame {expected}: {error}"));
            assert_eq!(frame.pts, pts, "{name} frame {expected}");
            assert_eq!(number(&frame.picture.view(), &video), expected, "{name} at {pts:?}");
        }
    }
    // As a process does where its owner thinks for a while: frames lie ready, one was asked for before, others are too far.
    let mut seeker = FrameSeeker::open(&video).expect("the seeker opens");
    for step in 0..count / 3 {
        let place = step * 37 % count;
        for place in [place, place + 1, place + 5, place + 3, place, place + 9] {
            let Some(&(pts, expected)) = frames.get(place) else { continue };
            let frame = seeker.frame(pts).unwrap_or_else(|error| panic!("{name} frame {expected}: {error}"));
            assert_eq!((frame.pts, number(&frame.picture.view(), &video)), (pts, expected), "{name} ahead");
            // Now and then it is called away.
            let left = std::cell::Cell::new(if step.is_multiple_of(2) { usize::MAX } else { place % 20 });
            seeker.decode_ahead(&|| left.replace(left.get().saturating_sub(1)) == 0);
        }
    }
    // Forwards, within groups of pictures and over them: on the way pictures are left out.
    for stride in [2, 3, 7, 11] {
        for &(pts, expected) in frames.iter().skip(stride / 2).step_by(stride) {
            let frame = seeker.frame(pts).unwrap_or_else(|error| panic!("{name} frame {expected}: {error}"));
            assert_eq!((frame.pts, number(&frame.picture.view(), &video)), (pts, expected), "{name}");
        }
    }
}

fn numbers(range: std::ops::Range<u32>) -> Vec<u32> {
    range.collect()
}

#[test]
fn mp4_with_b_frames() {
    every_frame_is_exact("gop25.mp4", &numbers(0..150));
}

#[test]
fn mp4_with_one_gop() {
    every_frame_is_exact("gop150.mp4", &numbers(0..150));
}

#[test]
fn mov() {
    every_frame_is_exact("copy.mov", &numbers(0..150));
}

#[test]
fn interlaced() {
    // A packet may be one of two fields: a keyframe is not taken for whole before the next packet.
    every_frame_is_exact("interlaced.ts", &numbers(0..150));
}

#[test]
fn fragmented_mp4() {
    every_frame_is_exact("fragmented.mp4", &numbers(0..150));
}

#[test]
fn variable_frame_rate() {
    let kept = |n: &u32| n.is_multiple_of(7) || n % 11 == 3 || n % 100 < 20;
    every_frame_is_exact("vfr.mp4", &(0..300).filter(kept).collect::<Vec<_>>());
    let video = open(&video("vfr.mp4"));
    for (pts, number) in read_all(&video) {
        let secs = f64::from(number) / 50.0;
        assert!((video.secs(pts) - secs).abs() < 0.002, "frame {number} is shown at its own time");
        assert_eq!(video.frame_at(secs + 0.005).expect("inside the video"), pts);
    }
}

#[test]
fn mkv() {
    every_frame_is_exact("copy.mkv", &numbers(0..150));
}

#[test]
fn transport_stream() {
    every_frame_is_exact("copy.ts", &numbers(0..150));
}

#[test]
fn edit_list_that_starts_inside_a_gop() {
    // Cut at 1.5 s for 3 s by copying packets: the first frame is the one at 1.52 s, what comes before it is only
    // decoded. The cut at the end falls inside a group of B-frames: the file has frame 115, but not 114.
    let mut expected = numbers(38..114);
    expected.push(115);
    every_frame_is_exact("editlist.mp4", &expected);
}

#[test]
fn start_that_is_not_zero() {
    for name in ["start10.mp4", "start10.ts"] {
        every_frame_is_exact(name, &numbers(0..150));
        let video = open(&video(name));
        assert_eq!(video.secs(video.index().first_pts()), 0.0);
        assert_eq!(video.frame_at(0.0).expect("inside the video"), video.index().first_pts());
    }
}

#[test]
fn open_gop() {
    every_frame_is_exact("opengop.mp4", &numbers(0..150));
    every_frame_is_exact("opengop.ts", &numbers(0..150));
    for name in ["leading.mp4", "leading.ts", "leading.mkv"] {
        every_frame_is_exact(name, &numbers(0..150));
    }
}

#[test]
fn avi_without_pts() {
    every_frame_is_exact("mpeg4.avi", &numbers(0..150));
    every_frame_is_exact("mjpeg.avi", &numbers(0..150));
    assert_eq!(open(&video("mpeg4.avi")).index().timing(), Timing::Counted);
}

#[test]
fn raw_h264_without_any_time() {
    every_frame_is_exact("raw.h264", &numbers(0..150));
}

#[test]
fn hevc_and_ten_bits() {
    every_frame_is_exact("hevc.mp4", &numbers(0..150));
    every_frame_is_exact("hevc10.mkv", &numbers(0..50));
    // Of several temporal layers nothing is left out.
    every_frame_is_exact("layers.mp4", &numbers(0..50));
}

#[test]
fn vp8_vp9_and_av1() {
    every_frame_is_exact("vp8.webm", &numbers(0..75));
    every_frame_is_exact("vp9.webm", &numbers(0..75));
    every_frame_is_exact("av1.mkv", &numbers(0..25));
}

#[test]
fn one_frame() {
    every_frame_is_exact("oneframe.mp4", &[0]);
}

#[test]
fn a_rotated_video_is_shown_upright() {
    let video = open(&video("rot90.mp4"));
    assert_eq!((video.info().width, video.info().height), (216, 384));
    let frame = FrameSeeker::open(&video)
        .and_then(|mut seeker| seeker.frame(video.index().last_pts()))
        .expect("the last frame");
    let view = frame.picture.view();
    assert_eq!((view.width, view.height), (216, 384));
    // Turned counter-clockwise, the bar code runs up the left edge.
    let Planes::Yuv { y, .. } = view.planes else { panic!("planar YUV") };
    let bits = (0..12).map(|bit| u32::from(y.samples[(384 - 12 - bit * 24) * y.stride + 12] > 128) << bit);
    assert_eq!(bits.sum::<u32>(), 149);
}

#[test]
fn reading_continues_after_any_frame() {
    for name in ["gop25.mp4", "opengop.mp4", "copy.ts", "copy.mkv", "mpeg4.avi", "vfr.mp4"] {
        let video = open(&video(name));
        let frames = read_all(&video);
        for place in [0, 24, 25, 26, frames.len() / 2, frames.len() - 2, frames.len() - 1] {
            let mut reader = FrameReader::open_after(&video, frames[place].0).expect("the reader opens");
            let mut rest = Vec::new();
            while let Some(frame) = reader.next_frame().expect("reading goes on") {
                rest.push((frame.pts, number(&frame.picture.view(), &video)));
            }
            assert_eq!(rest, frames[place + 1..], "{name} after frame {place}");
        }
    }
}

#[test]
fn a_moment_outside_the_video_is_refused_with_the_valid_range() {
    let video = open(&video("gop25.mp4"));
    for secs in [-0.01, 6.1, f64::NAN, f64::INFINITY] {
        let error = video.frame_at(secs).expect_err("outside");
        assert!(error.to_string().contains("from 0 to 5.960 s"), "{error}");
    }
    assert_eq!(video.frame_at(5.99).expect("the last frame is still shown"), video.index().last_pts());
}

#[test]
fn the_index_survives_being_stored_and_refuses_other_versions() {
    let video = open(&video("opengop.mp4"));
    let bytes = video.index().to_bytes();
    assert_eq!(&pigweight_media::VideoIndex::from_bytes(&bytes).expect("the same index"), video.index());
    assert!(pigweight_media::VideoIndex::from_bytes(&[]).is_err());
    assert!(pigweight_media::VideoIndex::from_bytes(&bytes[..bytes.len() / 2]).is_err());
    let mut other_version = bytes;
    other_version[0] = 99;
    assert!(pigweight_media::VideoIndex::from_bytes(&other_version).is_err());
}
