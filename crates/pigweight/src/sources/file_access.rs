//! How the server opens video files: in worker processes, unless the configuration says otherwise.

use crate::config::Config;
use anyhow::Context as _;
use pigweight_media::WorkerSettings;
use pigweight_media::isolate::Workers;
use std::path::PathBuf;
use std::time::Duration;

/// Opens video files in worker processes, tried once: if they can't be started, this is reported at the start. `None`: the server
/// opens files itself.
///
/// # Errors
/// If no worker process can be started.
pub async fn start(config: &Config) -> anyhow::Result<Option<Workers>> {
    if !config.worker.enabled {
        tracing::warn!(
            "the server opens videos itself: a file that breaks a decoder ends it (worker.enabled)"
        );
        return Ok(None);
    }
    let workers = Workers::new(WorkerSettings {
        program: this_program()?,
        arguments: vec!["worker".to_owned()],
        memory_bytes: config.worker.memory_mb.saturating_mul(1_000_000),
        silence: Duration::from_secs(config.worker.silence_secs),
    });
    let tried = workers.clone();
    let confinement = tokio::task::spawn_blocking(move || tried.check())
        .await?
        .context("videos are opened by worker processes; worker.enabled = false does without")?;
    tracing::info!("videos are opened by worker processes: {confinement}");
    Ok(Some(workers))
}

/// Also after the program file was replaced by a newer one, whose messages may differ.
fn this_program() -> std::io::Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { Ok(running) } else { std::env::current_exe() }
}
