//! The UDP port. Of each datagram it knows the address at which it came in, so that what answers it leaves from there: a machine may have several, and
//! a viewer takes nothing from another one.

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// What the system joins into one read (generic receive offload) fits in.
const READ_BYTES: usize = 64 << 10;
/// Larger than any datagram of a viewer.
const MOST_DATAGRAM_BYTES: usize = 2048;

/// See the module's head.
#[derive(Debug)]
pub(super) struct UdpPort {
    socket: UdpSocket,
    state: UdpSocketState,
    is_ipv6: bool,
}

/// Datagrams that were read at once, from one address.
pub(super) struct Datagrams {
    buffer: Vec<u8>,
    meta: RecvMeta,
}

impl Datagrams {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; READ_BYTES], meta: RecvMeta::default() }
    }

    /// Who sent them.
    pub(super) fn source(&self) -> SocketAddr {
        // A socket for both kinds of addresses shows IPv4 as IPv6.
        SocketAddr::new(self.meta.addr.ip().to_canonical(), self.meta.addr.port())
    }

    /// The address of this machine at which they came in, as [`UdpPort::send`] takes it.
    pub(super) fn reached_at(&self) -> Option<IpAddr> {
        self.meta.dst_ip
    }

    pub(super) fn each(&self) -> impl Iterator<Item = &[u8]> {
        let read = self.buffer.get(..self.meta.len).unwrap_or_default();
        read.chunks(self.meta.stride.max(1)).filter(|datagram| datagram.len() <= MOST_DATAGRAM_BYTES)
    }
}

impl UdpPort {
    pub(super) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address).await?;
        let state = UdpSocketState::new((&socket).into())?;
        let is_ipv6 = socket.local_addr()?.is_ipv6();
        Ok(Self { socket, state, is_ipv6 })
    }

    pub(super) fn port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }

    pub(super) async fn readable(&self) -> bool {
        self.socket.readable().await.is_ok()
    }

    /// Reads once. Returns whether there was something.
    pub(super) fn receive(&self, into: &mut Datagrams) -> bool {
        let Datagrams { buffer, meta } = into;
        // Errors are those of earlier sends (ICMP) or that nothing is there.
        let read = self.socket.try_io(Interest::READABLE, || {
            let mut buffers = [IoSliceMut::new(buffer)];
            self.state.recv((&self.socket).into(), &mut buffers, std::slice::from_mut(meta))
        });
        read.is_ok_and(|messages| messages > 0)
    }

    /// Sends a datagram, from this address of the machine; `None`: from the one that the system chooses. A full buffer loses it, as any network may; the
    /// viewer asks again.
    pub(super) fn send(&self, contents: &[u8], destination: SocketAddr, from: Option<IpAddr>) {
        let destination = match destination.ip() {
            // An IPv6 socket that serves IPv4 as well takes IPv4 addresses in their mapped form alone.
            IpAddr::V4(ip) if self.is_ipv6 => SocketAddr::new(ip.to_ipv6_mapped().into(), destination.port()),
            _ => destination,
        };
        let transmit = Transmit { destination, ecn: None, contents, segment_size: None, src_ip: from };
        let _lost =
            self.socket.try_io(Interest::WRITABLE, || self.state.try_send((&self.socket).into(), &transmit));
    }
}
