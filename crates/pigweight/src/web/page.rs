//! The page, embedded in the binary.

use crate::web::request::conditional;
use crate::web::request::problem::Problem;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use rust_embed::RustEmbed;
use std::fmt::Write as _;

/// Chosen by `build.rs`: the built page, or a sentence that says how to build it.
#[derive(RustEmbed)]
#[folder = "$EMBEDDED_PAGE"]
struct Page;

/// A file of the page; the page itself at the root.
pub async fn page(uri: Uri, request_headers: HeaderMap) -> Response {
    let path = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    let Some(file) = Page::get(path) else {
        return Problem::not_found(format!("there is no {}; the page is at /", uri.path())).into_response();
    };
    let mut etag = String::from("\"");
    for byte in &file.metadata.sha256_hash()[..16] {
        // Writing to a string cannot fail.
        let _infallible = write!(etag, "{byte:02x}");
    }
    etag.push('"');
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, value);
    }
    // The bundler puts a hash into the names of assets: files with such names never change.
    let caching =
        if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; style-src 'self' 'unsafe-inline'; \
             frame-ancestors 'self'",
        ),
    );
    if conditional::is_known(&request_headers, &etag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    if let Ok(value) = HeaderValue::from_str(file.metadata.mimetype()) {
        headers.insert(header::CONTENT_TYPE, value);
    }
    (headers, file.data).into_response()
}
