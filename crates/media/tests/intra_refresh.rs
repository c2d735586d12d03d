//! Where an encoder renews its picture bit by bit, frames are exact all the same, whatever is asked for first.

use pigweight_core::time::Pts;
use pigweight_media::hls::Segments;
use pigweight_media::{FrameReader, FrameSeeker, Video};
use pigweight_testkit::videos::{bar_code, picture_video};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// A frame's samples, as one number.
fn fingerprint(frame: &pigweight_media::DecodedFrame) -> u64 {
    let view = frame.picture.view();
    let pigweight_core::picture::Planes::Yuv { y, u, v, .. } = view.planes else { panic!("planar YUV") };
    let mut hasher = DefaultHasher::new();
    for (plane, columns) in [(y, view.width), (u, view.width / 2), (v, view.width / 2)] {
        plane.samples.chunks(plane.stride).for_each(|row| row[..columns as usize].hash(&mut hasher));
    }
    hasher.finish()
}

fn read(video: &Video) -> Vec<(Pts, u64, Option<u32>)> {
    let mut reader = FrameReader::open(video).expect("the reader opens");
    let mut frames = Vec::new();
    while let Some(frame) = reader.next_frame().expect("it is read") {
        assert!(!frame.is_damaged, "{} at {}", video.path().display(), frame.secs);
        frames.push((frame.pts, fingerprint(&frame), bar_code(&frame.picture.view())));
    }
    frames
}

#[test]
fn every_frame_is_the_same_whichever_is_asked_for_first() {
    for name in ["refresh.ts", "refresh.mp4", "refresh.mkv", "refreshb.ts", "refreshhevc.ts"] {
        let video = Video::open(&picture_video(name)).expect(name);
        assert_eq!(video.index().frame_count(), 150, "{name}");
        let frames = read(&video);
        let numbers: Vec<_> = frames.iter().map(|&(_, _, number)| number).collect();
        assert_eq!(numbers, (0..150).map(Some).collect::<Vec<_>>(), "{name}");
        for first in [141, 33, 95, 149, 61] {
            let mut seeker = FrameSeeker::open(&video).expect(name);
            for place in [first, first + 1, 3, first - 20] {
                let Some(&(pts, expected, _)) = frames.get(place) else { continue };
                let frame = seeker.frame(pts).expect(name);
                assert_eq!((frame.pts, fingerprint(&frame)), (pts, expected), "{name} {place} after {first}");
            }
        }
        // Other keyframes than the first are none.
        assert!(
            Segments::of(&video).is_ok_and(|segments| segments.segments().len() == 1)
                || name == "refreshhevc.ts",
            "{name}"
        );
    }
}

#[test]
fn a_recording_that_begins_in_the_middle_shows_frames_from_the_first_whole_one_on() {
    for (name, whole) in [("cut.refresh.ts", "refresh.ts"), ("cut.refreshb.ts", "refreshb.ts")] {
        let original = read(&Video::open(&picture_video(whole)).expect(whole));
        let video = Video::open(&picture_video(name)).expect(name);
        let frames = read(&video);
        assert!(frames.len() > 40, "{name}: {}", frames.len());
        let end = &original[original.len() - frames.len()..];
        for (place, (frame, original)) in frames.iter().zip(end).enumerate() {
            assert_eq!(frame.2, original.2, "{name} {place}");
            assert_eq!(frame.1, original.1, "{name} {place} is not as in the whole recording");
        }
        assert_eq!(video.index().frame_count(), frames.len(), "{name}");
        let mut seeker = FrameSeeker::open(&video).expect(name);
        for place in [frames.len() - 1, 0, 20] {
            let (pts, expected, _) = frames[place];
            assert_eq!(fingerprint(&seeker.frame(pts).expect(name)), expected, "{name} {place}");
        }
    }
}

#[test]
fn a_cut_through_open_groups_shows_no_frame_that_cannot_be_decoded() {
    for (name, whole) in [("cut.open.ts", "open.ts"), ("cut.openhevc.ts", "openhevc.ts")] {
        let original = read(&Video::open(&picture_video(whole)).expect(whole));
        let video = Video::open(&picture_video(name)).expect(name);
        let mut reader = FrameReader::open(&video).expect(name);
        let mut seen = Vec::new();
        while let Some(frame) = reader.next_frame().expect(name) {
            let number = bar_code(&frame.picture.view());
            let is_exact = original.iter().any(|(_, print, _)| *print == fingerprint(&frame));
            assert!(is_exact || frame.is_damaged, "{name}: frame {number:?} at {}", frame.secs);
            seen.push(frame.pts);
        }
        assert_eq!(video.index().frame_pts().collect::<Vec<_>>(), seen, "{name}");
        let mut seeker = FrameSeeker::open(&video).expect(name);
        for &pts in [seen[seen.len() / 2], seen[0], seen[1]].iter() {
            let frame = seeker.frame(pts).expect(name);
            let is_exact = original.iter().any(|(_, print, _)| *print == fingerprint(&frame));
            assert!(frame.pts == pts && (is_exact || frame.is_damaged), "{name} {pts:?}");
        }
    }
}
