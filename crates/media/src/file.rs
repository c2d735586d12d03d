//! A file on the disk: its container, its packets in order, and its metadata.

pub(crate) mod access;
pub(crate) mod clock;
pub(crate) mod container;
mod doubtful_times;
pub(crate) mod index;
mod matroska_length;
mod mp4_boxes;
mod mp4_sample_table;
pub(crate) mod orientation;
mod other_streams;
pub(crate) mod packets;
mod partial_index;
mod recording_date;
pub(crate) mod shape;
mod truncation;
pub(crate) mod video;
