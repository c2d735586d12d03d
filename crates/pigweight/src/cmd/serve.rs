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
    print(format_args!("{}PigWeight is at http://{}/\n", server.summary(), server.address()))?;
    server.block_on(stop_signal());
    server.stop()
}

/// Ctrl-C, or systemd's signal.
async fn stop_signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => tokio::select! { _ = interrupt => {}, _ = terminate.recv() => {} },
            // Without it Ctrl-C still works.
            Err(_) => drop(interrupt.await),
        }
    }
    #[cfg(not(unix))]
    drop(interrupt.await);
}
