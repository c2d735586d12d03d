//! Jobs: running, waiting in order, and failed; and commands for them.

use crate::background::detector_slot::no_detector;
use crate::web::api::types::{Explanation, JobStateName, time};
use crate::web::app::App;
use crate::web::app::Shared;
use crate::web::auth::caller::Caller;
use crate::web::request::arguments::{Body, Field, Kind, Query, RequestArguments};
use crate::web::request::problem::Problem;
use axum::Json;
use axum::extract::Path;
use pigweight_store::{JobFilter, JobRecord, JobState, PRIORITIES, Reason, VideoRecord};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// Jobs in one answer by default.
const USUAL_LIMIT: u32 = 100;
const MOST: u32 = 1000;

/// What is done in the background: an analysis of a video, with its small pictures.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Job {
    pub id: String,
    /// `analysis`.
    pub kind: String,
    /// The video's identifier.
    pub video: String,
    /// What people call it.
    pub video_name: String,
    /// `running`, `waiting`, `paused`, `failed`, `cancelled`, `done`.
    #[schema(value_type = JobStateName)]
    pub state: String,
    /// −100 to 100; higher ones go first, 0 is usual.
    pub priority: i64,
    /// Of one that waits: how many wait before it, and it; a short video may come sooner. Null while its file is gone.
    pub place: Option<usize>,
    /// The file is another one now, which has a job of its own: this one cannot be retried.
    pub is_replaced: bool,
    /// How often it was begun since it last came forward.
    pub tries: i64,
    /// 0 to 1.
    pub progress: f64,
    pub frames_done: i64,
    /// Null while the file has not been read for its index.
    pub frames_total: Option<i64>,
    /// Null while the job does not run.
    pub frames_per_sec: Option<f64>,
    pub eta_secs: Option<f64>,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// For the first time; null before.
    pub started_at: Option<String>,
    pub finished_at: Option<String>,
    /// Why it failed, was cancelled or waits.
    pub error: Option<String>,
    /// A short name of `error` that stays the same, for programs that say it in other words; null where it has none.
    pub reason_code: Option<String>,
    /// The run that holds its results; null before the first step.
    pub run: Option<String>,
}

/// Jobs in the order in which they are done; behind them those that ended, the latest first.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Jobs {
    pub jobs: Vec<Job>,
    /// Number of jobs in each state, whatever the filter.
    #[schema(value_type = JobCounts)]
    pub counts: BTreeMap<String, i64>,
    /// Until the queue is empty, at the current rate; null while no job runs.
    pub eta_secs: Option<f64>,
    /// Why nothing is counted now; null while there is a detector.
    pub error: Option<String>,
    /// A short name of `error` that stays the same.
    pub reason_code: Option<String>,
    /// Videos that have no job yet: it is made when the model is known.
    pub without_job: usize,
}

#[derive(Deserialize, IntoParams)]
pub struct Filter {
    /// Only those in this state: `running`, `waiting`, `paused`, `failed`, `cancelled`, `done`.
    state: Option<String>,
    /// Only those of this video.
    video: Option<String>,
    /// Only those whose identifier begins or ends so.
    named: Option<String>,
    /// At most so many, 1 to 1000; default 100.
    limit: Option<u32>,
}

impl RequestArguments for Filter {
    const FIELDS: &'static [Field] = &[
        Field::optional("state", Kind::Text),
        Field::optional("video", Kind::Text),
        Field::optional("named", Kind::Text),
        Field::optional("limit", Kind::Whole(1, MOST as i64)),
    ];
}

impl Filter {
    fn filter(self) -> Result<JobFilter, Problem> {
        let state = match &self.state {
            None => None,
            Some(name) => Some(JobState::of(name).ok_or_else(|| {
                let names = JobState::ALL.map(JobState::name).join(", ");
                Problem::bad_request(format!("{name:?} is no state of a job; ask for one of {names}"))
            })?),
        };
        let limit = self.limit.unwrap_or(USUAL_LIMIT);
        Ok(JobFilter { state, video_id: self.video, named: self.named, limit })
    }
}

/// Of a job whose file is not in its folder.
const FILE_GONE: &str = "file_gone";

/// What is known of a job besides what is kept.
pub struct QueueContext<'a> {
    /// `None`: no server runs.
    pub app: Option<&'a App>,
    /// Identifiers of those that wait, in order.
    pub waiting: Vec<String>,
}

impl<'a> QueueContext<'a> {
    /// Asks the store for the order.
    pub async fn of(store: &pigweight_store::Store, app: Option<&'a App>) -> pigweight_store::Result<Self> {
        // Without a server there are no folder scans, so missing files are unknown.
        let is_there = |job: &JobRecord| app.is_none() || job.is_present;
        let waiting = store.waiting_jobs().await?.into_iter().filter(is_there).map(|job| job.id);
        Ok(Self { app, waiting: waiting.collect() })
    }

    fn frames_per_sec(&self, job: &JobRecord) -> Option<f64> {
        let progress = self.app?.status.latest(&job.video_id)?;
        Some(progress.frames_per_sec).filter(|&rate| rate > 0.0)
    }

    /// What keeps an open job from going on, where that is not kept.
    fn hindrance(&self, job: &JobRecord) -> Option<Reason> {
        let app = self.app?;
        match job.state {
            JobState::Running => app.status.blocked_reason(&job.video_id),
            JobState::Waiting if app.detector.now().is_err() => Some(no_detector()),
            JobState::Waiting if !job.is_present => Some(Reason::new(
                FILE_GONE,
                "the file is not in its folder now; it is counted when it is there again, or cancel the job",
            )),
            _ => None,
        }
    }
}

impl Job {
    /// As it is told.
    pub fn new(job: &JobRecord, now: &QueueContext<'_>) -> Self {
        let state = job.state;
        let frames_per_sec = now.frames_per_sec(job).filter(|_| state == JobState::Running);
        let left = job.frames_left();
        let hindrance = now.hindrance(job);
        // Also if it was taken after the places were computed.
        let is_gone = hindrance.as_ref().is_some_and(|reason| reason.code == FILE_GONE);
        let place = now.waiting.iter().position(|id| *id == job.id).map(|place| place + 1);
        let why = Explanation::from(hindrance).or_else(|| Explanation::of_job(job));
        Self {
            id: job.id.clone(),
            kind: job.kind.name().to_owned(),
            video: job.video_id.clone(),
            video_name: job.video_name.clone(),
            state: state.name().to_owned(),
            priority: job.priority,
            place: place.filter(|_| !is_gone),
            is_replaced: job.is_superseded,
            tries: job.tries,
            progress: match (state, job.frames_total) {
                (JobState::Done, _) => 1.0,
                (_, Some(total)) => (job.frames_done as f64 / total.max(1) as f64).clamp(0.0, 1.0),
                (_, None) => 0.0,
            },
            frames_done: job.frames_done,
            frames_total: job.frames_total,
            frames_per_sec,
            eta_secs: frames_per_sec.zip(left).map(|(rate, left)| left as f64 / rate),
            created_at: time(job.created_at).unwrap_or_default(),
            started_at: job.started_at.and_then(time),
            finished_at: job.finished_at.and_then(time),
            error: why.error,
            reason_code: why.reason_code,
            run: job.run_id.clone(),
        }
    }
}

/// Number of jobs in each state.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document alone")]
pub struct JobCounts {
    running: i64,
    waiting: i64,
    paused: i64,
    failed: i64,
    cancelled: i64,
    done: i64,
}

impl Jobs {
    /// Those that a filter lets through.
    pub async fn of(
        store: &pigweight_store::Store,
        filter: &JobFilter,
        app: Option<&App>,
    ) -> pigweight_store::Result<Self> {
        let now = QueueContext::of(store, app).await?;
        let running = JobFilter { state: Some(JobState::Running), limit: MOST, ..JobFilter::default() };
        let running: Vec<(f64, Option<i64>)> = store
            .jobs(&running)
            .await?
            .iter()
            .filter_map(|job| Some((now.frames_per_sec(job)?, job.frames_left())))
            .collect();
        let counted = store.count_jobs().await?;
        let to_come = |state: JobState| matches!(state, JobState::Running | JobState::Waiting);
        let left: i64 =
            counted.iter().filter(|(state, ..)| to_come(*state)).map(|(_, _, frames)| frames).sum();
        let mut counts: BTreeMap<String, i64> =
            JobState::ALL.into_iter().map(|state| (state.name().to_owned(), 0)).collect();
        counts.extend(counted.into_iter().map(|(state, jobs, _)| (state.name().to_owned(), jobs)));
        let missing = app.and_then(|app| app.detector.now().err());
        Ok(Self {
            jobs: store.jobs(filter).await?.iter().map(|job| Job::new(job, &now)).collect(),
            counts,
            eta_secs: queue_eta_secs(left, &running),
            error: missing.as_ref().map(|missing| missing.error.to_string()),
            reason_code: missing.as_ref().map(|missing| missing.error.code().to_owned()),
            without_job: match app.filter(|_| missing.is_some()) {
                Some(app) => without_job(app).await?,
                None => 0,
            },
        })
    }
}

/// Until the queue is empty: all its frames at the rate of the jobs that run now, and never less than the longest of these needs by itself.
/// `running`: frames per second of each, and frames left. `None` while nothing is measured.
fn queue_eta_secs(frames_left: i64, running: &[(f64, Option<i64>)]) -> Option<f64> {
    let rate: f64 = running.iter().map(|(rate, _)| rate).sum();
    let alone = running.iter().filter_map(|&(rate, left)| left.map(|left| left.max(0) as f64 / rate));
    (rate > 0.0).then(|| alone.fold(frames_left.max(0) as f64 / rate, f64::max))
}

/// Videos that wait to be counted, before it is known with which model.
async fn without_job(app: &App) -> pigweight_store::Result<usize> {
    let jobs = app.store.latest_jobs().await?;
    let waits =
        |video: &VideoRecord| video.error.is_none() && video.is_present && !jobs.contains_key(&video.id);
    Ok(app.store.videos().await?.into_iter().filter(waits).count())
}

async fn job_answer(app: &App, job: &JobRecord) -> Result<Json<Job>, Problem> {
    Ok(Json(Job::new(job, &QueueContext::of(&app.store, Some(app)).await?)))
}

/// The queue: running, waiting and ended jobs.
#[utoipa::path(
    get, path = "/api/jobs", params(Filter),
    responses((status = 200, body = Jobs), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub async fn list(caller: Caller, app: Shared, Query(asked): Query<Filter>) -> Result<Json<Jobs>, Problem> {
    let filter = asked.filter()?;
    if let Some(id) = &filter.video_id {
        // An unknown video isn't the same as no jobs.
        caller.registered_video(&app, id).await?;
    }
    Ok(Json(Jobs::of(&app.store, &filter, Some(&app)).await?))
}

/// One job.
#[utoipa::path(
    get, path = "/api/jobs/{id}",
    responses((status = 200, body = Job), (status = 404, body = Problem))
)]
pub async fn one(caller: Caller, app: Shared, Path(id): Path<String>) -> Result<Json<Job>, Problem> {
    job_answer(&app, &caller.job(&app, &id).await?).await
}

/// Pauses a job, as `PUT /api/videos/{id}/work` does; what is counted stays.
#[utoipa::path(
    post, path = "/api/jobs/{id}/pause",
    responses((status = 200, body = Job), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn pause(caller: Caller, app: Shared, Path(id): Path<String>) -> Result<Json<Job>, Problem> {
    caller.job(&app, &id).await?;
    let job = app.store.pause_job(&id, true).await?;
    app.cancellation.stop(&job.video_id);
    job_answer(&app, &job).await
}

/// Resumes a paused job.
#[utoipa::path(
    post, path = "/api/jobs/{id}/resume",
    responses((status = 200, body = Job), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn resume(caller: Caller, app: Shared, Path(id): Path<String>) -> Result<Json<Job>, Problem> {
    caller.job(&app, &id).await?;
    let job = app.store.pause_job(&id, false).await?;
    app.wake();
    job_answer(&app, &job).await
}

/// Cancels a job; what is counted stays.
#[utoipa::path(
    post, path = "/api/jobs/{id}/cancel",
    responses((status = 200, body = Job), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn cancel(caller: Caller, app: Shared, Path(id): Path<String>) -> Result<Json<Job>, Problem> {
    caller.job(&app, &id).await?;
    let job = app.store.cancel_job(&id).await?;
    app.cancellation.stop(&job.video_id);
    job_answer(&app, &job).await
}

/// Queues a failed or cancelled job again. A cancelled job continues where it was; a failed one
/// starts over.
#[utoipa::path(
    post, path = "/api/jobs/{id}/retry",
    responses((status = 200, body = Job), (status = 404, body = Problem), (status = 409, body = Problem))
)]
pub async fn retry(caller: Caller, app: Shared, Path(id): Path<String>) -> Result<Json<Job>, Problem> {
    caller.job(&app, &id).await?;
    let job = app.store.retry_job(&id).await?;
    app.wake();
    job_answer(&app, &job).await
}

/// A job's priority.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Priority {
    /// −100 to 100; higher ones go first, 0 is usual.
    pub priority: i64,
}

impl RequestArguments for Priority {
    const FIELDS: &'static [Field] =
        &[Field::needed("priority", Kind::Whole(*PRIORITIES.start(), *PRIORITIES.end()))];
}

/// Sets a job's priority. A running job yields to one with a higher priority.
#[utoipa::path(
    put, path = "/api/jobs/{id}/priority", request_body = Priority,
    responses((status = 200, body = Job), (status = 400, body = Problem), (status = 404, body = Problem),
              (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem))
)]
pub async fn prioritise(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    Body(Priority { priority }): Body<Priority>,
) -> Result<Json<Job>, Problem> {
    caller.job(&app, &id).await?;
    let job = app.store.prioritise_job(&id, priority).await?;
    app.wake();
    job_answer(&app, &job).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_takes_at_least_as_long_as_its_longest_job() {
        assert_eq!(queue_eta_secs(600, &[]), None);
        assert_eq!(queue_eta_secs(600, &[(10.0, Some(600))]), Some(60.0));
        // The fast one ends soon; the slow one goes on alone.
        assert_eq!(queue_eta_secs(1010, &[(100.0, Some(10)), (1.0, Some(1000))]), Some(1000.0));
        // Others wait behind them.
        assert_eq!(queue_eta_secs(9000, &[(10.0, Some(100)), (10.0, None)]), Some(450.0));
        assert_eq!(queue_eta_secs(-5, &[(10.0, Some(-5))]), Some(0.0));
    }
}
