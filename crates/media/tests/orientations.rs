//! All eight ways in which a stored picture can lie are seen as players show them.

use pigweight_core::picture::{PictureView, Planes};
use pigweight_media::hls::Streamer;
use pigweight_media::{FrameReader, FrameSeeker, Orientation, Turn, Video, jpeg, sprites};
use pigweight_testkit::videos::{picture_video, write_with_display_matrix};
use std::path::{Path, PathBuf};

const ONE: i32 = 1 << 16;
type Matrix = [i32; 4];
type Corner = (bool, bool);

/// Each matrix, what it is, and where the red corner that is stored at the bottom right is seen: right, bottom.
const ALL: [(Matrix, bool, Turn, Corner); 8] = [
    ([ONE, 0, 0, ONE], false, Turn::None, (true, true)),
    ([-ONE, 0, 0, ONE], true, Turn::None, (false, true)),
    ([-ONE, 0, 0, -ONE], false, Turn::Half, (false, false)),
    ([ONE, 0, 0, -ONE], true, Turn::Half, (true, false)),
    ([0, ONE, -ONE, 0], false, Turn::Quarter, (false, true)),
    ([0, -ONE, -ONE, 0], true, Turn::Quarter, (false, false)),
    ([0, -ONE, ONE, 0], false, Turn::ThreeQuarters, (true, false)),
    ([0, ONE, ONE, 0], true, Turn::ThreeQuarters, (true, true)),
];

fn lying(matrix: [i32; 4], folder: &Path) -> PathBuf {
    let path = folder.join("lying.mp4");
    write_with_display_matrix(&picture_video("upright.mp4"), matrix, &path);
    path
}

/// Which corners are red.
fn red_corners(picture: &PictureView<'_>) -> Vec<(bool, bool)> {
    let Planes::Yuv { v, chroma_shift_x, chroma_shift_y, .. } = picture.planes else { panic!("planar YUV") };
    let red = |is_right: bool, is_bottom: bool| {
        let x = if is_right { picture.width - 24 } else { 24 } >> chroma_shift_x;
        let y = if is_bottom { picture.height - 24 } else { 24 } >> chroma_shift_y;
        v.samples[y as usize * v.stride + x as usize] > 210
    };
    [(false, false), (true, false), (false, true), (true, true)]
        .into_iter()
        .filter(|&(is_right, is_bottom)| red(is_right, is_bottom))
        .collect()
}

#[test]
fn every_reader_shows_all_eight_upright() {
    let folder = tempfile::tempdir().unwrap();
    for (matrix, is_mirrored, turn, corner) in ALL {
        let video = Video::open(&lying(matrix, folder.path())).unwrap();
        assert_eq!(video.info().orientation, Orientation { is_mirrored, turn }, "{matrix:?}");
        let size = if matrix[0] == 0 { (216, 384) } else { (384, 216) };
        assert_eq!((video.info().width, video.info().height), size, "{matrix:?}");
        let read = FrameReader::open(&video).unwrap().next_frame().unwrap().unwrap();
        let sought = FrameSeeker::open(&video).unwrap().frame(video.index().last_pts()).unwrap();
        for frame in [read, sought] {
            let view = frame.picture.view();
            assert_eq!((view.width, view.height), size, "{matrix:?}");
            assert_eq!(red_corners(&view), [corner], "{matrix:?}");
            let jpeg = jpeg::encode(view, 80, &[], 1.0).unwrap();
            let path = folder.path().join("frame.jpg");
            std::fs::write(&path, jpeg).unwrap();
            let shown = pigweight_media::still::open(&path).unwrap();
            assert_eq!(red_corners(&shown.view()), [corner], "{matrix:?} as JPEG");
        }
    }
}

#[test]
fn thumbnails_lie_as_the_frames_do() {
    for (matrix, _, _, corner) in ALL {
        let folder = tempfile::tempdir().unwrap();
        let video = Video::open(&lying(matrix, folder.path())).unwrap();
        assert!(sprites::make(&video, folder.path(), &|| false).unwrap());
        let sheet = pigweight_media::still::open(&folder.path().join("0.jpg")).unwrap();
        let (width, height) = if matrix[0] == 0 { (90, 160) } else { (160, 90) };
        let Planes::Yuv { v, .. } = sheet.view().planes else { panic!("planar YUV") };
        let x = if corner.0 { width - 8 } else { 8 } / 2;
        let y = if corner.1 { height - 8 } else { 8 } / 2;
        assert!(v.samples[y * v.stride + x] > 180, "{matrix:?}: {}", v.samples[y * v.stride + x]);
    }
}

/// Players apply it to what they are sent.
#[test]
fn the_stream_keeps_the_matrix() {
    let folder = tempfile::tempdir().unwrap();
    for (matrix, is_mirrored, turn, _) in ALL {
        let video = Video::open(&lying(matrix, folder.path())).unwrap();
        let mut streamer = Streamer::open(&video).unwrap();
        let path = folder.path().join("streamed.mp4");
        std::fs::write(&path, [streamer.init().unwrap(), streamer.fragment(0).unwrap()].concat()).unwrap();
        let streamed = Video::open(&path).unwrap().info().orientation;
        assert_eq!(streamed, Orientation { is_mirrored, turn }, "{matrix:?}");
    }
}
