//! Lines and their crossings.

use crate::web::api::counts::Crossing;
use crate::web::app::{App, Shared};
use crate::web::auth::caller::Caller;
use crate::web::request::arguments::{Body, Field, Kind, Query, RequestArguments};
use crate::web::request::problem::Problem;
use axum::Json;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use pigweight_core::line::{Direction, LineError};
use pigweight_store::{
    Error as StoreError, LineGeometry, LineProgress, LineRecord, LineScope, LineVersion, NewLine, RunRecord,
    VideoLine, VideoRecord,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

const MAX_NAME_CHARACTERS: usize = 100;
/// Crossings of a difference in one answer.
const MAX_DIFFERENT: usize = 1000;

/// What a line holds for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All recordings of a source, older and newer.
    Source,
    /// One recording.
    Video,
}

/// A directed segment on the picture, with what crossed it.
#[derive(Serialize, ToSchema)]
pub struct Line {
    pub id: String,
    /// The video whose picture the coordinates belong to and whose crossings are counted; null in a list of a source's lines.
    pub video: Option<String>,
    /// The source, if it holds for all recordings of one.
    pub source: Option<String>,
    pub scope: Scope,
    /// Grows by one whenever the line is moved.
    pub version: i64,
    pub name: String,
    /// Start, px of the upright picture.
    pub x1: f64,
    pub y1: f64,
    /// End.
    pub x2: f64,
    pub y2: f64,
    /// Size of the picture that these places are on, px; null if it is not known.
    pub picture_width: Option<i64>,
    pub picture_height: Option<i64>,
    /// False on a video whose picture has another shape than the one that the line was drawn on: it is not counted there.
    pub applies: bool,
    /// Crossings up to here are known, seconds; null for the lines of a source.
    pub counted_to_secs: Option<f64>,
    /// Whether everything that is counted of the video has been counted over the line. Null while nothing is counted of it, so that
    /// 0 crossings say nothing yet; and for the lines of a source, whose recordings are counted one by one.
    pub is_up_to_date: Option<bool>,
    /// Crossings from the left of the arrow to its right.
    pub forward: usize,
    /// Crossings the other way.
    pub backward: usize,
}

/// What moving a line has changed in the video's published run.
#[derive(Serialize, ToSchema)]
pub struct LineDifference {
    pub before: Directions,
    pub after: Directions,
    /// Crossings that only the version before has, at most a thousand. A crossing of the same track, the same way, within ten
    /// seconds is the same one.
    pub only_before: Vec<Crossing>,
    /// Crossings that only the version after has, at most a thousand.
    pub only_after: Vec<Crossing>,
}

#[derive(Serialize, ToSchema)]
pub struct Directions {
    pub forward: usize,
    pub backward: usize,
}

/// A line after a change.
#[derive(Serialize, ToSchema)]
pub struct ChangedLine {
    #[serde(flatten)]
    pub line: Line,
    /// Null if the line was not moved, nothing is counted of the video yet, or no video is named for a line of a source.
    pub difference: Option<LineDifference>,
}

#[derive(Deserialize, IntoParams)]
pub struct Of {
    /// A video's identifier: the lines that hold for it.
    video: Option<String>,
    /// A source's identifier: the lines that hold for all its recordings, with the crossings of all of them.
    source: Option<String>,
}

impl RequestArguments for Of {
    const FIELDS: &'static [Field] =
        &[Field::optional("video", Kind::Text), Field::optional("source", Kind::Text)];
}

/// A line for a video or its source.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DrawnLine {
    /// The video on whose picture it is drawn.
    video: String,
    /// `source`: for all recordings of the video's source; `video` (the default): for this one.
    #[serde(default = "for_video")]
    scope: Scope,
    #[serde(default)]
    name: String,
    x1: f64,
    y1: f64,
    x2: f64,
    y2: f64,
}

fn for_video() -> Scope {
    Scope::Video
}

impl RequestArguments for DrawnLine {
    const FIELDS: &'static [Field] = &[
        Field::needed("video", Kind::Text),
        Field::optional("scope", Kind::OneOf(&["source", "video"])),
        Field::optional("name", Kind::Text),
        Field::needed("x1", Kind::Number),
        Field::needed("y1", Kind::Number),
        Field::needed("x2", Kind::Number),
        Field::needed("y2", Kind::Number),
    ];
}

/// Where a line lies from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MovedLine {
    /// The video on whose picture the places are; by default the picture that the line was drawn on.
    #[serde(default)]
    video: Option<String>,
    #[serde(default)]
    name: String,
    x1: f64,
    y1: f64,
    x2: f64,
    y2: f64,
}

impl RequestArguments for MovedLine {
    const READ_ONLY: &'static [&'static str] = &[
        "id",
        "source",
        "scope",
        "version",
        "picture_width",
        "picture_height",
        "applies",
        "counted_to_secs",
        "is_up_to_date",
        "forward",
        "backward",
        "difference",
    ];
    const FIELDS: &'static [Field] = &[
        Field::optional("video", Kind::TextOrNull),
        Field::optional("name", Kind::Text),
        Field::needed("x1", Kind::Number),
        Field::needed("y1", Kind::Number),
        Field::needed("x2", Kind::Number),
        Field::needed("y2", Kind::Number),
    ];
}

fn checked_name(name: &str, fallback: impl FnOnce() -> String) -> Result<String, Problem> {
    let name = name.trim();
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
    Ok(if name.is_empty() { fallback() } else { name.to_owned() })
}

/// A line that can never be crossed is a mistake of the user, or of a program in its units.
fn checked_place(geometry: LineGeometry) -> Result<LineGeometry, Problem> {
    let size = |px: Option<i64>| px.and_then(|px| u32::try_from(px).ok());
    let picture = size(geometry.picture_width_px).zip(size(geometry.picture_height_px));
    let checked = match (geometry.line(), picture) {
        (Ok(line), Some((width, height))) => line.check_on_picture(width, height),
        // The video hasn't been opened yet.
        (Ok(line), None) => line.check_reach(),
        (Err(StoreError::Line(error)), _) => Err(error),
        (Err(error), _) => return Err(error.into()),
    };
    match (checked, picture) {
        (Ok(()), _) => Ok(geometry),
        (Err(error @ (LineError::NotFinite | LineError::TooFar)), Some((width, height))) => {
            Err(Problem::bad_request(format!("{error}; it is {width} × {height} px")))
        }
        (Err(error), _) => Err(error.into()),
    }
}

/// What was counted of a video's lines in the run that is shown of it.
struct Counted {
    crossings: CrossingCounts,
    progress: BTreeMap<String, LineProgress>,
    run: Option<RunRecord>,
}

impl Counted {
    async fn of(app: &App, video_id: &str) -> Result<Self, Problem> {
        let run = app.store.shown_run(video_id).await?;
        let (crossings, progress) = match &run {
            Some(run) => {
                (by_line(app.store.count_crossings(&run.id).await?), app.store.line_progress(&run.id).await?)
            }
            None => Default::default(),
        };
        Ok(Self { crossings, progress, run })
    }
}

/// How often each line was crossed, and which way.
type CrossingCounts = BTreeMap<(String, Direction), i64>;

fn by_line(counts: Vec<(String, Direction, i64)>) -> CrossingCounts {
    counts.into_iter().map(|(line, direction, number)| ((line, direction), number)).collect()
}

fn number_of(crossings: &CrossingCounts, line_id: &str, direction: Direction) -> usize {
    let found = crossings.get(&(line_id.to_owned(), direction));
    found.map_or(0, |&number| usize::try_from(number).unwrap_or(0))
}

impl Line {
    fn on_video(line: VideoLine, video_id: &str, counted: &Counted) -> Self {
        let applies = line.segment().is_some();
        let geometry = line.on_video.unwrap_or(line.line.geometry);
        let progress = counted.progress.get(&line.line.version_id);
        let has_frames = counted.run.as_ref().is_some_and(|run| run.next_chunk > 0);
        let is_up_to_date =
            has_frames.then(|| !applies || progress.is_some_and(|progress| progress.is_up_to_date));
        Self {
            video: Some(video_id.to_owned()),
            counted_to_secs: Some(progress.map_or(0.0, |progress| progress.counted_to_secs)),
            applies,
            is_up_to_date,
            ..Self::new(line.line, geometry, &counted.crossings)
        }
    }

    fn new(line: LineRecord, geometry: LineGeometry, crossings: &CrossingCounts) -> Self {
        Self {
            video: None,
            scope: if line.source_id.is_some() { Scope::Source } else { Scope::Video },
            source: line.source_id,
            version: line.version_number,
            name: line.name,
            x1: geometry.x1_px,
            y1: geometry.y1_px,
            x2: geometry.x2_px,
            y2: geometry.y2_px,
            picture_width: geometry.picture_width_px,
            picture_height: geometry.picture_height_px,
            applies: true,
            counted_to_secs: None,
            is_up_to_date: None,
            forward: number_of(crossings, &line.id, Direction::Forward),
            backward: number_of(crossings, &line.id, Direction::Backward),
            id: line.id,
        }
    }
}

/// The line as it lies on a video; on the picture it was drawn on, if it holds for another one.
async fn line_on_video(app: &App, line: LineRecord, video_id: Option<&str>) -> Result<Line, Problem> {
    let Some(video_id) = video_id else {
        let crossings = match &line.source_id {
            Some(source) => by_line(app.store.count_crossings_of_source(source).await?),
            None => CrossingCounts::new(),
        };
        let geometry = line.geometry;
        return Ok(Line::new(line, geometry, &crossings));
    };
    let counted = Counted::of(app, video_id).await?;
    let lines = app.store.lines_of_video(video_id).await?;
    let on_video = lines.into_iter().find(|on_video| on_video.line.id == line.id);
    let on_video = on_video.unwrap_or(VideoLine { line, on_video: None });
    Ok(Line::on_video(on_video, video_id, &counted))
}

/// The lines that hold for a video, its source's and its own; or those that hold for all recordings of a source.
#[utoipa::path(
    get, path = "/api/lines", params(Of),
    responses((status = 200, body = Vec<Line>), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub async fn list(caller: Caller, app: Shared, Query(of): Query<Of>) -> Result<Json<Vec<Line>>, Problem> {
    match (&of.video, &of.source) {
        (Some(video), None) => {
            caller.recording(&app, video).await?;
            let counted = Counted::of(&app, video).await?;
            let lines = app.store.lines_of_video(video).await?;
            Ok(Json(lines.into_iter().map(|line| Line::on_video(line, video, &counted)).collect()))
        }
        (None, Some(source)) => {
            caller.source(&app, source).await?;
            let crossings = by_line(app.store.count_crossings_of_source(source).await?);
            let lines = app.store.lines_of_source(source).await?;
            let lines = lines.into_iter().map(|line| {
                let geometry = line.geometry;
                Line::new(line, geometry, &crossings)
            });
            Ok(Json(lines.collect()))
        }
        _ => Err(Problem::bad_request("name either video or source: whose lines are wanted")),
    }
}

/// One line, as it lies on its video or, of a source's line, on the picture it was drawn on.
#[utoipa::path(get, path = "/api/lines/{id}", responses((status = 200, body = Line), (status = 404, body = Problem)))]
pub async fn one(caller: Caller, app: Shared, Path(id): Path<String>) -> Result<Json<Line>, Problem> {
    let line = caller.line(&app, &id).await?;
    let video = line.video_id.clone();
    Ok(Json(line_on_video(&app, line, video.as_deref()).await?))
}

/// Draws a line. It is counted at once over the video's shown run, and in the background over the other recordings it holds for.
#[utoipa::path(
    post, path = "/api/lines", request_body = DrawnLine,
    responses((status = 201, body = Line, headers(("Location" = String, description = "The line"))),
              (status = 400, body = Problem), (status = 404, body = Problem),
              (status = 409, body = Problem, description = "There are as many lines as may be"), (status = 413, body = Problem), (status = 415, body = Problem))
)]
pub async fn add(caller: Caller, app: Shared, Body(drawn): Body<DrawnLine>) -> Result<Response, Problem> {
    let DrawnLine { video, scope, name, x1, y1, x2, y2 } = drawn;
    let record = caller.recording(&app, &video).await?;
    let geometry = checked_place(geometry_on(&record, [x1, y1, x2, y2]))?;
    let number = app.store.lines_of_video(&video).await?.len() + 1;
    let name = checked_name(&name, || number.to_string())?;
    let scope = match scope {
        Scope::Source => LineScope::Source(record.source_id.clone()),
        Scope::Video => LineScope::Video(video.clone()),
    };
    let line = app.store.add_line(&NewLine { name, scope, geometry }).await?;
    count_now(&app, &video).await?;
    // Relative to this address, so that it works under any path.
    let location = format!("lines/{}", line.id);
    let line = line_on_video(&app, line, Some(&video)).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(line)).into_response())
}

fn geometry_on(video: &VideoRecord, [x1, y1, x2, y2]: [f64; 4]) -> LineGeometry {
    LineGeometry {
        x1_px: x1,
        y1_px: y1,
        x2_px: x2,
        y2_px: y2,
        picture_width_px: video.width_px,
        picture_height_px: video.height_px,
    }
}

/// Counts the lines of the published run of a video, and wakes the job workers for the other runs.
async fn count_now(app: &App, video_id: &str) -> Result<(), Problem> {
    if let Some(run) = app.store.shown_run(video_id).await? {
        app.store.fold_lines(&run.id).await?;
    }
    app.count_lines();
    Ok(())
}

/// Moves or renames a line. A move makes a new version; what was counted of the version before is kept. Answers with what the
/// move has changed.
#[utoipa::path(
    put, path = "/api/lines/{id}", request_body = MovedLine,
    responses((status = 200, body = ChangedLine), (status = 400, body = Problem), (status = 404, body = Problem),
              (status = 413, body = Problem), (status = 415, body = Problem))
)]
pub async fn change(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    Body(moved): Body<MovedLine>,
) -> Result<Json<ChangedLine>, Problem> {
    let known = caller.line(&app, &id).await?;
    let MovedLine { video, name, x1, y1, x2, y2 } = moved;
    let video = video.or_else(|| known.video_id.clone());
    let ends = [x1, y1, x2, y2];
    let geometry = match &video {
        Some(video) => geometry_on(&caller.recording(&app, video).await?, ends),
        None => LineGeometry { x1_px: x1, y1_px: y1, x2_px: x2, y2_px: y2, ..known.geometry },
    };
    let name = checked_name(&name, || known.name.clone())?;
    let changed = app.store.change_line(&id, &name, &checked_place(geometry)?).await?;
    let mut difference = None;
    if let (Some(before), Some(video)) = (&changed.moved_from, &video) {
        count_now(&app, video).await?;
        difference = compare(&app, video, before, &changed.line).await?;
    } else {
        app.count_lines();
    }
    let line = line_on_video(&app, changed.line, video.as_deref()).await?;
    Ok(Json(ChangedLine { line, difference }))
}

async fn compare(
    app: &App,
    video_id: &str,
    before: &LineVersion,
    line: &LineRecord,
) -> Result<Option<LineDifference>, Problem> {
    let Some(run) = app.store.shown_run(video_id).await? else { return Ok(None) };
    let found = app.store.compare_line_versions(&run.id, &before.id, &line.version_id).await?;
    let pigweight_store::LineDifference { before, after, mut only_before, mut only_after } = found;
    only_before.truncate(MAX_DIFFERENT);
    only_after.truncate(MAX_DIFFERENT);
    Ok(Some(LineDifference {
        before: Directions { forward: before.forward, backward: before.backward },
        after: Directions { forward: after.forward, backward: after.backward },
        only_before: only_before.into_iter().map(Crossing::from).collect(),
        only_after: only_after.into_iter().map(Crossing::from).collect(),
    }))
}

/// Deletes a line: it is no longer shown or counted. What was counted stays in the data folder.
#[utoipa::path(
    delete, path = "/api/lines/{id}",
    responses((status = 204, description = "It is gone"), (status = 404, body = Problem))
)]
pub async fn remove(caller: Caller, app: Shared, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    caller.line(&app, &id).await?;
    app.store.remove_line(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
