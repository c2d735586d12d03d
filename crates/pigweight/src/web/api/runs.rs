//! The runs of a video: a list, the inferred frames with reasons, and comparison of two runs.

use crate::web::api::counts::SettledPage;
use crate::web::api::types::{Run, Window};
use crate::web::app::Shared;
use crate::web::auth::caller::Caller;
use crate::web::request::arguments::{Field, Kind, Query, RequestArguments};
use crate::web::request::problem::Problem;
use axum::Json;
use axum::extract::Path;
use axum::http::HeaderMap;
use pigweight_core::inference_schedule;
use pigweight_store::{CountPoint, RunRecord};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// Longest window of one response; longer ones come in pages. Up to every frame in it may be inferred.
const MAX_WINDOW_SECS: f64 = 600.0;

/// Why a frame was inferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InferenceReason {
    /// Every frame is inferred.
    EveryFrame,
    /// A fixed interval had passed.
    Interval,
    /// Nothing was known before it.
    First,
    /// No frame follows.
    Last,
    /// The scene is still: once a second.
    Still,
    /// Something moves: at least six times a second.
    Moving,
    /// Something moves and an animal is near a line: at least ten times a second.
    NearLine,
    /// Something moved in a scene that was still.
    MotionStart,
    /// It lies within the half second before a frame that woke a still scene.
    BeforeMotion,
}

impl From<inference_schedule::InferenceReason> for InferenceReason {
    fn from(reason: inference_schedule::InferenceReason) -> Self {
        match reason {
            inference_schedule::InferenceReason::EveryFrame => Self::EveryFrame,
            inference_schedule::InferenceReason::Interval => Self::Interval,
            inference_schedule::InferenceReason::First => Self::First,
            inference_schedule::InferenceReason::Last => Self::Last,
            inference_schedule::InferenceReason::Still => Self::Still,
            inference_schedule::InferenceReason::Moving => Self::Moving,
            inference_schedule::InferenceReason::NearLine => Self::NearLine,
            inference_schedule::InferenceReason::MotionStart => Self::MotionStart,
            inference_schedule::InferenceReason::BeforeMotion => Self::BeforeMotion,
        }
    }
}

/// A frame on which the detector ran.
#[derive(Serialize, ToSchema)]
pub struct InferredFrame {
    pub pts: i64,
    pub secs: f64,
    pub reason: InferenceReason,
}

/// The inferred frames of a window, and why each was inferred. Boxes of the other frames are interpolated.
#[derive(Serialize, ToSchema)]
pub struct InferenceSchedule {
    pub from_secs: f64,
    /// At most ten minutes behind `from_secs`.
    pub to_secs: f64,
    /// The schedule is final up to here.
    pub counted_to_secs: f64,
    /// Frames of the window, inferred or not.
    pub frames: usize,
    /// Inferred frames of the window, by reason.
    pub reasons: BTreeMap<String, u32>,
    /// In order of time.
    pub inferred_frames: Vec<InferredFrame>,
}

/// All analyses of a video, the newest first. The page and the other answers show the one that `/api/videos/{id}` names in `run`.
#[utoipa::path(
    get, path = "/api/videos/{id}/runs",
    responses((status = 200, body = Vec<Run>), (status = 404, body = Problem))
)]
pub async fn list(caller: Caller, app: Shared, Path(id): Path<String>) -> Result<Json<Vec<Run>>, Problem> {
    let video = caller.recording(&app, &id).await?;
    let job = app.store.latest_job(&id).await?;
    let runs = app.store.runs(&id).await?;
    Ok(Json(runs.iter().map(|run| Run::new(run, &video, &app, job.as_ref())).collect()))
}

/// An analysis by its identifier.
#[derive(Serialize, ToSchema)]
pub struct RunOfVideo {
    /// The video that it is of.
    pub video: String,
    /// It is the one that is shown: a complete one.
    pub is_published: bool,
    #[serde(flatten)]
    pub run: Run,
}

/// One analysis.
#[utoipa::path(
    get, path = "/api/runs/{id}",
    responses((status = 200, body = RunOfVideo), (status = 404, body = Problem))
)]
pub async fn one(caller: Caller, app: Shared, Path(id): Path<String>) -> Result<Json<RunOfVideo>, Problem> {
    let (run, video) = caller.run(&app, &id).await?;
    let job = app.store.latest_job(&video.id).await?;
    Ok(Json(RunOfVideo {
        is_published: video.published_run_id.as_ref() == Some(&run.id),
        run: Run::new(&run, &video, &app, job.as_ref()),
        video: video.id,
    }))
}

/// Which frames a run inferred, and why. Long windows come in pages, as detections do.
#[utoipa::path(
    get, path = "/api/videos/{id}/runs/{run}/schedule", params(Window),
    responses((status = 200, body = InferenceSchedule, headers(("Link" = String, description = "The next page, with rel=next; absent on the last"))),
              (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub async fn schedule(
    caller: Caller,
    app: Shared,
    Path((id, run)): Path<(String, String)>,
    Query(window): Query<Window>,
) -> Result<(HeaderMap, Json<InferenceSchedule>), Problem> {
    let video = caller.recording(&app, &id).await?;
    let run = run_of(&app, &id, &run).await?;
    let end_secs = video.duration_secs.unwrap_or(0.0);
    let SettledPage { from_secs, to_secs, frames, headers } =
        SettledPage::read(&app, &run, &window, end_secs, MAX_WINDOW_SECS).await?;
    let mut inferred_frames = Vec::new();
    let mut reasons = BTreeMap::new();
    for frame in &frames {
        if let Some(reason) = frame.reason.map(InferenceReason::from) {
            *reasons.entry(reason).or_insert(0) += 1;
            inferred_frames.push(InferredFrame { pts: frame.pts.0, secs: frame.secs, reason });
        }
    }
    let name = |reason: InferenceReason| serde_json::to_value(reason).ok()?.as_str().map(str::to_owned);
    let reasons = reasons
        .into_iter()
        .filter_map(|(reason, inferred_frames)| Some((name(reason)?, inferred_frames)))
        .collect();
    let counted_to_secs = run.counted_to_secs;
    let frames = frames.len();
    let schedule =
        InferenceSchedule { from_secs, to_secs, counted_to_secs, frames, reasons, inferred_frames };
    Ok((headers, Json(schedule)))
}

#[derive(Deserialize, IntoParams)]
pub struct Comparison {
    /// The other analysis.
    with: String,
    /// Seconds; default 0.
    from: Option<f64>,
    /// Seconds; default the end.
    to: Option<f64>,
    /// About how many points at the most; default 1000, at most 10000.
    points: Option<u32>,
}

impl RequestArguments for Comparison {
    const FIELDS: &'static [Field] = &[
        Field::needed("with", Kind::Text),
        Field::optional("from", Kind::Number),
        Field::optional("to", Kind::Number),
        Field::optional("points", Kind::Whole(0, u32::MAX as i64)),
    ];
}

/// Two analyses of one video beside each other, as far as both have come.
#[derive(Serialize, ToSchema)]
pub struct RunDifference {
    /// The analysis that the path names.
    pub run: Run,
    /// The other one.
    pub with: Run,
    /// Both have counted up to here.
    pub counted_to_secs: f64,
    /// Seconds per point; 0 if each point is a frame.
    pub level_secs: f64,
    /// The count of this one less that of the other, on average over the points; null where there is none.
    pub mean_difference: Option<f64>,
    /// The same without its sign.
    pub mean_absolute_difference: Option<f64>,
    /// `[secs, count of this one, count of the other]`: animals on the picture, on average over the point.
    pub points: Vec<[f64; 3]>,
    /// Those of `points` at which the two differ most, by a whole animal at least; the largest difference first, at most ten.
    pub largest: Vec<[f64; 3]>,
}

/// Where two analyses of a video differ: another model, another threshold, another schedule.
#[utoipa::path(
    get, path = "/api/videos/{id}/runs/{run}/compare", params(Comparison),
    responses((status = 200, body = RunDifference), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub async fn compare(
    caller: Caller,
    app: Shared,
    Path((id, run)): Path<(String, String)>,
    Query(query): Query<Comparison>,
) -> Result<Json<RunDifference>, Problem> {
    let video = caller.recording(&app, &id).await?;
    let (run, with) = (run_of(&app, &id, &run).await?, run_of(&app, &id, &query.with).await?);
    let counted_to_secs = run.counted_to_secs.min(with.counted_to_secs);
    let window = Window { from: query.from, to: query.to };
    let (from_secs, to_secs) = window.range(video.duration_secs.unwrap_or(0.0))?;
    let points = query.points.unwrap_or(1000).clamp(1, 10_000);
    let to_secs = to_secs.min(counted_to_secs).max(from_secs);
    let of = async |run: &RunRecord, points| app.store.counts(&run.id, from_secs, to_secs, points).await;
    let (mut one, mut other) = (of(&run, points).await?, of(&with, points).await?);
    if one.level_secs != other.level_secs {
        // One has fewer frames, which were damaged. Levels from a second on don't depend on that.
        let points = ((to_secs - from_secs) as u32).clamp(1, points);
        (one, other) = (of(&run, points).await?, of(&with, points).await?);
    }
    let points = beside(&one.points, &other.points, counted_to_secs);
    let mean = |value: &dyn Fn(f64) -> f64| {
        let sum: f64 = points.iter().map(|[_, one, other]| value(one - other)).sum();
        (!points.is_empty()).then(|| sum / points.len() as f64)
    };
    let (mean_difference, mean_absolute_difference) = (mean(&|value| value), mean(&f64::abs));
    let job = app.store.latest_job(&video.id).await?;
    Ok(Json(RunDifference {
        run: Run::new(&run, &video, &app, job.as_ref()),
        with: Run::new(&with, &video, &app, job.as_ref()),
        counted_to_secs,
        level_secs: one.level_secs,
        mean_difference,
        mean_absolute_difference,
        largest: largest(&points),
        points,
    }))
}

async fn run_of(app: &crate::web::App, video_id: &str, run_id: &str) -> Result<RunRecord, Problem> {
    let run = app.store.run(run_id).await?;
    if run.video_id == video_id {
        Ok(run)
    } else {
        Err(Problem::not_found(format!(
            "the run {run_id:?} is of another video; /api/videos/{video_id}/runs lists those of this one"
        )))
    }
}

/// The points that both have, by their moment.
fn beside(one: &[CountPoint], other: &[CountPoint], to_secs: f64) -> Vec<[f64; 3]> {
    let millis = |point: &CountPoint| (point.secs * 1000.0).round() as i64;
    let other: BTreeMap<i64, f64> = other.iter().map(|point| (millis(point), point.mean)).collect();
    let known = one.iter().filter(|point| point.secs <= to_secs);
    known.filter_map(|point| Some([point.secs, point.mean, *other.get(&millis(point))?])).collect()
}

fn largest(points: &[[f64; 3]]) -> Vec<[f64; 3]> {
    let distance = |point: &[f64; 3]| (point[1] - point[2]).abs();
    let mut largest: Vec<_> = points.iter().filter(|point| distance(point) >= 1.0).copied().collect();
    largest.sort_by(|one, other| distance(other).total_cmp(&distance(one)));
    largest.truncate(10);
    largest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(secs: f64, mean: f64) -> CountPoint {
        CountPoint { secs, mean, min: 0, max: 9 }
    }

    #[test]
    fn only_moments_counted_by_both_runs_are_compared() {
        let one = [point(0.0, 3.0), point(1.0, 4.0), point(2.0, 9.0), point(3.0, 9.0)];
        let other = [point(0.0, 3.0), point(1.000_000_1, 2.0), point(3.0, 1.0)];
        let points = beside(&one, &other, 2.5);
        assert_eq!(points, [[0.0, 3.0, 3.0], [1.0, 4.0, 2.0]]);
        assert_eq!(largest(&points), [[1.0, 4.0, 2.0]]);
    }

    #[test]
    fn every_reason_has_the_same_name_outside() {
        for reason in inference_schedule::InferenceReason::ALL {
            let outside = serde_json::to_value(InferenceReason::from(reason)).unwrap();
            assert_eq!(outside, serde_json::to_value(reason).unwrap());
        }
    }
}
