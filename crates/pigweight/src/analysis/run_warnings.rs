//! What a reader of a count has to know: where the detector is beyond what it can do.

use pigweight_store::RunRecord;

/// From this share of small boxes on, a count is said to be of animals too small to find reliably. The detector misses more than half of such
/// animals (models/README.md, "By size"): with a quarter of the boxes small, at least as many again are missing.
const MANY_SMALL: f64 = 0.25;
/// From this uncertainty on, as a share of the count, a count is said to be uncertain.
const UNCERTAIN_SHARE: f64 = 0.2;

/// A warning about a run's counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunWarning {
    /// A short name that stays the same.
    pub code: &'static str,
    /// What is wrong and what to do, one sentence.
    pub message: String,
}

/// All warnings about a run, the most important first.
pub fn warnings(run: &RunRecord) -> Vec<RunWarning> {
    let mut found = Vec::new();
    if let Some(share) = run.small_share().filter(|&share| share >= MANY_SMALL) {
        let percent = (100.0 * share).round();
        found.push(RunWarning {
            code: "small_animals",
            message: format!(
                "{percent} % of the counted animals are so small in the picture that the detector misses more of their size than it finds; \
                 move the camera nearer, or record a larger picture of the pen alone"
            ),
        });
    }
    let (uncertainty, mean) = (run.count_uncertainty(), run.count_mean().unwrap_or(0.0));
    // Less than one animal is no more than a count's own step.
    if let Some(uncertainty) = uncertainty.filter(|&pigs| pigs >= 1.0 && pigs >= UNCERTAIN_SHARE * mean) {
        found.push(RunWarning {
            code: "uncertain_count",
            message: format!(
                "the detector is unsure here: counts may be off by {uncertainty:.0} of {mean:.0}; check some moments by eye, and calibrate \
                 with pigweight check --calibrate"
            ),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use pigweight_store::RunState;

    fn run(count_sum: i64, uncertainty: Option<f64>, (small_boxes, measured_boxes): (i64, i64)) -> RunRecord {
        RunRecord {
            id: String::new(),
            video_id: String::new(),
            model_name: String::new(),
            model_hash: String::new(),
            device: String::new(),
            state: RunState::Done,
            error: None,
            created_at: 0,
            finished_at: None,
            frames_done: 100,
            frames_inferred: 10,
            damaged_frames: 0,
            counted_to_secs: 4.0,
            count_sum,
            count_max: 40,
            next_chunk: 1,
            uncertainty_squares: uncertainty.map(|pigs| 10.0 * pigs * pigs),
            measured_boxes,
            small_boxes,
        }
    }

    #[test]
    fn only_counts_beyond_the_detector_get_warnings() {
        for (run, codes) in [
            (run(3000, None, (0, 0)), &[][..]),
            (run(3000, Some(2.0), (10, 300)), &[]),
            (run(3000, Some(2.0), (100, 300)), &["small_animals"]),
            (run(3000, Some(8.0), (10, 300)), &["uncertain_count"]),
            (run(3000, Some(8.0), (200, 300)), &["small_animals", "uncertain_count"]),
            // No pigs, and hardly any doubt.
            (run(0, Some(0.6), (0, 0)), &[]),
            (run(0, Some(3.0), (0, 0)), &["uncertain_count"]),
        ] {
            let found: Vec<&str> = warnings(&run).iter().map(|warning| warning.code).collect();
            assert_eq!(found, codes, "{run:?}");
        }
    }
}
