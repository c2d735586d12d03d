//! Cameras: a real RTSP server in, counts and pictures out, and back by themselves.

use crate::server::{Server, pause};
use pigweight_testkit::rtsp_server::RtspServer;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

pub const PASSWORD: &str = "p@ss:w/rd";

/// A rendered corridor with marked pigs, and the detector that reads the marks.
pub struct Corridor {
    pub film: PathBuf,
    pub model: PathBuf,
}

pub fn corridor(folder: &Path, secs: u32) -> Corridor {
    let drawn = folder.join("drawn");
    crate::kept::demo(&["--marked", "--secs", &secs.to_string(), "--seed", "4"], &drawn);
    Corridor { film: drawn.join("corridor.mp4"), model: drawn.join("drawn-pigs.onnx") }
}

pub fn start(folder: &Path, corridor: &Corridor) -> Server {
    let videos = folder.join("videos");
    std::fs::create_dir_all(&videos).unwrap();
    Server::start(&videos, &folder.join("data"), Some(&corridor.model))
}

pub fn add(server: &Server, camera: &Value) -> Value {
    let added = server.ask("POST", "/api/cameras", &[], Some(&camera.to_string()));
    assert_eq!(added.status, 201, "{}", added.json());
    let camera = added.json();
    assert_eq!(added.header("location"), format!("/api/cameras/{}", camera["id"].as_str().unwrap()));
    camera
}

/// Waits until the camera is in this state.
pub fn wait_for_state(server: &Server, id: &str, state: &str) -> Value {
    loop {
        let camera = server.get(&format!("/api/cameras/{id}")).json();
        if camera["state"] == state {
            return camera;
        }
        pause();
    }
}

/// Waits for a push of the camera's count that satisfies a condition.
pub fn wait_for_update(server: &Server, id: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
    let (mut socket, _) = tungstenite::connect(format!("ws://{}/ws/count?id={id}", server.address)).unwrap();
    loop {
        let message = socket.read().unwrap();
        let Ok(update) = serde_json::from_str::<Value>(message.to_text().unwrap_or_default()) else {
            continue;
        };
        if update["type"] == "count_update" && is_wanted(&update) {
            return update;
        }
    }
}

pub fn crossings(update: &Value) -> i64 {
    let lines = update["crossings"].as_array().unwrap();
    lines.iter().map(|line| line["forward"].as_i64().unwrap() + line["backward"].as_i64().unwrap()).sum()
}

#[test]
fn a_camera_is_counted_goes_away_comes_back_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let corridor = corridor(folder.path(), 30);
    let films = [("corridor", corridor.film.clone())];
    let auth = ["--auth", "digest"];
    let Some(rtsp) = RtspServer::start(&auth, &films) else { return };
    let server = start(folder.path(), &corridor);
    let url = rtsp.address("corridor").replace("rtsp://", &format!("rtsp://cam:{PASSWORD}@"));
    let camera = add(&server, &json!({"name": "Gate", "url": url}));
    let (id, video) = (camera["id"].as_str().unwrap(), camera["video"].as_str().unwrap());
    assert_eq!((camera["user"].as_str(), camera["has_password"].as_bool()), (Some("cam"), Some(true)));
    assert_eq!(camera["url"].as_str().unwrap(), rtsp.address("corridor"));
    // What was found when it was looked at.
    let measured = &camera["measured"];
    assert_eq!((measured["codec"].as_str(), measured["width"].as_i64()), (Some("h264"), Some(640)));
    assert!(measured["frames_per_sec"].as_f64().unwrap() > 10.0, "{camera}");
    assert!(measured["keyframe_interval_secs"].is_number(), "{camera}");
    assert!(camera["advice"].is_array() && camera["counting_stream"].is_null(), "{camera}");

    let line =
        json!({"video": video, "scope": "source", "name": "gate", "x1": 320, "y1": 360, "x2": 320, "y2": 0});
    let live = wait_for_state(&server, id, "live");
    assert_eq!(
        (live["stream"]["codec"].as_str(), live["stream"]["width"].as_i64()),
        (Some("h264"), Some(640))
    );
    let update = wait_for_update(&server, id, |update| update["count"].is_u64());
    assert!(update["t"].as_f64().unwrap() >= 0.0);
    let drawn = server.ask("POST", "/api/lines", &[], Some(&line.to_string()));
    assert_eq!(drawn.status, 201, "{}", drawn.json());
    let counted = server.get(&format!("/api/cameras/{id}")).json();
    assert_eq!(counted["count"]["state"], "counted", "{counted}");

    // By the sender reports of the RTSP server, which runs on this machine's clock.
    loop {
        let camera = server.get(&format!("/api/cameras/{id}")).json();
        if let Some(offset) = camera["measured"]["clock_offset_secs"].as_f64() {
            assert!(offset.abs() < 3.0, "{camera}");
            break;
        }
        pause();
    }

    let metrics = String::from_utf8(server.get("/metrics").bytes).unwrap();
    assert!(metrics.contains("pigweight_cameras{state=\"live\"} 1"), "{metrics}");

    let picture = server.get(&format!("/api/cameras/{id}/frame.jpg"));
    assert_eq!((picture.status, picture.header("content-type")), (200, "image/jpeg"));
    assert!(picture.bytes.starts_with(&[0xff, 0xd8]));
    assert!(picture.header("x-frame-time").parse::<f64>().unwrap() > 0.0);

    let crossed = wait_for_update(&server, id, |update| crossings(update) >= 3);
    // The cable is pulled.
    let port = rtsp.port();
    drop(rtsp);
    let away = wait_for_state(&server, id, "away");
    assert!(away["reason"]["text"].as_str().unwrap().len() > 10, "{away}");
    assert_eq!((away["count"]["state"].as_str(), &away["count"]["count"]), (Some("no_video"), &Value::Null));
    assert_eq!(server.get(&format!("/api/cameras/{id}/frame.jpg")).status, 503);
    let port = port.to_string();
    let rtsp = RtspServer::start(&["--auth", "digest", "--port", &port], &films).unwrap();
    wait_for_state(&server, id, "live");
    let names: Vec<String> = server
        .get(&format!("/api/cameras/{id}/states"))
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["state"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        (names.first().map(String::as_str), names.last().map(String::as_str)),
        (Some("live"), Some("connecting"))
    );
    assert!(names.iter().any(|name| name == "away"), "{names:?}");
    let later = wait_for_update(&server, id, |update| crossings(update) > crossings(&crossed));
    assert!(later["t"].as_f64() > crossed["t"].as_f64());

    // Nothing that the server says holds the password.
    for path in [
        "/api/cameras",
        &format!("/api/cameras/{id}"),
        &format!("/api/cameras/{id}/states"),
        "/api/sources",
        "/metrics",
        "/api/health",
    ] {
        let answer = server.get(path);
        let text = String::from_utf8_lossy(&answer.bytes);
        assert!(!text.contains("p@ss") && !text.contains("p%40ss"), "{path}: {text}");
    }

    // A restart goes on with the same run, later on the same line.
    server.stop();
    let server = start(folder.path(), &corridor);
    let restarted = wait_for_update(&server, id, |update| update["t"].as_f64() > later["t"].as_f64());
    assert!(crossings(&restarted) >= crossings(&later));
    let runs = server.get(&format!("/api/videos/{video}/runs")).json();
    assert_eq!(runs.as_array().unwrap().len(), 1, "{runs}");

    assert_eq!(server.ask("DELETE", &format!("/api/cameras/{id}"), &[], None).status, 204);
    assert_eq!(server.get(&format!("/api/cameras/{id}")).status, 404);
    assert_eq!(server.get("/api/cameras").json(), json!([]));
    assert_eq!(server.get(&format!("/api/videos/{video}/counts")).status, 200, "what was counted stays");
    server.stop();
    drop(rtsp);
}

#[test]
fn a_camera_that_cannot_be_connected_is_refused_in_words_or_added_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let corridor = corridor(folder.path(), 12);
    let Some(rtsp) = RtspServer::start(&["--auth", "basic"], &[("corridor", corridor.film.clone())]) else {
        return;
    };
    let server = start(folder.path(), &corridor);
    let refused = |camera: Value, status: u16| -> String {
        let answer = server.ask("POST", "/api/cameras", &[], Some(&camera.to_string()));
        assert_eq!(answer.status, status, "{camera}: {}", answer.json());
        let text = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(!text.contains("secret"), "{text}");
        text
    };
    let open = rtsp.address("corridor");
    let text = refused(json!({"name": "a", "url": open, "user": "cam", "password": "secret"}), 422);
    assert!(text.contains("password"), "{text}");
    let nowhere = rtsp.address("nowhere").replace("rtsp://", &format!("rtsp://cam:{PASSWORD}@"));
    assert!(refused(json!({"name": "a", "url": nowhere}), 422).contains("path"));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(
        refused(json!({"name": "a", "url": format!("rtsp://{closed}/s")}), 422).contains("doesn't answer")
    );
    refused(json!({"name": "a", "url": "ftp://10.0.0.5/s"}), 400);
    refused(json!({"name": "", "url": open}), 400);
    refused(json!({"name": "a\nb", "url": open}), 400);
    refused(json!({"name": "a", "url": open, "password": "x".repeat(300), "user": "u"}), 400);
    refused(json!({"name": "a"}), 400);
    refused(json!({"name": "a", "url": open, "password": "x"}), 400);
    refused(json!({"name": "a", "url": "rtsp://cam:12/secret@camera/s"}), 400);
    refused(json!({"name": "a", "url": open, "colour": "red"}), 400);
    assert_eq!(server.get("/api/cameras").json(), json!([]));

    // One that is off today.
    let camera = add(&server, &json!({"name": "Off", "url": format!("rtsp://{closed}/s"), "test": false}));
    let id = camera["id"].as_str().unwrap();
    let away = wait_for_state(&server, id, "away");
    assert_eq!(away["reason"]["code"], "unreachable");
    assert!(away["retry_at"].is_string());
    // Given its right address later, without its password being asked for by another host.
    let path = format!("/api/cameras/{id}");
    let change = json!({"url": open, "user": "cam", "password": PASSWORD});
    assert_eq!(server.ask("PUT", &path, &[], Some(&change.to_string())).status, 200);
    wait_for_state(&server, id, "live");
    let renamed = server.ask("PUT", &path, &[], Some(&json!({"name": "Gate"}).to_string())).json();
    assert_eq!((renamed["name"].as_str(), renamed["has_password"].as_bool()), (Some("Gate"), Some(true)));
    // What was read may be sent back; user and password of a new address are its own.
    let same = server.ask("PUT", &path, &[], Some(&renamed.to_string()));
    assert_eq!((same.status, same.json()["has_password"].as_bool()), (200, Some(true)), "{}", same.json());
    let other_user = json!({"url": open.replace("rtsp://", "rtsp://other:word@")});
    let changed = server.ask("PUT", &path, &[], Some(&other_user.to_string())).json();
    assert_eq!((changed["user"].as_str(), changed["url"].as_str()), (Some("other"), Some(open.as_str())));
    let elsewhere = json!({"url": format!("rtsp://{closed}/s")});
    let moved = server.ask("PUT", &path, &[], Some(&elsewhere.to_string())).json();
    assert_eq!(moved["has_password"], false, "another host is not told the password");
    server.stop();
}

#[test]
fn a_corridor_replayed_as_a_camera_gives_the_crossings_of_its_video() {
    let folder = tempfile::tempdir().unwrap();
    let corridor = corridor(folder.path(), 25);
    let server = start(folder.path(), &corridor);
    // The line is there before the first frame, as on the command line.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let url = format!("rtsp://127.0.0.1:{port}/corridor");
    let camera = add(&server, &json!({"name": "Corridor", "url": url, "test": false}));
    let (id, video) = (camera["id"].as_str().unwrap(), camera["video"].as_str().unwrap());
    let line =
        json!({"video": video, "scope": "source", "name": "gate", "x1": 320, "y1": 360, "x2": 320, "y2": 0});
    assert_eq!(server.ask("POST", "/api/lines", &[], Some(&line.to_string())).status, 201);
    let films = [("corridor", corridor.film.clone())];
    let Some(rtsp) = RtspServer::start(&["--port", &port], &films) else { return };
    wait_for_state(&server, id, "live");
    // The film ends, and then the camera stalls: all that it has shown is settled and written by then.
    wait_for_state(&server, id, "away");
    drop(rtsp);
    server.stop();
    let server = start(folder.path(), &corridor);
    let of = |path: &str| -> Vec<(String, f64)> {
        let crossings = server.get(path).json();
        let crossings = crossings.as_array().unwrap().iter();
        crossings
            .map(|one| (one["direction"].as_str().unwrap().to_owned(), one["secs"].as_f64().unwrap()))
            .collect()
    };
    let live = of(&format!("/api/videos/{video}/crossings"));
    let truth = std::fs::read_to_string(corridor.film.with_extension("crossings.csv")).unwrap();
    let truth: Vec<(String, f64)> = truth
        .lines()
        .skip(1)
        .map(|row| row.split(',').collect::<Vec<_>>())
        .map(|row| (row[1].to_owned(), row[0].parse().unwrap()))
        .collect();
    assert!(truth.len() >= 5, "{truth:?}");
    assert_eq!(live.len(), truth.len(), "{live:?} {truth:?}");
    // The camera's line begins elsewhere: the times between the crossings are those of the video.
    let shift = live[0].1 - truth[0].1;
    for (live, truth) in live.iter().zip(&truth) {
        assert_eq!(live.0, truth.0);
        assert!((live.1 - truth.1 - shift).abs() < 0.5, "{live:?} {truth:?}");
    }
    server.stop();
}

/// Connections that are open to a port of this machine.
fn connections_to(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let address = format!("0100007F:{port:04X}");
    // Remote address, and state 1: established.
    let columns = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    columns.filter(|row| row.get(2) == Some(&address.as_str()) && row.get(3) == Some(&"01")).count()
}

#[test]
fn changes_at_once_and_clients_that_hang_up_leave_no_camera_behind() {
    let folder = tempfile::tempdir().unwrap();
    let corridor = corridor(folder.path(), 12);
    let Some(rtsp) = RtspServer::start(&[], &[("corridor", corridor.film.clone())]) else { return };
    let server = start(folder.path(), &corridor);
    let url = rtsp.address("corridor");
    let camera = add(&server, &json!({"name": "Gate", "url": url}));
    let path = format!("/api/cameras/{}", camera["id"].as_str().unwrap());
    std::thread::scope(|scope| {
        for number in 0..16 {
            let (server, path, url) = (&server, &path, &url);
            scope.spawn(move || {
                // Each another address, so that each connects anew.
                let change = json!({"name": format!("g{number}"), "url": format!("{url}?n={number}")});
                let changed = server.ask("PUT", path, &[], Some(&change.to_string()));
                assert_eq!(changed.status, 200);
            });
        }
    });
    // A client that hangs up at once: what it asked for is done as a whole or not at all.
    for _ in 0..20 {
        use std::io::Write as _;
        let body = json!({"name": "x", "url": url, "test": false}).to_string();
        let mut socket = std::net::TcpStream::connect(&server.address).unwrap();
        write!(
            socket,
            "POST /api/cameras HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            server.address,
            body.len()
        )
        .unwrap();
        socket.shutdown(std::net::Shutdown::Both).unwrap();
    }
    let all = |server: &Server| server.get("/api/cameras").json().as_array().unwrap().clone();
    for camera in all(&server) {
        assert_ne!(camera["state"], "stopped", "a registered camera runs: {camera}");
    }
    loop {
        let cameras = all(&server);
        if cameras.is_empty() {
            break;
        }
        for camera in cameras {
            let removed =
                server.ask("DELETE", &format!("/api/cameras/{}", camera["id"].as_str().unwrap()), &[], None);
            assert_eq!(removed.status, 204);
        }
    }
    let port = rtsp.port();
    while connections_to(port) > 0 {
        pause();
    }
    let threads = server.idle_threads();
    assert!(threads.iter().all(|(name, _)| name != "camera"), "{threads:?}");
    server.stop();
}
