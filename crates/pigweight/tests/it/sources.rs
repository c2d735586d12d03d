//! Sources, lines with versions, and recounts next to published counts.

use crate::jobs::{NO_PICTURES, start, videos, wait};
use crate::server::{Server, model, pigweight};
use serde_json::{Value, json};
use std::path::Path;

fn list(server: &Server, path: &str) -> Vec<Value> {
    server.get(path).json().as_array().unwrap().clone()
}

fn put(server: &Server, path: &str, body: &Value) -> Value {
    let answer = server.ask("PUT", path, &[], Some(&body.to_string()));
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
    answer.json()
}

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

/// A corridor under two names in a folder of their own, and one in the root.
fn two_sources() -> tempfile::TempDir {
    let folder = videos(&[("a.mp4", 1), ("b.mp4", 1), ("c.mp4", 1)]);
    std::fs::create_dir(folder.path().join("yard")).unwrap();
    for name in ["a.mp4", "b.mp4"] {
        std::fs::rename(folder.path().join(name), folder.path().join("yard").join(name)).unwrap();
    }
    folder
}

#[test]
fn a_line_of_a_source_counts_all_its_recordings_and_moving_it_returns_the_difference() {
    let (videos, data) = (two_sources(), tempfile::tempdir().unwrap());
    let server = start(videos.path(), data.path(), &[]);
    let [a, b, c] = ["yard/a.mp4", "yard/b.mp4", "c.mp4"].map(|name| server.video(name));
    for video in [&a, &b, &c] {
        server.wait_for_run(id(video), "done");
    }
    let a = server.video("yard/a.mp4");
    let sources = list(&server, "/api/sources");
    let yard = sources.iter().find(|source| source["name"] == "yard").unwrap();
    assert_eq!((&yard["kind"], &yard["videos"]), (&"folder".into(), &2.into()), "{yard}");
    assert_eq!((&a["source"], &b["source"]), (&yard["id"], &yard["id"]));
    assert_ne!(c["source"], yard["id"]);
    let of_yard = list(&server, &format!("/api/videos?source={}", id(yard)));
    assert_eq!(of_yard.iter().map(|video| &video["name"]).collect::<Vec<_>>(), [&a["name"], &b["name"]]);

    let (width, height) = (a["width"].as_f64().unwrap(), a["height"].as_f64().unwrap());
    let place = |x: f64| json!({"video": id(&a), "scope": "source", "name": "gate", "x1": x, "y1": 0, "x2": x, "y2": height});
    let drawn = server.ask("POST", "/api/lines", &[], Some(&place(width / 2.0).to_string()));
    assert_eq!(drawn.status, 201);
    let drawn = drawn.json();
    let crossed = |line: &Value| line["forward"].as_i64().unwrap() + line["backward"].as_i64().unwrap();
    assert!(crossed(&drawn) > 0 && drawn["version"] == 1 && drawn["is_up_to_date"] == true, "{drawn}");
    // The other recording of the source is counted in the background, and a GET writes nothing.
    let on = |video: &Value| list(&server, &format!("/api/lines?video={}", id(video)));
    let there = wait(|| on(&b).into_iter().find(|line| line["is_up_to_date"] == true));
    assert_eq!(crossed(&there), crossed(&drawn), "the same film");
    assert!(on(&c).is_empty(), "another source");
    let of_source = list(&server, &format!("/api/lines?source={}", id(yard)));
    assert_eq!(crossed(&of_source[0]), 2 * crossed(&drawn));
    assert_eq!(of_source[0]["is_up_to_date"], Value::Null, "its recordings are counted one by one");

    // Identifiers of crossings outlive the server.
    let crossings = list(&server, &format!("/api/videos/{}/crossings", id(&a)));
    assert!(crossings.iter().all(|crossing| id(crossing).len() == 26 && crossing["line_version"] == 1));
    server.stop();
    let server = start(videos.path(), data.path(), &[]);
    assert_eq!(list(&server, &format!("/api/videos/{}/crossings", id(&a))), crossings);

    // A new name is no version; a move is, and tells what has changed.
    let path = format!("/api/lines/{}", id(&drawn));
    let renamed = put(
        &server,
        &path,
        &json!({"video": id(&a), "name": "ворота", "x1": width / 2.0, "y1": 0, "x2": width / 2.0, "y2": height}),
    );
    assert_eq!((&renamed["version"], &renamed["difference"]), (&1.into(), &Value::Null));
    let moved = put(&server, &path, &place(0.0));
    assert_eq!((&moved["version"], crossed(&moved)), (&2.into(), 0));
    let difference = &moved["difference"];
    assert_eq!(crossed(&difference["before"]), crossings.len() as i64);
    assert_eq!(difference["only_before"].as_array().unwrap(), &crossings);
    let versions = list(&server, &format!("{path}/versions?video={}", id(&a)));
    assert_eq!(versions.len(), 2);
    assert_eq!(crossed(&versions[0]["crossings"]), crossings.len() as i64, "what was counted stays");

    // Moved to the other source, the recording has that source's lines.
    let root = c["source"].as_str().unwrap();
    let moved = put(&server, &format!("/api/videos/{}/source", id(&b)), &json!({"source": root}));
    assert_eq!(moved["source"], root);
    assert!(list(&server, &format!("/api/lines?video={}", id(&b))).is_empty());
    server
        .ask("PUT", &format!("/api/videos/{}/source", id(&b)), &[], Some("{\"source\": \"nobody\"}"))
        .problem(404);
    let message = server.get("/api/lines").problem(400);
    assert!(message.contains("video or source"), "{message}");
    server.get("/api/sources/nobody").problem(404);
    server.get("/api/runs/nobody").problem(404);
}

#[test]
fn a_published_count_stays_during_a_recount_and_returns_with_its_settings() {
    let (videos, data) = (videos(&[("a.mp4", 6)]), tempfile::tempdir().unwrap());
    let server = start(videos.path(), data.path(), &[]);
    let video = server.video("a.mp4");
    let path = format!("/api/videos/{}", id(&video));
    server.wait_for_run(id(&video), "done");
    let first = server.get(&path).json();
    assert_eq!((&first["run"]["state"], &first["recount"]), (&"done".into(), &Value::Null));
    let run = format!("/api/runs/{}", id(&first["run"]));
    assert_eq!(server.get(&run).json()["is_published"], true);

    // What was read may be sent back; a misspelt field is refused, and not lost without a word.
    let source = format!("/api/sources/{}", first["source"].as_str().unwrap());
    let read = server.get(&source).json();
    assert_eq!(put(&server, &source, &read), read);
    let message = server.ask("PUT", &source, &[], Some("{\"animal\": 5}")).problem(400);
    assert!(message.contains("no \"animal\" here") && message.contains("\"animals\""), "{message}");
    server.get("/api/videos?cursor=nobody").problem(400);
    server.get("/api/sources?cursor=nobody").problem(400);

    // A lower threshold than any detection was kept for: all frames are inferred again.
    let settings = format!("{path}/settings");
    server.ask("PUT", &settings, &[], Some("{\"min_score\": 7}")).problem(400);
    put(&server, &settings, &json!({"min_score": 0.1}));
    let recount = wait(|| Some(server.get(&path).json()).filter(|video| !video["recount"].is_null()));
    assert_eq!(recount["run"], first["run"], "what is shown stays");
    let published = |video: &Value| video["run"]["id"] != first["run"]["id"];
    let mut last = 0.0;
    let second = wait(|| {
        let video = server.get(&path).json();
        if !published(&video) && !video["recount"].is_null() {
            let progress = video["recount"]["progress"].as_f64().unwrap();
            assert!(progress >= last && video["run"] == first["run"], "{video}");
            last = progress;
        }
        Some(video).filter(published)
    });
    assert_eq!((&second["run"]["state"], &second["recount"]), (&"done".into(), &Value::Null), "{second}");
    assert_eq!(server.get(&run).json()["is_published"], false);

    // Back to what held before: the earlier run, at once.
    put(&server, &settings, &json!({"min_score": null}));
    let back = wait(|| Some(server.get(&path).json()).filter(|video| !published(video)));
    assert_eq!((&back["run"], &back["recount"]), (&first["run"], &Value::Null));
}

#[test]
fn an_abandoned_run_is_never_shown_and_continues_when_its_settings_return() {
    let (videos, data) = (videos(&[("a.mp4", 30)]), tempfile::tempdir().unwrap());
    let server = start(videos.path(), data.path(), &[]);
    let video = server.video("a.mp4");
    let path = format!("/api/videos/{}", id(&video));
    let shown = || server.get(&path).json()["run"].clone();
    let first = wait(|| Some(shown()).filter(|run| run["frames_done"].as_i64() > Some(0)));
    put(&server, &format!("{path}/settings"), &json!({"min_score": 0.1}));
    let second = wait(|| Some(shown()).filter(|run| !run.is_null() && run["id"] != first["id"]));
    let runs = list(&server, &format!("{path}/runs"));
    let states: Vec<_> = runs.iter().map(|run| (id(run), &run["state"])).collect();
    assert!(states.contains(&(id(&first), &"abandoned".into())), "{states:?}");
    put(&server, &format!("{path}/settings"), &json!({"min_score": null}));
    let back = wait(|| Some(shown()).filter(|run| run["id"] == first["id"]));
    assert!(back["frames_done"].as_i64() >= first["frames_done"].as_i64(), "{back}");
    assert_ne!(second["id"], back["id"]);
    server.stop();
}

fn check_data(data: &Path) -> (Option<i32>, String, String) {
    let output = pigweight().args(["check-data", "--data"]).arg(data).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn check_data_accepts_a_sound_folder_and_reports_each_fault() {
    let (videos, data) = (videos(&[("a.mp4", 1)]), tempfile::tempdir().unwrap());
    let server = Server::start(videos.path(), data.path(), Some(&model()));
    let video = server.video("a.mp4");
    server.wait_for_run(id(&video), "done");
    let line = json!({"video": id(&video), "x1": 300, "y1": 0, "x2": 300, "y2": 200});
    assert_eq!(server.ask("POST", "/api/lines", &[], Some(&line.to_string())).status, 201);
    wait(|| {
        Some(())
            .filter(|()| server.get(&format!("/api/videos/{}", id(&video))).json()["job"]["state"] == "done")
    });
    let (code, _, stderr) = check_data(data.path());
    assert!(code == Some(2) && stderr.contains("in use"), "{code:?} {stderr}");
    server.stop();
    let (code, printed, stderr) = check_data(data.path());
    assert!(code == Some(0) && printed.contains("is sound: 1 run"), "{code:?} {printed} {stderr}");

    std::fs::write(data.path().join("notes.txt"), "x").unwrap();
    std::fs::remove_file(data.path().join("previews").join(id(&video)).join("frames.jpegs")).unwrap();
    let (code, printed, stderr) = check_data(data.path());
    assert_eq!(code, Some(1), "{printed} {stderr}");
    let codes: Vec<_> = printed.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(codes, ["file_nobody_owns", "preview_wrong"], "{printed}");
    assert!(stderr.contains("2 findings"), "{stderr}");
    let output = pigweight().args(["check-data", "--json", "--data"]).arg(data.path()).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["findings"][0]["code"], "file_nobody_owns");
    let (code, _, stderr) = check_data(videos.path());
    assert!(code == Some(2) && stderr.contains("--data DIR"), "{stderr}");
}

#[test]
fn lists_come_in_pages_whose_headers_name_the_next() {
    let (videos, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for number in 0..5 {
        std::fs::write(videos.path().join(format!("{number}.mp4")), number.to_string()).unwrap();
    }
    let server = Server::start_with(videos.path(), data.path(), None, &[NO_PICTURES]);
    let (mut path, mut names) = ("/api/videos?limit=2".to_owned(), Vec::new());
    loop {
        let page = server.get(&path);
        assert_eq!(page.header("x-total-count"), "5");
        names.extend(
            page.json().as_array().unwrap().iter().map(|video| video["name"].as_str().unwrap().to_owned()),
        );
        let link = page.header("link").to_owned();
        let Some(next) = link.strip_prefix('<').and_then(|link| link.split_once(">; rel=\"next\"")) else {
            break;
        };
        path = format!("/api/videos{}", next.0);
    }
    assert_eq!(names, ["0.mp4", "1.mp4", "2.mp4", "3.mp4", "4.mp4"]);
    assert_eq!(list(&server, "/api/videos").len(), 5);
    for wrong in ["limit=0", "limit=1001", "limit=many"] {
        server.get(&format!("/api/videos?{wrong}")).problem(400);
    }
}
