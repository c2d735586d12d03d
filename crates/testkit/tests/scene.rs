//! The drawn scenes keep what their truth says.

use pigweight_core::geometry::Rect;
use pigweight_core::line::Direction;
use pigweight_testkit::scene::{Coat, Floor, Lighting, Scene, SceneSettings, TrueBox};
use std::collections::{BTreeMap, BTreeSet};

fn scenes(settings: &SceneSettings) -> [Scene; 2] {
    [Scene::pen(7, settings.clone()), Scene::corridor(7, settings.clone())]
}

#[test]
fn the_same_seed_gives_the_same_bytes_after_any_requests() {
    for (mut one, mut other) in
        scenes(&SceneSettings::default()).into_iter().zip(scenes(&SceneSettings::default()))
    {
        for secs in [0.0, 3.37, 9.1, 4.0] {
            one.advance_to(secs);
        }
        other.advance_to(4.0);
        assert_eq!(one.boxes(), other.boxes());
        assert_eq!(one.draw(), other.draw());
        other.advance_to(4.1);
        assert_ne!(one.draw(), other.draw());
    }
    let [mut one, mut other] = [7, 8].map(|seed| Scene::pen(seed, SceneSettings::default()));
    one.advance_to(1.0);
    other.advance_to(1.0);
    assert_ne!(one.draw(), other.draw());
}

/// Pixels that differ from the empty scene, as their middles.
fn painted(scene: &Scene) -> Vec<(f32, f32)> {
    let width = scene.settings().width as usize;
    let (drawn, empty) = (scene.draw(), scene.background());
    let differs = |pixel: &usize| {
        let place = pixel * 3;
        drawn[place..place + 3].iter().zip(&empty[place..]).any(|(one, other)| one.abs_diff(*other) > 12)
    };
    let middle = |pixel: usize| ((pixel % width) as f32 + 0.5, (pixel / width) as f32 + 0.5);
    (0..drawn.len() / 3).filter(differs).map(middle).collect()
}

#[test]
fn boxes_are_tight_around_the_drawn_body() {
    let settings = SceneSettings { noise: 0.0, shadows: false, ..SceneSettings::default() };
    let mirrored = SceneSettings { mirrored: true, ..settings.clone() };
    let (mut seen, mut tight) = (0, 0);
    for mut scene in scenes(&settings).into_iter().chain(scenes(&mirrored)) {
        for secs in [2.0, 8.5, 15.0, 27.25] {
            scene.advance_to(secs);
            let (width, height) = (scene.settings().width as f32, scene.settings().height as f32);
            let boxes = scene.boxes();
            let pixels = painted(&scene);
            let holds = |rect: Rect, (x, y): (f32, f32), margin: f32| {
                x > rect.x - margin
                    && x < rect.right() + margin
                    && y > rect.y - margin
                    && y < rect.bottom() + margin
            };
            // Those whose middle is not yet on the picture are painted as far as they are.
            let is_known = |&(x, _): &(f32, f32)| x > 90.0 && x < width - 90.0;
            for &pixel in pixels.iter().filter(|pixel| is_known(pixel)) {
                assert!(boxes.iter().any(|truth| holds(truth.rect, pixel, 1.0)), "{pixel:?} at {secs} s");
            }
            for truth in &boxes {
                let is_alone =
                    |other: &TrueBox| other.id == truth.id || other.rect.intersection_area(truth.rect) == 0.0;
                let Rect { x, y, .. } = truth.rect;
                let is_whole =
                    x > 0.0 && y > 0.0 && truth.rect.right() < width && truth.rect.bottom() < height;
                if !is_whole || !boxes.iter().all(is_alone) {
                    continue;
                }
                let own: Vec<_> = pixels.iter().filter(|&&pixel| holds(truth.rect, pixel, 1.0)).collect();
                let edge = |value: &dyn Fn(&(f32, f32)) -> f32| {
                    own.iter()
                        .map(|pixel| value(pixel))
                        .fold((f32::MAX, f32::MIN), |(least, most), px| (least.min(px), most.max(px)))
                };
                let ((left, right), (top, bottom)) = (edge(&|pixel| pixel.0), edge(&|pixel| pixel.1));
                let drawn = Rect::from_corners(left - 0.5, top - 0.5, right + 0.5, bottom + 0.5);
                seen += 1;
                tight += u32::from(drawn.iou(truth.rect) > 0.88);
            }
        }
    }
    // Where coat and floor have one colour the diff sees less than is there.
    assert!(seen > 30 && tight * 100 >= seen * 90, "{tight} of {seen}");
}

#[test]
fn animals_stay_themselves_and_apart() {
    for crowding in [0.0, 1.0] {
        let settings = SceneSettings { pigs: 20, crowding, ..SceneSettings::default() };
        for mut scene in scenes(&settings) {
            let mut last: BTreeMap<u32, TrueBox> = BTreeMap::new();
            let mut gone = BTreeSet::new();
            for step in 0..=300 {
                scene.advance_to(f64::from(step) / 10.0);
                let boxes = scene.boxes();
                for (index, one) in boxes.iter().enumerate() {
                    assert!(!gone.contains(&one.id), "{} came back", one.id);
                    if let Some(before) = last.get(&one.id) {
                        // No jumps: at most three body lengths a second, and a shove.
                        assert!(before.center.distance(one.center) < 26.0, "{before:?} {one:?}");
                    }
                    for other in &boxes[index + 1..] {
                        let apart = one.center.distance(other.center);
                        assert!(apart > if crowding > 0.5 { 12.0 } else { 20.0 }, "{one:?} {other:?}");
                    }
                }
                let now: BTreeMap<u32, TrueBox> = boxes.into_iter().map(|truth| (truth.id, truth)).collect();
                let is_on_the_edge = |truth: &TrueBox| truth.center.x < 20.0 || truth.center.x > 620.0;
                for (id, truth) in &last {
                    if !now.contains_key(id) {
                        assert!(is_on_the_edge(truth), "{truth:?} vanished");
                        if truth.center.x < 8.0 || truth.center.x > 632.0 {
                            continue; // It may sway over the edge and back.
                        }
                        gone.insert(*id);
                    }
                }
                last = now;
            }
        }
    }
}

#[test]
fn a_pen_keeps_its_animals_on_the_picture() {
    let mut scene = Scene::pen(3, SceneSettings::default());
    for secs in 0..60 {
        scene.advance_to(f64::from(secs));
        let boxes = scene.boxes();
        assert_eq!(boxes.len(), 12);
        assert!(boxes.iter().all(|truth| truth.rect.clipped(640.0, 360.0) == truth.rect));
    }
}

#[test]
fn net_crossings_equal_the_animals_that_end_on_the_other_side() {
    let (mut all, mut backward, mut again) = (0, 0, 0);
    for seed in 0..6 {
        let mut scene = Scene::corridor(seed, SceneSettings::default());
        let line = scene.line();
        let until_secs = 60.0;
        let mut sides: BTreeMap<u32, (f32, f32)> = BTreeMap::new();
        for step in 0..=600 {
            scene.advance_to(f64::from(step) / 10.0);
            for truth in scene.boxes() {
                let right_px = truth.center.x - line.start.x;
                sides.entry(truth.id).or_insert((right_px, right_px)).1 = right_px;
            }
        }
        let crossings = scene.crossings(line, until_secs);
        assert!(crossings.is_sorted_by(|one, other| one.secs <= other.secs));
        for (id, (first, last)) in sides {
            // Who stands on the line at the end is not settled.
            if last.abs() < 40.0 {
                continue;
            }
            let own: Vec<_> = crossings.iter().filter(|crossing| crossing.id == id).collect();
            let net: i32 =
                own.iter().map(|own| if own.direction == Direction::Forward { 1 } else { -1 }).sum();
            let sides = i32::from(last > 0.0) - i32::from(first > 0.0);
            assert_eq!(net, sides, "animal {id} of seed {seed}: {own:?}");
            all += own.len();
            again += usize::from(own.len() > 1);
            backward += own.iter().filter(|own| own.direction == Direction::Backward).count();
        }
    }
    assert!(
        all > 60 && backward > 5 && again > 2,
        "{all} crossings, {backward} backward, {again} turned back"
    );
}

#[test]
fn mirroring_swaps_picture_boxes_and_directions() {
    let settings = SceneSettings::default();
    let [mut plain, mut mirrored] =
        [false, true].map(|mirrored| Scene::corridor(2, SceneSettings { mirrored, ..settings.clone() }));
    plain.advance_to(9.0);
    mirrored.advance_to(9.0);
    let (one, other) = (plain.draw(), mirrored.draw());
    for (row, mirror) in one.chunks(640 * 3).zip(other.chunks(640 * 3)) {
        assert!(row.chunks(3).eq(mirror.chunks(3).rev()));
    }
    for (truth, mirror) in plain.boxes().iter().zip(mirrored.boxes()) {
        assert!((truth.rect.x - (640.0 - mirror.rect.right())).abs() < 0.01);
    }
    let (one, other) = (plain.crossings(plain.line(), 40.0), mirrored.crossings(mirrored.line(), 40.0));
    assert!(!one.is_empty());
    let swapped = one.iter().map(|crossing| (crossing.id, crossing.secs, crossing.direction.reversed()));
    assert!(swapped.eq(other.iter().map(|crossing| (crossing.id, crossing.secs, crossing.direction))));
}

#[test]
fn infrared_has_no_colour_and_every_style_is_drawn() {
    for floor in [Floor::Concrete, Floor::Slats, Floor::Straw] {
        for look in [Lighting::Daylight, Lighting::Lamp, Lighting::Infrared] {
            let settings =
                SceneSettings { floor, lighting: look, coats: vec![Coat::Pink], ..SceneSettings::default() };
            let mut scene = Scene::pen(4, settings);
            scene.advance_to(2.0);
            let picture = scene.draw();
            let is_grey = picture.chunks(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]);
            assert_eq!(is_grey, look == Lighting::Infrared);
            let (dark, bright) = picture
                .iter()
                .fold((u8::MAX, 0), |(dark, bright), &sample| (dark.min(sample), bright.max(sample)));
            assert!(bright - dark > 120, "{floor:?} {look:?}: {dark} to {bright}");
        }
    }
}

#[test]
fn varied_scenes_depend_on_their_seed_and_cover_every_kind() {
    let scenes: Vec<Scene> = (0..40).map(|seed| Scene::varied(seed, 30)).collect();
    assert_eq!(Scene::varied(3, 30).draw(), scenes[3].draw());
    let counts: BTreeSet<usize> = scenes.iter().map(|scene| scene.boxes().len()).collect();
    assert!(counts.contains(&0) && counts.len() > 8, "{counts:?}");
    for look in [Lighting::Daylight, Lighting::Lamp, Lighting::Infrared] {
        assert!(scenes.iter().any(|scene| scene.settings().lighting == look), "{look:?}");
    }
}

#[test]
fn things_are_seen_and_are_no_pigs() {
    let settings = SceneSettings { pigs: 0, noise: 0.0, ..SceneSettings::default() };
    for seed in 0..8 {
        let bare = Scene::pen(seed, settings.clone());
        let furnished = Scene::pen(seed, SceneSettings { things: 3, ..settings.clone() });
        assert!(furnished.boxes().is_empty());
        let differing =
            bare.draw().iter().zip(furnished.draw()).filter(|(one, other)| **one != *other).count();
        assert!(differing > 300, "{differing}");
    }
}
