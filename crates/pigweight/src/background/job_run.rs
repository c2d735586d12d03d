//! One job, from the file to its end: opens the video, counts it and makes its small pictures, both from one pass where they have come equally
//! far.

use crate::analysis::frames::Watch;
use crate::analysis::pipeline::{self, Analysis, Progress, RunSettings};
use crate::background::detector_slot::nobody_looks;
use crate::background::job_planner::Wanted;
use crate::background::job_worker::{Analyser, MOST_TRIES};
use crate::reason::Reasoned as _;
use crate::sources::library::OpenError;
use pigweight_media::{DecodedFrame, Video};
use pigweight_store::{JobRecord, Reason, VideoRecord};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Handle;

/// How the work on a job ended.
pub enum Attended {
    /// All of it is done.
    Done,
    /// It makes no sense to try again, and why.
    Failed(Reason),
    /// The process that read the video is gone: it is tried again, though not for ever.
    Interrupted(Reason),
    /// It cannot go on now, and why.
    NotNow(Reason),
    /// Somebody stopped it, or it gave way.
    Stopped,
    /// Results could not be written; somebody was told.
    Unwritten,
}

/// A job that is held, and who holds it.
pub struct Attending<'a> {
    pub analyser: &'a Analyser,
    pub runtime: &'a Handle,
    pub job: &'a JobRecord,
}

impl Attending<'_> {
    /// Works on it; `gives_way` is asked after each step, and told where the job stands.
    pub fn attend(&self, gives_way: &mut dyn FnMut(&JobRecord) -> bool) -> Attended {
        let Self { analyser, runtime, job } = self;
        let record = match runtime.block_on(analyser.store.video(&job.video_id)) {
            Ok(record) => record,
            Err(error) => return self.unwritten(&error),
        };
        let video = match runtime.block_on(analyser.openings.whole(&record)) {
            Ok(video) => video,
            Err(error) => return self.unopened(&record, &error),
        };
        // Asked after the beginning: who pauses or cancels it from now on stops it.
        let stop = analyser.work.begin(&record.id);
        match runtime.block_on(analyser.store.job(&job.id)) {
            Ok(now) if analyser.is_mine(&now) => {}
            Ok(_) => return Attended::Stopped,
            Err(error) => return self.unwritten(&error),
        }
        let mut making = analyser.previews.begin(&record.id, &video);
        let watch = &mut |frame: &DecodedFrame| {
            if let Some(making) = &mut making {
                making.see(frame);
            }
        };
        // Jobs are made where there is a model; one that was made at an earlier start waits for one.
        let Some(wanted) = analyser.wanted() else {
            return Attended::NotNow(nobody_looks());
        };
        let counted = self.count(&wanted, &record, &video, watch, &stop, gives_way);
        if !matches!(counted, Attended::Done) {
            return counted;
        }
        match making.map(|making| making.complete(&stop)) {
            None | Some(Ok(true)) => Attended::Done,
            Some(Ok(false)) => Attended::Stopped,
            Some(Err(error)) if error.is_of_worker() => self.interrupted(&error),
            // What there is of it is shown; frames without a small picture are decoded when they are asked for.
            Some(Err(error)) => {
                tracing::warn!("{}: {error}", record.name);
                Attended::Done
            }
        }
    }

    fn unopened(&self, record: &VideoRecord, error: &OpenError) -> Attended {
        match error {
            OpenError::Media(error) if error.is_of_worker() => self.interrupted(error),
            OpenError::Media(error) if !Path::new(&record.path).exists() => Attended::NotNow(error.reason()),
            OpenError::Media(error) => Attended::Failed(error.reason()),
            OpenError::Stopped => Attended::Stopped,
            OpenError::Store(error) => self.unwritten(error),
        }
    }

    fn count(
        &self,
        wanted: &Wanted,
        record: &VideoRecord,
        video: &Video,
        watch: Watch<'_>,
        stop: &AtomicBool,
        gives_way: &mut dyn FnMut(&JobRecord) -> bool,
    ) -> Attended {
        let Self { analyser, runtime, job } = self;
        let settings = match wanted.settings(record) {
            Ok(settings) => settings,
            Err(error) => return Attended::NotNow(error.reason()),
        };
        if let Some(attended) = self.give_up_outdated(wanted, record, &settings) {
            return attended;
        }
        let analysis = Analysis {
            video,
            video_id: &record.id,
            inference: &wanted.inference,
            settings: &settings,
            is_last_try: self.is_last_try(),
        };
        let mut is_noted = false;
        let ended = analysis.run(&analyser.store, runtime, stop, watch, &mut |progress| {
            analyser.live.tell(&record.id, progress.clone());
            analyser.live.clear_trouble();
            analyser.live.let_go(&record.id);
            // A step without a frame is none.
            if !is_noted && progress.run.frames_done > job.frames_done {
                is_noted = self.note(&progress.run.id);
            }
            if !self.goes_on(progress, gives_way) {
                stop.store(true, Ordering::Relaxed);
            }
        });
        analyser.live.end(&record.id);
        match ended {
            Ok(run) => {
                // One that was done before told nothing.
                if !is_noted {
                    self.note(&run.id);
                }
                Attended::Done
            }
            Err(pipeline::Error::Stopped) => Attended::Stopped,
            // The last try, where nothing was written, is told as the run's own failure.
            Err(pipeline::Error::Interrupted(error)) => {
                self.note_loss();
                Attended::Interrupted(error.reason())
            }
            Err(error @ (pipeline::Error::Gone(_) | pipeline::Error::Waiting(_))) => {
                Attended::NotNow(error.reason())
            }
            // It will be so the next time.
            Err(pipeline::Error::Store(error @ pigweight_store::Error::Damaged { .. })) => {
                Attended::Failed(error.reason())
            }
            Err(pipeline::Error::Store(error)) => self.unwritten(&error),
            // Kept with the run as well.
            Err(error @ pipeline::Error::Looking(_)) => Attended::Failed(error.reason()),
        }
    }

    /// The settings may have changed since the job was made: then another one counts the video.
    fn give_up_outdated(
        &self,
        wanted: &Wanted,
        record: &VideoRecord,
        settings: &RunSettings,
    ) -> Option<Attended> {
        let now = wanted.job(record, settings);
        if now.fingerprint == self.job.fingerprint {
            return None;
        }
        Some(match self.runtime.block_on(self.analyser.store.enlist_jobs(&[now])) {
            Ok(_) => Attended::Stopped,
            Err(error) => self.unwritten(&error),
        })
    }

    /// Notes that the job came forward; `false` where that has to be tried again.
    fn note(&self, run_id: &str) -> bool {
        let Self { analyser, runtime, job } = self;
        runtime.block_on(analyser.store.note_step(&job.id, &analyser.holder, run_id)).is_ok()
    }

    /// Whether the job is still this process's, and gives way to none.
    fn goes_on(&self, progress: &Progress, gives_way: &mut dyn FnMut(&JobRecord) -> bool) -> bool {
        let Self { analyser, runtime, job } = self;
        match runtime.block_on(analyser.store.job(&job.id)) {
            Ok(now) => {
                let frames_done = progress.run.frames_done;
                analyser.is_mine(&now)
                    && !(progress.run.state == "running" && gives_way(&JobRecord { frames_done, ..now }))
            }
            // What cannot be read now can be at the next step.
            Err(_) => true,
        }
    }

    fn is_last_try(&self) -> bool {
        self.job.tries >= i64::from(MOST_TRIES)
    }

    fn interrupted(&self, error: &pigweight_media::Error) -> Attended {
        self.note_loss();
        if self.is_last_try() {
            Attended::Failed(too_often(error))
        } else {
            Attended::Interrupted(error.reason())
        }
    }

    fn note_loss(&self) {
        metrics::counter!("pigweight_workers_lost_total").increment(1);
    }

    fn unwritten(&self, error: &pigweight_store::Error) -> Attended {
        self.analyser.live.report_held(&self.job.video_id, &error.reason());
        Attended::Unwritten
    }
}

fn too_often(error: &pigweight_media::Error) -> Reason {
    Reason::new(error.code(), format!("{error} (tried {MOST_TRIES} times without getting further)"))
}
