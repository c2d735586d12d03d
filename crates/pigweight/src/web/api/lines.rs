//! Lines that people draw.

use crate::web::app::Shared;
use crate::web::auth::caller::Caller;
use crate::web::request::arguments::{Asked, Body, Field, Kind, Query};
use crate::web::request::problem::Problem;
use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use pigweight_core::geometry::Point;
use pigweight_core::line::{Line as Segment, LineError};
use pigweight_store::{LineRecord, NewLine, Store, VideoRecord};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

const MAX_NAME_CHARACTERS: usize = 100;

/// A directed segment on the picture, with what crossed it.
#[derive(Serialize, ToSchema)]
pub struct Line {
    pub id: String,
    pub video: String,
    pub name: String,
    /// Start, px of the upright picture.
    pub x1: f64,
    pub y1: f64,
    /// End.
    pub x2: f64,
    pub y2: f64,
    /// Crossings from the left of the arrow to its right.
    pub forward: usize,
    /// Crossings the other way.
    pub backward: usize,
}

#[derive(Deserialize, IntoParams)]
pub struct OfVideo {
    /// The video's identifier.
    video: String,
}

impl Asked for OfVideo {
    const FIELDS: &'static [Field] = &[Field::needed("video", Kind::Text)];
}

/// What a line is drawn with.
#[derive(Deserialize, ToSchema)]
pub struct Drawn {
    #[serde(default)]
    name: String,
    x1: f64,
    y1: f64,
    x2: f64,
    y2: f64,
}

impl Asked for Drawn {
    const FIELDS: &'static [Field] = &[
        Field::optional("name", Kind::Text),
        Field::needed("x1", Kind::Number),
        Field::needed("y1", Kind::Number),
        Field::needed("x2", Kind::Number),
        Field::needed("y2", Kind::Number),
    ];
}

/// A line for a video.
#[derive(Deserialize, ToSchema)]
pub struct DrawnOnVideo {
    video: String,
    #[serde(flatten)]
    drawn: Drawn,
}

impl Asked for DrawnOnVideo {
    const FIELDS: &'static [Field] = &[
        Field::needed("video", Kind::Text),
        Field::optional("name", Kind::Text),
        Field::needed("x1", Kind::Number),
        Field::needed("y1", Kind::Number),
        Field::needed("x2", Kind::Number),
        Field::needed("y2", Kind::Number),
    ];
}

impl Drawn {
    fn checked(self, video: &VideoRecord, fallback: impl FnOnce() -> String) -> Result<NewLine, Problem> {
        self.check_place(video)?;
        let name = self.name.trim();
        if name.chars().any(char::is_control) {
            return Err(Problem::bad_request(
                "a line's name holds no control characters; write one line of text",
            ));
        }
        if name.chars().count() > MAX_NAME_CHARACTERS {
            return Err(Problem::bad_request(format!(
                "a line's name has at most {MAX_NAME_CHARACTERS} characters"
            )));
        }
        let name = if name.is_empty() { fallback() } else { name.to_owned() };
        Ok(NewLine { name, x1_px: self.x1, y1_px: self.y1, x2_px: self.x2, y2_px: self.y2 })
    }
}

impl Drawn {
    /// What can never be crossed is a slip of whoever draws it, or of a program's units.
    fn check_place(&self, video: &VideoRecord) -> Result<(), Problem> {
        let point = |x: f64, y: f64| Point::new(x as f32, y as f32);
        let line = Segment::new(point(self.x1, self.y1), point(self.x2, self.y2));
        let size = |px: Option<i64>| px.and_then(|px| u32::try_from(px).ok());
        let Some((width, height)) = size(video.width_px).zip(size(video.height_px)) else {
            // The video has not been looked into yet.
            return Ok(line.and_then(Segment::check_reach)?);
        };
        line.and_then(|line| line.check_on_picture(width, height)).map_err(|error| match error {
            LineError::NotFinite | LineError::TooFar => {
                Problem::bad_request(format!("{error}; it is {width} × {height} px"))
            }
            error => error.into(),
        })
    }
}

async fn with_counts(store: &Store, line: LineRecord) -> Result<Line, Problem> {
    let (mut forward, mut backward) = (0, 0);
    if let Some(run) = store.latest_run(&line.video_id).await? {
        store.count_lines(&run.id).await?;
        for crossing in store.crossings(&run.id).await?.iter().filter(|crossing| crossing.line_id == line.id)
        {
            if crossing.direction == "forward" {
                forward += 1;
            } else {
                backward += 1;
            }
        }
    }
    Ok(Line {
        id: line.id,
        video: line.video_id,
        name: line.name,
        x1: line.x1_px,
        y1: line.y1_px,
        x2: line.x2_px,
        y2: line.y2_px,
        forward,
        backward,
    })
}

/// The lines of a video.
#[utoipa::path(
    get, path = "/api/lines", params(OfVideo),
    responses((status = 200, body = Vec<Line>), (status = 404, body = Problem))
)]
pub async fn list(
    caller: Caller,
    app: Shared,
    Query(query): Query<OfVideo>,
) -> Result<Json<Vec<Line>>, Problem> {
    caller.video(&app, &query.video).await?;
    let mut lines = Vec::new();
    for line in app.store.lines(&query.video).await? {
        lines.push(with_counts(&app.store, line).await?);
    }
    Ok(Json(lines))
}

/// Draws a line; it is counted at once over everything that has been analysed.
#[utoipa::path(
    post, path = "/api/lines", request_body = DrawnOnVideo,
    responses((status = 201, body = Line), (status = 400, body = Problem), (status = 404, body = Problem),
              (status = 413, body = Problem), (status = 415, body = Problem))
)]
pub async fn add(
    caller: Caller,
    app: Shared,
    Body(DrawnOnVideo { video, drawn }): Body<DrawnOnVideo>,
) -> Result<(StatusCode, Json<Line>), Problem> {
    let record = caller.video(&app, &video).await?;
    let number = app.store.lines(&video).await?.len() + 1;
    let line = app.store.add_line(&video, &drawn.checked(&record, || number.to_string())?).await?;
    Ok((StatusCode::CREATED, Json(with_counts(&app.store, line).await?)))
}

/// Moves or renames a line; its crossings are counted anew from what is kept.
#[utoipa::path(
    put, path = "/api/lines/{id}", request_body = Drawn,
    responses((status = 200, body = Line), (status = 400, body = Problem), (status = 404, body = Problem),
              (status = 413, body = Problem), (status = 415, body = Problem))
)]
pub async fn change(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    Body(drawn): Body<Drawn>,
) -> Result<Json<Line>, Problem> {
    let known = app.store.line(&id).await?;
    let record = caller.video(&app, &known.video_id).await?;
    let line = app.store.change_line(&id, &drawn.checked(&record, || known.name)?).await?;
    Ok(Json(with_counts(&app.store, line).await?))
}

/// Removes a line and its crossings.
#[utoipa::path(
    delete, path = "/api/lines/{id}",
    responses((status = 204, description = "It is gone"), (status = 404, body = Problem))
)]
pub async fn remove(caller: Caller, app: Shared, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let line = app.store.line(&id).await?;
    caller.registered_video(&app, &line.video_id).await?;
    app.store.remove_line(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
