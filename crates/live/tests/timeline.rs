//! A camera's timeline is monotonic, even if the camera's clock jumps or stops.

use pigweight_live::access_unit::CLOCK_RATE_HZ;
use pigweight_live::timeline::{CameraTimeline, GAP_SECS};
use proptest::prelude::*;

const SECOND: i64 = CLOCK_RATE_HZ as i64;

#[test]
fn frames_are_as_far_apart_as_the_camera_says() {
    let mut timeline = CameraTimeline::default();
    let first = timeline.place(1_000_000, 0.2);
    // It arrives late, as over a poor network.
    let second = timeline.place(1_000_000 + SECOND / 25, 0.9);
    assert_eq!(second.time_ticks - first.time_ticks, SECOND / 25);
    assert!(!first.follows_gap && !second.follows_gap);
}

#[test]
fn a_reconnection_is_a_gap_as_long_as_in_reality() {
    let mut timeline = CameraTimeline::default();
    let first = timeline.place(500, 1.0);
    timeline.reconnect();
    // The camera's clock began anew.
    let second = timeline.place(77, 42.0);
    assert_eq!(second.time_ticks - first.time_ticks, 41 * SECOND);
    assert!(second.follows_gap);
    // A quick reconnection is a gap too: frames may be missing.
    timeline.reconnect();
    let third = timeline.place(78, 42.1);
    assert!(third.follows_gap && third.time_ticks > second.time_ticks);
}

#[test]
fn a_clock_that_jumps_or_stands_still_is_replaced_by_arrival() {
    for jump in [3600 * SECOND, -3600 * SECOND] {
        let mut timeline = CameraTimeline::default();
        timeline.place(0, 0.0);
        let before = timeline.place(SECOND, 1.0);
        let after = timeline.place(SECOND + jump, 1.04);
        assert_eq!(after.time_ticks - before.time_ticks, SECOND / 25, "{jump}");
        assert!(!after.follows_gap, "no frame is missing");
        assert_eq!(timeline.rebased(), 1);
    }
    let mut timeline = CameraTimeline::default();
    let places: Vec<_> = (0..10).map(|frame| timeline.place(0, f64::from(frame) * 0.04).time_ticks).collect();
    assert!(places.windows(2).all(|pair| pair[0] < pair[1]), "{places:?}");
}

#[test]
fn b_frames_keep_their_order() {
    let mut timeline = CameraTimeline::default();
    let frame = SECOND / 25;
    // Sent as I P B B, shown as I B B P.
    let places: Vec<i64> = [0, 3, 1, 2]
        .iter()
        .zip(0..)
        .map(|(&shown, sent)| timeline.place(shown * frame, f64::from(sent) * 0.04).time_ticks)
        .collect();
    assert_eq!(places, [0, 3 * frame, frame, 2 * frame]);
    assert_eq!(timeline.rebased(), 0);
}

#[test]
fn silence_within_a_connection_is_a_gap_and_one_frame_a_second_is_none() {
    let mut timeline = CameraTimeline::default();
    timeline.place(0, 0.0);
    assert!(!timeline.place(SECOND, 1.0).follows_gap);
    assert!(timeline.place(6 * SECOND, 6.0).follows_gap);
}

proptest! {
    #[test]
    fn no_clock_can_turn_the_line_back(steps in prop::collection::vec((any::<i32>(), 0.0..4.0_f64, any::<bool>()), 1..200)) {
        let mut timeline = CameraTimeline::default();
        let (mut clock, mut arrived, mut latest) = (0_i64, 0.0, None::<i64>);
        for (step, wait, is_reconnected) in steps {
            clock += i64::from(step);
            arrived += wait;
            if is_reconnected {
                timeline.reconnect();
            }
            let place = timeline.place(clock, arrived);
            if let Some(latest) = latest {
                // B-frames alone may be earlier than the latest, by less than a second.
                prop_assert!(place.time_ticks >= latest - SECOND);
                prop_assert!(place.time_ticks != latest);
                prop_assert!(place.follows_gap || place.time_ticks - latest <= (GAP_SECS * SECOND as f64) as i64);
            }
            // Never more than the limit away from reality, or just behind what was there before.
            let ahead = place.time_ticks as f64 / SECOND as f64 - arrived;
            prop_assert!(ahead.abs() <= 5.0 + 1.0, "{ahead}");
            latest = Some(latest.map_or(place.time_ticks, |latest| latest.max(place.time_ticks)));
        }
    }
}
