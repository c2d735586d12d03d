//! Which job each video has, so that a scan of thousands of videos doesn't ask the store for each.

use pigweight_store::{NewJob, VideoRecord};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The job that was enqueued last for each video: its fingerprint. Whoever enqueues a job records it here. Otherwise settings that go back to
/// what they were before would seem to have their job already.
#[derive(Default)]
pub struct EnqueuedFingerprints(Mutex<BTreeMap<String, String>>);

impl EnqueuedFingerprints {
    fn known(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        // Each change is a single insertion or removal.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this job is the video's last one.
    pub fn has(&self, job: &NewJob) -> bool {
        self.known().get(&job.run.video_id) == Some(&job.fingerprint)
    }

    /// From now on this job is the video's last one.
    pub fn record(&self, job: NewJob) {
        self.known().insert(job.run.video_id, job.fingerprint);
    }

    /// Forgets videos that are not among these.
    pub fn forget_others(&self, videos: &[VideoRecord]) {
        let mut known = self.known();
        if known.len() > videos.len() {
            let present: BTreeSet<&str> = videos.iter().map(|video| video.id.as_str()).collect();
            known.retain(|id, _| present.contains(id.as_str()));
        }
    }
}
