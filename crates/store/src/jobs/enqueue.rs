//! Which jobs there have to be: one for each video, with the model and settings of now.

use super::JobState;
use crate::clock::unix_secs;
use crate::error::{Error, Result};
use crate::runs::{self, NewRun};
use crate::{Store, Transaction, new_id};

/// The reason of automatic cancellations.
const OUTDATED: &str =
    "the model or the settings changed; another job counts the video with the current ones";
const OUTDATED_CODE: &str = "outdated";
const REPLACED: &str = "the file was replaced by another one, which has a job of its own";
const REPLACED_CODE: &str = "replaced";

/// An analysis that has to be made.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Hash of model, settings and rules. The same fingerprint is the same job.
    pub fingerprint: String,
    /// The run that it will make.
    pub run: NewRun,
}

/// The changes made by planning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnqueuedJobs {
    /// Videos of which an open job was replaced: a process may be working on it.
    pub replaced: Vec<String>,
    /// Videos of which another run is shown now: the settings are those of a complete run.
    pub published: Vec<String>,
}

impl Store {
    /// Makes the jobs that are missing, in this order. For each video, an open job with another fingerprint is cancelled and a
    /// run in progress with other settings is abandoned. If a complete run has these settings, it is published at once.
    pub async fn enqueue_jobs(&self, jobs: &[NewJob]) -> Result<EnqueuedJobs> {
        let mut transaction = self.begin_write("making jobs").await?;
        let mut planned = EnqueuedJobs::default();
        for job in jobs {
            let video_id = &job.run.video_id;
            if cancel_outdated(&mut transaction, job).await? {
                planned.replaced.push(video_id.clone());
            }
            let complete = follow_settings(&mut transaction, &job.run).await?;
            if let Some(run_id) = &complete
                && runs::publish(&mut transaction, video_id, run_id).await?
            {
                planned.published.push(video_id.clone());
            }
            insert_or_reopen(&mut transaction, job, complete.as_deref()).await?;
        }
        transaction.commit().await.map_err(|error| Error::from_sql("making jobs", error))?;
        Ok(planned)
    }
}

async fn cancel_outdated(transaction: &mut Transaction, job: &NewJob) -> Result<bool> {
    let outdated = sqlx::query(
        "update jobs set state = 'cancelled', error = $3, error_code = $5, finished_at = $4, lease_owner = null, \
         lease_expires_at = null \
         where video_id = $1 and kind = 'analysis' and fingerprint <> $2 and state in ('waiting', 'running')",
    )
    .bind(&job.run.video_id)
    .bind(&job.fingerprint)
    .bind(OUTDATED)
    .bind(unix_secs())
    .bind(OUTDATED_CODE)
    .execute(&mut **transaction)
    .await
    .map_err(|error| Error::from_sql("making jobs", error))?;
    Ok(outdated.rows_affected() > 0)
}

/// Abandons the video's runs in progress that have other settings; returns the complete run that has these.
async fn follow_settings(transaction: &mut Transaction, run: &NewRun) -> Result<Option<String>> {
    let failed = |error| Error::from_sql("making jobs", error);
    sqlx::query(
        "update runs set state = 'abandoned' where video_id = $1 and state = 'running' \
         and not (model_hash = $2 and settings = $3 and rule_version = $4)",
    )
    .bind(&run.video_id)
    .bind(&run.model_hash)
    .bind(&run.settings)
    .bind(i64::from(run.rule_version))
    .execute(&mut **transaction)
    .await
    .map_err(failed)?;
    sqlx::query_scalar(
        "select id from runs where video_id = $1 and model_hash = $2 and settings = $3 and rule_version = $4 \
         and state = 'done' order by number desc limit 1",
    )
    .bind(&run.video_id)
    .bind(&run.model_hash)
    .bind(&run.settings)
    .bind(i64::from(run.rule_version))
    .fetch_optional(&mut **transaction)
    .await
    .map_err(failed)
}

async fn insert_or_reopen(transaction: &mut Transaction, job: &NewJob, run_id: Option<&str>) -> Result<()> {
    let failed = |error| Error::from_sql("making jobs", error);
    let made = sqlx::query(
        "insert into jobs (id, number, video_id, kind, fingerprint, state, created_at, run_id) \
         select $1, coalesce(max(number), 0) + 1, $2, 'analysis', $3, $6, cast($4 as bigint), $5 \
         from jobs where true on conflict do nothing",
    )
    .bind(new_id())
    .bind(&job.run.video_id)
    .bind(&job.fingerprint)
    .bind(unix_secs())
    .bind(run_id)
    .bind(JobState::Waiting)
    .execute(&mut **transaction)
    .await
    .map_err(failed)?;
    if made.rows_affected() == 0 {
        // The settings are again what they were before they changed.
        sqlx::query(
            "update jobs set state = 'waiting', error = null, error_code = null, finished_at = null, tries = 0, due_at = 0 \
             where video_id = $1 and kind = 'analysis' and fingerprint = $2 and state = 'cancelled' and error_code = $3",
        )
        .bind(&job.run.video_id)
        .bind(&job.fingerprint)
        .bind(OUTDATED_CODE)
        .execute(&mut **transaction)
        .await
        .map_err(failed)?;
    }
    Ok(())
}

/// After a registration at `path`: nobody will read the file that was there before; and one that is back is what its jobs were
/// made for.
pub(crate) async fn follow_replacement(transaction: &mut Transaction, path: &str) -> Result<()> {
    let failed = |error| Error::from_sql("registering a video", error);
    sqlx::query(
        "update jobs set state = 'cancelled', error = $1, error_code = $4, finished_at = $2, lease_owner = null, \
         lease_expires_at = null where state in ('waiting', 'running') and video_id in \
         (select id from videos where path = $3 and is_superseded)",
    )
    .bind(REPLACED)
    .bind(unix_secs())
    .bind(path)
    .bind(REPLACED_CODE)
    .execute(&mut **transaction)
    .await
    .map_err(failed)?;
    sqlx::query(
        "update jobs set state = 'waiting', error = null, error_code = null, finished_at = null, tries = 0, due_at = 0 \
         where state = 'cancelled' and error_code = $1 and video_id in \
         (select id from videos where path = $2 and not is_superseded)",
    )
    .bind(REPLACED_CODE)
    .bind(path)
    .execute(&mut **transaction)
    .await
    .map_err(failed)?;
    Ok(())
}
