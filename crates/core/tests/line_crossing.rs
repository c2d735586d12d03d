//! What counts as a crossing and what doesn't, for any picture, frame rate and interruption.

use pigweight_core::geometry::{Point, Rect};
use pigweight_core::line::{Crossing, Direction, Line, LineCounter};
use pigweight_core::time::Pts;
use pigweight_core::track::{Origin, TrackId, TrackedBox};
use proptest::prelude::*;

/// Animals on one frame: number, centre, and a box of 80 × 40 px.
type Frame = Vec<TrackedBox>;

const PICTURE_PX: f32 = 640.0;
const FRAMES_PER_SEC: f64 = 20.0;

fn animal(track: u32, x: f32, y: f32) -> TrackedBox {
    boxed(track, Rect::from_center(Point::new(x, y), 80.0, 40.0))
}

fn boxed(track: u32, rect: Rect) -> TrackedBox {
    TrackedBox { track: TrackId(track), rect, score: 0.9, class: 0, origin: Origin::Measured }
}

/// Up the middle of the picture: forward is from left to right. Clear of it is 20 px away.
fn middle() -> Line {
    Line::new(Point::new(320.0, 640.0), Point::new(320.0, 0.0)).expect("two points apart")
}

fn count(line: Line, frames: &[Frame]) -> Vec<Crossing> {
    let mut counter = LineCounter::new(line);
    frames.iter().enumerate().flat_map(|(n, boxes)| update(&mut counter, n, boxes)).collect()
}

fn update(counter: &mut LineCounter, number: usize, boxes: &[TrackedBox]) -> Vec<Crossing> {
    counter.update(Pts(number as i64), number as f64 / FRAMES_PER_SEC, boxes)
}

fn directions(crossings: &[Crossing]) -> Vec<Direction> {
    crossings.iter().map(|crossing| crossing.direction).collect()
}

/// One animal on a level walk through these x.
fn walk(xs: impl IntoIterator<Item = f32>) -> Vec<Frame> {
    xs.into_iter().map(|x| vec![animal(1, x, 200.0)]).collect()
}

fn steps(from: f32, to: f32, count: u16) -> impl Iterator<Item = f32> {
    (0..=count).map(move |step| from + (to - from) * f32::from(step) / f32::from(count))
}

use Direction::{Backward, Forward};

#[test]
fn a_crossing_has_the_first_frame_past_the_line_and_is_counted_once() {
    let crossings = count(middle(), &walk(steps(200.0, 440.0, 48)));
    assert_eq!(directions(&crossings), [Forward]);
    // 5 px a frame: 320 at frame 24 is on the line, 325 at frame 25 is past it.
    assert_eq!((crossings[0].pts, crossings[0].secs, crossings[0].track), (Pts(25), 1.25, TrackId(1)));
}

#[test]
fn a_return_counts_the_other_way() {
    let there_and_back = steps(200.0, 440.0, 20).chain(steps(440.0, 200.0, 20));
    assert_eq!(directions(&count(middle(), &walk(there_and_back))), [Forward, Backward]);
}

#[test]
fn turning_back_on_the_line_counts_nothing() {
    let there_and_back = steps(200.0, 335.0, 20).chain(steps(335.0, 200.0, 20));
    assert_eq!(count(middle(), &walk(there_and_back)), []);
}

#[test]
fn an_animal_that_stops_on_the_line_is_counted_once_at_its_last_passage() {
    let jitter = (0..200).map(|n| if n % 2 == 0 { 327.0 } else { 313.0 });
    let frames = walk(steps(200.0, 320.0, 20).chain(jitter).chain(steps(325.0, 440.0, 20)));
    let crossings = count(middle(), &frames);
    assert_eq!(directions(&crossings), [Forward]);
    assert_eq!(crossings[0].pts, Pts(221), "the first frame past the line, to stay past it");
}

#[test]
fn a_path_around_the_end_of_a_line_is_no_crossing_and_the_way_back_through_it_is() {
    let half = Line::new(Point::new(320.0, 300.0), Point::new(320.0, 0.0)).unwrap();
    let round: Vec<Frame> = steps(200.0, 440.0, 20).map(|x| vec![animal(1, x, 400.0)]).collect();
    let back: Vec<Frame> = steps(440.0, 200.0, 20).map(|x| vec![animal(1, x, 200.0)]).collect();
    assert_eq!(directions(&count(half, &[round, back].concat())), [Backward]);
}

#[test]
fn a_change_of_number_on_the_line_counts_once() {
    for (gone_at, back_at) in [(310.0, 315.0), (318.0, 330.0), (322.0, 328.0), (315.0, 342.0)] {
        let before: Vec<Frame> = steps(200.0, gone_at, 20).map(|x| vec![animal(1, x, 200.0)]).collect();
        let unseen = vec![Frame::new(); 10];
        let after: Vec<Frame> = steps(back_at, 440.0, 20).map(|x| vec![animal(2, x, 200.0)]).collect();
        let crossings = count(middle(), &[before, unseen, after].concat());
        assert_eq!(directions(&crossings), [Forward], "from {gone_at} to {back_at}");
    }
}

#[test]
fn a_new_track_takes_over_only_a_recent_track_that_ended_nearby() {
    let before: Vec<Frame> = steps(200.0, 318.0, 20).map(|x| vec![animal(1, x, 200.0)]).collect();
    let after = |y: f32| -> Vec<Frame> { steps(345.0, 440.0, 20).map(|x| vec![animal(2, x, y)]).collect() };
    let late = [before.clone(), vec![Frame::new(); 50], after(200.0)].concat();
    assert_eq!(count(middle(), &late), []);
    let far = [before.clone(), vec![Frame::new(); 10], after(260.0)].concat();
    assert_eq!(count(middle(), &far), []);
    let near = [before, vec![Frame::new(); 10], after(205.0)].concat();
    assert_eq!(directions(&count(middle(), &near)), [Forward]);
}

#[test]
fn an_occluded_animal_still_counts_after_another_track_began_in_its_place() {
    let first = steps(200.0, 300.0, 20).map(|x| vec![animal(1, x, 200.0)]);
    let second = steps(295.0, 440.0, 20).map(|x| vec![animal(2, x, 200.0)]);
    let again = steps(305.0, 440.0, 20).map(|x| vec![animal(1, x, 200.0)]);
    let frames: Vec<Frame> = first.chain(second).chain(again).collect();
    assert_eq!(directions(&count(middle(), &frames)), [Forward, Forward]);
}

#[test]
fn boxes_that_are_none_and_times_that_jump_are_borne() {
    let mut counter = LineCounter::new(middle());
    let bad = [f32::NAN, f32::INFINITY, -1.0, 0.0].map(|px| boxed(1, Rect::new(px, px, px, px)));
    let secs = [0.0, f64::NAN, -5.0, f64::INFINITY, 1e300, 3.0, 3.0];
    for (number, secs) in secs.into_iter().enumerate() {
        let mut boxes = bad.to_vec();
        boxes.push(animal(1, 200.0 + 40.0 * number as f32, 200.0));
        boxes.push(animal(1, 900.0, 200.0));
        let _ = counter.update(Pts(0), secs, &boxes);
    }
}

#[test]
fn memory_does_not_grow_with_the_video() {
    let mut counter = LineCounter::new(middle());
    let mut longest = 0;
    for number in 0..20_000_usize {
        // A new animal every half a second.
        let boxes = [animal(number as u32 / 10 + 1, 30.0 * (number % 10) as f32 + 200.0, 200.0)];
        let _ = update(&mut counter, number, &boxes);
        if number % 1000 == 0 {
            longest = longest.max(serde_json::to_string(&counter.parts()).unwrap().len());
        }
    }
    assert!(longest < 20_000, "{longest} bytes");
}

/// Herds that walk, stand and turn at random, on a grid of 0.25 px so that mirrored scenes are exact; numbers
/// change now and then.
fn herds() -> impl Strategy<Value = Vec<Frame>> {
    let place = (0_i16..2560, 0_i16..2560, 80_i16..400, 80_i16..400);
    let step = (-120_i16..120, -120_i16..120, prop::bool::weighted(0.9), prop::bool::weighted(0.02));
    let one = (place, prop::collection::vec(step, 1..120));
    prop::collection::vec(one, 1..5).prop_map(|animals| {
        let mut frames = vec![Frame::new(); animals.iter().map(|(_, steps)| steps.len()).max().unwrap_or(0)];
        for (index, ((mut x, mut y, width, height), steps)) in animals.into_iter().enumerate() {
            let mut track = index as u32 + 1;
            for (frame, (step_x, step_y, seen, renamed)) in frames.iter_mut().zip(steps) {
                (x, y) = (x + step_x, y + step_y);
                track += if renamed { 10 } else { 0 };
                if seen {
                    let [x, y, width, height] =
                        [x, y, width, height].map(|quarters| f32::from(quarters) / 4.0);
                    frame.push(boxed(track, Rect::new(x, y, width, height)));
                }
            }
        }
        frames
    })
}

fn lines() -> impl Strategy<Value = Line> {
    (0_u8..160, 0_u8..160, 0_u8..160, 0_u8..160).prop_filter_map("no direction", |(x1, y1, x2, y2)| {
        let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(|step| f32::from(step) * 4.0);
        Line::new(Point::new(x1, y1), Point::new(x2, y2)).ok()
    })
}

fn changed(frames: &[Frame], change: impl Fn(Rect) -> Rect) -> Vec<Frame> {
    let changed = |tracked: &TrackedBox| TrackedBox { rect: change(tracked.rect), ..*tracked };
    frames.iter().map(|boxes| boxes.iter().map(changed).collect()).collect()
}

proptest! {
    #[test]
    fn a_mirrored_scene_swaps_the_directions(frames in herds(), line in lines()) {
        let mirror = |point: Point| Point::new(PICTURE_PX - point.x, point.y);
        let mirrored_line = Line::new(mirror(line.start), mirror(line.end)).unwrap();
        let mirrored = changed(&frames, |rect| Rect { x: PICTURE_PX - rect.right(), ..rect });
        let swapped: Vec<_> = count(mirrored_line, &mirrored)
            .into_iter().map(|crossing| Crossing { direction: crossing.direction.reversed(), ..crossing }).collect();
        prop_assert_eq!(swapped, count(line, &frames));
    }

    #[test]
    fn a_reversed_arrow_swaps_the_directions(frames in herds(), line in lines()) {
        let reversed = Line::new(line.end, line.start).unwrap();
        let key = |crossing: &Crossing| (crossing.pts, crossing.track);
        let forward = count(line, &frames);
        let backward = count(reversed, &frames);
        prop_assert_eq!(forward.iter().map(key).collect::<Vec<_>>(), backward.iter().map(key).collect::<Vec<_>>());
        prop_assert!(forward.iter().zip(&backward).all(|(one, other)| one.direction == other.direction.reversed()));
    }

    #[test]
    fn a_picture_turned_by_a_quarter_changes_nothing(frames in herds(), line in lines()) {
        let turn = |point: Point| Point::new(PICTURE_PX - point.y, point.x);
        let turned_line = Line::new(turn(line.start), turn(line.end)).unwrap();
        let turned = changed(&frames, |Rect { x, y, width, height }| {
            Rect { x: PICTURE_PX - y - height, y: x, width: height, height: width }
        });
        prop_assert_eq!(count(turned_line, &turned), count(line, &frames));
    }

    #[test]
    fn noise_on_one_side_never_counts(xs in prop::collection::vec(100.0_f32..339.0, 1..300)) {
        // Up to 19 px past the line, with 20 px needed to be clear of it.
        prop_assert_eq!(count(middle(), &walk(xs)), []);
    }

    #[test]
    fn dropping_every_second_frame_keeps_the_crossings(
        reach_px in 30.0_f32..250.0, period_secs in 2.0_f32..20.0, phase in 0.0_f32..6.3,
    ) {
        let xs = (0..1200).map(|n| {
            let turn = phase + n as f32 / FRAMES_PER_SEC as f32 / period_secs * std::f32::consts::TAU;
            320.0 + reach_px * turn.sin()
        });
        let frames = walk(xs);
        let all = directions(&count(middle(), &frames));
        let mut counter = LineCounter::new(middle());
        let mut half = Vec::new();
        for (number, boxes) in frames.iter().enumerate().step_by(2) {
            half.extend(update(&mut counter, number, boxes));
        }
        // The video may end between the last passage and its settling.
        let half = directions(&half);
        prop_assert!(all.len() - half.len() <= 1, "{} and {}", all.len(), half.len());
        prop_assert_eq!(&all[..half.len()], half.as_slice());
    }

    #[test]
    fn a_counter_stored_at_any_frame_goes_on_as_if_nothing_had_happened(
        frames in herds(), line in lines(), cut in 0_usize..120,
    ) {
        let mut counter = LineCounter::new(line);
        let mut crossings = Vec::new();
        for (number, boxes) in frames.iter().enumerate() {
            if number == cut {
                let (sides, fragments) =
                    serde_json::from_value(serde_json::to_value(counter.parts()).unwrap()).unwrap();
                counter = LineCounter::from_parts(sides, fragments);
            }
            crossings.extend(update(&mut counter, number, boxes));
        }
        prop_assert_eq!(crossings, count(line, &frames));
    }

    #[test]
    fn each_animal_crosses_to_and_fro_in_turn(frames in herds(), line in lines()) {
        // Without the ends of the line in play, the same animal cannot cross twice the same way.
        let whole = Line::new(line.start, line.end).unwrap();
        let (x, y) = (whole.end.x - whole.start.x, whole.end.y - whole.start.y);
        let far = |point: Point, sign: f32| Point::new(point.x + sign * 4096.0 * x, point.y + sign * 4096.0 * y);
        let endless = Line::new(far(whole.start, -1.0), far(whole.end, 1.0)).unwrap();
        let crossings = count(endless, &frames);
        for (index, one) in crossings.iter().enumerate() {
            let next = crossings[index + 1..].iter().find(|other| other.track == one.track);
            prop_assert!(next.is_none_or(|next| next.direction == one.direction.reversed()));
        }
    }
}
