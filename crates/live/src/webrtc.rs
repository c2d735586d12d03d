//! WebRTC: viewers receive the camera's own frames, or, where browsers don't take these, frames that were transcoded to VP8.
//!
//! ```text
//! SDP offer → answer (offer.rs) → viewer (viewer.rs: one peer, no sockets and no clock) ↔ server (server.rs: one UDP port, one task)
//!                                                                                           ↔ connections over TCP (tcp.rs), in the same task
//! ```
//! The `str0m` crate speaks ICE, DTLS and SRTP. This side is ICE-lite: it answers at its addresses and never searches for a way. RTP timestamps
//! are the low 32 bits of [`crate::AccessUnit::time_ticks`], so a page knows which frame it shows.
//!
//! **A viewer never waits and is never waited for.** What it misses it asks for again (NACK), from a bounded memory; one that is
//! more than [`MOST_BEHIND`] behind goes on at the next keyframe.

mod offer;
mod server;
mod tcp;
mod udp;
mod viewer;

pub use offer::{OfferError, VideoCodec, codecs};
pub use server::{Answer, Requester, TcpEntrance, WebRtc, WebRtcSettings};
pub use viewer::{Datagram, Peers, ServerAddresses, Step, Viewer};

use std::net::IpAddr;
use std::time::Duration;

/// How far a viewer's frames may wait behind those of the camera.
pub const MOST_BEHIND: Duration = Duration::from_secs(2);
/// More are refused.
pub const MOST_VIEWERS: usize = 128;
/// So many offers of one address may wait for their viewers to connect; a further one takes the place of the oldest, if that has had its time.
pub const MOST_UNCONNECTED: usize = 32;

/// Hosts have whole networks of IPv6 addresses: 64 bits name the host's.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() & !u128::from(u64::MAX)).into()),
        address => address,
    }
}
