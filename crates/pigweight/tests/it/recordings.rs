//! Recordings of cameras: what was shown is there, exactly, and stays there.

use crate::cameras::{Corridor, add, corridor, wait_for_state};
use crate::server::{Server, pause};
use pigweight_testkit::rtsp_server::RtspServer;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// How much time may be missing after `kill -9`: the fragment that was being collected, and the frame whose arrival ends it.
const MOST_LOST_SECS: f64 = 1.0;

fn start(folder: &Path, corridor: &Corridor, settings: &[(&str, &str)]) -> Server {
    let videos = folder.join("videos");
    std::fs::create_dir_all(&videos).unwrap();
    Server::start_with(&videos, &folder.join("data"), Some(&corridor.model), settings)
}

fn recordings(server: &Server, id: &str) -> Vec<Value> {
    server.get(&format!("/api/cameras/{id}/recordings?from=0")).json()["recordings"]
        .as_array()
        .unwrap()
        .clone()
}

/// The picture of a moment: its JPEG, its seconds and its pts. `None`: nothing is recorded then.
fn picture_at(server: &Server, video: &str, secs: f64) -> Option<(Vec<u8>, f64, i64)> {
    let path = format!("/api/video_file/frame_optimized?id={video}&t={secs}&inference=false");
    let answer = server.get(&path);
    if answer.status == 404 {
        assert!(answer.json()["detail"].as_str().unwrap().contains("is not recorded"), "{}", answer.json());
        return None;
    }
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
    let number = |name: &str| answer.header(name).to_owned();
    let (secs, pts) = (number("x-frame-time").parse().unwrap(), number("x-frame-pts").parse().unwrap());
    Some((answer.bytes, secs, pts))
}

/// Frames of a file, and seconds from the first to the last, as ffmpeg sees them.
fn frames_of(file: &Path) -> (usize, f64) {
    let probe =
        ["-v", "error", "-select_streams", "v:0", "-show_entries", "frame=pts_time", "-of", "csv=p=0"];
    let output = Command::new("ffprobe").args(probe).arg(file).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let times: Vec<f64> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.trim_end_matches(',').parse().ok())
        .collect();
    (times.len(), times.last().unwrap() - times.first().unwrap())
}

#[test]
fn what_was_live_is_recorded_to_the_bit_plays_as_hls_and_goes_with_its_camera() {
    let folder = tempfile::tempdir().unwrap();
    let corridor = corridor(folder.path(), 25);
    let Some(rtsp) = RtspServer::start(&[], &[("corridor", corridor.film.clone())]) else { return };
    let server = start(folder.path(), &corridor, &[]);
    let camera = add(&server, &json!({"name": "Gate", "url": rtsp.address("corridor")}));
    let (id, video) = (camera["id"].as_str().unwrap(), camera["video"].as_str().unwrap());
    assert_eq!(
        (camera["recording"]["mode"].as_str(), &camera["recording_mode"]),
        (Some("all"), &Value::Null)
    );
    wait_for_state(&server, id, "live");

    // Pictures as they were shown, some seconds apart, …
    let mut shown = Vec::new();
    while shown.len() < 5 {
        let live = server.get(&format!("/api/cameras/{id}/frame.jpg"));
        if live.status == 200 {
            let secs: f64 = live.header("x-frame-time").parse().unwrap();
            let pts: i64 = live.header("x-frame-pts").parse().unwrap();
            if shown.last().is_none_or(|&(_, last, _)| secs > last + 0.5) {
                shown.push((live.bytes, secs, pts));
            }
        }
        pause();
    }
    // … are the pictures that the recording has at those moments, while it is being written and afterwards.
    let check = |server: &Server| {
        for (jpeg, secs, pts) in &shown {
            let (recorded, recorded_secs, recorded_pts) = loop {
                // The last half second is not in the file yet.
                match picture_at(server, video, secs + 0.001) {
                    Some(found) => break found,
                    None => pause(),
                }
            };
            assert_eq!(recorded_pts, *pts);
            assert!((recorded_secs - secs).abs() < 1e-9);
            assert!(recorded == *jpeg, "the picture at {secs} s differs from the one that was shown");
        }
    };
    check(&server);
    assert_eq!(recordings(&server, id).last().unwrap()["to"], Value::Null, "it is being written");
    // The film ends.
    wait_for_state(&server, id, "away");
    let all = loop {
        let all = recordings(&server, id);
        if all.iter().all(|one| one["to"].is_f64()) {
            break all;
        }
        pause();
    };
    check(&server);
    let (first, last) = (all.first().unwrap(), all.last().unwrap());
    let length = last["to"].as_f64().unwrap() - first["from"].as_f64().unwrap();
    assert!((24.0..27.0).contains(&length), "{all:?}");

    // Before it and after it there is nothing, in words.
    assert!(picture_at(&server, video, first["from"].as_f64().unwrap() - 0.2).is_none());
    assert!(picture_at(&server, video, last["to"].as_f64().unwrap() + 0.2).is_none());
    let boxed = server.get(&format!("/api/video_file/frame_optimized?id={video}&t={}", shown[2].1 + 0.001));
    assert_eq!(boxed.header("x-has-inference"), "true", "boxes of then are drawn");

    // A player gets all of it.
    let playlist = server.get(&format!("/api/cameras/{id}/hls?from=0"));
    assert_eq!(playlist.status, 200);
    let text = String::from_utf8(playlist.bytes).unwrap();
    let durations = text.lines().filter_map(|line| line.strip_prefix("#EXTINF:")?.strip_suffix(','));
    let total: f64 = durations.map(|secs| secs.parse::<f64>().unwrap()).sum();
    assert!((total - length).abs() < 0.2, "{text}");
    let played = folder.path().join("played.mp4");
    let url = server.url(&format!("/api/cameras/{id}/hls?from=0"));
    let ffmpeg =
        ["-v", "error", "-allowed_extensions", "ALL", "-extension_picky", "0", "-i", &url, "-c", "copy"];
    let made = Command::new("ffmpeg").args(ffmpeg).arg(&played).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let recorded: i64 = all.iter().map(|one| one["frames"].as_i64().unwrap()).sum();
    assert_eq!(frames_of(&played).0 as i64, recorded);
    // A range of one file, as players ask for it.
    let file = format!("/api/cameras/{id}/recordings/{}", first["id"].as_str().unwrap());
    let range = server.ask("GET", &file, &[("range", "bytes=4-7")], None);
    assert_eq!((range.status, range.bytes.as_slice()), (206, b"ftyp".as_slice()));

    // Everything that was counted, where no end is named.
    let counts = server.get(&format!("/api/videos/{video}/counts")).json();
    assert!(!counts["points"].as_array().unwrap().is_empty(), "{counts}");
    let detections = server.get(&format!("/api/videos/{video}/detections")).json();
    assert!(!detections["frames"].as_array().unwrap().is_empty());
    server.ask("GET", &format!("/api/video_file/frame_optimized?id={video}&t=NaN"), &[], None).problem(400);

    let kept = folder.path().join("data/recordings").join(id);
    assert!(kept.is_dir());
    // A file that somebody damages or removes is told, and never left out of a clip without a word.
    let name = format!("{}.mp4", first["id"].as_str().unwrap());
    let clip = json!({"from": first["from"], "to": last["to"]}).to_string();
    std::fs::write(kept.join(&name), "no recording").unwrap();
    let broken = server.ask("POST", &format!("/api/cameras/{id}/clips"), &[], Some(&clip)).problem(409);
    assert!(broken.contains("damaged or gone"), "{broken}");
    std::fs::remove_file(kept.join(&name)).unwrap();
    server.ask("POST", &format!("/api/cameras/{id}/clips"), &[], Some(&clip)).problem(409);
    assert!(server.ask("GET", &file, &[], None).problem(404).contains("gone"));
    assert_eq!(server.ask("DELETE", &format!("/api/cameras/{id}"), &[], None).status, 204);
    assert!(!kept.exists(), "its recordings went with the camera");
    server.stop();
}

#[test]
fn a_clip_is_a_video_of_its_camera_and_counting_it_gives_the_crossings_that_were_settled_live() {
    let folder = tempfile::tempdir().unwrap();
    let corridor = corridor(folder.path(), 25);
    let server = start(folder.path(), &corridor, &[]);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let url = format!("rtsp://127.0.0.1:{port}/corridor");
    let camera = add(&server, &json!({"name": "Corridor / 1", "url": url, "test": false}));
    let (id, video) = (camera["id"].as_str().unwrap(), camera["video"].as_str().unwrap());
    let line =
        json!({"video": video, "scope": "source", "name": "gate", "x1": 320, "y1": 360, "x2": 320, "y2": 0});
    assert_eq!(server.ask("POST", "/api/lines", &[], Some(&line.to_string())).status, 201);
    let Some(rtsp) = RtspServer::start(&["--port", &port], &[("corridor", corridor.film.clone())]) else {
        return;
    };
    wait_for_state(&server, id, "live");
    wait_for_state(&server, id, "away");
    drop(rtsp);
    let all = loop {
        let all = recordings(&server, id);
        if all.iter().all(|one| one["to"].is_f64()) {
            break all;
        }
        pause();
    };
    let from = all.first().unwrap()["from"].as_f64().unwrap();
    let to = all.last().unwrap()["to"].as_f64().unwrap();
    let path = format!("/api/cameras/{id}/clips");
    let made = server.ask("POST", &path, &[], Some(&json!({"from": from, "to": to}).to_string()));
    assert_eq!(made.status, 201, "{}", made.json());
    let clip = made.json()["video"].as_str().unwrap().to_owned();
    assert_eq!(made.header("location"), format!("/api/videos/{clip}"));
    assert!(made.json()["name"].as_str().unwrap().starts_with("Corridor - 1 "), "{}", made.json());
    let described = server.get(&format!("/api/videos/{clip}")).json();
    assert_eq!(described["source"], json!(id), "{described}");
    server.wait_for_run(&clip, "done");

    // The analysis that was live goes on at the next start; what it settled was written when the camera stalled.
    server.stop();
    let server = start(folder.path(), &corridor, &[]);
    let of = |video: &str| -> Vec<(String, f64)> {
        let crossings = server.get(&format!("/api/videos/{video}/crossings")).json();
        let crossings = crossings.as_array().unwrap().iter();
        crossings
            .map(|one| (one["direction"].as_str().unwrap().to_owned(), one["secs"].as_f64().unwrap()))
            .collect()
    };
    let (live, counted) = (of(video), of(&clip));
    assert!(live.len() >= 5, "{live:?}");
    assert_eq!(counted.len(), live.len(), "{counted:?} {live:?}");
    for (counted, live) in counted.iter().zip(&live) {
        assert_eq!(counted.0, live.0);
        assert!((counted.1 + from - live.1).abs() < 0.3, "{counted:?} {live:?} {from}");
    }

    for (body, status) in [
        (json!({"from": to + 100.0, "to": to + 110.0}), 404),
        (json!({"from": 5.0, "to": 4.0}), 400),
        (json!({"from": 0.0, "to": 90_000.0}), 400),
        (json!({"from": 0.0}), 400),
        (json!({"from": 0.0, "to": 1.0, "name": "a\nb"}), 400),
    ] {
        let refused = server.ask("POST", &path, &[], Some(&body.to_string()));
        assert_eq!(refused.status, status, "{body}: {}", refused.json());
    }
    // It stays when the camera goes.
    assert_eq!(server.ask("DELETE", &format!("/api/cameras/{id}"), &[], None).status, 204);
    assert_eq!(server.get(&format!("/api/videos/{clip}")).status, 200);
    server.stop();
    let check = crate::server::pigweight()
        .args(["check-data", "--data"])
        .arg(folder.path().join("data"))
        .output()
        .unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
}

#[test]
fn a_killed_server_loses_less_than_a_second_and_its_file_plays() {
    let folder = tempfile::tempdir().unwrap();
    let corridor = corridor(folder.path(), 60);
    let Some(rtsp) = RtspServer::start(&[], &[("corridor", corridor.film.clone())]) else { return };
    let server = start(folder.path(), &corridor, &[]);
    let camera = add(&server, &json!({"name": "Gate", "url": rtsp.address("corridor")}));
    let (id, video) =
        (camera["id"].as_str().unwrap().to_owned(), camera["video"].as_str().unwrap().to_owned());
    let mut last_secs = 0.0;
    let mut first_secs = None;
    while first_secs.is_none_or(|first| last_secs - first < 5.0) {
        let live = server.get(&format!("/api/cameras/{id}/frame.jpg"));
        if live.status == 200 {
            last_secs = live.header("x-frame-time").parse().unwrap();
            first_secs.get_or_insert(last_secs);
        }
        pause();
    }
    server.kill();
    let server = start(folder.path(), &corridor, &[]);
    let all = recordings(&server, &id);
    let killed = &all[0];
    let to = killed["to"].as_f64().expect("it is ended");
    assert!(last_secs - to < MOST_LOST_SECS, "{last_secs} {killed}");
    let file = folder
        .path()
        .join("data/recordings")
        .join(&id)
        .join(format!("{}.mp4", killed["id"].as_str().unwrap()));
    let (frames, length) = frames_of(&file);
    assert_eq!(frames as i64, killed["frames"].as_i64().unwrap());
    assert!((length - (to - killed["from"].as_f64().unwrap())).abs() < 0.2);
    assert!(picture_at(&server, &video, to - 0.1).is_some());
    // It goes on, later on the same timeline.
    wait_for_state(&server, &id, "live");
    let next = loop {
        if let Some(next) = recordings(&server, &id).get(1) {
            break next.clone();
        }
        pause();
    };
    assert!(next["from"].as_f64().unwrap() > to, "{next}");
    server.stop();
}

#[test]
fn recording_can_be_switched_off_and_on_for_a_camera() {
    let folder = tempfile::tempdir().unwrap();
    let corridor = corridor(folder.path(), 60);
    let Some(rtsp) = RtspServer::start(&[], &[("corridor", corridor.film.clone())]) else { return };
    let server = start(folder.path(), &corridor, &[("PIGWEIGHT_RECORDING__MODE", "off")]);
    let camera = add(&server, &json!({"name": "Gate", "url": rtsp.address("corridor")}));
    let id = camera["id"].as_str().unwrap();
    let path = format!("/api/cameras/{id}");
    assert_eq!(camera["recording"]["mode"], "off");
    wait_for_state(&server, id, "live");
    // A picture was decoded, so what came was seen by the recorder as well.
    while server.get(&format!("{path}/frame.jpg")).status != 200 {
        pause();
    }
    assert!(recordings(&server, id).is_empty());
    let on = server.ask("PUT", &path, &[], Some(&json!({"recording_mode": "marked"}).to_string()));
    assert_eq!((on.status, on.json()["recording"]["mode"].as_str()), (200, Some("marked")));
    while recordings(&server, id).is_empty() {
        pause();
    }
    // What was read may be sent back.
    let read = server.get(&path).json();
    assert_eq!(server.ask("PUT", &path, &[], Some(&read.to_string())).json()["recording_mode"], "marked");
    let off = server.ask("PUT", &path, &[], Some(&json!({"recording_mode": null}).to_string()));
    assert_eq!(off.json()["recording"]["mode"], "off");
    while recordings(&server, id).iter().any(|one| one["to"].is_null()) {
        pause();
    }
    let other = server.ask("PUT", &path, &[], Some(&json!({"recording_mode": "some"}).to_string()));
    assert_eq!(other.status, 400, "{}", other.json());

    // A mark keeps a stretch.
    let marks = format!("{path}/marks");
    let one = recordings(&server, id)[0].clone();
    assert_eq!(one["is_marked"], false);
    let from = one["from"].as_f64().unwrap();
    let mark = json!({"from": from, "to": from + 0.1, "note": "loading"});
    let added = server.ask("POST", &marks, &[], Some(&mark.to_string()));
    assert_eq!(added.status, 201, "{}", added.json());
    assert_eq!(recordings(&server, id)[0]["is_marked"], true);
    assert_eq!(server.get(&marks).json()[0]["note"], "loading");
    assert_eq!(server.ask("POST", &marks, &[], Some(&json!({"from": 2, "to": 1}).to_string())).status, 400);
    let mark = format!("{marks}/{}", added.json()["id"].as_str().unwrap());
    assert_eq!(server.ask("DELETE", &mark, &[], None).status, 204);
    assert_eq!(server.ask("DELETE", &mark, &[], None).status, 404);
    assert_eq!(recordings(&server, id)[0]["is_marked"], false);
    server.stop();
}

#[test]
fn a_camera_with_b_frames_is_recorded_from_its_first_keyframe_on_in_one_piece() {
    let folder = tempfile::tempdir().unwrap();
    let film = crate::webrtc::film(folder.path(), "b.mp4", &crate::webrtc::WITH_B_FRAMES);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let videos = folder.path().join("videos");
    std::fs::create_dir_all(&videos).unwrap();
    let server = Server::start(&videos, &folder.path().join("data"), None);
    let url = format!("rtsp://127.0.0.1:{port}/b");
    let camera = add(&server, &json!({"name": "B", "url": url, "test": false}));
    let id = camera["id"].as_str().unwrap();
    let Some(rtsp) = RtspServer::start(&["--port", &port], &[("b", film.clone())]) else { return };
    wait_for_state(&server, id, "live");
    wait_for_state(&server, id, "away");
    drop(rtsp);
    let all = loop {
        let all = recordings(&server, id);
        if !all.is_empty() && all.iter().all(|one| one["to"].is_f64()) {
            break all;
        }
        pause();
    };
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0]["frames"].as_i64().unwrap() as usize, frames_of(&film).0);
    let clip = json!({"from": all[0]["from"], "to": all[0]["to"]}).to_string();
    let made = server.ask("POST", &format!("/api/cameras/{id}/clips"), &[], Some(&clip));
    assert_eq!(made.status, 201, "{}", made.json());
    server.stop();
}
