//! A server in this process: it answers on a port of its own, and when it has stopped nothing of it is left.

use super::*;
use crate::web::Problem;
use crate::web::auth::caller::{Caller, Permissions};
use axum::http::StatusCode;
use axum::http::request::Parts;
use std::net::Ipv4Addr;

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
            // A read with senseless arguments fails in other ways.
            assert_eq!(status == 403, !(reads && view), "{method} {path}: {status}");
        }
        server.stop().expect("it stops");
    }
}
