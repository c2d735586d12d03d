//! Everything that is kept, in one SQLite file: sources, videos, runs, detections, counts, lines, crossings, jobs, leases, events for
//! other programs.
//! `schema.sql` describes it table by table.
//!
//! **A result is written before it is told.** What belongs together is written in one transaction, so after `kill -9` the
//! store holds a whole checkpoint and the run continues from there. A lock file gives a data folder to one process at a time.
//!
//! What people see of a video is its *published* run, a complete one ([`Store::shown_run`]). A new model or new settings make
//! another run beside it, which is published in the transaction that writes its last checkpoint.
//!
//! Crossings are computed from stored detections ([`Store::fold_lines`]). A line that is drawn or moved later is counted
//! without decoding the video again, and gives what it would have given then. Reading never writes.
//!
//! Not here: what the numbers mean (the core crate), and who may ask (the binary).

mod camera_marks;
mod camera_recordings;
mod camera_states;
mod cameras;
mod changes;
mod check;
mod checkpoints;
mod clock;
pub mod columns;
mod counts;
mod crossings;
mod detections;
mod error;
mod event_delivery;
mod events;
mod file_path;
mod jobs;
mod line_counter;
mod line_difference;
mod line_geometry;
mod lines;
mod open;
mod presence;
mod reason;
mod retained_topics;
mod runs;
mod shown;
mod sources;
mod videos;

pub use camera_marks::{CameraMark, NewMark};
pub use camera_recordings::{CameraRecording, RecordedBytes, RecordingMode, TICKS_PER_SEC};
pub use camera_states::KeptState;
pub use cameras::{CameraPlace, CameraRecord};
pub use changes::{ChangeCounts, TOPICS, Topic};
pub use check::{CheckedStore, Finding};
pub use checkpoints::Checkpoint;
pub use counts::{CountPoint, CountWindow};
pub use crossings::{LineCrossing, LineProgress};
pub use error::{Error, Result, STORE_DAMAGED};
pub use event_delivery::{EventBody, EventRecording, NextEvent, StoredEvent};
pub use events::{EnteredState, EventKind};
pub use file_path::{path_of_text, path_text};
pub use jobs::{EnqueuedJobs, JobFilter, JobKind, JobRecord, JobState, NewJob, PRIORITIES, Release};
pub use line_difference::{CrossingCount, LineDifference};
pub use line_geometry::LineGeometry;
pub use lines::{LineChange, LineRecord, LineScope, LineVersion, MOST_LINES, NewLine, VideoLine};
pub use presence::PROCESS_LEASE_SECS;
pub use reason::Reason;
pub use runs::{NewRun, RunRecord, RunState};
pub use sources::{InputMeasurement, NewSource, SourceChange, SourceKind, SourceRecord};
pub use videos::{FileIdentity, FileStat, KnownFile, NewFile, NewVideo, VideoRecord};

use changes::Changes;
use sqlx::sqlite::SqlitePool;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: SqlitePool,
    /// Locked as long as any clone lives.
    lock: Option<Arc<File>>,
    folder: Arc<PathBuf>,
    changes: Changes,
}

type Transaction = sqlx::Transaction<'static, sqlx::Sqlite>;

impl Store {
    /// Tells of every committed change. The change is readable a moment later: it is told as the transaction ends.
    pub fn watch_changes(&self) -> watch::Receiver<ChangeCounts> {
        self.changes.watch()
    }

    /// A transaction that writes. It takes the write lock at once: one that read first could find its snapshot outdated when
    /// it comes to write, and would fail.
    async fn begin_write(&self, operation: &'static str) -> Result<Transaction> {
        self.pool.begin_with("begin immediate").await.map_err(|error| Error::from_sql(operation, error))
    }
}

/// A new identifier: a ULID in lower case. Identifiers sort by the time at which they were made.
fn new_id() -> String {
    ulid::Ulid::generate().to_string().to_lowercase()
}

#[cfg(test)]
mod tests;
