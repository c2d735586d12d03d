//! Architecture rules that the compiler doesn't check: which crate and which module may use which.

use crate::server::root;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Crate, what it may depend on, what its tests may as well.
const CRATES: [(&str, &[&str], &[&str]); 8] = [
    ("core", &[], &[]),
    ("testkit", &["core"], &[]),
    ("media", &["core"], &["testkit"]),
    ("detect", &["core"], &["media", "testkit"]),
    ("live", &["core"], &["testkit"]),
    ("store", &["core"], &["testkit"]),
    ("train", &["core"], &["detect", "testkit"]),
    // The demo draws with the test kit's renderer: the one thing of it that ships.
    ("pigweight", &["core", "media", "detect", "live", "store", "train", "testkit"], &[]),
];

/// Dependencies that belong to one crate each.
const OWNED: [(&str, &str); 11] = [
    ("ffmpeg-sys-next", "media"),
    ("ort", "detect"),
    ("tonic", "detect"),
    ("retina", "live"),
    ("v4l", "live"),
    ("rustls", "live"),
    ("str0m", "live"),
    ("sqlx", "store"),
    ("axum", "pigweight"),
    ("ureq", "pigweight"),
    ("rumqttc-v4-next", "pigweight"),
];

/// The rooms of a crate, each of which may use those before it.
const ROOMS: [(&str, &[&str]); 2] = [
    ("media", &["path_bytes", "libav", "error", "file", "decode", "output", "isolate", "access"]),
    (
        "pigweight",
        &[
            "describe",
            "metric_help",
            "reason",
            "args",
            "config",
            "status",
            "artifacts",
            "accuracy",
            "analysis",
            "sources",
            "background",
            "notifications",
            "web",
            "server",
            "cmd",
        ],
    ),
];

fn packages() -> Vec<serde_json::Value> {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// The crate's short name, and its dependencies: name, and whether for tests alone.
fn dependencies(package: &serde_json::Value) -> (String, Vec<(String, bool)>) {
    let short = |name: &str| name.strip_prefix("pigweight-").unwrap_or(name).to_owned();
    let name = short(package["name"].as_str().unwrap());
    let dependencies = package["dependencies"].as_array().unwrap().iter();
    let dependencies =
        dependencies.map(|found| (found["name"].as_str().unwrap().to_owned(), found["kind"] == "dev"));
    (name, dependencies.collect())
}

#[test]
fn crates_depend_only_along_the_arrows() {
    let packages = packages();
    assert_eq!(packages.len(), CRATES.len(), "a new crate needs its arrows here and in ARCHITECTURE.md");
    for package in &packages {
        let (name, dependencies) = dependencies(package);
        let (_, allowed, allowed_in_tests) =
            CRATES.iter().find(|known| known.0 == name).unwrap_or_else(|| panic!("{name} has no arrows"));
        for (to, is_for_tests) in dependencies {
            let Some(to) = to.strip_prefix("pigweight-") else { continue };
            let is_allowed = allowed.contains(&to) || (is_for_tests && allowed_in_tests.contains(&to));
            assert!(is_allowed, "{name} must not depend on {to}: see the arrows in ARCHITECTURE.md");
        }
    }
}

#[test]
fn native_code_the_inference_runtime_sql_and_http_belong_to_one_crate_each() {
    let users: Vec<_> = packages().iter().map(dependencies).collect();
    for (dependency, owner) in OWNED {
        let using: Vec<&str> = users
            .iter()
            .filter(|(_, dependencies)| dependencies.iter().any(|(name, _)| name == dependency))
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(using, [owner], "{dependency} belongs to {owner} alone");
    }
}

/// A module's source without its tests, which come last.
fn source(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let is_tests = |&(start, _): &(usize, &str)| {
        let after = text[start..].lines().skip(1).find(|line| !line.starts_with("#["));
        after.is_some_and(|line| line.starts_with("mod tests {"))
    };
    match text.match_indices("#[cfg(test)]\n").find(is_tests) {
        Some((tests, _)) => text[..tests].to_owned(),
        None => text,
    }
}

/// Each file of a crate by its module path, `web::api::jobs`; files of tests are left out.
fn modules(source_folder: &Path) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    let mut folders = vec![source_folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let module = path.strip_prefix(source_folder).unwrap().with_extension("");
            let module = module.to_string_lossy().replace('/', "::");
            if path.extension().is_some_and(|extension| extension == "rs") && !module.ends_with("tests") {
                found.insert(module, path);
            }
        }
    }
    found
}

/// The modules that a module names by `crate::…`, as far as each is a file.
fn used_by(path: &Path, modules: &BTreeMap<String, PathBuf>) -> BTreeSet<String> {
    let text = source(path);
    let mut used = BTreeSet::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        for rest in line.split("crate::").skip(1) {
            // `a::{b, c::D}` names a::b and a::c::D.
            let (stem, group) = rest.split_once('{').unwrap_or((rest, ""));
            let names = if group.is_empty() { vec![""] } else { group.split(',').map(str::trim).collect() };
            for name in names {
                let full = format!("{stem}{name}");
                let is_part = |character: char| character.is_alphanumeric() || "_:".contains(character);
                let full: String = full.chars().take_while(|&character| is_part(character)).collect();
                let parts: Vec<&str> = full.split("::").collect();
                let longest = (1..=parts.len()).rev().map(|length| parts[..length].join("::"));
                used.extend(longest.into_iter().find(|module| modules.contains_key(module)));
            }
        }
    }
    used
}

#[test]
fn rooms_use_only_those_before_them() {
    for (name, rooms) in ROOMS {
        let modules = modules(&root().join("crates").join(name).join("src"));
        let room_of = |module: &str| module.split("::").next().unwrap_or_default().to_owned();
        let place = |room: &str| rooms.iter().position(|known| *known == room);
        let mut arrows = 0;
        for (module, path) in &modules {
            if ["main", "lib"].contains(&module.as_str()) {
                continue;
            }
            let from = room_of(module);
            let from_place = place(&from).unwrap_or_else(|| {
                panic!("{name}: the room {from} has no place here and in ARCHITECTURE.md")
            });
            for to in used_by(path, &modules) {
                arrows += 1;
                let to_place = place(&room_of(&to)).unwrap_or(usize::MAX);
                assert!(
                    to_place <= from_place,
                    "{name}: {module} uses {to}, which stands above it: see the arrows in ARCHITECTURE.md"
                );
            }
        }
        assert!(arrows > 20, "{name}: the arrows were read");
    }
}

#[test]
fn modules_use_each_other_in_no_circle() {
    for (name, ..) in CRATES {
        let modules = modules(&root().join("crates").join(name).join("src"));
        let arrows: BTreeMap<&String, BTreeSet<String>> = modules
            .iter()
            .filter(|(module, _)| !["main", "lib"].contains(&module.as_str()))
            .map(|(module, path)| (module, used_by(path, &modules)))
            .collect();
        // Modules that use nothing that is left go, until none is left or those of a circle are.
        let mut left: BTreeSet<&String> = arrows.keys().copied().collect();
        loop {
            let is_free = |module: &&&String| {
                arrows[**module].iter().all(|used| used == **module || !left.contains(used))
            };
            let free: Vec<&String> = left.iter().filter(is_free).copied().collect();
            if free.is_empty() {
                break;
            }
            left.retain(|module| !free.contains(module));
        }
        let describe = |module: &&String| {
            let inside: Vec<_> = arrows[*module].iter().filter(|used| left.contains(used)).collect();
            format!("{module} → {inside:?}")
        };
        let circle: Vec<_> = left.iter().map(describe).collect();
        assert!(circle.is_empty(), "{name}: a circle, or what leads into one: {circle:#?}");
    }
}

#[test]
fn unsafe_code_lies_in_the_libav_module_alone() {
    for (name, ..) in CRATES {
        let source_folder = root().join("crates").join(name).join("src");
        for (module, path) in modules(&source_folder) {
            let allows = std::fs::read_to_string(path).unwrap().contains("allow(unsafe_code");
            assert_eq!(allows, (name, module.as_str()) == ("media", "libav"), "{name}: {module}");
        }
    }
}

/// A figure that nobody explains is read wrong.
#[test]
fn each_metric_is_explained() {
    let modules = modules(&root().join("crates/pigweight/src"));
    let explained = source(&modules["metric_help"]);
    let mut names = BTreeSet::new();
    for (_, path) in modules.iter().filter(|(module, _)| *module != "metric_help") {
        let text = source(path);
        for rest in text.split("\"pigweight_").skip(1) {
            let name = rest.split('"').next().unwrap();
            // Figures of each source are written, with their help, where they are known.
            let is_name = name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
            if is_name && !name.starts_with("source_") {
                names.insert(format!("\"pigweight_{name}\""));
            }
        }
    }
    assert!(names.len() > 30, "{names:?}");
    let missing: Vec<_> = names.iter().filter(|name| !explained.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?} have no line in metric_help.rs");
}
