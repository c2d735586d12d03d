//! A camera's pictures one after the other, as `multipart/x-mixed-replace`: an `<img>` of any page shows them, and so do old programs.

use crate::background::camera_counting::{CameraPicture, LatestPicture};
use crate::background::camera_supervisor::reason_of;
use crate::web::app::Shared;
use crate::web::auth::caller::Caller;
use crate::web::request::arguments::{Field, Kind, Query, RequestArguments};
use crate::web::request::problem::Problem;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::stream;
use pigweight_live::CameraState as Live;
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use utoipa::IntoParams;

/// Viewers of one server.
pub const MOST_VIEWERS: usize = 32;
const MOST_PER_SEC: f64 = 15.0;
const USUAL_PER_SEC: f64 = 10.0;
const LEAST_PER_SEC: f64 = 0.1;
/// A camera that is away for this long ends it.
const AWAY_TIMEOUT: Duration = Duration::from_secs(15);
/// For the next picture, until it is looked whether the camera is away.
const PICTURE_PATIENCE: Duration = Duration::from_secs(2);

#[derive(Deserialize, IntoParams)]
pub struct Pictures {
    /// Draw the boxes that were found last, at most 0.3 s before the picture; default false.
    #[serde(default)]
    boxes: bool,
    /// Pictures a second at the most, 0.1 to 15; default 10.
    #[serde(default)]
    per_sec: Option<f64>,
}

impl RequestArguments for Pictures {
    const FIELDS: &'static [Field] =
        &[Field::optional("boxes", Kind::Truth), Field::optional("per_sec", Kind::Number)];
}

/// A camera's pictures, one after the other, until the client leaves or the camera is away for 15 s. Each part has the headers of `frame.jpg`. A slow client
/// misses pictures. All clients share one encoding of each picture.
#[utoipa::path(
    get, path = "/api/cameras/{id}/mjpeg", params(Pictures),
    responses((status = 200, content_type = "multipart/x-mixed-replace", body = Vec<u8>), (status = 400, body = Problem),
              (status = 404, body = Problem),
              (status = 503, body = Problem, description = "The camera isn't live, or there are too many clients; `detail` says which"))
)]
pub async fn mjpeg(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    Query(wanted): Query<Pictures>,
) -> Result<Response, Problem> {
    let camera = caller.camera(&app, &id).await?;
    let per_sec = wanted.per_sec.unwrap_or(USUAL_PER_SEC);
    if !(LEAST_PER_SEC..=MOST_PER_SEC).contains(&per_sec) {
        return Err(Problem::bad_request("per_sec lies between 0.1 and 15"));
    }
    let connecting = || Problem::unavailable("the camera is being connected; ask again in a moment");
    let state = app.cameras.status(&camera.id).map(|status| status.states.now().state.clone());
    if !matches!(state, Some(Live::Live(_))) {
        let reason = state.as_ref().and_then(reason_of);
        return Err(reason.map_or_else(connecting, |reason| Problem::unavailable(reason.text)));
    }
    let pictures = app.cameras.picture(&camera.id).ok_or_else(connecting)?;
    let Ok(place) = app.mjpeg_clients.clone().try_acquire_owned() else {
        return Err(Problem::unavailable(
            "as many clients as a server takes get pictures; close one, or try again later",
        ));
    };
    let playing = Playing {
        pictures,
        has_boxes: wanted.boxes,
        interval: Duration::from_secs_f64(1.0 / per_sec),
        next: Instant::now(),
        last_pts: None,
        _place: place,
    };
    let parts = stream::unfold(playing, |mut playing| async move {
        let part = playing.part().await?;
        Some((Ok::<_, Infallible>(part), playing))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("multipart/x-mixed-replace; boundary=picture")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, Body::from_stream(parts)).into_response())
}

struct Playing {
    pictures: Arc<LatestPicture>,
    has_boxes: bool,
    interval: Duration,
    next: Instant,
    last_pts: Option<i64>,
    _place: OwnedSemaphorePermit,
}

impl Playing {
    /// The next picture, not before its time. `None`: the camera is away.
    async fn part(&mut self) -> Option<Bytes> {
        tokio::time::sleep_until(self.next).await;
        let asked = Instant::now();
        self.next = asked + self.interval;
        while asked.elapsed() < AWAY_TIMEOUT {
            let picture = match self.has_boxes {
                true => self.pictures.next_with_boxes(PICTURE_PATIENCE).await,
                false => self.pictures.next(PICTURE_PATIENCE).await,
            };
            // Without a new one the one before it is given.
            if let Some(picture) = picture.filter(|picture| self.last_pts != Some(picture.pts)) {
                let part = part(&picture, self.last_pts.is_none());
                self.last_pts = Some(picture.pts);
                return Some(part);
            }
        }
        None
    }
}

/// A picture with its head. Browsers show it when the boundary behind it has come.
fn part(picture: &CameraPicture, is_first: bool) -> Bytes {
    let CameraPicture { jpeg, pts, secs } = picture;
    let begin = if is_first { "--picture\r\n" } else { "" };
    let head = format!(
        "{begin}Content-Type: image/jpeg\r\nContent-Length: {}\r\nX-Frame-Time: {secs}\r\nX-Frame-Pts: {pts}\r\n\r\n",
        jpeg.len()
    );
    let end = b"\r\n--picture\r\n";
    let mut part = BytesMut::with_capacity(head.len() + jpeg.len() + end.len());
    part.put_slice(head.as_bytes());
    part.put_slice(jpeg);
    part.put_slice(end);
    part.freeze()
}
