//! How much a camera may send until an access unit is complete.

use crate::failure::Failure;
use std::sync::atomic::{AtomicU64, Ordering};

/// Everything between two access units: the larger part is the second of them. The keyframe of a 4K camera has about 2 MB; the rest is for what waits in
/// sockets while the server is busy.
pub(crate) const MOST_BYTES_BETWEEN_UNITS: u64 = 16 << 20;

/// Bytes since the last access unit. Retina keeps what it has received of one until it is whole, however large it grows, so they are counted before.
#[derive(Debug, Default)]
pub(crate) struct Quota(AtomicU64);

impl Quota {
    /// An access unit is complete, or a connection begins.
    pub(crate) fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Counts what the camera has sent.
    pub(crate) fn add(&self, bytes: usize) -> Result<(), Failure> {
        let bytes = bytes as u64;
        let sum = self.0.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if sum <= MOST_BYTES_BETWEEN_UNITS {
            return Ok(());
        }
        let what = format!("more than {} MB without a whole picture", MOST_BYTES_BETWEEN_UNITS >> 20);
        Err(Failure::Oversized { what })
    }
}
