//! All pictures of a video have one size, in square pixels, whatever its stream does.

use pigweight_media::hls::Streamer;
use pigweight_media::{FrameReader, FrameSeeker, Video};
use pigweight_testkit::videos::{bar_code, picture_video};

#[test]
fn a_stream_that_changes_its_pictures_keeps_their_size() {
    for name in ["smaller.ts", "larger.ts", "otherwise.ts", "deeper.ts", "full.ts"] {
        let video = Video::open(&picture_video(name)).expect(name);
        assert_eq!((video.info().width, video.info().height), (384, 216), "{name}");
        let mut reader = FrameReader::open(&video).expect(name);
        let mut read = Vec::new();
        while let Some(frame) = reader.next_frame().expect(name) {
            let view = frame.picture.view();
            assert_eq!((view.width, view.height), (384, 216), "{name} at {}", frame.secs);
            read.push((frame.pts, bar_code(&view)));
        }
        let numbers: Vec<_> = read.iter().map(|&(_, number)| number).collect();
        assert_eq!(numbers, (0..80).map(Some).collect::<Vec<_>>(), "{name}");
        let mut seeker = FrameSeeker::open(&video).expect(name);
        for place in [79, 0, 41, 40, 39, 60, 20] {
            let (pts, number) = read[place];
            let frame = seeker.frame(pts).expect(name);
            let view = frame.picture.view();
            assert_eq!((view.width, view.height, bar_code(&view)), (384, 216, number), "{name} {place}");
        }
    }
}

/// Black and white stay what they are where the range of samples changes.
#[test]
fn a_stream_that_changes_its_range_keeps_its_light() {
    let video = Video::open(&picture_video("full.ts")).unwrap();
    let mut reader = FrameReader::open(&video).unwrap();
    let mut light = Vec::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        let jpeg = pigweight_media::jpeg::encode(frame.picture.view(), 95, &[], 1.0).unwrap();
        let rgb = turbojpeg_pixels(&jpeg);
        // A black block of the bar code (4096 is beyond all numbers here), and grey of the test card's edge.
        light.push(rgb[(12 * 384 + 276) * 3]);
    }
    assert!(light.iter().all(|&level| level < 12), "{light:?}");
}

fn turbojpeg_pixels(jpeg: &[u8]) -> Vec<u8> {
    let image = turbojpeg::decompress(jpeg, turbojpeg::PixelFormat::RGB).expect("a JPEG of ours");
    image.pixels
}

#[test]
fn pixels_are_square_and_the_stream_says_what_they_were() {
    let folder = tempfile::tempdir().unwrap();
    for (name, pixel_aspect, size) in [
        ("wide.mp4", (4, 3), (384, 216)),
        ("wide.ts", (4, 3), (384, 216)),
        ("wide.mkv", (4, 3), (384, 216)),
        ("tall.mp4", (3, 4), (384, 216)),
    ] {
        let video = Video::open(&picture_video(name)).expect(name);
        let info = video.info();
        assert_eq!((info.pixel_aspect, (info.width, info.height)), (pixel_aspect, size), "{name}");
        // An index that was made earlier knows it too.
        let again = Video::open_stored(video.path(), Some(video.stored_index())).expect(name);
        assert_eq!(again.info(), info, "{name}");
        let mut reader = FrameReader::open(&video).expect(name);
        for number in 0..25 {
            let frame = reader.next_frame().expect(name).expect(name);
            let view = frame.picture.view();
            assert_eq!((view.width, view.height, bar_code(&view)), (size.0, size.1, Some(number)), "{name}");
        }
        let mut streamer = Streamer::open(&video).expect(name);
        let path = folder.path().join("streamed.mp4");
        std::fs::write(&path, [streamer.init().unwrap(), streamer.fragment(0).unwrap()].concat()).unwrap();
        let streamed = Video::open(&path).unwrap();
        assert_eq!(streamed.info().pixel_aspect, pixel_aspect, "{name}");
    }
}
