//! Cameras: adding, testing, watching and removing them.

use crate::background::camera_connector::with_certificate;
use crate::background::camera_count::CountNow;
use crate::background::camera_supervisor::{CameraStatus, ChangeError, NO_PICTURE, address_of, reason_of};
use crate::web::api::types::time;
use crate::web::app::{App, Shared};
use crate::web::auth::caller::Caller;
use crate::web::media::frames::{jpeg_answer, name_frame};
use crate::web::request::arguments::{Body, Field, Kind, RequestArguments, checked_name, given};
use crate::web::request::problem::Problem;
use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use pigweight_core::time::Pts;
use pigweight_live::{CameraAddress, CameraState as Live, StateChange, StreamFormat};
use pigweight_store::{CameraPlace, CameraRecord, RecordingMode};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

const MAX_CREDENTIAL_CHARACTERS: usize = 200;
/// How long a request waits for a newer picture.
const PICTURE_PATIENCE: Duration = Duration::from_secs(2);

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
    pub state: CameraState,
    /// RFC 3339, UTC.
    pub since: Option<String>,
    /// Why it was away.
    pub reason: Option<CameraReason>,
}

/// A camera to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCamera {
    /// One line of text.
    name: String,
    /// Such as `rtsp://192.168.1.20:554/stream1`: `rtsp`, `rtsps` (encrypted), `http` or `https` (an MJPEG stream, or a JPEG picture that is asked for again and
    /// again). `replay:VIDEO?speed=2` replays a video of this server by its identifier, over and over, or once (`once=true`), at 0.25 to 16 times its speed. `usb:/dev/video0` is a camera at the server's machine.
    /// User and password may stand in the others. Behind an encrypted address the fingerprint of the camera's certificate may stand, as `#sha256=…`; where it doesn't, that of
    /// the certificate that the camera shows now is added.
    url: String,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    password: Option<String>,
    /// Whether to connect first, and to refuse a camera that can't be connected; default true.
    #[serde(default = "yes")]
    test: bool,
}

fn yes() -> bool {
    true
}

impl RequestArguments for NewCamera {
    const FIELDS: &'static [Field] = &[
        Field::needed("name", Kind::Text),
        Field::needed("url", Kind::Text),
        Field::optional("user", Kind::TextOrNull),
        Field::optional("password", Kind::TextOrNull),
        Field::optional("test", Kind::Truth),
    ];
}

/// Changes to a camera. Leave out what shall stay.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CameraChange {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    url: Option<String>,
    /// Null: none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    user: Option<Option<String>>,
    /// Null: none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    password: Option<Option<String>>,
    /// What is kept of it: `all`, `marked` or `off`. Null: as configured.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    recording_mode: Option<Option<String>>,
}

impl RequestArguments for CameraChange {
    const READ_ONLY: &'static [&'static str] = &[
        "id",
        "video",
        "has_password",
        "certificate",
        "state",
        "since",
        "retry_at",
        "reason",
        "stream",
        "count",
        "delivered",
        "recording",
        "created_at",
    ];
    const FIELDS: &'static [Field] = &[
        Field::optional("name", Kind::TextOrNull),
        Field::optional("url", Kind::TextOrNull),
        Field::optional("user", Kind::TextOrNull),
        Field::optional("password", Kind::TextOrNull),
        Field::optional("recording_mode", Kind::TextOrNull),
    ];
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

impl CameraStateChange {
    fn of(change: &StateChange) -> Self {
        Self {
            state: (&change.state).into(),
            since: time_of_ms(change.since_unix_ms),
            reason: reason_of(&change.state).map(Into::into),
        }
    }
}

impl Camera {
    fn of(app: &App, camera: CameraRecord) -> Self {
        let status = app.cameras.status(&camera.id);
        let now = status.as_ref().map(|status| status.states.now().clone());
        let idle = if app.cameras.is_changing() { Live::Connecting } else { Live::Stopped };
        let state = now.as_ref().map_or(&idle, |now| &now.state);
        let trouble = status.as_ref().and_then(|status| status.trouble.clone());
        let is_live = matches!(state, Live::Live(_));
        let delivered = status.as_ref().map(|CameraStatus { delivered, .. }| *delivered).unwrap_or_default();
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

/// A video is replayed only by those who may see it; and what isn't reached over the network has no password.
async fn check_local(caller: &Caller, app: &App, place: &CameraPlace) -> Result<(), Problem> {
    let Ok(address) = CameraAddress::parse(&place.url) else { return Ok(()) };
    let replay = address.replay();
    if let Some(replay) = &replay {
        caller.video(app, &replay.video).await?;
    }
    if (replay.is_some() || address.device().is_some()) && place.user_name.is_some() {
        return Err(Problem::bad_request(
            "a replayed video and a camera at this machine have neither user nor password; leave them out",
        ));
    }
    Ok(())
}

/// Checks an address, and takes user and password out of it.
fn checked_place(place: &CameraPlace) -> Result<CameraPlace, Problem> {
    for text in [&place.user_name, &place.password].into_iter().flatten() {
        if text.chars().count() > MAX_CREDENTIAL_CHARACTERS || text.chars().any(char::is_control) {
            return Err(Problem::bad_request(format!(
                "user and password are lines of text of at most {MAX_CREDENTIAL_CHARACTERS} characters"
            )));
        }
    }
    let address =
        CameraAddress::parse(&place.url).map_err(|error| Problem::bad_request(error.to_string()))?;
    let own = address.credentials();
    let own_user = own.map(|own| own.user.clone());
    let own_password = own.filter(|own| !own.password.is_empty()).map(|own| own.password.clone());
    let user_name = place.user_name.clone().or(own_user);
    let password = match &place.password {
        Some(password) => Some(password.clone()),
        // The password of another user is none of this one's.
        None => own_password.filter(|_| place.user_name.is_none()),
    };
    if user_name.is_none() && password.is_some() {
        return Err(Problem::bad_request("a password without a user can't be used; name the user too"));
    }
    Ok(CameraPlace { url: address.url().to_string(), user_name, password })
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Store(error) => error.into(),
            ChangeError::TooMany => Self::new(StatusCode::CONFLICT, error.to_string()),
            ChangeError::NotStarted(_) => Self::internal(error),
        }
    }
}

/// All cameras, by name.
#[utoipa::path(get, path = "/api/cameras", responses((status = 200, body = Vec<Camera>)))]
pub async fn list(_: Caller, app: Shared) -> Result<Json<Vec<Camera>>, Problem> {
    let cameras = app.store.cameras().await?;
    Ok(Json(cameras.into_iter().map(|camera| Camera::of(&app, camera)).collect()))
}

/// Adds a camera. It is connected first: an address that can't be connected is refused with the reason, unless `test` is false.
#[utoipa::path(
    post, path = "/api/cameras", request_body = NewCamera,
    responses((status = 201, body = Camera, headers(("Location" = String, description = "The camera"))),
              (status = 400, body = Problem), (status = 404, body = Problem, description = "There is no video to replay"),
              (status = 409, body = Problem, description = "There are as many cameras as a server takes"),
              (status = 413, body = Problem), (status = 415, body = Problem),
              (status = 422, body = Problem, description = "The camera can't be connected, and why"))
)]
pub async fn add(
    caller: Caller,
    app: Shared,
    Body(NewCamera { name, url, user, password, test }): Body<NewCamera>,
) -> Result<Response, Problem> {
    let name = checked_name("camera", &name)?;
    let place = checked_place(&CameraPlace { url, user_name: user, password })?;
    check_local(&caller, &app, &place).await?;
    if test {
        let address = address_of(&place).map_err(|error| Problem::bad_request(error.to_string()))?;
        app.cameras.test(address).await.map_err(|failure| Problem::unreadable(failure.to_string()))?;
    }
    let camera = app.cameras.add(name, with_certificate(place).await).await?;
    let location =
        HeaderValue::from_str(&format!("/api/cameras/{}", camera.id)).map_err(Problem::internal)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(Camera::of(&app, camera))).into_response())
}

/// One camera.
#[utoipa::path(get, path = "/api/cameras/{id}", responses((status = 200, body = Camera), (status = 404, body = Problem)))]
pub async fn one(caller: Caller, app: Shared, Path(id): Path<String>) -> Result<Json<Camera>, Problem> {
    let camera = caller.camera(&app, &id).await?;
    Ok(Json(Camera::of(&app, camera)))
}

/// Renames a camera, connects it elsewhere, or sets what is kept of it. What was counted stays its own.
#[utoipa::path(
    put, path = "/api/cameras/{id}", request_body = CameraChange,
    responses((status = 200, body = Camera), (status = 400, body = Problem), (status = 404, body = Problem),
              (status = 413, body = Problem), (status = 415, body = Problem))
)]
pub async fn change(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    Body(CameraChange { name, url, user, password, recording_mode }): Body<CameraChange>,
) -> Result<Json<Camera>, Problem> {
    let before = caller.camera(&app, &id).await?;
    let name = name.map_or_else(|| Ok(before.name.clone()), |name| checked_name("camera", &name))?;
    let address = |url: &str| CameraAddress::parse(url).ok();
    // What was read may be sent back: passwords in it are masked.
    let url = url.filter(|url| address(&before.url).is_none_or(|address| address.to_string() != *url));
    let new = url.as_deref().and_then(address);
    let has_own = new.as_ref().is_some_and(|address| address.credentials().is_some());
    // Another camera must not be told the password of this one, nor anybody on the way to it.
    let is_elsewhere = new.as_ref().is_some_and(|new| {
        address(&before.url).is_none_or(|before| {
            let loses_encryption = before.scheme().is_encrypted() && !new.scheme().is_encrypted();
            before.host() != new.host() || loses_encryption
        })
    });
    let kept = |known: &Option<String>| known.clone().filter(|_| !is_elsewhere && !has_own);
    let place = checked_place(&CameraPlace {
        user_name: user.unwrap_or_else(|| kept(&before.user_name)),
        password: password.unwrap_or_else(|| kept(&before.password)),
        url: url.unwrap_or_else(|| before.url.clone()),
    })?;
    check_local(&caller, &app, &place).await?;
    let mode = match &recording_mode {
        Some(Some(mode)) => Some(Some(RecordingMode::named(mode).ok_or_else(|| {
            Problem::bad_request("recording_mode is all, marked or off, or null for what is configured")
        })?)),
        Some(None) => Some(None),
        None => None,
    };
    let mut camera = app.cameras.change(id.clone(), name, with_certificate(place).await).await?;
    if let Some(mode) = mode {
        camera = app.cameras.set_recording(id, mode).await?;
    }
    Ok(Json(Camera::of(&app, camera)))
}

/// Disconnects a camera, forgets its password and removes its recordings. What was counted stays, and so do clips.
#[utoipa::path(
    delete, path = "/api/cameras/{id}",
    responses((status = 204, description = "Removed"), (status = 404, body = Problem))
)]
pub async fn remove(caller: Caller, app: Shared, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let camera = caller.camera(&app, &id).await?;
    app.cameras.remove(camera.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The states of a camera since the server started, the latest first: when it was live, and when and why it was away.
#[utoipa::path(
    get, path = "/api/cameras/{id}/states",
    responses((status = 200, body = Vec<CameraStateChange>), (status = 404, body = Problem))
)]
pub async fn states(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
) -> Result<Json<Vec<CameraStateChange>>, Problem> {
    let camera = caller.camera(&app, &id).await?;
    let Some(CameraStatus { states, .. }) = app.cameras.status(&camera.id) else {
        return Ok(Json(Vec::new()));
    };
    let mut changes: Vec<_> = states.earlier().chain([states.now()]).map(CameraStateChange::of).collect();
    changes.reverse();
    Ok(Json(changes))
}

/// The picture that a camera shows now, as JPEG.
#[utoipa::path(
    get, path = "/api/cameras/{id}/frame.jpg",
    responses(
        (status = 200, content_type = "image/jpeg", body = Vec<u8>, headers(
            ("X-Frame-Time" = f64, description = "Seconds of the frame since the camera was added"),
            ("X-Frame-Pts" = i64, description = "Its pts"))),
        (status = 404, body = Problem),
        (status = 503, body = Problem, description = "The camera isn't live, and why"))
)]
pub async fn frame(caller: Caller, app: Shared, Path(id): Path<String>) -> Result<Response, Problem> {
    let camera = caller.camera(&app, &id).await?;
    let status = app.cameras.status(&camera.id);
    let state = status.as_ref().map(|status| status.states.now().state.clone());
    let Some(Live::Live(_)) = state else {
        let reason = state.as_ref().and_then(reason_of);
        let text = reason.map_or_else(
            || "the camera is being connected; ask again in a moment".to_owned(),
            |reason| reason.text,
        );
        return Err(Problem::unavailable(text));
    };
    if let Some(trouble) =
        status.and_then(|status| status.trouble).filter(|trouble| trouble.code == NO_PICTURE)
    {
        return Err(Problem::unavailable(trouble.text));
    }
    let pictures = app.cameras.picture(&camera.id);
    let picture = match pictures {
        Some(pictures) => pictures.next(PICTURE_PATIENCE).await,
        None => None,
    };
    let Some(picture) = picture else {
        return Err(Problem::unavailable("the camera has sent no whole picture yet; ask again in a moment"));
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    name_frame(&mut headers, picture.secs, Pts(picture.pts));
    Ok(jpeg_answer(headers, picture.jpeg))
}
