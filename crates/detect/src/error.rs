//! Why there are no detections, in one line that says what to do next.

use crate::device::{Device, EndpointReport};
use crate::source::ModelSource;
use std::path::PathBuf;

/// The result of loading or running a model.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// See each variant's message.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is missing or unreadable.
    #[error("cannot read the model {path}: {reason}; name an ONNX file with --model FILE")]
    ModelUnreadable {
        /// The file.
        path: PathBuf,
        /// In the operating system's words.
        reason: String,
    },
    /// ONNX Runtime refused the bytes.
    #[error(
        "{model} is not a model that ONNX Runtime can load ({reason}); name an ONNX file with --model FILE"
    )]
    NotAModel {
        /// Which.
        model: ModelSource,
        /// In ONNX Runtime's words.
        reason: String,
    },
    /// It failed the trial run in a process with limits.
    #[error(
        "the model {model} failed its trial run: {reason}; export it again, or name another one with --model FILE"
    )]
    TrialFailed {
        /// The model.
        model: ModelSource,
        /// What happened.
        reason: String,
    },
    /// The shapes fit no layout.
    #[error(
        "the model {model} has inputs and outputs that are not understood: found {found}; understood are \
         {understood}; if it is one of these, name its head with `detect.head` in the configuration"
    )]
    UnknownLayout {
        /// The model.
        model: String,
        /// Names and shapes as found.
        found: String,
        /// The supported layouts.
        understood: &'static str,
    },
    /// A wanted class is not among the model's.
    #[error("the model {model} has no class \"{class}\"; it has {found}")]
    UnknownClass {
        /// Which.
        model: ModelSource,
        /// The requested class.
        class: String,
        /// The model's own names.
        found: String,
    },
    /// The shared library of ONNX Runtime.
    #[error(
        "cannot load ONNX Runtime from {path}: {reason}; run scripts/setup.sh, or name the library in ORT_DYLIB_PATH"
    )]
    RuntimeUnusable {
        /// The library that was tried.
        path: PathBuf,
        /// In the loader's words.
        reason: String,
    },
    /// No library anywhere.
    #[error(
        "ONNX Runtime was not found beside the program, in lib/ or in .tools/onnxruntime; run scripts/setup.sh, or name the \
         library in ORT_DYLIB_PATH"
    )]
    RuntimeMissing,
    /// A run failed.
    #[error("running the model failed: {reason}")]
    Run {
        /// In ONNX Runtime's words.
        reason: String,
    },
    /// A run returned other outputs than the first one.
    #[error(
        "the model's outputs have other shapes than when it was loaded: {reason}; export it with fixed sizes, and name the file with --model"
    )]
    Outputs {
        /// The outputs now and before.
        reason: String,
    },
    /// The outputs aren't numbers.
    #[error(
        "the model {model} gives no finite number in any of its {rows} rows; it is broken or was exported wrongly: try it with \
         `pigweight detect`, and name another with --model FILE"
    )]
    NotFinite {
        /// Its name.
        model: String,
        /// Of one picture.
        rows: usize,
    },
    /// The named device isn't there.
    #[error(
        "the device {device} cannot be used: {reason}; {}, or let the processor do it with `detect.device = \"cpu\"`",
        advice(*.device)
    )]
    DeviceAbsent {
        /// Which.
        device: Device,
        /// In ONNX Runtime's words, or PigWeight's.
        reason: String,
    },
    /// The device was there, and has failed.
    #[error(
        "the device {device} does not work any more: {reason}; see what its driver logs, and start the program again"
    )]
    DeviceLost {
        /// Which.
        device: Device,
        /// In ONNX Runtime's words.
        reason: String,
    },
    /// A newer picture of the same client took its place in the queue.
    #[error("the picture was passed over for a newer one")]
    PassedOver,
    /// The configuration of servers is invalid.
    #[error("{reason}; see detect.remote in docs/reference/config.md")]
    RemoteSettings {
        /// What is wrong.
        reason: String,
    },
    /// No server responds as expected.
    #[error(
        "no inference server can run the detector: {reason}; start one, or let this machine take over with \
         `detect.remote.fallback = \"local\"`"
    )]
    RemoteGone {
        /// Server by server.
        reason: String,
        /// The state of each.
        endpoints: Vec<EndpointReport>,
    },
    /// The model on the servers is another one than at the start.
    #[error(
        "the model on the inference servers has changed: {reason}; put the earlier one back, or start the program again to count with \
         the new one"
    )]
    RemoteChanged {
        /// Server by server.
        reason: String,
    },
}

impl Error {
    /// A short name that doesn't change with the message.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ModelUnreadable { .. } => "model_unreadable",
            Self::NotAModel { .. } => "not_a_model",
            Self::TrialFailed { .. } => "model_trial_failed",
            Self::UnknownLayout { .. } => "unknown_layout",
            Self::UnknownClass { .. } => "unknown_class",
            Self::RuntimeUnusable { .. } => "runtime_unusable",
            Self::RuntimeMissing => "runtime_missing",
            Self::Run { .. } => "model_failed",
            Self::Outputs { .. } => "model_outputs_changed",
            Self::NotFinite { .. } => "model_not_finite",
            Self::DeviceAbsent { .. } => "device_absent",
            Self::DeviceLost { .. } => "device_lost",
            Self::PassedOver => "passed_over",
            Self::RemoteSettings { .. } => "remote_settings",
            Self::RemoteGone { .. } => "remote_gone",
            Self::RemoteChanged { .. } => "remote_changed",
        }
    }

    /// Whether the error is transient: it says nothing about the picture or the model.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::DeviceLost { .. } | Self::RemoteGone { .. } | Self::RemoteChanged { .. })
    }
}

fn advice(device: Device) -> &'static str {
    match device {
        Device::Cuda | Device::Tensorrt => {
            "name a library with it in ORT_DYLIB_PATH and its driver's libraries in LD_LIBRARY_PATH as docs/guide/devices.md says"
        }
        Device::Openvino => "name a library with it in ORT_DYLIB_PATH as docs/guide/devices.md says",
        Device::Cpu | Device::Remote => "docs/guide/devices.md says how",
    }
}
