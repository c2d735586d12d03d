//! A receiver of webhooks for a test: it answers as it is told, and hands on what it received.

use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver as Events, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

/// The secret of all receivers: whsec_ and 32 bytes.
pub const SECRET: &str = "whsec_dGhpcnR5LXR3byBieXRlcyB0aGF0IG5vYm9keSBrbm8=";

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Delivery {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("{name} is not in {self:?}"))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }

    /// As Python's own library computes it.
    pub fn assert_signed(&self) {
        let script = "import base64, hashlib, hmac, sys\n\
                      key = base64.b64decode(sys.argv[1].removeprefix('whsec_'))\n\
                      print('v1,' + base64.b64encode(hmac.new(key, sys.argv[2].encode(), hashlib.sha256).digest()).decode())";
        let signed =
            format!("{}.{}.{}", self.header("webhook-id"), self.header("webhook-timestamp"), self.body);
        let output = Command::new("python3").args(["-c", script, SECRET, &signed]).output().unwrap();
        let expected = String::from_utf8(output.stdout).unwrap();
        assert_eq!(self.header("webhook-signature"), expected.trim());
    }
}

/// How a request is answered.
#[derive(Clone, Debug)]
pub enum Reply {
    /// This status, with these further header lines.
    Status(u16, &'static str),
    /// The connection stays open without an answer.
    Silence,
}

/// Runs until the test ends.
pub struct Receiver {
    pub port: u16,
    deliveries: Events<Delivery>,
}

impl Receiver {
    /// Listens at a port; 0: a free one. The first requests get `replies`, further ones 204.
    pub fn start(port: u16, replies: &[Reply]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let replies = Arc::new(Mutex::new(replies.iter().cloned().collect::<VecDeque<_>>()));
        let (to, deliveries) = sync_channel(10_000);

        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (to, replies) = (to.clone(), replies.clone());
                std::thread::spawn(move || answer(&stream.unwrap(), &to, &replies));
            }
        });
        Self { port, deliveries }
    }

    /// The address for the configuration; its path is a secret.
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// The next request.
    pub fn next(&self) -> Delivery {
        self.deliveries.recv().unwrap()
    }

    /// What has arrived and was not asked for yet.
    pub fn arrived(&self) -> Vec<Delivery> {
        self.deliveries.try_iter().collect()
    }
}

pub fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/hook/path-that-nobody-knows")
}

/// A port where nothing listens.
pub fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// All requests of a connection.
fn answer(mut stream: &TcpStream, to: &SyncSender<Delivery>, replies: &Mutex<VecDeque<Reply>>) {
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    while lines.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
        let path = line.split(' ').nth(1).unwrap().to_owned();
        let mut headers = BTreeMap::new();
        loop {
            line.clear();
            lines.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim().split_once(": ") else { break };
            headers.insert(name.to_lowercase(), value.to_owned());
        }
        let length = headers["content-length"].parse().unwrap();
        let mut body = vec![0; length];
        lines.read_exact(&mut body).unwrap();
        let reply = replies.lock().unwrap().pop_front().unwrap_or(Reply::Status(204, ""));
        let _ended = to.send(Delivery { path, headers, body: String::from_utf8(body).unwrap() });
        match reply {
            Reply::Status(status, further) => {
                let _gone = write!(stream, "HTTP/1.1 {status} X\r\n{further}Content-Length: 0\r\n\r\n");
            }
            // Until the other side has had enough.
            Reply::Silence => {
                let _ended = lines.read_line(&mut line);
                return;
            }
        }
        line.clear();
    }
}
