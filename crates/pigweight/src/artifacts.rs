//! Files within a budget of disk space: previews, which can be made again, and recordings of cameras.

pub mod disk_budget;
pub mod disk_space;
pub mod folder_check;
pub mod preview_builder;
pub mod previews;
pub mod recordings;
