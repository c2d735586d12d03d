//! A camera over HTTP for tests: `fixtures/cameras/mjpeg_server.py`, whose head names its paths.

use crate::script_server::ScriptServer;
use std::path::Path;

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct MjpegServer(ScriptServer);

impl MjpegServer {
    /// Plays a video to everyone who connects. `options` are those of the script. `None`, reported as skipped, without the system's Python.
    ///
    /// # Panics
    /// If the script starts and doesn't say its port.
    pub fn start(options: &[&str], video: &Path) -> Option<Self> {
        let video = video.display().to_string();
        let arguments = options.iter().map(|&option| option.to_owned()).chain([video]);
        ScriptServer::start("mjpeg_server.py", arguments, "ffmpeg").map(Self)
    }

    /// The address of a path.
    pub fn address(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.0.port())
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.0.port()
    }
}
