//! Lists in pages: a limit, a cursor, and the address of the next page in the answer's headers (RFC 8288).

use crate::web::request::arguments::{Field, Kind, RequestArguments};
use crate::web::request::problem::Problem;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Deserialize;
use utoipa::IntoParams;

/// Entries of a page at the most, and by default: a list that is not longer comes whole, as it did before there were pages.
pub const MAX_PAGE: u32 = 1000;
/// Entries of all pages together.
pub const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

/// Which page.
#[derive(Deserialize, IntoParams)]
pub struct PageOf {
    /// At most so many, 1 to 1000; default 1000.
    limit: Option<u32>,
    /// Those that follow this one; the header Link of a page names it for the next.
    cursor: Option<String>,
}

impl RequestArguments for PageOf {
    const FIELDS: &'static [Field] =
        &[Field::optional("limit", Kind::Whole(1, MAX_PAGE as i64)), Field::optional("cursor", Kind::Text)];
}

impl PageOf {
    /// The most entries.
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE)
    }

    /// The entry before the first one.
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }
}

/// A list that simply ended there would look complete.
pub fn unknown_cursor(cursor: &str) -> Problem {
    let cursor: String = cursor.chars().take(60).collect();
    Problem::bad_request(format!("there is no page behind the cursor {cursor:?}; begin again without it"))
}

/// Headers for a page of `entries` entries that ends with `last`. A full page may be followed by an empty one.
pub fn page_headers(
    entries: usize,
    limit: u32,
    last: Option<&str>,
    total: Option<i64>,
) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::new();
    if let Some(last) = last.filter(|_| entries >= limit as usize) {
        // Relative, so that it is valid under any address of the server.
        let link = format!("<?limit={limit}&cursor={last}>; rel=\"next\"");
        headers.insert(header::LINK, HeaderValue::from_str(&link).map_err(Problem::internal)?);
    }
    if let Some(total) = total {
        headers.insert(TOTAL_COUNT, HeaderValue::from(total));
    }
    Ok(headers)
}
