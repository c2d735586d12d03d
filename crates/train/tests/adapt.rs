//! A detector that learns a pen from its film and one number.

use pigweight_core::geometry::Rect;
use pigweight_train::Network;
use pigweight_train::adapt::{Adaptation, Advance, Film, NumberedPicture, Refusal, Saved, Settings};
use pigweight_train::augment::RgbPicture;
use pigweight_train::label::detect;

const SIZE: (usize, usize) = (480, 240);
const FEEDER: Rect = Rect::new(340.0, 60.0, 110.0, 52.0);
/// Brightness of the animal in the dark, of 255; the floor has 70.
const DARK: f32 = 105.0;

fn shipped() -> Network {
    Network::read(include_bytes!("../../../models/pigs-640x384.onnx")).expect("it is the recipe's")
}

/// Three animals that shift about, one of them in the dark, and a feeder that looks like an animal in the light and never moves.
fn picture(number: usize) -> RgbPicture {
    pen(number, 3)
}

/// The first of these animals alone.
fn pen(number: usize, count: usize) -> RgbPicture {
    let mut random = fastrand::Rng::with_seed(number as u64);
    let mut ellipses =
        vec![(FEEDER.center().x, FEEDER.center().y, FEEDER.width / 2.0, FEEDER.height / 2.0, 235.0)];
    let animals = [
        (90.0, 70.0, 50.0, 24.0, 235.0),
        (230.0, 150.0, 26.0, 48.0, 235.0),
        (120.0, 180.0, 56.0, 27.0, DARK),
    ];
    for (x, y, across, down, light) in animals.into_iter().take(count) {
        ellipses.push((x + 40.0 * random.f32(), y + 30.0 * random.f32(), across, down, light));
    }
    let mut data = vec![70_u8; 3 * SIZE.0 * SIZE.1];
    for (x, y, across, down, light) in ellipses {
        for row in 0..SIZE.1 {
            for column in 0..SIZE.0 {
                let off: f32 = ((column as f32 - x) / across).powi(2) + ((row as f32 - y) / down).powi(2);
                if off < 1.0 {
                    let light = light - (light - 70.0) * 0.36 * off;
                    let pixel = &mut data[3 * (row * SIZE.0 + column)..][..3];
                    pixel.copy_from_slice(&[light as u8, (light * 0.85) as u8, (light * 0.8) as u8]);
                }
            }
        }
    }
    RgbPicture { width: SIZE.0, height: SIZE.1, data }
}

fn film(training: usize, held_out: usize) -> Film {
    Film::with_constant_number(
        (0..training).map(picture).collect(),
        (1000..1000 + held_out).map(picture).collect(),
        3,
    )
}

fn settings(steps: u32) -> Settings {
    Settings { rounds: 1, steps, batch: 4, ..Settings::default() }
}

fn run(adaptation: &mut Adaptation, film: &Film) -> Vec<Advance> {
    let mut done = Vec::new();
    loop {
        match adaptation.advance(film).expect("it learns") {
            Advance::Done => return done,
            advance => done.push(advance),
        }
    }
}

/// Found there with at least this score.
fn finds(network: &Network, place: Rect, score: f32) -> bool {
    (1000..1006).any(|number| {
        detect(network, &picture(number), 640, false)
            .iter()
            .any(|found| found.score >= score && found.rect.iou(place) > 0.4)
    })
}

#[test]
fn what_never_moves_is_no_animal_and_the_number_is_found() {
    let film = film(64, 16);
    let start = shipped();
    assert!(finds(&start, FEEDER, 0.3), "the detector that ships takes the feeder for a pig");
    let mut adaptation = Adaptation::new(start, &film, settings(40), None, 2).unwrap();
    run(&mut adaptation, &film);
    let before = adaptation.before().unwrap();
    let (after, adapted) =
        adaptation.outcome().unwrap_or_else(|| panic!("{before:?} {:?}", adaptation.best()));
    assert!(after.error < 0.3 && after.error < before.error, "{before:?} {after:?}");
    assert!(!finds(&adapted, FEEDER, 0.3), "{after:?}");
    let counts: Vec<usize> = (1000..1010)
        .map(|number| {
            detect(&adapted, &picture(number), 640, false).iter().filter(|found| found.score >= 0.3).count()
        })
        .collect();
    assert!(counts.iter().filter(|&&count| count == 3).count() >= 8, "{counts:?}");
}

#[test]
fn an_adaptation_goes_on_where_it_was_cut_off() {
    let film = film(14, 12);
    let whole = {
        let mut adaptation = Adaptation::new(shipped(), &film, settings(4), None, 2).unwrap();
        run(&mut adaptation, &film);
        adaptation.saved()
    };
    // Cut off after each piece of work.
    let mut saved: Option<Saved> = None;
    let mut pieces = 0;
    loop {
        let mut adaptation = Adaptation::new(shipped(), &film, settings(4), saved.clone(), 1).unwrap();
        if adaptation.advance(&film).unwrap() == Advance::Done {
            break;
        }
        pieces += 1;
        saved = Some(adaptation.saved());
    }
    assert_eq!((pieces, saved.as_ref() == Some(&whole)), (1 + 1 + 4 + 1, true));
}

#[test]
fn numbers_and_films_that_teach_nothing_are_refused() {
    let network = shipped();
    let new = |film: &Film| Adaptation::new(network.clone(), film, Settings::default(), None, 2);
    let with = |animals| {
        let pictures = || (0..12).map(picture).collect();
        Film::with_constant_number(pictures(), pictures(), animals)
    };
    for animals in [0, 301] {
        assert!(matches!(new(&with(animals)), Err(Refusal::Number(_))));
    }
    assert!(matches!(new(&film(11, 12)), Err(Refusal::TooShort(11, 12))));
    let refused = |film: &Film| new(film).unwrap().advance(film).unwrap_err().to_string();
    assert!(refused(&with(200)).contains("finds"), "far more than there are");
    let empty = RgbPicture { width: SIZE.0, height: SIZE.1, data: vec![70; 3 * SIZE.0 * SIZE.1] };
    let message = refused(&Film::with_constant_number(vec![empty.clone(); 12], vec![empty; 12], 30));
    assert!(message.contains("0.0 animals on average, not 30"), "{message}");
}

/// The pen is empty in every third picture.
fn film_with_gaps(training: usize, held_out: usize) -> Film {
    let numbered = |number: usize| {
        let animals = if number.is_multiple_of(3) { 0 } else { 3 };
        NumberedPicture { picture: pen(number, animals as usize), animals }
    };
    Film::new((0..training).map(numbered).collect(), (1000..1000 + held_out).map(numbered).collect())
}

#[test]
fn each_picture_may_have_its_own_number() {
    let film = film_with_gaps(63, 18);
    let mut adaptation = Adaptation::new(shipped(), &film, settings(40), None, 2).unwrap();
    run(&mut adaptation, &film);
    let before = adaptation.before().unwrap();
    let (after, adapted) =
        adaptation.outcome().unwrap_or_else(|| panic!("{before:?} {:?}", adaptation.best()));
    assert!(after.error < before.error && after.error < 0.4, "{before:?} {after:?}");
    assert!((after.mean_count - 2.0).abs() < 0.5, "two thirds of three: {after:?}");
    let counts = (1000..1010).map(|number| {
        detect(&adapted, &picture(number), 640, false).iter().filter(|found| found.score >= 0.3).count()
    });
    assert!(counts.filter(|&count| count == 3).count() >= 7);
}
