//! A real RTSP server for tests: GStreamer's, started by `fixtures/cameras/rtsp_server.py`.

use crate::script_server::ScriptServer;
use std::path::PathBuf;

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct RtspServer(ScriptServer);

impl RtspServer {
    /// Serves videos under their names, on a free port. `options` are those of the script. `None`, reported as skipped, if GStreamer's server
    /// isn't installed.
    ///
    /// # Panics
    /// If the script starts and doesn't say its port.
    pub fn start(options: &[&str], videos: &[(&str, PathBuf)]) -> Option<Self> {
        let options = options.iter().map(|&option| option.to_owned());
        let videos = videos.iter().map(|(name, path)| format!("{name}={}", path.display()));
        let component = "GStreamer's RTSP server (scripts/setup.sh --tests installs it)";
        ScriptServer::start("rtsp_server.py", options.chain(videos), component).map(Self)
    }

    /// The address of a video.
    pub fn address(&self, name: &str) -> String {
        format!("rtsp://127.0.0.1:{}/{name}", self.0.port())
    }

    /// The port, to start another in its place.
    pub fn port(&self) -> u16 {
        self.0.port()
    }
}
