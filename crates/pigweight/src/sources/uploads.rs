//! Resumable uploads: files arrive in pieces, over connections that break. Each is stored under its identifier until it is complete,
//! then moved to its name in the uploads folder, which is a folder of videos like any other.
//!
//! ```text
//! DATA/uploads/                  whole files: analysed like all videos
//! DATA/uploads/.partial/ID.json  the upload's metadata, and for a week its result
//! DATA/uploads/.partial/ID.part  received bytes; its length is the offset
//! DATA/uploads/.partial/ID.old   by the clock it is too old; the clock may be wrong, so a day later it is looked at again
//! ```
//! So received bytes survive `kill -9`, and an upload resumes where it stopped. A client that missed the last response
//! asks again and is told, instead of sending everything again.

use crate::artifacts::disk_space;
use crate::sources::library;
use crate::sources::upload_names::{clean_name, is_free, move_to_free, numbered_names};
use crate::sources::upload_places::Admission;
pub use crate::sources::upload_places::{UnfinishedUpload, Upload};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{Notify, OwnedMutexGuard};

/// Uploads without a byte in this time are dropped.
const EXPIRE_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long one must have been old before it is dropped: a clock that jumps ahead is set right again.
const DOUBT: Duration = Duration::from_secs(24 * 3600);
const PARTIAL: &str = ".partial";
/// How often free disk space is checked: other programs write there too.
const LOOK_AT_ROOM_AFTER_BYTES: u64 = 64 << 20;

/// Why an upload can't continue.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "uploads are switched off here (upload.max_gb is 0); copy the file into the folder of videos instead"
    )]
    Off,
    #[error("{0:?} is no name of a video that can be read here; its ending must be one of {1}")]
    Name(String, String),
    #[error("the file has {bytes} bytes; here at most {most} are taken (upload.max_gb)")]
    TooLarge { bytes: u64, most: u64 },
    #[error(
        "there is no room for {0} bytes more; delete videos that are no longer needed, or free the disk otherwise"
    )]
    NoRoom(u64),
    #[error("the disk is full; what came is kept: free some of it and go on")]
    Full,
    #[error("the file is empty")]
    Empty,
    #[error(
        "too many unfinished uploads; finish or delete some (GET /api/uploads lists them), or wait: each is deleted after a week without data"
    )]
    TooMany,
    #[error("there is no upload {0}; it is finished, was deleted or nothing came for it in a week")]
    NotFound(String),
    #[error("{here} bytes are here and the next was sent as number {sent}; go on from where it is")]
    Offset { here: u64, sent: u64 },
    #[error("the file was announced with {0} bytes and more came; what was announced is kept")]
    TooLong(u64),
    #[error("another connection goes on with this upload")]
    Superseded,
    #[error("cannot keep the upload in {path}: {source}")]
    Disk { path: PathBuf, source: std::io::Error },
}

/// The upload's metadata.
#[derive(Serialize, Deserialize)]
struct Announced {
    name: String,
    length: u64,
    /// The name it gets when it is complete.
    #[serde(default)]
    becomes: Option<String>,
    /// Who announced it.
    #[serde(default)]
    client: Option<String>,
}

/// One writer at a time; a newer connection takes over from one that hangs.
struct Slot {
    writing: Arc<tokio::sync::Mutex<()>>,
    newest: AtomicU64,
    taken_over: Notify,
    /// When this process first saw it.
    begun: Instant,
    /// Bytes that came since.
    came: AtomicU64,
    /// When the last of them came, milliseconds after `begun`.
    last_came_millis: AtomicU64,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            writing: Arc::default(),
            newest: AtomicU64::new(0),
            taken_over: Notify::new(),
            begun: Instant::now(),
            came: AtomicU64::new(0),
            last_came_millis: AtomicU64::new(0),
        }
    }
}

impl Slot {
    fn note_bytes(&self, bytes: u64) {
        self.came.fetch_add(bytes, Ordering::Relaxed);
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_came_millis.store(millis, Ordering::Relaxed);
    }

    fn idle(&self) -> Duration {
        let last = Duration::from_millis(self.last_came_millis.load(Ordering::Relaxed));
        self.begun.elapsed().saturating_sub(last)
    }
}

/// All uploads of this server.
pub struct Uploads {
    folder: PathBuf,
    max_bytes: u64,
    slots: Mutex<BTreeMap<String, Arc<Slot>>>,
    /// Two files of the same name must not both find it free.
    naming: tokio::sync::Mutex<()>,
}

impl Uploads {
    pub fn new(data: &Path, max_gb: f64) -> Self {
        Self {
            folder: data.join("uploads"),
            max_bytes: (max_gb * 1e9) as u64,
            slots: Mutex::default(),
            naming: tokio::sync::Mutex::default(),
        }
    }

    /// Folder of complete files. Doesn't exist before the first upload.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Bytes of the largest file accepted; 0 if uploads are off.
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// Creates an upload for a client.
    pub async fn create(&self, name: &str, length: u64, client: &str) -> Result<Upload, Error> {
        if self.max_bytes == 0 {
            return Err(Error::Off);
        }
        let name =
            clean_name(name).ok_or_else(|| Error::Name(name.to_owned(), library::EXTENSIONS.join(", ")))?;
        if length == 0 {
            return Err(Error::Empty);
        }
        if length > self.max_bytes {
            return Err(Error::TooLarge { bytes: length, most: self.max_bytes });
        }
        // Two new uploads must not both claim the last space.
        let _naming = self.naming.lock().await;
        let unfinished = self.unfinished().await?;
        match Admission::of(client, &unfinished) {
            Admission::Free => {}
            Admission::InsteadOf(id) => {
                tracing::info!("the upload {id} has got nowhere: deleted, as there are too many");
                self.remove(id).await;
            }
            Admission::Full => return Err(Error::TooMany),
        }
        let awaited: u64 = unfinished.iter().map(UnfinishedUpload::reserved_bytes).sum();
        if !disk_space::has_room(&self.folder, length.saturating_add(awaited)) {
            return Err(Error::NoRoom(length));
        }
        let partial = self.folder.join(PARTIAL);
        tokio::fs::create_dir_all(&partial).await.map_err(at(&partial))?;
        let id = ulid::Ulid::generate().to_string().to_lowercase();
        let part = self.part(&id);
        tokio::fs::write(&part, []).await.map_err(at(&part))?;
        let announced = Announced { name, length, becomes: None, client: Some(client.to_owned()) };
        self.announce(&id, &announced).await?;
        let _begun = self.slot(&id);
        Ok(Upload { id, offset: 0, length })
    }

    /// Those that aren't complete.
    pub async fn list(&self) -> Result<Vec<UnfinishedUpload>, Error> {
        let mut unfinished = self.unfinished().await?;
        unfinished.retain(|unfinished| !unfinished.upload.is_whole());
        unfinished.sort_by(|one, other| one.upload.id.cmp(&other.upload.id));
        Ok(unfinished)
    }

    /// Its progress.
    pub async fn find(&self, id: &str) -> Result<Upload, Error> {
        self.read(id).await.map(|(upload, _)| upload)
    }

    /// Deletes it and its received bytes.
    pub async fn delete(&self, id: &str) -> Result<(), Error> {
        self.find(id).await?;
        let (_writing, _) = self.take_over(id).await;
        self.remove(id).await;
        Ok(())
    }

    /// Resumes it at `offset`. The previous writer stops.
    pub async fn resume(&self, id: &str, offset: u64) -> Result<Writing, Error> {
        self.find(id).await?;
        let (guard, order) = self.take_over(id).await;
        let (upload, _) = self.read(id).await?;
        if upload.offset != offset {
            return Err(Error::Offset { here: upload.offset, sent: offset });
        }
        // It goes on, so it isn't old.
        let _was_not = tokio::fs::remove_file(self.old(id)).await;
        let path = self.part(id);
        let file = tokio::fs::OpenOptions::new().append(true).open(&path).await.map_err(at(&path))?;
        let room_looked_at = upload.offset;
        Ok(Writing { slot: self.slot(id), order, upload, path, file, room_looked_at, _guard: guard })
    }

    /// Moves it to its name if it is complete, and returns its path, also if it was moved before.
    pub async fn finish(&self, id: &str) -> Result<Option<PathBuf>, Error> {
        let _naming = self.naming.lock().await;
        let (upload, mut announced) = self.read(id).await?;
        if !upload.is_whole() {
            return Ok(None);
        }
        let part = self.part(id);
        if let (Some(name), false) = (&announced.becomes, part.exists()) {
            return Ok(Some(self.folder.join(name)));
        }
        let extension = Path::new(&announced.name).extension().unwrap_or_default().to_string_lossy();
        // A file system may reject the name; every one accepts this.
        let plain = format!("{id}.{extension}");
        let mut failure = None;
        for name in [announced.name.clone(), plain] {
            for name in numbered_names(&name).filter(|name| is_free(&self.folder.join(name))) {
                // Recorded before the move: after an interruption, one or the other is found.
                announced.becomes = Some(name.clone());
                self.announce(id, &announced).await?;
                let target = self.folder.join(name);
                match move_to_free(&part, &target) {
                    Ok(()) => {
                        self.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
                        return Ok(Some(target));
                    }
                    // The name was taken meanwhile.
                    Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                    Err(error) => {
                        failure = Some(at(&target)(error));
                        break;
                    }
                }
            }
        }
        Err(failure.unwrap_or_else(|| Error::Name(announced.name, "that is not taken".into())))
    }

    /// At the start: creates the folder, and moves files that were complete when the server was killed to their names. Failed moves
    /// are reported and delay nothing.
    pub async fn recover(&self) -> Result<(), Error> {
        tokio::fs::create_dir_all(&self.folder).await.map_err(at(&self.folder))?;
        for UnfinishedUpload { upload, .. } in self.unfinished().await? {
            if let Err(error) = self.finish(&upload.id).await {
                tracing::warn!("{error}");
            }
        }
        Ok(())
    }

    /// Removes old ones, and old results of finished ones.
    pub async fn remove_old(&self) {
        if let Err(error) = self.unfinished().await {
            tracing::warn!("old uploads are not removed: {error}");
        }
    }

    /// Those not moved yet. Removes old ones, and old results of finished ones.
    async fn unfinished(&self) -> Result<Vec<UnfinishedUpload>, Error> {
        let folder = self.folder.join(PARTIAL);
        let Ok(mut entries) = tokio::fs::read_dir(&folder).await else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        while let Some(entry) = entries.next_entry().await.map_err(at(&folder))? {
            let path = entry.path();
            let Some(id) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
            let age = entry.metadata().await.ok().and_then(|file| file.modified().ok()?.elapsed().ok());
            let kind = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            if kind == "old" {
                continue;
            }
            let is_old = age.is_some_and(|age| age > EXPIRE_AFTER) && self.is_old_for_a_day(id).await;
            if kind != "part" {
                if is_old && !self.part(id).exists() {
                    self.remove(id).await;
                }
                continue;
            }
            match self.read(id).await {
                // A complete one only waits for its name, however long the machine was off.
                Ok((upload, announced)) if upload.is_whole() || !is_old => {
                    let slot = self.slot(id);
                    found.push(UnfinishedUpload {
                        upload,
                        name: announced.name,
                        client: announced.client,
                        age: slot.begun.elapsed(),
                        came: slot.came.load(Ordering::Relaxed),
                        idle: slot.idle(),
                    });
                }
                _ if is_old => {
                    tracing::info!("the upload {id} got no data for a week: deleted");
                    self.remove(id).await;
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// Whether an upload that is too old now was so a day ago. Notes that it is.
    async fn is_old_for_a_day(&self, id: &str) -> bool {
        let mark = self.old(id);
        let marked = tokio::fs::metadata(&mark).await.ok().and_then(|file| file.modified().ok());
        match marked.map(|marked| marked.elapsed()) {
            Some(Ok(age)) => age >= DOUBT,
            // None, or one of a clock that was ahead.
            Some(Err(_)) | None => {
                // On a full disk it is looked at later.
                let _unmarked = tokio::fs::write(&mark, []).await;
                false
            }
        }
    }

    /// Written to a temporary file and moved, so it is complete or absent.
    async fn announce(&self, id: &str, announced: &Announced) -> Result<(), Error> {
        let path = self.announced(id);
        let partial = path.with_extension("partial");
        let bytes = serde_json::to_vec(announced).unwrap_or_default();
        tokio::fs::write(&partial, bytes).await.map_err(at(&partial))?;
        tokio::fs::rename(&partial, &path).await.map_err(at(&path))
    }

    async fn read(&self, id: &str) -> Result<(Upload, Announced), Error> {
        // An identifier from outside must not lead out of the folder.
        if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Error::NotFound(id.to_owned()));
        }
        let gone = || Error::NotFound(id.to_owned());
        let announced = tokio::fs::read(self.announced(id)).await.map_err(|_| gone())?;
        let announced: Announced = serde_json::from_slice(&announced).map_err(|_| gone())?;
        let offset = match (tokio::fs::metadata(self.part(id)).await, &announced.becomes) {
            (Ok(part), _) => part.len(),
            (Err(_), Some(name)) if self.folder.join(name).is_file() => announced.length,
            // Moved to its name and deleted there since, or never existed.
            _ => return Err(gone()),
        };
        Ok((Upload { id: id.to_owned(), offset, length: announced.length }, announced))
    }

    async fn remove(&self, id: &str) {
        for path in [self.announced(id), self.part(id), self.old(id)] {
            // A missing file needs no removing.
            let _gone = tokio::fs::remove_file(path).await;
        }
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    fn slot(&self, id: &str) -> Arc<Slot> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).entry(id.to_owned()).or_default().clone()
    }

    /// Waits until the current writer stops, which it does at its next byte or now.
    async fn take_over(&self, id: &str) -> (OwnedMutexGuard<()>, u64) {
        let slot = self.slot(id);
        let order = slot.newest.fetch_add(1, Ordering::SeqCst) + 1;
        slot.taken_over.notify_waiters();
        (slot.writing.clone().lock_owned().await, order)
    }

    fn announced(&self, id: &str) -> PathBuf {
        self.folder.join(PARTIAL).join(format!("{id}.json"))
    }

    fn old(&self, id: &str) -> PathBuf {
        self.folder.join(PARTIAL).join(format!("{id}.old"))
    }

    fn part(&self, id: &str) -> PathBuf {
        self.folder.join(PARTIAL).join(format!("{id}.part"))
    }
}

/// The right to append to an upload.
pub struct Writing {
    slot: Arc<Slot>,
    order: u64,
    upload: Upload,
    path: PathBuf,
    file: tokio::fs::File,
    room_looked_at: u64,
    _guard: OwnedMutexGuard<()>,
}

impl Writing {
    /// Resolves when another connection takes over; wait for it together with the next piece.
    pub async fn is_taken_over(&self) {
        let notified = self.slot.taken_over.notified();
        if self.is_current() {
            notified.await;
        }
    }

    fn is_current(&self) -> bool {
        self.slot.newest.load(Ordering::SeqCst) == self.order
    }

    /// Appends a piece, cut at the announced length.
    pub async fn add(&mut self, piece: &[u8]) -> Result<(), Error> {
        if !self.is_current() {
            return Err(Error::Superseded);
        }
        if self.upload.offset >= self.room_looked_at + LOOK_AT_ROOM_AFTER_BYTES {
            self.room_looked_at = self.upload.offset;
            if !disk_space::has_room(&self.path, 0) {
                return Err(Error::Full);
            }
        }
        let room = usize::try_from(self.upload.length - self.upload.offset).unwrap_or(usize::MAX);
        let taken = &piece[..piece.len().min(room)];
        self.file.write_all(taken).await.map_err(at(&self.path))?;
        self.upload.offset += taken.len() as u64;
        self.slot.note_bytes(taken.len() as u64);
        if taken.len() < piece.len() { Err(Error::TooLong(self.upload.length)) } else { Ok(()) }
    }

    /// Syncs all appended bytes to the disk; returns the progress.
    pub async fn end(mut self) -> Result<Upload, Error> {
        self.file.flush().await.map_err(at(&self.path))?;
        self.file.sync_all().await.map_err(at(&self.path))?;
        Ok(self.upload)
    }
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| match source.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Error::Full,
        _ => Error::Disk { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_the_file_system_refuses_loses_nothing() {
        let data = tempfile::tempdir().expect("a folder");
        let uploads = Uploads::new(data.path(), 1.0);
        uploads.recover().await.expect("the folder is made");
        let upload = uploads.create("pen.mp4", 3, "one").await.expect("it is taken");
        // A name with letters that take more bytes than a file system allows.
        let name = format!("{}.mp4", "x".repeat(300));
        let announced = Announced { name, length: 3, becomes: None, client: None };
        uploads.announce(&upload.id, &announced).await.expect("it is written");
        let mut writing = uploads.resume(&upload.id, 0).await.expect("it resumes");
        writing.add(b"pig").await.expect("there is room");
        writing.end().await.expect("it is written");
        uploads.recover().await.expect("the server starts");
        let path = uploads.finish(&upload.id).await.expect("it is found").expect("it is whole");
        assert_eq!(path, uploads.folder().join(format!("{}.mp4", upload.id)));
        assert_eq!(std::fs::read(path).expect("it is there"), b"pig");
    }

    #[tokio::test]
    async fn a_clock_that_jumps_ahead_deletes_no_half_upload() {
        let data = tempfile::tempdir().expect("a folder");
        let uploads = Uploads::new(data.path(), 1.0);
        uploads.recover().await.expect("the folder is made");
        let upload = uploads.create("pen.mp4", 6, "one").await.expect("it is taken");
        let mut writing = uploads.resume(&upload.id, 0).await.expect("it resumes");
        writing.add(b"pig").await.expect("there is room");
        writing.end().await.expect("it is written");
        // Set back instead of the clock ahead: for who compares, it is the same.
        let set = |path: PathBuf, ago: Duration| {
            let file = std::fs::File::options().append(true).open(path).expect("it is there");
            file.set_modified(std::time::SystemTime::now() - ago).expect("it is set");
        };
        let week = EXPIRE_AFTER + Duration::from_secs(60);
        set(uploads.part(&upload.id), week);
        set(uploads.announced(&upload.id), week);
        uploads.remove_old().await;
        assert_eq!(uploads.find(&upload.id).await.expect("it is kept").offset, 3);
        set(uploads.old(&upload.id), DOUBT / 2);
        uploads.remove_old().await;
        assert!(uploads.find(&upload.id).await.is_ok(), "half a day later");
        // Bytes come: it is not old any more.
        let mut writing = uploads.resume(&upload.id, 3).await.expect("it resumes");
        writing.add(b"s").await.expect("there is room");
        writing.end().await.expect("it is written");
        assert!(!uploads.old(&upload.id).exists());
        set(uploads.part(&upload.id), week);
        set(uploads.announced(&upload.id), week);
        uploads.remove_old().await;
        set(uploads.old(&upload.id), DOUBT);
        uploads.remove_old().await;
        assert!(matches!(uploads.find(&upload.id).await, Err(Error::NotFound(_))), "old for a day");
        assert!(!uploads.old(&upload.id).exists(), "nothing is left");
    }
}
