//! What a camera was doing is kept over restarts, and a server that was killed doesn't leave it live.

use crate::cameras::{add, corridor, start, wait_for_state};
use crate::server::{Server, pause};
use pigweight_testkit::rtsp_server::RtspServer;
use serde_json::{Value, json};

fn states(server: &Server, id: &str) -> Vec<Value> {
    server.get(&format!("/api/cameras/{id}/states")).json().as_array().unwrap().clone()
}

fn names(states: &[Value]) -> Vec<&str> {
    states.iter().map(|state| state["state"].as_str().unwrap()).collect()
}

#[test]
fn states_are_kept_over_a_restart_and_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let corridor = corridor(folder.path(), 60);
    let Some(rtsp) = RtspServer::start(&[], &[("corridor", corridor.film.clone())]) else { return };
    let server = start(folder.path(), &corridor);
    let camera = add(&server, &json!({"name": "Gate", "url": rtsp.address("corridor")}));
    let id = camera["id"].as_str().unwrap();
    wait_for_state(&server, id, "live");
    assert_eq!(names(&states(&server, id)), ["live", "connecting"]);
    server.stop();

    let server = start(folder.path(), &corridor);
    wait_for_state(&server, id, "live");
    let kept = states(&server, id);
    assert_eq!(names(&kept), ["live", "connecting", "stopped", "live", "connecting"]);
    assert_eq!(kept[2]["reason"], Value::Null, "it was stopped by a person");
    let limited = server.get(&format!("/api/cameras/{id}/states?limit=2")).json();
    assert_eq!(limited.as_array().unwrap().as_slice(), &kept[..2]);
    for limit in ["0", "2001", "x", "-1"] {
        assert_eq!(server.get(&format!("/api/cameras/{id}/states?limit={limit}")).status, 400, "{limit}");
    }

    // So long that what was counted is later than when it came live.
    loop {
        let camera = server.get(&format!("/api/cameras/{id}")).json();
        if camera["count"]["t"].as_f64() > Some(3.0) {
            break;
        }
        pause();
    }
    server.kill();
    let server = start(folder.path(), &corridor);
    wait_for_state(&server, id, "live");
    let kept = states(&server, id);
    assert_eq!(
        names(&kept),
        ["live", "connecting", "stopped", "live", "connecting", "stopped", "live", "connecting"]
    );
    assert_eq!(kept[2]["reason"]["code"], "server_ended", "{kept:?}");
    let since = |place: usize| kept[place]["since"].as_str().unwrap().to_owned();
    assert!(since(3) <= since(2) && since(2) <= since(1), "between both: {kept:?}");
    server.stop();
}

#[test]
fn a_camera_that_is_off_is_away_once_and_not_at_each_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let corridor = corridor(folder.path(), 12);
    let server = start(folder.path(), &corridor);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("rtsp://{closed}/s");
    let camera = add(&server, &json!({"name": "Off", "url": url, "test": false}));
    let id = camera["id"].as_str().unwrap();
    let away = wait_for_state(&server, id, "away");
    // Another attempt has failed meanwhile.
    loop {
        let camera = server.get(&format!("/api/cameras/{id}")).json();
        if camera["state"] == "away" && camera["retry_at"] != away["retry_at"] {
            break;
        }
        pause();
    }
    assert_eq!(names(&states(&server, id)), ["away", "connecting"]);
    server.stop();
}
