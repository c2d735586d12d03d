//! Webhooks: every crossing and state arrives, in order and signed, whatever happens to the receiver or the server.

use crate::broker::make_certificate;
use crate::cameras::{Corridor, add, corridor, wait_for_state};
use crate::server::{Server, pause, root};
use crate::webhook_receiver::{Delivery, Receiver, Reply, SECRET, closed_port, url};
use pigweight_testkit::rtsp_server::RtspServer;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// A server with one webhook; without a model, nothing is counted.
fn start(folder: &Path, port: u16, corridor: Option<&Corridor>) -> Server {
    let config = format!("[[webhooks]]\nurl = \"{}\"\nsecret = \"{SECRET}\"\n", url(port));
    start_with(folder, &config, corridor, &[])
}

/// The same with variables of the environment.
fn start_with(
    folder: &Path,
    config: &str,
    corridor: Option<&Corridor>,
    variables: &[(&str, &str)],
) -> Server {
    let (videos, file) = (folder.join("videos"), folder.join("pigweight.toml"));
    std::fs::create_dir_all(&videos).unwrap();
    std::fs::write(&file, config).unwrap();
    let model = corridor.map(|corridor| corridor.model.as_path());
    let settings: Vec<_> =
        variables.iter().copied().chain([("PIGWEIGHT_CONFIG", file.to_str().unwrap())]).collect();
    Server::start_with(&videos, &folder.join("data"), model, &settings)
}

/// A corridor among the videos of a server.
fn corridor_video(folder: &Path, secs: u32) -> Corridor {
    let corridor = corridor(folder, secs);
    std::fs::create_dir_all(folder.join("videos")).unwrap();
    std::fs::copy(&corridor.film, folder.join("videos/corridor.mp4")).unwrap();
    corridor
}

/// Draws the corridor's line on a video. Its identifier.
fn draw(server: &Server, video: &str) -> String {
    let line =
        json!({"video": video, "scope": "video", "name": "gate", "x1": 320, "y1": 360, "x2": 320, "y2": 0});
    let drawn = server.ask("POST", "/api/lines", &[], Some(&line.to_string()));
    assert_eq!(drawn.status, 201, "{}", drawn.json());
    drawn.json()["id"].as_str().unwrap().to_owned()
}

/// The crossings of a video as soon as there are so many.
fn wait_for_crossings(server: &Server, video: &str, at_least: usize) -> Vec<Value> {
    loop {
        let crossings = server.get(&format!("/api/videos/{video}/crossings")).json();
        if crossings.as_array().is_some_and(|crossings| crossings.len() >= at_least) {
            return crossings.as_array().unwrap().clone();
        }
        pause();
    }
}

/// The health of the only webhook, as soon as it is in this state.
fn wait_for_health(server: &Server, state: &str) -> Value {
    loop {
        let health = server.get("/api/health").json();
        let text = health.to_string();
        assert!(!text.contains("nobody-knows") && !text.contains(SECRET), "{text}");
        if health["webhooks"][0]["state"] == state {
            return health;
        }
        pause();
    }
}

fn ids_of(deliveries: &[Delivery]) -> Vec<String> {
    let crossings = deliveries.iter().map(Delivery::json).filter(|event| event["type"] == "crossing.settled");
    crossings.map(|event| event["data"]["crossing"].as_str().unwrap().to_owned()).collect()
}

fn ids(crossings: &[Value]) -> Vec<String> {
    crossings.iter().map(|crossing| crossing["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn crossings_of_a_video_arrive_in_order_signed_and_with_their_picture() {
    let folder = tempfile::tempdir().unwrap();
    let corridor = corridor_video(folder.path(), 20);
    let receiver = Receiver::start(0, &[]);
    let server = start(folder.path(), receiver.port, Some(&corridor));
    let video = server.video("corridor.mp4")["id"].as_str().unwrap().to_owned();
    let line = draw(&server, &video);
    let done = server.wait_for_run(&video, "done");
    let run = server.get(&format!("/api/videos/{video}/runs")).json()[0]["id"].clone();
    let crossings = wait_for_crossings(&server, &video, 2);
    assert_eq!(done["type"], "count_update");
    let mut deliveries = Vec::new();
    while ids_of(&deliveries).len() < crossings.len() || deliveries.len() < crossings.len() + 1 {
        deliveries.push(receiver.next());
    }
    assert_eq!(ids_of(&deliveries), ids(&crossings));
    assert_eq!(deliveries.iter().filter(|delivery| delivery.kind() == "run.published").count(), 1);
    for delivery in &deliveries {
        delivery.assert_signed();
        assert_eq!(delivery.path, "/hook/path-that-nobody-knows");
        assert_eq!(delivery.header("content-type"), "application/json");
        let sent: i64 = delivery.header("webhook-timestamp").parse().unwrap();
        assert!((jiff::Timestamp::now().as_second() - sent).abs() < 300);
        assert_eq!(delivery.json()["data"]["run"], run);
    }
    let different: BTreeSet<_> = deliveries.iter().map(|delivery| delivery.header("webhook-id")).collect();
    assert_eq!(different.len(), deliveries.len());
    let crossed = deliveries.iter().find(|delivery| delivery.kind() == "crossing.settled").unwrap().json();
    let data = &crossed["data"];
    assert_eq!(
        (data["line"]["id"].as_str(), data["line"]["name"].as_str()),
        (Some(line.as_str()), Some("gate"))
    );
    assert_eq!((&data["direction"], &data["secs"]), (&crossings[0]["direction"], &crossings[0]["secs"]));
    let picture = server.get(data["picture"].as_str().unwrap());
    assert_eq!((picture.status, picture.header("content-type")), (200, "image/jpeg"));
    assert_eq!(picture.header("x-frame-pts").parse::<i64>().unwrap(), data["pts"].as_i64().unwrap());
    let health = wait_for_health(&server, "working");
    assert_eq!(health["status"], "ok", "{health}");
    assert_eq!(health["webhooks"][0]["name"], format!("http://127.0.0.1:{}", receiver.port));
    assert!(health["webhooks"][0]["last_success"].is_string());
    let metrics = String::from_utf8(server.get("/metrics").bytes).unwrap();
    let delivered = format!(
        "pigweight_webhook_deliveries_total{{webhook=\"http://127.0.0.1:{}\",outcome=\"received\"}} {}",
        receiver.port,
        deliveries.len()
    );
    assert!(
        metrics.contains(&delivered) && metrics.contains("# HELP pigweight_webhook_deliveries_total"),
        "{metrics}"
    );
    server.stop();
}

#[test]
fn a_receiver_that_was_away_gets_everything_also_after_kill_9_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let corridor = corridor_video(folder.path(), 20);
    let port = closed_port();
    let server = start(folder.path(), port, Some(&corridor));
    let video = server.video("corridor.mp4")["id"].as_str().unwrap().to_owned();
    draw(&server, &video);
    server.wait_for_run(&video, "done");
    let crossings = wait_for_crossings(&server, &video, 2);
    let health = wait_for_health(&server, "failing");
    assert_eq!(
        (health["status"].as_str(), health["reason_code"].as_str()),
        (Some("degraded"), Some("webhook_failing"))
    );
    let message = health["webhooks"][0]["message"].as_str().unwrap();
    assert!(message.contains("refused") && message.contains("tried again"), "{message}");
    // Between the crossings and their delivery.
    server.kill();
    let receiver = Receiver::start(port, &[]);
    let server = start(folder.path(), port, Some(&corridor));
    let mut deliveries = Vec::new();
    while ids_of(&deliveries).len() < crossings.len()
        || !deliveries.iter().any(|event| event.kind() == "run.published")
    {
        deliveries.push(receiver.next());
    }
    assert_eq!(ids_of(&deliveries), ids(&crossings));
    wait_for_health(&server, "working");
    server.stop();
    // All is delivered: the next start has nothing to tell.
    assert_eq!(receiver.arrived().len(), 0);
    let server = start(folder.path(), port, Some(&corridor));
    draw(&server, &video);
    let first = receiver.next();
    assert_eq!(first.kind(), "crossing.settled");
    assert!(!ids(&crossings).contains(&ids_of(&[first])[0]), "of the new line");
    server.stop();
}

/// A server that tells of a camera that doesn't exist: one event, and another when it is removed.
fn with_camera(folder: &Path, port: u16) -> (Server, String) {
    let server = start(folder, port, None);
    let camera =
        json!({"name": "Gate", "url": format!("rtsp://127.0.0.1:{}/s", closed_port()), "test": false});
    let id = add(&server, &camera)["id"].as_str().unwrap().to_owned();
    (server, id)
}

#[test]
fn what_is_refused_is_sent_again_in_order_with_the_same_identifier() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = Receiver::start(0, &[]);
    let redirect: &'static str = format!("Location: {}\r\n", elsewhere.url()).leak();
    let replies = [
        Reply::Status(500, ""),
        Reply::Status(302, redirect),
        Reply::Status(429, "Retry-After: 2\r\n"),
        Reply::Status(204, ""),
    ];
    let receiver = Receiver::start(0, &replies);
    let (server, id) = with_camera(folder.path(), receiver.port);
    let tries: Vec<Delivery> = (0..4).map(|_| receiver.next()).collect();
    for (number, delivery) in tries.iter().enumerate() {
        assert_eq!(delivery.header("webhook-id"), tries[0].header("webhook-id"), "try {number}");
        assert_eq!(delivery.body, tries[0].body);
        delivery.assert_signed();
    }
    let at = |delivery: &Delivery| delivery.header("webhook-timestamp").parse::<i64>().unwrap();
    assert!(at(&tries[3]) - at(&tries[2]) >= 1, "it waited as it was asked to");
    assert_eq!(elsewhere.arrived().len(), 0, "redirects are not followed");
    assert_eq!(tries[0].json()["data"]["camera"]["id"], id.as_str());
    let next = receiver.next();
    assert_ne!(next.header("webhook-id"), tries[0].header("webhook-id"));
    server.stop();
}

#[test]
fn a_receiver_that_does_not_answer_is_given_up_and_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(0, &[Reply::Silence]);
    let (server, _) = with_camera(folder.path(), receiver.port);
    let first = receiver.next();
    // Meanwhile the server answers others at once.
    assert_eq!(server.get("/api/health").status, 200);
    let health = wait_for_health(&server, "failing");
    assert!(health["message"].as_str().unwrap().contains("timeout"), "{health}");
    let second = receiver.next();
    let at = |delivery: &Delivery| delivery.header("webhook-timestamp").parse::<i64>().unwrap();
    assert!((10..15).contains(&(at(&second) - at(&first))), "{first:?} {second:?}");
    assert_eq!(second.header("webhook-id"), first.header("webhook-id"));
    server.stop();
}

#[test]
fn a_receiver_that_is_gone_gets_no_more_until_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(0, &[Reply::Status(410, "")]);
    let (server, id) = with_camera(folder.path(), receiver.port);
    let gone = receiver.next();
    let health = wait_for_health(&server, "ended");
    let message = health["message"].as_str().unwrap();
    assert!(message.contains("410") && message.contains("restart"), "{message}");
    assert_eq!(server.ask("DELETE", &format!("/api/cameras/{id}"), &[], None).status, 204);
    server.stop();
    assert_eq!(receiver.arrived().len(), 0);
    let (server, another) = with_camera(folder.path(), receiver.port);
    let next = receiver.next();
    assert_ne!(next.header("webhook-id"), gone.header("webhook-id"));
    assert_eq!(next.json()["data"]["camera"]["id"], another.as_str(), "of the time before nothing is told");
    server.stop();
}

#[test]
fn a_camera_tells_its_states_and_crossings() {
    let folder = tempfile::tempdir().unwrap();
    let corridor = corridor(folder.path(), 25);
    let films = [("corridor", corridor.film.clone())];
    let port = closed_port().to_string();
    let receiver = Receiver::start(0, &[]);
    let server = start(folder.path(), receiver.port, Some(&corridor));
    let camera =
        json!({"name": "Загон 4", "url": format!("rtsp://127.0.0.1:{port}/corridor"), "test": false});
    let camera = add(&server, &camera);
    let (id, video) = (camera["id"].as_str().unwrap(), camera["video"].as_str().unwrap());
    let state = |wanted: &str| loop {
        let event = receiver.next().json();
        if event["type"] == "camera.state_changed" && event["data"]["state"] == wanted {
            assert_eq!(
                (event["data"]["camera"]["id"].as_str(), event["data"]["camera"]["name"].as_str()),
                (Some(id), Some("Загон 4"))
            );
            return event["data"].clone();
        }
    };
    let away = state("away");
    assert_eq!(away["reason_code"], "unreachable");
    assert!(away["since"].is_string() && away["reason"].as_str().unwrap().len() > 10, "{away}");
    draw(&server, video);
    let Some(rtsp) = RtspServer::start(&["--port", &port], &films) else { return };
    assert_eq!(state("live")["reason_code"], Value::Null, "attempts in between are not told");
    let crossed = loop {
        let event = receiver.next().json();
        if event["type"] == "crossing.settled" {
            break event["data"].clone();
        }
    };
    assert_eq!(crossed["is_of_camera"], true);
    // Its picture is the recorded frame of the crossing, with its boxes.
    let picture = server.get(crossed["picture"].as_str().unwrap());
    assert_eq!((picture.status, picture.header("content-type")), (200, "image/jpeg"));
    assert_eq!(picture.header("x-frame-pts"), crossed["pts"].to_string());
    assert_eq!(picture.header("x-has-inference"), "true");
    assert_eq!(crossed["source"]["id"], id);
    let crossed_at: jiff::Timestamp = crossed["crossed_at"].as_str().unwrap().parse().unwrap();
    let age_secs = jiff::Timestamp::now().as_second() - crossed_at.as_second();
    assert!((0..120).contains(&age_secs), "{crossed_at} is {age_secs} s ago");
    drop(rtsp);
    wait_for_state(&server, id, "away");
    state("away");
    assert_eq!(server.ask("DELETE", &format!("/api/cameras/{id}"), &[], None).status, 204);
    state("removed");
    server.stop();
}

#[test]
fn the_receiver_of_the_guide_takes_what_is_signed_and_nothing_else() {
    let guide = std::fs::read_to_string(root().join("docs/guide/other-programs.md")).unwrap();
    let script = guide.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let port = closed_port();
    let script = script.replace("8700", &port.to_string()).replace("whsec_…", SECRET);
    let file = folder.path().join("receiver.py");
    std::fs::write(&file, script).unwrap();
    let mut python = std::process::Command::new("python3")
        .arg("-u")
        .arg(&file)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let output = std::io::BufReader::new(python.stdout.take().unwrap());
    let mut lines = std::io::BufRead::lines(output);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        pause();
    }
    let forged = ureq::post(url(port))
        .header("webhook-id", "msg_1")
        .header("webhook-timestamp", "1")
        .header("webhook-signature", "v1,bm8=")
        .send("{}");
    assert!(matches!(forged, Err(ureq::Error::StatusCode(401))), "{forged:?}");
    let (server, _) = with_camera(folder.path(), port);
    let line = lines.next().unwrap().unwrap();
    assert!(line.contains("camera.state_changed"), "{line}");
    wait_for_health(&server, "working");
    server.stop();
    python.kill().unwrap();
    python.wait().unwrap();
}

#[test]
fn a_receiver_is_reached_by_tls_and_only_with_a_certificate_that_is_trusted() {
    const SCRIPT: &str = "import http.server, ssl, sys\n\
        class Receiver(http.server.BaseHTTPRequestHandler):\n\
        \x20   def do_POST(self):\n\
        \x20       print(self.rfile.read(int(self.headers['content-length'])).decode())\n\
        \x20       self.send_response(204), self.end_headers()\n\
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n\
        context.load_cert_chain(sys.argv[2], sys.argv[1])\n\
        server = http.server.HTTPServer(('127.0.0.1', 0), Receiver)\n\
        print(server.server_port)\n\
        server.socket = context.wrap_socket(server.socket, server_side=True)\n\
        server.serve_forever()\n";
    let folder = tempfile::tempdir().unwrap();
    let (key, certificate) = make_certificate(folder.path());
    let mut python = std::process::Command::new("python3")
        .args(["-u", "-c", SCRIPT, &key, &certificate])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(python.stdout.take().unwrap()));
    let port: u16 = lines.next().unwrap().unwrap().parse().unwrap();
    let url = url(port).replace("http://", "https://");
    let config = format!("[[webhooks]]\nurl = \"{url}\"\nsecret = \"{SECRET}\"\n");
    let server = start_with(folder.path(), &config, None, &[]);
    let camera =
        json!({"name": "Gate", "url": format!("rtsp://127.0.0.1:{}/s", closed_port()), "test": false});
    add(&server, &camera);
    let health = wait_for_health(&server, "failing");
    assert!(health["message"].as_str().unwrap().contains("certificate"), "{health}");
    server.stop();
    let server = start_with(folder.path(), &config, None, &[("SSL_CERT_FILE", &certificate)]);
    let body: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(
        (&body["type"], &body["data"]["camera"]["name"]),
        (&json!("camera.state_changed"), &json!("Gate"))
    );
    wait_for_health(&server, "working");
    server.stop();
    python.kill().unwrap();
    python.wait().unwrap();
}

#[test]
fn a_wrong_configuration_is_refused_without_repeating_its_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pigweight.toml");
    for (config, words) in [
        ("[[webhooks]]\nurl = \"http://a/hidden\"\nsecret = \"whsec_hidden\"\n", "webhooks.secret is whsec_"),
        ("[[webhooks]]\nurl = \"file:///hidden\"\nsecret = \"whsec_hidden\"\n", "webhooks.url is an address"),
        ("[mqtt]\nbroker = \"mqtt://user:hidden@broker\"\n", "mqtt.user_name"),
        (
            "[mqtt]\nbroker = \"mqtt://broker\"\nuser_name = \"u\"\npassword_file = \"/nowhere\"\n",
            "mqtt.password_file /nowhere",
        ),
    ] {
        std::fs::write(&file, config).unwrap();
        let mut command = crate::server::pigweight();
        command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(&file);
        let output = command.arg("--data").arg(folder.path().join("data")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(words) && !said.contains("hidden"), "{said}");
    }
}
