//! The context of jobs, shared by all job workers.

use crate::analysis::plan::AnalysisPlan;
use crate::artifacts::previews::Previews;
use crate::artifacts::recordings::Recordings;
use crate::background::cancellation::Cancellation;
use crate::background::detector_slot::{DetectorSlot, Missing};
use crate::background::enqueued_fingerprints::EnqueuedFingerprints;
use crate::config::Config;
use crate::sources::open_videos::OpenVideos;
use crate::status::Status;
use pigweight_store::{JobRecord, JobState, Reason, Store, VideoRecord};
use std::sync::Arc;

/// How often a video is started without progress: the process or the machine may be the cause.
pub const MOST_TRIES: u32 = 3;
/// How often a job is started whose lease owner, this program, ended. More often, because worker processes read the files: a power
/// failure or a restart is the likelier cause.
pub const MOST_STARTS: u32 = 10;

/// Of jobs that this program held then.
pub fn ended_too_often() -> Reason {
    let text = "the program came to an end 10 times while it counted this video, without getting further; retry it, or leave it";
    Reason::new("ended_too_often", text)
}

/// What job workers need.
pub struct JobContext {
    /// The store, with jobs and results.
    pub store: Store,
    /// Receives status and events.
    pub status: Arc<Status>,
    /// Without a detector, videos are shown and wait to be counted.
    pub detector: Arc<DetectorSlot>,
    /// Configuration.
    pub config: Arc<Config>,
    /// The jobs that were enqueued last.
    pub enqueued: EnqueuedFingerprints,
    /// Opens the videos.
    pub open_videos: OpenVideos,
    /// Makes small frames during counting.
    pub previews: Arc<Previews>,
    /// Recordings of cameras.
    pub recordings: Arc<Recordings>,
    /// Stops work at the next frame.
    pub cancellation: Arc<Cancellation>,
    /// Wakes the thread that counts lines.
    pub count_lines: crossbeam_channel::Sender<()>,
    /// The owner name under which this process holds jobs and sees files; no other process has had it.
    pub lease_owner: String,
}

impl JobContext {
    /// Wakes the thread that counts lines over runs where they haven't been counted yet.
    pub fn count_lines(&self) {
        // A full queue means that it was already woken.
        let _already_woken = self.count_lines.try_send(());
    }

    /// The current analysis plan for a video.
    ///
    /// # Errors
    /// Why there is no detector.
    pub fn plan(&self, video: &VideoRecord) -> Result<AnalysisPlan, Missing> {
        let inference = self.detector.for_video(video)?;
        Ok(AnalysisPlan { inference, config: self.config.clone() })
    }

    /// Whether this process may work on a job.
    pub fn is_mine(&self, job: &JobRecord) -> bool {
        job.state == JobState::Running && job.lease_owner.as_ref() == Some(&self.lease_owner)
    }
}
