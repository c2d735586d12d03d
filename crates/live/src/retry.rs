//! When a connection is tried again. Pure: time and chance are arguments.

use crate::failure::Failure;
use std::time::Duration;

/// First interval.
pub const SHORTEST: Duration = Duration::from_millis(500);
/// Longest interval: a camera that comes back is seen within 10 s, and one that is off costs nothing.
pub const LONGEST: Duration = Duration::from_secs(8);
/// Interval where a person must change something first. Cameras lock out who tries wrong passwords too often.
pub const SLOW: Duration = Duration::from_secs(60);
/// A connection that lasted this long was good: the next failure begins with the shortest interval.
pub const GOOD_AFTER: Duration = Duration::from_secs(10);

/// The intervals after one failure and the next: doubled, with jitter, so that many cameras don't return at the same moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Retries {
    failures: u32,
}

impl Retries {
    /// How long to wait after a failure. `chance` is between 0 and 1; `lasted` is how long the connection was live.
    pub fn after(&mut self, failure: &Failure, lasted: Duration, chance: f64) -> Duration {
        if lasted >= GOOD_AFTER {
            self.failures = 0;
        }
        let doubled = SHORTEST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let whole = if failure.needs_person() { SLOW } else { doubled };
        whole.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
    }
}
