//! What `count` prints for bad videos: one line, and an exit code.

use crate::server::{model, pigweight};
use pigweight_testkit::videos::video;
use std::path::Path;
use std::process::Output;

fn count(path: &Path) -> Output {
    pigweight().args(["count", "--json", "--model"]).arg(model()).arg(path).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim_end().to_owned()
}

#[test]
fn an_unreadable_video_gets_one_line_and_no_numbers() {
    let cases = [
        ("empty.mp4", "empty"),
        ("text.mp4", "not a video"),
        ("soundonly.mp4", "no video stream"),
        ("nomoov.mp4", "unfinished"),
        ("missing.mp4", "cannot read"),
    ];
    for (name, reason) in cases {
        let output = count(&video(name));
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(output.stdout.is_empty(), "{name}");
        let said = said(&output);
        assert!(
            said.starts_with("pigweight: ") && said.contains(reason) && said.lines().count() == 1,
            "{name}: {said}"
        );
    }
}

#[test]
fn a_damaged_video_is_counted_as_far_as_possible_and_marked() {
    for name in ["truncated.mp4", "truncated.mkv", "corrupt.mp4"] {
        let output = count(&video(name));
        assert_eq!(output.status.code(), Some(3), "{name}: {}", said(&output));
        assert!(said(&output).contains("damaged") && said(&output).lines().count() == 1, "{}", said(&output));
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(document["frames"].as_u64().unwrap() > 50, "{name}");
        assert_eq!(
            document["frames"].as_u64().unwrap() as usize,
            document["series"].as_array().unwrap().len()
        );
        assert!(document["damage"].as_str().unwrap().contains("damaged"));
    }
}

#[test]
fn unusual_but_sound_videos_are_counted_like_any_other() {
    // As fixtures/make_videos.sh selects them.
    let variable = (0..300).filter(|n| n % 7 == 0 || n % 11 == 3 || n % 100 < 20).count();
    let cases = [
        ("large8k.mp4", 2),
        ("oneframe.mp4", 1),
        ("raw.h264", 150),
        ("mpeg4.avi", 150),
        ("vfr.mp4", variable),
    ];
    for (name, frames) in cases {
        let output = count(&video(name));
        assert!(output.status.success(), "{name}: {}", said(&output));
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["frames"], frames, "{name}");
        assert_eq!(document["series"].as_array().unwrap().len(), frames, "{name}");
        assert!(document.get("damage").is_none(), "{name}");
    }
}

#[test]
fn a_closed_pipe_is_no_failure_and_a_wrong_line_is() {
    use std::process::Stdio;
    let mut command = pigweight();
    command.args(["count", "--csv", "--model"]).arg(model()).arg(video("gop25.mp4"));
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(process.stdout.take());
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    for line in ["1,2,3", "1e300,0,1,1", "0,0,0,200000"] {
        let output = pigweight().args(["count", "a.mp4", "--line", line]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(said(&output).contains("px"), "{}", said(&output));
    }
    let mut command = pigweight();
    command.args(["count", "--line", "0,-50,900,-50", "--model"]).arg(model()).arg(video("gop25.mp4"));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("384 × 216 px") && said(&output).lines().count() == 1,
        "{}",
        said(&output)
    );
}

#[test]
fn count_of_a_picture_points_to_detect() {
    for name in ["picture.jpg", "picture.png"] {
        let output = count(&video(name));
        assert_eq!(output.status.code(), Some(1), "{name}");
        let said = said(&output);
        assert!(said.contains("pigweight detect") && said.lines().count() == 1, "{name}: {said}");
    }
}

#[test]
fn one_frame_is_written_in_the_singular() {
    let mut command = pigweight();
    let output = command.args(["count", "--model"]).arg(model()).arg(video("oneframe.mp4")).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 frame (1 inferred)"), "{output:?}");
}

#[test]
fn damage_lists_only_actual_faults() {
    for name in ["truncated.mp4", "corrupt.mp4"] {
        let output = count(&video(name));
        let said = said(&output);
        let is_sound = |bad: &str| !said.contains(bad);
        assert!([" 0 frames", " 0 are", " 1 frames"].into_iter().all(is_sound), "{name}: {said}");
    }
}
