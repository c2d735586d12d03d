//! The files of cameras' recordings, and their budget: the oldest go first, what lies around crossings and marks goes last.
//!
//! The store says which recordings there are. It is written before a file and after its removal is decided, so a crash leaves a file
//! that nobody knows or a row without a file; [`Recordings::repair`] removes both at the next start.

use crate::artifacts::disk_space;
use crate::config::RecordingConfig;
use anyhow::Context as _;
use pigweight_live::recording::FileLayout;
use pigweight_store::{CameraRecording, RecordingMode, Store, TICKS_PER_SEC};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Below the data folder.
pub const FOLDER: &str = "recordings";
/// Free space that the next recording of a camera needs.
const ROOM_BYTES: u64 = 64_000_000;
/// Recordings that are removed with one question to the store.
const REMOVED_AT_ONCE: u32 = 100;

/// See the module's head.
pub struct Recordings {
    folder: PathBuf,
    store: Store,
    config: RecordingConfig,
    /// Held while recordings are removed: two cameras must not remove more than is needed.
    removal: tokio::sync::Mutex<()>,
}

impl Recordings {
    /// Of a data folder. Reads nothing yet.
    pub fn new(data: &Path, store: Store, config: RecordingConfig) -> Self {
        Self { folder: data.join(FOLDER), store, config, removal: tokio::sync::Mutex::default() }
    }

    /// What is kept of a camera: as it is set, or as configured.
    pub fn mode(&self, own: Option<RecordingMode>) -> RecordingMode {
        own.unwrap_or(self.config.mode)
    }

    /// Seconds around a crossing that are kept with it.
    pub fn margin_secs(&self) -> f64 {
        self.config.margin_secs
    }

    /// The file of a recording. The store makes identifiers, so they can't lead elsewhere.
    pub fn path(&self, source_id: &str, id: &str) -> PathBuf {
        self.folder.join(source_id).join(format!("{id}.mp4"))
    }

    /// Creates the file of a recording.
    ///
    /// # Errors
    /// The system's error.
    pub fn create(&self, source_id: &str, id: &str) -> io::Result<File> {
        let path = self.path(source_id, id);
        std::fs::create_dir_all(path.parent().unwrap_or(&self.folder))?;
        File::options().write(true).create_new(true).open(path)
    }

    /// What the file of a recording holds now.
    ///
    /// # Errors
    /// If it can't be read, or isn't a recording.
    pub fn layout(&self, recording: &CameraRecording) -> anyhow::Result<FileLayout> {
        let path = self.path(&recording.source_id, &recording.id);
        let mut file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        FileLayout::read(&mut file).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Makes room for the next minute of a camera. `false`: there is none, although everything that may go is gone.
    ///
    /// # Errors
    /// If the store can't be read or written.
    pub async fn make_room(&self, source_id: &str, mode: RecordingMode) -> pigweight_store::Result<bool> {
        let _removing = self.removal.lock().await;
        if mode == RecordingMode::Marked {
            self.remove_unmarked(source_id).await?;
        }
        let bytes = |gigabytes: f64| (gigabytes * 1e9) as i64;
        let (of_camera, of_all) = (bytes(self.config.camera_gb), bytes(self.config.total_gb));
        let recorded = self.store.recorded_bytes(source_id).await?;
        self.remove_oldest(Some(source_id), recorded.of_camera - of_camera).await?;
        let recorded = self.store.recorded_bytes(source_id).await?;
        self.remove_oldest(None, recorded.of_all - of_all).await?;
        while !disk_space::has_room(&self.folder, ROOM_BYTES) {
            if self.remove_oldest(None, 1).await? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn remove_unmarked(&self, source_id: &str) -> pigweight_store::Result<()> {
        let kept_ms = (self.config.unmarked_minutes * 60_000.0) as i64;
        let before_ms = jiff::Timestamp::now().as_millisecond() - kept_ms;
        loop {
            let oldest = self.store.recordings_to_remove(
                Some(source_id),
                self.config.margin_secs,
                REMOVED_AT_ONCE,
            );
            let is_over = |recording: &CameraRecording| {
                let length_ticks = recording.end_ticks.map_or(0, |end| end - recording.start_ticks);
                let end_ms = recording.started_at_millis + length_ticks * 1000 / TICKS_PER_SEC;
                !recording.is_marked && end_ms < before_ms
            };
            let over: Vec<_> = oldest.await?.into_iter().filter(is_over).collect();
            if over.is_empty() {
                return Ok(());
            }
            for recording in over {
                self.remove(&recording).await?;
            }
        }
    }

    /// Removes recordings until `bytes` are free, and returns how many were removed.
    async fn remove_oldest(&self, source_id: Option<&str>, mut bytes: i64) -> pigweight_store::Result<usize> {
        let mut removed = 0;
        while bytes > 0 {
            let oldest =
                self.store.recordings_to_remove(source_id, self.config.margin_secs, REMOVED_AT_ONCE).await?;
            if oldest.is_empty() {
                break;
            }
            for recording in oldest {
                if bytes <= 0 {
                    break;
                }
                self.remove(&recording).await?;
                // One without a size makes room for nothing, but goes.
                bytes -= recording.size_bytes.max(1);
                removed += 1;
            }
        }
        Ok(removed)
    }

    async fn remove(&self, recording: &CameraRecording) -> pigweight_store::Result<()> {
        self.store.remove_recording(&recording.id).await?;
        self.remove_file(&self.path(&recording.source_id, &recording.id));
        Ok(())
    }

    fn remove_file(&self, path: &Path) {
        match std::fs::remove_file(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!("a recording can't be removed: {}: {error}; remove it yourself", path.display());
            }
        }
    }

    /// Removes all recordings of a camera.
    ///
    /// # Errors
    /// If the store can't be read or written.
    pub async fn remove_all(&self, source_id: &str) -> pigweight_store::Result<()> {
        let _removing = self.removal.lock().await;
        self.remove_oldest(Some(source_id), i64::MAX).await?;
        // Only an empty folder goes.
        let _not_empty = std::fs::remove_dir(self.folder.join(source_id));
        Ok(())
    }

    /// Makes files and store agree after a crash: ends recordings that were being written, removes what only one of the two knows.
    ///
    /// # Errors
    /// If the store can't be read or written.
    pub async fn repair(&self) -> pigweight_store::Result<()> {
        let mut known = BTreeSet::new();
        for recording in self.store.all_recordings().await? {
            let path = self.path(&recording.source_id, &recording.id);
            match self.repaired(&recording, &path) {
                Ok(Some(layout)) => {
                    if recording.end_ticks.is_none() {
                        let length_ticks = i64::try_from(layout.duration_ticks()).unwrap_or(0);
                        let end_ticks = recording.start_ticks.saturating_add(length_ticks);
                        let (bytes, frames) = (layout.whole_bytes(), layout.frames());
                        self.store
                            .end_recording(&recording.id, end_ticks, bytes.cast_signed(), frames.cast_signed())
                            .await?;
                    }
                    known.insert(path);
                }
                Ok(None) => self.store.remove_recording(&recording.id).await?,
                Err(error) => {
                    // It may be readable at the next start.
                    tracing::warn!("a recording can't be read: {error:#}");
                    known.insert(path);
                }
            }
        }
        self.remove_unknown(&known);
        Ok(())
    }

    /// `None`: nothing of it is there.
    fn repaired(&self, recording: &CameraRecording, path: &Path) -> anyhow::Result<Option<FileLayout>> {
        if recording.end_ticks.is_some() {
            // What was ended is whole; a file that is gone isn't listed any more.
            return Ok(path.is_file().then(FileLayout::default));
        }
        if !path.is_file() {
            return Ok(None);
        }
        let layout = self.layout(recording)?;
        if layout.fragments.is_empty() {
            return Ok(None);
        }
        File::options().write(true).open(path)?.set_len(layout.whole_bytes())?;
        Ok(Some(layout))
    }

    fn remove_unknown(&self, known: &BTreeSet<PathBuf>) {
        let entries = |folder: &Path| -> Vec<PathBuf> {
            let read = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
            read.map(|entry| entry.path()).collect()
        };
        for folder in entries(&self.folder) {
            for path in entries(&folder) {
                let is_recording = path.extension().is_some_and(|extension| extension == "mp4");
                if is_recording && !known.contains(&path) {
                    tracing::info!("removing a recording that nobody knows: {}", path.display());
                    self.remove_file(&path);
                }
            }
        }
    }
}
