//! Uploads over a farm's network: in pieces, over connections that break, with arbitrary names.

use crate::server::{Answer, Server};
use base64::Engine as _;
use pigweight_testkit::videos::video;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

const TUS: (&str, &str) = ("tus-resumable", "1.0.0");
const PIECE: (&str, &str) = ("content-type", "application/offset+octet-stream");

fn film() -> Vec<u8> {
    std::fs::read(video("gop25.mp4")).unwrap()
}

fn started(data: &Path) -> (tempfile::TempDir, Server) {
    let videos = tempfile::tempdir().unwrap();
    let server = Server::start(videos.path(), data, None);
    (videos, server)
}

fn announce(server: &Server, name: &str, length: &str) -> Answer {
    let name = base64::engine::general_purpose::STANDARD.encode(name);
    let metadata = format!("filetype dmlkZW8vbXA0,filename {name}");
    let headers = [TUS, ("upload-length", length), ("upload-metadata", &metadata)];
    server.send("POST", "/api/uploads", &headers, Some(&[]))
}

/// Where an announced file goes.
fn accepted(server: &Server, name: &str, length: usize) -> String {
    let answer = announce(server, name, &length.to_string());
    assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.bytes));
    format!("/api/{}", answer.header("location"))
}

fn add(server: &Server, place: &str, offset: usize, bytes: &[u8]) -> Answer {
    server.send("PATCH", place, &[TUS, PIECE, ("upload-offset", &offset.to_string())], Some(bytes))
}

fn arrived(server: &Server, place: &str) -> usize {
    let answer = server.send("HEAD", place, &[TUS], None);
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
    answer.header("upload-offset").parse().unwrap()
}

fn names(server: &Server) -> Vec<String> {
    let list = server.get("/api/videos").json();
    let mut names: Vec<String> =
        list.as_array().unwrap().iter().map(|video| video["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_file_in_pieces_becomes_a_video_at_once() {
    let data = tempfile::tempdir().unwrap();
    let (_videos, server) = started(data.path());
    let film = film();
    let place = accepted(&server, "Загон №1, утро.mp4", film.len());
    let half = film.len() / 2;
    let answer = add(&server, &place, 0, &film[..half]);
    assert_eq!((answer.status, answer.header("upload-offset")), (204, half.to_string().as_str()));
    assert_eq!(answer.header("x-video-id"), "", "it is not whole");
    assert_eq!(arrived(&server, &place), half);
    assert!(names(&server).is_empty());
    let answer = add(&server, &place, half, &film[half..]);
    assert_eq!((answer.status, answer.header("upload-offset")), (204, film.len().to_string().as_str()));
    let id = answer.header("x-video-id").to_owned();
    assert_eq!(names(&server), ["Загон №1, утро.mp4"], "at once");
    let answer = server.get(&format!("/api/videos/{id}/file"));
    assert!(answer.bytes == film, "{}: {} bytes", answer.status, answer.bytes.len());
    // The work was woken, and the next folder scan keeps the video in the list.
    let found = crate::api::indexed(&server, "Загон №1, утро.mp4");
    assert_eq!((found["index"].as_str(), found["frames"].as_u64()), (Some("ready"), Some(150)));
    // Again under the same name: both are kept.
    let other = accepted(&server, "Загон №1, утро.mp4", film.len());
    assert_eq!(add(&server, &other, 0, &film).status, 204);
    assert_eq!(names(&server), ["Загон №1, утро (2).mp4", "Загон №1, утро.mp4"]);
}

#[test]
fn a_client_that_missed_the_last_answer_learns_the_offset_and_resends_nothing() {
    let data = tempfile::tempdir().unwrap();
    let (_videos, server) = started(data.path());
    let film = film();
    let place = accepted(&server, "pen.mp4", film.len());
    let id = add(&server, &place, 0, &film).header("x-video-id").to_owned();
    assert_ne!(id, "");
    let (_videos, server) = {
        server.kill();
        started(data.path())
    };
    for _ in 0..2 {
        let answer = server.send("HEAD", &place, &[TUS], None);
        let here: usize = answer.header("upload-offset").parse().unwrap();
        assert_eq!((answer.status, here, answer.header("x-video-id")), (200, film.len(), id.as_str()));
        let answer = add(&server, &place, film.len(), &[]);
        assert_eq!((answer.status, answer.header("x-video-id")), (204, id.as_str()));
        add(&server, &place, 0, &film).problem(409);
    }
    assert_eq!(names(&server), ["pen.mp4"]);
    // The video went; what is left of its upload does not bring it back.
    std::fs::remove_file(data.path().join("uploads/pen.mp4")).unwrap();
    assert_eq!(server.send("HEAD", &place, &[TUS], None).status, 404);
}

#[test]
fn an_interrupted_upload_keeps_received_bytes_also_through_kill_9() {
    let data = tempfile::tempdir().unwrap();
    let (_videos, server) = started(data.path());
    let film = film();
    let place = accepted(&server, "pen.mp4", film.len());
    let half = film.len() / 2;
    let mut connection = TcpStream::connect(&server.address).unwrap();
    let head = format!(
        "PATCH {place} HTTP/1.1\r\nHost: {}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: {}\r\n\
         Content-Length: {}\r\n\r\n",
        server.address,
        PIECE.1,
        film.len()
    );
    connection.write_all(head.as_bytes()).unwrap();
    connection.write_all(&film[..half]).unwrap();
    // Cut in the middle: the server notices, and keeps what it has.
    connection.shutdown(std::net::Shutdown::Both).unwrap();
    drop(connection);
    let here = std::iter::repeat_with(|| arrived(&server, &place)).find(|&here| here == half);
    assert_eq!(here, Some(half));
    server.kill();
    let (_videos, server) = started(data.path());
    assert_eq!(arrived(&server, &place), half);
    assert_eq!(add(&server, &place, half, &film[half..]).status, 204);
    assert_eq!(names(&server), ["pen.mp4"]);
    assert_eq!(std::fs::read(data.path().join("uploads/pen.mp4")).unwrap(), film);
    let left = std::fs::read_dir(data.path().join("uploads/.partial")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(left, [format!("{}.json", place.rsplit('/').next().unwrap())], "what became of it");
}

#[test]
fn a_new_connection_takes_over_from_one_that_hangs() {
    let data = tempfile::tempdir().unwrap();
    let (_videos, server) = started(data.path());
    let film = film();
    // On a busy machine the new connection may be handled first: then none hung, and the other one comes too late.
    let answer = std::iter::repeat_with(|| take_over(&server, &film))
        .find(|answer| !answer.starts_with("HTTP/1.1 409 "))
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 423 "), "{answer}");
}

/// The response that the hanging connection finally gets.
fn take_over(server: &Server, film: &[u8]) -> String {
    let place = accepted(server, "pen.mp4", film.len());
    let mut hanging = TcpStream::connect(&server.address).unwrap();
    let head = format!(
        "PATCH {place} HTTP/1.1\r\nHost: {}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: {}\r\n\
         Content-Length: {}\r\n\r\nfirst",
        server.address,
        PIECE.1,
        film.len()
    );
    hanging.write_all(head.as_bytes()).unwrap();
    // Asked as tus clients do: how far is it, and on from there. Five bytes, or all of the other one, may be on their way yet.
    let answer = std::iter::repeat_with(|| {
        let here = arrived(server, &place);
        add(server, &place, here, &film[here..here + 10])
    })
    .find(|answer| !matches!(answer.status, 409 | 423))
    .unwrap();
    assert_eq!(answer.status, 204);
    let mut answer = String::new();
    hanging.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn wrong_sizes_and_offsets_are_refused_and_no_byte_is_lost() {
    let data = tempfile::tempdir().unwrap();
    let (_videos, server) = started(data.path());
    let film = film();
    let place = accepted(&server, "pen.mp4", film.len());
    add(&server, &place, 1, &film[1..]).problem(409);
    assert_eq!(add(&server, &place, 0, &film[..1000]).status, 204);
    // The same bytes once more, as a client does that got no answer.
    let message = add(&server, &place, 0, &film[..1000]).problem(409);
    assert!(message.contains("1000 bytes are here"), "{message}");
    let longer = [&film[1000..], &[7; 100]].concat();
    add(&server, &place, 1000, &longer).problem(413);
    // What was announced is whole.
    assert_eq!(names(&server), ["pen.mp4"]);
    assert_eq!(std::fs::read(data.path().join("uploads/pen.mp4")).unwrap(), film);
}

#[test]
fn an_unacceptable_upload_is_refused_at_creation() {
    let (videos, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server =
        Server::start_with(videos.path(), data.path(), None, &[("PIGWEIGHT_UPLOAD__MAX_GB", "0.001")]);
    for (name, length, status, word) in [
        ("notes.txt", "10", 415, "mp4"),
        ("..", "10", 415, "mp4"),
        ("pen.mp4", "0", 400, "empty"),
        ("pen.mp4", "-1", 400, "upload-length"),
        ("pen.mp4", "many", 400, "upload-length"),
        ("pen.mp4", "1000001", 413, "1000000"),
        ("pen.mp4", "99999999999999999999999", 400, "upload-length"),
    ] {
        let message = announce(&server, name, length).problem(status);
        assert!(message.contains(word), "{name} {length}: {message}");
    }
    let headers = [("upload-length", "10")];
    assert!(server.send("POST", "/api/uploads", &headers, Some(&[])).problem(412).contains("1.0.0"));
    let headers = [TUS, ("upload-length", "10")];
    assert!(server.send("POST", "/api/uploads", &headers, Some(&[])).problem(400).contains("filename"));
    server.send("DELETE", "/api/uploads/..%2f..%2fpigweight", &[TUS], None).problem(404);
    add(&server, "/api/uploads/nobody", 0, b"x").problem(404);
    let place = accepted(&server, "../../../outside.mp4", 10);
    let plain = server.send("PATCH", &place, &[TUS, ("upload-offset", "0")], Some(b"x"));
    assert!(plain.problem(415).contains("offset+octet-stream"));
    assert_eq!(server.send("DELETE", &place, &[TUS], None).status, 204);
    server.send("DELETE", &place, &[TUS], None).problem(404);
    let options = server.send("OPTIONS", "/api/uploads", &[], None);
    assert_eq!((options.status, options.header("tus-max-size")), (204, "1000000"));
    assert_eq!(options.header("tus-extension"), "creation,termination");
    let foreign = [TUS, ("origin", "http://elsewhere"), ("upload-length", "10")];
    server.send("POST", "/api/uploads", &foreign, Some(&[])).problem(403);
    assert!(names(&server).is_empty());
}

#[test]
fn uploads_can_be_switched_off() {
    let (videos, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start_with(videos.path(), data.path(), None, &[("PIGWEIGHT_UPLOAD__MAX_GB", "0")]);
    assert!(announce(&server, "pen.mp4", "10").problem(403).contains("max_gb"));
}

#[test]
fn a_disk_without_room_is_said_before_the_first_byte() {
    crate::small_disk::with("200m", |data| {
        let (_videos, server) = started(data);
        let message = announce(&server, "pen.mp4", "100000000").problem(507);
        assert!(message.contains("room"), "{message}");
    });
}

#[test]
fn announcements_without_data_shut_nobody_out_and_reserve_nothing() {
    let data = tempfile::tempdir().unwrap();
    let (_videos, server) = started(data.path());
    let film = film();
    // As much as the disk holds, so that two of them would not fit.
    let free = rustix::fs::statvfs(data.path()).map(|disk| disk.f_bavail * disk.f_frsize).unwrap();
    let large = (free.saturating_sub(4_000_000_000)).min(90_000_000_000).to_string();
    for number in 0..150 {
        let answer = announce(&server, &format!("{number}.mp4"), &large);
        assert_eq!(answer.status, 201, "{number}: {}", String::from_utf8_lossy(&answer.bytes));
    }
    let list = server.get("/api/uploads").json();
    let unfinished = list.as_array().unwrap();
    assert_eq!(unfinished.len(), 50, "one client's share");
    assert!(unfinished.iter().all(|upload| upload["offset"] == 0), "{list}");
    // One that has begun keeps its place.
    let place = accepted(&server, "pen.mp4", film.len());
    assert_eq!(add(&server, &place, 0, &film[..film.len() / 2]).status, 204);
    for number in 0..60 {
        assert_eq!(announce(&server, &format!("{number}.mp4"), "1").status, 201, "{number}");
    }
    assert_eq!(add(&server, &place, film.len() / 2, &film[film.len() / 2..]).status, 204);
    assert_eq!(names(&server), ["pen.mp4"]);
    // Anybody can see and delete what is unfinished, without the protocol.
    let id = server.get("/api/uploads").json()[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(server.ask("DELETE", &format!("/api/uploads/{id}"), &[], None).status, 204);
    assert_eq!(server.ask("DELETE", &format!("/api/uploads/{id}"), &[], None).status, 404);
    let left = server.get("/api/uploads").json();
    assert!(left.as_array().unwrap().iter().all(|upload| upload["id"] != id.as_str()), "{left}");
    server.stop();
}

#[test]
fn a_client_that_can_only_post_names_the_method() {
    let data = tempfile::tempdir().unwrap();
    let (_videos, server) = started(data.path());
    let film = film();
    let place = accepted(&server, "pen.mp4", film.len());
    let half = film.len() / 2;
    let post = |place: &str, method: &str, offset: usize, bytes: &[u8]| {
        let offset = offset.to_string();
        let headers = [TUS, PIECE, ("upload-offset", offset.as_str()), ("x-http-method-override", method)];
        server.send("POST", place, &headers, Some(bytes))
    };
    assert_eq!(post(&place, "PATCH", 0, &film[..half]).status, 204);
    let progress = post(&place, "HEAD", 0, &[]);
    assert_eq!((progress.status, progress.header("upload-offset")), (200, half.to_string().as_str()));
    assert_eq!(post(&place, "patch", half, &film[half..]).status, 204);
    assert_eq!(names(&server), ["pen.mp4"]);
    let other = accepted(&server, "other.mp4", film.len());
    assert!(post(&other, "PUT", 0, &film).problem(400).contains("X-HTTP-Method-Override"));
    assert!(server.send("POST", &other, &[TUS, PIECE], Some(&film)).problem(400).contains("PATCH"));
    assert_eq!(post(&other, "DELETE", 0, &[]).status, 204);
    assert_eq!(post(&other, "HEAD", 0, &[]).status, 404);
    server.stop();
}
