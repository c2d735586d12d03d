//! RTSP over TLS: GStreamer's server behind a TLS end with a certificate of its own, as cameras make them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pigweight_live::dial::Dialler;
use pigweight_live::rtsp::RtspConnector;
use pigweight_live::session::Connector as _;
use pigweight_live::{Camera, CameraAddress, CameraState, Failure};
use pigweight_testkit::rtsp_server::RtspServer;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const PATIENCE: Duration = Duration::from_secs(30);

/// Takes TLS at a port, and carries it to the other in plain text.
async fn encrypted_front(listener: TcpListener, behind: u16) {
    let made = rcgen::generate_simple_self_signed(vec!["camera".into()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    loop {
        let (outer, _) = listener.accept().await.unwrap();
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let Ok(mut outer) = acceptor.accept(outer).await else { return };
            let mut inner = TcpStream::connect(("127.0.0.1", behind)).await.unwrap();
            let _ended = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
        });
    }
}

fn address(text: &str) -> CameraAddress {
    CameraAddress::parse(text).unwrap()
}

async fn failure(address: CameraAddress) -> Failure {
    let connector = RtspConnector::new(address);
    let connected = tokio::time::timeout(PATIENCE, connector.connect()).await.expect("an answer");
    connected.err().expect("it isn't connected")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_camera_is_connected_and_another_certificate_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("a.mp4");
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=15:duration=20"])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "15", "-bf", "0", "-pix_fmt", "yuv420p"])
        .arg(&film)
        .status()
        .expect("ffmpeg is installed by scripts/setup.sh --tests");
    assert!(status.success());
    let Some(server) = RtspServer::start(&["--auth", "digest"], &[("pen", film)]) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let front = tokio::spawn(encrypted_front(listener, server.port()));
    let open = format!("rtsps://cam:p@ss:w/rd@{at}/pen");

    let shown = Dialler::new(address(&open)).certificate().await.unwrap().expect("it is encrypted");
    let pinned = address(&open).with_fingerprint(shown);
    assert!(pinned.to_string().ends_with(&format!("#sha256={shown}")), "{pinned}");
    // With the known certificate, and with none known.
    for address in [pinned.clone(), address(&open)] {
        let camera = Camera::start(Box::new(RtspConnector::new(address)), 0.0);
        let live = camera.wait_for(|state| matches!(state, CameraState::Live(_)));
        let live = tokio::time::timeout(PATIENCE, live).await;
        live.unwrap_or_else(|_| panic!("{:?}", camera.history()));
        camera.stop().await;
    }

    // Somebody in between has another key. A camera that was connected before keeps to its certificate, too.
    let used = Dialler::new(address(&open));
    used.certificate().await.unwrap();
    front.abort();
    let _ended = front.await;
    let listener = TcpListener::bind(at).await.unwrap();
    let front = tokio::spawn(encrypted_front(listener, server.port()));
    let refused = failure(pinned).await;
    assert!(matches!(&refused, Failure::OtherCertificate { found, .. } if *found != shown), "{refused:?}");
    assert!(matches!(used.certificate().await, Err(Failure::OtherCertificate { .. })));
    front.abort();

    // No encryption there at all.
    let plain = failure(address(&format!("rtsps://127.0.0.1:{}/pen", server.port()))).await;
    assert!(matches!(plain, Failure::NotTls { .. } | Failure::Silent { .. }), "{plain:?}");
}
