//! Players get parameter sets in the stream's header, wherever the file keeps them.

use pigweight_media::hls::Streamer;
use pigweight_media::{FrameReader, Video};
use pigweight_testkit::videos::{bar_code, picture_video};
use std::path::Path;

/// A copy whose header has no parameter sets: the byte that counts them is 0.
fn emptied(name: &str, record: &[u8; 4], count_at: usize, none: u8, to: &Path) {
    let mut bytes = std::fs::read(picture_video(name)).expect(name);
    let content = bytes.windows(4).position(|four| four == record).expect("the record") + 4;
    bytes[content + count_at] = none;
    if record == b"avcC" {
        // The count of picture sets follows at once.
        bytes[content + count_at + 1] = 0;
    }
    std::fs::write(to, bytes).expect("the folder can be written");
}

fn numbers(path: &Path) -> Vec<Option<u32>> {
    let video = Video::open(path).expect("it opens");
    let mut reader = FrameReader::open(&video).expect("it is read");
    let mut numbers = Vec::new();
    while let Some(frame) = reader.next_frame().expect("it is read") {
        numbers.push(bar_code(&frame.picture.view()));
    }
    numbers
}

#[test]
fn sets_that_come_with_the_pictures_reach_the_header() {
    let folder = tempfile::tempdir().unwrap();
    for (name, record, count_at, none) in [("avc3.mp4", b"avcC", 5, 0xE0), ("hev1.mp4", b"hvcC", 22, 0)] {
        let path = folder.path().join(name);
        emptied(name, record, count_at, none, &path);
        let video = Video::open(&path).expect(name);
        let mut streamer = Streamer::open(&video).expect(name);
        let init = streamer.init().expect(name);
        let content = init.windows(4).position(|four| four == record).expect(name) + 4;
        assert!(init[content + count_at] & 31 > 0, "{name}: {:x?}", &init[content..content + 30]);
        let mut bytes = init.clone();
        for number in 0..streamer.segments().clone().segments().len() {
            bytes.extend(streamer.fragment(number).expect(name));
        }
        let streamed = folder.path().join("streamed.mp4");
        std::fs::write(&streamed, &bytes).unwrap();
        assert_eq!(numbers(&streamed), (0..75).map(Some).collect::<Vec<_>>(), "{name}");
        // The header alone is enough: a decoder that is given it and the last fragment starts there.
        let last = streamer.segments().segments().len() - 1;
        std::fs::write(&streamed, [init, streamer.fragment(last).expect(name)].concat()).unwrap();
        assert!(numbers(&streamed).ends_with(&[Some(74)]), "{name}");
    }
}
