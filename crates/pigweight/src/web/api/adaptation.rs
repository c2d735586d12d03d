//! Adapting the detector to a source.

use crate::background::adaptations::{
    self, AdaptationRecord, AdaptationState as Stored, Error, KnownNumbers, check_animals,
};
use crate::web::app::{App, Shared};
use crate::web::auth::caller::Caller;
use crate::web::request::arguments::{Body, Field, Kind, RequestArguments};
use crate::web::request::problem::Problem;
use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const MOST_MOMENTS: usize = 1000;

/// How far an adaptation is.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdaptationState {
    /// None was requested.
    None,
    /// It begins, or goes on, when no other runs.
    Waiting,
    /// It learns.
    Running,
    /// The adapted detector counts the source's recordings; they are recounted with it.
    Done,
    /// The detector did not get better; nothing has changed.
    NotBetter,
    /// It could not learn; `reason` says why.
    Failed,
}

/// The adaptation of the detector to a source.
#[derive(Serialize, ToSchema)]
pub struct Adaptation {
    pub state: AdaptationState,
    /// Number of animals that are always in view, as requested; null without an adaptation, and with numbers at moments.
    pub animals: Option<u32>,
    /// Numbers at moments, as requested.
    pub moments: Vec<CountedMoment>,
    /// Done, 0 to 1.
    pub progress: f64,
    /// How far the counts of the held-out third of the film are from the number on average, with the detector before. Null until it is known.
    pub count_error_before: Option<f64>,
    /// With the adapted one.
    pub count_error_after: Option<f64>,
    /// Why it failed.
    pub reason: Option<String>,
}

impl From<Option<AdaptationRecord>> for Adaptation {
    fn from(record: Option<AdaptationRecord>) -> Self {
        let state = match record.as_ref().map(|record| record.state) {
            None => AdaptationState::None,
            Some(Stored::Waiting) => AdaptationState::Waiting,
            Some(Stored::Running) => AdaptationState::Running,
            Some(Stored::Done) => AdaptationState::Done,
            Some(Stored::NotBetter) => AdaptationState::NotBetter,
            Some(Stored::Failed) => AdaptationState::Failed,
        };
        Self {
            state,
            animals: record.as_ref().and_then(|record| record.animals),
            moments: record.iter().flat_map(|record| record.moments.iter().map(CountedMoment::of)).collect(),
            progress: record.as_ref().map_or(0.0, |record| record.progress),
            count_error_before: record.as_ref().and_then(|record| record.error_before),
            count_error_after: record.as_ref().and_then(|record| record.error_after),
            reason: record.and_then(|record| record.reason),
        }
    }
}

/// How many animals are in view at a moment of a recording.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CountedMoment {
    /// A recording of the source.
    video: String,
    /// Seconds since its first frame.
    t: f64,
    /// 0 to 300.
    animals: i64,
}

impl CountedMoment {
    fn of(moment: &adaptations::CountedMoment) -> Self {
        Self { video: moment.video_id.clone(), t: moment.secs, animals: moment.animals.into() }
    }
}

/// How many animals are in view: all the time, or at some moments, where they come and go. A number of a moment holds until the next one if that
/// has the same number, and for ten seconds otherwise.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnimalsInView {
    /// 1 to 300; by default what the source is said to hold. Leave it out where there are moments.
    #[serde(default)]
    animals: Option<i64>,
    /// At most 1000, one of them with an animal.
    #[serde(default)]
    moments: Vec<CountedMoment>,
}

impl RequestArguments for AnimalsInView {
    const FIELDS: &'static [Field] =
        &[Field::optional("animals", Kind::WholeOrNull(1, 300)), Field::optional("moments", Kind::List)];
}

/// The moments, if each lies in a recording of the source.
async fn checked_moments(
    caller: &Caller,
    app: &App,
    source_id: &str,
    moments: Vec<CountedMoment>,
) -> Result<KnownNumbers, Problem> {
    if moments.len() > MOST_MOMENTS {
        return Err(Problem::bad_request(format!("moments are at most {MOST_MOMENTS}")));
    }
    let mut checked = Vec::new();
    for CountedMoment { video, t, animals } in moments {
        let recording = caller.recording(app, &video).await?;
        if recording.source_id != source_id {
            return Err(Problem::bad_request(format!(
                "{:?} is a recording of another source; send moments of this source's recordings",
                recording.name
            )));
        }
        let last_secs = recording.duration_secs.unwrap_or(0.0);
        if !(0.0..=last_secs).contains(&t) {
            return Err(Problem::bad_request(format!(
                "the moment {t:?} s lies outside {:?}, which ends at {last_secs:.3} s",
                recording.name
            )));
        }
        let animals = match animals {
            0 => 0,
            animals => check_animals(animals).map_err(|refusal| Problem::bad_request(refusal.to_string()))?,
        };
        checked.push(adaptations::CountedMoment { video_id: video, secs: t, animals });
    }
    if checked.iter().all(|moment| moment.animals == 0) {
        return Err(Problem::bad_request("at least one of the moments must have an animal"));
    }
    Ok(KnownNumbers::AtMoments(checked))
}

/// Adapts the detector to a source, from its own recordings and the number of animals in view, all the time or at moments. It runs in the background, beside counting. If the
/// detector gets better, the source's recordings are recounted with it; what is counted stays shown until that is done.
#[utoipa::path(
    post, path = "/api/sources/{id}/adaptation", request_body = AnimalsInView,
    responses((status = 202, body = Adaptation, description = "It begins when no other runs"), (status = 400, body = Problem),
              (status = 404, body = Problem),
              (status = 409, body = Problem, description = "It runs already, or the configuration names a model"),
              (status = 413, body = Problem), (status = 415, body = Problem))
)]
pub async fn adapt(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    Body(AnimalsInView { animals, moments }): Body<AnimalsInView>,
) -> Result<(StatusCode, Json<Adaptation>), Problem> {
    let source = caller.source(&app, &id).await?;
    let numbers = if moments.is_empty() {
        let animals = animals.or(source.animals).ok_or_else(|| {
            Problem::bad_request(
                "animals is missing, and the source has no known number of animals; it is a whole number",
            )
        })?;
        let animals = check_animals(animals).map_err(|refusal| Problem::bad_request(refusal.to_string()))?;
        KnownNumbers::Constant(animals)
    } else if animals.is_some() {
        return Err(Problem::bad_request(
            "send animals, for a number that holds all the time, or moments; not both",
        ));
    } else {
        checked_moments(&caller, &app, &id, moments).await?
    };
    let record = app.adaptations.request(&id, numbers).map_err(|error| match error {
        Error::Open | Error::NamedModel => Problem::new(StatusCode::CONFLICT, error.to_string()),
        Error::Unwritten(_) => Problem::internal(error),
    })?;
    Ok((StatusCode::ACCEPTED, Json(Some(record).into())))
}

/// The adaptation of the detector to a source, and its progress.
#[utoipa::path(
    get, path = "/api/sources/{id}/adaptation",
    responses((status = 200, body = Adaptation), (status = 404, body = Problem))
)]
pub async fn one(caller: Caller, app: Shared, Path(id): Path<String>) -> Result<Json<Adaptation>, Problem> {
    caller.source(&app, &id).await?;
    Ok(Json(app.adaptations.get(&id).into()))
}

/// Stops adapting the detector to a source, or goes back to the detector before: the counts before are shown again.
#[utoipa::path(
    delete, path = "/api/sources/{id}/adaptation",
    responses((status = 204, description = "The source has no detector of its own any more"), (status = 404, body = Problem))
)]
pub async fn remove(caller: Caller, app: Shared, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    caller.source(&app, &id).await?;
    app.adaptations.remove(&id).map_err(Problem::internal)?;
    Ok(StatusCode::NO_CONTENT)
}
