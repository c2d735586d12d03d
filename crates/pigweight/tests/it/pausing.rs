//! Pausing stops the work on a video, lasts, and resuming continues from there.

use crate::server::{Server, model};
use std::path::Path;

fn drawn(secs: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    crate::kept::demo(&["--marked", "--secs", &secs.to_string()], folder.path());
    folder
}

fn start(videos: &Path, data: &Path) -> Server {
    Server::start_with(videos, data, Some(&model()), &[])
}

fn pause(server: &Server, id: &str, paused: bool) -> serde_json::Value {
    let body = format!("{{\"paused\": {paused}}}");
    let answer = server.ask("PUT", &format!("/api/videos/{id}/work"), &[], Some(&body));
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
    answer.json()
}

#[test]
fn a_paused_video_stays_paused_over_a_restart_and_continues_when_resumed() {
    let (videos, data) = (drawn(20), tempfile::tempdir().unwrap());
    let server = start(videos.path(), data.path());
    let id = crate::api::indexed(&server, "corridor.mp4")["id"].as_str().unwrap().to_owned();
    let other = crate::api::indexed(&server, "pen.mp4")["id"].as_str().unwrap().to_owned();
    server.wait_for_run(&id, "running");
    assert_eq!(pause(&server, &id, true)["paused"], true);
    // The next one starts at once: the paused one isn't worked on any more.
    server.wait_for_run(&other, "done");
    let paused = server.video("corridor.mp4");
    assert_eq!((&paused["paused"], &paused["run"]["state"]), (&true.into(), &"queued".into()));
    let done = paused["run"]["frames_done"].as_i64().unwrap();
    assert!((1..paused["frames"].as_i64().unwrap()).contains(&done), "{done} frames are kept");
    server.stop();

    let server = start(videos.path(), data.path());
    crate::api::indexed(&server, "corridor.mp4");
    let paused = server.video("corridor.mp4");
    assert_eq!((&paused["paused"], &paused["run"]["frames_done"]), (&true.into(), &done.into()));
    assert_eq!(pause(&server, &id, false)["paused"], false);
    server.wait_for_run(&id, "done");
    let video = server.video("corridor.mp4");
    assert_eq!(video["run"]["frames_done"], video["frames"]);
}

#[test]
fn an_invalid_pause_request_is_refused() {
    let (videos, data) = (crate::api::folder_of(&["gop25.mp4"]), tempfile::tempdir().unwrap());
    let server = Server::start(videos.path(), data.path(), None);
    let id = crate::api::indexed(&server, "gop25.mp4")["id"].as_str().unwrap().to_owned();
    let path = format!("/api/videos/{id}/work");
    for body in ["", "{}", "{\"paused\": 1}", "paused"] {
        server.ask("PUT", &path, &[], Some(body)).problem(400);
    }
    server.ask("PUT", "/api/videos/nobody/work", &[], Some("{\"paused\": true}")).problem(404);
    assert_eq!(server.video("gop25.mp4")["paused"], false);
}
