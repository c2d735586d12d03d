//! Folders as network storage, recorders and people fill them: names that aren't text, folders of the system, pipes, a disk that isn't mounted.

use crate::api::indexed;
use crate::server::{Server, pause, pigweight};
use pigweight_testkit::videos::video;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

fn start(videos: &Path, data: &Path) -> Server {
    Server::start(videos, data, None)
}

fn names(server: &Server) -> Vec<String> {
    let list = server.get("/api/videos").json();
    let names = list.as_array().unwrap().iter().map(|video| video["name"].as_str().unwrap().to_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn files_whose_names_are_not_text_are_files_like_any_other() {
    let (videos, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // "Загон" and "Загож" in Windows-1251: both are the same if their bytes are thrown away.
    for (name, film) in
        [(&b"\xC7\xE0\xE3\xEE\xED.mp4"[..], "gop25.mp4"), (b"\xC7\xE0\xE3\xEE\xE6.mp4", "vfr.mp4")]
    {
        std::fs::copy(video(film), videos.path().join(OsStr::from_bytes(name))).unwrap();
    }
    let server = start(videos.path(), data.path());
    let described = |server: &Server| loop {
        let list = server.get("/api/videos").json();
        let list = list.as_array().unwrap().clone();
        assert_eq!(list.len(), 2, "{list:?}");
        if list.iter().all(|video| !video["frames"].is_null()) {
            break list;
        }
        assert!(list.iter().all(|video| video["error"].is_null()), "{list:?}");
        pause();
    };
    let list = described(&server);
    assert_ne!(list[0]["frames"], list[1]["frames"], "{list:?}");
    for one in &list {
        let id = one["id"].as_str().unwrap();
        assert_eq!(server.get(&format!("/api/video_file/frame_optimized?id={id}&t=0")).status, 200);
        assert_eq!(server.get(&format!("/api/videos/{id}/file")).status, 200);
    }
    server.stop();
    let server = start(videos.path(), data.path());
    let again = described(&server);
    let ids = |list: &[serde_json::Value]| {
        let mut ids: Vec<String> = list.iter().map(|video| video["id"].to_string()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&list), ids(&again), "they are known again");
    server.stop();
}

#[test]
fn folders_of_systems_and_what_is_no_file_are_left_out() {
    let (videos, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for folder in [
        "@eaDir",
        "#recycle",
        ".Trash-1000",
        "lost+found",
        "$RECYCLE.BIN",
        "System Volume Information",
        "pens/@eaDir",
    ] {
        let folder = videos.path().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(video("gop25.mp4"), folder.join("pen.mp4")).unwrap();
    }
    std::fs::copy(video("gop25.mp4"), videos.path().join("pens/day.mp4")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(videos.path().join("pipe.mp4")).status().unwrap();
    assert!(made.success());
    let _socket = std::os::unix::net::UnixListener::bind(videos.path().join("socket.mp4")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", videos.path().join("device.mp4")).unwrap();
    let server = start(videos.path(), data.path());
    indexed(&server, "pens/day.mp4");
    assert_eq!(names(&server), ["pens/day.mp4"]);
    server.stop();
}

#[test]
fn a_name_cannot_pass_for_another_one() {
    let (videos, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let name = "pen\u{202E}4pm.\n\u{1B}[2J\u{2066}x.mp4";
    std::fs::write(videos.path().join(name), "no video").unwrap();
    let server = start(videos.path(), data.path());
    let broken = loop {
        let list = server.get("/api/videos").json();
        if !list[0]["error"].is_null() {
            break list[0].clone();
        }
        pause();
    };
    let (name, error) = (broken["name"].as_str().unwrap(), broken["error"].to_string());
    assert_eq!(name, "pen\\u{202e}4pm.\\n\\u{1b}[2J\\u{2066}x.mp4");
    for text in [name, &error] {
        assert!(
            !text
                .chars()
                .any(|character| character.is_control() || ('\u{2028}'..='\u{2069}').contains(&character)),
            "{text:?}"
        );
    }
    // Where the files lie is nobody's business.
    let folder = videos.path().to_str().unwrap();
    let id = broken["id"].as_str().unwrap();
    for path in [
        "/api/videos".to_owned(),
        format!("/api/videos/{id}"),
        format!("/api/video_file/frame_optimized?id={id}&t=0"),
        format!("/api/hls/{id}/index.m3u8"),
        format!("/api/videos/{id}/index"),
    ] {
        let answer = server.get(&path);
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert!(!text.contains(folder), "{path}: {text}");
    }
    server.stop();
}

#[test]
fn an_emptied_folder_is_told_and_its_videos_return_with_their_disk() {
    let (videos, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let disk = tempfile::tempdir().unwrap();
    let film = videos.path().join("pen.mp4");
    std::fs::copy(video("gop25.mp4"), &film).unwrap();
    let server = start(videos.path(), data.path());
    let id = indexed(&server, "pen.mp4")["id"].clone();
    let health = |server: &Server| server.get("/api/health").json();
    assert_eq!(health(&server)["status"], "no_model");
    // As a mount point without its disk.
    let away = disk.path().join("pen.mp4");
    std::fs::copy(&film, &away).unwrap();
    std::fs::remove_file(&film).unwrap();
    let told = loop {
        let told = health(&server);
        if told["status"] == "degraded" {
            break told;
        }
        pause();
    };
    assert_eq!(told["reason_code"], "folder_emptied", "{told}");
    assert!(told["message"].as_str().unwrap().contains("1 video of it is known"), "{told}");
    server.stop();
    let server = start(videos.path(), data.path());
    assert_eq!(health(&server)["reason_code"], "folder_emptied", "also after a restart");
    std::fs::copy(&away, &film).unwrap();
    // A file that has just come may still be being written: it is taken at the second look.
    while health(&server)["status"] != "no_model" || names(&server).is_empty() {
        pause();
    }
    assert_eq!(server.video("pen.mp4")["id"], id);
    server.stop();
}

#[test]
fn what_is_no_file_is_refused_as_an_argument_without_waiting_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let socket = folder.path().join("socket");
    let _socket = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let picture = crate::server::root().join("fixtures/pictures/golden.png");
    for odd in [pipe.as_path(), &socket, Path::new("/dev/zero"), folder.path()] {
        let commands = [
            pigweight().arg("count").arg(odd).output().unwrap(),
            pigweight().arg("detect").arg(odd).output().unwrap(),
            pigweight().arg("detect").arg(&picture).arg("--model").arg(odd).output().unwrap(),
        ];
        for output in commands {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{}: {said}", odd.display());
            assert!(said.contains(&odd.display().to_string()) && said.contains("file"), "{said}");
            assert_eq!(said.trim_end().lines().count(), 1, "{said}");
        }
    }
}
