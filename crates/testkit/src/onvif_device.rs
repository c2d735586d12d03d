//! A camera that is found by ONVIF, in the network of a test: `fixtures/cameras/onvif_device.py`, whose head says whom it takes after.

use crate::network::Network;
use crate::script_server::ScriptServer;
use std::path::Path;

/// A running camera; dropping it ends it.
#[derive(Debug)]
pub struct OnvifDevice(#[expect(dead_code, reason = "held until it is dropped")] ScriptServer);

impl OnvifDevice {
    /// Starts a camera of this kind at the network's `number`-th address. `options` are those of the script.
    pub fn start(network: &Network, kind: &str, number: u8, options: &[&str]) -> Option<Self> {
        let own = ["--kind", kind, "--address", &Network::camera(number)].map(str::to_owned);
        let arguments = own.into_iter().chain(options.iter().map(|&option| option.to_owned()));
        let python = network.command_beyond("/usr/bin/python3");
        ScriptServer::start_by(python, "onvif_device.py", arguments, "the system's Python").map(Self)
    }
}

/// A real RTSP server at all addresses of cameras; dropping it ends it.
#[derive(Debug)]
pub struct StreamsBeyond(ScriptServer);

impl StreamsBeyond {
    /// Serves a video as `stream`, with a digest.
    pub fn start(network: &Network, video: &Path) -> Option<Self> {
        let arguments = ["--address", "0.0.0.0", "--auth", "digest"].map(str::to_owned);
        let arguments = arguments.into_iter().chain([format!("stream={}", video.display())]);
        let python = network.command_beyond("/usr/bin/python3");
        let component = "GStreamer's RTSP server (scripts/setup.sh --tests installs it)";
        ScriptServer::start_by(python, "rtsp_server.py", arguments, component).map(Self)
    }

    /// What cameras name as their stream: port and path.
    pub fn place(&self) -> String {
        format!("{}/stream", self.0.port())
    }
}
