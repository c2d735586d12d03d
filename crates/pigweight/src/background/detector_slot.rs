//! The server's detectors: the usual one, or why there is none yet (inference servers may start after it), and those that
//! sources and folders have for themselves.

use crate::accuracy::folder_detector;
use crate::analysis::model_trial::load_model;
use crate::analysis::settings::model_settings;
use crate::background::{adaptations, idle_thread};
use crate::config::Config;
use crossbeam_channel::Sender;
use pigweight_detect::service::Inference;
use pigweight_detect::{EndpointReport, Error, Model, ModelSettings, ModelSource};
use pigweight_store::{Reason, RunRecord, VideoRecord};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

/// How often the server tries missing inference servers again.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Why videos aren't counted.
pub fn no_detector() -> Reason {
    Reason::new("no_detector", "there is no detector now; /api/health says why")
}

/// Detectors of sources and folders that are loaded at once: each takes memory.
const MOST_OWN: usize = 4;

/// See the module's head.
pub struct DetectorSlot {
    config: Arc<Config>,
    now: RwLock<Result<Inference, Missing>>,
    /// Most recently used first.
    own: Mutex<Vec<OwnDetector>>,
}

/// The detector of a source or a folder.
struct OwnDetector {
    path: PathBuf,
    /// Another file may take its place.
    size_and_time: (u64, Option<SystemTime>),
    inference: Result<Inference, Missing>,
}

/// Why there is no detector.
#[derive(Clone, Debug)]
pub struct Missing {
    /// What is missing, and how to fix it.
    pub error: Error,
}

impl Missing {
    /// The configured inference servers and the state of each.
    pub fn endpoints(&self) -> Vec<EndpointReport> {
        match &self.error {
            Error::RemoteGone { endpoints, .. } => endpoints.clone(),
            _ => Vec::new(),
        }
    }

    /// Whether it may appear without a restart.
    pub fn is_awaited(&self) -> bool {
        matches!(self.error, Error::RemoteGone { .. })
    }
}

/// Starts the inference threads; those for background pictures run at idle priority.
///
/// # Errors
/// If the system has no more threads.
pub fn start(model: Model, workers: usize) -> Result<Inference, Error> {
    Inference::start(model, workers, Some(idle_thread::give_way))
}

impl DetectorSlot {
    /// The detector, or the reason why there is none.
    pub fn new(inference: Result<Inference, Error>, config: Arc<Config>) -> Self {
        let now = RwLock::new(inference.map_err(|error| Missing { error }));
        Self { config, now, own: Mutex::default() }
    }

    /// The file of the detector that a video has for itself: the one that was adapted to its source, or its folder's.
    pub fn own_file(&self, video: &Path, source_id: &str) -> Option<PathBuf> {
        adaptations::detector_of_source(&self.config, source_id)
            .or_else(|| folder_detector::of(video, &self.config))
    }

    /// Whether another detector made this run because the video shows another view than its own one has learned.
    pub fn leaves_out_own(&self, video: &VideoRecord, run: &RunRecord) -> bool {
        !video.is_of_camera
            && video.view_matches == Some(false)
            && video.view_checked_with.as_ref() != Some(&run.model_hash)
            && self.own_file(&video.file_path(), &video.source_id).is_some()
    }

    /// The detector that counts a video: its own if the video shows the view that this has learned, or the usual one. Blocks while its own is loaded.
    pub fn for_video(&self, video: &VideoRecord) -> Result<Inference, Missing> {
        let Some(path) = self.own_file(&video.file_path(), &video.source_id) else { return self.now() };
        let size_and_time =
            path.metadata().map_or((0, None), |metadata| (metadata.len(), metadata.modified().ok()));
        // Every change is a single insertion or removal.
        let mut known = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let place = known.iter().position(|known| known.path == path);
        let found =
            place.map(|place| known.remove(place)).filter(|found| found.size_and_time == size_and_time);
        let found = found.unwrap_or_else(|| {
            let inference = self.load(&path);
            match &inference {
                Ok(_) => tracing::info!("{} counts its videos", path.display()),
                Err(missing) => tracing::warn!("{}", missing.error),
            }
            OwnDetector { path, size_and_time, inference }
        });
        let inference = found.inference.clone();
        known.insert(0, found);
        known.truncate(MOST_OWN);
        drop(known);
        match inference {
            // The camera was moved since: what this detector knows of its pen is wrong now.
            Ok(own) if video.shows_other_view_than(&own.model().info().hash) => self.now(),
            inference => inference,
        }
    }

    fn load(&self, path: &Path) -> Result<Inference, Missing> {
        let source = ModelSource::File(path.to_owned());
        let settings = ModelSettings { source, ..model_settings(&self.config) };
        let loaded = load_model(settings).and_then(|model| start(model, self.config.detect.workers));
        loaded.map_err(|error| Missing { error })
    }

    /// The current detector.
    pub fn now(&self) -> Result<Inference, Missing> {
        // Every change is a single assignment.
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for servers that were missing at the start, and wakes the background work when they are there. The log reports once that they
    /// are missing and once that they are there; `/api/health` has the state of each in between.
    pub async fn wait_for_servers(&self, settings: ModelSettings, workers: usize, wake: Sender<()>) {
        if let Err(missing) = self.now() {
            tracing::warn!("{}; trying again every few seconds", missing.error);
        }
        loop {
            tokio::time::sleep(RETRY_INTERVAL).await;
            let settings = settings.clone();
            let loaded = tokio::task::spawn_blocking(move || {
                load_model(settings).and_then(|model| start(model, workers))
            });
            let found = match loaded.await {
                Ok(Ok(inference)) => Ok(inference),
                Ok(Err(error)) => Err(Missing { error }),
                Err(_) => return,
            };
            let is_over = !found.as_ref().is_err_and(Missing::is_awaited);
            match &found {
                // The same level as the warning that they were missing, so that both appear in a filtered log.
                Ok(inference) => {
                    tracing::warn!("{} is there, videos are counted", inference.model().place());
                }
                Err(missing) if is_over => tracing::error!("{}", missing.error),
                Err(_) => {}
            }
            *self.now.write().unwrap_or_else(PoisonError::into_inner) = found;
            if is_over {
                // A full queue means that it was already woken.
                let _already_woken = wake.try_send(());
                return;
            }
        }
    }
}
