//! `pigweight serve`: the page, the API and background work.

use super::{configure, print};
use crate::args::Serve;
use crate::server::Server;

pub fn run(args: Serve) -> anyhow::Result<()> {
    let mut config = configure(&args.model)?;
    if !args.videos.is_empty() {
        config.videos = args.videos;
    }
    config.data = args.data.unwrap_or(config.data);
    config.listen = args.listen.unwrap_or(config.listen);
    for folder in &config.videos {
        anyhow::ensure!(
            folder.is_dir(),
            "{} is not a folder; name a folder of videos with --videos DIR",
            folder.display()
        );
    }
    let server = Server::start(config)?;
    // Listen for signals before printing the address: a supervisor may send SIGTERM as soon as it reads it.
    let stop = server.block_on(async { StopSignal::listen() })?;
    print(format_args!("{}PigWeight is at http://{}/\n", server.summary(), server.address()))?;
    server.block_on(stop.received());
    server.stop()
}

/// Ctrl-C, or systemd's signal.
#[cfg(unix)]
struct StopSignal {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl StopSignal {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn received(mut self) {
        tokio::select! { _ = self.interrupt.recv() => {}, _ = self.terminate.recv() => {} }
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
struct StopSignal;

#[cfg(not(unix))]
impl StopSignal {
    fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn received(self) {
        drop(tokio::signal::ctrl_c().await);
    }
}
