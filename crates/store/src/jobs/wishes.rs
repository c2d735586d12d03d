//! What people want of a job. Each is one change of its row that says in which states it is possible.

use super::{JobRecord, PRIORITIES};
use crate::error::{Error, Result};
use crate::{Store, now_secs};

impl Store {
    /// Pauses the work on a job's video, or lets it go on.
    ///
    /// # Errors
    /// [`Error::JobEnded`] where nothing is still to come.
    pub async fn pause_job(&self, id: &str, paused: bool) -> Result<JobRecord> {
        let job = self.job(id).await?;
        if !job.state().is_open() {
            return Err(ended(&job, if paused { "paused" } else { "resumed" }));
        }
        self.pause_video(&job.video_id, paused).await?;
        self.job(id).await
    }

    /// Gives a job up; what was done stays.
    ///
    /// # Errors
    /// [`Error::JobEnded`] where there is nothing to give up.
    pub async fn cancel_job(&self, id: &str) -> Result<JobRecord> {
        let changed = sqlx::query(
            "update jobs set state = 'cancelled', error = null, finished_at = $2, holder = null, held_until = null \
             where id = $1 and state in ('waiting', 'running')",
        )
        .bind(id)
        .bind(now_secs())
        .execute(&self.pool)
        .await
        .map_err(|error| Error::from_sql("cancelling a job", error))?;
        let job = self.job(id).await?;
        if changed.rows_affected() == 1 { Ok(job) } else { Err(ended(&job, "cancelled")) }
    }

    /// Lets a job that failed or was cancelled wait for its turn again, with all its tries before it.
    ///
    /// # Errors
    /// [`Error::JobEnded`] where it is still open or done, [`Error::JobReplaced`] and [`Error::JobOutdated`] where another one is in its place.
    pub async fn retry_job(&self, id: &str) -> Result<JobRecord> {
        let job = self.job(id).await?;
        if job.superseded == 1 {
            return Err(Error::JobReplaced { id: id.to_owned() });
        }
        let in_its_place = sqlx::query_scalar(
            "select id from jobs where video_id = $1 and kind = $2 and fingerprint <> $3 and number > $4 \
             and state in ('waiting', 'running', 'done') order by number desc limit 1",
        )
        .bind(&job.video_id)
        .bind(&job.kind)
        .bind(&job.fingerprint)
        .bind(job.number)
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| Error::from_sql("trying a job again", error))?;
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
        .map_err(|error| Error::from_sql("trying a job again", error))?;
        let job = self.job(id).await?;
        if changed.rows_affected() == 1 { Ok(job) } else { Err(ended(&job, "retried")) }
    }

    /// Sets how early a job's turn comes.
    ///
    /// # Errors
    /// [`Error::Priority`], and [`Error::JobEnded`] where it has no turn any more.
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

fn ended(job: &JobRecord, wish: &'static str) -> Error {
    Error::JobEnded { id: job.id.clone(), state: job.state().name(), wish }
}
