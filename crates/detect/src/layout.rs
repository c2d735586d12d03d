//! Recognises which of the common layouts a model has, from the shapes of its input and outputs.
//!
//! | layout | outputs | box | score |
//! |---|---|---|---|
//! | `yolox` | 1 × cells × (5 + C) | cx, cy offsets in cells, log w, log h | object × class |
//! | `yolox_decoded` | 1 × cells × (5 + C) | cx, cy, w, h in input px | object × class |
//! | `yolov5` | 1 × 3·cells × (5 + C) | cx, cy, w, h in input px | object × class |
//! | `yolov8` (also 9, 11, 12) | 1 × (4 + C) × cells | cx, cy, w, h in input px | class |
//! | `end_to_end` (YOLOv10, 26) | 1 × rows × 6 | left, top, right, bottom in input px | score, class |
//! | `detr` (RT-DETR, D-FINE) | 1 × rows × 4 and 1 × rows × C | cx, cy, w, h as parts of the picture | sigmoid of logits |
//! | `detr_rows` (RT-DETR of Ultralytics) | 1 × rows × (4 + C) | cx, cy, w, h as parts of the picture | class |
//! | `detr_boxes` (RT-DETR, D-FINE with their postprocessor) | 1 × rows, 1 × rows × 4 and 1 × rows | left, top, right, bottom in px of the size in the second input | score; the class is an output of its own |
//! | `nms_rows` (YOLOv7 end to end) | rows × 7 | left, top, right, bottom in input px, after the picture's number | score, after the class |
//!
//! `cells` is the number of grid cells at strides 8, 16 and 32 (and 64 for models of four scales). A fourth-order
//! output 1 × M × h × w beside them holds mask prototypes; M coefficients then follow the classes of each row.

use serde::{Deserialize, Serialize};

/// The supported layouts, for error messages.
pub const UNDERSTOOD: &str = "a float32, float16 or uint8 input 1×3×H×W with YOLOX (1×cells×(5+C)), YOLOv5 (1×3·cells×(5+C)), \
     YOLOv8/11 (1×(4+C)×cells), end-to-end YOLOv10/26 (1×rows×6), each also with mask prototypes \
     (1×M×h×w), end-to-end YOLOv7 (rows×7), or RT-DETR/D-FINE (boxes 1×rows×4 and logits 1×rows×C; 1×rows×(4+C); or labels \
     1×rows, boxes 1×rows×4 and scores 1×rows with a second int64 input orig_target_sizes 1×2)";

/// Rows of an end-to-end head: 300 in all models known; more than this is a grid.
const MAX_END_TO_END_ROWS: usize = 1000;

/// The kind of head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Head {
    /// YOLOX, raw grid.
    Yolox,
    /// YOLOX with its boxes decoded in the graph.
    YoloxDecoded,
    /// YOLOv5.
    Yolov5,
    /// YOLOv8, 9, 11, 12.
    Yolov8,
    /// YOLOv10, YOLO26: duplicates are already suppressed.
    EndToEnd,
    /// RT-DETR, D-FINE: boxes and logits.
    Detr,
    /// RT-DETR as Ultralytics exports it: boxes and scores in one row.
    DetrRows,
    /// RT-DETR, D-FINE with their postprocessor: labels, boxes and scores.
    DetrBoxes,
    /// YOLOv7 exported end to end: rows of all pictures together.
    NmsRows,
}

impl Head {
    /// The name as in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Yolox => "yolox",
            Self::YoloxDecoded => "yolox_decoded",
            Self::Yolov5 => "yolov5",
            Self::Yolov8 => "yolov8",
            Self::EndToEnd => "end_to_end",
            Self::Detr => "detr",
            Self::DetrRows => "detr_rows",
            Self::DetrBoxes => "detr_boxes",
            Self::NmsRows => "nms_rows",
        }
    }

    /// Whether the model suppresses duplicates itself. Then it may give more or fewer rows for another picture.
    pub(crate) fn is_suppressed(self) -> bool {
        match self {
            Self::EndToEnd | Self::Detr | Self::DetrRows | Self::DetrBoxes | Self::NmsRows => true,
            Self::Yolox | Self::YoloxDecoded | Self::Yolov5 | Self::Yolov8 => false,
        }
    }
}

/// An output's name and shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// As in the file.
    pub name: String,
    /// As it came out of a run: no dynamic sizes.
    pub shape: Vec<usize>,
}

/// How to read a model's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The kind of head.
    pub head: Head,
    /// Index of the output with boxes.
    pub boxes_output: usize,
    /// Index of the output with scores: the same one but for DETR.
    pub scores_output: usize,
    /// Index of the output with classes, if they have one of their own.
    pub labels_output: Option<usize>,
    /// Rows (candidates) in it.
    pub rows: usize,
    /// Classes.
    pub classes: usize,
    /// Output index, count, height and width of the mask prototypes.
    pub prototypes: Option<Prototypes>,
    /// Boxes are parts of the input instead of px, though the layout has px.
    pub is_normalised: bool,
}

/// Mask prototypes, 1 × count × height × width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prototypes {
    /// Index of the output.
    pub output: usize,
    /// Coefficients per row.
    pub count: usize,
    /// Cells.
    pub height: usize,
    /// Cells.
    pub width: usize,
}

/// Grid cells at each stride, finest first.
pub fn grid(input_width: usize, input_height: usize, strides: &[usize]) -> usize {
    strides.iter().map(|stride| input_width.div_ceil(*stride) * input_height.div_ceil(*stride)).sum()
}

/// The coarsest stride, px, of a head with this many rows at an input of this size: sides must be multiples of it. If the rows are ambiguous, that
/// of three scales.
pub(crate) fn coarsest_stride(input_width: usize, input_height: usize, layout: &Layout) -> usize {
    let is_told = |strides: &&&[usize]| {
        let cells = grid(input_width, input_height, strides);
        [cells, 3 * cells].contains(&layout.rows)
    };
    STRIDES.iter().find(is_told).unwrap_or(&STRIDES[0]).last().copied().unwrap_or(1)
}

/// Strides of three-scale and four-scale heads.
pub const STRIDES: [&[usize]; 2] = [&[8, 16, 32], &[8, 16, 32, 64]];

/// Recognises the layout from the shapes. `stated` is the head named in the configuration: only matching shapes are
/// accepted. `class_count` comes from the metadata and says how many of a row's numbers are classes.
pub fn recognise(
    input_width: usize,
    input_height: usize,
    outputs: &[Output],
    stated: Option<Head>,
    class_count: Option<usize>,
) -> Option<Layout> {
    let prototypes = outputs.iter().enumerate().find_map(|(output, found)| match found.shape[..] {
        [1, count, height, width] => Some(Prototypes { output, count, height, width }),
        _ => None,
    });
    let flat: Vec<(usize, &str, usize, usize)> = outputs
        .iter()
        .enumerate()
        .filter_map(|(output, found)| match found.shape[..] {
            [1, rows, columns] => Some((output, found.name.as_str(), rows, columns)),
            _ => None,
        })
        .collect();
    let is_allowed = |head: Head| stated.is_none_or(|stated| stated == head);

    if is_allowed(Head::Detr)
        && let [first, second] = flat[..]
        && first.2 == second.2
        && let Some((boxes, logits)) = detr_pair(first, second)
    {
        return Some(Layout {
            head: Head::Detr,
            boxes_output: boxes.0,
            scores_output: logits.0,
            labels_output: None,
            rows: boxes.2,
            classes: logits.3,
            prototypes: None,
            is_normalised: false,
        });
    }

    if let Some(layout) = outside_grids(outputs, class_count).filter(|layout| is_allowed(layout.head)) {
        return Some(layout);
    }

    let &(output, _, rows, columns) = flat.first()?;
    let masks = prototypes.map_or(0, |prototypes| prototypes.count);
    let layout = |head: Head, rows: usize, before_classes: usize, numbers: usize| {
        let classes = numbers.checked_sub(before_classes + masks).filter(|&classes| classes > 0)?;
        let fits = class_count.is_none_or(|count| count == classes);
        fits.then_some(Layout {
            head,
            boxes_output: output,
            scores_output: output,
            labels_output: None,
            rows,
            classes,
            prototypes,
            is_normalised: false,
        })
    };
    for strides in STRIDES {
        let cells = grid(input_width, input_height, strides);
        if rows == cells && is_allowed(Head::Yolox) {
            return layout(Head::Yolox, rows, 5, columns);
        }
        if rows == cells && is_allowed(Head::YoloxDecoded) {
            return layout(Head::YoloxDecoded, rows, 5, columns);
        }
        if rows == 3 * cells && is_allowed(Head::Yolov5) {
            return layout(Head::Yolov5, rows, 5, columns);
        }
        if columns == cells && is_allowed(Head::Yolov8) {
            return layout(Head::Yolov8, columns, 4, rows);
        }
    }
    if columns == 6 + masks && rows <= MAX_END_TO_END_ROWS && is_allowed(Head::EndToEnd) {
        return Some(Layout {
            head: Head::EndToEnd,
            boxes_output: output,
            scores_output: output,
            labels_output: None,
            rows,
            classes: class_count.unwrap_or(0),
            prototypes,
            is_normalised: false,
        });
    }
    if rows <= MAX_END_TO_END_ROWS && masks == 0 && is_allowed(Head::DetrRows) {
        return layout(Head::DetrRows, rows, 4, columns);
    }
    None
}

/// A layout with outputs of two dimensions.
fn outside_grids(outputs: &[Output], class_count: Option<usize>) -> Option<Layout> {
    let layout = |head, (boxes_output, scores_output, labels_output), rows| Layout {
        head,
        boxes_output,
        scores_output,
        labels_output,
        rows,
        classes: class_count.unwrap_or(0),
        prototypes: None,
        is_normalised: false,
    };
    if let [Output { shape, .. }] = outputs
        && let [rows, 7] = shape[..]
    {
        return Some(layout(Head::NmsRows, (0, 0, None), rows));
    }
    let [_, _, _] = outputs else { return None };
    let of_shape = |wanted: &dyn Fn(&[usize]) -> bool, words: [&str; 2]| {
        let named = |output: &Output| {
            let name = output.name.to_lowercase();
            wanted(&output.shape) && words.iter().any(|word| name.contains(word))
        };
        let mut found = outputs.iter().enumerate().filter(|(_, output)| named(output));
        // Ambiguous: none.
        found.next().filter(|_| found.next().is_none())
    };
    let (boxes, output) = of_shape(&|shape| matches!(shape, [1, _, 4]), ["box", "box"])?;
    let rows = *output.shape.get(1)?;
    let (scores, _) = of_shape(&|shape| shape == [1, rows], ["score", "conf"])?;
    let (labels, _) = of_shape(&|shape| shape == [1, rows], ["label", "class"])?;
    (scores != labels).then(|| layout(Head::DetrBoxes, (boxes, scores, Some(labels)), rows))
}

type Flat<'a> = (usize, &'a str, usize, usize);

/// Which of two outputs holds boxes and which logits: by name if possible, else by the four columns of a box.
fn detr_pair<'a>(first: Flat<'a>, second: Flat<'a>) -> Option<(Flat<'a>, Flat<'a>)> {
    let says_boxes = |output: Flat<'_>| output.1.contains("box");
    let says_logits = |output: Flat<'_>| output.1.contains("logit") || output.1.contains("score");
    let pair = if says_boxes(first) || says_logits(second) {
        (first, second)
    } else if says_boxes(second) || says_logits(first) || second.3 == 4 {
        (second, first)
    } else {
        (first, second)
    };
    (pair.0.3 == 4).then_some(pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(shapes: &[(&str, &[usize])]) -> Vec<Output> {
        shapes.iter().map(|(name, shape)| Output { name: (*name).into(), shape: shape.to_vec() }).collect()
    }

    fn head(size: usize, shapes: &[(&str, &[usize])]) -> Option<(Head, usize, usize)> {
        recognise(size, size, &outputs(shapes), None, None)
            .map(|layout| (layout.head, layout.rows, layout.classes))
    }

    /// Input size, outputs' names and shapes; head, rows and classes.
    type Case<'a> = (usize, &'a [(&'a str, &'a [usize])], (Head, usize, usize));

    #[test]
    fn every_published_layout_is_recognised_by_its_shapes() {
        let cases: &[Case<'_>] = &[
            (416, &[("output", &[1, 3549, 6])], (Head::Yolox, 3549, 1)),
            (640, &[("output", &[1, 8400, 85])], (Head::Yolox, 8400, 80)),
            (640, &[("output0", &[1, 25200, 85])], (Head::Yolov5, 25200, 80)),
            (
                640,
                &[("output0", &[1, 25200, 117]), ("output1", &[1, 32, 160, 160])],
                (Head::Yolov5, 25200, 80),
            ),
            (640, &[("output0", &[1, 84, 8400])], (Head::Yolov8, 8400, 80)),
            (320, &[("output0", &[1, 5, 2100])], (Head::Yolov8, 2100, 1)),
            (640, &[("output0", &[1, 116, 8400]), ("output1", &[1, 32, 160, 160])], (Head::Yolov8, 8400, 80)),
            (320, &[("output0", &[1, 300, 6])], (Head::EndToEnd, 300, 0)),
            (640, &[("output0", &[1, 300, 38]), ("output1", &[1, 32, 160, 160])], (Head::EndToEnd, 300, 0)),
            (640, &[("logits", &[1, 300, 80]), ("pred_boxes", &[1, 300, 4])], (Head::Detr, 300, 80)),
            (640, &[("logits", &[1, 300, 4]), ("pred_boxes", &[1, 300, 4])], (Head::Detr, 300, 4)),
            (640, &[("a", &[1, 300, 1]), ("b", &[1, 300, 4])], (Head::Detr, 300, 1)),
            (640, &[("output", &[3, 7])], (Head::NmsRows, 3, 0)),
            (640, &[("output", &[0, 7])], (Head::NmsRows, 0, 0)),
            (
                640,
                &[("labels", &[1, 300]), ("boxes", &[1, 300, 4]), ("scores", &[1, 300])],
                (Head::DetrBoxes, 300, 0),
            ),
            // four scales
            (1280, &[("output0", &[1, 84, 34000])], (Head::Yolov8, 34000, 80)),
        ];
        for (size, shapes, expected) in cases {
            assert_eq!(head(*size, shapes), Some(*expected), "{shapes:?}");
        }
    }

    #[test]
    fn a_model_that_is_no_detector_is_not_accepted() {
        let cases: &[&[(&str, &[usize])]] = &[
            &[("probabilities", &[1, 1000])],
            &[("output", &[1, 17, 64, 48])],
            &[("output", &[1, 8399, 85])],
            &[("output", &[2, 8400, 85])],
            &[("output", &[3, 8])],
            &[("a", &[1, 300]), ("boxes", &[1, 300, 4]), ("b", &[1, 300])],
            &[("label_scores", &[1, 300]), ("boxes", &[1, 300, 4]), ("scores", &[1, 300])],
            &[("labels", &[1, 200]), ("boxes", &[1, 300, 4]), ("scores", &[1, 300])],
            &[],
        ];
        for shapes in cases {
            assert_eq!(head(640, shapes), None, "{shapes:?}");
        }
    }

    #[test]
    fn metadata_and_configuration_resolve_ambiguous_shapes() {
        let shapes = outputs(&[("output", &[1, 8400, 85])]);
        assert_eq!(recognise(640, 640, &shapes, Some(Head::Yolov5), None), None);
        assert_eq!(recognise(640, 640, &shapes, None, Some(3)), None);
        assert!(recognise(640, 640, &shapes, Some(Head::Yolox), Some(80)).is_some());
    }
}
