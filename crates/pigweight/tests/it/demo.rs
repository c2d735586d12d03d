//! `pigweight demo` and uses of its output.

use crate::drawn::printed;
use crate::server::pigweight;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect()
}

#[test]
fn the_demo_is_made_once_and_its_own_check_finds_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let demo = || {
        printed(
            pigweight().args(["demo", "--marked"]).arg(folder.path()).args(["--secs", "8", "--seed", "3"]),
        )
    };
    let stdout = demo();
    assert!(stdout.contains("--line 320,360,320,0"), "{stdout}");
    let made = contents(folder.path());
    let names: Vec<&str> = made.keys().map(String::as_str).collect();
    let all = [
        "corridor.boxes.csv",
        "corridor.crossings.csv",
        "corridor.mp4",
        "drawn-pigs.onnx",
        "pen.boxes.csv",
        "pen.mp4",
    ];
    assert_eq!(names, all);

    let stdout = demo();
    assert_eq!(stdout.matches("kept").count(), 2, "{stdout}");
    assert!(contents(folder.path()) == made);

    let model = folder.path().join("drawn-pigs.onnx");
    let text = printed(
        pigweight().arg("check").arg(folder.path()).args(["--every-frame", "--json", "--model"]).arg(model),
    );
    let results: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(results.as_array().unwrap().len(), 2);
    for result in results.as_array().unwrap() {
        assert_eq!(result["frames"], 120);
        assert!(result["mean_absolute_error"].as_f64().unwrap() <= 0.05, "{result}");
    }
}

#[test]
fn a_video_that_is_not_the_demos_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pen.mp4"), b"somebody's").unwrap();
    let output =
        pigweight().args(["demo", "--marked"]).arg(folder.path()).args(["--secs", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("without its truth"));
    assert_eq!(contents(folder.path()), BTreeMap::from([("pen.mp4".into(), b"somebody's".to_vec())]));
}

#[test]
fn the_plain_demo_is_counted_by_the_built_in_detector() {
    let folder = tempfile::tempdir().unwrap();
    let stdout = printed(pigweight().arg("demo").arg(folder.path()).args(["--secs", "8"]));
    assert!(!stdout.contains("--model"), "{stdout}");
    let text = printed(pigweight().arg("check").arg(folder.path()).arg("--json"));
    let results: Value = serde_json::from_str(&text).unwrap();
    for result in results.as_array().unwrap() {
        // Of 12 in the pen and about 3 in the corridor.
        assert!(result["mean_absolute_error"].as_f64().unwrap() <= 1.2, "{result}");
    }
}
