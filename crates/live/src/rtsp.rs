//! RTSP, also over TLS, by the `retina` crate, through a relay that bounds what a camera can make it hold: H.264 and H.265 over TCP, or over UDP where the camera
//! refuses TCP.

mod datagrams;
mod exchange;
mod message;
mod quota;
mod relay;

use crate::access_unit::{CLOCK_RATE_HZ, Codec, StreamFormat};
use crate::address::CameraAddress;
use crate::dial::Dialler;
use crate::failure::Failure;
use crate::rtsp::relay::Relay;
use crate::session::{Connector, Session, SessionUnit};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use retina::client::{
    Demuxed, InitialTimestampPolicy, PlayOptions, SessionGroup, SessionIdPolicy, SessionOptions,
    SetupOptions, Transport,
};
use retina::codec::h26x::Framing;
use retina::codec::{CodecItem, FrameFormat, ParametersRef};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::OnceCell;

/// RTSP's "unsupported transport".
const UNSUPPORTED_TRANSPORT: u16 = 461;
/// Longest text of a camera that is repeated to people.
const MOST_REASON_CHARS: usize = 200;
/// A server that still holds the last session of this program may refuse another: how long its end is waited for.
const TEARDOWN_WAIT: Duration = Duration::from_secs(2);

/// With lengths before NAL units, the crate's sample entry is that of an MP4 file. Sessions deliver start codes of the same size instead.
const FRAME_FORMAT: FrameFormat =
    FrameFormat { h26x_framing: Framing::FourByteLength, ..FrameFormat::SIMPLE };

/// Connects to an RTSP camera.
pub struct RtspConnector {
    dialler: Arc<Dialler>,
    /// Sessions that ended without the camera's knowledge are torn down.
    sessions: Arc<SessionGroup>,
    /// Started by the first connection.
    relay: OnceCell<Arc<Relay>>,
}

impl RtspConnector {
    /// For this address; connects to nothing yet.
    pub fn new(address: CameraAddress) -> Self {
        let sessions = Arc::new(SessionGroup::default().named(address.host()));
        Self { sessions, dialler: Arc::new(Dialler::new(address)), relay: OnceCell::new() }
    }

    async fn relay(&self) -> Result<&Arc<Relay>, Failure> {
        let start = || async { Ok(Arc::new(Relay::start(self.dialler.clone()).await?)) };
        let started = self.relay.get_or_try_init(start).await;
        started.map_err(|error: std::io::Error| Failure::Ended {
            reason: format!("this machine has no port left for it ({error})"),
        })
    }

    async fn open(&self, relay: &Arc<Relay>, transport: Transport) -> Result<RtspSession, Error> {
        relay.begin();
        let options = SessionOptions::default()
            .user_agent(concat!("PigWeight/", env!("CARGO_PKG_VERSION")).to_owned())
            .session_id(SessionIdPolicy::UseFirst)
            .session_group(self.sessions.clone());
        let mut session = retina::client::Session::describe(relay.url().clone(), options).await?;
        let streams = session.streams();
        let video: Vec<usize> =
            (0..streams.len()).filter(|&index| streams[index].media() == "video").collect();
        let supported =
            video.iter().copied().find_map(|index| Some((index, codec(streams[index].encoding_name())?)));
        let (stream, codec) = match (supported, video.first()) {
            (Some(supported), _) => supported,
            (None, Some(&first)) => {
                let codec = shown(&streams[first].encoding_name().to_uppercase());
                return Err(Error::Known(Failure::UnsupportedCodec { codec }));
            }
            (None, None) => return Err(Error::Known(Failure::NoVideo)),
        };
        let setup = SetupOptions::default().transport(transport).frame_format(FRAME_FORMAT);
        session.setup(stream, setup).await?;
        // Cameras state first timestamps that are wrong; the first packet's own is right.
        let play = PlayOptions::default().initial_timestamp(InitialTimestampPolicy::Ignore);
        let demuxed = session.play(play).await?.demuxed()?;
        Ok(RtspSession {
            demuxed,
            stream,
            codec,
            clock_offset_secs: None,
            host: self.dialler.address().host(),
            relay: relay.clone(),
        })
    }

    async fn open_any(&self, relay: &Arc<Relay>) -> Result<RtspSession, Error> {
        // A session that ended just now is given up by the camera first; cameras allow few.
        let stale = self.sessions.stale_sessions();
        if stale.num_sessions > 0 {
            let _still_there =
                tokio::time::timeout(TEARDOWN_WAIT, self.sessions.await_stale_sessions(&stale)).await;
        }
        match self.open(relay, Transport::Tcp(Default::default())).await {
            Err(Error::Retina(error)) if error.status_code() == Some(UNSUPPORTED_TRANSPORT) => {
                self.open(relay, Transport::Udp(Default::default())).await
            }
            opened => opened,
        }
    }
}

impl Connector for RtspConnector {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Session>, Failure>> {
        Box::pin(async {
            let relay = self.relay().await?;
            let opened = self.open_any(relay).await;
            let session = opened.map_err(|error| {
                // Where the relay ended the connection, retina knows no more than that.
                relay
                    .take_failure()
                    .unwrap_or_else(|| error.into_failure(&self.dialler.address().host(), relay))
            })?;
            Ok(Box::new(session) as Box<dyn Session>)
        })
    }

    fn host(&self) -> String {
        self.dialler.address().host()
    }
}

enum Error {
    Known(Failure),
    Retina(retina::Error),
}

impl From<retina::Error> for Error {
    fn from(error: retina::Error) -> Self {
        Self::Retina(error)
    }
}

impl Error {
    /// While connecting.
    fn into_failure(self, host: &str, relay: &Relay) -> Failure {
        let error = match self {
            Self::Known(failure) => return failure,
            Self::Retina(error) => error,
        };
        let host = host.to_owned();
        match error.status_code() {
            Some(401 | 403) => Failure::WrongPassword,
            Some(404 | 410 | 454) => Failure::NoSuchStream,
            // With success as the status, what the answer says is wrong: a session description that can't be read, for example.
            Some(status) => Failure::Refused { status, reason: reason(&error, relay) },
            None => {
                let reason = reason(&error, relay);
                // The crate keeps its errors' kinds to itself; their texts begin with them.
                if let Some(reason) = reason.strip_prefix("Unable to connect to RTSP server: ") {
                    Failure::Unreachable { host, reason: reason.to_owned() }
                } else if let Some(reason) = reason.strip_prefix("RTSP framing error: ") {
                    Failure::NotRtsp { host, reason: reason.to_owned() }
                } else {
                    Failure::Ended { reason }
                }
            }
        }
    }
}

/// The first line of what an error says, with the camera's address in place of the relay's; the rest is about sockets.
fn reason(error: &retina::Error, relay: &Relay) -> String {
    let text = error.to_string();
    shown(relay.named(text.lines().next().unwrap_or_default()).trim_end_matches([':', ' ']))
}

/// Text of a camera, without what could disturb a terminal or a page.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MOST_REASON_CHARS).collect()
}

fn codec(encoding: &str) -> Option<Codec> {
    match encoding {
        "h264" => Some(Codec::H264),
        "h265" => Some(Codec::H265),
        _ => None,
    }
}

/// Seconds between 1900, where NTP begins to count, and 1970.
const NTP_EPOCH_SECS: f64 = 2_208_988_800.0;
/// An NTP second count without its highest bit belongs to the next era, from 2036 on (RFC 5905, section 6).
const NTP_ERA_SECS: f64 = 4_294_967_296.0;

/// How far an NTP time is ahead of this machine's clock; `None`: it isn't one. RFC 3550 lets a sender without a clock send 0.
fn clock_offset_secs(ntp: u64) -> Option<f64> {
    if ntp == 0 {
        return None;
    }
    let secs = ntp as f64 / NTP_ERA_SECS;
    let is_next_era = ntp >> 63 == 0;
    let unix_secs = secs - NTP_EPOCH_SECS + if is_next_era { NTP_ERA_SECS } else { 0.0 };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(unix_secs - now.as_secs_f64())
}

/// Replaces the length before each NAL unit by a start code.
fn annex_b(mut data: Vec<u8>) -> Vec<u8> {
    let mut at = 0;
    while let Some(head) = data.get_mut(at..at + 4) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        head.copy_from_slice(&[0, 0, 0, 1]);
        at = at.saturating_add(4).saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
    }
    data
}

struct RtspSession {
    demuxed: Demuxed,
    stream: usize,
    codec: Codec,
    /// By its sender reports.
    clock_offset_secs: Option<f64>,
    host: String,
    relay: Arc<Relay>,
}

impl Session for RtspSession {
    fn format(&self) -> StreamFormat {
        let stream = &self.demuxed.streams()[self.stream];
        let parameters = match stream.parameters() {
            Some(ParametersRef::Video(parameters)) => Some(parameters),
            _ => None,
        };
        let by_parameters = parameters.and_then(|parameters| parameters.frame_rate());
        // Retina gives seconds a frame: numerator and denominator.
        let by_parameters = by_parameters.map(|(secs, frames)| f64::from(frames) / f64::from(secs));
        let frames_per_sec = stream.framerate().map(f64::from).or(by_parameters);
        StreamFormat {
            codec: self.codec,
            size: parameters.map(|parameters| parameters.pixel_dimensions()),
            frames_per_sec: frames_per_sec.filter(|rate| rate.is_finite() && *rate > 0.0),
        }
    }

    fn sample_entry(&self) -> Option<Vec<u8>> {
        match self.demuxed.streams()[self.stream].parameters() {
            Some(ParametersRef::Video(parameters)) => parameters.mp4_sample_entry().build().ok(),
            _ => None,
        }
    }

    fn clock_offset_secs(&self) -> Option<f64> {
        self.clock_offset_secs
    }

    fn next(&mut self) -> BoxFuture<'_, Result<SessionUnit, Failure>> {
        Box::pin(async {
            loop {
                match self.demuxed.next().await {
                    Some(Ok(CodecItem::VideoFrame(frame))) if frame.stream_id() == self.stream => {
                        self.relay.delivered();
                        let timestamp = frame.timestamp();
                        let rate = i64::from(timestamp.clock_rate().get());
                        return Ok(SessionUnit {
                            session_ticks: timestamp.elapsed().saturating_mul(CLOCK_RATE_HZ.into()) / rate,
                            is_keyframe: frame.is_random_access_point(),
                            is_disposable: frame.is_disposable(),
                            lost_packets: frame.loss(),
                            data: annex_b(frame.into_data()).into(),
                        });
                    }
                    Some(Ok(CodecItem::Rtcp(packet))) if packet.stream_id() == self.stream => {
                        let told = packet.pkts().find_map(|packet| packet.as_sender_report().ok()?);
                        if let Some(report) = told {
                            self.clock_offset_secs = clock_offset_secs(report.ntp_timestamp().0);
                        }
                    }
                    Some(Ok(_)) => {}
                    ended => {
                        let reason = match ended {
                            Some(Err(error)) => reason(&error, &self.relay),
                            _ => format!("{} closed it", self.host),
                        };
                        return Err(self.relay.take_failure().unwrap_or(Failure::Ended { reason }));
                    }
                }
            }
        })
    }
}
