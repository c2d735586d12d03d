//! A model's numbers → candidate boxes in px of its input.

use crate::layout::{Head, Layout, STRIDES, grid};
use pigweight_core::geometry::{Point, Rect};

/// A box before suppression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// px of the model's input.
    pub rect: Rect,
    /// 0 to 1.
    pub score: f32,
    /// Index in the model's list.
    pub class: u16,
    /// Its row, which has its mask coefficients.
    pub row: usize,
}

/// The flat numbers of a layout's outputs for one picture.
#[derive(Clone, Copy, Debug, Default)]
pub struct Numbers<'a> {
    /// Of the boxes.
    pub boxes: &'a [f32],
    /// Of the scores: the same but for DETR.
    pub scores: &'a [f32],
    /// Of the classes, if they have an output of their own.
    pub labels: &'a [f32],
}

/// Reads all candidates of `wanted` classes with at least `min_score`; numbers that aren't finite are skipped.
pub fn candidates(
    layout: &Layout,
    input_width: usize,
    input_height: usize,
    numbers: Numbers<'_>,
    wanted: &[bool],
    min_score: f32,
) -> Vec<Candidate> {
    let Numbers { boxes, scores, labels } = numbers;
    let mut found = Vec::new();
    let (by_x, by_y) =
        if layout.is_normalised { (input_width as f32, input_height as f32) } else { (1.0, 1.0) };
    let mut keep = |rect: Rect, score: f32, class: usize, row: usize| {
        let rect = Rect::new(rect.x * by_x, rect.y * by_y, rect.width * by_x, rect.height * by_y);
        let is_sound =
            [rect.x, rect.y, rect.width, rect.height, score].iter().all(|number| number.is_finite());
        let is_wanted = wanted.get(class).copied().unwrap_or(wanted.is_empty());
        if is_sound && is_wanted && score >= min_score && rect.width > 0.0 && rect.height > 0.0 {
            found.push(Candidate { rect, score: score.min(1.0), class: class as u16, row });
        }
    };
    let masks = layout.prototypes.map_or(0, |prototypes| prototypes.count);
    match layout.head {
        Head::Yolox => {
            let numbers = 5 + layout.classes + masks;
            for (row, (cell, values)) in
                cells(layout.rows, input_width, input_height).zip(boxes.chunks_exact(numbers)).enumerate()
            {
                if values[4] < min_score {
                    continue;
                }
                let (class, class_score) = best(&values[5..5 + layout.classes], wanted);
                let center =
                    Point::new((values[0] + cell.x) * cell.stride, (values[1] + cell.y) * cell.stride);
                let rect =
                    Rect::from_center(center, values[2].exp() * cell.stride, values[3].exp() * cell.stride);
                keep(rect, values[4] * class_score, class, row);
            }
        }
        Head::Yolov5 | Head::YoloxDecoded => {
            let numbers = 5 + layout.classes + masks;
            for (row, values) in boxes.chunks_exact(numbers).enumerate() {
                if values[4] < min_score {
                    continue;
                }
                let (class, class_score) = best(&values[5..5 + layout.classes], wanted);
                let rect = Rect::from_center(Point::new(values[0], values[1]), values[2], values[3]);
                keep(rect, values[4] * class_score, class, row);
            }
        }
        Head::Yolov8 => {
            let rows = layout.rows;
            if boxes.len() < (4 + layout.classes) * rows {
                return found;
            }
            let column = |number: usize| &boxes[number * rows..(number + 1) * rows];
            // Column by column: rows lie far apart in memory.
            let mut best_scores = vec![0.0_f32; rows];
            let mut best_classes = vec![0_u16; rows];
            for class in (0..layout.classes).filter(|&class| is_wanted(wanted, class)) {
                for ((best, best_class), &score) in
                    best_scores.iter_mut().zip(&mut best_classes).zip(column(4 + class))
                {
                    if score > *best {
                        (*best, *best_class) = (score, class as u16);
                    }
                }
            }
            let (cx, cy, width, height) = (column(0), column(1), column(2), column(3));
            for row in (0..rows).filter(|&row| best_scores[row] >= min_score) {
                let rect = Rect::from_center(Point::new(cx[row], cy[row]), width[row], height[row]);
                keep(rect, best_scores[row], usize::from(best_classes[row]), row);
            }
        }
        Head::EndToEnd => {
            for (row, values) in boxes.chunks_exact(6 + masks).enumerate() {
                let rect = Rect::from_corners(values[0], values[1], values[2], values[3]);
                if let Some(class) = class_of(values[5]) {
                    keep(rect, values[4], class, row);
                }
            }
        }
        Head::NmsRows => {
            // The picture's number comes first; there is only one.
            for (row, values) in boxes.chunks_exact(7).enumerate() {
                let rect = Rect::from_corners(values[1], values[2], values[3], values[4]);
                if let Some(class) = class_of(values[5]) {
                    keep(rect, values[6], class, row);
                }
            }
        }
        Head::DetrBoxes => {
            for (row, ((corners, &score), &label)) in
                boxes.chunks_exact(4).zip(scores).zip(labels).enumerate()
            {
                let rect = Rect::from_corners(corners[0], corners[1], corners[2], corners[3]);
                if let Some(class) = class_of(label) {
                    keep(rect, score, class, row);
                }
            }
        }
        Head::DetrRows => {
            let (width, height) = (input_width as f32, input_height as f32);
            for (row, values) in boxes.chunks_exact(4 + layout.classes).enumerate() {
                let (class, score) = best(&values[4..], wanted);
                let center = Point::new(values[0] * width, values[1] * height);
                let rect = Rect::from_center(center, values[2] * width, values[3] * height);
                keep(rect, score, class, row);
            }
        }
        Head::Detr => {
            let (width, height) = (input_width as f32, input_height as f32);
            for (row, (corners, logits)) in
                boxes.chunks_exact(4).zip(scores.chunks_exact(layout.classes.max(1))).enumerate()
            {
                let (class, logit) = best(logits, wanted);
                let center = Point::new(corners[0] * width, corners[1] * height);
                let rect = Rect::from_center(center, corners[2] * width, corners[3] * height);
                keep(rect, sigmoid(logit), class, row);
            }
        }
    }
    found
}

/// Whether at least one row is finite: if none is, there is no result, which isn't the same as no animal.
pub fn is_any_finite(layout: &Layout, Numbers { boxes, scores, .. }: Numbers<'_>) -> bool {
    let is_sound = |row: &[f32]| row.iter().all(|number| number.is_finite());
    let masks = layout.prototypes.map_or(0, |prototypes| prototypes.count);
    let any_row = |columns: usize| boxes.is_empty() || boxes.chunks_exact(columns).any(is_sound);
    match layout.head {
        Head::Yolov8 => {
            let rows = layout.rows;
            let numbers = (4 + layout.classes) * rows;
            numbers > boxes.len()
                || (0..rows).any(|row| {
                    boxes[..numbers].iter().skip(row).step_by(rows).all(|number| number.is_finite())
                })
        }
        Head::Detr => {
            let mut pairs = boxes.chunks_exact(4).zip(scores.chunks_exact(layout.classes.max(1)));
            boxes.is_empty() || pairs.any(|(corners, logits)| is_sound(corners) && is_sound(logits))
        }
        Head::DetrBoxes => {
            let mut pairs = boxes.chunks_exact(4).zip(scores);
            boxes.is_empty() || pairs.any(|(corners, score)| is_sound(corners) && score.is_finite())
        }
        Head::Yolox | Head::YoloxDecoded | Head::Yolov5 => any_row(5 + layout.classes + masks),
        Head::EndToEnd => any_row(6 + masks),
        Head::DetrRows => any_row(4 + layout.classes),
        Head::NmsRows => any_row(7),
    }
}

struct Cell {
    x: f32,
    y: f32,
    stride: f32,
}

/// The cells of a head of `rows` cells in the order YOLOX writes them: finest stride first, row by row.
fn cells(rows: usize, input_width: usize, input_height: usize) -> impl Iterator<Item = Cell> {
    let strides = STRIDES
        .into_iter()
        .find(|strides| grid(input_width, input_height, strides) == rows)
        .unwrap_or(STRIDES[0]);
    strides.iter().flat_map(move |&stride| {
        let (columns, lines) = (input_width.div_ceil(stride), input_height.div_ceil(stride));
        (0..lines).flat_map(move |y| {
            (0..columns).map(move |x| Cell { x: x as f32, y: y as f32, stride: stride as f32 })
        })
    })
}

/// A class index that is stored as a float.
fn class_of(number: f32) -> Option<usize> {
    (0.0..=f32::from(u16::MAX)).contains(&number).then_some(number as usize)
}

fn is_wanted(wanted: &[bool], class: usize) -> bool {
    wanted.get(class).copied().unwrap_or(wanted.is_empty())
}

/// The best of the wanted classes: an unwanted class with a higher score doesn't hide a wanted one.
fn best(scores: &[f32], wanted: &[bool]) -> (usize, f32) {
    scores
        .iter()
        .copied()
        .enumerate()
        .filter(|&(class, _)| is_wanted(wanted, class))
        .fold((0, f32::NEG_INFINITY), |best, candidate| if candidate.1 > best.1 { candidate } else { best })
}

/// The logistic function.
pub(crate) fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}
