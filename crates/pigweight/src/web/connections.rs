//! Accounting of open connections, per client and in total.
//!
//! A client that opens connections and says nothing must not keep others out. When there is no room, the connection that has waited longest for a
//! request is closed, one of the client with the most connections first. A connection with a request in flight is never closed for another:
//! who wants more than its share is refused.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;

/// Descriptors that are kept back for the work: files of videos, the store, worker processes, cameras.
const RESERVED_DESCRIPTORS: u64 = 512;
/// More connections than this cost memory and help nobody.
const MOST_CONNECTIONS: u64 = 1024;
const LEAST_CONNECTIONS: u64 = 32;
/// The soft limit of descriptors is raised to this, where the system allows it.
#[cfg(unix)]
const WANTED_DESCRIPTORS: u64 = 16_384;

/// The most connections at the same time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub in_all: usize,
    /// Of one client: an address, or a network of IPv6, from which one machine can have any number of addresses.
    pub of_client: usize,
    /// WebSockets of one client.
    pub sockets_of_client: usize,
}

impl Limits {
    /// With so many descriptors. A proxy in front of the server is one client, so a client gets half.
    fn within(descriptors: u64) -> Self {
        let in_all =
            descriptors.saturating_sub(RESERVED_DESCRIPTORS).clamp(LEAST_CONNECTIONS, MOST_CONNECTIONS);
        let in_all = usize::try_from(in_all).unwrap_or(usize::MAX);
        Self { in_all, of_client: in_all / 2, sockets_of_client: in_all / 4 }
    }

    /// Raises this process's limit of descriptors, and takes what it allows.
    pub fn of_this_process() -> Self {
        Self::within(descriptors())
    }
}

#[cfg(unix)]
fn descriptors() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(WANTED_DESCRIPTORS, |maximum| maximum.min(WANTED_DESCRIPTORS));
    let Some(current) = current.filter(|&current| current < wanted) else { return current.unwrap_or(wanted) };
    match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        Ok(()) => wanted,
        Err(_) => current,
    }
}

#[cfg(not(unix))]
fn descriptors() -> u64 {
    RESERVED_DESCRIPTORS + MOST_CONNECTIONS
}

/// The connections of a server.
#[derive(Debug)]
pub struct Connections {
    limits: Limits,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next_number: u64,
    open: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    client: IpAddr,
    requests: usize,
    is_socket: bool,
    idle_since: Instant,
    closing: Arc<Notify>,
}

impl Entry {
    fn is_idle(&self) -> bool {
        self.requests == 0 && !self.is_socket
    }
}

/// A connection's place. It is free again when this is dropped.
#[derive(Debug)]
pub struct Connection {
    number: u64,
    closing: Arc<Notify>,
    connections: Arc<Connections>,
}

/// A request in flight, to the end of its response.
#[derive(Debug)]
pub struct RequestInFlight(Arc<Connection>);

impl Connections {
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, table: Mutex::default() })
    }

    /// A place for a connection from this address, if need be that of a silent one. `None`: all of the client, or all there are, are busy.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Arc<Connection>> {
        let client = client_of(address);
        let mut table = self.table();
        if table.count(client) >= self.limits.of_client {
            table.close_longest_idle_of(client)?;
        } else if table.open.len() >= self.limits.in_all {
            let busiest = table.client_to_reduce()?;
            table.close_longest_idle_of(busiest)?;
        }
        let number = table.next_number;
        table.next_number += 1;
        let closing = Arc::new(Notify::new());
        let entry = Entry {
            client,
            requests: 0,
            is_socket: false,
            idle_since: Instant::now(),
            closing: closing.clone(),
        };
        table.open.insert(number, entry);
        Some(Arc::new(Connection { number, closing, connections: self.clone() }))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Every change is complete in itself.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn count(&self, client: IpAddr) -> usize {
        self.open.values().filter(|entry| entry.client == client).count()
    }

    /// Of the clients with an idle connection, the one with the most connections.
    fn client_to_reduce(&self) -> Option<IpAddr> {
        let mut counts = BTreeMap::<IpAddr, (usize, bool)>::new();
        for entry in self.open.values() {
            let (count, has_idle) = counts.entry(entry.client).or_default();
            *count += 1;
            *has_idle |= entry.is_idle();
        }
        let reducible = counts.into_iter().filter(|(_, (_, has_idle))| *has_idle);
        reducible.max_by_key(|(_, (count, _))| *count).map(|(client, _)| client)
    }

    fn close_longest_idle_of(&mut self, client: IpAddr) -> Option<()> {
        let idle = self.open.iter().filter(|(_, entry)| entry.client == client && entry.is_idle());
        let (&number, _) = idle.min_by_key(|(_, entry)| entry.idle_since)?;
        // Its place is free at once: its task only has to end.
        let entry = self.open.remove(&number)?;
        entry.closing.notify_one();
        Some(())
    }
}

impl Connection {
    /// Returns when the connection is to be closed to make room.
    pub async fn closed_for_others(&self) {
        self.closing.notified().await;
    }

    /// Keeps the connection from being closed for others.
    pub fn begin_request(self: &Arc<Self>) -> RequestInFlight {
        self.change(|entry| entry.requests += 1);
        RequestInFlight(self.clone())
    }

    /// The connection becomes a WebSocket. Returns whether the client may have another one.
    pub fn become_socket(&self) -> bool {
        let mut table = self.connections.table();
        let Some(client) = table.open.get(&self.number).map(|entry| entry.client) else { return false };
        let is_of_client = |entry: &&Entry| entry.client == client && entry.is_socket;
        let sockets = table.open.values().filter(is_of_client).count();
        if sockets >= self.connections.limits.sockets_of_client {
            return false;
        }
        if let Some(entry) = table.open.get_mut(&self.number) {
            entry.is_socket = true;
        }
        true
    }

    /// It did not become one.
    pub fn stay_http(&self) {
        self.change(|entry| entry.is_socket = false);
    }

    fn change(&self, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.connections.table().open.get_mut(&self.number) {
            change(entry);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.table().open.remove(&self.number);
    }
}

impl Drop for RequestInFlight {
    fn drop(&mut self) {
        self.0.change(|entry| {
            entry.requests = entry.requests.saturating_sub(1);
            entry.idle_since = Instant::now();
        });
    }
}

/// Whom an address belongs to.
pub fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            // The smallest network that providers give to a customer.
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn connections() -> Arc<Connections> {
        Connections::new(Limits { in_all: 6, of_client: 4, sockets_of_client: 2 })
    }

    fn is_closing(connection: &Connection) -> bool {
        use futures::FutureExt as _;
        connection.closed_for_others().now_or_never().is_some()
    }

    #[test]
    fn the_longest_silent_connection_of_the_client_with_the_most_makes_room() {
        let connections = connections();
        let [hog, other, third] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(address);
        let hogs: Vec<_> = (0..4).map(|_| connections.admit(hog).expect("there is room")).collect();
        let busy = hogs[0].begin_request();
        let others: Vec<_> = (0..2).map(|_| connections.admit(other).expect("there is room")).collect();
        let _third = connections.admit(third).expect("a silent one makes room");
        assert_eq!(hogs.iter().map(|hog| is_closing(hog)).collect::<Vec<_>>(), [false, true, false, false]);
        assert!(!others.iter().any(|other| is_closing(other)));
        drop(busy);
        let _busy: Vec<_> = hogs.iter().chain(&others).map(Connection::begin_request).collect();
        let _last =
            connections.admit(hog).expect("the closed one's place was given away, but the third is silent");
    }

    #[test]
    fn who_has_its_share_in_use_is_refused_and_others_are_not() {
        let connections = connections();
        let hog = address("10.0.0.1");
        let hogs: Vec<_> = (0..4).map(|_| connections.admit(hog).expect("there is room")).collect();
        let mut busy: Vec<_> = hogs.iter().map(Connection::begin_request).collect();
        assert!(connections.admit(hog).is_none());
        assert!(connections.admit(address("::ffff:10.0.0.1")).is_none(), "the same in another form");
        let kept = connections.admit(address("10.0.0.2")).expect("there is room for another");
        let _busy_too = kept.begin_request();
        busy.pop();
        assert!(connections.admit(hog).is_some(), "the one that is silent now makes room");
    }

    #[test]
    fn a_network_of_version_6_is_one_client() {
        let connections = connections();
        let of_one = (1..=4).map(|host| address(&format!("2001:db8:0:7::{host}")));
        let kept: Vec<_> = of_one.map(|address| connections.admit(address).expect("room")).collect();
        let _busy: Vec<_> = kept.iter().map(Connection::begin_request).collect();
        assert!(connections.admit(address("2001:db8:0:7:ffff::9")).is_none());
        assert!(connections.admit(address("2001:db8:0:8::1")).is_some());
    }

    #[test]
    fn sockets_are_counted_and_never_closed_for_others() {
        let connections = connections();
        let hog = address("10.0.0.1");
        let hogs: Vec<_> = (0..4).map(|_| connections.admit(hog).expect("there is room")).collect();
        assert_eq!(
            hogs.iter().map(|hog| hog.become_socket()).collect::<Vec<_>>(),
            [true, true, false, false]
        );
        hogs[1].stay_http();
        assert!(hogs[2].become_socket());
        let _more: Vec<_> = (0..2).map(|_| connections.admit(hog).expect("silent ones make room")).collect();
        assert_eq!(hogs.iter().map(|hog| is_closing(hog)).collect::<Vec<_>>(), [false, true, false, true]);
    }

    #[test]
    fn descriptors_are_kept_back_for_the_work() {
        for (descriptors, in_all) in [(256, 32), (1024, 512), (4096, 1024), (1 << 20, 1024)] {
            assert_eq!(Limits::within(descriptors).in_all, in_all, "{descriptors}");
        }
    }
}
