//! Cameras that send more than any camera needs: they are cut off with words, before they cost memory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pigweight_live::rtsp::RtspConnector;
use pigweight_live::session::Connector as _;
use pigweight_live::{Camera, CameraAddress, CameraState, Failure};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const PATIENCE: Duration = Duration::from_secs(60);
/// What the sockets of a loopback connection may hold, beside what the server takes: both ends' buffers.
const SOCKET_BYTES: usize = 12 << 20;

const DESCRIPTION: &str = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
    a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0LADNkBQJqAgICgAAADACAAAAZB4oVJ,aMuDyyA=\r\na=control:trackID=1\r\n";

/// Reads a request to its end; its number and first word.
async fn request(connection: &mut TcpStream) -> Option<(String, String)> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        text.push(connection.read_u8().await.ok()?);
    }
    let text = String::from_utf8(text).unwrap();
    let number = text.lines().find_map(|line| line.strip_prefix("CSeq: ")).unwrap().to_owned();
    Some((text.split(' ').next().unwrap().to_owned(), number))
}

/// Writes until the other end refuses; the bytes that went out.
async fn flood(connection: &mut TcpStream, chunk: impl Fn(u64) -> Vec<u8>) -> usize {
    let mut sent = 0;
    for number in 0.. {
        let bytes = chunk(number);
        if connection.write_all(&bytes).await.is_err() {
            break;
        }
        sent += bytes.len();
    }
    sent
}

/// A camera that answers `DESCRIBE` by flooding.
async fn described_by(begin: &str, chunk: &'static [u8]) -> (Failure, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("rtsp://{}/s", listener.local_addr().unwrap());
    let begin = begin.to_owned();
    let serving = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let (_, number) = request(&mut connection).await.unwrap();
        let begin = format!("RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{begin}");
        connection.write_all(begin.as_bytes()).await.unwrap();
        flood(&mut connection, |_| chunk.to_vec()).await
    });
    let connector = RtspConnector::new(CameraAddress::parse(&address).unwrap());
    let connected = tokio::time::timeout(PATIENCE, connector.connect()).await.expect("it is cut off");
    (connected.err().expect("it isn't connected"), serving.await.unwrap())
}

/// A camera that plays, and then sends RTP packets for ever, with or without new timestamps. `nal` are the first bytes of a packet by its number.
async fn played_by(nal: fn(u64) -> [u8; 2], is_time_moving: bool) -> (Failure, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("rtsp://{}/s", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        loop {
            let (method, number) = request(&mut connection).await.unwrap();
            let (headers, body) = match method.as_str() {
                "DESCRIBE" => ("Content-Type: application/sdp\r\n", DESCRIPTION),
                "SETUP" => ("Session: 1;timeout=0\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n", ""),
                _ => ("Session: 1\r\n", ""),
            };
            let answer = format!(
                "RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            connection.write_all(answer.as_bytes()).await.unwrap();
            if method == "PLAY" {
                break;
            }
        }
        flood(&mut connection, |number| {
            let time = if is_time_moving { number as u32 * 3000 } else { 1 };
            let length = 1412_u16;
            let mut packet = vec![b'$', 0];
            packet.extend(length.to_be_bytes());
            packet.extend([0x80, 96]);
            packet.extend((number as u16).to_be_bytes());
            packet.extend(time.to_be_bytes());
            packet.extend(7u32.to_be_bytes());
            packet.extend(nal(number));
            packet.resize(4 + usize::from(length), 0x55);
            packet
        })
        .await
    });
    let camera = Camera::start(Box::new(RtspConnector::new(CameraAddress::parse(&address).unwrap())), 0.0);
    let away = camera.wait_for(|state| matches!(state, CameraState::Away { .. }));
    let away = tokio::time::timeout(PATIENCE, away).await.expect("it is cut off").unwrap();
    let CameraState::Away { failure, .. } = away.state else { unreachable!() };
    camera.stop().await;
    (failure, serving.await.unwrap())
}

fn assert_cut_off((failure, sent): (Failure, usize), most: usize, said: &str) {
    assert!(matches!(&failure, Failure::Oversized { what } if what.contains(said)), "{failure:?}");
    assert!(failure.needs_person(), "it isn't tried again at once");
    assert!(sent < most + SOCKET_BYTES, "{sent} bytes were taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_without_an_end_is_cut_off() {
    assert_cut_off(described_by("X-Endless: ", &[b'x'; 4096]).await, 1 << 20, "header");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_without_an_end_are_cut_off() {
    assert_cut_off(described_by("", b"X-One-More: 1\r\n").await, 1 << 20, "header");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_4_gb_is_cut_off_before_it_comes() {
    assert_cut_off(
        described_by("Content-Length: 4294967296\r\n\r\n", &[b'x'; 4096]).await,
        1 << 20,
        "4294967296",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_description_of_100_mb_is_cut_off() {
    let begin = "Content-Type: application/sdp\r\nContent-Length: 104857600\r\n\r\nv=0\r\n";
    assert_cut_off(described_by(begin, b"a=more:of this\r\n").await, 1 << 20, "104857600");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fragment_that_never_ends_is_cut_off() {
    // An IDR slice in fragments (FU-A): one begins it, and none ends it.
    let played = played_by(|number| [0x7c, if number == 0 { 0x85 } else { 0x05 }], false);
    assert_cut_off(played.await, 16 << 20, "picture");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_unit_of_whole_slices_without_a_marker_is_cut_off() {
    assert_cut_off(played_by(|_| [0x65, 0x88], false).await, 16 << 20, "picture");
}

#[tokio::test(flavor = "multi_thread")]
async fn parameter_sets_for_ever_are_cut_off_even_if_time_moves() {
    assert_cut_off(played_by(|_| [0x67, 0x42], true).await, 16 << 20, "picture");
}
