//! What is going on right now: told to whoever watches, kept nowhere.

use pigweight_store::{Reason, RunRecord};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// How far a run is, told after it is written.
#[derive(Clone, Debug)]
pub struct Progress {
    /// As written.
    pub run: RunRecord,
    /// Animals on the last settled frame.
    pub count: Option<u32>,
    /// Since this process took the run up.
    pub frames_per_sec: f64,
    /// When it was written.
    pub written: Instant,
}

/// Progress per video and trouble of the whole.
#[derive(Default)]
pub struct Status {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    progress: BTreeMap<String, watch::Sender<Option<Progress>>>,
    trouble: Option<Reason>,
    /// What the last look at the folders met.
    scan_trouble: Option<Reason>,
    /// Videos whose work is held, and why.
    held: BTreeMap<String, Reason>,
}

impl Status {
    /// A step of a video's run, after it has been written.
    pub fn report_progress(&self, video_id: &str, progress: Progress) {
        self.sender(video_id).send_replace(Some(progress));
    }

    /// Nothing goes on with this video any more.
    pub fn end(&self, video_id: &str) {
        self.sender(video_id).send_modify(|progress| {
            if let Some(progress) = progress {
                progress.frames_per_sec = 0.0;
            }
        });
    }

    /// Follows a video's progress.
    pub fn watch(&self, video_id: &str) -> watch::Receiver<Option<Progress>> {
        self.sender(video_id).subscribe()
    }

    /// The last step told of a video by this process.
    pub fn latest(&self, video_id: &str) -> Option<Progress> {
        let inner = self.lock();
        inner.progress.get(video_id).and_then(|sender| sender.borrow().clone())
    }

    /// Something that keeps results from being written: a full disk, say.
    pub fn report_trouble(&self, trouble: &Reason) {
        note(&mut self.lock().trouble, Some(trouble.clone()));
    }

    /// What the look at the folders that has just ended met; nothing, where all was well.
    pub fn end_scan(&self, trouble: Option<Reason>) {
        note(&mut self.lock().scan_trouble, trouble);
    }

    /// The same, of the work on a video, which is held until results can be written again.
    pub fn report_blocked(&self, video_id: &str, trouble: &Reason) {
        self.report_trouble(trouble);
        self.lock().held.insert(video_id.to_owned(), trouble.clone());
    }

    /// The work on a video is not held any more.
    pub fn clear_blocked(&self, video_id: &str) {
        self.lock().held.remove(video_id);
    }

    /// Why the work on a video is held.
    pub fn blocked_reason(&self, video_id: &str) -> Option<Reason> {
        self.lock().held.get(video_id).cloned()
    }

    /// Writing works again.
    pub fn clear_trouble(&self) {
        self.lock().trouble = None;
    }

    /// What keeps results from being written.
    pub fn trouble(&self) -> Option<Reason> {
        let inner = self.lock();
        inner.trouble.clone().or_else(|| inner.scan_trouble.clone())
    }

    fn sender(&self, video_id: &str) -> watch::Sender<Option<Progress>> {
        self.lock().progress.entry(video_id.to_owned()).or_insert_with(|| watch::channel(None).0).clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is a single assignment: what a panicking holder left behind is whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a trouble, and logs it where it is another one than before.
fn note(kept: &mut Option<Reason>, trouble: Option<Reason>) {
    if let Some(trouble) = trouble.as_ref().filter(|trouble| kept.as_ref() != Some(trouble)) {
        tracing::error!("{trouble}");
    }
    *kept = trouble;
}
