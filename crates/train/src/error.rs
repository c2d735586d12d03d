//! What can go wrong in training.

/// The result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a detector can't be trained.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another network than the one that this crate knows.
    #[error(
        "this detector can't be trained here: {reason}; name the built-in detector, or one that `pigweight adapt` or the recipe made"
    )]
    OtherNetwork {
        /// What is missing or different.
        reason: String,
    },
    /// Not an ONNX file, or one that breaks off.
    #[error("the detector's file is damaged: {reason}")]
    Damaged {
        /// What was read.
        reason: String,
    },
    /// Numbers became infinite: the film teaches nothing.
    #[error(
        "training came to nothing: the numbers grew without bound at step {step}; start again with another part of the film"
    )]
    Diverged {
        /// The step.
        step: u32,
    },
}
