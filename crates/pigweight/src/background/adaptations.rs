//! Adapting detectors to sources, one at a time, beside counting.
//!
//! A request is a small file in the data folder, `detectors/SOURCE.json`. The adapted detector, `SOURCE.onnx` next to it, then counts the
//! source's recordings. Both survive a crash: after a restart, the work resumes from its last checkpoint.

use crate::accuracy::adaptation::{
    CheckpointFile, NumberedStretch, STEPS_PER_CHECKPOINT, constant_number, known_numbers, read_film,
    write_whole,
};
use crate::accuracy::{folder_detector, viewpoint};
use crate::analysis::settings::model_settings;
use crate::background::idle_thread;
use crate::config::{AdaptConfig, Config};
use crate::describe::Chain;
use crate::sources::open_videos::OpenVideos;
use anyhow::Context as _;
use crossbeam_channel::Sender;
use pigweight_media::Video;
use pigweight_store::{Store, VideoRecord};
use pigweight_train::Network;
use pigweight_train::adapt::{Adaptation, Advance, Refusal, Settings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;

/// The newest recordings that are learned from; the index of each is in memory meanwhile,
const MOST_RECORDINGS: usize = 50;
/// so they have at most this many frames in total: twenty hours. One that is longer is taken alone.
const MOST_FRAMES: i64 = 2_000_000;
/// Read from the store at once.
const PAGE: u32 = 1000;
/// The folder in the data folder.
const FOLDER: &str = "detectors";

/// How far an adaptation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdaptationState {
    /// It begins, or goes on, when no other runs.
    Waiting,
    /// It learns.
    Running,
    /// The adapted detector counts the source's recordings.
    Done,
    /// The detector did not get better; nothing has changed.
    NotBetter,
    /// It could not learn; the reason says why.
    Failed,
}

impl AdaptationState {
    /// Whether there is work left.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::Running)
    }
}

/// A requested adaptation and its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdaptationRecord {
    /// How far it is.
    pub state: AdaptationState,
    /// In view all the time; `None`: at moments alone.
    pub animals: Option<u32>,
    /// In view at these moments.
    #[serde(default)]
    pub moments: Vec<CountedMoment>,
    /// Done, 0 to 1.
    pub progress: f64,
    /// How far counts of the held-out part were from the number, on average, with the detector before.
    pub error_before: Option<f64>,
    /// With the adapted one; of several rounds the best.
    pub error_after: Option<f64>,
    /// Why it failed.
    pub reason: Option<String>,
}

/// How many animals a person saw at a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CountedMoment {
    /// The recording.
    pub video_id: String,
    /// Seconds since its first frame.
    pub secs: f64,
    /// In view.
    pub animals: u32,
}

/// What a detector is to learn from.
#[derive(Clone, Debug, PartialEq)]
pub enum KnownNumbers {
    /// As many as this all the time.
    Constant(u32),
    /// As counted at moments, at least one with an animal.
    AtMoments(Vec<CountedMoment>),
}

/// Why an adaptation isn't begun.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source has one that isn't over.
    #[error("this source is being adapted already; wait until that is done, or stop it (DELETE)")]
    Open,
    /// Another model counts all videos.
    #[error(
        "the configuration names a model or inference servers, which count all videos; only the built-in detector is adapted"
    )]
    NamedModel,
    /// The data folder can't be written.
    #[error("{0}")]
    Unwritten(String),
}

/// See the module's head.
pub struct Adaptations {
    folder: PathBuf,
    config: Arc<Config>,
    store: Store,
    open_videos: OpenVideos,
    /// Wakes the counting when a detector is there or gone.
    wake_counting: Sender<()>,
    wake: Sender<()>,
    current: Mutex<Option<Current>>,
    is_over: AtomicBool,
}

/// The one that is being worked on.
struct Current {
    source_id: String,
    record: AdaptationRecord,
    stop: Arc<AtomicBool>,
}

impl Current {
    /// Whether it is this source's and goes on. A stopped one ends at its next step; another may be requested before that.
    fn is_of(&self, source_id: &str) -> bool {
        self.source_id == source_id && !self.stop.load(Ordering::Relaxed)
    }
}

/// The detector that was adapted to a source, if it has one.
pub fn detector_of_source(config: &Config, source_id: &str) -> Option<PathBuf> {
    let path = config.data.join(FOLDER).join(format!("{source_id}.onnx"));
    (!folder_detector::names_a_model(config) && path.is_file()).then_some(path)
}

impl Adaptations {
    /// Nothing runs yet. `wake` has a capacity of one and wakes [`Self::work`].
    pub fn new(
        config: Arc<Config>,
        store: Store,
        open_videos: OpenVideos,
        wake_counting: Sender<()>,
        wake: Sender<()>,
    ) -> Self {
        let folder = config.data.join(FOLDER);
        Self {
            folder,
            config,
            store,
            open_videos,
            wake_counting,
            wake,
            current: Mutex::default(),
            is_over: AtomicBool::new(false),
        }
    }

    fn file(&self, source_id: &str, ending: &str) -> PathBuf {
        self.folder.join(format!("{source_id}.{ending}"))
    }

    fn current(&self) -> MutexGuard<'_, Option<Current>> {
        // Every change is a single assignment.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of a source's adaptation; `None` if none was requested.
    pub fn get(&self, source_id: &str) -> Option<AdaptationRecord> {
        if let Some(current) = self.current().as_ref().filter(|current| current.is_of(source_id)) {
            return Some(current.record.clone());
        }
        self.read(source_id)
    }

    fn read(&self, source_id: &str) -> Option<AdaptationRecord> {
        serde_json::from_slice(&std::fs::read(self.file(source_id, "json")).ok()?).ok()
    }

    fn write(&self, source_id: &str, record: &AdaptationRecord) -> anyhow::Result<()> {
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot make {}", self.folder.display()))?;
        write_whole(&self.file(source_id, "json"), &serde_json::to_vec(record)?)
    }

    /// Asks for an adaptation. The detector that counts the source now stays until there is a better one.
    ///
    /// # Errors
    /// If it can't be begun.
    pub fn request(&self, source_id: &str, numbers: KnownNumbers) -> Result<AdaptationRecord, Error> {
        if folder_detector::names_a_model(&self.config) {
            return Err(Error::NamedModel);
        }
        // Held, so that two requests don't both begin.
        let current = self.current();
        let is_current = current.as_ref().is_some_and(|current| current.is_of(source_id));
        if is_current || self.read(source_id).is_some_and(|record| record.state.is_open()) {
            return Err(Error::Open);
        }
        let (animals, moments) = match numbers {
            KnownNumbers::Constant(animals) => (Some(animals), Vec::new()),
            KnownNumbers::AtMoments(moments) => (None, moments),
        };
        let record = AdaptationRecord {
            state: AdaptationState::Waiting,
            animals,
            moments,
            progress: 0.0,
            error_before: None,
            error_after: None,
            reason: None,
        };
        self.write(source_id, &record)
            .map_err(|error| Error::Unwritten(Chain(error.as_ref()).to_string()))?;
        // A full queue means that it was already woken.
        let _already_woken = self.wake.try_send(());
        Ok(record)
    }

    /// Stops a source's adaptation, and goes back to the detector before.
    ///
    /// # Errors
    /// If a file can't be removed.
    pub fn remove(&self, source_id: &str) -> std::io::Result<()> {
        // Held until the files are gone, so that nothing is written after that.
        let current = self.current();
        if let Some(current) = current.as_ref().filter(|current| current.source_id == source_id) {
            current.stop.store(true, Ordering::Relaxed);
        }
        for ending in ["json", "onnx", "onnx.partial"] {
            match std::fs::remove_file(self.file(source_id, ending)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let _already_woken = self.wake_counting.try_send(());
        Ok(())
    }

    /// The server ends: work stops at the next step and goes on at the next start.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(current) = self.current().as_ref() {
            current.stop.store(true, Ordering::Relaxed);
        }
        let _already_woken = self.wake.try_send(());
    }

    /// Adapts what was asked for, one after the other, until [`Self::end`]. Blocks: give it its own thread.
    pub fn work(&self, runtime: &Handle, woken: &crossbeam_channel::Receiver<()>) {
        idle_thread::give_way();
        while !self.is_over.load(Ordering::Relaxed) {
            match self.next() {
                Some((source_id, record)) => {
                    let is_written = self.adapt(runtime, &source_id, record);
                    // On a full disk it isn't begun again in a circle.
                    if !is_written && woken.recv().is_err() {
                        return;
                    }
                }
                None if woken.recv().is_err() => return,
                None => {}
            }
        }
    }

    /// The one that waits longest.
    fn next(&self) -> Option<(String, AdaptationRecord)> {
        let entries = std::fs::read_dir(&self.folder).ok()?;
        let mut waiting = Vec::new();
        for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
            if path.extension().is_none_or(|ending| ending != "json") {
                continue;
            }
            let Some(source_id) = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned) else {
                continue;
            };
            let Some(record) = self.read(&source_id).filter(|record| record.state.is_open()) else {
                continue;
            };
            let since = path.metadata().and_then(|metadata| metadata.modified()).ok();
            waiting.push((since, source_id, record));
        }
        waiting
            .into_iter()
            .min_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)))
            .map(|(_, source_id, record)| (source_id, record))
    }

    /// `false` if what has become of it can't be written.
    fn adapt(&self, runtime: &Handle, source_id: &str, record: AdaptationRecord) -> bool {
        let stop = Arc::new(AtomicBool::new(false));
        let record = AdaptationRecord { state: AdaptationState::Running, ..record };
        *self.current() =
            Some(Current { source_id: source_id.to_owned(), record: record.clone(), stop: stop.clone() });
        let ended = self.learn(runtime, source_id, &record, &stop);
        let mut current = self.current();
        let record = current.take().map_or(record, |current| current.record);
        let record = match ended {
            // Stopped by a person, who removed the files; or the server ends, and it goes on at the next start.
            Ok(None) => return true,
            Err(_) if stop.load(Ordering::Relaxed) => return true,
            Ok(Some(state)) => AdaptationRecord { state, progress: 1.0, ..record },
            Err(error) => {
                let reason = Chain(error.as_ref()).to_string();
                tracing::warn!("a detector was not adapted: {reason}");
                AdaptationRecord { state: AdaptationState::Failed, reason: Some(reason), ..record }
            }
        };
        // A person may have removed it meanwhile.
        let written = if stop.load(Ordering::Relaxed) { Ok(()) } else { self.write(source_id, &record) };
        drop(current);
        let _already_woken = self.wake_counting.try_send(());
        if let Err(error) = &written {
            tracing::error!("{}", Chain(error.as_ref()));
        }
        written.is_ok()
    }

    fn tell(&self, change: impl FnOnce(&mut AdaptationRecord)) {
        if let Some(current) = self.current().as_mut() {
            change(&mut current.record);
        }
    }

    /// `None` if it was stopped.
    fn learn(
        &self,
        runtime: &Handle,
        source_id: &str,
        record: &AdaptationRecord,
        stop: &AtomicBool,
    ) -> anyhow::Result<Option<AdaptationState>> {
        let (ids, videos) = self.videos(runtime, source_id, &record.moments)?;
        let numbered = match record.animals {
            Some(animals) => constant_number(&videos, animals),
            None => at_moments(&ids, &videos, &record.moments),
        };
        let source = model_settings(&self.config).source;
        let file = source.read().with_context(|| format!("cannot read {source}"))?;
        let network = Network::read(&file)?;
        let Some(film) = read_film(&videos, &numbered, |_, _| !stop.load(Ordering::Relaxed))? else {
            return Ok(None);
        };
        let AdaptConfig { rounds, steps } = self.config.adapt;
        let settings = Settings { rounds, steps, ..Settings::default() };
        let out = self.file(source_id, "onnx");
        let state = CheckpointFile::lock(&out, &file, &film, &settings)?;
        // Half of the cores: counting goes on beside it.
        let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
        let mut adaptation = Adaptation::new(network, &film, settings.clone(), state.read(), threads)?;
        let steps = f64::from(settings.rounds * settings.steps);
        loop {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let advance = adaptation.advance(&film)?;
            self.tell(|record| {
                record.progress = f64::from(adaptation.steps_done()) / steps;
                record.error_before = adaptation.before().map(|before| before.error);
                record.error_after = adaptation.best().map(|best| best.error);
            });
            match advance {
                Advance::Done => break,
                Advance::Trained { step, .. } if step % STEPS_PER_CHECKPOINT != 0 => {}
                _ => state.write(adaptation.saved())?,
            }
        }
        let outcome = adaptation.outcome();
        let _current = self.current();
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let is_better = outcome.is_some();
        if let Some((_, adapted)) = outcome {
            let view = viewpoint::of_film(&film);
            write_whole(&out, &adapted.write(&file, view.as_slice())?)?;
        }
        state.remove();
        Ok(Some(if is_better { AdaptationState::Done } else { AdaptationState::NotBetter }))
    }

    /// The source's newest recordings, of the size that most of them have, oldest first; if there are moments, those with one.
    fn videos(
        &self,
        runtime: &Handle,
        source_id: &str,
        moments: &[CountedMoment],
    ) -> anyhow::Result<(Vec<String>, Vec<Video>)> {
        let mut records: Vec<VideoRecord> = Vec::new();
        loop {
            let after = records.last().map(|record| record.id.clone());
            let page = self.store.videos_page(Some(source_id), after.as_deref(), PAGE);
            let page = runtime.block_on(page)?;
            if page.is_empty() {
                break;
            }
            records.extend(page);
        }
        let is_counted = |record: &VideoRecord| {
            moments.is_empty() || moments.iter().any(|moment| moment.video_id == record.id)
        };
        records.retain(|record| record.error.is_none() && is_counted(record));
        let size = |record: &VideoRecord| (record.width_px, record.height_px);
        let most_usual = records
            .iter()
            .map(size)
            .max_by_key(|one| records.iter().filter(|other| size(other) == *one).count());
        records.retain(|record| Some(size(record)) == most_usual);
        records.sort_by(|a, b| (a.recorded_at, &a.name).cmp(&(b.recorded_at, &b.name)));
        let mut frames = 0;
        let is_within = |record: &&VideoRecord| {
            frames += record.frames.unwrap_or_default();
            frames <= MOST_FRAMES || frames == record.frames.unwrap_or_default()
        };
        let mut newest: Vec<&VideoRecord> =
            records.iter().rev().take(MOST_RECORDINGS).take_while(is_within).collect();
        newest.reverse();
        let (mut ids, mut videos) = (Vec::new(), Vec::new());
        for record in newest {
            match runtime.block_on(self.open_videos.stored(record)) {
                Ok(video) => {
                    ids.push(record.id.clone());
                    videos.push(video);
                }
                Err(error) => tracing::warn!("{} teaches nothing: {error}", record.name),
            }
        }
        anyhow::ensure!(!videos.is_empty(), "this source has no recording that can be read");
        Ok((ids, videos))
    }
}

/// The stretches of the recordings on which the number is known. Of two numbers for one frame the later one holds.
fn at_moments(ids: &[String], videos: &[Video], moments: &[CountedMoment]) -> Vec<NumberedStretch> {
    let mut numbered = Vec::new();
    for (place, (id, video)) in ids.iter().zip(videos).enumerate() {
        let index = video.index();
        let frame_at =
            |secs: f64| video.frame_at(secs).ok().and_then(|pts| index.frame_pts().position(|of| of == pts));
        let of_video = moments.iter().filter(|moment| moment.video_id == *id);
        let known: BTreeMap<usize, u32> =
            of_video.filter_map(|moment| Some((frame_at(moment.secs)?, moment.animals))).collect();
        let known: Vec<(usize, u32)> = known.into_iter().collect();
        numbered.extend(known_numbers(place, video, &known));
    }
    numbered
}

/// Why a number of animals is none to learn from.
pub fn check_animals(animals: i64) -> Result<u32, Refusal> {
    let number = u32::try_from(animals).unwrap_or(0);
    if (1..=pigweight_train::adapt::MOST_ANIMALS).contains(&number) {
        Ok(number)
    } else {
        Err(Refusal::Number(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_animals_have_limits() {
        assert_eq!(check_animals(30).unwrap(), 30);
        for animals in [0, -1, 301, i64::MAX] {
            assert!(check_animals(animals).unwrap_err().to_string().contains("1 to 300"));
        }
    }
}
