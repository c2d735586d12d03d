//! Head and rump of one animal, two tracks at a line, count once; two animals count twice.

use pigweight_core::geometry::{Point, Rect};
use pigweight_core::line::{Direction, Line, LineCounter};
use pigweight_core::time::Pts;
use pigweight_core::track::{Origin, TrackId, TrackedBox};

const FRAMES_PER_SEC: f64 = 15.0;
/// Of a whole animal.
const LENGTH_PX: f32 = 70.0;
const BREADTH_PX: f32 = 30.0;

fn boxed(track: u32, left: f32, top: f32, width: f32) -> TrackedBox {
    let rect = Rect::new(left, top, width, BREADTH_PX);
    TrackedBox { track: TrackId(track), rect, score: 0.7, class: 0, origin: Origin::Measured }
}

fn whole(track: u32, left: f32, top: f32) -> TrackedBox {
    boxed(track, left, top, LENGTH_PX)
}

/// Which tracks cross a line up the middle, in their order. `animals` gives the boxes at a moment.
fn crossed(
    rule_version: Option<u32>,
    secs: f64,
    animals: impl Fn(f32) -> Vec<TrackedBox>,
) -> Vec<(u32, Direction)> {
    let line = Line::new(Point::new(320.0, 360.0), Point::new(320.0, 0.0)).expect("two points apart");
    let mut counter =
        rule_version.map_or_else(|| LineCounter::new(line), |version| LineCounter::by_rule(line, version));
    let frames = (secs * FRAMES_PER_SEC) as usize;
    let crossings = (0..frames).flat_map(|frame| {
        let at_secs = frame as f64 / FRAMES_PER_SEC;
        counter.update(Pts(frame as i64), at_secs, &animals(at_secs as f32))
    });
    crossings.map(|crossing| (crossing.track.0, crossing.direction)).collect()
}

/// Four whole animals that walk from left to right one after the other, at 70 px a second: the line knows how large they are.
fn others(secs: f32) -> Vec<TrackedBox> {
    (0..4_u8)
        .map(|place| whole(u32::from(place) + 1, 70.0 * secs - 140.0 * f32::from(place), 100.0))
        .filter(|tracked| tracked.rect.right() > 0.0 && tracked.rect.x < 640.0)
        .collect()
}

/// Where an animal is that enters after the others.
fn later(secs: f32) -> f32 {
    70.0 * secs - 700.0
}

fn is_there(left: f32) -> bool {
    left > -LENGTH_PX && left < 640.0
}

#[test]
fn two_parts_that_walk_as_one_animal_cross_once() {
    let scene = |secs: f32| {
        let mut boxes = others(secs);
        let left = later(secs);
        if is_there(left) {
            // Head and rump, and now and then the head's box holds all of it.
            let is_whole = ((secs * 2.0) as u32).is_multiple_of(5);
            let (head_left, head_width) = if is_whole { (left, LENGTH_PX) } else { (left + 28.0, 42.0) };
            boxes.extend([boxed(10, head_left, 100.0, head_width), boxed(11, left, 101.0, 36.0)]);
        }
        boxes
    };
    let counted = crossed(None, 22.0, scene);
    assert_eq!(counted.len(), 5, "{counted:?}");
    assert!(counted.iter().all(|&(_, direction)| direction == Direction::Forward));
    // As runs of that version have counted it, and go on to.
    assert_eq!(crossed(Some(1), 22.0, scene).len(), 6);
}

#[test]
fn parts_that_come_back_count_once_again() {
    let scene = |secs: f32| {
        let mut boxes = others(secs);
        let left = if secs < 17.0 { later(secs) } else { later(34.0 - secs) };
        if is_there(left) {
            boxes.extend([boxed(10, left + 28.0, 100.0, 42.0), boxed(11, left, 101.0, 36.0)]);
        }
        boxes
    };
    let counted = crossed(None, 26.0, scene);
    let backward = counted.iter().filter(|(_, direction)| *direction == Direction::Backward).count();
    assert_eq!((counted.len(), backward), (6, 1), "{counted:?}");
}

#[test]
fn two_animals_count_twice() {
    // Nose to tail, side by side, one that overtakes, and a small one behind a large one.
    let seconds: [&dyn Fn(f32) -> TrackedBox; 4] = [
        &|left| whole(11, left - 72.0, 100.0),
        &|left| whole(11, left, 118.0),
        &|left| whole(11, 1.2 * left - 60.0, 104.0),
        &|left| boxed(11, left - 40.0, 100.0, 38.0),
    ];
    for (number, second) in seconds.iter().enumerate() {
        let scene = |secs: f32| {
            let mut boxes = others(secs);
            let left = later(secs);
            if is_there(left) {
                boxes.extend([whole(10, left, 100.0), second(left)]);
            }
            boxes
        };
        let counted = crossed(None, 24.0, scene);
        assert_eq!(counted.len(), 6, "{number}: {counted:?}");
    }
}

#[test]
fn small_animals_among_themselves_are_whole() {
    // All are as small as the parts above: two of them in a row are two.
    let scene = |secs: f32| {
        (0..8_u8)
            .map(|place| boxed(u32::from(place) + 1, 70.0 * secs - 38.0 * f32::from(place), 100.0, 36.0))
            .filter(|tracked| is_there(tracked.rect.x))
            .collect()
    };
    assert_eq!(crossed(None, 20.0, scene).len(), 8);
}

#[test]
fn before_the_size_of_others_is_known_each_track_counts() {
    let scene = |secs: f32| {
        let left = 70.0 * secs - LENGTH_PX;
        vec![boxed(1, left + 28.0, 100.0, 42.0), boxed(2, left, 101.0, 36.0)]
    };
    assert_eq!(crossed(None, 10.0, scene).len(), 2);
}
