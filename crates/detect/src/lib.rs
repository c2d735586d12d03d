//! Frames → detections.
//!
//! A [`Model`] is any YOLO-like ONNX file, the starter detector that is built in, or a model that inference servers have; it is read by its own
//! shapes and metadata ([`layout`]). A [`Detector`] is one session of it, owned by one thread. The way of a frame: planes → letterboxed tensor
//! ([`letterbox`]) → a backend: ONNX Runtime on one of this machine's devices (`session.rs`), or servers (`remote.rs`) → boxes of the
//! model's layout ([`decode`]) → suppression of doubles ([`suppress`]) → boxes on the frame's px. Whoever shares sessions with others asks
//! [`service::Inference`].
//!
//! Only `session.rs` knows ONNX Runtime, only `remote.rs` the servers' protocol. Left out on purpose: where frames come from, and what follows
//! from them.

mod backend;
pub mod decode;
mod detector;
mod device;
mod error;
pub mod layout;
pub mod letterbox;
pub mod mask;
mod model;
mod onnx;
mod outputs;
mod remote;
pub mod service;
mod session;
mod source;
pub mod suppress;
mod tensor;

pub use detector::Detector;
pub use device::{Device, DeviceChoice, DeviceReport, DeviceSettings, EndpointReport};
pub use error::{Error, Result};
pub use model::{Model, ModelInfo, ModelSettings, Speed};
pub use remote::{Fallback, RemoteSettings};
pub use session::find_runtime;
pub use source::ModelSource;
