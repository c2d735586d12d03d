//! A video past the detector: one thread decodes, a few detect (each with a session of its own), and what they found
//! comes out in the order of the frames.
//!
//! Queues between them are bounded, so a slow step slows the one before it: a video is never sped up by leaving frames
//! out.

use crossbeam_channel::{Receiver, Sender, bounded};
use pigweight_core::detection::Detection;
use pigweight_core::schedule::Schedule;
use pigweight_core::time::Pts;
use pigweight_detect::{Detector, Model};
use pigweight_media::{DecodedFrame, FrameReader, Picture, Video};
use std::collections::BTreeMap;
use std::time::Instant;

/// Why the frames end before the video does.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The video could not be read on.
    #[error("{0}")]
    Media(#[from] pigweight_media::Error),
    /// The model could not be run.
    #[error("{0}")]
    Detect(#[from] pigweight_detect::Error),
}

/// What is looked at, and how.
pub struct Looking<'a> {
    /// Opened.
    pub video: &'a Video,
    /// Loaded.
    pub model: &'a Model,
    /// Which frames are looked at.
    pub schedule: Schedule,
    /// Sessions side by side; each takes one core.
    pub workers: usize,
}

/// Where to begin: behind what was done before.
#[derive(Clone, Copy, Default)]
pub struct Begin {
    /// The last frame that was decoded.
    pub after_pts: Option<Pts>,
    /// When the detector last looked.
    pub last_looked_secs: Option<f64>,
}

/// A frame after its look, without its picture.
pub struct Looked<T> {
    pub pts: Pts,
    pub secs: f64,
    /// Parts of it were guessed by the decoder.
    pub is_damaged: bool,
    /// What `see` made of it; `None` where the detector did not look.
    pub seen: Option<T>,
}

/// A frame on its way from the decoder to the detector.
struct Job {
    sequence: u64,
    frame: DecodedFrame,
    is_looked_at: bool,
}

type Numbered<T> = Result<(u64, Looked<T>), Error>;

/// Sees every frame as it is decoded, on the decoder's thread.
pub type Watch<'a> = &'a mut (dyn FnMut(&DecodedFrame) + Send);

impl Looking<'_> {
    /// Shows the frames to the detector, and gives `follow` what `see` makes of each picture and its detections, in order.
    /// When `follow` returns, the work ends.
    ///
    /// # Errors
    /// Where the video or the model does not open; later errors come out of the iterator.
    pub fn through<T: Send, R>(
        &self,
        begin: Begin,
        see: impl Fn(&Picture, Vec<Detection>) -> T + Sync,
        follow: impl FnOnce(InOrder<'_, T>) -> R,
    ) -> Result<R, Error> {
        self.through_watched(begin, &mut |_| {}, see, follow)
    }

    /// The same; `watch` sees each frame before the detector does.
    ///
    /// # Errors
    /// As [`Self::through`].
    pub fn through_watched<T: Send, R>(
        &self,
        begin: Begin,
        watch: Watch<'_>,
        see: impl Fn(&Picture, Vec<Detection>) -> T + Sync,
        follow: impl FnOnce(InOrder<'_, T>) -> R,
    ) -> Result<R, Error> {
        let reader = match begin.after_pts {
            Some(pts) => FrameReader::open_after(self.video, pts)?,
            None => FrameReader::open(self.video)?,
        };
        let detectors =
            (0..self.workers.max(1)).map(|_| self.model.detector()).collect::<Result<Vec<_>, _>>()?;
        let depth = 2 * detectors.len();
        let (schedule, last_pts, see) = (self.schedule, self.video.index().last_pts(), &see);
        std::thread::scope(|scope| {
            let (to_detect, jobs) = bounded::<Job>(depth);
            let (to_follow, results) = bounded::<Numbered<T>>(depth);
            let decode_results = to_follow.clone();
            scope.spawn(move || {
                let decoding =
                    Decoding { reader, schedule, last_pts, last_looked_secs: begin.last_looked_secs };
                if let Err(error) = decoding.run(watch, &to_detect) {
                    // Nobody listens any more when following has stopped for a reason of its own.
                    let _stopped = decode_results.send(Err(error.into()));
                }
            });
            for detector in detectors {
                let (jobs, results) = (jobs.clone(), to_follow.clone());
                scope.spawn(move || detect(detector, see, &jobs, &results));
            }
            drop((jobs, to_follow));
            let followed = follow(InOrder::new(&results));
            // Frees whoever waits to send; the threads end when their channels do.
            drop(results);
            Ok(followed)
        })
    }
}

struct Decoding {
    reader: FrameReader,
    schedule: Schedule,
    last_pts: Pts,
    last_looked_secs: Option<f64>,
}

impl Decoding {
    fn run(mut self, watch: Watch<'_>, jobs: &Sender<Job>) -> pigweight_media::Result<()> {
        for sequence in 0.. {
            let Some(frame) = self.reader.next_frame()? else { break };
            watch(&frame);
            // What follows the last look has no neighbour to be filled from: the last frame is always looked at.
            let is_looked_at =
                frame.pts == self.last_pts || self.schedule.wants(frame.secs, self.last_looked_secs);
            if is_looked_at {
                self.last_looked_secs = Some(frame.secs);
            }
            if jobs.send(Job { sequence, frame, is_looked_at }).is_err() {
                break;
            }
        }
        Ok(())
    }
}

fn detect<T>(
    mut detector: Detector,
    see: &impl Fn(&Picture, Vec<Detection>) -> T,
    jobs: &Receiver<Job>,
    results: &Sender<Numbered<T>>,
) {
    for Job { sequence, frame, is_looked_at } in jobs {
        let seen = match is_looked_at {
            true => {
                let started = Instant::now();
                let found = detector.detect(&frame.picture.view());
                metrics::histogram!("pigweight_inference_seconds").record(started.elapsed().as_secs_f64());
                found.map(|found| Some(see(&frame.picture, found)))
            }
            false => Ok(None),
        };
        let (pts, secs, is_damaged) = (frame.pts, frame.secs, frame.is_damaged);
        drop(frame);
        let looked =
            seen.map(|seen| (sequence, Looked { pts, secs, is_damaged, seen })).map_err(Error::Detect);
        if results.send(looked).is_err() {
            break;
        }
    }
}

/// Frames in their order. Ends with the first error: one of the detector at once, one of the video when the frames before
/// it are through.
pub struct InOrder<'a, T> {
    results: &'a Receiver<Numbered<T>>,
    /// Those that came before their turn; no more than the queues hold.
    early: BTreeMap<u64, Looked<T>>,
    next_sequence: u64,
    failure: Option<Error>,
}

impl<'a, T> InOrder<'a, T> {
    fn new(results: &'a Receiver<Numbered<T>>) -> Self {
        Self { results, early: BTreeMap::new(), next_sequence: 0, failure: None }
    }
}

impl<T> Iterator for InOrder<'_, T> {
    type Item = Result<Looked<T>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(looked) = self.early.remove(&self.next_sequence) {
                self.next_sequence += 1;
                return Some(Ok(looked));
            }
            match self.results.recv() {
                Ok(Ok((sequence, looked))) => {
                    self.early.insert(sequence, looked);
                }
                // The decoder has ended; the frames before its failure are still on their way.
                Ok(Err(error @ Error::Media(_))) => self.failure = Some(error),
                Ok(Err(error)) => return Some(Err(error)),
                Err(_all_ended) => return self.failure.take().map(Err),
            }
        }
    }
}
