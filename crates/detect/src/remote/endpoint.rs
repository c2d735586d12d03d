//! One server: its connection, state and responses.

use super::RemoteSettings;
use super::identity::Identity;
use super::protocol::{self, Answer, Described, Given, SubmittedPicture, Wanted, Which};
use crate::error::{Error, Result};
use crate::layout::Output;
use crate::outputs::KeptOutput;
use crate::tensor::Kind;
use prost::bytes::Bytes;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Code, Status};

/// The error for a port with a server of another protocol.
const SPEAKS_NO_GRPC: &str = "it answers in HTTP and does not speak gRPC; name the port for gRPC, usually 8001 (Triton) or 8081 (MLServer)";
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// The receive window: if it is smaller, a large response waits for network round trips.
const WINDOW_BYTES: u32 = 8 << 20;

/// The state of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Available.
    Up,
    /// Excluded for this reason, and tried again.
    Down(String),
    /// It has another model; tried again too.
    Changed(String),
}

pub(super) struct Endpoint {
    pub url: String,
    channel: Channel,
    /// Requests in flight are limited.
    pub permits: Arc<Semaphore>,
    standing: Mutex<Standing>,
    /// In a row: the pauses before a retry grow with them.
    pub failures: AtomicU32,
    pub answered: AtomicU64,
    pub failed: AtomicU64,
}

impl Endpoint {
    /// Connects on first use. Must be called within the pool's runtime.
    pub(super) fn new(url: &str, settings: &RemoteSettings) -> Result<Self> {
        let unsound = |reason: String| Error::RemoteSettings { reason };
        check_address(url).map_err(unsound)?;
        let mut builder = Channel::from_shared(url.to_owned())
            .map_err(|error| unsound(format!("{url:?} is no inference server's address ({error})")))?
            .connect_timeout(CONNECT_WITHIN)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES);
        if url.starts_with("https://") {
            let mut tls = ClientTlsConfig::new();
            tls = match &settings.ca_file {
                None => tls.with_native_roots(),
                Some(path) => {
                    let pem = std::fs::read(path).map_err(|error| {
                        unsound(format!("cannot read the certificate authority {} ({error})", path.display()))
                    })?;
                    tls.ca_certificate(Certificate::from_pem(pem))
                }
            };
            builder = builder.tls_config(tls).map_err(|error| {
                unsound(format!("TLS to {url} cannot be set up ({})", protocol::root(&error)))
            })?;
        }
        Ok(Self {
            url: url.to_owned(),
            channel: builder.connect_lazy(),
            permits: Arc::new(Semaphore::new(settings.in_flight.max(1))),
            standing: Mutex::new(Standing::Down("it was not asked yet".to_owned())),
            failures: AtomicU32::new(0),
            answered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        })
    }

    pub(super) fn standing(&self) -> MutexGuard<'_, Standing> {
        // Every change is a single assignment.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets its current state. A failure is logged once, and a recovery once; the reason may change meanwhile.
    pub(super) fn change(&self, standing: Standing) {
        let before = std::mem::replace(&mut *self.standing(), standing);
        if std::mem::discriminant(&before) != std::mem::discriminant(&*self.standing()) {
            self.log();
        }
    }

    /// Failure and recovery have the same log level, so that a filtered log shows both.
    pub(super) fn log(&self) {
        let url = &self.url;
        match &*self.standing() {
            Standing::Up if self.failures.load(Ordering::Relaxed) == 0 => {
                tracing::info!("the inference server {url} is asked");
            }
            Standing::Up => tracing::warn!("the inference server {url} is asked again"),
            Standing::Down(reason) | Standing::Changed(reason) => {
                tracing::warn!("the inference server {url} is left out and tried again: {reason}");
            }
        }
    }

    /// Whether server and model are ready.
    pub(super) async fn ready(&self, settings: &RemoteSettings) -> Result<(), String> {
        let which =
            Which { name: settings.model.clone(), version: settings.version.clone().unwrap_or_default() };
        let server = match within(settings.timeout, protocol::server_ready(self.channel.clone())).await {
            Err(reason) if self.speaks_http_only().await => {
                return Err(format!("{SPEAKS_NO_GRPC} ({reason})"));
            }
            answer => answer?,
        };
        if !server.ready {
            return Err("the server is not ready".to_owned());
        }
        let model = within(settings.timeout, protocol::model_ready(self.channel.clone(), which)).await?;
        if !model.ready {
            return Err(format!("the model {:?} is not ready there", settings.model));
        }
        Ok(())
    }

    /// Whether a server responds in HTTP/1, which can't carry gRPC: most inference servers do so on another port
    /// than gRPC's.
    async fn speaks_http_only(&self) -> bool {
        let Some(authority) = self.url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/')) else {
            return false;
        };
        let host_and_port = if authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
        {
            authority.to_owned()
        } else {
            format!("{authority}:80")
        };
        let question = format!("GET / HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
        let ask = move || {
            let mut stream = TcpStream::connect(host_and_port)?;
            stream.set_read_timeout(Some(CONNECT_WITHIN))?;
            stream.write_all(question.as_bytes())?;
            let mut begin = [0; 7];
            stream.read_exact(&mut begin)?;
            Ok::<_, std::io::Error>(begin == *b"HTTP/1.")
        };
        // A server that doesn't respond in time doesn't speak it.
        let asked = tokio::time::timeout(CONNECT_WITHIN, tokio::task::spawn_blocking(ask)).await;
        matches!(asked, Ok(Ok(Ok(true))))
    }

    /// Everything that the server reports about its model, and its outputs for the test picture.
    pub(super) async fn examine(&self, settings: &RemoteSettings) -> Result<Identity, String> {
        self.ready(settings).await?;
        let which =
            Which { name: settings.model.clone(), version: settings.version.clone().unwrap_or_default() };
        let metadata =
            within(settings.timeout, protocol::model_metadata(self.channel.clone(), which)).await?;
        let (input, form) = Identity::form_of(&metadata.inputs)?;
        let outputs: Vec<Described> =
            metadata.outputs.into_iter().filter(|output| output.datatype == "FP32").collect();
        if outputs.is_empty() {
            return Err("the model has no output of FP32".to_owned());
        }
        let mut identity = Identity { version: String::new(), input, form, outputs, shown: Vec::new() };
        let pattern = form.pattern();
        let samples = form.lay_out(&[&pattern], true);
        let question = question(settings, &identity, super::pool::bytes_of(&samples), form.shape(1).to_vec());
        let (version, shown) = self.infer(settings, question, &identity, 1).await?;
        identity.version = version;
        identity.shown = shown;
        Ok(identity)
    }

    /// One request, checked: the responding version, and the outputs in the model's order.
    pub(super) async fn infer(
        &self,
        settings: &RemoteSettings,
        question: SubmittedPicture,
        identity: &Identity,
        pictures: usize,
    ) -> Result<(String, Vec<KeptOutput>), String> {
        let answer = within(settings.timeout, protocol::model_infer(self.channel.clone(), question)).await?;
        let version = answer.model_version.clone();
        Ok((version, outputs(answer, identity, pictures)?))
    }
}

/// Whether an address is valid for the configuration; if not, what to write.
fn check_address(url: &str) -> Result<(), String> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let secure = if matches!(scheme, "https" | "grpcs") { "https" } else { "http" };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        // The colons of an address in brackets are its own.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let hint = match (host, port) {
        ("", _) => "http://HOST:PORT".to_owned(),
        (host, Some(port)) => format!("{secure}://{host}:{port}"),
        (host, None) => format!("{secure}://{host}:8001"),
    };
    let refused = |why: &str| Err(format!("{url:?} is no inference server's address: {why}; write {hint}"));
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    match scheme {
        _ if host.is_empty() => refused("it names no machine"),
        _ if host.contains('@') => Err(format!(
            "{url:?} is no inference server's address: names and passwords are not sent; write http://HOST:PORT"
        )),
        _ if port.is_some_and(|port| !is_port(port)) => Err(format!(
            "{url:?} is no inference server's address: ports lie between 1 and 65535; write http://{host}:8001, or the port that its \
             server speaks gRPC on"
        )),
        "http" | "https" if !matches!(rest.strip_prefix(authority), Some("" | "/")) => {
            refused("gRPC has no paths")
        }
        "http" | "https" => Ok(()),
        "" => refused("it begins with neither http:// nor https://"),
        _ => refused(&format!("{scheme}:// is not known, only http:// and https:// are")),
    }
}

pub(super) fn question(
    settings: &RemoteSettings,
    identity: &Identity,
    bytes: Bytes,
    shape: Vec<i64>,
) -> SubmittedPicture {
    let datatype = if identity.form.kind == Kind::Uint8 { "UINT8" } else { "FP32" };
    SubmittedPicture {
        model_name: settings.model.clone(),
        model_version: settings.version.clone().unwrap_or_default(),
        inputs: vec![Described { name: identity.input.name.clone(), datatype: datatype.to_owned(), shape }],
        outputs: identity.outputs.iter().map(|output| Wanted { name: output.name.clone() }).collect(),
        raw_input_contents: vec![bytes],
    }
}

/// In the model's order and of the stated sizes. Anything else is an error.
fn outputs(answer: Answer, identity: &Identity, pictures: usize) -> Result<Vec<KeptOutput>, String> {
    let Answer { outputs, raw_output_contents: raw, .. } = answer;
    let mut found: Vec<(Given, Option<Bytes>)> = Vec::with_capacity(outputs.len());
    let mut raw = raw.into_iter();
    for given in outputs {
        let is_raw = given.contents.as_ref().is_none_or(|contents| contents.fp32_contents.is_empty());
        let bytes = if is_raw { raw.next() } else { None };
        found.push((given, bytes));
    }
    let mut kept = Vec::with_capacity(identity.outputs.len());
    for (place, described) in identity.outputs.iter().enumerate() {
        let Some(at) = found.iter().position(|(given, _)| given.name == described.name) else {
            return Err(format!("its answer lacks the output {}", described.name));
        };
        let (given, bytes) = found.swap_remove(at);
        let shown = identity.shown.get(place).map(|shown| shown.output.shape.as_slice());
        if given.datatype != "FP32" || !is_as_promised(&given.shape, described, shown, pictures) {
            return Err(format!(
                "it gave {} as {} {:?} for {pictures} at once, promised was {} {:?}",
                given.name, given.datatype, given.shape, described.datatype, described.shape
            ));
        }
        let numbers = match (bytes, given.contents) {
            (Some(bytes), _) => floats(&bytes),
            (None, Some(contents)) => contents.fp32_contents,
            (None, None) => Vec::new(),
        };
        let expected: i64 = given.shape.iter().product();
        if numbers.len() as i64 != expected {
            return Err(format!("it gave {} numbers for {} {:?}", numbers.len(), given.name, given.shape));
        }
        let shape = given.shape.iter().map(|&size| usize::try_from(size).unwrap_or(0)).collect();
        kept.push(KeptOutput { output: Output { name: given.name, shape }, numbers });
    }
    Ok(kept)
}

/// Dynamic sides have the sizes of the first response; only the number of rows may differ, if the model says so.
fn is_as_promised(found: &[i64], described: &Described, shown: Option<&[usize]>, pictures: usize) -> bool {
    let rank = shown.map_or(found.len(), <[usize]>::len);
    found.len() == rank
        && found.iter().enumerate().all(|(place, &size)| match (place, shown) {
            (0, _) => size == pictures as i64,
            (1, Some(_)) if described.shape.get(1) == Some(&-1) && found.len() == 3 => size >= 0,
            (_, Some(shown)) => shown.get(place).is_some_and(|&shown| shown as i64 == size),
            (_, None) => size >= 0,
        })
}

/// The protocol's bytes are little-endian.
fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect()
}

async fn within<T>(timeout: Duration, call: impl Future<Output = Result<T, Status>>) -> Result<T, String> {
    match tokio::time::timeout(timeout, call).await {
        Ok(answer) => answer.map_err(|status| in_words(&status)),
        Err(_) => Err(format!("no answer within {} s", timeout.as_secs_f64())),
    }
}

/// One line of a status, which may contain a whole traceback.
fn in_words(status: &Status) -> String {
    let root = std::error::Error::source(status).map(protocol::root);
    let text = match (status.code(), root) {
        (Code::Unavailable, Some(root)) => root,
        (code, _) if status.message().is_empty() => code.description().to_owned(),
        _ => status.message().to_owned(),
    };
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::check_address;

    #[test]
    fn a_wrong_port_is_refused_with_the_right_address() {
        for sound in [
            "http://gpu-1:8001",
            "https://gpu-1",
            "http://10.0.0.7:8001/",
            "http://[::1]:8001",
            "https://[fe80::1]",
        ] {
            assert_eq!(check_address(sound), Ok(()), "{sound}");
        }
        for (unsound, why, meant) in [
            ("gpu-1:8001", "neither http://", "write http://gpu-1:8001"),
            ("gpu-1", "neither http://", "write http://gpu-1:8001"),
            ("grpc://gpu-1:8001", "grpc:// is not known", "write http://gpu-1:8001"),
            ("grpcs://gpu-1:8001", "grpcs:// is not known", "write https://gpu-1:8001"),
            ("http://gpu-1:8001/v2/models/pigs", "no paths", "write http://gpu-1:8001"),
            ("http://gpu-1:8001?model=pigs", "no paths", "write http://gpu-1:8001"),
            ("http://gpu-1:99999", "between 1 and 65535", "write http://gpu-1:8001"),
            ("http://gpu-1:0", "between 1 and 65535", "write http://gpu-1:8001"),
            ("http://gpu-1:grpc", "between 1 and 65535", "write http://gpu-1:8001"),
            ("http://", "names no machine", "write http://HOST:PORT"),
            ("", "names no machine", "write http://HOST:PORT"),
            ("http://me:secret@gpu-1:8001", "passwords", "write http://HOST:PORT"),
        ] {
            let message = check_address(unsound).expect_err(unsound);
            assert!(message.contains(why) && message.contains(meant) && !message.contains('\n'), "{message}");
        }
    }
}
