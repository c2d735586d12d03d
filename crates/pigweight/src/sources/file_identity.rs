//! Identity of a file: size, times, and hashes of parts of its content.

use pigweight_store::{FileIdentity, FileStat, path_text};
use std::fs::{File, Metadata};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes that identify a file's content.
const HEAD_BYTES: u64 = 64 * 1024;

/// A file changed more recently than this is read again at the next scan.
const SETTLED_AFTER: Duration = Duration::from_secs(3);
/// Number and size of the pieces that identify a copied file among files of equal size. Recorders write files of one size over and over,
/// but their contents differ everywhere.
const SAMPLES: u64 = 16;
const SAMPLE_BYTES: u64 = 64 * 1024;

/// Opens files. Tests count the calls.
pub trait OpenFile: Sync {
    /// For reading.
    ///
    /// # Errors
    /// The system's error.
    fn open(&self, path: &Path) -> std::io::Result<File>;
}

/// The system's files.
pub struct SystemFiles;

impl OpenFile for SystemFiles {
    fn open(&self, path: &Path) -> std::io::Result<File> {
        File::open(path)
    }
}

/// Size and times of a file. The ctime is left out while it is so recent that a later change could have the same
/// time: file systems and clocks are coarse.
pub(super) fn stat(metadata: &Metadata) -> FileStat {
    let nanos = |time: SystemTime| {
        let elapsed = time.duration_since(UNIX_EPOCH).ok()?;
        i64::try_from(elapsed.as_nanos()).ok()
    };
    let modified_nanos = metadata.modified().ok().and_then(nanos).unwrap_or(0);
    let (changed_nanos, inode) = inode(metadata);
    let settled_before = nanos(SystemTime::now() - SETTLED_AFTER).unwrap_or(0);
    let is_settled = |changed: &i64| modified_nanos.max(*changed) < settled_before;
    FileStat {
        size_bytes: metadata.len().cast_signed(),
        modified_nanos,
        changed_nanos: changed_nanos.filter(is_settled),
        inode,
    }
}

#[cfg(unix)]
pub(super) fn inode(metadata: &Metadata) -> (Option<i64>, Option<i64>) {
    use std::os::unix::fs::MetadataExt as _;
    let changed_nanos = metadata.ctime().saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec());
    (Some(changed_nanos), Some(metadata.ino().cast_signed()))
}

/// On other systems the first bytes of each file are read at each scan.
#[cfg(not(unix))]
pub(super) fn inode(_: &Metadata) -> (Option<i64>, Option<i64>) {
    (None, None)
}

/// What identifies this file's content.
pub fn identity(path: &Path, files: &dyn OpenFile) -> std::io::Result<FileIdentity> {
    let file = files.open(path)?;
    // Before reading: a write during the read changes it.
    let stat = stat(&file.metadata()?);
    let mut head = Vec::new();
    file.take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(FileIdentity {
        path: path_text(path),
        stat,
        head_hash: blake3::hash(&head).to_hex().to_string(),
        samples_hash: None,
    })
}

/// Hash of pieces from all over the file, including its end; of a small file, all of it.
pub(super) fn samples(path: &Path, files: &dyn OpenFile) -> std::io::Result<String> {
    let mut file = files.open(path)?;
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
