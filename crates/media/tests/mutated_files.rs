//! Files with bytes changed, cut or inserted at random: the result is an error or frames listed in the index,
//! and no panic. `fuzz/` searches further and longer.

use pigweight_media::hls::Streamer;
use pigweight_media::{FrameReader, FrameSeeker, Video};
use pigweight_testkit::videos::video;
use std::path::Path;

const CHANGED_FILES: u64 = 40;
/// More are read by other tests.
const FRAMES: usize = 3;

/// Marsaglia's xorshift: the same files in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(6) {
        // Containers tell most at their ends.
        let place = match random.below(3) {
            0 => random.below(bytes.len().min(4096)),
            1 => bytes.len() - 1 - random.below(bytes.len().min(16_384)),
            _ => random.below(bytes.len()),
        };
        match random.below(6) {
            0 => bytes[place] ^= 1 << random.below(8),
            1 => bytes[place] = [0, 0xff, 0x7f, 0x80][random.below(4)],
            2 => {
                let end = (place + 4).min(bytes.len());
                bytes[place..end].fill(0xff);
            }
            3 => drop(bytes.splice(place..place, std::iter::repeat_n(0, 1 + random.below(64)))),
            4 => drop(bytes.drain(place..(place + 1 + random.below(64)).min(bytes.len()))),
            _ => bytes.truncate(place.max(bytes.len() / 2)),
        }
    }
}

fn look_at(path: &Path) {
    let Ok(video) = Video::open(path) else { return };
    let index = video.index();
    assert!(index.frame_pts().is_sorted());
    let again = Video::open_stored(path, Some(video.stored_index())).expect("it opened before");
    assert_eq!(again.index(), index);
    if let Ok(mut reader) = FrameReader::open(&video) {
        for _ in 0..FRAMES {
            let Ok(Some(frame)) = reader.next_frame() else { break };
            assert!(index.place_of(frame.pts).is_some());
        }
    }
    if let Ok(mut seeker) = FrameSeeker::open(&video)
        && let Ok(frame) = seeker.frame(index.last_pts())
    {
        assert!(frame.pts <= index.last_pts());
    }
    if let Ok(mut streamer) = Streamer::open(&video) {
        let pieces = streamer.segments().segments().len();
        let _may_fail = streamer.init();
        let _may_fail = streamer.fragment(pieces - 1);
    }
}

#[test]
fn no_change_of_a_file_breaks_more_than_the_file() {
    let folder = tempfile::tempdir().unwrap();
    for (number, name) in
        (1..).zip(["oneframe.mp4", "hevc.mp4", "av1.mkv", "vp8.webm", "mpeg4.avi", "cut.ts"])
    {
        let whole = std::fs::read(video(name)).unwrap();
        let path = folder.path().join(name);
        let mut random = Random(number);
        for change in 0..CHANGED_FILES {
            let mut bytes = whole.clone();
            mutate(&mut bytes, &mut random);
            std::fs::write(&path, bytes).unwrap();
            // The file that breaks it stays, and says which.
            let looked = std::panic::catch_unwind(|| look_at(&path));
            if looked.is_err() {
                panic!("change {change} of {name}, kept as {}", folder.keep().join(name).display());
            }
        }
    }
}
