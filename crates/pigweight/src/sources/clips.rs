//! Clips: stretches of a camera as video files of their own, which stay when the camera's recordings go. A clip is a video of its camera's source,
//! so it is shown, counted and counted again like any other.

use crate::artifacts::disk_space;
use crate::artifacts::recordings::Recordings;
use crate::sources::library::{self, FoundFile};
use crate::sources::upload_names::{clean_name, is_free, move_to_free, numbered_names};
use pigweight_live::recording::clip::{ClipError, ClipPart, clip_range, write_clip};
use pigweight_store::{CameraRecord, CameraRecording, Store, TICKS_PER_SEC, VideoRecord};
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Below the data folder.
pub const FOLDER: &str = "clips";
/// How files begin that are hidden from the folder scan until they are whole.
const PARTIAL: &str = ".partial-";
/// Longest clip.
pub const MOST_SECS: f64 = 24.0 * 3600.0;
/// Recordings of one clip: those of the longest, and as many again for gaps.
const MOST_PARTS: u32 = 3000;

/// Why there is no clip.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The camera was away then, or wasn't recorded.
    #[error("nothing of that time is recorded; GET /api/cameras/{{id}}/recordings lists what is")]
    NotRecorded,
    /// It can't be one file.
    #[error(
        "what the camera sends changes {secs:.3} s after it was added; make a clip before it and another after it"
    )]
    Changed {
        /// On the camera's timeline.
        secs: f64,
    },
    /// A recording in it is damaged, or its file is gone.
    #[error(
        "what is recorded from {from_secs:.3} to {to_secs:.3} s is damaged or gone; make a clip before it and another after it"
    )]
    Broken {
        /// On the camera's timeline.
        from_secs: f64,
        /// On the camera's timeline.
        to_secs: f64,
    },
    /// It is in more pieces than a clip takes.
    #[error("the camera was away too often in that time; make several shorter clips")]
    TooManyParts,
    /// The disk is nearly full.
    #[error("there is no room for a clip of {megabytes} MB; free some space on the disk of the data folder")]
    NoRoom {
        /// Of the clip.
        megabytes: u64,
    },
    /// A recording can't be read, or the clip can't be written.
    #[error("the clip can't be made: {0}")]
    Io(io::Error),
    /// It can't be registered.
    #[error("the clip can't be registered: {0}")]
    Unregistered(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] pigweight_store::Error),
}

/// Where clips are.
#[derive(Clone, Debug)]
pub struct Clips {
    folder: PathBuf,
}

impl Clips {
    /// Of a data folder. Creates their folder.
    ///
    /// # Errors
    /// The system's error.
    pub fn open(data: &Path) -> io::Result<Self> {
        let folder = data.join(FOLDER);
        std::fs::create_dir_all(&folder)?;
        for camera in std::fs::read_dir(&folder)?.filter_map(Result::ok) {
            for file in std::fs::read_dir(camera.path()).into_iter().flatten().filter_map(Result::ok) {
                // Of a clip that was being made when the program was killed.
                if file.file_name().to_string_lossy().starts_with(PARTIAL) {
                    std::fs::remove_file(file.path())?;
                }
            }
        }
        Ok(Self { folder: folder.canonicalize()? })
    }

    /// The folder that contains all of them.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes a video of a stretch of a camera, and registers it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn make(
        &self,
        recordings: &std::sync::Arc<Recordings>,
        store: &Store,
        camera: &CameraRecord,
        stretch: Range<i64>,
        name: &str,
    ) -> Result<VideoRecord, Error> {
        let found = store.recordings(&camera.id, (stretch.start, stretch.end), 0.0, MOST_PARTS + 1).await?;
        if found.len() > MOST_PARTS as usize {
            return Err(Error::TooManyParts);
        }
        let (folder, recordings) = (self.folder.join(&camera.id), recordings.clone());
        // A file system accepts less than a person writes.
        let name = clean_name(&format!("{}.mp4", name.replace(['/', '\\'], "-")));
        let name = name.unwrap_or_else(|| "clip.mp4".to_owned());
        let written =
            tokio::task::spawn_blocking(move || write(&recordings, &found, &stretch, &folder, &name));
        let path = match written.await {
            Ok(written) => written?,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
        let found = FoundFile::clip(&path, &camera.id).map_err(Error::Io)?;
        library::register(store, &found).await.map_err(|error| Error::Unregistered(format!("{error:#}")))
    }
}

impl From<ClipError> for Error {
    fn from(error: ClipError) -> Self {
        match error {
            ClipError::Empty => Self::NotRecorded,
            ClipError::Changed { ticks } => Self::Changed { secs: ticks as f64 / TICKS_PER_SEC as f64 },
            ClipError::Io(error) => Self::Io(error),
            ClipError::Layout(error) => Self::Io(io::Error::other(error)),
        }
    }
}

/// Writes the file, and returns its path.
fn write(
    recordings: &Recordings,
    found: &[CameraRecording],
    stretch: &Range<i64>,
    folder: &Path,
    name: &str,
) -> Result<PathBuf, Error> {
    let mut parts = Vec::new();
    for recording in found {
        let secs = |ticks: i64| ticks as f64 / TICKS_PER_SEC as f64;
        let broken = || Error::Broken {
            from_secs: secs(recording.start_ticks),
            to_secs: secs(recording.end_ticks.unwrap_or(stretch.end)),
        };
        let path = recordings.path(&recording.source_id, &recording.id);
        // Removed to make room since it was listed, or by somebody.
        let file = File::open(path).map_err(|_| broken())?;
        let layout = recordings.layout(recording).map_err(|_| broken())?;
        let is_whole = recording.end_ticks.is_none() || layout.frames().cast_signed() == recording.frames;
        if !is_whole {
            return Err(broken());
        }
        parts.push(ClipPart { file, layout, start_ticks: recording.start_ticks });
    }
    let range = clip_range(&parts, stretch)?;
    let first = found.iter().rfind(|recording| recording.start_ticks <= range.start);
    let started_ms = first.map_or(0, |first| {
        first.started_at_millis + (range.start - first.start_ticks) * 1000 / TICKS_PER_SEC
    });
    let bytes: u64 = parts.iter().map(|part| part.layout.whole_bytes()).sum();
    std::fs::create_dir_all(folder).map_err(Error::Io)?;
    if !disk_space::has_room(folder, bytes) {
        return Err(Error::NoRoom { megabytes: bytes.div_ceil(1_000_000) });
    }
    let mut partial = tempfile::Builder::new().prefix(PARTIAL).tempfile_in(folder).map_err(Error::Io)?;
    let mut to = BufWriter::with_capacity(1 << 20, partial.as_file_mut());
    write_clip(&mut parts, stretch, started_ms.div_euclid(1000), &mut to)?;
    to.flush().map_err(Error::Io)?;
    drop(to);
    partial.as_file().sync_all().map_err(Error::Io)?;
    let partial = partial.into_temp_path();
    for name in numbered_names(name).filter(|name| is_free(&folder.join(name))) {
        let path = folder.join(name);
        match move_to_free(&partial, &path) {
            Ok(()) => {
                // It has another name now; there is nothing to remove.
                let _kept = partial.keep();
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::Io(error)),
        }
    }
    Err(Error::Io(io::ErrorKind::AlreadyExists.into()))
}
