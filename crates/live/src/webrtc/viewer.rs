//! One viewer: a peer that receives a camera's frames. It has no socket and no clock: datagrams and the time are given to it.

use super::MOST_BEHIND;
use super::offer::{self, OfferError, VideoCodec};
use crate::access_unit::{AccessUnit, Codec};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::change::SdpOffer;
use str0m::config::{CryptoProvider, DtlsCert};
use str0m::format::Codec as RtpCodec;
use str0m::media::{MediaKind, MediaTime, Mid, Pt};
use str0m::net::{Protocol, Receive, TcpType, Transmit};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig, RtcError};

/// A viewer that isn't connected for this long is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Packets that can be sent again, and for how long: some seconds of a camera of 8 Mbit/s.
const MOST_RESENT_PACKETS: usize = 2048;
const RESENT_FOR: Duration = Duration::from_secs(3);
/// At most this share of what is sent is sent again. Where packets overtake each other, viewers ask for many that are only late: str0m's own
/// limit, 0.15, left a twelfth of the frames incomplete (tests/webrtc.rs: 5 % loss, 30 ms of jitter).
const MOST_RESENT_SHARE: f32 = 0.5;
/// A new viewer gets the frames since the last keyframe at this rate, so that a burst doesn't overflow what lies between.
const CATCH_UP_BITS_PER_SEC: f64 = 60e6;
/// Frames that wait: as many as a subscription holds since the last keyframe.
const MOST_WAITING_UNITS: usize = 600;
/// A viewer that can't decode further asks for a keyframe, and again until it has one: it is answered this often at most.
const KEYFRAME_INTERVAL: Duration = Duration::from_secs(1);
/// H.264 as browsers offer it: payload numbers, and profile and level. All in packetization mode 1; browsers decode cameras' High profile
/// under Baseline as well.
const H264_PAYLOADS: [(u8, u8, u32); 6] = [
    (127, 121, 0x42_001f),
    (108, 109, 0x42_e01f),
    (123, 119, 0x4d_001f),
    (114, 115, 0x64_001f),
    (112, 113, 0x64_0c1f),
    (104, 105, 0xf4_001f),
];

/// What all viewers of a server share: the certificate and the cryptography.
#[derive(Clone, Debug)]
pub struct Peers {
    crypto: Arc<CryptoProvider>,
    certificate: DtlsCert,
}

/// Where a viewer reaches this server. At least one address is needed.
#[derive(Clone, Debug, Default)]
pub struct ServerAddresses {
    /// Over UDP.
    pub udp: Vec<SocketAddr>,
    /// Over TCP, where UDP doesn't get through: browsers prefer UDP.
    pub tcp: Vec<SocketAddr>,
}

/// A datagram that arrived, or a packet over TCP.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// It came over TCP.
    pub is_tcp: bool,
    /// The viewer's address, as it shows here.
    pub source: SocketAddr,
    /// Its bytes.
    pub contents: &'a [u8],
}

/// What a viewer needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To be polled again at this moment, if nothing arrives before.
    WaitUntil(Instant),
    /// It has left, or is given up.
    Over,
}

/// See the module's head.
#[derive(Debug)]
pub struct Viewer {
    rtc: Rtc,
    codec: VideoCodec,
    /// This side's name in STUN requests.
    ufrag: String,
    /// The candidates that stand for this server's socket, and for its connections over TCP.
    destination: Option<SocketAddr>,
    tcp_destination: Option<SocketAddr>,
    /// Nothing more is handed over: what was before waits to be sent.
    is_held: bool,
    created: Instant,
    is_connected: bool,
    video: Option<(Mid, Pt)>,
    waiting: VecDeque<(Instant, Arc<AccessUnit>)>,
    /// Before this, nothing more is sent.
    sent_until: Instant,
    /// After units were left out, until a keyframe.
    waits_for_keyframe: bool,
    last_ticks: Option<i64>,
    /// What is left to send is that it has ended.
    is_ended: bool,
    wants_keyframe: bool,
    /// When frames were last sent from a keyframe on because it had asked.
    answered: Option<Instant>,
}

impl Peers {
    /// Makes a certificate.
    ///
    /// # Errors
    /// If there is no randomness.
    pub fn new() -> Result<Self, String> {
        let crypto = str0m::crypto::from_feature_flags();
        let certificate = crypto.dtls_provider.generate_certificate();
        let certificate = certificate.ok_or_else(|| "no certificate could be made".to_owned())?;
        Ok(Self { crypto: Arc::new(crypto), certificate })
    }

    /// Answers an offer with this codec, one of [`offer::codecs`].
    ///
    /// # Errors
    /// Why it isn't answered.
    pub fn answer(
        &self,
        sdp: &str,
        codec: VideoCodec,
        addresses: &ServerAddresses,
        now: Instant,
    ) -> Result<(Viewer, String), OfferError> {
        if !offer::codecs(sdp)?.contains(&codec) {
            return Err(OfferError::NoCommonCodec);
        }
        let sdp = offer::completed(sdp);
        let not_sdp = |error: &dyn std::fmt::Display| OfferError::NotSdp(shown(&error.to_string()));
        let offer = SdpOffer::from_sdp_string(&sdp).map_err(|error| not_sdp(&error))?;
        let mut config = RtcConfig::new()
            .set_crypto_provider(self.crypto.clone())
            .set_dtls_cert(self.certificate.clone())
            .set_ice_lite(true)
            .clear_codecs()
            // Never sent; players that offer audio as well get an answer that they can read.
            .enable_opus(true, false)
            .enable_pcmu(true, false)
            .enable_pcma(true, false);
        match codec {
            VideoCodec::H264 => {
                for (payload, resend, profile_level) in H264_PAYLOADS {
                    config.codec_config().add_h264(payload.into(), Some(resend.into()), true, profile_level);
                }
            }
            VideoCodec::Vp8 => config = config.enable_vp8(true),
        }
        let mut rtc = config.build(now);
        let (mut destination, mut tcp_destination) = (None, None);
        // Only addresses that can't be a host's are refused: 0.0.0.0, for example.
        for &address in &addresses.udp {
            if let Ok(candidate) = Candidate::host(address, "udp") {
                rtc.add_local_candidate(candidate);
                destination.get_or_insert(address);
            }
        }
        for &address in &addresses.tcp {
            let candidate = Candidate::builder().tcp().host(address).tcptype(TcpType::Passive).build();
            if let Ok(candidate) = candidate {
                rtc.add_local_candidate(candidate);
                tcp_destination.get_or_insert(address);
            }
        }
        if destination.is_none() && tcp_destination.is_none() {
            return Err(OfferError::Stopping);
        }
        // str0m asserts some of what it expects of an offer. What a visitor sends must not end anything but its own request.
        let accepted = catch_unwind(AssertUnwindSafe(|| rtc.sdp_api().accept_offer(offer)));
        let accepted = accepted.map_err(|_panic| not_sdp(&"its parts contradict each other"))?;
        let answer = accepted.map_err(|error| not_sdp(&error))?.to_sdp_string();
        let answer = offer::repaired_answer(&answer, &sdp);
        if !offer::answers(&answer, codec) {
            return Err(OfferError::NoCommonCodec);
        }
        let viewer = Viewer {
            rtc,
            codec,
            ufrag: offer::ufrag(&answer).unwrap_or_default().to_owned(),
            destination,
            tcp_destination,
            is_held: false,
            created: now,
            is_connected: false,
            video: None,
            waiting: VecDeque::new(),
            sent_until: now,
            waits_for_keyframe: true,
            last_ticks: None,
            is_ended: false,
            wants_keyframe: false,
            answered: None,
        };
        Ok((viewer, answer))
    }
}

/// What a peer wrote, without what could disturb a terminal or a page, and without the parser's positions, which are addresses in memory.
fn shown(text: &str) -> String {
    if text.contains("PointerOffset") {
        return "a line of it is not as SDP has it".to_owned();
    }
    text.chars().filter(|character| !character.is_control()).take(200).collect()
}

impl Viewer {
    /// This side's name in STUN requests that are for this viewer.
    pub fn ufrag(&self) -> &str {
        &self.ufrag
    }

    /// Whether a datagram is from this viewer.
    pub fn accepts(&self, now: Instant, datagram: Datagram<'_>) -> bool {
        self.input(now, datagram).is_some_and(|input| self.rtc.accepts(&input))
    }

    fn input<'a>(&self, now: Instant, datagram: Datagram<'a>) -> Option<Input<'a>> {
        let Datagram { is_tcp, source, contents } = datagram;
        let contents = contents.try_into().ok()?;
        let (proto, destination) = match is_tcp {
            true => (Protocol::Tcp, self.tcp_destination?),
            false => (Protocol::Udp, self.destination?),
        };
        Some(Input::Receive(now, Receive { proto, source, destination, contents }))
    }

    /// Takes a datagram. Poll it afterwards.
    pub fn receive(&mut self, now: Instant, datagram: Datagram<'_>) {
        let Some(input) = self.input(now, datagram) else { return };
        let received = self.rtc.handle_input(input);
        self.end_on_error(received);
    }

    fn end_on_error(&mut self, result: Result<(), RtcError>) {
        if let Err(error) = result {
            tracing::debug!("a viewer is given up: {error}");
            self.rtc.disconnect();
        }
    }

    /// Whether it is connected, so that frames reach it.
    pub fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// The next frame of the camera. Poll it afterwards.
    pub fn push(&mut self, now: Instant, unit: Arc<AccessUnit>) {
        let is_expected = match self.codec {
            VideoCodec::H264 => unit.codec == Codec::H264,
            VideoCodec::Vp8 => unit.codec == Codec::Vp8,
        };
        if !is_expected {
            self.end();
            return;
        }
        // Browsers show frames in the order in which they come: with B-frames, hardly any.
        if unit.is_keyframe {
            self.last_ticks = None;
        }
        if self.last_ticks.is_some_and(|last| unit.time_ticks <= last) {
            if !unit.is_disposable {
                self.end();
            }
            return;
        }
        self.last_ticks = Some(unit.time_ticks);
        // Old frames delay the new ones.
        if self.waiting.front().is_some_and(|(since, _)| now - *since > MOST_BEHIND) {
            self.lose();
        }
        self.waits_for_keyframe &= !unit.is_keyframe;
        if self.waits_for_keyframe {
            return;
        }
        if self.waiting.len() >= MOST_WAITING_UNITS {
            self.lose();
            return;
        }
        self.waiting.push_back((now, unit));
    }

    /// Whether it has asked for a keyframe, and an answer is due: push the units since the last keyframe again. A camera can't be asked for one.
    pub fn take_keyframe_request(&mut self, now: Instant) -> bool {
        let is_due = self.answered.is_none_or(|answered| now - answered >= KEYFRAME_INTERVAL);
        let is_answered = self.wants_keyframe && is_due;
        if is_answered {
            self.wants_keyframe = false;
            self.answered = Some(now);
            self.lose();
        }
        is_answered
    }

    /// Whether what was given to send still waits: frames wait here then, and those that wait for too long are dropped. Poll it afterwards.
    pub fn hold(&mut self, is_held: bool) {
        self.is_held = is_held;
    }

    /// Units were lost before they came here: it goes on at the next keyframe.
    pub fn lose(&mut self) {
        self.waiting.clear();
        self.waits_for_keyframe = true;
    }

    /// It is not served any more: the camera has stopped, or what it sends can't be shown.
    pub fn end(&mut self) {
        self.waiting.clear();
        self.is_ended = true;
        if let Err(error) = self.rtc.close() {
            tracing::debug!("a viewer was not told that it ended: {error}");
        }
    }

    /// Gives what is to be sent to `transmit`, and says what it needs next.
    pub fn poll(&mut self, now: Instant, transmit: &mut dyn FnMut(&Transmit)) -> Step {
        if !self.is_connected && now - self.created > CONNECT_TIMEOUT {
            self.rtc.disconnect();
        }
        let ticked = self.rtc.handle_input(Input::Timeout(now));
        self.end_on_error(ticked);
        loop {
            if !self.rtc.is_alive() {
                return Step::Over;
            }
            match self.rtc.poll_output() {
                Err(error) => self.end_on_error(Err(error)),
                Ok(Output::Transmit(packet)) => transmit(&packet),
                Ok(Output::Event(event)) => self.take(&event),
                // Closing is the last thing it does, without saying so.
                Ok(Output::Timeout(_)) if self.is_ended || !self.rtc.is_alive() => return Step::Over,
                Ok(Output::Timeout(until)) if !self.write_next(now) => {
                    let next = match self.waiting.is_empty() || self.is_held {
                        true => until,
                        false => until.min(self.sent_until),
                    };
                    let given_up = self.created + CONNECT_TIMEOUT;
                    let until = if self.is_connected { next } else { next.min(given_up) };
                    return Step::WaitUntil(until);
                }
                Ok(Output::Timeout(_)) => {}
            }
        }
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::Connected => self.is_connected = true,
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => self.rtc.disconnect(),
            Event::KeyframeRequest(_) => self.wants_keyframe = true,
            // It may come after the connection.
            Event::MediaAdded(added) if added.kind == MediaKind::Video && added.direction.is_sending() => {
                self.video = self.video.or_else(|| {
                    let writer = self.rtc.writer(added.mid)?;
                    let wanted = match self.codec {
                        VideoCodec::H264 => RtpCodec::H264,
                        VideoCodec::Vp8 => RtpCodec::Vp8,
                    };
                    let found = writer.payload_params().find(|params| params.spec().codec == wanted)?;
                    Some((added.mid, found.pt()))
                });
                if let Some(stream) = self.rtc.direct_api().stream_tx_by_mid(added.mid, None) {
                    stream.set_rtx_cache(MOST_RESENT_PACKETS, RESENT_FOR, Some(MOST_RESENT_SHARE));
                }
            }
            _ => {}
        }
    }

    /// Hands the next frame over, if its time has come. Returns whether there is something to send.
    fn write_next(&mut self, now: Instant) -> bool {
        let is_due = self.is_connected && !self.is_held && now >= self.sent_until;
        let (true, Some((mid, payload))) = (is_due, self.video) else {
            return false;
        };
        let Some((_, unit)) = self.waiting.pop_front() else { return false };
        let Some(writer) = self.rtc.writer(mid) else { return false };
        let secs = 8.0 * unit.data.len() as f64 / CATCH_UP_BITS_PER_SEC;
        self.sent_until = self.sent_until.max(now) + Duration::from_secs_f64(secs);
        // Negative only on a timeline that began before its camera was added.
        let time = MediaTime::from_90khz(u64::try_from(unit.time_ticks).unwrap_or(0));
        let written = writer.write(payload, now, time, unit.data.clone());
        self.end_on_error(written);
        true
    }
}
