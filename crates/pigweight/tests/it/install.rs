//! `make install`: the installed program is self-contained, every command has its manual page, and uninstalling leaves nothing.

use crate::server::root;
use std::path::{Path, PathBuf};
use std::process::Command;

fn install(arguments: &[&str], destdir: &Path) {
    let mut command = Command::new(root().join("scripts/install.sh"));
    command.args(arguments).arg(destdir).arg("/usr/local").env("PROGRAM", env!("CARGO_BIN_EXE_pigweight"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn an_installed_program_works_alone_and_uninstall_removes_every_file() {
    let folder = tempfile::tempdir().unwrap();
    install(&[], folder.path());
    let prefix = folder.path().join("usr/local");
    // Away from the checkout, ONNX Runtime is the installed one.
    let picture = root().join("fixtures/pictures/golden.png").canonicalize().unwrap();
    let detected = Command::new(prefix.join("bin/pigweight"))
        .current_dir("/")
        .env_remove("ORT_DYLIB_PATH")
        .args(["detect", "--json"])
        .arg(picture)
        .output()
        .unwrap();
    assert!(detected.status.success(), "{}", String::from_utf8_lossy(&detected.stderr));
    let unit = std::fs::read_to_string(prefix.join("lib/systemd/system/pigweight.service")).unwrap();
    assert!(unit.contains("ExecStart=/usr/local/bin/pigweight serve") && !unit.contains('@'), "{unit}");
    for page in ["pigweight", "pigweight-serve", "pigweight-frames-export", "pigweight-jobs-prioritise"] {
        let page = prefix.join(format!("share/man/man1/{page}.1"));
        assert!(page.is_file(), "{} is missing", page.display());
    }
    install(&["--remove"], folder.path());
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
}

#[test]
fn the_manual_page_has_every_command_with_its_options() {
    let printed = Command::new(env!("CARGO_BIN_EXE_pigweight")).arg("man").output().unwrap();
    let page = String::from_utf8(printed.stdout).unwrap().replace('\\', "");
    for words in [
        "pigweight-check-data",
        "pigweight-frames-export",
        "pigweight-jobs-pause",
        "--every-frame",
        "--calibrate",
        "--listen",
        "--limit",
    ] {
        assert!(page.contains(words), "{words} is missing");
    }
    assert!(!page.contains("pigweight-worker"), "what is hidden stays hidden");
}
