//! Frames → detections.
//!
//! A [`Model`] is any YOLO-like ONNX file, or the starter detector that is built in, read by its own shapes and metadata
//! ([`layout`]); a [`Detector`] is one session of it, owned by one thread. The way of a frame: planes → letterboxed tensor ([`letterbox`]) → session →
//! boxes of the model's layout ([`decode`]) → suppression of doubles ([`suppress`]) → boxes on the frame's px. Whoever shares sessions with others
//! asks [`service::Inference`].
//!
//! Only `session.rs` knows ONNX Runtime. Left out on purpose: where frames come from, and what follows from them.

pub mod decode;
mod error;
pub mod layout;
pub mod letterbox;
pub mod mask;
mod model;
pub mod service;
mod session;
mod source;
pub mod suppress;

pub use error::{Error, Result};
pub use model::{Detector, Model, ModelInfo, ModelSettings, Speed};
pub use session::find_runtime;
pub use source::ModelSource;
