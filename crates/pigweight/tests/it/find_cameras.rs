//! Cameras of three makers' habits are found on a network, asked, shown and added; the password is entered once and told to nobody.

use crate::cameras::{PASSWORD, corridor, wait_for_state};
use crate::server::{Answer, Server, pause, pigweight};
use pigweight_testkit::network::{Network, inside};
use pigweight_testkit::onvif_device::{OnvifDevice, StreamsBeyond};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// One of each kind, at the first addresses, and what each was asked.
struct Farm {
    _devices: Vec<OnvifDevice>,
    logs: PathBuf,
}

const KINDS: [&str; 3] = ["hikvision", "dahua", "noname"];

fn farm(network: &Network, folder: &Path, streams: &str) -> Farm {
    let picture = folder.join("picture.jpg");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc=size=1280x720", "-frames:v", "1"])
        .arg(&picture)
        .status()
        .expect("ffmpeg is installed by scripts/setup.sh --tests");
    assert!(made.success());
    let devices = KINDS.iter().zip(0..).map(|(kind, number)| {
        let log = folder.join(kind).with_extension("log");
        let log = log.to_string_lossy();
        let mut options = vec!["--rtsp", streams, "--log", &log];
        let picture = picture.to_string_lossy();
        if *kind == "hikvision" {
            options.extend(["--picture", &picture]);
        }
        OnvifDevice::start(network, kind, number, &options).expect("a camera")
    });
    Farm { _devices: devices.collect(), logs: folder.to_owned() }
}

impl Farm {
    /// What a camera was asked, in order.
    fn log(&self, kind: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.logs.join(kind).with_extension("log")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The digests that it found wrong.
    fn refused(&self, kind: &str) -> usize {
        let is_wrong = |asked: &&Value| {
            asked["http"] == false || ["old", "wrong", "repeated"].iter().any(|word| asked["token"] == *word)
        };
        self.log(kind).iter().filter(is_wrong).count()
    }
}

/// Whether the password itself was told.
fn is_plain(asked: &Value) -> bool {
    asked["plain"] == true || asked["authorization"] == "Basic"
}

fn find(arguments: &[&str]) -> Output {
    pigweight().args(["cameras", "find", "--timeout-s", "3"]).args(arguments).output().unwrap()
}

/// The cameras in an answer, by their addresses.
fn by_address(answer: &Value) -> impl Fn(u8) -> Value {
    let cameras = answer["cameras"].as_array().unwrap().clone();
    move |number| {
        let address = Network::camera(number);
        let found = cameras.iter().find(|camera| camera["address"] == address);
        found.unwrap_or_else(|| panic!("{address} is not in {cameras:?}")).clone()
    }
}

/// What is told of a stream, without what differs from run to run.
fn stream(camera: &Value, at: usize) -> Value {
    let mut stream = camera["profiles"][at].clone();
    stream.as_object_mut().unwrap().retain(|name, _| name != "id");
    stream
}

#[test]
fn the_command_lists_cameras_of_three_makers() {
    inside("find_cameras::the_command_lists_cameras_of_three_makers", |network| {
        let folder = tempfile::tempdir().unwrap();
        let farm = farm(network, folder.path(), "554/stream");
        let password = folder.path().join("password");
        std::fs::write(&password, format!("{PASSWORD}\nsecond line\n")).unwrap();
        let file = password.to_string_lossy();

        // Without a password: who is there, and how wrong their clocks are.
        let output = find(&["--json"]);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (&answer["networks"], answer["cameras"].as_array().unwrap().len()),
            (&json!(1), 3),
            "{answer}"
        );
        for number in 0..3 {
            let camera = by_address(&answer)(number);
            assert_eq!(
                (&camera["state"], &camera["profiles"]),
                (&json!("needs_password"), &json!([])),
                "{camera}"
            );
        }
        for kind in KINDS {
            assert_eq!(farm.refused(kind), 0, "{kind}: {:?}", farm.log(kind));
        }

        let output = find(&["--json", "--user", "cam", "--password-file", &file]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let camera = by_address(&answer);
        let hikvision = camera(0);
        assert_eq!(
            (&hikvision["manufacturer"], &hikvision["model"]),
            (&json!("HIKVISION"), &json!("DS-2CD2143G2-I"))
        );
        assert!(hikvision["clock_offset_secs"].as_f64().unwrap().abs() < 2.0, "{hikvision}");
        assert_eq!(
            stream(&hikvision, 0),
            json!({
                "name": "mainStream", "video_source": "VideoSource_1", "codec": "H264", "width": 2560, "height": 1440, "frames_per_sec": 20.0, "gop_frames": 40,
                "bitrate_kbps": 4096, "codec_profile": "Main", "suggested_for": "viewing", "problem": null, "camera": null,
                "url": "rtsp://10.77.0.11:554/stream?transportmode=unicast&profile=Profile_1",
            })
        );
        assert_eq!(stream(&hikvision, 1)["suggested_for"], "counting");
        // Its profile for sound is none.
        assert_eq!(hikvision["profiles"].as_array().unwrap().len(), 2);
        let dahua = camera(1);
        // Its stream's address is a link-local one, which leads nowhere; the one that answered does.
        assert_eq!(dahua["named_host"], "169.254.7.7");
        assert!((dahua["clock_offset_secs"].as_f64().unwrap() - 3600.0).abs() < 2.0, "{dahua}");
        assert_eq!(
            stream(&dahua, 0),
            json!({
                "name": "MediaProfile00000", "video_source": "000", "codec": "H265", "width": 2688, "height": 1520, "frames_per_sec": 25.0, "gop_frames": 50,
                "bitrate_kbps": 2048, "codec_profile": "Main", "suggested_for": "viewing", "problem": null, "camera": null,
                "url": "rtsp://10.77.0.12:554/stream?channel=1&subtype=0",
            })
        );
        // Another aspect is another view.
        assert_eq!(stream(&dahua, 1)["suggested_for"], Value::Null);
        let noname = camera(2);
        assert!(noname["clock_offset_secs"].as_f64().unwrap() < -800_000_000.0, "{noname}");
        assert_eq!(noname["named_host"], "192.168.0.10");
        assert_eq!(
            stream(&noname, 0),
            json!({
                "name": "main", "video_source": "V", "codec": "H264", "width": 1280, "height": 720, "frames_per_sec": 25.0, "gop_frames": null,
                "bitrate_kbps": null, "codec_profile": null, "suggested_for": "viewing", "problem": null, "camera": null,
                "url": "rtsp://10.77.0.13:554/stream?channel=1&stream=0",
            })
        );
        for kind in KINDS {
            let log = farm.log(kind);
            assert_eq!(farm.refused(kind), 0, "{kind}: {log:?}");
            assert!(!log.iter().any(is_plain), "{kind}: {log:?}");
        }

        // The table has a line for each stream, with the address to add, and no password.
        let output = find(&["--user", "cam", "--password-file", &file]);
        let table = String::from_utf8(output.stdout).unwrap();
        let line = table
            .lines()
            .find(|line| line.contains("MediaProfile00000"))
            .unwrap_or_else(|| panic!("{table}"));
        for part in [
            "10.77.0.12",
            "Dahua IPC-HFW2541T-ZAS",
            "+60 min",
            "H265",
            "2688×1520",
            "25/50",
            "rtsp://10.77.0.12:554/stream",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert!(table.contains("3 cameras in 1 network") && !table.contains(PASSWORD), "{table}");

        // A wrong password is tried so seldom that no camera locks out: its time once as the camera tells it, and once as it is.
        std::fs::write(&password, "wrong").unwrap();
        let output = find(&["--user", "cam", "--password-file", &file]);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(words.contains("refuses the user or the password"), "{words}");
        let refused = KINDS.map(|kind| farm.refused(kind));
        assert_eq!(refused, [1, 2, 2], "digests that were refused, of {KINDS:?}");
    });
}

#[test]
fn a_flood_of_devices_is_cut_off() {
    inside("find_cameras::a_flood_of_devices_is_cut_off", |network| {
        let _flood = OnvifDevice::start(network, "flood", 3, &[]).expect("a camera");
        let _other = OnvifDevice::start(network, "hikvision", 0, &[]).expect("a camera");
        let output = find(&["--json"]);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let cameras = answer["cameras"].as_array().unwrap();
        let of = |address: String| cameras.iter().filter(|camera| camera["address"] == address).count();
        assert_eq!((of(Network::camera(3)), of(Network::camera(0))), (32, 1), "{}", cameras.len());
        assert_eq!(answer["has_more"], true);
    });
}

#[test]
fn where_there_is_no_network_and_no_camera_the_command_says_what_to_do() {
    inside("find_cameras::where_there_is_no_network_and_no_camera_the_command_says_what_to_do", |network| {
        let output = find(&[]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("Switch ONVIF on"), "{text}");
        // The other end of the cable is taken out.
        let unplugged = network.command_beyond("ip").args(["link", "del", "pw1"]).status().unwrap();
        assert!(unplugged.success());
        let output = find(&[]);
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{words}");
        assert!(words.contains("this machine is in no IPv4 network"), "{words}");
        // And who asks for a password that can't be typed is told so.
        let output = find(&["--user", "cam"]);
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(words.contains("--password-file"), "{words}");
    });
}

struct Discovery<'a> {
    server: &'a Server,
    path: String,
}

impl Discovery<'_> {
    fn ask(&self, method: &str, rest: &str, body: Option<&Value>) -> Answer {
        let body = body.map(ToString::to_string);
        self.server.ask(method, &format!("{}{rest}", self.path), &[], body.as_deref())
    }

    /// Waits for its end.
    fn done(&self) -> Value {
        loop {
            let now = self.ask("GET", "", None).json();
            if now["state"] != "searching" {
                return now;
            }
            pause();
        }
    }
}

fn begin<'a>(server: &'a Server, body: &Value) -> Discovery<'a> {
    let begun = server.ask("POST", "/api/cameras/discoveries", &[], Some(&body.to_string()));
    assert_eq!(begun.status, 202, "{}", begun.json());
    Discovery { server, path: begun.header("location").to_owned() }
}

#[test]
fn a_found_camera_is_shown_and_added_with_the_password_entered_once() {
    inside("find_cameras::a_found_camera_is_shown_and_added_with_the_password_entered_once", |network| {
        let folder = tempfile::tempdir().unwrap();
        let corridor = corridor(folder.path(), 30);
        let Some(streams) = StreamsBeyond::start(network, &corridor.film) else { return };
        let farm = farm(network, folder.path(), &streams.place());
        let videos = folder.path().join("videos");
        std::fs::create_dir_all(&videos).unwrap();
        let server = Server::start(&videos, &folder.path().join("data"), None);
        let search = begin(&server, &json!({}));
        let second = server.ask("POST", "/api/cameras/discoveries", &[], Some("{}"));
        assert_eq!(second.status, 409, "one search at a time");
        let found = search.done();
        assert_eq!(
            (&found["state"], &found["has_password"], &found["networks"]),
            (&json!("done"), &json!(false), &json!(1)),
            "{found}"
        );
        assert!((0..3).all(|number| by_address(&found)(number)["state"] == "needs_password"), "{found}");

        let credentials = json!({"user": "cam", "password": PASSWORD});
        let entered = search.ask("PUT", "/credentials", Some(&credentials));
        assert_eq!(
            (entered.status, entered.json()["state"].as_str()),
            (200, Some("searching")),
            "{}",
            entered.json()
        );
        let found = search.done();
        assert!((0..3).all(|number| by_address(&found)(number)["state"] == "told"), "{found}");

        // The first shows its own picture, the others a keyframe of their streams.
        for number in 0..3 {
            let profile = by_address(&found)(number)["profiles"][0]["id"].as_str().unwrap().to_owned();
            let picture = search.ask("GET", &format!("/profiles/{profile}/picture.jpg"), None);
            assert_eq!(
                (picture.status, picture.header("content-type")),
                (200, "image/jpeg"),
                "{number}: {}",
                String::from_utf8_lossy(&picture.bytes)
            );
            assert!(picture.bytes.starts_with(&[0xff, 0xd8]) && picture.bytes.len() < 200_000, "{number}");
        }
        let of_its_own = |kind| farm.log(kind).iter().filter(|asked| asked["operation"] == "picture").count();
        assert_eq!(KINDS.map(of_its_own), [1, 0, 0]);

        let profile = by_address(&found)(1)["profiles"][0]["id"].clone();
        let counting = by_address(&found)(1)["profiles"][1]["id"].clone();
        let wanted = json!({"name": "Gate", "profile": profile, "counting_profile": counting});
        let added = search.ask("POST", "/cameras", Some(&wanted));
        assert_eq!(added.status, 201, "{}", added.json());
        let camera = added.json();
        assert_eq!((&camera["user"], &camera["has_password"]), (&json!("cam"), &json!(true)));
        let counted = camera["counting_stream"]["url"].as_str().unwrap_or_else(|| panic!("{camera}"));
        assert!(counted.ends_with("?channel=1&subtype=1"), "{counted}");
        let id = camera["id"].as_str().unwrap();
        let live = wait_for_state(&server, id, "live");
        assert_eq!(live["stream"]["width"], 640, "{live}");
        // The search knows that it was added.
        let now = search.ask("GET", "", None);
        assert_eq!(by_address(&now.json())(1)["profiles"][0]["camera"], id);
        assert_eq!(by_address(&now.json())(1)["profiles"][1]["camera"], Value::Null);
        for bytes in [&now.bytes, &entered.bytes, &added.bytes] {
            let text = String::from_utf8_lossy(bytes);
            assert!(!text.contains("p@ss") && !text.contains("p%40ss"), "{text}");
        }
        for kind in KINDS {
            let log = farm.log(kind);
            assert!(!log.iter().any(is_plain), "{kind}: {log:?}");
        }

        // Words for what isn't there, and an end.
        for (method, rest, body, status) in [
            ("GET", "/profiles/9-9/picture.jpg", None, 404),
            ("GET", "/profiles/x/picture.jpg", None, 404),
            ("POST", "/cameras", Some(json!({"name": "Gate", "profile": "9-9"})), 404),
            ("POST", "/cameras", Some(json!({"name": "", "profile": "0-0"})), 400),
            (
                "POST",
                "/cameras",
                Some(json!({"name": "Gate", "profile": "0-0", "url": "rtsp://1.2.3.4/"})),
                400,
            ),
            (
                "POST",
                "/cameras",
                Some(json!({"name": "Gate", "profile": "0-0", "counting_profile": "1-0"})),
                400,
            ),
            (
                "POST",
                "/cameras",
                Some(json!({"name": "Gate", "profile": "0-0", "counting_profile": "0-9"})),
                404,
            ),
            ("PUT", "/credentials", Some(json!({"user": "", "password": "x"})), 400),
            ("PUT", "/credentials", Some(json!({"user": "a\nb", "password": "x"})), 400),
            ("DELETE", "", None, 204),
            ("GET", "", None, 404),
            ("PUT", "/credentials", Some(credentials), 404),
        ] {
            let answer = search.ask(method, rest, body.as_ref());
            assert_eq!(answer.status, status, "{method} {rest}: {}", String::from_utf8_lossy(&answer.bytes));
        }
        let alone = server.ask("POST", "/api/cameras/discoveries", &[], Some(r#"{"password": "x"}"#));
        assert_eq!(alone.status, 400, "{}", alone.json());

        // The password may be known from the start; a search is ended by the server's end.
        let search = begin(&server, &json!({"user": "cam", "password": PASSWORD}));
        let found = search.done();
        assert!((0..3).all(|number| by_address(&found)(number)["state"] == "told"), "{found}");
        let _last = begin(&server, &json!({}));
    });
}
