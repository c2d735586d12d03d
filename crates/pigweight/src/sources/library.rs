//! The video folders: registers their files and serves nothing outside them.

use crate::describe::printable;
use crate::reason::Reasoned as _;
use crate::sources::file_identity::{OpenFile, SystemFiles, identity, samples, stat};
use pigweight_media::Video;
use pigweight_media::isolate::Workers;
use pigweight_store::{
    FileStat, KnownFile, NewFile, NewSource, NewVideo, Reason, Store, VideoRecord, path_text,
};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// File name extensions of videos.
pub const EXTENSIONS: [&str; 33] = [
    "mp4", "m4v", "mov", "mkv", "webm", "avi", "ts", "m2ts", "mts", "m2t", "tp", "trp", "mpg", "mpeg", "vob",
    "ps", "m2v", "h264", "264", "avc", "hevc", "265", "h265", "flv", "f4v", "wmv", "asf", "3gp", "3g2",
    "ogv", "mjpg", "mjpeg", "dav",
];
/// Subfolders are scanned to this depth: recorders file by year, month and day.
const MAX_DEPTH: usize = 8;
/// How often the known part of a video is published.
const PARTS_AFTER: Duration = Duration::from_secs(2);
/// New files registered in one transaction.
const NEW_AT_ONCE: usize = 200;

/// A file found by a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFile {
    /// Without links.
    pub path: PathBuf,
    /// Path below the folder it was found in.
    pub name: String,
    /// Size and times, read without opening the file.
    pub stat: FileStat,
    /// The source it belongs to.
    pub source: NewSource,
}

impl FoundFile {
    /// A single file: it belongs to its folder.
    ///
    /// # Errors
    /// If the file can't be accessed.
    pub fn alone(path: &Path) -> std::io::Result<Self> {
        let metadata = path.metadata()?;
        let name = shown(Path::new(path.file_name().unwrap_or_default()));
        let folder = path.parent().unwrap_or(Path::new("/"));
        Ok(Self { path: path.to_owned(), name, stat: stat(&metadata), source: folder_source(folder, folder) })
    }

    /// A clip of a camera.
    ///
    /// # Errors
    /// If the file can't be accessed.
    pub fn clip(path: &Path, source_id: &str) -> std::io::Result<Self> {
        Ok(Self { source: NewSource::Camera { source_id: source_id.to_owned() }, ..Self::alone(path)? })
    }

    /// A finished upload: its own source.
    ///
    /// # Errors
    /// If the file can't be accessed.
    pub fn upload(path: &Path) -> std::io::Result<Self> {
        Ok(Self { source: NewSource::Upload, ..Self::alone(path)? })
    }
}

/// The source of the files directly in a folder below `root`.
fn folder_source(root: &Path, folder: &Path) -> NewSource {
    let below = folder.strip_prefix(root).ok().filter(|below| !below.as_os_str().is_empty());
    let name = below.or_else(|| folder.file_name().map(Path::new)).unwrap_or(folder);
    NewSource::Folder { folder: path_text(folder), name: shown(name) }
}

/// Folders of this program, in which every file is whole from the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnFolders {
    /// Each file is an upload.
    pub uploads: PathBuf,
    /// Each folder in it bears a camera's identifier and holds its clips.
    pub clips: PathBuf,
}

impl OwnFolders {
    /// Whether a file lies in one of them.
    pub fn contain(&self, path: &Path) -> bool {
        path.starts_with(&self.uploads) || path.starts_with(&self.clips)
    }

    /// The source of a file that lies in one of them.
    fn source_of(&self, path: &Path) -> Option<NewSource> {
        if path.starts_with(&self.uploads) {
            return Some(NewSource::Upload);
        }
        let camera = path.strip_prefix(&self.clips).ok()?.parent()?;
        Some(NewSource::Camera { source_id: camera.to_string_lossy().into_owned() })
    }
}

/// All video files in the folders, by name, and why unreadable folders were skipped. Links that lead out of the
/// folder aren't followed. `own` says which of the folders are this program's.
pub fn find_videos(folders: &[PathBuf], own: Option<&OwnFolders>) -> (Vec<FoundFile>, Option<Reason>) {
    let (mut found, mut unread) = (Vec::new(), None);
    for folder in folders {
        match folder.canonicalize() {
            Ok(root) => find_below(&root, &root, MAX_DEPTH, &mut found, &mut unread),
            Err(error) => unread = Some(cannot_read(folder, &error)),
        }
    }
    for found in &mut found {
        if let Some(source) = own.and_then(|own| own.source_of(&found.path)) {
            if matches!(source, NewSource::Camera { .. }) {
                // The folder is named for programs.
                found.name = shown(Path::new(found.path.file_name().unwrap_or_default()));
            }
            found.source = source;
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.path.cmp(&b.path)));
    found.dedup_by(|a, b| a.path == b.path);
    (found, unread)
}

fn cannot_read(folder: &Path, error: &std::io::Error) -> Reason {
    let text = format!(
        "the folder {} cannot be read: {error}; check that its disk is connected and readable. Its videos are shown and counted when it is back",
        folder.display()
    );
    Reason::new("folder_missing", text)
}

fn find_below(
    root: &Path,
    folder: &Path,
    depth: usize,
    found: &mut Vec<FoundFile>,
    unread: &mut Option<Reason>,
) {
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
        if metadata.is_dir() && depth > 0 && !is_hidden(&entry.path()) && !is_of_system(&entry.path()) {
            find_below(root, &path, depth - 1, found, unread);
        } else if metadata.is_file() && has_video_extension(&path) && !is_hidden(&entry.path()) {
            let name = shown(path.strip_prefix(root).unwrap_or(&path));
            found.push(FoundFile { name, stat: stat(&metadata), source: folder_source(root, folder), path });
        }
    }
}

/// The path without links, if it is inside the folder.
pub fn inside(root: &Path, path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok().filter(|path| path.starts_with(root))
}

/// A file's name for people: a name may have any bytes.
fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

/// Folders in which systems and network storage keep what was deleted, earlier states and thumbnails.
const SYSTEM_FOLDERS: [&str; 16] = [
    "@eadir",
    "@recycle",
    "@recently-snapshot",
    "@snapshot",
    "@tmp",
    "@sharesnap",
    "#recycle",
    "#snapshot",
    "~snapshot",
    "$recycle.bin",
    "recycler",
    "recycled",
    "system volume information",
    "lost+found",
    "lost.dir",
    "network trash folder",
];

fn is_of_system(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    SYSTEM_FOLDERS.contains(&name.as_str())
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// Whether a file's name is that of a video.
pub fn has_video_extension(path: &Path) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| EXTENSIONS.contains(&extension.to_lowercase().as_str()))
}

/// The result of reading a file.
enum Read {
    /// A known video with unchanged content.
    Known(Box<VideoRecord>, FileStat),
    /// New at its path.
    New(NewFile),
}

/// Registers a file without decoding it. Does nothing if it is known.
pub async fn register(store: &Store, found: &FoundFile) -> anyhow::Result<VideoRecord> {
    match read(store, found, &SystemFiles).await? {
        Read::Known(video, stat) => {
            // If the disk is full, this waits for the next scan.
            let _later = store.keep_file_stats(&[(video.id.clone(), stat)]).await;
            Ok(*video)
        }
        Read::New(NewFile { file, name, source }) => Ok(store.add_video(&file, &name, &source).await?),
    }
}

async fn read(store: &Store, found: &FoundFile, files: &dyn OpenFile) -> anyhow::Result<Read> {
    let path = &found.path;
    let unreadable = |error| anyhow::anyhow!("cannot read {}: {error}", path.display());
    let mut file = identity(path, files).map_err(unreadable)?;
    if let Some(known) = store.video_of_file(&file).await? {
        if !known.is_sampled {
            // Registered by an earlier version. If the disk is full, this waits for the next scan.
            let _later = store.keep_samples(&known.id, &samples(path, files).map_err(unreadable)?).await;
        }
        return Ok(Read::Known(Box::new(known), file.stat));
    }
    file.samples_hash = Some(samples(path, files).map_err(unreadable)?);
    Ok(Read::New(NewFile { file, name: found.name.clone(), source: found.source.clone() }))
}

/// Registers a scan's files and returns the videos in the same order. Files with unchanged size, times and inode
/// aren't opened. `trouble` is the last error. Blocks.
pub fn register_all<'a>(
    store: &Store,
    runtime: &tokio::runtime::Handle,
    found: impl Iterator<Item = &'a FoundFile>,
    files: &dyn OpenFile,
    trouble: &mut Option<Reason>,
) -> Vec<VideoRecord> {
    let known = match runtime.block_on(store.known_files()) {
        Ok(known) => known,
        Err(error) => {
            *trouble = Some(error.reason());
            return Vec::new();
        }
    };
    let mut known: HashMap<String, KnownFile> =
        known.into_iter().map(|known| (known.video.path.clone(), known)).collect();
    // By index in the scan.
    let mut videos: BTreeMap<usize, VideoRecord> = BTreeMap::new();
    let (mut new, mut stats) = (Vec::new(), Vec::new());
    for (place, found) in found.enumerate() {
        let before = known.remove(&path_text(&found.path));
        if let Some(before) = &before
            && before.video.is_sampled
            && before.stat.is_unchanged(&found.stat)
        {
            videos.insert(place, before.video.clone());
            continue;
        }
        match runtime.block_on(read(store, found, files)) {
            Ok(Read::Known(video, stat)) => {
                if before.is_none_or(|before| before.stat != stat) {
                    stats.push((video.id.clone(), stat));
                }
                videos.insert(place, *video);
            }
            Ok(Read::New(file)) => new.push((place, file)),
            Err(error) => *trouble = Some(error.reason()),
        }
        if new.len() >= NEW_AT_ONCE {
            add_all(store, runtime, &mut new, &mut videos, trouble);
        }
    }
    add_all(store, runtime, &mut new, &mut videos, trouble);
    if !stats.is_empty() {
        // If the disk is full, this waits for the next scan.
        let _later = runtime.block_on(store.keep_file_stats(&stats));
    }
    videos.into_values().collect()
}

/// Registers new files in one transaction, with one disk sync.
fn add_all(
    store: &Store,
    runtime: &tokio::runtime::Handle,
    new: &mut Vec<(usize, NewFile)>,
    videos: &mut BTreeMap<usize, VideoRecord>,
    trouble: &mut Option<Reason>,
) {
    let (places, files): (Vec<usize>, Vec<NewFile>) = new.drain(..).unzip();
    if files.is_empty() {
        return;
    }
    let added = runtime.block_on(async {
        let mut added = Vec::new();
        for id in store.add_videos(&files).await? {
            added.push(store.video(&id).await?);
        }
        Ok::<_, pigweight_store::Error>(added)
    });
    match added {
        Ok(added) => videos.extend(places.into_iter().zip(added)),
        Err(error) => *trouble = Some(error.reason()),
    }
}

/// Whether the file has an index.
pub fn is_described(record: &VideoRecord) -> bool {
    record.frames.is_some() || record.error.is_some()
}

/// The result of opening a registered file.
pub struct Opened {
    /// The video.
    pub video: pigweight_media::Result<Video>,
    /// What the store doesn't know of it yet.
    pub finding: Option<NewVideo>,
}

impl Opened {
    /// Stores the finding and returns the video.
    ///
    /// # Errors
    /// Where the file can't be opened, or the finding can't be written.
    pub async fn stored(self, store: &Store, id: &str) -> Result<Video, OpenError> {
        if let Some(finding) = &self.finding {
            store.describe_video(id, finding).await.map_err(OpenError::Store)?;
        }
        self.video.map_err(OpenError::Media)
    }
}

/// Opens a video, with its stored index if there is one; with `workers`, they read the file. Stores nothing.
/// `on_part` receives the known part while the rest is being read. Blocks.
///
/// # Errors
/// Where the store can't be read.
pub fn open(
    store: &Store,
    runtime: &tokio::runtime::Handle,
    workers: Option<&Workers>,
    record: &VideoRecord,
    on_part: &mut dyn FnMut(Video),
) -> pigweight_store::Result<Opened> {
    let stored = runtime.block_on(store.packet_index(&record.id))?;
    let path = &record.file_path();
    let video = match workers {
        Some(workers) => workers.open_in_parts(path, stored.as_deref(), on_part),
        None => Video::open_in_parts(path, stored.as_deref(), PARTS_AFTER, on_part),
    };
    let is_news = match &video {
        Ok(video) => {
            !is_described(record)
                || stored.as_deref() != Some(video.stored_index())
                || record.recorded_at != video.info().recorded_at
        }
        // The next process may succeed; a missing file may come back.
        Err(error) => !is_described(record) && !error.is_of_worker() && path.exists(),
    };
    let finding = is_news.then(|| description(&video));
    Ok(Opened { video, finding })
}

/// Why a registered video didn't open.
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
            repairs: video.index().repairs().map(str::to_owned),
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
    use crate::sources::file_identity::inode;
    use std::fs::File;

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
        let (found, unread) = find_videos(&[root.path().to_owned(), "/nowhere".into()], None);
        assert!(
            unread.is_some_and(|reason| reason.text.contains("/nowhere") && reason.code == "folder_missing")
        );
        assert_eq!(
            found.iter().map(|found| found.name.as_str()).collect::<Vec<_>>(),
            ["2026/день 1/Загон №1.MP4"]
        );
    }

    #[test]
    fn each_folder_that_directly_holds_videos_is_a_source_each_upload_too_and_clips_are_their_cameras() {
        let root = tempfile::tempdir().unwrap();
        let root_path = root.path().canonicalize().unwrap();
        std::fs::create_dir_all(root_path.join("yard/night")).unwrap();
        std::fs::create_dir_all(root_path.join("uploads")).unwrap();
        std::fs::create_dir_all(root_path.join("clips/01camera")).unwrap();
        for name in
            ["a.mp4", "yard/b.mp4", "yard/c.mp4", "yard/night/d.mp4", "uploads/e.mp4", "clips/01camera/f.mp4"]
        {
            std::fs::write(root_path.join(name), name).unwrap();
        }
        let own = OwnFolders { uploads: root_path.join("uploads"), clips: root_path.join("clips") };
        let (found, unread) = find_videos(std::slice::from_ref(&root_path), Some(&own));
        assert!(unread.is_none());
        let sources: Vec<_> = found
            .iter()
            .map(|found| match &found.source {
                NewSource::Folder { folder, name } => {
                    assert_eq!(Path::new(folder), found.path.parent().unwrap());
                    name.clone()
                }
                NewSource::Upload => "(upload)".to_owned(),
                NewSource::Camera { source_id } => format!("{source_id}: {}", found.name),
            })
            .collect();
        let root_name = root_path.file_name().unwrap().to_string_lossy().into_owned();
        assert_eq!(
            sources,
            [root_name.as_str(), "01camera: f.mp4", "(upload)", "yard", "yard", "yard/night"]
        );
    }

    /// Counts how often it opens a file.
    #[derive(Default)]
    struct Counted(std::sync::atomic::AtomicUsize);

    impl OpenFile for Counted {
        fn open(&self, path: &Path) -> std::io::Result<File> {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            File::open(path)
        }
    }

    impl Counted {
        fn take(&self) -> usize {
            self.0.swap(0, std::sync::atomic::Ordering::Relaxed)
        }
    }

    /// Sets all change times to long ago.
    fn aged(found: &[FoundFile]) -> Vec<FoundFile> {
        let aged = found.iter().cloned().map(|mut found| {
            found.stat = FileStat { changed_nanos: inode(&found.path.metadata().unwrap()).0, ..found.stat };
            found
        });
        aged.collect()
    }

    #[test]
    fn a_second_scan_of_five_thousand_files_opens_none_and_a_changed_one_is_read() {
        const FILES: usize = 5000;
        let root = tempfile::tempdir().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let store = runtime.block_on(Store::open(&root.path().join("data"))).unwrap();
        let videos = root.path().join("videos");
        std::fs::create_dir(&videos).unwrap();
        for number in 0..FILES {
            std::fs::write(videos.join(format!("{number}.mp4")), number.to_string()).unwrap();
        }
        let files = Counted::default();
        let mut trouble = None;
        let mut scan = |found: &[FoundFile]| {
            register_all(&store, runtime.handle(), found.iter(), &files, &mut trouble).len()
        };
        let (found, _) = find_videos(std::slice::from_ref(&videos), None);
        assert_eq!((scan(&found), files.take()), (FILES, 2 * FILES));
        // As if they had been read when older than a few seconds.
        let aged_found = aged(&found);
        let known = runtime.block_on(store.videos()).unwrap();
        assert!(
            aged_found.iter().zip(&known).all(|(found, known)| found.path.to_string_lossy() == known.path)
        );
        let stats: Vec<_> =
            aged_found.iter().zip(known).map(|(found, known)| (known.id, found.stat)).collect();
        runtime.block_on(store.keep_file_stats(&stats)).unwrap();
        assert_eq!((scan(&aged_found), files.take()), (FILES, 0));
        // Replaced by one of the same size, with its mtime set back.
        let changed = videos.join("7.mp4");
        let modified = changed.metadata().unwrap().modified().unwrap();
        std::fs::write(&changed, "8").unwrap();
        File::options().write(true).open(&changed).unwrap().set_modified(modified).unwrap();
        let (found, _) = find_videos(std::slice::from_ref(&videos), None);
        assert_eq!((scan(&aged(&found)), files.take()), (FILES, 2));
        assert!(trouble.is_none());
    }
}
