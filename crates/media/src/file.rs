//! A file on the disk: its container, its packets in order, and its metadata.

pub(crate) mod access;
pub(crate) mod container;
pub(crate) mod index;
mod matroska_length;
mod mp4_boxes;
mod mp4_sample_table;
pub(crate) mod orientation;
pub(crate) mod packets;
mod partial_index;
pub(crate) mod shape;
pub(crate) mod video;
