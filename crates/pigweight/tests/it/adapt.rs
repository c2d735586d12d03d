//! `pigweight adapt`, and detectors that folders have for themselves.

use crate::jobs::{NO_PICTURES, videos, wait};
use crate::server::{Server, pigweight, root};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn adapt(sources: &[&Path], arguments: &[&str]) -> Command {
    let mut command = pigweight();
    command.arg("adapt").args(sources).args(arguments).current_dir(root());
    command
}

/// A few seconds of a corridor: learning it doesn't take long.
fn short_film() -> tempfile::TempDir {
    let (whole, folder) = (videos(&[("a.mp4", 1)]), tempfile::tempdir().unwrap());
    cut(&whole.path().join("a.mp4"), ("4", 48), &folder.path().join("a.mp4"));
    folder
}

/// Some frames of a video, from a second on.
fn cut(video: &Path, (secs, frames): (&str, u32), to: &Path) {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args(["-v", "error", "-ss", secs, "-i"])
        .arg(video)
        .args(["-frames:v", &frames.to_string()])
        .arg(to);
    assert!(ffmpeg.status().unwrap().success());
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_cannot_be_learned_from_is_refused_in_words_and_nothing_is_written() {
    let folder = videos(&[("a.mp4", 1)]);
    let video = folder.path().join("a.mp4");
    let short = folder.path().join("short.mp4");
    cut(&video, ("0", 9), &short);
    let empty = tempfile::tempdir().unwrap();
    let other = root().join("fixtures/models/yolov5.onnx");
    let other = other.to_str().unwrap();
    let tried: [(&Path, &[&str], &str, i32); 7] = [
        (&video, &["--animals", "0"], "1..=300", 2),
        (&video, &["--animals", "250"], "not 250", 1),
        (&short, &["--animals", "3"], "take a longer film", 1),
        (empty.path(), &["--animals", "3"], "holds no video", 1),
        (&folder.path().join("absent.mp4"), &["--animals", "3"], "absent.mp4", 1),
        (&video, &["--animals", "3", "--model", other], "can't be trained here", 1),
        (&video, &["--animals", "3", "--out", "pen.mp4"], "ends in .onnx", 1),
    ];
    for (source, arguments, expected, code) in tried {
        let output = adapt(&[source], arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", words(&output));
        assert!(words(&output).contains(expected), "{arguments:?}: {}", words(&output));
    }
    // Numbers at moments come from a table beside the video.
    for (table, expected) in [
        (None, "no video has a table of counts"),
        (Some("frame,count\n20,3\n90000,3\n"), "goes on to frame 90000"),
        (Some("frame,count\n20,three\n"), "line 2"),
        (Some("frame,count\n20,0\n"), "0 animals are none"),
    ] {
        let beside = folder.path().join("a.counts.csv");
        if let Some(table) = table {
            std::fs::write(&beside, table).unwrap();
        }
        let output = adapt(&[&video], &["--counts"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{table:?}: {}", words(&output));
        assert!(words(&output).contains(expected), "{table:?}: {}", words(&output));
        let _none = std::fs::remove_file(beside);
    }
    let output = adapt(&[&video], &[]).output().unwrap();
    assert!(output.status.code() == Some(2) && words(&output).contains("--animals"), "{}", words(&output));
    // Two cameras are none.
    let smaller = empty.path().join("smaller.mp4");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-i"]).arg(&video).args(["-vf", "scale=320:-2"]).arg(&smaller);
    assert!(ffmpeg.status().unwrap().success());
    let output = adapt(&[&video, &smaller], &["--animals", "3"]).output().unwrap();
    assert!(
        output.status.code() == Some(1) && words(&output).contains("name videos of one camera"),
        "{}",
        words(&output)
    );
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".onnx")), "{left:?}");
}

/// Killed in the middle, it goes on from there; and it ends with a detector that is better or with none.
#[test]
fn an_adaptation_that_was_killed_goes_on() {
    let folder = short_film();
    let state = folder.path().join("pigweight-detector.onnx.partial");
    let arguments = ["--animals", "3", "--rounds", "1", "--steps", "3"];
    let mut first =
        adapt(&[folder.path()], &arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait(|| (state.exists() || first.try_wait().unwrap().is_some()).then_some(()));
    assert!(state.exists(), "it ended by itself");
    first.kill().unwrap();
    first.wait().unwrap();
    let output = adapt(&[folder.path()], &arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("going on from there"), "{said} {}", words(&output));
    let detector = folder.path().join("pigweight-detector.onnx");
    match output.status.code() {
        Some(0) => assert!(detector.exists() && said.contains("counts the videos beside it"), "{said}"),
        Some(1) => {
            assert!(
                !detector.exists() && words(&output).contains("did not get better"),
                "{}",
                words(&output)
            );
        }
        other => panic!("{other:?}: {}", words(&output)),
    }
    assert!(!state.exists());
}

fn list(server: &Server, path: &str) -> Vec<Value> {
    server.get(path).json().as_array().unwrap().clone()
}

#[test]
fn a_folders_own_detector_counts_its_videos_and_without_it_the_count_before_is_shown_again() {
    let (folder, data) = (videos(&[("a.mp4", 1), ("b.mp4", 1)]), tempfile::tempdir().unwrap());
    std::fs::create_dir(folder.path().join("pen")).unwrap();
    std::fs::rename(folder.path().join("a.mp4"), folder.path().join("pen/a.mp4")).unwrap();
    let server = Server::start_asking(folder.path(), data.path(), None, &[NO_PICTURES]);
    let videos = ["pen/a.mp4", "b.mp4"].map(|name| server.video(name));
    let ids = videos.each_ref().map(|video| video["id"].as_str().unwrap());
    for id in ids {
        server.wait_for_run(id, "done");
    }
    let shown = |id: &str| server.get(&format!("/api/videos/{id}")).json()["run"].clone();
    let [first, other] = ids.map(shown);
    let own = folder.path().join("pen/pigweight-detector.onnx");
    std::fs::copy(root().join("fixtures/models/drawn-pigs.onnx"), &own).unwrap();
    let counted =
        wait(|| Some(shown(ids[0])).filter(|run| run["id"] != first["id"] && run["state"] == "done"));
    assert_ne!(counted["model"], first["model"], "{counted}");
    assert_eq!(shown(ids[1])["id"], other["id"], "another folder's");
    std::fs::remove_file(&own).unwrap();
    wait(|| Some(shown(ids[0])).filter(|run| run["id"] == first["id"]));
    // A file that is no detector is told, and what was counted stays.
    std::fs::write(&own, "not a detector").unwrap();
    let told =
        wait(|| Some(server.get("/api/health").json()).filter(|health| health["status"] == "degraded"));
    assert!(told["message"].as_str().unwrap().contains("pigweight-detector.onnx"), "{told}");
    assert_eq!(shown(ids[0])["id"], first["id"]);
    assert_eq!(list(&server, "/api/videos").len(), 2);
    std::fs::remove_file(&own).unwrap();
    wait(|| Some(()).filter(|()| server.get("/api/health").json()["status"] == "ok"));
    server.stop();
}

#[test]
fn a_source_is_adapted_in_the_background_over_a_restart_and_taken_back() {
    let (folder, data) = (short_film(), tempfile::tempdir().unwrap());
    let settings = [NO_PICTURES, ("PIGWEIGHT_ADAPT__STEPS", "2"), ("PIGWEIGHT_ADAPT__ROUNDS", "1")];
    let server = Server::start_asking(folder.path(), data.path(), None, &settings);
    let id = server.video("a.mp4")["id"].as_str().unwrap().to_owned();
    server.wait_for_run(&id, "done");
    let first = server.get(&format!("/api/videos/{id}")).json()["run"].clone();
    let source = server.video("a.mp4")["source"].as_str().unwrap().to_owned();
    let path = format!("/api/sources/{source}/adaptation");
    let ask = |server: &Server, body: &str| server.ask("POST", &path, &[], Some(body));
    assert_eq!(server.get(&path).json()["state"], "none");
    assert!(ask(&server, "{}").problem(400).contains("animals is missing"));
    assert!(ask(&server, "{\"animals\": 301}").problem(400).contains("301"));
    server.get("/api/sources/nothing/adaptation").problem(404);
    let moments = |t: f64, animals: i64, of: &str| {
        format!("{{\"moments\": [{{\"video\": \"{of}\", \"t\": {t}, \"animals\": {animals}}}]}}")
    };
    assert!(ask(&server, &moments(1e6, 2, &id)).problem(400).contains("lies outside"));
    assert!(ask(&server, &moments(-1.0, 2, &id)).problem(400).contains("lies outside"));
    assert!(ask(&server, &moments(0.0, 301, &id)).problem(400).contains("301"));
    assert!(ask(&server, &moments(0.0, 0, &id)).problem(400).contains("must have an animal"));
    ask(&server, &moments(0.0, 2, "nothing")).problem(404);
    let both = moments(0.0, 2, &id).replace("{\"moments\"", "{\"animals\": 2, \"moments\"");
    assert!(ask(&server, &both).problem(400).contains("not both"));
    assert!(ask(&server, "{\"moments\": 3}").problem(400).contains("a list"));
    let begun = ask(&server, "{\"animals\": 2}");
    assert_eq!((begun.status, &begun.json()["animals"]), (202, &2.into()));
    assert!(ask(&server, "{\"animals\": 2}").problem(409).contains("already"));
    assert_eq!(server.ask("DELETE", &path, &[], None).status, 204);
    // Numbers at two moments, which hold in between, teach as one number does.
    let last = server.video("a.mp4")["duration_secs"].as_f64().unwrap() - 0.5;
    let moment = |t: f64| json!({"video": id, "t": t, "animals": 2});
    let begun = ask(&server, &json!({"moments": [moment(0.0), moment(last)]}).to_string());
    assert_eq!(begun.status, 202, "{}", begun.json());
    let requested = begun.json();
    assert_eq!((&requested["animals"], &requested["moments"][1]), (&Value::Null, &moment(last)));
    // It goes on at the next start.
    wait(|| Some(()).filter(|()| server.get(&path).json()["state"] == "running"));
    server.stop();
    let server = Server::start_asking(folder.path(), data.path(), None, &settings);
    let ended = wait(|| {
        let now = server.get(&path).json();
        Some(now.clone()).filter(|now| !["waiting", "running"].map(Value::from).contains(&now["state"]))
    });
    assert!(ended["count_error_before"].is_number() && ended["count_error_after"].is_number(), "{ended}");
    let detector = data.path().join("detectors").join(format!("{source}.onnx"));
    let shown = || server.get(&format!("/api/videos/{id}")).json()["run"].clone();
    match ended["state"].as_str() {
        Some("done") => {
            assert!(detector.exists());
            wait(|| Some(()).filter(|()| shown()["id"] != first["id"] && shown()["state"] == "done"));
        }
        Some("not_better") => assert!(!detector.exists() && shown()["id"] == first["id"]),
        other => panic!("{other:?}: {ended}"),
    }
    assert_eq!(server.ask("DELETE", &path, &[], None).status, 204);
    assert_eq!((server.get(&path).json()["state"].clone(), detector.exists()), ("none".into(), false));
    wait(|| Some(()).filter(|()| shown()["id"] == first["id"]));
    server.stop();

    // A named model counts all videos.
    let named = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), named.path(), Some(&crate::server::model()), &settings);
    let source = server.video("a.mp4")["source"].as_str().unwrap().to_owned();
    let refused =
        server.ask("POST", &format!("/api/sources/{source}/adaptation"), &[], Some("{\"animals\": 2}"));
    assert!(refused.problem(409).contains("names a model"));
}
