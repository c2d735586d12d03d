//! Files that can be made again: previews, within a budget of disk space.

pub mod disk_budget;
pub mod disk_space;
pub mod folder_check;
pub mod preview_builder;
pub mod previews;
