//! Wrong command lines, and stderr as other programs read it.

use crate::server::{model, pigweight, root};
use pigweight_testkit::videos::video;
use std::process::Output;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim_end().to_owned()
}

#[test]
fn every_wrong_option_exits_with_2() {
    let cases: [&[&str]; 12] = [
        &[],
        &["weigh"],
        &["count"],
        &["count", "a.mp4", "--csv", "--json"],
        &["count", "a.mp4", "--min-score", "2"],
        &["count", "a.mp4", "--min-score", "-1"],
        &["detect", "a.jpg", "--min-score", "NaN"],
        &["check", "folder", "--min-score", "much"],
        &["serve", "--listen", "here"],
        &["track", "--mot", "a", "--out", "b", "--fps", "0"],
        &["track", "--mot", "a", "--out", "b", "--fps", "-25"],
        &["track", "--mot", "a", "--out", "b", "--fps", "25", "--min-score", "1.1"],
    ];
    for arguments in cases {
        let output = pigweight().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", said(&output));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn one_bad_picture_does_not_cost_the_others() {
    let (good, missing, text) =
        (root().join("fixtures/pictures/golden.png"), "missing.jpg", video("text.mp4"));
    let detect = |options: &[&str]| {
        let mut command = pigweight();
        command.arg("detect").arg(missing).arg(&good).arg(&text).arg(&good).args(options);
        command.arg("--model").arg(model()).output().unwrap()
    };
    let (plain, json) = (detect(&[]), detect(&["--json"]));
    for output in [&plain, &json] {
        assert_eq!(output.status.code(), Some(1));
        let said = said(output);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 2, "{said}");
        assert!(lines[0].contains("missing.jpg") && lines[1].contains("text.mp4"), "{said}");
    }
    let text = String::from_utf8(plain.stdout).unwrap();
    assert_eq!(text.matches("golden.png: ").count(), 2, "{text}");
    let pictures: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(pictures.as_array().unwrap().len(), 2);
}

#[test]
fn detect_of_a_video_points_to_count() {
    for name in ["gop25.mp4", "mpeg4.avi", "raw.h264"] {
        let mut command = pigweight();
        let output = command.arg("detect").arg(video(name)).arg("--model").arg(model()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(output.stdout.is_empty(), "{name}");
        let said = said(&output);
        assert!(said.contains("pigweight count") && said.lines().count() == 1, "{name}: {said}");
    }
}

#[test]
fn a_log_that_no_terminal_shows_has_no_colours() {
    let mut command = pigweight();
    command.args(["count", "-v", "--model"]).arg(model()).arg(video("gop25.mp4"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("INFO") && !said(&output).contains('\u{1b}'), "{:?}", said(&output));
}

#[test]
fn check_explains_which_folders_it_searches() {
    let output = pigweight().args(["check", "--help"]).output().unwrap();
    // The help is wrapped to the width of the terminal, so a line may end inside the sentence.
    let help = String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("Subfolders are searched"), "{help}");
    let output = pigweight().args(["check", "/nowhere/at/all"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/at/all is not a folder"));
}
