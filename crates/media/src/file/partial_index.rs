//! Partial indexes of a file while it is being read: a day of video on a slow disk takes minutes.

use std::time::{Duration, Instant};

/// The first part comes this much sooner than the later ones: a user may be waiting for it.
const FIRST_SOONER: u32 = 8;
/// Making a part takes time too: reading time between two parts, in multiples of that.
const LEAST_READING: u32 = 10;

/// Publishes partial results from time to time.
pub(crate) struct PartialReports<'a, T> {
    tell: Option<&'a mut dyn FnMut(T)>,
    longest_pause: Duration,
    pause: Duration,
    due: Instant,
}

impl<'a, T> PartialReports<'a, T> {
    /// `tell` is called with a first partial result soon, then after pauses that grow to `longest_pause`.
    pub(crate) fn new(longest_pause: Duration, tell: &'a mut dyn FnMut(T)) -> Self {
        let pause = longest_pause / FIRST_SOONER;
        Self { tell: Some(tell), longest_pause, pause, due: Instant::now() + pause }
    }

    /// Reports nothing: for callers that need only the whole.
    pub(crate) fn none() -> Self {
        Self { tell: None, longest_pause: Duration::ZERO, pause: Duration::ZERO, due: Instant::now() }
    }

    /// Makes a partial result and reports it, when one is due.
    pub(crate) fn report_if_due(&mut self, part: impl FnOnce() -> Option<T>) {
        let started = Instant::now();
        let Some(tell) = self.tell.as_mut().filter(|_| started >= self.due) else { return };
        if let Some(part) = part() {
            tell(part);
        }
        let now = Instant::now();
        self.pause = (self.pause * 2).min(self.longest_pause).max((now - started) * LEAST_READING);
        self.due = now + self.pause;
    }
}
