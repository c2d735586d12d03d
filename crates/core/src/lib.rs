//! What a detection, a track, a crossing and a count are.
//!
//! One rule for the whole crate: **time is an argument**. Nothing here does I/O, starts a thread or reads a
//! clock, so an hour of camera runs in a moment in a test, and the same detections under the same rule give
//! the same count, live or replayed, fast or slow.

pub mod curve;
pub mod detection;
pub mod geometry;
pub mod interpolate;
pub mod line;
pub mod mot;
pub mod motion;
pub mod picture;
pub mod schedule;
pub mod selection;
pub mod time;
pub mod track;
