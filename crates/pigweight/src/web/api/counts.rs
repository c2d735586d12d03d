//! Results: boxes, counts, crossings.

use crate::web::api::types::DirectionName;
use crate::web::api::types::Window;
use crate::web::app::{App, Shared};
use crate::web::auth::caller::Caller;
use crate::web::request::arguments::{Field, Kind, Query, RequestArguments};
use crate::web::request::problem::Problem;
use axum::Json;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, header};
use pigweight_core::interpolate::SettledFrame;
use pigweight_core::track::Origin;
use pigweight_live::timeline::GAP_SECS;
use pigweight_store::{LineCrossing, RunRecord, VideoRecord};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Longest window of boxes in one answer; longer ones come in pages.
const MAX_WINDOW_SECS: f64 = 120.0;
const MAX_CHUNKS: u32 = 256;

/// Boxes of a stretch of a video.
#[derive(Serialize, ToSchema)]
pub struct Detections {
    pub from_secs: f64,
    pub to_secs: f64,
    /// Up to here everything is settled; behind it nothing is known yet.
    pub counted_to_secs: f64,
    pub frames: Vec<FrameBoxes>,
}

/// Boxes of one frame.
#[derive(Serialize, ToSchema)]
pub struct FrameBoxes {
    pub pts: i64,
    /// The detector ran on this frame; otherwise its boxes are interpolated.
    pub inferred: bool,
    /// `[x, y, width, height, score, track, 1 measured or 0 interpolated]`, px.
    pub boxes: Vec<[f64; 7]>,
}

/// A page of what is settled in a window of a run.
pub struct SettledPage {
    pub from_secs: f64,
    /// Where the page ends.
    pub to_secs: f64,
    pub frames: Vec<SettledFrame>,
    /// The address of the next page, if there is one.
    pub headers: HeaderMap,
}

impl SettledPage {
    /// Covers `most_secs` at the most.
    pub async fn read(
        app: &App,
        run: &RunRecord,
        window: &Window,
        end_secs: f64,
        most_secs: f64,
    ) -> Result<Self, Problem> {
        let (from_secs, wanted_to_secs) = window.range(end_secs)?;
        let mut to_secs = wanted_to_secs.min(from_secs + most_secs);
        let (mut frames, are_all) = app.store.detections(&run.id, from_secs, to_secs, MAX_CHUNKS).await?;
        if let Some(last) = frames.last().filter(|last| !are_all && last.secs > from_secs) {
            to_secs = last.secs;
        }
        let mut headers = HeaderMap::new();
        let last_secs = wanted_to_secs.min(end_secs);
        if to_secs < last_secs {
            // A frame exactly at the seam is on the next page.
            frames.retain(|frame| frame.secs < to_secs);
            let link = format!("<?from={to_secs}&to={last_secs}>; rel=\"next\"");
            headers.insert(header::LINK, HeaderValue::from_str(&link).map_err(Problem::internal)?);
        }
        Ok(Self { from_secs, to_secs, frames, headers })
    }
}

/// Boxes, tracks and where they come from. A page covers two minutes at the most; the header Link names the next one. A page that isn't the last
/// ends before `to_secs`.
#[utoipa::path(
    get, path = "/api/videos/{id}/detections", params(Window),
    responses((status = 200, body = Detections, headers(("Link" = String, description = "The next page, with rel=next; absent on the last"))),
              (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub async fn detections(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    Query(window): Query<Window>,
) -> Result<(HeaderMap, Json<Detections>), Problem> {
    let video = caller.recording(&app, &id).await?;
    let run = app.store.shown_run(&id).await?;
    let end_secs = end_secs(&video, run.as_ref());
    let Some(run) = run else {
        let (from_secs, to_secs) = window.range(end_secs)?;
        let none = Detections { from_secs, to_secs, counted_to_secs: 0.0, frames: Vec::new() };
        return Ok((HeaderMap::new(), Json(none)));
    };
    let SettledPage { from_secs, to_secs, frames, headers } =
        SettledPage::read(&app, &run, &window, end_secs, MAX_WINDOW_SECS).await?;
    let frames = frames
        .into_iter()
        .map(|frame| FrameBoxes {
            pts: frame.pts.0,
            inferred: frame.reason.is_some(),
            boxes: frame
                .boxes
                .iter()
                .map(|found| {
                    let is_measured = f64::from(u8::from(found.origin == Origin::Measured));
                    let score = (f64::from(found.score) * 1000.0).round() / 1000.0;
                    let px = |px: f32| (f64::from(px) * 100.0).round() / 100.0;
                    let rect = found.rect;
                    [
                        px(rect.x),
                        px(rect.y),
                        px(rect.width),
                        px(rect.height),
                        score,
                        f64::from(found.track.0),
                        is_measured,
                    ]
                })
                .collect(),
        })
        .collect();
    Ok((headers, Json(Detections { from_secs, to_secs, counted_to_secs: run.counted_to_secs, frames })))
}

#[derive(Deserialize, IntoParams)]
pub struct CountsWindow {
    /// Seconds; default 0.
    from: Option<f64>,
    /// Seconds; default the end.
    to: Option<f64>,
    /// About how many points at the most; default 1000, at most 10000.
    points: Option<u32>,
}

impl RequestArguments for CountsWindow {
    const FIELDS: &'static [Field] = &[
        Field::optional("from", Kind::Number),
        Field::optional("to", Kind::Number),
        Field::optional("points", Kind::Whole(0, u32::MAX as i64)),
    ];
}

/// The count curve.
#[derive(Serialize, ToSchema)]
pub struct Counts {
    /// Seconds per point, from the point's own on; 0 if each point is a frame.
    pub level_secs: f64,
    pub counted_to_secs: f64,
    /// `[secs, mean, min, max]`: animals on the picture.
    pub points: Vec<[f64; 4]>,
}

/// Animals on the picture over time, at a level of detail that fits.
#[utoipa::path(
    get, path = "/api/videos/{id}/counts", params(CountsWindow),
    responses((status = 200, body = Counts), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub async fn counts(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    Query(query): Query<CountsWindow>,
) -> Result<Json<Counts>, Problem> {
    let video = caller.recording(&app, &id).await?;
    let window = Window { from: query.from, to: query.to };
    let run = app.store.shown_run(&id).await?;
    let (from_secs, to_secs) = window.range(end_secs(&video, run.as_ref()))?;
    let points = query.points.unwrap_or(1000).clamp(1, 10_000);
    let Some(run) = run else {
        return Ok(Json(Counts { level_secs: 0.0, counted_to_secs: 0.0, points: Vec::new() }));
    };
    let window = app.store.counts(&run.id, from_secs, to_secs, points).await?;
    let points = window
        .points
        .iter()
        .map(|point| [point.secs, point.mean, f64::from(point.min), f64::from(point.max)])
        .collect();
    Ok(Json(Counts { level_secs: window.level_secs, counted_to_secs: run.counted_to_secs, points }))
}

/// An animal over a line.
#[derive(Serialize, ToSchema)]
pub struct Crossing {
    /// It never changes.
    pub id: String,
    /// The line's identifier.
    pub line: String,
    /// The version of the line that was crossed, from 1.
    pub line_version: i64,
    /// `forward`: from the left of the arrow to its right as seen on the picture; or `backward`.
    #[schema(value_type = DirectionName)]
    pub direction: String,
    pub secs: f64,
    pub pts: i64,
    pub track: u32,
}

/// All crossings of the lines that hold for a video, each in its current version, in order of time.
#[utoipa::path(
    get, path = "/api/videos/{id}/crossings",
    responses((status = 200, body = Vec<Crossing>), (status = 404, body = Problem))
)]
pub async fn crossings(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
) -> Result<Json<Vec<Crossing>>, Problem> {
    caller.recording(&app, &id).await?;
    let Some(run) = app.store.shown_run(&id).await? else { return Ok(Json(Vec::new())) };
    let crossings = app.store.crossings(&run.id).await?;
    Ok(Json(crossings.into_iter().map(Crossing::from).collect()))
}

impl From<LineCrossing> for Crossing {
    fn from(crossing: LineCrossing) -> Self {
        Self {
            id: crossing.id,
            line: crossing.line_id,
            line_version: crossing.line_version_number,
            direction: crossing.direction.to_string(),
            secs: crossing.secs,
            pts: crossing.pts,
            track: crossing.track,
        }
    }
}

#[derive(Deserialize, IntoParams)]
pub struct Moment {
    /// The video.
    id: String,
    /// Seconds since the first frame.
    t: f64,
}

impl RequestArguments for Moment {
    const FIELDS: &'static [Field] = &[Field::needed("id", Kind::Text), Field::needed("t", Kind::Number)];
}

/// Three answers that are never the same.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CountState {
    /// The frame is analysed: `count` is a number, which may be 0.
    Counted,
    /// The frame is not analysed yet, and there is no detector now: `count` is null.
    Pending,
    /// The video has no picture at this moment: `count` is null.
    NoVideo,
}

/// The count at a moment.
#[derive(Serialize, ToSchema)]
pub struct CountAtTime {
    pub count: Option<u32>,
    /// Read from a stored analysis, not inferred for this request.
    pub cached: bool,
    pub state: CountState,
    /// The uncertainty of the analysis, animals: see `uncertainty` of a run. Null for a count inferred for this request,
    /// and if the detector doesn't say what its scores mean.
    pub uncertainty: Option<f64>,
    /// Seconds of the frame that was counted, or the requested moment.
    pub t: f64,
}

/// The number of animals at a moment. A frame that no analysis has reached is inferred for this request.
#[utoipa::path(
    get, path = "/api/video_file/count_at_time", params(Moment),
    responses((status = 200, body = CountAtTime), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub async fn count_at_time(
    caller: Caller,
    app: Shared,
    Query(Moment { id, t }): Query<Moment>,
) -> Result<Json<CountAtTime>, Problem> {
    if !t.is_finite() {
        return Err(Problem::bad_request(format!(
            "t = {t} is no moment; ask for a number of seconds since the first frame"
        )));
    }
    let video = caller.recording(&app, &id).await?;
    let nothing = |state| Ok(Json(CountAtTime { count: None, cached: false, state, uncertainty: None, t }));
    if t < 0.0 || video.error.is_some() || video.duration_secs.is_some_and(|end| t > end) {
        return nothing(CountState::NoVideo);
    }
    let run = app.store.shown_run(&id).await?;
    let counted_to_secs = run.as_ref().map_or(0.0, |run| run.counted_to_secs);
    if let Some(run) = run
        && t <= run.counted_to_secs
        && let Some(frame) = app.store.settled_at(&run.id, t).await?
        // While a camera was away there is no frame: the one before it says nothing.
        && !(video.is_of_camera && t - frame.secs > GAP_SECS)
    {
        let (count, state) = (Some(frame.boxes.len() as u32), CountState::Counted);
        let uncertainty = run.count_uncertainty();
        return Ok(Json(CountAtTime { count, cached: true, state, uncertainty, t: frame.secs }));
    }
    if video.is_of_camera {
        return nothing(if t > counted_to_secs { CountState::Pending } else { CountState::NoVideo });
    }
    let Ok(inference) = app.detector_of(&video).await else {
        return nothing(CountState::Pending);
    };
    let (seen, t, cached) = app.on_demand_counts.count(&app.pool, &app.config, &video, &inference, t).await?;
    Ok(Json(CountAtTime {
        count: Some(seen.count),
        cached,
        state: CountState::Counted,
        uncertainty: None,
        t,
    }))
}

/// What a camera sends has no duration: it ends where it is counted to.
fn end_secs(video: &VideoRecord, run: Option<&RunRecord>) -> f64 {
    let counted_secs = || run.map_or(0.0, |run| run.counted_to_secs);
    // The frame at the very end is part of it.
    video.duration_secs.unwrap_or_else(|| counted_secs() + 1.0)
}
