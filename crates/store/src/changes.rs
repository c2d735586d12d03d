//! What was written, for who shows it: the tables' topics, counted up as transactions are committed.
//!
//! SQLite tells each connection which tables its transaction has changed, so nothing that writes can forget to tell it. Another
//! process can't write: it would need the folder's lock.

use sqlx::sqlite::SqliteConnection;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// What a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Videos and sources, and what is known of them.
    Videos,
    /// The queue.
    Jobs,
    /// Lines, and their versions.
    Lines,
    /// Cameras, their states, recordings and marks.
    Cameras,
}

/// All topics.
pub const TOPICS: [Topic; 4] = [Topic::Videos, Topic::Jobs, Topic::Lines, Topic::Cameras];

/// How often each of [`TOPICS`] has changed since the store was opened.
pub type ChangeCounts = [u64; TOPICS.len()];

/// Shared by all connections of a store.
#[derive(Clone)]
pub(crate) struct Changes(Arc<watch::Sender<ChangeCounts>>);

impl Changes {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(ChangeCounts::default())))
    }

    pub(crate) fn watch(&self) -> watch::Receiver<ChangeCounts> {
        self.0.subscribe()
    }

    /// Counts what this connection commits.
    pub(crate) async fn follow(&self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        let changed = Arc::new(Mutex::new([false; TOPICS.len()]));
        let mut handle = connection.lock_handle().await?;
        let noted = changed.clone();
        handle.set_update_hook(move |row| {
            let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
            for (noted, topic) in noted.iter_mut().zip(TOPICS) {
                *noted |= topics_of(row.table).contains(&topic);
            }
        });
        let (committed, sender) = (changed.clone(), self.0.clone());
        handle.set_commit_hook(move || {
            let committed = std::mem::take(&mut *committed.lock().unwrap_or_else(PoisonError::into_inner));
            if committed.contains(&true) {
                sender.send_modify(|counts| {
                    for (count, committed) in counts.iter_mut().zip(committed) {
                        *count += u64::from(committed);
                    }
                });
            }
            true
        });
        handle.set_rollback_hook(move || {
            *changed.lock().unwrap_or_else(PoisonError::into_inner) = [false; TOPICS.len()];
        });
        Ok(())
    }
}

/// What people see changes with these tables; the others hold what is told otherwise, or to other programs.
fn topics_of(table: &str) -> &'static [Topic] {
    match table {
        "videos" | "sources" => &[Topic::Videos],
        "runs" | "jobs" => &[Topic::Videos, Topic::Jobs],
        "lines" | "line_versions" => &[Topic::Lines],
        "cameras" | "camera_states" | "camera_recordings" | "camera_marks" => &[Topic::Cameras],
        _ => &[],
    }
}
