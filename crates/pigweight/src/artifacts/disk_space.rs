//! Free disk space.

use std::path::Path;

/// Reserved for everything else: counts are stored even if previews and uploads stop.
const LEFT_FREE_BYTES: u64 = 2_000_000_000;

/// A step of a run takes some hundred kilobytes; with less free space it can't be written.
const FULL_BELOW_BYTES: u64 = 1_000_000;

/// Whether enough of the folder's disk stays free for counts if this many bytes are written.
pub fn has_room(folder: &Path, bytes: u64) -> bool {
    free_bytes(folder).is_none_or(|free| free >= bytes.saturating_add(LEFT_FREE_BYTES))
}

/// Whether nothing more can be written to the folder.
pub fn is_full(folder: &Path) -> bool {
    free_bytes(folder).is_some_and(|free| free < FULL_BELOW_BYTES)
}

/// If free space is unknown, the disk's own error must do.
fn free_bytes(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|folder| folder.is_dir())?;
    let disk = rustix::fs::statvfs(there).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}
