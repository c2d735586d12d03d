//! Resolves a layout by a model's output for the test picture, where shapes alone are ambiguous.
//!
//! Layouts of equal shape encode boxes differently. Decoded with the wrong layout, a model gives boxes as large as the picture, boxes smaller
//! than a pixel, or none, and nothing reports an error. When a model is loaded, the candidates with the highest scores are therefore checked,
//! and a model whose output can't be boxes is refused.

use crate::decode::{Candidate, Numbers, candidates};
use crate::layout::{Head, Layout};

/// How many candidates are checked, those with the highest scores first.
const CHECKED_CANDIDATES: usize = 50;
/// Numbers of a raw YOLOX grid are offsets of about a cell; decoded ones are px.
const MOST_OFFSET: f32 = 16.0;
/// Normalised boxes may reach a little beyond the picture.
const MOST_PART: f32 = 1.5;
/// px: a box within a pixel says nothing.
const LEAST_SIDE: f32 = 1.0;
/// A box that covers so much of the input is the whole picture.
const WHOLE: f32 = 0.98;

/// The layout that the output agrees with.
///
/// # Errors
/// Why the output can't be boxes.
pub(crate) fn resolve(
    layout: Layout,
    (width, height): (usize, usize),
    numbers: Numbers<'_>,
    is_stated: bool,
) -> Result<Layout, &'static str> {
    let mut layout = layout;
    let boxes = numbers.boxes;
    if !is_stated {
        match layout.head {
            Head::Yolox if are_px(&layout, boxes) => layout.head = Head::YoloxDecoded,
            Head::EndToEnd
                if matches!(layout.classes, 0 | 2) && layout.prototypes.is_none() && are_detr_rows(boxes) =>
            {
                (layout.head, layout.classes) = (Head::DetrRows, 2);
            }
            _ => {}
        }
    }
    if !matches!(layout.head, Head::Yolox | Head::Detr | Head::DetrRows) {
        let best = highest_scores(&layout, (width, height), numbers);
        let reach =
            |found: &Candidate| (found.rect.x + found.rect.width).max(found.rect.y + found.rect.height);
        layout.is_normalised = !best.is_empty() && best.iter().all(|found| reach(found) <= MOST_PART);
    }
    let best = highest_scores(&layout, (width, height), numbers);
    // Too few candidates prove nothing.
    if best.len() < 3 {
        return Ok(layout);
    }
    let is_whole = |found: &Candidate| {
        found.rect.width >= WHOLE * width as f32 && found.rect.height >= WHOLE * height as f32
    };
    let is_tiny = |found: &Candidate| found.rect.width < LEAST_SIDE && found.rect.height < LEAST_SIDE;
    let is_outside = |found: &Candidate| {
        let rect = found.rect;
        rect.x >= width as f32
            || rect.y >= height as f32
            || rect.x + rect.width <= 0.0
            || rect.y + rect.height <= 0.0
    };
    if best.iter().all(is_whole) {
        return Err("read so, all boxes are as large as the picture");
    }
    if best.iter().all(is_tiny) {
        return Err("read so, all boxes are smaller than a pixel");
    }
    if best.iter().all(is_outside) {
        return Err("read so, all boxes lie outside the picture");
    }
    Ok(layout)
}

/// The candidates with the highest scores, of any class.
fn highest_scores(layout: &Layout, (width, height): (usize, usize), numbers: Numbers<'_>) -> Vec<Candidate> {
    let mut found = candidates(layout, width, height, numbers, &[], f32::MIN_POSITIVE);
    found.sort_by(|one, other| other.score.total_cmp(&one.score));
    found.truncate(CHECKED_CANDIDATES);
    found
}

/// Whether the box centers of a grid are px rather than offsets, in the rows with the highest scores.
fn are_px(layout: &Layout, boxes: &[f32]) -> bool {
    let numbers = 5 + layout.classes + layout.prototypes.map_or(0, |prototypes| prototypes.count);
    let mut rows: Vec<&[f32]> = boxes.chunks_exact(numbers).filter(|row| row[4] > 0.0).collect();
    rows.sort_by(|one, other| other[4].total_cmp(&one[4]));
    rows.truncate(CHECKED_CANDIDATES);
    let are_far = rows.iter().filter(|row| row[0].abs().max(row[1].abs()) > MOST_OFFSET).count();
    !rows.is_empty() && 2 * are_far > rows.len()
}

/// Whether rows of six numbers are a box and two scores, rather than two corners, a score and a class.
fn are_detr_rows(boxes: &[f32]) -> bool {
    let mut rows = boxes.chunks_exact(6).filter(|row| row[4].max(row[5]) > 0.0).peekable();
    let is_there = rows.peek().is_some();
    // Two corners have an order, and a class is a whole number.
    let (mut are_corners, mut are_parts) = (true, true);
    for row in rows {
        are_corners &= row[2] >= row[0] && row[3] >= row[1] && row[5].fract() == 0.0;
        are_parts &= row[..4].iter().all(|part| (-MOST_PART..=MOST_PART).contains(part));
    }
    is_there && are_parts && !are_corners
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (usize, usize) = (64, 64);

    fn layout(head: Head, rows: usize, classes: usize) -> Layout {
        Layout {
            head,
            boxes_output: 0,
            scores_output: 0,
            labels_output: None,
            rows,
            classes,
            prototypes: None,
            is_normalised: false,
        }
    }

    fn of(numbers: &[f32]) -> Numbers<'_> {
        Numbers { boxes: numbers, scores: numbers, labels: &[] }
    }

    /// Three boxes among rows without one.
    fn rows(count: usize, found: [&[f32]; 3]) -> Vec<f32> {
        let mut numbers = vec![0.0; count * found[0].len()];
        for (place, row) in found.into_iter().enumerate() {
            let start = (place * count / 3) * row.len();
            numbers[start..start + row.len()].copy_from_slice(row);
        }
        numbers
    }

    #[test]
    fn a_decoded_grid_is_told_from_a_raw_one() {
        let decoded = rows(
            84,
            [
                &[20.0, 30.0, 8.0, 9.0, 0.9, 1.0],
                &[50.0, 9.0, 20.0, 10.0, 0.8, 1.0],
                &[40.0, 40.0, 7.0, 7.0, 0.7, 1.0],
            ],
        );
        let resolved = resolve(layout(Head::Yolox, 84, 1), SIZE, of(&decoded), false);
        assert_eq!(resolved.map(|layout| layout.head), Ok(Head::YoloxDecoded));
        let raw = rows(
            84,
            [
                &[0.4, 0.6, 0.3, 0.2, 0.9, 1.0],
                &[-0.3, 1.2, 1.0, 0.5, 0.8, 1.0],
                &[0.5, 0.5, 0.1, -0.4, 0.7, 1.0],
            ],
        );
        let resolved = resolve(layout(Head::Yolox, 84, 1), SIZE, of(&raw), false);
        assert_eq!(resolved.map(|layout| layout.head), Ok(Head::Yolox));
        // Who states the layout is believed, but not boxes that are none.
        let resolved = resolve(layout(Head::Yolox, 84, 1), SIZE, of(&decoded), true);
        assert!(resolved.is_err_and(|reason| reason.contains("as large as the picture")));
    }

    #[test]
    fn two_scores_are_told_from_a_score_and_a_class() {
        let detr = rows(
            300,
            [
                &[0.3, 0.4, 0.1, 0.1, 0.9, 0.0],
                &[0.6, 0.5, 0.2, 0.1, 0.0, 0.8],
                &[0.2, 0.2, 0.1, 0.2, 0.7, 0.1],
            ],
        );
        let resolved = resolve(layout(Head::EndToEnd, 300, 2), SIZE, of(&detr), false);
        assert_eq!(resolved.map(|layout| layout.head), Ok(Head::DetrRows));
        let corners = rows(
            300,
            [
                &[3.0, 4.0, 30.0, 20.0, 0.9, 0.0],
                &[6.0, 5.0, 60.0, 31.0, 0.8, 1.0],
                &[1.0, 1.0, 9.0, 8.0, 0.7, 1.0],
            ],
        );
        let resolved = resolve(layout(Head::EndToEnd, 300, 2), SIZE, of(&corners), false);
        assert_eq!(resolved.map(|layout| (layout.head, layout.is_normalised)), Ok((Head::EndToEnd, false)));
        let parts = rows(
            300,
            [
                &[0.1, 0.2, 0.5, 0.4, 0.9, 0.0],
                &[0.2, 0.1, 0.9, 0.5, 0.8, 1.0],
                &[0.0, 0.0, 0.2, 0.1, 0.7, 1.0],
            ],
        );
        let resolved = resolve(layout(Head::EndToEnd, 300, 2), SIZE, of(&parts), false);
        assert_eq!(resolved.map(|layout| (layout.head, layout.is_normalised)), Ok((Head::EndToEnd, true)));
    }

    #[test]
    fn normalised_boxes_are_parts_of_the_input() {
        // Column by column: 84 rows of cx, cy, w, h and a score.
        let mut numbers = vec![0.0; 5 * 84];
        for (row, values) in [
            (3, [0.25, 0.5, 0.1, 0.2, 0.9]),
            (40, [0.7, 0.2, 0.3, 0.1, 0.8]),
            (80, [0.5, 0.5, 0.2, 0.2, 0.7]),
        ] {
            for (column, value) in values.into_iter().enumerate() {
                numbers[column * 84 + row] = value;
            }
        }
        let resolved = resolve(layout(Head::Yolov8, 84, 1), SIZE, of(&numbers), false).unwrap();
        assert!(resolved.is_normalised);
        let found = candidates(&resolved, 64, 64, of(&numbers), &[], 0.85);
        assert_eq!(found.iter().map(|found| found.rect.width).collect::<Vec<_>>(), [0.1 * 64.0]);
    }

    #[test]
    fn boxes_that_are_none_are_refused() {
        let outside = rows(
            84,
            [
                &[900.0, 30.0, 8.0, 9.0, 0.9, 1.0],
                &[50.0, 909.0, 20.0, 10.0, 0.8, 1.0],
                &[940.0, 940.0, 7.0, 7.0, 0.7, 1.0],
            ],
        );
        let resolved = resolve(layout(Head::Yolov5, 84, 1), SIZE, of(&outside), false);
        assert!(resolved.is_err_and(|reason| reason.contains("outside")));
        let tiny = rows(
            84,
            [
                &[30.0, 30.0, 0.1, 0.1, 0.9, 1.0],
                &[50.0, 9.0, 0.2, 0.1, 0.8, 1.0],
                &[40.0, 40.0, 0.1, 0.2, 0.7, 1.0],
            ],
        );
        let resolved = resolve(layout(Head::Yolov5, 84, 1), SIZE, of(&tiny), false);
        assert!(resolved.is_err_and(|reason| reason.contains("smaller than a pixel")));
        let none = vec![0.0; 84 * 6];
        assert!(
            resolve(layout(Head::Yolov5, 84, 1), SIZE, of(&none), false).is_ok(),
            "nothing found says nothing"
        );
    }
}
