//! The tests' own model detects marked scenes well enough for the tests that depend on it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pigweight_core::detection::Detection;
use pigweight_core::picture::{PictureView, Plane, Planes};
use pigweight_detect::layout::Head;
use pigweight_detect::{Detector, Model, ModelSettings, ModelSource};
use pigweight_testkit::scene::{Floor, Lighting, Scene, SceneSettings, TrueBox};
use std::path::Path;

fn model() -> Model {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // ONNX Runtime lies in `.tools` there, wherever cargo builds.
    std::env::set_current_dir(&root).unwrap();
    Model::load(ModelSettings::new(ModelSource::File(root.join("fixtures/models/drawn-pigs.onnx")))).unwrap()
}

fn detect(detector: &mut Detector, scene: &Scene) -> Vec<Detection> {
    let SceneSettings { width, height, .. } = *scene.settings();
    let picture = scene.draw();
    let planes = Planes::Rgb(Plane { samples: &picture, stride: width as usize * 3 });
    let found = detector.detect(&PictureView { width, height, planes }).unwrap();
    found.into_iter().filter(|detection| detection.score >= 0.3).collect()
}

/// How many of the truth are found, the best pairs first.
fn hits(truth: &[TrueBox], found: &[Detection]) -> usize {
    let mut pairs = Vec::new();
    for (row, truth) in truth.iter().enumerate() {
        for (column, detection) in found.iter().enumerate() {
            let iou = truth.rect.iou(detection.rect);
            if iou >= 0.5 {
                pairs.push((iou, row, column));
            }
        }
    }
    pairs.sort_by(|one, other| other.0.total_cmp(&one.0));
    let (mut rows, mut columns) = (vec![false; truth.len()], vec![false; found.len()]);
    for (_, row, column) in pairs {
        if !rows[row] && !columns[column] {
            (rows[row], columns[column]) = (true, true);
        }
    }
    rows.into_iter().filter(|&is_hit| is_hit).count()
}

#[test]
fn marked_animals_are_found_on_every_floor_and_in_every_light() {
    let model = model();
    assert_eq!((model.info().head, model.info().classes.as_slice()), (Head::Yolov8, &["pig".to_owned()][..]));
    let mut detector = model.detector();
    let (mut true_boxes, mut found_boxes, mut all_hits) = (0, 0, 0);
    for (seed, floor) in [(1, Floor::Concrete), (2, Floor::Slats), (3, Floor::Straw)] {
        for (look, mirrored) in [(Lighting::Daylight, false), (Lighting::Lamp, true)] {
            let settings =
                SceneSettings { floor, lighting: look, mirrored, marked: true, ..SceneSettings::default() };
            for mut scene in [Scene::pen(seed, settings.clone()), Scene::corridor(seed, settings)] {
                for step in 0..40 {
                    scene.advance_to(f64::from(step) * 0.9);
                    let (truth, found) = (scene.boxes(), detect(&mut detector, &scene));
                    true_boxes += truth.len();
                    found_boxes += found.len();
                    all_hits += hits(&truth, &found);
                }
            }
        }
    }
    let share = |of: usize| all_hits as f64 / of as f64;
    let (recall, precision) = (share(true_boxes), share(found_boxes));
    println!("recall {recall:.4}, precision {precision:.4} of {true_boxes} true and {found_boxes} found");
    assert!(
        true_boxes > 3000 && recall >= 0.98 && precision >= 0.98,
        "recall {recall}, precision {precision}"
    );
}

#[test]
fn unmarked_scenes_hold_nothing_for_it() {
    let mut detector = model().detector();
    for look in [Lighting::Daylight, Lighting::Lamp, Lighting::Infrared] {
        let mut scene = Scene::pen(5, SceneSettings { lighting: look, ..SceneSettings::default() });
        scene.advance_to(3.0);
        assert_eq!(detect(&mut detector, &scene), []);
    }
}
