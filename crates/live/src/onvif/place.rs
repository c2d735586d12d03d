//! Where a found device may be asked: at the address that it answered from, and nowhere else.
//!
//! A device names addresses of its services, streams and pictures. Most are its own. Some aren't of use: `0.0.0.0`, `127.0.0.1`, the address
//! it had in another network, one behind a router. And a device that wants to do harm could name a third host, which would then be sent the
//! user's name and digests of the password. So the host is always replaced by the one that answered; the port and the path are the device's.

use crate::address::{CameraAddress, Scheme};
use std::net::{IpAddr, Ipv4Addr};
use url::{Host, Url};

/// Longest address that a device may name, bytes.
const MOST_BYTES: usize = 1024;

/// An address that a device named, at the device itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnAddress {
    pub(crate) address: CameraAddress,
    /// The host that stood there instead, if it was another.
    pub(crate) named_host: Option<String>,
}

/// The address of one of these schemes that a device named, at the host that answered. Credentials in it are left out. `None`: it can't be used.
pub(crate) fn own_address(named: &str, host: IpAddr, schemes: &[Scheme]) -> Option<OwnAddress> {
    let named = named.trim();
    if named.len() > MOST_BYTES {
        return None;
    }
    let url = Url::parse(named).ok()?;
    if url.port() == Some(0) {
        return None;
    }
    let named_host = match url.host()? {
        Host::Ipv4(ip) => (IpAddr::V4(ip) != host).then(|| ip.to_string()),
        Host::Ipv6(ip) => (IpAddr::V6(ip) != host).then(|| ip.to_string()),
        Host::Domain(name) => {
            Some(name.parse().map_or_else(|_| name.to_owned(), |ip: IpAddr| ip.to_string()))
        }
    };
    let named_host = named_host.filter(|name| name.parse() != Ok(host));
    let mut place = format!("{}://{}", url.scheme(), bracketed(host));
    if let Some(port) = url.port() {
        place.push_str(&format!(":{port}"));
    }
    // An @ in a path could be read as the end of credentials, and what follows it as the host.
    place.push_str(&url.path().replace('@', "%40"));
    if let Some(query) = url.query() {
        place.push('?');
        place.push_str(&query.replace('@', "%40"));
    }
    let address = CameraAddress::parse(&place).ok()?;
    let is_there = match address.url().host()? {
        Host::Ipv4(ip) => IpAddr::V4(ip) == host,
        Host::Ipv6(ip) => IpAddr::V6(ip) == host,
        Host::Domain(name) => name.parse() == Ok(host),
    };
    let is_sound = is_there && address.credentials().is_none() && schemes.contains(&address.scheme());
    is_sound.then_some(OwnAddress { address, named_host })
}

fn bracketed(host: IpAddr) -> String {
    match host {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// An IPv4 network that this machine is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// This machine's address in it.
    pub address: Ipv4Addr,
    /// As in 255.255.255.0.
    pub netmask: Ipv4Addr,
}

impl Network {
    fn holds(&self, ip: Ipv4Addr) -> bool {
        let mask = self.netmask.to_bits();
        mask != 0 && ip.to_bits() & mask == self.address.to_bits() & mask
    }
}

/// Whether a device at this address may be asked: it is in the network that it was searched in, or in a private one. The sender of a datagram
/// is easily made up; without this, anybody in the network could make the server send requests to any host of the Internet.
pub(crate) fn is_near(ip: IpAddr, network: Network) -> bool {
    let IpAddr::V4(ip) = ip else { return false };
    if ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast() {
        return false;
    }
    ip.is_private() || ip.is_link_local() || ip.is_loopback() || network.holds(ip)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    const STREAMS: [Scheme; 2] = [Scheme::Rtsp, Scheme::Rtsps];

    #[test]
    fn what_a_device_names_is_taken_to_be_at_the_device() {
        let host: IpAddr = "192.168.1.20".parse().unwrap();
        for (named, expected, named_host) in [
            ("rtsp://192.168.1.20:554/stream1", "rtsp://192.168.1.20:554/stream1", None),
            (" rtsp://192.168.1.20/a?b=c&d=e ", "rtsp://192.168.1.20/a?b=c&d=e", None),
            // Of no use: no host, this machine, another network, another port behind a router.
            ("rtsp://0.0.0.0:554/a", "rtsp://192.168.1.20:554/a", Some("0.0.0.0")),
            ("rtsp://127.0.0.1/a", "rtsp://192.168.1.20/a", Some("127.0.0.1")),
            ("rtsp://10.0.0.5:10554/a", "rtsp://192.168.1.20:10554/a", Some("10.0.0.5")),
            ("rtsp://[fe80::1]/a", "rtsp://192.168.1.20/a", Some("fe80::1")),
            // Harmful: a third host, and one that is disguised as credentials.
            ("rtsp://collector.example/a", "rtsp://192.168.1.20/a", Some("collector.example")),
            ("rtsp://u:p@192.168.1.20/a", "rtsp://192.168.1.20/a", None),
            (
                "rtsp://192.168.1.20/a@collector.example/b",
                "rtsp://192.168.1.20/a%40collector.example/b",
                None,
            ),
            (
                "rtsp://192.168.1.20/?x=@collector.example:554/b",
                "rtsp://192.168.1.20/?x=%40collector.example:554/b",
                None,
            ),
            (
                "rtsp://192.168.1.20/user=admin&password=@1.2.3.4:5/",
                "rtsp://192.168.1.20/user=admin&password=%401.2.3.4:5/",
                None,
            ),
        ] {
            let own = own_address(named, host, &STREAMS).unwrap_or_else(|| panic!("{named} is refused"));
            assert_eq!(own.address.url().as_str(), expected, "{named}");
            assert_eq!(own.named_host.as_deref(), named_host, "{named}");
            assert_eq!(own.address.credentials(), None, "{named}");
            // What is stored is read again.
            assert_eq!(CameraAddress::parse(own.address.url().as_str()).unwrap(), own.address, "{named}");
        }
        for named in [
            "",
            "/stream1",
            "http://192.168.1.20/a",
            "file:///etc/passwd",
            "usb:/dev/video0",
            "replay:VIDEO",
            "rtsp://192.168.1.20:0/a",
            "rtsp://192.168.1.20:99999/a",
            &format!("rtsp://192.168.1.20/{}", "a".repeat(2000)),
        ] {
            assert_eq!(own_address(named, host, &STREAMS), None, "{named}");
        }
    }

    #[test]
    fn only_devices_of_this_network_and_of_private_ones_are_asked() {
        let at = |address: &str, netmask: &str| Network {
            address: address.parse().unwrap(),
            netmask: netmask.parse().unwrap(),
        };
        let farm = at("192.168.1.5", "255.255.255.0");
        let campus = at("129.132.1.5", "255.255.0.0");
        let none = at("192.168.1.5", "0.0.0.0");
        for (ip, network, expected) in [
            ("192.168.1.20", farm, true),
            ("10.9.8.7", farm, true),
            ("169.254.3.4", farm, true),
            ("127.0.0.1", farm, true),
            ("129.132.9.9", campus, true),
            ("129.133.9.9", campus, false),
            ("8.8.8.8", farm, false),
            ("8.8.8.8", none, false),
            ("0.0.0.0", farm, false),
            ("255.255.255.255", farm, false),
            ("239.255.255.250", farm, false),
            ("2001:db8::1", farm, false),
        ] {
            assert_eq!(is_near(ip.parse().unwrap(), network), expected, "{ip} in {network:?}");
        }
    }
}
