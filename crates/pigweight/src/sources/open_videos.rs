//! Open videos, shared by all callers: the page, API clients, the background work.
//!
//! Most files give their index at once. If the whole file must be read for it, callers that need only the known part
//! get that, and the others wait.
//!
//! Opening a file for a reader stores nothing. What it finds (the index, or why there is none) waits in memory until the
//! background stores it, so requests that read work on a full disk and never wait for a write.

use crate::sources::library::{self, OpenError};
use pigweight_media::Video;
use pigweight_media::isolate::Workers;
use pigweight_store::{NewVideo, Store, VideoRecord};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, watch};

/// Number of open videos whose index stays in memory,
const KNOWN_VIDEOS: usize = 32;
/// and how many packets they may have in total; a million take 44 MB.
const KNOWN_PACKETS: usize = 2_000_000;
/// Files that are read from end to end at once: more make a disk slower.
const WHOLE_READS: usize = 2;
/// Files that are opened at once with a stored index.
const QUICK_READS: usize = 4;

/// See the module's head. Cheap to clone.
#[derive(Clone)]
pub struct OpenVideos(Arc<Shared>);

struct Shared {
    store: Store,
    /// The worker processes that read files; `None`: this process.
    workers: Option<Workers>,
    /// Least recently used first.
    known: Mutex<Vec<(String, Opening)>>,
    whole_reads: Arc<Semaphore>,
    quick_reads: Arc<Semaphore>,
    /// By video, what was found and isn't stored yet.
    findings: Mutex<BTreeMap<String, NewVideo>>,
    /// Signals a finding.
    found: Notify,
    /// Set when no one may wait any more.
    is_closed: watch::Sender<bool>,
}

type Opening = watch::Receiver<Stage>;

/// How much of a video is open.
#[derive(Clone)]
enum Stage {
    Begun,
    Part(Video),
    Ended(Result<Video, Arc<OpenError>>),
}

impl Stage {
    fn packets(&self) -> usize {
        match self {
            Self::Part(video) | Self::Ended(Ok(video)) => video.index().packets().len(),
            Self::Begun | Self::Ended(Err(_)) => 0,
        }
    }
}

impl OpenVideos {
    /// Starts without open videos.
    pub fn new(store: Store, workers: Option<Workers>) -> Self {
        Self(Arc::new(Shared {
            store,
            workers,
            known: Mutex::default(),
            whole_reads: Arc::new(Semaphore::new(WHOLE_READS)),
            quick_reads: Arc::new(Semaphore::new(QUICK_READS)),
            findings: Mutex::default(),
            found: Notify::new(),
            is_closed: watch::Sender::new(false),
        }))
    }

    /// The worker processes that read foreign bytes; `None`: this process does.
    pub fn workers(&self) -> Option<Workers> {
        self.0.workers.clone()
    }

    /// The whole video, for background work: what opening it found is stored when this returns.
    ///
    /// # Errors
    /// Why it can't be opened, or why the finding can't be written. The next call tries again.
    pub async fn stored(&self, record: &VideoRecord) -> Result<Video, Arc<OpenError>> {
        let opened = self.when(record, |_| false).await;
        self.store_finding(&record.id).await.map_err(OpenError::Store)?;
        opened
    }

    /// The video as soon as `is_enough` of it is known.
    ///
    /// # Errors
    /// Why it can't be opened. The next call tries again.
    pub async fn when(
        &self,
        record: &VideoRecord,
        is_enough: impl Fn(&Video) -> bool,
    ) -> Result<Video, Arc<OpenError>> {
        let mut opening = self.opening(record);
        let mut closing = self.0.is_closed.subscribe();
        let is_far_enough = |stage: &Stage| match stage {
            Stage::Begun => false,
            Stage::Part(video) => is_enough(video),
            Stage::Ended(_) => true,
        };
        let reached = tokio::select! {
            reached = opening.wait_for(is_far_enough) => reached.map(|stage| stage.clone()),
            _ = closing.wait_for(|&is_closed| is_closed) => return Err(OpenError::Stopped.into()),
        };
        match reached {
            Ok(Stage::Part(video)) => Ok(video),
            Ok(Stage::Ended(ended)) => ended,
            // Its task panicked.
            Ok(Stage::Begun) | Err(_) => Err(OpenError::Stopped.into()),
        }
    }

    /// A video that is open, or the known part of one that is being read now.
    pub fn known_of(&self, id: &str) -> Option<Video> {
        let known = self.known();
        let (_, opening) = known.iter().find(|(known, _)| known == id)?;
        match &*opening.borrow() {
            Stage::Part(video) | Stage::Ended(Ok(video)) => Some(video.clone()),
            Stage::Begun | Stage::Ended(Err(_)) => None,
        }
    }

    /// Waits until there is something to store, from the call on or from before it.
    pub async fn found(&self) {
        self.0.found.notified().await;
    }

    /// Stores what readers' openings found.
    ///
    /// # Errors
    /// What the store says. The rest waits for the next call.
    pub async fn store_findings(&self) -> pigweight_store::Result<()> {
        let waiting: Vec<String> = self.findings().keys().cloned().collect();
        for id in waiting {
            self.store_finding(&id).await?;
        }
        Ok(())
    }

    async fn store_finding(&self, id: &str) -> pigweight_store::Result<()> {
        let Some(finding) = self.findings().remove(id) else { return Ok(()) };
        let stored = self.0.store.describe_video(id, &finding).await;
        if stored.is_err() {
            self.findings().entry(id.to_owned()).or_insert(finding);
        }
        stored.map(drop)
    }

    fn findings(&self) -> MutexGuard<'_, BTreeMap<String, NewVideo>> {
        self.0.findings()
    }

    /// From now on no waiting caller gets a video.
    pub fn close(&self) {
        self.0.is_closed.send_replace(true);
    }

    fn known(&self) -> MutexGuard<'_, Vec<(String, Opening)>> {
        // Each change is a single push or remove, so a panicking holder leaves the list consistent.
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one in progress or done, or a new one.
    fn opening(&self, record: &VideoRecord) -> Opening {
        let mut known = self.known();
        let place = known.iter().position(|(known, _)| known == &record.id);
        let usable = place.map(|place| known.remove(place).1).filter(|opening| match &*opening.borrow() {
            Stage::Ended(ended) => ended.is_ok(),
            // A closed one never ends.
            Stage::Begun | Stage::Part(_) => opening.has_changed().is_ok(),
        });
        let opening = usable.unwrap_or_else(|| self.open(record));
        known.push((record.id.clone(), opening.clone()));
        forget_some(&mut known);
        opening
    }

    /// Opens a video in a separate task: a user who scrubs requests and cancels faster than it opens, again and again.
    fn open(&self, record: &VideoRecord) -> Opening {
        let (sender, receiver) = watch::channel(Stage::Begun);
        let (shared, runtime, record) = (self.0.clone(), Handle::current(), record.clone());
        tokio::spawn(async move {
            let reads =
                if library::is_described(&record) { &shared.quick_reads } else { &shared.whole_reads };
            // The semaphores are never closed.
            let Ok(_permit) = reads.clone().acquire_owned().await else { return };
            let work = tokio::task::spawn_blocking(move || {
                let on_part = &mut |part| drop(sender.send_replace(Stage::Part(part)));
                let opened =
                    library::open(&shared.store, &runtime, shared.workers.as_ref(), &record, on_part);
                let opened = opened.map_err(OpenError::Store).and_then(|opened| {
                    if let Some(finding) = opened.finding {
                        shared.remember(&record.id, finding);
                    }
                    opened.video.map_err(OpenError::Media)
                });
                sender.send_replace(Stage::Ended(opened.map_err(Arc::new)));
            });
            // A panic is in the log, and the dropped channel notifies waiting callers.
            let _ended = work.await;
        });
        receiver
    }
}

impl Shared {
    fn findings(&self) -> MutexGuard<'_, BTreeMap<String, NewVideo>> {
        // Each change is a single insertion or removal.
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a finding for the background. If the disk has been full for long, older ones are dropped: opening the file again
    /// finds them again.
    fn remember(&self, id: &str, finding: NewVideo) {
        let mut findings = self.findings();
        findings.insert(id.to_owned(), finding);
        while findings.len() > KNOWN_VIDEOS {
            findings.pop_first();
        }
        drop(findings);
        self.found.notify_one();
    }
}

/// Keeps the indexes in memory within their bounds. Videos being opened and the last one stay.
fn forget_some(known: &mut Vec<(String, Opening)>) {
    let mut packets: usize = known.iter().map(|(_, opening)| opening.borrow().packets()).sum();
    let mut place = 0;
    while (known.len() > KNOWN_VIDEOS || packets > KNOWN_PACKETS) && place + 1 < known.len() {
        let stage = known[place].1.borrow();
        let (is_ended, its) = (matches!(*stage, Stage::Ended(_)), stage.packets());
        drop(stage);
        if is_ended {
            known.remove(place);
            packets -= its;
        } else {
            place += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::library::{FoundFile, register};

    #[tokio::test]
    async fn opening_for_a_reader_stores_nothing_and_the_background_stores_what_was_found() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).await.unwrap();
        let found = FoundFile::alone(&pigweight_testkit::videos::video("gop25.mp4")).unwrap();
        let record = register(&store, &found).await.unwrap();
        let open = OpenVideos::new(store.clone(), None);
        let video = open.when(&record, |_| false).await.unwrap();
        assert_eq!(store.video(&record.id).await.unwrap().frames, None, "a reader wrote");
        assert!(open.known_of(&record.id).is_some_and(|known| known.is_whole()));

        open.found().await;
        open.store_findings().await.unwrap();
        let stored = store.video(&record.id).await.unwrap();
        assert_eq!(stored.frames, Some(video.index().frame_count() as i64));
        // With the stored index nothing new is found.
        let again = OpenVideos::new(store.clone(), None);
        again.stored(&stored).await.unwrap();
        assert!(again.findings().is_empty());
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_is_a_finding_too() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).await.unwrap();
        let path = data.path().join("broken.mp4");
        std::fs::write(&path, "no video").unwrap();
        let record = register(&store, &FoundFile::alone(&path).unwrap()).await.unwrap();
        let open = OpenVideos::new(store.clone(), None);
        assert!(open.when(&record, |_| false).await.is_err());
        assert!(store.video(&record.id).await.unwrap().error.is_none(), "a reader wrote");
        assert!(open.stored(&record).await.is_err());
        assert!(store.video(&record.id).await.unwrap().error.is_some());
    }
}
