//! Asks one device what it is and what it sends.
//!
//! A request may take [`REQUEST_TIMEOUT`], a device [`DEVICE_TIMEOUT`]; what is known by then is reported. Nothing in the device is changed.
//!
//! **The password.** A device is asked without it first. If it asks for a digest by HTTP, it gets one, and otherwise one in the message
//! (WS-Security). Devices accept the latter only if its time is near their own clock's, so that is asked first, without a password; the
//! difference is reported, since a wrong clock also dates recordings wrongly. Devices lock out who tries too often: after one refused digest by HTTP, or
//! two in messages, nothing more is asked.

use crate::address::{CameraAddress, Credentials, Scheme};
use crate::dial::Dialler;
use crate::failure::Failure;
use crate::http::client::{HttpClient, Question};
use crate::onvif::place::own_address;
use crate::onvif::profile::Profile;
use crate::onvif::reply::{self, Information, MediaServices, ToldProfile};
use crate::onvif::search::ProbeMatch;
use crate::onvif::soap::{self, DEVICE, MEDIA, MEDIA2, NONCE_BYTES, Operation, Refusal, escaped, user_token};
use crate::onvif::xml::{self, Element};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use ring::rand::{SecureRandom as _, SystemRandom};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// For one answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// For all answers of a device.
pub const DEVICE_TIMEOUT: Duration = Duration::from_secs(20);
/// A clock that differs by less is as good as right: cameras accept digests within seconds of their own time.
const TOLERATED: SignedDuration = SignedDuration::from_secs(2);

/// How a device lets itself be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody may ask it.
    Open,
    /// It took the user and password.
    Password,
    /// It wants a user and a password, and none are known.
    NeedsPassword,
}

/// Why a device didn't tell everything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It can't be reached, or breaks off.
    #[error(transparent)]
    Connection(#[from] Failure),
    /// An answer took too long.
    #[error("it didn't answer within {} s; start it anew, or add it by its address", REQUEST_TIMEOUT.as_secs())]
    Silent,
    /// All of its answers together took too long.
    #[error("its answers took more than {} s; search again, or add it by its address", DEVICE_TIMEOUT.as_secs())]
    Slow,
    /// It wants a user and a password.
    #[error("it wants a user and a password; enter them and it is asked again")]
    NeedsPassword,
    /// It refuses them.
    #[error(
        "it refuses the user or the password. Cameras often have users for ONVIF of their own; add one in the camera's settings"
    )]
    WrongPassword,
    /// The answer has no end, or none that fits.
    #[error(
        "its answer is longer than {} bytes, which no camera needs; add it by its address",
        xml::MOST_BYTES
    )]
    TooLong,
    /// It answers with something else.
    #[error("its answer can't be read ({reason}); add it by its address")]
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
    /// It answers with an error.
    #[error("it answers {reason:?}; switch ONVIF on in its settings, or add it by its address")]
    Refused {
        /// In its words.
        reason: String,
    },
    /// It has no media service, or no profiles.
    #[error("it names no streams; it may be no camera, or have none set up")]
    NoStreams,
}

impl Trouble {
    /// A permanent code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Connection(failure) => failure.code(),
            Self::Silent => "silent",
            Self::Slow => "slow",
            Self::NeedsPassword => "needs_password",
            Self::WrongPassword => "wrong_password",
            Self::TooLong => "oversized",
            Self::Unreadable { .. } => "unreadable_answer",
            Self::Refused { .. } => "refused",
            Self::NoStreams => "no_streams",
        }
    }
}

/// What a device told.
#[derive(Clone, Debug, Default)]
pub struct DeviceReport {
    /// Who made it, if it says so.
    pub manufacturer: Option<String>,
    /// Its model, if it says so.
    pub model: Option<String>,
    /// The version of its firmware, if it says so.
    pub firmware: Option<String>,
    /// Its serial number, if it says so.
    pub serial: Option<String>,
    /// How far its clock is ahead of this machine's, seconds; negative: behind. `None`: it didn't tell the time.
    pub clock_offset_secs: Option<f64>,
    /// `None`: it never came to that.
    pub access: Option<Access>,
    /// Its streams, in its order.
    pub profiles: Vec<Profile>,
    /// Another host that it named in an address, and that wasn't asked.
    pub named_host: Option<String>,
    /// Why there isn't more.
    pub trouble: Option<Trouble>,
}

/// Asks a device all that adding it needs. `known` are told to it as digests only.
pub async fn ask_device(device: &ProbeMatch, known: Option<&Credentials>) -> DeviceReport {
    let mut report = DeviceReport { named_host: device.named_host.clone(), ..DeviceReport::default() };
    let mut asking = Asking {
        device,
        known,
        token: None,
        offset: SignedDuration::ZERO,
        used_password: false,
        is_refused: false,
        client: None,
    };
    let asked = timeout(DEVICE_TIMEOUT, asking.ask_all(&mut report)).await;
    report.trouble = match asked {
        Ok(Ok(())) => None,
        Ok(Err(trouble)) => Some(trouble),
        Err(_) => Some(Trouble::Slow),
    };
    report.access = match &report.trouble {
        Some(Trouble::NeedsPassword) => Some(Access::NeedsPassword),
        None | Some(Trouble::Slow | Trouble::NoStreams) if asking.used_password => Some(Access::Password),
        None => Some(Access::Open),
        Some(_) => None,
    };
    report
}

/// How the time of a digest is chosen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    /// By the device's clock.
    DeviceClock,
    /// By this machine's: some devices tell their local time as UTC, and compare with the right one.
    OwnClock,
}

struct Asking<'a> {
    device: &'a ProbeMatch,
    known: Option<&'a Credentials>,
    /// `None`: messages have no digest yet.
    token: Option<Token>,
    /// Of the device's clock from this machine's.
    offset: SignedDuration,
    used_password: bool,
    /// The password was refused for good.
    is_refused: bool,
    /// The connection to the last service.
    client: Option<(CameraAddress, HttpClient)>,
}

impl Asking<'_> {
    async fn ask_all(&mut self, report: &mut DeviceReport) -> Result<(), Trouble> {
        let service = self.device.service.clone();
        self.ask_time(&service, report).await?;
        let media = self.ask_services(&service).await?;
        let streams = self.ask_profiles(&media, report).await;
        // Who made it is nice to know, and some tell it to administrators alone. A refusal here says nothing of the streams.
        let answers = match &streams {
            Ok(()) => true,
            Err(trouble) => {
                matches!(trouble, Trouble::NoStreams | Trouble::Refused { .. } | Trouble::Unreadable { .. })
            }
        };
        if answers
            && let Ok(told) = self.call(&service, &Operation::new(DEVICE, "GetDeviceInformation")).await
        {
            let Information { manufacturer, model, firmware, serial } = reply::information(&told);
            (report.manufacturer, report.model, report.firmware, report.serial) =
                (manufacturer, model, firmware, serial);
        }
        streams
    }

    /// The device's clock.
    async fn ask_time(&mut self, service: &CameraAddress, report: &mut DeviceReport) -> Result<(), Trouble> {
        let before = Timestamp::now();
        let told = match self.call(service, &Operation::new(DEVICE, "GetSystemDateAndTime")).await {
            Ok(told) => reply::time(&told),
            // Some devices don't know the operation, or keep the time to themselves.
            Err(Trouble::Refused { .. } | Trouble::Unreadable { .. } | Trouble::NeedsPassword) => None,
            Err(trouble) => return Err(trouble),
        };
        let Some(theirs) = told else { return Ok(()) };
        let after = Timestamp::now();
        // Whole seconds, told somewhere between request and answer.
        let middle = before + after.duration_since(before) / 2 - SignedDuration::from_millis(500);
        let offset = theirs.duration_since(middle);
        report.clock_offset_secs = Some(offset.as_secs_f64());
        self.offset = if offset.abs() > TOLERATED { offset } else { SignedDuration::ZERO };
        Ok(())
    }

    /// Where it is asked for its streams.
    async fn ask_services(&mut self, service: &CameraAddress) -> Result<MediaServices, Trouble> {
        let include = "<o:IncludeCapability>false</o:IncludeCapability>".to_owned();
        let asked = self.call(service, &Operation::new(DEVICE, "GetServices").with(include)).await;
        let found = match asked {
            Ok(told) => reply::services(&told),
            // Of before 2011.
            Err(Trouble::Refused { .. } | Trouble::Unreadable { .. }) => MediaServices::default(),
            Err(trouble) => return Err(trouble),
        };
        if found != MediaServices::default() {
            return Ok(found);
        }
        let category = "<o:Category>All</o:Category>".to_owned();
        let told = self.call(service, &Operation::new(DEVICE, "GetCapabilities").with(category)).await?;
        Ok(reply::capabilities(&told))
    }

    async fn ask_profiles(
        &mut self,
        media: &MediaServices,
        report: &mut DeviceReport,
    ) -> Result<(), Trouble> {
        let mut trouble = Trouble::NoStreams;
        for (namespace, named) in [(MEDIA, &media.media), (MEDIA2, &media.media2)] {
            let Some(service) =
                named.as_deref().and_then(|named| self.own(named, &[Scheme::Http, Scheme::Https], report))
            else {
                continue;
            };
            let told = match self.call(&service, &profiles_of(namespace)).await {
                Ok(told) => reply::profiles(&told),
                // The other service may answer.
                Err(refused @ (Trouble::Refused { .. } | Trouble::Unreadable { .. })) => {
                    trouble = refused;
                    continue;
                }
                Err(trouble) => return Err(trouble),
            };
            let told = match &media.media2 {
                Some(second) if namespace == MEDIA && !told.is_empty() => {
                    self.with_second(told, second, report).await
                }
                _ => told,
            };
            for profile in told {
                let profile = self.ask_addresses(namespace, &service, profile, report).await?;
                report.profiles.push(profile);
            }
            if !report.profiles.is_empty() {
                return Ok(());
            }
        }
        Err(trouble)
    }

    /// The first media service has no word for H.265, and calls it H.264 or nothing; the second knows.
    async fn with_second(
        &mut self,
        told: Vec<ToldProfile>,
        second: &str,
        report: &mut DeviceReport,
    ) -> Vec<ToldProfile> {
        let Some(service) = self.own(second, &[Scheme::Http, Scheme::Https], report) else { return told };
        match self.call(&service, &profiles_of(MEDIA2)).await {
            Ok(second) => reply::corrected(told, &reply::profiles(&second)),
            Err(_) => told,
        }
    }

    /// Where a profile's stream and picture are.
    async fn ask_addresses(
        &mut self,
        namespace: &'static str,
        service: &CameraAddress,
        told: ToldProfile,
        report: &mut DeviceReport,
    ) -> Result<Profile, Trouble> {
        let token = escaped(&told.token);
        // RTP over RTSP over TCP, to this machine alone.
        let stream = match namespace {
            MEDIA2 => format!("<o:Protocol>RTSP</o:Protocol><o:ProfileToken>{token}</o:ProfileToken>"),
            _ => format!(
                "<o:StreamSetup><tt:Stream>RTP-Unicast</tt:Stream><tt:Transport><tt:Protocol>RTSP</tt:Protocol></tt:Transport></o:StreamSetup><o:ProfileToken>{token}</o:ProfileToken>"
            ),
        };
        let picture = format!("<o:ProfileToken>{token}</o:ProfileToken>");
        let mut trouble = None;
        let stream = match self.call(service, &Operation::new(namespace, "GetStreamUri").with(stream)).await {
            Ok(told) => {
                let uri = reply::uri(&told);
                let own =
                    uri.as_deref().and_then(|uri| self.own(uri, &[Scheme::Rtsp, Scheme::Rtsps], report));
                if own.is_none() {
                    trouble = Some("it names no RTSP address for this stream".to_owned());
                }
                own
            }
            Err(refused @ (Trouble::Refused { .. } | Trouble::Unreadable { .. })) => {
                trouble = Some(refused.to_string());
                None
            }
            Err(ends) => return Err(ends),
        };
        let snapshot =
            match self.call(service, &Operation::new(namespace, "GetSnapshotUri").with(picture)).await {
                Ok(told) => {
                    let uri = reply::uri(&told);
                    uri.as_deref().and_then(|uri| self.own(uri, &[Scheme::Http, Scheme::Https], report))
                }
                // It has none.
                Err(Trouble::Refused { .. } | Trouble::Unreadable { .. }) => None,
                Err(ends) => return Err(ends),
            };
        let ToldProfile { token, name, video_source, video } = told;
        Ok(Profile { token, name, video_source, video, stream, snapshot, trouble })
    }

    /// An address that it named, at the device itself.
    fn own(&self, named: &str, schemes: &[Scheme], report: &mut DeviceReport) -> Option<CameraAddress> {
        let own = own_address(named, self.device.host, schemes)?;
        report.named_host = report.named_host.take().or(own.named_host);
        Some(own.address)
    }

    /// One operation, with the password as far as it is asked for.
    async fn call(&mut self, service: &CameraAddress, operation: &Operation) -> Result<Element, Trouble> {
        loop {
            match self.exchange(service, operation).await? {
                Ok(told) => return Ok(told),
                Err(Refusal::Fault(reason)) => return Err(Trouble::Refused { reason }),
                Err(Refusal::Unreadable(reason)) => return Err(Trouble::Unreadable { reason }),
                Err(Refusal::NotAuthorized) if self.known.is_none() => return Err(Trouble::NeedsPassword),
                Err(Refusal::NotAuthorized) => {
                    self.token = match self.token {
                        None => Some(Token::DeviceClock),
                        Some(Token::DeviceClock) if !self.offset.is_zero() => Some(Token::OwnClock),
                        Some(_) => {
                            self.is_refused = true;
                            return Err(Trouble::WrongPassword);
                        }
                    };
                }
            }
        }
    }

    /// One request and its answer.
    async fn exchange(
        &mut self,
        service: &CameraAddress,
        operation: &Operation,
    ) -> Result<Result<Element, Refusal>, Trouble> {
        let security = match (self.known, self.token) {
            _ if self.is_refused => return Err(Trouble::WrongPassword),
            (Some(known), Some(token)) => {
                self.used_password = true;
                self.security(known, token)?
            }
            _ => String::new(),
        };
        let question = Question::message(operation.content_type(), operation.message(&security));
        let client = match &mut self.client {
            Some((place, client)) if place == service => client,
            client => {
                // What is not chosen by a person is told digests, never the password.
                let address = service.clone().with_digest_only().with_credentials(self.known.cloned());
                let new = HttpClient::new(Arc::new(Dialler::new(address)));
                &mut client.insert((service.clone(), new)).1
            }
        };
        let answered = timeout(REQUEST_TIMEOUT, async {
            let response = client.answer(&question).await?;
            let status = response.status();
            Ok((status, body(response).await?))
        });
        let answered = answered.await.map_err(|_| Trouble::Silent).and_then(|answered| answered);
        let has_answered_challenge = client.has_used_password();
        self.used_password |= has_answered_challenge;
        let (status, body) = match answered {
            Ok(answered) => answered,
            Err(trouble) => {
                // Its connection may be in the middle of an answer.
                self.client = None;
                return Err(trouble);
            }
        };
        if status == StatusCode::UNAUTHORIZED && has_answered_challenge {
            self.is_refused = true;
            return Err(Trouble::WrongPassword);
        }
        let told = soap::read(&body);
        Ok(match (status, told) {
            (_, Err(Refusal::NotAuthorized)) | (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
                Err(Refusal::NotAuthorized)
            }
            (status, Err(Refusal::Unreadable(reason))) if !status.is_success() => Err(Refusal::Fault(
                format!("{} {}; {reason}", status.as_u16(), status.canonical_reason().unwrap_or_default()),
            )),
            (_, told) => told,
        })
    }

    fn security(&self, known: &Credentials, token: Token) -> Result<String, Trouble> {
        let mut nonce = [0; NONCE_BYTES];
        let refused =
            |_| Trouble::Unreadable { reason: "the system gives no random numbers for a digest".to_owned() };
        SystemRandom::new().fill(&mut nonce).map_err(refused)?;
        let now = Timestamp::now();
        let created = match token {
            Token::DeviceClock => now.checked_add(self.offset).unwrap_or(now),
            Token::OwnClock => now,
        };
        Ok(user_token(known, &nonce, created))
    }
}

fn profiles_of(namespace: &'static str) -> Operation {
    let body = if namespace == MEDIA2 { "<o:Type>All</o:Type>" } else { "" };
    Operation::new(namespace, "GetProfiles").with(body.to_owned())
}

/// The whole body of an answer.
async fn body(response: Response<Incoming>) -> Result<Vec<u8>, Trouble> {
    let mut incoming = response.into_body();
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| Failure::Ended { reason: error.to_string() })?;
        let bytes = frame.data_ref().map_or(&[][..], |bytes| bytes);
        if body.len() + bytes.len() > xml::MOST_BYTES {
            return Err(Trouble::TooLong);
        }
        body.extend_from_slice(bytes);
    }
    Ok(body)
}
