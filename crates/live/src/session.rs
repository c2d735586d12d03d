//! A connection to a camera, as the rest of the crate sees it: tests bring their own.

use crate::access_unit::StreamFormat;
use crate::failure::Failure;
pub use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// How long a camera may take until its first answer, in all.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A camera that sends nothing for this long has stalled. Cameras send a frame a second at the slowest.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(5);

/// A coded frame as a session delivers it: on the session's own clock.
#[derive(Clone, Debug)]
pub struct SessionUnit {
    /// Annex B, where a keyframe begins with its parameter sets; or a JPEG picture.
    pub data: Arc<[u8]>,
    /// Ticks of [`crate::access_unit::CLOCK_RATE_HZ`] since some moment that is fixed for the session. Unwrapped: a 32-bit wrap doesn't show.
    pub session_ticks: i64,
    /// Decoding can start here.
    pub is_keyframe: bool,
    /// No other frame refers to it.
    pub is_disposable: bool,
    /// RTP packets, or pictures, that were lost before it.
    pub lost_packets: u16,
}

/// An open connection.
pub trait Session: Send {
    /// What it sends now; may change from unit to unit.
    fn format(&self) -> StreamFormat;

    /// The `VisualSampleEntry` box (ISO/IEC 14496-12) of what it sends now. `None`: its frames can't be written to an MP4 file.
    fn sample_entry(&self) -> Option<Vec<u8>> {
        None
    }

    /// How far the camera's clock is ahead of this machine's, seconds, as it told last; negative: behind. `None`: it doesn't tell.
    fn clock_offset_secs(&self) -> Option<f64> {
        None
    }

    /// The next frame, or why there will be none. The caller limits the wait.
    fn next(&mut self) -> BoxFuture<'_, Result<SessionUnit, Failure>>;
}

/// Opens connections to one camera.
pub trait Connector: Send + Sync {
    /// A connection that is about to send. The caller limits the wait.
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Session>, Failure>>;

    /// Host and port, for messages.
    fn host(&self) -> String;
}
