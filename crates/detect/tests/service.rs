//! Order of service: urgency first, then turns; cancelled pictures aren't inferred; queues are bounded.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crossbeam_channel::{Receiver, Sender, bounded};
use pigweight_core::picture::{PictureView, Plane, Planes, Viewable};
use pigweight_detect::service::{Completed, Inference, Urgency};
use pigweight_detect::{Error, Model, ModelSettings, ModelSource};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const SIDE: u32 = 64;

/// A grey picture with a name.
struct Grey(&'static str, Vec<u8>);

impl Grey {
    fn named(name: &'static str) -> Self {
        Self(name, vec![128; (SIDE * SIDE * 3) as usize])
    }
}

impl Viewable for Grey {
    fn view(&self) -> PictureView<'_> {
        let planes = Planes::Rgb(Plane { samples: &self.1, stride: SIDE as usize * 3 });
        PictureView { width: SIDE, height: SIDE, planes }
    }
}

fn inference(sessions: usize) -> Inference {
    // ONNX Runtime lies in `.tools` there, wherever cargo builds.
    std::env::set_current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap();
    let model = Model::load(ModelSettings::new(ModelSource::BuiltIn)).unwrap();
    Inference::start(model, sessions, None).unwrap()
}

/// Keeps the only session busy until the sender is used or dropped.
fn occupy(inference: &Inference) -> Sender<()> {
    let (begun, has_begun) = bounded(1);
    let (go, wait) = bounded::<()>(1);
    let client = inference.client(Urgency::Background, 1);
    assert!(client.submit(Grey::named("first"), move |_| {
        begun.send(()).unwrap();
        let _released = wait.recv();
    }));
    has_begun.recv().unwrap();
    go
}

fn names(order: &Receiver<&'static str>, count: usize) -> Vec<&'static str> {
    (0..count).map(|_| order.recv_timeout(Duration::from_secs(60)).unwrap()).collect()
}

#[test]
fn the_urgent_come_first_and_equals_take_turns() {
    let inference = inference(1);
    let go = occupy(&inference);
    let (sender, order) = bounded(16);
    let send_to = |sender: &Sender<&'static str>| {
        let sender = sender.clone();
        move |served: Completed<Grey>| {
            assert!(served.found.is_ok());
            sender.send(served.picture.0).unwrap();
        }
    };
    let long = inference.client(Urgency::Background, 8);
    let other = inference.client(Urgency::Background, 8);
    let camera = inference.client(Urgency::Live, 8);
    let viewer = inference.client(Urgency::Viewer, 8);
    for name in ["long 1", "long 2", "long 3"] {
        assert!(long.submit(Grey::named(name), send_to(&sender)));
    }
    for name in ["other 1", "other 2"] {
        assert!(other.submit(Grey::named(name), send_to(&sender)));
    }
    assert!(camera.submit(Grey::named("camera"), send_to(&sender)));
    assert!(viewer.submit(Grey::named("viewer"), send_to(&sender)));
    assert_eq!(inference.waiting().map(|(_, waiting)| waiting), [1, 1, 5]);
    drop(go);
    let expected = ["viewer", "camera", "long 1", "other 1", "long 2", "other 2", "long 3"];
    assert_eq!(names(&order, 7), expected);
    assert_eq!(inference.waiting().map(|(_, waiting)| waiting), [0, 0, 0]);
}

#[test]
fn a_model_that_always_returns_the_maximum_is_reported() {
    // Without a threshold every cell is a box.
    std::env::set_current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap();
    let source = ModelSource::File("fixtures/models/yolov5.onnx".into());
    let settings = ModelSettings { min_score: 0.0, max_iou: 1.0, ..ModelSettings::new(source) };
    let inference = Inference::start(Model::load(settings).unwrap(), 1, None).unwrap();
    let client = inference.client(Urgency::Background, 64);
    let (sender, found) = bounded(64);
    for place in 0..50 {
        assert_eq!(inference.model_warning(), None, "after {place}");
        let sender = sender.clone();
        assert!(client.submit(Grey::named("any"), move |served: Completed<Grey>| {
            sender.send(served.found.unwrap()).unwrap();
        }));
        assert!(found.recv().unwrap().len() > 270);
    }
    assert!(
        inference
            .model_warning()
            .is_some_and(|doubt| doubt.contains("yolov5.onnx") && doubt.contains("up to 300 boxes"))
    );
}

#[test]
fn an_abandoned_request_leaves_the_queue() {
    let inference = inference(1);
    let go = occupy(&inference);
    let (sender, order) = bounded::<&'static str>(16);
    let given_up = inference.client(Urgency::Viewer, 8);
    let send_to =
        |sender: Sender<&'static str>| move |served: Completed<Grey>| sender.send(served.picture.0).unwrap();
    assert!(given_up.submit(Grey::named("given up"), send_to(sender.clone())));
    let stays = inference.client(Urgency::Background, 8);
    assert!(stays.submit(Grey::named("stays"), send_to(sender)));
    drop(given_up);
    assert_eq!(inference.waiting().map(|(_, waiting)| waiting), [0, 0, 1]);
    drop(go);
    // Ends when the last sender is dropped.
    assert_eq!(order.iter().collect::<Vec<_>>(), ["stays"]);
}

#[test]
fn a_full_queue_blocks_only_its_own_client() {
    let inference = inference(1);
    let go = occupy(&inference);
    let full = inference.client(Urgency::Background, 1);
    let (sender, order) = bounded(16);
    std::thread::scope(|scope| {
        let (asked, has_asked) = bounded(4);
        let (owner_sender, full) = (sender.clone(), &full);
        scope.spawn(move || {
            for name in ["one", "two", "three"] {
                let sender = owner_sender.clone();
                assert!(full.submit(Grey::named(name), move |served: Completed<Grey>| {
                    sender.send(served.picture.0).unwrap();
                }));
                asked.send(name).unwrap();
            }
        });
        assert_eq!(has_asked.recv().unwrap(), "one");
        // Another one has its own queue.
        let other = inference.client(Urgency::Background, 1);
        let sender = sender.clone();
        assert!(other.submit(Grey::named("other"), move |served: Completed<Grey>| {
            sender.send(served.picture.0).unwrap();
        }));
        assert_eq!(inference.waiting()[2].1, 2);
        assert!(has_asked.is_empty(), "the second waits");
        drop(go);
        let mut seen = names(&order, 4);
        seen.sort_unstable();
        assert_eq!(seen, ["one", "other", "three", "two"]);
    });
}

#[test]
fn an_offered_picture_never_waits_and_the_newest_wins() {
    let inference = inference(1);
    let go = occupy(&inference);
    let camera = inference.client(Urgency::Live, 1);
    let (sender, outcomes) = bounded(16);
    for name in ["first", "second", "newest"] {
        let sender = sender.clone();
        // The only session is busy: an offer that waited would never return.
        assert!(camera.offer(Grey::named(name), move |completed: Completed<Grey>| {
            let is_passed_over = matches!(completed.found, Err(Error::PassedOver));
            sender.send((completed.picture.0, is_passed_over)).unwrap();
        }));
    }
    drop(go);
    drop(sender);
    let outcomes: Vec<_> = outcomes.iter().collect();
    assert_eq!(outcomes, [("first", true), ("second", true), ("newest", false)]);
    drop(inference);
}

#[test]
fn sessions_work_side_by_side_and_find_the_same() {
    let inference = inference(2);
    let client = inference.client(Urgency::Background, 4);
    let (sender, found) = bounded(32);
    for _ in 0..20 {
        let sender = sender.clone();
        assert!(client.submit(Grey::named("same"), move |served: Completed<Grey>| {
            sender.send(served.found.unwrap()).unwrap();
        }));
    }
    drop(sender);
    let found: Vec<_> = found.iter().collect();
    assert_eq!(found.len(), 20);
    assert!(found.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn interactive_requests_overtake_background_ones() {
    static GAVE_WAY: AtomicUsize = AtomicUsize::new(0);
    std::env::set_current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap();
    let model = Model::load(ModelSettings::new(ModelSource::BuiltIn)).unwrap();
    let give_way: fn() = || {
        GAVE_WAY.fetch_add(1, Ordering::SeqCst);
    };
    let inference = Inference::start(model, 1, Some(give_way)).unwrap();
    // The background's thread does not come back from this.
    let go = occupy(&inference);
    assert_eq!(GAVE_WAY.load(Ordering::SeqCst), 1, "the background's thread alone gives way");
    let (sender, order) = bounded(16);
    let ask = |urgency, name| {
        let (client, sender) = (inference.client(urgency, 1), sender.clone());
        assert!(client.submit(Grey::named(name), move |served: Completed<Grey>| {
            sender.send(served.picture.0).unwrap();
        }));
        client
    };
    let _waits = ask(Urgency::Background, "background");
    let _camera = ask(Urgency::Live, "camera");
    assert_eq!(names(&order, 1), ["camera"]);
    let _viewer = ask(Urgency::Viewer, "viewer");
    assert_eq!(names(&order, 1), ["viewer"]);
    assert_eq!(inference.waiting().map(|(_, waiting)| waiting), [0, 0, 1]);
    drop(go);
    assert_eq!(names(&order, 1), ["background"]);
}
