//! The latest JPEGs that were made, within so many bytes.

use axum::body::Bytes;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// What came last is kept longest. A few hundred entries: looked through from one end to the other.
pub struct JpegCache {
    most_bytes: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Oldest use first.
    entries: VecDeque<(String, Bytes)>,
    bytes: usize,
}

impl JpegCache {
    /// Holds at most `most_bytes`.
    pub fn new(most_bytes: usize) -> Self {
        Self { most_bytes, kept: Mutex::default() }
    }

    /// What was put under this key, if it is still there.
    pub fn get(&self, key: &str) -> Option<Bytes> {
        let mut kept = self.lock();
        let place = kept.entries.iter().rposition(|(known, _)| known == key)?;
        let entry = kept.entries.remove(place)?;
        let bytes = entry.1.clone();
        kept.entries.push_back(entry);
        Some(bytes)
    }

    /// Keeps it, and lets go of what was not asked for longest. What is larger than all the room is not kept.
    pub fn put(&self, key: String, bytes: Bytes) {
        if bytes.len() > self.most_bytes {
            return;
        }
        let mut kept = self.lock();
        if let Some(place) = kept.entries.iter().position(|(known, _)| *known == key) {
            kept.forget(place);
        }
        kept.bytes += bytes.len();
        kept.entries.push_back((key, bytes));
        while kept.bytes > self.most_bytes {
            kept.forget(0);
        }
        metrics::gauge!("pigweight_jpeg_cache_bytes").set(kept.bytes as f64);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        // A panic between two changes leaves a sum that is too large at the worst: less is kept then.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn forget(&mut self, place: usize) {
        if let Some((_, bytes)) = self.entries.remove(place) {
            self.bytes = self.bytes.saturating_sub(bytes.len());
        } else {
            self.bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_stays_within_the_bytes() {
        let cache = JpegCache::new(100);
        let put = |key: &str, size| cache.put(key.to_owned(), vec![0; size].into());
        let size = |key: &str| cache.get(key).map(|bytes| bytes.len());
        put("a", 40);
        put("b", 40);
        assert_eq!(size("a"), Some(40));
        put("c", 40);
        assert_eq!((size("a"), size("b"), size("c")), (Some(40), None, Some(40)));
        put("c", 60);
        assert_eq!((size("a"), size("c")), (Some(40), Some(60)), "put again it counts once");
        put("d", 101);
        assert_eq!((size("a"), size("c"), size("d")), (Some(40), Some(60), None));
        put("e", 100);
        assert_eq!((size("a"), size("c"), size("e")), (None, None, Some(100)));
    }
}
