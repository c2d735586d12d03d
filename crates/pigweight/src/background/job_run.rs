//! One job from start to end: opens the video, counts it and makes its small frames, in one pass if both have reached the same
//! frame.

use crate::accuracy::{input_width, viewpoint};
use crate::analysis::frames::Observer;
use crate::analysis::pipeline;
use crate::analysis::plan::{AnalysisPlan, PlannedVideo};
use crate::analysis::run_warnings::other_view;
use crate::analysis::settings::RunSettings;
use crate::background::detector_slot::no_detector;
use crate::background::job_context::{JobContext, MOST_TRIES};
use crate::background::job_enqueuer::job_of;
use crate::reason::Reasoned as _;
use crate::sources::library::OpenError;
use crate::status::Progress;
use pigweight_core::viewpoint::ViewMatch;
use pigweight_media::{DecodedFrame, Video};
use pigweight_store::{JobRecord, Reason, RunState, VideoRecord};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Handle;

/// How a job's work ended.
pub enum JobOutcome {
    /// All is done.
    Done,
    /// Failed for good, and why.
    Failed(Reason),
    /// The process that read the video ended: the job is tried again, a limited number of times.
    Interrupted(Reason),
    /// It can't continue now, and why.
    NotNow(Reason),
    /// It was stopped, or yielded to another job.
    Stopped,
    /// Results could not be written; this was reported.
    Unwritten,
}

/// A held job and its owner.
pub struct JobRun<'a> {
    pub context: &'a JobContext,
    pub runtime: &'a Handle,
    pub job: &'a JobRecord,
}

impl JobRun<'_> {
    /// Works on the job; `gives_way` is called after each step, with the job's state.
    pub fn run(&self, gives_way: &mut dyn FnMut(&JobRecord) -> bool) -> JobOutcome {
        let Self { context, runtime, job } = self;
        let record = match runtime.block_on(context.store.video(&job.video_id)) {
            Ok(record) => record,
            Err(error) => return self.unwritten(&error),
        };
        let video = match runtime.block_on(context.open_videos.stored(&record)) {
            Ok(video) => video,
            Err(error) => return self.unopened(&record, &error),
        };
        // Opening it may have found something out.
        let record = match runtime.block_on(context.store.video(&record.id)) {
            Ok(record) => record,
            Err(error) => return self.unwritten(&error),
        };
        // Checked after the start: pausing or cancelling it from now on stops it.
        let stop = context.cancellation.begin(&record.id);
        let record = match self.with_view(record, &video, &stop) {
            Ok(record) => record,
            Err(outcome) => return outcome,
        };
        match runtime.block_on(context.store.job(&job.id)) {
            Ok(now) if context.is_mine(&now) => {}
            Ok(_) => return JobOutcome::Stopped,
            Err(error) => return self.unwritten(&error),
        }
        let mut making = context.previews.begin(&record.id, &video);
        let observe = &mut |frame: &DecodedFrame| {
            if let Some(making) = &mut making {
                making.see(frame);
            }
        };
        // Jobs are created when there is a model; a job from an earlier start waits for one.
        let Ok(plan) = context.plan(&record) else {
            return JobOutcome::NotNow(no_detector());
        };
        let counted = self.count(&plan, &record, &video, observe, &stop, gives_way);
        if !matches!(counted, JobOutcome::Done) {
            return counted;
        }
        match making.map(|making| making.complete(&stop)) {
            None | Some(Ok(true)) => JobOutcome::Done,
            Some(Ok(false)) => JobOutcome::Stopped,
            Some(Err(error)) if error.is_of_worker() => self.interrupted(&error),
            // The existing part is shown; frames without a small frame are decoded on request.
            Some(Err(error)) => {
                tracing::warn!("{}: {error}", record.name);
                JobOutcome::Done
            }
        }
    }

    fn unopened(&self, record: &VideoRecord, error: &OpenError) -> JobOutcome {
        match error {
            OpenError::Media(error) if error.is_of_worker() => self.interrupted(error),
            OpenError::Media(error) if !record.file_path().exists() => JobOutcome::NotNow(error.reason()),
            OpenError::Media(error) => JobOutcome::Failed(error.reason()),
            OpenError::Stopped => JobOutcome::Stopped,
            OpenError::Store(error) => self.unwritten(error),
        }
    }

    fn count(
        &self,
        plan: &AnalysisPlan,
        record: &VideoRecord,
        video: &Video,
        observe: Observer<'_>,
        stop: &AtomicBool,
        gives_way: &mut dyn FnMut(&JobRecord) -> bool,
    ) -> JobOutcome {
        let Self { context, runtime, job } = self;
        let record = match self.measured(plan, record, video, stop) {
            Ok(record) => record,
            Err(outcome) => return outcome,
        };
        let record = &record;
        let settings = match plan.settings(record) {
            Ok(settings) => settings,
            Err(error) => return JobOutcome::NotNow(error.reason()),
        };
        if let Some(attended) = self.give_up_outdated(plan, record, &settings) {
            return attended;
        }
        let planned = PlannedVideo { record, video, settings: &settings, is_last_try: self.is_last_try() };
        let mut is_noted = false;
        let ended = plan.analyse(&planned, (&context.store, runtime), stop, observe, &mut |progress| {
            context.status.report_progress(&record.id, progress.clone());
            context.status.clear_trouble();
            context.status.clear_blocked(&record.id);
            // A step without a frame doesn't count.
            if !is_noted && progress.run.frames_done > job.frames_done {
                is_noted = self.note(&progress.run.id);
            }
            if !self.goes_on(progress, gives_way) {
                stop.store(true, Ordering::Relaxed);
            }
        });
        context.status.end(&record.id);
        match ended {
            Ok(run) => {
                // A job that was already done had reported nothing.
                if !is_noted {
                    self.note(&run.id);
                }
                JobOutcome::Done
            }
            Err(pipeline::Error::Stopped) => JobOutcome::Stopped,
            // The last attempt, if nothing was written, counts as the run's own failure.
            Err(pipeline::Error::Interrupted(error)) if error.is_of_machine() => {
                JobOutcome::NotNow(error.reason())
            }
            Err(pipeline::Error::Interrupted(error)) => {
                self.note_loss();
                JobOutcome::Interrupted(error.reason())
            }
            Err(error @ (pipeline::Error::SourceAway(_) | pipeline::Error::DetectorGone(_))) => {
                JobOutcome::NotNow(error.reason())
            }
            // The settings changed meanwhile: the run was abandoned, and another job counts the video.
            Err(pipeline::Error::Store(pigweight_store::Error::Overtaken)) => JobOutcome::Stopped,
            // A retry would fail the same way.
            Err(pipeline::Error::Store(error @ pigweight_store::Error::Damaged { .. })) => {
                JobOutcome::Failed(error.reason())
            }
            Err(pipeline::Error::Store(error)) => self.unwritten(&error),
            // Stored with the run as well.
            Err(error @ pipeline::Error::Frames(_)) => JobOutcome::Failed(error.reason()),
        }
    }

    /// The video, after its view was compared with the one that the detector of its source or folder has learned.
    fn with_view(
        &self,
        record: VideoRecord,
        video: &Video,
        stop: &AtomicBool,
    ) -> Result<VideoRecord, JobOutcome> {
        let own = self.context.detector.own_file(&record.file_path(), &record.source_id);
        let Some(file) = own.and_then(|path| std::fs::read(path).ok()) else { return Ok(record) };
        let hash = blake3::hash(&file).to_hex().to_string();
        if record.view_checked_with.as_ref() == Some(&hash) {
            return Ok(record);
        }
        let found = match viewpoint::compare(&file, video, stop) {
            Ok(_) if stop.load(Ordering::SeqCst) => return Ok(record),
            Ok(found) => found,
            Err(error) => {
                if let Some(outcome) = self.worker_lost(&error) {
                    return Err(outcome);
                }
                tracing::debug!("{}: its view is not compared: {error}", record.name);
                return Ok(record);
            }
        };
        if let Some(other @ (ViewMatch::Shifted { .. } | ViewMatch::Other)) = found {
            tracing::warn!("{}: {} ({other:?})", record.name, other_view().message);
        }
        let matches = found.map(|found| found == ViewMatch::Same);
        let kept = self.runtime.block_on(self.context.store.keep_view(&record.id, &hash, matches));
        kept.map_err(|error| self.unwritten(&error))
    }

    /// The video, after its source's animals were measured. If that fails, they are counted at the usual input: what is wrong with the video or
    /// the detector is told by the analysis.
    fn measured(
        &self,
        plan: &AnalysisPlan,
        record: &VideoRecord,
        video: &Video,
        stop: &AtomicBool,
    ) -> Result<VideoRecord, JobOutcome> {
        let place = (&self.context.store, self.runtime);
        let detector = (&*self.context.config, &plan.inference);
        match input_width::measure_source(place, detector, record, video, stop, true) {
            Ok(true) => {
                let measured = self.runtime.block_on(self.context.store.video(&record.id));
                measured.map_err(|error| self.unwritten(&error))
            }
            Ok(false) => Ok(record.clone()),
            Err(error) => {
                if let Some(outcome) = self.worker_lost(&error) {
                    return Err(outcome);
                }
                tracing::debug!("{}: its animals are not measured: {error}", record.name);
                Ok(record.clone())
            }
        }
    }

    /// If the settings have changed since the job was created, another job counts the video.
    fn give_up_outdated(
        &self,
        plan: &AnalysisPlan,
        record: &VideoRecord,
        settings: &RunSettings,
    ) -> Option<JobOutcome> {
        let now = job_of(plan, record, settings);
        if now.fingerprint == self.job.fingerprint {
            return None;
        }
        Some(match self.runtime.block_on(self.context.store.enqueue_jobs(std::slice::from_ref(&now))) {
            Ok(_) => {
                self.context.enqueued.record(now);
                JobOutcome::Stopped
            }
            Err(error) => self.unwritten(&error),
        })
    }

    /// Records the job's progress; `false` if that must be tried again.
    fn note(&self, run_id: &str) -> bool {
        let Self { context, runtime, job } = self;
        runtime.block_on(context.store.record_progress(&job.id, &context.lease_owner, run_id)).is_ok()
    }

    /// Whether this process still owns the job, and no other job takes its place.
    fn goes_on(&self, progress: &Progress, gives_way: &mut dyn FnMut(&JobRecord) -> bool) -> bool {
        let Self { context, runtime, job } = self;
        match runtime.block_on(context.store.job(&job.id)) {
            Ok(now) => {
                let frames_done = progress.run.frames_done;
                context.is_mine(&now)
                    && !(progress.run.state == RunState::Running
                        && gives_way(&JobRecord { frames_done, ..now }))
            }
            // An error while reading may be gone at the next step.
            Err(_) => true,
        }
    }

    fn is_last_try(&self) -> bool {
        self.job.tries >= i64::from(MOST_TRIES)
    }

    fn interrupted(&self, error: &pigweight_media::Error) -> JobOutcome {
        if error.is_of_machine() {
            return JobOutcome::NotNow(error.reason());
        }
        self.note_loss();
        if self.is_last_try() {
            JobOutcome::Failed(too_often(error))
        } else {
            JobOutcome::Interrupted(error.reason())
        }
    }

    /// Whether an error before the count is one of the process that reads the video. Counted without what it was to find out, the video would be counted
    /// otherwise than without the loss.
    fn worker_lost(&self, error: &anyhow::Error) -> Option<JobOutcome> {
        let error = error.downcast_ref::<pigweight_media::Error>().filter(|error| error.is_of_worker())?;
        Some(self.interrupted(error))
    }

    fn note_loss(&self) {
        metrics::counter!("pigweight_workers_lost_total").increment(1);
    }

    fn unwritten(&self, error: &pigweight_store::Error) -> JobOutcome {
        self.context.status.report_blocked(&self.job.video_id, &error.reason());
        JobOutcome::Unwritten
    }
}

fn too_often(error: &pigweight_media::Error) -> Reason {
    Reason::new(error.code(), format!("{error} (tried {MOST_TRIES} times without getting further)"))
}
