//! Job workers: take jobs and count their videos, several at once (`job_scheduler.rs`), and make small frames.
//!
//! A job is held while it is worked on, and left in a state that says what comes next. Changes by a person take
//! precedence. If results can't be written, the job is held and tried again, so that nothing must be written to record that.

use crate::background::folder_watcher::{List, news};
use crate::background::job_context::JobContext;
use crate::background::job_run::{JobOutcome, JobRun};
use crate::background::job_scheduler::SchedulingPolicy;
use crate::reason::Reasoned as _;
use pigweight_store::{JobRecord, Release, VideoRecord};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Delay before failed work is tried again.
const TRY_AGAIN_AFTER_SECS: i64 = 10;
/// One of the threads that count videos.
pub struct JobWorker {
    /// Its context.
    pub context: Arc<JobContext>,
}

impl JobWorker {
    /// Works until it is stopped; `place` is its index among the workers. Blocks: give it its own thread.
    pub fn work(&self, runtime: &Handle, mut list: List, place: usize) {
        let order = SchedulingPolicy::of(place);
        let mut next = None;
        // Without a model there are no jobs; then one worker makes each video's small frames once.
        let mut pictured = BTreeSet::new();
        while !self.context.cancellation.is_over() {
            let videos = list.borrow_and_update().clone();
            self.make_wanted_previews(runtime, &videos);
            let found = match next.take() {
                Some(job) => Ok(Some(job)),
                None => self.take(runtime, order),
            };
            match found {
                Ok(Some(job)) => next = self.pursue(runtime, &mut list, order, job),
                Ok(None) if place == 0 && self.picture_one(runtime, &videos, &mut pictured) => {}
                Ok(None) => self.wait(runtime, &mut list),
                Err(error) => {
                    self.context.status.report_trouble(&error.reason());
                    self.wait(runtime, &mut list);
                }
            }
        }
        if let Some(job) = next {
            // Otherwise it would be given back only at the next start.
            let _unwritten = runtime.block_on(self.context.store.release_job(
                &job.id,
                &self.context.lease_owner,
                Release::Requeue,
            ));
        }
    }

    /// The next folder scan ends the wait: scans come every few seconds, and when a job was changed.
    fn wait(&self, runtime: &Handle, list: &mut List) {
        if !runtime.block_on(news(list)) {
            // The sender is gone: the server ends.
            self.context.cancellation.end();
        }
    }

    /// Takes the next job.
    fn take(&self, runtime: &Handle, order: SchedulingPolicy) -> pigweight_store::Result<Option<JobRecord>> {
        // Jobs of an earlier start wait until there is a model again.
        if self.context.detector.now().is_err() {
            return Ok(None);
        }
        loop {
            let waiting = self.waiting(runtime)?;
            let Some(job) = order.next(&waiting) else { return Ok(None) };
            if let Some(taken) =
                runtime.block_on(self.context.store.take_job(&job.id, &self.context.lease_owner))?
            {
                self.context.status.clear_trouble();
                return Ok(Some(taken));
            }
        }
    }

    /// Takes a job that replaces the current one.
    fn take_better(
        &self,
        runtime: &Handle,
        order: SchedulingPolicy,
        running: &JobRecord,
    ) -> Option<JobRecord> {
        // An error while reading may be gone at the next step.
        let waiting = self.waiting(runtime).ok()?;
        let better = order.next(&waiting).filter(|job| order.preempts(job, running))?;
        runtime.block_on(self.context.store.take_job(&better.id, &self.context.lease_owner)).ok()?
    }

    /// Jobs whose video is there and not held by other workers.
    fn waiting(&self, runtime: &Handle) -> pigweight_store::Result<Vec<JobRecord>> {
        let current = self.context.cancellation.current();
        let mut waiting = runtime.block_on(self.context.store.waiting_jobs())?;
        waiting.retain(|job| job.is_present && !current.contains(&job.video_id));
        Ok(waiting)
    }

    /// Works on a job until it is left. Returns the job that took its place.
    fn pursue(
        &self,
        runtime: &Handle,
        list: &mut List,
        order: SchedulingPolicy,
        mut job: JobRecord,
    ) -> Option<JobRecord> {
        let mut better = None;
        loop {
            let attending = JobRun { context: &self.context, runtime, job: &job };
            let attended = attending.run(&mut |running| {
                better = better.take().or_else(|| self.take_better(runtime, order, running));
                better.is_some()
            });
            if self.is_left(runtime, list, &job, &attended) {
                self.context.status.clear_blocked(&job.video_id);
                return better;
            }
            // Results could not be written.
            self.wait(runtime, list);
            match runtime.block_on(self.context.store.job(&job.id)) {
                _ if self.context.cancellation.is_over() => return better,
                Ok(now) if self.context.is_mine(&now) => job = now,
                // Paused or cancelled meanwhile.
                Ok(_) => {
                    self.is_left(runtime, list, &job, &JobOutcome::Stopped);
                    self.context.status.clear_blocked(&job.video_id);
                    return better;
                }
                Err(error) => self.context.status.report_trouble(&error.reason()),
            }
        }
    }

    /// Records how a job ended; `false` if it must be held and tried again.
    fn is_left(&self, runtime: &Handle, list: &mut List, job: &JobRecord, attended: &JobOutcome) -> bool {
        let left = match attended {
            JobOutcome::Done => Release::Done,
            JobOutcome::Failed(reason) => Release::Failed(reason),
            JobOutcome::Stopped => Release::Requeue,
            JobOutcome::NotNow(reason) => Release::RequeueAfter(TRY_AGAIN_AFTER_SECS, reason),
            JobOutcome::Interrupted(reason) => Release::Interrupted(TRY_AGAIN_AFTER_SECS, reason),
            JobOutcome::Unwritten => return false,
        };
        if let Release::Failed(reason) | Release::RequeueAfter(_, reason) | Release::Interrupted(_, reason) =
            left
        {
            tracing::warn!("{}: {reason}", job.video_name);
        }
        while let Err(error) =
            runtime.block_on(self.context.store.release_job(&job.id, &self.context.lease_owner, left))
        {
            self.context.status.report_blocked(&job.video_id, &error.reason());
            self.wait(runtime, list);
            if self.context.cancellation.is_over() {
                break;
            }
        }
        true
    }

    /// Small frames of videos that are already counted, for viewers.
    fn make_wanted_previews(&self, runtime: &Handle, videos: &[VideoRecord]) {
        self.context.previews.record_views();
        let wanted = self.context.previews.take_wanted();
        for video in videos.iter().filter(|video| wanted.contains(&video.id)) {
            let job = runtime.block_on(self.context.store.latest_job(&video.id)).ok().flatten();
            // If a job is still to come, they are made during counting.
            let is_to_come = job.is_some_and(|job| job.state.is_open());
            if !is_to_come && !self.context.cancellation.current().contains(&video.id) {
                self.make_previews(runtime, video);
            }
        }
    }

    /// If nothing can be counted: the small frames of one more video; `false` if there is none now.
    fn picture_one(&self, runtime: &Handle, videos: &[VideoRecord], pictured: &mut BTreeSet<String>) -> bool {
        if self.context.detector.now().is_ok() {
            return false;
        }
        let is_next = |video: &&VideoRecord| !video.is_paused && !pictured.contains(&video.id);
        let Some(video) = videos.iter().find(is_next) else { return false };
        // A stopped one is paused; the next list says so.
        let is_made = self.make_previews(runtime, video);
        if is_made {
            pictured.insert(video.id.clone());
        }
        is_made
    }

    /// `false` if it was stopped.
    fn make_previews(&self, runtime: &Handle, record: &VideoRecord) -> bool {
        let Ok(video) = runtime.block_on(self.context.open_videos.stored(record)) else { return true };
        let stop = self.context.cancellation.begin(&record.id);
        // Checked after the start: pausing it from now on stops it.
        if runtime.block_on(self.context.store.video(&record.id)).is_ok_and(|record| record.is_paused) {
            return false;
        }
        let Some(making) = self.context.previews.begin(&record.id, &video) else { return true };
        making.complete(&stop).unwrap_or_else(|error| {
            tracing::warn!("{}: {error}", record.name);
            true
        })
    }
}
