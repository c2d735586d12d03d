//! Skipped inferences change no count, and each inference has a reason.

use crate::counting::{assert_same, count, counted, document};
use crate::drawn::{Corridor, FRAMES_PER_SEC, printed};
use crate::server::{Server, model};
use serde_json::Value;
use std::sync::LazyLock;

const SEED: u64 = 4;
const SECS: u32 = 34;
/// Nothing moves between these moments.
const STANDS_SECS: (f64, f64) = (10.0, 24.0);

static STANDING: LazyLock<Corridor> =
    LazyLock::new(|| Corridor::draw_standing(SEED, SECS, STANDS_SECS.0, STANDS_SECS.1));

fn counts(document: &Value) -> Vec<f64> {
    document["series"].as_array().unwrap().iter().map(|entry| entry[1].as_f64().unwrap()).collect()
}

#[test]
fn a_still_scene_is_inferred_rarely_and_counted_the_same() {
    let (usual, every) = (document(&STANDING, &[]), document(&STANDING, &["--every-frame"]));
    assert_same(&counted(&usual), &counted(&every));
    assert!(!counted(&every).is_empty());
    let (usual_counts, every_counts) = (counts(&usual), counts(&every));
    assert_eq!(usual_counts.len(), every_counts.len());
    let apart: f64 = usual_counts.iter().zip(&every_counts).map(|(one, other)| (one - other).abs()).sum();
    assert!(apart / every_counts.len() as f64 <= 0.1, "{apart} over {} frames", every_counts.len());
    // It stands for 14 of the 34 seconds; of these 13 are still.
    let looked = usual["inferred"].as_u64().unwrap();
    let most = u64::from(SECS - 13) * u64::from(FRAMES_PER_SEC) + 13 + 8;
    assert!(looked <= most, "{looked} of {} frames, at most {most}", every["inferred"]);
}

#[test]
fn each_inference_has_a_reason_and_two_analyses_are_compared() {
    let (videos, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = videos.path().join("corridor.mp4");
    std::fs::copy(&STANDING.video, &path).unwrap();
    for arguments in [&["--every-frame"][..], &[]] {
        let mut command = crate::server::pigweight();
        command.arg("count").arg(&path).args(["--line", &STANDING.line()]).arg("--model").arg(model());
        printed(command.args(arguments).arg("--data").arg(data.path()));
    }
    let server = Server::start_with(videos.path(), data.path(), Some(&model()), &[]);
    let id = crate::api::indexed(&server, "corridor.mp4")["id"].as_str().unwrap().to_owned();
    let runs = server.get(&format!("/api/videos/{id}/runs")).json();
    let [usual, every] = &runs.as_array().unwrap()[..] else { panic!("{runs}") };
    let [usual, every] = [usual, every].map(|run| run["id"].as_str().unwrap());
    let whole = server.get(&format!("/api/videos/{id}/runs/{usual}/schedule")).json();
    let looks = whole["inferred_frames"].as_array().unwrap();
    assert_eq!(whole["frames"], STANDING.frames);
    assert_eq!(runs[0]["frames_inferred"].as_u64().unwrap(), looks.len() as u64);
    let sum: u64 = whole["reasons"].as_object().unwrap().values().map(|looks| looks.as_u64().unwrap()).sum();
    assert_eq!(sum, looks.len() as u64);
    for reason in ["first", "last", "still", "moving", "near_line", "motion_start", "before_motion"] {
        assert!(
            whole["reasons"][reason].as_u64().is_some_and(|looks| looks > 0),
            "{reason}: {}",
            whole["reasons"]
        );
    }
    let still = format!("/api/videos/{id}/runs/{usual}/schedule?from=11.5&to=23.4");
    let still = server.get(&still).json();
    assert_eq!(still["reasons"].as_object().unwrap().keys().collect::<Vec<_>>(), ["still"]);
    let secs: Vec<f64> = still["inferred_frames"]
        .as_array()
        .unwrap()
        .iter()
        .map(|look| look["secs"].as_f64().unwrap())
        .collect();
    assert!((11..=13).contains(&secs.len()), "{secs:?}");

    let compared =
        server.get(&format!("/api/videos/{id}/runs/{usual}/compare?with={every}&points=10000")).json();
    assert!(compared["mean_absolute_difference"].as_f64().unwrap() <= 0.1, "{compared}");
    assert_eq!(compared["points"].as_array().unwrap().len() as u32, STANDING.frames);
    server.get(&format!("/api/videos/{id}/runs/{usual}/compare?with=nobody")).problem(404);
    server.get(&format!("/api/videos/{id}/runs/{usual}/compare?with={every}&from=9&to=1")).problem(400);
    server.get(&format!("/api/videos/{id}/runs/nobody/schedule")).problem(404);
}

#[test]
fn an_interval_of_ones_own_is_kept() {
    let mut command = count(&STANDING, &["--json"]);
    let text = printed(command.env("PIGWEIGHT_DETECT__INFERENCE_HZ", "5"));
    let document: Value = serde_json::from_str(&text).unwrap();
    let looked = document["inferred"].as_u64().unwrap();
    assert!(looked.abs_diff(u64::from(SECS) * 5) <= 2, "{looked}");
}

#[test]
fn another_threshold_needs_no_new_inference() {
    let kept = tempfile::tempdir().unwrap();
    let run = |data: &std::path::Path, min_score: &str| {
        let mut command = crate::server::pigweight();
        command.arg("count").arg(&STANDING.video).arg("--model").arg(model()).args(["--json", "-v"]);
        let output = command.args(["--min-score", min_score]).arg("--data").arg(data).output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{log}");
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        (document, log.contains("tracking again"))
    };
    let (usual, is_again) = run(kept.path(), "0.3");
    assert!(!is_again);
    let (higher, is_again) = run(kept.path(), "0.6");
    assert!(is_again);
    let fresh = tempfile::tempdir().unwrap();
    let (anew, is_again) = run(fresh.path(), "0.6");
    assert!(!is_again);
    assert_eq!(higher, anew, "as if the video had been read again");
    // Less was not kept: that needs the detector.
    assert!(!run(kept.path(), "0.1").1);
    assert_eq!(run(kept.path(), "0.3").0, usual, "what was counted stays");
}

#[cfg(target_os = "linux")]
#[test]
fn counting_yields_to_viewing() {
    let (videos, data) = (crate::api::folder_of(&["gop25.mp4"]), tempfile::tempdir().unwrap());
    let server = Server::start(videos.path(), data.path(), Some(&model()));
    let id = crate::api::indexed(&server, "gop25.mp4")["id"].as_str().unwrap().to_owned();
    server.wait_for_run(&id, "done");
    let threads = server.idle_threads();
    let of = |name: &str| -> Vec<bool> {
        threads.iter().filter(|(thread, _)| thread.starts_with(name)).map(|(_, idle)| *idle).collect()
    };
    for name in ["background", "job worker", "video indexer", "folder watcher"] {
        assert!(!of(name).is_empty() && of(name).iter().all(|&idle| idle), "{name}: {threads:?}");
    }
    for name in ["pigweight", "inference", "tokio", "sqlx"] {
        assert!(!of(name).is_empty() && !of(name).contains(&true), "answers do not wait: {threads:?}");
    }
}
