//! What is recorded of a camera: the list, marks that keep a stretch, clips.

use crate::sources::clips;
use crate::web::api::types::time;
use crate::web::app::Shared;
use crate::web::auth::caller::Caller;
use crate::web::request::arguments::{Body, Field, Kind, Query, RequestArguments, checked_name};
use crate::web::request::problem::Problem;
use crate::web::request::stretch::{Stretch, StretchQuery, secs, ticks};
use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use pigweight_store::{CameraMark, CameraRecording, NewMark};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Recordings of one answer.
const MOST_RECORDINGS: u32 = 2000;
/// Stretches of one answer: a year.
const MOST_LIST_SECS: f64 = 366.0 * 24.0 * 3600.0;
/// Marks of one camera.
const MOST_MARKS: u32 = 1000;
const MAX_NOTE_CHARACTERS: usize = 500;

/// A file with a stretch of a camera.
#[derive(Serialize, ToSchema)]
pub struct Recording {
    pub id: String,
    /// Seconds since the camera was added.
    pub from: f64,
    /// Seconds since the camera was added; null while it is being written.
    pub to: Option<f64>,
    /// Time of day of its first frame, RFC 3339, UTC.
    pub started_at: Option<String>,
    /// Of its file; 0 while it is being written.
    pub size_bytes: i64,
    /// Frames in it; 0 while it is being written.
    pub frames: i64,
    /// A crossing or a mark lies in it or near it: it is removed later than others.
    pub is_marked: bool,
}

/// Recordings of a camera.
#[derive(Serialize, ToSchema)]
pub struct Recordings {
    /// In the order of time.
    pub recordings: Vec<Recording>,
    /// If there are more: `from` for the next ones.
    pub next_from: Option<f64>,
    /// Of all recordings of the camera.
    pub size_bytes: i64,
}

/// A stretch of a camera to keep.
#[derive(Serialize, ToSchema)]
pub struct Mark {
    pub id: String,
    /// Seconds since the camera was added.
    pub from: f64,
    /// Seconds since the camera was added.
    pub to: f64,
    pub note: String,
    /// RFC 3339, UTC.
    pub created_at: Option<String>,
}

/// A stretch to mark.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkRequest {
    /// Seconds since the camera was added.
    from: f64,
    /// Seconds since the camera was added.
    to: f64,
    /// What is to be seen there; default: empty.
    #[serde(default)]
    note: String,
}

impl RequestArguments for MarkRequest {
    const FIELDS: &'static [Field] = &[
        Field::needed("from", Kind::Number),
        Field::needed("to", Kind::Number),
        Field::optional("note", Kind::Text),
    ];
}

/// A clip to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClipRequest {
    /// Seconds since the camera was added. The clip begins at the last keyframe before it.
    from: f64,
    /// Seconds since the camera was added; at most a day after `from`.
    to: f64,
    /// Of the video, without an extension; default: the camera's name and the time.
    #[serde(default)]
    name: Option<String>,
}

impl RequestArguments for ClipRequest {
    const FIELDS: &'static [Field] = &[
        Field::needed("from", Kind::Number),
        Field::needed("to", Kind::Number),
        Field::optional("name", Kind::TextOrNull),
    ];
}

/// A clip that was made.
#[derive(Serialize, ToSchema)]
pub struct Clip {
    /// It is a video of the camera's source: shown, counted and kept like any other.
    pub video: String,
    pub name: String,
}

impl From<CameraRecording> for Recording {
    fn from(recording: CameraRecording) -> Self {
        Self {
            id: recording.id,
            from: secs(recording.start_ticks),
            to: recording.end_ticks.map(secs),
            started_at: time(recording.started_at_millis.div_euclid(1000)),
            size_bytes: recording.size_bytes,
            frames: recording.frames,
            is_marked: recording.is_marked,
        }
    }
}

impl From<CameraMark> for Mark {
    fn from(mark: CameraMark) -> Self {
        Self {
            id: mark.id,
            from: mark.from_secs,
            to: mark.to_secs,
            note: mark.note,
            created_at: time(mark.created_at),
        }
    }
}

impl From<clips::Error> for Problem {
    fn from(error: clips::Error) -> Self {
        use clips::Error;
        let status = match &error {
            Error::NotRecorded => StatusCode::NOT_FOUND,
            Error::Changed { .. } | Error::Broken { .. } | Error::TooManyParts => StatusCode::CONFLICT,
            Error::NoRoom { .. } => StatusCode::INSUFFICIENT_STORAGE,
            Error::Io(cause)
                if matches!(
                    cause.kind(),
                    std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
                ) =>
            {
                StatusCode::INSUFFICIENT_STORAGE
            }
            Error::Io(_) | Error::Unregistered(_) => return Self::internal(error),
            Error::Store(error) => return error.into(),
        };
        Self::new(status, error.to_string())
    }
}

/// What is recorded of a camera in a stretch of its timeline. A gap between two recordings is time without video.
#[utoipa::path(
    get, path = "/api/cameras/{id}/recordings", params(StretchQuery),
    responses((status = 200, body = Recordings), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub async fn list(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    Query(query): Query<StretchQuery>,
) -> Result<Json<Recordings>, Problem> {
    let camera = caller.camera(&app, &id).await?;
    let end_secs = app.store.camera_end_secs(&camera.id).await?;
    let stretch = Stretch::of(&query, camera.created_at, end_secs, MOST_LIST_SECS)?;
    let range = (ticks(stretch.from_secs), ticks(stretch.to_secs));
    let margin_secs = app.recorded.files.margin_secs();
    let mut found = app.store.recordings(&camera.id, range, margin_secs, MOST_RECORDINGS + 1).await?;
    let next_from = found.get(MOST_RECORDINGS as usize).map(|next| secs(next.start_ticks));
    found.truncate(MOST_RECORDINGS as usize);
    let size_bytes = app.store.recorded_bytes(&camera.id).await?.of_camera;
    Ok(Json(Recordings { recordings: found.into_iter().map(Into::into).collect(), next_from, size_bytes }))
}

/// The marks of a camera, by time.
#[utoipa::path(
    get, path = "/api/cameras/{id}/marks",
    responses((status = 200, body = Vec<Mark>), (status = 404, body = Problem))
)]
pub async fn marks(caller: Caller, app: Shared, Path(id): Path<String>) -> Result<Json<Vec<Mark>>, Problem> {
    let camera = caller.camera(&app, &id).await?;
    Ok(Json(app.store.marks(&camera.id).await?.into_iter().map(Into::into).collect()))
}

/// Marks a stretch of a camera: its recordings are removed later than others, when there is no room.
#[utoipa::path(
    post, path = "/api/cameras/{id}/marks", request_body = MarkRequest,
    responses((status = 201, body = Mark), (status = 400, body = Problem), (status = 404, body = Problem),
              (status = 409, body = Problem, description = "There are as many marks as a camera may have"),
              (status = 413, body = Problem), (status = 415, body = Problem))
)]
pub async fn add_mark(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    Body(MarkRequest { from, to, note }): Body<MarkRequest>,
) -> Result<Response, Problem> {
    let camera = caller.camera(&app, &id).await?;
    let stretch = Stretch::checked(from, to, MOST_LIST_SECS)?;
    let note = note.trim().to_owned();
    if note.chars().count() > MAX_NOTE_CHARACTERS || note.chars().any(char::is_control) {
        return Err(Problem::bad_request(format!(
            "a note is one line of text of at most {MAX_NOTE_CHARACTERS} characters"
        )));
    }
    let mark = NewMark { from_secs: stretch.from_secs, to_secs: stretch.to_secs, note };
    let added = app.store.add_mark(&camera.id, &mark, MOST_MARKS).await?;
    let added = added.ok_or_else(|| {
        Problem::new(
            StatusCode::CONFLICT,
            format!("the camera has {MOST_MARKS} marks already; remove one first"),
        )
    })?;
    Ok((StatusCode::CREATED, Json(Mark::from(added))).into_response())
}

/// Removes a mark. What it kept stays until there is no room.
#[utoipa::path(
    delete, path = "/api/cameras/{id}/marks/{mark}",
    responses((status = 204, description = "Removed"), (status = 404, body = Problem))
)]
pub async fn remove_mark(
    caller: Caller,
    app: Shared,
    Path((id, mark)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let camera = caller.camera(&app, &id).await?;
    app.store.remove_mark(&camera.id, &mark).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a video of a stretch of a camera. It stays when the recordings go, and is counted like any other video of the camera's source.
#[utoipa::path(
    post, path = "/api/cameras/{id}/clips", request_body = ClipRequest,
    responses((status = 201, body = Clip, headers(("Location" = String, description = "The video"))),
              (status = 400, body = Problem), (status = 404, body = Problem, description = "There is no such camera, or nothing is recorded"),
              (status = 409, body = Problem, description = "What the camera sends changes within it, or a recording of it is damaged or gone"),
              (status = 413, body = Problem), (status = 415, body = Problem), (status = 507, body = Problem, description = "No room"))
)]
pub async fn add_clip(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    Body(ClipRequest { from, to, name }): Body<ClipRequest>,
) -> Result<Response, Problem> {
    let camera = caller.camera(&app, &id).await?;
    let stretch = Stretch::checked(from, to, clips::MOST_SECS)?;
    let name = match name {
        Some(name) => checked_name("clip", &name)?,
        None => {
            let started = time(camera.created_at.saturating_add(stretch.from_secs.floor() as i64));
            format!("{} {}", camera.name, started.unwrap_or_default().replace(':', "-"))
        }
    };
    // In a task of its own: a client that goes away must not leave half of it.
    let making = app.0.clone();
    let made = tokio::spawn(async move {
        let range = ticks(stretch.from_secs)..ticks(stretch.to_secs);
        let video = making.clips.make(&making.recorded.files, &making.store, &camera, range, &name).await?;
        making.store.add_present(&making.owner, &video.id).await?;
        Ok::<_, clips::Error>(video)
    });
    let video = made.await.map_err(Problem::internal)??;
    app.wake();
    let location = HeaderValue::from_str(&format!("/api/videos/{}", video.id)).map_err(Problem::internal)?;
    let clip = Clip { video: video.id, name: video.name };
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(clip)).into_response())
}
