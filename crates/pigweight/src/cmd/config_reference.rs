//! Generates `docs/reference/config.md` from the doc comments of the configuration's structs.

use super::print;
use crate::config::Config;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayItems, Schema};
use utoipa::{PartialSchema as _, ToSchema as _};

const HEAD: &str = "\
# Configuration

PigWeight reads one TOML file. Name it with `--config FILE` or `PIGWEIGHT_CONFIG`. Unknown keys are refused.

An environment variable overrides a key: `PIGWEIGHT_` and the key, with two underscores between its parts. The command line overrides both.

```
PIGWEIGHT_DETECT__MIN_SCORE=0.4 pigweight serve --videos /srv/pens
```

";

const FOOT: &str = "
## Calibration of a folder

`pigweight check --calibrate` writes `pigweight-calibration.toml` into a folder of videos. It sets the threshold for the videos in that folder and
below it, for the model that it was found with. `detect.min_score` overrides it.

## Other variables

| Variable | Meaning |
|---|---|
| `ORT_DYLIB_PATH` | the library of ONNX Runtime, with its devices |
| `PIGWEIGHT_LOG` | what is logged, in the syntax of the tracing crate, for example `debug` |

## Access

There are no users yet. Anyone who can reach the address can see and add videos, draw lines and reorder jobs. Listen beyond this machine
only inside a network you trust, or behind a proxy that asks for a password.
";

/// Prints the page.
pub fn run() -> anyhow::Result<()> {
    print(reference()?)
}

fn reference() -> anyhow::Result<String> {
    let mut schemas = vec![(Config::name().into_owned(), Config::schema())];
    Config::schemas(&mut schemas);
    let schemas: BTreeMap<String, RefOr<Schema>> = schemas.into_iter().collect();
    let defaults = serde_json::to_value(Config::default())?;
    let mut text = HEAD.to_owned();
    table(&mut text, &schemas, "Config", ("", "[]"), &defaults)?;
    text.push_str(FOOT);
    Ok(text)
}

/// The keys of one struct as a table, then a table for each struct inside it.
fn table(
    text: &mut String,
    schemas: &BTreeMap<String, RefOr<Schema>>,
    name: &str,
    (prefix, brackets): (&str, &str),
    defaults: &Value,
) -> anyhow::Result<()> {
    let Some(RefOr::T(Schema::Object(object))) = schemas.get(name) else {
        anyhow::bail!("{name} has no schema");
    };
    let about = object.description.clone().unwrap_or_default();
    let title = match prefix.trim_end_matches('.') {
        "" => "Top level".to_owned(),
        table => {
            let (open, close) = brackets.split_at(brackets.len() / 2);
            format!("`{open}{table}{close}`")
        }
    };
    writeln!(text, "## {title}\n\n{about}\n\n| Key | Default | Meaning |\n|---|---|---|")?;
    let mut inner = Vec::new();
    for (key, property) in &object.properties {
        if let Some(to) = struct_of(property) {
            inner.push((key, to, "[]"));
            continue;
        }
        if let Some(to) = struct_of_items(property) {
            inner.push((key, to, "[[]]"));
            continue;
        }
        let words = description(property).replace('\n', " ");
        // A default that depends on the machine or a file is described in words.
        let (meaning, default) = match words.split_once("Default: ") {
            Some((meaning, stated)) => (meaning.trim(), stated.trim_end_matches('.').to_owned()),
            None => (words.as_str(), format!("`{}`", defaults[key])),
        };
        writeln!(text, "| `{prefix}{key}` | {default} | {meaning} |")?;
    }
    for (key, to, brackets) in inner {
        text.push('\n');
        table(text, schemas, &to, (&format!("{prefix}{key}."), brackets), &defaults[key])?;
    }
    Ok(())
}

/// A property's struct.
fn struct_of(property: &RefOr<Schema>) -> Option<String> {
    let reference = match property {
        RefOr::Ref(reference) => Some(&reference.ref_location),
        RefOr::T(Schema::AllOf(all)) => all.items.iter().find_map(|item| match item {
            RefOr::Ref(reference) => Some(&reference.ref_location),
            RefOr::T(_) => None,
        }),
        RefOr::T(_) => None,
    };
    reference.and_then(|location| location.rsplit('/').next()).map(str::to_owned)
}

/// The struct of which a property holds any number.
fn struct_of_items(property: &RefOr<Schema>) -> Option<String> {
    match property {
        RefOr::T(Schema::Array(array)) => match &array.items {
            ArrayItems::RefOrSchema(items) => struct_of(items),
            ArrayItems::False => None,
        },
        RefOr::T(_) | RefOr::Ref(_) => None,
    }
}

fn description(property: &RefOr<Schema>) -> String {
    let found = match property {
        RefOr::T(Schema::Object(object)) => object.description.clone(),
        RefOr::T(Schema::Array(array)) => array.description.clone(),
        RefOr::T(_) | RefOr::Ref(_) => None,
    };
    found.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_reference_matches_the_structs() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/config.md");
        let committed = std::fs::read_to_string(path).expect("it is there");
        assert!(
            committed == reference().expect("it is told"),
            "run `make docs`: the structs tell something else"
        );
        assert!(committed.contains("| `detect.remote.timeout_secs` | `10.0` |"), "{committed}");
    }
}
