//! The folders of videos: what lies in them is registered, and nothing outside them is served.

use crate::reason::Reasoned as _;
use pigweight_media::Video;
use pigweight_media::isolate::Workers;
use pigweight_store::{FileIdentity, NewVideo, Reason, Store, VideoRecord};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// Files that are taken for videos.
pub const EXTENSIONS: [&str; 18] = [
    "mp4", "m4v", "mov", "mkv", "webm", "avi", "ts", "m2ts", "mts", "mpg", "mpeg", "h264", "264", "hevc",
    "265", "flv", "wmv", "3gp",
];
/// Folders below a folder are entered to this depth: recorders file by year, month and day.
const MAX_DEPTH: usize = 8;
/// How often the part of a video that is known is told.
const HEAR_AFTER: Duration = Duration::from_secs(2);
/// Bytes that tell one file from another.
const HEAD_BYTES: u64 = 64 * 1024;

/// Pieces that tell a file that was copied back from another one of its size, and how large each is. Recorders write files of one size over and over;
/// what lies in them differs everywhere.
const SAMPLES: u64 = 16;
const SAMPLE_BYTES: u64 = 64 * 1024;

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Without links.
    pub path: PathBuf,
    /// Path below the folder it was found in.
    pub name: String,
    /// Bytes, to see whether it is still growing.
    pub size_bytes: u64,
}

/// All video files in the folders, by name, and why a folder could not be read that was passed over. Links that lead out
/// of the folder are not followed.
pub fn find_videos(folders: &[PathBuf]) -> (Vec<Found>, Option<Reason>) {
    let (mut found, mut unread) = (Vec::new(), None);
    for folder in folders {
        match folder.canonicalize() {
            Ok(root) => find_below(&root, &root, MAX_DEPTH, &mut found, &mut unread),
            Err(error) => unread = Some(cannot_read(folder, &error)),
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.path.cmp(&b.path)));
    found.dedup_by(|a, b| a.path == b.path);
    (found, unread)
}

fn cannot_read(folder: &Path, error: &std::io::Error) -> Reason {
    let text = format!(
        "the folder {} cannot be read: {error}; look whether its disk is there and may be read. What is in it is shown and counted when it is back",
        folder.display()
    );
    Reason::new("folder_missing", text)
}

fn find_below(root: &Path, folder: &Path, depth: usize, found: &mut Vec<Found>, unread: &mut Option<Reason>) {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            *unread = Some(cannot_read(folder, &error));
            return;
        }
    };
    for entry in entries.filter_map(Result::ok) {
        let Some(path) = inside(root, &entry.path()) else { continue };
        let Ok(metadata) = path.metadata() else { continue };
        if metadata.is_dir() && depth > 0 && !is_hidden(&entry.path()) {
            find_below(root, &path, depth - 1, found, unread);
        } else if metadata.is_file() && has_video_extension(&path) && !is_hidden(&entry.path()) {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            found.push(Found { name, size_bytes: metadata.len(), path });
        }
    }
}

/// The path without links, if it lies in the folder.
pub fn inside(root: &Path, path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok().filter(|path| path.starts_with(root))
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// Whether a file is taken for a video by its name.
pub fn has_video_extension(path: &Path) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| EXTENSIONS.contains(&extension.to_lowercase().as_str()))
}

/// What tells this file's content.
pub fn identity(path: &Path) -> std::io::Result<FileIdentity> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let mut head = Vec::new();
    file.take(HEAD_BYTES).read_to_end(&mut head)?;
    let modified_nanos = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |elapsed| i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX));
    Ok(FileIdentity {
        path: path.to_string_lossy().into_owned(),
        size_bytes: metadata.len().cast_signed(),
        modified_nanos,
        head_hash: blake3::hash(&head).to_hex().to_string(),
        samples_hash: None,
    })
}

/// Of pieces from all over the file, its end among them; of a small one all of it.
fn samples(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let last = file.metadata()?.len().saturating_sub(SAMPLE_BYTES);
    let mut hasher = blake3::Hasher::new();
    for number in 0..SAMPLES {
        // Multiplied at once: a file of petabytes would still fit.
        file.seek(SeekFrom::Start(
            last / (SAMPLES - 1) * number + last % (SAMPLES - 1) * number / (SAMPLES - 1),
        ))?;
        let mut piece = Vec::new();
        file.by_ref().take(SAMPLE_BYTES).read_to_end(&mut piece)?;
        hasher.update(&piece);
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// Registers a file (nothing is done when it is known) without looking into it.
pub async fn register(store: &Store, path: &Path, name: &str) -> anyhow::Result<VideoRecord> {
    let unreadable = |error| anyhow::anyhow!("cannot read {}: {error}", path.display());
    let mut file = identity(path).map_err(unreadable)?;
    match store.video_of_file(&file).await? {
        Some(known) if known.is_sampled => Ok(known),
        Some(known) => {
            // Registered by an earlier version. On a full disk that waits for the next look.
            let _later = store.keep_samples(&known.id, &samples(path).map_err(unreadable)?).await;
            Ok(known)
        }
        None => {
            file.samples_hash = Some(samples(path).map_err(unreadable)?);
            Ok(store.add_video(&file, name).await?)
        }
    }
}

/// Whether the file has been looked into.
pub fn is_described(record: &VideoRecord) -> bool {
    record.frames.is_some() || record.error.is_some()
}

/// Opens a video, with its stored index where there is one, and keeps what is found out about it; where there are `workers`, they
/// read the file. `hear` is given the part that is known while the rest is being read. Blocks.
pub fn open(
    store: &Store,
    runtime: &tokio::runtime::Handle,
    workers: Option<&Workers>,
    record: &VideoRecord,
    hear: &mut dyn FnMut(Video),
) -> Result<Video, OpenError> {
    let stored = runtime.block_on(store.packet_index(&record.id)).map_err(OpenError::Store)?;
    let path = Path::new(&record.path);
    let opened = match workers {
        Some(workers) => workers.open_in_parts(path, stored.as_deref(), hear),
        None => Video::open_in_parts(path, stored.as_deref(), HEAR_AFTER, hear),
    };
    let is_news = match &opened {
        Ok(video) => {
            !is_described(record)
                || stored.as_deref() != Some(video.stored_index())
                || record.recorded_at != video.info().recorded_at
        }
        // What befell the process may not befall the next; a file that is gone may come back.
        Err(error) => !is_described(record) && !error.is_of_worker() && path.exists(),
    };
    if is_news {
        runtime
            .block_on(store.describe_video(&record.id, &description(&opened)))
            .map_err(OpenError::Store)?;
    }
    opened.map_err(OpenError::Media)
}

/// Why a registered video did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file.
    #[error("{0}")]
    Media(pigweight_media::Error),
    /// The store.
    #[error("{0}")]
    Store(pigweight_store::Error),
    /// The server is being stopped.
    #[error("the server is being stopped; ask again when it runs")]
    Stopped,
}

fn description(opened: &pigweight_media::Result<Video>) -> NewVideo {
    match opened {
        Err(error) => NewVideo { error: Some(error.reason()), ..NewVideo::default() },
        Ok(video) => NewVideo {
            error: None,
            damage: video.index().damage().map(str::to_owned),
            container: Some(video.info().container.clone()),
            codec: Some(video.info().codec.clone()),
            has_audio: Some(video.info().has_audio),
            width_px: Some(video.info().width),
            height_px: Some(video.info().height),
            frames: Some(video.index().frame_count() as u64),
            duration_secs: Some(video.duration_secs()),
            recorded_at: video.info().recorded_at,
            packet_index: Some(video.stored_index().to_vec()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn videos_are_found_below_and_links_do_not_lead_out() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let file = |folder: &Path, name: &str| std::fs::write(folder.join(name), "x").unwrap();
        std::fs::create_dir_all(root.path().join("2026/день 1")).unwrap();
        file(&root.path().join("2026/день 1"), "Загон №1.MP4");
        file(root.path(), "notes.txt");
        file(root.path(), ".hidden.mp4");
        file(outside.path(), "secret.mp4");
        std::os::unix::fs::symlink(outside.path().join("secret.mp4"), root.path().join("link.mp4")).unwrap();
        std::os::unix::fs::symlink(outside.path(), root.path().join("folder")).unwrap();
        std::os::unix::fs::symlink(root.path(), root.path().join("loop")).unwrap();
        let (found, unread) = find_videos(&[root.path().to_owned(), "/nowhere".into()]);
        assert!(
            unread.is_some_and(|reason| reason.text.contains("/nowhere") && reason.code == "folder_missing")
        );
        assert_eq!(
            found.iter().map(|found| found.name.as_str()).collect::<Vec<_>>(),
            ["2026/день 1/Загон №1.MP4"]
        );
    }
}
