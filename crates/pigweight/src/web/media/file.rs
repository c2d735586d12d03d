//! The original file, by byte ranges.

use crate::sources::file_identity::{SystemFiles, identity};
use crate::web::api::types::{is_gone, media_type};
use crate::web::app::App;
use crate::web::app::Shared;
use crate::web::auth::caller::Caller;
use crate::web::request::byte_range::{RangeRequest, requested_range};
use crate::web::request::conditional;
use crate::web::request::problem::Problem;
use axum::extract::{Path, Request};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use pigweight_store::{FileIdentity, VideoRecord};
use tower_http::services::ServeFile;

/// The original bytes; byte ranges as browsers ask for them.
#[utoipa::path(
    get, path = "/api/videos/{id}/file",
    responses((status = 200, description = "The whole file"), (status = 206, description = "A range of it"),
              (status = 304, description = "Unchanged since the ETag that was sent"), (status = 404, body = Problem),
              (status = 412, body = Problem, description = "Another file than If-Match names"), (status = 416, body = Problem))
)]
pub async fn original(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    mut request: Request,
) -> Result<Response, Problem> {
    let record = caller.video(&app, &id).await?;
    let size_bytes = unchanged(&app, &record).await?.stat.size_bytes.unsigned_abs();
    let etag = format!("\"{id}\"");
    if conditional::wants_another(request.headers(), &etag) {
        let detail = "the file is another one than the one that If-Match names; ask without it";
        return Err(Problem::new(StatusCode::PRECONDITION_FAILED, detail));
    }
    let is_known = conditional::is_known(request.headers(), &etag);
    let etag = HeaderValue::from_str(&etag).map_err(Problem::internal)?;
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    // ServeFile answers 416 to every header it doesn't understand, and ignores If-Range: it only gets what it
    // understands.
    let headers = request.headers_mut();
    // An entity tag takes precedence over a date (RFC 9110, 13.2.2). ServeFile would compare with entity tags of its own.
    if headers.remove(header::IF_NONE_MATCH).is_some() {
        headers.remove(header::IF_MODIFIED_SINCE);
    }
    if headers.remove(header::IF_MATCH).is_some() {
        headers.remove(header::IF_UNMODIFIED_SINCE);
    }
    let is_same = headers.remove(header::IF_RANGE).is_none_or(|known| known == etag);
    let range = headers.remove(header::RANGE).filter(|_| is_same && request.method() == Method::GET);
    match range.map_or(RangeRequest::Whole, |range| requested_range(range.as_bytes(), size_bytes)) {
        RangeRequest::Whole => {}
        RangeRequest::Part(first, last) => {
            let range = HeaderValue::from_str(&format!("bytes={first}-{last}")).map_err(Problem::internal)?;
            request.headers_mut().insert(header::RANGE, range);
        }
        RangeRequest::Outside => return Ok(Problem::outside_file(size_bytes)),
    }
    let mut response = ServeFile::new(record.file_path())
        .try_call(request)
        .await
        .map_err(|error| Problem::unreadable(format!("cannot read {}: {error}", record.name)))?;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(&record.name)));
    headers.insert(header::ETAG, etag);
    Ok(response.into_response())
}

/// The file of a registered video, if it hasn't changed. The next folder scan may be some seconds away, and
/// other bytes must not be served under its identifier.
pub async fn unchanged(app: &App, record: &VideoRecord) -> Result<FileIdentity, Problem> {
    let path = record.file_path();
    let identity = tokio::task::spawn_blocking(move || identity(&path, &SystemFiles)).await;
    let identity = identity.map_err(Problem::internal)?.map_err(|_| is_gone(record))?;
    match app.store.video_of_file(&identity).await? {
        Some(known) if known.id == record.id => Ok(identity),
        _ => Err(is_gone(record)),
    }
}
