//! Opens the connection to a camera: TCP, and TLS where its address asks for it.

use crate::address::CameraAddress;
use crate::failure::Failure;
use std::net::IpAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use url::Host;

/// Bytes in both directions.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection to a camera.
pub(crate) struct Dialled {
    pub(crate) stream: Box<dyn Duplex>,
    /// This machine's address on the way to the camera.
    pub(crate) local: IpAddr,
    /// The camera's.
    pub(crate) peer: IpAddr,
}

/// Connects to the host of an address.
///
/// # Errors
/// [`Failure::Unreachable`], with the system's reason.
pub(crate) async fn dial(address: &CameraAddress) -> Result<Dialled, Failure> {
    let unreachable =
        |error: std::io::Error| Failure::Unreachable { host: address.host(), reason: error.to_string() };
    let port = address.port();
    let connected = match address.url().host() {
        Some(Host::Domain(name)) => TcpStream::connect((name, port)).await,
        Some(Host::Ipv4(ip)) => TcpStream::connect((ip, port)).await,
        Some(Host::Ipv6(ip)) => TcpStream::connect((ip, port)).await,
        None => Err(std::io::Error::other("the address names no host")),
    };
    let stream = connected.map_err(unreachable)?;
    // Requests are small, and each waits for its answer.
    stream.set_nodelay(true).map_err(unreachable)?;
    let local = stream.local_addr().map_err(unreachable)?.ip();
    let peer = stream.peer_addr().map_err(unreachable)?.ip();
    Ok(Dialled { stream: Box::new(stream), local, peer })
}
