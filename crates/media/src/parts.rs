//! What is known of a file while it is still being read: a day of video on a slow disk takes minutes.

use crate::index::VideoIndex;
use std::time::{Duration, Instant};

/// The first part comes this much sooner than the later ones: somebody may be waiting for it.
const FIRST_SOONER: u32 = 8;
/// Making a part costs time as well: what reading takes between two of them, in makings.
const LEAST_READING: u32 = 10;

/// Hears of parts of an index, from time to time.
pub(crate) struct Parts<'a> {
    tell: Option<&'a mut dyn FnMut(VideoIndex)>,
    longest_pause: Duration,
    pause: Duration,
    due: Instant,
}

impl<'a> Parts<'a> {
    /// `tell` hears of one soon, then of one after each pause, the longest of which is `longest_pause`.
    pub(crate) fn new(longest_pause: Duration, tell: &'a mut dyn FnMut(VideoIndex)) -> Self {
        let pause = longest_pause / FIRST_SOONER;
        Self { tell: Some(tell), longest_pause, pause, due: Instant::now() + pause }
    }

    /// For those who want the whole alone.
    pub(crate) fn unheard() -> Self {
        Self { tell: None, longest_pause: Duration::ZERO, pause: Duration::ZERO, due: Instant::now() }
    }

    /// Makes a part and tells of it, where it is time for that.
    pub(crate) fn tell_if_due(&mut self, part: impl FnOnce() -> Option<VideoIndex>) {
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
