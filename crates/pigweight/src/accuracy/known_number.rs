//! The threshold that a known number of animals asks for: that at which the detector counts so many on average.
//!
//! A detector is less sure in some pens and lights than in others, so one threshold counts too few here and too many there. Someone who
//! knows how many animals are in view all the time determines the right one without counting a single frame.

use crate::accuracy::calibration::{DetectedFrame, LEAST_THRESHOLD, counts_at};

/// Higher thresholds aren't tried: what is left above is a matter of chance.
const GREATEST_THRESHOLD: f32 = 0.9;
/// A mean this near to the number is right, animals.
const NEAR: f64 = 0.5;

/// A threshold and what it does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FittedThreshold {
    /// Boxes are animals from this score on.
    pub min_score: f32,
    /// Animals on a frame on average with the threshold before, and with this one.
    pub mean_before: f64,
    /// See `mean_before`.
    pub mean_after: f64,
}

/// Why there is no such threshold.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// There is nothing to try it on.
    #[error("nothing is counted of this video yet; wait until it is")]
    NoFrames,
    /// It finds too few even of what it is hardly sure of.
    #[error(
        "even of what it is hardly sure of, the detector finds {mean:.1} animals on average, not {animals}; if the number is right, \
         the others can't be seen here or the detector has to be trained on this pen"
    )]
    TooFew { animals: u32, mean: f64 },
    /// It is sure of more.
    #[error("the detector is sure of {mean:.1} animals on average, more than {animals}; check the number")]
    TooMany { animals: u32, mean: f64 },
}

/// Finds the threshold at which the mean count over stretches of a video is nearest to `animals`. Each stretch is tracked by itself, as the
/// pipeline does.
///
/// # Errors
/// If no threshold from 0.05 to 0.9 comes near it.
pub fn fit(stretches: &[Vec<DetectedFrame>], before: f32, animals: u32) -> Result<FittedThreshold, Error> {
    if stretches.iter().all(Vec::is_empty) {
        return Err(Error::NoFrames);
    }
    let hundredths = |min_score: f32| (min_score * 100.0).round() as u8;
    let mean = |hundredths: u8| mean_count(stretches, f32::from(hundredths) / 100.0);
    let number = f64::from(animals);
    // With a higher threshold fewer are counted: the least one at which no more than the number are.
    let (mut low, mut high) = (hundredths(LEAST_THRESHOLD), hundredths(GREATEST_THRESHOLD));
    let (most, fewest) = (mean(low), mean(high));
    if most < number - NEAR {
        return Err(Error::TooFew { animals, mean: most });
    }
    if fewest > number + NEAR {
        return Err(Error::TooMany { animals, mean: fewest });
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if mean(middle) > number {
            low = middle;
        } else {
            high = middle;
        }
    }
    let (mean_low, mean_high) = (mean(low), mean(high));
    let (best, mean_after) = if (mean_low - number).abs() < (mean_high - number).abs() {
        (low, mean_low)
    } else {
        (high, mean_high)
    };
    Ok(FittedThreshold {
        min_score: f32::from(best) / 100.0,
        mean_before: mean_count(stretches, before),
        mean_after,
    })
}

fn mean_count(stretches: &[Vec<DetectedFrame>], min_score: f32) -> f64 {
    let counts: Vec<_> = stretches.iter().flat_map(|stretch| counts_at(stretch, min_score)).collect();
    counts.iter().map(|&(_, count)| count as f64).sum::<f64>() / counts.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use pigweight_core::detection::Detection;
    use pigweight_core::geometry::Rect;
    use pigweight_core::inference_schedule::InferenceReason;
    use pigweight_core::time::Pts;

    /// Animals detected with these scores on every frame.
    fn stretch(scores: &[f32]) -> Vec<DetectedFrame> {
        let found: Vec<Detection> = scores
            .iter()
            .enumerate()
            .map(|(place, &score)| Detection {
                rect: Rect::new(100.0 * place as f32, 10.0, 50.0, 30.0),
                score,
                class: 0,
            })
            .collect();
        (0..20)
            .map(|n| (Pts(n), n as f64 / 10.0, Some((InferenceReason::EveryFrame, found.clone()))))
            .collect()
    }

    #[test]
    fn the_threshold_lets_through_as_many_as_there_are() {
        let scores = [0.9, 0.8, 0.7, 0.6, 0.4, 0.35, 0.3, 0.12];
        for animals in 3..=8 {
            let found = fit(&[stretch(&scores)], 0.3, animals).unwrap();
            assert!((found.mean_after - f64::from(animals)).abs() < 0.01, "{animals}: {found:?}");
        }
        let found = fit(&[stretch(&scores), stretch(&scores)], 0.3, 8).unwrap();
        assert!(found.min_score < 0.13 && (found.mean_before - 7.0).abs() < 0.01, "{found:?}");
    }

    #[test]
    fn a_number_that_no_threshold_reaches_is_refused_with_what_is_found() {
        let scores = [0.95, 0.94, 0.6, 0.3];
        assert_eq!(fit(&[stretch(&scores)], 0.3, 9), Err(Error::TooFew { animals: 9, mean: 4.0 }));
        assert_eq!(fit(&[stretch(&scores)], 0.3, 1), Err(Error::TooMany { animals: 1, mean: 2.0 }));
        assert_eq!(fit(&[Vec::new()], 0.3, 1), Err(Error::NoFrames));
        assert_eq!(fit(&[], 0.3, 1), Err(Error::NoFrames));
    }
}
