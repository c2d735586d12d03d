//! Devices that answer a search and mean harm, or are broken: they cost little, learn no password, and lead nowhere.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pigweight_live::address::Credentials;
use pigweight_live::onvif::{Access, DeviceReport, ProbeMatch, Trouble, ask_device};
use pigweight_live::{CameraAddress, Failure};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const PASSWORD: &str = "p@ss:w/rd";
/// `cam:p@ss:w/rd`, as basic authentication sends it.
const BASIC: &str = "Y2FtOnBAc3M6dy9yZA==";

fn known() -> Credentials {
    Credentials { user: "cam".to_owned(), password: PASSWORD.to_owned() }
}

/// A device that answers each request by a function of its head and body, and all that it was told.
struct Device {
    probed: ProbeMatch,
    told: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

type Answer = dyn Fn(&str) -> Vec<u8> + Send + Sync;

impl Device {
    async fn start(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = CameraAddress::parse(&format!("http://{address}/onvif/device_service")).unwrap();
        let probed = ProbeMatch { host: address.ip(), service, named_host: None, name: None, hardware: None };
        let told = Arc::new(Mutex::new(Vec::new()));
        let (log, answer): (_, Arc<Answer>) = (told.clone(), Arc::new(answer));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                connections.spawn(serve(connection, log.clone(), answer.clone()));
            }
        });
        Self { probed, told, _serving: serving }
    }

    async fn ask(&self) -> DeviceReport {
        ask_device(&self.probed, Some(&known())).await
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    /// Asserts that neither the password nor what stands for it was told.
    fn learned_nothing(&self, what: &str) {
        for request in self.told() {
            assert!(
                !request.contains(PASSWORD) && !request.contains(BASIC) && !request.contains("Basic "),
                "{what}: {request}"
            );
        }
    }
}

async fn serve(mut connection: TcpStream, log: Arc<Mutex<Vec<String>>>, answer: Arc<Answer>) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = connection.read_u8().await else { return };
            head.push(byte);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        if connection.read_exact(&mut body).await.is_err() {
            return;
        }
        let request = head + &String::from_utf8(body).unwrap();
        let answer = answer(&request);
        log.lock().unwrap().push(request);
        if connection.write_all(&answer).await.is_err() {
            return;
        }
        match answer.as_slice() {
            // It has begun something that has no end.
            bytes if bytes.ends_with(b"<endless>") => {
                while connection.write_all(&[b' '; 8192]).await.is_ok() {}
            }
            [] => std::future::pending().await,
            _ => {}
        }
    }
}

fn http(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn soap(body: &str) -> Vec<u8> {
    http(
        "200 OK",
        "",
        &format!(
            r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>{body}</s:Body></s:Envelope>"#
        ),
    )
}

fn not_authorized() -> Vec<u8> {
    let body = r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>ter:NotAuthorized</s:Value></s:Subcode></s:Code></s:Fault></s:Body></s:Envelope>"#;
    http("400 Bad Request", "", body)
}

/// Answers as a small camera does, with its media service and its stream at these addresses.
fn camera(request: &str, media: &str, stream: &str) -> Vec<u8> {
    let body = match () {
        () if request.contains("<o:GetServices ") => format!(
            "<GetServicesResponse><Service><Namespace>http://www.onvif.org/ver10/media/wsdl</Namespace><XAddr>{media}</XAddr></Service></GetServicesResponse>"
        ),
        () if request.contains("<o:GetProfiles ") => "<GetProfilesResponse><Profiles token='&lt;a&gt;'><VideoSourceConfiguration/></Profiles></GetProfilesResponse>".to_owned(),
        () if request.contains("<o:GetStreamUri ") => format!("<GetStreamUriResponse><MediaUri><Uri>{stream}</Uri></MediaUri></GetStreamUriResponse>"),
        () if request.contains("<o:GetSnapshotUri ") => format!("<GetSnapshotUriResponse><MediaUri><Uri>{media}</Uri></MediaUri></GetSnapshotUriResponse>"),
        () => String::new(),
    };
    soap(&body)
}

#[tokio::test]
async fn answers_that_no_camera_gives_end_with_words() {
    let deep = soap(&"<a>".repeat(100_000));
    let wide = soap(&"<a/>".repeat(100_000));
    let bomb = http("200 OK", "", r#"<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><l>&b;</l>"#);
    let large = soap(&" ".repeat(2 << 20));
    for (what, answer, expected) in [
        ("a web page", http("200 OK", "", "<html><body>Welcome</body></html>"), "no SOAP"),
        ("a page that isn't there", http("404 Not Found", "", "no"), "404 Not Found"),
        ("nothing", http("200 OK", "", ""), "ends in the middle"),
        ("depth", deep, "inside each other"),
        ("width", wide, "elements"),
        ("entities", bomb, "document type"),
        ("length", large, "is longer than"),
        ("no end", b"HTTP/1.1 200 OK\r\n\r\n<endless>".to_vec(), "is longer than"),
        (
            "an endless head",
            [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), b"<endless>".to_vec()].concat(),
            "doesn't speak HTTP",
        ),
        ("silence", Vec::new(), "within 5 s"),
        ("another protocol", b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec(), "doesn't speak HTTP"),
        ("a far host", http("302 Found", "Location: http://192.0.2.1/\r\n", ""), "redirects to 192.0.2.1"),
        ("a round", http("302 Found", "Location: /onvif/device_service\r\n", ""), "again and again"),
        ("no streams", soap(""), "names no streams"),
    ] {
        let device = Device::start(move |_| answer.clone()).await;
        let report = device.ask().await;
        let trouble = report.trouble.unwrap_or_else(|| panic!("{what} is no trouble"));
        assert!(trouble.to_string().contains(expected), "{what}: {trouble}");
        assert!(
            report.profiles.is_empty() && report.access.is_none_or(|access| access == Access::Open),
            "{what}"
        );
        device.learned_nothing(what);
        assert!(
            device
                .told()
                .iter()
                .all(|request| !request.contains("usernametoken") && !request.contains("UsernameToken")),
            "{what}: it didn't ask for a password"
        );
    }
}

#[tokio::test]
async fn nobody_is_told_the_password_itself_and_few_digests() {
    let digest = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n";
    let basic = "WWW-Authenticate: Basic realm=\"r\"\r\n";
    for (what, answer, by_http, by_message) in [
        ("basic", http("401 Unauthorized", basic, ""), 0, 1),
        ("digest", http("401 Unauthorized", digest, ""), 1, 0),
        ("both", http("401 Unauthorized", &format!("{basic}{digest}"), ""), 1, 0),
        ("no challenge", http("401 Unauthorized", "", ""), 0, 1),
        ("an unknown challenge", http("401 Unauthorized", "WWW-Authenticate: Negotiate\r\n", ""), 0, 1),
        ("in the message", not_authorized(), 0, 1),
    ] {
        let device = Device::start(move |_| answer.clone()).await;
        let report = device.ask().await;
        assert_eq!(report.trouble, Some(Trouble::WrongPassword), "{what}");
        device.learned_nothing(what);
        let told = device.told();
        let count = |part: &str| told.iter().filter(|request| request.contains(part)).count();
        assert_eq!(
            (count("authorization: digest"), count("UsernameToken>")),
            (by_http, by_message),
            "{what}: {told:#?}"
        );
    }
    // Without a password nothing is tried.
    let device = Device::start(|_| not_authorized()).await;
    let report = ask_device(&device.probed, None).await;
    assert_eq!((report.trouble, report.access), (Some(Trouble::NeedsPassword), Some(Access::NeedsPassword)));
    device.learned_nothing("without one");
}

#[tokio::test]
async fn a_device_sends_nobody_to_a_third_host() {
    // At another address of this machine.
    let third = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let place = third.local_addr().unwrap();
    let reached = tokio::spawn(async move { third.accept().await.is_ok() });
    let media = format!("http://{place}/onvif/media");
    let stream = format!("rtsp://{place}/stream");
    let device = Device::start(move |request| camera(request, &media, &stream)).await;
    let report = device.ask().await;
    // The media service was asked for at the device, at the third one's port, where it has none.
    assert!(matches!(report.trouble, Some(Trouble::Connection(Failure::Unreachable { .. }))), "{report:?}");
    assert_eq!(report.named_host.as_deref(), Some("127.0.0.2"));
    assert!(!reached.is_finished(), "the third host was asked");

    // And with its own media service: stream and picture are at the device.
    let stream = format!("rtsp://{place}/a@{place}/stream");
    let device = Device::start(move |request| {
        let own = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
        camera(request, &format!("http://{own}/media"), &stream)
    })
    .await;
    let report = device.ask().await;
    assert_eq!((&report.trouble, report.access), (&None, Some(Access::Open)), "{report:?}");
    let profile = &report.profiles[0];
    let found = profile.stream.as_ref().unwrap();
    assert_eq!(
        found.url().as_str(),
        format!("rtsp://127.0.0.1:{}/a%40127.0.0.2:{}/stream", place.port(), place.port())
    );
    assert_eq!(profile.snapshot.as_ref().unwrap().url().host_str(), Some("127.0.0.1"));
    // Its token was sent back as it was.
    assert!(
        device.told().iter().any(|request| request.contains("<o:ProfileToken>&lt;a&gt;</o:ProfileToken>")),
        "{:#?}",
        device.told()
    );
    assert!(!reached.is_finished(), "the third host was asked");
    reached.abort();
}

#[tokio::test]
async fn streams_that_are_none_are_told_so() {
    for stream in
        ["http://127.0.0.1/video", "file:///etc/passwd", "usb:/dev/video0", "replay:VIDEO", "rtsp:", ""]
    {
        let device = Device::start(move |request| {
            let own = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
            camera(request, &format!("http://{own}/media"), stream)
        })
        .await;
        let report = device.ask().await;
        let profile = &report.profiles[0];
        assert_eq!((&profile.stream, profile.trouble.is_some()), (&None, true), "{stream}");
    }
}

#[tokio::test]
async fn a_device_that_takes_its_time_is_left_after_twenty_seconds_with_what_it_told() {
    // Each answer comes in time; a thousand profiles would take an hour.
    let device = Device::start(|request| {
        let own = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
        let profile = "<Profiles token='a'><VideoSourceConfiguration/></Profiles>".repeat(1000);
        match () {
            () if request.contains("<o:GetProfiles ") => {
                soap(&format!("<GetProfilesResponse>{profile}</GetProfilesResponse>"))
            }
            () if request.contains("<o:GetStreamUri ") => {
                std::thread::park_timeout(std::time::Duration::from_millis(900));
                soap(
                    "<GetStreamUriResponse><MediaUri><Uri>rtsp://a/b</Uri></MediaUri></GetStreamUriResponse>",
                )
            }
            () => camera(request, &format!("http://{own}/media"), ""),
        }
    })
    .await;
    let started = std::time::Instant::now();
    let report = device.ask().await;
    assert_eq!(report.trouble, Some(Trouble::Slow));
    assert!((5..=32).contains(&report.profiles.len()), "{} profiles", report.profiles.len());
    assert!(started.elapsed().as_secs() < 25, "{:?}", started.elapsed());
}
