//! The server of all viewers: one UDP port and one task.

use super::offer::VideoCodec;
use super::viewer::{Datagram, Peers, Step, Viewer};
use super::{MOST_UNCONNECTED, MOST_VIEWERS, OfferError};
use crate::camera::Subscriber;
use crate::subscription::{Received, Subscription};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

/// Requests that wait for the task.
const MOST_REQUESTS: usize = 64;
/// Larger than any datagram of a viewer.
const DATAGRAM_BYTES: usize = 2048;
/// Datagrams that are taken at once before viewers get their turn.
const DATAGRAMS_AT_ONCE: usize = 64;
/// Addresses that viewers' requests came from; a viewer may have several networks.
const MOST_ROUTES: usize = 4 * MOST_VIEWERS;
/// Viewers connect within a fraction of a second; one that hasn't after this gives way to another offer where there are too many.
const TIME_TO_CONNECT: Duration = Duration::from_secs(2);
/// The longest sleep: a bound, not an interval.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Where viewers reach the server.
#[derive(Clone, Debug)]
pub struct WebRtcSettings {
    /// The UDP address to listen at.
    pub listen: SocketAddr,
    /// The addresses to tell viewers, where they aren't those of this machine: behind NAT, in a container. Empty: the one that the viewer's request came to.
    pub addresses: Vec<IpAddr>,
}

/// Whose offer it is.
#[derive(Clone, Copy, Debug)]
pub struct Requester {
    /// Its address.
    pub address: IpAddr,
    /// The address of this machine at which its request arrived.
    pub reached_at: IpAddr,
}

/// The answer to an offer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// SDP.
    pub sdp: String,
    /// Names the viewer, so that it can be closed.
    pub session: u64,
}

/// The server. Dropping it ends all viewers.
#[derive(Debug)]
pub struct WebRtc {
    settings: WebRtcSettings,
    port: u16,
    peers: Peers,
    viewers: Arc<AtomicUsize>,
    requests: mpsc::Sender<Request>,
}

enum Request {
    Add { watching: Box<Watching>, reply: oneshot::Sender<Result<u64, OfferError>> },
    Close { session: u64, camera_id: String, reply: oneshot::Sender<bool> },
}

impl WebRtc {
    /// Opens the port and starts the task on the current runtime.
    ///
    /// # Errors
    /// If the port is taken, or cryptography isn't available.
    pub async fn start(settings: WebRtcSettings) -> io::Result<Self> {
        let socket = UdpSocket::bind(settings.listen).await?;
        let port = socket.local_addr()?.port();
        let peers = Peers::new().map_err(io::Error::other)?;
        let (requests, received) = mpsc::channel(MOST_REQUESTS);
        let viewers = Arc::new(AtomicUsize::new(0));
        tokio::spawn(Task::new(socket, received, viewers.clone()).run());
        Ok(Self { settings, port, peers, viewers, requests })
    }

    /// Viewers that are connected or about to be.
    pub fn viewers(&self) -> usize {
        self.viewers.load(Ordering::Relaxed)
    }

    /// Answers an offer: the viewer gets the frames of a camera, which come in this codec, as soon as it is connected.
    ///
    /// # Errors
    /// Why it isn't answered.
    pub async fn answer(
        &self,
        sdp: &str,
        codec: VideoCodec,
        (camera_id, camera): (&str, Subscriber),
        requester: Requester,
    ) -> Result<Answer, OfferError> {
        let addresses = self.addresses(requester.reached_at);
        let (viewer, sdp) = self.peers.answer(sdp, codec, &addresses, Instant::now())?;
        let (reply, replied) = oneshot::channel();
        let created = Instant::now();
        let watching = Watching {
            viewer,
            camera_id: camera_id.to_owned(),
            camera,
            from: requester.address,
            created,
            subscriptions: 0,
            poll_at: created,
        };
        let request = Request::Add { watching: Box::new(watching), reply };
        self.requests.send(request).await.map_err(|_| OfferError::Stopping)?;
        let session = replied.await.map_err(|_| OfferError::Stopping)??;
        Ok(Answer { sdp, session })
    }

    fn addresses(&self, reached_at: IpAddr) -> Vec<SocketAddr> {
        let listening = self.settings.listen.ip();
        let own = if listening.is_unspecified() { reached_at } else { listening };
        let stated = &self.settings.addresses;
        let addresses = if stated.is_empty() { std::slice::from_ref(&own) } else { stated };
        addresses.iter().map(|&address| SocketAddr::new(address.to_canonical(), self.port)).collect()
    }

    /// Ends a viewer of this camera. Returns whether there was one.
    pub async fn close(&self, session: u64, camera_id: &str) -> bool {
        let (reply, replied) = oneshot::channel();
        let is_sent = self
            .requests
            .send(Request::Close { session, camera_id: camera_id.to_owned(), reply })
            .await
            .is_ok();
        is_sent && replied.await.unwrap_or(false)
    }
}

/// A viewer's next unit.
type NextUnit = BoxFuture<'static, Arrival>;

struct Arrival {
    session: u64,
    /// The number of the viewer's subscription: what an earlier one brings is left out.
    number: u64,
    received: Received,
    subscription: Subscription,
}

fn next_unit(session: u64, number: u64, mut subscription: Subscription) -> NextUnit {
    Box::pin(async move {
        let received = subscription.next().await;
        Arrival { session, number, received, subscription }
    })
}

struct Task {
    socket: UdpSocket,
    is_ipv6: bool,
    requests: mpsc::Receiver<Request>,
    count: Arc<AtomicUsize>,
    viewers: BTreeMap<u64, Watching>,
    /// Where the last STUN request for a viewer came from.
    routes: BTreeMap<SocketAddr, u64>,
    units: FuturesUnordered<NextUnit>,
}

struct Watching {
    viewer: Viewer,
    camera_id: String,
    camera: Subscriber,
    from: IpAddr,
    created: Instant,
    /// How often it was subscribed: not before it is connected, as what comes before is lost on it; and again where it asks for a keyframe.
    subscriptions: u64,
    poll_at: Instant,
}

/// Runs what a peer's packets cause. A fault of the library over one of them ends its viewer, not all. Returns whether there was none.
fn contained(work: impl FnOnce()) -> bool {
    let done = catch_unwind(AssertUnwindSafe(work));
    if done.is_err() {
        tracing::error!("a viewer is given up: its packets broke the WebRTC library");
    }
    done.is_ok()
}

/// Hosts have whole networks of IPv6 addresses: 64 bits name the host's.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() & !u128::from(u64::MAX)).into()),
        address => address,
    }
}

/// The first half of a STUN request's user name (RFC 8489, section 14.3; RFC 8445, section 7.2.2): the ufrag of the side that it is for.
fn stun_ufrag(datagram: &[u8]) -> Option<&[u8]> {
    const BINDING_REQUEST: [u8; 2] = [0, 1];
    const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
    const USER_NAME: [u8; 2] = [0, 6];
    if datagram.get(..2)? != BINDING_REQUEST || datagram.get(4..8)? != MAGIC_COOKIE {
        return None;
    }
    let mut attributes = datagram.get(20..)?;
    while let Some((&[kind, of_kind, high, low], rest)) = attributes.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let value = rest.get(..length)?;
        if [kind, of_kind] == USER_NAME {
            return value.split(|&byte| byte == b':').next();
        }
        // Attributes begin at multiples of four bytes.
        attributes = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}

/// An IPv6 socket that serves IPv4 as well takes IPv4 addresses in their mapped form alone.
fn as_socket_sees(address: SocketAddr, is_ipv6: bool) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if is_ipv6 => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        _ => address,
    }
}

impl Task {
    fn new(socket: UdpSocket, requests: mpsc::Receiver<Request>, count: Arc<AtomicUsize>) -> Self {
        let is_ipv6 = socket.local_addr().is_ok_and(|address| address.is_ipv6());
        Self {
            socket,
            is_ipv6,
            requests,
            count,
            viewers: BTreeMap::new(),
            routes: BTreeMap::new(),
            units: FuturesUnordered::new(),
        }
    }

    async fn run(mut self) {
        let mut buffer = vec![0; DATAGRAM_BYTES];
        loop {
            let now = Instant::now();
            let next = self.viewers.values().map(|watching| watching.poll_at).min();
            let until = next.unwrap_or(now + LONGEST_WAIT).min(now + LONGEST_WAIT);
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(request) => self.take(request),
                    // The server is dropped.
                    None => return self.end_all(),
                },
                readable = self.socket.readable() => {
                    if readable.is_ok() {
                        self.receive(&mut buffer);
                    }
                }
                Some(arrival) = self.units.next() => self.show(arrival),
                () = tokio::time::sleep_until(until.into()) => {}
            }
            self.poll_due();
        }
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Add { watching, reply } => {
                if !self.make_room(watching.from) {
                    // Who asked may be gone.
                    let _asked = reply.send(Err(OfferError::TooManyViewers));
                    return;
                }
                let session = loop {
                    // From the system's randomness: nobody can guess another viewer's session and end it.
                    let session = RandomState::new().hash_one(());
                    if !self.viewers.contains_key(&session) {
                        break session;
                    }
                };
                self.viewers.insert(session, *watching);
                self.tell_count();
                let _asked = reply.send(Ok(session));
            }
            Request::Close { session, camera_id, reply } => {
                let found = self.viewers.get_mut(&session).filter(|watching| watching.camera_id == camera_id);
                let is_there = found.is_some();
                if let Some(watching) = found {
                    watching.viewer.end();
                    watching.poll_at = Instant::now();
                }
                let _asked = reply.send(is_there);
            }
        }
    }

    /// Makes room for an offer, so that offers without a connection don't keep viewers out. If an address, or the server, has too many, the oldest
    /// unconnected viewer is removed once its time to connect is over. Returns whether there is room.
    fn make_room(&mut self, from: IpAddr) -> bool {
        let from = network_of(from);
        let unconnected = || self.viewers.iter().filter(|(_, watching)| !watching.viewer.is_connected());
        let of_network = || unconnected().filter(|(_, watching)| network_of(watching.from) == from);
        let oldest = if of_network().count() >= MOST_UNCONNECTED {
            of_network().min_by_key(|(_, watching)| watching.created)
        } else if self.viewers.len() >= MOST_VIEWERS {
            unconnected().min_by_key(|(_, watching)| watching.created)
        } else {
            return true;
        };
        let gives_way = oldest.filter(|(_, watching)| watching.created.elapsed() >= TIME_TO_CONNECT);
        let Some((&session, _)) = gives_way else { return false };
        self.remove(session);
        true
    }

    fn remove(&mut self, session: u64) {
        self.viewers.remove(&session);
        self.routes.retain(|_, of| *of != session);
        self.tell_count();
    }

    fn tell_count(&self) {
        self.count.store(self.viewers.len(), Ordering::Relaxed);
    }

    fn receive(&mut self, buffer: &mut [u8]) {
        for _ in 0..DATAGRAMS_AT_ONCE {
            // Errors are those of earlier sends (ICMP) or that nothing is there.
            let Ok((length, source)) = self.socket.try_recv_from(buffer) else { return };
            let Some(contents) = buffer.get(..length) else { continue };
            // A socket for both kinds of addresses shows IPv4 as IPv6.
            let source = SocketAddr::new(source.ip().to_canonical(), source.port());
            let (now, datagram) = (Instant::now(), Datagram { source, contents });
            let Some(session) = self.route(now, datagram) else { continue };
            let Some(watching) = self.viewers.get_mut(&session) else { continue };
            if !contained(|| watching.viewer.receive(now, datagram)) {
                self.remove(session);
                continue;
            }
            watching.poll_at = now;
        }
    }

    /// Whose datagram it is. STUN requests name their viewer; what comes after them from the same address is of the same one. Two browsers may follow each
    /// other at one address, while the first one's viewer isn't given up yet.
    fn route(&mut self, now: Instant, datagram: Datagram<'_>) -> Option<u64> {
        if let Some(ufrag) = stun_ufrag(datagram.contents) {
            let is_meant = |watching: &Watching| watching.viewer.ufrag().as_bytes() == ufrag;
            let session =
                self.viewers.iter().find(|(_, watching)| is_meant(watching)).map(|(&session, _)| session)?;
            if self.routes.len() < MOST_ROUTES || self.routes.contains_key(&datagram.source) {
                self.routes.insert(datagram.source, session);
            }
            return Some(session);
        }
        let known = self.routes.get(&datagram.source).copied();
        known.or_else(|| {
            let mut viewers = self.viewers.iter();
            viewers.find(|(_, watching)| watching.viewer.accepts(now, datagram)).map(|(&session, _)| session)
        })
    }

    fn show(&mut self, Arrival { session, number, received, subscription }: Arrival) {
        let Some(watching) = self.viewers.get_mut(&session) else { return };
        if number != watching.subscriptions {
            return;
        }
        let now = Instant::now();
        watching.poll_at = now;
        match received {
            Received::Unit(unit) => watching.viewer.push(now, unit),
            Received::Lost(_) => watching.viewer.lose(),
            Received::End => return watching.viewer.end(),
        }
        self.units.push(next_unit(session, number, subscription));
    }

    fn poll_due(&mut self) {
        let now = Instant::now();
        let is_ipv6 = self.is_ipv6;
        let mut over = Vec::new();
        for (&session, watching) in &mut self.viewers {
            if watching.poll_at > now {
                continue;
            }
            let socket = &self.socket;
            let mut step = Step::Over;
            contained(|| {
                step = watching.viewer.poll(now, &mut |packet| {
                    let destination = as_socket_sees(packet.destination, is_ipv6);
                    // A full buffer loses it, as any network may; the viewer asks again.
                    let _lost = socket.try_send_to(&packet.contents, destination);
                });
            });
            match step {
                Step::WaitUntil(until) => watching.poll_at = until,
                Step::Over => over.push(session),
            }
            let is_new = watching.viewer.is_connected() && watching.subscriptions == 0;
            if is_new || watching.viewer.take_keyframe_request(now) {
                watching.subscriptions += 1;
                let subscription = watching.camera.subscribe();
                self.units.push(next_unit(session, watching.subscriptions, subscription));
            }
        }
        for session in over {
            self.remove(session);
        }
    }

    fn end_all(mut self) {
        for watching in self.viewers.values_mut() {
            watching.viewer.end();
            watching.poll_at = Instant::now();
        }
        self.poll_due();
        self.viewers.clear();
        self.tell_count();
    }
}
