//! Labels without a person: the boxes that a detector finds again and again, at several sizes and in the mirror.

use crate::augment::{Fitted, RgbPicture};
use crate::loss::{Truth, each_box};
use crate::network::Network;
use crate::stillness::Stillness;
use pigweight_core::geometry::Rect;
use serde::{Deserialize, Serialize};

/// Widths of the inputs, px, each as it is and mirrored.
const VIEW_WIDTHS: [usize; 3] = [512, 640, 768];
/// The usual input's width, px.
pub const USUAL_WIDTH: usize = 640;
/// Boxes of lower scores are left out.
pub const LEAST_SCORE: f32 = 0.03;
/// Of one view, boxes that overlap more are one.
const MAX_IOU: f32 = 0.5;
/// Boxes of several views that overlap more are the same.
const SAME_IOU: f32 = 0.55;
/// What overlaps more after that is one after all.
const FUSED_MAX_IOU: f32 = 0.6;
/// Of what was found of the known number of animals so many are taken as labels: the last are as often wrong as right.
const SUREST_SHARE: f32 = 0.95;

/// A box and how sure it is, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// px of the picture.
    pub rect: Rect,
    /// 0 to 1.
    pub score: f32,
}

/// What the detector finds in a picture at an input of this width, highest score first.
pub fn detect(network: &Network, picture: &RgbPicture, width: usize, is_mirrored: bool) -> Vec<Found> {
    let fitted = Fitted::new(picture, width, is_mirrored, &network.normalisation());
    let outputs = network.infer(fitted.input.clone());
    let mut found = Vec::new();
    each_box(&outputs, f32::MIN, |log_odds, rect| {
        let score = network.score(log_odds);
        if score >= LEAST_SCORE {
            let rect = fitted.to_picture(rect).clipped(picture.width as f32, picture.height as f32);
            found.push(Found { rect, score });
        }
    });
    suppressed(found, MAX_IOU)
}

fn suppressed(mut found: Vec<Found>, max_iou: f32) -> Vec<Found> {
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Found> = Vec::new();
    for one in found {
        if kept.iter().all(|better| better.rect.iou(one.rect) <= max_iou) {
            kept.push(one);
        }
    }
    kept
}

/// What several views agree on: boxes of the same animal are averaged, each with the mean of its scores over all views (weighted boxes
/// fusion, Solovyev et al. 2021).
pub fn detect_in_views(network: &Network, picture: &RgbPicture) -> Vec<Found> {
    let views = VIEW_WIDTHS.into_iter().flat_map(|width| [(width, false), (width, true)]);
    fuse(views.map(|(width, is_mirrored)| detect(network, picture, width, is_mirrored)).collect())
}

/// A cluster's sums.
struct Cluster {
    rect: Rect,
    score: f32,
    corners: [f32; 4],
}

fn fuse(views: Vec<Vec<Found>>) -> Vec<Found> {
    let count = views.len().max(1) as f32;
    let mut all: Vec<Found> = views.into_iter().flatten().collect();
    all.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut clusters: Vec<Cluster> = Vec::new();
    for Found { rect, score } in all {
        let ious = clusters.iter().map(|cluster| cluster.rect.iou(rect)).enumerate();
        let best = ious.max_by(|a, b| a.1.total_cmp(&b.1)).filter(|&(_, iou)| iou > SAME_IOU);
        let sides = [rect.x, rect.y, rect.right(), rect.bottom()].map(|side| side * score);
        match best {
            Some((number, _)) => {
                let cluster = &mut clusters[number];
                cluster.score += score;
                cluster.corners.iter_mut().zip(sides).for_each(|(sum, side)| *sum += side);
                let [left, top, right, bottom] = cluster.corners.map(|sum| sum / cluster.score);
                cluster.rect = Rect::from_corners(left, top, right, bottom);
            }
            None => clusters.push(Cluster { rect, score, corners: sides }),
        }
    }
    let fused = clusters.iter().map(|cluster| Found { rect: cluster.rect, score: cluster.score / count });
    suppressed(fused.collect(), FUSED_MAX_IOU)
}

/// Labels from what was found (surest first): the surest of `animals`, without what never moves. All else that was found is ignored in training,
/// because it may be an animal; but not what never moves, which is none, and nothing where there are no animals.
pub fn labels(found: &[Found], animals: u32, stillness: &Stillness) -> Truth {
    // All that was found in an empty pen is wrong.
    if animals == 0 {
        return Truth::default();
    }
    let moving: Vec<&Found> = found.iter().filter(|found| !stillness.is_still(found.rect)).collect();
    let sure = ((animals as f32 * SUREST_SHARE).round() as usize).clamp(1, moving.len().max(1));
    let mut rects = moving.into_iter().filter(|found| found.score >= LEAST_SCORE).map(|found| found.rect);
    Truth { animals: rects.by_ref().take(sure).collect(), ignored: rects.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(x: f32, score: f32) -> Found {
        Found { rect: Rect::new(x, 10.0, 40.0, 30.0), score }
    }

    #[test]
    fn views_that_agree_are_surer_than_one_view_alone() {
        let fused = fuse(vec![
            vec![found(10.0, 0.6), found(200.0, 0.8)],
            vec![found(14.0, 0.6)],
            vec![found(12.0, 0.6)],
        ]);
        assert_eq!(fused.len(), 2);
        assert!((fused[0].score - 0.6).abs() < 1e-6 && (fused[0].rect.x - 12.0).abs() < 0.01, "{fused:?}");
        assert!((fused[1].score - 0.8 / 3.0).abs() < 1e-6);
    }

    #[test]
    fn the_surest_are_labels_and_the_rest_is_ignored() {
        let all: Vec<Found> = (0..8).map(|n| found(100.0 * n as f32, 0.9 - 0.1 * n as f32)).collect();
        let truth = labels(&all, 4, &Stillness::default());
        assert_eq!((truth.animals.len(), truth.ignored.len()), (4, 4));
        assert_eq!(truth.animals[0], all[0].rect);
        assert_eq!(labels(&[], 4, &Stillness::default()), Truth::default());
        assert_eq!(labels(&all, 0, &Stillness::default()), Truth::default());
    }
}
