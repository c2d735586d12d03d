//! What a reader of a count has to know: where the detector is beyond what it can do.

use pigweight_store::RunRecord;

/// From this share of small boxes on, a count is said to be of animals too small to find reliably. The detector misses more than half of such
/// animals (models/README.md, "By size"): with a quarter of the boxes small, at least as many again are missing.
const MANY_SMALL: f64 = 0.25;
/// From this uncertainty on, as a share of the count and in animals, a count is said to be uncertain. Small groups are a few animals off
/// soon: that isn't worth a warning.
const UNCERTAIN_SHARE: f64 = 0.2;
const UNCERTAIN_ANIMALS: f64 = 4.0;

/// From this difference to the number that a person says on, as a share of it, one of the two is said to be wrong.
const FAR_SHARE: f64 = 0.25;

/// A warning about a run's counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunWarning {
    /// A short name that stays the same.
    pub code: &'static str,
    /// What is wrong and what to do, one sentence.
    pub message: String,
}

/// The recording shows another view than the detector that was adapted to its source learned.
pub fn other_view() -> RunWarning {
    RunWarning {
        code: "other_view",
        message: "the recording shows another view than the detector of its source has learned, so the built-in one counts it: the camera was moved, \
                  or the picture is dark or covered; adapt a detector to recordings made since (pigweight help adapt)"
            .to_owned(),
    }
}

/// The recording's times were repaired, or are unusual in another way.
pub fn repaired_times(repairs: &str) -> RunWarning {
    RunWarning {
        code: "times_repaired",
        message: format!("the file's times are not all as they should be: {repairs}"),
    }
}

/// All warnings about a run, the most important first. `animals`: how many a person says there are. `is_other_view`: see [`other_view`].
pub fn warnings(run: &RunRecord, animals: Option<i64>, is_other_view: bool) -> Vec<RunWarning> {
    let mut found = Vec::new();
    if is_other_view {
        found.push(other_view());
    }
    if run.frames_done > 0 && run.count_sum == 0 {
        found.push(RunWarning {
            code: "nothing_found",
            message: "no animal was found; if there are some, the picture is too dark, too blurred or too small for the detector".to_owned(),
        });
    }
    let mean = run.count_mean().unwrap_or(0.0);
    if let Some(animals) = animals
        && run.frames_done > 0
        && (mean - animals as f64).abs() > (FAR_SHARE * animals as f64).max(1.0)
    {
        found.push(RunWarning {
            code: "far_from_known",
            message: format!(
                "{animals} animals are said to be there, {mean:.1} are counted on average; check the number and some moments by eye"
            ),
        });
    }
    if let Some(share) = run.small_share().filter(|&share| share >= MANY_SMALL) {
        let percent = (100.0 * share).round();
        found.push(RunWarning {
            code: "small_animals",
            message: format!(
                "{percent} % of the counted animals are so small in the picture that the detector finds less than half of such; move the \
                 camera nearer, or record a larger picture of the pen alone"
            ),
        });
    }
    let is_much = |pigs: &f64| *pigs >= UNCERTAIN_ANIMALS && *pigs >= UNCERTAIN_SHARE * mean;
    if let Some(uncertainty) = run.count_uncertainty().filter(is_much) {
        found.push(RunWarning {
            code: "uncertain_count",
            message: format!(
                "the detector is unsure here: {mean:.0} are counted and may be off by {uncertainty:.0}; check some moments by eye, and \
                 calibrate it for this camera (pigweight help check)"
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
        for (run, animals, codes) in [
            (run(3000, None, (0, 0)), None, &[][..]),
            (run(3000, Some(2.0), (10, 300)), None, &[]),
            (run(3000, Some(2.0), (100, 300)), None, &["small_animals"]),
            (run(3000, Some(8.0), (10, 300)), None, &["uncertain_count"]),
            (run(3000, Some(8.0), (200, 300)), None, &["small_animals", "uncertain_count"]),
            (run(1200, Some(3.0), (0, 0)), None, &[]),
            (run(0, Some(0.0), (0, 0)), None, &["nothing_found"]),
            (run(0, None, (0, 0)), Some(31), &["nothing_found", "far_from_known"]),
            (run(2600, Some(4.0), (0, 0)), Some(31), &[]),
            (run(1100, Some(1.0), (0, 0)), Some(31), &["far_from_known"]),
            (run(100, Some(0.2), (0, 0)), Some(2), &[]),
        ] {
            let found: Vec<&str> =
                warnings(&run, animals, false).iter().map(|warning| warning.code).collect();
            assert_eq!(found, codes, "{run:?}");
        }
    }
}
