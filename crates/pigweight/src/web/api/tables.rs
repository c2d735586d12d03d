//! Results as tables for spreadsheets (CSV, RFC 4180).

use crate::web::app::Shared;
use crate::web::auth::caller::Caller;
use crate::web::request::arguments::{Field, Kind, Query, RequestArguments};
use crate::web::request::problem::Problem;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures::{StreamExt as _, stream};
use pigweight_store::{Store, VideoRecord};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::{IntoParams, ToSchema};

/// By which spreadsheets know UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";
/// As Python's and Excel's own dialects write it.
const LINE_END: csv::Terminator = csv::Terminator::CRLF;

/// Which character separates decimals.
#[derive(Clone, Copy, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decimal {
    /// `1.5`, between commas.
    #[default]
    Point,
    /// `1,5`, between semicolons, as spreadsheets in Russian and German expect it.
    Comma,
}

#[derive(Deserialize, IntoParams)]
pub struct TableForm {
    /// Default `point`.
    decimal: Option<Decimal>,
}

impl RequestArguments for TableForm {
    const FIELDS: &'static [Field] = &[Field::optional("decimal", Kind::OneOf(&["point", "comma"]))];
}

/// Writes rows.
#[derive(Clone, Copy)]
struct Table {
    decimal: Decimal,
    /// Seconds since 1970 of the first frame, UTC.
    recorded_at: Option<i64>,
}

impl Table {
    fn of(form: &TableForm, video: &VideoRecord) -> Self {
        Self { decimal: form.decimal.unwrap_or_default(), recorded_at: video.recorded_at }
    }

    fn rows<'a>(
        self,
        rows: impl IntoIterator<Item = Vec<std::borrow::Cow<'a, str>>>,
    ) -> Result<Bytes, Problem> {
        let mut writer = csv::WriterBuilder::new()
            .delimiter(match self.decimal {
                Decimal::Point => b',',
                Decimal::Comma => b';',
            })
            .terminator(LINE_END)
            .from_writer(Vec::new());
        for row in rows {
            writer.write_record(row.iter().map(|cell| cell.as_bytes())).map_err(Problem::internal)?;
        }
        writer.into_inner().map(Bytes::from).map_err(|error| Problem::internal(error.to_string()))
    }

    fn number(self, number: f64) -> String {
        let text = format!("{number:.3}");
        match self.decimal {
            Decimal::Point => text,
            Decimal::Comma => text.replace('.', ","),
        }
    }

    /// The moment of a frame, RFC 3339 in UTC; empty if it isn't known when the video was recorded.
    fn time(self, secs: f64) -> String {
        let of = |recorded_at: i64| {
            let millis = (recorded_at as f64 + secs) * 1000.0;
            jiff::Timestamp::from_millisecond(millis.round() as i64).ok()
        };
        self.recorded_at.and_then(of).map(|time| format!("{time:.3}")).unwrap_or_default()
    }
}

/// A name that a spreadsheet would run as a formula is text here.
fn text_cell(name: &str) -> String {
    if name.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{name}") } else { name.to_owned() }
}

fn answer(name: &str, what: &str, body: Body) -> Result<Response, Problem> {
    let plain: String = name
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '_' })
        .collect();
    let encoded = name.replace('/', "_");
    let encoded = percent_encoding::utf8_percent_encode(&encoded, percent_encoding::NON_ALPHANUMERIC);
    let disposition =
        format!("attachment; filename=\"{plain}.{what}.csv\"; filename*=UTF-8''{encoded}.{what}.csv");
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    headers
        .insert(header::CONTENT_DISPOSITION, HeaderValue::from_str(&disposition).map_err(Problem::internal)?);
    Ok((headers, body).into_response())
}

/// All crossings as a table: when, over which line, which way.
#[utoipa::path(
    get, path = "/api/videos/{id}/crossings.csv", params(TableForm),
    responses((status = 200, body = String, content_type = "text/csv"), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub async fn crossings(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    Query(form): Query<TableForm>,
) -> Result<Response, Problem> {
    let video = caller.recording(&app, &id).await?;
    let table = Table::of(&form, &video);
    let lines = app.store.lines_of_video(&id).await?;
    let names: HashMap<String, String> =
        lines.into_iter().map(|line| (line.line.id, text_cell(&line.line.name))).collect();
    let crossings = match app.store.shown_run(&id).await? {
        Some(run) => app.store.crossings(&run.id).await?,
        None => Vec::new(),
    };
    let head = ["time", "secs", "line", "direction", "track", "id"].map(Into::into).to_vec();
    let rows = crossings.iter().map(|crossing| {
        let name = names.get(&crossing.line_id).unwrap_or(&crossing.line_id);
        vec![
            table.time(crossing.secs).into(),
            table.number(crossing.secs).into(),
            name.as_str().into(),
            crossing.direction.to_string().into(),
            crossing.track.to_string().into(),
            crossing.id.as_str().into(),
        ]
    });
    let rows = table.rows(std::iter::once(head).chain(rows))?;
    answer(&video.name, "crossings", Body::from([BYTE_ORDER_MARK.as_bytes(), &rows].concat()))
}

/// The count of each settled frame as a table.
#[utoipa::path(
    get, path = "/api/videos/{id}/counts.csv", params(TableForm),
    responses((status = 200, body = String, content_type = "text/csv"), (status = 400, body = Problem), (status = 404, body = Problem))
)]
pub async fn counts(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    Query(form): Query<TableForm>,
) -> Result<Response, Problem> {
    let video = caller.recording(&app, &id).await?;
    let table = Table::of(&form, &video);
    let head = table.rows([["time", "secs", "count"].map(Into::into).to_vec()])?;
    let head = Bytes::from([BYTE_ORDER_MARK.as_bytes(), &head].concat());
    let Some(run) = app.store.shown_run(&id).await? else {
        return answer(&video.name, "counts", Body::from(head));
    };
    let name = video.name;
    // Chunk by chunk: a day of frames doesn't have to fit into memory.
    let rows = stream::unfold(Some((0_i64, Some(head))), move |next| {
        let (store, run) = (app.store.clone(), run.id.clone());
        async move {
            let (sequence, head) = next?;
            if let Some(head) = head {
                return Some((Ok(head), Some((sequence, None))));
            }
            match chunk(&store, &run, sequence, table).await {
                Ok(Some(rows)) => Some((Ok(rows), Some((sequence + 1, None)))),
                Ok(None) => None,
                // The connection breaks off, so that a part doesn't look like the whole.
                Err(problem) => Some((Err(std::io::Error::other(problem)), None)),
            }
        }
    });
    // Compression asks once more after the end.
    answer(&name, "counts", Body::from_stream(rows.fuse()))
}

async fn chunk(store: &Store, run: &str, sequence: i64, table: Table) -> Result<Option<Bytes>, String> {
    let failed = |error: pigweight_store::Error| error.to_string();
    let Some(frames) = store.chunk(run, sequence).await.map_err(failed)? else { return Ok(None) };
    let rows = frames.iter().map(|frame| {
        vec![
            table.time(frame.secs).into(),
            table.number(frame.secs).into(),
            frame.boxes.len().to_string().into(),
        ]
    });
    table.rows(rows).map(Some).map_err(|_| "the table cannot be written".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_read_back_as_they_are_and_never_run() {
        assert_eq!(text_cell("Gate 1"), "Gate 1");
        for formula in ["=1+1", "+1", "-1", "@sum", "\t=1"] {
            assert_eq!(text_cell(formula), format!("'{formula}"));
        }
        let row = |decimal: Decimal| {
            let table = Table { decimal, recorded_at: Some(1_753_000_000) };
            let cells = vec![table.time(1.5).into(), table.number(1.5).into(), "a \"b\"; c, d".into()];
            String::from_utf8(table.rows([cells]).expect("it is written").to_vec()).unwrap()
        };
        assert_eq!(row(Decimal::Point), "2025-07-20T08:26:41.500Z,1.500,\"a \"\"b\"\"; c, d\"\r\n");
        assert_eq!(row(Decimal::Comma), "2025-07-20T08:26:41.500Z;1,500;\"a \"\"b\"\"; c, d\"\r\n");
        let unknown = Table { decimal: Decimal::Point, recorded_at: None };
        assert_eq!(unknown.time(1.5), "");
    }
}
