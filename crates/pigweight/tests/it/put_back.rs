//! Files that are removed, put back or replaced: a video is identified by its bytes.

use crate::jobs::{ONE_BY_ONE, id, job, jobs, prioritise, start, tell, videos, wait, wait_for};
use crate::server::Server;
use serde_json::{Value, json};
use std::path::Path;

/// A request makes the server scan its folders at once.
fn look(server: &Server, name: &str) {
    prioritise(server, &job(server, name), &json!(0));
}

/// A copy has a time of its own, as from a camera's card or a backup.
fn put_back(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    std::fs::File::options().write(true).open(to).unwrap().set_modified(later).unwrap();
}

#[test]
fn a_restored_file_is_not_counted_from_the_start_again() {
    let videos = videos(&[("a.mp4", 12), ("b.mp4", 1)]);
    let (data, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = |name: &str| videos.path().join(name);
    let server = start(videos.path(), data.path(), &[]);
    for name in ["a.mp4", "b.mp4"] {
        std::fs::copy(path(name), kept.path().join(name)).unwrap();
    }
    // One is counted to its end, of the other a part.
    let done = wait_for(&server, "b.mp4", "done");
    let begun = wait(|| Some(job(&server, "a.mp4")).filter(|job| job["frames_done"].as_i64() > Some(0)));
    assert_eq!(tell(&server, &begun, "pause").status, 200);
    wait(|| Some(server.video("a.mp4")).filter(|video| video["run"]["state"] == "queued"));
    let part = job(&server, "a.mp4");
    assert!(part["frames_done"].as_i64() < part["frames_total"].as_i64(), "the video is too short: {part}");

    for name in ["a.mp4", "b.mp4"] {
        std::fs::remove_file(path(name)).unwrap();
    }
    wait(|| {
        look(&server, "a.mp4");
        let listed = server.get("/api/videos").json();
        Some(()).filter(|()| listed.as_array().unwrap().is_empty())
    });
    for name in ["a.mp4", "b.mp4"] {
        put_back(&kept.path().join(name), &path(name));
    }
    wait(|| {
        look(&server, "a.mp4");
        let listed = server.get("/api/videos").json();
        Some(()).filter(|()| listed.as_array().unwrap().len() == 2)
    });
    let (again, counted) = (job(&server, "a.mp4"), server.video("b.mp4"));
    for field in ["id", "video", "run", "frames_done"] {
        assert_eq!(again[field], part[field], "{field}");
    }
    assert_eq!((&counted["id"], &counted["run"]["state"]), (&done["video"], &"done".into()));
    assert_eq!(tell(&server, &again, "resume").status, 200);
    let ended = wait_for(&server, "a.mp4", "done");
    assert_eq!((&ended["run"], &ended["frames_done"]), (&part["run"], &part["frames_total"]));
    assert_eq!(jobs(&server).len(), 2, "none is doubled");
}

#[test]
fn a_job_of_a_replaced_file_cannot_be_retried() {
    let videos = videos(&[("a.mp4", 12), ("b.mp4", 1)]);
    let data = tempfile::tempdir().unwrap();
    let server = start(videos.path(), data.path(), &[ONE_BY_ONE]);
    let first = job(&server, "a.mp4");
    assert_eq!(tell(&server, &first, "cancel").status, 200);
    assert_eq!(first["is_replaced"], false);
    put_back(&videos.path().join("b.mp4"), &videos.path().join("a.mp4"));
    let replaced = wait(|| {
        look(&server, "b.mp4");
        let now = server.get(&format!("/api/jobs/{}", id(&first))).json();
        Some(now).filter(|job| job["is_replaced"] == true)
    });
    assert_eq!(replaced["state"], "cancelled");
    let message = tell(&server, &replaced, "retry").problem(409);
    assert!(message.contains("replaced by another one") && message.contains("retry that one"), "{message}");
}

#[test]
fn a_job_whose_file_is_gone_has_no_place_in_the_queue() {
    let videos = videos(&[("a.mp4", 12), ("b.mp4", 12), ("c.mp4", 12)]);
    let data = tempfile::tempdir().unwrap();
    let server = start(videos.path(), data.path(), &[ONE_BY_ONE]);
    // Whichever was read first is counted first; the others wait.
    let waiting = wait(|| {
        let waiting = server.get("/api/jobs?state=waiting").json()["jobs"].as_array().unwrap().clone();
        let places: Vec<_> = waiting.iter().map(|job| job["place"].as_i64()).collect();
        Some(waiting).filter(|_| places == [Some(1), Some(2)] && jobs(&server).len() == 3)
    });
    let name = |place: usize| waiting[place]["video_name"].as_str().unwrap();
    std::fs::remove_file(videos.path().join(name(0))).unwrap();
    let gone = wait(|| {
        look(&server, name(0));
        Some(job(&server, name(0))).filter(|job| job["error"].is_string())
    });
    assert_eq!((&gone["place"], &gone["reason_code"]), (&Value::Null, &"file_gone".into()), "{gone}");
    assert_eq!(job(&server, name(1))["place"], 1);
    assert_eq!(server.get("/api/jobs?video=nope").problem(404), "there is no video \"nope\"");
}

#[test]
fn a_missing_folder_is_reported_and_its_videos_return_with_it() {
    let outer = tempfile::tempdir().unwrap();
    let (folder, away) = (outer.path().join("videos"), outer.path().join("away"));
    std::fs::rename(videos(&[("a.mp4", 1)]).keep(), &folder).unwrap();
    let data = tempfile::tempdir().unwrap();
    let server = start(&folder, data.path(), &[]);
    let id = wait_for(&server, "a.mp4", "done")["video"].clone();
    std::fs::rename(&folder, &away).unwrap();
    let health = |code: &Value| {
        let code = code.clone();
        wait(|| Some(server.get("/api/health").json()).filter(|health| health["reason_code"] == code))
    };
    let degraded = health(&"folder_missing".into());
    assert_eq!(degraded["status"], "degraded");
    assert!(degraded["message"].as_str().unwrap().contains(folder.to_str().unwrap()), "{degraded}");
    std::fs::rename(&away, &folder).unwrap();
    assert_eq!(health(&Value::Null)["status"], "ok");
    let back = wait(|| server.get("/api/videos").json().as_array().unwrap().first().cloned());
    assert_eq!((&back["id"], &back["run"]["state"]), (&id, &"done".into()));
}
