//! A file that must be read from end to end for its index can be viewed meanwhile.

use crate::server::{Answer, Server};
use crate::workers::signal;
use std::path::Path;
use std::process::Command;

/// Half a million frames: reading them takes a second or more, and the first part is published after a quarter of one.
fn long_video(folder: &Path) {
    let ffmpeg = |arguments: &[&str]| {
        let status =
            Command::new("ffmpeg").args(["-v", "error"]).args(arguments).current_dir(folder).status();
        assert!(status.expect("ffmpeg is installed").success(), "{arguments:?}");
    };
    let minute = ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=60"];
    let coding = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-crf", "40", "-y", "minute.mp4"];
    ffmpeg(&[&minute[..], &coding].concat());
    ffmpeg(&["-stream_loop", "340", "-i", "minute.mp4", "-c", "copy", "-y", "long.mkv"]);
    std::fs::remove_file(folder.join("minute.mp4")).unwrap();
}

fn frame(server: &Server, id: &str, pts: i64) -> Answer {
    server.get(&format!("/api/videos/{id}/preview/frame?pts={pts}"))
}

#[test]
fn indexed_fragments_are_served_at_once_and_others_are_waited_for() {
    let (videos, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    long_video(videos.path());
    let settings = [("PIGWEIGHT_PREVIEW__DISK_GB", "0")];
    let server = Server::start_with(videos.path(), data.path(), None, &settings);
    let video = loop {
        let video = server.video("long.mkv");
        assert_ne!(video["index"], "ready", "the file is too short for this machine");
        if video["index"] == "growing" {
            break video;
        }
        crate::server::pause();
    };
    // Held here for as long as we look.
    let reading = server.workers()[0];
    signal(reading, "-STOP");
    let id = video["id"].as_str().unwrap();
    assert_eq!((&video["codec"], &video["width"]), (&"h264".into(), &64.into()));
    assert!((video["duration_secs"].as_f64().unwrap() - 341.0 * 60.0).abs() < 1.0, "as the file says");
    assert!((0.0..1.0).contains(&video["index_progress"].as_f64().unwrap()));

    let part = server.get(&format!("/api/videos/{id}/index")).json();
    let known = part["frames"].as_i64().unwrap();
    assert!(part["is_whole"] == false && (1..341 * 1500).contains(&known), "{known} frames are known");
    assert!((part["duration_secs"].as_f64().unwrap() - 341.0 * 60.0).abs() < 1.0);
    let ticks = part["runs"][0][0].as_i64().unwrap();
    let pts = part["first_pts"].as_i64().unwrap() + 30 * ticks;
    let early = frame(&server, id, pts);
    assert_eq!(early.status, 200);
    assert_eq!(early.header("x-frame-pts"), pts.to_string());
    assert_eq!(early.header("cache-control"), "no-store", "its name may change");
    let secs = 30.0 / 25.0 + 0.01;
    let whole_frame = |secs: f64| server.get(&format!("/api/video_file/frame_optimized?id={id}&t={secs}"));
    let early_whole = whole_frame(secs);
    assert_eq!((early_whole.status, early_whole.header("etag")), (200, ""));

    // No client is told that a moment is outside the video before that is known.
    let secs_beyond = 341.0 * 60.0 - 1.0;
    std::thread::scope(|scope| {
        let beyond = scope.spawn(|| whole_frame(secs_beyond));
        signal(reading, "-CONT");
        let beyond = beyond.join().unwrap();
        assert_eq!(beyond.status, 200);
        let secs: f64 = beyond.header("x-frame-time").parse().unwrap();
        assert!((secs_beyond - secs).abs() <= 0.041, "{secs}");
    });
    let video = crate::api::indexed(&server, "long.mkv");
    assert_eq!(
        (&video["frames"], &video["index_progress"]),
        (&(341 * 1500).into(), &serde_json::Value::Null)
    );
    let whole = server.get(&format!("/api/videos/{id}/index")).json();
    assert_eq!((&whole["is_whole"], &whole["frames"]), (&true.into(), &video["frames"]));
    assert_eq!(frame(&server, id, pts).bytes, early.bytes);
    assert!(frame(&server, id, pts).header("cache-control").contains("immutable"));
    assert_eq!(whole_frame(secs).bytes, early_whole.bytes);
    assert_eq!(whole_frame(341.0 * 60.0 + 1.0).status, 416);
}

#[test]
fn stopping_a_server_does_not_wait_for_a_long_file() {
    let (videos, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    long_video(videos.path());
    let server = Server::start_with(videos.path(), data.path(), None, &[]);
    while server.video("long.mkv")["index"] != "growing" {
        crate::server::pause();
    }
    signal(server.workers()[0], "-STOP");
    // It would be read on only after a minute of silence.
    server.stop();
}

#[test]
fn a_new_video_is_registered_while_a_long_one_is_read() {
    let (videos, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    long_video(videos.path());
    let server = Server::start_with(videos.path(), data.path(), None, &[]);
    while server.video("long.mkv")["index"] != "growing" {
        crate::server::pause();
    }
    let reading = server.workers()[0];
    signal(reading, "-STOP");
    std::fs::copy(pigweight_testkit::videos::video("gop25.mp4"), videos.path().join("new.mp4")).unwrap();
    loop {
        let list = server.get("/api/videos").json();
        if list.as_array().unwrap().iter().any(|video| video["name"] == "new.mp4") {
            break;
        }
        crate::server::pause();
    }
    let id = server.video("new.mp4")["id"].as_str().unwrap().to_owned();
    assert_eq!(server.get(&format!("/api/video_file/frame_optimized?id={id}&t=1")).status, 200);
    assert_eq!(server.video("long.mkv")["index"], "growing");
    signal(reading, "-CONT");
}

#[test]
fn a_worker_that_dies_while_reading_is_replaced_and_no_frame_is_lost() {
    let (videos, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    long_video(videos.path());
    let server = Server::start_with(videos.path(), data.path(), None, &[]);
    while server.video("long.mkv")["index"] != "growing" {
        crate::server::pause();
    }
    signal(server.workers()[0], "-KILL");
    let video = crate::api::indexed(&server, "long.mkv");
    assert_eq!((&video["index"], &video["frames"]), (&"ready".into(), &(341 * 1500).into()));
    while server.video("long.mkv")["preview"]["sprites"] != true {
        crate::server::pause();
    }
}
