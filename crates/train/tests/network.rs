//! The network as it ships: what this crate infers is what the inference engine infers, and its gradients are slopes.

use pigweight_core::picture::{PictureView, Plane, Planes};
use pigweight_detect::{Model, ModelSettings, ModelSource};
use pigweight_train::augment::RgbPicture;
use pigweight_train::label::detect;
use pigweight_train::loss::Truth;
use pigweight_train::{FeatureMap, Network, Trainer};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn shipped() -> Vec<u8> {
    ModelSource::BuiltIn.read().expect("it is in the program").to_vec()
}

/// Bright animals on a dark floor, as ellipses.
fn pen() -> RgbPicture {
    let (width, height) = (640, 360);
    let mut data = vec![70_u8; 3 * width * height];
    for (x, y, across, down) in [
        (120.0, 90.0, 60.0, 25.0),
        (330.0, 180.0, 30.0, 55.0),
        (500.0, 260.0, 70.0, 30.0),
        (200.0, 260.0, 50.0, 28.0),
    ] {
        for row in 0..height {
            for column in 0..width {
                let off: f32 = ((column as f32 - x) / across).powi(2) + ((row as f32 - y) / down).powi(2);
                if off < 1.0 {
                    let light = 235.0 - 60.0 * off;
                    let pixel = &mut data[3 * (row * width + column)..][..3];
                    pixel.copy_from_slice(&[light as u8, (light * 0.85) as u8, (light * 0.8) as u8]);
                }
            }
        }
    }
    RgbPicture { width, height, data }
}

#[test]
fn it_finds_what_the_inference_engine_finds() {
    std::env::set_current_dir(root()).unwrap();
    let picture = pen();
    let model =
        Model::load(ModelSettings { min_score: 0.05, ..ModelSettings::new(ModelSource::BuiltIn) }).unwrap();
    let planes = Planes::Rgb(Plane { samples: &picture.data, stride: 3 * picture.width });
    let view = PictureView { width: picture.width as u32, height: picture.height as u32, planes };
    let expected = model.detector().detect(&view).unwrap();
    assert!(expected.len() >= 3, "{expected:?}");
    let network = Network::read(&shipped()).unwrap();
    let mut found = detect(&network, &picture, 640, false);
    found.retain(|found| found.score >= 0.05);
    let near = |expected: &&pigweight_core::detection::Detection| {
        found
            .iter()
            .any(|found| found.rect.iou(expected.rect) > 0.98 && (found.score - expected.score).abs() < 0.01)
    };
    let sure: Vec<_> = expected.iter().filter(|one| one.score > 0.07).collect();
    assert_eq!(sure.iter().copied().filter(near).count(), sure.len(), "{expected:?} {found:?}");
}

#[test]
fn the_file_written_back_is_the_same_detector_and_other_weights_are_kept_in_it() {
    let file = shipped();
    let mut network = Network::read(&file).unwrap();
    let same = network.write(&file, &[]).unwrap();
    assert_eq!(Network::read(&same).unwrap(), network);
    assert_eq!(Network::metadata(&same, "names").unwrap().as_deref(), Some("{0: 'pig'}"));
    network.move_scores(0.2, 0.3);
    let moved = network.write(&file, &[("pigweight.adaptation", "yes".to_owned())]).unwrap();
    assert_eq!(Network::metadata(&moved, "pigweight.adaptation").unwrap().as_deref(), Some("yes"));
    let moved = Network::read(&moved).unwrap();
    let picture = pen();
    let before = detect(&Network::read(&file).unwrap(), &picture, 640, false);
    let after = detect(&moved, &picture, 640, false);
    let at =
        |score: f32| (1.0 / (1.0 + ((1.0 - score) / score) * ((0.7 / 0.3) / (0.8 / 0.2)))).clamp(0.0, 1.0);
    assert!((after[0].score - at(before[0].score)).abs() < 0.01, "{before:?} {after:?}");
}

#[test]
fn another_detector_or_a_damaged_file_is_refused_in_words() {
    let tiny = std::fs::read(root().join("fixtures/models/yolov5.onnx"));
    let message = Network::read(&tiny.unwrap()).unwrap_err().to_string();
    assert!(message.contains("can't be trained here") && message.contains("pigweight.recipe"), "{message}");
    let file = shipped();
    for length in [0, 10, 1000, file.len() / 2, file.len() - 1] {
        let message = Network::read(&file[..length]).unwrap_err().to_string();
        assert!(message.contains("damaged"), "{length}: {message}");
    }
}

/// Of a sum of the outputs with random factors, which is as smooth as the network is.
#[test]
fn gradients_are_slopes() {
    let mut network = Network::read(&shipped()).unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let mut input = FeatureMap::zeros(3, 64, 96);
    input.data.iter_mut().for_each(|value| *value = 4.0 * random.f32() - 2.0);
    let outputs = network.infer(input.clone());
    let mut factors = outputs.zeros_like();
    factors.levels.iter_mut().flat_map(|map| &mut map.data).for_each(|value| *value = random.f32() - 0.5);
    let sum = |network: &Network| -> f64 {
        let outputs = network.infer(input.clone());
        let pairs = outputs
            .levels
            .iter()
            .zip(&factors.levels)
            .flat_map(|(one, other)| one.data.iter().zip(&other.data));
        pairs.map(|(value, factor)| f64::from(*value) * f64::from(*factor)).sum()
    };
    let mut gradients = network.no_gradients();
    network.learn(input.clone(), &mut gradients, |_| {
        let mut copy = factors.zeros_like();
        copy.levels.iter_mut().zip(&factors.levels).for_each(|(copy, from)| copy.clone_from(from));
        copy
    });
    let gradients: Vec<Vec<f32>> = gradients.parts().map(<[f32]>::to_vec).collect();
    let mut worst: f64 = 0.0;
    for (part, gradient) in gradients.iter().enumerate() {
        // The steepest of each convolution: of the others rounding is a larger part.
        let steepest =
            (0..gradient.len()).max_by(|&a, &b| gradient[a].abs().total_cmp(&gradient[b].abs())).unwrap();
        let mut at = |by: f32| {
            let number = network.parts_mut().nth(part).unwrap().0;
            number[steepest] += by;
            let value = sum(&network);
            network.parts_mut().nth(part).unwrap().0[steepest] -= by;
            value
        };
        // The network is bent where a value passes zero: a bend may lie within one step, and rounding blurs a shorter one. A gradient that is
        // wrong agrees with none of them.
        let told = f64::from(gradient[steepest]);
        let slopes = [2e-4, 1e-4, 4e-4].map(|step| (at(step) - at(-step)) / (2.0 * f64::from(step)));
        let off = slopes
            .map(|slope| (slope - told).abs() / told.abs().max(1e-3))
            .into_iter()
            .fold(f64::INFINITY, f64::min);
        worst = worst.max(off);
        assert!(off < 0.05, "part {part}: {slopes:?} measured, {told} told");
    }
    println!("largest difference {:.1} %", 100.0 * worst);
}

fn batch() -> Vec<(FeatureMap, Truth)> {
    let picture = pen();
    let network = Network::read(&shipped()).expect("it is the recipe's");
    let fitted = pigweight_train::augment::Fitted::new(&picture, 320, false, &network.normalisation());
    let half = |x: f32, y: f32, across: f32, down: f32| {
        pigweight_core::geometry::Rect::new((x - across) / 2.0, (y - down) / 2.0 + 6.0, across, down)
    };
    let animals =
        vec![half(120.0, 90.0, 60.0, 25.0), half(330.0, 180.0, 30.0, 55.0), half(500.0, 260.0, 70.0, 30.0)];
    vec![(fitted.input.clone(), Truth { animals, ignored: vec![] }), (fitted.input, Truth::default())]
}

#[test]
fn steps_lower_the_loss_and_go_on_where_they_were_cut_off_whatever_the_number_of_threads() {
    let network = Network::read(&shipped()).unwrap();
    let run = |trainer: &mut Trainer, steps: u32, threads| -> Vec<f32> {
        (0..steps).map(|_| trainer.train(batch(), 12, 3e-4, threads).unwrap()).collect()
    };
    let mut whole = Trainer::new(network.clone());
    let losses = run(&mut whole, 12, 1);
    assert!(losses[11] < 0.8 * losses[0], "{losses:?}");
    let mut first = Trainer::new(network.clone());
    run(&mut first, 5, 2);
    let mut second = Trainer::resume(&network, first.state()).unwrap();
    run(&mut second, 7, 2);
    assert_eq!(second.state(), whole.state());
    assert!(Trainer::resume(&network, pigweight_train::TrainerState::default()).is_none());
}
