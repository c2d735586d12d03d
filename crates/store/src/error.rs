//! Why something could not be kept or found.

use std::path::PathBuf;

/// The result of anything that touches the store.
pub type Result<T> = std::result::Result<T, Error>;

/// The code of every error that says that the store is damaged.
pub const STORE_DAMAGED: &str = "store_damaged";

/// See each variant's message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder cannot be made or written.
    #[error("the data folder {folder} cannot be used: {reason}; name another with --data DIR")]
    FolderUnusable {
        /// The folder.
        folder: PathBuf,
        /// In the operating system's words.
        reason: String,
    },
    /// Another process has it.
    #[error(
        "the data folder {folder} is in use by another pigweight; stop that one or name another folder with --data DIR"
    )]
    FolderInUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The store was made by an earlier version and may not be changed now.
    #[error(
        "the store in {folder} is at upgrade {here}, this program at {newest}; start `pigweight serve` with it once, which upgrades it"
    )]
    NotUpgraded {
        /// The folder.
        folder: PathBuf,
        /// Its last upgrade.
        here: i64,
        /// The last upgrade that this program knows.
        newest: i64,
    },
    /// There is nothing to read.
    #[error("there is no store in {folder}; name the data folder of a server with --data DIR")]
    NoStore {
        /// The folder.
        folder: PathBuf,
    },
    /// The disk is full.
    #[error(
        "the disk is full: {operation} was not done and nothing written before is lost; free some space and go on"
    )]
    DiskFull {
        /// What was being done.
        operation: &'static str,
    },
    /// SQLite finds its file damaged.
    #[error(
        "the store is damaged: {operation} was not done. Stop the server, keep a copy of the data folder, and run `pigweight check-data --data DIR`, \
         which says what is damaged; a folder that is copied back as it was before works again"
    )]
    Corrupt {
        /// What was being done.
        operation: &'static str,
    },
    /// One more would be too many.
    #[error("{most} lines are drawn there, and more are not counted; delete one first")]
    TooManyLines {
        /// How many there may be.
        most: u32,
    },
    /// The file or folder is read-only.
    #[error(
        "the data folder is read-only: {operation} was not done; make it writable or name another with --data DIR"
    )]
    ReadOnly {
        /// What was being done.
        operation: &'static str,
    },
    /// The store was made by a newer version, or an upgrade failed.
    #[error(
        "the store cannot be brought up to date: {reason}; use the version of pigweight that wrote it, or another data folder"
    )]
    Upgrade {
        /// In SQLite's words.
        reason: String,
    },
    /// Nothing has this identifier.
    #[error("there is no {kind} {id:?}")]
    NotFound {
        /// "source", "video", "run", "line", "crossing", "job".
        kind: &'static str,
        /// As asked for.
        id: String,
    },
    /// Stored bytes that cannot be read back.
    #[error(
        "stored {what} cannot be read back; the file pigweight.sqlite is damaged. `pigweight check-data --data DIR` says what else is; a copy of the data folder from before works again"
    )]
    Damaged {
        /// Which.
        what: &'static str,
    },
    /// A run was continued by someone else.
    #[error("the run was continued elsewhere; this one stops")]
    Overtaken,
    /// A command to a job whose state does not allow it.
    #[error("the job {id} is {state} and cannot be {command}; {}", advice(command))]
    JobEnded {
        /// The job.
        id: String,
        /// Its state.
        state: &'static str,
        /// "cancelled", "retried", …
        command: &'static str,
    },
    /// The file of the job's video is another one now.
    #[error(
        "the file of the job {id} was replaced by another one, which has a job of its own; retry that one"
    )]
    JobReplaced {
        /// The job.
        id: String,
    },
    /// The settings have changed since the job was made.
    #[error(
        "the model or the settings changed since the job {id} was made; the job {now} counts the video with the current ones"
    )]
    JobOutdated {
        /// The job.
        id: String,
        /// The one in its place.
        now: String,
    },
    /// A priority out of range.
    #[error("{priority} is not a priority; write a number from -100 (last) to 100 (first), 0 is usual")]
    Priority {
        /// As asked for.
        priority: i64,
    },
    /// A line without length or with places that are no numbers.
    #[error(transparent)]
    Line(#[from] pigweight_core::line::LineError),
    /// Anything else SQLite says.
    #[error("{operation} failed: {reason}")]
    Sql {
        /// What was being done.
        operation: &'static str,
        /// In SQLite's words.
        reason: String,
    },
}

/// Which jobs the command is for.
fn advice(command: &str) -> &'static str {
    match command {
        "retried" => "only failed and cancelled ones can",
        _ => "only waiting, running and paused ones can",
    }
}

impl Error {
    #[expect(clippy::needless_pass_by_value, reason = "it stands in map_err, which gives values")]
    /// The one place that reads SQLite's result codes (sqlite.org/rescode.html).
    pub(crate) fn from_sql(operation: &'static str, error: sqlx::Error) -> Self {
        let code = match &error {
            sqlx::Error::Database(error) => error.code().and_then(|code| code.parse::<i32>().ok()),
            _ => None,
        };
        // The low byte is the primary code: 8 READONLY, 11 CORRUPT, 13 FULL, 26 NOTADB. Where the log or its shared memory finds no room, it is 10
        // IOERR with WRITE (778) or SHMSIZE (4874); other input and output errors are something else than a full disk.
        match code.map(|code| (code, code & 0xff)) {
            Some((_, 13) | (778 | 4874, _)) => Self::DiskFull { operation },
            Some((_, 8)) => Self::ReadOnly { operation },
            Some((_, 11 | 26)) => Self::Corrupt { operation },
            _ => Self::Sql { operation, reason: error.to_string() },
        }
    }

    /// A short name that doesn't change with the message.
    pub fn code(&self) -> &'static str {
        match self {
            Self::FolderUnusable { .. } => "folder_unusable",
            Self::FolderInUse { .. } => "folder_in_use",
            Self::NotUpgraded { .. } => "not_upgraded",
            Self::NoStore { .. } => "no_store",
            Self::DiskFull { .. } => "disk_full",
            Self::ReadOnly { .. } => "read_only",
            Self::Upgrade { .. } => "store_of_other_version",
            Self::NotFound { .. } => "not_found",
            Self::Damaged { .. } | Self::Corrupt { .. } => STORE_DAMAGED,
            Self::Overtaken => "overtaken",
            Self::JobEnded { .. } => "job_ended",
            Self::JobReplaced { .. } => "replaced",
            Self::JobOutdated { .. } => "outdated",
            Self::Priority { .. } => "no_priority",
            Self::Line(_) => "no_line",
            Self::TooManyLines { .. } => "too_many_lines",
            Self::Sql { .. } => "store_failed",
        }
    }

    /// Whether the same request can succeed later.
    pub fn is_storage_trouble(&self) -> bool {
        matches!(self, Self::DiskFull { .. } | Self::ReadOnly { .. } | Self::FolderUnusable { .. })
    }
}
