//! Calibration of a video by the number of its animals.

use crate::accuracy::calibration::DetectedFrame;
use crate::accuracy::known_number::{self, FittedThreshold};
use crate::analysis::retrack;
use crate::analysis::settings::RunSettings;
use crate::describe::Chain;
use crate::web::api::sources::MAX_ANIMALS;
use crate::web::app::Shared;
use crate::web::auth::caller::Caller;
use crate::web::request::arguments::{Body, Field, Kind, RequestArguments};
use crate::web::request::problem::Problem;
use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use pigweight_store::{RunRecord, RunState, Store};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Frames that thresholds are tried on: some seconds of work. A longer video is represented by stretches spread over all of it, each long
/// enough that what a track gains over its first seconds counts.
const TRIED_FRAMES: i64 = 12_000;
const STRETCHES: i64 = 8;

/// How many animals are in the picture all the time.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KnownNumber {
    /// 1 to 100,000; by default what the video's source is said to hold.
    #[serde(default)]
    animals: Option<i64>,
}

impl RequestArguments for KnownNumber {
    const FIELDS: &'static [Field] = &[Field::optional("animals", Kind::WholeOrNull(1, MAX_ANIMALS))];
}

/// The threshold that was found and set.
#[derive(Serialize, ToSchema)]
pub struct VideoCalibration {
    /// Boxes are pigs from this score on.
    pub min_score: f32,
    /// Animals on a frame on average, with the threshold before.
    pub mean_before: f64,
    /// With this one, as far as can be told from what is stored; the recount tells exactly.
    pub mean_after: f64,
}

/// Sets the score from which on boxes are pigs in one video so that as many are counted on average as are in the picture all the time. The
/// video is recounted then; what is counted stays shown until that is done. `PUT /api/videos/{id}/settings` with null takes it back.
#[utoipa::path(
    post, path = "/api/videos/{id}/calibration", request_body = KnownNumber,
    responses((status = 200, body = VideoCalibration), (status = 400, body = Problem), (status = 404, body = Problem),
              (status = 409, body = Problem, description = "Nothing is counted with this detector yet, or no threshold comes near the number"),
              (status = 413, body = Problem), (status = 415, body = Problem), (status = 503, body = Problem))
)]
pub async fn calibrate(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    Body(KnownNumber { animals }): Body<KnownNumber>,
) -> Result<Json<VideoCalibration>, Problem> {
    let video = caller.video(&app, &id).await?;
    let animals =
        animals.or(video.animals).and_then(|animals| u32::try_from(animals).ok()).ok_or_else(|| {
            Problem::bad_request(
                "animals is missing, and the source has no known number of animals; it is a whole number",
            )
        })?;
    let inference =
        app.detector_of(&video).await.map_err(|missing| Problem::unavailable(missing.error.to_string()))?;
    let not_yet = |why: &str| Problem::new(StatusCode::CONFLICT, why);
    let run = app.store.shown_run(&id).await?.filter(|run| run.state == RunState::Done);
    let run = run.ok_or_else(|| not_yet("this video is not counted to its end yet; wait until it is"))?;
    if run.model_hash != inference.model().info().hash {
        return Err(not_yet("this video was counted with another detector; wait until it is recounted"));
    }
    let before = RunSettings::of_video(&app.config, &video, inference.model())
        .map_err(|error| not_yet(&Chain(error.as_ref()).to_string()))?;
    let stretches = stretches(&app.store, &run).await?;
    let work = move || known_number::fit(&stretches, before.tracker.high_score, animals);
    let fitted = tokio::task::spawn_blocking(work).await.map_err(Problem::internal)?;
    let FittedThreshold { min_score, mean_before, mean_after } =
        fitted.map_err(|error| not_yet(&error.to_string()))?;
    let model_hash = &inference.model().info().hash;
    app.store.set_video_min_score(&id, Some(f64::from(min_score)), Some(model_hash)).await?;
    app.wake();
    Ok(Json(VideoCalibration { min_score, mean_before, mean_after }))
}

/// Detections of a run: all of them, or those of stretches spread over it.
async fn stretches(store: &Store, run: &RunRecord) -> Result<Vec<Vec<DetectedFrame>>, Problem> {
    let (number, frames_each) = if run.frames_done <= TRIED_FRAMES {
        (1, TRIED_FRAMES)
    } else {
        (STRETCHES, TRIED_FRAMES / STRETCHES)
    };
    let mut stretches = Vec::new();
    for place in 0..number {
        let mut stretch: Vec<DetectedFrame> = Vec::new();
        let mut sequence = place * run.next_chunk / number;
        let end = (place + 1) * run.next_chunk / number;
        while sequence < end && (stretch.len() as i64) < frames_each {
            let frames = store.chunk(&run.id, sequence).await?.unwrap_or_default();
            stretch.extend(frames.iter().map(|frame| {
                let inferred = frame.reason.map(|reason| (reason, retrack::detections(frame, 0.0)));
                (frame.pts, frame.secs, inferred)
            }));
            sequence += 1;
        }
        stretches.push(stretch);
    }
    Ok(stretches)
}
