//! A small in-memory file system that is soon full.

use pigweight_testkit::component::skip_without;
use std::panic::UnwindSafe;
use std::path::Path;
use std::process::Command;

/// Runs a test on one of `size` (mount's words: `16m`). Only root may mount one: elsewhere it says that it was skipped.
pub fn with(size: &str, test: impl FnOnce(&Path) + UnwindSafe) {
    let mount = tempfile::tempdir().unwrap();
    let options = format!("size={size}");
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(mount.path()).output();
    if !mounted.is_ok_and(|mounted| mounted.status.success()) {
        skip_without("mounting a small file system needs root");
        return;
    }
    let ended = std::panic::catch_unwind(|| test(mount.path()));
    Command::new("umount").arg("-l").arg(mount.path()).status().unwrap();
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
}
