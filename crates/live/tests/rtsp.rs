//! A real RTSP server: GStreamer's, as cameras and recorders use it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pigweight_live::access_unit::CLOCK_RATE_HZ;
use pigweight_live::rtsp::RtspConnector;
use pigweight_live::session::Connector as _;
use pigweight_live::{Camera, CameraAddress, CameraState, Codec, Failure, Received, StreamFormat};
use pigweight_testkit::rtsp_server::RtspServer;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Longer than anything that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

fn film(folder: &Path, name: &str, encoder: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=15:duration=60"])
        .args(encoder)
        .args(["-g", "15", "-bf", "0", "-pix_fmt", "yuv420p"])
        .arg(&path)
        .status()
        .expect("ffmpeg is installed by scripts/setup.sh --tests");
    assert!(status.success());
    path
}

const H264: &[&str] = &["-c:v", "libx264", "-preset", "ultrafast"];
const H265: &[&str] = &["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none"];

async fn failure(address: &str) -> Failure {
    let connector = RtspConnector::new(CameraAddress::parse(address).unwrap());
    let connected = tokio::time::timeout(PATIENCE, connector.connect()).await.expect("an answer");
    connected.err().unwrap_or_else(|| panic!("{address} is connected"))
}

#[tokio::test(flavor = "multi_thread")]
async fn h264_and_h265_arrive_as_access_units_with_their_times() {
    let folder = tempfile::tempdir().unwrap();
    let films = [("pen", film(folder.path(), "a.mp4", H264)), ("wide", film(folder.path(), "b.mp4", H265))];
    let Some(server) = RtspServer::start(&[], &films) else { return };
    for (name, codec) in [("pen", Codec::H264), ("wide", Codec::H265)] {
        let address = CameraAddress::parse(&server.address(name)).unwrap();
        let camera = Camera::start(Box::new(RtspConnector::new(address)), 0.0);
        let live =
            tokio::time::timeout(PATIENCE, camera.wait_for(|state| matches!(state, CameraState::Live(_))));
        let live = live.await.expect("it connects").unwrap();
        let CameraState::Live(StreamFormat { codec: found, size, .. }) = live.state else { unreachable!() };
        assert_eq!((found, size), (codec, Some((320, 180))));
        let mut subscription = camera.subscribe();
        let mut times = Vec::new();
        while times.len() < 40 {
            let received = tokio::time::timeout(PATIENCE, subscription.next()).await.expect("it goes on");
            let Received::Unit(unit) = received else { panic!("{received:?}") };
            assert!(unit.data.starts_with(&[0, 0, 0, 1]), "Annex B");
            assert!(!times.is_empty() || unit.is_keyframe);
            assert_eq!(unit.codec, codec);
            times.push(unit.time_ticks);
        }
        let frame = i64::from(CLOCK_RATE_HZ / 15);
        assert!(times.windows(2).all(|pair| (pair[1] - pair[0] - frame).abs() <= 90), "{name}: {times:?}");
        camera.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn basic_and_digest_authentication_and_udp() {
    let folder = tempfile::tempdir().unwrap();
    let films = [("pen", film(folder.path(), "a.mp4", H264))];
    for options in [&["--auth", "digest"][..], &["--auth", "basic"], &["--udp-only"]] {
        let Some(server) = RtspServer::start(options, &films) else { return };
        let open = server.address("pen");
        let with_password = open.replace("rtsp://", "rtsp://cam:p@ss:w/rd@");
        if options[0] == "--auth" {
            for wrong in [open.clone(), open.replace("rtsp://", "rtsp://cam:wrong@")] {
                assert_eq!(failure(&wrong).await, Failure::WrongPassword, "{options:?} {wrong}");
            }
        }
        let camera =
            Camera::start(Box::new(RtspConnector::new(CameraAddress::parse(&with_password).unwrap())), 0.0);
        let live = camera.wait_for(|state| matches!(state, CameraState::Live(_)));
        tokio::time::timeout(PATIENCE, live)
            .await
            .unwrap_or_else(|_| panic!("{options:?}: {:?}", camera.history()));
        let shown = format!("{camera:?} {:?}", camera.history());
        assert!(!shown.contains("p@ss"), "{shown}");
        camera.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_an_address_is_wrong_has_its_own_words() {
    let folder = tempfile::tempdir().unwrap();
    let films = [("pen", film(folder.path(), "a.mp4", H264)), ("old", film(folder.path(), "c.mp4", H264))];
    let Some(server) = RtspServer::start(&[], &films) else { return };
    let found = failure(&server.address("nowhere")).await;
    assert_eq!(found, Failure::NoSuchStream);

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let found = failure(&format!("rtsp://{closed}/s")).await;
    assert!(matches!(found, Failure::Unreachable { .. }), "{found:?}");

    let found = failure("rtsp://camera.invalid/s").await;
    assert!(matches!(found, Failure::Unreachable { .. }), "{found:?}");

    // A web server, and one that hangs up.
    for answer in ["HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "\x16\x03\x01garbage\r\n\r\n", ""]
    {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _request = connection.read(&mut request).await;
            let _sent = connection.write_all(answer.as_bytes()).await;
        });
        let found = failure(&format!("rtsp://{address}/s")).await;
        serving.await.unwrap();
        if answer.is_empty() {
            assert!(matches!(found, Failure::Ended { .. }), "{found:?}");
        } else {
            assert!(matches!(found, Failure::NotRtsp { .. }), "{answer:?}: {found:?}");
        }
    }
}

/// Answers DESCRIBE with this session description.
async fn described(description: &'static str) -> Failure {
    described_as("application/sdp", description).await
}

async fn described_as(content_type: &'static str, description: &'static str) -> Failure {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let read = connection.read(&mut request).await.unwrap();
        let request = String::from_utf8_lossy(&request[..read]).into_owned();
        let number = request.lines().find_map(|line| line.strip_prefix("CSeq: ")).unwrap_or("1").to_owned();
        let answer = format!(
            "RTSP/1.0 200 OK\r\nCSeq: {number}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{description}",
            description.len()
        );
        connection.write_all(answer.as_bytes()).await.unwrap();
        let _closed = connection.read(&mut [0; 64]).await;
    });
    let found = failure(&format!("rtsp://{address}/s?password=hidden")).await;
    serving.abort();
    found
}

#[tokio::test]
async fn streams_without_video_and_with_other_codecs_are_told() {
    let sound =
        "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\na=control:trackID=1\r\n";
    assert_eq!(described(sound).await, Failure::NoVideo);
    let mpeg4 = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 MP4V-ES/90000\r\na=control:trackID=1\r\n";
    assert_eq!(described(mpeg4).await, Failure::UnsupportedCodec { codec: "MP4V-ES".into() });
}

#[tokio::test]
async fn what_is_told_names_the_camera_and_neither_the_relay_nor_a_password() {
    let found = described_as("text/html", "<p>").await;
    let Failure::Refused { reason, .. } = &found else { panic!("{found:?}") };
    assert!(reason.contains("text/html") && reason.contains("/s?password=***"), "{reason}");
    assert!(!reason.contains("hidden"), "{reason}");
    let address = reason.split(' ').find(|word| word.starts_with("rtsp://")).unwrap();
    assert_eq!(address.split('/').nth(3), Some("s?password=***"), "no secret of the relay: {reason}");
}
