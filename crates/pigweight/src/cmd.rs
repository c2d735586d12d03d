//! One file per command. Results go to stdout, progress to stderr.

pub mod adapt;
pub mod cameras;
pub mod check;
pub mod check_data;
pub mod config_reference;
pub mod count;
pub mod demo;
pub mod detect;
pub mod frames;
pub mod generate;
pub mod jobs;
pub mod serve;
pub mod track;

mod analyse;
mod password;

use crate::accuracy::{folder_detector, viewpoint};
use crate::analysis::model_trial::load_model;
use crate::analysis::settings::model_settings;
use crate::args::ModelArgs;
use crate::config::Config;
use crate::describe::{Chain, counted, printable};
use pigweight_core::viewpoint::ViewMatch;
use pigweight_detect::service::Inference;
use pigweight_media::Video;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

/// Counted, but parts of the input are damaged or missing.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Partial(pub String);

impl Partial {
    /// The end of a command that has told its result.
    fn unless_empty(notes: &[String]) -> anyhow::Result<()> {
        if notes.is_empty() { Ok(()) } else { Err(Self(notes.join("; ")).into()) }
    }
}

/// Something was verified and is not as it should be; each finding has been told.
#[derive(Debug, thiserror::Error)]
#[error("{}", counted(*.0, "finding"))]
pub struct Findings(pub usize);

/// What was asked for could not be begun, as if the command line were wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CannotRun(pub String);

/// The one place that turns errors into exit codes: 1 for a failure and for findings, 2 if a verification could not run, 3 for a
/// result that is not whole. clap ends with 2 if the command line is wrong.
pub fn report(error: &anyhow::Error) -> ExitCode {
    let is_closed_pipe = error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
    });
    if is_closed_pipe {
        return ExitCode::SUCCESS; // Whoever read has read enough.
    }
    print_error(error);
    if error.is::<Partial>() {
        ExitCode::from(3)
    } else if error.is::<CannotRun>() {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}

/// One line on stderr.
fn print_error(error: &anyhow::Error) {
    // If stderr is closed, there is no way to report it.
    let _gone = writeln!(std::io::stderr(), "pigweight: {}", printable(&Chain(error.as_ref()).to_string()));
}

/// The configuration with the command line on top.
fn configure(args: &ModelArgs) -> anyhow::Result<Config> {
    let mut config = Config::load(args.config.as_deref())?;
    if let Some(model) = &args.model {
        config.model = Some(model.clone());
    }
    config.detect.device = args.device.unwrap_or(config.detect.device);
    if let Some(min_score) = args.min_score {
        config.detect.min_score = Some(min_score);
    }
    Ok(config)
}

/// The configuration for a video: with the detector of its folder, if it has one that has learned the video's view. Also whether
/// one was left out because it has learned another.
fn with_folder_detector(config: &Config, video: &Path) -> (Config, bool) {
    match folder_detector::of(video, config) {
        Some(model) if shows_other_view(&model, video) => (config.clone(), true),
        Some(model) => (Config { model: Some(model), ..config.clone() }, false),
        None => (config.clone(), false),
    }
}

/// A video that can't be read is no reason to leave the detector out: the analysis tells what is wrong.
fn shows_other_view(detector: &Path, video: &Path) -> bool {
    let (Ok(file), Ok(video)) = (std::fs::read(detector), Video::open(video)) else { return false };
    let found = viewpoint::compare(&file, &video, &AtomicBool::new(false)).ok().flatten();
    found.is_some_and(|found| found != ViewMatch::Same)
}

/// Loads the model and starts its sessions.
fn start_inference(config: &Config) -> anyhow::Result<Inference> {
    Ok(Inference::start(load_model(model_settings(config))?, config.detect.workers, None)?)
}

/// Writes a result to stdout.
fn print(text: impl std::fmt::Display) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    write!(stdout, "{text}")?;
    stdout.flush()?;
    Ok(())
}
