//! Cameras that don't speak plain RTSP: JPEG pictures over HTTP, encrypted ones, and videos that are replayed.

use crate::cameras::{PASSWORD, add, corridor, crossings, start, wait_for_state, wait_for_update};
use crate::server::Server;
use pigweight_testkit::mjpeg_server::MjpegServer;
use serde_json::{Value, json};

#[test]
fn a_camera_that_sends_jpeg_pictures_over_http_is_counted_and_shown_as_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let corridor = corridor(folder.path(), 30);
    let Some(camera) = MjpegServer::start(&["--auth", "digest"], &corridor.film) else { return };
    let server = start(folder.path(), &corridor);
    let url = camera.address("lies.mjpg");
    let added = add(&server, &json!({"name": "Barn", "url": url, "user": "cam", "password": PASSWORD}));
    let (id, video) = (added["id"].as_str().unwrap(), added["video"].as_str().unwrap());
    let line =
        json!({"video": video, "scope": "source", "name": "gate", "x1": 320, "y1": 360, "x2": 320, "y2": 0});
    assert_eq!(added["certificate"], Value::Null);
    let live = wait_for_state(&server, id, "live");
    let stream = &live["stream"];
    assert_eq!((stream["codec"].as_str(), stream["width"].as_i64()), (Some("mjpeg"), Some(640)), "{stream}");
    wait_for_update(&server, id, |update| update["count"].is_u64());
    assert_eq!(server.ask("POST", "/api/lines", &[], Some(&line.to_string())).status, 201);
    wait_for_update(&server, id, |update| crossings(update) >= 2);
    let picture = server.get(&format!("/api/cameras/{id}/frame.jpg"));
    assert_eq!((picture.status, picture.header("content-type")), (200, "image/jpeg"));

    let shown = crate::webrtc::receive(&server, &["whep", id, "10"]).unwrap();
    assert_eq!((&shown["codec"], &shown["size"]), (&json!("VP8"), &json!([640, 360])), "it is transcoded");
    // Its pictures are recorded as they are.
    let recorded = server.get(&format!("/api/cameras/{id}/recordings?from=0")).json();
    assert!(!recorded["recordings"].as_array().unwrap().is_empty(), "{recorded}");
    let secs: f64 = picture.header("x-frame-time").parse().unwrap();
    let path =
        format!("/api/video_file/frame_optimized?id={}&t={}", live["video"].as_str().unwrap(), secs + 0.001);
    while server.get(&path).status == 404 {
        crate::server::pause();
    }
    let past = server.get(&path);
    assert_eq!((past.status, past.header("x-frame-pts")), (200, picture.header("x-frame-pts")));
    server.stop();
}

#[test]
fn addresses_over_http_that_are_no_camera_are_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let corridor = corridor(folder.path(), 12);
    let Some(camera) = MjpegServer::start(&[], &corridor.film) else { return };
    let server = start(folder.path(), &corridor);
    for (path, said) in
        [("page", "text/html"), ("nothing", "path"), ("elsewhere", "redirects"), ("text", "JPEG")]
    {
        let body = json!({"name": "a", "url": camera.address(path)});
        let answer = server.ask("POST", "/api/cameras", &[], Some(&body.to_string()));
        let text = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert_eq!(answer.status, 422, "{path}: {text}");
        assert!(text.contains(said) && !text.contains("secret"), "{path}: {text}");
    }
    server.stop();
}

#[test]
fn the_certificate_of_an_encrypted_camera_is_kept_and_another_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let corridor = corridor(folder.path(), 12);
    let keys = |name: &str| folder.path().join(name).display().to_string();
    let (own, other) = (keys("own"), keys("other"));
    let Some(camera) = MjpegServer::start(&["--tls", &own], &corridor.film) else { return };
    let port = camera.port().to_string();
    let server = start(folder.path(), &corridor);
    let url = camera.address("snapshot.jpg").replace("http://", "https://");
    let added = add(&server, &json!({"name": "Barn", "url": url, "user": "cam", "password": PASSWORD}));
    let id = added["id"].as_str().unwrap();
    let kept = added["url"].as_str().unwrap();
    assert_eq!(added["certificate"], "kept");
    assert!(kept.starts_with(&format!("{url}#sha256=")), "{kept}");
    wait_for_state(&server, id, "live");
    // One that is off has none yet, and that is told.
    let off = json!({"name": "Off", "url": "https://127.0.0.1:1/", "test": false});
    assert_eq!(add(&server, &off)["certificate"], "unchecked");

    drop(camera);
    wait_for_state(&server, id, "away");
    let camera = MjpegServer::start(&["--tls", &other, "--port", &port], &corridor.film).unwrap();
    let refused = loop {
        let camera = server.get(&format!("/api/cameras/{id}")).json();
        if camera["reason"]["code"] == "other_certificate" {
            break camera;
        }
        assert_ne!(camera["state"], "live");
        crate::server::pause();
    };
    assert!(refused["reason"]["text"].as_str().unwrap().contains("another certificate"), "{refused}");
    // A person enters the address again: the new one is kept, and the password isn't lost.
    let change = json!({"url": url});
    let changed = server.ask("PUT", &format!("/api/cameras/{id}"), &[], Some(&change.to_string())).json();
    assert_eq!(
        (changed["certificate"].as_str(), changed["has_password"].as_bool()),
        (Some("kept"), Some(true))
    );
    assert_ne!(changed["url"].as_str(), Some(kept));
    wait_for_state(&server, id, "live");
    // Nor is it told to a connection that isn't encrypted.
    let plain = json!({"url": url.replace("https://", "http://")});
    let changed = server.ask("PUT", &format!("/api/cameras/{id}"), &[], Some(&plain.to_string())).json();
    assert_eq!((&changed["certificate"], changed["has_password"].as_bool()), (&Value::Null, Some(false)));
    server.stop();
    drop(camera);
}

/// Direction and second of each crossing of a recording.
fn crossings_of(server: &Server, video: &str) -> Vec<(String, f64)> {
    let crossings = server.get(&format!("/api/videos/{video}/crossings")).json();
    let crossings = crossings.as_array().unwrap().iter();
    crossings
        .map(|one| (one["direction"].as_str().unwrap().to_owned(), one["secs"].as_f64().unwrap()))
        .collect()
}

#[test]
fn a_video_replayed_as_a_camera_faster_than_real_time_gives_its_crossings_every_time() {
    const SPEED: f64 = 2.0;
    const TIMES: usize = 4;
    let folder = tempfile::tempdir().unwrap();
    let corridor = corridor(folder.path(), 25);
    let videos = folder.path().join("videos");
    std::fs::create_dir_all(&videos).unwrap();
    // With B-frames and in another container than a camera would have.
    let film = videos.join("corridor.mkv");
    let made = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(&corridor.film)
        .args(["-c:v", "libx264", "-preset", "veryfast", "-crf", "16", "-bf", "3", "-g", "60"])
        .arg(&film)
        .status()
        .expect("ffmpeg is installed by scripts/setup.sh --tests");
    assert!(made.success());
    let server = start(folder.path(), &corridor);
    let video = server.video("corridor.mkv")["id"].as_str().unwrap().to_owned();
    let truth = std::fs::read_to_string(corridor.film.with_extension("crossings.csv")).unwrap();
    let rows = truth.lines().skip(1).map(|row| row.split(',').collect::<Vec<_>>());
    let truth: Vec<(String, f64)> = rows.map(|row| (row[1].to_owned(), row[0].parse().unwrap())).collect();
    assert!(truth.len() >= 5, "{truth:?}");

    // All at once, each as a camera of its own.
    let url = format!("replay:{video}?speed={SPEED}");
    let cameras: Vec<Value> = (0..TIMES)
        .map(|number| {
            // The line is drawn before the first frame.
            let camera = json!({"name": format!("Replay {number}"), "url": "rtsp://127.0.0.1:1/s", "test": false});
            let camera = add(&server, &camera);
            let line = json!({"video": camera["video"], "scope": "source", "name": "gate", "x1": 320, "y1": 360, "x2": 320, "y2": 0});
            assert_eq!(server.ask("POST", "/api/lines", &[], Some(&line.to_string())).status, 201);
            camera
        })
        .collect();
    for camera in &cameras {
        let path = format!("/api/cameras/{}", camera["id"].as_str().unwrap());
        let changed = server.ask("PUT", &path, &[], Some(&json!({"url": url}).to_string()));
        assert_eq!((changed.status, changed.json()["url"].as_str()), (200, Some(url.as_str())));
    }
    // It begins anew at its end, so what was shown last is settled, too.
    for camera in &cameras {
        let id = camera["id"].as_str().unwrap();
        wait_for_update(&server, id, |update| crossings(update) >= i64::try_from(truth.len()).unwrap());
        let camera = server.get(&format!("/api/cameras/{id}")).json();
        assert_eq!(camera["delivered"]["clock_jumps"], 0, "{camera}");
    }
    server.stop();
    let server = start(folder.path(), &corridor);
    for camera in &cameras {
        let live = crossings_of(&server, camera["video"].as_str().unwrap());
        let mut delay = 0.0_f64;
        for (number, (_, truth_secs)) in truth.iter().enumerate() {
            assert_eq!(live[number].0, truth[number].0, "{live:?} {truth:?}");
            let (passed, expected) = (live[number].1 - live[0].1, (truth_secs - truth[0].1) / SPEED);
            // A busy machine plays more slowly. That is never caught up with.
            assert!(passed - expected > delay - 0.5, "{live:?} {truth:?}");
            delay = delay.max(passed - expected);
        }
    }
    server.stop();
}

#[test]
fn a_replayed_video_begins_anew_at_its_end_and_only_known_videos_can_be_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let corridor = corridor(folder.path(), 12);
    let videos = folder.path().join("videos");
    std::fs::create_dir_all(&videos).unwrap();
    std::fs::copy(&corridor.film, videos.join("corridor.mp4")).unwrap();
    let server = start(folder.path(), &corridor);
    let video = server.video("corridor.mp4")["id"].as_str().unwrap().to_owned();
    let refused = |url: &str, status: u16| {
        let body = json!({"name": "a", "url": url});
        let answer = server.ask("POST", "/api/cameras", &[], Some(&body.to_string()));
        assert_eq!(answer.status, status, "{url}: {}", answer.json());
    };
    refused("replay:/etc/passwd", 400);
    refused(&format!("replay:{}", corridor.film.display()), 400);
    refused("replay:01ARZ3NDEKTSV4RRFFQ69G5FAV", 404);
    refused(&format!("replay:{video}?speed=1000"), 400);
    let added = add(&server, &json!({"name": "Again", "url": format!("replay:{video}?speed=16")}));
    let id = added["id"].as_str().unwrap();
    // What a camera sends has no file.
    refused(&format!("replay:{}", added["video"].as_str().unwrap()), 404);
    loop {
        let camera = server.get(&format!("/api/cameras/{id}")).json();
        if camera["delivered"]["connections"].as_u64() >= Some(3) {
            assert_eq!(camera["delivered"]["clock_jumps"], 0, "{camera}");
            break;
        }
        crate::server::pause();
    }
    wait_for_state(&server, id, "away");
    let states = server.get(&format!("/api/cameras/{id}/states")).json();
    let said =
        |state: &Value| state["reason"]["text"].as_str().is_some_and(|text| text.contains("begins anew"));
    assert!(states.as_array().unwrap().iter().any(said), "{states}");
    // Once is once.
    let once = json!({"url": format!("replay:{video}?speed=16&once=true")});
    assert_eq!(server.ask("PUT", &format!("/api/cameras/{id}"), &[], Some(&once.to_string())).status, 200);
    loop {
        let camera = server.get(&format!("/api/cameras/{id}")).json();
        if camera["state"] == "away" {
            assert_eq!(camera["reason"]["code"], "played", "{camera}");
            break;
        }
        crate::server::pause();
    }
    server.stop();
}
