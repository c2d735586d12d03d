//! A server that is a script in `fixtures/cameras/`: it prints `port N` when it listens, and ends when its standard input does.

use crate::component::skip_without;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// A running server; dropping it ends it.
#[derive(Debug)]
pub(crate) struct ScriptServer {
    process: Child,
    /// The server ends when this is closed, so it can't outlive the test.
    _lifeline: Option<ChildStdin>,
    port: u16,
}

impl ScriptServer {
    /// Starts a script. `None`, reported as skipped, if it can't: without `component`, it says no port.
    pub(crate) fn start(
        script: &str,
        arguments: impl IntoIterator<Item = String>,
        component: &str,
    ) -> Option<Self> {
        Self::start_by(Command::new("/usr/bin/python3"), script, arguments, component)
    }

    /// The same, where the script's name and its arguments follow what `python` has.
    pub(crate) fn start_by(
        mut python: Command,
        script: &str,
        arguments: impl IntoIterator<Item = String>,
        component: &str,
    ) -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/cameras").join(script);
        let spawned = python.arg(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let Ok(mut process) = spawned else {
            skip_without("the system's Python");
            return None;
        };
        let mut line = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut line).expect("its output is text");
        }
        let Some(port) = line.trim().strip_prefix("port ") else {
            let _ended = process.kill();
            let _ended = process.wait();
            skip_without(component);
            return None;
        };
        let port = port.parse().expect("a port");
        let lifeline = process.stdin.take();
        Some(Self { process, _lifeline: lifeline, port })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for ScriptServer {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _ended = self.process.wait();
    }
}
