//! The original file, by byte ranges.

use super::error::Problem;
use super::types::{is_gone, media_type, present_video};
use super::{App, Shared};
use crate::library;
use axum::extract::{Path, Request};
use axum::http::{HeaderValue, Method, header};
use axum::response::{IntoResponse as _, Response};
use pigweight_store::{FileIdentity, VideoRecord};
use std::path::PathBuf;
use tower_http::services::ServeFile;

/// What of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Whole,
    /// First and last byte, both in the file.
    Part(u64, u64),
    /// It begins behind the end.
    Outside,
}

/// The original bytes; byte ranges as browsers ask for them.
#[utoipa::path(
    get, path = "/api/videos/{id}/file",
    responses((status = 200, description = "The whole file"), (status = 206, description = "A range of it"),
              (status = 404, body = Problem), (status = 416, body = Problem))
)]
pub async fn original(
    app: Shared,
    Path(id): Path<String>,
    mut request: Request,
) -> Result<Response, Problem> {
    let record = present_video(&app, &id).await?;
    let size_bytes = unchanged(&app, &record).await?.size_bytes.unsigned_abs();
    let etag = HeaderValue::from_str(&format!("\"{id}\"")).map_err(Problem::internal)?;
    // ServeFile answers 416 to every header that it does not understand, and knows no If-Range: it gets only what it
    // understands.
    let headers = request.headers_mut();
    let is_same = headers.remove(header::IF_RANGE).is_none_or(|known| known == etag);
    let range = headers.remove(header::RANGE).filter(|_| is_same && request.method() == Method::GET);
    match range.map_or(Asked::Whole, |range| asked(range.as_bytes(), size_bytes)) {
        Asked::Whole => {}
        Asked::Part(first, last) => {
            let range = HeaderValue::from_str(&format!("bytes={first}-{last}")).map_err(Problem::internal)?;
            request.headers_mut().insert(header::RANGE, range);
        }
        Asked::Outside => return Ok(Problem::outside_file(size_bytes)),
    }
    let mut response = ServeFile::new(&record.path)
        .try_call(request)
        .await
        .map_err(|error| Problem::unreadable(format!("cannot read {}: {error}", record.name)))?;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(&record.name)));
    headers.insert(header::ETAG, etag);
    Ok(response.into_response())
}

/// What the file of a registered video is now, if that is what it was. The next look at the folder may be some seconds away:
/// other bytes must not be served under its identifier.
pub async fn unchanged(app: &App, record: &VideoRecord) -> Result<FileIdentity, Problem> {
    let path = PathBuf::from(&record.path);
    let identity = tokio::task::spawn_blocking(move || library::identity(&path)).await;
    let identity = identity.map_err(Problem::internal)?.map_err(|_| is_gone(record))?;
    match app.store.video_of_file(&identity).await? {
        Some(known) if known.id == record.id => Ok(identity),
        _ => Err(is_gone(record)),
    }
}

/// RFC 9110, section 14.2: what is no range of bytes is ignored, what ends behind the file ends with it. Several ranges
/// at once are ignored too, as the RFC allows: no player asks for them.
fn asked(header: &[u8], size_bytes: u64) -> Asked {
    let range = || {
        let (unit, range) = std::str::from_utf8(header).ok()?.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = range.trim().split_once('-')?;
        Some((place(first)?, place(last)?))
    };
    match range() {
        Some((Some(first), Some(last))) if first > last => Asked::Whole,
        Some((Some(first), _)) if first >= size_bytes => Asked::Outside,
        Some((Some(first), last)) => {
            let end = size_bytes - 1;
            Asked::Part(first, last.map_or(end, |last| last.min(end)))
        }
        // The last so many bytes.
        Some((None, Some(count))) if count == 0 || size_bytes == 0 => Asked::Outside,
        Some((None, Some(count))) => Asked::Part(size_bytes.saturating_sub(count), size_bytes - 1),
        Some((None, None)) | None => Asked::Whole,
    }
}

/// A place in a file, nothing where nothing is written; `None` where it is no number. One too large for any file is
/// behind the end of each.
fn place(text: &str) -> Option<Option<u64>> {
    if text.is_empty() {
        return Some(None);
    }
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Some(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_clamped_and_what_is_none_is_ignored() {
        for (header, expected) in [
            ("bytes=0-0", Asked::Part(0, 0)),
            ("bytes=10-", Asked::Part(10, 99)),
            ("Bytes=10-500", Asked::Part(10, 99)),
            ("bytes=0-99999999999999999999999", Asked::Part(0, 99)),
            ("bytes=-30", Asked::Part(70, 99)),
            ("bytes=-300", Asked::Part(0, 99)),
            ("bytes=100-", Asked::Outside),
            ("bytes=99999999999999999999999-", Asked::Outside),
            ("bytes=-0", Asked::Outside),
            ("bytes=5-4", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=a-b", Asked::Whole),
            ("bytes=0-1,5-6", Asked::Whole),
            ("bytes 0-1", Asked::Whole),
            ("frames=0-1", Asked::Whole),
            ("", Asked::Whole),
        ] {
            assert_eq!(asked(header.as_bytes(), 100), expected, "{header}");
        }
        assert_eq!(asked(b"bytes=\xff-", 100), Asked::Whole);
        assert_eq!(asked(b"bytes=0-", 0), Asked::Outside);
        assert_eq!(asked(b"bytes=-5", 0), Asked::Outside);
    }
}
