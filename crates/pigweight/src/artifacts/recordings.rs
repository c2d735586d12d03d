//! The files of cameras' recordings, and their budget: the oldest go first, what lies around crossings and marks goes last.
//!
//! The store says which recordings there are. It is written before a file is created and after a file is removed, so a crash leaves at most a row without
//! a file or without an end; [`Recordings::repair`] mends that at the next start.

use crate::artifacts::disk_space;
use crate::config::cameras::RecordingConfig;
use anyhow::Context as _;
use pigweight_live::recording::FileLayout;
use pigweight_store::{CameraRecord, CameraRecording, RecordingMode, Store, TICKS_PER_SEC};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Below the data folder.
pub const FOLDER: &str = "recordings";
/// Free space that the next recording of a camera needs.
const ROOM_BYTES: u64 = 64_000_000;
/// A file that is smaller may hold no frame.
const MOST_HEAD_BYTES: u64 = 4096;
/// A file takes at most this share of its camera's budget, so that there is always something older to remove,
const MOST_OF_ONE: f64 = 0.1;
/// within these bounds.
const FILE_BYTES: std::ops::RangeInclusive<f64> = 1e6..=500e6;
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

    /// What is kept of a camera: as it is set, or as configured. A video that is replayed is there already.
    pub fn mode_of(&self, camera: &CameraRecord) -> RecordingMode {
        match camera.url.starts_with("replay:") {
            true => RecordingMode::Off,
            false => camera.recording.unwrap_or(self.config.mode),
        }
    }

    /// Seconds around a crossing that are kept with it.
    pub fn margin_secs(&self) -> f64 {
        self.config.margin_secs
    }

    /// A file ends when it is this large.
    pub fn most_file_bytes(&self) -> u64 {
        (self.config.camera_gb * 1e9 * MOST_OF_ONE).clamp(*FILE_BYTES.start(), *FILE_BYTES.end()) as u64
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
            let oldest =
                self.store.recordings_to_remove(Some(source_id), self.config.margin_secs, REMOVED_AT_ONCE);
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
        self.remove_file(&self.path(&recording.source_id, &recording.id));
        self.store.remove_recording(&recording.id).await
    }

    fn remove_file(&self, path: &Path) {
        match std::fs::remove_file(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(
                    "a recording can't be removed: {}: {error}; remove it yourself",
                    path.display()
                );
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

    /// Ends the recordings that were being written when the program was killed. Nothing that holds a frame is removed: a disk may not be mounted, or the store be an
    /// older one from a backup. What only one of the two knows is told.
    ///
    /// # Errors
    /// If the store can't be read or written.
    pub async fn repair(&self) -> pigweight_store::Result<()> {
        let all = self.store.all_recordings().await?;
        if !all.is_empty() && !self.folder.is_dir() {
            tracing::warn!(
                "the recordings of cameras are gone: there is no folder {}; if its disk is not mounted, mount it and start again",
                self.folder.display()
            );
            return Ok(());
        }
        let (mut known, mut gone) = (BTreeSet::new(), 0);
        for recording in all {
            let path = self.path(&recording.source_id, &recording.id);
            match recording.end_ticks {
                Some(_) if !path.is_file() => gone += 1,
                Some(_) => {}
                None => self.end_cut_off(&recording, &path).await?,
            }
            known.insert(path);
        }
        if gone > 0 {
            tracing::warn!("{gone} recordings of cameras are gone from {}", self.folder.display());
        }
        self.tell_unknown(&known);
        Ok(())
    }

    async fn end_cut_off(&self, recording: &CameraRecording, path: &Path) -> pigweight_store::Result<()> {
        let size_bytes = path.metadata().map_or(0, |file| file.len());
        let layout = match self.layout(recording) {
            Ok(layout) => layout,
            Err(_) if size_bytes == 0 => FileLayout::default(),
            Err(error) => {
                tracing::warn!("a recording that was cut off can't be read and stays as it is: {error:#}");
                return Ok(());
            }
        };
        if layout.fragments.is_empty() && size_bytes <= MOST_HEAD_BYTES {
            // It was killed before its first frame was written.
            self.remove_file(path);
            return self.store.remove_recording(&recording.id).await;
        }
        if layout.fragments.is_empty() {
            tracing::warn!(
                "a recording that was cut off can't be read and stays as it is: {}",
                path.display()
            );
            return Ok(());
        }
        let cut = File::options().write(true).open(path).and_then(|file| file.set_len(layout.whole_bytes()));
        if let Err(error) = cut {
            tracing::warn!("the end of a recording can't be cut off: {}: {error}", path.display());
        }
        let length_ticks = i64::try_from(layout.duration_ticks()).unwrap_or(0);
        let end_ticks = recording.start_ticks.saturating_add(length_ticks);
        let (bytes, frames) = (layout.whole_bytes().cast_signed(), layout.frames().cast_signed());
        self.store.end_recording(&recording.id, end_ticks, bytes, frames).await
    }

    fn tell_unknown(&self, known: &BTreeSet<PathBuf>) {
        let entries = |folder: &Path| -> Vec<PathBuf> {
            let read = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
            read.map(|entry| entry.path()).collect()
        };
        let files = entries(&self.folder).into_iter().flat_map(|folder| entries(&folder));
        let unknown = files.filter(|path| !known.contains(path)).count();
        if unknown > 0 {
            tracing::warn!(
                "{unknown} files in {} are no known recordings; `pigweight check-data` lists them",
                self.folder.display()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pigweight_live::recording::RecordingWriter;
    use pigweight_live::{AccessUnit, Codec};
    use pigweight_store::{CameraPlace, NewMark};
    use std::io::Write as _;

    struct Kept {
        data: tempfile::TempDir,
        store: Store,
        recordings: Recordings,
        cameras: Vec<String>,
    }

    /// Two cameras without recordings; each may have 10,000 bytes.
    async fn kept(config: RecordingConfig) -> Kept {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).await.unwrap();
        let place =
            CameraPlace { url: "rtsp://camera/".into(), counting_url: None, user_name: None, password: None };
        let mut cameras = Vec::new();
        for name in ["a", "b"] {
            cameras.push(store.add_camera(name, &place, 9).await.unwrap().unwrap().id);
        }
        let recordings = Recordings::new(data.path(), store.clone(), config);
        Kept { data, store, recordings, cameras }
    }

    fn budget(camera_bytes: f64, total_bytes: f64) -> RecordingConfig {
        RecordingConfig {
            camera_gb: camera_bytes / 1e9,
            total_gb: total_bytes / 1e9,
            margin_secs: 5.0,
            ..RecordingConfig::default()
        }
    }

    impl Kept {
        /// An ended recording of a minute; the minute is counted from the year 2001 on.
        async fn add(&self, camera: usize, minute: i64, bytes: i64) -> String {
            let source_id = &self.cameras[camera];
            let start_ticks = minute * 60 * TICKS_PER_SEC;
            let started = 1_000_000_000_000 + minute * 60_000;
            let id = self.store.begin_recording(source_id, start_ticks, started).await.unwrap();
            self.recordings.create(source_id, &id).unwrap();
            let end_ticks = start_ticks + 60 * TICKS_PER_SEC;
            self.store.end_recording(&id, end_ticks, bytes, 900).await.unwrap();
            id
        }

        async fn minutes(&self, camera: usize) -> Vec<i64> {
            let all = self.store.all_recordings().await.unwrap();
            let own = all.into_iter().filter(|one| one.source_id == self.cameras[camera]);
            let there = own.inspect(|one| {
                let path = self.recordings.path(&one.source_id, &one.id);
                assert!(path.is_file(), "the file of a listed recording is there");
            });
            let minutes: Vec<i64> = there.map(|one| one.start_ticks / TICKS_PER_SEC / 60).collect();
            let files = std::fs::read_dir(self.data.path().join(FOLDER).join(&self.cameras[camera]));
            assert_eq!(files.map_or(0, Iterator::count), minutes.len(), "a file is left");
            minutes
        }
    }

    #[tokio::test]
    async fn the_oldest_go_first_and_marked_ones_last() {
        let kept = kept(budget(3000.0, 1e9)).await;
        for minute in 0..5 {
            kept.add(0, minute, 1000).await;
        }
        let mark = NewMark { from_secs: 70.0, to_secs: 80.0, note: String::new() };
        kept.store.add_mark(&kept.cameras[0], &mark, 10).await.unwrap();
        kept.add(1, 0, 1000).await;
        assert!(kept.recordings.make_room(&kept.cameras[0], RecordingMode::All).await.unwrap());
        assert_eq!(kept.minutes(0).await, [1, 3, 4]);
        assert_eq!(kept.minutes(1).await, [0], "another camera has its own budget");
        // If all are marked, the oldest of them goes.
        let mark = NewMark { from_secs: 0.0, to_secs: 1e6, note: String::new() };
        kept.store.add_mark(&kept.cameras[0], &mark, 10).await.unwrap();
        kept.add(0, 5, 1000).await;
        kept.recordings.make_room(&kept.cameras[0], RecordingMode::All).await.unwrap();
        assert_eq!(kept.minutes(0).await, [3, 4, 5]);
    }

    #[tokio::test]
    async fn all_cameras_share_one_budget() {
        let kept = kept(budget(1e9, 4000.0)).await;
        for minute in 0..4 {
            kept.add(minute as usize % 2, minute, 1500).await;
        }
        kept.recordings.make_room(&kept.cameras[1], RecordingMode::All).await.unwrap();
        assert_eq!((kept.minutes(0).await, kept.minutes(1).await), (vec![2], vec![3]));
    }

    #[tokio::test]
    async fn unmarked_minutes_go_after_a_while_where_only_marked_ones_are_kept() {
        let kept = kept(budget(1e9, 1e9)).await;
        for minute in 0..3 {
            kept.add(0, minute, 1000).await;
        }
        let mark = NewMark { from_secs: 61.0, to_secs: 62.0, note: String::new() };
        kept.store.add_mark(&kept.cameras[0], &mark, 10).await.unwrap();
        kept.recordings.make_room(&kept.cameras[0], RecordingMode::Marked).await.unwrap();
        assert_eq!(kept.minutes(0).await, [1]);
        // A minute of now is young enough.
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let id = kept.store.begin_recording(&kept.cameras[0], 9 * 60 * TICKS_PER_SEC, now_ms).await.unwrap();
        kept.recordings.create(&kept.cameras[0], &id).unwrap();
        kept.store.end_recording(&id, 10 * 60 * TICKS_PER_SEC, 1000, 900).await.unwrap();
        kept.recordings.make_room(&kept.cameras[0], RecordingMode::Marked).await.unwrap();
        assert_eq!(kept.minutes(0).await, [1, 9]);
    }

    #[tokio::test]
    async fn after_a_crash_files_and_store_agree() {
        let kept = kept(budget(1e9, 1e9)).await;
        let source_id = &kept.cameras[0];
        let file_gone = kept.add(0, 0, 1000).await;
        std::fs::remove_file(kept.recordings.path(source_id, &file_gone)).unwrap();
        // Begun, and killed before the file was made.
        kept.store.begin_recording(source_id, 60 * TICKS_PER_SEC, 0).await.unwrap();
        // Killed while it was written.
        let start_ticks = 120 * TICKS_PER_SEC;
        let written = kept.store.begin_recording(source_id, start_ticks, 0).await.unwrap();
        let file = kept.recordings.create(source_id, &written).unwrap();
        let mut entry = vec![0; 100];
        entry[3] = 100;
        let mut writer = RecordingWriter::begin(&file, &entry, start_ticks, 0, false).unwrap();
        for place in 0..31 {
            let unit = AccessUnit {
                data: [0, 0, 1, 0x65, 1].as_slice().into(),
                codec: Codec::H264,
                sample_entry: None,
                time_ticks: start_ticks + place * 6000,
                arrived_unix_ms: 0,
                is_keyframe: true,
                is_disposable: false,
                epoch: 1,
                follows_gap: false,
                lost_packets: 0,
            };
            writer.add(&unit).unwrap();
        }
        let told = writer.written();
        (&file).write_all(&[0, 0, 0, 200, b'm', b'o']).unwrap();
        // A file that nobody knows, one without a frame, and one whose head is damaged.
        kept.recordings.create(source_id, "unknown").unwrap();
        let empty = kept.store.begin_recording(source_id, 300 * TICKS_PER_SEC, 0).await.unwrap();
        kept.recordings.create(source_id, &empty).unwrap();
        let damaged = kept.store.begin_recording(source_id, 360 * TICKS_PER_SEC, 0).await.unwrap();
        kept.recordings.create(source_id, &damaged).unwrap().write_all(&[0; 5000]).unwrap();

        kept.recordings.repair().await.unwrap();
        let left: Vec<String> =
            kept.store.all_recordings().await.unwrap().into_iter().map(|one| one.id).collect();
        assert_eq!(left, [file_gone.as_str(), &written, &damaged], "what never had a frame is gone");
        assert!(kept.recordings.path(source_id, "unknown").is_file(), "what nobody knows is told and stays");
        assert!(kept.recordings.path(source_id, &damaged).is_file());
        let repaired = kept.store.recording(source_id, &written, 0.0).await.unwrap();
        assert_eq!(repaired.end_ticks, Some(told.end_ticks));
        assert_eq!((repaired.size_bytes, repaired.frames), (told.size_bytes as i64, told.frames as i64));
        assert_eq!(file.metadata().unwrap().len(), told.size_bytes, "what was half written is cut off");
    }

    #[tokio::test]
    async fn a_disk_that_is_not_mounted_costs_no_recording() {
        let kept = kept(budget(1e9, 1e9)).await;
        for minute in 0..3 {
            kept.add(0, minute, 1000).await;
        }
        let (folder, away) = (kept.data.path().join(FOLDER), kept.data.path().join("away"));
        std::fs::rename(&folder, &away).unwrap();
        kept.recordings.repair().await.unwrap();
        // Something is recorded meanwhile.
        std::fs::create_dir_all(folder.join(&kept.cameras[0])).unwrap();
        kept.recordings.repair().await.unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::rename(&away, &folder).unwrap();
        kept.recordings.repair().await.unwrap();
        assert_eq!(kept.minutes(0).await, [0, 1, 2]);
    }
}
