//! Which videos the background works on, and a way to make it stop there.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Shared by the background and those who stop it.
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
    /// Work on a video begins. What is returned is set when it shall stop at the next frame.
    pub fn begin(&self, video_id: &str) -> Arc<AtomicBool> {
        let mut inner = self.lock();
        let stop = Arc::new(AtomicBool::new(inner.is_over));
        // What nobody holds any more has ended.
        inner.current.retain(|(_, stop)| Arc::strong_count(stop) > 1);
        inner.current.push((video_id.to_owned(), stop.clone()));
        stop
    }

    /// Videos that are worked on now.
    pub fn current(&self) -> BTreeSet<String> {
        let inner = self.lock();
        let held = inner.current.iter().filter(|(_, stop)| Arc::strong_count(stop) > 1);
        held.map(|(video_id, _)| video_id.clone()).collect()
    }

    /// Stops work on this video, if that is what goes on.
    pub fn stop(&self, video_id: &str) {
        for (_, stop) in self.lock().current.iter().filter(|(current, _)| current == video_id) {
            stop.store(true, Ordering::Relaxed);
        }
    }

    /// Stops what goes on and all that would follow: the server ends.
    pub fn end(&self) {
        let mut inner = self.lock();
        inner.is_over = true;
        for (_, stop) in &inner.current {
            stop.store(true, Ordering::Relaxed);
        }
    }

    /// Whether nothing shall follow.
    pub fn is_over(&self) -> bool {
        self.lock().is_over
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is a single assignment: what a panicking holder left behind is whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_video_that_is_meant_stops_and_the_end_stops_all() {
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
