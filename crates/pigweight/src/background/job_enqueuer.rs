//! Plans jobs: an analysis of every video in the folders, with the current model and settings.
//!
//! A video gets a job if it is new, its folder was calibrated, or it was counted with another model. A video that was already counted
//! with these settings gets none.

use crate::analysis::plan::AnalysisPlan;
use crate::analysis::settings::RunSettings;
use crate::background::job_context::JobContext;
use pigweight_store::{EnqueuedJobs, NewJob, NewRun, Store, VideoRecord};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Handle;

/// The job that counts a video with these settings.
pub fn job_of(plan: &AnalysisPlan, video: &VideoRecord, settings: &RunSettings) -> NewJob {
    let run = settings.run_of(&video.id, plan.inference.model());
    NewJob { fingerprint: fingerprint(&run), run }
}

/// Equal for equal runs.
fn fingerprint(run: &NewRun) -> String {
    let NewRun { model_hash, settings, rule_version, .. } = run;
    blake3::hash(format!("{model_hash}\n{settings}\n{rule_version}").as_bytes()).to_hex().to_string()
}

/// Videos that are counted alike.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct PlannedFolder {
    folder: PathBuf,
    source_id: String,
    /// Their own threshold (its bits), and the model that it was fitted with.
    min_score: (Option<u64>, Option<String>),
    /// The adapted detector whose view they were compared with, and whether it is theirs.
    view: (Option<String>, Option<bool>),
    /// Their times were repaired.
    is_repaired: bool,
}

/// Creates jobs.
pub struct JobEnqueuer {
    context: Arc<JobContext>,
}

impl JobEnqueuer {
    /// For this server's detectors and configuration.
    pub fn new(context: Arc<JobContext>) -> Self {
        Self { context }
    }

    /// The job of a video; `None` while there is no detector, which `/api/health` tells.
    fn job(&self, video: &VideoRecord) -> anyhow::Result<Option<NewJob>> {
        let plan = match self.context.plan(video) {
            Ok(plan) => plan,
            // The usual one is missing: health says why.
            Err(_) if self.context.detector.own_file(&video.file_path(), &video.source_id).is_none() => {
                return Ok(None);
            }
            Err(missing) => return Err(missing.error.into()),
        };
        let settings = plan.settings(video)?;
        Ok(Some(job_of(&plan, video, &settings)))
    }

    /// Creates the missing jobs. Returns the changes, and what keeps videos from being counted.
    ///
    /// # Errors
    /// If the store can't be written.
    pub fn enqueue_jobs(
        &self,
        store: &Store,
        runtime: &Handle,
        videos: &[VideoRecord],
    ) -> pigweight_store::Result<(EnqueuedJobs, Vec<anyhow::Error>)> {
        // A folder's videos share its detector and calibration, unless they have their own threshold.
        // Jobs alone are kept, not plans: those hold their detectors in memory.
        let mut by_folder: BTreeMap<PlannedFolder, Option<NewJob>> = BTreeMap::new();
        let mut trouble = Vec::new();
        let mut new = Vec::new();
        for video in videos {
            let folder = video.file_path().parent().unwrap_or(Path::new("")).to_owned();
            let planned = by_folder
                .entry(PlannedFolder {
                    folder,
                    source_id: video.source_id.clone(),
                    min_score: (video.min_score.map(f64::to_bits), video.min_score_model.clone()),
                    is_repaired: video.repairs.is_some(),
                    view: (video.view_checked_with.clone(), video.view_matches),
                })
                .or_insert_with(|| {
                    self.job(video).unwrap_or_else(|error| {
                        trouble.push(error);
                        None
                    })
                });
            let Some(NewJob { fingerprint, run }) = planned else { continue };
            let run = NewRun { video_id: video.id.clone(), ..run.clone() };
            let job = NewJob { fingerprint: fingerprint.clone(), run };
            if !self.context.enqueued.has(&job) {
                new.push(job);
            }
        }
        if new.is_empty() {
            return Ok((EnqueuedJobs::default(), trouble));
        }
        let planned = runtime.block_on(store.enqueue_jobs(&new))?;
        new.into_iter().for_each(|job| self.context.enqueued.record(job));
        self.context.enqueued.forget_others(videos);
        Ok((planned, trouble))
    }
}
