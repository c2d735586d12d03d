//! Current status, published to subscribers and not stored.

use pigweight_core::detection::Detection;
use pigweight_core::time::Pts;
use pigweight_store::{Reason, RunRecord};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// A run's progress, published after it is written.
#[derive(Clone, Debug)]
pub struct Progress {
    /// As written.
    pub run: RunRecord,
    /// Animals on the last settled frame.
    pub count: Option<u32>,
    /// Since this process started or resumed the run.
    pub frames_per_sec: f64,
    /// When it was written.
    pub written: Instant,
}

/// What the detector has found on a frame of a camera, before anything of it is settled.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveDetections {
    /// Of the frame.
    pub pts: Pts,
    /// Seconds since the camera was added.
    pub secs: f64,
    /// Those that count as animals, px of the camera's picture.
    pub detections: Vec<Detection>,
}

/// Progress of each video, and problems of the whole server.
#[derive(Default)]
pub struct Status {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    progress: BTreeMap<String, watch::Sender<Option<Progress>>>,
    live: BTreeMap<String, watch::Sender<Option<Arc<LiveDetections>>>>,
    trouble: Option<Reason>,
    /// Damage of the store. It stays: what can still be written doesn't mend what is damaged.
    damage: Option<Reason>,
    /// The errors of the last folder scan.
    scan_trouble: Option<Reason>,
    /// Videos whose work is on hold, and why.
    held: BTreeMap<String, Reason>,
}

impl Status {
    /// A run's progress, after it has been written.
    pub fn report_progress(&self, video_id: &str, progress: Progress) {
        self.sender(video_id).send_replace(Some(progress));
    }

    /// What a camera's newest inferred frame shows. Who is slow gets the newest only.
    pub fn report_live(&self, video_id: &str, detections: LiveDetections) {
        self.live_sender(video_id).send_replace(Some(Arc::new(detections)));
    }

    /// Subscribes to what a camera's frames show.
    pub fn watch_live(&self, video_id: &str) -> watch::Receiver<Option<Arc<LiveDetections>>> {
        self.live_sender(video_id).subscribe()
    }

    /// Work on this video has ended.
    pub fn end(&self, video_id: &str) {
        self.sender(video_id).send_modify(|progress| {
            if let Some(progress) = progress {
                progress.frames_per_sec = 0.0;
            }
        });
    }

    /// Subscribes to a video's progress.
    pub fn watch(&self, video_id: &str) -> watch::Receiver<Option<Progress>> {
        self.sender(video_id).subscribe()
    }

    /// The last progress that this process published for a video.
    pub fn latest(&self, video_id: &str) -> Option<Progress> {
        let inner = self.lock();
        inner.progress.get(video_id).and_then(|sender| sender.borrow().clone())
    }

    /// A problem that prevents writing results, such as a full disk.
    pub fn report_trouble(&self, trouble: &Reason) {
        let mut inner = self.lock();
        let is_damage = trouble.code == pigweight_store::STORE_DAMAGED;
        let kept = if is_damage { &mut inner.damage } else { &mut inner.trouble };
        note(kept, Some(trouble.clone()));
    }

    /// The errors of the folder scan that has just ended; `None` if there were none.
    pub fn end_scan(&self, trouble: Option<Reason>) {
        note(&mut self.lock().scan_trouble, trouble);
    }

    /// The same for the work on a video, which is on hold until results can be written again.
    pub fn report_blocked(&self, video_id: &str, trouble: &Reason) {
        self.report_trouble(trouble);
        self.lock().held.insert(video_id.to_owned(), trouble.clone());
    }

    /// The work on a video is no longer on hold.
    pub fn clear_blocked(&self, video_id: &str) {
        self.lock().held.remove(video_id);
    }

    /// Why the work on a video is on hold.
    pub fn blocked_reason(&self, video_id: &str) -> Option<Reason> {
        self.lock().held.get(video_id).cloned()
    }

    /// Writing works again.
    pub fn clear_trouble(&self) {
        self.lock().trouble = None;
    }

    /// What prevents writing results.
    pub fn trouble(&self) -> Option<Reason> {
        let inner = self.lock();
        inner.damage.clone().or_else(|| inner.trouble.clone()).or_else(|| inner.scan_trouble.clone())
    }

    fn sender(&self, video_id: &str) -> watch::Sender<Option<Progress>> {
        self.lock().progress.entry(video_id.to_owned()).or_insert_with(|| watch::channel(None).0).clone()
    }

    fn live_sender(&self, video_id: &str) -> watch::Sender<Option<Arc<LiveDetections>>> {
        self.lock().live.entry(video_id.to_owned()).or_insert_with(|| watch::channel(None).0).clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is a single assignment, so a panicking holder leaves consistent data.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stores a problem, and logs it if it differs from the previous one.
fn note(kept: &mut Option<Reason>, trouble: Option<Reason>) {
    if let Some(trouble) = trouble.as_ref().filter(|trouble| kept.as_ref() != Some(trouble)) {
        tracing::error!("{trouble}");
    }
    *kept = trouble;
}
