//! The background work of the server: counts one video after the other and makes its small pictures.

use crate::config::Config;
use crate::describe::Chain;
use crate::detecting::{Detecting, Looker};
use crate::library::OpenError;
use crate::live::Live;
use crate::looking::Watch;
use crate::lookout::{List, news};
use crate::openings::Openings;
use crate::pipeline::{self, Analysis};
use crate::previews::Previews;
use crate::work::Work;
use pigweight_detect::service::Inference;
use pigweight_media::{DecodedFrame, Video};
use pigweight_store::{Store, VideoRecord};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// What could not be done is tried again so much later.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// How often a video is tried whose reading process comes to an end: it may have been the process, or its machine.
pub const MOST_TRIES: u32 = 3;

/// How the work on a video ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attended {
    /// This process has nothing more to do for it.
    Done,
    /// It must be tried again.
    Later,
    /// It must be tried again, though not for ever: the process that read it is gone.
    Interrupted,
    /// It goes on when somebody says so.
    Paused,
}

/// What the work needs.
pub struct Analyser {
    /// Where results go.
    pub store: Store,
    /// Who is told of them.
    pub live: Arc<Live>,
    /// Where nobody looks, videos are shown and wait to be counted.
    pub detecting: Arc<Detecting>,
    /// How.
    pub config: Config,
    /// Opens the videos.
    pub openings: Openings,
    /// Small pictures are made beside the counting.
    pub previews: Arc<Previews>,
    /// Makes it stop at the next frame.
    pub work: Arc<Work>,
}

impl Analyser {
    /// Works on what `list` names until it is told to stop. Blocks: give it a thread of its own.
    pub fn work(&self, runtime: &Handle, mut list: List) {
        // Videos that this process has nothing more to do for.
        let mut finished: BTreeSet<String> = BTreeSet::new();
        let mut tried = BTreeMap::new();
        let mut interrupted: BTreeMap<String, u32> = BTreeMap::new();
        // Paused since the list was made.
        let mut paused: BTreeSet<String> = BTreeSet::new();
        let mut has_looker = self.detecting.now().is_ok();
        while !self.work.is_over() {
            if !has_looker && self.detecting.now().is_ok() {
                // What nobody could count can be counted now.
                has_looker = true;
                finished.clear();
            }
            if list.has_changed().unwrap_or(true) {
                paused.clear();
            }
            let videos = list.borrow_and_update().clone();
            let wanted = self.previews.take_wanted();
            for video in
                videos.iter().filter(|video| finished.contains(&video.id) && wanted.contains(&video.id))
            {
                self.make_previews(runtime, video);
            }
            // One video, then a look for new ones: a short new video need not wait for all that were there before. One that
            // must be tried again does not keep those behind it waiting.
            tried.retain(|_, tried: &mut Instant| tried.elapsed() < TRY_AGAIN_AFTER);
            let is_due = |video: &&VideoRecord| {
                let is_held_back = video.paused == 1 || paused.contains(&video.id);
                !is_held_back && !finished.contains(&video.id) && !tried.contains_key(&video.id)
            };
            match videos.iter().find(is_due) {
                Some(video) => {
                    let times = interrupted.entry(video.id.clone()).or_default();
                    let attended = self.attend_to(runtime, video, *times + 1 >= MOST_TRIES);
                    *times += u32::from(attended == Attended::Interrupted);
                    if attended == Attended::Done || *times >= MOST_TRIES {
                        finished.insert(video.id.clone());
                    } else if attended == Attended::Paused {
                        paused.insert(video.id.clone());
                    } else {
                        tried.insert(video.id.clone(), Instant::now());
                    }
                }
                // The next look at the folders ends the wait.
                None if !runtime.block_on(news(&mut list)) => return,
                None => {}
            }
        }
    }

    /// Counts a video and makes its small pictures, both from one pass where they have come equally far.
    fn attend_to(&self, runtime: &Handle, record: &VideoRecord, is_last_try: bool) -> Attended {
        let video = match runtime.block_on(self.openings.whole(record)) {
            Ok(video) => video,
            Err(error) => match &*error {
                OpenError::Media(error) if error.is_of_worker() => return interrupted(record, error),
                OpenError::Media(_) => return Attended::Done,
                OpenError::Stopped => return Attended::Later,
                OpenError::Store(error) => {
                    self.live.report_trouble(&error.to_string());
                    return Attended::Later;
                }
            },
        };
        // Asked after the beginning: who pauses it from now on stops it.
        let stop = self.work.begin(&record.id);
        if self.is_paused(runtime, record) {
            return Attended::Paused;
        }
        let mut making = self.previews.begin(&record.id, &video);
        let watch = &mut |frame: &DecodedFrame| {
            if let Some(making) = &mut making {
                making.see(frame);
            }
        };
        if let Ok(Looker { inference, .. }) = self.detecting.now() {
            let counted = self.count(runtime, record, (&video, &inference), is_last_try, watch, &stop);
            if counted != Attended::Done {
                return self.or_paused(runtime, record, counted);
            }
        }
        match making.map(|making| making.complete(&stop)) {
            None | Some(Ok(true)) => Attended::Done,
            Some(Ok(false)) => self.or_paused(runtime, record, Attended::Later),
            Some(Err(error)) if error.is_of_worker() => interrupted(record, &error),
            // What there is of it is shown; frames without a small picture are decoded when they are asked for.
            Some(Err(error)) => {
                tracing::warn!("{}: {error}", record.name);
                Attended::Done
            }
        }
    }

    fn is_paused(&self, runtime: &Handle, record: &VideoRecord) -> bool {
        // Where that cannot be read, nothing else can: the next step will tell.
        runtime.block_on(self.store.video(&record.id)).is_ok_and(|record| record.paused == 1)
    }

    /// How work ended that was not done.
    fn or_paused(&self, runtime: &Handle, record: &VideoRecord, otherwise: Attended) -> Attended {
        if self.is_paused(runtime, record) { Attended::Paused } else { otherwise }
    }

    /// The small pictures of a video that is counted already, for somebody who looks at it.
    fn make_previews(&self, runtime: &Handle, record: &VideoRecord) {
        let Ok(video) = runtime.block_on(self.openings.whole(record)) else { return };
        if let Some(making) = self.previews.begin(&record.id, &video)
            && let Err(error) = making.complete(&self.work.begin(&record.id))
        {
            tracing::warn!("{}: {error}", record.name);
        }
    }

    fn count(
        &self,
        runtime: &Handle,
        record: &VideoRecord,
        (video, inference): (&Video, &Inference),
        is_last_try: bool,
        watch: Watch<'_>,
        stop: &AtomicBool,
    ) -> Attended {
        let settings = match self.config.run_settings(Path::new(&record.path), inference.model()) {
            Ok(settings) => settings,
            Err(error) => {
                self.live.report_trouble(&Chain(error.as_ref()).to_string());
                return Attended::Later;
            }
        };
        let analysis = Analysis { video, video_id: &record.id, inference, settings: &settings, is_last_try };
        let ended = analysis.run(&self.store, runtime, stop, watch, &mut |progress| {
            self.live.tell(&record.id, progress.clone());
            self.live.clear_trouble();
        });
        self.live.end(&record.id);
        match ended {
            Ok(_) => Attended::Done,
            Err(pipeline::Error::Stopped) => Attended::Later,
            Err(pipeline::Error::Interrupted(error)) => interrupted(record, &error),
            Err(pipeline::Error::Waiting(error)) => {
                self.live.hold(&record.id, &error.to_string());
                Attended::Later
            }
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
