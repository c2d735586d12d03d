//! Opens connections to a camera: TCP, and TLS where its address asks for it.

use crate::address::CameraAddress;
use crate::certificate::{Fingerprint, SameCertificate};
use crate::failure::Failure;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
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

/// Connects to the host of one address.
pub struct Dialler {
    address: CameraAddress,
    /// Where it is encrypted.
    tls: Option<Tls>,
}

struct Tls {
    config: Arc<ClientConfig>,
    certificate: Arc<SameCertificate>,
}

impl Tls {
    /// `None` if rustls has no protocol version for its own provider: that can't be.
    fn new(known: Option<Fingerprint>) -> Option<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let certificate = Arc::new(SameCertificate::new(known, provider.clone()));
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .ok()?
            .dangerous()
            .with_custom_certificate_verifier(certificate.clone())
            .with_no_client_auth();
        Some(Self { config: Arc::new(config), certificate })
    }
}

impl Dialler {
    /// Connects to nothing yet.
    pub fn new(address: CameraAddress) -> Self {
        let tls = address.scheme().is_encrypted().then(|| Tls::new(address.fingerprint())).flatten();
        Self { address, tls }
    }

    /// Where it connects to.
    pub fn address(&self) -> &CameraAddress {
        &self.address
    }

    /// Connects once and returns the certificate that the camera shows; `None` if its address isn't encrypted.
    ///
    /// # Errors
    /// Why it can't be connected.
    pub async fn certificate(&self) -> Result<Option<Fingerprint>, Failure> {
        self.dial().await?;
        Ok(self.tls.as_ref().and_then(|tls| tls.certificate.known()))
    }

    /// Connects.
    ///
    /// # Errors
    /// Nothing answers there, it doesn't speak TLS, or it isn't the camera that it was.
    pub(crate) async fn dial(&self) -> Result<Dialled, Failure> {
        let address = &self.address;
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
        let stream = match (&self.tls, address.scheme().is_encrypted()) {
            (Some(tls), _) => self.encrypt(tls, stream, peer).await?,
            (None, false) => Box::new(stream),
            // Never in plain text what was to be encrypted.
            (None, true) => {
                return Err(self.not_tls("this program has no encryption for it".to_owned()));
            }
        };
        Ok(Dialled { stream, local, peer })
    }

    async fn encrypt(&self, tls: &Tls, stream: TcpStream, peer: IpAddr) -> Result<Box<dyn Duplex>, Failure> {
        // IP addresses aren't told to the camera, names are.
        let name = match self.address.url().host() {
            Some(Host::Domain(name)) => ServerName::try_from(name.to_owned()).ok(),
            _ => None,
        };
        let name = name.unwrap_or(ServerName::IpAddress(peer.into()));
        let encrypted = TlsConnector::from(tls.config.clone()).connect(name, stream).await;
        let other = |found| Failure::OtherCertificate { host: self.address.host(), found };
        let stream = encrypted.map_err(|error| match tls.certificate.take_other() {
            Some(found) => other(found),
            None => self.not_tls(error.to_string()),
        })?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let Some(certificate) = shown else { return Err(self.not_tls("it shows no certificate".to_owned())) };
        tls.certificate.keep(certificate).map_err(other)?;
        Ok(Box::new(stream))
    }

    fn not_tls(&self, reason: String) -> Failure {
        Failure::NotTls { host: self.address.host(), reason }
    }
}
