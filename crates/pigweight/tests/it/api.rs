//! The HTTP interface as programs rely on it.

use crate::server::{Server, model, pigweight, root};
use pigweight_media::still;
use pigweight_testkit::videos::{bar_code, video};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;

/// A folder with copies of the named bar-coded videos.
pub fn folder_of(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        std::fs::copy(video(name), folder.path().join(name)).unwrap();
    }
    folder
}

/// A drawn corridor and pen, as `pigweight demo` makes them.
fn demo() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    crate::kept::demo(&["--marked", "--secs", "10"], folder.path());
    folder
}

/// Opens what the server's index scan has reached; the scan is told by the list itself.
/// Waits until a video is in the list.
pub fn wait_for_video(server: &Server, name: &str) {
    while !server.get("/api/videos").json().as_array().unwrap().iter().any(|video| video["name"] == name) {
        crate::server::pause();
    }
}

pub fn indexed(server: &Server, name: &str) -> serde_json::Value {
    loop {
        let found = server.video(name);
        if found["index"] == "ready" || found["index"] == "failed" {
            return found;
        }
        crate::server::pause();
    }
}

#[test]
fn the_exact_frame_comes_with_its_name() {
    let (videos, data) = (folder_of(&["gop25.mp4", "vfr.mp4"]), tempfile::tempdir().unwrap());
    let server = Server::start(videos.path(), data.path(), None);
    let found = indexed(&server, "gop25.mp4");
    let id = found["id"].as_str().unwrap();
    assert_eq!((found["frames"].as_u64(), found["width"].as_u64()), (Some(150), Some(384)));
    for (t, number) in [("0", 0), ("1.0", 25), ("1.039", 25), ("1.04", 26), ("5.96", 149), ("5.999", 149)] {
        let answer =
            server.get(&format!("/api/video_file/frame_optimized?id={id}&t={t}&quality=95&inference=false"));
        assert_eq!((answer.status, answer.header("content-type")), (200, "image/jpeg"));
        assert_eq!(answer.header("x-has-inference"), "false");
        let secs: f64 = answer.header("x-frame-time").parse().unwrap();
        assert!((secs - f64::from(number) / 25.0).abs() < 1e-6, "{t} gave {secs}");
        let file = data.path().join("frame.jpg");
        std::fs::write(&file, &answer.bytes).unwrap();
        assert_eq!(bar_code(&still::open(&file).unwrap().view()), Some(number), "t = {t}");
    }
    let path = format!("/api/video_file/frame_optimized?id={id}&t=1");
    let etag = server.get(&path).header("etag").to_owned();
    let again = server.ask("GET", &path, &[("if-none-match", &etag)], None);
    assert_eq!((again.status, again.bytes.len()), (304, 0));
    let small = server.get(&format!("{path}&width=96"));
    std::fs::write(data.path().join("small.jpg"), &small.bytes).unwrap();
    assert_eq!(still::open(&data.path().join("small.jpg")).unwrap().width(), 96);

    assert_eq!(server.get(&format!("{path}&width=97")).status, 200, "odd widths too");

    let outside = server.get(&format!("/api/video_file/frame_optimized?id={id}&t=6.5"));
    assert!(outside.problem(416).contains("0 to 5.960"));
    assert_eq!(outside.json()["valid_range_secs"][1], 5.96);
    for t in ["-1", "NaN", "inf"] {
        server.get(&format!("/api/video_file/frame_optimized?id={id}&t={t}")).problem(416);
    }
    server.get("/api/video_file/frame_optimized?id=nobody&t=1").problem(404);
    server.get(&format!("/api/video_file/frame_optimized?id={id}")).problem(400);
    server.get(&format!("/api/video_file/frame_optimized?id={id}&t=1&quality=0")).problem(400);
    assert!(server.get(&format!("{path}&width=0")).problem(400).contains("at least 1 px"));
}

#[test]
fn counts_boxes_and_crossings_of_an_analysed_video() {
    let (videos, data) = (demo(), tempfile::tempdir().unwrap());
    let server = Server::start(videos.path(), data.path(), Some(&model()));
    let id = indexed(&server, "corridor.mp4")["id"].as_str().unwrap().to_owned();
    server.wait_for_run(&id, "done");
    let found = server.video("corridor.mp4");
    assert_eq!(found["run"]["state"], "done");
    assert_eq!(found["run"]["frames_done"], found["frames"]);

    let truth = std::fs::read_to_string(videos.path().join("corridor.boxes.csv")).unwrap();
    let boxes_on = |frame: usize| truth.lines().filter(|line| line.starts_with(&format!("{frame},"))).count();
    let frames = found["frames"].as_u64().unwrap() as usize;
    let frames_per_sec = frames as f64 / found["duration_secs"].as_f64().unwrap();
    let mut error = 0;
    for frame in (0..frames).step_by(7) {
        let t = (frame as f64 + 0.5) / frames_per_sec;
        let answer = server.get(&format!("/api/video_file/count_at_time?id={id}&t={t}")).json();
        assert_eq!((&answer["state"], &answer["cached"]), (&"counted".into(), &true.into()), "{answer}");
        error += (answer["count"].as_i64().unwrap() - boxes_on(frame) as i64).abs();
    }
    assert!(error as usize <= frames / 7 / 3, "{error} off over {} frames", frames / 7);
    let after = server.get(&format!("/api/video_file/count_at_time?id={id}&t=999")).json();
    assert_eq!((&after["state"], &after["count"]), (&"no_video".into(), &serde_json::Value::Null));

    for t in ["NaN", "inf", "-inf"] {
        let message = server.get(&format!("/api/video_file/count_at_time?id={id}&t={t}")).problem(400);
        assert!(message.contains("seconds since the first frame"), "{message}");
    }

    let boxes = server.get(&format!("/api/videos/{id}/detections?from=1&to=2")).json();
    assert!(boxes["frames"].as_array().unwrap().len() as f64 >= frames_per_sec, "{boxes}");
    let answer = server.get(&format!("/api/video_file/frame_optimized?id={id}&t=1.5"));
    assert_eq!((answer.status, answer.header("x-has-inference")), (200, "true"));
    let plain = server.get(&format!("/api/video_file/frame_optimized?id={id}&t=1.5&inference=false"));
    assert_ne!(plain.bytes, answer.bytes, "the boxes are drawn");

    let curve = server.get(&format!("/api/videos/{id}/counts?points=10000")).json();
    assert_eq!(curve["points"].as_array().unwrap().len(), frames);

    // A line across the corridor is counted at once; moved to where nobody walks it counts nothing.
    let (width, height) = (found["width"].as_f64().unwrap(), found["height"].as_f64().unwrap());
    let line = |x: f64| {
        serde_json::json!({"video": id, "name": "gate", "x1": x, "y1": 0, "x2": x, "y2": height}).to_string()
    };
    let drawn = server.ask("POST", "/api/lines", &[], Some(&line(width / 2.0)));
    assert_eq!(drawn.status, 201);
    let drawn = drawn.json();
    let crossed = drawn["forward"].as_u64().unwrap() + drawn["backward"].as_u64().unwrap();
    assert!(crossed > 0, "{drawn}");
    let crossings = server.get(&format!("/api/videos/{id}/crossings")).json();
    assert_eq!(crossings.as_array().unwrap().len() as u64, crossed);
    let path = format!("/api/lines/{}", drawn["id"].as_str().unwrap());
    let moved = server.ask("PUT", &path, &[], Some(&line(0.0))).json();
    assert_eq!(
        (&moved["forward"], &moved["backward"], &moved["name"]),
        (&0.into(), &0.into(), &"gate".into())
    );
    assert_eq!(server.ask("DELETE", &path, &[], None).status, 204);
    server.ask("DELETE", &path, &[], None).problem(404);
    let message = server.ask("POST", "/api/lines", &[], Some("{\"video\":")).problem(400);
    assert!(message.contains("breaks off") && message.contains("\"video\": text"), "{message}");
    let message =
        server.ask("POST", "/api/lines", &[], Some("{\"video\": \"a\", \"x1\": \"left\"}")).problem(400);
    assert!(message.contains("x1 cannot be \"left\"; it is a number"), "{message}");
    let dot = serde_json::json!({"video": id, "x1": 5, "y1": 5, "x2": 5, "y2": 5}).to_string();
    server.ask("POST", "/api/lines", &[], Some(&dot)).problem(400);
    // What no animal of this video can cross is refused, with the picture's size; both to draw and to move there.
    let drawn = server.ask("POST", "/api/lines", &[], Some(&line(width / 2.0))).json();
    let path = format!("/api/lines/{}", drawn["id"].as_str().unwrap());
    for x in [-500.0, width + 1.0, 200_000.0, 1e300] {
        for (method, path) in [("POST", "/api/lines"), ("PUT", path.as_str())] {
            let message = server.ask(method, path, &[], Some(&line(x))).problem(400);
            assert!(message.contains(&format!("{width} × {height} px")), "{x}: {message}");
        }
    }
    for name in ["a\u{0}b", "two\nlines", "\u{1b}[31mred"] {
        let line =
            serde_json::json!({"video": id, "name": name, "x1": 5, "y1": 5, "x2": 50, "y2": 5}).to_string();
        let message = server.ask("POST", "/api/lines", &[], Some(&line)).problem(400);
        assert!(message.contains("control characters"), "{message}");
    }
    assert_eq!(server.get(&format!("/api/lines?video={id}")).json(), serde_json::json!([drawn]));
    // Another site's page may not draw.
    server
        .ask("POST", "/api/lines", &[("origin", "http://elsewhere.example")], Some(&line(9.0)))
        .problem(403);
}

#[test]
fn without_onnx_runtime_videos_are_shown_and_it_says_what_to_do() {
    let (videos, data) = (folder_of(&["gop25.mp4"]), tempfile::tempdir().unwrap());
    let server = Server::start(videos.path(), data.path(), None);
    let health = server.get("/api/health").json();
    assert_eq!(health["status"], "no_model");
    assert!(health["message"].as_str().unwrap().contains("scripts/setup.sh"), "{health}");
    let id = indexed(&server, "gop25.mp4")["id"].as_str().unwrap().to_owned();
    let answer = server.get(&format!("/api/video_file/count_at_time?id={id}&t=1")).json();
    assert_eq!((&answer["state"], &answer["count"]), (&"pending".into(), &serde_json::Value::Null));
    // Nobody has counted the line: its 0 crossings are not called up to date.
    let line = serde_json::json!({"video": id, "scope": "source", "x1": 50, "y1": 0, "x2": 50, "y2": 90});
    let line = server.ask("POST", "/api/lines", &[], Some(&line.to_string())).json();
    assert_eq!((&line["counted_to_secs"], &line["is_up_to_date"]), (&0.0.into(), &serde_json::Value::Null));
    assert!(String::from_utf8_lossy(&server.get("/metrics").bytes).contains("pigweight_http_requests_total"));
    server.get("/api/nothing/here").problem(404);
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn the_original_is_served_by_ranges_and_no_file_outside_the_folders_is() {
    let (videos, data) = (folder_of(&["gop25.mp4"]), tempfile::tempdir().unwrap());
    let secret = tempfile::tempdir().unwrap();
    std::fs::write(secret.path().join("secret.mp4"), "secret").unwrap();
    std::os::unix::fs::symlink(secret.path().join("secret.mp4"), videos.path().join("link.mp4")).unwrap();
    let server = Server::start(videos.path(), data.path(), None);
    let id = indexed(&server, "gop25.mp4")["id"].as_str().unwrap().to_owned();
    assert_eq!(server.get("/api/videos").json().as_array().unwrap().len(), 1, "the link leads out");
    let path = format!("/api/videos/{id}/file");
    let original = std::fs::read(videos.path().join("gop25.mp4")).unwrap();
    let part = server.ask("GET", &path, &[("range", "bytes=1000-1999")], None);
    assert_eq!((part.status, part.header("accept-ranges")), (206, "bytes"));
    assert_eq!(part.bytes, original[1000..2000]);
    assert_eq!(server.get(&path).bytes, original);
    let size = original.len();
    for (range, expected) in [
        ("bytes=100-99999999", &original[100..]),
        ("bytes=0-99999999999999999999999", &original[..]),
        ("bytes=-99999999", &original[..]),
        ("bytes=-10", &original[size - 10..]),
    ] {
        let part = server.ask("GET", &path, &[("range", range)], None);
        assert_eq!((part.status, part.bytes == expected), (206, true), "{range}");
    }
    for range in ["bytes=abc", "bytes=5-4", "bytes=-", "frames=0-1", "bytes=0-1,5-6", "nonsense"] {
        let whole = server.ask("GET", &path, &[("range", range)], None);
        assert_eq!((whole.status, whole.bytes == original), (200, true), "{range}");
    }
    for range in ["bytes=99999999-", "bytes=99999999-99999999999", "bytes=-0"] {
        let outside = server.ask("GET", &path, &[("range", range)], None);
        assert!(outside.problem(416).contains(&size.to_string()));
        assert_eq!(outside.header("content-range"), format!("bytes */{size}"), "{range}");
    }
    assert_eq!(server.ask("POST", "/", &[], None).status, 405);
    for path in [
        "/..%2f..%2fetc/passwd",
        "/assets/..%2f..%2f..%2fetc/passwd",
        "/api/videos/..%2f..%2fetc%2fpasswd/file",
    ] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
    // A download goes on only where it is the same file still.
    let etag = part.header("etag").to_owned();
    for (known, status) in
        [(etag.as_str(), 206), ("\"another\"", 200), ("Sat, 01 Jan 2000 00:00:00 GMT", 200)]
    {
        let rest = server.ask("GET", &path, &[("range", "bytes=1000-"), ("if-range", known)], None);
        assert_eq!(rest.status, status, "{known}");
    }
    // Other bytes, or none, are told at once, whenever the next look at the folder is.
    std::fs::write(videos.path().join("gop25.mp4"), &original[..size - 1]).unwrap();
    assert!(server.get(&path).problem(404).contains("/api/videos lists what there is now"));
    std::fs::remove_file(videos.path().join("gop25.mp4")).unwrap();
    assert!(server.get(&path).problem(404).contains("/api/videos lists what there is now"));
}

#[test]
fn a_replaced_video_points_to_the_new_one() {
    let (videos, data) = (folder_of(&["gop25.mp4"]), tempfile::tempdir().unwrap());
    let server = Server::start(videos.path(), data.path(), None);
    let id = indexed(&server, "gop25.mp4")["id"].as_str().unwrap().to_owned();
    drop(server);
    std::fs::copy(video("vfr.mp4"), videos.path().join("gop25.mp4")).unwrap();
    let server = Server::start(videos.path(), data.path(), None);
    assert_ne!(indexed(&server, "gop25.mp4")["id"], id.as_str());
    for path in [format!("/api/videos/{id}"), format!("/api/video_file/count_at_time?id={id}&t=0")] {
        let message = server.get(&path).problem(404);
        assert!(message.contains("changed or removed") && message.contains("/api/videos"), "{message}");
    }
}

#[test]
fn every_error_is_a_problem_document() {
    let (videos, data) = (folder_of(&["gop25.mp4"]), tempfile::tempdir().unwrap());
    let server = Server::start(videos.path(), data.path(), None);
    let id = indexed(&server, "gop25.mp4")["id"].as_str().unwrap().to_owned();
    let socket = format!("/ws/count?id={id}");
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(3 << 20));
    let cases: [(&str, &str, Option<&str>, u16, &str); 11] = [
        ("GET", "/api/videos/%ff%fe", None, 400, "UTF-8"),
        ("GET", "/api/videos/%ff/file", None, 400, "UTF-8"),
        ("DELETE", "/api/lines/%ff", None, 400, "UTF-8"),
        ("GET", &socket, None, 426, "ws://"),
        ("GET", "/ws/count?id=nobody", None, 404, "nobody"),
        ("GET", "/ws/count", None, 400, "id"),
        ("GET", "/ws/elsewhere", None, 404, "/ws/elsewhere"),
        ("DELETE", "/api/videos", None, 405, "Allow"),
        ("PUT", "/api/video_file/frame_optimized", Some("{}"), 405, "Allow"),
        ("POST", "/ws/count", Some("{}"), 405, "Allow"),
        ("POST", "/api/lines", Some(&large), 413, "2 MB"),
    ];
    for (method, path, body, status, word) in cases {
        let answer = server.ask(method, path, &[], body);
        let message = answer.problem(status);
        assert!(message.contains(word), "{method} {path}: {message}");
        assert_eq!(status == 405, !answer.header("allow").is_empty(), "{method} {path}");
    }
    assert_eq!(server.get(&socket).header("upgrade"), "websocket");
    let text = server.ask("POST", "/api/lines", &[], None);
    assert!(text.problem(415).contains("application/json"));
}

/// A connection closed while the client still sends is reset, and the reset takes the answer with it.
#[test]
fn a_client_that_sends_too_much_still_gets_the_answer() {
    let (videos, data) = (folder_of(&[]), tempfile::tempdir().unwrap());
    let server = Server::start(videos.path(), data.path(), None);
    // More than the buffers of both ends hold.
    let body = vec![b' '; 12 << 20];
    for (line, status) in
        [("POST /api/lines", 413), ("POST /api/nowhere", 404), ("PUT /api/video_file/frame_optimized", 405)]
    {
        let mut connection = TcpStream::connect(&server.address).unwrap();
        let head = format!(
            "{line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            server.address,
            body.len()
        );
        connection.write_all(head.as_bytes()).unwrap();
        connection.write_all(&body).unwrap_or_else(|error| panic!("{line}: {error}"));
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {answer}");
        assert!(answer.contains("problem+json"), "{line}: {answer}");
    }
}

#[test]
fn broken_videos_are_listed_with_their_reason_and_do_not_stop_the_others() {
    let names = [
        "empty.mp4",
        "text.mp4",
        "soundonly.mp4",
        "nomoov.mp4",
        "truncated.mp4",
        "gop25.mp4",
        "oneframe.mp4",
    ];
    let (videos, data) = (folder_of(&names), tempfile::tempdir().unwrap());
    let server = Server::start(videos.path(), data.path(), None);
    for name in ["empty.mp4", "text.mp4", "soundonly.mp4", "nomoov.mp4"] {
        let found = indexed(&server, name);
        assert_eq!(found["index"], "failed", "{found}");
        assert!(!found["error"].as_str().unwrap().is_empty());
        let id = found["id"].as_str().unwrap();
        server.get(&format!("/api/video_file/frame_optimized?id={id}&t=0")).problem(422);
        let count = server.get(&format!("/api/video_file/count_at_time?id={id}&t=0")).json();
        assert_eq!(count["state"], "no_video");
    }
    for name in ["gop25.mp4", "oneframe.mp4", "truncated.mp4"] {
        let found = indexed(&server, name);
        assert_eq!(found["index"], "ready", "{found}");
        assert_eq!(found["error"].is_string(), name == "truncated.mp4", "damage is marked: {found}");
        let id = found["id"].as_str().unwrap();
        assert_eq!(server.get(&format!("/api/video_file/frame_optimized?id={id}&t=0")).status, 200);
    }
}

#[test]
fn after_kill_9_the_server_continues_and_ends_with_the_same_numbers() {
    let (videos, data, undisturbed) = (demo(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let numbers = |server: &Server| {
        let id = indexed(server, "pen.mp4")["id"].as_str().unwrap().to_owned();
        server.wait_for_run(&id, "done");
        let run = server.video("pen.mp4")["run"].clone();
        let curve = server.get(&format!("/api/videos/{id}/counts?points=10000")).json();
        (
            run["frames_done"].clone(),
            run["frames_inferred"].clone(),
            run["count"].clone(),
            curve["points"].clone(),
        )
    };
    let expected = numbers(&Server::start(videos.path(), undisturbed.path(), Some(&model())));
    let server = Server::start(videos.path(), data.path(), Some(&model()));
    let id = indexed(&server, "corridor.mp4")["id"].as_str().unwrap().to_owned();
    // The first video is done and the second is somewhere in its work.
    server.wait_for_run(&id, "done");
    server.kill();
    let server = Server::start(videos.path(), data.path(), Some(&model()));
    assert_eq!(numbers(&server), expected);
}

/// A dashboard that asks for what nobody tells shows empty panels and no error.
#[test]
fn the_dashboard_queries_only_existing_metrics() {
    let (videos, data) = (demo(), tempfile::tempdir().unwrap());
    let server = Server::start(videos.path(), data.path(), Some(&model()));
    let id = indexed(&server, "corridor.mp4")["id"].as_str().unwrap().to_owned();
    server.wait_for_run(&id, "done");
    for path in ["frame_optimized", "frame_optimized", "count_at_time"] {
        assert_eq!(server.get(&format!("/api/video_file/{path}?id={id}&t=1")).status, 200);
    }
    let first = server.get(&format!("/api/videos/{id}/index")).json()["first_pts"].clone();
    assert_eq!(server.get(&format!("/api/videos/{id}/preview/frame?pts={first}")).status, 200);
    // A frame that nobody waits for any more cannot be had on demand; there are no inference servers here (`remote.rs` asks for these).
    let rare = [
        "pigweight_frames_cancelled_total",
        "pigweight_inference_server_requests_total",
        "pigweight_inference_server_up",
    ];
    let metrics = String::from_utf8(server.get("/metrics").bytes).unwrap();
    // These are told while a video is worked on: `jobs.rs` looks for them.
    let passing = [
        "pigweight_source_backlog_frames",
        "pigweight_source_lag_seconds",
        "pigweight_source_figures_age_seconds",
    ];
    let is_told = |name: &&str| metrics.lines().any(|line| line.split(['{', ' ']).next() == Some(*name));
    let dashboard = std::fs::read_to_string(root().join("docs/guide/grafana.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let targets =
        dashboard["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array());
    let asked: Vec<&str> = targets.flatten().map(|target| target["expr"].as_str().unwrap()).collect();
    let mut names: Vec<&str> = asked
        .iter()
        .flat_map(|asked| asked.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_'))
        .filter(|word| word.starts_with("pigweight_") || word.starts_with("process_"))
        .filter(|name| !rare.contains(name) && !passing.contains(name))
        .collect();
    names.sort_unstable();
    names.dedup();
    assert!(names.len() > 10, "{names:?}");
    let missing: Vec<&&str> = names.iter().filter(|name| !is_told(name)).collect();
    assert!(missing.is_empty(), "{missing:?} are not in\n{metrics}");
    for kind in metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = kind.split(' ').next().unwrap();
        assert!(metrics.contains(&format!("# HELP {name} ")), "{name} is not explained in\n{metrics}");
    }
}

#[test]
fn a_data_folder_that_cannot_be_written_is_said_plainly() {
    let videos = folder_of(&["gop25.mp4"]);
    let file = videos.path().join("file");
    std::fs::write(&file, "").unwrap();
    let ended = pigweight()
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(file.join("data"))
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.contains("data folder") && said.trim_end().lines().count() == 1, "{said}");

    let data = tempfile::tempdir().unwrap();
    let server = Server::start(videos.path(), data.path(), None);
    let second =
        pigweight().args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&server.data).output().unwrap();
    assert!(String::from_utf8(second.stderr).unwrap().contains("in use by another pigweight"));
}

#[test]
fn a_full_disk_is_said_plainly_and_loses_nothing() {
    crate::small_disk::with("2m", fill_the_disk);
}

fn fill_the_disk(data: &Path) {
    let videos = demo();
    let ballast = data.join("ballast");
    let count = || {
        let mut command = pigweight();
        command.args(["count", "--json", "--model"]).arg(model()).arg("--data").arg(data);
        command.arg(videos.path().join("pen.mp4")).output().unwrap()
    };
    // The store is made and the disk filled behind it.
    drop(Server::start(videos.path(), data, None));
    std::fs::write(&ballast, vec![0; 3 << 20]).unwrap_err();
    let ended = count();
    assert_eq!(ended.status.code(), Some(1), "{}", String::from_utf8_lossy(&ended.stdout));
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.contains("disk is full"), "{said}");
    // With room again the work ends, and whole.
    std::fs::remove_file(&ballast).unwrap();
    let ended = count();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let document: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(document["frames"].as_u64().unwrap() as usize, document["series"].as_array().unwrap().len());
}

#[test]
fn the_committed_api_document_is_the_one_that_is_served() {
    let made = pigweight().arg("openapi").output().unwrap();
    let committed = std::fs::read_to_string(root().join("docs/reference/openapi.json")).unwrap_or_default();
    let made = String::from_utf8(made.stdout).unwrap();
    // The documents are long: the first line that differs says enough.
    let difference = made.lines().zip(committed.lines()).find(|(made, committed)| made != committed);
    assert_eq!(difference, None, "run make docs and look at the difference");
    assert_eq!(made.len(), committed.len(), "run make docs and look at the difference");
}

#[test]
fn a_released_data_folder_can_be_opened() {
    let (videos, data) = (folder_of(&[]), tempfile::tempdir().unwrap());
    // As a process that a killed server was about to start.
    let lock = std::fs::File::create(data.path().join("lock")).unwrap();
    lock.lock().unwrap();
    let mut command = pigweight();
    command.args(["serve", "--listen", "127.0.0.1:0", "--videos"]).arg(videos.path());
    command.arg("--data").arg(data.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut errors = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(errors.any(|line| line.contains("is in use; waiting for it")));
    drop(lock);
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("PigWeight is at http://")));
    process.kill().unwrap();
    process.wait().unwrap();
}

#[test]
fn what_a_client_has_already_is_not_sent_again() {
    let (videos, data) = (folder_of(&["gop25.mp4"]), tempfile::tempdir().unwrap());
    let server = Server::start(videos.path(), data.path(), None);
    let id = indexed(&server, "gop25.mp4")["id"].as_str().unwrap().to_owned();
    for path in [
        "/".to_owned(),
        format!("/api/videos/{id}/file"),
        format!("/api/video_file/frame_optimized?id={id}&t=1"),
    ] {
        let tag = server.get(&path).header("etag").to_owned();
        assert!(tag.starts_with('"'), "{path}: {tag}");
        for known in [
            tag.clone(),
            format!("W/{tag}"),
            "*".into(),
            format!("\"other\", {tag}"),
            format!("W/\"x\",W/{tag}"),
        ] {
            // A time, which would say otherwise, counts only for who names no tag.
            let headers =
                [("if-none-match", known.as_str()), ("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT")];
            let answer = server.ask("GET", &path, &headers, None);
            assert_eq!(
                (answer.status, answer.bytes.len(), answer.header("etag")),
                (304, 0, tag.as_str()),
                "{path} {known}"
            );
        }
        for other in ["\"other\"", "", "W/\"x\", \"y\""] {
            let headers = [("if-none-match", other), ("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT")];
            assert_eq!(server.ask("GET", &path, &headers, None).status, 200, "{path} {other:?}");
        }
    }
    let file = format!("/api/videos/{id}/file");
    let tag = server.get(&file).header("etag").to_owned();
    for (wanted, status) in [(tag.as_str(), 200), ("*", 200), ("\"other\"", 412)] {
        assert_eq!(server.ask("GET", &file, &[("if-match", wanted)], None).status, status, "{wanted}");
    }
    server.stop();
}

#[test]
fn boxes_of_a_long_video_come_in_pages_without_a_seam() {
    let (videos, data) = (crate::jobs::videos(&[("long.mp4", 13)]), tempfile::tempdir().unwrap());
    let server = Server::start_with(videos.path(), data.path(), Some(&model()), &[crate::jobs::NO_PICTURES]);
    let id = indexed(&server, "long.mp4")["id"].as_str().unwrap().to_owned();
    server.wait_for_run(&id, "done");
    let index = server.get(&format!("/api/videos/{id}/index")).json();
    let run = server.get(&format!("/api/videos/{id}")).json()["run"]["id"].as_str().unwrap().to_owned();
    let walk = |path: &str| {
        let (mut query, mut pages) = (String::new(), Vec::new());
        loop {
            let page = server.get(&format!("{path}{query}"));
            let next = page.header("link").to_owned();
            pages.push(page.json());
            match next.strip_prefix('<').and_then(|next| next.split_once('>')) {
                Some((next, rest)) => {
                    assert!(rest.contains("rel=\"next\""), "{rest}");
                    query = next.to_owned();
                }
                None => return pages,
            }
        }
    };
    let pages = walk(&format!("/api/videos/{id}/detections"));
    assert_eq!(pages.len(), 2, "130 s in pages of 120");
    let pts: Vec<i64> = pages
        .iter()
        .flat_map(|page| page["frames"].as_array().unwrap())
        .map(|frame| frame["pts"].as_i64().unwrap())
        .collect();
    assert!(pts.is_sorted_by(|one, other| one < other), "no frame is on two pages");
    assert_eq!(pts.len() as u64, server.video("long.mp4")["frames"].as_u64().unwrap(), "{index}");
    assert_eq!(pages[0]["to_secs"], pages[1]["from_secs"]);
    assert_eq!(walk(&format!("/api/videos/{id}/runs/{run}/schedule")).len(), 1, "600 s fit a page");
}
