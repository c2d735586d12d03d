//! Cameras: adding, testing, watching and removing them.

use crate::background::camera_connector::with_certificate;
use crate::background::camera_supervisor::{
    CameraSurvey, ChangeError, NO_PICTURE, address_of, counting_address_of, reason_of,
};
use crate::web::api::camera_answers::{Camera, CameraStateChange};
use crate::web::api::camera_requests::{CameraChange, NewCamera, check_local, checked_place};
use crate::web::app::{App, Shared};
use crate::web::auth::caller::Caller;
use crate::web::media::frames::{jpeg_answer, name_frame};
use crate::web::request::arguments::{Body, Field, Kind, Query, RequestArguments, checked_name};
use crate::web::request::problem::Problem;
use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use pigweight_core::time::Pts;
use pigweight_live::address::AddressError;
use pigweight_live::{CameraAddress, CameraState as Live};
use pigweight_store::{CameraPlace, RecordingMode};
use serde::Deserialize;
use std::time::Duration;
use utoipa::IntoParams;

/// How long a request waits for a newer picture.
const PICTURE_PATIENCE: Duration = Duration::from_secs(2);
/// States of one answer: as many as are kept.
const MOST_STATES: u32 = 2000;

/// How many states are wanted.
#[derive(Deserialize, IntoParams)]
pub struct StatesQuery {
    /// At most 2,000, which is the default.
    #[serde(default = "most_states")]
    limit: u32,
}

fn most_states() -> u32 {
    MOST_STATES
}

impl RequestArguments for StatesQuery {
    const FIELDS: &'static [Field] = &[Field::optional("limit", Kind::Whole(1, MOST_STATES as i64))];
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

/// Adds a camera. It is connected first and looked at for up to five seconds: an address that can't be connected is refused with the reason, unless `test`
/// is false. `measured` and `advice` of the answer say what was found.
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
    Body(NewCamera { name, url, counting_url, user, password, test }): Body<NewCamera>,
) -> Result<Response, Problem> {
    let name = checked_name("camera", &name)?;
    let place = checked_place(&CameraPlace { url, counting_url, user_name: user, password })?;
    check_local(&caller, &app, &place).await?;
    add_at(&app, name, place, test).await
}

/// Adds a camera that may be reached. With `test`, only if it can be connected.
pub(super) async fn add_at(
    app: &App,
    name: String,
    place: CameraPlace,
    test: bool,
) -> Result<Response, Problem> {
    let survey = if test { surveyed(app, &place).await? } else { CameraSurvey::default() };
    let camera = app.cameras.add(name, with_certificate(place).await, survey).await?;
    let location =
        HeaderValue::from_str(&format!("/api/cameras/{}", camera.id)).map_err(Problem::internal)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(Camera::of(app, camera))).into_response())
}

/// What the streams of a camera send, one after the other: cheap cameras serve few connections at once.
async fn surveyed(app: &App, place: &CameraPlace) -> Result<CameraSurvey, Problem> {
    let no_address = |error: AddressError| Problem::bad_request(error.to_string());
    let shown = app.cameras.survey(address_of(place).map_err(no_address)?).await;
    let shown = shown.map_err(|failure| Problem::unreadable(failure.to_string()))?;
    let counting = match counting_address_of(place).map_err(no_address)? {
        Some(address) => {
            let found = app.cameras.survey(address).await;
            let refused = |failure| Problem::unreadable(format!("the stream for counting: {failure}"));
            Some(found.map_err(refused)?)
        }
        None => None,
    };
    Ok(CameraSurvey { shown: Some(shown), counting })
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
    Body(CameraChange { name, url, counting_url, user, password, recording_mode }): Body<CameraChange>,
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
        counting_url: match counting_url {
            Some(changed) => changed,
            // Of another camera.
            None => before.counting_url.clone().filter(|_| !is_elsewhere),
        },
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

/// The last 2,000 states of a camera, the latest first: when it was live, when and why it was away, and when the server was not running. A camera that is
/// tried again and again is away; the attempts are not listed.
#[utoipa::path(
    get, path = "/api/cameras/{id}/states", params(StatesQuery),
    responses((status = 200, body = Vec<CameraStateChange>), (status = 404, body = Problem))
)]
pub async fn states(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    Query(StatesQuery { limit }): Query<StatesQuery>,
) -> Result<Json<Vec<CameraStateChange>>, Problem> {
    let camera = caller.camera(&app, &id).await?;
    let states = app.camera_states.states(&camera.id, limit).await?;
    Ok(Json(states.into_iter().map(Into::into).collect()))
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
