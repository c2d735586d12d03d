//! Cameras: live video and recordings.

use pigweight_store::RecordingMode;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use utoipa::ToSchema;

/// Cameras in the browser, by WebRTC. Without it, the page plays them over its own connection, a little later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WebRtcConfig {
    /// Whether browsers get cameras by WebRTC.
    pub enabled: bool,
    /// The UDP address that viewers connect to. Default: the address and the port of `listen`.
    #[schema(value_type = Option<String>)]
    pub listen: Option<SocketAddr>,
    /// Whether viewers may connect over TCP as well, at the address and the port of the page, where UDP doesn't get through.
    pub tcp: bool,
    /// IP addresses to tell viewers instead of the one that they opened the page at: of the router or the host, if the server is behind NAT or in a container.
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<IpAddr>,
}

impl Default for WebRtcConfig {
    fn default() -> Self {
        Self { enabled: true, listen: None, tcp: true, addresses: Vec::new() }
    }
}

/// Recordings of cameras: what they send, in files below the data folder. When there is no room, the oldest go first; what lies around crossings
/// and marks goes last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RecordingConfig {
    /// What is kept, unless a camera has a setting of its own: `all`, `marked` (what lies around crossings and marks) or `off`.
    #[serde(with = "recording_mode")]
    #[schema(value_type = String, default = "all")]
    pub mode: RecordingMode,
    /// Disk space for one camera, in 10⁹ bytes. A camera of 2 Mbit/s fills 20 in 22 hours.
    pub camera_gb: f64,
    /// Disk space for all cameras, in 10⁹ bytes. At least 2 stay free on the disk in any case.
    pub total_gb: f64,
    /// How much is kept before and after a crossing, 0 to 3600 seconds.
    pub margin_secs: f64,
    /// With the mode `marked`, how long the rest is kept, 1 to 100000 minutes.
    pub unmarked_minutes: f64,
}

impl Default for RecordingConfig {
    fn default() -> Self {
        Self {
            mode: RecordingMode::All,
            camera_gb: 20.0,
            total_gb: 100.0,
            margin_secs: 30.0,
            unmarked_minutes: 10.0,
        }
    }
}

/// The store doesn't know the words of the configuration.
mod recording_mode {
    use pigweight_store::RecordingMode;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(mode: &RecordingMode, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(mode.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<RecordingMode, D::Error> {
        let name = String::deserialize(from)?;
        let other = || de::Error::custom(format!("{name:?} is not one of \"all\", \"marked\", \"off\""));
        RecordingMode::named(&name).ok_or_else(other)
    }
}
