//! Decoded frames around the last requested one.
//!
//! After viewing a frame, users mostly step to a neighbour. Frames are shared with libav, not copied. Their memory is
//! limited; when it is used up, those farthest from the last requested frame go. Steps forward are more common than back.

use crate::libav::Frame;
use pigweight_core::time::Pts;
use std::collections::BTreeMap;

/// Memory for frames: 14 of 1080p.
const MOST_BYTES: usize = 48 << 20;
/// A frame before the requested one counts as far as one this many times farther after it.
const BACKWARDS: i64 = 3;

/// See the module's head.
pub(crate) struct Window {
    frames: BTreeMap<Pts, Frame>,
    bytes: usize,
    /// The last requested frame.
    center: Pts,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self { frames: BTreeMap::new(), bytes: 0, center: Pts(0) }
    }

    /// Sets the requested frame; returns it if it is in the window.
    pub(crate) fn find(&mut self, pts: Pts) -> Option<Frame> {
        self.center = pts;
        self.frames.get(&pts).and_then(Frame::share)
    }

    /// Adds a frame. `false` if there is no space: others are nearer to the requested one.
    pub(crate) fn keep(&mut self, pts: Pts, frame: &Frame) -> bool {
        let Some(shared) = frame.share() else { return false };
        self.bytes += shared.held_bytes();
        if let Some(before) = self.frames.insert(pts, shared) {
            self.bytes -= before.held_bytes();
        }
        while self.bytes > MOST_BYTES {
            let [first, last] = [self.frames.first_key_value(), self.frames.last_key_value()];
            let ends = [first, last].into_iter().flatten().map(|(&pts, _)| pts);
            let Some(farthest) = ends.max_by_key(|&pts| self.distance(pts)) else { break };
            if let Some(frame) = self.frames.remove(&farthest) {
                self.bytes -= frame.held_bytes();
            }
            if farthest == pts {
                return false;
            }
        }
        true
    }

    pub(crate) fn clear(&mut self) {
        self.frames.clear();
        self.bytes = 0;
    }

    fn distance(&self, pts: Pts) -> i64 {
        match pts.0.saturating_sub(self.center.0) {
            behind @ 0.. => behind,
            before => before.saturating_mul(-BACKWARDS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pigweight_core::picture::ColorMatrix;

    fn frame() -> Frame {
        Frame::yuv((1920, 1080), (1, 1), ColorMatrix::Bt709, false).unwrap()
    }

    fn kept(window: &Window) -> Vec<i64> {
        window.frames.keys().map(|pts| pts.0).collect()
    }

    #[test]
    fn the_farthest_frames_are_evicted_and_more_are_kept_ahead_than_behind() {
        let mut window = Window::new();
        assert!(window.find(Pts(100)).is_none());
        let mut ahead = 100;
        while window.keep(Pts(ahead), &frame()) {
            ahead += 1;
        }
        assert!((112..=116).contains(&ahead), "{ahead}");
        assert_eq!(kept(&window), (100..ahead).collect::<Vec<_>>());
        assert!(window.bytes <= MOST_BYTES);
        // Stepping on finds cached frames, and leaves a few behind.
        for pts in 101..140 {
            window.find(Pts(pts));
            while window.keep(Pts(ahead), &frame()) {
                ahead += 1;
            }
            assert!(window.find(Pts(pts)).is_some(), "{pts}");
        }
        let kept = kept(&window);
        assert!(kept.contains(&137) && kept.contains(&148) && !kept.contains(&134), "{kept:?}");
        // The same frame twice is stored once.
        let bytes = window.bytes;
        window.keep(Pts(139), &frame());
        assert_eq!(window.bytes, bytes);
        window.clear();
        assert!(window.find(Pts(139)).is_none() && window.bytes == 0);
    }
}
