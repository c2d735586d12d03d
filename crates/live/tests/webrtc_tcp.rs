//! Viewers over TCP, with real sockets: one that shares no network path with UDP gets every frame, one that doesn't read holds up nobody, and
//! whoever opens connections for nothing keeps nobody out.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pigweight_live::webrtc::{Requester, TcpEntrance, VideoCodec, WebRtc, WebRtcSettings};
use pigweight_live::{AccessUnit, Codec, Publisher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::change::SdpAnswer;
use str0m::media::{Direction, MediaKind};
use str0m::net::{Protocol, Receive, TcpType};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const GOP: u32 = 50;
const PATIENCE: Duration = Duration::from_secs(20);

/// A server whose TCP port is its own here; in the program it is the page's.
async fn start() -> (WebRtc, SocketAddr) {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let settings = WebRtcSettings { listen: (HERE, 0).into(), tcp: Some(address), addresses: Vec::new() };
    let webrtc = WebRtc::start(settings).await.unwrap();
    let entrance = webrtc.tcp_entrance();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            entrance.take(stream);
        }
    });
    (webrtc, address)
}

fn frame(number: u32, bytes: usize) -> AccessUnit {
    let is_keyframe = number.is_multiple_of(GOP);
    let mut data = Vec::new();
    if is_keyframe {
        let parameters =
            [0x67, 0x42, 0xc0, 0x1f, 0xda, 0x01, 0x40, 0x16, 0xe8, 0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80];
        data.extend([0, 0, 0, 1]);
        data.extend(parameters);
    }
    data.extend([0, 0, 0, 1, if is_keyframe { 0x65 } else { 0x41 }]);
    data.extend((0..bytes).map(|place| (place % 251) as u8 | 1));
    AccessUnit {
        data: data.into(),
        codec: Codec::H264,
        sample_entry: None,
        time_ticks: i64::from(number) * 3600,
        arrived_unix_ms: 0,
        is_keyframe,
        is_disposable: false,
        epoch: 1,
        follows_gap: false,
        lost_packets: 0,
    }
}

/// A browser without UDP.
struct Browser {
    rtc: Rtc,
    stream: TcpStream,
    received: Vec<u8>,
    /// RTP times of the frames.
    shown: Vec<u32>,
}

impl Browser {
    async fn connect(webrtc: &WebRtc, tcp: SocketAddr, camera: &Publisher) -> Self {
        let now = Instant::now();
        let crypto = Arc::new(str0m::crypto::from_feature_flags());
        let mut rtc =
            RtcConfig::new().set_crypto_provider(crypto).clear_codecs().enable_h264(true).build(now);
        let stream = TcpStream::connect(tcp).await.unwrap();
        let own = stream.local_addr().unwrap();
        rtc.add_local_candidate(
            Candidate::builder().tcp().host(own).tcptype(TcpType::Active).build().unwrap(),
        );
        let mut changes = rtc.sdp_api();
        changes.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        let (offer, pending) = changes.apply().unwrap();
        let requester = Requester { address: HERE, reached_at: HERE };
        let camera = ("gate", camera.subscriber());
        let answer =
            webrtc.answer(&offer.to_sdp_string(), VideoCodec::H264, camera, requester).await.unwrap();
        let told = format!("127.0.0.1 {} typ host tcptype passive", tcp.port());
        assert!(answer.sdp.contains(&told), "{}", answer.sdp);
        let udp_is_blocked: String = answer
            .sdp
            .lines()
            .filter(|line| !line.contains(" udp "))
            .map(|line| format!("{line}\r\n"))
            .collect();
        let answer = SdpAnswer::from_sdp_string(&udp_is_blocked).unwrap();
        rtc.sdp_api().accept_answer(pending, answer).unwrap();
        Self { rtc, stream, received: Vec::new(), shown: Vec::new() }
    }

    /// The next packet that is whole.
    fn packet(&mut self) -> Option<Vec<u8>> {
        let length = usize::from(u16::from_be_bytes(*self.received.first_chunk::<2>()?));
        (self.received.len() >= 2 + length).then(|| self.received.drain(..2 + length).skip(2).collect())
    }

    /// Until it has shown a frame of this time, or its connection ends (`false`).
    async fn watch_until(&mut self, ticks: u32) -> bool {
        let peer = self.stream.peer_addr().unwrap();
        let own = self.stream.local_addr().unwrap();
        let mut buffer = vec![0; 65_536];
        while self.shown.last().is_none_or(|&last| last < ticks) {
            let until = loop {
                match self.rtc.poll_output().unwrap() {
                    Output::Timeout(until) => break until,
                    Output::Transmit(packet) => {
                        assert_eq!(packet.proto, Protocol::Tcp);
                        let length = (packet.contents.len() as u16).to_be_bytes();
                        let bytes = [&length[..], &packet.contents].concat();
                        if self.stream.write_all(&bytes).await.is_err() {
                            return false;
                        }
                    }
                    Output::Event(Event::MediaData(frame)) => self.shown.push(frame.time.numer() as u32),
                    Output::Event(_) => {}
                }
            };
            if !self.rtc.is_alive() {
                return false;
            }
            // One at a time: what a packet causes comes before the next.
            if let Some(packet) = self.packet() {
                let receive = Receive::new(Protocol::Tcp, peer, own, &packet).unwrap();
                self.rtc.handle_input(Input::Receive(Instant::now(), receive)).unwrap();
                continue;
            }
            tokio::select! {
                read = self.stream.read(&mut buffer) => match read {
                    Ok(length) if length > 0 => self.received.extend_from_slice(&buffer[..length]),
                    _ => return false,
                },
                () = tokio::time::sleep_until(until.into()) => {}
            }
            self.rtc.handle_input(Input::Timeout(Instant::now())).unwrap();
        }
        true
    }
}

/// Sends frames as a camera does, until it is dropped.
fn film(camera: Arc<Publisher>, bytes: usize) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        for number in 0.. {
            ticks.tick().await;
            camera.send(frame(number, bytes));
        }
    })
}

#[tokio::test]
async fn a_viewer_without_udp_gets_every_frame() {
    let (webrtc, tcp) = start().await;
    let camera = Arc::new(Publisher::new());
    let filming = film(camera.clone(), 5000);
    let mut browser = Browser::connect(&webrtc, tcp, &camera).await;
    assert!(timeout(PATIENCE, browser.watch_until(100 * 3600)).await.unwrap());
    let shown = &browser.shown;
    assert!(shown[0].is_multiple_of(GOP * 3600), "{shown:?}");
    assert!(shown.windows(2).all(|pair| pair[1] - pair[0] == 3600), "{shown:?}");
    assert_eq!(webrtc.viewers(), 1);
    filming.abort();
}

#[tokio::test]
async fn one_that_does_not_read_is_given_up_and_holds_up_nobody() {
    let (webrtc, tcp) = start().await;
    let camera = Arc::new(Publisher::new());
    // 20 Mbit/s.
    let filming = film(camera.clone(), 50_000);
    let mut stuck = Browser::connect(&webrtc, tcp, &camera).await;
    assert!(timeout(PATIENCE, stuck.watch_until(3600)).await.unwrap());
    let mut other = Browser::connect(&webrtc, tcp, &camera).await;
    assert!(timeout(PATIENCE, other.watch_until(1)).await.unwrap());
    assert_eq!(webrtc.viewers(), 2);
    // Without an answer to ICE's questions it is over, at the latest; its frames were dropped long before.
    let watching = async {
        while webrtc.viewers() == 2 {
            let next = other.shown.last().unwrap() + 3600;
            assert!(other.watch_until(next).await);
        }
    };
    timeout(Duration::from_secs(60), watching).await.unwrap();
    assert!(other.shown.windows(2).all(|pair| pair[1] - pair[0] == 3600), "{:?}", other.shown);
    drop(stuck);
    filming.abort();
}

#[tokio::test]
async fn a_slow_reader_goes_on_at_keyframes() {
    let (webrtc, tcp) = start().await;
    let camera = Arc::new(Publisher::new());
    let filming = film(camera.clone(), 50_000);
    let mut browser = Browser::connect(&webrtc, tcp, &camera).await;
    assert!(timeout(PATIENCE, browser.watch_until(3600)).await.unwrap());
    // It is away for three seconds.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = browser.shown.len();
    let last = *browser.shown.last().unwrap();
    assert!(timeout(PATIENCE, browser.watch_until(last + 250 * 3600)).await.unwrap());
    let after = &browser.shown[before..];
    let jumps: Vec<_> = browser.shown.windows(2).filter(|pair| pair[1] - pair[0] > 3600).collect();
    assert!(after.len() > 50 && jumps.iter().all(|pair| pair[1].is_multiple_of(GOP * 3600)), "{jumps:?}");
    assert!(!jumps.is_empty(), "what was old is left out");
    filming.abort();
}

/// Whether the other end has closed it.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    !matches!(stream.read(&mut byte).await, Ok(1))
}

#[tokio::test]
async fn connections_for_nothing_are_closed_and_keep_nobody_out() {
    let (webrtc, tcp) = start().await;
    let camera = Arc::new(Publisher::new());
    let filming = film(camera.clone(), 5000);
    let mut streams = Vec::new();
    for number in 0..1000 {
        let mut stream = TcpStream::connect(tcp).await.unwrap();
        let begins: &[u8] = match number % 4 {
            0 => &[],
            1 => &[0],
            // The longest packet that can be stated.
            2 => &[0xff, 0xff, 1, 2, 3],
            _ => &[0, 100, 0, 1, 0, 80],
        };
        // It may be closed already.
        let _closed = stream.write_all(begins).await;
        streams.push(stream);
    }
    let begun = Instant::now();
    for stream in &mut streams {
        assert!(timeout(PATIENCE, is_closed(stream)).await.unwrap());
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let mut browser = Browser::connect(&webrtc, tcp, &camera).await;
    assert!(timeout(PATIENCE, browser.watch_until(1)).await.unwrap());
    filming.abort();
}

#[tokio::test]
async fn what_is_no_packet_ends_only_its_own_connection() {
    let (webrtc, tcp) = start().await;
    let camera = Arc::new(Publisher::new());
    let filming = film(camera.clone(), 5000);
    let mut browser = Browser::connect(&webrtc, tcp, &camera).await;
    assert!(timeout(PATIENCE, browser.watch_until(1)).await.unwrap());
    for bytes in [&[0, 0][..], &[0xff, 0xff], &[7; 3000], b"\0\x14\0\x01\0\0\x21\x12\xa4\x42123456789012"] {
        let mut stream = TcpStream::connect(tcp).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        assert!(timeout(PATIENCE, is_closed(&mut stream)).await.unwrap(), "{bytes:?}");
    }
    let next = browser.shown.last().unwrap() + 50 * 3600;
    assert!(timeout(PATIENCE, browser.watch_until(next)).await.unwrap());
    assert!(TcpEntrance::is_for(0) && TcpEntrance::is_for(1));
    for first in [b'G', b'P', b'\r', b'\n', 0x16] {
        assert!(!TcpEntrance::is_for(first), "HTTP or TLS");
    }
    filming.abort();
}
