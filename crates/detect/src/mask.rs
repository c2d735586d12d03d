//! Outlines from a segmentation head: prototypes weighted by a row's coefficients, cropped to its box.

use crate::decode::{Candidate, sigmoid};
use crate::layout::{Head, Layout};
use crate::letterbox::Fit;
use pigweight_core::geometry::Rect;

/// Which cells of a grid over a box belong to the animal.
#[derive(Clone, Debug, PartialEq)]
pub struct Mask {
    /// What the grid covers, px of the frame.
    pub rect: Rect,
    /// Cells across.
    pub columns: usize,
    /// Cells down.
    pub rows: usize,
    /// Row by row.
    pub cells: Vec<bool>,
}

impl Mask {
    /// px² of the frame.
    pub fn area_px2(&self) -> f32 {
        let covered = self.cells.iter().filter(|&&cell| cell).count() as f32;
        let all = (self.columns * self.rows) as f32;
        if all > 0.0 { self.rect.area() * covered / all } else { 0.0 }
    }

    /// Lengths of runs, row by row, the first of cells outside.
    pub fn runs(&self) -> Vec<u32> {
        let (mut runs, mut current, mut length) = (Vec::new(), false, 0);
        for &cell in &self.cells {
            if cell != current {
                runs.push(length);
                (current, length) = (cell, 0);
            }
            length += 1;
        }
        runs.push(length);
        runs
    }
}

/// The mask of one candidate. `boxes` is the output it came from; `None` for a model without prototypes.
pub fn mask(
    layout: &Layout,
    candidate: &Candidate,
    boxes: &[f32],
    prototypes: &[f32],
    input: (usize, usize),
    fit: &Fit,
) -> Option<Mask> {
    let shape = layout.prototypes?;
    let coefficients = coefficients(layout, candidate.row, boxes)?;
    // Prototype cells per input px.
    let (scale_x, scale_y) = (shape.width as f32 / input.0 as f32, shape.height as f32 / input.1 as f32);
    let cell = |px: f32, scale: f32, limit: usize| ((px * scale).round().max(0.0) as usize).min(limit);
    let (left, right) =
        (cell(candidate.rect.x, scale_x, shape.width), cell(candidate.rect.right(), scale_x, shape.width));
    let (top, bottom) =
        (cell(candidate.rect.y, scale_y, shape.height), cell(candidate.rect.bottom(), scale_y, shape.height));
    let plane = shape.width * shape.height;
    if right <= left || bottom <= top || prototypes.len() < plane * shape.count {
        return None;
    }
    let mut cells = Vec::with_capacity((right - left) * (bottom - top));
    for y in top..bottom {
        for x in left..right {
            let at = y * shape.width + x;
            let logit: f32 =
                coefficients.iter().enumerate().map(|(number, c)| c * prototypes[number * plane + at]).sum();
            cells.push(sigmoid(logit) > 0.5);
        }
    }
    let rect = Rect::from_corners(
        left as f32 / scale_x,
        top as f32 / scale_y,
        right as f32 / scale_x,
        bottom as f32 / scale_y,
    );
    Some(Mask { rect: fit.to_picture(rect), columns: right - left, rows: bottom - top, cells })
}

fn coefficients(layout: &Layout, row: usize, boxes: &[f32]) -> Option<Vec<f32>> {
    let count = layout.prototypes?.count;
    match layout.head {
        Head::Yolov8 => {
            let first = 4 + layout.classes;
            (0..count).map(|number| boxes.get((first + number) * layout.rows + row).copied()).collect()
        }
        Head::Yolox | Head::YoloxDecoded | Head::Yolov5 | Head::EndToEnd => {
            let first = if layout.head == Head::EndToEnd { 6 } else { 5 + layout.classes };
            let numbers = first + count;
            boxes.get(row * numbers + first..(row + 1) * numbers).map(<[f32]>::to_vec)
        }
        Head::Detr | Head::DetrRows | Head::DetrBoxes | Head::NmsRows => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_area_follow_the_cells() {
        let cells = vec![false, true, true, true];
        let mask = Mask { rect: Rect::new(0.0, 0.0, 4.0, 4.0), columns: 2, rows: 2, cells };
        assert_eq!(mask.runs(), [1, 3]);
        assert_eq!(mask.area_px2(), 12.0);
    }
}
