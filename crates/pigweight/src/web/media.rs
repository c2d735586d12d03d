//! Pictures and video over HTTP: exact frames, previews, HLS, the original file, and recordings of cameras.

pub mod crossing_picture;
mod fair_queue;
pub mod file;
pub mod frames;
pub mod hls;
mod hls_part;
pub mod hls_parts;
mod jpeg_cache;
pub mod on_demand_count;
pub mod preview;
pub mod recorded;
pub mod recorded_files;
pub mod video_pool;
