//! What jobs are run with, shared by all job workers.

use crate::analysis::plan::AnalysisPlan;
use crate::artifacts::previews::Previews;
use crate::background::cancellation::Cancellation;
use crate::background::detector_slot::DetectorSlot;
use crate::background::job_planner;
use crate::config::Config;
use crate::sources::open_videos::OpenVideos;
use crate::status::Status;
use pigweight_store::{JobRecord, JobState, Reason, Store};
use std::sync::Arc;

/// How often a video is begun without getting any further: it may have been the process, or its machine.
pub const MOST_TRIES: u32 = 3;
/// How often a job is begun whose lease owner, this program, came to an end. More often, since files are read by other processes: the
/// power fails, or somebody starts it again and again.
pub const MOST_STARTS: u32 = 10;

/// Of jobs that this program held then.
pub fn ended_too_often() -> Reason {
    let text = "the program came to an end 10 times while it counted this video, without getting further; retry it, or leave it";
    Reason::new("ended_too_often", text)
}

/// What the work needs.
pub struct JobContext {
    /// Where jobs are, and where results go.
    pub store: Store,
    /// Who is told of them.
    pub status: Arc<Status>,
    /// Where nobody looks, videos are shown and wait to be counted.
    pub detector: Arc<DetectorSlot>,
    /// How.
    pub config: Arc<Config>,
    /// Opens the videos.
    pub open_videos: OpenVideos,
    /// Small pictures are made beside the counting.
    pub previews: Arc<Previews>,
    /// Makes it stop at the next frame.
    pub cancellation: Arc<Cancellation>,
    /// Wakes the thread that counts lines.
    pub count_lines: crossbeam_channel::Sender<()>,
    /// The name under which this process holds jobs and sees files; no other has had it.
    pub lease_owner: String,
}

impl JobContext {
    /// Lets lines be counted over what they have not been counted over yet.
    pub fn count_lines(&self) {
        // A full queue means that it has been woken already.
        let _already_woken = self.count_lines.try_send(());
    }

    /// What analyses are made with now; `None`: nobody looks at pictures yet.
    pub fn plan(&self) -> Option<AnalysisPlan> {
        job_planner::plan_now(&self.detector, &self.config)
    }

    /// Whether a job is this process's to work on.
    pub fn is_mine(&self, job: &JobRecord) -> bool {
        job.state == JobState::Running && job.lease_owner.as_ref() == Some(&self.lease_owner)
    }
}
