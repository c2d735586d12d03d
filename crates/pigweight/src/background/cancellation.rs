//! The videos that the background works on, and how to stop that work.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Shared by the background work and the code that stops it.
#[derive(Default)]
pub struct Cancellation {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    is_over: bool,
    current: Vec<(String, Arc<AtomicBool>)>,
}

impl Cancellation {
    /// Starts work on a video. The returned flag is set when the work should stop at the next frame.
    pub fn begin(&self, video_id: &str) -> Arc<AtomicBool> {
        let mut inner = self.lock();
        let stop = Arc::new(AtomicBool::new(inner.is_over));
        // Work whose flag has no holder any more has ended.
        inner.current.retain(|(_, stop)| Arc::strong_count(stop) > 1);
        inner.current.push((video_id.to_owned(), stop.clone()));
        stop
    }

    /// Videos being worked on.
    pub fn current(&self) -> BTreeSet<String> {
        let inner = self.lock();
        let held = inner.current.iter().filter(|(_, stop)| Arc::strong_count(stop) > 1);
        held.map(|(video_id, _)| video_id.clone()).collect()
    }

    /// Stops work on this video, if there is any.
    pub fn stop(&self, video_id: &str) {
        for (_, stop) in self.lock().current.iter().filter(|(current, _)| current == video_id) {
            stop.store(true, Ordering::Relaxed);
        }
    }

    /// Stops all work, current and later: the server ends.
    pub fn end(&self) {
        let mut inner = self.lock();
        inner.is_over = true;
        for (_, stop) in &inner.current {
            stop.store(true, Ordering::Relaxed);
        }
    }

    /// Whether no more work may start.
    pub fn is_over(&self) -> bool {
        self.lock().is_over
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is a single assignment, so a panicking holder leaves consistent data.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stopping_one_video_leaves_the_others_and_shutdown_stops_all() {
        let work = Cancellation::default();
        let first = work.begin("first");
        work.stop("second");
        assert!(!first.load(Ordering::Relaxed));
        work.stop("first");
        assert!(first.load(Ordering::Relaxed));
        let [second, again] = ["second", "second"].map(|id| work.begin(id));
        assert!(!second.load(Ordering::Relaxed) && !work.is_over());
        work.stop("second");
        assert!(second.load(Ordering::Relaxed) && again.load(Ordering::Relaxed));
        let other = work.begin("other");
        work.end();
        assert!(other.load(Ordering::Relaxed) && work.is_over());
        assert_eq!(work.current().into_iter().collect::<Vec<_>>(), ["first", "other", "second"]);
        drop(other);
        assert!(!work.current().contains("other"), "what nobody holds any more has ended");
        assert!(work.begin("third").load(Ordering::Relaxed), "nothing begins after the end");
    }
}
