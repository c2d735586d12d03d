//! A camera's video over a WebSocket: what comes is a film that an independent player decodes whole, with the camera's times.

use crate::server::{Server, pause};
use crate::webrtc::{WITH_B_FRAMES, film};
use pigweight_testkit::rtsp_server::RtspServer;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use tungstenite::{Message, WebSocket, stream::MaybeTlsStream};

const STEP_TICKS: i64 = 6000;

type Socket = WebSocket<MaybeTlsStream<std::net::TcpStream>>;

fn start(folder: &Path) -> Server {
    let videos = folder.join("videos");
    std::fs::create_dir_all(&videos).unwrap();
    Server::start(&videos, &folder.join("data"), None)
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

fn connect(server: &Server, id: &str) -> Socket {
    let address = format!("ws://{}/ws/cameras/{id}/video", server.address);
    tungstenite::connect(address).expect("a WebSocket").0
}

/// The statement, and so many fragments behind the initialization segment, as one file.
fn play(server: &Server, id: &str, fragments: usize) -> (Value, Vec<u8>) {
    let mut socket = connect(server, id);
    let (mut start, mut file, mut binary) = (Value::Null, Vec::new(), 0);
    while binary <= fragments {
        match socket.read().expect("a message") {
            Message::Text(text) => {
                assert!(start.is_null(), "one coding: {text}");
                start = serde_json::from_str(&text).unwrap();
            }
            Message::Binary(bytes) => {
                assert!(!start.is_null(), "it is announced");
                let kind: &[u8] = if binary == 0 { b"ftyp" } else { b"moof" };
                assert_eq!(&bytes[4..8], kind);
                file.extend_from_slice(&bytes);
                binary += 1;
            }
            _ => {}
        }
    }
    (start, file)
}

/// The times of the frames that FFmpeg decodes, on the camera's timeline.
fn decoded(folder: &Path, start: &Value, file: &[u8]) -> Vec<i64> {
    let path = folder.join("played.mp4");
    std::fs::write(&path, file).unwrap();
    let probe = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v", "-show_entries", "frame=pts", "-of", "csv=p=0"])
        .arg(&path)
        .output()
        .expect("ffprobe is there");
    let complaints = String::from_utf8_lossy(&probe.stderr);
    assert!(probe.status.success() && complaints.is_empty(), "{complaints}");
    let zero = start["zero_pts"].as_i64().unwrap();
    let text = String::from_utf8(probe.stdout).unwrap();
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| zero + line.trim_end_matches(',').parse::<i64>().unwrap())
        .collect()
}

fn viewers(server: &Server) -> String {
    let metrics = String::from_utf8(server.get("/metrics").bytes).unwrap();
    let line = metrics.lines().find(|line| line.starts_with("pigweight_video_socket_viewers "));
    line.unwrap().rsplit_once(' ').unwrap().1.to_owned()
}

#[test]
fn every_frame_comes_at_its_time_also_with_b_frames_and_in_h265() {
    let folder = tempfile::tempdir().unwrap();
    let films = [
        ("plain", film(folder.path(), "plain.mp4", &["-c:v", "libx264", "-bf", "0"])),
        ("b", film(folder.path(), "b.mp4", &WITH_B_FRAMES)),
        (
            "hevc",
            film(folder.path(), "hevc.mp4", &["-c:v", "libx265", "-x265-params", "log-level=none:bframes=0"]),
        ),
    ];
    let Some(rtsp) = RtspServer::start(&[], &films) else { return };
    let server = start(folder.path());
    for (name, codec) in [("plain", "avc1.64"), ("b", "avc1.64"), ("hevc", "hvc1.1.6.L")] {
        let id = add(&server, name, &rtsp.address(name));
        let (start, file) = play(&server, &id, 90);
        let media_type = start["media_type"].as_str().unwrap();
        assert!(media_type.starts_with(&format!("video/mp4; codecs=\"{codec}")), "{media_type}");
        assert_eq!(start["type"], "start");
        let times = decoded(folder.path(), &start, &file);
        // Of frames in another order, the last may lack those before it.
        assert!((85..=90).contains(&times.len()), "{name}: {}", times.len());
        let is_steady = |pair: &[i64]| (pair[1] - pair[0] - STEP_TICKS).abs() <= 2;
        assert!(times[..80].windows(2).all(is_steady), "{name}: {times:?}");
        // The times are those of the camera's own pictures.
        let picture = server.get(&format!("/api/cameras/{id}/frame.jpg"));
        let pts: i64 = picture.header("x-frame-pts").parse().unwrap();
        let apart = (pts - times[0]).rem_euclid(STEP_TICKS);
        assert!(apart <= 2 || apart >= STEP_TICKS - 2, "{name}: {pts} and {times:?}");
    }
    while viewers(&server) != "0" {
        pause();
    }
    server.stop();
}

#[test]
fn who_reads_nothing_is_given_up_and_a_removed_camera_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path(), "plain.mp4", &["-c:v", "libx264", "-bf", "0"]);
    let Some(rtsp) = RtspServer::start(&[], &[("gate", film)]) else { return };
    let server = start(folder.path());
    let id = add(&server, "Gate", &rtsp.address("gate"));
    let silent: Vec<Socket> = (0..128).map(|_| connect(&server, &id)).collect();
    // None is left for another one.
    let refused = tungstenite::connect(format!("ws://{}/ws/cameras/{id}/video", server.address));
    let Err(tungstenite::Error::Http(refusal)) = refused else { panic!("{refused:?}") };
    assert_eq!((refusal.status().as_u16(), &refusal.headers()["retry-after"]), (503, &"10".parse().unwrap()));
    assert_eq!(viewers(&server), "128");
    while viewers(&server) != "0" {
        pause();
    }
    drop(silent);
    let mut socket = connect(&server, &id);
    assert!(socket.read().unwrap().is_text());
    assert_eq!(server.ask("DELETE", &format!("/api/cameras/{id}"), &[], None).status, 204);
    let told = loop {
        match socket.read() {
            Ok(Message::Close(told)) => break told.unwrap(),
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
    };
    assert!(told.reason.contains("stopped"), "{told}");
    server.stop();
}

#[test]
fn what_is_not_played_this_way_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path(), "plain.mp4", &["-c:v", "libx264", "-bf", "0"]);
    let server = start(folder.path());
    let path = |id: &str| format!("/ws/cameras/{id}/video");
    server.get(&path("nobody")).problem(404);
    std::fs::copy(film, folder.path().join("videos/plain.mp4")).unwrap();
    let video = loop {
        let list = server.get("/api/videos").json();
        if let Some(id) = list[0]["id"].as_str() {
            break id.to_owned();
        }
        pause();
    };
    let id = add(&server, "Replay", &format!("replay:{video}"));
    assert!(server.get(&path(&id)).problem(426).contains("ws://"));
    let refused = tungstenite::connect(format!("ws://{}{}", server.address, path(&id)));
    let Err(tungstenite::Error::Http(refusal)) = refused else { panic!("{refused:?}") };
    assert_eq!(refusal.status().as_u16(), 406, "a replayed video comes as JPEG pictures");
    server.stop();
}
