//! Threads whose work gives way to what somebody waits for.
//!
//! On Linux niceness belongs to a thread, and is handed on to the threads and processes that it starts: to decoders that an analysis starts, to the
//! processes that read its files. Elsewhere it belongs to the whole program, and nothing is changed.

use std::io;
use std::thread::{Builder, JoinHandle};

/// The most: such a thread gets a seventieth of a core that another one at 0 wants as well. With 10, six of them took a quarter.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 19;

/// Starts a thread that gives way.
pub fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name.to_owned()).spawn(move || {
        give_way();
        work()
    })
}

fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!("background work runs beside what is waited for: {error}");
    }
}
