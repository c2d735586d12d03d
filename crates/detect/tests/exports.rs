//! One detector as different exporters write it: the same boxes, or a refusal.

#![allow(clippy::unwrap_used)]

use pigweight_core::detection::Detection;
use pigweight_core::picture::{PictureView, Plane, Planes};
use pigweight_detect::{Error, Model, ModelSettings, ModelSource};
use pigweight_testkit::onnx_file::{self, FLOAT, Graph, HALF, INT64, Property, Tensor, tensor, value};
use std::path::Path;

const SIDE: usize = 64;
/// Cells of 64 × 64 px at strides 8, 16 and 32.
const CELLS: usize = 84;

/// Left, top, right, bottom in px, score, class.
const TRUTH: [([f32; 4], f32, usize); 3] = [
    ([6.0, 8.0, 26.0, 24.0], 0.75, 0),
    ([30.0, 12.0, 60.0, 40.0], 0.625, 1),
    ([4.0, 40.0, 20.0, 60.0], 0.5, 0),
];

/// A model whose outputs are its weights.
fn model(inputs: &[(&str, i32, &[i64])], outputs: &[Tensor]) -> Graph {
    Graph {
        weights: outputs.to_vec(),
        inputs: inputs.iter().map(|&(name, element, sizes)| value(name, element, sizes)).collect(),
        outputs: outputs.iter().map(|output| value(&output.name, output.element, &output.sizes)).collect(),
        ..Graph::default()
    }
}

const IMAGES: &[i64] = &[1, 3, SIDE as i64, SIDE as i64];

/// cx, cy, w, h.
fn centered([left, top, right, bottom]: [f32; 4]) -> [f32; 4] {
    [(left + right) / 2.0, (top + bottom) / 2.0, right - left, bottom - top]
}

/// YOLOv8: column by column.
fn columns(scale: f32) -> Vec<f32> {
    let mut numbers = vec![0.0; 6 * CELLS];
    for (place, (corners, score, class)) in TRUTH.into_iter().enumerate() {
        let cell = 11 + 20 * place;
        for (column, number) in centered(corners).into_iter().enumerate() {
            numbers[column * CELLS + cell] = number * scale;
        }
        numbers[(4 + class) * CELLS + cell] = score;
    }
    numbers
}

/// Rows of so many numbers with the truth in some of them.
fn rows(count: usize, row: impl Fn([f32; 4], f32, usize) -> Vec<f32>) -> Vec<f32> {
    let length = row([0.0; 4], 0.0, 0).len();
    let mut numbers = vec![0.0; count * length];
    for (place, (corners, score, class)) in TRUTH.into_iter().enumerate() {
        let start = (place * count / 3) * length;
        numbers[start..start + length].copy_from_slice(&row(corners, score, class));
    }
    numbers
}

fn scores_of(score: f32, class: usize) -> [f32; 2] {
    [0, 1].map(|number| if number == class { score } else { 0.0 })
}

fn load(folder: &Path, model: &Graph) -> Result<Model, Error> {
    let file = folder.join("exported.onnx");
    let bytes = onnx_file::file(model.clone(), &[("names", "{0: 'sow', 1: 'piglet'}")]);
    std::fs::write(&file, bytes).unwrap();
    Model::load(ModelSettings::new(ModelSource::File(file)))
}

fn found(model: &Model) -> Vec<Detection> {
    let samples = vec![128; SIDE * SIDE * 3];
    let planes = Planes::Rgb(Plane { samples: &samples, stride: SIDE * 3 });
    let (width, height) = (SIDE as u32, SIDE as u32);
    model.detector().detect(&PictureView { width, height, planes }).unwrap()
}

fn assert_truth(model: &Model, export: &str) {
    let found = found(model);
    assert_eq!(found.len(), TRUTH.len(), "{export}: {found:?}");
    for (found, (corners, score, class)) in found.iter().zip(TRUTH) {
        let [left, top, right, bottom] = corners;
        let rect = found.rect;
        for (number, expected) in
            [rect.x, rect.y, rect.right(), rect.bottom()].into_iter().zip([left, top, right, bottom])
        {
            assert!((number - expected).abs() < 0.1, "{export}: {rect:?} for {corners:?}");
        }
        assert!((found.score - score).abs() < 0.01, "{export}: {found:?}");
        assert_eq!(usize::from(found.class), class, "{export}: {found:?}");
    }
}

fn use_runtime() {
    std::env::set_current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap();
}

fn as_columns(element: i32) -> Graph {
    let output = tensor("output0", element, &[1, 6, CELLS as i64], &columns(1.0));
    model(&[("images", element, IMAGES)], &[output])
}

#[test]
fn the_same_boxes_are_found_however_they_were_exported() {
    use_runtime();
    let folder = tempfile::tempdir().unwrap();
    let images = [("images", FLOAT, IMAGES)];
    let one =
        |name, sizes: &[i64], numbers: Vec<f32>| model(&images, &[tensor(name, FLOAT, sizes, &numbers)]);
    let parts = |corners: [f32; 4]| centered(corners).map(|number| number / SIDE as f32);
    let decoded = rows(CELLS, |box_px, score, class| {
        [&centered(box_px)[..], &[1.0], &scores_of(score, class)].concat()
    });
    let detr = rows(30, |corners, score, class| [&parts(corners)[..], &scores_of(score, class)].concat());
    let nms = rows(3, |corners, score, class| [&[0.0], &corners[..], &[class as f32, score]].concat());
    for (export, model) in [
        ("plain", as_columns(FLOAT)),
        ("half precision", as_columns(HALF)),
        ("parts of the picture", one("output0", &[1, 6, CELLS as i64], columns(1.0 / SIDE as f32))),
        ("YOLOX, decoded", one("output", &[1, CELLS as i64, 7], decoded)),
        ("RT-DETR in rows", one("output0", &[1, 30, 6], detr)),
        ("YOLOv7 end to end", one("output", &[3, 7], nms)),
    ] {
        let model = load(folder.path(), &model).unwrap_or_else(|error| panic!("{export}: {error}"));
        assert_truth(&model, export);
    }
}

#[test]
fn detr_with_its_postprocessor_is_told_the_size_that_boxes_refer_to() {
    use_runtime();
    let folder = tempfile::tempdir().unwrap();
    let labels = rows(30, |_, _, class| vec![class as f32]);
    let boxes = rows(30, |corners, _, _| corners.to_vec());
    let scores = rows(30, |_, score, _| vec![score]);
    let outputs = [
        tensor("labels", INT64, &[1, 30], &labels),
        tensor("boxes", FLOAT, &[1, 30, 4], &boxes),
        tensor("scores", FLOAT, &[1, 30], &scores),
    ];
    let with = |name| model(&[("images", FLOAT, IMAGES), (name, INT64, &[1, 2])], &outputs);
    assert_truth(&load(folder.path(), &with("orig_target_sizes")).unwrap(), "with sizes");
    // Whether height or width comes first can't be known.
    let error = load(folder.path(), &with("im_shape")).err().expect("it can't be told apart");
    assert!(matches!(error, Error::UnknownLayout { .. }), "{error}");
    assert!(error.to_string().contains("im_shape"), "{error}");
}

#[test]
fn weights_beside_the_model_count_from_any_working_folder_and_are_part_of_it() {
    use_runtime();
    let folder = tempfile::tempdir().unwrap();
    let mut outside = as_columns(FLOAT);
    let weights = &mut outside.weights[0];
    std::fs::write(folder.path().join("exported.onnx.data"), std::mem::take(&mut weights.bytes)).unwrap();
    weights.outside = vec![Property { key: "location".into(), value: "exported.onnx.data".into() }];
    weights.location = 1;
    let first = load(folder.path(), &outside).unwrap();
    assert_truth(&first, "weights beside it");
    // Other weights make another model.
    let other = columns(0.5).iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    std::fs::write(folder.path().join("exported.onnx.data"), other).unwrap();
    assert_ne!(load(folder.path(), &outside).unwrap().info().hash, first.info().hash);
    std::fs::remove_file(folder.path().join("exported.onnx.data")).unwrap();
    let error = load(folder.path(), &outside).err().expect("they are missing").to_string();
    assert!(error.contains("copy it beside the model"), "{error}");
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ModelSettings::new(ModelSource::File(folder.path().to_owned()));
    let error = Model::load(settings).err().expect("a folder is no model").to_string();
    assert!(error.contains("it is no file"), "{error}");
}
