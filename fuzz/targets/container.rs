//! Any bytes as a file: opening, indexing, reading and seeking tell what is wrong, or give frames that the index knows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pigweight_media::hls::Streamer;
use pigweight_media::{FrameReader, FrameSeeker, Video};
use std::io::Write as _;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::Builder::new().suffix(".mp4").tempfile_in("/dev/shm").expect("room in memory");
    file.write_all(bytes).expect("room in memory");
    let Ok(video) = Video::open(file.path()) else { return };
    let index = video.index();
    assert!(index.frame_pts().is_sorted());
    // A file can claim any size: large pictures are the decoder's affair, and take the time that others need.
    if video.info().width * video.info().height > 640 * 480 {
        return;
    }
    if let Ok(mut reader) = FrameReader::open(&video) {
        for _ in 0..4 {
            let Ok(Some(frame)) = reader.next_frame() else { break };
            assert!(index.place_of(frame.pts).is_some());
        }
    }
    if let Ok(mut seeker) = FrameSeeker::open(&video) {
        for pts in [index.last_pts(), index.first_pts()] {
            if let Ok(frame) = seeker.frame(pts) {
                assert!(frame.pts <= pts);
            }
        }
    }
    if let Ok(mut streamer) = Streamer::open(&video) {
        let _may_fail = streamer.init();
        let _may_fail = streamer.fragment(0);
    }
});
