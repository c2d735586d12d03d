//! Viewers' connections over TCP, where UDP doesn't get through: each packet behind its length, 16 bits (RFC 4571, RFC 6544).
//!
//! Whoever reaches the page can open some, so everything is bounded: how many there are, of a network and in all; how long one may take until it has named
//! its viewer; how much waits to be sent. What lies in the system's buffers is bounded too: it delays every frame behind it.

use super::network_of;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// Connections of all viewers.
const MOST_CONNECTIONS: usize = 256;
/// Of one address (of IPv6: a network of 64 bits).
const MOST_OF_NETWORK: usize = 32;
/// A connection that hasn't named a viewer by then is closed.
const NAMELESS_TIMEOUT: Duration = Duration::from_secs(5);
/// Larger than any packet of a viewer.
const MOST_PACKET_BYTES: usize = 2048;
const READ_BYTES: usize = 16 << 10;
/// Of the system's buffer for what is sent. Linux doubles it.
const SYSTEM_BUFFER_BYTES: usize = 128 << 10;
/// While more than this waits here, the viewer's frames wait, too.
const BLOCKED_BYTES: usize = 16 << 10;
/// With more than this the connection is closed: its viewer doesn't read, and what isn't frames goes on.
const MOST_WAITING_BYTES: usize = 256 << 10;

/// What the system says of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wake {
    Readable(u64),
    Writable(u64),
}

struct Connection {
    stream: Arc<TcpStream>,
    peer: SocketAddr,
    opened: Instant,
    /// It has named its viewer.
    session: Option<u64>,
    received: Packets,
    outgoing: VecDeque<u8>,
    /// A wake for writing is on its way.
    awaits_room: bool,
}

/// All connections.
#[derive(Default)]
pub(super) struct Connections {
    all: BTreeMap<u64, Connection>,
    /// By the other end.
    peers: BTreeMap<SocketAddr, u64>,
    latest: u64,
    wakes: FuturesUnordered<BoxFuture<'static, Wake>>,
}

impl Connections {
    /// Takes a connection, if there is room for it.
    pub(super) fn add(&mut self, stream: TcpStream, now: Instant) {
        let Ok(peer) = stream.peer_addr() else { return };
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let network = |address: IpAddr| network_of(address) == network_of(peer.ip());
        let of_network = self.peers.keys().filter(|peer| network(peer.ip())).count();
        let is_full = self.all.len() >= MOST_CONNECTIONS || of_network >= MOST_OF_NETWORK;
        // The same end twice would be at two addresses of this machine.
        if is_full || self.peers.contains_key(&peer) {
            return;
        }
        let socket = socket2::SockRef::from(&stream);
        // Without these it works, with more delay.
        let _slower = socket.set_send_buffer_size(SYSTEM_BUFFER_BYTES);
        let _slower = stream.set_nodelay(true);
        self.latest += 1;
        let connection = Connection {
            stream: Arc::new(stream),
            peer,
            opened: now,
            session: None,
            received: Packets::default(),
            outgoing: VecDeque::new(),
            awaits_room: false,
        };
        self.all.insert(self.latest, connection);
        self.peers.insert(peer, self.latest);
        self.await_bytes(self.latest);
    }

    /// The next thing that happens to a connection; `None`: there is none.
    pub(super) async fn next(&mut self) -> Option<Wake> {
        self.wakes.next().await
    }

    fn await_bytes(&mut self, id: u64) {
        let Some(connection) = self.all.get(&id) else { return };
        let stream = connection.stream.clone();
        self.wakes.push(Box::pin(async move {
            // An error shows when it is read.
            let _failed = stream.readable().await;
            Wake::Readable(id)
        }));
    }

    /// What has arrived at a connection: its other end, and its packets. A broken one is closed.
    pub(super) fn read(&mut self, id: u64) -> Option<(SocketAddr, Vec<Vec<u8>>)> {
        let connection = self.all.get_mut(&id)?;
        let mut buffer = vec![0; READ_BYTES];
        let read = match connection.stream.try_read(&mut buffer) {
            Ok(0) => None,
            Ok(length) => connection.received.take(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Some(Vec::new()),
            Err(_) => None,
        };
        let peer = connection.peer;
        match read {
            Some(packets) => {
                self.await_bytes(id);
                Some((peer, packets))
            }
            None => {
                self.close(id);
                None
            }
        }
    }

    /// A connection has named its viewer.
    pub(super) fn name(&mut self, peer: SocketAddr, session: u64) {
        if let Some(connection) = self.peers.get(&peer).and_then(|id| self.all.get_mut(id)) {
            connection.session = Some(session);
        }
    }

    /// Sends a packet, or keeps it until there is room.
    pub(super) fn send(&mut self, peer: SocketAddr, packet: &[u8]) {
        let (Some(&id), Ok(length)) = (self.peers.get(&peer), u16::try_from(packet.len())) else { return };
        let Some(connection) = self.all.get_mut(&id) else { return };
        connection.outgoing.extend(length.to_be_bytes());
        connection.outgoing.extend(packet);
        if connection.outgoing.len() > MOST_WAITING_BYTES {
            self.close(id);
        } else {
            self.write(id);
        }
    }

    /// Writes what waits. Returns the viewer whose frames may go on.
    pub(super) fn write(&mut self, id: u64) -> Option<u64> {
        let connection = self.all.get_mut(&id)?;
        while !connection.outgoing.is_empty() {
            let (waiting, _) = connection.outgoing.as_slices();
            match connection.stream.try_write(waiting) {
                Ok(written) if written > 0 => drop(connection.outgoing.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !std::mem::replace(&mut connection.awaits_room, true) {
                        let stream = connection.stream.clone();
                        self.wakes.push(Box::pin(async move {
                            // An error shows when it is written to.
                            let _failed = stream.writable().await;
                            Wake::Writable(id)
                        }));
                    }
                    break;
                }
                _ => {
                    self.close(id);
                    return None;
                }
            }
        }
        connection.session.filter(|_| connection.outgoing.len() <= BLOCKED_BYTES)
    }

    /// There is room in the system's buffer.
    pub(super) fn write_more(&mut self, id: u64) -> Option<u64> {
        self.all.get_mut(&id)?.awaits_room = false;
        self.write(id)
    }

    /// Whether what was sent to this end still waits.
    pub(super) fn is_blocked(&self, peer: SocketAddr) -> bool {
        let connection = self.peers.get(&peer).and_then(|id| self.all.get(id));
        connection.is_some_and(|connection| connection.outgoing.len() > BLOCKED_BYTES)
    }

    fn close(&mut self, id: u64) {
        if let Some(connection) = self.all.remove(&id) {
            self.peers.remove(&connection.peer);
            // Who waits for it to be readable is woken, and lets go of it.
            let _gone = socket2::SockRef::from(&*connection.stream).shutdown(Shutdown::Both);
        }
    }

    /// Closes those of a viewer.
    pub(super) fn close_of(&mut self, session: u64) {
        self.close_if(|connection| connection.session == Some(session));
    }

    /// Closes those that have named no viewer in time. Returns when to look again.
    pub(super) fn close_overdue(&mut self, now: Instant) -> Option<Instant> {
        let is_nameless = |connection: &Connection| connection.session.is_none();
        self.close_if(|connection| is_nameless(connection) && now - connection.opened >= NAMELESS_TIMEOUT);
        let nameless = self.all.values().filter(|connection| is_nameless(connection));
        nameless.map(|connection| connection.opened + NAMELESS_TIMEOUT).min()
    }

    fn close_if(&mut self, is_over: impl Fn(&Connection) -> bool) {
        let over: Vec<u64> =
            self.all.iter().filter(|(_, connection)| is_over(connection)).map(|(&id, _)| id).collect();
        for id in over {
            self.close(id);
        }
    }
}

/// Splits what arrives into packets.
#[derive(Debug, Default)]
struct Packets {
    /// The beginning of a packet: less than one.
    rest: Vec<u8>,
}

impl Packets {
    /// The packets that are whole now. `None`: one is empty, or longer than any of a viewer.
    fn take(&mut self, bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
        let mut all = std::mem::take(&mut self.rest);
        all.extend_from_slice(bytes);
        let (mut packets, mut left) = (Vec::new(), &all[..]);
        while let Some((&length, rest)) = left.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(length));
            if !(1..=MOST_PACKET_BYTES).contains(&length) {
                return None;
            }
            let Some((packet, rest)) = rest.split_at_checked(length) else { break };
            packets.push(packet.to_vec());
            left = rest;
        }
        self.rest = left.to_vec();
        Some(packets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_split_wherever_they_are_cut() {
        let packets: Vec<Vec<u8>> = vec![vec![1], vec![2; 300], vec![3; MOST_PACKET_BYTES], vec![4; 20]];
        let mut bytes = Vec::new();
        for packet in &packets {
            bytes.extend((packet.len() as u16).to_be_bytes());
            bytes.extend(packet);
        }
        for size in [1, 2, 3, 7, 301, 1000, bytes.len()] {
            let mut split = Packets::default();
            let found: Vec<Vec<u8>> =
                bytes.chunks(size).flat_map(|chunk| split.take(chunk).unwrap_or_default()).collect();
            assert_eq!(found, packets, "{size} bytes at once");
            assert!(split.rest.is_empty());
        }
    }

    #[test]
    fn what_is_no_packet_of_a_viewer_ends_the_connection() {
        for head in [[0, 0], [8, 1], [0xff, 0xff]] {
            assert_eq!(Packets::default().take(&head), None, "{head:?}");
        }
        let mut half = Packets::default();
        assert_eq!(half.take(&[0]), Some(Vec::new()));
        assert_eq!(half.take(&[9, 1, 2]), Some(Vec::new()));
    }
}
