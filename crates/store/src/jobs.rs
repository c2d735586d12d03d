//! Jobs: work that the background has to do, in rows that outlive the process that does it.
//!
//! A process takes a job by changing its row on the condition that no other process has, and holds it on a lease that it renews; so
//! several processes could share one store. What a person says about a job is written to the row first and holds: the process
//! that works on it finds that at its next step and writes nothing over it.
//!
//! Single source of truth: a job's progress is stored on its run, and whether it is paused on its video.

mod commands;
mod enqueue;
mod lease;

pub(crate) use enqueue::follow_replacement;
pub use enqueue::{EnqueuedJobs, NewJob};
pub(crate) use lease::JOB_LEASE_SECS;
pub use lease::Release;

use crate::Store;
use crate::clock::unix_secs;
use crate::error::{Error, Result};
use sqlx::FromRow;
use std::collections::BTreeMap;

/// Priorities, the highest first in the queue.
pub const PRIORITIES: std::ops::RangeInclusive<i64> = -100..=100;

/// Kind of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::Type)]
#[sqlx(rename_all = "snake_case")]
pub enum JobKind {
    /// A video is analysed and its previews are made.
    #[default]
    Analysis,
}

impl JobKind {
    /// As in the table and the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Analysis => "analysis",
        }
    }
}

/// State of a job. The table has no `Paused`: an open job of a paused video is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, sqlx::Type)]
#[sqlx(rename_all = "snake_case")]
pub enum JobState {
    /// A process works on it.
    Running,
    /// It waits in the queue.
    #[default]
    Waiting,
    /// It waits until work on its video is resumed.
    Paused,
    /// It was tried as often as makes sense.
    Failed,
    /// A person cancelled it, or other settings or another file made it pointless; what was done stays.
    Cancelled,
    /// It is complete.
    Done,
}

impl JobState {
    /// All states.
    pub const ALL: [Self; 6] =
        [Self::Running, Self::Waiting, Self::Paused, Self::Failed, Self::Cancelled, Self::Done];

    /// As in the table and the API.
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

    /// Work is left to do.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Running | Self::Waiting | Self::Paused)
    }
}

/// A job with data of its video and its run.
#[derive(Clone, Debug, Default, FromRow)]
pub struct JobRecord {
    /// ULID.
    pub id: String,
    /// In the order in which they were made.
    pub number: i64,
    /// The video.
    pub video_id: String,
    /// Kind of work.
    pub kind: JobKind,
    /// Hash of model, settings and rules.
    pub fingerprint: String,
    /// Its state.
    pub state: JobState,
    /// See [`PRIORITIES`].
    pub priority: i64,
    /// How often it was begun since it last made progress.
    pub tries: i64,
    /// Not to be begun before, seconds since 1970.
    pub due_at: i64,
    /// Why it failed, was cancelled, or has to be tried again.
    pub error: Option<String>,
    /// Its [`crate::Reason::code`]; of no meaning without it.
    pub error_code: Option<String>,
    /// The run that holds its results; `None` before the first step.
    pub run_id: Option<String>,
    /// Seconds since 1970.
    pub created_at: i64,
    /// When it was begun first, seconds since 1970.
    pub started_at: Option<i64>,
    /// Seconds since 1970.
    pub finished_at: Option<i64>,
    /// The process that works on it.
    pub lease_owner: Option<String>,
    /// The video's name.
    pub video_name: String,
    /// The video's file was replaced by another one.
    pub is_superseded: bool,
    /// The video's file is there now.
    pub is_present: bool,
    /// Of the video, if known.
    pub frames_total: Option<i64>,
    /// Settled and written.
    pub frames_done: i64,
    /// The file was opened, readable or not.
    pub is_described: bool,
}

impl JobRecord {
    /// Frames left, if the video's length is known.
    pub fn frames_left(&self) -> Option<i64> {
        self.frames_total.map(|total| (total - self.frames_done).max(0))
    }
}

/// Which jobs to list.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// In this state.
    pub state: Option<JobState>,
    /// Of this video.
    pub video_id: Option<String>,
    /// Whose identifier begins or ends so.
    pub named: Option<String>,
    /// At most this many.
    pub limit: u32,
}

const SELECT: &str = "select jobs.id, jobs.number, jobs.video_id, jobs.kind, jobs.fingerprint, jobs.priority, \
     case when videos.is_paused and jobs.state in ('waiting', 'running') then 'paused' else jobs.state end as state, \
     jobs.tries, jobs.due_at, jobs.error, jobs.error_code, jobs.run_id, jobs.created_at, jobs.started_at, jobs.finished_at, \
     jobs.lease_owner, videos.name as video_name, videos.is_superseded, videos.frames as frames_total, \
     exists (select 1 from presence where presence.video_id = videos.id) as is_present, \
     coalesce(runs.frames_done, 0) as frames_done, \
     (videos.frames is not null or videos.error is not null) as is_described \
     from jobs join videos on videos.id = jobs.video_id left join runs on runs.id = jobs.run_id";

impl Store {
    /// One job.
    pub async fn job(&self, id: &str) -> Result<JobRecord> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} where jobs.id = $1")))
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| Error::from_sql("reading a job", error))?
            .ok_or_else(|| Error::NotFound { kind: "job", id: id.to_owned() })
    }

    /// The newest job of each video, by the video's identifier; an open one precedes those that ended.
    pub async fn latest_jobs(&self) -> Result<BTreeMap<String, JobRecord>> {
        let jobs: Vec<JobRecord> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{SELECT} where not videos.is_superseded \
             order by case when jobs.state in ('waiting', 'running') then 1 else 0 end, jobs.number"
        )))
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("listing jobs", error))?;
        // The last of each video stays.
        Ok(jobs.into_iter().map(|job| (job.video_id.clone(), job)).collect())
    }

    /// The newest job of a video; an open one precedes those that ended.
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

    /// Jobs in the order in which people want to see them: running, waiting in their order, paused, ended with the latest first.
    pub async fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobRecord>> {
        let of_state = match filter.state {
            None => "true".to_owned(),
            Some(JobState::Paused) => "jobs.state in ('waiting', 'running') and videos.is_paused".to_owned(),
            Some(state @ (JobState::Waiting | JobState::Running)) => {
                format!("jobs.state = '{}' and not videos.is_paused", state.name())
            }
            Some(state) => format!("jobs.state = '{}'", state.name()),
        };
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{SELECT} where ({of_state}) and coalesce($1, jobs.video_id) = jobs.video_id \
             and ($3 is null or substr(jobs.id, 1, length($3)) = $3 or substr(jobs.id, 27 - length($3)) = $3 \
             or substr(jobs.id, 19, length($3)) = $3) \
             order by case when jobs.state in ('waiting', 'running') and videos.is_paused then 2 \
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

    /// How many jobs there are in each state, and how many frames are left in those whose length is known.
    pub async fn count_jobs(&self) -> Result<Vec<(JobState, i64, i64)>> {
        sqlx::query_as(
            "select case when jobs.state in ('waiting', 'running') and videos.is_paused then 'paused' else jobs.state end \
             as shown, count(*), cast(coalesce(sum(coalesce(videos.frames, 0) - coalesce(runs.frames_done, 0)), 0) as bigint) \
             from jobs join videos on videos.id = jobs.video_id left join runs on runs.id = jobs.run_id group by 1",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("counting jobs", error))
    }

    /// Jobs that may start now, in order: their files are there, and they aren't paused.
    pub async fn waiting_jobs(&self) -> Result<Vec<JobRecord>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{SELECT} where jobs.state = 'waiting' and jobs.due_at <= $1 and not videos.is_paused \
             and not videos.is_superseded order by jobs.priority desc, jobs.number"
        )))
        .bind(unix_secs())
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("listing waiting jobs", error))
    }
}
