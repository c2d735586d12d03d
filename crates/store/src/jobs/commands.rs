//! Commands for jobs by people. Each is one change of the job's row, on the condition that its state allows it.

use super::{JobRecord, PRIORITIES};
use crate::Store;
use crate::clock::unix_secs;
use crate::error::{Error, Result};

impl Store {
    /// Pauses work on a job's video, or resumes it.
    ///
    /// # Errors
    /// [`Error::JobEnded`] if it has ended.
    pub async fn pause_job(&self, id: &str, is_paused: bool) -> Result<JobRecord> {
        let job = self.job(id).await?;
        if !job.state.is_open() {
            return Err(ended(&job, if is_paused { "paused" } else { "resumed" }));
        }
        self.pause_video(&job.video_id, is_paused).await?;
        self.job(id).await
    }

    /// Cancels a job; what was done stays.
    ///
    /// # Errors
    /// [`Error::JobEnded`] if it has ended.
    pub async fn cancel_job(&self, id: &str) -> Result<JobRecord> {
        let changed = sqlx::query(
            "update jobs set state = 'cancelled', error = null, error_code = null, finished_at = $2, lease_owner = null, lease_expires_at = null \
             where id = $1 and state in ('waiting', 'running')",
        )
        .bind(id)
        .bind(unix_secs())
        .execute(&self.pool)
        .await
        .map_err(|error| Error::from_sql("cancelling a job", error))?;
        let job = self.job(id).await?;
        if changed.rows_affected() == 1 { Ok(job) } else { Err(ended(&job, "cancelled")) }
    }

    /// Requeues a job that failed or was cancelled; earlier tries no longer count.
    ///
    /// # Errors
    /// [`Error::JobEnded`] if it is open or done, [`Error::JobReplaced`] and [`Error::JobOutdated`] if another job has taken its place.
    pub async fn retry_job(&self, id: &str) -> Result<JobRecord> {
        let job = self.job(id).await?;
        if job.is_superseded {
            return Err(Error::JobReplaced { id: id.to_owned() });
        }
        let in_its_place = sqlx::query_scalar(
            "select id from jobs where video_id = $1 and kind = $2 and fingerprint <> $3 and number > $4 \
             and state in ('waiting', 'running', 'done') order by number desc limit 1",
        )
        .bind(&job.video_id)
        .bind(job.kind)
        .bind(&job.fingerprint)
        .bind(job.number)
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| Error::from_sql("retrying a job", error))?;
        if let Some(now) = in_its_place {
            return Err(Error::JobOutdated { id: id.to_owned(), now });
        }
        let changed = sqlx::query(
            "update jobs set state = 'waiting', error = null, error_code = null, finished_at = null, tries = 0, due_at = 0 \
             where id = $1 and state in ('failed', 'cancelled')",
        )
        .bind(id)
        .execute(&self.pool)
        .await
        .map_err(|error| Error::from_sql("retrying a job", error))?;
        let job = self.job(id).await?;
        if changed.rows_affected() == 1 { Ok(job) } else { Err(ended(&job, "retried")) }
    }

    /// Sets a job's priority.
    ///
    /// # Errors
    /// [`Error::Priority`], and [`Error::JobEnded`] if it has ended.
    pub async fn prioritise_job(&self, id: &str, priority: i64) -> Result<JobRecord> {
        if !PRIORITIES.contains(&priority) {
            return Err(Error::Priority { priority });
        }
        let changed =
            sqlx::query("update jobs set priority = $2 where id = $1 and state in ('waiting', 'running')")
                .bind(id)
                .bind(priority)
                .execute(&self.pool)
                .await
                .map_err(|error| Error::from_sql("ordering jobs", error))?;
        let job = self.job(id).await?;
        if changed.rows_affected() == 1 { Ok(job) } else { Err(ended(&job, "moved")) }
    }
}

fn ended(job: &JobRecord, command: &'static str) -> Error {
    Error::JobEnded { id: job.id.clone(), state: job.state.name(), command }
}
