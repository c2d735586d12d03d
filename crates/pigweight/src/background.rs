//! The server's background work: folders are scanned, jobs planned, ordered and run, indexes and thumbnails built, cameras counted.
//!
//! Every thread here but those of cameras runs at idle priority (`idle_thread.rs`), so that requests never wait for it.

pub mod adaptations;
pub mod camera_connector;
pub mod camera_count;
pub mod camera_counting;
pub mod camera_discovery;
pub mod camera_recorder;
pub mod camera_state_log;
pub mod camera_supervisor;
pub mod camera_transcoder;
pub mod cancellation;
pub mod detector_slot;
pub mod enqueued_fingerprints;
pub mod folder_watcher;
pub mod found_picture;
pub mod idle_thread;
pub mod job_context;
pub mod job_enqueuer;
mod job_run;
pub mod job_scheduler;
pub mod job_worker;
mod line_counting;
mod replayed_video;
pub mod steady_state;
pub mod video_indexer;

use crate::background::adaptations::Adaptations;
use crate::background::folder_watcher::{FolderWatcher, List};
use crate::background::job_context::JobContext;
use crate::background::job_enqueuer::JobEnqueuer;
use crate::background::job_worker::JobWorker;
use crate::background::video_indexer::VideoIndexer;
use crate::sources::library::OwnFolders;
use anyhow::Context as _;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// What the background work starts with.
pub struct BackgroundSettings {
    /// What jobs are run with.
    pub context: Arc<JobContext>,
    /// The folders of uploads and clips.
    pub own: OwnFolders,
    /// Ends the pause between two scans.
    pub wake: crossbeam_channel::Sender<()>,
    /// Its other end.
    pub woken: crossbeam_channel::Receiver<()>,
    /// Told when lines have to be counted.
    pub lines_to_count: crossbeam_channel::Receiver<()>,
    /// Detectors that are adapted to sources.
    pub adaptations: Arc<Adaptations>,
    /// Told when one was asked for.
    pub adaptations_woken: crossbeam_channel::Receiver<()>,
}

/// The threads of the background work.
pub struct Background {
    context: Arc<JobContext>,
    adaptations: Arc<Adaptations>,
    wake: crossbeam_channel::Sender<()>,
    threads: Vec<JoinHandle<()>>,
    videos_found: usize,
}

impl Background {
    /// Registers what lies in the folders now, then starts the threads. Blocks.
    ///
    /// # Errors
    /// Where the system has no more threads.
    pub fn start(settings: BackgroundSettings) -> anyhow::Result<Self> {
        let BackgroundSettings { context, own, wake, woken, lines_to_count, adaptations, adaptations_woken } =
            settings;
        let (list, listed) = watch::channel(Arc::from([]));
        let watcher = FolderWatcher {
            store: context.store.clone(),
            status: context.status.clone(),
            folders: context.config.videos.iter().chain([&own.uploads, &own.clips]).cloned().collect(),
            own,
            previews: context.previews.clone(),
            cancellation: context.cancellation.clone(),
            job_enqueuer: JobEnqueuer::new(context.clone()),
            count_lines: context.count_lines.clone(),
            owner: context.lease_owner.clone(),
            list,
        };
        let indexer = VideoIndexer {
            status: context.status.clone(),
            open_videos: context.open_videos.clone(),
            previews: context.previews.clone(),
            cancellation: context.cancellation.clone(),
        };
        let runtime = Handle::current();
        let videos_found = watcher.register_present(&runtime);
        let mut background =
            Self { context, adaptations: adaptations.clone(), wake, threads: Vec::new(), videos_found };
        let for_adaptations = runtime.clone();
        let adapting = move || adaptations.work(&for_adaptations, &adaptations_woken);
        let started = background
            .spawn_all(watcher, indexer, &runtime, woken, lines_to_count, &listed)
            .and_then(|()| background.spawn("adaptations", adapting));
        if let Err(error) = started {
            // Those that were started are told to end; the first error is the one to tell.
            let _ended = background.stop();
            return Err(error);
        }
        Ok(background)
    }

    fn spawn_all(
        &mut self,
        watcher: FolderWatcher,
        indexer: VideoIndexer,
        runtime: &Handle,
        woken: crossbeam_channel::Receiver<()>,
        lines_to_count: crossbeam_channel::Receiver<()>,
        listed: &List,
    ) -> anyhow::Result<()> {
        let for_watcher = runtime.clone();
        self.spawn("folder watcher", move || watcher.work(&for_watcher, &woken))?;
        let (for_indexer, list) = (runtime.clone(), listed.clone());
        self.spawn("video indexer", move || indexer.work(&for_indexer, list))?;
        let (context, for_lines) = (self.context.clone(), runtime.clone());
        self.spawn("line counting", move || line_counting::work(&context, &for_lines, &lines_to_count))?;
        for place in 0..self.context.config.jobs.at_once {
            let worker = JobWorker { context: self.context.clone() };
            let (runtime, list) = (runtime.clone(), listed.clone());
            self.spawn(&format!("job worker {place}"), move || worker.work(&runtime, list, place))?;
        }
        Ok(())
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> anyhow::Result<()> {
        self.threads.push(idle_thread::spawn(name, work).context("cannot start the background work")?);
        Ok(())
    }

    /// Videos that lay in the folders at the start.
    pub fn videos_found(&self) -> usize {
        self.videos_found
    }

    /// Stops at the next frame, and joins all threads. Blocks.
    ///
    /// # Errors
    /// Where one of them has panicked.
    pub fn stop(self) -> anyhow::Result<()> {
        self.context.cancellation.end();
        self.context.open_videos.close();
        self.adaptations.end();
        // A full queue means that it has been woken already.
        let _already_woken = self.wake.try_send(());
        self.context.count_lines();
        let ended: Vec<_> = self.threads.into_iter().map(JoinHandle::join).collect();
        self.context.previews.record_views();
        anyhow::ensure!(
            ended.iter().all(Result::is_ok),
            "the background work broke down; the log says where"
        );
        Ok(())
    }
}
