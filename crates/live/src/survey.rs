//! Looks at a camera for a few seconds: what it sends, before it is added.

use crate::access_unit::StreamFormat;
use crate::failure::Failure;
use crate::session::{CONNECT_TIMEOUT, Connector, STALL_TIMEOUT};
use crate::stream_meter::{StreamMeasures, StreamMeter};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// A person waits.
pub const SURVEY_TIME: Duration = Duration::from_secs(5);

/// What a camera sends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StreamSurvey {
    /// As it states it.
    pub format: StreamFormat,
    /// As it is.
    pub measures: StreamMeasures,
    /// How far the camera's clock is ahead of this machine's, seconds; negative: behind. `None`: it hasn't told.
    pub clock_offset_secs: Option<f64>,
}

/// Connects and looks until two intervals between keyframes are complete, or for [`SURVEY_TIME`] after the first frame.
///
/// # Errors
/// Why it can't be connected, or sends nothing.
pub async fn survey(connector: &dyn Connector) -> Result<StreamSurvey, Failure> {
    let silent = || Failure::Silent { host: connector.host(), secs: CONNECT_TIMEOUT.as_secs() };
    let mut session = timeout(CONNECT_TIMEOUT, connector.connect()).await.map_err(|_| silent())??;
    let mut meter = StreamMeter::default();
    let first = timeout(STALL_TIMEOUT, session.next()).await;
    meter.see(&first.map_err(|_| Failure::Stalled { secs: STALL_TIMEOUT.as_secs() })??);
    let until = Instant::now() + SURVEY_TIME;
    while !meter.is_complete() {
        match timeout_at(until, session.next()).await {
            Ok(Ok(unit)) => meter.see(&unit),
            // It has sent something: what there is of it can be told, and the camera is tried again by itself.
            Ok(Err(_)) | Err(_) => break,
        }
    }
    let has_reordered_frames = meter.has_reordered_frames();
    let unmeasured = StreamMeasures { has_reordered_frames, ..StreamMeasures::default() };
    Ok(StreamSurvey {
        format: session.format(),
        measures: meter.measures().unwrap_or(unmeasured),
        clock_offset_secs: session.clock_offset_secs(),
    })
}
