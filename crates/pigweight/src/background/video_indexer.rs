//! Prepares videos before they are counted: first the index, then thumbnails. It also stores what readers' openings found.

use crate::artifacts::previews::Previews;
use crate::background::cancellation::Cancellation;
use crate::background::folder_watcher::{List, news};
use crate::background::job_context::MOST_TRIES;
use crate::reason::Reasoned as _;
use crate::sources::library::{self, OpenError};
use crate::sources::open_videos::OpenVideos;
use crate::status::Status;
use pigweight_store::VideoRecord;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::runtime::Handle;

/// What the indexer needs.
pub struct VideoIndexer {
    /// Receives errors.
    pub status: Arc<Status>,
    /// Opens the videos.
    pub open_videos: OpenVideos,
    /// Makes the thumbnails.
    pub previews: Arc<Previews>,
    /// Signals when to stop.
    pub cancellation: Arc<Cancellation>,
}

impl VideoIndexer {
    /// Prepares the videos that `list` names until it is stopped. Blocks: give it its own thread.
    pub fn work(&self, runtime: &Handle, mut list: List) {
        let mut prepared: BTreeSet<String> = BTreeSet::new();
        let mut interrupted: BTreeMap<String, u32> = BTreeMap::new();
        let mut is_troubled = false;
        while !self.cancellation.is_over() {
            let listed = list.borrow_and_update().clone();
            let mut videos: Vec<_> = listed.iter().filter(|video| !prepared.contains(&video.id)).collect();
            // A file that takes minutes to index doesn't delay one that takes a moment.
            videos.sort_by_cached_key(|video| {
                std::fs::metadata(video.file_path()).map_or(0, |file| file.len())
            });
            for video in videos {
                self.prepare(runtime, video, &mut prepared, &mut interrupted, &mut is_troubled);
                if self.cancellation.is_over() {
                    return;
                }
            }
            if !runtime.block_on(self.next_scan(&mut list)) {
                return;
            }
        }
    }

    /// Waits for the next scan and stores what readers' openings find meanwhile; `false` if there will be no scan.
    async fn next_scan(&self, list: &mut List) -> bool {
        loop {
            // If the disk is full, findings wait for the next scan.
            if let Err(error) = self.open_videos.store_findings().await {
                tracing::warn!("the index of a video that was opened is not stored yet: {error}");
                return news(list).await;
            }
            tokio::select! {
                is_news = news(list) => return is_news,
                () = self.open_videos.found() => {}
            }
        }
    }

    fn prepare(
        &self,
        runtime: &Handle,
        video: &VideoRecord,
        prepared: &mut BTreeSet<String>,
        interrupted: &mut BTreeMap<String, u32>,
        is_troubled: &mut bool,
    ) {
        let is_done = library::is_described(video) && self.previews.made(&video.id).has_sprites;
        if !is_done && video.error.is_none() {
            match runtime.block_on(self.open_videos.stored(video)) {
                Ok(opened) => {
                    // The result could be written.
                    if std::mem::take(is_troubled) {
                        self.status.clear_trouble();
                    }
                    if let Err(error) =
                        self.previews.make_sprites(&video.id, &opened, &self.cancellation.begin(&video.id))
                    {
                        tracing::warn!("{error}");
                    }
                }
                Err(error) => match &*error {
                    // The process or the machine may be the cause.
                    OpenError::Media(error) if error.is_of_worker() => {
                        let times = interrupted.entry(video.id.clone()).or_default();
                        *times += 1;
                        if *times < MOST_TRIES {
                            return;
                        }
                    }
                    // A fault of the file is stored with the video.
                    OpenError::Media(_) => {}
                    OpenError::Stopped => return,
                    OpenError::Store(error) => {
                        self.status.report_trouble(&error.reason());
                        *is_troubled = true;
                        return;
                    }
                },
            }
        }
        prepared.insert(video.id.clone());
    }
}
