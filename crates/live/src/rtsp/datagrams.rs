//! RTP over UDP through the relay: a pair of sockets towards the camera, and one towards retina.

use crate::failure::Failure;
use crate::rtsp::quota::Quota;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tokio::net::UdpSocket;

/// Tries to find two free neighbouring ports.
const MOST_TRIES: u32 = 20;
/// Where RTP's ports are looked for, as ffmpeg and retina do.
const PORTS: std::ops::Range<u16> = 5000..65000;

/// Sockets for RTP and RTCP; the first port is even, the other follows.
struct Pair {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    port: u16,
}

impl Pair {
    async fn bind(ip: IpAddr) -> std::io::Result<Self> {
        let mut last = None;
        for _ in 0..MOST_TRIES {
            let port = fastrand::u16(PORTS) & !1;
            let rtp = UdpSocket::bind(SocketAddr::new(ip, port)).await;
            let rtcp = UdpSocket::bind(SocketAddr::new(ip, port + 1)).await;
            match (rtp, rtcp) {
                (Ok(rtp), Ok(rtcp)) => return Ok(Self { rtp, rtcp, port }),
                (Err(error), _) | (_, Err(error)) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| std::io::ErrorKind::AddrInUse.into()))
    }

    async fn connect(&self, ip: IpAddr, port: u16) -> std::io::Result<()> {
        self.rtp.connect(SocketAddr::new(ip, port)).await?;
        self.rtcp.connect(SocketAddr::new(ip, port.saturating_add(1))).await
    }
}

/// The way of one stream's datagrams.
pub(crate) struct Datagrams {
    outer: Pair,
    inner: Pair,
    /// Retina's first port.
    client_port: u16,
}

impl Datagrams {
    /// For a request with this `Transport` header; `None` if it isn't about UDP. `local` is this machine's address towards the camera.
    /// The header is returned as the camera shall read it.
    pub(crate) async fn prepare(transport: &str, local: IpAddr) -> std::io::Result<Option<(Self, String)>> {
        let ports = transport.split(';').find_map(|part| part.trim().strip_prefix("client_port="));
        let Some(client_port) = ports.and_then(first_port) else { return Ok(None) };
        let outer = Pair::bind(local).await?;
        let inner = Pair::bind(Ipv4Addr::LOCALHOST.into()).await?;
        let transport = replaced(transport, "client_port", outer.port);
        Ok(Some((Self { outer, inner, client_port }, transport)))
    }

    /// With the camera's answer. The header is returned as retina shall read it; unchanged if the camera names no port.
    pub(crate) async fn connect(&self, transport: &str, camera: IpAddr) -> std::io::Result<String> {
        let parts = || transport.split(';').map(str::trim);
        let source = parts().find_map(|part| part.strip_prefix("source=")?.trim().parse().ok());
        let port = parts().find_map(|part| first_port(part.strip_prefix("server_port=")?));
        let Some(port) = port else { return Ok(transport.to_owned()) };
        self.outer.connect(source.unwrap_or(camera), port).await?;
        self.inner.connect(Ipv4Addr::LOCALHOST.into(), self.client_port).await?;
        let without_source: Vec<&str> = parts().filter(|part| !part.starts_with("source=")).collect();
        Ok(replaced(&without_source.join(";"), "server_port", self.inner.port))
    }

    /// Carries datagrams until the quota is used up.
    pub(crate) async fn carry(self, quota: &Quota) -> Failure {
        let Self { outer, inner, .. } = self;
        let rtp = carry_both(&outer.rtp, &inner.rtp, quota);
        let rtcp = carry_both(&outer.rtcp, &inner.rtcp, quota);
        tokio::select! {
            failure = rtp => failure,
            failure = rtcp => failure,
        }
    }
}

/// Between the camera and retina.
async fn carry_both(camera: &UdpSocket, retina: &UdpSocket, quota: &Quota) -> Failure {
    let mut from_camera = vec![0; usize::from(u16::MAX)];
    let mut from_retina = vec![0; 2048];
    loop {
        // An error tells that nobody listens at the other end; datagrams are lost then as on any network.
        tokio::select! {
            received = camera.recv(&mut from_camera) => {
                let Ok(bytes) = received else { continue };
                if let Err(failure) = quota.add(bytes) {
                    return failure;
                }
                let _lost = retina.send(&from_camera[..bytes]).await;
            }
            received = retina.recv(&mut from_retina) => {
                let Ok(bytes) = received else { continue };
                let _lost = camera.send(&from_retina[..bytes]).await;
            }
        }
    }
}

/// Of `5000-5001`.
fn first_port(ports: &str) -> Option<u16> {
    ports.split('-').next()?.trim().parse().ok()
}

/// The header with other ports.
fn replaced(transport: &str, name: &str, port: u16) -> String {
    let is_named = |part: &str| part.trim().split('=').next() == Some(name);
    let parts = transport.split(';').map(|part| match is_named(part) {
        true => format!("{name}={port}-{}", port + 1),
        false => part.trim().to_owned(),
    });
    parts.collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    #[tokio::test]
    async fn datagrams_go_both_ways_and_the_headers_name_the_right_ports() {
        let localhost: IpAddr = Ipv4Addr::LOCALHOST.into();
        let (camera, retina) = (Pair::bind(localhost).await.unwrap(), Pair::bind(localhost).await.unwrap());
        let asked = format!("RTP/AVP/UDP;unicast;client_port={}-{}", retina.port, retina.port + 1);
        let (datagrams, for_camera) = Datagrams::prepare(&asked, localhost).await.unwrap().unwrap();
        let outer = first_port(for_camera.rsplit_once('=').unwrap().1).unwrap();
        assert_ne!(outer, retina.port);
        let answer = format!("{for_camera};source=127.0.0.1;server_port={}-{}", camera.port, camera.port + 1);
        let for_retina = datagrams.connect(&answer, localhost).await.unwrap();
        assert!(!for_retina.contains("source"), "{for_retina}");
        let inner = first_port(for_retina.rsplit_once('=').unwrap().1).unwrap();
        let carrying = tokio::spawn(async move { datagrams.carry(&Quota::default()).await });
        let mut buffer = [0; 16];
        for (from, to, through) in
            [(&camera.rtp, &retina.rtp, outer), (&retina.rtcp, &camera.rtcp, inner + 1)]
        {
            from.send_to(b"hello", (localhost, through)).await.unwrap();
            let (bytes, _) = to.recv_from(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..bytes], b"hello");
        }
        carrying.abort();
    }

    #[tokio::test]
    async fn interleaved_streams_need_no_sockets() {
        let found =
            Datagrams::prepare("RTP/AVP/TCP;unicast;interleaved=0-1", Ipv4Addr::LOCALHOST.into()).await;
        assert!(found.unwrap().is_none());
    }
}
