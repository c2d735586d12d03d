//! Room on the disk.

use std::path::Path;

/// What is left to everything else: counts are kept, whatever happens to pictures and uploads.
const LEFT_FREE_BYTES: u64 = 2_000_000_000;

/// Whether so many bytes more leave enough of the folder's disk for what counts.
pub fn has_room(folder: &Path, bytes: u64) -> bool {
    let there = folder.ancestors().find(|folder| folder.is_dir());
    // Where it cannot be told, the disk's own refusal must do.
    there.and_then(|folder| rustix::fs::statvfs(folder).ok()).is_none_or(|disk| {
        disk.f_bavail.saturating_mul(disk.f_frsize) >= bytes.saturating_add(LEFT_FREE_BYTES)
    })
}
