//! Who opens a video's file: this process, or a confined process of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Who opens a video's file. Readers, seekers and streamers of the video follow it.
#[derive(Clone, Debug, Default)]
pub enum FileAccess {
    /// This process: a file that breaks a decoder ends it.
    #[default]
    InProcess,
    /// A worker process for each reader, seeker and streamer.
    Worker(Arc<WorkerSettings>),
}

/// How worker processes are started, and what each may use.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// The program that calls [`crate::isolate::serve`].
    pub program: PathBuf,
    /// Its arguments that make it do so.
    pub arguments: Vec<String>,
    /// Bytes that each may hold; one that needs more ends, or says so.
    pub memory_bytes: u64,
    /// One that says nothing for so long while it is waited for is ended.
    pub silence: Duration,
}
