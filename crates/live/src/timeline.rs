//! A monotonic timeline for the frames of a camera, even if the camera's clock jumps or stops.
//!
//! Within a connection, frames are as far apart as the camera says: its clock is smoother than arrival over a network. A connection begins
//! where it arrived, so a gap is as long on the timeline as it was in reality. The camera's clock is left where it leaves reality:
//! if it jumps, stands still or runs more than [`MOST_DEVIATION_SECS`] away from arrival, the timeline begins anew at the arrival.

use crate::access_unit::CLOCK_RATE_HZ;

/// A longer interval between two frames is a gap. Cameras send one frame a second at the slowest.
pub const GAP_SECS: f64 = 3.0;
/// Farther from its arrival, a frame's own time isn't believed.
pub const MOST_DEVIATION_SECS: f64 = 5.0;
/// Frames that are shown later may be sent earlier by this much (B-frames).
const MOST_REORDER_SECS: f64 = 1.0;

/// Where a frame lies on the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Ticks of [`CLOCK_RATE_HZ`].
    pub time_ticks: i64,
    /// Time is missing before it.
    pub follows_gap: bool,
}

/// Places frames. Reads no clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct CameraTimeline {
    /// Of the connection: its clock's value and the place that belongs to it.
    origin: Option<(i64, i64)>,
    /// The latest place so far.
    latest_ticks: Option<i64>,
    rebased: u64,
}

impl CameraTimeline {
    /// The next frame belongs to a new connection.
    pub fn reconnect(&mut self) {
        self.origin = None;
    }

    /// How often the camera's clock had to be left within a connection.
    pub fn rebased(&self) -> u64 {
        self.rebased
    }

    /// How far the camera's clock has run from arrival since the connection began, in seconds; positive: it is fast.
    pub fn drift_secs(&self, session_ticks: i64, arrived_secs: f64) -> f64 {
        self.origin.map_or(0.0, |origin| seconds(place(origin, session_ticks)) - arrived_secs)
    }

    /// Places a frame that arrived `arrived_secs` after the timeline's start.
    pub fn place(&mut self, session_ticks: i64, arrived_secs: f64) -> Placement {
        let arrived_ticks = ticks(arrived_secs);
        let believed = self.origin.map(|origin| place(origin, session_ticks)).filter(|&time| {
            let is_near = (seconds(time) - arrived_secs).abs() <= MOST_DEVIATION_SECS;
            let is_behind =
                self.latest_ticks.is_some_and(|latest| seconds(latest - time) > MOST_REORDER_SECS);
            // A clock that stands still.
            let is_same = self.latest_ticks == Some(time);
            is_near && !is_behind && !is_same
        });
        let is_reconnected = self.origin.is_none() && self.latest_ticks.is_some();
        let time_ticks = match believed {
            Some(time) => time,
            None => {
                self.rebased += u64::from(self.origin.is_some());
                let earliest = self.latest_ticks.map_or(i64::MIN, |latest| latest + 1);
                let time = arrived_ticks.max(earliest);
                self.origin = Some((session_ticks, time));
                time
            }
        };
        let is_late = self.latest_ticks.is_some_and(|latest| seconds(time_ticks - latest) > GAP_SECS);
        self.latest_ticks = Some(self.latest_ticks.map_or(time_ticks, |latest| latest.max(time_ticks)));
        Placement { time_ticks, follows_gap: is_reconnected || is_late }
    }
}

fn place((session_ticks, time_ticks): (i64, i64), now: i64) -> i64 {
    time_ticks.saturating_add(now.saturating_sub(session_ticks))
}

fn seconds(ticks: i64) -> f64 {
    ticks as f64 / f64::from(CLOCK_RATE_HZ)
}

fn ticks(secs: f64) -> i64 {
    (secs * f64::from(CLOCK_RATE_HZ)).round() as i64
}
