//! Turns errors into status codes, and only here: RFC 9457 problem documents.

use crate::reason::Reasoned as _;
use crate::sources::library::OpenError;
use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use pigweight_store::{Reason, STORE_DAMAGED};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// After this time, one who was told that something can't be had now may ask again.
const RETRY_AFTER_SECS: HeaderValue = HeaderValue::from_static("10");
const PROBLEM_TYPE: &str = "application/problem+json";

/// What went wrong and what to do about it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the title is the status's own.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// One sentence for the reader.
    detail: String,
    /// If the requested moment lies outside the video: the first and the last valid moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_range_secs: Option<[f64; 2]>,
    /// What the server's health has to tell from now on.
    #[serde(skip)]
    #[schema(ignore)]
    trouble: Option<Box<Reason>>,
}

/// In a response's extensions: what the server's health has to tell from now on.
#[derive(Clone)]
pub struct ServerTrouble(pub Reason);

impl Problem {
    /// Any status, with a sentence for the reader.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            valid_range_secs: None,
            trouble: None,
        }
    }

    /// A status that needs no explanation.
    pub fn of_status(status: StatusCode) -> Self {
        Self::new(status, advice(status, ""))
    }

    /// 400.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 403.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 422: the video exists but can't be read.
    pub fn unreadable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// 503.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// 500, with the cause in the log and not in the response.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!("{cause}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong on the server; its log says what")
    }

    /// 426: this is available over a WebSocket only.
    pub fn websocket_only(path: &str) -> Response {
        let problem = Self::new(
            StatusCode::UPGRADE_REQUIRED,
            format!("{path} answers over a WebSocket; connect to it with ws:// or wss://"),
        );
        let headers = [
            (header::UPGRADE, HeaderValue::from_static("websocket")),
            (header::CONNECTION, HeaderValue::from_static("upgrade")),
            (header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
        ];
        (headers, problem).into_response()
    }

    /// 416 for bytes beyond the end of a file.
    pub fn outside_file(size_bytes: u64) -> Response {
        let problem = Self::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            format!("the range begins behind the end of the file; it has {size_bytes} bytes, counted from 0"),
        );
        let mut response = problem.into_response();
        response.headers_mut().insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if let Ok(range) = HeaderValue::from_str(&format!("bytes */{size_bytes}")) {
            response.headers_mut().insert(header::CONTENT_RANGE, range);
        }
        response
    }

    /// 416 for a moment outside a video of this length.
    pub fn outside(secs: f64, last_secs: f64) -> Self {
        Self {
            valid_range_secs: Some([0.0, last_secs]),
            ..Self::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                format!("t = {secs:?} s lies outside the video; ask for 0 to {last_secs:.3} s"),
            )
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER_SECS);
        }
        let trouble = self.trouble.clone().map(|trouble| ServerTrouble(*trouble));
        let mut response = (status, headers, Json(self).into_response().into_body()).into_response();
        if let Some(trouble) = trouble {
            response.extensions_mut().insert(trouble);
        }
        response
    }
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        problem.into_response()
    }
}

impl From<pigweight_store::Error> for Problem {
    fn from(error: pigweight_store::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&pigweight_store::Error> for Problem {
    fn from(error: &pigweight_store::Error) -> Self {
        use pigweight_store::Error;
        match error {
            Error::NotFound { .. } => Self::not_found(error.to_string()),
            Error::Line(_) | Error::Priority { .. } => Self::bad_request(error.to_string()),
            Error::TooManyLines { .. }
            | Error::JobEnded { .. }
            | Error::JobReplaced { .. }
            | Error::JobOutdated { .. } => Self::new(StatusCode::CONFLICT, error.to_string()),
            error if error.code() == STORE_DAMAGED => Self {
                trouble: Some(Box::new(error.reason())),
                ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
            },
            error if error.is_storage_trouble() => Self::unavailable(error.to_string()),
            error => Self::internal(error),
        }
    }
}

impl From<pigweight_core::line::LineError> for Problem {
    fn from(error: pigweight_core::line::LineError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<pigweight_media::Error> for Problem {
    fn from(error: pigweight_media::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&pigweight_media::Error> for Problem {
    fn from(error: &pigweight_media::Error) -> Self {
        use pigweight_media::Error;
        match error {
            &Error::OutsideVideo { secs, last_secs } => Self::outside(secs, last_secs),
            Error::Jpeg { .. } | Error::Preview { .. } => Self::internal(error),
            // The client is gone.
            Error::Cancelled => Self::unavailable(error.to_string()),
            // The next one may succeed.
            error if error.is_of_worker() => Self::unavailable(error.reason().text),
            error => Self::unreadable(error.reason().text),
        }
    }
}

impl From<Arc<OpenError>> for Problem {
    fn from(error: Arc<OpenError>) -> Self {
        match &*error {
            OpenError::Media(error) => error.into(),
            OpenError::Store(error) => error.into(),
            OpenError::Stopped => Self::unavailable(error.to_string()),
        }
    }
}

impl From<crate::sources::uploads::Error> for Problem {
    fn from(error: crate::sources::uploads::Error) -> Self {
        use crate::sources::uploads::Error;
        let status = match &error {
            Error::Off => StatusCode::FORBIDDEN,
            Error::Empty => StatusCode::BAD_REQUEST,
            Error::Name(..) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Error::TooLarge { .. } | Error::TooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Error::NoRoom(_) | Error::Full => StatusCode::INSUFFICIENT_STORAGE,
            Error::TooMany => StatusCode::SERVICE_UNAVAILABLE,
            Error::NotFound(_) => StatusCode::NOT_FOUND,
            Error::Offset { .. } => StatusCode::CONFLICT,
            Error::Superseded => StatusCode::LOCKED,
            Error::Disk { .. } => return Self::internal(error),
        };
        Self::new(status, error.to_string())
    }
}

/// The longest foreign error text that is passed on, one sentence.
const MAX_REASON_BYTES: usize = 4096;

/// Plain-text errors of the web framework itself (a path that isn't UTF-8, an unsupported method)
/// become problem documents, so that programs read all errors alike. Their other headers, such as `Allow`, stay.
pub async fn problems_only(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_ours = path.starts_with("/api/") || path.starts_with("/ws/");
    let response = next.run(request).await;
    let status = response.status();
    let is_problem = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == PROBLEM_TYPE);
    if !is_ours || is_problem || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (parts, body) = response.into_parts();
    // A longer or truncated body says nothing more than its status.
    let reason = axum::body::to_bytes(body, MAX_REASON_BYTES).await.unwrap_or_default();
    let mut response =
        Problem::new(status, advice(status, String::from_utf8_lossy(&reason).trim())).into_response();
    for (name, value) in &parts.headers {
        if ![header::CONTENT_TYPE, header::CONTENT_LENGTH].contains(name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// What to do about an error of the framework.
fn advice(status: StatusCode, reason: &str) -> String {
    match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            "this method is not known here; the Allow header names those that are".to_owned()
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            "the body is too large; nothing here takes more than 2 MB".to_owned()
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            "send the body as JSON, with the header Content-Type: application/json".to_owned()
        }
        _ if reason.is_empty() => {
            "this cannot be answered; /api/openapi.json describes what can be asked for".to_owned()
        }
        _ => format!("{reason}; /api/openapi.json describes what can be asked for"),
    }
}

/// Any unknown path under `/api`.
pub async fn unknown_path(uri: Uri) -> Problem {
    Problem::not_found(format!("there is no {}; /api/openapi.json lists what there is", uri.path()))
}
