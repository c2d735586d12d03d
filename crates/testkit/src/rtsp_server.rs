//! A real RTSP server for tests: GStreamer's, started by `fixtures/cameras/rtsp_server.py`.

use crate::component::skip_without;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct RtspServer {
    process: Child,
    /// The server ends when this is closed, so it can't outlive the test.
    _lifeline: Option<ChildStdin>,
    port: u16,
}

impl RtspServer {
    /// Serves videos under their names, on a free port. `options` are those of the script. `None`, reported as skipped, if GStreamer's server
    /// isn't installed.
    ///
    /// # Panics
    /// If the script starts and doesn't say its port.
    pub fn start(options: &[&str], videos: &[(&str, PathBuf)]) -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/cameras/rtsp_server.py");
        let spawned = Command::new("/usr/bin/python3")
            .arg(script)
            .args(options)
            .args(videos.iter().map(|(name, path)| format!("{name}={}", path.display())))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut process) = spawned else {
            skip_without("the system's Python");
            return None;
        };
        let mut line = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut line).expect("its output is text");
        }
        let Some(port) = line.trim().strip_prefix("port ") else {
            let _ended = process.kill();
            let _ended = process.wait();
            skip_without("GStreamer's RTSP server (scripts/setup.sh --tests installs it)");
            return None;
        };
        let port = port.parse().expect("a port");
        let lifeline = process.stdin.take();
        Some(Self { process, _lifeline: lifeline, port })
    }

    /// The address of a video.
    pub fn address(&self, name: &str) -> String {
        format!("rtsp://127.0.0.1:{}/{name}", self.port)
    }

    /// The port, to start another in its place.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for RtspServer {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _ended = self.process.wait();
    }
}
