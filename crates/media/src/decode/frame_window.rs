//! Frames around the last one that was asked for, as they came out of the decoder.
//!
//! Whoever looks at a frame mostly wants one beside it next. Frames are shared with libav, not copied. What they may take is
//! bounded; when it is used up, those farthest from the last one that was asked for go. People step forwards more than back.

use crate::libav::Frame;
use pigweight_core::time::Pts;
use std::collections::BTreeMap;

/// What frames may hold: 14 of 1080p.
const MOST_BYTES: usize = 48 << 20;
/// A frame before the one that was asked for is as far as one so many times farther behind it.
const BACKWARDS: i64 = 3;

/// See the module's head.
pub(crate) struct Window {
    frames: BTreeMap<Pts, Frame>,
    bytes: usize,
    /// The frame that was asked for last.
    center: Pts,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self { frames: BTreeMap::new(), bytes: 0, center: Pts(0) }
    }

    /// From now on this is the frame that was asked for; it is given out if it is here.
    pub(crate) fn find(&mut self, pts: Pts) -> Option<Frame> {
        self.center = pts;
        self.frames.get(&pts).and_then(Frame::share)
    }

    /// Keeps a frame. `false` where there is no room for it: others are nearer to the one that was asked for.
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
    fn the_farthest_frames_go_and_more_is_kept_ahead_than_behind() {
        let mut window = Window::new();
        assert!(window.find(Pts(100)).is_none());
        let mut ahead = 100;
        while window.keep(Pts(ahead), &frame()) {
            ahead += 1;
        }
        assert!((112..=116).contains(&ahead), "{ahead}");
        assert_eq!(kept(&window), (100..ahead).collect::<Vec<_>>());
        assert!(window.bytes <= MOST_BYTES);
        // Who goes on finds what was kept, and leaves a little behind.
        for pts in 101..140 {
            window.find(Pts(pts));
            while window.keep(Pts(ahead), &frame()) {
                ahead += 1;
            }
            assert!(window.find(Pts(pts)).is_some(), "{pts}");
        }
        let kept = kept(&window);
        assert!(kept.contains(&137) && kept.contains(&148) && !kept.contains(&134), "{kept:?}");
        // The same frame twice is one.
        let bytes = window.bytes;
        window.keep(Pts(139), &frame());
        assert_eq!(window.bytes, bytes);
        window.clear();
        assert!(window.find(Pts(139)).is_none() && window.bytes == 0);
    }
}
