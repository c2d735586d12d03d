//! What is transcoded for browsers shows the same frames at the same times.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pigweight_core::time::{Pts, TimeBase};
use pigweight_media::{FrameReader, StreamCodec, StreamTranscoder, TranscodedFrame, Video};
use pigweight_testkit::videos::{bar_code, video};
use std::path::Path;
use std::process::Command;

const TICKS: i64 = 3600;

/// The access units of a bar-coded video, in the order in which they are decoded, each with the number of its frame.
fn access_units(name: &str, folder: &Path) -> Vec<(Vec<u8>, i64)> {
    let stream = folder.join("units.h264");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(video(name))
        .args(["-c", "copy", "-bsf:v", "h264_mp4toannexb,h264_metadata=aud=insert", "-f", "h264"])
        .arg(&stream)
        .status()
        .unwrap();
    assert!(made.success());
    let bytes = std::fs::read(stream).unwrap();
    // Each access unit begins with a delimiter.
    let starts: Vec<usize> = (0..bytes.len() - 5)
        .filter(|&at| bytes[at..at + 4] == [0, 0, 0, 1] && bytes[at + 4] & 0x1f == 9)
        .collect();
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    let units: Vec<Vec<u8>> =
        starts.iter().zip(ends).map(|(&start, end)| bytes[start..end].to_vec()).collect();
    let original = Video::open(&video(name)).unwrap();
    let mut order: Vec<i64> = original.index().packets().iter().map(|packet| packet.pts.0).collect();
    let mut sorted = order.clone();
    sorted.sort_unstable();
    order.iter_mut().for_each(|pts| *pts = sorted.binary_search(pts).unwrap() as i64);
    assert_eq!(order.len(), units.len());
    units.into_iter().zip(order).collect()
}

/// As a file that a decoder reads: IVF.
fn decoded(frames: &[TranscodedFrame], folder: &Path) -> Vec<(i64, Option<u32>)> {
    let mut ivf = b"DKIF\0\0\x20\0VP80".to_vec();
    ivf.extend([320_u16.to_le_bytes(), 180_u16.to_le_bytes()].concat());
    ivf.extend([90_000_u32.to_le_bytes(), 1_u32.to_le_bytes(), 0_u32.to_le_bytes(), [0; 4]].concat());
    for frame in frames {
        ivf.extend((frame.data.len() as u32).to_le_bytes());
        ivf.extend(frame.pts.0.to_le_bytes());
        ivf.extend(&frame.data);
    }
    let path = folder.join("coded.ivf");
    std::fs::write(&path, ivf).unwrap();
    let mut reader = FrameReader::open(&Video::open(&path).unwrap()).unwrap();
    let mut found = Vec::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        found.push((frame.pts.0, bar_code(&frame.picture.view())));
    }
    found
}

#[test]
fn every_frame_is_transcoded_at_its_own_time() {
    for name in ["gop25.mp4", "gop150.mp4"] {
        let folder = tempfile::tempdir().unwrap();
        let units = access_units(name, folder.path());
        let time_base = TimeBase::new(1, 90_000).unwrap();
        let mut transcoder = StreamTranscoder::open(None, "camera", StreamCodec::H264, time_base).unwrap();
        let mut frames = Vec::new();
        for (unit, number) in &units {
            frames.extend(transcoder.transcode(unit, Pts(number * TICKS), true).unwrap());
        }
        assert!(frames[0].is_keyframe);
        // A decoder that reorders holds the last ones back.
        assert!(frames.len() + 4 > units.len(), "{name}: {} of {}", frames.len(), units.len());
        let found = decoded(&frames, folder.path());
        let expected: Vec<_> =
            (0..frames.len()).map(|number| (number as i64 * TICKS, Some(number as u32))).collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn frames_that_are_too_late_are_left_out_and_the_next_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let units = access_units("gop25.mp4", folder.path());
    let time_base = TimeBase::new(1, 90_000).unwrap();
    let mut transcoder = StreamTranscoder::open(None, "camera", StreamCodec::H264, time_base).unwrap();
    let mut frames = Vec::new();
    for (unit, number) in &units {
        frames.extend(transcoder.transcode(unit, Pts(number * TICKS), !(5..20).contains(number)).unwrap());
    }
    let found = decoded(&frames, folder.path());
    assert!(found.iter().all(|&(ticks, number)| number == u32::try_from(ticks / TICKS).ok()), "{found:?}");
    let numbers: Vec<i64> = found.iter().map(|&(ticks, _)| ticks / TICKS).collect();
    // Fifteen units, whose frames come out when others follow.
    assert_eq!(numbers.iter().filter(|&&number| number < 25).count(), 10, "{numbers:?}");
    assert!((25..140).all(|number| numbers.contains(&number)), "{numbers:?}");
}

#[test]
fn damaged_units_are_no_end_and_no_picture() {
    let folder = tempfile::tempdir().unwrap();
    let units = access_units("gop25.mp4", folder.path());
    let time_base = TimeBase::new(1, 90_000).unwrap();
    let mut transcoder = StreamTranscoder::open(None, "camera", StreamCodec::H264, time_base).unwrap();
    let garbage = [[0, 0, 0, 1, 0x65].as_slice(), &[0x5a; 500]].concat();
    assert_eq!(transcoder.transcode(&garbage, Pts(0), true).unwrap(), []);
    assert_eq!(transcoder.transcode(&[], Pts(1), true).unwrap(), []);
    assert_eq!(transcoder.transcode(&vec![1; 33 << 20], Pts(2), true).unwrap(), []);
    transcoder.reset().unwrap();
    let mut frames = Vec::new();
    for (unit, number) in &units[..30] {
        frames.extend(transcoder.transcode(unit, Pts((number + 10) * TICKS), true).unwrap());
    }
    assert!(frames.len() >= 26 && frames[0].is_keyframe);
}
