//! The server of all viewers: one UDP port and one task.

use super::viewer::{Datagram, Peers, Step, Viewer};
use super::{MOST_UNCONNECTED, MOST_VIEWERS, OfferError};
use crate::camera::Subscriber;
use crate::subscription::{Received, Subscription};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

/// Requests that wait for the task.
const MOST_REQUESTS: usize = 64;
/// Larger than any datagram of a viewer.
const DATAGRAM_BYTES: usize = 2048;
/// Datagrams that are taken at once before viewers get their turn.
const DATAGRAMS_AT_ONCE: usize = 64;
/// The longest sleep: a bound, not an interval.
const LONGEST_WAIT: std::time::Duration = std::time::Duration::from_secs(5);

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
    Close { session: u64, reply: oneshot::Sender<bool> },
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

    /// The UDP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Viewers that are connected or about to be.
    pub fn viewers(&self) -> usize {
        self.viewers.load(Ordering::Relaxed)
    }

    /// Answers an offer: the viewer gets the frames of a camera as soon as it is connected.
    ///
    /// # Errors
    /// Why it isn't answered.
    pub async fn answer(
        &self,
        sdp: &str,
        camera: Subscriber,
        requester: Requester,
    ) -> Result<Answer, OfferError> {
        let addresses = self.addresses(requester.reached_at);
        let (viewer, sdp) = self.peers.answer(sdp, &addresses, Instant::now())?;
        let (reply, replied) = oneshot::channel();
        let created = Instant::now();
        let watching =
            Watching { viewer, camera, from: requester.address, created, subscriptions: 0, poll_at: created };
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

    /// Ends a viewer. Returns whether it was there.
    pub async fn close(&self, session: u64) -> bool {
        let (reply, replied) = oneshot::channel();
        let is_sent = self.requests.send(Request::Close { session, reply }).await.is_ok();
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
    requests: mpsc::Receiver<Request>,
    count: Arc<AtomicUsize>,
    viewers: BTreeMap<u64, Watching>,
    units: FuturesUnordered<NextUnit>,
}

struct Watching {
    viewer: Viewer,
    camera: Subscriber,
    from: IpAddr,
    created: Instant,
    /// How often it was subscribed: not before it is connected, as what comes before is lost on it; and again where it asks for a keyframe.
    subscriptions: u64,
    poll_at: Instant,
}

impl Task {
    fn new(socket: UdpSocket, requests: mpsc::Receiver<Request>, count: Arc<AtomicUsize>) -> Self {
        Self { socket, requests, count, viewers: BTreeMap::new(), units: FuturesUnordered::new() }
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
                self.make_room(watching.from);
                // Guessing another viewer's number must not be of use.
                let session = loop {
                    let session = fastrand::u64(..);
                    if !self.viewers.contains_key(&session) {
                        break session;
                    }
                };
                if self.viewers.len() >= MOST_VIEWERS {
                    // Who asked may be gone.
                    let _asked = reply.send(Err(OfferError::TooManyViewers));
                    return;
                }
                self.viewers.insert(session, *watching);
                self.tell_count();
                let _asked = reply.send(Ok(session));
            }
            Request::Close { session, reply } => {
                let found = self.viewers.get_mut(&session);
                let is_there = found.is_some();
                if let Some(watching) = found {
                    watching.viewer.end();
                    watching.poll_at = Instant::now();
                }
                let _asked = reply.send(is_there);
            }
        }
    }

    /// Offers that nobody follows up must not keep viewers out.
    fn make_room(&mut self, from: IpAddr) {
        let waiting = || {
            let of_address = self.viewers.iter().filter(|(_, watching)| watching.from == from);
            of_address.filter(|(_, watching)| !watching.viewer.is_connected())
        };
        if waiting().count() >= MOST_UNCONNECTED
            && let Some((&oldest, _)) = waiting().min_by_key(|(_, watching)| watching.created)
        {
            self.viewers.remove(&oldest);
        }
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
            let of = self.viewers.values_mut().find(|watching| watching.viewer.accepts(now, datagram));
            if let Some(watching) = of {
                watching.viewer.receive(now, datagram);
                watching.poll_at = now;
            }
        }
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
            let socket = &self.socket;
            let step = watching.viewer.poll(now, &mut |packet| {
                // A full buffer loses it, as any network may; the viewer asks again.
                let _lost = socket.try_send_to(&packet.contents, packet.destination);
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
            self.viewers.remove(&session);
            self.tell_count();
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
