//! A farm's own videos: calibrating the threshold, and exporting frames to label.

use crate::server::pigweight;
use pigweight_testkit::videos::video;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

fn run(words: &[&str], paths: &[&Path]) -> Output {
    // The built-in detector: its scores differ from pig to pig, those of the tests' own do not.
    pigweight().args(words).args(paths).output().unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn demo() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    crate::kept::demo(&["--secs", "4", "--seed", "5"], folder.path());
    folder
}

#[test]
fn a_calibrated_folder_is_counted_with_its_own_threshold_unless_one_is_named() {
    let folder = demo();
    let pen = folder.path().join("pen.mp4");
    let mean = |words: &[&str]| {
        let words = [&["count", "--json"], words].concat();
        json(&run(&words, &[&pen]))["count"]["mean"].as_f64().unwrap()
    };
    let calibrated = json(&run(&["check", "--calibrate", "--json"], &[folder.path()]));
    let kept = Path::new(calibrated["kept_in"].as_str().unwrap());
    assert_eq!(kept.parent().unwrap(), folder.path());
    // Best for all together: one may lose a little of what another gains.
    let videos = calibrated["videos"].as_array().unwrap();
    let sum = |which: &str| videos.iter().map(|video| video[which].as_f64().unwrap()).sum::<f64>();
    assert!(sum("error_after") <= sum("error_before"), "{calibrated}");
    let usual = mean(&["--min-score", "0.3"]);
    assert!(usual > 8.0, "{usual}");

    // What lies there is what is used: nothing is as sure as this asks for.
    let text = std::fs::read_to_string(kept).unwrap();
    let line = text.lines().find(|line| line.starts_with("min_score")).unwrap();
    std::fs::write(kept, text.replace(line, "min_score = 0.98")).unwrap();
    assert!(mean(&[]) < 0.2 * usual, "{}", mean(&[]));
    assert_eq!(mean(&["--min-score", "0.3"]), usual);
    // Another model's scores mean something else.
    let other = text.replace(line, "min_score = 0.98").replace("model = \"", "model = \"0");
    std::fs::write(kept, other).unwrap();
    assert_eq!(mean(&[]), usual);
    // Parse errors are reported, not skipped.
    std::fs::write(kept, "min_score = high").unwrap();
    let output = run(&["count"], &[&pen]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("pigweight-calibration.toml") && stderr.contains("calibrate again"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    // Calibrating again replaces it.
    json(&run(&["check", "--calibrate", "--json"], &[folder.path()]));
    assert!(mean(&[]) > 0.0);
}

/// A folder with the drawn pen, and room for more.
fn pen_alone() -> tempfile::TempDir {
    let folder = demo();
    for name in ["corridor.mp4", "corridor.boxes.csv"] {
        std::fs::remove_file(folder.path().join(name)).unwrap();
    }
    folder
}

#[test]
fn one_bad_video_does_not_keep_the_others_from_being_checked_and_calibrated() {
    let folder = pen_alone();
    let below = folder.path().join("second pen");
    std::fs::create_dir(&below).unwrap();
    for name in ["pen.mp4", "pen.boxes.csv"] {
        std::fs::copy(folder.path().join(name), below.join(name)).unwrap();
    }
    std::fs::write(folder.path().join("spoilt.mp4"), "no video").unwrap();
    std::fs::write(folder.path().join("spoilt.counts.csv"), "frame,count\n0,3\n").unwrap();
    std::fs::copy(video("truncated.mkv"), folder.path().join("cut.mkv")).unwrap();
    std::fs::write(folder.path().join("cut.counts.csv"), "frame,count\n0,0\n900,0\n").unwrap();
    for words in [&["check", "--json"][..], &["check", "--calibrate", "--json"]] {
        let output = run(words, &[folder.path()]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{stderr}");
        for part in ["spoilt.mp4", "cut.mkv is damaged", "cut.counts.csv goes on to frame 900"] {
            assert!(stderr.contains(part), "{words:?}, {part}: {stderr}");
        }
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let videos = document.get("videos").unwrap_or(&document).as_array().unwrap();
        let names: Vec<&str> = videos.iter().map(|one| one["video"].as_str().unwrap()).collect();
        assert_eq!(names, ["cut.mkv", "pen.mp4", "second pen/pen.mp4"]);
    }
    // A file nearer to a video decides; the one that is written for all must not seem to.
    std::fs::write(below.join("pigweight-calibration.toml"), "model = \"abc\"\nmin_score = 0.5\n").unwrap();
    let output = run(&["check", "--calibrate"], &[folder.path()]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("second pen/pigweight-calibration.toml goes on to decide"), "{stderr}");
}

#[test]
fn an_unwritable_folder_is_reported_with_the_result() {
    let folder = pen_alone();
    // Root may write anywhere: a folder in the file's place stops it, too.
    std::fs::create_dir_all(folder.path().join("pigweight-calibration.toml/in the way")).unwrap();
    let output = run(&["check", "--calibrate"], &[folder.path()]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let path = folder.path().join("pigweight-calibration.toml");
    let start = format!("pigweight: cannot write {}: ", path.display());
    assert!(stderr.starts_with(&start) && stderr.contains("--min-score 0."), "{stderr}");
}

/// Counts beyond the end of the video used to be calibrated on as if they were there, over a good calibration.
#[test]
fn without_a_known_count_nothing_is_calibrated() {
    let folder = pen_alone();
    let kept = folder.path().join("pigweight-calibration.toml");
    std::fs::write(&kept, "model = \"abc\"\nmin_score = 0.09\n").unwrap();
    let cases = [
        ("frame,count\n", "pen.counts.csv: has no row"),
        ("frame,count\n5000,3\n", "pen.mp4 has no frame with a known count"),
    ];
    for (counts, reason) in cases {
        std::fs::write(folder.path().join("pen.counts.csv"), counts).unwrap();
        let output = run(&["check", "--calibrate"], &[folder.path()]);
        assert_eq!(output.status.code(), Some(1));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(reason), "{stderr}");
        assert!(std::fs::read_to_string(&kept).unwrap().contains("0.09"));
    }
}

#[test]
fn exported_frames_have_the_same_boxes_in_both_formats() {
    let folder = demo();
    let out = folder.path().join("to label");
    let (pen, corridor) = (folder.path().join("pen.mp4"), folder.path().join("corridor.mp4"));
    let export = |out: &Path| {
        let words = ["frames", "export", "--count", "6", "--out", out.to_str().unwrap()];
        run(&words, &[&pen, &corridor])
    };
    let output = export(&out);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let coco: Value =
        serde_json::from_slice(&std::fs::read(out.join("annotations/instances_default.json")).unwrap())
            .unwrap();
    let images = coco["images"].as_array().unwrap();
    assert_eq!(images.len(), 6);
    let names: BTreeSet<&str> = images.iter().map(|image| image["file_name"].as_str().unwrap()).collect();
    assert!(names.iter().any(|name| name.starts_with("pen_")), "{names:?}");
    let mut boxes = 0;
    for image in images {
        let stem = image["file_name"].as_str().unwrap().trim_end_matches(".jpg");
        let (width, height) = (image["width"].as_f64().unwrap(), image["height"].as_f64().unwrap());
        let decoded = pigweight_media::still::open(&out.join(format!("images/{stem}.jpg"))).unwrap();
        assert_eq!((f64::from(decoded.width()), f64::from(decoded.height())), (width, height));
        let rows = std::fs::read_to_string(out.join(format!("labels/{stem}.txt"))).unwrap();
        let of_image =
            coco["annotations"].as_array().unwrap().iter().filter(|one| one["image_id"] == image["id"]);
        let of_image: Vec<&Value> = of_image.collect();
        assert_eq!(rows.lines().count(), of_image.len());
        for (row, annotation) in rows.lines().zip(of_image) {
            let numbers: Vec<f64> = row.split(' ').map(|word| word.parse().unwrap()).collect();
            let bbox: Vec<f64> =
                annotation["bbox"].as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect();
            assert_eq!((numbers[0], annotation["category_id"].as_u64()), (0.0, Some(1)));
            assert!(((numbers[1] - numbers[3] / 2.0) * width - bbox[0]).abs() < 0.1, "{row} {annotation}");
            assert!((numbers[4] * height - bbox[3]).abs() < 0.1, "{row} {annotation}");
            boxes += 1;
        }
    }
    assert!(boxes > 12, "{boxes}");
    assert_eq!(std::fs::read_to_string(out.join("classes.txt")).unwrap(), "pig\n");
    // Nothing that is there is written over.
    let again = export(&out);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("name a new folder"));
}

#[test]
fn frames_go_into_an_empty_folder_and_never_through_a_dangling_link() {
    let out = tempfile::tempdir().unwrap();
    let export = |folder: &Path, out: &str, name: &str| {
        let mut command = pigweight();
        command.current_dir(folder).args(["frames", "export", "--out", out]).arg(video(name));
        command.output().unwrap()
    };
    let here = export(out.path(), ".", "gop25.mp4");
    assert!(here.status.success(), "{}", String::from_utf8_lossy(&here.stderr));
    let stdout = String::from_utf8_lossy(&here.stdout).into_owned();
    // 6 s of video, and 60 frames asked for.
    assert!(stdout.contains("13 frames") && stdout.contains("at least 0.5 s apart"), "{stdout}");
    let names = |folder: &Path| -> BTreeSet<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let written = ["annotations", "classes.txt", "data.yaml", "images", "labels"];
    assert_eq!(names(out.path()), written.map(String::from).into());

    let other = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(other.path().join("nowhere"), other.path().join("link")).unwrap();
    let refused = export(other.path(), "link", "gop25.mp4");
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("name a new folder"));
    assert_eq!(names(other.path()), ["link".to_owned()].into());

    let damaged = export(other.path(), "damaged", "truncated.mkv");
    assert_eq!(damaged.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&damaged.stderr).contains("truncated.mkv is damaged"));
    assert_eq!(names(&other.path().join("damaged")), written.map(String::from).into());
}
