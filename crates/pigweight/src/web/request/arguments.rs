//! Request arguments: the query string and JSON bodies.
//!
//! Each shape names its fields and their allowed values, so a refusal says which field is wrong and what is expected, in PigWeight's words
//! instead of the parsing library's. An unknown field of a body or of a query is refused: it may be a misspelt one, whose value would be lost
//! without a word. In a query, names that begin with `_` are ignored: programs add some so that nothing between them and the server answers
//! from a cache.

use crate::web::request::problem::Problem;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Used if a field is wrong in a way that its description doesn't cover.
const DESCRIBED: &str = "/api/openapi.json describes what can be asked for";

/// Allowed values of a field.
#[derive(Clone, Copy)]
pub enum Kind {
    Text,
    TextOrNull,
    Number,
    NumberOrNull,
    /// An integer in this range, inclusive.
    Whole(i64, i64),
    WholeOrNull(i64, i64),
    Truth,
    OneOf(&'static [&'static str]),
    List,
}

/// One field of a request.
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub is_needed: bool,
}

impl Field {
    /// Required.
    pub const fn needed(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, is_needed: true }
    }

    /// Optional.
    pub const fn optional(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, is_needed: false }
    }
}

/// Tells `null` from a field that is left out.
pub fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    value: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(value).map(Some)
}

const MAX_NAME_CHARACTERS: usize = 200;

/// A name that a person gives to `what`, trimmed.
pub fn checked_name(what: &str, name: &str) -> Result<String, Problem> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME_CHARACTERS || name.chars().any(char::is_control) {
        return Err(Problem::bad_request(format!(
            "a {what}'s name is one line of text of at most {MAX_NAME_CHARACTERS} characters"
        )));
    }
    Ok(name.to_owned())
}

/// The shape of a request.
pub trait RequestArguments: DeserializeOwned {
    /// All of its fields.
    const FIELDS: &'static [Field];
    /// Fields of the answer that say nothing here: who has read something may send it back with a change.
    const READ_ONLY: &'static [&'static str] = &[];
}

impl Kind {
    /// The expected form.
    fn words(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::TextOrNull => "text, or null".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::NumberOrNull => "a number, or null".to_owned(),
            Self::Whole(i64::MIN, i64::MAX) => "a whole number".to_owned(),
            Self::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Self::WholeOrNull(least, most) => format!("{}, or null", Self::Whole(least, most).words()),
            Self::Truth => "true or false".to_owned(),
            Self::OneOf(names) => format!("one of {}", names.join(", ")),
            Self::List => "a list".to_owned(),
        }
    }

    fn fits_text(self, text: &str) -> bool {
        match self {
            Self::Text | Self::TextOrNull => true,
            Self::Number | Self::NumberOrNull => text.parse::<f64>().is_ok(),
            Self::Whole(least, most) | Self::WholeOrNull(least, most) => {
                text.parse().is_ok_and(|number| (least..=most).contains(&number))
            }
            Self::Truth => matches!(text, "true" | "false"),
            Self::OneOf(names) => names.contains(&text),
            // Not in an address.
            Self::List => false,
        }
    }

    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::TextOrNull => value.is_string() || value.is_null(),
            Self::Number => value.is_number(),
            Self::NumberOrNull => value.is_number() || value.is_null(),
            Self::Whole(least, most) => value.as_i64().is_some_and(|number| (least..=most).contains(&number)),
            Self::WholeOrNull(least, most) => value.is_null() || Self::Whole(least, most).fits(value),
            Self::Truth => value.is_boolean(),
            Self::OneOf(names) => value.as_str().is_some_and(|text| names.contains(&text)),
            Self::List => value.is_array(),
        }
    }
}

fn missing(field: &Field) -> Problem {
    Problem::bad_request(format!("{} is missing; it is {}", field.name, field.kind.words()))
}

fn wrong(field: &Field, found: &str) -> Problem {
    // Longer values aren't echoed.
    let found: String = found.chars().take(60).collect();
    Problem::bad_request(format!("{} cannot be {found}; it is {}", field.name, field.kind.words()))
}

/// Query parameters.
pub struct Query<T>(pub T);

impl<T: RequestArguments, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        use axum::extract::Query as Read;
        let unread = || {
            Problem::bad_request(format!("what stands behind ? in the address cannot be read; {DESCRIBED}"))
        };
        let Read(pairs) =
            Read::<Vec<(String, String)>>::from_request_parts(parts, state).await.map_err(|_| unread())?;
        let is_known = |name: &str| name.starts_with('_') || T::FIELDS.iter().any(|field| field.name == name);
        if let Some((unknown, _)) = pairs.iter().find(|(name, _)| !is_known(name)) {
            return Err(unknown_parameter(unknown, T::FIELDS));
        }
        for field in T::FIELDS {
            let mut given = pairs.iter().filter(|(name, _)| name == field.name).map(|(_, text)| text);
            match (given.next(), given.next()) {
                (Some(_), Some(_)) => {
                    return Err(Problem::bad_request(format!("{} is given twice; give it once", field.name)));
                }
                (Some(text), None) if !field.kind.fits_text(text) => {
                    return Err(wrong(field, &format!("{text:?}")));
                }
                (None, _) if field.is_needed => return Err(missing(field)),
                _ => {}
            }
        }
        let Read(value) = Read::from_request_parts(parts, state).await.map_err(|_| unread())?;
        Ok(Self(value))
    }
}

fn unknown_parameter(name: &str, fields: &[Field]) -> Problem {
    let name: String = name.chars().take(60).collect();
    let known: Vec<&str> = fields.iter().map(|field| field.name).collect();
    Problem::bad_request(format!("there is no {name:?} here; what can be asked for: {}", known.join(", ")))
}

/// A JSON object.
pub struct Body<T>(pub T);

impl<T: RequestArguments, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_lowercase();
        if kind != "application/json" && !(kind.starts_with("application/") && kind.ends_with("+json")) {
            return Err(Problem::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let bytes =
            Bytes::from_request(request, state).await.map_err(|error| Problem::of_status(error.status()))?;
        read(&bytes).map(Self)
    }
}

fn read<T: RequestArguments>(bytes: &[u8]) -> Result<T, Problem> {
    let mut value: Value = serde_json::from_slice(bytes).map_err(|error| {
        let what = if bytes.is_empty() { "is empty".to_owned() } else { broken(&error) };
        Problem::bad_request(format!("the body {what}; {}", example(T::FIELDS)))
    })?;
    let Some(object) = value.as_object_mut() else {
        return Err(Problem::bad_request(format!("the body is no JSON object; {}", example(T::FIELDS))));
    };
    object.retain(|name, _| !T::READ_ONLY.contains(&name.as_str()));
    if let Some(unknown) = object.keys().find(|name| T::FIELDS.iter().all(|field| field.name != **name)) {
        let unknown: String = unknown.chars().take(60).collect();
        return Err(Problem::bad_request(format!("there is no {unknown:?} here; {}", example(T::FIELDS))));
    }
    for field in T::FIELDS {
        match object.get(field.name) {
            Some(value) if !field.kind.fits(value) => return Err(wrong(field, &value.to_string())),
            None if field.is_needed => return Err(missing(field)),
            _ => {}
        }
    }
    serde_json::from_value(value)
        .map_err(|_| Problem::bad_request(format!("the body cannot be understood; {DESCRIBED}")))
}

fn broken(error: &serde_json::Error) -> String {
    if error.is_eof() {
        "is JSON that breaks off".to_owned()
    } else {
        format!("is no JSON from line {}, column {} on", error.line(), error.column())
    }
}

/// An example of the body that is expected.
fn example(fields: &[Field]) -> String {
    let fields = fields.iter().map(|Field { name, kind, is_needed }| {
        let optional = if *is_needed { "" } else { ", if you like" };
        format!("\"{name}\": {}{optional}", kind.words())
    });
    format!("write {{{}}}", fields.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse as _;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "what is read is not looked at")]
    struct Wish {
        priority: i64,
        name: Option<String>,
        mode: Option<Mode>,
        paused: Option<bool>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        Exact,
        Nearest,
    }

    impl RequestArguments for Wish {
        const FIELDS: &'static [Field] = &[
            Field::needed("priority", Kind::Whole(-100, 100)),
            Field::optional("name", Kind::Text),
            Field::optional("mode", Kind::OneOf(&["exact", "nearest"])),
            Field::optional("paused", Kind::Truth),
        ];
    }

    async fn detail_of(problem: Problem) -> String {
        let bytes = axum::body::to_bytes(problem.into_response().into_body(), 4096).await.unwrap();
        let problem: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(problem["status"], 400);
        problem["detail"].as_str().unwrap().to_owned()
    }

    /// Messages of the libraries that parse JSON and queries.
    const FOREIGN: [&str; 8] =
        ["deserialize", "invalid type", "invalid value", "unknown", "variant", "expected", "i64", "EOF"];

    #[tokio::test]
    async fn a_bad_body_is_refused_naming_the_field() {
        for (body, words) in [
            ("", "the body is empty; write {\"priority\": a whole number from -100 to 100"),
            ("{\"priority\":", "JSON that breaks off"),
            ("priority", "no JSON from line 1, column 1"),
            ("[5]", "no JSON object; write {\"priority\""),
            ("5", "no JSON object"),
            ("{}", "priority is missing; it is a whole number from -100 to 100"),
            ("{\"priority\": \"first\"}", "priority cannot be \"first\"; it is a whole number"),
            ("{\"priority\": 1.5}", "priority cannot be 1.5"),
            ("{\"priority\": null}", "priority cannot be null"),
            ("{\"priority\": 1e30}", "priority cannot be 1e+30"),
            ("{\"priority\": 101}", "priority cannot be 101"),
            ("{\"priority\": 1, \"name\": 5}", "name cannot be 5; it is text"),
            (
                "{\"priority\": 1, \"mode\": \"roughly\"}",
                "mode cannot be \"roughly\"; it is one of exact, nearest",
            ),
            ("{\"priority\": 1, \"paused\": 1}", "paused cannot be 1; it is true or false"),
            ("{\"priority\": 1, \"Mode\": \"exact\"}", "there is no \"Mode\" here; write {\"priority\""),
        ] {
            let message = detail_of(read::<Wish>(body.as_bytes()).expect_err(body)).await;
            assert!(message.contains(words), "{body}: {message}");
            assert!(FOREIGN.iter().all(|foreign| !message.contains(foreign)), "{body}: {message}");
        }
        assert!(read::<Wish>(b"{\"priority\": 5, \"mode\": \"exact\"}").is_ok());
    }

    #[tokio::test]
    async fn a_bad_query_is_refused_naming_the_field() {
        let ask = async |query: &str| {
            let request = Request::builder().uri(format!("/?{query}")).body(()).unwrap();
            Query::<Wish>::from_request_parts(&mut request.into_parts().0, &()).await
        };
        for (query, words) in [
            ("", "priority is missing"),
            ("priority=first", "priority cannot be \"first\""),
            ("priority=", "priority cannot be \"\""),
            ("priority=1&priority=2", "priority is given twice"),
            ("priority=1&mode=roughly", "it is one of exact, nearest"),
            ("priority=1&paused=yes", "it is true or false"),
            (
                "priority=1&Mode=exact",
                "there is no \"Mode\" here; what can be asked for: priority, name, mode, paused",
            ),
            ("priority=1&more=x", "there is no \"more\" here"),
        ] {
            let message = detail_of(ask(query).await.err().expect(query)).await;
            assert!(message.contains(words), "{query}: {message}");
            assert!(FOREIGN.iter().all(|foreign| !message.contains(foreign)), "{query}: {message}");
        }
        assert_eq!(ask("priority=-5&mode=nearest&_=1764410000").await.ok().unwrap().0.priority, -5);
    }
}
