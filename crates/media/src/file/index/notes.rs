//! Describes repaired times for people.

use super::{Timing, VideoIndex};
use pigweight_core::time::{Pts, TimeBase};

/// Pauses from this length on are told, if the usual frames follow each other faster.
const LEAST_PAUSE_SECS: f64 = 10.0;
const LEAST_PAUSE_FRAMES: i64 = 20;

impl VideoIndex {
    /// `None` if all times are as usual.
    pub(super) fn describe_repairs(&self, time_base: TimeBase, beside: Option<String>) -> Option<String> {
        let found = [self.jumps(time_base), self.replaced(time_base), self.pauses(time_base), beside];
        let found: Vec<String> = found.into_iter().flatten().collect();
        (!found.is_empty()).then(|| found.join("; "))
    }

    fn secs(&self, time_base: TimeBase, pts: Pts) -> f64 {
        time_base.secs(Pts(pts.0.saturating_sub(self.first_pts().0)))
    }

    fn jumps(&self, time_base: TimeBase) -> Option<String> {
        let mut jumps = self.clocks.iter().filter(|clock| clock.jumped_ticks != 0);
        let first = jumps.next()?;
        let more = jumps.count();
        let secs = time_base.secs(Pts(first.jumped_ticks));
        let way = if secs < 0.0 { "back" } else { "ahead" };
        let at = self.secs(time_base, self.packets[first.first as usize].pts).max(0.0);
        let again = match more {
            0 => String::new(),
            1 => " and once more later".to_owned(),
            more => format!(" and {more} times more later"),
        };
        Some(format!(
            "its clock jumps {way} by {:.3} s at {at:.3} s{again}; what follows was joined on without a pause",
            secs.abs()
        ))
    }

    fn replaced(&self, time_base: TimeBase) -> Option<String> {
        let shown = |number: &u32| self.packets[*number as usize].is_shown && self.timing == Timing::Stated;
        let mut replaced: Vec<Pts> = self
            .restated
            .iter()
            .map(|&(number, _)| number)
            .filter(shown)
            .map(|number| self.packets[number as usize].pts)
            .collect();
        replaced.sort_unstable();
        let at = self.secs(time_base, *replaced.first()?);
        Some(match replaced.len() {
            1 => format!(
                "a frame states a time that can't be its own; it was placed between its neighbours, at {at:.3} s"
            ),
            count => format!(
                "{count} frames state a time that can't be their own; they were placed between their neighbours, the first at {at:.3} s"
            ),
        })
    }

    fn pauses(&self, time_base: TimeBase) -> Option<String> {
        let mut steps: Vec<i64> = self.steps().map(|(_, step)| step).collect();
        let middle = steps.len() / 2;
        let (_, &mut usual, _) = (!steps.is_empty()).then(|| steps.select_nth_unstable(middle))?;
        let mut pauses = self.steps().filter(|&(_, step)| {
            time_base.secs(Pts(step)) >= LEAST_PAUSE_SECS && step > usual.saturating_mul(LEAST_PAUSE_FRAMES)
        });
        let (before, step) = pauses.next()?;
        let (more, rest) =
            pauses.fold((0, 0.0), |(count, secs), (_, step)| (count + 1, secs + time_base.secs(Pts(step))));
        let secs = time_base.secs(Pts(step));
        let at = self.secs(time_base, before);
        Some(match more {
            0 => format!("it has no pictures for {secs:.3} s after {at:.3} s"),
            more => format!(
                "it has no pictures for {secs:.3} s after {at:.3} s, and {more} more such pauses of {rest:.3} s in all"
            ),
        })
    }

    /// The time of each frame, and how long it is until the next.
    fn steps(&self) -> impl Iterator<Item = (Pts, i64)> + '_ {
        self.frame_pts().zip(self.frame_pts().skip(1)).map(|(one, next)| (one, next.0.saturating_sub(one.0)))
    }
}
