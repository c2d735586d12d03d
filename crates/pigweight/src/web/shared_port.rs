//! The page's TCP port, which viewers' WebRTC connections share: a network that lets the page through lets these through as well.
//!
//! The first byte tells them apart: WebRTC's is the length of a short packet, which no request by HTTP begins with.

use axum::serve::Listener;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use pigweight_live::webrtc::TcpEntrance;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Connections that haven't sent anything yet. Further ones go to HTTP at once.
const MOST_SILENT: usize = 1024;
/// Browsers open connections ahead of requests. After this, HTTP's own limits hold.
const SILENT_TIMEOUT: Duration = Duration::from_secs(30);

/// What was written to a connection and isn't on its way yet. The system would keep megabytes, and what lies there comes late.
#[cfg(target_os = "linux")]
const MOST_UNSENT_BYTES: u32 = 128 << 10;

type Accepted = (TcpStream, SocketAddr);

/// Accepts HTTP's connections, and gives the others away.
pub struct SharedPort {
    listener: TcpListener,
    webrtc: Option<TcpEntrance>,
    /// What each begins with.
    silent: FuturesUnordered<BoxFuture<'static, (Accepted, bool)>>,
}

impl SharedPort {
    /// Without an entrance, all connections are HTTP's.
    pub fn new(listener: TcpListener, webrtc: Option<TcpEntrance>) -> Self {
        Self { listener, webrtc, silent: FuturesUnordered::new() }
    }
}

/// Waits for the first byte, and leaves it where it is. Returns whether it is WebRTC's.
async fn is_webrtc((stream, address): Accepted) -> (Accepted, bool) {
    let mut first = [0];
    let peeked = tokio::time::timeout(SILENT_TIMEOUT, stream.peek(&mut first)).await;
    let is_webrtc = matches!(peeked, Ok(Ok(1))) && TcpEntrance::is_for(first[0]);
    ((stream, address), is_webrtc)
}

impl Listener for SharedPort {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> Accepted {
        loop {
            tokio::select! {
                // Its own handling of errors: a process without free file descriptors waits.
                accepted = Listener::accept(&mut self.listener) => {
                    // Without it, live video and pictures are later where a network is slow.
                    #[cfg(target_os = "linux")]
                    let _later = socket2::SockRef::from(&accepted.0).set_tcp_notsent_lowat(MOST_UNSENT_BYTES);
                    if self.webrtc.is_none() || self.silent.len() >= MOST_SILENT {
                        return accepted;
                    }
                    self.silent.push(Box::pin(is_webrtc(accepted)));
                }
                Some((accepted, is_webrtc)) = self.silent.next() => match &self.webrtc {
                    Some(webrtc) if is_webrtc => webrtc.take(accepted.0),
                    _ => return accepted,
                },
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
