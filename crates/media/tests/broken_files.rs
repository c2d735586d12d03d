//! Faults of a file are reported in one line; all that can be decoded is.

use pigweight_media::{Error, FrameReader, FrameSeeker, Video, still};
use pigweight_testkit::videos::{bar_code, video};
use std::path::Path;

fn refusal(path: &Path) -> Error {
    let error = Video::open(path).err().unwrap_or_else(|| panic!("{} opened", path.display()));
    assert!(!error.to_string().contains('\n'), "one line: {error}");
    error
}

/// Frames that come out, and the numbers they bear where they can be read.
fn decodable(name: &str) -> (usize, Vec<u32>) {
    let video = Video::open(&video(name)).expect("it opens");
    let mut reader = FrameReader::open(&video).expect("the reader opens");
    let (mut count, mut numbers) = (0, Vec::new());
    while let Some(frame) = reader.next_frame().expect("reading goes on past damage") {
        count += 1;
        numbers.extend(bar_code(&frame.picture.view()));
    }
    (count, numbers)
}

#[test]
fn missing_empty_text_folder_sound_only_and_unfinished() {
    assert!(matches!(refusal(Path::new("/nowhere/at-all.mp4")), Error::Unreadable { .. }));
    assert!(matches!(refusal(&video("empty.mp4")), Error::Empty { .. }));
    assert!(matches!(refusal(&video("text.mp4")), Error::NotAVideo { .. }));
    assert!(matches!(refusal(Path::new("/")), Error::NotAFile { .. }));
    assert!(matches!(refusal(&video("soundonly.mp4")), Error::NoVideoStream { .. }));
    assert!(matches!(refusal(&video("nomoov.mp4")), Error::Unfinished { .. }));
}

#[test]
fn a_truncated_mp4_gives_its_frames_and_reports_damage() {
    let opened = Video::open(&video("truncated.mp4")).expect("its index is whole");
    assert!(opened.index().damage().is_some(), "the loss is told");
    let (count, numbers) = decodable("truncated.mp4");
    assert!((60..120).contains(&count), "60 % of 150 frames, got {count}");
    assert_eq!(numbers[..50], (0..50).collect::<Vec<_>>());
}

/// libav takes the end of a cut Matroska file for the end of the video.
#[test]
fn a_truncated_mkv_gives_its_frames_and_reports_damage() {
    let opened = Video::open(&video("truncated.mkv")).expect("it opens");
    let damage = opened.index().damage().expect("the loss is told");
    assert!(damage.contains("bytes are missing"), "{damage}");
    let (count, numbers) = decodable("truncated.mkv");
    assert!((60..120).contains(&count), "60 % of 150 frames, got {count}");
    assert_eq!(numbers[..50], (0..50).collect::<Vec<_>>());
}

#[test]
fn a_sound_file_is_not_reported_as_damaged() {
    let whole = [
        "gop25.mp4",
        "copy.mkv",
        "hevc10.mkv",
        "av1.mkv",
        "vp8.webm",
        "vp9.webm",
        "copy.mov",
        "copy.ts",
        "fragmented.mp4",
        "editlist.mp4",
        "mpeg4.avi",
        "mjpeg.avi",
        "raw.h264",
    ];
    for name in whole {
        assert_eq!(Video::open(&video(name)).expect(name).index().damage(), None, "{name}");
    }
}

#[test]
fn a_transport_stream_cut_at_both_ends_starts_at_its_first_keyframe() {
    let (count, numbers) = decodable("cut.ts");
    assert!(count > 30, "{count} frames");
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "in order: {numbers:?}");
}

#[test]
fn a_corrupt_video_is_read_to_its_end_and_every_frame_request_is_answered() {
    let (count, numbers) = decodable("corrupt.mp4");
    assert!(count > 75, "the first half is sound, got {count}");
    assert_eq!(numbers[..50], (0..50).collect::<Vec<_>>());
    let opened = Video::open(&video("corrupt.mp4")).expect("it opens");
    let mut seeker = FrameSeeker::open(&opened).expect("the seeker opens");
    for pts in opened.index().frame_pts() {
        let frame = seeker.frame(pts).expect("this frame, or the one before it");
        assert!(frame.pts <= pts);
    }
}

#[test]
fn an_8k_video_decodes() {
    let (count, numbers) = decodable("large8k.mp4");
    assert_eq!((count, numbers), (2, vec![0, 1]));
}

#[test]
fn pictures_open_and_other_files_do_not() {
    for name in ["picture.png", "picture.jpg"] {
        let picture = still::open(&video(name)).expect("a picture");
        assert_eq!((picture.width(), picture.height()), (384, 216));
        assert_eq!(bar_code(&picture.view()), Some(0));
    }
    assert!(still::open(&video("text.mp4")).is_err());
    assert!(still::open(&video("empty.mp4")).is_err());
}

/// A frame whose bytes hold no picture at all is answered with the one before it, however the seeker came there.
#[test]
fn an_undecodable_frame_is_answered_with_the_one_before() {
    use std::io::{Seek as _, SeekFrom, Write as _};
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hole.mp4");
    std::fs::copy(video("gop25.mp4"), &path).expect("a copy");
    let whole = Video::open(&path).expect("it opens");
    let times: Vec<_> = whole.index().frame_pts().collect();
    // Nobody refers to it, so that its neighbours are whole: of the second group of pictures the smallest packet.
    let in_group = whole.index().packets()[26..49].iter().min_by_key(|packet| packet.size);
    let hole = *in_group.expect("packets");
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).expect("it can be written");
    file.seek(SeekFrom::Start(hole.position as u64 + 4)).expect("a place");
    file.write_all(&[0]).expect("a kind of unit that decoders pass over");
    drop(file);

    let place = times.iter().position(|&pts| pts == hole.pts).expect("it is shown");
    let opened = Video::open(&path).expect("it opens");
    for way in [&[place][..], &[place - 1, place], &[place - 3, place, place + 1, place], &[place + 1, place]]
    {
        let mut seeker = FrameSeeker::open(&opened).expect("the seeker opens");
        for &at in way {
            let shown = seeker.frame(times[at]).expect("an answer");
            let expected = if at == place { place - 1 } else { at };
            assert_eq!(shown.pts, times[expected], "{way:?}, {at}");
            assert_eq!(bar_code(&shown.picture.view()), Some(expected as u32));
        }
    }
}
