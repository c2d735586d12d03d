//! Which processes work on the store, and which files they see.
//!
//! A process registers itself, renews its lease while it runs, and is taken to be gone when the lease has expired. Presence
//! rows bear the owner; their expiry is the owner's lease.

use crate::clock::{unix_millis, unix_secs};
use crate::error::{Error, Result};
use crate::{Store, Transaction};
use std::collections::BTreeSet;

/// A process that has not renewed its lease for so long is gone.
pub const PROCESS_LEASE_SECS: i64 = 60;

impl Store {
    /// Registers this process under an identifier that no other has had. `is_alone`: the caller knows that no other process
    /// uses the store, so files that another one saw are now this one's to check; until its first scan they count as present.
    pub async fn register_process(&self, owner: &str, is_alone: bool) -> Result<()> {
        let failed = |error| Error::from_sql("registering a process", error);
        let now = unix_secs();
        let mut transaction = self.begin_write("registering a process").await?;
        sqlx::query(
            "insert into processes (id, started_at, expires_at) values ($1, $2, $3) on conflict do nothing",
        )
        .bind(owner)
        .bind(now)
        .bind(now + PROCESS_LEASE_SECS)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        if is_alone {
            for sql in [
                "insert into presence (video_id, owner, seen_at_millis) \
                 select video_id, $1, min(seen_at_millis) from presence where owner <> $1 group by video_id on conflict do nothing",
                "delete from presence where owner <> $1",
                "delete from processes where id <> $1",
            ] {
                sqlx::query(sql).bind(owner).execute(&mut *transaction).await.map_err(failed)?;
            }
        }
        transaction.commit().await.map_err(failed)
    }

    /// Renews this process's lease and those of the jobs it works on, and removes what processes that are gone saw.
    pub async fn renew_leases(&self, owner: &str) -> Result<()> {
        let failed = |error| Error::from_sql("renewing leases", error);
        let now = unix_secs();
        let mut transaction = self.begin_write("renewing leases").await?;
        sqlx::query(
            "insert into processes (id, started_at, expires_at) values ($1, $2, $3) \
             on conflict (id) do update set expires_at = excluded.expires_at",
        )
        .bind(owner)
        .bind(now)
        .bind(now + PROCESS_LEASE_SECS)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        sqlx::query("update jobs set lease_expires_at = $2 where lease_owner = $1 and state = 'running'")
            .bind(owner)
            .bind(now + crate::jobs::JOB_LEASE_SECS)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        for sql in [
            "delete from presence where owner in (select id from processes where expires_at < $1)",
            "delete from processes where expires_at < $1",
        ] {
            sqlx::query(sql).bind(now).execute(&mut *transaction).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// The time to pass to [`Store::set_present`] after a scan that starts now.
    pub fn scan_start_millis(&self) -> i64 {
        unix_millis()
    }

    /// What a scan of the folders that began at `started_millis` has found. A video that was added since then may be missing
    /// in `video_ids`, and stays. Writes nothing if nothing has changed.
    pub async fn set_present(
        &self,
        owner: &str,
        video_ids: &BTreeSet<String>,
        started_millis: i64,
    ) -> Result<()> {
        let failed = |error| Error::from_sql("noting which files are there", error);
        let seen: Vec<(String, i64)> =
            sqlx::query_as("select video_id, seen_at_millis from presence where owner = $1")
                .bind(owner)
                .fetch_all(&self.pool)
                .await
                .map_err(failed)?;
        let gone: Vec<&str> = seen
            .iter()
            .filter(|(id, seen_at)| !video_ids.contains(id) && *seen_at < started_millis)
            .map(|(id, _)| id.as_str())
            .collect();
        let before: BTreeSet<&str> = seen.iter().map(|(id, _)| id.as_str()).collect();
        let new: Vec<&str> = video_ids.iter().map(String::as_str).filter(|id| !before.contains(id)).collect();
        if gone.is_empty() && new.is_empty() {
            return Ok(());
        }
        let mut transaction = self.begin_write("noting which files are there").await?;
        for id in gone {
            sqlx::query("delete from presence where owner = $1 and video_id = $2 and seen_at_millis < $3")
                .bind(owner)
                .bind(id)
                .bind(started_millis)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        for id in new {
            note_present(&mut transaction, owner, id, started_millis).await?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// One more file is there: an upload, say.
    pub async fn add_present(&self, owner: &str, video_id: &str) -> Result<()> {
        let mut transaction = self.begin_write("noting that a file is there").await?;
        note_present(&mut transaction, owner, video_id, unix_millis()).await?;
        transaction.commit().await.map_err(|error| Error::from_sql("noting that a file is there", error))
    }
}

async fn note_present(
    transaction: &mut Transaction,
    owner: &str,
    video_id: &str,
    seen_at_millis: i64,
) -> Result<()> {
    // A process whose lease had expired, as after a suspended machine, is there again.
    sqlx::query(
        "insert into processes (id, started_at, expires_at) values ($1, $2, $3) on conflict do nothing",
    )
    .bind(owner)
    .bind(unix_secs())
    .bind(unix_secs() + PROCESS_LEASE_SECS)
    .execute(&mut **transaction)
    .await
    .map_err(|error| Error::from_sql("noting that a file is there", error))?;
    sqlx::query(
        "insert into presence (video_id, owner, seen_at_millis) values ($1, $2, $3) \
         on conflict (video_id, owner) do update set seen_at_millis = excluded.seen_at_millis",
    )
    .bind(video_id)
    .bind(owner)
    .bind(seen_at_millis)
    .execute(&mut **transaction)
    .await
    .map_err(|error| Error::from_sql("noting that a file is there", error))?;
    Ok(())
}

/// A video whose file was replaced is not there any more.
pub(crate) async fn forget_superseded(transaction: &mut Transaction, path: &str) -> Result<()> {
    sqlx::query(
        "delete from presence where video_id in (select id from videos where path = $1 and is_superseded)",
    )
    .bind(path)
    .execute(&mut **transaction)
    .await
    .map_err(|error| Error::from_sql("registering a video", error))?;
    Ok(())
}
