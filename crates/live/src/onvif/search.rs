//! Who is there: a probe by multicast in every IPv4 network of this machine (WS-Discovery), and what answers.
//!
//! Anybody may answer, as often as they like. At most [`MOST_DEVICES`] are taken in all and [`MOST_OF_HOST`] of one host, from at most
//! `MOST_DATAGRAMS` datagrams of each network, each of at most `MOST_DATAGRAM_BYTES`.

use crate::address::{CameraAddress, Scheme};
use crate::onvif::place::{Network, OwnAddress, is_near, own_address};
use crate::onvif::soap::short;
use crate::onvif::xml::{Element, Vocabulary};
use ring::rand::{SecureRandom as _, SystemRandom};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

const GROUP: (Ipv4Addr, u16) = (Ipv4Addr::new(239, 255, 255, 250), 3702);
/// Devices of one search.
pub const MOST_DEVICES: usize = 64;
/// A recorder answers for each of its cameras.
pub const MOST_OF_HOST: usize = 32;
/// Of one network.
const MOST_DATAGRAMS: usize = 1000;
const MOST_DATAGRAM_BYTES: usize = 16 << 10;
/// In one datagram.
const MOST_MATCHES: usize = 8;
const MOST_ADDRESSES: usize = 16;
/// Networks of this machine. Containers bring many.
const MOST_NETWORKS: usize = 32;
/// When the probe is sent: datagrams get lost.
const PROBES_AT: [Duration; 3] = [Duration::ZERO, Duration::from_millis(400), Duration::from_millis(1200)];
/// Some devices answer to one of them alone.
const TYPES: [&str; 2] = ["dn:NetworkVideoTransmitter", "tds:Device"];

/// A device that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeMatch {
    /// The address that it answered from.
    pub host: IpAddr,
    /// Where it is asked, at that host.
    pub service: CameraAddress,
    /// The host that it named instead, if no address that it named was its own.
    pub named_host: Option<String>,
    /// As it calls itself, if it does.
    pub name: Option<String>,
    /// Its model, if it says so.
    pub hardware: Option<String>,
}

/// Why nothing could be searched.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The system doesn't say which networks there are.
    #[error("the networks of this machine can't be listed ({0}); add cameras by their addresses")]
    Networks(io::Error),
    /// There is nothing to search in.
    #[error("this machine is in no IPv4 network; connect it to the network of the cameras")]
    NoNetwork,
    /// No network takes multicast.
    #[error(
        "no network takes the search ({0}); in a container, use the network of the host, or add cameras by their addresses"
    )]
    NotSent(io::Error),
}

/// How a search went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchEnd {
    /// Networks that were searched.
    pub networks: usize,
    /// More answered than are taken.
    pub has_more: bool,
}

/// Searches all networks for this long. Each device is told once, as soon as it has answered.
///
/// # Errors
/// [`SearchError`].
pub async fn search(
    listen_for: Duration,
    found: &mpsc::Sender<ProbeMatch>,
) -> Result<SearchEnd, SearchError> {
    let networks = networks().map_err(SearchError::Networks)?;
    let until = Instant::now() + listen_for;
    let (answers, mut answered) = mpsc::channel(MOST_DEVICES);
    let mut listening = JoinSet::new();
    let mut refused = None;
    let mut end = SearchEnd::default();
    for network in networks {
        match socket(network.address).and_then(UdpSocket::from_std) {
            Ok(socket) => {
                let answers = answers.clone();
                listening.spawn(async move { listen(&socket, network, until, &answers).await });
            }
            Err(error) => refused = Some(error),
        }
    }
    drop(answers);
    if listening.is_empty() {
        return Err(refused.map_or(SearchError::NoNetwork, SearchError::NotSent));
    }
    let mut devices = Devices::default();
    while let Some(device) = answered.recv().await {
        match devices.add(&device) {
            Added::New => {
                // Nobody waits for more.
                if found.send(device).await.is_err() {
                    break;
                }
            }
            Added::Known => {}
            Added::TooMany => end.has_more = true,
        }
    }
    while let Some(listened) = listening.join_next().await {
        match listened {
            Ok(Ok(is_flooded)) => {
                end.networks += 1;
                end.has_more |= is_flooded;
            }
            Ok(Err(error)) => refused = Some(error),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
    match (end.networks, refused) {
        (0, Some(error)) => Err(SearchError::NotSent(error)),
        _ => Ok(end),
    }
}

/// Those that have answered.
#[derive(Default)]
struct Devices {
    services: BTreeSet<String>,
    of_host: BTreeMap<IpAddr, usize>,
}

#[derive(Debug, PartialEq, Eq)]
enum Added {
    New,
    Known,
    TooMany,
}

impl Devices {
    /// A device is known by where it is asked: cheap cameras share their identifiers.
    fn add(&mut self, device: &ProbeMatch) -> Added {
        let service = device.service.url().as_str();
        if self.services.contains(service) {
            return Added::Known;
        }
        let of_host = self.of_host.get(&device.host).copied().unwrap_or_default();
        if self.services.len() == MOST_DEVICES || of_host == MOST_OF_HOST {
            return Added::TooMany;
        }
        self.services.insert(service.to_owned());
        self.of_host.insert(device.host, of_host + 1);
        Added::New
    }
}

/// The IPv4 networks of this machine, without its own loop.
fn networks() -> io::Result<Vec<Network>> {
    let mut networks = Vec::new();
    for interface in if_addrs::get_if_addrs()? {
        let if_addrs::IfAddr::V4(own) = interface.addr else { continue };
        let network = Network { address: own.ip, netmask: own.netmask };
        if !own.ip.is_loopback()
            && !own.ip.is_unspecified()
            && networks.len() < MOST_NETWORKS
            && !networks.contains(&network)
        {
            networks.push(network);
        }
    }
    Ok(networks)
}

/// A socket whose multicasts go into the network of this address.
fn socket(address: Ipv4Addr) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_multicast_if_v4(&address)?;
    socket.set_multicast_ttl_v4(1)?;
    socket.bind(&SocketAddr::from((address, 0)).into())?;
    Ok(socket.into())
}

/// Probes a network, and passes on what answers. Whether there was more than is read.
async fn listen(
    socket: &UdpSocket,
    network: Network,
    until: Instant,
    answers: &mpsc::Sender<ProbeMatch>,
) -> io::Result<bool> {
    let receive = async {
        // One byte more than is read shows what is longer.
        let mut buffer = vec![0; MOST_DATAGRAM_BYTES + 1];
        for _ in 0..MOST_DATAGRAMS {
            // An earlier datagram may have been refused by its receiver, which is told here.
            let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
            if length > MOST_DATAGRAM_BYTES || !is_near(from.ip(), network) {
                continue;
            }
            for device in read_probe_matches(&buffer[..length], from.ip()) {
                if answers.send(device).await.is_err() {
                    return true;
                }
            }
        }
        true
    };
    let started = Instant::now();
    let send = async {
        for after in PROBES_AT {
            sleep_until(started + after).await;
            for types in TYPES {
                socket.send_to(probe(types).as_bytes(), GROUP).await?;
            }
        }
        std::future::pending::<io::Result<bool>>().await
    };
    let both = async {
        tokio::select! {
            is_flooded = receive => Ok(is_flooded),
            sent = send => sent,
        }
    };
    timeout_at(until, both).await.unwrap_or(Ok(false))
}

fn probe(types: &str) -> String {
    let id = message_id();
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"><s:Header><a:Action s:mustUnderstand="1">http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action><a:MessageID>uuid:{id}</a:MessageID><a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo><a:To s:mustUnderstand="1">urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To></s:Header><s:Body><d:Probe><d:Types xmlns:dn="http://www.onvif.org/ver10/network/wsdl" xmlns:tds="http://www.onvif.org/ver10/device/wsdl">{types}</d:Types></d:Probe></s:Body></s:Envelope>"#
    )
}

/// A UUID of random bits (version 4).
fn message_id() -> String {
    let mut bytes = [0; 16];
    // Without the system's chance, identifiers only have to differ.
    if SystemRandom::new().fill(&mut bytes).is_err() {
        bytes = std::array::from_fn(|_| fastrand::u8(..));
    }
    let bits = (u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let digits = format!("{bits:032x}");
    [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)].map(|(from, to)| &digits[from..to]).join("-")
}

/// The devices in an answer that came from `host`. What can't be read holds none.
pub fn read_probe_matches(datagram: &[u8], host: IpAddr) -> Vec<ProbeMatch> {
    let Ok(envelope) = Element::read(datagram) else { return Vec::new() };
    let Some(matches) = envelope.find(Vocabulary::Discovery, "ProbeMatches") else { return Vec::new() };
    let matches = matches.all(Vocabulary::Discovery, "ProbeMatch").take(MOST_MATCHES);
    matches.filter_map(|found| probe_match(found, host)).collect()
}

fn probe_match(found: &Element, host: IpAddr) -> Option<ProbeMatch> {
    let types = found.text_at(Vocabulary::Discovery, &["Types"]).unwrap_or_default();
    let scopes = found.text_at(Vocabulary::Discovery, &["Scopes"]).unwrap_or_default();
    // Printers and computers answer, too.
    let is_camera = types.contains("NetworkVideo")
        || types.contains(":Device")
        || types == "Device"
        || scopes.contains("onvif://");
    if !is_camera {
        return None;
    }
    let named = found.text_at(Vocabulary::Discovery, &["XAddrs"]).unwrap_or_default();
    let named = named.split_whitespace().take(MOST_ADDRESSES);
    let mut places: Vec<OwnAddress> =
        named.filter_map(|named| own_address(named, host, &[Scheme::Http, Scheme::Https])).collect();
    // Its own address comes first; of others, only port and path are of use.
    places.sort_by_key(|place| place.named_host.is_some());
    let place = match places.into_iter().next() {
        Some(place) => place,
        None => own_address(&format!("http://{host}/onvif/device_service"), host, &[Scheme::Http])?,
    };
    let scope = |name: &str| {
        let scope = scopes.split_whitespace().find_map(|scope| {
            let at = scope.to_ascii_lowercase().find(name)?;
            scope.get(at + name.len()..)
        })?;
        let decoded = percent_encoding::percent_decode_str(scope).decode_utf8_lossy();
        Some(short(&decoded.replace('_', " "))).filter(|text| !text.is_empty())
    };
    Some(ProbeMatch {
        host,
        service: place.address,
        named_host: place.named_host,
        name: scope("onvif://www.onvif.org/name/"),
        hardware: scope("onvif://www.onvif.org/hardware/"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    fn device(host: u32, port: usize) -> ProbeMatch {
        let host = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + host));
        let service = CameraAddress::parse(&format!("http://{host}:{port}/onvif/device_service")).unwrap();
        ProbeMatch { host, service, named_host: None, name: None, hardware: None }
    }

    #[test]
    fn ten_thousand_devices_are_no_more_than_are_taken() {
        let mut devices = Devices::default();
        let added: Vec<Added> = (0..10_000).map(|host| devices.add(&device(host, 80))).collect();
        assert_eq!(added.iter().filter(|added| **added == Added::New).count(), MOST_DEVICES);
        assert_eq!(added[MOST_DEVICES], Added::TooMany);
        assert_eq!(devices.add(&device(0, 80)), Added::Known);
        // One host alone, under many ports, leaves room for others.
        let mut devices = Devices::default();
        let added =
            (1..10_000).map(|port| devices.add(&device(1, port))).filter(|added| *added == Added::New);
        assert_eq!(added.count(), MOST_OF_HOST);
        assert_eq!(devices.add(&device(2, 80)), Added::New);
    }

    #[test]
    fn probes_differ_and_are_xml() {
        let (one, other) = (probe(TYPES[0]), probe(TYPES[0]));
        assert_ne!(one, other);
        let id = message_id();
        assert_eq!((id.len(), id.as_bytes()[14]), (36, b'4'), "{id}");
        assert!("89ab".contains(&id[19..20]), "{id}");
        let read = Element::read(one.as_bytes()).unwrap();
        assert_eq!(read.find(Vocabulary::Discovery, "Types").unwrap().text(), TYPES[0]);
    }
}
