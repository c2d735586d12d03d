//! Inference servers that are good, slow, wrong, gone, or of another model; nothing is lost, and what is wrong is said.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fake;

use crossbeam_channel::bounded;
use fake::{Fake, Fault, Manner, SIDE};
use pigweight_core::detection::Detection;
use pigweight_core::picture::{PictureView, Plane, Planes, Viewable};
use pigweight_detect::service::{Completed, Inference, Urgency};
use pigweight_detect::{
    Detector, Device, DeviceChoice, DeviceSettings, Error, Fallback, Model, ModelSettings, ModelSource,
    RemoteSettings, Result,
};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(300);

fn settings(servers: &[&Fake], change: impl FnOnce(&mut RemoteSettings)) -> ModelSettings {
    let mut remote = RemoteSettings {
        endpoints: servers.iter().map(|server| server.url()).collect(),
        model: "pigs".into(),
        timeout: LONG,
        patience: LONG,
        ..RemoteSettings::default()
    };
    change(&mut remote);
    let device = DeviceSettings { choice: DeviceChoice::Remote, remote, ..DeviceSettings::default() };
    ModelSettings { device, ..ModelSettings::new(ModelSource::BuiltIn) }
}

fn load(servers: &[&Fake], change: impl FnOnce(&mut RemoteSettings)) -> Result<Model> {
    Model::load(settings(servers, change))
}

/// A picture as large as the model's input, so that nothing is sampled anew.
struct Square(Vec<u8>);

impl Square {
    fn new() -> Self {
        Self((0..SIDE * SIDE * 3).map(|place| (place * 7 % 256) as u8).collect())
    }
}

impl Viewable for Square {
    fn view(&self) -> PictureView<'_> {
        let planes = Planes::Rgb(Plane { samples: &self.0, stride: SIDE * 3 });
        PictureView { width: SIDE as u32, height: SIDE as u32, planes }
    }
}

fn look(detector: &mut Detector) -> Result<Vec<Detection>> {
    detector.detect(&Square::new().view())
}

fn assert_is_the_box(found: &[Detection]) {
    let [found] = found else { panic!("{found:?}") };
    let rect = found.rect;
    assert_eq!((rect.x, rect.y, rect.width, rect.height), (22.0, 19.0, 20.0, 10.0));
    assert_eq!(found.score, 0.75);
}

fn trouble_of(model: &Model, server: &Fake) -> Option<String> {
    let endpoints = model.device().endpoints;
    endpoints.into_iter().find(|endpoint| endpoint.url == server.url()).unwrap().trouble
}

#[test]
fn a_servers_boxes_are_read_like_a_files() {
    let server = Fake::start(Manner::default());
    let model = load(&[&server], |_| {}).unwrap();
    assert_eq!((model.info().input_width, model.info().classes.len()), (SIDE, 1));
    assert_eq!(model.info().head.name(), "yolov8");
    let report = model.device();
    assert_eq!((report.device, report.trouble, report.batch), (Device::Remote, None, 1));
    assert_eq!(model.place(), format!("pigs, version 1 at {}", server.url()));
    assert_is_the_box(&look(&mut model.detector()).unwrap());
}

#[test]
fn a_model_that_takes_bytes_gets_the_pictures_own() {
    let server = Fake::start(Manner { takes_bytes: true, ..Manner::default() });
    let model = load(&[&server], |_| {}).unwrap();
    assert_is_the_box(&look(&mut model.detector()).unwrap());
    assert_eq!(server.last(), Square::new().0);
}

#[test]
fn the_model_identity_includes_version_and_server_metadata() {
    let hash = |manner: Manner| {
        let server = Fake::start(manner);
        load(&[&server], |_| {}).unwrap().info().hash.clone()
    };
    let usual = hash(Manner::default());
    assert_eq!(usual, hash(Manner::default()), "wherever it is served");
    assert_ne!(usual, hash(Manner { version: "2".into(), ..Manner::default() }));
    assert_ne!(usual, hash(Manner { takes_bytes: true, ..Manner::default() }));
}

#[test]
fn every_fault_leaves_a_server_out_and_loses_no_picture() {
    for (fault, words) in [
        (Fault::Shape, "promised was"),
        (Fault::Short, "419 numbers"),
        (Fault::Unnamed, "lacks the output output0"),
        (Fault::Error, "Traceback: File \"model.py\" out of memory"),
        (Fault::Silent, "no answer within 0.5 s"),
    ] {
        let (bad, good) = (Fake::start(Manner::default()), Fake::start(Manner::default()));
        let model = load(&[&bad, &good], |remote| remote.timeout = Duration::from_millis(500)).unwrap();
        bad.change(|manner| manner.fault = fault);
        let mut detector = model.detector();
        for _ in 0..4 {
            assert_is_the_box(&look(&mut detector).unwrap());
        }
        let message = trouble_of(&model, &bad).unwrap_or_else(|| panic!("{fault:?} was not noticed"));
        assert!(message.contains(words) && !message.contains('\n'), "{fault:?}: {message}");
        assert_eq!(trouble_of(&model, &good), None);
        assert_eq!(model.device().trouble, None, "somebody looks");
    }
}

#[test]
fn work_waits_for_a_lost_server_and_continues_when_it_returns() {
    let mut server = Fake::start(Manner::default());
    let model = load(&[&server], |_| {}).unwrap();
    let mut detector = model.detector();
    assert_is_the_box(&look(&mut detector).unwrap());
    server.stop();
    let (sender, found) = bounded(1);
    std::thread::spawn(move || sender.send(look(&mut detector)).unwrap());
    server.start_again();
    assert_is_the_box(&found.recv_timeout(LONG).unwrap().unwrap());
    assert_eq!(model.device().trouble, None);
}

#[test]
fn a_timeout_ends_the_wait_and_names_the_missing_server() {
    let mut server = Fake::start(Manner::default());
    let model = load(&[&server], |remote| remote.patience = Duration::from_millis(100)).unwrap();
    let mut detector = model.detector();
    server.stop();
    let error = look(&mut detector).unwrap_err();
    assert!(error.is_passing() && matches!(error, Error::RemoteGone { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains(&server.url()) && message.contains("detect.remote.fallback"), "{message}");
    assert!(model.device().trouble.is_some_and(|trouble| trouble.contains(&server.url())));
}

#[test]
fn a_server_that_is_not_there_at_the_start_is_named() {
    let mut server = Fake::start(Manner::default());
    server.stop();
    let error = load(&[&server], |_| {}).err().unwrap().to_string();
    assert!(error.contains(&server.url()) && error.contains("start one"), "{error}");
    for (endpoint, words) in
        [("server:8001", "write http://server:8001"), ("http://", "no inference server's address")]
    {
        let error =
            load(&[], |remote| remote.endpoints = vec![endpoint.to_owned()]).err().unwrap().to_string();
        assert!(error.contains(words) && error.contains("docs/reference/config.md"), "{error}");
    }
    let error = load(&[], |_| {}).err().unwrap().to_string();
    assert!(error.contains("detect.remote.endpoints"), "{error}");
}

#[test]
fn a_port_for_http_is_told_from_one_for_grpc() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", port.local_addr().unwrap());
    std::thread::spawn(move || {
        for caller in port.incoming() {
            let mut caller = caller.unwrap();
            // What is asked, and whether the answer is read, is the caller's affair.
            let _read = caller.read(&mut [0; 4096]);
            let _written = caller.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let error = load(&[], |remote| remote.endpoints = vec![url.clone()]).err().unwrap();
    let message = error.to_string();
    assert!(matches!(error, Error::RemoteGone { .. }), "it may be started anew with gRPC: {message}");
    for words in [url.as_str(), "does not speak gRPC", "8001 (Triton)", "8081 (MLServer)"] {
        assert!(message.contains(words) && !message.contains('\n'), "{words} is missing in {message}");
    }
}

#[test]
fn another_model_version_is_not_mixed_into_a_running_analysis() {
    let server = Fake::start(Manner::default());
    let model = load(&[&server], |remote| remote.patience = Duration::ZERO).unwrap();
    let mut detector = model.detector();
    assert_is_the_box(&look(&mut detector).unwrap());
    server.change(|manner| manner.version = "2".into());
    let error = look(&mut detector).unwrap_err();
    assert!(error.is_passing() && matches!(error, Error::RemoteChanged { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("\"2\"") && message.contains("at the start it was \"1\""), "{message}");
}

#[test]
fn the_same_version_with_other_numbers_is_another_model() {
    let (first, second) =
        (Fake::start(Manner::default()), Fake::start(Manner { score: 0.05, ..Manner::default() }));
    let model = load(&[&first, &second], |_| {}).unwrap();
    let message = trouble_of(&model, &second).unwrap();
    assert!(message.contains("other numbers for the same picture"), "{message}");
    let mut detector = model.detector();
    for _ in 0..4 {
        assert_is_the_box(&look(&mut detector).unwrap());
    }
}

#[test]
fn numbers_that_are_none_are_not_an_empty_pen() {
    let server = Fake::start(Manner::default());
    let model = load(&[&server], |_| {}).unwrap();
    server.change(|manner| manner.fault = Fault::NotFinite);
    let error = look(&mut model.detector()).unwrap_err();
    assert!(matches!(error, Error::NotFinite { rows: 84, .. }) && !error.is_passing(), "{error}");
}

#[test]
fn requests_under_way_have_a_bound_and_hide_the_latency() {
    let server = Fake::start(Manner::default());
    let model = load(&[&server], |remote| remote.in_flight = 3).unwrap();
    assert_eq!(model.sessions(1), 3);
    let inference = Inference::start(model, 1, None).unwrap();
    // Answers come only when three questions are there at once.
    server.change(|manner| manner.together = 3);
    let client = inference.client(Urgency::Background, inference.default_queue_depth());
    let (sender, found) = bounded(64);
    for _ in 0..24 {
        let sender = sender.clone();
        assert!(client.submit(Square::new(), move |served: Completed<Square>| {
            sender.send(served.found.unwrap()).unwrap();
        }));
    }
    drop(sender);
    let found: Vec<_> = found.iter().collect();
    assert_eq!(found.len(), 24);
    found.iter().for_each(|found| assert_is_the_box(found));
    assert_eq!(server.most_under_way(), 3);
}

#[test]
fn waiting_pictures_are_inferred_as_a_batch_if_the_model_allows_it() {
    let server = Fake::start(Manner { pictures: -1, ..Manner::default() });
    let model = load(&[&server], |remote| remote.in_flight = 1).unwrap();
    assert_eq!(model.device().batch, 4);
    let inference = Inference::start(model, 1, None).unwrap();
    // The only session is held up with the first picture until the others wait.
    server.change(|manner| manner.fault = Fault::Silent);
    let client = inference.client(Urgency::Viewer, 16);
    let (sender, found) = bounded(64);
    let ask = |client: &pigweight_detect::service::Client| {
        let sender = sender.clone();
        assert!(client.submit(Square::new(), move |served: Completed<Square>| {
            sender.send((served.at_once, served.device, served.found)).unwrap();
        }));
    };
    ask(&client);
    server.wait_for_questions(1);
    for _ in 0..8 {
        ask(&client);
    }
    server.change(|manner| manner.fault = Fault::None);
    drop(sender);
    let mut server = server;
    server.stop();
    server.start_again();
    let found: Vec<_> = found.iter().collect();
    assert_eq!(found.iter().map(|found| found.0).collect::<Vec<_>>(), [1, 4, 4, 4, 4, 4, 4, 4, 4]);
    for (_, device, found) in found {
        assert_eq!(device, Some(Device::Remote));
        assert_is_the_box(&found.unwrap());
    }
    assert_eq!(server.at_once(), [1, 4]);
}

#[test]
fn local_inference_does_not_replace_a_server_with_another_model() {
    // ONNX Runtime lies in `.tools` there, wherever cargo builds.
    std::env::set_current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap();
    let mut server = Fake::start(Manner::default());
    let error = load(&[&server], |remote| remote.fallback = Fallback::Local).err().unwrap().to_string();
    assert!(error.contains("64 × 64 px, this machine's own 640 × 384"), "{error}");
    // No server: this machine runs the detector, and says so.
    server.stop();
    let model = load(&[&server], |remote| remote.fallback = Fallback::Local).unwrap();
    let report = model.device();
    assert_eq!(report.device, Device::Cpu);
    let trouble = report.trouble.unwrap();
    assert!(
        trouble.contains(&server.url()) && trouble.contains("this machine runs the detector (cpu)"),
        "{trouble}"
    );
    assert_eq!(model.info().hash, Model::load(ModelSettings::new(ModelSource::BuiltIn)).unwrap().info().hash);
    let picture = Square::new();
    let (_, device) = model.detector().detect_batch(&[picture.view()]).unwrap();
    assert_eq!(device, Device::Cpu);
}

#[test]
fn tls_is_checked_against_ones_own_authority() {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (own.cert.pem(), own.signing_key.serialize_pem());
    let server = Fake::start_with(Manner::default(), Some((certificate.clone(), key)));
    let folder = std::env::temp_dir().join(format!("pigweight-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let ca_file = folder.join("ca.pem");
    std::fs::write(&ca_file, certificate).unwrap();
    let model = load(&[&server], |remote| remote.ca_file = Some(ca_file.clone())).unwrap();
    assert_is_the_box(&look(&mut model.detector()).unwrap());
    // Nobody else vouches for it.
    let error = load(&[&server], |_| {}).err().unwrap().to_string();
    assert!(error.to_lowercase().contains("certificate"), "{error}");
    let error =
        load(&[&server], |remote| remote.ca_file = Some("nowhere.pem".into())).err().unwrap().to_string();
    assert!(error.contains("nowhere.pem"), "{error}");
    std::fs::remove_dir_all(folder).unwrap();
}
