//! The versions of a line.

use crate::web::api::lines::Directions;
use crate::web::api::types::time;
use crate::web::app::Shared;
use crate::web::auth::caller::Caller;
use crate::web::request::arguments::{Field, Kind, Query, RequestArguments};
use crate::web::request::problem::Problem;
use axum::Json;
use axum::extract::Path;
use pigweight_core::line::Direction;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A place that a line has had.
#[derive(Serialize, ToSchema)]
pub struct LineVersion {
    pub id: String,
    /// From 1; the last one is the current one.
    pub number: i64,
    /// RFC 3339, UTC.
    pub created_at: String,
    pub x1: f64,
    pub y1: f64,
    pub x2: f64,
    pub y2: f64,
    /// Size of the picture it was drawn on, px; null if it was not known.
    pub picture_width: Option<i64>,
    pub picture_height: Option<i64>,
    /// Crossings in the published run of the requested video; null without one.
    pub crossings: Option<Directions>,
}

#[derive(Deserialize, IntoParams)]
pub struct VersionsOf {
    /// Count the crossings of this video.
    video: Option<String>,
}

impl RequestArguments for VersionsOf {
    const FIELDS: &'static [Field] = &[Field::optional("video", Kind::Text)];
}

/// The places that a line has had, the first first.
#[utoipa::path(
    get, path = "/api/lines/{id}/versions", params(VersionsOf),
    responses((status = 200, body = Vec<LineVersion>), (status = 404, body = Problem))
)]
pub async fn list(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    Query(of): Query<VersionsOf>,
) -> Result<Json<Vec<LineVersion>>, Problem> {
    caller.line(&app, &id).await?;
    let run = match &of.video {
        Some(video) => {
            caller.recording(&app, video).await?;
            app.store.shown_run(video).await?
        }
        None => None,
    };
    let mut versions = Vec::new();
    for version in app.store.line_versions(&id).await? {
        let crossings = match &run {
            Some(run) => {
                let crossings = app.store.crossings_of_version(&run.id, &version.id).await?;
                let forward = crossings.iter().filter(|one| one.direction == Direction::Forward).count();
                Some(Directions { forward, backward: crossings.len() - forward })
            }
            None => None,
        };
        let geometry = version.geometry;
        versions.push(LineVersion {
            id: version.id,
            number: version.number,
            created_at: time(version.created_at).unwrap_or_default(),
            x1: geometry.x1_px,
            y1: geometry.y1_px,
            x2: geometry.x2_px,
            y2: geometry.y2_px,
            picture_width: geometry.picture_width_px,
            picture_height: geometry.picture_height_px,
            crossings,
        });
    }
    Ok(Json(versions))
}
