//! What is going on right now: told to whoever watches, kept nowhere.

use crate::pipeline::Progress;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Progress per video and trouble of the whole.
#[derive(Default)]
pub struct Live {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    progress: BTreeMap<String, watch::Sender<Option<Progress>>>,
    present: BTreeSet<String>,
    /// Of them, those that were told since the look at the folders began.
    added: BTreeSet<String>,
    trouble: Option<String>,
    /// Videos whose work is held, and why.
    held: BTreeMap<String, String>,
}

impl Live {
    /// A step of a video's run, after it has been written.
    pub fn tell(&self, video_id: &str, progress: Progress) {
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

    /// The folders are looked through from now on.
    pub fn begin_look(&self) {
        self.lock().added.clear();
    }

    /// Which registered videos the look found in the folders; what was added since it began it may have missed.
    pub fn set_present(&self, video_ids: BTreeSet<String>) {
        let mut inner = self.lock();
        inner.present = video_ids;
        let added = inner.added.clone();
        inner.present.extend(added);
    }

    /// One more lies there than at the last look.
    pub fn add_present(&self, video_id: &str) {
        let mut inner = self.lock();
        inner.present.insert(video_id.to_owned());
        inner.added.insert(video_id.to_owned());
    }

    /// Whether a registered video lies in the folders now.
    pub fn is_present(&self, video_id: &str) -> bool {
        self.lock().present.contains(video_id)
    }

    /// Something that keeps results from being written: a full disk, say.
    pub fn report_trouble(&self, trouble: &str) {
        let mut inner = self.lock();
        if inner.trouble.as_deref() != Some(trouble) {
            tracing::error!("{trouble}");
            inner.trouble = Some(trouble.to_owned());
        }
    }

    /// The same, of the work on a video, which is held until results can be written again.
    pub fn report_held(&self, video_id: &str, trouble: &str) {
        self.report_trouble(trouble);
        self.lock().held.insert(video_id.to_owned(), trouble.to_owned());
    }

    /// The work on a video is not held any more.
    pub fn let_go(&self, video_id: &str) {
        self.lock().held.remove(video_id);
    }

    /// Why the work on a video is held.
    pub fn held(&self, video_id: &str) -> Option<String> {
        self.lock().held.get(video_id).cloned()
    }

    /// Writing works again.
    pub fn clear_trouble(&self) {
        self.lock().trouble = None;
    }

    /// What keeps results from being written.
    pub fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    fn sender(&self, video_id: &str) -> watch::Sender<Option<Progress>> {
        self.lock().progress.entry(video_id.to_owned()).or_insert_with(|| watch::channel(None).0).clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is a single assignment: what a panicking holder left behind is whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
