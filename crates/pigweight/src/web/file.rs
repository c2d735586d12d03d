//! The original file, by byte ranges.

use super::Shared;
use super::error::Problem;
use super::types::{media_type, present_video};
use axum::extract::{Path, Request};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use tower_http::services::ServeFile;

/// The original bytes; byte ranges as browsers ask for them.
#[utoipa::path(
    get, path = "/api/videos/{id}/file",
    responses((status = 200, description = "The whole file"), (status = 206, description = "A range of it"),
              (status = 404, body = Problem), (status = 416, description = "A range outside the file"))
)]
pub async fn original(app: Shared, Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let record = present_video(&app, &id).await?;
    let mut response = ServeFile::new(&record.path)
        .try_call(request)
        .await
        .map_err(|error| Problem::unreadable(format!("cannot read {}: {error}", record.name)))?;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(&record.name)));
    Ok(response.into_response())
}
