//! The effect of moving a line.

use crate::Store;
use crate::crossings::LineCrossing;
use crate::error::Result;
use pigweight_core::line::Direction;
use std::collections::BTreeMap;

/// Two crossings of one track the same way are one and the same if they lie no further apart: an animal that walks from the
/// old place of a line to the new one takes seconds.
const SAME_CROSSING_SECS: f64 = 10.0;

/// Crossings per direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CrossingCount {
    /// From the left of the arrow to its right.
    pub forward: usize,
    /// The other way.
    pub backward: usize,
}

impl CrossingCount {
    fn of(crossings: &[LineCrossing]) -> Self {
        let forward = crossings.iter().filter(|crossing| crossing.direction == Direction::Forward).count();
        Self { forward, backward: crossings.len() - forward }
    }
}

/// Compares the crossings of two versions of a line in one run.
#[derive(Clone, Debug, PartialEq)]
pub struct LineDifference {
    /// Of the version before.
    pub before: CrossingCount,
    /// Of the version after.
    pub after: CrossingCount,
    /// Crossings of the version before that the version after does not have, in order of time.
    pub only_before: Vec<LineCrossing>,
    /// Crossings of the version after that the version before does not have, in order of time.
    pub only_after: Vec<LineCrossing>,
}

impl Store {
    /// Compares two versions of a line over a run, as far as each has been counted.
    pub async fn compare_line_versions(
        &self,
        run_id: &str,
        before_version_id: &str,
        after_version_id: &str,
    ) -> Result<LineDifference> {
        let before = self.crossings_of_version(run_id, before_version_id).await?;
        let after = self.crossings_of_version(run_id, after_version_id).await?;
        Ok(difference(before, after))
    }
}

/// Pairs crossings by track and direction, nearest in time first.
fn difference(before: Vec<LineCrossing>, after: Vec<LineCrossing>) -> LineDifference {
    let mut places: BTreeMap<(u32, Direction), Vec<usize>> = BTreeMap::new();
    for (new, crossing) in after.iter().enumerate() {
        places.entry((crossing.track, crossing.direction)).or_default().push(new);
    }
    let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
    for (old, crossing) in before.iter().enumerate() {
        for &new in places.get(&(crossing.track, crossing.direction)).into_iter().flatten() {
            let distance_secs = (crossing.secs - after[new].secs).abs();
            if distance_secs <= SAME_CROSSING_SECS {
                pairs.push((distance_secs, old, new));
            }
        }
    }
    pairs.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut old_paired, mut new_paired) = (vec![false; before.len()], vec![false; after.len()]);
    for (_, old, new) in pairs {
        if !old_paired[old] && !new_paired[new] {
            old_paired[old] = true;
            new_paired[new] = true;
        }
    }
    let (before_count, after_count) = (CrossingCount::of(&before), CrossingCount::of(&after));
    let unpaired = |crossings: Vec<LineCrossing>, paired: Vec<bool>| {
        crossings
            .into_iter()
            .zip(paired)
            .filter(|(_, paired)| !paired)
            .map(|(crossing, _)| crossing)
            .collect()
    };
    LineDifference {
        before: before_count,
        after: after_count,
        only_before: unpaired(before, old_paired),
        only_after: unpaired(after, new_paired),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crossing(track: u32, secs: f64, direction: Direction) -> LineCrossing {
        LineCrossing {
            id: format!("{track} {secs}"),
            run_id: String::new(),
            line_id: String::new(),
            line_version_id: String::new(),
            line_version_number: 1,
            direction,
            track,
            pts: 0,
            secs,
        }
    }

    #[test]
    fn crossings_are_matched_by_track_way_and_time() {
        use Direction::{Backward, Forward};
        let before = vec![
            crossing(1, 1.0, Forward),
            crossing(1, 5.0, Backward),
            crossing(2, 7.0, Forward),
            crossing(3, 9.0, Forward),
        ];
        // 1 comes later and turns back, 2 does not come so far, 3 crosses much later, which is another time.
        let after = vec![
            crossing(1, 2.0, Forward),
            crossing(1, 4.0, Backward),
            crossing(3, 30.0, Forward),
            crossing(4, 31.0, Backward),
        ];
        let found = difference(before, after);
        let tracks = |crossings: &[LineCrossing]| crossings.iter().map(|c| c.track).collect::<Vec<_>>();
        assert_eq!(found.before, CrossingCount { forward: 3, backward: 1 });
        assert_eq!(found.after, CrossingCount { forward: 2, backward: 2 });
        assert_eq!((tracks(&found.only_before), tracks(&found.only_after)), (vec![2, 3], vec![3, 4]));
    }
}
