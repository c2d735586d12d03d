//! Frames → detections.
//!
//! A [`Model`] is any YOLO-like ONNX file, the built-in detector, or a model on inference servers; its own
//! shapes and metadata say how it is read ([`layout`]). A [`Detector`] is one session of it, owned by one thread. A frame
//! passes through: planes → letterboxed tensor ([`letterbox`]) → a backend: ONNX Runtime on one of this
//! machine's devices (`session.rs`), or servers (`remote.rs`) → boxes of the model's layout ([`decode`]) → suppression of duplicates ([`suppress`]) → boxes in px of the frame. Callers that share sessions use
//! [`service::Inference`].
//!
//! Only `session.rs` uses ONNX Runtime, and only `remote.rs` the servers' protocol. Left out on purpose: where frames come from, and what follows
//! from detections.

mod backend;
mod class_names;
pub mod decode;
mod detector;
mod device;
mod error;
mod input_shape;
pub mod layout;
mod layout_check;
pub mod letterbox;
pub mod mask;
mod model;
mod onnx;
mod outputs;
mod outside_weights;
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
