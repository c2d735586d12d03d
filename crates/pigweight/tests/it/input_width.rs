//! The width of the detector's input follows the animals of a source, and a person may set it.

use crate::jobs::{NO_PICTURES, wait};
use crate::server::{Server, pigweight, root};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// A pen whose animals have half of their drawn size in the picture, and one where they have twice that.
fn pens(seed: u32) -> tempfile::TempDir {
    let (drawn, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let seed = seed.to_string();
    crate::kept::demo(&["--secs", "4", "--seed", &seed], drawn.path());
    for (name, filter) in [
        ("small", "scale=iw/2:ih/2,pad=2*iw:2*ih:iw/2:ih/2:gray"),
        ("usual", "crop=iw/2:ih/2,scale=2*iw:2*ih"),
    ] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-i"]).arg(drawn.path().join("pen.mp4")).args(["-vf", filter]);
        ffmpeg.arg(folder.path().join(name).join("pen.mp4"));
        assert!(ffmpeg.status().expect("ffmpeg is installed").success());
    }
    folder
}

fn source(server: &Server, name: &str) -> Value {
    let sources = server.get("/api/sources").json();
    sources.as_array().unwrap().iter().find(|source| source["name"] == name).cloned().unwrap_or_default()
}

fn start(videos: &Path, data: &Path) -> Server {
    Server::start_asking(videos, data, None, &[NO_PICTURES])
}

#[test]
fn small_animals_get_a_wider_input_and_a_person_may_set_another() {
    let (folder, data) = (pens(3), tempfile::tempdir().unwrap());
    let server = start(folder.path(), data.path());
    let id = |name: &str| server.video(name)["id"].as_str().unwrap().to_owned();
    let (small, usual) = (id("small/pen.mp4"), id("usual/pen.mp4"));
    for video in [&small, &usual] {
        server.wait_for_run(video, "done");
    }
    let input = |name: &str| source(&server, name)["input"].clone();
    assert_eq!((&input("usual")["width"], &input("usual")["chosen_by"]), (&json!(640), &json!("animals")));
    let chosen = input("small");
    assert!(chosen["width"].as_i64() > Some(640) && chosen["chosen_by"] == "animals", "{chosen}");
    assert!(chosen["animal_px"].as_f64() < input("usual")["animal_px"].as_f64(), "{chosen}");
    assert!(chosen["inference_ms"].as_f64() > Some(0.0), "{chosen}");

    // A width that the detector does not have is refused, and nothing is changed.
    let path = format!("/api/sources/{}", source(&server, "small")["id"].as_str().unwrap());
    let set = |width: &Value| server.ask("PUT", &path, &[], Some(&json!({"input_width": width}).to_string()));
    assert!(set(&json!(700)).problem(400).contains("512, 640, 768, 896"));
    for bad in [json!(0), json!(640.5), json!("640"), json!(1e9)] {
        assert!(set(&bad).problem(400).contains("a whole number from 1"), "{bad}");
    }
    assert_eq!(input("small"), chosen);

    // Another one counts anew; taken back, the count before is shown at once.
    let run = || server.video("small/pen.mp4")["run"].clone();
    let before = run();
    assert_eq!(set(&json!(640)).status, 200);
    assert_eq!((&input("small")["width"], &input("small")["chosen_by"]), (&json!(640), &json!("person")));
    wait(|| Some(run()).filter(|now| now["id"] != before["id"] && now["state"] == "done"));
    assert_eq!(set(&Value::Null).status, 200);
    wait(|| Some(run()).filter(|now| *now == before));
    assert_eq!(input("small"), chosen);

    // What was measured outlives the server: nothing is counted again.
    server.stop();
    let server = start(folder.path(), data.path());
    server.wait_for_run(&small, "done");
    assert_eq!(server.video("small/pen.mp4")["run"]["id"], before["id"]);
}

#[test]
fn the_command_chooses_the_same_width_each_time_and_takes_a_stated_one() {
    let folder = pens(5);
    let video = folder.path().join("small/pen.mp4");
    let count = |width: Option<&str>| {
        let mut command = pigweight();
        command.args(["count", "--json"]).arg(&video).current_dir(root());
        command.envs(width.map(|width| ("PIGWEIGHT_DETECT__INPUT_WIDTH", width)));
        command.output().unwrap()
    };
    let (chosen, again) = (count(None), count(None));
    assert!(chosen.status.success());
    assert_eq!(chosen.stdout, again.stdout);
    assert_ne!(count(Some("512")).stdout, chosen.stdout);
    let refused = count(Some("600"));
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && words.contains("512, 640, 768, 896"), "{words}");
    // Where a folder is calibrated, too.
    std::fs::write(video.with_extension("counts.csv"), "frame,count\n0,12\n").unwrap();
    let mut calibrate = pigweight();
    calibrate.args(["check", "--calibrate"]).arg(folder.path().join("small")).current_dir(root());
    let refused = calibrate.env("PIGWEIGHT_DETECT__INPUT_WIDTH", "600").output().unwrap();
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && words.contains("512, 640, 768, 896"), "{words}");
}
