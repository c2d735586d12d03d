//! A camera whose smaller stream is counted: boxes and lines are in px of the picture that people see.

use crate::cameras::{add, corridor, start, wait_for_state, wait_for_update};
use crate::server::pause;
use pigweight_testkit::rtsp_server::RtspServer;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const SECS: u32 = 25;

/// What people see: nothing that the detector could count, in a shape of its own.
fn test_picture(to: &Path) {
    let status = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            &format!("testsrc2=size=1280x960:rate=15:duration={SECS}"),
        ])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "15", "-bf", "0", "-pix_fmt", "yuv420p"])
        .arg(to)
        .status()
        .expect("ffmpeg is installed by scripts/setup.sh --tests");
    assert!(status.success());
}

#[test]
fn a_smaller_stream_is_counted_in_px_of_the_picture_that_people_see() {
    let folder = tempfile::tempdir().unwrap();
    let corridor = corridor(folder.path(), SECS);
    let shown = folder.path().join("shown.mp4");
    test_picture(&shown);
    let server = start(folder.path(), &corridor);
    // The line is there before the first frame.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let url = |name: &str| format!("rtsp://127.0.0.1:{port}/{name}");
    let camera = json!({"name": "Gate", "url": url("shown"), "counting_url": url("counted"), "test": false});
    let camera = add(&server, &camera);
    let (id, video) = (camera["id"].as_str().unwrap(), camera["video"].as_str().unwrap());
    // The film has 640 × 360 px: twice and 2.67 times as many are shown.
    let line =
        json!({"video": video, "scope": "source", "name": "gate", "x1": 640, "y1": 960, "x2": 640, "y2": 0});
    assert_eq!(server.ask("POST", "/api/lines", &[], Some(&line.to_string())).status, 201);
    let films = [("shown", shown), ("counted", corridor.film.clone())];
    let Some(rtsp) = RtspServer::start(&["--port", &port], &films) else { return };
    wait_for_state(&server, id, "live");
    wait_for_update(&server, id, |update| update["count"].as_u64() >= Some(1));
    let live = server.get(&format!("/api/cameras/{id}")).json();
    let counted = &live["counting_stream"];
    assert_eq!(
        (live["stream"]["width"].as_i64(), counted["stream"]["width"].as_i64()),
        (Some(1280), Some(640))
    );
    let (mut widest, mut lowest) = (0.0_f64, 0.0_f64);
    // The film ends, and then the stream stalls. What it has shown is settled when the run is continued.
    while server.get(&format!("/api/cameras/{id}")).json()["counting_stream"]["state"] != "away" {
        pause();
    }
    drop(rtsp);
    server.stop();
    let server = start(folder.path(), &corridor);
    let detections = server.get(&format!("/api/videos/{video}/detections?from=0&to=100000")).json();
    for frame in detections["frames"].as_array().unwrap() {
        for found in frame["boxes"].as_array().unwrap() {
            let px = |place: usize| found[place].as_f64().unwrap();
            (widest, lowest) = (widest.max(px(0) + px(2)), lowest.max(px(1) + px(3)));
        }
    }
    assert!(widest > 700.0 && widest <= 1281.0, "{widest} of 1280 px");
    assert!(lowest > 400.0 && lowest <= 961.0, "{lowest} of 960 px");
    let truth = std::fs::read_to_string(corridor.film.with_extension("crossings.csv")).unwrap();
    let truth: Vec<&str> = truth.lines().skip(1).map(|row| row.split(',').nth(1).unwrap()).collect();
    let crossings = server.get(&format!("/api/videos/{video}/crossings")).json();
    let crossings: Vec<&str> =
        crossings.as_array().unwrap().iter().map(|one| one["direction"].as_str().unwrap()).collect();
    assert!(truth.len() >= 5, "{truth:?}");
    assert_eq!(crossings, truth);
    server.stop();
}

#[test]
fn a_stream_for_counting_that_is_away_is_told_and_the_camera_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let corridor = corridor(folder.path(), 60);
    let films = [("shown", corridor.film.clone()), ("counted", corridor.film.clone())];
    let Some(rtsp) = RtspServer::start(&[], &films) else { return };
    let server = start(folder.path(), &corridor);
    let refused = |camera: Value, status: u16| -> String {
        let answer = server.ask("POST", "/api/cameras", &[], Some(&camera.to_string()));
        assert_eq!(answer.status, status, "{camera}: {}", answer.json());
        answer.json()["detail"].as_str().unwrap().to_owned()
    };
    let shown = rtsp.address("shown");
    // The camera's password is sent there: it is the same camera, or nothing.
    for counting_url in [
        "rtsp://192.168.1.99/stream2".to_owned(),
        shown.replace("rtsp://", "rtsp://cam:word@"),
        shown.replace(&rtsp.port().to_string(), "9"),
        "usb:/dev/video0".to_owned(),
        "nonsense".to_owned(),
    ] {
        let text = refused(json!({"name": "a", "url": shown, "counting_url": counting_url}), 400);
        assert!(!text.contains("word@"), "{text}");
    }
    let text = refused(json!({"name": "a", "url": shown, "counting_url": rtsp.address("nowhere")}), 422);
    assert!(text.contains("for counting"), "{text}");

    let camera =
        add(&server, &json!({"name": "Gate", "url": shown, "counting_url": rtsp.address("counted")}));
    assert_eq!(camera["measured"]["codec"], "h264", "{camera}");
    assert!(camera["counting_stream"]["measured"]["frames_per_sec"].as_f64().unwrap() > 10.0, "{camera}");
    let id = camera["id"].as_str().unwrap();
    let path = format!("/api/cameras/{id}");
    wait_for_update(&server, id, |update| update["count"].is_u64());
    let wrong = json!({"counting_url": rtsp.address("nowhere")});
    assert_eq!(server.ask("PUT", &path, &[], Some(&wrong.to_string())).status, 200);
    loop {
        let camera = server.get(&path).json();
        if camera["state"] == "live" && camera["reason"]["code"] == "counting_stream_away" {
            assert_eq!(camera["counting_stream"]["state"], "away", "{camera}");
            assert_eq!(camera["count"]["count"], Value::Null, "a count from before says nothing of now");
            break;
        }
        pause();
    }
    // Counted as it is shown.
    let none = json!({"counting_url": null});
    let changed = server.ask("PUT", &path, &[], Some(&none.to_string())).json();
    assert_eq!(changed["counting_stream"], Value::Null);
    loop {
        let camera = server.get(&path).json();
        if camera["count"]["state"] == "counted" {
            assert_eq!(camera["reason"], Value::Null, "{camera}");
            break;
        }
        pause();
    }
    server.stop();
}
