//! A real MQTT broker for a test: Debian's Mosquitto, with a client that listens.

use pigweight_testkit::component::skip_without;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

const BROKER: &str = "/usr/sbin/mosquitto";

/// Stopped when dropped.
pub struct Broker {
    process: Child,
    pub port: u16,
    login: Option<(String, String)>,
    ca_file: Option<String>,
}

/// What a broker is started with.
#[derive(Default)]
pub struct BrokerSettings<'a> {
    /// The port of an earlier one; 0: a free one.
    pub port: u16,
    /// User and password, without which nobody is let in.
    pub login: Option<(&'a str, &'a str)>,
    /// What it keeps survives its end.
    pub is_persistent: bool,
    /// By TLS, with a certificate made for 127.0.0.1.
    pub is_encrypted: bool,
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes a key and a certificate of 127.0.0.1, PEM files; the certificate is its own authority.
pub fn make_certificate(folder: &Path) -> (String, String) {
    let path = |name: &str| folder.join(name).display().to_string();
    let (key, certificate) = (path("key.pem"), path("certificate.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    openssl.args(["-days", "2", "-subj", "/CN=here", "-addext", "subjectAltName=IP:127.0.0.1"]);
    openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    run(openssl.args(["-keyout", &key, "-out", &certificate]));
    (key, certificate)
}

impl Broker {
    /// Keeps its files in `folder`. `None`, reported as skipped, where Mosquitto isn't installed.
    pub fn start(folder: &Path, settings: &BrokerSettings<'_>) -> Option<Self> {
        if !Path::new(BROKER).exists() || Command::new("mosquitto_sub").arg("--help").output().is_err() {
            skip_without("Mosquitto and its clients (scripts/setup.sh --tests installs them)");
            return None;
        }
        let port = match settings.port {
            0 => std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port(),
            port => port,
        };
        let path = |name: &str| folder.join(name).display().to_string();
        let mut config = format!("listener {port} 127.0.0.1\nuser root\nlog_dest stderr\n");
        match settings.login {
            Some((user, password)) => {
                run(Command::new("mosquitto_passwd").args(["-b", "-c", &path("passwords"), user, password]));
                config += &format!("allow_anonymous false\npassword_file {}\n", path("passwords"));
            }
            None => config += "allow_anonymous true\n",
        }
        if settings.is_persistent {
            config += &format!("persistence true\npersistence_location {}/\n", folder.display());
        }
        if settings.is_encrypted {
            let (key, certificate) = make_certificate(folder);
            config += &format!("cafile {certificate}\ncertfile {certificate}\nkeyfile {key}\n");
        }
        std::fs::write(path("mosquitto.conf"), config).unwrap();
        let mut command = Command::new(BROKER);
        command.args(["-c", &path("mosquitto.conf")]);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        // It listens before it says so.
        let is_running = log.any(|line| line.is_ok_and(|line| line.contains("running")));
        assert!(is_running, "the broker has started");
        // What it says later is read, so that it never waits.
        std::thread::spawn(move || log.for_each(drop));
        let login = settings.login.map(|(user, password)| (user.to_owned(), password.to_owned()));
        Some(Self { process, port, login, ca_file: settings.is_encrypted.then(|| path("certificate.pem")) })
    }

    /// The certificate to trust.
    pub fn ca_file(&self) -> &str {
        self.ca_file.as_deref().unwrap()
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        if let Some((user, password)) = &self.login {
            command.args(["-u", user, "-P", password]);
        }
        if let Some(ca_file) = &self.ca_file {
            command.args(["--cafile", ca_file]);
        }
        command
    }

    /// Sends a message as another program.
    pub fn publish(&self, topic: &str, message: &str) {
        run(self.client("mosquitto_pub").args(["-t", topic, "-m", message, "-q", "1"]));
    }

    /// Listens to everything, what the broker keeps first.
    pub fn listen(&self) -> Listener {
        let mut command = self.client("mosquitto_sub");
        command.args(["-t", "#", "-q", "1", "-F", "%t\t%r\t%x"]);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Listener { process, lines, last: BTreeMap::new() }
    }

    /// As systemd does it: what it keeps is written.
    pub fn stop(mut self) {
        let told = Command::new("kill").arg(self.process.id().to_string()).status().unwrap();
        assert!(told.success());
        self.process.wait().unwrap();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Already gone after `stop`.
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

/// A client that listens to everything.
pub struct Listener {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// The last message of each topic.
    pub last: BTreeMap<String, Vec<u8>>,
}

impl Listener {
    /// The next message: topic and bytes.
    pub fn next(&mut self) -> (String, Vec<u8>) {
        let line = self.lines.next().expect("the broker runs").unwrap();
        let mut parts = line.split('\t');
        let (topic, _, hex) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        let bytes = hex.as_bytes().chunks(2).map(|two| std::str::from_utf8(two).unwrap());
        let bytes: Vec<u8> = bytes.map(|two| u8::from_str_radix(two, 16).unwrap()).collect();
        self.last.insert(topic.to_owned(), bytes.clone());
        (topic.to_owned(), bytes)
    }

    /// Listens until the messages so far satisfy a condition.
    pub fn wait_until(&mut self, is_met: impl Fn(&BTreeMap<String, Vec<u8>>) -> bool) {
        while !is_met(&self.last) {
            self.next();
        }
    }

    /// Waits for a message of a topic that satisfies a condition.
    pub fn wait_for(&mut self, topic: &str, is_wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        self.wait_until(|last| last.get(topic).is_some_and(|message| is_wanted(message)));
        self.last[topic].clone()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}
