//! How many animals a camera shows now.

use crate::background::camera_supervisor::{CameraStatus, NO_PICTURE};
use crate::status::Status;
use pigweight_live::CameraState;
use pigweight_store::CameraRecord;
use std::time::Duration;

/// A count that is older says nothing of now.
const COUNT_HOLDS: Duration = Duration::from_secs(15);

/// A camera's count: "no video", "not counted yet" and 0 are three answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CountNow {
    /// The camera isn't live, or shows no picture.
    NoVideo,
    /// It is live and not counted yet.
    Pending,
    /// It was counted.
    Counted {
        /// Animals.
        count: u32,
        /// Nine of ten true numbers lie within the count ± this many; `None` with a detector whose scores aren't calibrated.
        uncertainty: Option<f64>,
        /// Of the counted frame, seconds since the camera was added.
        secs: f64,
    },
}

impl CountNow {
    /// Of a camera that is doing this; `None`: it isn't running.
    pub fn of(status: &Status, camera: &CameraRecord, camera_status: Option<&CameraStatus>) -> Self {
        let Some(CameraStatus { states, trouble, .. }) = camera_status else { return Self::NoVideo };
        let now = states.now();
        let has_no_picture = trouble.as_ref().is_some_and(|trouble| trouble.code == NO_PICTURE);
        if !matches!(now.state, CameraState::Live(_)) || has_no_picture {
            return Self::NoVideo;
        }
        // A count from before the connection says nothing of now.
        let live_secs = now.since_unix_ms as f64 / 1000.0 - camera.created_at as f64;
        let latest = status.latest(&camera.video_id).filter(|progress| {
            progress.written.elapsed() < COUNT_HOLDS && progress.run.counted_to_secs >= live_secs
        });
        match latest.and_then(|progress| Some((progress.count?, progress.run))) {
            Some((count, run)) => {
                Self::Counted { count, uncertainty: run.count_uncertainty(), secs: run.counted_to_secs }
            }
            None => Self::Pending,
        }
    }
}
