//! Trial run of a detector's file, in a child process with limits, before the server loads it.
//!
//! A file of a few bytes can declare gigabytes or an endless loop. The child process exceeds its limits within seconds and ends; the server is
//! not affected. If ONNX Runtime only rejects the file, the caller loads it again to get the exact error.

use pigweight_detect::{DeviceChoice, Error, Model, ModelSettings, ModelSource, Result};
use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

/// Processor time for loading and one picture: the largest detectors need about 5 s.
const MOST_PROCESSOR_SECS: u64 = 20;
/// Wall-clock limit, for a machine that is busy with other work.
const MOST_WAIT: Duration = Duration::from_secs(120);
/// The largest detectors need less than 2 GiB.
const MOST_GIBIBYTES: u64 = 4;
/// Length of the reason that a trial writes.
const MOST_SAID_BYTES: u64 = 4096;
/// Exit codes of a trial that writes a reason: the model failed to run, or to load.
const NOT_RUN: u8 = 3;
const NOT_LOADED: u8 = 4;

/// [`Model::load`] after a trial, if the model is a file that this machine runs.
///
/// # Errors
/// Those of [`Model::load`], and [`Error::TrialFailed`].
pub fn load_model(settings: ModelSettings) -> Result<Model> {
    if let ModelSource::File(path) = &settings.source
        && settings.device.choice != DeviceChoice::Remote
    {
        let model = settings.source.clone();
        try_out(path).map_err(|failed| match failed {
            Failed::Loading(reason) => Error::NotAModel { model, reason },
            Failed::Trial(reason) => Error::TrialFailed { model, reason },
        })?;
    }
    Model::load(settings)
}

/// Why a trial failed.
#[derive(Debug, PartialEq)]
enum Failed {
    /// What ONNX Runtime says.
    Loading(String),
    /// What happened to the process.
    Trial(String),
}

/// Waits for a trial of this file.
fn try_out(path: &Path) -> std::result::Result<(), Failed> {
    let failed = |what: String| Failed::Trial(what);
    let process = std::env::current_exe().and_then(|program| {
        let mut command = Command::new(program);
        command.arg("model-trial").arg(path);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
    });
    let mut process =
        process.map_err(|error| failed(format!("its process could not be started ({error})")))?;
    let (sender, receiver) = crossbeam_channel::bounded(1);
    let stdout = process.stdout.take();
    std::thread::spawn(move || {
        let mut said = String::new();
        if let Some(stdout) = stdout {
            // The text is cut short if the process dies.
            let _ended = stdout.take(MOST_SAID_BYTES).read_to_string(&mut said);
        }
        let _gone = sender.send(said);
    });
    let said = receiver.recv_timeout(MOST_WAIT);
    if said.is_err() {
        // The process may have ended in the meantime.
        let _ended = process.kill();
    }
    let ended = process
        .wait()
        .map_err(|error| failed(format!("the exit status of its process is unknown ({error})")))?;
    match said {
        Ok(said) => judged(ended, said.trim()),
        Err(_) => Err(failed(format!("it did not end within {} s", MOST_WAIT.as_secs()))),
    }
}

fn judged(ended: ExitStatus, said: &str) -> std::result::Result<(), Failed> {
    let out_of_time = [Signal::XCPU, Signal::KILL].map(Signal::as_raw);
    Err(match (ended.code(), ended.signal()) {
        (Some(0), _) => return Ok(()),
        (Some(code), _) if code == i32::from(NOT_LOADED) => Failed::Loading(said.to_owned()),
        (Some(code), _) if code == i32::from(NOT_RUN) => {
            Failed::Trial(format!("with {MOST_GIBIBYTES} GiB of memory the run failed ({said})"))
        }
        (_, Some(signal)) if out_of_time.contains(&signal) => {
            Failed::Trial(format!("one picture took more than {MOST_PROCESSOR_SECS} s of processor time"))
        }
        _ => Failed::Trial(format!("its process crashed ({ended})")),
    })
}

/// The trial itself, in its own process.
pub fn run(model: PathBuf) -> ExitCode {
    let limit = |resource, most| {
        let limits = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limits).is_ok()
    };
    let is_limited = limit(Resource::Core, 0)
        && limit(Resource::Cpu, MOST_PROCESSOR_SECS)
        && limit(Resource::Data, MOST_GIBIBYTES << 30);
    if !is_limited {
        // Running the model without limits is what the trial must prevent.
        return ExitCode::SUCCESS;
    }
    match Model::try_once(ModelSource::File(model)) {
        Err(Error::Run { reason }) => say(NOT_RUN, &reason),
        Err(Error::NotAModel { reason, .. }) => say(NOT_LOADED, &reason),
        // The server loads the file again and reports the exact error.
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

fn say(code: u8, reason: &str) -> ExitCode {
    // The exit code is enough if nobody reads.
    let _gone = std::io::stdout().write_all(reason.as_bytes());
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_trial_is_told_in_words() {
        let code = |code: u8| ExitStatus::from_raw(i32::from(code) << 8);
        assert_eq!(judged(code(0), ""), Ok(()));
        assert_eq!(judged(code(NOT_LOADED), "no graph"), Err(Failed::Loading("no graph".into())));
        for (ended, part) in [
            (code(NOT_RUN), "with 4 GiB of memory the run failed (bad allocation)"),
            (code(101), "crashed"),
            (ExitStatus::from_raw(Signal::XCPU.as_raw()), "more than 20 s"),
            (ExitStatus::from_raw(Signal::SEGV.as_raw()), "crashed"),
        ] {
            let Err(Failed::Trial(reason)) = judged(ended, "bad allocation") else { panic!("{ended}") };
            assert!(reason.contains(part), "{ended}: {reason}");
        }
    }
}
