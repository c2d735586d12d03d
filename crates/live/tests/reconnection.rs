//! A camera comes back by itself, in simulated time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use futures::future::BoxFuture;
use pigweight_live::access_unit::{CLOCK_RATE_HZ, Codec, StreamFormat};
use pigweight_live::retry::{GOOD_AFTER, LONGEST, Retries, SHORTEST, SLOW};
use pigweight_live::session::{Connector, Session, SessionUnit};
use pigweight_live::{Camera, CameraState, Failure, Received};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// What one connection does.
#[derive(Clone, Debug)]
enum Plan {
    /// It isn't made.
    Fail(Failure),
    /// Nothing ever answers.
    Hang,
    /// This many frames, 15 a second, then it breaks.
    Break(u32),
    /// This many frames, then silence.
    Freeze(u32),
    /// Frames for ever.
    Good,
}

struct Simulated {
    plans: Mutex<VecDeque<Plan>>,
    attempts: Arc<Mutex<Vec<Instant>>>,
}

struct SimulatedSession {
    plan: Plan,
    sent: u32,
}

impl Connector for Simulated {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Session>, Failure>> {
        Box::pin(async {
            self.attempts.lock().unwrap().push(Instant::now());
            let plan = self.plans.lock().unwrap().pop_front().unwrap_or(Plan::Good);
            match plan {
                Plan::Fail(failure) => Err(failure),
                Plan::Hang => std::future::pending().await,
                plan => Ok(Box::new(SimulatedSession { plan, sent: 0 }) as Box<dyn Session>),
            }
        })
    }

    fn host(&self) -> String {
        "camera".into()
    }
}

impl Session for SimulatedSession {
    fn format(&self) -> StreamFormat {
        StreamFormat { codec: Codec::H264, size: Some((640, 360)), frames_per_sec: None }
    }

    fn next(&mut self) -> BoxFuture<'_, Result<SessionUnit, Failure>> {
        Box::pin(async {
            match self.plan {
                Plan::Break(frames) if self.sent >= frames => {
                    return Err(Failure::Ended { reason: "reset".into() });
                }
                Plan::Freeze(frames) if self.sent >= frames => std::future::pending().await,
                _ => {}
            }
            tokio::time::sleep(Duration::from_secs(1) / 15).await;
            self.sent += 1;
            Ok(SessionUnit {
                data: Arc::from(vec![0; 100]),
                session_ticks: i64::from(self.sent * CLOCK_RATE_HZ / 15),
                is_keyframe: self.sent % 30 == 1,
                is_disposable: false,
                lost_packets: 0,
            })
        })
    }
}

fn simulated(plans: &[Plan]) -> (Camera, Arc<Mutex<Vec<Instant>>>) {
    let attempts = Arc::default();
    let plans = Mutex::new(plans.iter().cloned().collect());
    (Camera::start(Box::new(Simulated { plans, attempts: Arc::clone(&attempts) }), 0.0), attempts)
}

async fn unit(subscription: &mut pigweight_live::Subscription) -> Arc<pigweight_live::AccessUnit> {
    match subscription.next().await {
        Received::Unit(unit) => unit,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_cuts_and_freezes_end_within_ten_seconds_each() {
    let mut plans = Vec::new();
    for _ in 0..50 {
        plans.extend([Plan::Break(40), Plan::Freeze(40)]);
    }
    let (camera, attempts) = simulated(&plans);
    let mut subscription = camera.subscribe();
    let (mut latest, mut gaps) = (None::<Arc<pigweight_live::AccessUnit>>, 0);
    while gaps < 100 {
        let next = unit(&mut subscription).await;
        if let Some(latest) = &latest {
            assert!(next.time_ticks > latest.time_ticks);
            assert_eq!(next.follows_gap, next.epoch != latest.epoch);
            // Silence of 5 s and the longest interval between two attempts.
            assert!(next.time_ticks - latest.time_ticks < 15 * i64::from(CLOCK_RATE_HZ));
        }
        assert!(!next.follows_gap || next.is_keyframe, "a connection begins with a keyframe");
        gaps += u32::from(next.follows_gap);
        latest = Some(next);
    }
    assert_eq!(camera.delivered().connections, 101);
    assert!(attempts.lock().unwrap().windows(2).all(|pair| pair[1] - pair[0] < Duration::from_secs(20)));
    assert!(camera.history().earlier().count() <= 200, "the history is bounded");
    camera.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_camera_is_away_with_its_reason_until_it_is_back() {
    let unreachable = Failure::Unreachable { host: "camera".into(), reason: "no route".into() };
    let (camera, _) = simulated(&[Plan::Fail(unreachable.clone()), Plan::Hang, Plan::Freeze(3)]);
    let away = camera.wait_for(|state| matches!(state, CameraState::Away { .. })).await.unwrap();
    assert!(matches!(away.state, CameraState::Away { failure, .. } if failure == unreachable));
    camera.wait_for(|state| matches!(state, CameraState::Live(_))).await.unwrap();
    camera.wait_for(|state| matches!(state, CameraState::Away { .. })).await.unwrap();
    camera.wait_for(|state| matches!(state, CameraState::Live(_))).await.unwrap();
    let history = camera.history();
    let names = history.earlier().map(|change| match &change.state {
        CameraState::Away { failure, .. } => failure.code(),
        state => state.name(),
    });
    let names: Vec<_> = names.collect();
    assert_eq!(
        names,
        ["connecting", "unreachable", "connecting", "silent", "connecting", "live", "stalled", "connecting"]
    );
    camera.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_tried_at_most_twice_a_minute() {
    let (camera, attempts) = simulated(&vec![Plan::Fail(Failure::WrongPassword); 20]);
    tokio::time::sleep(Duration::from_secs(600)).await;
    let attempts = attempts.lock().unwrap().len();
    assert!((10..=20).contains(&attempts), "{attempts}");
    camera.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_subscriber_begins_at_the_last_keyframe_and_a_slow_one_goes_on_at_the_next() {
    let (camera, _) = simulated(&[]);
    let mut slow = camera.subscribe();
    let first = unit(&mut slow).await;
    assert!(first.is_keyframe);
    // Longer than the queue.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mut new = camera.subscribe();
    let asked = Instant::now();
    let newest_key = unit(&mut new).await;
    assert!(newest_key.is_keyframe && asked.elapsed() == Duration::ZERO, "it doesn't wait for the next one");
    let Received::Lost(lost) = slow.next().await else { panic!("it was too slow") };
    assert!(lost > 500, "{lost}");
    let next = unit(&mut slow).await;
    assert!(next.is_keyframe, "decoding can't go on in the middle");
    camera.stop().await;
    drop(new);
}

#[tokio::test(start_paused = true)]
async fn subscriptions_end_with_their_camera() {
    let (camera, _) = simulated(&[]);
    let mut subscription = camera.subscribe();
    unit(&mut subscription).await;
    camera.stop().await;
    while let Received::Unit(_) = subscription.next().await {}
    assert!(matches!(subscription.next().await, Received::End));
}

#[test]
fn retries_wait_longer_and_begin_anew_after_a_good_connection() {
    let failure = Failure::Stalled { secs: 5 };
    let mut retries = Retries::default();
    let waits: Vec<_> = (0..8).map(|_| retries.after(&failure, Duration::ZERO, 1.0)).collect();
    assert_eq!(waits[0], SHORTEST);
    assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]));
    assert_eq!(waits[7], LONGEST);
    assert_eq!(retries.after(&failure, GOOD_AFTER, 0.0), SHORTEST / 2, "jitter takes up to half");
    assert_eq!(retries.after(&Failure::WrongPassword, Duration::ZERO, 1.0), SLOW);
}
