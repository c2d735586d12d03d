//! Taking a job, holding it on a lease, and giving it back.

use super::{JobRecord, SELECT};
use crate::Store;
use crate::clock::unix_secs;
use crate::error::{Error, Result};
use crate::reason::Reason;

/// A process that has not renewed its lease on a job for so long is gone.
pub(crate) const JOB_LEASE_SECS: i64 = 60;

/// How a process gives a job back.
#[derive(Clone, Copy, Debug)]
pub enum Release<'a> {
    /// It is complete.
    Done,
    /// It makes no sense to try again.
    Failed(&'a Reason),
    /// It waits again, as if nothing had happened.
    Requeue,
    /// The same, but not before this many seconds have passed.
    RequeueAfter(i64, &'a Reason),
    /// It was interrupted, which counts as an attempt; not before this many seconds have passed.
    Interrupted(i64, &'a Reason),
}

impl Store {
    /// Takes a waiting job on a lease; `None` if another process was first or it may not be begun any more.
    pub async fn take_job(&self, id: &str, owner: &str) -> Result<Option<JobRecord>> {
        let failed = |error| Error::from_sql("taking a job", error);
        let now = unix_secs();
        // Read back in the same transaction: otherwise a job could be taken without the process knowing, and held for ever.
        let mut transaction = self.begin_write("taking a job").await?;
        let taken = sqlx::query(
            "update jobs set state = 'running', lease_owner = $2, lease_expires_at = $3, tries = tries + 1, \
             started_at = coalesce(started_at, $4), error = null, error_code = null where id = $1 and state = 'waiting' \
             and video_id in (select id from videos where not is_paused and not is_superseded)",
        )
        .bind(id)
        .bind(owner)
        .bind(now + JOB_LEASE_SECS)
        .bind(now)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        if taken.rows_affected() == 0 {
            return Ok(None);
        }
        let job = sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} where jobs.id = $1")))
            .bind(id)
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(Some(job))
    }

    /// Notes that a job made progress, so that earlier tries no longer count. `false` if the job is not this process's any more.
    pub async fn record_progress(&self, id: &str, owner: &str, run_id: &str) -> Result<bool> {
        let noted = sqlx::query(
            "update jobs set tries = 1, run_id = $3, lease_expires_at = $4 \
             where id = $1 and lease_owner = $2 and state = 'running'",
        )
        .bind(id)
        .bind(owner)
        .bind(run_id)
        .bind(unix_secs() + JOB_LEASE_SECS)
        .execute(&self.pool)
        .await
        .map_err(|error| Error::from_sql("noting a job's progress", error))?;
        Ok(noted.rows_affected() == 1)
    }

    /// Gives a job back. If this process no longer holds it, nothing happens: the later change stays.
    pub async fn release_job(&self, id: &str, owner: &str, release: Release<'_>) -> Result<()> {
        let now = unix_secs();
        // State, error, end, due, tries that do not count.
        let (state, error, finished_at, due_at, uncounted) = match release {
            Release::Done => ("done", None, Some(now), 0, 0),
            Release::Failed(reason) => ("failed", Some(reason), Some(now), 0, 0),
            Release::Requeue => ("waiting", None, None, 0, 1),
            Release::RequeueAfter(secs, reason) => ("waiting", Some(reason), None, now + secs, 1),
            Release::Interrupted(secs, reason) => ("waiting", Some(reason), None, now + secs, 0),
        };
        sqlx::query(
            "update jobs set state = $3, error = $4, error_code = $8, finished_at = $5, due_at = $6, tries = tries - $7, \
             lease_owner = null, lease_expires_at = null where id = $1 and lease_owner = $2 and state = 'running'",
        )
        .bind(id)
        .bind(owner)
        .bind(state)
        .bind(error.map(|reason| &reason.text))
        .bind(finished_at)
        .bind(due_at)
        .bind(uncounted)
        .bind(error.map(|reason| reason.code))
        .execute(&self.pool)
        .await
        .map_err(|error| Error::from_sql("giving a job back", error))?;
        Ok(())
    }

    /// Requeues jobs whose processes are gone: those with an expired lease, or `all` if the caller knows that no other process
    /// holds any. A job that was begun `max_tries` times without progress has failed, for `reason`. Gives how many were changed.
    pub async fn reclaim_jobs(&self, all: bool, max_tries: u32, reason: &Reason) -> Result<u64> {
        let failed = |error| Error::from_sql("reclaiming jobs", error);
        let now = unix_secs();
        let expired_before = if all { i64::MAX } else { now };
        let mut transaction = self.begin_write("reclaiming jobs").await?;
        let hopeless = sqlx::query(
            "update jobs set state = 'failed', error = $3, error_code = $5, finished_at = $4, lease_owner = null, \
             lease_expires_at = null \
             where state = 'running' and coalesce(lease_expires_at, 0) < $1 and tries >= $2",
        )
        .bind(expired_before)
        .bind(i64::from(max_tries))
        .bind(&reason.text)
        .bind(now)
        .bind(reason.code)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        let requeued = sqlx::query(
            "update jobs set state = 'waiting', lease_owner = null, lease_expires_at = null \
             where state = 'running' and coalesce(lease_expires_at, 0) < $1",
        )
        .bind(expired_before)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(hopeless.rows_affected() + requeued.rows_affected())
    }
}
