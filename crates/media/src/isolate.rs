//! Worker processes for foreign files, so that a file that breaks a decoder breaks nothing else.
//!
//! ```text
//! server: Workers::open ── FrameSeeker, FrameReader, Streamer ── Worker      one process each
//!                                                                  │ pipes (wire.rs)
//! process: serve ── sandbox::confine ── LocalSeeker, LocalReader, LocalStreamer
//! ```
//! A process reads one file and may do nothing else (`sandbox.rs`): it can't reach other files, the network, other programs or more memory
//! than its limit. It reports every second that libav makes progress; one that is silent for too
//! long is ended, and each ends with its owner. Owners start another for the next request.

mod client;
mod pictures;
mod sandbox;
mod serve;
mod wire;
mod workers;

pub(crate) use client::Worker;
pub use client::running;
pub use sandbox::Confinement;
pub use serve::{ServeError, serve};
pub(crate) use wire::{Request, Response};
pub use workers::Workers;
pub(crate) use workers::{Location, PersistentWorker};

/// Internals that `fuzz/` uses.
#[cfg(fuzzing)]
pub mod fuzzing {
    use super::wire::{self, FrameHead, Response};
    use crate::libav::FramePool;

    /// Reads an answer and the following bytes, like an owner.
    pub fn read_answer(mut bytes: &[u8]) {
        let Ok((answer, length)) = wire::read::<Response>(&mut bytes) else { return };
        match answer {
            Response::Frame(FrameHead { width, height, samples, .. }) => {
                let _may_fail = super::pictures::read(
                    (width, height),
                    samples,
                    length,
                    &mut bytes,
                    &mut FramePool::new(),
                );
            }
            _ => drop(wire::read_bytes(&mut bytes, length, wire::MOST_INDEX_BYTES)),
        }
    }
}
