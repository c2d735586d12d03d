//! On-demand counts: a viewer's request for a frame that no analysis has reached is inferred at once, before other waiting pictures.
//!
//! The answer is kept for a while, so that the same question costs nothing. It is no part of a run: there, animals are followed
//! from frame to frame.

use crate::analysis::settings::RunSettings;
use crate::config::Config;
use crate::describe::Chain;
use crate::web::media::video_pool::VideoPool;
use crate::web::request::problem::Problem;
use pigweight_core::time::Pts;
use pigweight_detect::Device;
use pigweight_detect::service::{Client, Completed, Inference, Urgency};
use pigweight_media::{DecodedFrame, Picture, Video};
use pigweight_store::VideoRecord;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Questions that wait at once; decoding lets fewer through.
const DEPTH: usize = 64;
/// Answers that are kept.
const MOST_KEPT: usize = 1024;

/// See the module's head.
#[derive(Default)]
pub struct OnDemandCounts {
    /// Of the detector that was asked last.
    client: Mutex<Option<(Inference, Arc<Client>)>>,
    /// The oldest first.
    cached: Mutex<VecDeque<(CountKey, FrameCount)>>,
}

#[derive(Clone, PartialEq)]
struct CountKey {
    video_id: String,
    model_hash: String,
    pts: Pts,
    /// From this score on a box is an animal.
    min_score: f32,
    input_width: Option<u32>,
}

/// What was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameCount {
    /// Animals on the frame.
    pub count: u32,
    /// The frame that was inferred: if its bytes are damaged, the one before.
    pub pts: Pts,
}

impl OnDemandCounts {
    /// The queue of requests to this detector.
    fn client(&self, inference: &Inference) -> Arc<Client> {
        // Every change is a single assignment.
        let mut cached = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = cached.as_ref().filter(|(known, _)| known.is_same(inference)) {
            return client.clone();
        }
        let client = Arc::new(inference.client(Urgency::Viewer, DEPTH));
        *cached = Some((inference.clone(), client.clone()));
        client
    }

    /// Counts the frame displayed at `secs`; also returns whether the result was cached.
    pub async fn count(
        &self,
        pool: &VideoPool,
        config: &Config,
        record: &VideoRecord,
        inference: &Inference,
        secs: f64,
    ) -> Result<(FrameCount, f64, bool), Problem> {
        let reaches = |part: &Video| part.secs(part.index().last_pts()) > secs;
        let video = pool.video_with(record, reaches).await?;
        let settings = RunSettings::of_video(config, record, inference.model());
        let settings = settings.map_err(|error| Problem::internal(Chain(error.as_ref())))?;
        let min_score = settings.tracker.high_score;
        let pts = video.frame_at(secs)?;
        let key = CountKey {
            video_id: record.id.clone(),
            model_hash: inference.model().info().hash.clone(),
            pts,
            min_score,
            input_width: settings.input_width,
        };
        if let Some(answer) = self.known(&key) {
            return Ok((answer, video.secs(answer.pts), true));
        }
        // A viewer learns at once that there is no detector, not after the patience.
        let report = inference.model().device();
        if let (Device::Remote, Some(trouble)) = (report.device, report.trouble) {
            return Err(Problem::unavailable(trouble));
        }
        let client = self.client(inference);
        let look = move |frame: DecodedFrame| {
            let (sender, receiver) = crossbeam_channel::bounded(1);
            let pts = frame.pts;
            client.submit_at(frame.picture, settings.input_width, move |served: Completed<Picture>| {
                let Completed { found, waited, took, .. } = served;
                metrics::histogram!("pigweight_inference_seconds").record(took.as_secs_f64());
                metrics::histogram!("pigweight_inference_wait_seconds", "for" => Urgency::Viewer.name())
                    .record(waited.as_secs_f64());
                // The caller may be gone.
                let _gone = sender.send(found);
            });
            receiver.recv().map(|found| (pts, found))
        };
        let (shown, found) =
            pool.with_frame(&record.id, &video, pts, look).await?.map_err(Problem::internal)?;
        let found = found.map_err(|error| match error.is_passing() {
            true => Problem::unavailable(error.to_string()),
            false => Problem::internal(error),
        })?;
        let count = found.iter().filter(|found| found.score >= min_score).count() as u32;
        let answer = FrameCount { count, pts: shown };
        if video.is_whole() {
            self.keep(key, answer);
        }
        Ok((answer, video.secs(shown), false))
    }

    fn known(&self, key: &CountKey) -> Option<FrameCount> {
        let cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        cached.iter().find(|(known, _)| known == key).map(|(_, answer)| *answer)
    }

    fn keep(&self, key: CountKey, answer: FrameCount) {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if cached.len() >= MOST_KEPT {
            cached.pop_front();
        }
        cached.push_back((key, answer));
    }
}
