//! MQTT: a real broker is told the cameras, and Home Assistant finds them.

use crate::broker::{Broker, BrokerSettings};
use crate::cameras::{Corridor, add, corridor};
use crate::server::{Server, pause};
use crate::webhook_receiver::closed_port;
use pigweight_testkit::rtsp_server::RtspServer;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

const STATUS: &str = "pigweight/status";
const PASSWORD: &str = "p@ss-of-the-broker";

fn start(folder: &Path, config: &str, corridor: Option<&Corridor>) -> Server {
    let (videos, file) = (folder.join("videos"), folder.join("pigweight.toml"));
    std::fs::create_dir_all(&videos).unwrap();
    std::fs::write(&file, config).unwrap();
    let model = corridor.map(|corridor| corridor.model.as_path());
    let settings = [("PIGWEIGHT_CONFIG", file.to_str().unwrap())];
    Server::start_with(&videos, &folder.join("data"), model, &settings)
}

fn config(port: u16) -> String {
    format!("[mqtt]\nbroker = \"mqtt://127.0.0.1:{port}\"\npicture_interval_secs = 1\n")
}

/// A camera that is off.
fn add_camera(server: &Server, name: &str) -> String {
    let camera = json!({"name": name, "url": format!("rtsp://127.0.0.1:{}/s", closed_port()), "test": false});
    add(server, &camera)["id"].as_str().unwrap().to_owned()
}

fn remove_camera(server: &Server, id: &str) {
    assert_eq!(server.ask("DELETE", &format!("/api/cameras/{id}"), &[], None).status, 204);
}

fn camera_topic(id: &str) -> String {
    format!("pigweight/cameras/{id}")
}

/// Topics of a camera that hold something.
fn topics_of<'a>(last: &'a BTreeMap<String, Vec<u8>>, id: &str) -> Vec<&'a String> {
    last.iter()
        .filter(|(topic, message)| topic.contains(id) && !message.is_empty())
        .map(|(topic, _)| topic)
        .collect()
}

fn json_of(message: &[u8]) -> Value {
    serde_json::from_slice(message).unwrap_or_default()
}

/// The server's health as soon as the broker is in this state.
fn wait_for_health(server: &Server, state: &str) -> Value {
    loop {
        let health = server.get("/api/health").json();
        assert!(!health.to_string().contains(PASSWORD), "{health}");
        if health["mqtt"]["state"] == state {
            return health;
        }
        pause();
    }
}

#[test]
fn home_assistant_finds_a_camera_with_its_count_crossings_state_and_picture() {
    let folder = tempfile::tempdir().unwrap();
    let Some(broker) = Broker::start(folder.path(), &BrokerSettings::default()) else { return };
    let corridor = corridor(folder.path(), 30);
    let films = [("corridor", corridor.film.clone())];
    let Some(rtsp) = RtspServer::start(&[], &films) else { return };
    let server = start(folder.path(), &config(broker.port), Some(&corridor));
    let camera = add(&server, &json!({"name": "Загон 4 / #+", "url": rtsp.address("corridor")}));
    let (id, video) = (camera["id"].as_str().unwrap(), camera["video"].as_str().unwrap());
    let mut listener = broker.listen();
    let discovery = format!("homeassistant/sensor/pigweight_{id}/count/config");
    let sensor = json_of(&listener.wait_for(&discovery, |_| true));
    assert_eq!(
        (sensor["unit_of_measurement"].as_str(), sensor["state_class"].as_str()),
        (Some("pigs"), Some("measurement"))
    );
    assert_eq!(
        (sensor["state_topic"].as_str(), sensor["device"]["name"].as_str()),
        (Some(camera_topic(id).as_str()), Some("Загон 4 / #+"))
    );
    assert_eq!(sensor["availability"][0]["topic"], STATUS);
    listener.wait_for(STATUS, |message| message == b"online");
    // The count, as the API has it at the same time.
    listener.wait_for(&camera_topic(id), |message| {
        let now = json_of(message);
        now["state"] == "live" && now["count"].is_u64()
    });
    // A picture, as a JPEG.
    let image =
        json_of(&listener.wait_for(&format!("homeassistant/image/pigweight_{id}/picture/config"), |_| true));
    let picture = listener.wait_for(image["image_topic"].as_str().unwrap(), |message| !message.is_empty());
    assert!(picture.starts_with(&[0xff, 0xd8]) && picture.ends_with(&[0xff, 0xd9]));
    // A line that is drawn gets its sensors, and counts.
    let line =
        json!({"video": video, "scope": "source", "name": "gate", "x1": 320, "y1": 360, "x2": 320, "y2": 0});
    let drawn = server.ask("POST", "/api/lines", &[], Some(&line.to_string())).json();
    let line = drawn["id"].as_str().unwrap();
    let forward = format!("homeassistant/sensor/pigweight_{id}/line_{line}_forward/config");
    let sensor = json_of(&listener.wait_for(&forward, |_| true));
    assert_eq!(
        (sensor["state_class"].as_str(), sensor["name"].as_str()),
        (Some("total_increasing"), Some("gate forward"))
    );
    listener.wait_for(sensor["state_topic"].as_str().unwrap(), |message| {
        let now = json_of(message);
        now["forward"].as_u64().unwrap_or(0) + now["backward"].as_u64().unwrap_or(0) >= 2
    });
    // A line that is removed takes its sensors with it.
    assert_eq!(server.ask("DELETE", &format!("/api/lines/{line}"), &[], None).status, 204);
    listener.wait_until(|last| last[&forward].is_empty());
    // The cable is pulled: the count is not 0 but unknown.
    drop(rtsp);
    let away = json_of(&listener.wait_for(&camera_topic(id), |message| json_of(message)["state"] == "away"));
    assert_eq!((&away["count"], away["reason"].is_string()), (&Value::Null, true), "{away}");
    let health = wait_for_health(&server, "working");
    assert!(health["mqtt"]["last_success"].is_string(), "{health}");
    // A camera that is removed leaves nothing at the broker.
    remove_camera(&server, id);
    listener.wait_until(|last| topics_of(last, id).is_empty());
    server.stop();
    listener.wait_for(STATUS, |message| message == b"offline");
    let kept = broker.listen().wait_for(STATUS, |_| true);
    assert_eq!(kept, b"offline", "the broker keeps it");
}

#[test]
fn a_broker_that_was_away_gets_the_latest_values_and_the_health_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let Some(broker) = Broker::start(folder.path(), &BrokerSettings::default()) else { return };
    let (port, server) = (broker.port, start(folder.path(), &config(broker.port), None));
    let (stays, goes) = (add_camera(&server, "stays"), add_camera(&server, "goes"));
    let mut listener = broker.listen();
    listener.wait_until(|last| topics_of(last, &stays).len() >= 4 && topics_of(last, &goes).len() >= 4);
    broker.stop();
    drop(listener);
    let health = wait_for_health(&server, "failing");
    assert_eq!(
        (health["status"].as_str(), health["mqtt"]["reason_code"].as_str()),
        (Some("degraded"), Some("mqtt_away"))
    );
    let message = health["mqtt"]["message"].as_str().unwrap();
    assert!(message.contains(&format!("127.0.0.1:{port}")) && message.contains("tried again"), "{message}");
    // What happens meanwhile is not lost: it is what is true when the broker is back.
    remove_camera(&server, &goes);
    let renamed = server.ask(
        "PUT",
        &format!("/api/cameras/{stays}"),
        &[],
        Some(&json!({"name": "renamed"}).to_string()),
    );
    assert_eq!(renamed.status, 200);
    let Some(broker) = Broker::start(folder.path(), &BrokerSettings { port, ..Default::default() }) else {
        return;
    };
    let mut listener = broker.listen();
    listener.wait_for(&camera_topic(&stays), |message| json_of(message)["name"] == "renamed");
    listener.wait_for(STATUS, |message| message == b"online");
    listener.wait_until(|last| topics_of(last, &stays).len() >= 4);
    assert_eq!(topics_of(&listener.last, &goes), Vec::<&String>::new());
    wait_for_health(&server, "working");
    // Home Assistant starts anew, and is told anew.
    let discovery = format!("homeassistant/sensor/pigweight_{stays}/state/config");
    listener.last.clear();
    broker.publish("homeassistant/status", "online");
    listener.wait_until(|last| last.contains_key(&discovery) && last.contains_key(&camera_topic(&stays)));
    // The broker itself says that a killed server is away.
    server.kill();
    listener.wait_for(STATUS, |message| message == b"offline");
}

#[test]
fn a_camera_removed_while_the_broker_was_away_is_gone_from_it_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let settings = BrokerSettings { is_persistent: true, ..Default::default() };
    let Some(broker) = Broker::start(folder.path(), &settings) else { return };
    let port = broker.port;
    let server = start(folder.path(), &config(port), None);
    let id = add_camera(&server, "goes");
    let mut listener = broker.listen();
    listener.wait_until(|last| topics_of(last, &id).len() >= 4);
    broker.stop();
    drop(listener);
    wait_for_health(&server, "failing");
    remove_camera(&server, &id);
    server.kill();
    let Some(broker) = Broker::start(folder.path(), &BrokerSettings { port, ..settings }) else { return };
    let mut listener = broker.listen();
    listener.wait_until(|last| topics_of(last, &id).len() >= 4);
    let server = start(folder.path(), &config(port), None);
    listener.wait_until(|last| topics_of(last, &id).is_empty());
    // A listener that comes later finds nothing of it either.
    let mut later = broker.listen();
    later.wait_for(STATUS, |message| message == b"online");
    assert_eq!(topics_of(&later.last, &id), Vec::<&String>::new());
    server.stop();
}

#[test]
fn a_wrong_password_is_told_in_words_and_the_right_one_works_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let settings = BrokerSettings { login: Some(("farm", PASSWORD)), ..Default::default() };
    let Some(broker) = Broker::start(folder.path(), &settings) else { return };
    let login = |password: &str| format!("{}user_name = \"farm\"\n{password}\n", config(broker.port));
    let server = start(folder.path(), &login("password = \"wrong\""), None);
    let health = wait_for_health(&server, "failing");
    assert_eq!(
        (health["status"].as_str(), health["reason_code"].as_str()),
        (Some("degraded"), Some("mqtt_refused"))
    );
    assert!(health["message"].as_str().unwrap().contains("mqtt.password"), "{health}");
    server.stop();
    let file = folder.path().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let server = start(folder.path(), &login(&format!("password_file = \"{}\"", file.display())), None);
    wait_for_health(&server, "working");
    for path in ["/metrics", "/api/health"] {
        let text = String::from_utf8(server.get(path).bytes).unwrap();
        assert!(!text.contains(PASSWORD), "{path}: {text}");
    }
    let metrics = String::from_utf8(server.get("/metrics").bytes).unwrap();
    assert!(
        metrics.contains("pigweight_mqtt_connected 1") && metrics.contains("# HELP pigweight_mqtt_connected"),
        "{metrics}"
    );
    server.stop();
}

#[test]
fn a_broker_is_reached_by_tls_and_only_with_a_certificate_that_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let settings = BrokerSettings { is_encrypted: true, ..Default::default() };
    let Some(broker) = Broker::start(folder.path(), &settings) else { return };
    let encrypted = config(broker.port).replace("mqtt://", "mqtts://");
    let server = start(folder.path(), &encrypted, None);
    let health = wait_for_health(&server, "failing");
    assert_eq!(health["mqtt"]["reason_code"], "mqtt_certificate");
    assert!(health["mqtt"]["message"].as_str().unwrap().contains("mqtt.ca_file"), "{health}");
    server.stop();
    let server = start(folder.path(), &format!("{encrypted}ca_file = \"{}\"\n", broker.ca_file()), None);
    wait_for_health(&server, "working");
    let mut listener = broker.listen();
    listener.wait_for(STATUS, |message| message == b"online");
    server.stop();
}
