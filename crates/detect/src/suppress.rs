//! Greedy non-maximum suppression: of overlapping boxes, the one with the highest score stays.
//!
//! Classes aren't separated: an animal detected both as "sow" and as "pig" is one animal.

use crate::decode::Candidate;

/// Keeps the box with the highest score of every group that overlaps by more than `max_iou`, highest first, at most `limit`.
pub fn suppress(mut candidates: Vec<Candidate>, max_iou: f32, limit: usize) -> Vec<Candidate> {
    // Ties by row: the same numbers give the same boxes in the same order.
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.row.cmp(&b.row)));
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        if kept.len() == limit {
            break;
        }
        if kept.iter().all(|better| better.rect.iou(candidate.rect) <= max_iou) {
            kept.push(candidate);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use pigweight_core::geometry::Rect;

    #[test]
    fn suppression_keeps_the_highest_score_of_a_cluster_and_its_neighbours() {
        let candidate =
            |x: f32, score: f32, row| Candidate { rect: Rect::new(x, 0.0, 10.0, 10.0), score, class: 0, row };
        let kept =
            suppress(vec![candidate(0.0, 0.5, 0), candidate(1.0, 0.9, 1), candidate(9.0, 0.3, 2)], 0.5, 10);
        assert_eq!(kept.iter().map(|c| c.row).collect::<Vec<_>>(), [1, 2]);
        let kept = suppress(vec![candidate(0.0, 0.5, 0), candidate(50.0, 0.9, 1)], 0.5, 1);
        assert_eq!(kept.len(), 1);
    }
}
