//! The device is reported as measured: a named device that is missing is an error, and `auto` reports what it tried.

use crate::counting::count;
use crate::drawn::Corridor;
use crate::server::{Server, model, pigweight, root};
use serde_json::Value;
use std::process::Output;

/// If this library has the device, it runs instead of saying why it can't.
#[expect(clippy::print_stdout, reason = "a test that passes over something says so")]
fn is_present(output: &Output, device: &str) -> bool {
    if output.status.success() {
        println!("not tried: this machine has {device}, so its absence cannot be tested");
    }
    output.status.success()
}

#[test]
fn a_missing_named_device_is_an_error_that_says_what_to_do() {
    let picture = root().join("fixtures/pictures/golden.png");
    for device in ["cuda", "tensorrt", "openvino"] {
        let output = pigweight().args(["detect", "--device", device]).arg(&picture).output().unwrap();
        if is_present(&output, device) {
            continue;
        }
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 1), "{stderr}");
        for words in [device, "ORT_DYLIB_PATH", "docs/guide/devices.md", "detect.device"] {
            assert!(stderr.contains(words), "{words:?} is missing in: {stderr}");
        }
        // A server does not begin to count with something else.
        let folder = tempfile::tempdir().unwrap();
        let mut serve = pigweight();
        serve.args(["serve", "--listen", "127.0.0.1:0", "--device", device, "--data"]).arg(folder.path());
        let output = serve.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stderr).contains(device));
    }
}

#[test]
fn a_gpu_finds_what_the_processor_finds() {
    let boxes = |device: &str| {
        let mut command = pigweight();
        command.args(["detect", "--json", "--min-score", "0.1", "--device", device]);
        command.arg(root().join("fixtures/pictures/golden.png")).output().unwrap()
    };
    let here: Value = serde_json::from_slice(&boxes("cpu").stdout).unwrap();
    let here = here[0]["detections"].as_array().unwrap().clone();
    for device in ["cuda", "tensorrt", "openvino"] {
        let output = boxes(device);
        if !output.status.success() {
            // Hardware is no component that can be installed.
            println!("not tried: {}", String::from_utf8_lossy(&output.stderr).trim());
            continue;
        }
        let there: Value = serde_json::from_slice(&output.stdout).unwrap();
        let there = there[0]["detections"].as_array().unwrap();
        assert_eq!(here.len(), there.len(), "{device}");
        for (one, other) in here.iter().zip(there) {
            let apart = (one["score"].as_f64().unwrap() - other["score"].as_f64().unwrap()).abs();
            assert!(apart < 0.02, "{device}: {one}, {other}");
        }
    }
}

#[test]
fn the_inference_device_is_reported_everywhere() {
    let corridor = Corridor::draw(4, 4, false);
    let (videos, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::copy(&corridor.video, videos.path().join("corridor.mp4")).unwrap();
    let server = Server::start(videos.path(), data.path(), Some(&model()));
    let health = server.get("/api/health").json();
    let device = &health["device"];
    let name = device["name"].as_str().unwrap();
    assert!(["cpu", "cuda"].contains(&name), "{health}");
    let tried = device["tried"].as_array().unwrap();
    assert_eq!(tried.len(), usize::from(name == "cpu"), "{health}");
    assert!(tried.iter().all(|tried| tried.as_str().unwrap().starts_with("cuda: ")), "{health}");
    assert!(device["inference_ms"].as_f64().unwrap() > 0.0);
    assert_eq!((&health["status"], &health["message"]), (&"ok".into(), &Value::Null), "that is no trouble");
    let metrics = String::from_utf8(server.get("/metrics").bytes).unwrap();
    assert!(metrics.contains(&format!("pigweight_device{{device=\"{name}\"}} 1")), "{metrics}");
    assert!(metrics.contains("pigweight_device{device=\"remote\"} 0"), "{metrics}");
    let id = crate::api::indexed(&server, "corridor.mp4")["id"].as_str().unwrap().to_owned();
    server.wait_for_run(&id, "done");
    assert_eq!(server.video("corridor.mp4")["run"]["device"], name);
}

#[test]
fn asking_again_on_another_device_costs_a_read() {
    let corridor = Corridor::draw(4, 4, false);
    let data = tempfile::tempdir().unwrap();
    let ask = |settings: &[(&str, &str)]| {
        let mut command = count(&corridor, &["--json", "-v", "--data"]);
        let output = command.arg(data.path()).envs(settings.iter().copied()).output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{log}");
        (serde_json::from_slice::<Value>(&output.stdout).unwrap(), log.contains("checkpoint written"))
    };
    let (first, was_counted) = ask(&[("PIGWEIGHT_DETECT__DEVICE", "cpu")]);
    assert!(was_counted);
    // No server listens there, and none is needed.
    let (again, was_counted) = ask(&[
        ("PIGWEIGHT_DETECT__DEVICE", "remote"),
        ("PIGWEIGHT_DETECT__REMOTE__ENDPOINTS", "[\"http://127.0.0.1:9\"]"),
        ("PIGWEIGHT_DETECT__REMOTE__MODEL", "pigs"),
        ("PIGWEIGHT_DETECT__REMOTE__FALLBACK", "local"),
    ]);
    assert!(!was_counted, "what one device has counted another need not count again");
    assert_eq!(first, again);
}

#[test]
fn a_model_in_8_bit_integers_is_a_model_like_others() {
    let found = |name: &str| {
        let mut command = pigweight();
        command.args(["detect", "--json", "--min-score", "0.5", "--model"]);
        command.arg(root().join(format!("fixtures/models/{name}.onnx")));
        let output = command.arg(root().join("fixtures/pictures/golden.png")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let pictures: Value = serde_json::from_slice(&output.stdout).unwrap();
        let found = pictures[0]["detections"].as_array().unwrap().iter();
        let px = |found: &Value, side: usize| found["box"][side].as_f64().unwrap();
        found.map(|found| [px(found, 0), px(found, 1), px(found, 2), px(found, 3)]).collect::<Vec<_>>()
    };
    let (whole, small) = (found("yolov8"), found("yolov8-int8"));
    let is_near = |one: &[f64; 4], other: &[f64; 4]| {
        one.iter().zip(other).all(|(one, other)| (one - other).abs() < 4.0)
    };
    let met = whole.iter().filter(|one| small.iter().any(|other| is_near(one, other))).count();
    assert!(met * 10 >= whole.len() * 9 && whole.len() > 10, "{met} of {}", whole.len());
}
