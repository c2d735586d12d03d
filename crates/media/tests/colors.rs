//! Films of phones with high dynamic range or a wide gamut come out in the colors that a person sees.

use pigweight_media::{FrameReader, FrameSeeker, Picture, Video, jpeg};
use pigweight_testkit::videos::picture_video;

/// The patches of the fixtures: top left, top right, bottom left, bottom right; at the light of paper.
const PATCHES: [((usize, usize), [u8; 3]); 4] = [
    ((80, 45), [0xC8, 0x96, 0x6E]),
    ((240, 45), [0x3C, 0x5A, 0xB4]),
    ((80, 135), [0x64, 0x64, 0x64]),
    ((240, 135), [255, 255, 255]),
];
/// Highlights must have room above white.
const TOLERANCE: u8 = 20;

fn assert_patches(picture: &Picture, name: &str) {
    let jpeg = jpeg::encode(picture.view(), 95, &[], 1.0).expect(name);
    let image = turbojpeg::decompress(&jpeg, turbojpeg::PixelFormat::RGB).expect(name);
    assert_eq!((image.width, image.height), (320, 180), "{name}");
    for ((x, y), expected) in PATCHES {
        let at = y * image.pitch + 3 * x;
        let got = &image.pixels[at..at + 3];
        let is_near = got.iter().zip(expected).all(|(&got, expected)| got.abs_diff(expected) <= TOLERANCE);
        assert!(is_near, "{name} at {x}, {y}: {got:?} instead of {expected:?}");
    }
}

#[test]
fn colors_of_paper_are_those_of_paper() {
    for name in ["arib-std-b67.mov", "smpte2084.mov", "gamut.mp4", "hlg422.mov", "vp9.webm"] {
        let video = Video::open(&picture_video(name)).expect(name);
        let read = FrameReader::open(&video).unwrap().next_frame().expect(name).expect(name);
        assert_patches(&read.picture, name);
        let sought = FrameSeeker::open(&video).unwrap().frame(video.index().last_pts()).expect(name);
        assert_patches(&sought.picture, name);
    }
}
