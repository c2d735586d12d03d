//! A cache of JPEGs, limited in bytes.

use axum::body::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// Number of pictures that the cache is sized for.
const EXPECTED_PICTURES: usize = 256;

/// JPEGs by their ETag. The least recently used go first.
pub struct JpegCache {
    most_bytes: usize,
    cache: Cache<String, Bytes, ByBytes>,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<String, Bytes> for ByBytes {
    fn weight(&self, _key: &String, bytes: &Bytes) -> u64 {
        // An entry without weight would never be evicted.
        bytes.len().max(1) as u64
    }
}

impl JpegCache {
    /// Holds at most `most_bytes`.
    pub fn new(most_bytes: usize) -> Self {
        Self { most_bytes, cache: Cache::with_weighter(EXPECTED_PICTURES, most_bytes as u64, ByBytes) }
    }

    /// The entry with this key, if it is still there.
    pub fn get(&self, key: &str) -> Option<Bytes> {
        self.cache.get(key)
    }

    /// Adds a picture, unless it is larger than the whole cache.
    pub fn put(&self, key: String, bytes: Bytes) {
        if bytes.len() > self.most_bytes {
            return;
        }
        self.cache.insert(key, bytes);
        metrics::gauge!("pigweight_jpeg_cache_bytes").set(self.cache.weight() as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_stays_within_its_bytes_and_counts_a_replaced_picture_once() {
        let cache = JpegCache::new(1000);
        let put = |key: String, size| cache.put(key, vec![0; size].into());
        for number in 0..100 {
            put(number.to_string(), 90);
            assert!(cache.cache.weight() <= 1000);
        }
        assert_eq!(cache.get("99").map(|bytes| bytes.len()), Some(90), "the last one is there");
        assert!((0..100).filter(|number| cache.get(&number.to_string()).is_some()).count() <= 11);
        let before = cache.cache.weight();
        put("99".to_owned(), 90);
        assert_eq!(cache.cache.weight(), before);
        put("too large".to_owned(), 1001);
        assert!(cache.get("too large").is_none());
    }
}
