//! Small frames show the right frames, whatever happened while they were written.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pigweight_core::picture::Planes;
use pigweight_media::preview::{PreviewReader, PreviewWriter};
use pigweight_media::{FrameReader, FrameSeeker, Picture, Video, jpeg, sprites, still};
use pigweight_testkit::videos::{bar_code, bar_code_of_half, video};
use std::fs::OpenOptions;
use std::path::Path;

fn open(name: &str) -> Video {
    Video::open(&video(name)).unwrap()
}

/// Writes the frames of `video` that `wants` their place; the rest is passed over.
fn write(video: &Video, folder: &Path, width: u32, wants: impl Fn(u64) -> bool) -> PreviewWriter {
    let mut writer = PreviewWriter::open(folder, width).unwrap();
    let mut reader = FrameReader::open(video).unwrap();
    while let Some(frame) = reader.next_frame().unwrap() {
        let place = video.index().place_of(frame.pts).unwrap() as u64;
        if wants(place) {
            writer.push(place, &frame.picture).unwrap();
        }
    }
    writer
}

/// A JPEG, read back.
fn picture(bytes: &[u8], folder: &Path) -> Picture {
    let file = folder.join("one.jpg");
    std::fs::write(&file, bytes).unwrap();
    still::open(&file).unwrap()
}

/// The number in a JPEG of half the video's size.
fn number(bytes: &[u8], folder: &Path) -> Option<u32> {
    bar_code_of_half(&picture(bytes, folder).view())
}

#[test]
fn frames_that_come_small_give_the_same_pictures() {
    for name in ["gop25.mp4", "rot90.mp4", "hevc10.mkv", "mjpeg.avi", "vp9.webm"] {
        for width in [192, 384, 1000] {
            let video = open(name);
            let [whole, small] = [(); 2].map(|()| tempfile::tempdir().unwrap());
            let total = video.index().frame_count() as u64;
            write(&video, whole.path(), width, |_| true).finish(total).unwrap();
            let mut writer = PreviewWriter::open(small.path(), width).unwrap();
            assert_eq!(writer.width(), width);
            let half = video.index().pts_at(total as usize / 2 - 1).unwrap();
            // In two passes, as after an interruption.
            for (after, most) in [(None, total as usize / 2), (Some(half), usize::MAX)] {
                let mut reader = FrameReader::open_small(&video, after, width).unwrap();
                for _ in 0..most {
                    let Some(frame) = reader.next_frame().unwrap() else { break };
                    assert!(frame.picture.width() <= width);
                    writer.push(video.index().place_of(frame.pts).unwrap() as u64, &frame.picture).unwrap();
                }
            }
            writer.finish(total).unwrap();
            let [whole, small] =
                [whole, small].map(|folder| std::fs::read(folder.path().join("frames.jpegs")).unwrap());
            assert!(!whole.is_empty() && whole == small, "{name} at {width}");
        }
    }
}

#[test]
fn every_frame_of_every_kind_of_video_is_its_own() {
    for name in ["gop25.mp4", "vfr.mp4", "start10.ts", "opengop.mp4", "mpeg4.avi", "hevc10.mkv", "vp8.webm"] {
        let (video, folder) = (open(name), tempfile::tempdir().unwrap());
        let mut expected = Vec::new();
        let mut reader = FrameReader::open(&video).unwrap();
        while let Some(frame) = reader.next_frame().unwrap() {
            expected.push(bar_code(&frame.picture.view()).unwrap());
        }
        let mut writer = write(&video, folder.path(), 192, |_| true);
        writer.finish(video.index().frame_count() as u64).unwrap();
        let mut reader = PreviewReader::open(folder.path()).unwrap().unwrap();
        assert_eq!(reader.frames(), expected.len() as u64, "{name}");
        assert_eq!(reader.frame(reader.frames()).unwrap(), None, "{name}");
        for (place, expected) in expected.into_iter().enumerate().rev() {
            let bytes = reader.frame(place as u64).unwrap().unwrap();
            assert_eq!(number(&bytes, folder.path()), Some(expected), "{name} {place}");
        }
    }
}

#[test]
fn a_turned_video_has_upright_previews() {
    let (video, folder) = (open("rot90.mp4"), tempfile::tempdir().unwrap());
    write(&video, folder.path(), 108, |place| place == 149).flush().unwrap();
    let bytes = PreviewReader::open(folder.path()).unwrap().unwrap().frame(149).unwrap().unwrap();
    let picture = picture(&bytes, folder.path());
    assert_eq!((picture.width(), picture.height()), (108, 192));
    // Turned counter-clockwise, the bar code runs up the left edge.
    let Planes::Yuv { y, .. } = picture.view().planes else { panic!("planar YUV") };
    let bits = (0..12).map(|bit| u32::from(y.samples[(192 - 6 - bit * 12) * y.stride + 6] > 128) << bit);
    assert_eq!(bits.sum::<u32>(), 149);
}

#[test]
fn writing_continues_after_the_last_complete_frame() {
    let (video, folder) = (open("gop25.mp4"), tempfile::tempdir().unwrap());
    let path = folder.path();
    write(&video, path, 192, |place| place < 60).flush().unwrap();
    let grow = |name: &str, by: &[u8]| {
        use std::io::Write as _;
        OpenOptions::new().append(true).open(path.join(name)).unwrap().write_all(by).unwrap();
    };
    // As a power cut leaves them: a picture without its end, half an end, and ends that are further than the bytes.
    grow("frames.jpegs", b"\xff\xd8 half of a picture");
    grow("frames.ends", &[1, 2, 3]);
    assert_eq!(PreviewWriter::open(path, 192).unwrap().frames(), 60);
    grow("frames.ends", &u64::MAX.to_le_bytes());
    assert_eq!(PreviewWriter::open(path, 192).unwrap().frames(), 60);
    let bytes = std::fs::metadata(path.join("frames.jpegs")).unwrap().len();
    OpenOptions::new().write(true).open(path.join("frames.jpegs")).unwrap().set_len(bytes - 1).unwrap();
    assert_eq!(PreviewWriter::open(path, 640).unwrap().frames(), 59);

    // Another width is not mixed in; frames that are there already are not written twice; three do not come.
    let mut writer = write(&video, path, 640, |place| !(100..=102).contains(&place));
    assert_eq!(writer.frames(), 150);
    writer.finish(150).unwrap();
    let mut reader = PreviewReader::open(path).unwrap().unwrap();
    for place in 0..150_u64 {
        let frame = reader.frame(place).unwrap();
        match place {
            100..=102 => assert_eq!(frame, None),
            _ => assert_eq!(number(&frame.unwrap(), path), Some(place as u32)),
        }
    }
}

#[test]
fn invalid_preview_files_are_rewritten_and_never_served() {
    let (video, folder) = (open("gop25.mp4"), tempfile::tempdir().unwrap());
    let path = folder.path();
    assert!(PreviewReader::open(path).unwrap().is_none());
    for ends in [&b""[..], b"PW", b"something else of sixteen bytes and more", &[0; 400]] {
        std::fs::write(path.join("frames.ends"), ends).unwrap();
        std::fs::write(path.join("frames.jpegs"), b"something").unwrap();
        assert!(PreviewReader::open(path).unwrap().is_none());
        assert_eq!(PreviewWriter::open(path, 192).unwrap().frames(), 0);
    }
    write(&video, path, 192, |place| place < 5).flush().unwrap();
    // A disk that lost the bytes but not their length.
    let bytes = std::fs::metadata(path.join("frames.jpegs")).unwrap().len();
    std::fs::write(path.join("frames.jpegs"), vec![0; bytes as usize]).unwrap();
    let mut reader = PreviewReader::open(path).unwrap().unwrap();
    assert_eq!((reader.frames(), reader.frame(2).unwrap()), (5, None));
    // The evictor came between.
    std::fs::write(path.join("frames.jpegs"), b"").unwrap();
    assert_eq!(reader.frame(2).unwrap(), None);
}

/// As a power cut leaves it on some file systems: the length is there, and zeros.
#[test]
fn zeros_behind_the_ends_lose_no_frame() {
    let (video, folder) = (open("gop25.mp4"), tempfile::tempdir().unwrap());
    write(&video, folder.path(), 192, |place| place < 20).flush().unwrap();
    let ends = OpenOptions::new().write(true).open(folder.path().join("frames.ends")).unwrap();
    ends.set_len(ends.metadata().unwrap().len() + 80).unwrap();
    assert_eq!(PreviewWriter::open(folder.path(), 192).unwrap().frames(), 20);
    let bytes = PreviewReader::open(folder.path()).unwrap().unwrap().frame(19).unwrap().unwrap();
    assert_eq!(number(&bytes, folder.path()), Some(19));
}

#[test]
fn a_full_disk_is_reported_with_what_to_do() {
    let (video, folder) = (open("gop25.mp4"), tempfile::tempdir().unwrap());
    std::os::unix::fs::symlink("/dev/full", folder.path().join("frames.jpegs")).unwrap();
    // A device has no length to cut.
    let Err(error) = PreviewWriter::open(folder.path(), 192) else {
        panic!("{} opened", video.path().display());
    };
    assert!(error.to_string().contains("preview.disk_gb"), "{error}");
}

/// The map's lines: begin in seconds, sheet, and corner and size.
fn map(folder: &Path) -> Vec<(f64, String, [u32; 4])> {
    let text = std::fs::read_to_string(folder.join(sprites::MAP)).unwrap();
    assert!(text.starts_with("WEBVTT\n\n"), "{text}");
    let secs = |time: &str| time.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap());
    let cues = text.split("\n\n").skip(1).map(|cue| {
        let (times, place) = cue.trim().split_once('\n').unwrap();
        let (begin, end) = times.split_once(" --> ").unwrap();
        assert!(secs(begin) < secs(end), "{cue}");
        let (sheet, corner) = place.split_once("#xywh=").unwrap();
        let corner: Vec<u32> = corner.split(',').map(|number| number.parse().unwrap()).collect();
        (secs(begin), sheet.to_owned(), corner.try_into().unwrap())
    });
    cues.collect()
}

#[test]
fn sprites_show_the_keyframes_that_their_map_names() {
    for (name, keys) in [("gop25.mp4", 6), ("gop150.mp4", 1), ("rot90.mp4", 6), ("start10.ts", 6)] {
        let (video, folder) = (open(name), tempfile::tempdir().unwrap());
        assert!(!sprites::make(&video, folder.path(), &|| true).unwrap(), "stopped");
        assert!(!folder.path().join(sprites::MAP).exists(), "nothing is told before all is there");
        assert!(sprites::make(&video, folder.path(), &|| false).unwrap());
        let cues = map(folder.path());
        assert_eq!(cues.len(), keys, "{name}");
        for (secs, sheet, [x, y, width, height]) in cues {
            let sheet = still::open(&folder.path().join(&sheet)).unwrap();
            let Planes::Yuv { y: luma, .. } = sheet.view().planes else { panic!() };
            // Cut out and put upright side by side with the frame at that moment, both 160 px long.
            let cut: Vec<u8> = (y..y + height)
                .flat_map(|row| {
                    let at = row as usize * luma.stride + x as usize;
                    luma.samples[at..at + width as usize].to_vec()
                })
                .collect();
            let pts = video.frame_at(secs).unwrap();
            assert!(video.index().key_pts().any(|key| key == pts), "{name} {secs}");
            let mut seeker = FrameSeeker::open(&video).unwrap();
            let frame = seeker.frame(pts).unwrap().picture.scaled_to_width(width);
            let file = folder.path().join("frame.jpg");
            std::fs::write(&file, jpeg::encode(frame.view(), 60, &[], 1.0).unwrap()).unwrap();
            let frame = still::open(&file).unwrap();
            let Planes::Yuv { y: frame_luma, .. } = frame.view().planes else { panic!() };
            let off: u64 = (0..height.min(frame.height()) as usize)
                .flat_map(|row| (0..width as usize).map(move |column| (row, column)))
                .map(|(row, column)| {
                    let theirs = frame_luma.samples[row * frame_luma.stride + column];
                    u64::from(theirs.abs_diff(cut[row * width as usize + column]))
                })
                .sum();
            let mean = off as f64 / cut.len() as f64;
            assert!(mean < 4.0, "{name} at {secs}: samples differ by {mean:.1} in the mean");
        }
    }
}
