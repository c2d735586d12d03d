//! Scans the folders periodically, registers their files and creates missing jobs: a new video is found within
//! seconds, whatever other work is in progress.

use crate::artifacts::previews::Previews;
use crate::background::cancellation::Cancellation;
use crate::background::job_enqueuer::JobEnqueuer;
use crate::describe::{counted, printable};
use crate::reason::Reasoned as _;
use crate::sources::file_identity::SystemFiles;
use crate::sources::library::{self, FoundFile, OwnFolders};
use crate::status::Status;
use pigweight_store::{EnqueuedJobs, Reason, Store, VideoRecord};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// Interval between folder scans.
const LOOK_AFTER: Duration = Duration::from_secs(10);
/// Interval between searches for previews of missing videos.
const CLEAN_UP_AFTER: Duration = Duration::from_secs(3600);

/// The videos that the last scan found.
pub type List = watch::Receiver<Arc<[VideoRecord]>>;

/// Waits for the next scan; `false` if there will be none.
pub async fn news(list: &mut List) -> bool {
    list.changed().await.is_ok()
}

/// What the watcher needs.
pub struct FolderWatcher {
    /// The store where videos are registered.
    pub store: Store,
    /// Receives which of them are there.
    pub status: Arc<Status>,
    /// Folders to scan.
    pub folders: Vec<PathBuf>,
    /// Those of them in which every file is complete from the beginning.
    pub own: OwnFolders,
    /// Deletes previews of missing videos.
    pub previews: Arc<Previews>,
    /// Signals when to stop.
    pub cancellation: Arc<Cancellation>,
    /// Creates the jobs.
    pub job_enqueuer: JobEnqueuer,
    /// Wakes the thread that counts lines.
    pub count_lines: crossbeam_channel::Sender<()>,
    /// The owner name under which this process sees files.
    pub owner: String,
    /// Is notified of each scan.
    pub list: watch::Sender<Arc<[VideoRecord]>>,
}

/// A folder that can't be read is reported by who reads it.
fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

impl FolderWatcher {
    /// Registers the files now in the folders, so that the first list of videos isn't empty. Blocks.
    pub fn register_present(&self, runtime: &Handle) -> usize {
        let started = self.store.scan_start_millis();
        let (found, mut trouble) = self.find(runtime);
        let videos = self.register(runtime, found.iter(), started, &mut trouble);
        self.status.end_scan(trouble);
        videos.len()
    }

    /// Scans until it is stopped. Blocks: give it its own thread.
    pub fn work(mut self, runtime: &Handle, wake: &crossbeam_channel::Receiver<()>) {
        let mut sizes: BTreeMap<PathBuf, i64> = BTreeMap::new();
        let mut is_first = true;
        let mut cleaned_up: Option<Instant> = None;
        while !self.cancellation.is_over() {
            let started = self.store.scan_start_millis();
            let (found, mut trouble) = self.find(runtime);
            let is_all_read = trouble.is_none();
            // A file that grew since the last scan is still being written; at the start there is no last scan.
            let is_whole = |found: &&FoundFile| {
                is_first
                    || self.own.contain(&found.path)
                    || sizes.get(&found.path) == Some(&found.stat.size_bytes)
            };
            let videos = self.register(runtime, found.iter().filter(is_whole), started, &mut trouble);
            sizes = found.into_iter().map(|found| (found.path, found.stat.size_bytes)).collect();
            is_first = false;
            // Files on a disk that is away aren't deleted.
            if is_all_read && cleaned_up.is_none_or(|last| last.elapsed() > CLEAN_UP_AFTER) {
                self.previews
                    .budget()
                    .remove_those_gone(&videos.iter().map(|video| video.id.clone()).collect());
                cleaned_up = Some(Instant::now());
            }
            self.enqueue_jobs(runtime, &videos, &mut trouble);
            self.status.end_scan(trouble);
            self.list.send_replace(videos.into());
            // The wait ends early for a stop, an upload, or resumed work.
            let _woken = wake.recv_timeout(LOOK_AFTER);
        }
    }

    /// The files in the folders, and what is wrong with the folders: one that is empty, although videos of it are known, may be the place of a disk that
    /// isn't mounted.
    fn find(&self, runtime: &Handle) -> (Vec<FoundFile>, Option<Reason>) {
        let (found, mut trouble) = library::find_videos(&self.folders, Some(&self.own));
        for folder in self.folders.iter().filter(|folder| !self.own.contain(folder) && is_empty(folder)) {
            let Ok(folder) = folder.canonicalize() else { continue };
            match runtime.block_on(self.store.count_known_below(&folder)) {
                Ok(0) => {}
                Ok(known) => {
                    let text = format!(
                        "the folder {} is empty, and {} of it {} known; check that its disk is mounted. They are shown and counted when they are back",
                        printable(&folder.to_string_lossy()),
                        counted(known, "video"),
                        if known == 1 { "is" } else { "are" },
                    );
                    trouble = Some(Reason::new("folder_emptied", text));
                }
                Err(error) => trouble = Some(error.reason()),
            }
        }
        (found, trouble)
    }

    fn enqueue_jobs(&mut self, runtime: &Handle, videos: &[VideoRecord], trouble: &mut Option<Reason>) {
        match self.job_enqueuer.enqueue_jobs(&self.store, runtime, videos) {
            Ok((EnqueuedJobs { replaced, published }, errors)) => {
                for video_id in replaced {
                    self.cancellation.stop(&video_id);
                }
                if !published.is_empty() {
                    // A full queue means that it was already woken.
                    let _already_woken = self.count_lines.try_send(());
                }
                if let Some(error) = errors.first() {
                    *trouble = Some(error.reason());
                }
            }
            Err(error) => *trouble = Some(error.reason()),
        }
    }

    /// `trouble` is the last error.
    fn register<'a>(
        &self,
        runtime: &Handle,
        found: impl Iterator<Item = &'a FoundFile>,
        started_millis: i64,
        trouble: &mut Option<Reason>,
    ) -> Vec<VideoRecord> {
        let videos = library::register_all(&self.store, runtime, found, &SystemFiles, trouble);
        let present: BTreeSet<String> = videos.iter().map(|video| video.id.clone()).collect();
        if let Err(error) = runtime.block_on(self.store.set_present(&self.owner, &present, started_millis)) {
            *trouble = Some(error.reason());
        }
        videos
    }
}
