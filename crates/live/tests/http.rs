//! Cameras that send JPEG pictures over HTTP.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pigweight_live::http::HttpConnector;
use pigweight_live::session::Connector as _;
use pigweight_live::{Camera, CameraAddress, CameraState, Codec, Failure, Received};
use pigweight_testkit::mjpeg_server::MjpegServer;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

fn film(folder: &Path) -> PathBuf {
    let path = folder.join("a.mp4");
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=15:duration=20"])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"])
        .arg(&path)
        .status()
        .expect("ffmpeg is installed by scripts/setup.sh --tests");
    assert!(status.success());
    path
}

fn connector(address: &str) -> Box<HttpConnector> {
    Box::new(HttpConnector::new(CameraAddress::parse(address).unwrap()))
}

/// Why a camera doesn't become live, or doesn't stay so.
async fn failure(address: &str) -> Failure {
    let connected = tokio::time::timeout(PATIENCE, connector(address).connect()).await.expect("an answer");
    match connected {
        Err(failure) => failure,
        Ok(mut session) => loop {
            if let Err(failure) = tokio::time::timeout(PATIENCE, session.next()).await.expect("an end") {
                return failure;
            }
        },
    }
}

/// Times of the first pictures, and how many were lost before them.
async fn pictures(address: &str, wanted: usize) -> (Vec<i64>, u64) {
    let camera = Camera::start(connector(address), 0.0);
    let mut subscription = camera.subscribe();
    let mut times = Vec::new();
    while times.len() < wanted {
        let received = tokio::time::timeout(PATIENCE, subscription.next()).await;
        let received = received.unwrap_or_else(|_| panic!("{address}: {:?}", camera.history()));
        let Received::Unit(unit) = received else { panic!("{received:?}") };
        assert!(unit.data.starts_with(&[0xff, 0xd8]) && unit.data.ends_with(&[0xff, 0xd9]), "{address}");
        assert!(unit.is_keyframe && unit.codec == Codec::Mjpeg);
        times.push(unit.time_ticks);
    }
    let CameraState::Live(format) = camera.history().now().state.clone() else { panic!("it is live") };
    assert_eq!((format.codec, format.size), (Codec::Mjpeg, Some((320, 180))), "{address}");
    let lost = camera.delivered().lost_packets;
    assert_eq!(camera.delivered().clock_jumps, 0);
    camera.stop().await;
    (times, lost)
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_read_whatever_their_boundaries_and_lengths_say() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = MjpegServer::start(&[], &film(folder.path())) else { return };
    for path in ["video.mjpg", "bare.mjpg", "lies.mjpg", "untyped", "moved"] {
        let (times, lost) = pictures(&server.address(path), 15).await;
        let secs = (times[14] - times[0]) as f64 / 90_000.0;
        assert!((0.7..1.6).contains(&secs) && lost == 0, "{path}: {secs} s, {lost} lost");
    }
    let (_, lost) = pictures(&server.address("cut.mjpg"), 6).await;
    assert!(lost >= 5, "cut-off pictures are counted: {lost}");
}

#[tokio::test(flavor = "multi_thread")]
async fn single_pictures_are_asked_for_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = MjpegServer::start(&[], &film(folder.path())) else { return };
    let (times, _) = pictures(&server.address("snapshot.jpg"), 4).await;
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] > 90_000 / 4), "twice a second: {times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn basic_and_digest_authentication() {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path());
    for method in ["basic", "digest"] {
        let Some(server) = MjpegServer::start(&["--auth", method], &film) else { return };
        for path in ["video.mjpg", "snapshot.jpg"] {
            let open = server.address(path);
            for wrong in [open.clone(), open.replace("http://", "http://cam:wrong@")] {
                assert_eq!(failure(&wrong).await, Failure::WrongPassword, "{method} {wrong}");
            }
            pictures(&open.replace("http://", "http://cam:p@ss:w/rd@"), 2).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_camera_is_told_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = MjpegServer::start(&[], &film(folder.path())) else { return };
    let found = failure(&server.address("page")).await;
    assert!(
        matches!(&found, Failure::NoPictures { content_type, .. } if content_type == "text/html"),
        "{found:?}"
    );
    assert_eq!(failure(&server.address("nothing")).await, Failure::NoSuchStream);
    assert_eq!(failure(&server.address("elsewhere")).await, Failure::Redirected { to: "192.0.2.1".into() });
    let found = failure(&server.address("round")).await;
    assert!(matches!(&found, Failure::Ended { reason } if reason.contains("redirects")), "{found:?}");
    for path in ["endless", "text"] {
        let found = failure(&server.address(path)).await;
        assert!(matches!(found, Failure::Oversized { .. }), "{path}: {found:?}");
    }
    let found = failure(&server.address("video.mjpg").replace("http://", "https://")).await;
    assert!(matches!(found, Failure::NotTls { .. }), "{found:?}");

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let found = failure(&format!("http://{closed}/")).await;
    assert!(matches!(found, Failure::Unreachable { .. }), "{found:?}");
    // Something that isn't HTTP, and a header without an end.
    for (answer, is_expected) in [
        (
            b"SSH-2.0-OpenSSH\r\n".to_vec(),
            (|found| matches!(found, Failure::NotHttp { .. })) as fn(&Failure) -> bool,
        ),
        ([b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &vec![b'x'; 1 << 20]].concat(), |found| {
            matches!(found, Failure::NotHttp { .. })
        }),
        (Vec::new(), |found| matches!(found, Failure::Ended { .. })),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let (mut connection, _) = listener.accept().await.unwrap();
            let _request = connection.read(&mut [0; 1024]).await;
            let _sent = connection.write_all(&answer).await;
        });
        let found = failure(&format!("http://{address}/")).await;
        assert!(is_expected(&found), "{found:?}");
        serving.await.unwrap();
    }
}
