//! Trimming most of the border of a wide picture in a square input: if the model allows it, with the same animals.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pigweight_core::detection::Detection;
use pigweight_core::picture::{PictureView, Plane, Planes};
use pigweight_detect::{Detector, Model, ModelSettings, ModelSource};
use pigweight_testkit::scene::{Scene, SceneSettings};
use std::path::{Path, PathBuf};

/// At the threshold that users get.
const MIN_SCORE: f32 = 0.3;

fn fixture(name: &str) -> ModelSource {
    ModelSource::File(PathBuf::from(format!("fixtures/models/{name}.onnx")))
}

fn load(source: ModelSource, trims_border: bool) -> Model {
    // ONNX Runtime lies in `.tools` there, wherever cargo builds.
    std::env::set_current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap();
    Model::load(ModelSettings { trims_border, ..ModelSettings::new(source) }).unwrap()
}

/// A scene of `width` × `height` px.
fn picture(seed: u64, width: u32, height: u32) -> Vec<u8> {
    let mut scene = Scene::pen(seed, SceneSettings { width, height, pigs: 8, ..SceneSettings::default() });
    scene.advance_to(2.0);
    scene.draw()
}

fn find(detector: &mut Detector, samples: &[u8], width: u32, height: u32) -> Vec<Detection> {
    let planes = Planes::Rgb(Plane { samples, stride: width as usize * 3 });
    let mut found = detector.detect(&PictureView { width, height, planes }).unwrap();
    found.retain(|detection| detection.score >= MIN_SCORE);
    found
}

#[test]
fn the_same_pigs_are_found_with_and_without_the_border() {
    let (without, with) = (load(ModelSource::BuiltIn, true), load(ModelSource::BuiltIn, false));
    assert!(without.info().is_trimmed && !with.info().is_trimmed);
    let (mut without, mut with) = (without.detector(), with.detector());
    let (mut all, mut same, mut off) = (0, 0, 0.0_f32);
    // Sizes take turns: each has a session of its own, and more of them than are kept.
    for seed in 0..24 {
        let (width, height) =
            [(640, 384), (640, 480), (640, 512), (640, 640), (1280, 320)][seed as usize % 5];
        let samples = picture(700 + seed, width, height);
        let (fewer, whole) =
            (find(&mut without, &samples, width, height), find(&mut with, &samples, width, height));
        all += whole.len().max(fewer.len());
        for one in &whole {
            let partner = fewer.iter().map(|other| (other.rect.iou(one.rect), other.score));
            if let Some((_, score)) =
                partner.filter(|(iou, _)| *iou >= 0.8).max_by(|a, b| a.0.total_cmp(&b.0))
            {
                same += 1;
                off = off.max((score - one.score).abs());
            }
        }
        if (width, height) == (640, 384) {
            assert_eq!(whole, fewer, "what fills the input has no border");
        }
    }
    println!("{same} of {all} boxes are the same, their scores within {off:.3}");
    assert!(all > 100 && same * 20 >= all * 19, "{same} of {all}");
}

#[test]
fn a_high_picture_is_seen_as_large_as_a_wide_one() {
    let mut detector = load(ModelSource::BuiltIn, true).detector();
    let (mut missed, mut there) = (0, 0);
    for seed in 0..10 {
        let settings = SceneSettings { width: 360, height: 640, pigs: 8, ..SceneSettings::default() };
        let mut scene = Scene::pen(800 + seed, settings);
        scene.advance_to(2.0);
        missed += find(&mut detector, &scene.draw(), 360, 640).len().abs_diff(scene.boxes().len());
        there += scene.boxes().len();
    }
    assert!(missed * 6 <= there, "{missed} off of {there}");
}

#[test]
fn a_model_of_fixed_size_gets_the_whole_picture() {
    // Their grids and positions are constants of the file, as exporters write them.
    for name in ["yolov8", "yolov8-seg", "yolov5", "yolox", "end_to_end", "detr"] {
        let model = load(fixture(name), true);
        let samples = picture(1, 640, 360);
        let found = find(&mut model.detector(), &samples, 640, 360);
        let whole = find(&mut load(fixture(name), false).detector(), &samples, 640, 360);
        assert_eq!((model.info().is_trimmed, found), (false, whole), "{name}");
    }
}

#[test]
fn every_input_width_finds_large_animals_in_the_same_places() {
    let model = load(ModelSource::BuiltIn, true);
    let mut detector = model.detector();
    assert_eq!(load(ModelSource::BuiltIn, false).input_widths(), [640], "the whole input has one size");
    let samples = picture(5, 640, 360);
    let planes = Planes::Rgb(Plane { samples: &samples, stride: 640 * 3 });
    let view = PictureView { width: 640, height: 360, planes };
    let mut at = |width| {
        let (mut found, _) = detector.detect_batch_at(&[view], &[width]).unwrap();
        let mut found = found.pop().unwrap();
        found.retain(|detection| detection.score >= MIN_SCORE);
        found
    };
    let own = at(None);
    assert!(own.len() >= 5, "{own:?}");
    assert_eq!(at(Some(640)), own);
    for width in model.input_widths() {
        let found = at(Some(width));
        let is_found = |one: &&Detection| found.iter().any(|other| other.rect.iou(one.rect) >= 0.6);
        let same = own.iter().filter(is_found).count();
        assert!(same * 10 >= own.len() * 8, "{width}: {same} of {}", own.len());
        assert_eq!(width != 640, found != own, "{width}: the width is taken");
    }
}
