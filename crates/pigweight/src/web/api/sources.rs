//! Sources: the origin of recordings, with shared lines and settings.

use crate::accuracy::calibration::Calibration;
use crate::web::api::types::{Video, time};
use crate::web::app::{App, Shared};
use crate::web::auth::caller::Caller;
use crate::web::request::arguments::{Body, Field, Kind, Query, RequestArguments, checked_name, given};
use crate::web::request::pages::{PageOf, page_headers, unknown_cursor};
use crate::web::request::problem::Problem;
use axum::Json;
use axum::extract::Path;
use axum::http::HeaderMap;
use pigweight_store::{SourceChange, SourceRecord};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Animals that a person may say there are.
pub const MAX_ANIMALS: i64 = 100_000;

/// A folder of one camera's recordings, an upload, or a camera.
#[derive(Serialize, ToSchema)]
pub struct Source {
    pub id: String,
    /// `folder`, `upload` or `camera`.
    pub kind: &'static str,
    pub name: String,
    /// Absolute; null for an upload or a camera.
    pub folder: Option<String>,
    /// Recordings whose files are there now.
    pub videos: i64,
    /// Lines for all its recordings.
    pub lines: i64,
    /// Boxes are pigs from this score on, as a person has set it here; null: as calibrated or configured.
    pub min_score: Option<f64>,
    /// What the folder was calibrated to; null if it was not.
    pub calibration: Option<FolderCalibration>,
    /// How many animals a person says there are; shown beside what is counted. Null: unknown.
    pub animals: Option<i64>,
    /// RFC 3339, UTC.
    pub created_at: String,
}

/// What `pigweight check --calibrate` has found for a folder's videos.
#[derive(Serialize, ToSchema)]
pub struct FolderCalibration {
    pub min_score: f32,
    /// The file that says so.
    pub file: String,
    /// It was found with the detector that is used now; otherwise it does not hold.
    pub holds: bool,
}

/// What a person sets for a source.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceSettings {
    #[serde(default)]
    name: Option<String>,
    /// Boxes are pigs from this score on, 0 to 1; null: as calibrated or configured. Leave it out to keep what is set.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<f64>)]
    min_score: Option<Option<f64>>,
    /// How many animals there are, 1 to 100,000; null: unknown. Leave it out to keep what is set.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>)]
    animals: Option<Option<i64>>,
}

impl RequestArguments for SourceSettings {
    const READ_ONLY: &'static [&'static str] =
        &["id", "kind", "folder", "videos", "lines", "calibration", "created_at"];
    const FIELDS: &'static [Field] = &[
        Field::optional("name", Kind::TextOrNull),
        Field::optional("min_score", Kind::NumberOrNull),
        Field::optional("animals", Kind::WholeOrNull(1, MAX_ANIMALS)),
    ];
}

fn checked_score(min_score: Option<f64>) -> Result<Option<f64>, Problem> {
    match min_score {
        Some(score) if !(0.0..=1.0).contains(&score) => {
            Err(Problem::bad_request(format!("min_score cannot be {score}; it lies between 0 and 1")))
        }
        min_score => Ok(min_score),
    }
}

/// The hash of the detector that counts the videos of a folder.
fn model_hash(app: &App, folder: &std::path::Path, source_id: &str) -> Option<String> {
    match app.detector.own_file(&folder.join("video"), source_id) {
        Some(file) => Some(blake3::hash(&std::fs::read(file).ok()?).to_hex().to_string()),
        None => Some(app.detector.now().ok()?.model().info().hash.clone()),
    }
}

impl Source {
    fn of(app: &App, source: SourceRecord) -> Self {
        let calibration = source.folder.as_ref().and_then(|folder| {
            // For a video in the folder, the folder's own file or one above it applies.
            let file = Calibration::nearest(&std::path::Path::new(folder).join("video"))?;
            let found = Calibration::read(&file).ok()?;
            let model = model_hash(app, std::path::Path::new(folder), &source.id);
            Some(FolderCalibration {
                min_score: found.min_score,
                file: file.display().to_string(),
                holds: model.as_ref() == Some(&found.model),
            })
        });
        Self {
            id: source.id,
            kind: source.kind.name(),
            name: source.name,
            folder: source.folder,
            videos: source.videos,
            lines: source.lines,
            min_score: source.min_score,
            calibration,
            animals: source.animals,
            created_at: time(source.created_at).unwrap_or_default(),
        }
    }
}

/// Sources by name, in pages.
#[utoipa::path(
    get, path = "/api/sources", params(PageOf),
    responses((status = 200, body = Vec<Source>, headers(("link" = String, description = "The next page, rel=\"next\""))),
              (status = 400, body = Problem))
)]
pub async fn list(
    _: Caller,
    app: Shared,
    Query(page): Query<PageOf>,
) -> Result<(HeaderMap, Json<Vec<Source>>), Problem> {
    let limit = page.limit();
    if let Some(cursor) = page.cursor() {
        app.store.source(cursor).await.map_err(|_| unknown_cursor(cursor))?;
    }
    let sources = app.store.sources(page.cursor(), limit).await?;
    let headers = page_headers(sources.len(), limit, sources.last().map(|source| source.id.as_str()), None)?;
    let sources = sources.into_iter().map(|source| Source::of(&app, source)).collect();
    Ok((headers, Json(sources)))
}

/// One source.
#[utoipa::path(
    get, path = "/api/sources/{id}",
    responses((status = 200, body = Source), (status = 404, body = Problem))
)]
pub async fn one(caller: Caller, app: Shared, Path(id): Path<String>) -> Result<Json<Source>, Problem> {
    let source = caller.source(&app, &id).await?;
    Ok(Json(Source::of(&app, source)))
}

/// Renames a source, says how many animals it holds, or sets the score from which on boxes are pigs in all its recordings. With another score they are recounted; what is
/// counted stays shown until that is done.
#[utoipa::path(
    put, path = "/api/sources/{id}", request_body = SourceSettings,
    responses((status = 200, body = Source), (status = 400, body = Problem), (status = 404, body = Problem),
              (status = 413, body = Problem), (status = 415, body = Problem))
)]
pub async fn change(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    Body(SourceSettings { name, min_score, animals }): Body<SourceSettings>,
) -> Result<Json<Source>, Problem> {
    caller.source(&app, &id).await?;
    let name = name.map(|name| checked_name("source", &name)).transpose()?;
    let change = SourceChange { name, min_score: min_score.map(checked_score).transpose()?, animals };
    let source = app.store.change_source(&id, &change).await?;
    app.wake();
    Ok(Json(Source::of(&app, source)))
}

/// The source that a video shall belong to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VideoSource {
    source: String,
}

impl RequestArguments for VideoSource {
    const FIELDS: &'static [Field] = &[Field::needed("source", Kind::Text)];
}

/// Moves a video to another source: that source's lines and settings hold for it from now on. Its own lines stay its own.
#[utoipa::path(
    put, path = "/api/videos/{id}/source", request_body = VideoSource,
    responses((status = 200, body = Video), (status = 400, body = Problem), (status = 404, body = Problem),
              (status = 413, body = Problem), (status = 415, body = Problem))
)]
pub async fn move_video(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    Body(VideoSource { source }): Body<VideoSource>,
) -> Result<Json<Video>, Problem> {
    caller.video(&app, &id).await?;
    caller.source(&app, &source).await?;
    app.store.move_video(&id, &source).await?;
    app.wake();
    app.count_lines();
    let video = app.store.video(&id).await?;
    Ok(Json(Video::of(&app, &video).await?))
}

/// What a person sets for one video.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VideoSettings {
    /// Boxes are pigs from this score on, 0 to 1; null: as its source says.
    min_score: Option<f64>,
}

impl RequestArguments for VideoSettings {
    const FIELDS: &'static [Field] = &[Field::needed("min_score", Kind::NumberOrNull)];
}

/// Sets the score from which on boxes are pigs in one video. It is recounted then; what is counted stays shown until that is
/// done.
#[utoipa::path(
    put, path = "/api/videos/{id}/settings", request_body = VideoSettings,
    responses((status = 200, body = Video), (status = 400, body = Problem), (status = 404, body = Problem),
              (status = 413, body = Problem), (status = 415, body = Problem))
)]
pub async fn change_video(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    Body(VideoSettings { min_score }): Body<VideoSettings>,
) -> Result<Json<Video>, Problem> {
    caller.video(&app, &id).await?;
    let video = app.store.set_video_min_score(&id, checked_score(min_score)?, None).await?;
    app.wake();
    Ok(Json(Video::of(&app, &video).await?))
}
