//! The rules of the house that the compiler does not know: which crate may see which.

use crate::server::root;
use std::process::Command;

/// Crate, what it may depend on, what its tests may as well.
const ARROWS: [(&str, &[&str], &[&str]); 6] = [
    ("core", &[], &[]),
    ("testkit", &["core"], &[]),
    ("media", &["core"], &["testkit"]),
    ("detect", &["core"], &["media", "testkit"]),
    ("store", &["core"], &["testkit"]),
    // The demo draws with the test kit's renderer: the one thing of it that ships.
    ("pigweight", &["core", "media", "detect", "store", "testkit"], &[]),
];

#[test]
fn crates_depend_only_along_the_arrows() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let short = |name: &str| name.strip_prefix("pigweight-").unwrap_or(name).to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    assert_eq!(packages.len(), ARROWS.len(), "a new crate needs its arrows here and in ARCHITECTURE.md");
    for package in packages {
        let name = short(package["name"].as_str().unwrap());
        let (_, allowed, allowed_in_tests) =
            ARROWS.iter().find(|arrow| arrow.0 == name).unwrap_or_else(|| panic!("{name} has no arrows"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let to = dependency["name"].as_str().unwrap();
            if !to.starts_with("pigweight-") {
                continue;
            }
            let to = short(to);
            let is_allowed = allowed.contains(&to.as_str())
                || (dependency["kind"] == "dev" && allowed_in_tests.contains(&to.as_str()));
            assert!(is_allowed, "{name} must not depend on {to}: see the arrows in ARCHITECTURE.md");
        }
    }
}

#[test]
fn native_runtime_and_sql_stay_in_their_rooms() {
    let metadata = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    assert!(metadata.contains("sqlx"), "the lock file is the workspace's");
    for (dependency, room) in [
        ("ffmpeg-sys-next", "media"),
        ("ort", "detect"),
        ("sqlx", "store"),
        ("axum", "pigweight"),
        ("ureq", "pigweight"),
        ("tonic", "detect"),
    ] {
        for crate_name in ARROWS.map(|arrow| arrow.0) {
            let manifest = root().join("crates").join(crate_name).join("Cargo.toml");
            let manifest = std::fs::read_to_string(manifest).unwrap();
            let has = manifest.lines().any(|line| line.starts_with(&format!("{dependency}.workspace")));
            assert_eq!(has, crate_name == room, "{dependency} belongs to {room} alone");
        }
    }
}
