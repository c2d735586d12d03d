//! Another threshold without inference: a run keeps every detection down to a sixth of its threshold, so a run with a higher threshold
//! can track the stored detections.
//!
//! The inferred frames are those of the earlier run. With the tracks of the new threshold, it might have inferred a few more or fewer
//! frames near a line; everything else is as if the video had been inferred again.

use crate::analysis::frames::{self, InferredFrame};
use pigweight_core::detection::Detection;
use pigweight_core::inference_schedule::Position;
use pigweight_core::interpolate::SettledFrame;
use pigweight_core::time::Pts;
use pigweight_core::track::Origin;
use pigweight_store::{RunRecord, Store};
use tokio::runtime::Handle;

/// The frames of a finished run, as the detector would return them.
pub struct StoredDetections<'a> {
    store: &'a Store,
    runtime: &'a Handle,
    run: RunRecord,
    next_chunk: i64,
    frames: std::vec::IntoIter<SettledFrame>,
    after_pts: Option<Pts>,
    least_score: f32,
}

impl<'a> StoredDetections<'a> {
    /// Frames after `after_pts`, with detections of at least `least_score`.
    pub fn new(
        store: &'a Store,
        runtime: &'a Handle,
        run: RunRecord,
        after_pts: Option<Pts>,
        least_score: f32,
    ) -> Self {
        Self { store, runtime, run, next_chunk: 0, frames: Vec::new().into_iter(), after_pts, least_score }
    }

    /// The same frames, as they come out of an inference of the video.
    pub fn frames(self) -> impl Iterator<Item = Result<InferredFrame<Vec<Detection>>, frames::Error>> {
        let least_score = self.least_score;
        self.map(move |frame| {
            let frame = frame.map_err(frames::Error::StoredDetections)?;
            let inferred = frame.reason.map(|reason| (reason, detections(&frame, least_score)));
            Ok(InferredFrame {
                pts: frame.pts,
                secs: frame.secs,
                // Damaged frames are counted once, for the whole run.
                is_damaged: false,
                follows_gap: false,
                inferred,
                device: None,
                position: Position::default(),
            })
        })
    }
}

impl Iterator for StoredDetections<'_> {
    type Item = pigweight_store::Result<SettledFrame>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let is_done = |frame: &SettledFrame| self.after_pts.is_some_and(|done| frame.pts <= done);
            if let Some(frame) = self.frames.find(|frame| !is_done(frame)) {
                return Some(Ok(frame));
            }
            if self.next_chunk >= self.run.next_chunk {
                return None;
            }
            match self.runtime.block_on(self.store.chunk(&self.run.id, self.next_chunk)) {
                Ok(chunk) => self.frames = chunk.unwrap_or_default().into_iter(),
                Err(error) => {
                    self.next_chunk = i64::MAX;
                    return Some(Err(error));
                }
            }
            self.next_chunk += 1;
        }
    }
}

/// All detections of a frame, as they are tracked.
pub fn detections(frame: &SettledFrame, least_score: f32) -> Vec<Detection> {
    let measured = frame.boxes.iter().filter(|tracked| tracked.origin == Origin::Measured);
    let tracked =
        measured.map(|tracked| Detection { rect: tracked.rect, score: tracked.score, class: tracked.class });
    Detection::tracked_from(tracked.chain(frame.unmatched.iter().copied()), least_score)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pigweight_core::geometry::Rect;
    use pigweight_core::inference_schedule::InferenceReason;
    use pigweight_core::track::{TrackId, TrackedBox};

    #[test]
    fn measured_boxes_are_distinguished_from_interpolated_ones() {
        let rect = Rect::new(1.0, 2.0, 3.0, 4.0);
        let tracked = |score, origin| TrackedBox { track: TrackId(1), rect, score, class: 2, origin };
        let frame = SettledFrame {
            pts: Pts(5),
            secs: 0.2,
            reason: Some(InferenceReason::Moving),
            boxes: vec![tracked(0.5, Origin::Measured), tracked(0.9, Origin::Interpolated)],
            unmatched: vec![
                Detection { rect, score: 0.7, class: 0 },
                Detection { rect, score: 0.05, class: 0 },
            ],
        };
        let scores: Vec<f32> = detections(&frame, 0.1).iter().map(|seen| seen.score).collect();
        assert_eq!(scores, [0.7, 0.5]);
    }
}
