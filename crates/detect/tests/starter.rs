//! The built-in detector loads, and finds pigs where there are some and few where there are none.
//!
//! The bounds are a little above the figures in `models/README.md`: they detect a wrong file, or a change
//! between the picture and the boxes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pigweight_core::picture::{PictureView, Plane, Planes};
use pigweight_detect::{Detector, Model, ModelSettings, ModelSource};
use pigweight_testkit::scene::{Scene, SceneSettings};
use std::path::Path;

fn model() -> Model {
    // ONNX Runtime lies in `.tools` there, wherever cargo builds.
    std::env::set_current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap();
    Model::load(ModelSettings::new(ModelSource::BuiltIn)).unwrap()
}

/// At the threshold that users get.
fn count(detector: &mut Detector, scene: &Scene) -> usize {
    let SceneSettings { width, height, .. } = *scene.settings();
    let picture = scene.draw();
    let planes = Planes::Rgb(Plane { samples: &picture, stride: width as usize * 3 });
    let found = detector.detect(&PictureView { width, height, planes }).unwrap();
    found.iter().filter(|detection| detection.score >= 0.3).count()
}

#[test]
fn the_builtin_detector_has_the_class_pig() {
    let model = model();
    assert_eq!(model.info().classes, ["pig"]);
    assert_eq!((model.info().input_width, model.info().input_height), (640, 384));
    assert_eq!(model.settings().source.to_string(), "pigs-640x384.onnx (built in)");
}

#[test]
fn drawn_pigs_are_counted() {
    let mut detector = model().detector();
    let (mut missed, mut there) = (0, 0);
    for seed in 0..20 {
        let mut scene = Scene::pen(500 + seed, SceneSettings { pigs: 8, ..SceneSettings::default() });
        scene.advance_to(2.0);
        missed += count(&mut detector, &scene).abs_diff(scene.boxes().len());
        there += scene.boxes().len();
    }
    assert!(missed * 6 <= there, "{missed} off of {there}");
}

#[test]
fn empty_pens_have_hardly_a_pig() {
    let mut detector = model().detector();
    let empty = |seed: u64| Scene::pen(900 + seed, SceneSettings { pigs: 0, ..SceneSettings::default() });
    let wrong: usize = (0..40).map(|seed| count(&mut detector, &empty(seed))).sum();
    assert!(wrong <= 10, "{wrong} boxes on 40 pictures without a pig");
}
