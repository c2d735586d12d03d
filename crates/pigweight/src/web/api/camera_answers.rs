//! What answers say of cameras.

use crate::background::camera_count::CountNow;
use crate::background::camera_supervisor::{CameraStatus, CountingStream as Counting, reason_of};
use crate::web::api::types::time;
use crate::web::app::App;
use pigweight_live::advice::advice;
use pigweight_live::{CameraAddress, CameraState as Live, StreamFormat, StreamSurvey};
use pigweight_store::{CameraRecord, KeptState, RecordingMode};
use serde::Serialize;
use utoipa::ToSchema;

/// What a camera is doing.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CameraState {
    /// It is being connected.
    Connecting,
    /// Frames arrive.
    Live,
    /// It can't be reached or has stopped; `reason` says why. It is tried again by itself.
    Away,
    /// The server is stopping.
    Stopped,
}

/// What a camera sends.
#[derive(Serialize, ToSchema)]
pub struct CameraStream {
    /// `h264`, `h265` or `mjpeg`.
    pub codec: &'static str,
    /// px; null before the camera has said it.
    pub width: Option<u32>,
    /// px.
    pub height: Option<u32>,
    /// As the camera states it; null if it doesn't.
    pub frames_per_sec: Option<f64>,
}

/// What a camera sends, as measured over the last ten seconds of its last connection: what cameras state is often wrong.
#[derive(Serialize, ToSchema)]
pub struct CameraMeasures {
    /// `h264`, `h265` or `mjpeg`.
    pub codec: &'static str,
    /// px; null before the camera has said it.
    pub width: Option<u32>,
    /// px.
    pub height: Option<u32>,
    /// By the frames' own times.
    pub frames_per_sec: Option<f64>,
    pub bits_per_sec: Option<f64>,
    /// The longest of the last four intervals between keyframes; or how long there has been none, if that is longer.
    pub keyframe_interval_secs: Option<f64>,
    /// Frames from one keyframe to the next.
    pub keyframe_interval_frames: Option<u32>,
    /// Whether frames come in another order than they are shown (B-frames).
    pub has_reordered_frames: bool,
    /// Share of the frames before which packets were lost, 0 to 1.
    pub loss_share: f64,
    /// How far the camera's clock is ahead of the server's; negative: behind; null: it doesn't tell.
    pub clock_offset_secs: Option<f64>,
}

/// Another stream of a camera, which is counted in place of the one that people see.
#[derive(Serialize, ToSchema)]
pub struct CountingStream {
    /// Without user and password.
    pub url: String,
    pub state: CameraState,
    /// Null unless it is live.
    pub stream: Option<CameraStream>,
    /// Null before enough has come.
    pub measured: Option<CameraMeasures>,
    /// What would be better set in the camera for this stream.
    pub advice: Vec<CameraReason>,
}

/// Why a camera is not live, or not counted.
#[derive(Serialize, ToSchema)]
pub struct CameraReason {
    /// A permanent code for programs.
    pub code: String,
    /// For people: what is wrong and what to do.
    pub text: String,
}

/// How many animals a camera shows now.
#[derive(Serialize, ToSchema)]
pub struct CameraCount {
    /// `counted`; `pending`: live and not counted yet; `no_video`: the camera isn't live, or shows no picture.
    pub state: &'static str,
    /// Animals; null unless counted.
    pub count: Option<u32>,
    /// Nine of ten true numbers lie within the count ± this many; null unless counted, and with a detector whose scores aren't calibrated.
    pub uncertainty: Option<f64>,
    /// Seconds of the counted frame since the camera was added; null unless counted.
    pub t: Option<f64>,
}

/// What a camera has delivered since the server started.
#[derive(Serialize, ToSchema)]
pub struct CameraDelivery {
    /// Coded frames.
    pub frames: u64,
    /// Connections that became live.
    pub connections: u64,
    /// RTP packets, or JPEG pictures, that were lost or came damaged.
    pub lost_packets: u64,
    /// How often the camera's clock jumped or stood still.
    pub clock_jumps: u64,
    /// Whether frames come in another order than they are shown (B-frames): then live video is transcoded for browsers. Switch B-frames off in the camera, if it can.
    pub has_reordered_frames: bool,
    /// How far the camera's clock has run from the server's since the connection began, seconds; positive: it is fast.
    pub drift_secs: f64,
}

/// What is kept of a camera.
#[derive(Serialize, ToSchema)]
pub struct CameraRecorder {
    /// `all`, `marked` (what lies around crossings and marks) or `off`: the camera's own mode, or the configured one.
    pub mode: &'static str,
    /// Why the camera isn't recorded although it should be; null if all is well.
    pub reason: Option<CameraReason>,
}

/// A camera. Its password is never shown.
#[derive(Serialize, ToSchema)]
pub struct Camera {
    /// Also its source's: lines and settings are those of the source.
    pub id: String,
    /// What it sends, as a recording: its counts, crossings and detections are at `/api/videos/{video}/…`.
    pub video: String,
    pub name: String,
    /// Without user and password; passwords in its path are masked.
    pub url: String,
    /// The user that the camera knows; null: none.
    pub user: Option<String>,
    pub has_password: bool,
    /// `kept`: what the camera sends is encrypted, and no other certificate than the one behind the address (`#sha256=…`) is accepted. `unchecked`: encrypted,
    /// and each time the server starts, the first certificate that the camera shows is accepted, since none was known when its address was entered. Null: not encrypted.
    pub certificate: Option<&'static str>,
    pub state: CameraState,
    /// Since when, RFC 3339, UTC.
    pub since: Option<String>,
    /// When it is tried again; null unless it is away.
    pub retry_at: Option<String>,
    /// Why it is away, or live and not counted; null if all is well.
    pub reason: Option<CameraReason>,
    /// Null unless it is live.
    pub stream: Option<CameraStream>,
    /// Null before enough has come; kept while the camera is away.
    pub measured: Option<CameraMeasures>,
    /// What would be better set in the camera, the most important first; empty if all is well.
    pub advice: Vec<CameraReason>,
    /// Null: the same stream is counted as is shown.
    pub counting_stream: Option<CountingStream>,
    pub count: CameraCount,
    pub delivered: CameraDelivery,
    /// What is kept of it as it was set: `all`, `marked` or `off`; null: as configured.
    pub recording_mode: Option<&'static str>,
    pub recording: CameraRecorder,
    /// RFC 3339, UTC: second 0 of its counts.
    pub created_at: String,
}

/// A state of a camera.
#[derive(Serialize, ToSchema)]
pub struct CameraStateChange {
    /// `stopped`: the server was not running, and nothing is known of the camera.
    pub state: CameraState,
    /// RFC 3339, UTC.
    pub since: Option<String>,
    /// Why it was away; or why it was stopped, if nobody stopped the server.
    pub reason: Option<CameraReason>,
}

impl CameraCount {
    fn none(state: &'static str) -> Self {
        Self { state, count: None, uncertainty: None, t: None }
    }
}

impl From<CountNow> for CameraCount {
    fn from(now: CountNow) -> Self {
        match now {
            CountNow::NoVideo => Self::none("no_video"),
            CountNow::Pending => Self::none("pending"),
            CountNow::Counted { count, uncertainty, secs } => {
                Self { state: "counted", count: Some(count), uncertainty, t: Some(secs) }
            }
        }
    }
}

impl From<&Live> for CameraState {
    fn from(state: &Live) -> Self {
        match state {
            Live::Connecting => Self::Connecting,
            Live::Live(_) => Self::Live,
            Live::Away { .. } => Self::Away,
            Live::Stopped => Self::Stopped,
        }
    }
}

impl From<pigweight_store::Reason> for CameraReason {
    fn from(reason: pigweight_store::Reason) -> Self {
        Self { code: reason.code.to_owned(), text: reason.text }
    }
}

impl From<StreamFormat> for CameraStream {
    fn from(format: StreamFormat) -> Self {
        Self {
            codec: match format.codec {
                pigweight_live::Codec::H264 => "h264",
                pigweight_live::Codec::H265 => "h265",
                pigweight_live::Codec::Mjpeg => "mjpeg",
                pigweight_live::Codec::Vp8 => "vp8",
            },
            width: format.size.map(|(width, _)| width),
            height: format.size.map(|(_, height)| height),
            frames_per_sec: format.frames_per_sec,
        }
    }
}

fn time_of_ms(unix_ms: i64) -> Option<String> {
    time(unix_ms.div_euclid(1000))
}

impl From<KeptState> for CameraStateChange {
    fn from(KeptState { state, reason_code, reason, since_millis }: KeptState) -> Self {
        Self {
            state: match state.as_str() {
                "live" => CameraState::Live,
                "away" => CameraState::Away,
                "stopped" => CameraState::Stopped,
                _ => CameraState::Connecting,
            },
            since: time_of_ms(since_millis),
            reason: reason_code.zip(reason).map(|(code, text)| CameraReason { code, text }),
        }
    }
}

impl From<StreamSurvey> for CameraMeasures {
    fn from(StreamSurvey { format, measures, clock_offset_secs }: StreamSurvey) -> Self {
        let CameraStream { codec, width, height, .. } = format.into();
        Self {
            codec,
            width,
            height,
            frames_per_sec: measures.frames_per_sec,
            bits_per_sec: measures.bits_per_sec,
            keyframe_interval_secs: measures.keyframe_interval_secs,
            keyframe_interval_frames: measures.keyframe_interval_frames,
            has_reordered_frames: measures.has_reordered_frames,
            loss_share: measures.loss_share,
            clock_offset_secs,
        }
    }
}

impl CountingStream {
    fn of(url: &str, running: Option<&Counting>) -> Self {
        let state = running.map(|running| &running.states.now().state);
        let survey = running.and_then(|running| running.survey);
        Self {
            url: CameraAddress::parse(url).map_or_else(|_| String::new(), |address| address.to_string()),
            state: state.map_or(CameraState::Stopped, Into::into),
            stream: match state {
                Some(Live::Live(format)) => Some((*format).into()),
                _ => None,
            },
            // Nobody watches it, so what browsers don't play doesn't matter.
            advice: advice_of(survey, |code| {
                !["transcoded_for_browsers", "reordered_frames"].contains(&code)
            }),
            measured: survey.map(Into::into),
        }
    }
}

fn advice_of(survey: Option<StreamSurvey>, matters: impl Fn(&str) -> bool) -> Vec<CameraReason> {
    let found = survey.map(|survey| advice(&survey)).unwrap_or_default();
    let found = found.iter().filter(|advice| matters(advice.code()));
    found.map(|advice| CameraReason { code: advice.code().to_owned(), text: advice.to_string() }).collect()
}

impl Camera {
    /// As it is now.
    pub fn of(app: &App, camera: CameraRecord) -> Self {
        let status = app.cameras.status(&camera.id);
        let now = status.as_ref().map(|status| status.states.now().clone());
        let idle = if app.cameras.is_changing() { Live::Connecting } else { Live::Stopped };
        let state = now.as_ref().map_or(&idle, |now| &now.state);
        let trouble = status.as_ref().and_then(|status| status.trouble.clone());
        let is_live = matches!(state, Live::Live(_));
        let delivered = status.as_ref().map(|CameraStatus { delivered, .. }| *delivered).unwrap_or_default();
        let survey = status.as_ref().and_then(|status| status.survey);
        let counting = status.as_ref().and_then(|status| status.counting.as_ref());
        let is_all_counted = camera.counting_url.is_none();
        let address = CameraAddress::parse(&camera.url).ok();
        let encrypted = address.as_ref().filter(|address| address.scheme().is_encrypted());
        Self {
            certificate: encrypted.map(|address| match address.fingerprint() {
                Some(_) => "kept",
                None => "unchecked",
            }),
            count: CountNow::of(&app.status, &camera, status.as_ref()).into(),
            state: state.into(),
            since: now.as_ref().and_then(|now| time_of_ms(now.since_unix_ms)),
            retry_at: match state {
                Live::Away { retry_unix_ms, .. } => time_of_ms(*retry_unix_ms),
                _ => None,
            },
            reason: reason_of(state).or_else(|| trouble.filter(|_| is_live)).map(Into::into),
            stream: match state {
                Live::Live(format) => Some((*format).into()),
                _ => None,
            },
            measured: survey.map(Into::into),
            advice: advice_of(survey, |code| code != "large_picture" || is_all_counted),
            counting_stream: camera.counting_url.as_deref().map(|url| CountingStream::of(url, counting)),
            delivered: CameraDelivery {
                frames: delivered.units,
                connections: delivered.connections,
                lost_packets: delivered.lost_packets,
                clock_jumps: delivered.clock_jumps,
                has_reordered_frames: delivered.has_reordered_frames,
                drift_secs: delivered.drift_secs,
            },
            recording_mode: camera.recording.map(RecordingMode::name),
            recording: CameraRecorder {
                mode: app.recorded.files.mode_of(&camera).name(),
                reason: status.and_then(|status| status.recording_trouble).map(Into::into),
            },
            has_password: camera.password.is_some(),
            id: camera.id,
            video: camera.video_id,
            name: camera.name,
            url: address.map_or_else(String::new, |address| address.to_string()),
            user: camera.user_name,
            created_at: time(camera.created_at).unwrap_or_default(),
        }
    }
}
