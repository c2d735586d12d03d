//! Verifying a store: what it says of itself must agree with itself. Nothing is written.
//!
//! Stored detections are the truth: run totals, counts and crossings are computed from them again and compared.

mod chunks;
mod crossings;
mod references;

use crate::Store;
use crate::error::{Error, Result};

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A short name that stays the same.
    pub code: &'static str,
    /// What is wrong and what to do, one line.
    pub text: String,
}

impl Finding {
    /// Both.
    pub fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

/// The extent of the verification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckedStore {
    /// Runs of which every chunk was read.
    pub runs: u64,
    /// Frames in them.
    pub frames: u64,
    /// Crossings that were computed again.
    pub crossings: u64,
}

/// What to do about a file that SQLite itself finds damaged.
const RESTORE: &str = "restore the data folder from a backup, or name a new one and count the videos again";

impl Store {
    /// Verifies everything, and reports each finding at once. If SQLite finds its file damaged, only that is reported:
    /// nothing in it can be relied on.
    ///
    /// # Errors
    /// If the store cannot be read for a reason other than damage.
    pub async fn check(&self, tell: &mut (dyn FnMut(Finding) + Send)) -> Result<CheckedStore> {
        let mut checked = CheckedStore::default();
        if self.is_file_damaged(tell).await? {
            return Ok(checked);
        }
        references::check(self, tell).await?;
        let runs: Vec<String> = sqlx::query_scalar("select id from runs order by id")
            .fetch_all(&self.pool)
            .await
            .map_err(|error| Error::from_sql("checking runs", error))?;
        for id in runs {
            let run = self.run(&id).await?;
            checked.frames += chunks::check(self, &run, tell).await?;
            checked.crossings += crossings::check(self, &run, tell).await?;
            checked.runs += 1;
        }
        Ok(checked)
    }

    async fn is_file_damaged(&self, tell: &mut (dyn FnMut(Finding) + Send)) -> Result<bool> {
        let verdicts: std::result::Result<Vec<String>, sqlx::Error> =
            sqlx::query_scalar("pragma integrity_check(20)").fetch_all(&self.pool).await;
        let verdicts = match verdicts {
            Ok(verdicts) => verdicts,
            // 11 CORRUPT, 26 NOTADB: the file is so damaged that the check itself fails.
            Err(sqlx::Error::Database(error)) if matches!(error.code().as_deref(), Some("11" | "26")) => {
                vec![error.to_string()]
            }
            Err(error) => return Err(Error::from_sql("checking the store", error)),
        };
        let mut is_damaged = false;
        for verdict in verdicts.iter().filter(|verdict| *verdict != "ok") {
            is_damaged = true;
            let verdict = verdict.replace('\n', " ");
            tell(Finding::new("store_damaged", format!("pigweight.sqlite is damaged: {verdict}; {RESTORE}")));
        }
        Ok(is_damaged)
    }
}
