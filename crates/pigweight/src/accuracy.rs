//! How well a detector counts: known numbers beside videos, the threshold that a folder is calibrated to, the one that a known number of
//! animals asks for, and the input width that their size asks for.

pub mod adaptation;
pub mod calibration;
pub mod folder_detector;
pub mod input_width;
pub mod known_number;
pub mod sampling;
pub mod truth;
pub mod viewpoint;
