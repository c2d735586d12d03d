//! Definitions of detections, tracks, crossings and counts.
//!
//! One rule for the whole crate: **time is an argument**. This crate does no I/O, starts no threads and reads no
//! clock, so tests run an hour of camera in a moment, and the same detections with the same rule give
//! the same count, live or replayed, fast or slow.

pub mod count;
pub mod curve;
pub mod detection;
pub mod geometry;
pub mod inference_schedule;
pub mod interpolate;
pub mod line;
pub mod mot;
pub mod motion;
pub mod picture;
pub mod selection;
pub mod time;
pub mod track;
pub mod viewpoint;
