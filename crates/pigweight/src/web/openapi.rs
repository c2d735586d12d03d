//! The OpenAPI document: the handlers' annotations, made valid and complete.
//!
//! utoipa writes what each handler states. Common parts are added here once: unique operation identifiers, the media type
//! of problem documents, responses for all other errors, and required fields.

use super::{api, api_router, media};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use utoipa::OpenApi as _;

const SCHEMA: &str = "#/components/schemas/";
/// Fields that are omitted without a value; all other fields of a response are always present, possibly null.
const LEFT_OUT: [&str; 1] = ["valid_range_secs"];

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "PigWeight",
        description = "Pigs in videos: how many, when, which way, with the pictures that prove it. All `secs` and `t` are \
                       seconds since the first frame of a video; places are px of the upright picture. Errors are problem \
                       documents (RFC 9457) whose `detail` tells what to do."
    ),
    components(schemas(
        api::changes_socket::Changes,
        api::count_socket::CountUpdate,
        api::count_socket::BoxesUpdate,
        api::tables::Decimal,
        api::video_socket::VideoStart,
        media::frames::Mode
    ))
)]
pub struct Document;

/// The document as it is served and committed (`docs/reference/openapi.json`).
pub fn openapi_json() -> String {
    let mut document =
        serde_json::to_value(api_router(Document::openapi()).into_openapi()).unwrap_or_default();
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    document["info"]["license"] = json!({"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"});
    for (path, method, operation) in operations(&mut document) {
        operation["operationId"] = operation_id(&path, &method).into();
        let responses = operation["responses"].as_object_mut();
        for (status, response) in responses.into_iter().flatten() {
            name_problem_media_type(response);
            if response.get("description").and_then(Value::as_str).is_none_or(str::is_empty) {
                response["description"] = meaning_of(status).into();
            }
        }
        operation["responses"]["default"] = json!({
            "description": "Any other error; `detail` tells what to do",
            "content": {"application/problem+json": {"schema": {"$ref": format!("{SCHEMA}Problem")}}},
        });
    }
    require_sent_fields(&mut document);
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

/// Every operation with its path and method.
fn operations(document: &mut Value) -> impl Iterator<Item = (String, String, &mut Value)> {
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        item.as_object_mut()
            .into_iter()
            .flatten()
            .filter(|(method, _)| {
                ["get", "put", "post", "delete", "patch", "head", "options"].contains(&method.as_str())
            })
            .map(move |(method, operation)| (path.clone(), method.clone(), operation))
    })
}

/// `get_api_videos_id_index`: unique, since method and path are.
fn operation_id(path: &str, method: &str) -> String {
    let words = path.split('/').map(|part| part.trim_matches(['{', '}'])).filter(|part| !part.is_empty());
    let words: Vec<String> = words.map(|word| word.replace(['.', '-'], "_")).collect();
    format!("{method}_{}", words.join("_"))
}

/// The status in words: the document must describe every response.
fn meaning_of(status: &str) -> &'static str {
    let status = status.parse().ok().and_then(|code| axum::http::StatusCode::from_u16(code).ok());
    status.and_then(|status| status.canonical_reason()).unwrap_or("The answer")
}

/// Problems differ from other JSON by their media type (RFC 9457, section 3).
fn name_problem_media_type(response: &mut Value) {
    let Some(content) = response.get_mut("content").and_then(Value::as_object_mut) else { return };
    let is_problem = content
        .get("application/json")
        .is_some_and(|body| body["schema"]["$ref"] == format!("{SCHEMA}Problem"));
    if is_problem && let Some(body) = content.remove("application/json") {
        content.insert("application/problem+json".to_owned(), body);
    }
}

/// Names of the schemas that a part of the document references.
fn references(part: &Value, found: &mut BTreeSet<String>) {
    match part {
        Value::Object(map) => {
            if let Some(name) = map.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix(SCHEMA))
            {
                found.insert(name.to_owned());
            }
            map.values().for_each(|part| references(part, found));
        }
        Value::Array(parts) => parts.iter().for_each(|part| references(part, found)),
        _ => {}
    }
}

/// Marks every field of responses as required: serde writes null if there is no value, and omits nothing. Requests keep their
/// optional fields.
fn require_sent_fields(document: &mut Value) {
    let mut received = BTreeSet::new();
    for (_, _, operation) in operations(document) {
        references(&operation["requestBody"], &mut received);
    }
    let Some(schemas) = document["components"]["schemas"].as_object_mut() else { return };
    // Schemas used by a request schema belong to requests too.
    loop {
        let before = received.len();
        for name in received.clone() {
            references(&schemas[&name], &mut received);
        }
        if received.len() == before {
            break;
        }
    }
    for (_, schema) in schemas.iter_mut().filter(|(name, _)| !received.contains(*name)) {
        require_fields(schema);
    }
}

fn require_fields(schema: &mut Value) {
    for part in schema.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten() {
        require_fields(part);
    }
    let Some(fields) = schema.get("properties").and_then(Value::as_object).map(Map::keys) else { return };
    let required: Vec<Value> = fields
        .filter(|field| !LEFT_OUT.contains(&field.as_str()))
        .map(|field| field.as_str().into())
        .collect();
    schema["required"] = required.into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_ids_are_unique_and_every_reference_resolves() {
        let mut document: Value = serde_json::from_str(&openapi_json()).expect("JSON");
        let mut names = BTreeSet::new();
        for (path, method, operation) in operations(&mut document) {
            let name = operation["operationId"].as_str().expect("a name").to_owned();
            assert!(names.insert(name), "{method} {path}: its name is another one's");
            let described = |name: &str| {
                let parameters = operation["parameters"].as_array();
                parameters.is_some_and(|all| all.iter().any(|one| one["name"] == name && one["in"] == "path"))
            };
            let named = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
            for parameter in named {
                assert!(described(parameter), "{method} {path}: {parameter} is not described");
            }
        }
        assert!(names.contains("get_api_videos_id_index") && names.len() > 30, "{names:?}");
        let mut used = BTreeSet::new();
        references(&document, &mut used);
        for name in used {
            assert!(document["components"]["schemas"].get(&name).is_some(), "there is no schema {name}");
        }
        let fields = &document["components"]["schemas"]["Video"]["required"];
        assert!(fields.as_array().is_some_and(|fields| fields.contains(&"recorded_at".into())), "{fields}");
    }
}
