//! Motion prediction of a box: four independent filters, for the centre's x and y, the width and the height.
//!
//! The eight-dimensional Kalman filter of SORT with a (x, y, width, height) state separates into four filters
//! of two (position, velocity), because no noise couples the axes: no matrix library is needed. Noise is a
//! *rate*: a random walk grows with the square root of time, so one step of 0.2 s predicts
//! exactly what two of 0.1 s do, and dropped frames or another frame rate change nothing.

use crate::geometry::{Point, Rect};
use serde::{Deserialize, Serialize};

/// The published noise values (SORT, Bewley et al. 2016, as used by DeepSORT and ByteTrack) are per frame of 30 Hz
/// video. All below are relative to the box's own size, and equal those at 30 Hz.
const REFERENCE_HZ: f64 = 30.0;
/// Random walk of the position: 0.05 sizes a frame. Sizes² per second.
const POSITION_VARIANCE_RATE: f64 = 0.05 * 0.05 * REFERENCE_HZ;
/// Random walk of the velocity: 0.00625 sizes/frame a frame. (Sizes per second)² per second.
const VELOCITY_VARIANCE_RATE: f64 = (0.00625 * REFERENCE_HZ) * (0.00625 * REFERENCE_HZ) * REFERENCE_HZ;
/// Jitter of a detector's edges, sizes.
const MEASUREMENT_DEVIATION: f64 = 0.05;
/// Of the first box, sizes.
const START_POSITION_DEVIATION: f64 = 0.1;
/// Of an animal first seen: 0.0625 sizes a frame. Sizes per second.
const START_VELOCITY_DEVIATION: f64 = 0.0625 * REFERENCE_HZ;
/// When noise is scaled by a box's size, no size is taken below this, px.
const SMALLEST_SIZE_PX: f64 = 1.0;

/// One coordinate and its velocity, with their covariance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Axis {
    position_px: f64,
    velocity_px_per_sec: f64,
    position_variance: f64,
    covariance: f64,
    velocity_variance: f64,
}

impl Axis {
    fn starting_at(position_px: f64, size_px: f64) -> Self {
        Self {
            position_px,
            velocity_px_per_sec: 0.0,
            position_variance: (START_POSITION_DEVIATION * size_px).powi(2),
            covariance: 0.0,
            velocity_variance: (START_VELOCITY_DEVIATION * size_px).powi(2),
        }
    }

    /// The exact solution for continuous white noise on position and velocity.
    fn predicted(self, secs: f64, size_px: f64) -> Self {
        let position_rate = POSITION_VARIANCE_RATE * size_px * size_px;
        let velocity_rate = VELOCITY_VARIANCE_RATE * size_px * size_px;
        Self {
            position_px: self.position_px + self.velocity_px_per_sec * secs,
            velocity_px_per_sec: self.velocity_px_per_sec,
            position_variance: self.position_variance
                + secs * (2.0 * self.covariance + secs * self.velocity_variance)
                + position_rate * secs
                + velocity_rate * secs.powi(3) / 3.0,
            covariance: self.covariance + secs * self.velocity_variance + velocity_rate * secs * secs / 2.0,
            velocity_variance: self.velocity_variance + velocity_rate * secs,
        }
    }

    fn corrected(self, measured_px: f64, size_px: f64) -> Self {
        let measurement_variance = (MEASUREMENT_DEVIATION * size_px).powi(2);
        let total = self.position_variance + measurement_variance;
        let position_gain = self.position_variance / total;
        let velocity_gain = self.covariance / total;
        let surprise_px = measured_px - self.position_px;
        Self {
            position_px: self.position_px + position_gain * surprise_px,
            velocity_px_per_sec: self.velocity_px_per_sec + velocity_gain * surprise_px,
            position_variance: self.position_variance * (1.0 - position_gain),
            covariance: self.covariance * (1.0 - position_gain),
            velocity_variance: self.velocity_variance - velocity_gain * self.covariance,
        }
    }
}

/// The motion of one box at its last observation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Motion {
    center_x: Axis,
    center_y: Axis,
    width: Axis,
    height: Axis,
}

impl Motion {
    /// Of a box seen for the first time.
    pub(crate) fn starting_at(rect: Rect) -> Self {
        let [x, y, width, height] = coordinates(rect);
        let (width_px, height_px) = (width.max(SMALLEST_SIZE_PX), height.max(SMALLEST_SIZE_PX));
        Self {
            center_x: Axis::starting_at(x, width_px),
            center_y: Axis::starting_at(y, height_px),
            width: Axis::starting_at(width, width_px),
            height: Axis::starting_at(height, height_px),
        }
    }

    /// `secs` later.
    pub(crate) fn predicted(&self, secs: f64) -> Self {
        let (width_px, height_px) = self.noise_sizes_px();
        Self {
            center_x: self.center_x.predicted(secs, width_px),
            center_y: self.center_y.predicted(secs, height_px),
            width: self.width.predicted(secs, width_px),
            height: self.height.predicted(secs, height_px),
        }
    }

    /// With one more observation, at the time of this motion.
    pub(crate) fn corrected(&self, rect: Rect) -> Self {
        let [x, y, width, height] = coordinates(rect);
        let (width_px, height_px) = self.noise_sizes_px();
        Self {
            center_x: self.center_x.corrected(x, width_px),
            center_y: self.center_y.corrected(y, height_px),
            width: self.width.corrected(width, width_px),
            height: self.height.corrected(height, height_px),
        }
    }

    /// The same with a constant size: a box that shrank while its animal went behind something must not shrink to nothing.
    pub(crate) fn with_size_at_rest(mut self) -> Self {
        self.width.velocity_px_per_sec = 0.0;
        self.height.velocity_px_per_sec = 0.0;
        self
    }

    /// The box, never of negative size.
    pub(crate) fn rect(&self) -> Rect {
        let center = Point::new(self.center_x.position_px as f32, self.center_y.position_px as f32);
        let (width, height) = (self.width.position_px.max(0.0), self.height.position_px.max(0.0));
        Rect::from_center(center, width as f32, height as f32)
    }

    fn noise_sizes_px(&self) -> (f64, f64) {
        (self.width.position_px.max(SMALLEST_SIZE_PX), self.height.position_px.max(SMALLEST_SIZE_PX))
    }
}

/// Centre and size.
fn coordinates(rect: Rect) -> [f64; 4] {
    let center = rect.center();
    [center.x, center.y, rect.width, rect.height].map(f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_long_step_equals_many_short_ones() {
        let axis = Axis::starting_at(100.0, 50.0).predicted(0.1, 50.0).corrected(110.0, 50.0);
        let once = axis.predicted(0.4, 50.0);
        let often = (0..8).fold(axis, |axis, _| axis.predicted(0.05, 50.0));
        for (once, often) in [
            (once.position_px, often.position_px),
            (once.position_variance, often.position_variance),
            (once.covariance, often.covariance),
            (once.velocity_variance, often.velocity_variance),
        ] {
            assert!((once - often).abs() < 1e-9 * once.abs(), "{once} {often}");
        }
    }

    #[test]
    fn a_steady_walk_is_predicted_at_any_frame_rate() {
        for hz in [5.0, 14.0, 25.0, 30.0] {
            let at = |secs: f64| Rect::new(100.0 + (60.0 * secs) as f32, 50.0, 80.0, 40.0);
            let mut motion = Motion::starting_at(at(0.0));
            let inferences = (2.0 * hz) as u32;
            for number in 1..=inferences {
                motion = motion.predicted(1.0 / hz).corrected(at(f64::from(number) / hz));
            }
            let error_px = motion.predicted(0.5).rect().center().distance(at(2.5).center());
            assert!(error_px < 8.0, "{hz} Hz: {error_px} px off after 30 px of walk");
        }
    }
}
