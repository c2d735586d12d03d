//! The address of a camera, with the name and password that people type into it.

use crate::certificate::Fingerprint;
use crate::replay::{LEAST_SPEED, MOST_SPEED, Replay};
use percent_encoding::percent_decode_str;
use std::fmt;
use std::path::PathBuf;
use url::{Position, Url};

/// Longest address, bytes.
const MOST_BYTES: usize = 2048;

/// A name and a password. Neither is ever printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The password, as the camera knows it.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("Credentials(..)")
    }
}

/// Where a camera is. `Display` and `Debug` leave out the credentials and mask what looks like a password.
#[derive(Clone, PartialEq, Eq)]
pub struct CameraAddress {
    url: Url,
    scheme: Scheme,
    credentials: Option<Credentials>,
    fingerprint: Option<Fingerprint>,
    is_digest_only: bool,
}

/// How a camera is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// RTSP over TCP or UDP.
    Rtsp,
    /// RTSP over TLS.
    Rtsps,
    /// MJPEG or single JPEG pictures over HTTP.
    Http,
    /// The same over TLS.
    Https,
    /// A video of this server.
    Replay,
    /// A video device of this machine.
    Usb,
}

impl Scheme {
    fn of(name: &str) -> Option<Self> {
        match name {
            "rtsp" => Some(Self::Rtsp),
            "rtsps" => Some(Self::Rtsps),
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            _ => None,
        }
    }

    /// Where the address names no port.
    fn port(self) -> u16 {
        match self {
            Self::Rtsp => 554,
            Self::Rtsps => 322,
            Self::Http => 80,
            Self::Https => 443,
            Self::Replay | Self::Usb => 0,
        }
    }

    /// Whether the camera shows a certificate.
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Rtsps | Self::Https)
    }
}

/// What comes before a certificate's fingerprint.
const FINGERPRINT: &str = "sha256=";

/// Why an address is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Another scheme, or none.
    #[error(
        "the address of a camera begins with rtsp://, rtsps://, http:// or https://, as in rtsp://192.168.1.20/stream1; usb:/dev/video0 is a camera at this machine, and replay:VIDEO replays a video"
    )]
    Scheme,
    /// No host, or one that can't be.
    #[error("the address names no host that can exist; it looks like rtsp://192.168.1.20:554/stream1")]
    Host,
    /// It can be read in two ways.
    #[error(
        "it isn't clear where the password ends; leave user and password out of the address and enter them in their own fields"
    )]
    Ambiguous,
    /// Not a video device.
    #[error(
        "a camera at this machine is addressed by its device, as in usb:/dev/video0; /dev/video and a number it must be"
    )]
    Device,
    /// No video, or a speed that can't be.
    #[error(
        "a video is replayed by its identifier, as in replay:01K9ZQ4M7X?speed=2; speed lies between {LEAST_SPEED} and {MOST_SPEED}, and once=true plays it once"
    )]
    Replay,
    /// What stands behind `#sha256=` is no fingerprint, or there is no certificate to compare it with.
    #[error(
        "#sha256= belongs behind an rtsps:// or https:// address and is followed by the 64 hexadecimal digits of the camera's certificate; leave it out, and the camera's own is kept"
    )]
    Fingerprint,
    /// Longer than any camera's.
    #[error("the address is longer than {MOST_BYTES} bytes")]
    Length,
}

impl CameraAddress {
    /// Reads an address such as `rtsp://name:password@192.168.1.20:554/stream1`.
    ///
    /// Passwords are often typed as they are, with `@`, `:`, `/`, `#` or `%` in them, which a URL doesn't allow. The credentials end at the
    /// last `@` that a host follows; percent-encoded characters are decoded where they are valid. An address that can be read in two ways is
    /// refused; then give the credentials separately ([`Self::with_credentials`]).
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        if text.len() > MOST_BYTES {
            return Err(AddressError::Length);
        }
        if text.get(..7).is_some_and(|begin| begin.eq_ignore_ascii_case("replay:")) {
            return Self::of_replay(text);
        }
        if text.get(..4).is_some_and(|begin| begin.eq_ignore_ascii_case("usb:")) {
            return Self::of_device(text);
        }
        let scheme_ends = text.find("://").ok_or(AddressError::Scheme)?;
        let name = text[..scheme_ends].to_ascii_lowercase();
        let scheme = Scheme::of(&name).ok_or(AddressError::Scheme)?;
        let rest = &text[scheme_ends + 3..];
        let end = credentials_end(rest);
        if is_ambiguous(rest, end) {
            return Err(AddressError::Ambiguous);
        }
        let (credentials, place) = match end {
            Some(at) => (Some(credentials(&rest[..at])), &rest[at + 1..]),
            None => (None, rest),
        };
        let url = Url::parse(&format!("{name}://{place}")).map_err(|_| AddressError::Host)?;
        if url.host_str().is_none_or(str::is_empty) || !url.username().is_empty() || url.password().is_some()
        {
            return Err(AddressError::Host);
        }
        let digits = url.fragment().and_then(|fragment| fragment.strip_prefix(FINGERPRINT));
        let fingerprint = digits.map(|digits| Fingerprint::parse(digits).ok_or(AddressError::Fingerprint));
        if digits.is_some() && !scheme.is_encrypted() {
            return Err(AddressError::Fingerprint);
        }
        Ok(Self { fingerprint: fingerprint.transpose()?, url, scheme, credentials, is_digest_only: false })
    }

    fn of_replay(text: &str) -> Result<Self, AddressError> {
        let url = Url::parse(text).map_err(|_| AddressError::Replay)?;
        Replay::of(&url).ok_or(AddressError::Replay)?;
        Ok(Self { url, scheme: Scheme::Replay, credentials: None, fingerprint: None, is_digest_only: false })
    }

    fn of_device(text: &str) -> Result<Self, AddressError> {
        let url = Url::parse(text).map_err(|_| AddressError::Device)?;
        let number = url.as_str().strip_prefix("usb:/dev/video").ok_or(AddressError::Device)?;
        if !(1..=3).contains(&number.len()) || !number.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(AddressError::Device);
        }
        Ok(Self { url, scheme: Scheme::Usb, credentials: None, fingerprint: None, is_digest_only: false })
    }

    /// The device of a camera at this machine; `None`: it is elsewhere. Always `/dev/video` and a number.
    pub fn device(&self) -> Option<PathBuf> {
        (self.scheme == Scheme::Usb).then(|| PathBuf::from(self.url.path()))
    }

    /// Which video is replayed; `None`: it is a camera.
    pub fn replay(&self) -> Option<Replay> {
        (self.scheme == Scheme::Replay).then(|| Replay::of(&self.url)).flatten()
    }

    /// The same place with these credentials.
    #[must_use]
    pub fn with_credentials(self, credentials: Option<Credentials>) -> Self {
        Self { credentials: credentials.or(self.credentials), ..self }
    }

    /// The same place, which is never told the password itself: it gets digests, or nothing. For what a person has not chosen yet.
    #[must_use]
    pub fn with_digest_only(self) -> Self {
        Self { is_digest_only: true, ..self }
    }

    /// Whether basic authentication is refused.
    pub(crate) fn is_digest_only(&self) -> bool {
        self.is_digest_only
    }

    /// Without credentials.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The credentials, if there are any.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// How it is reached.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The port, the scheme's own where the address names none.
    pub fn port(&self) -> u16 {
        self.url.port().unwrap_or(self.scheme.port())
    }

    /// The certificate that the camera must show.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.fingerprint
    }

    /// The same place with this certificate alone: it stands behind the address, as in `rtsps://192.168.1.20/stream1#sha256=…`.
    #[must_use]
    pub fn with_fingerprint(mut self, fingerprint: Fingerprint) -> Self {
        if self.scheme.is_encrypted() {
            self.url.set_fragment(Some(&format!("{FINGERPRINT}{fingerprint}")));
            self.fingerprint = Some(fingerprint);
        }
        self
    }

    /// Path and query, as the camera reads them.
    pub(crate) fn path(&self) -> &str {
        match self.fingerprint {
            Some(_) => &self.url[Position::BeforePath..Position::AfterQuery],
            None => &self.url[Position::BeforePath..],
        }
    }

    /// Scheme, host and port, as in `rtsp://192.168.1.20:8554`.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", self.url.scheme(), self.host())
    }

    /// Whether both lead to the same host and port.
    pub fn is_same_host(&self, other: &Self) -> bool {
        self.url.host() == other.url.host() && self.port() == other.port()
    }

    /// Host and port; the address itself where there are none.
    pub fn host(&self) -> String {
        if matches!(self.scheme, Scheme::Replay | Scheme::Usb) {
            return self.url.to_string();
        }
        let host = self.url.host_str().unwrap_or_default();
        match self.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }
}

/// The place of the `@` after the credentials.
fn credentials_end(rest: &str) -> Option<usize> {
    let path = rest.find(['/', '?']).unwrap_or(rest.len());
    rest.rmatch_indices('@').map(|(at, _)| at).find(|&at| at < path || is_host(&rest[at + 1..]))
}

/// Whether an `@` behind the credentials, or without any, may be what ends them.
fn is_ambiguous(rest: &str, end: Option<usize>) -> bool {
    let (place, begin) = end.map_or((rest, 0), |at| (&rest[at + 1..], at + 1));
    let authority = &place[..place.find(['/', '?']).unwrap_or(place.len())];
    // `name:12/34@host`: a name and a port, or a user and a password? A host with a dot is no user.
    let is_certain = match end {
        Some(_) => false,
        None => {
            is_host(authority)
                && (authority.contains('.')
                    || authority.starts_with('[')
                    || authority.starts_with("localhost"))
        }
    };
    rest[begin..].contains('@') && !is_certain
}

/// Whether text begins with something that is a host beyond doubt: an `@` may stand in a path, too.
fn is_host(text: &str) -> bool {
    let host = &text[..text.find(['/', '?', '#']).unwrap_or(text.len())];
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !name.ends_with(']') || host.starts_with('[') => (name, Some(port)),
        _ => (host, None),
    };
    let has_port = port.is_some_and(|port| port.parse::<u16>().is_ok());
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '[' | ']' | ':'))
    };
    is_name(name) && (has_port || name.contains('.') || name.starts_with('[') || name == "localhost")
}

fn credentials(text: &str) -> Credentials {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let decoded = |part: &str| match percent_decode_str(part).decode_utf8() {
        Ok(decoded) => decoded.into_owned(),
        Err(_) => part.to_owned(),
    };
    Credentials { user: decoded(user), password: decoded(password) }
}

/// Names of parameters that hold a password in the addresses of some cameras.
const SECRET_PARAMETERS: [&str; 8] =
    ["password=", "passwd=", "pass=", "pwd=", "psw=", "auth=", "token=", "secret="];
/// Stands for what isn't shown.
const MASK: &str = "***";

/// The address without the passwords that some cameras have in their paths and queries, as in `/user=admin&password=…&channel=1`.
pub(crate) fn masked(url: &str) -> String {
    let mut shown = String::with_capacity(url.len());
    let mut rest = url;
    loop {
        let lower = rest.to_ascii_lowercase();
        let found = SECRET_PARAMETERS.iter().filter_map(|name| Some((lower.find(name)?, name.len()))).min();
        let Some((at, length)) = found else { break };
        let begin = at + length;
        let ends = [
            rest[begin..].find(['&', '/', '?', ';', '#']),
            lower[begin..].find("_channel="),
            lower[begin..].find("_stream="),
        ];
        let end = ends.into_iter().flatten().min().map_or(rest.len(), |end| begin + end);
        shown.push_str(&rest[..begin]);
        shown.push_str(MASK);
        rest = &rest[end..];
    }
    shown + rest
}

impl fmt::Display for CameraAddress {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&masked(self.url.as_str()))
    }
}

impl fmt::Debug for CameraAddress {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "CameraAddress({self})")
    }
}
