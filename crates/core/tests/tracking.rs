//! Guarantees of the tracker: one animal, one number; the same input, the same output; no input breaks it.

use pigweight_core::detection::Detection;
use pigweight_core::geometry::{Point, Rect};
use pigweight_core::interpolate::{InferredDetections, SettledFrame, SettledTracker};
use pigweight_core::time::Pts;
use pigweight_core::track::{Origin, TrackId, TrackedBox, Tracker, TrackerSettings};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn pig(x: f32, y: f32, score: f32) -> Detection {
    Detection { rect: Rect::from_center(Point::new(x, y), 80.0, 40.0), score, class: 0 }
}

/// Two animals that walk towards one another, a body apart.
fn two_walkers(secs: f64) -> [Detection; 2] {
    let way_px = 50.0 * secs as f32;
    [pig(100.0 + way_px, 100.0, 0.9), pig(500.0 - way_px, 180.0, 0.9)]
}

#[test]
fn one_missed_detection_in_a_still_scene_leaves_no_gap() {
    // Inferred once a second; the detector misses the animal once, then twice, then for good.
    let seen = |second: usize| !matches!(second, 3 | 6 | 7 | 9..);
    let frames: Vec<_> = (0..15 * 5)
        .map(|number| {
            let look = || if seen(number / 5) { vec![pig(100.0, 100.0, 0.9)] } else { Vec::new() };
            (number as f64 / 5.0, number.is_multiple_of(5).then(look))
        })
        .collect();
    for frame in settled(&frames) {
        let tracks: Vec<u32> = frame.boxes.iter().map(|tracked| tracked.track.0).collect();
        assert_eq!(tracks, if frame.secs <= 8.0 { vec![1] } else { vec![] }, "{}", frame.secs);
    }
}

fn online(settings: TrackerSettings, looks: &[(f64, Vec<Detection>)]) -> Vec<Vec<TrackedBox>> {
    let mut tracker = Tracker::new(settings);
    looks.iter().map(|(secs, detections)| tracker.update(*secs, detections)).collect()
}

fn settled(frames: &[(f64, Option<Vec<Detection>>)]) -> Vec<SettledFrame> {
    let mut tracker = SettledTracker::new(TrackerSettings::mot());
    let mut settled = Vec::new();
    for (number, (secs, detections)) in frames.iter().enumerate() {
        settled.extend(tracker.push(
            Pts(number as i64),
            *secs,
            detections.as_deref().map(InferredDetections::every),
        ));
    }
    settled.extend(tracker.finish());
    settled
}

fn numbers<'a>(frames: impl IntoIterator<Item = &'a [TrackedBox]>) -> BTreeSet<TrackId> {
    frames.into_iter().flatten().map(|tracked| tracked.track).collect()
}

#[test]
fn animals_keep_their_number_at_any_frame_rate() {
    for hz in [5.0, 10.0, 14.0, 25.0, 30.0, 60.0] {
        let looks: Vec<_> = (0..(8.0 * hz) as u32)
            .map(|n| f64::from(n) / hz)
            .map(|secs| (secs, two_walkers(secs).to_vec()))
            .collect();
        let frames = online(TrackerSettings::mot(), &looks);
        assert_eq!(numbers(frames.iter().map(Vec::as_slice)).len(), 2, "{hz} Hz");
        let kept = frames.iter().zip(&looks).all(|(boxes, (_, detections))| {
            boxes
                .iter()
                .find(|tracked| tracked.track == TrackId(1))
                .is_some_and(|one| one.rect == detections[0].rect)
        });
        assert!(kept, "{hz} Hz");
    }
}

#[test]
fn an_animal_occluded_for_less_than_a_second_keeps_its_track_and_the_gap_is_interpolated() {
    for hz in [5.0, 10.0, 25.0, 30.0] {
        let frames: Vec<_> = (0..(6.0 * hz) as u32)
            .map(|n| f64::from(n) / hz)
            .map(|secs| (secs, Some(two_walkers(secs)[usize::from((2.0..2.7).contains(&secs))..].to_vec())))
            .collect();
        let settled = settled(&frames);
        assert_eq!(numbers(settled.iter().map(|frame| frame.boxes.as_slice())).len(), 2, "{hz} Hz");
        for frame in &settled {
            let one = frame.boxes.iter().find(|tracked| tracked.track == TrackId(1)).unwrap();
            let place = two_walkers(frame.secs)[0].rect.center();
            assert!(one.rect.center().distance(place) < 1.0, "{hz} Hz at {} s", frame.secs);
            let hidden = (2.0..2.7).contains(&frame.secs);
            assert_eq!(one.origin == Origin::Interpolated, hidden);
        }
    }
}

#[test]
fn an_animal_absent_for_longer_returns_as_a_new_track_and_the_gap_stays_empty() {
    let frames: Vec<_> = (0..100)
        .map(|n| f64::from(n) / 10.0)
        .map(|secs| {
            (secs, Some(if (3.0..4.5).contains(&secs) { vec![] } else { vec![pig(300.0, 300.0, 0.9)] }))
        })
        .collect();
    let settled = settled(&frames);
    assert_eq!(numbers(settled.iter().map(|frame| frame.boxes.as_slice())).len(), 2);
    assert!(settled[30..45].iter().all(|frame| frame.boxes.is_empty()));
}

#[test]
fn frames_without_inference_are_interpolated_from_both_neighbours() {
    let frames: Vec<_> = (0..91)
        .map(|n| (f64::from(n) / 30.0, (n % 3 == 0).then(|| two_walkers(f64::from(n) / 30.0).to_vec())))
        .collect();
    let settled = settled(&frames);
    for frame in &settled {
        assert_eq!(frame.boxes.len(), 2);
        for (tracked, truth) in frame.boxes.iter().zip(two_walkers(frame.secs)) {
            assert!(tracked.rect.center().distance(truth.rect.center()) < 0.1);
            assert_eq!(tracked.origin == Origin::Measured, frame.reason.is_some());
        }
    }
}

#[test]
fn a_single_detection_is_no_track_and_a_confirmed_track_includes_its_first_detection() {
    let mut frames: Vec<_> =
        (0..60).map(|n| (f64::from(n) / 30.0, Some(vec![pig(100.0, 100.0, 0.9)]))).collect();
    frames[20].1.as_mut().unwrap().push(pig(400.0, 300.0, 0.95));
    for (_, detections) in &mut frames[30..] {
        detections.as_mut().unwrap().push(pig(500.0, 100.0, 0.8));
    }
    let settled = settled(&frames);
    assert_eq!(settled[20].unmatched, [pig(400.0, 300.0, 0.95)]);
    assert_eq!(settled[20].boxes.len(), 1);
    assert_eq!(settled[30].boxes.len(), 2, "online it is known only from the second sight on");
    assert_eq!(settled.iter().map(|frame| frame.unmatched.len()).sum::<usize>(), 1);
}

/// An animal that stands there from the first frame on, and is detected with 0.3 before `sure_secs` and with 0.9 from then on.
fn faint_at_first(sure_secs: f64, every: u32) -> Vec<(f64, Option<Vec<Detection>>)> {
    (0..116_u32)
        .map(|n| (n, f64::from(n) / 30.0))
        .map(|(n, secs)| {
            let score = if secs < sure_secs - 1e-6 { 0.3 } else { 0.9 };
            let look = || vec![pig(100.0, 100.0, 0.9), pig(400.0 - 20.0 * secs as f32, 300.0, score)];
            (secs, n.is_multiple_of(every).then(look))
        })
        .collect()
}

#[test]
fn an_animal_counts_from_the_first_frame_although_the_detector_is_sure_of_it_later() {
    for every in [1, 5] {
        for frame in settled(&faint_at_first(1.0, every)) {
            assert_eq!(frame.boxes.len(), 2, "{}", frame.secs);
            let is_inferred = frame.reason.is_some();
            assert!(frame.boxes.iter().all(|tracked| (tracked.origin == Origin::Measured) == is_inferred));
        }
    }
}

#[test]
fn after_a_gap_a_track_is_followed_back_to_it() {
    let mut tracker = SettledTracker::new(TrackerSettings::mot());
    let mut counts = Vec::new();
    for round in 0..2 {
        for (number, (secs, detections)) in faint_at_first(0.5, 1).iter().enumerate() {
            let (pts, secs) = (Pts(number as i64 + 1000 * round), secs + 60.0 * round as f64);
            let settled = tracker.push(pts, secs, detections.as_deref().map(InferredDetections::every));
            counts.extend(settled.iter().map(|frame| frame.boxes.len()));
        }
        counts.extend(tracker.end_tracks().iter().map(|frame| frame.boxes.len()));
    }
    assert_eq!(counts, [2; 232]);
}

#[test]
fn before_a_gap_frames_after_the_last_inference_are_unknown_and_not_empty() {
    let mut tracker = SettledTracker::new(TrackerSettings::mot());
    let mut frames = Vec::new();
    for number in 0..20 {
        let secs = f64::from(number) / 10.0;
        let detections = (number <= 15).then(|| two_walkers(secs));
        let inference = detections.as_ref().map(|detections| InferredDetections::every(detections));
        frames.extend(tracker.push(Pts(number.into()), secs, inference));
    }
    frames.extend(tracker.end_tracks());
    assert_eq!(frames.last().map(|frame| frame.pts), Some(Pts(15)));
    assert!(frames.iter().all(|frame| frame.boxes.len() == 2), "{frames:?}");
}

#[test]
fn a_track_that_starts_later_begins_where_the_detector_is_sure() {
    // It may be coming into the picture, and little of it be seen.
    for frame in settled(&faint_at_first(2.0, 1)) {
        assert_eq!(frame.boxes.len(), if frame.secs > 1.99 { 2 } else { 1 }, "{}", frame.secs);
    }
}

#[test]
fn a_track_is_followed_back_only_through_detections_that_no_other_track_owns() {
    // The second animal comes out from behind the first, whose box is where the second one was.
    let frames: Vec<_> = (0..30)
        .map(|n| f64::from(n) / 10.0)
        .map(|secs| {
            let second = (secs > 0.45).then(|| pig(112.0, 100.0, 0.9));
            (secs, Some([pig(100.0, 100.0, 0.9)].into_iter().chain(second).collect::<Vec<_>>()))
        })
        .collect();
    for frame in settled(&frames) {
        assert_eq!(frame.boxes.len(), if frame.secs > 0.45 { 2 } else { 1 }, "{}", frame.secs);
        assert_eq!(frame.boxes[0].track, TrackId(1), "{}", frame.secs);
    }
}

#[test]
fn the_first_inference_counts_what_the_detector_finds_and_drops_what_is_not_seen_again() {
    // 0.65 is a detection but would not start a track later on.
    let frames: Vec<_> = (0..20)
        .map(|n| f64::from(n) / 10.0)
        .map(|secs| {
            let mut seen = vec![pig(100.0, 100.0, 0.65), pig(300.0, 100.0, 0.9)];
            seen.extend((secs == 0.0).then(|| pig(500.0, 100.0, 0.65)));
            seen.extend((secs > 0.95).then(|| pig(500.0, 300.0, 0.65)));
            (secs, Some(seen))
        })
        .collect();
    for frame in settled(&frames) {
        assert_eq!(frame.boxes.len(), 2, "{}", frame.secs);
    }
}

#[test]
fn a_video_of_one_inference_counts_what_the_detector_finds() {
    let found = vec![pig(100.0, 100.0, 0.9), pig(300.0, 100.0, 0.65), pig(500.0, 100.0, 0.4)];
    for frames in [1, 3] {
        let frames: Vec<_> =
            (0..frames).map(|n| (f64::from(n) / 10.0, (n == 0).then(|| found.clone()))).collect();
        let settled = settled(&frames);
        assert_eq!((settled[0].boxes.len(), settled[0].unmatched.len()), (2, 1));
    }
    // A second inference decides.
    let settled = settled(&[(0.0, Some(found.clone())), (0.1, Some(vec![found[0]]))]);
    assert_eq!(settled.iter().map(|frame| frame.boxes.len()).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn a_duplicate_of_a_lost_animal_does_not_stay() {
    // The second, unlike in shape, appears where the first was and both are seen again.
    let mut tracker = Tracker::new(TrackerSettings::mot());
    let wide = Detection { rect: Rect::new(100.0, 100.0, 80.0, 40.0), score: 0.9, class: 0 };
    for n in 0..90 {
        let detections = if n % 15 < 12 { vec![wide] } else { vec![] };
        let boxes = tracker.update(f64::from(n) / 30.0, &detections);
        assert!(boxes.iter().all(|tracked| tracked.track == TrackId(1)));
    }
}

#[test]
fn a_detector_with_low_scores_is_tracked_like_one_with_high_scores() {
    let looks = |score: f32| -> Vec<(f64, Vec<Detection>)> {
        let at = |secs: f64| two_walkers(secs).map(|one| Detection { score, ..one }).to_vec();
        (0..60).map(|n| f64::from(n) / 30.0).map(|secs| (secs, at(secs))).collect()
    };
    let sure = online(TrackerSettings::mot(), &looks(0.75));
    let faint = online(TrackerSettings::for_min_score(0.25), &looks(0.53));
    let places = |frames: &[Vec<TrackedBox>]| -> Vec<Vec<(TrackId, Rect)>> {
        frames.iter().map(|boxes| boxes.iter().map(|one| (one.track, one.rect)).collect()).collect()
    };
    assert_eq!(places(&sure), places(&faint));
}

#[test]
fn estimates_are_the_same_tracks_with_steadier_boxes() {
    // Stands, while the detector's box trembles.
    let look = |n: u32| [pig(if n.is_multiple_of(2) { 100.0 } else { 104.0 }, 50.0, 0.9)];
    let settings = TrackerSettings::for_min_score(0.6);
    let (mut measured, mut estimated) = (Tracker::new(settings.clone()), Tracker::new(settings));
    let mut last_x = None;
    for n in 0..60 {
        let secs = f64::from(n) / 30.0;
        let (one, other) = (measured.update(secs, &look(n)), estimated.update_estimates(secs, &look(n)));
        assert_eq!((one.len(), other.len()), (1, 1));
        assert_eq!((one[0].track, one[0].rect), (other[0].track, look(n)[0].rect));
        let moved_px =
            last_x.replace(other[0].rect.x).map_or(0.0, |last: f32| (other[0].rect.x - last).abs());
        assert!(moved_px < 3.5, "{moved_px} px from look to look, where the detector's box moves by 4");
    }
    assert_eq!(measured, estimated);
}

#[test]
fn a_frozen_clock_does_not_hold_frames_forever() {
    let mut tracker = SettledTracker::new(TrackerSettings::mot());
    let mut settled = 0;
    for n in 0..5000 {
        let detections = [pig(100.0, 100.0, 0.9)];
        let seen = if n < 10 { &detections[..] } else { &[] };
        settled += tracker.push(Pts(0), 7.0, Some(InferredDetections::every(seen))).len();
    }
    assert!(settled > 3900, "{settled}");
}

/// Anything a detector could say, broken boxes included, near enough to one another to be taken for tracks.
fn detections() -> impl Strategy<Value = Vec<Detection>> {
    let px = prop_oneof![20 => 0.0_f32..300.0, 1 => prop::num::f32::ANY];
    let size = prop_oneof![20 => 30.0_f32..120.0, 1 => prop::num::f32::ANY];
    let score = prop_oneof![20 => 0.0_f32..1.0, 1 => prop::num::f32::ANY];
    let one = (px.clone(), px, size.clone(), size, score, 0_u16..3).prop_map(
        |(x, y, width, height, score, class)| Detection {
            rect: Rect::new(x, y, width, height),
            score,
            class,
        },
    );
    prop::collection::vec(one, 0..8)
}

fn videos() -> impl Strategy<Value = Vec<(f64, Option<Vec<Detection>>)>> {
    let step = prop_oneof![10 => 0.02_f64..0.3, 1 => -5.0_f64..5.0, 1 => prop::num::f64::ANY];
    prop::collection::vec((step, prop::option::weighted(0.7, detections())), 0..60).prop_map(|frames| {
        let mut secs = 0.0;
        let at = |(step, detections): (f64, _)| {
            let now = secs + step;
            secs = if now.is_finite() && now.abs() < 1e6 { now } else { secs };
            (now, detections)
        };
        frames.into_iter().map(at).collect()
    })
}

proptest! {
    #[test]
    fn every_frame_settles_once_in_order_with_all_its_detections(frames in videos()) {
        let settled = settled(&frames);
        let order: Vec<_> = settled.iter().map(|frame| frame.pts.0).collect();
        prop_assert_eq!(order, (0..frames.len() as i64).collect::<Vec<_>>());
        for (frame, (_, detections)) in settled.iter().zip(&frames) {
            prop_assert_eq!(frame.reason.is_some(), detections.is_some());
            let measured = frame.boxes.iter().filter(|tracked| tracked.origin == Origin::Measured).count();
            prop_assert!(measured + frame.unmatched.len() <= detections.as_ref().map_or(0, Vec::len));
            prop_assert!(frame.boxes.is_sorted_by(|one, other| one.track < other.track), "one box a track");
            for tracked in &frame.boxes {
                let Rect { x, y, width, height } = tracked.rect;
                prop_assert!([x, y, width, height].iter().all(|px| px.is_finite()) && width > 0.0 && height > 0.0);
            }
        }
    }

    #[test]
    fn frames_settle_within_the_time_a_lost_track_is_waited_for(
        steps in prop::collection::vec((0.02_f64..0.3, prop::option::weighted(0.7, detections())), 0..80),
    ) {
        let settings = TrackerSettings::mot();
        let mut tracker = SettledTracker::new(settings.clone());
        let (mut secs, mut waiting, mut look_secs) = (0.0, std::collections::VecDeque::new(), Vec::new());
        for (number, (step, detections)) in steps.iter().enumerate() {
            secs += step;
            waiting.push_back(secs);
            look_secs.extend(detections.is_some().then_some(secs));
            for _ in tracker.push(Pts(number as i64), secs, detections.as_deref().map(InferredDetections::every)) {
                waiting.pop_front();
            }
            let first = waiting.front().copied().unwrap_or(secs);
            let looks_since = look_secs.iter().filter(|&&look| look > first && look < secs).count();
            let has_chances = looks_since < settings.lost_inferences as usize && secs - first <= 10.0 + 2e-3;
            // An unconfirmed track waits for one more inference; only then is it followed back.
            let confirmation_secs = look_secs.iter().rev().nth(1).map_or(secs, |last| secs - last);
            let longest_secs = settings.lost_secs.max(settings.lookback_secs + confirmation_secs);
            prop_assert!(secs - first <= longest_secs + 2e-3 || has_chances);
        }
    }

    #[test]
    fn a_tracker_stored_at_any_frame_goes_on_as_if_nothing_had_happened(frames in videos(), cut in 0_usize..60) {
        let (mut live, mut stored) = (Tracker::new(TrackerSettings::mot()), Tracker::new(TrackerSettings::mot()));
        let mut waiting = SettledTracker::new(TrackerSettings::mot());
        let mut resumed = Vec::new();
        // JSON, unlike what checkpoints are kept in, knows no NaN and no infinity.
        let in_json = |secs: f64| if secs.is_finite() { secs } else { -1.0 };
        let frames: Vec<_> = frames.into_iter().map(|(secs, detections)| (in_json(secs), detections)).collect();
        for (number, (secs, detections)) in frames.iter().enumerate() {
            if number == cut {
                stored = serde_json::from_value(serde_json::to_value(&stored).unwrap()).unwrap();
                waiting = serde_json::from_value(serde_json::to_value(&waiting).unwrap()).unwrap();
            }
            if let Some(detections) = detections {
                prop_assert_eq!(live.update(*secs, detections), stored.update(*secs, detections));
            }
            resumed.extend(waiting.push(Pts(number as i64), *secs, detections.as_deref().map(InferredDetections::every)));
        }
        resumed.extend(waiting.finish());
        prop_assert_eq!(resumed, settled(&frames));
    }

    #[test]
    fn looking_ahead_takes_nothing_back(frames in videos()) {
        // What the online tracker says of a frame, the settled one says too; it only adds.
        let mut live = Tracker::new(TrackerSettings::mot());
        for (settled, (secs, detections)) in settled(&frames).iter().zip(&frames) {
            // Frames that aren't inferred don't reach the online tracker, so both get the same inferences only if all are.
            let Some(detections) = detections else { return Ok(()) };
            for tracked in live.update(*secs, detections) {
                prop_assert!(settled.boxes.contains(&tracked));
            }
        }
    }

    #[test]
    fn memory_depends_on_the_scene_and_not_on_the_length(looks in prop::collection::vec(detections(), 20..40)) {
        let mut tracker = SettledTracker::new(TrackerSettings::mot());
        let mut size = |rounds: std::ops::Range<u32>| {
            let mut largest = 0;
            for round in rounds {
                for (index, detections) in looks.iter().enumerate() {
                    let secs = (f64::from(round) * looks.len() as f64 + index as f64) / 10.0;
                    let _ = tracker.push(Pts(0), secs, Some(InferredDetections::every(detections)));
                }
                largest = largest.max(serde_json::to_string(&tracker).unwrap().len());
            }
            largest
        };
        let (early, late) = (size(0..4), size(4..40));
        prop_assert!(late <= 2 * early + 10_000, "{early} bytes early, {late} late");
    }
}
