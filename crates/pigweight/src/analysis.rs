//! From a video's frames to stored counts. Read `pipeline.rs` first: it is the product in one screen.
//!
//! One thread decodes (`frames.rs`), the shared sessions of the inference service detect, one thread tracks and writes
//! checkpoints. Queues between them are bounded.

pub mod camera_source;
pub mod checkpoint;
pub mod frame_source;
pub mod frames;
pub mod line_proximity;
pub mod model_trial;
pub mod pipeline;
pub mod plan;
pub mod retrack;
pub mod run_warnings;
pub mod settings;

#[cfg(test)]
mod camera_tests;
