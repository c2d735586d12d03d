//! A server in this process: it answers on a port of its own, and when it has stopped nothing of it is left.

use super::*;
use crate::web::Problem;
use crate::web::auth::caller::{Caller, Permissions};
use axum::http::StatusCode;
use axum::http::request::Parts;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

fn config(folder: &Path) -> Config {
    let mut config = Config { data: folder.join("data"), ..Config::default() };
    config.videos = vec![folder.to_owned()];
    config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    // The tests' own binary cannot be started as a worker process.
    config.worker.enabled = false;
    config
}

fn status_of(server: &Server) -> u16 {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let answer = agent.get(format!("http://{}/api/health", server.address())).call();
    answer.expect("the server answers").status().as_u16()
}

#[cfg(target_os = "linux")]
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("Linux has it").count()
}

#[test]
fn servers_start_and_stop_in_one_process_and_leave_no_threads() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut before = None;
    for _ in 0..3 {
        let server = Server::start(config(folder.path())).expect("it starts");
        assert_eq!(status_of(&server), 200);
        let address = server.address();
        server.stop().expect("it stops");
        assert!(std::net::TcpStream::connect(address).is_err(), "nothing listens any more");
        // The inference runtime keeps a pool of its own from the first start on.
        #[cfg(target_os = "linux")]
        assert_eq!(*before.get_or_insert_with(threads), threads(), "every thread was joined");
    }
}

#[test]
fn a_data_folder_in_use_is_refused_and_its_server_continues() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(config(folder.path())).expect("it starts");
    let error = Server::start(config(folder.path())).err().expect("the folder is in use");
    assert!(error.to_string().contains("in use"), "{error}");
    assert_eq!(status_of(&server), 200);
    server.stop().expect("it stops");
}

/// Every route of the API document, as method and path with parameters filled in.
fn routes() -> Vec<(String, String)> {
    let document: serde_json::Value =
        serde_json::from_str(&crate::web::openapi_json()).expect("the document is JSON");
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let filled: Vec<_> =
            path.split('/').map(|part| if part.starts_with('{') { "any" } else { part }).collect();
        for method in ["get", "put", "post", "delete", "patch", "head", "options"] {
            if item.get(method).is_some() {
                routes.push((method.to_uppercase(), filled.join("/")));
            }
        }
    }
    routes
}

fn ask(server: &Server, method: &str, path: &str) -> u16 {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("http://{}{path}", server.address()))
        .header("tus-resumable", "1.0.0")
        .body(())
        .expect("a sound request");
    agent.run(request).expect("the server answers").status().as_u16()
}

/// Rejects every caller.
struct Nobody;

impl Authenticator for Nobody {
    fn authenticate(&self, _request: &Parts) -> Result<Caller, Problem> {
        Err(Problem::new(StatusCode::UNAUTHORIZED, "log in"))
    }
}

#[test]
fn no_route_of_the_document_is_reached_without_a_caller() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start_with(config(folder.path()), Box::new(Nobody)).expect("it starts");
    let routes = routes();
    assert!(routes.len() > 30, "{routes:?}");
    for (method, path) in routes {
        assert_eq!(ask(&server, &method, &path), 401, "{method} {path} answers somebody who is nobody");
    }
    server.stop().expect("it stops");
}

/// Takes everybody for a caller with these permissions.
struct Everybody(Permissions);

impl Authenticator for Everybody {
    fn authenticate(&self, _request: &Parts) -> Result<Caller, Problem> {
        Ok(Caller::new(self.0))
    }
}

#[test]
fn a_caller_with_view_permission_changes_nothing_and_one_without_sees_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    for view in [true, false] {
        let caller = Everybody(Permissions { view, operate: false });
        let server = Server::start_with(config(folder.path()), Box::new(caller)).expect("it starts");
        for (method, path) in routes() {
            let reads = ["GET", "HEAD", "OPTIONS"].contains(&method.as_str());
            let status = ask(&server, &method, &path);
            // What a search found is for those who may add it.
            let is_for_operators = path.starts_with("/api/cameras/discoveries");
            let may = reads && view && !is_for_operators;
            // A read with senseless arguments fails in other ways.
            assert_eq!(status == 403, !may, "{method} {path}: {status}");
        }
        server.stop().expect("it stops");
    }
}

/// The files of a folder and their bytes, but for SQLite's shared memory, in which readers register.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder").filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if !path.to_string_lossy().ends_with("-shm") {
            // A file that the background has just removed has no bytes.
            found.insert(path.clone(), std::fs::read(&path).unwrap_or_default());
        }
    }
    found
}

#[test]
fn reading_every_route_changes_no_byte_of_the_data_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(pigweight_testkit::videos::video("gop25.mp4"), folder.path().join("pen.mp4"))
        .expect("a copy");
    let server = Server::start(config(folder.path())).expect("it starts");
    let agent: ureq::Agent = ureq::Agent::new_with_defaults();
    let list = format!("http://{}/api/videos", server.address());
    let list = agent.get(list).call().expect("a list").body_mut().read_to_string().expect("text");
    let list: serde_json::Value = serde_json::from_str(&list).expect("JSON");
    let (video, source) = (&list[0]["id"], &list[0]["source"]);
    let [video, source] = [video, source].map(|id| id.as_str().expect("an identifier"));
    let reads: Vec<_> = routes().into_iter().filter(|(method, _)| method == "GET").collect();
    let mut answered = 0;
    // The background and the renewed lease write too: one round of reads without them is enough.
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let before = contents(&folder.path().join("data"));
        for (method, path) in &reads {
            let id = if path.starts_with("/api/sources") { source } else { video };
            let status = ask(&server, method, &path.replace("/any", &format!("/{id}")));
            answered += u32::from(status == 200);
        }
        if before == contents(&folder.path().join("data")) {
            break;
        }
        assert!(Instant::now() < deadline, "each round of reads wrote");
    }
    assert!(answered > 10, "{answered} routes answered");
    server.stop().expect("it stops");
}
