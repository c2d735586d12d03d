//! The one place that turns errors into status codes: RFC 9457 problem documents.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong and what to do about it.
#[derive(Debug, Serialize, ToSchema)]
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
    /// For a moment outside a video: the first and the last moment that can be asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_range_secs: Option<[f64; 2]>,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            valid_range_secs: None,
        }
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

    /// 422: the video is there and cannot be read.
    pub fn unreadable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// 503.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// 500, with the cause in the log and not in the answer.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!("{cause}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong on the server; its log says what")
    }

    /// 416 for a moment outside a video of this length.
    pub fn outside(secs: f64, last_secs: f64) -> Self {
        Self {
            valid_range_secs: Some([0.0, last_secs]),
            ..Self::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                format!("t = {secs} s lies outside the video; ask for 0 to {last_secs:.3} s"),
            )
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        (status, headers, Json(self).into_response().into_body()).into_response()
    }
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        problem.into_response()
    }
}

impl From<pigweight_store::Error> for Problem {
    fn from(error: pigweight_store::Error) -> Self {
        use pigweight_store::Error;
        match error {
            Error::NotFound { .. } => Self::not_found(error.to_string()),
            Error::Line(_) => Self::bad_request(error.to_string()),
            error if error.is_storage_trouble() => Self::unavailable(error.to_string()),
            error => Self::internal(error),
        }
    }
}

impl From<pigweight_media::Error> for Problem {
    fn from(error: pigweight_media::Error) -> Self {
        use pigweight_media::Error;
        match error {
            Error::OutsideVideo { secs, last_secs } => Self::outside(secs, last_secs),
            Error::Jpeg { .. } => Self::internal(error),
            error => Self::unreadable(error.to_string()),
        }
    }
}

impl From<crate::library::OpenError> for Problem {
    fn from(error: crate::library::OpenError) -> Self {
        match error {
            crate::library::OpenError::Media(error) => error.into(),
            crate::library::OpenError::Store(error) => error.into(),
        }
    }
}

impl From<axum::extract::rejection::QueryRejection> for Problem {
    fn from(rejection: axum::extract::rejection::QueryRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl From<axum::extract::rejection::JsonRejection> for Problem {
    fn from(rejection: axum::extract::rejection::JsonRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

/// Anything under `/api` that is no path of ours.
pub async fn unknown_path(uri: Uri) -> Problem {
    Problem::not_found(format!("there is no {}; /api/openapi.json lists what there is", uri.path()))
}
