//! A detector on inference servers gives the same counts as on this machine, whatever happens to the servers.

use crate::counting::count;
use crate::drawn::{Corridor, printed};
use crate::inference_server::InferenceServer;
use crate::server::{Server, model, pigweight, root};
use serde_json::Value;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;

static CORRIDOR: LazyLock<Corridor> = LazyLock::new(|| Corridor::draw(4, 34, false));

fn fixture(name: &str) -> PathBuf {
    root().canonicalize().unwrap().join(format!("fixtures/models/{name}.onnx"))
}

/// What makes a command or a server ask there.
fn asking(url: &str, name: &str) -> Vec<(&'static str, String)> {
    vec![
        ("PIGWEIGHT_DETECT__DEVICE", "remote".to_owned()),
        ("PIGWEIGHT_DETECT__REMOTE__ENDPOINTS", format!("[\"{url}\"]")),
        ("PIGWEIGHT_DETECT__REMOTE__MODEL", name.to_owned()),
        ("PIGWEIGHT_DETECT__REMOTE__PATIENCE_SECS", "1".to_owned()),
    ]
}

fn boxes(file: Option<&Path>, settings: &[(&str, String)]) -> Value {
    let mut command = pigweight();
    command.args(["detect", "--json", "--min-score", "0.1"]).arg(root().join("fixtures/pictures/golden.png"));
    command.envs(settings.iter().map(|(key, value)| (*key, value.as_str())));
    if let Some(file) = file {
        command.arg("--model").arg(file);
    }
    serde_json::from_str(&printed(&mut command)).unwrap()
}

/// Pairs by place and score: heads that choose the best may give rows in another order.
fn assert_same_boxes(here: &Value, there: &Value, name: &str) {
    let sorted = |found: &Value| {
        let mut rows: Vec<(String, Vec<f64>, f64)> = found[0]["detections"]
            .as_array()
            .unwrap()
            .iter()
            .map(|found| {
                let px = found["box"].as_array().unwrap().iter().map(|px| px.as_f64().unwrap()).collect();
                (found["class"].as_str().unwrap().to_owned(), px, found["score"].as_f64().unwrap())
            })
            .collect();
        rows.sort_by(|one, other| one.1[0].total_cmp(&other.1[0]).then(one.1[1].total_cmp(&other.1[1])));
        rows
    };
    let (here, there) = (sorted(here), sorted(there));
    assert!(!here.is_empty(), "{name}");
    assert_eq!(here.len(), there.len(), "{name}");
    for (here, there) in here.iter().zip(&there) {
        let is_near = here.1.iter().zip(&there.1).all(|(one, other)| (one - other).abs() < 0.05);
        assert!(
            here.0 == there.0 && is_near && (here.2 - there.2).abs() < 0.0015,
            "{name}: {here:?}, {there:?}"
        );
    }
}

/// Servers infer the border too.
fn whole() -> (&'static str, String) {
    ("PIGWEIGHT_DETECT__TRIM_BORDER", "false".to_owned())
}

#[test]
fn boxes_are_the_same_wherever_the_model_runs() {
    let models: [(&str, PathBuf, &str); 5] = [
        ("starter", root().canonicalize().unwrap().join("models/pigs-640x384.onnx"), ""),
        ("yolov8", fixture("yolov8"), "[\"sow\", \"piglet\"]"),
        ("yolov8-seg", fixture("yolov8-seg"), "[\"sow\", \"piglet\"]"),
        ("end_to_end", fixture("end_to_end"), "[\"pig\", \"person\"]"),
        ("detr", fixture("detr"), ""),
    ];
    let served: Vec<(&str, &str, &Path)> =
        models.iter().map(|(name, file, _)| (*name, "1", file.as_path())).collect();
    let Some(mlserver) = InferenceServer::mlserver(&served) else { return };
    for (name, file, classes) in &models {
        // Servers do not tell classes' names.
        let named = (!classes.is_empty()).then(|| ("PIGWEIGHT_DETECT__CLASS_NAMES", (*classes).to_owned()));
        let here = boxes(Some(file), &named.iter().cloned().chain([whole()]).collect::<Vec<_>>());
        let there: Vec<_> = asking(&mlserver.url(), name).into_iter().chain(named).collect();
        assert_same_boxes(&here, &boxes(None, &there), name);
    }
    drop(mlserver);
    let (name, file, _) = &models[0];
    let Some(triton) = InferenceServer::triton(name, file) else { return };
    assert_same_boxes(&boxes(Some(file), &[whole()]), &boxes(None, &asking(&triton.url(), name)), "Triton");
    triton.stop();
}

/// The numbers of a run that must not differ.
fn numbers(run: &Value) -> [Value; 4] {
    [&run["frames_done"], &run["frames_inferred"], &run["count"]["mean"], &run["count"]["max"]]
        .map(Value::clone)
}

/// The same from the command that counts on this machine.
static HERE: LazyLock<[Value; 4]> = LazyLock::new(|| {
    let text = printed(count(&CORRIDOR, &["--every-frame", "--json"]).env("PIGWEIGHT_DETECT__DEVICE", "cpu"));
    let document: Value = serde_json::from_str(&text).unwrap();
    [&document["frames"], &document["inferred"], &document["count"]["mean"], &document["count"]["max"]]
        .map(Value::clone)
});

struct Counting {
    server: Server,
    id: String,
    _folders: [tempfile::TempDir; 2],
}

/// A server that counts the corridor on every frame, with its line.
fn start_counting(settings: &[(&str, String)], file: Option<&Path>) -> Counting {
    let (videos, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::copy(&CORRIDOR.video, videos.path().join("corridor.mp4")).unwrap();
    let every = ("PIGWEIGHT_DETECT__INFERENCE_HZ", "0");
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(key, value)| (*key, value.as_str())).chain([every]).collect();
    let server = Server::start_asking(videos.path(), data.path(), file, &settings);
    let id = crate::api::indexed(&server, "corridor.mp4")["id"].as_str().unwrap().to_owned();
    Counting { server, id, _folders: [videos, data] }
}

impl Counting {
    fn run(&self) -> Value {
        self.server.video("corridor.mp4")["run"].clone()
    }

    /// Asks until it is so.
    fn wait_until(&self, is_so: impl Fn(&Value) -> bool) -> Value {
        loop {
            let health = self.server.get("/api/health").json();
            if is_so(&health) {
                return health;
            }
            crate::server::pause();
        }
    }
}

#[test]
fn a_server_killed_during_a_run_neither_loses_nor_repeats_frames() {
    let marked = model().canonicalize().unwrap();
    let Some(mut there) = InferenceServer::mlserver(&[("pigs", "1", &marked)]) else { return };
    let counting = start_counting(&asking(&there.url(), "pigs"), None);
    let health = counting.server.get("/api/health").json();
    assert_eq!((&health["status"], &health["device"]["name"]), (&"ok".into(), &"remote".into()), "{health}");
    assert!(health["model"]["path"].as_str().unwrap().contains(&there.url()), "{health}");
    counting.server.wait_for_run(&counting.id, "running");
    there.kill();
    let health = counting.wait_until(|health| health["status"] == "degraded");
    assert!(health["message"].as_str().unwrap().contains(&there.url()), "{health}");
    assert!(health["endpoints"][0]["trouble"].is_string(), "{health}");
    counting.wait_until(|_| counting.run()["error"].is_string());
    let run = counting.run();
    assert_eq!(run["state"], "queued", "{run}");
    assert!(run["error"].as_str().unwrap().contains("no inference server"), "{run}");
    let metrics = String::from_utf8(counting.server.get("/metrics").bytes).unwrap();
    let url = there.url();
    for line in [
        format!("pigweight_inference_server_up{{endpoint=\"{url}\"}} 0"),
        format!("pigweight_inference_server_requests_total{{endpoint=\"{url}\",outcome=\"answered\"}}"),
        format!("pigweight_inference_server_requests_total{{endpoint=\"{url}\",outcome=\"failed\"}}"),
    ] {
        assert!(metrics.contains(&line), "{line} is missing in {metrics}");
    }
    let question = format!("/api/video_file/count_at_time?id={}&t=33", counting.id);
    assert!(counting.server.get(&question).problem(503).contains(&there.url()));
    // Videos are shown all the same.
    let frame = format!("/api/video_file/frame_optimized?id={}&t=1&inference=false", counting.id);
    assert_eq!(counting.server.get(&frame).status, 200);

    // Another version comes in its place: nothing of it gets into the run.
    there.serve(&[("pigs", "2", &marked)]);
    let health = counting.wait_until(|health| {
        health["message"].as_str().is_some_and(|message| message.contains("has changed"))
    });
    assert!(health["message"].as_str().unwrap().contains("start the program again"), "{health}");
    assert!(counting.run()["frames_done"].as_u64().unwrap() < u64::from(CORRIDOR.frames));

    there.serve(&[("pigs", "1", &marked)]);
    counting.server.wait_for_run(&counting.id, "done");
    let run = counting.run();
    assert_eq!(numbers(&run), *HERE, "{run}");
    assert_eq!((&run["device"], &run["error"]), (&"remote".into(), &Value::Null));
    assert_eq!(counting.wait_until(|health| health["status"] == "ok")["message"], Value::Null);
}

#[test]
fn counting_starts_when_an_inference_server_missing_at_startup_appears() {
    let marked = model().canonicalize().unwrap();
    let Some(mut there) = InferenceServer::mlserver(&[("pigs", "1", &marked)]) else { return };
    there.kill();
    let counting = start_counting(&asking(&there.url(), "pigs"), None);
    let health = counting.server.get("/api/health").json();
    assert_eq!((&health["status"], &health["device"]), (&"no_model".into(), &Value::Null), "{health}");
    assert!(health["endpoints"][0]["trouble"].is_string(), "{health}");
    assert!(health["message"].as_str().unwrap().contains(&there.url()), "{health}");
    let frame = format!("/api/video_file/frame_optimized?id={}&t=1&inference=false", counting.id);
    assert_eq!(counting.server.get(&frame).status, 200);
    there.serve(&[("pigs", "1", &marked)]);
    let health = counting.wait_until(|health| health["status"] == "ok");
    assert_eq!(health["endpoints"][0]["trouble"], Value::Null, "{health}");
    counting.server.wait_for_run(&counting.id, "done");
    assert_eq!(numbers(&counting.run()), *HERE);
}

/// A port without a server: it closes every connection, and can wait for a number of them.
struct Silent(TcpListener);

impl Silent {
    fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }

    fn wait_for_calls(&self, calls: usize) {
        self.0.incoming().take(calls).for_each(drop);
    }
}

#[test]
fn a_server_that_is_missing_from_the_start_is_named_everywhere() {
    let silent = Silent::new();
    let url = silent.url();
    std::thread::spawn(move || silent.wait_for_calls(usize::MAX));
    let counting = start_counting(&asking(&url, "pigs"), None);
    let health = counting.server.get("/api/health").json();
    assert_eq!(health["endpoints"][0]["url"], *url, "{health}");
    assert!(health["endpoints"][0]["trouble"].is_string(), "{health}");
    let metrics = String::from_utf8(counting.server.get("/metrics").bytes).unwrap();
    let down = format!("pigweight_inference_server_up{{endpoint=\"{url}\"}} 0");
    assert!(metrics.contains(&down), "{metrics}");
    // The queue is empty for a reason.
    let jobs = counting.server.get("/api/jobs").json();
    assert_eq!((&jobs["jobs"], &jobs["without_job"]), (&serde_json::json!([]), &1.into()), "{jobs}");
    assert!(jobs["error"].as_str().unwrap().contains(&url), "{jobs}");
    let data = &counting.server.data;
    let stdout = printed(pigweight().arg("jobs").arg("--data").arg(data));
    assert!(stdout.contains(&url) && stdout.contains("1 video without a job"), "{stdout}");
}

#[test]
fn servers_that_stay_missing_are_logged_once() {
    let silent = Silent::new();
    let (videos, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut command = pigweight();
    command.args(["serve", "--listen", "127.0.0.1:0", "--videos"]).arg(videos.path());
    command.arg("--data").arg(data.path());
    command.envs(asking(&silent.url(), "pigs"));
    let mut serving = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // Each attempt connects twice at most.
    silent.wait_for_calls(6);
    serving.kill().unwrap();
    let said = String::from_utf8(serving.wait_with_output().unwrap().stderr).unwrap();
    assert_eq!(said.lines().filter(|line| line.contains(&silent.url())).count(), 1, "{said}");
}

#[test]
fn local_inference_replaces_a_killed_server_if_configured() {
    let marked = model().canonicalize().unwrap();
    let Some(mut there) = InferenceServer::mlserver(&[("pigs", "1", &marked)]) else { return };
    let mut settings = asking(&there.url(), "pigs");
    settings.push(("PIGWEIGHT_DETECT__REMOTE__FALLBACK", "local".to_owned()));
    let counting = start_counting(&settings, Some(&marked));
    counting.server.wait_for_run(&counting.id, "running");
    assert_eq!(counting.run()["device"], "remote");
    there.kill();
    counting.server.wait_for_run(&counting.id, "done");
    let run = counting.run();
    assert_eq!(numbers(&run), *HERE, "{run}");
    assert_eq!(run["device"], "cpu, remote");
    let health = counting.server.get("/api/health").json();
    assert_eq!(
        (&health["status"], &health["device"]["name"]),
        (&"degraded".into(), &"cpu".into()),
        "{health}"
    );
    assert!(health["message"].as_str().unwrap().contains("this machine runs the detector (cpu)"), "{health}");
}
