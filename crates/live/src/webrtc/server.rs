//! The server of all viewers: one UDP port, connections over TCP, and one task.

use super::offer::VideoCodec;
use super::tcp::{Connections, Wake};
use super::udp::{Datagrams, UdpPort};
use super::viewer::{Datagram, Peers, ServerAddresses, Step, Viewer};
use super::{MOST_UNCONNECTED, MOST_VIEWERS, OfferError, network_of};
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
use str0m::net::Protocol;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

/// Requests that wait for the task.
const MOST_REQUESTS: usize = 64;
/// Connections over TCP that wait for the task.
const MOST_ENTERING: usize = 64;
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
    /// The TCP address at which connections are accepted and given to [`TcpEntrance`]; `None`: nowhere.
    pub tcp: Option<SocketAddr>,
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
    entrance: TcpEntrance,
}

/// Where viewers' connections over TCP are given to the server.
#[derive(Clone, Debug)]
pub struct TcpEntrance(mpsc::Sender<TcpStream>);

impl TcpEntrance {
    /// Whether a connection that begins with this byte is a viewer's: the length of a STUN request, which no request by HTTP and no TLS begins with.
    pub fn is_for(first_byte: u8) -> bool {
        first_byte < 8
    }

    /// Takes a connection that was accepted. One that there is no room for is closed.
    pub fn take(&self, stream: TcpStream) {
        let _closed = self.0.try_send(stream);
    }
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
        let socket = UdpPort::bind(settings.listen).await?;
        let port = socket.port()?;
        let peers = Peers::new().map_err(io::Error::other)?;
        let (requests, received) = mpsc::channel(MOST_REQUESTS);
        let viewers = Arc::new(AtomicUsize::new(0));
        let (entrance, entering) = mpsc::channel(MOST_ENTERING);
        tokio::spawn(Task::new(socket, received, entering, viewers.clone()).run());
        Ok(Self { settings, port, peers, viewers, requests, entrance: TcpEntrance(entrance) })
    }

    /// For who accepts connections at [`WebRtcSettings::tcp`].
    pub fn tcp_entrance(&self) -> TcpEntrance {
        self.entrance.clone()
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
            tcp_peer: None,
        };
        let request = Request::Add { watching: Box::new(watching), reply };
        self.requests.send(request).await.map_err(|_| OfferError::Stopping)?;
        let session = replied.await.map_err(|_| OfferError::Stopping)??;
        Ok(Answer { sdp, session })
    }

    fn addresses(&self, reached_at: IpAddr) -> ServerAddresses {
        let told = |listening: IpAddr, port: u16| -> Vec<SocketAddr> {
            let own = if listening.is_unspecified() { reached_at } else { listening };
            let stated = &self.settings.addresses;
            let addresses = if stated.is_empty() { std::slice::from_ref(&own) } else { stated };
            addresses.iter().map(|&address| SocketAddr::new(address.to_canonical(), port)).collect()
        };
        ServerAddresses {
            udp: told(self.settings.listen.ip(), self.port),
            tcp: self.settings.tcp.map_or_else(Vec::new, |tcp| told(tcp.ip(), tcp.port())),
        }
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
    socket: UdpPort,
    requests: mpsc::Receiver<Request>,
    entering: mpsc::Receiver<TcpStream>,
    connections: Connections,
    count: Arc<AtomicUsize>,
    viewers: BTreeMap<u64, Watching>,
    /// Where the last STUN request for a viewer came from; whether over TCP.
    routes: BTreeMap<(bool, SocketAddr), Route>,
    units: FuturesUnordered<NextUnit>,
}

/// Whose it is what comes from an address, and at which of this machine's addresses it came in.
#[derive(Clone, Copy)]
struct Route {
    session: u64,
    reached_at: Option<IpAddr>,
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
    /// The other end of the connection over TCP that it was last sent something by.
    tcp_peer: Option<SocketAddr>,
}

/// Runs what a peer's packets cause. A fault of the library over one of them ends its viewer, not all. Returns whether there was none.
fn contained(work: impl FnOnce()) -> bool {
    let done = catch_unwind(AssertUnwindSafe(work));
    if done.is_err() {
        tracing::error!("a viewer is given up: its packets broke the WebRTC library");
    }
    done.is_ok()
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

impl Task {
    fn new(
        socket: UdpPort,
        requests: mpsc::Receiver<Request>,
        entering: mpsc::Receiver<TcpStream>,
        count: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            socket,
            requests,
            entering,
            connections: Connections::default(),
            count,
            viewers: BTreeMap::new(),
            routes: BTreeMap::new(),
            units: FuturesUnordered::new(),
        }
    }

    async fn run(mut self) {
        let mut datagrams = Datagrams::new();
        loop {
            let now = Instant::now();
            let polled = self.viewers.values().map(|watching| watching.poll_at).min();
            let next = [polled, self.connections.close_overdue(now)].into_iter().flatten().min();
            let until = next.unwrap_or(now + LONGEST_WAIT).min(now + LONGEST_WAIT);
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(request) => self.take(request),
                    // The server is dropped.
                    None => return self.end_all(),
                },
                is_readable = self.socket.readable() => {
                    if is_readable {
                        self.receive(&mut datagrams);
                    }
                }
                Some(stream) = self.entering.recv() => self.connections.add(stream, Instant::now()),
                Some(wake) = self.connections.next() => self.serve(wake),
                Some(arrival) = self.units.next() => self.show(arrival),
                () = tokio::time::sleep_until(until.into()) => {}
            }
            self.poll_due();
        }
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Add { watching, reply } => {
                if let Err(refusal) = self.make_room(watching.from) {
                    // Who asked may be gone.
                    let _asked = reply.send(Err(refusal));
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
    /// unconnected viewer is removed once its time to connect is over. `Err`: there is no room.
    fn make_room(&mut self, from: IpAddr) -> Result<(), OfferError> {
        let from = network_of(from);
        let unconnected = || self.viewers.iter().filter(|(_, watching)| !watching.viewer.is_connected());
        let of_network = || unconnected().filter(|(_, watching)| network_of(watching.from) == from);
        let oldest = if of_network().count() >= MOST_UNCONNECTED {
            of_network().min_by_key(|(_, watching)| watching.created)
        } else if self.viewers.len() >= MOST_VIEWERS {
            unconnected().min_by_key(|(_, watching)| watching.created)
        } else {
            return Ok(());
        };
        let refusal = if oldest.is_some() { OfferError::TooManyWaiting } else { OfferError::TooManyViewers };
        let gives_way = oldest.filter(|(_, watching)| watching.created.elapsed() >= TIME_TO_CONNECT);
        let (&session, _) = gives_way.ok_or(refusal)?;
        self.remove(session);
        Ok(())
    }

    fn remove(&mut self, session: u64) {
        self.viewers.remove(&session);
        self.routes.retain(|_, of| of.session != session);
        self.connections.close_of(session);
        self.tell_count();
    }

    fn tell_count(&self) {
        self.count.store(self.viewers.len(), Ordering::Relaxed);
    }

    fn receive(&mut self, datagrams: &mut Datagrams) {
        for _ in 0..DATAGRAMS_AT_ONCE {
            if !self.socket.receive(datagrams) {
                return;
            }
            for contents in datagrams.each() {
                let datagram = Datagram { is_tcp: false, source: datagrams.source(), contents };
                self.deliver(datagram, datagrams.reached_at());
            }
        }
    }

    /// A connection over TCP has something to read, or room again.
    fn serve(&mut self, wake: Wake) {
        match wake {
            Wake::Readable(id) => {
                let Some((source, packets)) = self.connections.read(id) else { return };
                for contents in &packets {
                    self.deliver(Datagram { is_tcp: true, source, contents }, None);
                }
            }
            Wake::Writable(id) => {
                let goes_on = self.connections.write_more(id);
                if let Some(watching) = goes_on.and_then(|session| self.viewers.get_mut(&session)) {
                    watching.poll_at = Instant::now();
                }
            }
        }
    }

    fn deliver(&mut self, datagram: Datagram<'_>, reached_at: Option<IpAddr>) {
        let now = Instant::now();
        let Some(session) = self.route(now, datagram, reached_at) else { return };
        let Some(watching) = self.viewers.get_mut(&session) else { return };
        watching.poll_at = now;
        if !contained(|| watching.viewer.receive(now, datagram)) {
            self.remove(session);
        }
    }

    /// Whose datagram it is. STUN requests name their viewer; what comes after them from the same address is of the same one. Two browsers may follow each
    /// other at one address, while the first one's viewer isn't given up yet.
    fn route(&mut self, now: Instant, datagram: Datagram<'_>, reached_at: Option<IpAddr>) -> Option<u64> {
        if let Some(ufrag) = stun_ufrag(datagram.contents) {
            let is_meant = |watching: &Watching| watching.viewer.ufrag().as_bytes() == ufrag;
            let session =
                self.viewers.iter().find(|(_, watching)| is_meant(watching)).map(|(&session, _)| session)?;
            let way = (datagram.is_tcp, datagram.source);
            if self.routes.len() < MOST_ROUTES || self.routes.contains_key(&way) {
                self.routes.insert(way, Route { session, reached_at });
            }
            if datagram.is_tcp {
                self.connections.name(datagram.source, session);
            }
            return Some(session);
        }
        let known = self.routes.get(&(datagram.is_tcp, datagram.source)).map(|route| route.session);
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
        let mut over = Vec::new();
        for (&session, watching) in &mut self.viewers {
            if watching.poll_at > now {
                continue;
            }
            let (socket, routes, connections) = (&self.socket, &self.routes, &mut self.connections);
            watching.viewer.hold(watching.tcp_peer.is_some_and(|peer| connections.is_blocked(peer)));
            let mut step = Step::Over;
            contained(|| {
                step = watching.viewer.poll(now, &mut |packet| {
                    if packet.proto == Protocol::Tcp {
                        watching.tcp_peer = Some(packet.destination);
                        return connections.send(packet.destination, &packet.contents);
                    }
                    let route = routes.get(&(false, packet.destination));
                    let from = route.and_then(|route| route.reached_at);
                    socket.send(&packet.contents, packet.destination, from);
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
