//! Which web pages may use the server: its own, and those of the origins that the configuration names.
//!
//! Another web page must not be able to change lines on a farm's PC through its user's browser. Requests that change something, and sockets, must
//! come from the page itself, from an allowed one, or from a program, which names no origin. Browsers keep what is read from other pages by themselves.

use crate::web::app::Shared;
use crate::web::request::problem::Problem;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
/// What the page of this server sends, and uploads by tus.
const HEADERS: HeaderValue = HeaderValue::from_static(
    "Content-Type, If-None-Match, Range, Tus-Resumable, Upload-Length, Upload-Metadata, Upload-Offset, X-HTTP-Method-Override",
);
/// What a page may read besides the usual.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "Content-Range, ETag, Location, Retry-After, Upload-Length, Upload-Offset, X-Frame-Pts, X-Frame-Time",
);
/// How long a browser may rely on an answer to what it asks first.
const MAX_AGE_SECS: HeaderValue = HeaderValue::from_static("600");

/// Refuses what other pages may not do, and answers those that may.
pub async fn guard(app: Shared, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let origin = headers.get(header::ORIGIN).cloned();
    let allowed = origin.clone().filter(|origin| {
        app.config.allowed_origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes())
    });
    let is_foreign = is_foreign(headers);
    let is_asked_first =
        request.method() == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let is_change = !matches!(request.method().as_str(), "GET" | "HEAD" | "OPTIONS");
    let is_socket = headers.contains_key(header::UPGRADE);
    let mut response = match &allowed {
        Some(_) if is_asked_first => StatusCode::NO_CONTENT.into_response(),
        None if is_foreign && (is_change || is_socket) => Problem::forbidden(
            "this request came from a page of another site; use the page that PigWeight serves, or name that site in allowed_origins",
        )
        .into(),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !app.config.allowed_origins.is_empty() {
        // A cache must not give one page the answer of another.
        headers.append(header::VARY, HeaderValue::from_name(HeaderName::from_static("origin")));
    }
    if let Some(allowed) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        if is_asked_first {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECS);
        }
    }
    response
}

fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match (text(header::ORIGIN), text(header::HOST)) {
        (Some(origin), Some(host)) => origin.split_once("://").is_none_or(|(_, authority)| authority != host),
        _ => false,
    }
}
