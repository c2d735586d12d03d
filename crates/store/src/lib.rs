//! What is kept, in one SQLite file: videos, runs, detections, counts, lines, crossings and jobs.
//!
//! One rule: **a result is written before it is told**. Everything that belongs together is written in one
//! transaction, so that after `kill -9` at any moment the store holds a whole checkpoint and the work goes on from
//! there. One process owns a data folder at a time; a lock file says so.
//!
//! Crossings are a fold over stored detections ([`Store::count_lines`]): a line that is drawn or moved later is
//! counted from what is kept, without looking at the video again, and gives what it would have given then.
//!
//! Left out on purpose: what the numbers mean (the core crate), and who asks (the binary).

pub mod columns;
mod counts;
mod detections;
mod error;
mod jobs;
mod lines;
mod reason;
mod runs;
mod videos;

pub use counts::{CountPoint, CountWindow};
pub use error::{Error, Result};
pub use jobs::{JobFilter, JobRecord, JobState, Left, NewJob, PRIORITIES};
pub use lines::{LineCrossing, LineRecord, NewLine};
pub use reason::Reason;
pub use runs::{Checkpoint, NewRun, RunRecord, RunState};
pub use videos::{FileIdentity, NewVideo, VideoRecord};

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Says that a data folder is in use, and holds the address of whoever has it.
const LOCK: &str = "lock";
const FILE: &str = "pigweight.sqlite";
/// Who writes waits for others who write; those who read do not.
const MOST_CONNECTIONS: u32 = 4;

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: SqlitePool,
    /// Held as long as any clone lives.
    lock: Arc<File>,
    folder: Arc<PathBuf>,
}

impl Store {
    /// Opens the store in a data folder, making both where they are not there, and brings it up to date.
    pub async fn open(folder: &Path) -> Result<Self> {
        let unusable = |error: std::io::Error| Error::FolderUnusable {
            folder: folder.to_owned(),
            reason: error.to_string(),
        };
        std::fs::create_dir_all(folder).map_err(unusable)?;
        // Not emptied before it is ours: its owner may have left its address there.
        let lock = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(folder.join(LOCK))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(Error::FolderInUse { folder: folder.to_owned() });
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(unusable(error)),
        }
        // Whoever had it before is gone.
        lock.set_len(0).map_err(unusable)?;
        let pool = Self::connections(folder, MOST_CONNECTIONS).await?;
        Self::upgraded(pool, Arc::new(lock), folder).await
    }

    /// The same store over connections of its own, for work that gives way: where other programs hold the cores, it may be kept from going on with a
    /// connection in its hands, and whoever reads an answer must not wait for that.
    pub async fn apart(&self) -> Result<Self> {
        let pool = Self::connections(&self.folder, MOST_CONNECTIONS).await?;
        Ok(Self { pool, lock: self.lock.clone(), folder: self.folder.clone() })
    }

    async fn connections(folder: &Path, number: u32) -> Result<SqlitePool> {
        let options = SqliteConnectOptions::new()
            .filename(folder.join(FILE))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // Checkpoints come every few seconds: the price of surviving a power cut as well is nothing.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true);
        let pool = SqlitePoolOptions::new()
            .max_connections(number)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_release(|connection, _| {
                Box::pin(async move {
                    // A full disk makes SQLite end a transaction by itself; the driver goes on counting it as open, and a later one is then never
                    // ended: whoever gets the connection reads what was there then, for ever. One that has something to end goes.
                    let has_nothing_open = sqlx::query("rollback").execute(&mut *connection).await.is_err();
                    Ok(has_nothing_open)
                })
            })
            .connect_with(options)
            .await
            .map_err(|error| Error::from_sql("opening the store", error))?;
        // All of them now, to stay: each has a thread, which otherwise would be as urgent or not as whoever needed it first.
        let mut connections = Vec::new();
        for _ in 0..number {
            let connection = pool.acquire().await;
            connections.push(connection.map_err(|error| Error::from_sql("opening the store", error))?);
        }
        drop(connections);
        Ok(pool)
    }

    /// Whether there is one in a data folder.
    pub fn is_in(folder: &Path) -> bool {
        folder.join(FILE).is_file()
    }

    /// Leaves the address at which this process answers, for those who find the folder in use.
    pub fn announce(&self, address: &str) -> Result<()> {
        let mut lock = &*self.lock;
        lock.write_all(address.as_bytes()).map_err(|error| Error::FolderUnusable {
            folder: self.folder.as_ref().clone(),
            reason: error.to_string(),
        })
    }

    /// The address that whoever has a folder in use has left.
    pub fn owner(folder: &Path) -> Option<String> {
        let address = std::fs::read_to_string(folder.join(LOCK)).ok()?;
        (!address.is_empty()).then_some(address)
    }

    async fn upgraded(pool: SqlitePool, lock: Arc<File>, folder: &Path) -> Result<Self> {
        sqlx::migrate!("./upgrades")
            .run(&pool)
            .await
            .map_err(|error| Error::Upgrade { reason: error.to_string() })?;
        Ok(Self { pool, lock, folder: Arc::new(folder.to_owned()) })
    }

    /// Closes all connections; what is written is on the disk.
    pub async fn close(self) {
        self.pool.close().await;
    }
}

/// A new identifier: a ULID, so that identifiers sort by when they were made.
fn new_id() -> String {
    ulid::Ulid::generate().to_string().to_lowercase()
}

fn now_secs() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What SQLite does by itself where the disk is full at the end of a transaction, without the driver's knowledge.
    async fn fill(store: &Store) {
        let mut transaction = store.pool.begin().await.unwrap();
        sqlx::query("rollback").execute(&mut *transaction).await.unwrap();
        assert!(transaction.commit().await.is_err());
    }

    #[tokio::test]
    async fn after_a_full_disk_nobody_reads_what_was_there_before() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        for number in 0..4 * MOST_CONNECTIONS {
            fill(&store).await;
            // Something else fails in the same connection, behind a look at what is there.
            let mut transaction = store.pool.begin().await.unwrap();
            sqlx::query("select count(*) from videos").execute(&mut *transaction).await.unwrap();
            drop(transaction);
            let path = format!("/v/{number}.mp4");
            let file = FileIdentity {
                path,
                size_bytes: 1,
                modified_nanos: 1,
                head_hash: "a".to_owned(),
                samples_hash: None,
            };
            store.add_video(&file, "pen.mp4").await.unwrap();
            let mut connections = Vec::new();
            for _ in 0..MOST_CONNECTIONS {
                let mut connection = store.pool.acquire().await.unwrap();
                let found: i64 = sqlx::query_scalar("select count(*) from videos")
                    .fetch_one(&mut *connection)
                    .await
                    .unwrap();
                assert_eq!(found, i64::from(number) + 1);
                connections.push(connection);
            }
        }
        store.close().await;
    }
}
