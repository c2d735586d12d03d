//! Selects frames worth labelling: those the detector is unsure of, and of these, ones that differ.
//!
//! Greedy farthest-point selection (Gonzalez 1985) with each distance weighted by the frame's uncertainty, as in active
//! learning: uncertainty alone selects a hundred frames of the same moment, difference alone the odd ones.

use crate::picture::{PictureView, Planes};

/// Columns and rows of a [`Sketch`].
const COLUMNS: usize = 32;
const ROWS: usize = 18;
/// Samples along each side of a cell.
const SAMPLES: usize = 3;
/// Weight of frames that the detector is sure of, relative to the most unsure.
const LEAST_WEIGHT: f32 = 0.2;
/// The time difference that equals `TIME_WEIGHT` of picture difference: in a still scene, frames are spread over the video.
const TIME_SECS: f64 = 60.0;
const TIME_WEIGHT: f32 = 0.02;
/// Boxes whose log-odds are this far from the threshold's are sure.
const SURE_LOG_ODDS: f32 = 2.0;

/// A picture's brightness on a coarse grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Sketch([u8; COLUMNS * ROWS]);

impl Sketch {
    /// Of a picture of any size.
    pub fn of(picture: &PictureView<'_>) -> Self {
        let (width, height) = (picture.width as usize, picture.height as usize);
        let at = |column: usize, row: usize| {
            let place = |part: usize, parts: usize, px: usize| {
                ((2 * part + 1) * px / (2 * parts)).min(px.saturating_sub(1))
            };
            let mut sum = 0_usize;
            for y in 0..SAMPLES {
                for x in 0..SAMPLES {
                    let x = place(column * SAMPLES + x, COLUMNS * SAMPLES, width);
                    let y = place(row * SAMPLES + y, ROWS * SAMPLES, height);
                    sum += usize::from(match picture.planes {
                        Planes::Yuv { y: luma, .. } => {
                            luma.samples.get(y * luma.stride + x).copied().unwrap_or(0)
                        }
                        // Green is most of brightness.
                        Planes::Rgb(plane) => {
                            plane.samples.get(y * plane.stride + 3 * x + 1).copied().unwrap_or(0)
                        }
                    });
                }
            }
            (sum / (SAMPLES * SAMPLES)) as u8
        };
        Self(std::array::from_fn(|cell| at(cell % COLUMNS, cell / COLUMNS)))
    }

    /// 0 for equal sketches, 1 for black against white.
    fn difference(&self, other: &Self) -> f32 {
        let sum: u32 = self.0.iter().zip(&other.0).map(|(one, other)| u32::from(one.abs_diff(*other))).sum();
        sum as f32 / (255 * COLUMNS * ROWS) as f32
    }
}

/// A frame that could be labelled.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// When.
    pub secs: f64,
    /// How unsure the detector is of it, 0 or more: [`uncertainty`].
    pub uncertainty: f32,
    /// Its sketch.
    pub sketch: Sketch,
}

/// How many boxes a detector is unsure of: a box at the threshold counts 1, one whose log-odds are 2 away counts 0.
pub fn uncertainty(scores: impl Iterator<Item = f32>, threshold: f32) -> f32 {
    let log_odds = |score: f32| {
        let score = score.clamp(1e-4, 1.0 - 1e-4);
        (score / (1.0 - score)).ln()
    };
    let middle = log_odds(threshold);
    scores.map(|score| (1.0 - (log_odds(score) - middle).abs() / SURE_LOG_ODDS).max(0.0)).sum()
}

/// The indexes of at most `count` candidates, the most useful first; equal input gives equal output.
pub fn select(candidates: &[Candidate], count: usize) -> Vec<usize> {
    let most = candidates.iter().map(|candidate| candidate.uncertainty).fold(f32::MIN_POSITIVE, f32::max);
    let weight = |candidate: &Candidate| LEAST_WEIGHT + (1.0 - LEAST_WEIGHT) * candidate.uncertainty / most;
    // Distance of each to the selected ones; at first all are equally far.
    let mut distances = vec![1.0_f32; candidates.len()];
    let mut is_free = vec![true; candidates.len()];
    let mut chosen = Vec::new();
    while chosen.len() < count.min(candidates.len()) {
        let value = |number: usize| distances[number] * weight(&candidates[number]);
        let Some(best) = (0..candidates.len())
            .filter(|&number| is_free[number])
            // The first of equal ones.
            .max_by(|&one, &other| value(one).total_cmp(&value(other)).then(other.cmp(&one)))
        else {
            break;
        };
        is_free[best] = false;
        chosen.push(best);
        for (distance, candidate) in distances.iter_mut().zip(candidates) {
            let apart = ((candidate.secs - candidates[best].secs).abs() / TIME_SECS).min(1.0) as f32;
            *distance =
                distance.min(candidate.sketch.difference(&candidates[best].sketch) + TIME_WEIGHT * apart);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Plane;
    use proptest::prelude::*;

    fn candidate(secs: f64, uncertainty: f32, grey: u8) -> Candidate {
        Candidate { secs, uncertainty, sketch: Sketch([grey; COLUMNS * ROWS]) }
    }

    #[test]
    fn a_box_at_the_threshold_is_unsure_and_one_far_from_it_is_not() {
        assert!((uncertainty([0.3].into_iter(), 0.3) - 1.0).abs() < 1e-5);
        assert_eq!(uncertainty([0.95, 0.001, 1.0, 0.0].into_iter(), 0.3), 0.0);
        assert!(uncertainty([0.35, 0.25].into_iter(), 0.3) > 1.5);
    }

    #[test]
    fn uncertain_frames_come_first_and_none_are_adjacent() {
        let scene = |grey| (0..10).map(move |n| candidate(f64::from(n) * 0.1, 5.0, grey));
        let mut candidates: Vec<_> = scene(40).chain(scene(200)).collect();
        candidates.push(candidate(500.0, 0.0, 120));
        let chosen = select(&candidates, 2);
        assert!(chosen[0] == 0 && (10..20).contains(&chosen[1]), "{chosen:?}");
        // Another view of the pen is worth more than the same one again, even if nothing there is unsure.
        assert_eq!(select(&candidates, 3)[2], 20);
    }

    #[test]
    fn in_a_still_scene_they_are_spread_over_the_time() {
        let candidates: Vec<_> = (0..=100).map(|n| candidate(f64::from(n), 1.0, 80)).collect();
        let mut chosen = select(&candidates, 3);
        chosen.sort_unstable();
        assert!(chosen.windows(2).all(|pair| pair[1] - pair[0] >= 20), "{chosen:?}");
    }

    #[test]
    fn a_sketch_is_the_picture_made_small() {
        let (width, height) = (70_usize, 50_usize);
        let samples: Vec<u8> = (0..height)
            .flat_map(|_| (0..width).flat_map(|x| [0, if x < 35 { 10 } else { 210 }, 0]))
            .collect();
        let planes = Planes::Rgb(Plane { samples: &samples, stride: width * 3 });
        let Sketch(cells) = Sketch::of(&PictureView { width: 70, height: 50, planes });
        assert!(cells.chunks(COLUMNS).all(|row| row[..15].iter().all(|&cell| cell == 10)));
        assert!(cells.chunks(COLUMNS).all(|row| row[17..].iter().all(|&cell| cell == 210)));
    }

    proptest! {
        #[test]
        fn as_many_as_asked_for_and_none_twice(
            values in proptest::collection::vec((0.0..600.0_f64, 0.0..9.0_f32, any::<u8>()), 0..40),
            count in 0..50_usize,
        ) {
            let candidates: Vec<_> = values.iter().map(|&(secs, unsure, grey)| candidate(secs, unsure, grey)).collect();
            let mut chosen = select(&candidates, count);
            prop_assert_eq!(chosen.len(), count.min(candidates.len()));
            chosen.sort_unstable();
            chosen.dedup();
            prop_assert_eq!(chosen.len(), count.min(candidates.len()));
        }
    }
}
