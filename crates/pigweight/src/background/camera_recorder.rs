//! Records one camera: writes what it sends into files of about a minute each, cut at keyframes.
//!
//! A file holds one connection and one coding. It has no hole longer than a gap of the timeline: after one, another file begins, so what the store
//! lists is what there is. Frames that refer to lost ones are left out as they are when counting, so a recording counted again sees the same.

use crate::artifacts::recordings::Recordings;
use crate::reason::Reasoned as _;
use pigweight_live::access_unit::CLOCK_RATE_HZ;
use pigweight_live::recording::{RecordingWriter, Written};
use pigweight_live::timeline::GAP_SECS;
use pigweight_live::{AccessUnit, Received, Subscription};
use pigweight_store::{CameraRecord, Reason, RecordingMode, Store};
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// A file ends at the first keyframe after this long,
const USUAL_TICKS: i64 = 60 * CLOCK_RATE_HZ as i64;
/// or where there is none, after this long; then the next keyframe is waited for.
const MOST_TICKS: i64 = 600 * CLOCK_RATE_HZ as i64;
/// The first units of a file are remembered, to begin it anew where they turn out to be reordered.
const MOST_FIRST_UNITS: usize = 64;
/// Ends of recordings that couldn't be noted; a start notes the rest.
const MOST_UNNOTED: usize = 100;
/// When nothing comes for so long, the file is ended.
const SILENCE: Duration = Duration::from_secs(GAP_SECS as u64);
/// After a failure.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// The recording of one camera.
pub struct CameraRecorder {
    recordings: Arc<Recordings>,
    store: Store,
    record: CameraRecord,
    mode: Mutex<RecordingMode>,
    trouble: Mutex<Option<Reason>>,
    /// Ended, and not noted because the store couldn't be written.
    unnoted: Mutex<Vec<(String, Written)>>,
}

/// The file that is being written.
struct Current {
    id: String,
    writer: RecordingWriter<File>,
    epoch: u32,
    sample_entry: Arc<[u8]>,
    /// The first units.
    first_units: Vec<Arc<AccessUnit>>,
    /// All of them.
    units: usize,
    most_bytes: u64,
}

/// What is known between two units.
#[derive(Default)]
struct Progress {
    current: Option<Current>,
    /// Frames are sent in another order than they are shown.
    is_reordered: bool,
    /// What comes refers to a frame that was lost.
    waits_for_keyframe: bool,
    failed: Option<Instant>,
}

impl CameraRecorder {
    /// Records nothing yet.
    pub fn new(recordings: Arc<Recordings>, store: Store, record: CameraRecord) -> Self {
        let mode = Mutex::new(recordings.mode_of(&record));
        Self { recordings, store, record, mode, trouble: Mutex::default(), unnoted: Mutex::default() }
    }

    /// What is kept from now on: as the camera is set now.
    pub fn set_mode_of(&self, record: &CameraRecord) {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner) = self.recordings.mode_of(record);
    }

    /// What is kept.
    pub fn mode(&self) -> RecordingMode {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the camera isn't recorded.
    pub fn trouble(&self) -> Option<Reason> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_trouble(&self, trouble: Option<Reason>) {
        let mut known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(trouble) = trouble.as_ref().filter(|trouble| known.as_ref() != Some(trouble)) {
            tracing::warn!(camera = self.record.name, "{trouble}");
        }
        *known = trouble;
    }

    /// Records until the camera is stopped. Blocks: give it its own thread.
    pub fn run(&self, mut subscription: Subscription, runtime: &Handle) {
        let mut progress = Progress::default();
        loop {
            let received =
                runtime.block_on(async { tokio::time::timeout(SILENCE, subscription.next()).await });
            match received {
                Ok(Received::Unit(unit)) => self.take(&unit, &mut progress, runtime),
                Ok(Received::Lost(units)) => {
                    tracing::info!(
                        camera = self.record.name,
                        units,
                        "not recorded: the disk is slower than the camera"
                    );
                    metrics::counter!("pigweight_recording_units_lost_total").increment(units);
                }
                Ok(Received::End) => return self.end(&mut progress, runtime),
                Err(_silent) => self.end(&mut progress, runtime),
            }
        }
    }

    fn take(&self, unit: &Arc<AccessUnit>, progress: &mut Progress, runtime: &Handle) {
        if self.mode() == RecordingMode::Off {
            self.set_trouble(None);
            return self.end(progress, runtime);
        }
        progress.waits_for_keyframe |= unit.lost_packets > 0;
        progress.waits_for_keyframe &= !unit.is_keyframe;
        if progress.waits_for_keyframe {
            return;
        }
        if progress.current.as_ref().is_some_and(|current| current.ends_before(unit)) {
            self.end(progress, runtime);
        }
        if let Some(current) = &progress.current
            && !progress.is_reordered
            && unit.time_ticks < current.writer.latest_ticks()
        {
            progress.is_reordered = true;
            return self.begin_anew(unit, progress, runtime);
        }
        if progress.current.is_none() {
            let is_too_soon = progress.failed.is_some_and(|failed| failed.elapsed() < RETRY_INTERVAL);
            if !unit.is_keyframe || is_too_soon {
                return;
            }
            match self.begin(unit, progress.is_reordered, runtime) {
                Ok(current) => progress.current = current,
                Err(reason) => {
                    progress.failed = Some(Instant::now());
                    return self.set_trouble(Some(reason));
                }
            }
        }
        let Some(current) = &mut progress.current else { return };
        if current.first_units.len() < MOST_FIRST_UNITS {
            current.first_units.push(unit.clone());
        }
        current.units += 1;
        match current.writer.add(unit) {
            Ok(()) => {
                progress.failed = None;
                self.set_trouble(None);
            }
            Err(error) => self.fail(progress, &error, runtime),
        }
    }

    /// The first frame that is sent after one that is shown later: files hold such frames in another way. A file that has just begun is written again.
    fn begin_anew(&self, unit: &Arc<AccessUnit>, progress: &mut Progress, runtime: &Handle) {
        let first_units = progress.current.as_mut().map(|current| {
            let is_all = current.first_units.len() == current.units;
            if is_all { std::mem::take(&mut current.first_units) } else { Vec::new() }
        });
        match first_units.filter(|units| !units.is_empty()) {
            Some(units) => {
                if let Some(Current { id, writer, .. }) = progress.current.take() {
                    drop(writer);
                    self.forget(&id, runtime);
                }
                for unit in units.iter().chain([unit]) {
                    self.take(unit, progress, runtime);
                }
            }
            // It goes on at the next keyframe.
            None => self.end(progress, runtime),
        }
    }

    /// `None`: this camera's frames can't be put into an MP4 file.
    fn begin(
        &self,
        unit: &AccessUnit,
        is_reordered: bool,
        runtime: &Handle,
    ) -> Result<Option<Current>, Reason> {
        let source_id = &self.record.id;
        let Some(sample_entry) = unit.sample_entry.clone() else {
            return Err(Reason::new(
                "recording_unsupported",
                "what this camera sends can't be recorded; set it to another format: H.264 or H.265 over RTSP, or JPEG",
            ));
        };
        let has_room = runtime.block_on(self.recordings.make_room(source_id, self.mode()));
        if !has_room.map_err(|error| not_recorded(&error.reason()))? {
            return Err(Reason::new(
                "recording_no_room",
                "the camera isn't recorded: the disk of the data folder is nearly full; free some space on it",
            ));
        }
        self.note_rest(runtime);
        let begun = self.store.begin_recording(source_id, unit.time_ticks, unit.arrived_unix_ms);
        let id = runtime.block_on(begun).map_err(|error| not_recorded(&error.reason()))?;
        let writer = self.recordings.create(source_id, &id).and_then(|file| {
            let started_secs = unit.arrived_unix_ms.div_euclid(1000);
            RecordingWriter::begin(file, &sample_entry, unit.time_ticks, started_secs, is_reordered)
        });
        match writer {
            Ok(writer) => Ok(Some(Current {
                id,
                writer,
                epoch: unit.epoch,
                sample_entry,
                first_units: Vec::new(),
                units: 0,
                most_bytes: self.recordings.most_file_bytes(),
            })),
            Err(error) => {
                self.forget(&id, runtime);
                Err(not_written(&error))
            }
        }
    }

    /// Ends the file that is being written, if there is one.
    fn end(&self, progress: &mut Progress, runtime: &Handle) {
        let Some(Current { id, writer, .. }) = progress.current.take() else { return };
        let before = writer.written();
        let ended = writer.finish().and_then(|(file, written)| {
            file.sync_data()?;
            Ok(written)
        });
        let (written, error) = match ended {
            Ok(written) => (written, None),
            Err(error) => (before, Some(error)),
        };
        self.note(&id, written, runtime);
        if let Some(error) = error {
            progress.failed = Some(Instant::now());
            self.set_trouble(Some(not_written(&error)));
        }
    }

    fn fail(&self, progress: &mut Progress, error: &io::Error, runtime: &Handle) {
        if let Some(Current { id, writer, .. }) = progress.current.take() {
            self.note(&id, writer.written(), runtime);
        }
        progress.failed = Some(Instant::now());
        self.set_trouble(Some(not_written(error)));
    }

    fn note(&self, id: &str, written: Written, runtime: &Handle) {
        if written.frames == 0 {
            return self.forget(id, runtime);
        }
        let path = self.recordings.path(&self.record.id, id);
        // What was half written is no part of it; a reader would cut it off as well.
        let cut = File::options().write(true).open(&path).and_then(|file| file.set_len(written.size_bytes));
        if let Err(error) = cut {
            tracing::warn!("the end of a recording can't be cut off: {}: {error}", path.display());
        }
        if let Err(error) = self.note_end(id, written, runtime) {
            self.set_trouble(Some(error.reason()));
            let mut unnoted = self.unnoted.lock().unwrap_or_else(PoisonError::into_inner);
            if unnoted.len() < MOST_UNNOTED {
                unnoted.push((id.to_owned(), written));
            }
        }
    }

    fn note_end(&self, id: &str, written: Written, runtime: &Handle) -> pigweight_store::Result<()> {
        let (bytes, frames) = (written.size_bytes.cast_signed(), written.frames.cast_signed());
        runtime.block_on(self.store.end_recording(id, written.end_ticks, bytes, frames))
    }

    /// Notes what couldn't be noted before: on a full disk, for example.
    fn note_rest(&self, runtime: &Handle) {
        let rest = std::mem::take(&mut *self.unnoted.lock().unwrap_or_else(PoisonError::into_inner));
        let left = rest.into_iter().filter(|(id, written)| self.note_end(id, *written, runtime).is_err());
        let left: Vec<_> = left.collect();
        self.unnoted.lock().unwrap_or_else(PoisonError::into_inner).extend(left);
    }

    /// Of a recording without frames.
    fn forget(&self, id: &str, runtime: &Handle) {
        if let Err(error) = runtime.block_on(self.store.remove_recording(id)) {
            // The next start removes it.
            return self.set_trouble(Some(error.reason()));
        }
        let _not_there = std::fs::remove_file(self.recordings.path(&self.record.id, id));
    }
}

impl Current {
    fn ends_before(&self, unit: &AccessUnit) -> bool {
        let written = self.writer.written();
        let length_ticks = unit.time_ticks - written.start_ticks;
        let gap_ticks = unit.time_ticks - self.writer.latest_ticks();
        let is_other = unit.epoch != self.epoch
            || unit.follows_gap
            || unit.sample_entry.as_ref() != Some(&self.sample_entry)
            || gap_ticks > (GAP_SECS * f64::from(CLOCK_RATE_HZ)) as i64;
        is_other
            || (unit.is_keyframe && length_ticks >= USUAL_TICKS)
            || length_ticks >= MOST_TICKS
            || written.size_bytes >= self.most_bytes
    }
}

fn not_recorded(reason: &Reason) -> Reason {
    Reason::new(reason.code, format!("the camera isn't recorded: {}", reason.text))
}

fn not_written(error: &io::Error) -> Reason {
    let text = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the camera isn't recorded: the disk of the data folder is full; free some space on it".to_owned()
        }
        _ => format!(
            "the camera isn't recorded: its file can't be written: {error}; check the disk of the data folder"
        ),
    };
    Reason::new("recording_failed", text)
}
