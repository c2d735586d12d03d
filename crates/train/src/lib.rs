//! Trains the built-in detector further, on the processor and without Python.
//!
//! The detector is a plain convolutional network (`training/pigtrain/network.py`, `models/README.md`), so that a few hundred lines are
//! enough to go through it backwards. [`Network`] reads it from its ONNX file, infers and returns gradients; [`loss`] says how
//! wrong its outputs are; [`Trainer`] takes the steps; [`Network::write`] puts new weights into the same file. [`adapt`] learns a pen from its own
//! film and one number: see its head.
//!
//! Everything follows from the arguments and a seed: there is no clock, and no I/O. Sums are added in a fixed order, whatever the number of threads.

pub mod adapt;
pub mod augment;
mod convolution;
mod dual;
mod error;
mod feature_map;
mod graph;
pub mod label;
pub mod loss;
mod network;
mod onnx;
pub mod stillness;
mod trainer;

pub use error::{Error, Result};
pub use feature_map::FeatureMap;
pub use network::{Gradients, Network, Outputs};
pub use trainer::{Trainer, TrainerState};
