//! Room on the disk.

use std::path::Path;

/// What is left to everything else: counts are kept, whatever happens to pictures and uploads.
const LEFT_FREE_BYTES: u64 = 2_000_000_000;

/// A step of a run takes some hundred kilobytes: with less than this there is no room for one.
const FULL_BELOW_BYTES: u64 = 1_000_000;

/// Whether so many bytes more leave enough of the folder's disk for what counts.
pub fn has_room(folder: &Path, bytes: u64) -> bool {
    free_bytes(folder).is_none_or(|free| free >= bytes.saturating_add(LEFT_FREE_BYTES))
}

/// Whether nothing more can be kept in the folder.
pub fn is_full(folder: &Path) -> bool {
    free_bytes(folder).is_some_and(|free| free < FULL_BELOW_BYTES)
}

/// Where it cannot be told, the disk's own refusal must do.
fn free_bytes(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|folder| folder.is_dir())?;
    let disk = rustix::fs::statvfs(there).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}
