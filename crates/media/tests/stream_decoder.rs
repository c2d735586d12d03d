//! A stream without a container is decoded access unit by access unit: each frame comes out with its own time.

use pigweight_core::time::{Pts, TimeBase};
use pigweight_media::{StreamCodec, StreamDecoder};
use pigweight_testkit::videos::{bar_code, video};
use std::process::Command;

/// The access units of a bar-coded video, coded as a camera does, with delimiters between them; or its JPEG pictures.
fn access_units(codec: StreamCodec, b_frames: u32) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("stream");
    let (encoder, format, filter) = match codec {
        StreamCodec::H264 => ("libx264", "h264", "h264_metadata=aud=insert"),
        StreamCodec::H265 => ("libx265", "hevc", "hevc_metadata=aud=insert"),
        StreamCodec::Mjpeg => ("mjpeg", "mjpeg", "null"),
    };
    let pixels = if codec == StreamCodec::Mjpeg { "yuvj420p" } else { "yuv420p" };
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-i"])
        .arg(video("gop25.mp4"))
        .args(["-frames:v", "60", "-c:v", encoder, "-preset", "ultrafast", "-g", "15", "-pix_fmt", pixels])
        .args(["-bf", &b_frames.to_string(), "-bsf:v", filter, "-f", format])
        .args(if codec == StreamCodec::H265 { &["-x265-params", "log-level=none"][..] } else { &[] })
        .arg(&path)
        .status()
        .expect("ffmpeg is installed");
    assert!(status.success());
    let bytes = std::fs::read(&path).expect("the stream");
    let delimiter: &[u8] = match codec {
        StreamCodec::H264 => &[0, 0, 0, 1, 9],
        StreamCodec::H265 => &[0, 0, 0, 1, 0x46],
        StreamCodec::Mjpeg => &[0xff, 0xd8, 0xff],
    };
    let starts: Vec<usize> =
        (0..bytes.len()).filter(|&at| bytes[at..].starts_with(delimiter)).chain([bytes.len()]).collect();
    starts.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect()
}

fn decoder(codec: StreamCodec) -> StreamDecoder {
    StreamDecoder::open(None, "camera", codec, TimeBase::new(1, 90_000).expect("a time base"))
        .expect("it opens")
}

#[test]
fn every_frame_comes_out_at_once_with_its_time() {
    for codec in [StreamCodec::H264, StreamCodec::H265, StreamCodec::Mjpeg] {
        let units = access_units(codec, 0);
        assert_eq!(units.len(), 60, "{codec:?}");
        let mut decoder = decoder(codec);
        for (number, unit) in units.iter().enumerate() {
            let frames = decoder.decode(unit, Pts(1000 * number as i64)).expect("it goes on");
            let [frame] = &frames[..] else { panic!("{codec:?} {number}: {} frames", frames.len()) };
            assert_eq!(
                (frame.pts, bar_code(&frame.picture.view())),
                (Pts(1000 * number as i64), Some(number as u32))
            );
            assert!((frame.secs - number as f64 / 90.0).abs() < 1e-9);
        }
        assert_eq!(decoder.damaged_packets(), 0);
    }
}

#[test]
fn a_stream_joined_in_the_middle_or_damaged_gives_what_can_be_decoded() {
    let units = access_units(StreamCodec::H264, 0);
    let mut decoder = decoder(StreamCodec::H264);
    assert!(decoder.decode(b"no access unit at all", Pts(0)).expect("it is no error").is_empty());
    assert!(decoder.decode(&[], Pts(1)).is_ok());
    assert!(decoder.damaged_packets() > 0);
    // After the next keyframe all is well again.
    decoder.reset().expect("it goes on");
    for (number, unit) in units.iter().enumerate().skip(15) {
        let frames = decoder.decode(unit, Pts(number as i64)).expect("it goes on");
        assert_eq!(
            frames.iter().filter_map(|frame| bar_code(&frame.picture.view())).collect::<Vec<_>>(),
            [number as u32]
        );
    }
}
