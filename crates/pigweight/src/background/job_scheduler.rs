//! The job scheduler chooses the job that a worker runs next. Several videos are counted at once: the first worker takes the oldest
//! job, the others the shortest.
//!
//! So the oldest job always gets done, and a short video doesn't wait for one of ten hours: on every worker but the first, a job
//! that is much shorter than the current one takes its place. Nothing is lost by that, because a run continues behind its last checkpoint.
//! Pure: all input comes as arguments.

use pigweight_store::JobRecord;
use std::cmp::Reverse;

/// By what a worker's next job is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchedulingPolicy {
    /// The oldest.
    OldestFirst,
    /// The one with the fewest frames left.
    ShortestFirst,
}

impl SchedulingPolicy {
    /// The first worker keeps the order.
    pub fn of(place: usize) -> Self {
        if place == 0 { Self::OldestFirst } else { Self::ShortestFirst }
    }

    /// The next waiting job. A higher priority comes first; a file without an index may take long to
    /// read, and comes after those with one.
    pub fn next(self, waiting: &[JobRecord]) -> Option<&JobRecord> {
        waiting.iter().min_by_key(|job| {
            let left = match self {
                Self::OldestFirst => 0,
                Self::ShortestFirst => left(job),
            };
            (Reverse(job.priority), !job.is_described, left, job.number)
        })
    }

    /// Whether a waiting job takes the place of the current one.
    pub fn preempts(self, waiting: &JobRecord, running: &JobRecord) -> bool {
        let is_much_shorter = || left(waiting) < left(running) / 2;
        match waiting.priority.cmp(&running.priority) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => self == Self::ShortestFirst && is_much_shorter(),
            std::cmp::Ordering::Greater => true,
        }
    }
}

/// Unknown for a file without an index.
fn left(job: &JobRecord) -> i64 {
    job.frames_left().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(number: i64, priority: i64, frames: Option<i64>) -> JobRecord {
        JobRecord {
            number,
            priority,
            frames_total: frames,
            is_described: frames.is_some(),
            ..JobRecord::default()
        }
    }

    fn next(order: SchedulingPolicy, waiting: &[JobRecord]) -> i64 {
        order.next(waiting).unwrap().number
    }

    #[test]
    fn turns_keep_the_order_and_other_workers_take_short_videos() {
        let waiting = [job(1, 0, Some(900_000)), job(2, 0, Some(500)), job(3, 0, None)];
        assert_eq!(next(SchedulingPolicy::of(0), &waiting), 1);
        assert_eq!(next(SchedulingPolicy::of(1), &waiting), 2);
        assert_eq!(next(SchedulingPolicy::of(5), &waiting[..1]), 1);
        assert!(SchedulingPolicy::OldestFirst.next(&[]).is_none());
        // Files without an index come last, however old.
        assert_eq!(next(SchedulingPolicy::OldestFirst, &[job(1, 0, None), job(2, 0, Some(5))]), 2);
        // A priority set by a person comes before both.
        let prioritised = [job(1, 0, Some(10)), job(2, 9, None), job(3, 9, Some(900_000))];
        assert_eq!(
            (
                next(SchedulingPolicy::OldestFirst, &prioritised),
                next(SchedulingPolicy::ShortestFirst, &prioritised)
            ),
            (3, 3)
        );
    }

    #[test]
    fn a_running_job_yields_to_a_higher_priority_or_a_much_shorter_one_without_thrashing() {
        let (long, short) = (job(1, 0, Some(900_000)), job(2, 0, Some(500)));
        assert!(
            SchedulingPolicy::ShortestFirst.preempts(&short, &long)
                && !SchedulingPolicy::ShortestFirst.preempts(&long, &short)
        );
        assert!(!SchedulingPolicy::OldestFirst.preempts(&short, &long));
        assert!(
            !SchedulingPolicy::ShortestFirst.preempts(&job(3, 0, Some(300)), &short),
            "not worth the change"
        );
        assert!(!SchedulingPolicy::ShortestFirst.preempts(&job(3, 0, None), &short));
        for order in [SchedulingPolicy::OldestFirst, SchedulingPolicy::ShortestFirst] {
            assert!(order.preempts(&job(3, 1, Some(900_000)), &short));
            assert!(!order.preempts(&job(3, -1, Some(1)), &long));
        }
    }
}
