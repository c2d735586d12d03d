//! A server that listens at every address of its machine answers from the one that was asked: a viewer takes nothing from another.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pigweight_live::webrtc::{Requester, VideoCodec, WebRtc, WebRtcSettings};
use pigweight_live::{AccessUnit, Codec, Publisher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::change::SdpAnswer;
use str0m::media::{Direction, MediaKind};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};
use tokio::net::UdpSocket;

fn keyframe() -> AccessUnit {
    let parameters =
        [0x67, 0x42, 0xc0, 0x1f, 0xda, 0x01, 0x40, 0x16, 0xe8, 0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80];
    let data = [&[0, 0, 0, 1][..], &parameters, &[0, 0, 0, 1, 0x65], &[7; 9000]].concat();
    AccessUnit {
        data: data.into(),
        codec: Codec::H264,
        sample_entry: None,
        time_ticks: 9000,
        arrived_unix_ms: 0,
        is_keyframe: true,
        is_disposable: false,
        epoch: 1,
        follows_gap: false,
        lost_packets: 0,
    }
}

/// Whether a viewer that reaches the server at this address is shown a frame.
async fn is_served(listen: &str, reached_at: Ipv4Addr) -> bool {
    let settings = WebRtcSettings { listen: listen.parse().unwrap(), tcp: None, addresses: Vec::new() };
    let webrtc = WebRtc::start(settings).await.unwrap();
    let camera = Publisher::new();
    camera.send(keyframe());
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let own = socket.local_addr().unwrap();
    let crypto = Arc::new(str0m::crypto::from_feature_flags());
    let config = RtcConfig::new().set_crypto_provider(crypto).clear_codecs().enable_h264(true);
    let mut browser: Rtc = config.build(Instant::now());
    browser.add_local_candidate(Candidate::host(own, "udp").unwrap());
    let mut changes = browser.sdp_api();
    changes.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
    let (offer, pending) = changes.apply().unwrap();
    let requester = Requester { address: own.ip(), reached_at: IpAddr::V4(reached_at) };
    let camera = ("gate", camera.subscriber());
    let answer = webrtc.answer(&offer.to_sdp_string(), VideoCodec::H264, camera, requester).await.unwrap();
    let told = answer.sdp.lines().find_map(|line| line.strip_prefix("a=candidate:")).unwrap().to_owned();
    let port: u16 = told.split(' ').nth(5).unwrap().parse().unwrap();
    browser.sdp_api().accept_answer(pending, SdpAnswer::from_sdp_string(&answer.sdp).unwrap()).unwrap();
    // The system gives it only what comes from there.
    let server = SocketAddr::new(reached_at.into(), port);
    socket.connect(server).await.unwrap();
    let mut buffer = vec![0; 2048];
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(8) {
        let until = loop {
            match browser.poll_output().unwrap() {
                Output::Timeout(until) => break until,
                Output::Transmit(packet) => {
                    let _refused = socket.send(&packet.contents).await;
                }
                Output::Event(Event::MediaData(_)) => return true,
                Output::Event(_) => {}
            }
        };
        tokio::select! {
            received = socket.recv(&mut buffer) => if let Ok(length) = received {
                let receive = Receive::new(Protocol::Udp, server, own, &buffer[..length]).unwrap();
                browser.handle_input(Input::Receive(Instant::now(), receive)).unwrap();
            },
            () = tokio::time::sleep_until(until.into()) => {}
        }
        browser.handle_input(Input::Timeout(Instant::now())).unwrap();
    }
    false
}

#[tokio::test]
async fn each_viewer_is_answered_from_the_address_that_it_asked() {
    for listen in ["0.0.0.0:0", "127.0.0.2:0"] {
        assert!(is_served(listen, Ipv4Addr::new(127, 0, 0, 2)).await, "{listen}");
    }
    assert!(is_served("0.0.0.0:0", Ipv4Addr::LOCALHOST).await);
    if UdpSocket::bind("[::]:0").await.is_ok() {
        assert!(is_served("[::]:0", Ipv4Addr::new(127, 0, 0, 2)).await, "both kinds of addresses");
    }
}
