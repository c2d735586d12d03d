//! Whose turn it is: several videos are counted at once, one of them in the order of the jobs, the others the shortest first.
//!
//! So whatever is there longest is done at some time, and a short video does not wait for one of ten hours: in each turn but the first, a job
//! that is much shorter than the one that goes on takes its place. Nothing is lost by that, since a run goes on behind its last checkpoint.
//! Pure: what there is comes as an argument.

use pigweight_store::JobRecord;
use std::cmp::Reverse;

/// What is done in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobOrder {
    /// The oldest.
    OldestFirst,
    /// The one of which the fewest frames are left.
    ShortestFirst,
}

impl JobOrder {
    /// The first of those that are taken side by side keeps the order.
    pub fn of(place: usize) -> Self {
        if place == 0 { Self::OldestFirst } else { Self::ShortestFirst }
    }

    /// The next of those that wait. A higher priority goes before anything else; a file that has not been looked into yet may take long to
    /// be read, and comes after those that have.
    pub fn next(self, waiting: &[JobRecord]) -> Option<&JobRecord> {
        waiting.iter().min_by_key(|job| {
            let left = match self {
                Self::OldestFirst => 0,
                Self::ShortestFirst => left(job),
            };
            (Reverse(job.priority), !job.is_described, left, job.number)
        })
    }

    /// Whether one that waits takes the place of the one that goes on.
    pub fn preempts(self, waiting: &JobRecord, running: &JobRecord) -> bool {
        let is_much_shorter = || left(waiting) < left(running) / 2;
        match waiting.priority.cmp(&running.priority) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => self == Self::ShortestFirst && is_much_shorter(),
            std::cmp::Ordering::Greater => true,
        }
    }
}

/// Of one that has not been looked into nobody knows.
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

    fn next(order: JobOrder, waiting: &[JobRecord]) -> i64 {
        order.next(waiting).unwrap().number
    }

    #[test]
    fn one_turn_keeps_the_order_and_the_others_take_what_is_short() {
        let waiting = [job(1, 0, Some(900_000)), job(2, 0, Some(500)), job(3, 0, None)];
        assert_eq!(next(JobOrder::of(0), &waiting), 1);
        assert_eq!(next(JobOrder::of(1), &waiting), 2);
        assert_eq!(next(JobOrder::of(5), &waiting[..1]), 1);
        assert!(JobOrder::OldestFirst.next(&[]).is_none());
        // What has not been read yet comes last, however old.
        assert_eq!(next(JobOrder::OldestFirst, &[job(1, 0, None), job(2, 0, Some(5))]), 2);
        // A person's wish goes before both.
        let wished = [job(1, 0, Some(10)), job(2, 9, None), job(3, 9, Some(900_000))];
        assert_eq!((next(JobOrder::OldestFirst, &wished), next(JobOrder::ShortestFirst, &wished)), (3, 3));
    }

    #[test]
    fn what_goes_on_gives_way_to_what_is_wished_or_much_shorter_and_never_to_and_fro() {
        let (long, short) = (job(1, 0, Some(900_000)), job(2, 0, Some(500)));
        assert!(
            JobOrder::ShortestFirst.preempts(&short, &long)
                && !JobOrder::ShortestFirst.preempts(&long, &short)
        );
        assert!(!JobOrder::OldestFirst.preempts(&short, &long));
        assert!(!JobOrder::ShortestFirst.preempts(&job(3, 0, Some(300)), &short), "not worth the change");
        assert!(!JobOrder::ShortestFirst.preempts(&job(3, 0, None), &short));
        for order in [JobOrder::OldestFirst, JobOrder::ShortestFirst] {
            assert!(order.preempts(&job(3, 1, Some(900_000)), &short));
            assert!(!order.preempts(&job(3, -1, Some(1)), &long));
        }
    }
}
