//! Bytes of HLS segments that are made and not sent yet, within a limit: clients may be slow.

use crate::web::request::problem::Problem;
use axum::body::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Of all segments in flight: a minute of 1080p for each of ten viewers.
const MAX_BYTES_IN_FLIGHT: usize = 512 << 20;
/// Segments made and not taken yet: clients may be slow, and memory is limited.
#[derive(Clone, Default)]
pub struct HlsParts(Arc<AtomicUsize>);

/// One of them.
struct PartInFlight {
    bytes: Vec<u8>,
    all: HlsParts,
}

impl HlsParts {
    /// A segment that is counted until its last byte has been taken.
    ///
    /// # Errors
    /// If clients have too many of them already; players retry.
    pub fn send(&self, bytes: Vec<u8>) -> Result<Bytes, Problem> {
        let before = self.0.fetch_add(bytes.len(), Ordering::Relaxed);
        let part = PartInFlight { bytes, all: self.clone() };
        // One is always allowed, of any size.
        if before > 0 && before + part.bytes.len() > MAX_BYTES_IN_FLIGHT {
            return Err(Problem::unavailable("too many viewers read too slowly at once; ask again soon"));
        }
        Ok(Bytes::from_owner(part))
    }

    /// Their bytes.
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl AsRef<[u8]> for PartInFlight {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for PartInFlight {
    fn drop(&mut self) {
        self.all.0.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_slow_readers_is_bounded_and_released() {
        let hls_parts = HlsParts::default();
        let large = vec![0; MAX_BYTES_IN_FLIGHT / 2];
        let held: Vec<Bytes> =
            (0..2).map(|_| hls_parts.send(large.clone()).expect("there is room")).collect();
        assert!(hls_parts.send(vec![0]).is_err());
        assert_eq!(hls_parts.bytes(), MAX_BYTES_IN_FLIGHT, "what was refused is not counted");
        // A slice of it keeps the whole.
        let part = held[0].slice(5..6);
        drop(held);
        assert_eq!(hls_parts.bytes(), large.len());
        drop(part);
        assert_eq!(hls_parts.bytes(), 0);
        assert!(hls_parts.send(vec![0; MAX_BYTES_IN_FLIGHT + 1]).is_ok(), "one always goes");
    }
}
