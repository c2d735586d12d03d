//! A real server for a test: the built binary on a free port, with folders of its own.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where no ONNX Runtime lies.
pub const NO_RUNTIME: &str = "/nowhere/libonnxruntime.so";

/// Stopped when dropped.
pub struct Server {
    process: Child,
    pub address: String,
    pub data: PathBuf,
}

/// A model made for the tests: it finds the pigs that the renderer draws with marks.
pub fn model() -> PathBuf {
    root().join("fixtures/models/drawn-pigs.onnx")
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Between two questions whether something has happened. Background work gives way to whoever asks: asked without a pause, two servers beside each other
/// would come to nothing else on two cores.
pub fn pause() {
    std::thread::park_timeout(std::time::Duration::from_millis(20));
}

/// The built binary, started where ONNX Runtime is found.
pub fn pigweight() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pigweight"));
    command.current_dir(root());
    command
}

impl Server {
    /// Serves `videos`; `model` as on the command line. Without one there is no ONNX Runtime either, so nothing is counted.
    pub fn start(videos: &Path, data: &Path, model: Option<&Path>) -> Self {
        Self::start_with(videos, data, model, &[])
    }

    /// The same with settings from the environment.
    pub fn start_with(videos: &Path, data: &Path, model: Option<&Path>, settings: &[(&str, &str)]) -> Self {
        if model.is_some() {
            return Self::start_asking(videos, data, model, settings);
        }
        let settings: Vec<_> = settings.iter().copied().chain([("ORT_DYLIB_PATH", NO_RUNTIME)]).collect();
        Self::start_asking(videos, data, None, &settings)
    }

    /// The same where the detector may be elsewhere than on this machine.
    pub fn start_asking(videos: &Path, data: &Path, model: Option<&Path>, settings: &[(&str, &str)]) -> Self {
        let mut command = pigweight();
        command.envs(settings.iter().copied());
        command.args(["serve", "--listen", "127.0.0.1:0", "--videos"]).arg(videos).arg("--data").arg(data);
        if let Some(model) = model {
            command.arg("--model").arg(model);
        }
        let mut process = command.stdout(Stdio::piped()).spawn().expect("the binary starts");
        // The address is printed once it listens.
        let stdout = process.stdout.take().expect("stdout is piped");
        let mut lines = BufReader::new(stdout).lines();
        let address = lines
            .find_map(|line| {
                line.ok()?
                    .split_once("PigWeight is at http://")
                    .map(|(_, rest)| rest.trim_end_matches('/').to_owned())
            })
            .expect("the server prints its address");
        Self { process, address, data: data.to_owned() }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], None)
    }

    /// Status, headers and body, whatever the status.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Answer {
        let json = [("content-type", "application/json")];
        let headers: Vec<_> = headers.iter().chain(json.iter().filter(|_| body.is_some())).copied().collect();
        self.send(method, path, &headers, body.map(str::as_bytes))
    }

    /// The same with bytes of any kind.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut request = ureq::http::Request::builder().method(method).uri(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = match body {
            Some(body) => agent.run(request.body(body).expect("a sound request")),
            None => agent.run(request.body(()).expect("a sound request")),
        };
        let mut response = response.expect("the server answers");
        let mut bytes = Vec::new();
        response.body_mut().as_reader().read_to_end(&mut bytes).expect("the answer is whole");
        let headers = response.headers().clone();
        Answer { status: response.status().as_u16(), headers, bytes }
    }

    /// The video of this name as the list has it.
    pub fn video(&self, name: &str) -> serde_json::Value {
        let list = self.get("/api/videos").json();
        let found = list.as_array().expect("a list").iter().find(|video| video["name"] == name);
        found.unwrap_or_else(|| panic!("{name} is not in {list}")).clone()
    }

    /// Waits until the video is `state`, told by the server's own pushes.
    pub fn wait_for_run(&self, id: &str, state: &str) -> serde_json::Value {
        let (mut socket, _) =
            tungstenite::connect(format!("ws://{}/ws/count?id={id}", self.address)).expect("a WebSocket");
        loop {
            let message = socket.read().expect("a push");
            let Ok(text) = message.to_text() else { continue };
            let Ok(update) = serde_json::from_str::<serde_json::Value>(text) else { continue };
            assert_eq!(update["type"], "count_update");
            if update["state"] == state {
                return update;
            }
            assert_ne!(update["state"], "failed", "{update}");
        }
    }

    /// Its threads: what each is called, and whether it is scheduled as idle.
    pub fn idle_threads(&self) -> Vec<(String, bool)> {
        const SCHED_IDLE: &str = "5";
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).expect("it runs");
        let priorities = threads.filter_map(|thread| {
            // One that has ended meanwhile is none.
            let stat = std::fs::read_to_string(thread.ok()?.path().join("stat")).ok()?;
            let (head, rest) = stat.rsplit_once(") ")?;
            // Field 41 of proc(5), counted from the third.
            Some((head.split_once('(')?.1.to_owned(), rest.split_whitespace().nth(38)? == SCHED_IDLE))
        });
        priorities.collect()
    }

    /// Processes that read videos for it now.
    pub fn workers(&self) -> Vec<u32> {
        let children = format!("/proc/{0}/task", self.process.id());
        let threads = std::fs::read_dir(children).expect("it runs").filter_map(Result::ok);
        let children =
            threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
        let pids = children.flat_map(|list| {
            list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()
        });
        pids.filter(|pid| {
            std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.ends_with(b"\0worker\0"))
        })
        .collect()
    }

    /// Files, sockets and pipes that it has open.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.process.id())).expect("it runs").count()
    }

    /// Memory that it has now.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("proc(5) has it");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib << 10
    }

    /// As systemd does it; it ends well, and sooner than systemd would lose patience.
    pub fn stop(mut self) {
        let started = std::time::Instant::now();
        let message =
            Command::new("kill").arg(self.process.id().to_string()).status().expect("kill is there");
        assert!(message.success());
        assert!(self.process.wait().expect("it ends").success());
        assert!(started.elapsed().as_secs() < 30, "it ended after {:?}", started.elapsed());
    }

    /// As `kill -9` does it.
    pub fn kill(mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone after `kill`.
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.bytes)))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// Asserts a problem document and gives its advice.
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.bytes));
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        problem["detail"].as_str().expect("a detail").to_owned()
    }
}
