//! A camera's pictures one after the other: for any `<img>`, with or without boxes, and never more than the server takes.

use crate::cameras::{add, corridor, start, wait_for_state, wait_for_update};
use pigweight_testkit::rtsp_server::RtspServer;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// A client's connection, behind the head of the answer.
struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    fn open(address: &str, path: &str) -> (Self, String) {
        let mut stream = TcpStream::connect(address).unwrap();
        // HTTP/1.0: the body isn't cut into chunks.
        let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept-Encoding: gzip\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut client = Self { stream, received: Vec::new() };
        let head = client.until(b"\r\n\r\n");
        (client, String::from_utf8(head).unwrap())
    }

    fn more(&mut self) {
        let mut buffer = vec![0; 65_536];
        let length = self.stream.read(&mut buffer).unwrap();
        assert!(length > 0, "it goes on");
        self.received.extend_from_slice(&buffer[..length]);
    }

    fn until(&mut self, mark: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.received.windows(mark.len()).position(|bytes| bytes == mark) {
                return self.received.drain(..at + mark.len()).collect();
            }
            self.more();
        }
    }

    /// The pts of the next picture, and the picture.
    fn picture(&mut self) -> (i64, Vec<u8>) {
        let head = String::from_utf8(self.until(b"\r\n\r\n")).unwrap();
        let value =
            |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
        let length: usize = value("Content-Length:").parse().unwrap();
        while self.received.len() < length {
            self.more();
        }
        (value("X-Frame-Pts:").parse().unwrap(), self.received.drain(..length).collect())
    }
}

#[test]
fn pictures_come_at_the_wanted_rate_with_boxes_where_they_are_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let corridor = corridor(folder.path(), 30);
    let films = [("corridor", corridor.film.clone())];
    let Some(rtsp) = RtspServer::start(&[], &films) else { return };
    let server = start(folder.path(), &corridor);
    let camera = add(&server, &json!({"name": "Gate", "url": rtsp.address("corridor")}));
    let id = camera["id"].as_str().unwrap();
    wait_for_state(&server, id, "live");
    wait_for_update(&server, id, |update| update["count"].as_i64() > Some(0));
    let path = format!("/api/cameras/{id}/mjpeg");
    let (mut plain, head) = Client::open(&server.address, &path);
    assert!(head.contains("multipart/x-mixed-replace; boundary=picture"), "{head}");
    assert!(!head.to_lowercase().contains("content-encoding"), "{head}");
    let (mut slow, _) = Client::open(&server.address, &format!("{path}?per_sec=2"));
    let (mut boxed, _) = Client::open(&server.address, &format!("{path}?boxes=true&per_sec=15"));
    let mut last = None;
    for _ in 0..20 {
        let (pts, jpeg) = plain.picture();
        assert!(jpeg.starts_with(&[0xff, 0xd8]) && jpeg.ends_with(&[0xff, 0xd9]));
        // A tenth of a second apart at least, within a frame.
        assert!(last.is_none_or(|last| pts - last >= 2900), "{last:?} and {pts}");
        last = Some(pts);
    }
    let times: Vec<i64> = (0..4).map(|_| slow.picture().0).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] > 30_000), "{times:?}");
    // Those that both get: with boxes they are others.
    (plain, _) = Client::open(&server.address, &format!("{path}?per_sec=15"));
    let (mut without, mut with) = (BTreeMap::new(), BTreeMap::new());
    let differs = (0..300).any(|_| {
        without.extend([plain.picture()]);
        with.extend([boxed.picture()]);
        with.iter().any(|(pts, jpeg)| without.get(pts).is_some_and(|own| own != jpeg))
    });
    let common = with.keys().filter(|pts| without.contains_key(pts)).count();
    assert!(differs, "of {common} pictures that both got, none had boxes");
    assert!(server.get(&format!("{path}?per_sec=0")).problem(400).contains("per_sec"));
    server.get(&format!("{path}?boxes=perhaps")).problem(400);
    server.get("/api/cameras/nobody/mjpeg").problem(404);
    drop((plain, slow, boxed));
    let all: Vec<Client> = std::iter::from_fn(|| {
        let (client, head) = Client::open(&server.address, &path);
        head.starts_with("HTTP/1.0 200").then_some(client)
    })
    .collect();
    // Those before may hold their places for a moment.
    assert!((29..=32).contains(&all.len()), "{}", all.len());
    drop(all);
    drop(rtsp);
    wait_for_state(&server, id, "away");
    server.get(&path).problem(503);
    server.stop();
}
