//! Jobs: what is wanted of the background, in rows that outlive it.
//!
//! A job is taken by changing its row under the condition that nobody else has, and held for a while that its holder
//! prolongs; so several processes could share one store. Whatever a person says of a job is written first and holds: a holder whose
//! row was changed under it is told so by its next step here, and writes nothing over it.
//!
//! How far a job is stands with its run, whether it is paused with its video: each once.

mod wishes;

use crate::error::{Error, Result};
use crate::reason::Reason;
use crate::{Store, new_id, now_secs};
use sqlx::{FromRow, Row as _};
use std::collections::BTreeMap;

/// The priorities that there are; higher ones first.
pub const PRIORITIES: std::ops::RangeInclusive<i64> = -100..=100;
/// Who says nothing for so long is gone.
const HELD_FOR_SECS: i64 = 60;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobState {
    /// Somebody works on it.
    Running,
    /// It is done when its turn comes.
    Waiting,
    /// It waits until somebody lets its video go on.
    Paused,
    /// It was tried as often as makes sense.
    Failed,
    /// Somebody gave it up; what was done stays.
    Cancelled,
    /// All of it is done.
    Done,
}

impl JobState {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Running, Self::Waiting, Self::Paused, Self::Failed, Self::Cancelled, Self::Done];

    /// Its one name, in the table and outside.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Done => "done",
        }
    }

    /// The state of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Something is still to come.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Running | Self::Waiting | Self::Paused)
    }
}

/// What is wanted.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Of this video.
    pub video_id: String,
    /// Hash of model, settings and rules.
    pub fingerprint: String,
}

/// A job, with what is known elsewhere of its video and its run.
#[derive(Clone, Debug, Default, FromRow)]
pub struct JobRecord {
    /// ULID.
    pub id: String,
    /// In the order in which they were made.
    pub number: i64,
    /// The video.
    pub video_id: String,
    /// `analysis`.
    pub kind: String,
    /// What it was made for.
    pub fingerprint: String,
    /// As in the table, where a pause is the video's: see [`JobRecord::state`].
    pub state: String,
    /// Higher ones first.
    pub priority: i64,
    /// How often it was begun since it last came forward.
    pub tries: i64,
    /// Not to be begun before.
    pub due_at: i64,
    /// Why it failed, was cancelled, or has to be tried again.
    pub error: Option<String>,
    /// Its [`Reason::code`]; of no meaning without it.
    pub error_code: Option<String>,
    /// Its run, from the first step on.
    pub run_id: Option<String>,
    /// Seconds since 1970.
    pub created_at: i64,
    /// Seconds since 1970.
    pub started_at: Option<i64>,
    /// Seconds since 1970.
    pub finished_at: Option<i64>,
    /// The process that works on it.
    pub holder: Option<String>,
    /// What people call the video.
    pub video_name: String,
    /// 1 where the video's file is another one now.
    pub superseded: i64,
    /// Of the video, where they are known.
    pub frames_total: Option<i64>,
    /// Settled and written.
    pub frames_done: i64,
    /// 1 where the video's work is paused.
    pub paused: i64,
    /// 1 where the file was looked into, readable or not.
    pub described: i64,
}

impl JobRecord {
    /// Where it stands.
    pub fn state(&self) -> JobState {
        match JobState::of(&self.state) {
            Some(state) if state.is_open() && self.paused == 1 => JobState::Paused,
            Some(state) => state,
            // Written by a newer version, which would not have been let in.
            None => JobState::Failed,
        }
    }

    /// Whether the file was looked into.
    pub fn is_described(&self) -> bool {
        self.described == 1
    }

    /// Frames that are still to come, where the video's length is known.
    pub fn frames_left(&self) -> Option<i64> {
        self.frames_total.map(|total| (total - self.frames_done).max(0))
    }
}

/// Which jobs.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// In this state.
    pub state: Option<JobState>,
    /// Of this video.
    pub video_id: Option<String>,
    /// Whose identifier begins or ends so.
    pub named: Option<String>,
    /// At most so many.
    pub limit: u32,
}

/// How a job is left by who held it.
#[derive(Clone, Copy, Debug)]
pub enum Left<'a> {
    /// All of it is done.
    Done,
    /// It makes no sense to try again.
    Failed(&'a Reason),
    /// It goes on another time as if nothing had happened.
    ForLater,
    /// The same, not before so many seconds.
    NotBefore(i64, &'a Reason),
    /// It was interrupted, which counts as a try; not before so many seconds.
    Interrupted(i64, &'a Reason),
}

const SELECT: &str = "select jobs.id, jobs.number, jobs.video_id, jobs.kind, jobs.fingerprint, jobs.state, jobs.priority, \
     jobs.tries, jobs.due_at, jobs.error, jobs.error_code, jobs.run_id, jobs.created_at, jobs.started_at, jobs.finished_at, jobs.holder, \
     videos.name as video_name, videos.superseded, videos.frames as frames_total, \
     coalesce(runs.frames_done, 0) as frames_done, videos.paused, \
     cast(case when videos.frames is null and videos.error is null then 0 else 1 end as bigint) as described \
     from jobs join videos on videos.id = jobs.video_id left join runs on runs.id = jobs.run_id";

impl Store {
    /// Makes the jobs that are not there yet, in this order. An open job of the same video with another fingerprint is replaced: the videos are named
    /// on which somebody may be working for one of those.
    pub async fn enlist_jobs(&self, jobs: &[NewJob]) -> Result<Vec<String>> {
        let failed = |error| Error::from_sql("making jobs", error);
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        let mut replaced = Vec::new();
        let now = now_secs();
        for job in jobs {
            let outdated = sqlx::query(
                "update jobs set state = 'cancelled', error = $3, error_code = $5, finished_at = $4, holder = null, \
                 held_until = null \
                 where video_id = $1 and kind = 'analysis' and fingerprint <> $2 and state in ('waiting', 'running')",
            )
            .bind(&job.video_id)
            .bind(&job.fingerprint)
            .bind(OUTDATED)
            .bind(now)
            .bind(OUTDATED_CODE)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
            if outdated.rows_affected() > 0 {
                replaced.push(job.video_id.clone());
            }
            let made = sqlx::query(
                "insert into jobs (id, number, video_id, kind, fingerprint, state, created_at) \
                 select $1, coalesce(max(number), 0) + 1, $2, 'analysis', $3, 'waiting', cast($4 as bigint) \
                 from jobs where true on conflict do nothing",
            )
            .bind(new_id())
            .bind(&job.video_id)
            .bind(&job.fingerprint)
            .bind(now)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
            if made.rows_affected() == 0 {
                // The settings are again what they were before they changed.
                sqlx::query(
                    "update jobs set state = 'waiting', error = null, error_code = null, finished_at = null, tries = 0, due_at = 0 \
                     where video_id = $1 and kind = 'analysis' and fingerprint = $2 and state = 'cancelled' and error = $3",
                )
                .bind(&job.video_id)
                .bind(&job.fingerprint)
                .bind(OUTDATED)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
            }
        }
        transaction.commit().await.map_err(failed)?;
        Ok(replaced)
    }

    /// Jobs that may be begun now, the first first.
    pub async fn waiting_jobs(&self) -> Result<Vec<JobRecord>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{SELECT} where jobs.state = 'waiting' and jobs.due_at <= $1 and videos.paused = 0 \
             and videos.superseded = 0 order by jobs.priority desc, jobs.number"
        )))
        .bind(now_secs())
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("looking for jobs", error))
    }

    /// Takes a job that waits; `None` where somebody else was first, or it is not to be begun any more.
    pub async fn take_job(&self, id: &str, holder: &str) -> Result<Option<JobRecord>> {
        let failed = |error| Error::from_sql("taking a job", error);
        let now = now_secs();
        // Read back with it: a job that was taken and is not known to be would be held for ever.
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        let taken = sqlx::query(
            "update jobs set state = 'running', holder = $2, held_until = $3, tries = tries + 1, \
             started_at = coalesce(started_at, $4), error = null where id = $1 and state = 'waiting' \
             and video_id in (select id from videos where paused = 0 and superseded = 0)",
        )
        .bind(id)
        .bind(holder)
        .bind(now + HELD_FOR_SECS)
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

    /// The job came forward: what was tried in vain before is forgotten. `false` where it is not the holder's any more.
    pub async fn note_step(&self, id: &str, holder: &str, run_id: &str) -> Result<bool> {
        let noted = sqlx::query(
            "update jobs set tries = 1, run_id = $3, held_until = $4 \
             where id = $1 and holder = $2 and state = 'running'",
        )
        .bind(id)
        .bind(holder)
        .bind(run_id)
        .bind(now_secs() + HELD_FOR_SECS)
        .execute(&self.pool)
        .await
        .map_err(|error| Error::from_sql("noting a job's step", error))?;
        Ok(noted.rows_affected() == 1)
    }

    /// The holder is still there.
    pub async fn hold_jobs(&self, holder: &str) -> Result<()> {
        sqlx::query("update jobs set held_until = $2 where holder = $1 and state = 'running'")
            .bind(holder)
            .bind(now_secs() + HELD_FOR_SECS)
            .execute(&self.pool)
            .await
            .map_err(|error| Error::from_sql("holding jobs", error))?;
        Ok(())
    }

    /// Leaves a job. Nothing happens where it is not the holder's any more: whoever changed it had the last word.
    pub async fn leave_job(&self, id: &str, holder: &str, left: Left<'_>) -> Result<()> {
        let now = now_secs();
        // State, error, end, due, tries that do not count.
        let (state, error, finished_at, due_at, uncounted) = match left {
            Left::Done => ("done", None, Some(now), 0, 0),
            Left::Failed(reason) => ("failed", Some(reason), Some(now), 0, 0),
            Left::ForLater => ("waiting", None, None, 0, 1),
            Left::NotBefore(secs, reason) => ("waiting", Some(reason), None, now + secs, 1),
            Left::Interrupted(secs, reason) => ("waiting", Some(reason), None, now + secs, 0),
        };
        sqlx::query(
            "update jobs set state = $3, error = $4, error_code = $8, finished_at = $5, due_at = $6, tries = tries - $7, \
             holder = null, held_until = null where id = $1 and holder = $2 and state = 'running'",
        )
        .bind(id)
        .bind(holder)
        .bind(state)
        .bind(error.map(|reason| &reason.text))
        .bind(finished_at)
        .bind(due_at)
        .bind(uncounted)
        .bind(error.map(|reason| reason.code))
        .execute(&self.pool)
        .await
        .map_err(|error| Error::from_sql("leaving a job", error))?;
        Ok(())
    }

    /// Gives jobs back whose holders are gone: those that are held no longer, or `all` where the caller knows that nobody else can
    /// hold any. One that was begun `most_tries` times without coming forward has failed.
    pub async fn take_back_jobs(&self, all: bool, most_tries: u32, reason: &Reason) -> Result<u64> {
        let failed = |error| Error::from_sql("taking jobs back", error);
        let now = now_secs();
        let gone_before = if all { i64::MAX } else { now };
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        let hopeless = sqlx::query(
            "update jobs set state = 'failed', error = $3, error_code = $5, finished_at = $4, holder = null, held_until = null \
             where state = 'running' and coalesce(held_until, 0) < $1 and tries >= $2",
        )
        .bind(gone_before)
        .bind(i64::from(most_tries))
        .bind(&reason.text)
        .bind(now)
        .bind(reason.code)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        let given_back = sqlx::query(
            "update jobs set state = 'waiting', holder = null, held_until = null \
             where state = 'running' and coalesce(held_until, 0) < $1",
        )
        .bind(gone_before)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(hopeless.rows_affected() + given_back.rows_affected())
    }

    /// One job.
    pub async fn job(&self, id: &str) -> Result<JobRecord> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} where jobs.id = $1")))
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| Error::from_sql("reading a job", error))?
            .ok_or_else(|| Error::NotFound { kind: "job", id: id.to_owned() })
    }

    /// The newest job of each video, by the video's identifier; one that is still to come goes before those that ended.
    pub async fn latest_jobs(&self) -> Result<BTreeMap<String, JobRecord>> {
        let jobs: Vec<JobRecord> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{SELECT} where videos.superseded = 0 \
             order by case when jobs.state in ('waiting', 'running') then 1 else 0 end, jobs.number"
        )))
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("listing jobs", error))?;
        // Of those of a video the last stays.
        Ok(jobs.into_iter().map(|job| (job.video_id.clone(), job)).collect())
    }

    /// The newest job of a video; one that is still to come goes before those that ended.
    pub async fn latest_job(&self, video_id: &str) -> Result<Option<JobRecord>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{SELECT} where jobs.video_id = $1 order by case when jobs.state in ('waiting', 'running') then 0 else 1 end, \
             jobs.number desc limit 1"
        )))
        .bind(video_id)
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| Error::from_sql("reading a job", error))
    }

    /// Jobs in the order in which people want to see them: what goes on, what waits in its order, what has ended, the latest first.
    pub async fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobRecord>> {
        let of_state = match filter.state {
            None => "true".to_owned(),
            Some(JobState::Paused) => "jobs.state in ('waiting', 'running') and videos.paused = 1".to_owned(),
            Some(state @ (JobState::Waiting | JobState::Running)) => {
                format!("jobs.state = '{}' and videos.paused = 0", state.name())
            }
            Some(state) => format!("jobs.state = '{}'", state.name()),
        };
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{SELECT} where ({of_state}) and coalesce($1, jobs.video_id) = jobs.video_id \
             and ($3 is null or substr(jobs.id, 1, length($3)) = $3 or substr(jobs.id, 27 - length($3)) = $3 \
             or substr(jobs.id, 19, length($3)) = $3) \
             order by case when jobs.state in ('waiting', 'running') and videos.paused = 1 then 2 \
             when jobs.state = 'running' then 0 when jobs.state = 'waiting' then 1 else 3 end, \
             coalesce(jobs.finished_at, 0) desc, jobs.priority desc, jobs.number limit $2"
        )))
        .bind(&filter.video_id)
        .bind(i64::from(filter.limit))
        .bind(filter.named.as_ref().map(|name| name.to_lowercase()))
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("listing jobs", error))
    }

    /// How many jobs there are in each state, and how many frames are still to come in those whose length is known.
    pub async fn count_jobs(&self) -> Result<Vec<(JobState, i64, i64)>> {
        let failed = |error| Error::from_sql("counting jobs", error);
        let rows = sqlx::query(
            "select case when jobs.state in ('waiting', 'running') and videos.paused = 1 then 'paused' else jobs.state end \
             as shown, count(*), cast(coalesce(sum(coalesce(videos.frames, 0) - coalesce(runs.frames_done, 0)), 0) as bigint) \
             from jobs join videos on videos.id = jobs.video_id left join runs on runs.id = jobs.run_id group by 1",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        let mut counts = Vec::new();
        for row in rows {
            let name: String = row.try_get(0).map_err(failed)?;
            let (jobs, frames_left) = (row.try_get(1).map_err(failed)?, row.try_get(2).map_err(failed)?);
            counts.extend(JobState::of(&name).map(|state| (state, jobs, frames_left)));
        }
        Ok(counts)
    }
}

/// Why a job was given up that nobody gave up.
const OUTDATED: &str = "the model or the settings changed; another job counts the video with those of now";
const OUTDATED_CODE: &str = "outdated";
/// Of a video whose file was replaced.
pub(crate) const REPLACED_CODE: &str = "replaced";
pub(crate) const REPLACED: &str = "the file was replaced by another one, which has a job of its own";
