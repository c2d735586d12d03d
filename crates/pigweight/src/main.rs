//! PigWeight: counts pigs in videos, with the pictures that prove it.
//!
//! `analysis/pipeline.rs` is the product in one screen. `cmd/` holds a file per command, `web/` the HTTP edge.

mod accuracy;
mod analysis;
mod args;
mod artifacts;
mod background;
mod cmd;
mod config;
mod describe;
mod metric_help;
mod notifications;
mod reason;
mod server;
mod sources;
mod status;
mod web;

use args::{Args, Command};
use clap::Parser as _;
use std::io::IsTerminal as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    start_log(args.verbose);
    let ended = match args.command {
        Command::Serve(serve) => cmd::serve::run(serve),
        Command::Count(count) => cmd::count::run(&count),
        Command::Detect(detect) => cmd::detect::run(&detect),
        Command::Track(track) => cmd::track::run(&track),
        Command::Check(check) => cmd::check::run(&check),
        Command::CheckData(check) => cmd::check_data::run(&check),
        Command::Adapt(adapt) => cmd::adapt::run(&adapt),
        Command::Frames(args::Frames::Export(export)) => cmd::frames::export(&export),
        Command::Jobs(jobs) => cmd::jobs::run(&jobs),
        Command::Cameras(args::Cameras::Find(find)) => cmd::cameras::find(&find),
        Command::Demo(demo) => cmd::demo::run(&demo),
        Command::Completions { shell } => cmd::generate::completions(shell),
        Command::Man { dir } => cmd::generate::man(dir.as_deref()),
        Command::Openapi => cmd::generate::openapi(),
        Command::ConfigReference => cmd::config_reference::run(),
        Command::Worker => pigweight_media::isolate::serve().map_err(Into::into),
        Command::ModelTrial { model } => return analysis::model_trial::run(model),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cmd::report(&error),
    }
}

/// Progress and results have their own places; the log is for everything else.
fn start_log(verbose: bool) {
    use tracing_subscriber::EnvFilter;
    let fallback =
        if verbose { "info,sqlx=warn,ort=warn,str0m=warn" } else { "warn,sqlx=error,ort=error,str0m=error" };
    let mut filter = EnvFilter::try_from_env("PIGWEIGHT_LOG").unwrap_or_else(|_| EnvFilter::new(fallback));
    // Their messages hold addresses with secrets, and passwords.
    for quiet in ["ureq=warn", "ureq_proto=warn", "rumqttc=warn"] {
        filter = match quiet.parse() {
            Ok(directive) => filter.add_directive(directive),
            Err(_) => filter,
        };
    }
    // <https://no-color.org>: any non-empty value.
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let with_colours = !is_plain && std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(with_colours)
        .with_target(false)
        .init();
}
