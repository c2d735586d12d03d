use super::*;
use crate::picture::{PictureView, Plane, Planes};

/// A picture in which a bright body stands at `place`, of 10.
fn luma(place: f64) -> SmallLuma {
    let (width, height) = (160, 90);
    let left = (place * 10.0) as usize;
    let samples: Vec<u8> = (0..width * height)
        .flat_map(|at| {
            if (left..left + 20).contains(&(at % width)) && at / width > 40 { [200; 3] } else { [50; 3] }
        })
        .collect();
    let planes = Planes::Rgb(Plane { samples: &samples, stride: width * 3 });
    SmallLuma::of(&PictureView { width: width as u32, height: height as u32, planes })
}

/// A source in which a body is where `place` says at each second.
struct Source<P> {
    fps: f64,
    secs: f64,
    place: P,
}

type Seen = Vec<(f64, Option<InferenceReason>)>;

impl<P: Fn(f64) -> f64> Source<P> {
    fn frames(&self) -> usize {
        (self.secs * self.fps) as usize
    }

    fn run(&self, schedule: Schedule, near: &dyn Fn(f64) -> bool) -> Seen {
        self.run_from(0, Position::default(), schedule, near)
            .into_iter()
            .map(|(secs, reason, _)| (secs, reason))
            .collect()
    }

    fn run_from(
        &self,
        first: usize,
        position: Position,
        schedule: Schedule,
        near: &dyn Fn(f64) -> bool,
    ) -> Vec<(f64, Option<InferenceReason>, Position)> {
        let mut scheduler = Scheduler::new(schedule, position, 8);
        let mut decided = Vec::new();
        for number in first..self.frames() {
            let secs = number as f64 / self.fps;
            let next_secs = (number + 1 < self.frames()).then(|| (number + 1) as f64 / self.fps);
            let item = (secs, true);
            let seen = scheduler.push(
                item,
                FrameTime { secs, next_secs },
                |&(secs, _)| luma((self.place)(secs)),
                || near(secs),
                |item| item.1 = false,
            );
            decided.extend(seen);
        }
        decided.extend(scheduler.finish());
        assert!(
            decided.iter().all(|frame| frame.reason.is_none() || frame.item.1),
            "an inference without a picture"
        );
        decided.into_iter().map(|frame| (frame.item.0, frame.reason, frame.position)).collect()
    }
}

fn inferences(seen: &Seen) -> Vec<(f64, InferenceReason)> {
    seen.iter().filter_map(|&(secs, reason)| Some((secs, reason?))).collect()
}

fn longest_pause(seen: &Seen, from: f64, to: f64) -> f64 {
    let secs: Vec<f64> = inferences(seen)
        .iter()
        .map(|inference| inference.0)
        .filter(|&secs| secs >= from - 1e-9 && secs <= to + 1e-9)
        .collect();
    secs.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max)
}

const BY_MOTION: Schedule = Schedule::ByMotion(InferenceIntervals::USUAL);

#[test]
fn a_fixed_interval_skips_no_inference_of_a_slow_video_and_keeps_its_minimum() {
    let count = |schedule, fps| {
        let source = Source { fps, secs: 100.0 / fps, place: |_| 0.0 };
        inferences(&source.run(schedule, &|_| false)).len()
    };
    let interval = Schedule::Interval { secs: 0.1 };
    assert_eq!(count(interval, 5.0), 100);
    assert_eq!(count(interval, 10.0), 100);
    assert_eq!(count(interval, 20.0), 51);
    assert_eq!(count(interval, 25.0), 34);
    assert_eq!(count(Schedule::EveryFrame, 50.0), 100);
}

#[test]
fn every_frame_comes_out_once_and_in_order() {
    for schedule in [Schedule::EveryFrame, Schedule::Interval { secs: 0.3 }, BY_MOTION] {
        for fps in [2.0, 7.0, 25.0, 50.0] {
            let source = Source { fps, secs: 9.0, place: |secs| if secs > 3.3 { secs - 3.3 } else { 0.0 } };
            let seen = source.run(schedule, &|secs| secs > 5.0);
            let secs: Vec<f64> = seen.iter().map(|frame| frame.0).collect();
            let all: Vec<f64> = (0..source.frames()).map(|number| number as f64 / fps).collect();
            assert_eq!(secs, all, "{schedule:?} at {fps}");
            assert!(seen[0].1.is_some() && seen[seen.len() - 1].1.is_some(), "{schedule:?} at {fps}");
        }
    }
}

#[test]
fn a_still_scene_is_inferred_once_a_second() {
    for fps in [5.0, 25.0, 60.0] {
        let source = Source { fps, secs: 20.0, place: |_| 3.0 };
        let seen = source.run(BY_MOTION, &|_| true);
        assert_eq!(inferences(&seen).len(), 21, "{fps}");
        assert!(longest_pause(&seen, 0.0, 20.0) <= 1.001);
        let whys = [Some(InferenceReason::First), Some(InferenceReason::Still), Some(InferenceReason::Last)];
        assert!(inferences(&seen).iter().all(|inference| whys.contains(&Some(inference.1))));
    }
}

#[test]
fn floors_hold_whatever_the_frame_rate() {
    for fps in [3.0, 8.0, 12.5, 25.0, 29.97, 50.0] {
        let source = Source { fps, secs: 10.0, place: |secs| secs };
        let frame = 1.0 / fps;
        let far = source.run(BY_MOTION, &|_| false);
        assert!(longest_pause(&far, 1.0, 10.0) <= (1.0_f64 / 6.0).max(frame) + 2e-3, "{fps}");
        let near = source.run(BY_MOTION, &|secs| secs > 5.0);
        assert!(longest_pause(&near, 5.2, 10.0) <= 0.1_f64.max(frame) + 2e-3, "{fps}");
        assert!(inferences(&near).len() >= inferences(&far).len());
        // Not more than asked for, either.
        assert!(
            inferences(&far).len() as f64 <= 10.0 * fps.min(12.5) + 3.0,
            "{fps}: {}",
            inferences(&far).len()
        );
    }
}

#[test]
fn motion_starts_inference_at_once_and_covers_the_half_second_before() {
    // It moves from 4.5 s on.
    let source = Source {
        fps: 25.0,
        secs: 12.0,
        place: |secs: f64| if secs > 4.5 { (secs - 4.5).min(2.0) * 3.0 } else { 0.0 },
    };
    let seen = source.run(BY_MOTION, &|_| false);
    let woken: Vec<f64> = inferences(&seen)
        .iter()
        .filter(|inference| inference.1 == InferenceReason::MotionStart)
        .map(|inference| inference.0)
        .collect();
    assert_eq!(woken.len(), 1);
    assert!(woken[0] > 4.5 && woken[0] < 4.7, "{woken:?}");
    assert!(longest_pause(&seen, woken[0] - 0.4, woken[0]) <= 0.121);
    let before: Vec<f64> = inferences(&seen)
        .iter()
        .filter(|inference| inference.1 == InferenceReason::BeforeMotion)
        .map(|inference| inference.0)
        .collect();
    assert!(
        before.len() >= 3 && before.iter().all(|&secs| secs >= woken[0] - 0.501 && secs < woken[0]),
        "{before:?}"
    );
    // It stands again from 6.5 s on: a second later the scene is still.
    assert!(longest_pause(&seen, woken[0], 6.5) <= 0.168);
    assert!(
        inferences(&seen).iter().any(|inference| inference.1 == InferenceReason::Still && inference.0 > 8.0)
    );
    let late = inferences(&seen).iter().filter(|inference| inference.0 > 8.5).count();
    assert!(late <= 5, "{late}");
}

#[test]
fn slow_drift_adds_up_and_wakes() {
    let source = Source { fps: 25.0, secs: 30.0, place: |secs| secs * 0.2 };
    let seen = source.run(BY_MOTION, &|_| false);
    assert!(
        inferences(&seen).iter().any(|inference| inference.1 == InferenceReason::MotionStart),
        "{:?}",
        inferences(&seen)
    );
}

#[test]
fn a_schedule_resumed_at_any_frame_infers_the_same_frames() {
    let place = |secs: f64| if (2.7..4.0).contains(&secs) || secs > 7.3 { secs * 2.0 % 10.0 } else { 1.0 };
    let source = Source { fps: 12.5, secs: 10.0, place };
    let near = |secs: f64| (3.0..3.5).contains(&secs);
    let whole = source.run_from(0, Position::default(), BY_MOTION, &near);
    for cut in 0..whole.len() - 1 {
        let stored = serde_json::to_vec(&whole[cut].2).unwrap();
        let position = serde_json::from_slice(&stored).unwrap();
        let rest = source.run_from(cut + 1, position, BY_MOTION, &near);
        let same = |frames: &[(f64, Option<InferenceReason>, Position)]| -> Seen {
            frames.iter().map(|(secs, reason, _)| (*secs, *reason)).collect()
        };
        assert_eq!(same(&rest), same(&whole[cut + 1..]), "after frame {cut}");
    }
}

#[test]
fn pictures_that_wait_are_bounded() {
    let mut scheduler = Scheduler::new(BY_MOTION, Position::default(), 2);
    for number in 0..200 {
        let secs = f64::from(number) / 50.0;
        let moment = FrameTime { secs, next_secs: Some(secs + 0.02) };
        let _decided = scheduler.push((), moment, |()| luma(1.0), || false, |()| {});
        assert!(scheduler.waiting.iter().filter(|frame| frame.is_kept).count() <= 2);
        assert!(scheduler.waiting.len() <= 26);
    }
}

#[test]
fn reasons_have_a_place_each() {
    for (place, reason) in InferenceReason::ALL.iter().enumerate() {
        assert_eq!(*reason as usize, place);
    }
}
