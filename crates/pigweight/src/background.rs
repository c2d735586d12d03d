//! The server's background work: folders are scanned, jobs planned, ordered and run, indexes and thumbnails built.
//!
//! Every thread here runs at idle priority (`idle_thread.rs`), so that requests never wait for it.

pub mod cancellation;
pub mod detector_slot;
pub mod folder_watcher;
pub mod idle_thread;
pub mod job_order;
pub mod job_planner;
mod job_run;
pub mod job_worker;
pub mod video_indexer;
