//! The same picture through ONNX Runtime in Python, as the models' own families do it (fixtures/reference/detect.py),
//! gives the same boxes within a pixel, for each layout.

use crate::server::{pigweight, root};
use pigweight_testkit::component::skip_without;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Boxes nearer to the least score than this may be found by one side alone.
const SCORE_MARGIN: f32 = 0.02;
const MIN_SCORE: f32 = 0.3;
const MAX_SIDE_ERROR_PX: f32 = 1.0;
/// Of a mask's cells that both sides have.
const MIN_MASK_AGREEMENT: f32 = 0.97;

#[derive(Deserialize)]
struct Picture {
    width: u32,
    height: u32,
    detections: Vec<Found>,
}

#[derive(Deserialize, Debug)]
struct Found {
    /// x, y, width, height, px.
    #[serde(rename = "box")]
    rect: [f32; 4],
    score: f32,
    class: String,
    mask: Option<Outline>,
}

#[derive(Deserialize, Debug)]
struct Outline {
    #[serde(rename = "box")]
    rect: [f32; 4],
    columns: usize,
    rows: usize,
    runs: Vec<usize>,
}

impl Outline {
    fn cells(&self) -> Vec<bool> {
        let cells: Vec<bool> = (self.runs.iter().enumerate())
            .flat_map(|(place, &length)| std::iter::repeat_n(place % 2 == 1, length))
            .collect();
        assert_eq!(cells.len(), self.columns * self.rows, "the runs fill the grid");
        cells
    }
}

/// What is compared, and how closely.
struct Case {
    model: PathBuf,
    layout: &'static str,
    image: PathBuf,
    max_score_error: f32,
}

impl Case {
    fn new(model: PathBuf, layout: &'static str, image: PathBuf) -> Self {
        Self { model, layout, image, max_score_error: 0.02 }
    }

    /// Both sides find the same; returns how many boxes the reference has.
    fn check(&self) -> usize {
        let case = format!("{} on {}", self.model.display(), self.image.display());
        let (ours, reference) = (self.ours(), self.reference(&[]));
        assert_eq!((ours.width, ours.height), (reference.width, reference.height), "{case}");
        self.each_has_a_partner(&reference.detections, &ours.detections, &format!("{case}: pigweight lacks"));
        let pairs = self.each_has_a_partner(
            &ours.detections,
            &reference.detections,
            &format!("{case}: the reference lacks"),
        );
        for (ours, reference) in pairs {
            assert_eq!(ours.mask.is_some(), reference.mask.is_some(), "{case}: {ours:?}");
            if let (Some(ours), Some(reference)) = (&ours.mask, &reference.mask) {
                let agreement = agreement(ours, reference);
                assert!(agreement >= MIN_MASK_AGREEMENT, "{case}: masks agree on {agreement} of their cells");
            }
        }
        reference.detections.len()
    }

    fn ours(&self) -> Picture {
        let mut command = pigweight();
        // The families' own programs look at it.
        command.env("PIGWEIGHT_DETECT__TRIM_BORDER", "false");
        command.arg("detect").arg(&self.image).arg("--json").arg("--model").arg(&self.model);
        command.args(["--min-score", &MIN_SCORE.to_string()]);
        single(&command.output().expect("the binary starts"))
    }

    fn reference(&self, options: &[&str]) -> Picture {
        let python = root().join(".tools/python-tests/bin/python");
        assert!(python.exists(), "run make test, which runs scripts/setup.sh --tests first");
        let mut command = Command::new(python);
        command.arg(root().join("fixtures/reference/detect.py")).arg(&self.image).arg("--model");
        command.arg(&self.model).args(["--layout", self.layout, "--min-score", &MIN_SCORE.to_string()]);
        command.args(options);
        single(&command.output().expect("Python starts"))
    }

    /// Pairs each box of one side with a box of the other, one to one, the likest first.
    fn each_has_a_partner<'a>(
        &self,
        wanted: &'a [Found],
        offered: &'a [Found],
        lacks: &str,
    ) -> Vec<(&'a Found, &'a Found)> {
        let mut alike = Vec::new();
        for (row, one) in wanted.iter().enumerate() {
            for (column, other) in offered.iter().enumerate().filter(|(_, other)| other.class == one.class) {
                let is_alike = side_error_px(one, other) <= MAX_SIDE_ERROR_PX
                    && (one.score - other.score).abs() <= self.max_score_error;
                if is_alike {
                    alike.push((iou(one.rect, other.rect), row, column));
                }
            }
        }
        alike.sort_by(|one, other| other.0.total_cmp(&one.0));
        let (mut partners, mut is_taken) = (vec![None; wanted.len()], vec![false; offered.len()]);
        for (_, row, column) in alike {
            if partners[row].is_none() && !is_taken[column] {
                (partners[row], is_taken[column]) = (Some(column), true);
            }
        }
        for (one, partner) in wanted.iter().zip(&partners) {
            let nearest =
                || offered.iter().max_by(|a, b| iou(a.rect, one.rect).total_cmp(&iou(b.rect, one.rect)));
            assert!(
                partner.is_some() || one.score < MIN_SCORE + SCORE_MARGIN,
                "{lacks} {:?} {} {}; nearest is {:?}",
                one.rect,
                one.score,
                one.class,
                nearest().map(|found| (found.rect, found.score, &found.class))
            );
        }
        wanted.iter().zip(partners).filter_map(|(one, place)| Some((one, &offered[place?]))).collect()
    }
}

/// The one picture of a JSON document on stdout.
fn single(output: &Output) -> Picture {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let pictures: Vec<Picture> = serde_json::from_slice(&output.stdout).expect("JSON as documented");
    pictures.into_iter().next().expect("one picture")
}

fn side_error_px(one: &Found, other: &Found) -> f32 {
    let sides = |rect: [f32; 4]| [rect[0], rect[1], rect[0] + rect[2], rect[1] + rect[3]];
    let (one, other) = (sides(one.rect), sides(other.rect));
    one.iter().zip(other).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max)
}

fn iou(one: [f32; 4], other: [f32; 4]) -> f32 {
    let shared = |axis: usize| {
        let end = (one[axis] + one[axis + 2]).min(other[axis] + other[axis + 2]);
        (end - one[axis].max(other[axis])).max(0.0)
    };
    let both = shared(0) * shared(1);
    both / (one[2] * one[3] + other[2] * other[3] - both)
}

/// The share of cells of `reference` on which both agree, of those whose middles `ours` covers too. Where a box cuts
/// through a cell, one side may count it in and the other out.
fn agreement(ours: &Outline, reference: &Outline) -> f32 {
    let (our_cells, reference_cells) = (ours.cells(), reference.cells());
    let (mut shared, mut same) = (0_u16, 0_u16);
    for (place, &cell) in reference_cells.iter().enumerate() {
        let middle = |axis: usize, step: usize, steps: usize| {
            reference.rect[axis] + reference.rect[axis + 2] * (step as f32 + 0.5) / steps as f32
        };
        let x = middle(0, place % reference.columns, reference.columns);
        let y = middle(1, place / reference.columns, reference.rows);
        let column = (x - ours.rect[0]) / ours.rect[2] * ours.columns as f32;
        let row = (y - ours.rect[1]) / ours.rect[3] * ours.rows as f32;
        let is_inside =
            (0.0..ours.columns as f32).contains(&column) && (0.0..ours.rows as f32).contains(&row);
        if is_inside {
            shared += 1;
            same += u16::from(our_cells[row as usize * ours.columns + column as usize] == cell);
        }
    }
    let edge = reference.columns + reference.rows;
    assert!(
        usize::from(shared) + edge >= reference_cells.len(),
        "grids differ by more than a cell at the edges: {ours:?} {reference:?}"
    );
    if shared == 0 { 1.0 } else { f32::from(same) / f32::from(shared) }
}

fn tiny(name: &str) -> PathBuf {
    root().join(format!("fixtures/models/{name}.onnx"))
}

fn golden(name: &str) -> PathBuf {
    root().join("fixtures/pictures").join(name)
}

/// Tens of boxes: fewer would prove little.
fn check_layout(name: &str, layout: &'static str) {
    let found = Case::new(tiny(name), layout, golden("golden.png")).check();
    assert!((10..=100).contains(&found), "{found} boxes");
}

#[test]
fn yolox_is_read_as_its_family_reads_it() {
    check_layout("yolox", "yolox");
}

#[test]
fn yolov5_is_read_as_its_family_reads_it() {
    check_layout("yolov5", "yolov5");
}

#[test]
fn yolov8_is_read_as_its_family_reads_it() {
    check_layout("yolov8", "yolov8");
}

#[test]
fn yolov8_masks_are_read_as_its_family_reads_them() {
    check_layout("yolov8-seg", "yolov8");
}

#[test]
fn end_to_end_is_read_as_its_family_reads_it() {
    check_layout("end_to_end", "end_to_end");
}

#[test]
fn detr_is_read_as_its_family_reads_it() {
    check_layout("detr", "detr");
}

/// The same decoder's family reads both, but its colours are enlarged here as they are sampled. The picture's height
/// is odd: half a px of misplaced colour would show.
#[test]
fn a_jpeg_gives_the_same_boxes() {
    for (name, layout) in [("yolox", "yolox"), ("yolov8", "yolov8"), ("detr", "detr")] {
        let case = Case::new(tiny(name), layout, golden("golden.jpg"));
        let found = Case { max_score_error: 0.03, ..case }.check();
        assert!((10..=100).contains(&found), "{name}: {found} boxes");
    }
}

/// Models of the usual sizes in a folder that is not part of the project. Those with random weights are sure of every
/// row, so suppression among them is a matter of chance, and some of their boxes jump when a grey level is rounded: most
/// of the boxes found must be among the rows.
#[test]
fn common_model_layouts_are_decoded_like_their_reference_code() {
    let stated = std::env::var_os("PIGWEIGHT_TEST_DATA").map(PathBuf::from);
    let data = stated.unwrap_or_else(|| root().join("../shared/data"));
    let image = data.join("pigs-ccby/images/side_03.png");
    let model = |name: &str| data.join("models").join(name).with_extension("onnx");
    let is_there = |file: &Path| {
        let is_there = file.is_file();
        if !is_there {
            skip_without(&format!("{} is not there; PIGWEIGHT_TEST_DATA names the folder", file.display()));
        }
        is_there
    };
    if !is_there(&image) {
        return;
    }
    let trained = model("pig-yolox-nano-416");
    if is_there(&trained) {
        assert!(Case::new(trained, "yolox", image.clone()).check() > 0);
    }
    for name in ["random-yolo11n-320", "random-yolo26n-320", "random-yolo11n-seg-640"] {
        let model = model(name);
        if is_there(&model) {
            let case = Case::new(model, "yolov8", image.clone());
            let (ours, rows) = (case.ours(), case.reference(&["--every-row"]));
            assert!(!ours.detections.is_empty(), "{name}");
            let is_row = |found: &&Found| {
                rows.detections.iter().any(|row| side_error_px(found, row) <= MAX_SIDE_ERROR_PX)
            };
            let (all, known) = (ours.detections.len(), ours.detections.iter().filter(is_row).count());
            assert!(3 * known >= 2 * all, "{name}: {known} of {all} boxes are among the rows");
        }
    }
}
