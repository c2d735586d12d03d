//! What takes long to draw is drawn once for a build; each test gets a copy.

use crate::server::pigweight;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Writes what `pigweight demo` with these options draws into a folder.
pub fn demo(options: &[&str], to: &Path) {
    let name = format!("demo{}", options.concat());
    keep(&name, to, |folder| {
        let made = pigweight().arg("demo").args(options).arg(folder).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    });
}

/// Copies files into a folder; the first caller of all makes them.
pub fn keep(name: &str, to: &Path, make: impl FnOnce(&Path)) {
    let builds = Path::new(env!("CARGO_TARGET_TMPDIR")).join("drawn");
    let build = builds.join(stamp());
    std::fs::create_dir_all(&build).unwrap();
    // Test processes run side by side: one draws, the others wait for it.
    let lock = File::create(builds.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    let kept = build.join(name);
    if !kept.exists() {
        forget_other_builds(&builds, &build, name);
        let unfinished = build.join(format!("{name}.unfinished"));
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished).unwrap();
        }
        std::fs::create_dir(&unfinished).unwrap();
        make(&unfinished);
        std::fs::rename(&unfinished, &kept).unwrap();
    }
    drop(lock);
    std::fs::create_dir_all(to).unwrap();
    for file in files(&kept) {
        std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

/// Other code may draw otherwise.
fn stamp() -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_pigweight")).metadata().unwrap();
    let built = program.modified().unwrap().duration_since(UNIX_EPOCH).unwrap();
    format!("{}-{}", program.len(), built.as_nanos())
}

fn forget_other_builds(builds: &Path, build: &Path, name: &str) {
    for other in files(builds).into_iter().filter(|other| other != build && other.is_dir()) {
        let old = other.join(name);
        if old.exists() {
            std::fs::remove_dir_all(old).unwrap();
        }
        // Not before its last drawing is gone.
        let _not_empty = std::fs::remove_dir(other);
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}
