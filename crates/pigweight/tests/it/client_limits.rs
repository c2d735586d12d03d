//! Clients that mean harm, or whose programs are broken: the others don't notice.

use crate::api::{folder_of, indexed};
use crate::server::{Server, pigweight};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tungstenite::client::IntoClientRequest as _;

/// More than a server keeps open.
const CONNECTIONS: usize = 1300;

fn start(videos: &tempfile::TempDir, data: &tempfile::TempDir, settings: &[(&str, &str)]) -> Server {
    Server::start_with(videos.path(), data.path(), None, settings)
}

/// This process and its children may open as many.
fn allow_descriptors() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(8192, |maximum| maximum.min(8192));
    assert!(wanted > CONNECTIONS as u64 + 200, "the system allows {wanted} descriptors");
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).unwrap();
}

#[test]
fn silent_and_slow_connections_keep_nobody_out() {
    allow_descriptors();
    let (videos, data) = (folder_of(&["gop25.mp4"]), tempfile::tempdir().unwrap());
    let server = start(&videos, &data, &[]);
    let heads: [&[u8]; 4] = [b"", b"G", b"GET /api/videos HTTP/1.1\r\nX-Slow: ", b"\0\x20"];
    let open: Vec<TcpStream> = (0..CONNECTIONS)
        .map(|number| {
            let mut stream = TcpStream::connect(&server.address).unwrap();
            // It may have been closed to make room already.
            let _closed = stream.write_all(heads[number % heads.len()]);
            stream
        })
        .collect();
    let asked = Instant::now();
    for _ in 0..20 {
        assert_eq!(server.get("/api/videos").status, 200);
    }
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    // The file's index needs a worker process with descriptors of its own.
    indexed(&server, "gop25.mp4");
    let descriptors = server.descriptors();
    assert!(descriptors < 1200, "{descriptors}");
    drop(open);
    server.stop();
}

#[test]
fn one_client_has_a_share_of_the_websockets() {
    allow_descriptors();
    let (videos, data) = (folder_of(&["gop25.mp4"]), tempfile::tempdir().unwrap());
    let server = start(&videos, &data, &[]);
    let id = indexed(&server, "gop25.mp4")["id"].as_str().unwrap().to_owned();
    let url = format!("ws://{}/ws/count?id={id}", server.address);
    let mut open = Vec::new();
    let refused = loop {
        match tungstenite::connect(&url) {
            Ok((socket, _)) => open.push(socket),
            Err(tungstenite::Error::Http(response)) => break response,
            Err(error) => panic!("{error} after {}", open.len()),
        }
        assert!(open.len() < CONNECTIONS);
    };
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    assert!(open.len() >= 200, "{}", open.len());
    assert_eq!(server.get("/api/videos").status, 200);
    // A place is free again when a socket is closed.
    drop(open);
    while tungstenite::connect(&url).is_err() {
        crate::server::pause();
    }
    server.stop();
}

#[test]
fn who_sends_pings_and_reads_nothing_is_closed_and_fills_no_memory() {
    let (videos, data) = (folder_of(&["gop25.mp4"]), tempfile::tempdir().unwrap());
    let server = start(&videos, &data, &[]);
    let id = indexed(&server, "gop25.mp4")["id"].as_str().unwrap().to_owned();
    let url = format!("ws://{}/ws/count?id={id}", server.address);
    let (socket, _) = tungstenite::connect(&url).unwrap();
    let tungstenite::stream::MaybeTlsStream::Plain(mut stream) = socket.into_inner() else {
        panic!("no TLS was asked for")
    };
    stream.set_write_timeout(Some(Duration::from_secs(60))).unwrap();
    // Pings of 125 bytes, masked with zeros.
    let ping: Vec<u8> = [0x89, 0x80 | 125, 0, 0, 0, 0].into_iter().chain([0; 125]).collect();
    let pings = ping.repeat(1000);
    let before = server.resident_bytes();
    let mut most = before;
    let begun = Instant::now();
    while stream.write_all(&pings).is_ok() {
        most = most.max(server.resident_bytes());
        assert!(begun.elapsed() < Duration::from_secs(90), "it is still served");
    }
    let grown = most.saturating_sub(before) >> 20;
    assert!(grown < 64, "{grown} MiB for a client that reads nothing");
    assert_eq!(server.get("/api/health").status, 200);
    server.stop();
}

#[test]
fn only_names_of_this_server_are_answered() {
    let (videos, data) = (folder_of(&["gop25.mp4"]), tempfile::tempdir().unwrap());
    let allowed = [("PIGWEIGHT_ALLOWED_HOSTS", r#"["pigs.farm.lan", ".barn.example"]"#)];
    let server = start(&videos, &data, &allowed);
    let id = indexed(&server, "gop25.mp4")["id"].as_str().unwrap().to_owned();
    let port = server.address.rsplit_once(':').unwrap().1;
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    for host in [
        format!("localhost:{port}"),
        format!("127.0.0.1:{port}"),
        "192.168.7.7".into(),
        "[::1]:8080".into(),
        machine.trim().into(),
        format!("pigs.farm.lan:{port}"),
        "pen4.barn.example".into(),
    ] {
        assert_eq!(server.ask("GET", "/api/videos", &[("host", &host)], None).status, 200, "{host}");
    }
    // What a page would do whose name is pointed here: for its browser, both are the same site.
    let (host, origin) = (format!("rebound.example:{port}"), format!("http://rebound.example:{port}"));
    let headers = [("host", host.as_str()), ("origin", origin.as_str())];
    let line = r#"{"video": "x", "name": "gate", "x1": 5, "y1": 5, "x2": 50, "y2": 50}"#;
    for (method, path, body) in [
        ("GET", "/api/videos".to_owned(), None),
        ("GET", format!("/api/videos/{id}/file"), None),
        ("GET", "/api/openapi.json".into(), None),
        ("GET", "/".into(), None),
        ("HEAD", "/".into(), None),
        ("GET", "/metrics".into(), None),
        ("POST", "/api/lines".into(), Some(line)),
        ("OPTIONS", "/api/lines".into(), None),
        ("DELETE", format!("/api/lines/{id}"), None),
    ] {
        let answer = server.ask(method, &path, &headers, body);
        assert_eq!(answer.status, 421, "{method} {path}");
        if method != "HEAD" {
            assert!(answer.problem(421).contains("allowed_hosts"), "{method} {path}");
        }
    }
    let mut request = format!("ws://{}/ws/count?id={id}", server.address).into_client_request().unwrap();
    request.headers_mut().insert("host", host.parse().unwrap());
    request.headers_mut().insert("origin", origin.parse().unwrap());
    let refused = tungstenite::connect(request).expect_err("a socket is refused as well");
    assert!(matches!(&refused, tungstenite::Error::Http(response) if response.status() == 421), "{refused}");
    // The other place where a request names a host.
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let request = format!(
        "GET http://rebound.example/api/videos HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        server.address
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).unwrap();
    assert!(told.starts_with("HTTP/1.1 421 "), "{told}");
    server.stop();
}

#[test]
fn what_is_no_name_of_a_server_is_refused_at_the_start() {
    for wrong in ["http://pigs.farm.lan", "pigs.farm.lan:8080", "*.farm.lan", "", "pigs/farm"] {
        let run = pigweight()
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("PIGWEIGHT_ALLOWED_HOSTS", format!("[\"{wrong}\"]"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(!run.status.success() && said.contains("allowed_hosts"), "{wrong}: {said}");
    }
}

#[test]
fn a_damaged_store_is_told_in_health_beside_the_answers_that_fail() {
    let (videos, data) = (folder_of(&["gop25.mp4"]), tempfile::tempdir().unwrap());
    let server = start(&videos, &data, &[]);
    let id = indexed(&server, "gop25.mp4")["id"].as_str().unwrap().to_owned();
    for name in ["pigweight.sqlite", "pigweight.sqlite-wal"] {
        let path = data.path().join(name);
        let bytes = std::fs::metadata(&path).unwrap().len();
        std::fs::write(&path, vec![0xFF; usize::try_from(bytes).unwrap()]).unwrap();
    }
    let failed = loop {
        let answer = server.get(&format!("/api/lines?video={id}"));
        if answer.status != 200 {
            break answer;
        }
    };
    let told = failed.problem(500);
    assert!(told.contains("check-data"), "{told}");
    let health = server.get("/api/health").json();
    assert_eq!(
        (&health["status"], &health["reason_code"]),
        (&"degraded".into(), &"store_damaged".into()),
        "{health}"
    );
}
