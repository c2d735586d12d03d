//! When something is tried again. Pure: chance is an argument.

use std::time::Duration;

/// Intervals after one failure and the next: doubled, with up to half of it as jitter.
#[derive(Clone, Copy, Debug)]
pub struct BackOff {
    shortest: Duration,
    longest: Duration,
    failures: u32,
}

impl BackOff {
    /// No failure yet.
    pub const fn new(shortest: Duration, longest: Duration) -> Self {
        Self { shortest, longest, failures: 0 }
    }

    /// It works again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after a failure; `chance` is between 0 and 1.
    pub fn after_failure(&mut self, chance: f64) -> Duration {
        let doubled = self.shortest.saturating_mul(1 << self.failures.min(20)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        doubled.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_double_up_to_the_longest_and_begin_anew() {
        let secs = Duration::from_secs;
        let mut back_off = BackOff::new(secs(1), secs(300));
        let intervals: Vec<u64> = (0..11).map(|_| back_off.after_failure(1.0).as_secs()).collect();
        assert_eq!(intervals, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(back_off.after_failure(0.0), secs(150));
        back_off.reset();
        assert_eq!(back_off.after_failure(1.0), secs(1));
    }
}
