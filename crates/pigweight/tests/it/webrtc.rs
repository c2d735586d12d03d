//! Cameras in a browser: a real camera server in, an independent WebRTC client (aiortc) out.

use crate::server::{Server, pause, root};
use pigweight_testkit::component::skip_without;
use pigweight_testkit::rtsp_server::RtspServer;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

const FRAMES_PER_SEC: i64 = 15;

/// A film as a camera would code it; `options` are ffmpeg's.
pub fn film(folder: &Path, name: &str, options: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let source = format!("testsrc2=size=320x180:rate={FRAMES_PER_SEC}:duration=20");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", &source, "-pix_fmt", "yuv420p", "-g", "60"])
        .args(options)
        .arg(&path)
        .status()
        .expect("ffmpeg is there");
    assert!(made.success());
    path
}

fn add(server: &Server, name: &str, url: &str) -> String {
    let camera = json!({"name": name, "url": url});
    let added = server.ask("POST", "/api/cameras", &[], Some(&camera.to_string()));
    assert_eq!(added.status, 201, "{}", added.json());
    let id = added.json()["id"].as_str().unwrap().to_owned();
    while server.get(&format!("/api/cameras/{id}")).json()["state"] != "live" {
        pause();
    }
    id
}

/// What aiortc receives; `Err`: the server's refusal.
pub fn receive(server: &Server, arguments: &[&str]) -> Result<Value, String> {
    let python = root().join(".tools/python-tests/bin/python");
    assert!(python.exists(), "run make test, which runs scripts/setup.sh --tests first");
    let output = Command::new(python)
        .arg(root().join("fixtures/cameras/webrtc_client.py"))
        .arg(server.url(""))
        .args(arguments)
        .output()
        .unwrap();
    if output.status.success() {
        return Ok(serde_json::from_slice(&output.stdout).unwrap());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn start(folder: &Path) -> Server {
    let videos = folder.join("videos");
    std::fs::create_dir_all(&videos).unwrap();
    Server::start(&videos, &folder.join("data"), None)
}

fn viewers(server: &Server) -> String {
    let metrics = String::from_utf8(server.get("/metrics").bytes).unwrap();
    let line = metrics.lines().find(|line| line.starts_with("pigweight_webrtc_viewers "));
    line.unwrap().rsplit_once(' ').unwrap().1.to_owned()
}

#[test]
fn a_viewer_receives_every_frame_with_the_cameras_time() {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path(), "plain.mp4", &["-c:v", "libx264", "-bf", "0"]);
    let Some(rtsp) = RtspServer::start(&[], &[("gate", film)]) else { return };
    let server = start(folder.path());
    let id = add(&server, "Gate", &rtsp.address("gate"));
    for arguments in [&["whep", &id, "40"][..], &["json", "40"]] {
        let shown = receive(&server, arguments).unwrap();
        assert_eq!(shown["size"], json!([320, 180]));
        let ticks: Vec<i64> =
            shown["ticks"].as_array().unwrap().iter().map(|ticks| ticks.as_i64().unwrap()).collect();
        let step = 90_000 / FRAMES_PER_SEC;
        assert!(ticks.windows(2).all(|pair| (pair[1] - pair[0] - step).abs() <= 2), "{ticks:?}");
        if arguments[0] == "whep" {
            assert_eq!((&shown["ended"], &shown["told"]), (&json!(204), &json!(true)));
        }
    }
    // Who is gone is no viewer any more.
    while viewers(&server) != "0" {
        pause();
    }
    drop(rtsp);
    let away = loop {
        match receive(&server, &["whep", &id, "1"]) {
            Err(refusal) if refusal.contains("503") => break refusal,
            _ => pause(),
        }
    };
    assert!(away.contains("application/problem+json") || away.contains("\"detail\""), "{away}");
    server.stop();
}

#[test]
fn a_server_at_an_ipv6_address_serves_viewers_with_ipv4_at_a_stated_address() {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path(), "plain.mp4", &["-c:v", "libx264", "-bf", "0"]);
    let Some(rtsp) = RtspServer::start(&[], &[("gate", film)]) else { return };
    // The address that this machine has in its network: no packet is sent by connecting.
    let own = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let has_network = own.connect("192.0.2.77:9").is_ok();
    if !has_network || std::net::UdpSocket::bind("[::]:0").is_err() {
        skip_without("IPv6, or a network");
        return;
    }
    let addresses = format!("[\"{}\"]", own.local_addr().unwrap().ip());
    let videos = folder.path().join("videos");
    std::fs::create_dir_all(&videos).unwrap();
    let settings =
        [("PIGWEIGHT_WEBRTC__LISTEN", "[::]:0"), ("PIGWEIGHT_WEBRTC__ADDRESSES", addresses.as_str())];
    let server = Server::start_with(&videos, &folder.path().join("data"), None, &settings);
    let id = add(&server, "Gate", &rtsp.address("gate"));
    assert!(receive(&server, &["whep", &id, "5"]).is_ok());
    server.stop();
}

/// What a browser without H.264 offers.
const VP8_OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\n\
    a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=fingerprint:sha-256 \
    00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\na=setup:actpass\r\na=mid:0\r\n\
    a=recvonly\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n";

/// As many encoders send them.
pub const WITH_B_FRAMES: [&str; 6] =
    ["-c:v", "libx264", "-bf", "3", "-x264-params", "b-pyramid=normal:b-adapt=0"];
const HEVC: [&str; 4] = ["-c:v", "libx265", "-x265-params", "log-level=none"];

fn transcoded_cameras(server: &Server) -> String {
    let metrics = String::from_utf8(server.get("/metrics").bytes).unwrap();
    let line = metrics.lines().find(|line| line.starts_with("pigweight_transcoded_cameras "));
    line.map_or_else(String::new, |line| line.rsplit_once(' ').unwrap().1.to_owned())
}

#[test]
fn what_browsers_do_not_take_is_transcoded_while_there_are_viewers() {
    let folder = tempfile::tempdir().unwrap();
    let films = [
        ("plain", film(folder.path(), "plain.mp4", &["-c:v", "libx264", "-bf", "0"])),
        ("b", film(folder.path(), "b.mp4", &WITH_B_FRAMES)),
        ("hevc", film(folder.path(), "hevc.mp4", &HEVC)),
    ];
    let Some(rtsp) = RtspServer::start(&[], &films) else { return };
    let server = start(folder.path());
    let [plain, b, hevc] = ["plain", "b", "hevc"].map(|name| add(&server, name, &rtsp.address(name)));
    // B-frames are noticed with the first group of frames.
    while server.get(&format!("/api/cameras/{b}")).json()["delivered"]["has_reordered_frames"] != true {
        pause();
    }
    assert_eq!(transcoded_cameras(&server), "", "nobody looks");
    // The third browser has no H.264.
    for (camera, arguments) in [(&b, &["whep"][..]), (&hevc, &["whep"]), (&plain, &["--vp8", "whep"])] {
        let arguments: Vec<&str> = arguments.iter().copied().chain([camera.as_str(), "30"]).collect();
        let shown = receive(&server, &arguments).unwrap();
        assert_eq!((&shown["size"], &shown["codec"]), (&json!([320, 180]), &json!("VP8")), "{shown}");
        let ticks: Vec<i64> =
            shown["ticks"].as_array().unwrap().iter().map(|ticks| ticks.as_i64().unwrap()).collect();
        let step = 90_000 / FRAMES_PER_SEC;
        // A busy machine leaves frames out; those that are shown have the camera's times.
        let is_on_time = |pair: &[i64]| {
            let steps = (pair[1] - pair[0] + step / 2) / step;
            steps >= 1 && (pair[1] - pair[0] - steps * step).abs() <= 3
        };
        assert!(ticks.windows(2).all(is_on_time), "{ticks:?}");
        let told = (&shown["ended"], &shown["told"]);
        assert_eq!(told, (&json!(204), &json!(true)));
    }
    // Nobody looks any more: nothing is coded.
    while transcoded_cameras(&server) != "0" {
        pause();
    }
    server.stop();
}

#[test]
fn what_cannot_be_shown_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let offer = json!({"sdp": VP8_OFFER, "type": "offer"}).to_string();
    let nothing = server.ask("POST", "/api/camera/webrtc_offer", &[], Some(&offer)).problem(404);
    assert!(nothing.contains("no camera"), "{nothing}");

    let films = [
        ("plain", film(folder.path(), "plain.mp4", &["-c:v", "libx264", "-bf", "0"])),
        ("b", film(folder.path(), "b.mp4", &WITH_B_FRAMES)),
        ("hevc", film(folder.path(), "hevc.mp4", &HEVC)),
    ];
    let Some(rtsp) = RtspServer::start(&[], &films) else { return };
    let [plain, b, hevc] = ["plain", "b", "hevc"].map(|name| add(&server, name, &rtsp.address(name)));
    let whep = |id: &str, kind: &str, body: &[u8]| {
        server.send("POST", &format!("/api/cameras/{id}/whep"), &[("content-type", kind)], Some(body))
    };
    let sdp = "application/sdp";
    let offer_of = |camera: &str| json!({"sdp": VP8_OFFER, "type": "offer", "camera": camera}).to_string();
    let json_offer = |body: &str| server.ask("POST", "/api/camera/webrtc_offer", &[], Some(body));

    let vp9 = VP8_OFFER.replace("VP8", "VP9");
    assert!(whep(&plain, sdp, vp9.as_bytes()).problem(406).contains("H.264"));
    assert!(json_offer(&offer_of(&plain).replace("VP8", "VP9")).problem(406).contains("H.264"));
    let h264 = |profile: &str| {
        let format = format!("H264/90000\r\na=fmtp:96 packetization-mode=1;profile-level-id={profile}\r\n");
        VP8_OFFER.replace("VP8/90000\r\n", &format)
    };
    let own_alone = h264("42e01f");
    assert!(whep(&hevc, sdp, own_alone.as_bytes()).problem(406).contains("H.265"));
    // B-frames are noticed with the first group of frames.
    while server.get(&format!("/api/cameras/{b}")).json()["delivered"]["has_reordered_frames"] != true {
        pause();
    }
    assert!(whep(&b, sdp, own_alone.as_bytes()).problem(406).contains("B-frames"));
    let plain_camera = server.get(&format!("/api/cameras/{plain}")).json();
    assert_eq!(plain_camera["delivered"]["has_reordered_frames"], false);

    whep("nobody", sdp, VP8_OFFER.as_bytes()).problem(404);
    json_offer(&offer_of("nobody")).problem(404);
    whep(&plain, "application/json", VP8_OFFER.as_bytes()).problem(415);
    whep(&plain, sdp, b"hello").problem(400);
    whep(&plain, sdp, &[0xff; 100]).problem(400);
    whep(&plain, sdp, b"").problem(400);
    whep(&plain, sdp, "a=x\r\n".repeat(20_000).as_bytes()).problem(413);
    whep(&plain, sdp, &vec![b'a'; 10_000_000]).problem(413);
    let wrong_type = json!({"sdp": VP8_OFFER, "type": "answer"}).to_string();
    assert!(json_offer(&wrong_type).problem(400).contains("type"));
    let session = format!("/api/cameras/{plain}/whep/{}", "00000000000000ff");
    server.ask("DELETE", &session, &[], None).problem(404);
    server.ask("DELETE", &format!("/api/cameras/{plain}/whep/x"), &[], None).problem(404);
    let (_, video_section) = VP8_OFFER.split_once("m=video").unwrap();
    let other = format!("m=video{video_section}").replace("mid:0", "mid:1");
    let contradicting = h264("42e01f") + &other;
    assert!(whep(&plain, sdp, contradicting.as_bytes()).problem(400).contains("two meanings"));
    whep(&plain, sdp, h264("ffffff").as_bytes()).problem(406);
    let constrained_high = whep(&plain, sdp, h264("640c1f").as_bytes());
    assert_eq!(constrained_high.status, 201);

    // Audio beside it is refused in a form that browsers read, and the candidate stands where the video is.
    let security = &VP8_OFFER[VP8_OFFER.find("a=ice-ufrag").unwrap()..VP8_OFFER.find("a=mid:0").unwrap()];
    let audio = format!(
        "m=audio 9 UDP/TLS/RTP/SAVPF 9\r\nc=IN IP4 0.0.0.0\r\n{security}a=mid:a\r\na=sendrecv\r\na=rtcp-mux\r\na=rtpmap:9 G722/8000\r\n"
    );
    let both =
        h264("42e01f").replace("BUNDLE 0", "BUNDLE a 0").replace("m=video", &format!("{audio}m=video"));
    let answered = whep(&plain, sdp, both.as_bytes());
    let answer = String::from_utf8(answered.bytes).unwrap();
    assert_eq!(answered.status, 201, "{answer}");
    let (before, video) = answer.split_once("m=video ").unwrap();
    assert!(
        before.contains("m=audio 0 UDP/TLS/RTP/SAVPF 9\r\n") && !before.contains("a=candidate"),
        "{answer}"
    );
    assert!(video.contains("a=candidate"), "{answer}");

    // A session is ended by its own camera's path alone, and once.
    let session = constrained_high.header("location").to_owned();
    server.ask("DELETE", &session.replace(&plain, &hevc), &[], None).problem(404);
    assert_eq!(server.ask("DELETE", &session, &[], None).status, 204);
    while server.ask("DELETE", &session, &[], None).status != 404 {
        pause();
    }
    while viewers(&server) != "0" {
        pause();
    }
    server.stop();
}

#[test]
fn viewers_of_a_camera_that_is_removed_keep_no_place() {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path(), "plain.mp4", &["-c:v", "libx264", "-bf", "0"]);
    let Some(rtsp) = RtspServer::start(&[], &[("gate", film)]) else { return };
    let server = start(folder.path());
    let id = add(&server, "Gate", &rtsp.address("gate"));
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| receive(&server, &["whep", &id, "100000"]));
        while viewers(&server) != "1" {
            pause();
        }
        // Connected, and frames flow.
        while server.get(&format!("/api/cameras/{id}")).json()["delivered"]["frames"].as_i64() < Some(60) {
            pause();
        }
        assert_eq!(server.ask("DELETE", &format!("/api/cameras/{id}"), &[], None).status, 204);
        while viewers(&server) != "0" {
            pause();
        }
        // The viewer is told: it doesn't wait for its own patience.
        assert!(watching.join().unwrap().is_err());
    });
    server.stop();
}

#[test]
fn a_thousand_offers_neither_shut_viewers_out_nor_leave_any_behind() {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path(), "plain.mp4", &["-c:v", "libx264", "-bf", "0"]);
    let Some(rtsp) = RtspServer::start(&[], &[("gate", film)]) else { return };
    let server = start(folder.path());
    let id = add(&server, "Gate", &rtsp.address("gate"));
    let offer = VP8_OFFER.replace(
        "VP8/90000\r\n",
        "H264/90000\r\na=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f\r\n",
    );
    let path = format!("/api/cameras/{id}/whep");
    let sdp = [("content-type", "application/sdp")];
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..1000 {
        let answer = server.send("POST", &path, &sdp, Some(offer.as_bytes()));
        match answer.status {
            201 => accepted += 1,
            503 => {
                assert_eq!(answer.header("retry-after"), "10");
                let text = answer.problem(503);
                assert!(text.contains("wait for their viewers"), "nobody watches: {text}");
                refused += 1;
            }
            other => panic!("{other}: {}", String::from_utf8_lossy(&answer.bytes)),
        }
    }
    assert!(accepted >= 32 && accepted + refused == 1000, "{accepted} and {refused}");
    assert_eq!(viewers(&server), "32", "of one address");
    // Those that had their time give way.
    while let Err(refusal) = receive(&server, &["whep", &id, "3"]) {
        assert!(refusal.contains("503"), "{refusal}");
        pause();
    }
    // None of them ever connects: they are given up after fifteen seconds.
    while viewers(&server) != "0" {
        pause();
    }
    server.stop();
}

#[test]
fn without_webrtc_a_camera_is_shown_by_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path(), "plain.mp4", &["-c:v", "libx264", "-bf", "0"]);
    let Some(rtsp) = RtspServer::start(&[], &[("gate", film)]) else { return };
    std::fs::create_dir_all(folder.path().join("videos")).unwrap();
    let settings = [("PIGWEIGHT_WEBRTC__ENABLED", "false")];
    let (videos, data) = (folder.path().join("videos"), folder.path().join("data"));
    let server = Server::start_with(&videos, &data, None, &settings);
    let id = add(&server, "Gate", &rtsp.address("gate"));
    let path = format!("/api/cameras/{id}/whep");
    let refused =
        server.send("POST", &path, &[("content-type", "application/sdp")], Some(VP8_OFFER.as_bytes()));
    assert!(refused.problem(503).contains("webrtc.enabled"));
    if !std::path::Path::new("/proc/net/udp").exists() {
        skip_without("/proc/net/udp");
        return;
    }
    let port: u16 = server.address.rsplit_once(':').unwrap().1.parse().unwrap();
    let is_open = std::fs::read_to_string("/proc/net/udp").unwrap().contains(&format!("0100007F:{port:04X}"));
    assert!(!is_open);
    server.stop();
}
