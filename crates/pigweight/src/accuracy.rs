//! How well a detector counts: known numbers beside videos, and the threshold that a folder is calibrated to.

pub mod calibration;
pub mod truth;
