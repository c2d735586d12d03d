//! Why there are no detections, in one line that tells its reader what to do next.

use crate::source::ModelSource;
use std::path::PathBuf;

/// The result of loading or running a model.
pub type Result<T> = std::result::Result<T, Error>;

/// See each variant's message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is not there or not readable.
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
    /// The shapes fit no layout.
    #[error(
        "the model {model} has inputs and outputs that are not understood: found {found}; understood are \
         {understood}; if it is one of these, name its head with `detect.head` in the configuration"
    )]
    UnknownLayout {
        /// Which.
        model: ModelSource,
        /// Names and shapes as found.
        found: String,
        /// What would have been read.
        understood: &'static str,
    },
    /// A wanted class is not among the model's.
    #[error("the model {model} has no class \"{class}\"; it has {found}")]
    UnknownClass {
        /// Which.
        model: ModelSource,
        /// What was asked for.
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
}
