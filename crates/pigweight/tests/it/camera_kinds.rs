//! Cameras that don't speak plain RTSP: JPEG pictures over HTTP, encrypted ones, and videos that are replayed.

use crate::cameras::{PASSWORD, add, corridor, crossings, start, wait_for_state, wait_for_update};
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

    let offer = json!({"type": "offer", "sdp": "v=0\r\n", "camera": id});
    let refused = server.ask("POST", "/api/camera/webrtc_offer", &[], Some(&offer.to_string()));
    assert_eq!(refused.status, 406, "{}", refused.json());
    assert!(refused.json()["detail"].as_str().unwrap().contains("JPEG"), "{}", refused.json());
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
