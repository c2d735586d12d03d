//! Pages that are left alone hear what others change, and that the server is there.

use crate::api::{folder_of, indexed};
use crate::server::Server;
use pigweight_testkit::videos::video;
use serde_json::{Value, json};
use std::net::TcpStream;
use tungstenite::WebSocket;
use tungstenite::stream::MaybeTlsStream;

type Socket = WebSocket<MaybeTlsStream<TcpStream>>;

fn listen(server: &Server) -> Socket {
    let (mut socket, _) = tungstenite::connect(format!("ws://{}/ws/changes", server.address)).unwrap();
    assert_eq!(topics(&mut socket), Vec::<String>::new(), "the first one says only that it is there");
    socket
}

fn topics(socket: &mut Socket) -> Vec<String> {
    loop {
        if let tungstenite::Message::Text(text) = socket.read().unwrap() {
            let message: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(message["type"], "changes");
            return serde_json::from_value(message["topics"].clone()).unwrap();
        }
    }
}

/// Reads on until a topic comes.
fn hear(socket: &mut Socket, topic: &str) {
    while !topics(socket).iter().any(|told| told == topic) {}
}

#[test]
fn each_page_hears_what_others_change() {
    let (videos, data) = (folder_of(&["gop25.mp4"]), tempfile::tempdir().unwrap());
    let server = Server::start(videos.path(), data.path(), None);
    let id = indexed(&server, "gop25.mp4")["id"].as_str().unwrap().to_owned();
    let mut pages = [listen(&server), listen(&server)];
    let line = json!({"video": id, "name": "gate", "x1": 200, "y1": 0, "x2": 200, "y2": 200}).to_string();
    let line = server.ask("POST", "/api/lines", &[], Some(&line));
    assert_eq!(line.status, 201);
    pages.iter_mut().for_each(|page| hear(page, "lines"));
    // A file that comes by itself.
    std::fs::copy(video("gop150.mp4"), videos.path().join("new.mp4")).unwrap();
    // What is told can be read: no page has to ask for it without having heard of it.
    for page in &mut pages {
        while server.get("/api/videos").json().as_array().unwrap().len() < 2 {
            hear(page, "videos");
        }
    }
    // Nothing changes, and yet something is said.
    let [mut page, _] = pages;
    while !topics(&mut page).is_empty() {}
    let answer = server.get("/ws/changes");
    assert_eq!(answer.status, 426);
    server.stop();
}
