//! Viewers over networks that lose, delay and reorder, from a seed and in simulated time. The other peer is str0m as well, as a browser would use it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pigweight_live::webrtc::{Datagram, OfferError, Peers, ServerAddresses, Step, VideoCodec, Viewer};
use pigweight_live::{AccessUnit, Codec};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::media::{Direction, KeyframeRequestKind, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

const FRAMES_PER_SEC: u32 = 25;
const GOP: u32 = 100;

/// What lies between the peers.
#[derive(Clone, Copy)]
struct Network {
    loss: f64,
    delay: Duration,
    /// Up to so much more, for each packet by itself: they overtake each other.
    jitter: Duration,
}

const GOOD: Network = Network { loss: 0.0, delay: Duration::from_millis(5), jitter: Duration::ZERO };
const BARN: Network =
    Network { loss: 0.05, delay: Duration::from_millis(20), jitter: Duration::from_millis(30) };

struct Packet {
    to_viewer: bool,
    contents: Vec<u8>,
}

/// A viewer, the browser it serves, and the wires between.
struct Scene {
    now: Instant,
    random: fastrand::Rng,
    network: Network,
    viewer: Viewer,
    browser: Rtc,
    wires: BTreeMap<(Instant, u64), Packet>,
    sent: u64,
    is_cut: bool,
    over: bool,
    keyframe_requests: u32,
    browser_video: Mid,
    /// Frames as the browser received them: RTP time, length, moment.
    shown: Vec<(u32, usize, Instant)>,
}

fn server_address() -> SocketAddr {
    "192.0.2.1:8080".parse().unwrap()
}

fn server_addresses() -> ServerAddresses {
    ServerAddresses { udp: vec![server_address()], tcp: Vec::new() }
}

fn browser_address() -> SocketAddr {
    "192.0.2.7:50000".parse().unwrap()
}

fn browser(now: Instant, h264: bool) -> Rtc {
    let crypto = Arc::new(str0m::crypto::from_feature_flags());
    // Browsers wait for a packet that is sent again; str0m by itself gives up after 30 others.
    let config = RtcConfig::new()
        .set_crypto_provider(crypto)
        .set_reordering_size_video(2000)
        .set_reordering_timeout_video(Some(Duration::from_secs(2)))
        .clear_codecs();
    let config = if h264 { config.enable_h264(true) } else { config.enable_vp8(true) };
    let mut browser = config.build(now);
    browser.add_local_candidate(Candidate::host(browser_address(), "udp").unwrap());
    browser
}

impl Scene {
    fn new(network: Network, seed: u64) -> Self {
        let now = Instant::now();
        let mut browser = browser(now, true);
        let mut changes = browser.sdp_api();
        let mid = changes.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        let (offer, pending) = changes.apply().unwrap();
        let peers = Peers::new().unwrap();
        let (viewer, answer) =
            peers.answer(&offer.to_sdp_string(), VideoCodec::H264, &server_addresses(), now).unwrap();
        assert!(answer.contains("a=ice-lite") && answer.contains("192.0.2.1 8080 typ host"), "{answer}");
        let answer = str0m::change::SdpAnswer::from_sdp_string(&answer).unwrap();
        browser.sdp_api().accept_answer(pending, answer).unwrap();
        Self {
            now,
            random: fastrand::Rng::with_seed(seed),
            network,
            viewer,
            browser,
            wires: BTreeMap::new(),
            sent: 0,
            is_cut: false,
            over: false,
            keyframe_requests: 0,
            browser_video: mid,
            shown: Vec::new(),
        }
    }

    fn send(&mut self, to_viewer: bool, contents: &[u8]) {
        if self.is_cut || self.random.f64() < self.network.loss {
            return;
        }
        let jitter = self.network.jitter.mul_f64(self.random.f64());
        self.sent += 1;
        let at = (self.now + self.network.delay + jitter, self.sent);
        self.wires.insert(at, Packet { to_viewer, contents: contents.to_vec() });
    }

    /// Lets both do what they have to now, and returns when the next one has something to do.
    fn settle(&mut self) -> Instant {
        let mut packets: Vec<Vec<u8>> = Vec::new();
        let viewer_next =
            match self.viewer.poll(self.now, &mut |packet| packets.push(packet.contents.to_vec())) {
                Step::WaitUntil(until) => until,
                Step::Over => {
                    self.over = true;
                    self.now + Duration::from_secs(3600)
                }
            };
        for packet in packets {
            self.send(false, &packet);
        }
        let browser_next = loop {
            if !self.browser.is_alive() {
                break self.now + Duration::from_secs(3600);
            }
            match self.browser.poll_output().unwrap() {
                Output::Timeout(until) => break until,
                Output::Transmit(packet) => self.send(true, &packet.contents),
                Output::Event(Event::MediaData(frame)) => {
                    let ticks = (frame.time.numer() & u64::from(u32::MAX)) as u32;
                    self.shown.push((ticks, frame.data.len(), self.now));
                }
                Output::Event(_) => {}
            }
        };
        viewer_next.min(browser_next)
    }

    fn run_for(&mut self, duration: Duration) {
        let until = self.now + duration;
        loop {
            let next = self.settle().max(self.now + Duration::from_micros(200));
            let arrival = self.wires.keys().next().map(|&(at, _)| at);
            self.now = next.min(arrival.unwrap_or(next)).min(until);
            while let Some(entry) = self.wires.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let Packet { to_viewer, contents } = entry.remove();
                if to_viewer {
                    let datagram = Datagram { is_tcp: false, source: browser_address(), contents: &contents };
                    if !self.over && self.viewer.accepts(self.now, datagram) {
                        self.viewer.receive(self.now, datagram);
                    }
                } else if self.browser.is_alive() {
                    let receive =
                        Receive::new(Protocol::Udp, server_address(), browser_address(), &contents).unwrap();
                    self.browser.handle_input(Input::Receive(self.now, receive)).unwrap();
                }
            }
            if self.browser.is_alive() {
                self.browser.handle_input(Input::Timeout(self.now)).unwrap();
            }
            if self.now >= until {
                self.settle();
                return;
            }
        }
    }

    fn connect(&mut self) {
        for _ in 0..100 {
            if self.viewer.is_connected() {
                return;
            }
            self.run_for(Duration::from_millis(50));
        }
        panic!("not connected in five seconds");
    }

    /// Frames as a camera sends them.
    fn send_frames(&mut self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            self.viewer.push(self.now, frame(number));
            self.run_for(Duration::from_secs(1) / FRAMES_PER_SEC);
            if self.viewer.take_keyframe_request(self.now) {
                self.keyframe_requests += 1;
                for again in number / GOP * GOP..=number {
                    self.viewer.push(self.now, frame(again));
                }
            }
        }
    }
}

fn ticks(number: u32) -> i64 {
    // Near the end of the 32 bits: they wrap on the way.
    i64::from(u32::MAX) - 100_000 + i64::from(number) * 3600
}

fn frame(number: u32) -> Arc<AccessUnit> {
    let is_keyframe = number.is_multiple_of(GOP);
    let mut data = Vec::new();
    if is_keyframe {
        data.extend([
            0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1f, 0xda, 0x01, 0x40, 0x16, 0xe8, 0, 0, 0, 1, 0x68, 0xce, 0x3c,
            0x80,
        ]);
    }
    data.extend([0, 0, 0, 1, if is_keyframe { 0x65 } else { 0x41 }]);
    let length = if is_keyframe { 40_000 } else { 4000 + (number as usize * 37) % 3000 };
    data.extend((0..length).map(|place| (place % 251) as u8 | 1));
    Arc::new(AccessUnit {
        data: data.into(),
        codec: Codec::H264,
        sample_entry: None,
        time_ticks: ticks(number),
        arrived_unix_ms: 0,
        is_keyframe,
        is_disposable: false,
        epoch: 1,
        follows_gap: false,
        lost_packets: 0,
    })
}

/// The numbers of the frames that were shown.
fn numbers(scene: &Scene) -> Vec<u32> {
    let number_of = |shown: u32| (0..2000).find(|&number| ticks(number) as u32 == shown).unwrap();
    scene.shown.iter().map(|&(shown, ..)| number_of(shown)).collect()
}

#[test]
fn every_frame_arrives_in_order_with_the_cameras_time() {
    let mut scene = Scene::new(GOOD, 1);
    scene.connect();
    scene.send_frames(0..250);
    scene.run_for(Duration::from_millis(200));
    assert_eq!(numbers(&scene), (0..250).collect::<Vec<_>>());
}

#[test]
fn what_a_bad_network_loses_is_sent_again() {
    for seed in 0..4 {
        let mut scene = Scene::new(GOOD, seed);
        scene.connect();
        let start = scene.now;
        // The receiver can't notice the loss of the very first packet. It requests a keyframe then, which has its own test.
        scene.send_frames(0..1);
        scene.network = BARN;
        scene.send_frames(1..500);
        scene.run_for(Duration::from_secs(2));
        let shown = numbers(&scene);
        assert!(shown.is_sorted(), "seed {seed}");
        assert!(shown.len() >= 495, "seed {seed}: {} of 500 frames", shown.len());
        let mut delays: Vec<Duration> = scene
            .shown
            .iter()
            .zip(&shown)
            .map(|(&(_, _, at), &number)| at - (start + Duration::from_secs(1) / FRAMES_PER_SEC * number))
            .collect();
        delays.sort();
        // A packet that is lost takes a round trip of 50 to 80 ms more, and a second time if it is lost again.
        assert!(delays[delays.len() * 95 / 100] < Duration::from_millis(400), "seed {seed}: {delays:?}");
        assert!(*delays.last().unwrap() < Duration::from_secs(2), "seed {seed}");
    }
}

#[test]
fn a_new_viewer_gets_the_frames_since_the_last_keyframe_at_once() {
    let mut scene = Scene::new(GOOD, 2);
    scene.connect();
    let begun = scene.now;
    for number in 0..GOP - 1 {
        scene.viewer.push(scene.now, frame(number));
    }
    scene.run_for(Duration::from_secs(1));
    assert_eq!(numbers(&scene), (0..GOP - 1).collect::<Vec<_>>());
    let took = scene.shown.last().unwrap().2 - begun;
    // Not in one burst either: half a megabyte at 60 Mbit/s.
    assert!((Duration::from_millis(40)..Duration::from_millis(150)).contains(&took), "{took:?}");
}

#[test]
fn after_lost_units_it_goes_on_at_a_keyframe() {
    let mut scene = Scene::new(GOOD, 3);
    scene.connect();
    scene.send_frames(0..30);
    scene.viewer.lose();
    scene.send_frames(40..130);
    scene.run_for(Duration::from_millis(200));
    assert_eq!(numbers(&scene), (0..30).chain(100..130).collect::<Vec<_>>());
}

#[test]
fn who_missed_the_keyframe_asks_and_gets_it_again() {
    let mut scene = Scene::new(GOOD, 9);
    scene.connect();
    scene.is_cut = true;
    scene.send_frames(0..10);
    scene.is_cut = false;
    scene.send_frames(10..20);
    let ask = |scene: &mut Scene| {
        let mid = scene.browser_video;
        let mut api = scene.browser.direct_api();
        api.stream_rx_by_mid(mid, None).unwrap().request_keyframe(KeyframeRequestKind::Pli);
    };
    for number in 20..25 {
        ask(&mut scene);
        scene.send_frames(number..number + 1);
    }
    assert_eq!(scene.keyframe_requests, 1, "asking again within a second changes nothing");
    scene.run_for(Duration::from_secs(4));
    let shown = numbers(&scene);
    assert!(shown.ends_with(&(0..25).collect::<Vec<_>>()), "{shown:?}");
}

#[test]
fn a_viewer_that_fell_behind_is_brought_forward_and_does_not_drift() {
    let mut scene = Scene::new(GOOD, 4);
    scene.connect();
    // More than goes through: each frame as large as a second of the line.
    let large = |number: u32| {
        let unit = (*frame(number)).clone();
        Arc::new(AccessUnit { data: [&unit.data[..], &vec![7; 2_000_000]].concat().into(), ..unit })
    };
    for number in 0..400 {
        scene.viewer.push(scene.now, large(number));
        scene.run_for(Duration::from_millis(40));
    }
    let last_sent = scene.now;
    scene.run_for(Duration::from_secs(10));
    let newest = scene.shown.iter().map(|&(_, _, at)| at).max().unwrap();
    assert!(newest < last_sent + Duration::from_secs(3), "{:?} late", newest - last_sent);
    assert!(numbers(&scene).contains(&300), "it went on at a keyframe");
}

#[test]
fn frames_that_go_back_in_time_are_left_out_or_end_it() {
    let at =
        |number: u32, is_disposable: bool| Arc::new(AccessUnit { is_disposable, ..(*frame(number)).clone() });
    let mut scene = Scene::new(GOOD, 5);
    scene.connect();
    for (number, is_disposable) in [(0, false), (2, false), (1, true), (4, false), (3, true), (5, false)] {
        scene.viewer.push(scene.now, at(number, is_disposable));
        scene.run_for(Duration::from_millis(40));
    }
    assert_eq!(numbers(&scene), [0, 2, 4, 5]);
    scene.viewer.push(scene.now, at(3, false));
    scene.run_for(Duration::from_millis(40));
    assert!(scene.over, "frames refer to it, so that none after it can be decoded");
}

#[test]
fn what_no_browser_decodes_ends_it() {
    let mut scene = Scene::new(GOOD, 6);
    scene.connect();
    scene.viewer.push(scene.now, Arc::new(AccessUnit { codec: Codec::H265, ..(*frame(0)).clone() }));
    scene.run_for(Duration::from_millis(40));
    assert!(scene.over);
}

#[test]
fn a_viewer_that_never_connects_or_is_gone_is_given_up() {
    let mut scene = Scene::new(GOOD, 7);
    scene.is_cut = true;
    scene.run_for(Duration::from_secs(14));
    assert!(!scene.over);
    scene.run_for(Duration::from_secs(2));
    assert!(scene.over);

    let mut scene = Scene::new(GOOD, 8);
    scene.connect();
    scene.send_frames(0..25);
    scene.is_cut = true;
    scene.run_for(Duration::from_secs(40));
    assert!(scene.over, "a browser that was switched off");
}

#[test]
fn a_viewer_whose_camera_ends_is_over_and_its_browser_knows() {
    let mut scene = Scene::new(GOOD, 10);
    scene.connect();
    scene.send_frames(0..25);
    scene.viewer.end();
    scene.run_for(Duration::from_millis(100));
    assert!(scene.over && !scene.browser.is_alive());
    // Also where the browser went first, and nothing is pushed any more.
    let mut scene = Scene::new(GOOD, 11);
    scene.connect();
    scene.browser.close().unwrap();
    scene.run_for(Duration::from_secs(1));
    assert!(scene.over);
}

#[test]
fn offers_that_cannot_be_served_are_refused() {
    let now = Instant::now();
    let peers = Peers::new().unwrap();
    let offer_of = |mut browser: Rtc, direction| {
        let mut changes = browser.sdp_api();
        changes.add_media(MediaKind::Video, direction, None, None, None);
        changes.apply().unwrap().0.to_sdp_string()
    };
    let refusal =
        |sdp: &str| peers.answer(sdp, VideoCodec::H264, &server_addresses(), now).map(drop).unwrap_err();
    assert_eq!(refusal(&offer_of(browser(now, false), Direction::RecvOnly)), OfferError::NoCommonCodec);
    assert_eq!(refusal(&offer_of(browser(now, true), Direction::SendOnly)), OfferError::NoVideo);
    assert_eq!(refusal("hello"), OfferError::NoVideo);
    let good = offer_of(browser(now, true), Direction::RecvOnly);
    for (from, to) in [("a=fingerprint", "a=no"), ("a=ice-pwd", "a=no"), ("v=0", "v=x")] {
        let refused = peers.answer(&good.replace(from, to), VideoCodec::H264, &server_addresses(), now);
        assert!(matches!(refused, Err(OfferError::NotSdp(_))), "without {from}: {:?}", refused.map(drop));
    }
}
