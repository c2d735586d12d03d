//! How wrong the outputs are for a picture whose animals are known, and the gradient of that.
//!
//! As in the recipe (`training/pigtrain/learn.py`). Places are assigned to animals by task alignment (TOOD, Feng et al. 2021, with the
//! constants of YOLOv8). The loss is the sum of binary cross entropy of the scores against the aligned IoU, complete IoU (Zheng et al. 2020)
//! and distribution focal loss (Li et al. 2020).

use crate::dual::Dual;
use crate::network::{BINS, Outputs, STRIDES};
use pigweight_core::geometry::Rect;
use serde::{Deserialize, Serialize};

/// Places that each animal gets.
const TOP: usize = 10;
const SCORE_POWER: f32 = 0.5;
const IOU_POWER: i32 = 6;
const BOX_WEIGHT: f32 = 7.5;
const SCORE_WEIGHT: f32 = 0.5;
const DISTRIBUTION_WEIGHT: f32 = 1.5;

/// What is known of a picture, px of the input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Animals.
    pub animals: Vec<Rect>,
    /// Regions in which there may be others: nothing there is called wrong.
    pub ignored: Vec<Rect>,
}

/// A place of the outputs.
#[derive(Clone, Copy)]
struct Place {
    level: usize,
    index: usize,
    /// Centre, px of the input.
    x: f32,
    y: f32,
    stride: f32,
}

fn places(outputs: &Outputs) -> impl Iterator<Item = Place> {
    outputs.levels.iter().enumerate().flat_map(|(level, map)| {
        let stride = STRIDES[level] as f32;
        (0..map.area()).map(move |index| {
            let (row, column) = (index / map.width, index % map.width);
            Place { level, index, x: (column as f32 + 0.5) * stride, y: (row as f32 + 0.5) * stride, stride }
        })
    })
}

/// Log-odds of the score at each place, and its box, px of the input. `visit` is called for those of at least `least_log_odds`.
pub fn each_box(outputs: &Outputs, least_log_odds: f32, mut visit: impl FnMut(f32, Rect)) {
    for place in places(outputs) {
        let log_odds = outputs.levels[place.level].data[place.index];
        if log_odds >= least_log_odds {
            visit(log_odds, rect(&place, &distances(outputs, &place).1));
        }
    }
}

/// Of each side: the distribution over the bins, and the mean distance, in strides.
fn distances(outputs: &Outputs, place: &Place) -> ([[f32; BINS]; 4], [f32; 4]) {
    let map = &outputs.levels[place.level];
    let mut shares = [[0.0; BINS]; 4];
    let mut means = [0.0; 4];
    for (side, (shares, mean)) in shares.iter_mut().zip(&mut means).enumerate() {
        for (bin, share) in shares.iter_mut().enumerate() {
            *share = map.data[(1 + side * BINS + bin) * map.area() + place.index];
        }
        let greatest = shares.iter().copied().fold(f32::MIN, f32::max);
        shares.iter_mut().for_each(|share| *share = (*share - greatest).exp());
        let total: f32 = shares.iter().sum();
        shares.iter_mut().for_each(|share| *share /= total);
        *mean = shares.iter().enumerate().map(|(bin, share)| bin as f32 * share).sum();
    }
    (shares, means)
}

fn rect(place: &Place, [left, top, right, bottom]: &[f32; 4]) -> Rect {
    let (x, y, stride) = (place.x, place.y, place.stride);
    Rect::from_corners(x - left * stride, y - top * stride, x + right * stride, y + bottom * stride)
}

fn is_inside(place: &Place, rect: &Rect) -> bool {
    place.x > rect.x && place.x < rect.right() && place.y > rect.y && place.y < rect.bottom()
}

fn sigmoid(log_odds: f32) -> f32 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// An assigned place.
#[derive(Clone, Copy)]
struct Assigned {
    animal: usize,
    target: f32,
}

/// The loss of a picture and its gradient by the outputs.
pub fn loss(outputs: &Outputs, truth: &Truth) -> (f32, Outputs) {
    let places: Vec<Place> = places(outputs).collect();
    let assigned = assign(outputs, &places, &truth.animals);
    let total = assigned.iter().flatten().map(|assigned| assigned.target).sum::<f32>().max(1.0);
    let mut gradient = outputs.zeros_like();
    let mut loss = 0.0;
    for (place, assigned) in places.iter().zip(&assigned) {
        let is_ignored = assigned.is_none() && truth.ignored.iter().any(|ignored| is_inside(place, ignored));
        if is_ignored {
            continue;
        }
        let log_odds = outputs.levels[place.level].data[place.index];
        let target = assigned.map_or(0.0, |assigned| assigned.target);
        let entropy = log_odds.max(0.0) - log_odds * target + (-log_odds.abs()).exp().ln_1p();
        loss += SCORE_WEIGHT * entropy / total;
        gradient.levels[place.level].data[place.index] = SCORE_WEIGHT * (sigmoid(log_odds) - target) / total;
        if let Some(assigned) = assigned {
            loss += of_box(
                outputs,
                place,
                &truth.animals[assigned.animal],
                assigned.target / total,
                &mut gradient,
            );
        }
    }
    (loss, gradient)
}

fn assign(outputs: &Outputs, places: &[Place], animals: &[Rect]) -> Vec<Option<Assigned>> {
    // Of each place the animal that it fits best of those that chose it, and that IoU.
    let mut owner: Vec<Option<(usize, f32)>> = vec![None; places.len()];
    let mut alignments = vec![0.0; places.len()];
    for (animal, rect_of_animal) in animals.iter().enumerate() {
        let mut fits: Vec<(f32, f32, usize)> = Vec::new();
        for (number, place) in places.iter().enumerate() {
            if is_inside(place, rect_of_animal) {
                let score = sigmoid(outputs.levels[place.level].data[place.index]);
                let iou = rect(place, &distances(outputs, place).1).iou(*rect_of_animal);
                fits.push((score.powf(SCORE_POWER) * iou.powi(IOU_POWER), iou, number));
            }
        }
        fits.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.2.cmp(&b.2)));
        for &(alignment, iou, number) in fits.iter().take(TOP) {
            if owner[number].is_none_or(|(_, other)| iou > other) {
                owner[number] = Some((animal, iou));
                alignments[number] = alignment;
            }
        }
    }
    // Each animal's best place is asked for its IoU, the others for their share of that.
    let mut best = vec![(0.0_f32, 0.0_f32); animals.len()];
    for (owner, &alignment) in owner.iter().zip(&alignments) {
        if let &Some((animal, iou)) = owner {
            best[animal] = (best[animal].0.max(alignment), best[animal].1.max(iou));
        }
    }
    let target = |(animal, alignment): (usize, f32)| alignment / (best[animal].0 + 1e-9) * best[animal].1;
    let assigned = owner.iter().zip(&alignments);
    assigned
        .map(|(owner, &alignment)| {
            owner.map(|(animal, _)| Assigned { animal, target: target((animal, alignment)) })
        })
        .collect()
}

/// The loss of a place's box; writes its gradient.
fn of_box(outputs: &Outputs, place: &Place, animal: &Rect, weight: f32, gradient: &mut Outputs) -> f32 {
    let (shares, means) = distances(outputs, place);
    let overlap = complete_iou(&rect(place, &means), animal);
    let mut loss = BOX_WEIGHT * (1.0 - overlap.value) * weight;
    // By the distances: a greater distance to the left or top moves that side the other way.
    let of_sides = std::array::from_fn::<f32, 4, _>(|side| {
        let direction = if side < 2 { -1.0 } else { 1.0 };
        -BOX_WEIGHT * weight * overlap.by[side] * direction * place.stride
    });
    let sides = [place.x - animal.x, place.y - animal.y, animal.right() - place.x, animal.bottom() - place.y];
    let map = &mut gradient.levels[place.level];
    let area = map.area();
    for side in 0..4 {
        let wanted = (sides[side] / place.stride).clamp(0.0, BINS as f32 - 1.01);
        let low = wanted as usize;
        let share = wanted - low as f32;
        let of_bin = |bin: usize| match bin {
            bin if bin == low => 1.0 - share,
            bin if bin == low + 1 => share,
            _ => 0.0,
        };
        for (bin, &there) in shares[side].iter().enumerate() {
            let wanted = of_bin(bin);
            loss -= DISTRIBUTION_WEIGHT * weight / 4.0 * wanted * there.max(1e-12).ln();
            let of_distribution = DISTRIBUTION_WEIGHT * weight / 4.0 * (there - wanted);
            let of_mean = of_sides[side] * there * (bin as f32 - means[side]);
            map.data[(1 + side * BINS + bin) * area + place.index] = of_distribution + of_mean;
        }
    }
    loss
}

/// Complete IoU and its derivatives by left, top, right and bottom of `found`.
fn complete_iou(found: &Rect, animal: &Rect) -> Dual {
    let [left, top, right, bottom] = [(found.x, 0), (found.y, 1), (found.right(), 2), (found.bottom(), 3)]
        .map(|(value, side)| Dual::side(value, side));
    let [x, y, to_x, to_y] = [animal.x, animal.y, animal.right(), animal.bottom()].map(Dual::constant);
    let (zero, tiny) = (Dual::constant(0.0), Dual::constant(1e-7));
    let common = (right.min(to_x) - left.max(x)).max(zero) * (bottom.min(to_y) - top.max(y)).max(zero);
    let (width, height) = (right - left, bottom - top);
    let union = width * height + Dual::constant(animal.area()) - common;
    let iou = common / (union + tiny);
    let (hull_width, hull_height) = (right.max(to_x) - left.min(x), bottom.max(to_y) - top.min(y));
    let diagonal = hull_width * hull_width + hull_height * hull_height + tiny;
    let (off_x, off_y) = (left + right - x - to_x, top + bottom - y - to_y);
    let distance = (off_x * off_x + off_y * off_y) / Dual::constant(4.0);
    let turn =
        (width / (height + tiny)).atan() - Dual::constant((animal.width / (animal.height + 1e-7)).atan());
    let shape = Dual::constant(4.0 / std::f32::consts::PI.powi(2)) * turn * turn;
    // The weight of the shape is taken as given.
    let weight = Dual::constant(shape.value / (1.0 - iou.value + shape.value + 1e-7));
    iou - distance / diagonal - weight * shape
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature_map::FeatureMap;
    use crate::network::OUTPUT_CHANNELS;

    fn outputs(random: &mut fastrand::Rng) -> Outputs {
        let mut map = |height, width| {
            let mut map = FeatureMap::zeros(OUTPUT_CHANNELS, height, width);
            map.data.iter_mut().for_each(|value| *value = 2.0 * random.f32() - 1.0);
            map
        };
        Outputs { levels: [map(8, 8), map(4, 4), map(2, 2)] }
    }

    /// Which places are asked for which animal is not derived: the tests go where it stays the same.
    #[test]
    fn the_gradient_is_the_slope_of_the_loss() {
        let mut random = fastrand::Rng::with_seed(3);
        let truth = Truth {
            animals: vec![Rect::new(4.0, 6.0, 30.0, 20.0), Rect::new(25.0, 20.0, 30.0, 38.0)],
            ignored: vec![Rect::new(0.0, 40.0, 20.0, 20.0)],
        };
        let mut outputs = outputs(&mut random);
        // Targets follow the outputs too, but are taken as given: compare along one output at a time of what isn't a target.
        let places: Vec<Place> = places(&outputs).collect();
        let assigned = assign(&outputs, &places, &truth.animals);
        let total = assigned.iter().flatten().map(|assigned| assigned.target).sum::<f32>().max(1.0);
        let (_, gradient) = loss(&outputs, &truth);
        let mut checked = 0;
        for (place, assigned) in places.iter().zip(&assigned) {
            let Some(assigned) = assigned else { continue };
            let animal = truth.animals[assigned.animal];
            let mut scratch = outputs.zeros_like();
            let area = outputs.levels[place.level].area();
            for channel in [1, 7, 20, 30, 44] {
                let index = channel * area + place.index;
                let before = outputs.levels[place.level].data[index];
                let mut at = |value: f32| {
                    outputs.levels[place.level].data[index] = value;
                    of_box(&outputs, place, &animal, 1.0, &mut scratch)
                };
                let slope = (at(before + 0.01) - at(before - 0.01)) / 0.02;
                at(before);
                let told = gradient.levels[place.level].data[index] * total / assigned.target.max(1e-9);
                assert!((slope - told).abs() < 0.05 + 0.05 * slope.abs(), "{slope} {told}");
                checked += 1;
            }
        }
        assert!(checked > 50, "{checked}");
    }

    #[test]
    fn what_is_ignored_is_not_called_wrong_and_an_empty_picture_lowers_every_score() {
        let outputs = outputs(&mut fastrand::Rng::with_seed(1));
        let all = Rect::new(0.0, 0.0, 64.0, 64.0);
        let (lost, gradient) = loss(&outputs, &Truth { animals: vec![], ignored: vec![all] });
        assert_eq!(lost, 0.0);
        assert!(gradient.levels.iter().all(|map| map.data.iter().all(|&value| value == 0.0)));
        let (_, gradient) = loss(&outputs, &Truth::default());
        assert!(gradient.levels.iter().all(|map| map.channel(0).iter().all(|&value| value > 0.0)));
    }
}
