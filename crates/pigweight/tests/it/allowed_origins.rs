//! Web pages of other servers: refused, unless the configuration names them.

use crate::api::folder_of;
use crate::server::{Server, model, pigweight};
use serde_json::json;
use tungstenite::client::IntoClientRequest as _;

const FRIEND: &str = "http://intranet.farm:8000";
const STRANGER: &str = "http://elsewhere.example";

fn start(videos: &std::path::Path, data: &std::path::Path) -> Server {
    let origins = format!("[\"{FRIEND}\"]");
    Server::start_with(videos, data, Some(&model()), &[("PIGWEIGHT_ALLOWED_ORIGINS", &origins)])
}

#[test]
fn a_page_of_an_allowed_origin_may_do_what_the_own_page_may_and_no_other() {
    let (videos, data) = (folder_of(&["gop25.mp4"]), tempfile::tempdir().unwrap());
    let server = start(videos.path(), data.path());
    let id = crate::api::indexed(&server, "gop25.mp4")["id"].as_str().unwrap().to_owned();
    let line = json!({"video": id, "name": "gate", "x1": 5, "y1": 5, "x2": 50, "y2": 50}).to_string();
    let allowed = |answer: &crate::server::Answer| answer.header("access-control-allow-origin").to_owned();

    let first = [
        ("origin", FRIEND),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type"),
    ];
    let asked = server.ask("OPTIONS", "/api/lines", &first, None);
    assert_eq!((asked.status, allowed(&asked).as_str()), (204, FRIEND));
    assert!(asked.header("access-control-allow-methods").contains("POST"));
    assert!(asked.header("access-control-allow-headers").contains("Content-Type"));
    let drawn = server.ask("POST", "/api/lines", &[("origin", FRIEND)], Some(&line));
    assert_eq!((drawn.status, allowed(&drawn).as_str()), (201, FRIEND));
    assert!(drawn.header("access-control-expose-headers").contains("Location"));
    let read = server.ask("GET", "/api/videos", &[("origin", FRIEND)], None);
    assert_eq!((read.status, allowed(&read).as_str()), (200, FRIEND));
    assert!(read.header("vary").contains("origin"), "{}", read.header("vary"));

    let foreign = [("origin", STRANGER), ("access-control-request-method", "POST")];
    assert_eq!(allowed(&server.ask("OPTIONS", "/api/lines", &foreign, None)), "");
    for origin in [
        STRANGER,
        "null",
        "https://intranet.farm:8000",
        "http://intranet.farm",
        "http://intranet.farm:8000.evil",
    ] {
        let refused = server.ask("POST", "/api/lines", &[("origin", origin)], Some(&line));
        assert_eq!(allowed(&refused), "", "{origin}");
        assert!(refused.problem(403).contains("allowed_origins"), "{origin}");
        // What is read is kept from the page by the browser.
        assert_eq!(allowed(&server.ask("GET", "/api/videos", &[("origin", origin)], None)), "", "{origin}");
    }
    let socket = |origin: &str| {
        let mut request = format!("ws://{}/ws/count?id={id}", server.address).into_client_request().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        tungstenite::connect(request).is_ok()
    };
    assert!(socket(FRIEND) && !socket(STRANGER));
    server.stop();
}

#[test]
fn what_is_no_origin_is_refused_at_the_start() {
    for wrong in [
        "*",
        "intranet.farm",
        "http://intranet.farm/",
        "http://Intranet.farm",
        "ftp://intranet.farm",
        "http://intranet.farm:80",
    ] {
        let run = pigweight()
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("PIGWEIGHT_ALLOWED_ORIGINS", format!("[\"{wrong}\"]"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(!run.status.success() && said.contains("allowed_origins"), "{wrong}: {said}");
    }
}
