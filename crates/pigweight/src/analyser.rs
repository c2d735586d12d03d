//! The background work of the server: registers what lies in the folders, then analyses one video after the other.

use crate::config::Config;
use crate::describe::Chain;
use crate::library::{self, Found};
use crate::live::Live;
use crate::pipeline::{self, Analysis};
use pigweight_detect::Model;
use pigweight_store::{Store, VideoRecord};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;

/// How often the folders are looked through for new videos.
const RESCAN_AFTER: Duration = Duration::from_secs(10);

/// What the work needs.
pub struct Analyser {
    /// Where results go.
    pub store: Store,
    /// Who is told of them.
    pub live: Arc<Live>,
    /// Folders to look through.
    pub folders: Vec<PathBuf>,
    /// `None`: videos are registered and indexed, and wait.
    pub model: Option<Model>,
    /// How.
    pub config: Config,
    /// Set to make it stop at the next frame.
    pub stop: Arc<AtomicBool>,
}

impl Analyser {
    /// Registers what lies in the folders now, so that the first look at the list is not at an empty one. Blocks.
    pub fn register_present(&self, runtime: &Handle) -> usize {
        self.register(runtime, library::find_videos(&self.folders).iter()).len()
    }

    /// Works until it is told to stop. Blocks: give it a thread of its own.
    pub fn work(&self, runtime: &Handle, wake: &crossbeam_channel::Receiver<()>) {
        let mut sizes: BTreeMap<PathBuf, u64> = BTreeMap::new();
        let mut is_first = true;
        // Videos that this process has nothing more to do for.
        let mut finished: BTreeSet<String> = BTreeSet::new();
        while !self.is_stopped() {
            let found = library::find_videos(&self.folders);
            // A file that grew since the last look is still being written; at the start there is no last look.
            let is_whole = |found: &&Found| is_first || sizes.get(&found.path) == Some(&found.size_bytes);
            let videos = self.register(runtime, found.iter().filter(is_whole));
            sizes = found.into_iter().map(|found| (found.path, found.size_bytes)).collect();
            is_first = false;
            for video in videos.iter().filter(|video| !library::is_described(video)) {
                // What is wrong with the file is kept with the video; trouble of the store is told.
                if let Err(library::OpenError::Store(error)) = library::open(&self.store, runtime, video) {
                    self.live.report_trouble(&error.to_string());
                }
                if self.is_stopped() {
                    return;
                }
            }
            // One video, then a look for new ones: a short new video need not wait for all that were there before.
            let next = videos.iter().find(|video| !finished.contains(&video.id));
            match next.filter(|_| self.model.is_some()) {
                Some(video) if self.analyse(runtime, video) => {
                    finished.insert(video.id.clone());
                }
                // The event that ends the wait early is a stop.
                _ => drop(wake.recv_timeout(RESCAN_AFTER)),
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn register<'a>(&self, runtime: &Handle, found: impl Iterator<Item = &'a Found>) -> Vec<VideoRecord> {
        let mut videos = Vec::new();
        for found in found {
            match runtime.block_on(library::register(&self.store, &found.path, &found.name)) {
                Ok(video) => videos.push(video),
                Err(error) => self.live.report_trouble(&error.to_string()),
            }
        }
        self.live.set_present(videos.iter().map(|video| video.id.clone()).collect());
        videos
    }

    /// `false` when it must be tried again later.
    fn analyse(&self, runtime: &Handle, record: &VideoRecord) -> bool {
        let Some(model) = &self.model else { return false };
        let opened = match library::open(&self.store, runtime, record) {
            Ok(video) => video,
            Err(library::OpenError::Media(_)) => return true,
            Err(library::OpenError::Store(error)) => {
                self.live.report_trouble(&error.to_string());
                return false;
            }
        };
        let settings = match self.config.run_settings(Path::new(&record.path), model) {
            Ok(settings) => settings,
            Err(error) => {
                self.live.report_trouble(&Chain(error.as_ref()).to_string());
                return false;
            }
        };
        let analysis = Analysis {
            video: &opened,
            video_id: &record.id,
            model,
            device: "cpu",
            settings: &settings,
            workers: self.config.detect.workers,
        };
        let ended = analysis.run(&self.store, runtime, &self.stop, &mut |progress| {
            self.live.tell(&record.id, progress.clone());
            self.live.clear_trouble();
        });
        self.live.end(&record.id);
        match ended {
            Ok(_) => true,
            Err(pipeline::Error::Stopped) => false,
            Err(error @ pipeline::Error::Store(_)) => {
                self.live.report_trouble(&error.to_string());
                false
            }
            // Kept with the run.
            Err(error) => {
                tracing::warn!("{}: {error}", record.name);
                true
            }
        }
    }
}
