//! The background work of the server: registers what lies in the folders, looks into each, then counts one video after the
//! other and makes its small pictures.

use crate::config::Config;
use crate::describe::Chain;
use crate::library::{self, Found};
use crate::live::Live;
use crate::looking::Watch;
use crate::pipeline::{self, Analysis};
use crate::previews::Previews;
use pigweight_detect::Model;
use pigweight_media::worker::Workers;
use pigweight_media::{DecodedFrame, Video};
use pigweight_store::{Store, VideoRecord};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How often the folders are looked through for new videos.
const RESCAN_AFTER: Duration = Duration::from_secs(10);
/// How often a video is tried whose reading process comes to an end: it may have been the process, or its machine.
const MOST_TRIES: u32 = 3;

/// How the work on a video ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attended {
    /// This process has nothing more to do for it.
    Done,
    /// It must be tried again.
    Later,
    /// It must be tried again, though not for ever: the process that read it is gone.
    Interrupted,
}

/// What the work needs.
pub struct Analyser {
    /// Where results go.
    pub store: Store,
    /// Who is told of them.
    pub live: Arc<Live>,
    /// Folders to look through.
    pub folders: Vec<PathBuf>,
    /// The one of them in which every file is whole from the beginning.
    pub uploads: PathBuf,
    /// `None`: videos are shown, and wait to be counted.
    pub model: Option<Model>,
    /// How.
    pub config: Config,
    /// Who reads the files; `None`: this process.
    pub workers: Option<Workers>,
    /// Small pictures are made beside the counting.
    pub previews: Arc<Previews>,
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
        let mut looked_into: BTreeSet<String> = BTreeSet::new();
        let mut tried = BTreeMap::new();
        let mut interrupted: BTreeMap<String, u32> = BTreeMap::new();
        while !self.is_stopped() {
            self.live.begin_look();
            let found = library::find_videos(&self.folders);
            // A file that grew since the last look is still being written; at the start there is no last look.
            let is_whole = |found: &&Found| {
                is_first
                    || found.path.starts_with(&self.uploads)
                    || sizes.get(&found.path) == Some(&found.size_bytes)
            };
            let videos = self.register(runtime, found.iter().filter(is_whole));
            sizes = found.into_iter().map(|found| (found.path, found.size_bytes)).collect();
            is_first = false;
            for video in &videos {
                self.look_into(runtime, video, &mut looked_into);
                if self.is_stopped() {
                    return;
                }
            }
            let wanted = self.previews.take_wanted();
            for video in
                videos.iter().filter(|video| finished.contains(&video.id) && wanted.contains(&video.id))
            {
                self.make_previews(runtime, video);
            }
            // One video, then a look for new ones: a short new video need not wait for all that were there before. One that
            // must be tried again does not keep those behind it waiting.
            tried.retain(|_, tried: &mut Instant| tried.elapsed() < RESCAN_AFTER);
            let is_due =
                |video: &&VideoRecord| !finished.contains(&video.id) && !tried.contains_key(&video.id);
            match videos.iter().find(is_due) {
                Some(video) => {
                    let times = interrupted.entry(video.id.clone()).or_default();
                    let attended = self.attend_to(runtime, video, *times + 1 >= MOST_TRIES);
                    *times += u32::from(attended == Attended::Interrupted);
                    if attended == Attended::Done || *times >= MOST_TRIES {
                        finished.insert(video.id.clone());
                    } else {
                        tried.insert(video.id.clone(), Instant::now());
                    }
                }
                // What ends the wait early is a stop, or an upload.
                None => drop(wake.recv_timeout(RESCAN_AFTER)),
            }
        }
    }

    /// What is quick and makes a video usable: its index, then its thumbnails.
    fn look_into(&self, runtime: &Handle, video: &VideoRecord, looked_into: &mut BTreeSet<String>) {
        if looked_into.contains(&video.id) {
            return;
        }
        let is_done = library::is_described(video) && self.previews.made(&video.id).has_sprites;
        if !is_done && video.error.is_none() {
            match library::open(&self.store, runtime, self.workers.as_ref(), video) {
                Ok(opened) => {
                    if let Err(error) = self.previews.make_sprites(&video.id, &opened, &self.stop) {
                        tracing::warn!("{error}");
                    }
                }
                // What is wrong with the file is kept with the video.
                Err(library::OpenError::Media(_)) => {}
                Err(library::OpenError::Store(error)) => {
                    self.live.report_trouble(&error.to_string());
                    return;
                }
            }
        }
        looked_into.insert(video.id.clone());
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

    /// Counts a video and makes its small pictures, both from one pass where they have come equally far.
    fn attend_to(&self, runtime: &Handle, record: &VideoRecord, is_last_try: bool) -> Attended {
        let video = match library::open(&self.store, runtime, self.workers.as_ref(), record) {
            Ok(video) => video,
            Err(library::OpenError::Media(error)) if error.is_of_worker() => {
                return interrupted(record, &error);
            }
            Err(library::OpenError::Media(_)) => return Attended::Done,
            Err(library::OpenError::Store(error)) => {
                self.live.report_trouble(&error.to_string());
                return Attended::Later;
            }
        };
        let mut making = self.previews.begin(&record.id, &video);
        let watch = &mut |frame: &DecodedFrame| {
            if let Some(making) = &mut making {
                making.see(frame);
            }
        };
        if let Some(model) = &self.model {
            let counted = self.count(runtime, record, (&video, model), is_last_try, watch);
            if counted != Attended::Done {
                return counted;
            }
        }
        match making.map(|making| making.complete(&self.stop)) {
            None | Some(Ok(true)) => Attended::Done,
            Some(Ok(false)) => Attended::Later,
            Some(Err(error)) if error.is_of_worker() => interrupted(record, &error),
            // What there is of it is shown; frames without a small picture are decoded when they are asked for.
            Some(Err(error)) => {
                tracing::warn!("{}: {error}", record.name);
                Attended::Done
            }
        }
    }

    /// The small pictures of a video that is counted already, for somebody who looks at it.
    fn make_previews(&self, runtime: &Handle, record: &VideoRecord) {
        let Ok(video) = library::open(&self.store, runtime, self.workers.as_ref(), record) else { return };
        if let Some(making) = self.previews.begin(&record.id, &video)
            && let Err(error) = making.complete(&self.stop)
        {
            tracing::warn!("{}: {error}", record.name);
        }
    }

    fn count(
        &self,
        runtime: &Handle,
        record: &VideoRecord,
        (video, model): (&Video, &Model),
        is_last_try: bool,
        watch: Watch<'_>,
    ) -> Attended {
        let settings = match self.config.run_settings(Path::new(&record.path), model) {
            Ok(settings) => settings,
            Err(error) => {
                self.live.report_trouble(&Chain(error.as_ref()).to_string());
                return Attended::Later;
            }
        };
        let analysis = Analysis {
            video,
            video_id: &record.id,
            model,
            device: "cpu",
            settings: &settings,
            workers: self.config.detect.workers,
            is_last_try,
        };
        let ended = analysis.run(&self.store, runtime, &self.stop, watch, &mut |progress| {
            self.live.tell(&record.id, progress.clone());
            self.live.clear_trouble();
        });
        self.live.end(&record.id);
        match ended {
            Ok(_) => Attended::Done,
            Err(pipeline::Error::Stopped) => Attended::Later,
            Err(pipeline::Error::Interrupted(error)) => interrupted(record, &error),
            Err(error @ pipeline::Error::Store(_)) => {
                self.live.report_trouble(&error.to_string());
                Attended::Later
            }
            // Kept with the run.
            Err(error) => {
                tracing::warn!("{}: {error}", record.name);
                Attended::Done
            }
        }
    }
}

fn interrupted(record: &VideoRecord, error: &pigweight_media::Error) -> Attended {
    tracing::warn!("{}: {error}", record.name);
    metrics::counter!("pigweight_workers_lost_total").increment(1);
    Attended::Interrupted
}
