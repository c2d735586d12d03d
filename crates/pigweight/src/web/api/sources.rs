//! Sources: the origin of recordings, with shared lines and settings.

use crate::accuracy::calibration::Calibration;
use crate::accuracy::input_width::{is_chosen, widths_in_words};
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
use std::path::Path as FilePath;
use utoipa::ToSchema;

/// Animals that a person may say there are.
pub const MAX_ANIMALS: i64 = 100_000;
/// No detector has a wider input, px.
const MAX_INPUT_WIDTH: i64 = 16_384;

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
    /// Width of the detector's input as a person has set it here, px; null: chosen from the size of the animals.
    pub input_width: Option<i64>,
    /// The input that counts its recordings now; null while there is no detector.
    pub input: Option<SourceInput>,
    /// RFC 3339, UTC.
    pub created_at: String,
}

/// The detector's input for a source. Small animals are found better in a wider one, which takes longer.
#[derive(Serialize, ToSchema)]
pub struct SourceInput {
    /// px.
    pub width: u32,
    /// `person`: set for this source. `configuration`: set for all. `animals`: chosen from the size of its animals. `model`: the detector's own.
    pub chosen_by: &'static str,
    /// Median side (root of the area) of its animals, px of the detector's own input; null: not measured yet.
    pub animal_px: Option<f64>,
    /// Time of an inference at the chosen width, as measured, ms; null: not measured yet.
    pub inference_ms: Option<f64>,
    /// Widths that may be set, px. One alone where the device or the model has no other.
    pub widths: Vec<u32>,
}

impl SourceInput {
    fn of(app: &App, source: &SourceRecord) -> Option<Self> {
        let inference = app.detector.now().ok()?;
        let model = inference.model();
        let folder = source.folder.as_deref().map_or(FilePath::new("/"), FilePath::new);
        let is_usual_detector = app.detector.own_file(&folder.join("video"), &source.id).is_none();
        let is_measured = is_usual_detector
            && source.measured_with.as_ref() == Some(&model.info().hash)
            && is_chosen(&app.config, model);
        let widths = model.input_widths();
        let px =
            |width: Option<i64>| width.and_then(|px| u32::try_from(px).ok()).filter(|px| widths.contains(px));
        let stated = [
            (px(source.input_width_px), "person"),
            (app.config.detect.input_width, "configuration"),
            (px(source.measured_input_width_px).filter(|_| is_measured), "animals"),
        ];
        let stated = stated.into_iter().find_map(|(width, chosen_by)| Some((width?, chosen_by)));
        let (width, chosen_by) = stated.unwrap_or((model.info().input_width as u32, "model"));
        let (animal_px, secs) = (source.measured_animal_px, source.measured_inference_secs);
        Some(Self {
            width,
            chosen_by,
            animal_px: animal_px.filter(|_| is_measured),
            inference_ms: secs.filter(|_| chosen_by == "animals").map(|secs| 1e3 * secs),
            widths,
        })
    }
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
    /// Width of the detector's input, px, one of `input.widths`; null: chosen from the size of the animals. Leave it out to keep what is set.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>)]
    input_width: Option<Option<i64>>,
}

impl RequestArguments for SourceSettings {
    const READ_ONLY: &'static [&'static str] =
        &["id", "kind", "folder", "videos", "lines", "calibration", "input", "created_at"];
    const FIELDS: &'static [Field] = &[
        Field::optional("name", Kind::TextOrNull),
        Field::optional("min_score", Kind::NumberOrNull),
        Field::optional("animals", Kind::WholeOrNull(1, MAX_ANIMALS)),
        Field::optional("input_width", Kind::WholeOrNull(1, MAX_INPUT_WIDTH)),
    ];
}

/// A width that the detector has.
fn checked_width(app: &App, width: Option<i64>) -> Result<Option<i64>, Problem> {
    let Some(width) = width else { return Ok(None) };
    let inference = app.detector.now().map_err(|missing| Problem::unavailable(missing.error.to_string()))?;
    let widths = inference.model().input_widths();
    if widths.iter().any(|&known| i64::from(known) == width) {
        return Ok(Some(width));
    }
    Err(Problem::bad_request(format!(
        "input_width cannot be {width}; the detector has {} px here",
        widths_in_words(inference.model())
    )))
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
fn model_hash(app: &App, folder: &FilePath, source_id: &str) -> Option<String> {
    match app.detector.own_file(&folder.join("video"), source_id) {
        Some(file) => Some(blake3::hash(&std::fs::read(file).ok()?).to_hex().to_string()),
        None => Some(app.detector.now().ok()?.model().info().hash.clone()),
    }
}

impl Source {
    fn of(app: &App, source: SourceRecord) -> Self {
        let input = SourceInput::of(app, &source);
        let calibration = source.folder.as_ref().and_then(|folder| {
            // For a video in the folder, the folder's own file or one above it applies.
            let file = Calibration::nearest(&FilePath::new(folder).join("video"))?;
            let found = Calibration::read(&file).ok()?;
            let model = model_hash(app, FilePath::new(folder), &source.id);
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
            input_width: source.input_width_px,
            input,
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

/// Renames a source, says how many animals it holds, or sets the score from which on boxes are pigs or the width of the detector's input for all its recordings. With another
/// score or width they are recounted; what is counted stays shown until that is done.
#[utoipa::path(
    put, path = "/api/sources/{id}", request_body = SourceSettings,
    responses((status = 200, body = Source), (status = 400, body = Problem), (status = 404, body = Problem),
              (status = 413, body = Problem), (status = 415, body = Problem))
)]
pub async fn change(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    Body(SourceSettings { name, min_score, animals, input_width }): Body<SourceSettings>,
) -> Result<Json<Source>, Problem> {
    caller.source(&app, &id).await?;
    let name = name.map(|name| checked_name("source", &name)).transpose()?;
    let min_score = min_score.map(checked_score).transpose()?;
    let input_width_px = input_width.map(|width| checked_width(&app, width)).transpose()?;
    let change = SourceChange { name, min_score, animals, input_width_px };
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
