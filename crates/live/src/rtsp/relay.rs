//! A relay inside the process, between retina and one camera: retina connects to it at this machine's loopback address.
//!
//! Retina bounds nothing: a broken or hostile camera could fill the memory with an endless header, a description of gigabytes or an access unit that never
//! ends. The relay reads every message first, within bounds, and cuts the connection with the reason. It also speaks TLS, authenticates, and mends
//! answers that retina refuses ([`Exchange`]).
//!
//! Because it authenticates, others on this machine must not use it: its address holds a secret, which the first request of each connection has to name.

use crate::address::masked;
use crate::dial::{Dialled, Dialler};
use crate::failure::Failure;
use crate::rtsp::datagrams::Datagrams;
use crate::rtsp::exchange::{Answer, Exchange};
use crate::rtsp::message::{Head, Unread};
use crate::rtsp::quota::Quota;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use ring::rand::{SecureRandom as _, SystemRandom};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader, BufWriter,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use url::Url;

/// Connections to one camera at a time: the session, and ends of earlier ones.
const MOST_CONNECTIONS: usize = 4;
/// How long a client may take to name the secret.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// So long a session may be ended in an orderly way after the camera was removed.
const LINGER: Duration = Duration::from_secs(5);
const BUFFER_BYTES: usize = 64 << 10;
/// Longest text of a camera that is repeated to people.
const MOST_SHOWN_CHARS: usize = 60;

/// A running relay. Dropping it ends it, after [`LINGER`] at most.
pub(crate) struct Relay {
    url: Url,
    shared: Arc<Shared>,
    _running: watch::Sender<()>,
}

struct Shared {
    dialler: Arc<Dialler>,
    local: String,
    quota: Quota,
    failure: Mutex<Option<Failure>>,
}

impl Relay {
    /// Starts one on the current runtime; it connects to nothing yet.
    pub(crate) async fn start(dialler: Arc<Dialler>) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let mut secret = [0; 16];
        SystemRandom::new().fill(&mut secret).map_err(|_| std::io::Error::other("there is no randomness"))?;
        let local = format!("rtsp://{}/{:032x}", listener.local_addr()?, u128::from_ne_bytes(secret));
        let url =
            Url::parse(&format!("{local}{}", dialler.address().path())).map_err(std::io::Error::other)?;
        let shared = Arc::new(Shared { dialler, local, quota: Quota::default(), failure: Mutex::default() });
        let (running, stopped) = watch::channel(());
        tokio::spawn(serve(listener, shared.clone(), stopped));
        Ok(Self { url, shared, _running: running })
    }

    /// Where retina finds the camera.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// A connection begins.
    pub(crate) fn begin(&self) {
        self.shared.quota.reset();
        self.take_failure();
    }

    /// An access unit is whole.
    pub(crate) fn delivered(&self) {
        self.shared.quota.reset();
    }

    /// A text of retina's with the camera's address in place of the relay's, and without passwords.
    pub(crate) fn named(&self, text: &str) -> String {
        let text = text.replace(&self.shared.local, &self.shared.dialler.address().origin());
        text.split(' ').map(masked).collect::<Vec<_>>().join(" ")
    }

    /// Why a connection was cut, if the relay did it.
    pub(crate) fn take_failure(&self) -> Option<Failure> {
        self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<()>) {
    let mut connections = JoinSet::new();
    let serving = async {
        loop {
            while connections.len() >= MOST_CONNECTIONS {
                let _ended = connections.join_next().await;
            }
            while connections.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((client, _)) => {
                    let shared = shared.clone();
                    connections.spawn(async move { shared.serve(client).await });
                }
                // Out of file descriptors, for example.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    };
    let lingered = async {
        // It fails when the relay is dropped.
        let _dropped = stopped.changed().await;
        tokio::time::sleep(LINGER).await;
    };
    tokio::select! {
        () = serving => {}
        () = lingered => {}
    }
}

impl Shared {
    async fn serve(&self, mut client: TcpStream) {
        // Retina must find the reason when it sees the end.
        if let Err(failure) = self.carry(&mut client).await {
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
        }
        let _closed = client.shutdown().await;
    }

    /// Until one side ends the connection.
    async fn carry(&self, client: &mut TcpStream) -> Result<(), Failure> {
        // Not fatal: it only delays what retina says.
        let _delayed = client.set_nodelay(true);
        let (from_client, to_client) = client.split();
        let mut from_client = BufReader::new(from_client);
        let first = Head::read(&mut from_client, |_| Ok(()));
        let Ok(Ok(first)) = tokio::time::timeout(FIRST_REQUEST_TIMEOUT, first).await else { return Ok(()) };
        if !first.first_line.contains(&self.local) {
            tracing::warn!("another program on this machine tried to use the connection to a camera");
            return Ok(());
        }
        let Dialled { stream, local, peer } = self.dialler.dial().await?;
        let (from_camera, to_camera) = tokio::io::split(stream);
        let connection = Connection {
            shared: self,
            exchange: Mutex::new(Exchange::new(self.dialler.address(), self.local.clone())),
            to_camera: tokio::sync::Mutex::new(to_camera),
            prepared: Mutex::default(),
            ips: (local, peer),
        };
        let (started, to_carry) = mpsc::channel(MOST_CONNECTIONS);
        tokio::select! {
            ended = connection.carry_requests(first, from_client) => ended,
            ended = connection.carry_responses(
                BufReader::with_capacity(BUFFER_BYTES, from_camera),
                BufWriter::with_capacity(BUFFER_BYTES, to_client),
                started,
            ) => ended,
            failure = carry_datagrams(to_carry, &self.quota) => Err(failure),
        }
    }
}

/// The datagrams of all streams of a connection.
async fn carry_datagrams(mut started: mpsc::Receiver<Datagrams>, quota: &Quota) -> Failure {
    let mut streams = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(stream) = started.recv() => streams.push(stream.carry(quota)),
            Some(failure) = streams.next() => return failure,
            else => std::future::pending::<()>().await,
        }
    }
}

struct Connection<'a, W> {
    shared: &'a Shared,
    exchange: Mutex<Exchange>,
    to_camera: tokio::sync::Mutex<W>,
    /// Sockets of the stream that is being set up.
    prepared: Mutex<Option<Datagrams>>,
    /// This machine's on the way to the camera, and the camera's.
    ips: (IpAddr, IpAddr),
}

impl<W: AsyncWrite + Unpin> Connection<'_, W> {
    async fn send_to_camera(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut to_camera = self.to_camera.lock().await;
        to_camera.write_all(bytes).await.map_err(|error| ended(&error))?;
        to_camera.flush().await.map_err(|error| ended(&error))
    }

    async fn carry_requests(
        &self,
        first: Head,
        mut client: impl tokio::io::AsyncBufRead + Unpin,
    ) -> Result<(), Failure> {
        self.send_request(first).await?;
        loop {
            match client.fill_buf().await {
                Ok([b'$', ..]) => {
                    let Ok(packet) = interleaved(&mut client).await else { return Ok(()) };
                    self.send_to_camera(&packet).await?;
                }
                Ok([_, ..]) => {
                    let Ok(head) = Head::read(&mut client, |_| Ok(())).await else { return Ok(()) };
                    self.send_request(head).await?;
                }
                // Retina has ended the connection.
                Ok([]) | Err(_) => return Ok(()),
            }
        }
    }

    async fn send_request(&self, mut head: Head) -> Result<(), Failure> {
        self.prepare(&mut head).await?;
        let request = lock(&self.exchange).request(head);
        self.send_to_camera(&request).await
    }

    /// Opens sockets where a stream is to come by UDP.
    async fn prepare(&self, head: &mut Head) -> Result<(), Failure> {
        let Some(transport) = head.get("Transport") else { return Ok(()) };
        let Some((sockets, transport)) =
            Datagrams::prepare(transport, self.ips.0).await.map_err(|error| ended(&error))?
        else {
            return Ok(());
        };
        *lock(&self.prepared) = Some(sockets);
        head.set("Transport", Some(transport));
        Ok(())
    }

    async fn carry_responses(
        &self,
        mut camera: BufReader<impl tokio::io::AsyncRead + Unpin>,
        mut client: impl AsyncWrite + Unpin,
        started: mpsc::Sender<Datagrams>,
    ) -> Result<(), Failure> {
        let quota = &self.shared.quota;
        loop {
            // Whole packets are passed on together; nothing waits for the rest of another.
            if !has_whole_packet(camera.buffer()) && client.flush().await.is_err() {
                return Ok(());
            }
            let bytes = match camera.fill_buf().await.map_err(|error| ended(&error))? {
                [] => return Ok(()),
                [b'\r' | b'\n', ..] => {
                    camera.consume(1);
                    quota.add(1)?;
                    continue;
                }
                [b'$', ..] => interleaved(&mut camera).await.map_err(|error| ended(&error))?,
                [_, ..] => match self.answer(&mut camera, &started).await? {
                    Some(bytes) => bytes,
                    None => continue,
                },
            };
            quota.add(bytes.len())?;
            if client.write_all(&bytes).await.is_err() {
                return Ok(());
            }
        }
    }

    /// What retina receives of a message; `None`: nothing.
    async fn answer(
        &self,
        camera: &mut (impl tokio::io::AsyncBufRead + Unpin),
        started: &mpsc::Sender<Datagrams>,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let unread = |unread| match unread {
            Unread::Io(error) => ended(&error),
            Unread::Refused(failure) => failure,
        };
        let host = self.shared.dialler.address().host();
        let head = Head::read(camera, |line| is_message(line, &host)).await.map_err(unread)?;
        let body = head.body(camera).await.map_err(unread)?;
        if !head.first_line.starts_with(RTSP) {
            // Cameras announce changes; retina takes any request for an error.
            self.shared.quota.add(body.len())?;
            return Ok(None);
        }
        let answer = lock(&self.exchange).response(head, body);
        match answer {
            Answer::Repeat(request) => {
                self.send_to_camera(&request).await?;
                Ok(None)
            }
            Answer::Deliver { mut head, body, method } => {
                let prepared = (method == "SETUP").then(|| lock(&self.prepared).take()).flatten();
                if let (Some(sockets), Some(transport)) = (prepared, head.get("Transport")) {
                    let transport =
                        sockets.connect(transport, self.ips.1).await.map_err(|error| ended(&error))?;
                    head.set("Transport", Some(transport));
                    let _few = started.send(sockets).await;
                }
                Ok(Some(head.bytes(&body)))
            }
        }
    }
}

const RTSP: &str = "RTSP/";

/// Whether a line begins a message of RTSP.
fn is_message(line: &str, host: &str) -> Result<(), Failure> {
    if line.starts_with(RTSP) || line.trim_end().rsplit(' ').next().is_some_and(|last| last.starts_with(RTSP))
    {
        return Ok(());
    }
    let shown: String = line.chars().filter(|c| !c.is_control()).take(MOST_SHOWN_CHARS).collect();
    Err(Failure::NotRtsp { host: host.to_owned(), reason: format!("it answers {shown:?}") })
}

/// Whether a packet between messages lies there.
fn has_whole_packet(buffer: &[u8]) -> bool {
    match buffer {
        [b'$', _, high, low, rest @ ..] => rest.len() >= usize::from(u16::from_be_bytes([*high, *low])),
        _ => false,
    }
}

/// A packet between messages: `$`, a channel, and up to 64 kB.
async fn interleaved(from: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut packet = vec![0; 4];
    from.read_exact(&mut packet).await?;
    let length = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
    packet.resize(4 + length, 0);
    from.read_exact(&mut packet[4..]).await?;
    Ok(packet)
}

fn ended(error: &std::io::Error) -> Failure {
    let reason = match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "it hung up in the middle of a message".to_owned(),
        _ => error.to_string(),
    };
    Failure::Ended { reason }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Each change is whole before the next can panic.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;
    use crate::address::CameraAddress;

    #[tokio::test]
    async fn who_does_not_know_the_secret_reaches_no_camera() {
        let camera = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("rtsp://cam:secret@{}/s", camera.local_addr().unwrap());
        let dialler = Arc::new(Dialler::new(CameraAddress::parse(&address).unwrap()));
        let relay = Relay::start(dialler).await.unwrap();
        let port = relay.url().port().unwrap();
        let ask = |address: String| async move {
            let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let request = format!("DESCRIBE {address} RTSP/1.0\r\nCSeq: 1\r\n\r\n");
            client.write_all(request.as_bytes()).await.unwrap();
            client
        };
        let mut stranger = ask(format!("rtsp://127.0.0.1:{port}/s")).await;
        assert_eq!(stranger.read(&mut [0; 16]).await.unwrap_or_default(), 0, "it is hung up");
        let _known = ask(relay.url().to_string()).await;
        let (mut found, _) = camera.accept().await.unwrap();
        let mut request = vec![0; 1024];
        let read = found.read(&mut request).await.unwrap();
        let request = String::from_utf8_lossy(&request[..read]).into_owned();
        let asked = format!("DESCRIBE rtsp://{}/s RTSP/1.0\r\n", camera.local_addr().unwrap());
        assert!(request.starts_with(&asked), "{request}");
    }
}
