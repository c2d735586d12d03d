//! Finding cameras on the network: a search, what it found, and adding from it. The password is entered once and never shown.

use crate::background::camera_discovery::{Discovery, DiscoveryNow, FoundDevice};
use crate::background::found_picture::PictureError;
use crate::web::api::camera_answers::Camera;
use crate::web::api::camera_requests::{check_credentials, checked_place};
use crate::web::api::cameras::add_at;
use crate::web::api::found_cameras::{FoundCamera, profile_numbers};
use crate::web::app::{App, Shared};
use crate::web::auth::caller::Caller;
use crate::web::media::frames::jpeg_answer;
use crate::web::request::arguments::{Body, Field, Kind, RequestArguments, checked_name};
use crate::web::request::problem::Problem;
use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use pigweight_live::CameraAddress;
use pigweight_live::address::Credentials;
use pigweight_store::CameraPlace;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// How far a search is.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiscoveryState {
    /// Devices may still answer, or are being asked.
    Searching,
    /// Nothing changes any more, unless a password is entered.
    Done,
    /// Nothing could be searched; `problem` says why.
    Failed,
}

/// A search for cameras. It is forgotten ten minutes after it began or a password was entered.
#[derive(Serialize, ToSchema)]
pub struct CameraDiscovery {
    pub id: String,
    pub state: DiscoveryState,
    /// Why nothing could be searched.
    pub problem: Option<String>,
    /// Networks of the server that were searched; null while it goes on.
    pub networks: Option<usize>,
    /// More devices answered than are taken (64).
    pub has_more: bool,
    /// Whether a password was entered.
    pub has_password: bool,
    /// In the order in which they answered.
    pub cameras: Vec<FoundCamera>,
}

/// A search to begin.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCameraDiscovery {
    /// The user that the cameras know; null or left out: they are asked without a password first.
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    password: Option<String>,
}

impl RequestArguments for NewCameraDiscovery {
    const FIELDS: &'static [Field] =
        &[Field::optional("user", Kind::TextOrNull), Field::optional("password", Kind::TextOrNull)];
}

/// A user and a password that all found cameras know.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscoveryCredentials {
    user: String,
    password: String,
}

impl RequestArguments for DiscoveryCredentials {
    const FIELDS: &'static [Field] =
        &[Field::needed("user", Kind::Text), Field::needed("password", Kind::Text)];
}

/// A found stream to add as a camera.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFoundCamera {
    /// One line of text.
    name: String,
    /// The identifier of the stream (`profiles[].id`).
    profile: String,
    /// The identifier of another stream of the same camera, usually a smaller one, which is counted in place of the first. Null or left out: the first is.
    #[serde(default)]
    counting_profile: Option<String>,
    /// Whether to connect first, and to refuse a camera that can't be connected; default true.
    #[serde(default = "yes")]
    test: bool,
}

fn yes() -> bool {
    true
}

impl RequestArguments for NewFoundCamera {
    const FIELDS: &'static [Field] = &[
        Field::needed("name", Kind::Text),
        Field::needed("profile", Kind::Text),
        Field::optional("counting_profile", Kind::TextOrNull),
        Field::optional("test", Kind::Truth),
    ];
}

impl CameraDiscovery {
    async fn of(app: &App, discovery: &Discovery) -> Result<Self, Problem> {
        let cameras = app.store.cameras().await?.into_iter();
        let known: Vec<(String, CameraAddress)> =
            cameras.filter_map(|camera| Some((camera.id, CameraAddress::parse(&camera.url).ok()?))).collect();
        let now = discovery.now();
        let state = match () {
            () if now.is_searching() || now.is_asking() => DiscoveryState::Searching,
            () if now.trouble.is_some() => DiscoveryState::Failed,
            () => DiscoveryState::Done,
        };
        let DiscoveryNow { id, has_password, devices, end, trouble, .. } = now;
        let found = devices.iter().enumerate();
        Ok(Self {
            id,
            state,
            problem: trouble,
            networks: end.map(|end| end.networks),
            has_more: end.is_some_and(|end| end.has_more),
            has_password,
            cameras: found
                .map(|(number, FoundDevice { probed, report })| {
                    FoundCamera::of(number, probed, report.as_deref(), &known)
                })
                .collect(),
        })
    }
}

fn found(app: &App, id: &str) -> Result<Arc<Discovery>, Problem> {
    app.discoveries.get(id).ok_or_else(|| {
        Problem::not_found(
            "this search was forgotten: ten minutes have passed, or another began; search again",
        )
    })
}

fn numbers(profile: &str) -> Result<(usize, usize), Problem> {
    profile_numbers(profile).ok_or_else(|| unknown_profile(profile))
}

fn unknown_profile(profile: &str) -> Problem {
    let shown: String = profile.chars().take(20).collect();
    Problem::not_found(format!(
        "no camera that was found has a stream {shown:?}; profiles[].id of the search has them"
    ))
}

/// Begins a search for cameras on the networks of the server, by ONVIF. It takes some seconds; ask for it until its state is `done`.
///
/// Whoever answers is asked for its streams. Nobody is told the password itself, only digests of it, and no device can send the server to
/// another host than the one that it answered from.
#[utoipa::path(
    post, path = "/api/cameras/discoveries", request_body = NewCameraDiscovery,
    responses((status = 202, body = CameraDiscovery, headers(("Location" = String, description = "The search"))),
              (status = 400, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
              (status = 409, body = Problem, description = "Another search goes on"))
)]
pub async fn begin(
    caller: Caller,
    app: Shared,
    Body(NewCameraDiscovery { user, password }): Body<NewCameraDiscovery>,
) -> Result<Response, Problem> {
    caller.operate()?;
    check_credentials([&user, &password].into_iter().flatten())?;
    if user.is_none() && password.is_some() {
        return Err(Problem::bad_request("a password without a user can't be used; name the user too"));
    }
    let known = user.map(|user| Credentials { user, password: password.unwrap_or_default() });
    let begun = app.discoveries.begin(known);
    let discovery = begun.map_err(|busy| Problem::new(StatusCode::CONFLICT, busy.to_string()))?;
    let now = CameraDiscovery::of(&app, &discovery).await?;
    let location =
        HeaderValue::from_str(&format!("/api/cameras/discoveries/{}", now.id)).map_err(Problem::internal)?;
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(now)).into_response())
}

/// What a search has found so far.
#[utoipa::path(
    get, path = "/api/cameras/discoveries/{id}",
    responses((status = 200, body = CameraDiscovery), (status = 404, body = Problem, description = "It was forgotten"))
)]
pub async fn one(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
) -> Result<Json<CameraDiscovery>, Problem> {
    caller.operate()?;
    let discovery = found(&app, &id)?;
    Ok(Json(CameraDiscovery::of(&app, &discovery).await?))
}

/// Ends a search, and forgets what it found and the password.
#[utoipa::path(
    delete, path = "/api/cameras/discoveries/{id}",
    responses((status = 204, description = "Forgotten"), (status = 404, body = Problem))
)]
pub async fn remove(caller: Caller, app: Shared, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    caller.operate()?;
    found(&app, &id)?;
    app.discoveries.remove(&id);
    Ok(StatusCode::NO_CONTENT)
}

/// Enters a user and a password for all found cameras. Those that haven't told everything are asked again.
#[utoipa::path(
    put, path = "/api/cameras/discoveries/{id}/credentials", request_body = DiscoveryCredentials,
    responses((status = 200, body = CameraDiscovery), (status = 400, body = Problem), (status = 404, body = Problem),
              (status = 413, body = Problem), (status = 415, body = Problem))
)]
pub async fn enter_credentials(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    Body(DiscoveryCredentials { user, password }): Body<DiscoveryCredentials>,
) -> Result<Json<CameraDiscovery>, Problem> {
    caller.operate()?;
    let discovery = found(&app, &id)?;
    check_credentials([&user, &password])?;
    if user.is_empty() {
        return Err(Problem::bad_request("the user is empty; enter the one that the cameras know"));
    }
    discovery.enter(Credentials { user, password });
    Ok(Json(CameraDiscovery::of(&app, &discovery).await?))
}

/// A small picture of what a stream shows, as JPEG: the camera's own, or a keyframe of the stream.
#[utoipa::path(
    get, path = "/api/cameras/discoveries/{id}/profiles/{profile}/picture.jpg",
    responses((status = 200, content_type = "image/jpeg", body = Vec<u8>), (status = 404, body = Problem),
              (status = 422, body = Problem, description = "There is no picture, and why"))
)]
pub async fn picture(
    caller: Caller,
    app: Shared,
    Path((id, profile)): Path<(String, String)>,
) -> Result<Response, Problem> {
    caller.operate()?;
    let discovery = found(&app, &id)?;
    let (device, number) = numbers(&profile)?;
    let picture = app.discoveries.picture(&discovery, device, number).await;
    let picture = picture.map_err(|error| match error {
        PictureError::Gone => Problem::not_found(error.to_string()),
        error => Problem::unreadable(error.to_string()),
    })?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(jpeg_answer(headers, picture))
}

/// Adds a found stream as a camera, with the password that was entered for the search. It is connected first, unless `test` is false; from
/// then on it is told the password as it asks for it, as any camera.
#[utoipa::path(
    post, path = "/api/cameras/discoveries/{id}/cameras", request_body = NewFoundCamera,
    responses((status = 201, body = Camera, headers(("Location" = String, description = "The camera"))),
              (status = 400, body = Problem), (status = 404, body = Problem),
              (status = 409, body = Problem, description = "There are as many cameras as a server takes"),
              (status = 413, body = Problem), (status = 415, body = Problem),
              (status = 422, body = Problem, description = "The camera can't be connected, and why"))
)]
pub async fn add(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    Body(NewFoundCamera { name, profile, counting_profile, test }): Body<NewFoundCamera>,
) -> Result<Response, Problem> {
    caller.operate()?;
    let discovery = found(&app, &id)?;
    let name = checked_name("camera", &name)?;
    let (shown, known) = stream(&discovery, &profile)?;
    let counting_url = match &counting_profile {
        Some(counting) if numbers(counting)?.0 != numbers(&profile)?.0 => {
            return Err(Problem::bad_request(
                "counting_profile is a stream of another camera; name one of the same, or leave it out",
            ));
        }
        Some(counting) => Some(stream(&discovery, counting)?.0.url().to_string()),
        None => None,
    };
    let (user_name, password) = match known {
        Some(Credentials { user, password }) => {
            (Some(user), Some(password).filter(|password| !password.is_empty()))
        }
        None => (None, None),
    };
    let place = CameraPlace { url: shown.url().to_string(), counting_url, user_name, password };
    add_at(&app, name, checked_place(&place)?, test).await
}

/// A found stream's address, and the credentials that were entered.
fn stream(discovery: &Discovery, profile: &str) -> Result<(CameraAddress, Option<Credentials>), Problem> {
    let (device, number) = numbers(profile)?;
    let found = discovery.profile(device, number).ok_or_else(|| unknown_profile(profile))?;
    let (_, told, known) = found;
    let Some(stream) = told.stream else {
        let why = told.trouble.unwrap_or_else(|| "the camera names no address for it".to_owned());
        return Err(Problem::unreadable(format!("this stream can't be added: {why}")));
    };
    Ok((stream, known))
}
