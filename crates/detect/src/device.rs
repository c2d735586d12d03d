//! Devices: the requested one, and the one that runs.
//!
//! The device is reported as measured: a named device that is missing is an error, and `auto` reports what it tried.

use crate::remote::RemoteSettings;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// The requested device, as in the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// The best available: CUDA, else the processor. TensorRT, OpenVINO and servers are used only if named.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
    /// An NVIDIA GPU with engines built once, which takes minutes.
    Tensorrt,
    /// Intel's OpenVINO on the processor.
    Openvino,
    /// Inference servers (`detect.remote`).
    Remote,
}

impl DeviceChoice {
    /// All names.
    pub const NAMES: [&str; 6] = ["auto", "cpu", "cuda", "tensorrt", "openvino", "remote"];
}

impl std::str::FromStr for DeviceChoice {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Ok(match name {
            "auto" => Self::Auto,
            "cpu" => Self::Cpu,
            "cuda" => Self::Cuda,
            "tensorrt" => Self::Tensorrt,
            "openvino" => Self::Openvino,
            "remote" => Self::Remote,
            _ => return Err(format!("name one of {}", Self::NAMES.join(", "))),
        })
    }
}

/// The device that runs the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Device {
    /// The processor.
    Cpu,
    /// ONNX Runtime's CUDA.
    Cuda,
    /// ONNX Runtime's TensorRT.
    Tensorrt,
    /// ONNX Runtime's OpenVINO.
    Openvino,
    /// An inference server.
    Remote,
}

impl Device {
    /// Its name in runs, metrics and the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Tensorrt => "tensorrt",
            Self::Openvino => "openvino",
            Self::Remote => "remote",
        }
    }

    /// Whether a batch costs less than single pictures.
    pub(crate) fn gains_by_batches(self) -> bool {
        matches!(self, Self::Cuda | Self::Tensorrt | Self::Remote)
    }

    /// Parallel sessions, where a processor would have `workers`: a GPU needs a second one only to have work
    /// while pictures are prepared for the first.
    pub(crate) fn sessions(self, workers: usize) -> usize {
        match self {
            Self::Cpu | Self::Openvino | Self::Remote => workers,
            Self::Cuda | Self::Tensorrt => workers.min(2),
        }
        .max(1)
    }
}

impl fmt::Display for Device {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Where a model should run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DeviceSettings {
    /// The requested device.
    pub choice: DeviceChoice,
    /// Where a device stores what it builds from a model, so that it builds it once.
    pub engines: Option<PathBuf>,
    /// Largest batch; `None`: as many as the device gains from.
    pub batch: Option<usize>,
    /// The servers.
    pub remote: RemoteSettings,
}

/// The state of a device.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceReport {
    /// The device in use.
    pub device: Device,
    /// Largest batch.
    pub batch: usize,
    /// What `auto` tried first, and why it isn't used.
    pub tried: Vec<String>,
    /// The servers.
    pub endpoints: Vec<EndpointReport>,
    /// What is wrong and how to fix it.
    pub trouble: Option<String>,
}

/// The state of a server.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointReport {
    /// As in the configuration.
    pub url: String,
    /// Why it isn't used; `None` if it is.
    pub trouble: Option<String>,
    /// Successful responses.
    pub answered: u64,
    /// Failed requests, including wrong responses.
    pub failed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_the_same_name_everywhere() {
        for name in DeviceChoice::NAMES {
            let choice: DeviceChoice = name.parse().expect("it is one");
            assert_eq!(serde_json::to_value(choice).expect("it is written"), name);
        }
        assert!("gpu".parse::<DeviceChoice>().is_err_and(|message| message.contains("cuda")));
    }

    #[test]
    fn a_gpu_is_not_divided_among_all_cores() {
        assert_eq!(
            [Device::Cpu, Device::Cuda, Device::Tensorrt].map(|device| device.sessions(16)),
            [16, 2, 2]
        );
        assert_eq!(Device::Cuda.sessions(0), 1);
    }
}
