//! Which process opens a video's file: this one, or a confined worker process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Which process opens a video's file. Readers, seekers and streamers of the video follow it.
#[derive(Clone, Debug, Default)]
pub enum FileAccess {
    /// This process: a file that breaks a decoder ends it.
    #[default]
    InProcess,
    /// A worker process for each reader, seeker and streamer.
    Worker(Arc<WorkerSettings>),
}

/// How worker processes are started, and their limits.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// The program that calls [`crate::isolate::serve`].
    pub program: PathBuf,
    /// The arguments that make it do so.
    pub arguments: Vec<String>,
    /// Memory limit of each, bytes; one that needs more ends or reports it.
    pub memory_bytes: u64,
    /// One that is silent for this long while it is waited for is ended.
    pub silence: Duration,
}
