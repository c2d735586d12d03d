//! A video past the detector: one thread decodes, a few detect (each with a session of its own), and what they found
//! comes out in the order of the frames.
//!
//! Queues between them are bounded, so a slow step slows the one before it: a video is never sped up by leaving frames
//! out. The decoder's thread decides which frames the detector sees (`core::schedule`); what tracking tells it for that comes
//! back by [`Nearness`].

use crate::nearness::Nearness;
use crossbeam_channel::{Receiver, Sender, bounded};
use pigweight_core::detection::Detection;
use pigweight_core::motion::SmallLuma;
use pigweight_core::schedule::{Decided, Moment, Position, Schedule, Scheduler, Why};
use pigweight_core::time::Pts;
use pigweight_detect::{Detector, Model};
use pigweight_media::{DecodedFrame, FrameReader, Picture, Video};
use std::collections::BTreeMap;
use std::time::Instant;

/// What pictures may take that wait to be looked back at.
const MOST_KEPT_BYTES: u64 = 64 << 20;
/// As many as half a second holds at the highest floor, and one to spare.
const MOST_KEPT: u64 = 6;

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
    /// Who says whether animals are near a line; `None`: there are no lines.
    pub nearness: Option<&'a Nearness>,
}

/// Where to begin: behind what was done before.
#[derive(Default)]
pub struct Begin {
    /// The last frame that was decoded.
    pub after_pts: Option<Pts>,
    /// Where the schedule stood behind it.
    pub position: Position,
}

/// A frame after its look, without its picture.
pub struct Looked<T> {
    pub pts: Pts,
    pub secs: f64,
    /// Parts of it were guessed by the decoder.
    pub is_damaged: bool,
    /// Why the detector looked, and what `see` made of it; `None` where it did not.
    pub seen: Option<(Why, T)>,
    /// Where the schedule stands behind it.
    pub position: Position,
}

/// A frame on its way from the decoder to the detector; without its picture where nobody will look at it.
struct Arrived {
    pts: Pts,
    secs: f64,
    is_damaged: bool,
    picture: Option<Picture>,
}

impl Arrived {
    fn new(frame: DecodedFrame) -> Self {
        let DecodedFrame { pts, secs, is_damaged, picture, .. } = frame;
        Self { pts, secs, is_damaged, picture: Some(picture) }
    }
}

struct Job {
    sequence: u64,
    decided: Decided<Arrived>,
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
        let see = &see;
        let info = self.video.info();
        let bytes = u64::from(info.width) * u64::from(info.height) * 3 / 2;
        let most_kept = (MOST_KEPT_BYTES / bytes.max(1)).clamp(1, MOST_KEPT) as usize;
        let scheduler = Scheduler::new(self.schedule, begin.position, most_kept);
        let nearness = self.nearness;
        std::thread::scope(|scope| {
            let (to_detect, jobs) = bounded::<Job>(depth);
            let (to_follow, results) = bounded::<Numbered<T>>(depth);
            let decode_results = to_follow.clone();
            scope.spawn(move || {
                let decoding = Decoding { reader, scheduler, nearness, sequence: 0 };
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
            // Frees whoever waits, however following ends; the threads end when their channels do.
            let _ending = nearness.map(Ending);
            let followed = follow(InOrder::new(&results));
            drop(results);
            Ok(followed)
        })
    }
}

struct Ending<'a>(&'a Nearness);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

struct Decoding<'a> {
    reader: FrameReader,
    scheduler: Scheduler<Arrived>,
    nearness: Option<&'a Nearness>,
    sequence: u64,
}

impl Decoding<'_> {
    fn run(mut self, watch: Watch<'_>, jobs: &Sender<Job>) -> pigweight_media::Result<()> {
        // One frame is held back, so that each is decided on in the knowledge of when the next one comes, or that none does.
        let mut held: Option<Arrived> = None;
        let mut failure = None;
        loop {
            let next = match self.reader.next_frame() {
                Ok(next) => next,
                // What came before it is whole.
                Err(error) => {
                    failure = Some(error);
                    None
                }
            };
            if let Some(next) = &next {
                watch(next);
            }
            let is_end = next.is_none();
            let next = next.map(Arrived::new);
            let next_secs = next.as_ref().map(|next| next.secs);
            if let Some(frame) = std::mem::replace(&mut held, next)
                && !self.decide(frame, next_secs, jobs)
            {
                return Ok(());
            }
            if is_end {
                break;
            }
        }
        let rest = self.scheduler.finish();
        self.send(rest, jobs);
        failure.map_or(Ok(()), Err)
    }

    /// `false` when nobody takes frames any more.
    fn decide(&mut self, frame: Arrived, next_secs: Option<f64>, jobs: &Sender<Job>) -> bool {
        let secs = frame.secs;
        let nearness = self.nearness;
        let luma = |frame: &Arrived| {
            frame.picture.as_ref().map_or_else(SmallLuma::default, |picture| SmallLuma::of(&picture.view()))
        };
        let decided = self.scheduler.push(
            frame,
            Moment { secs, next_secs },
            luma,
            || nearness.is_some_and(|nearness| nearness.was_near(secs)),
            |frame| frame.picture = None,
        );
        self.send(decided, jobs)
    }

    fn send(&mut self, decided: Vec<Decided<Arrived>>, jobs: &Sender<Job>) -> bool {
        decided.into_iter().all(|mut decided| {
            match (decided.why, self.nearness) {
                (Some(_), Some(nearness)) => nearness.will_tell(decided.item.secs),
                (Some(_), None) => {}
                (None, _) => decided.item.picture = None,
            }
            let job = Job { sequence: self.sequence, decided };
            self.sequence += 1;
            jobs.send(job).is_ok()
        })
    }
}

fn detect<T>(
    mut detector: Detector,
    see: &impl Fn(&Picture, Vec<Detection>) -> T,
    jobs: &Receiver<Job>,
    results: &Sender<Numbered<T>>,
) {
    for Job { sequence, decided } in jobs {
        let Decided { item: Arrived { pts, secs, is_damaged, picture }, why, position } = decided;
        let seen = match (why, picture) {
            (Some(why), Some(picture)) => {
                let started = Instant::now();
                let found = detector.detect(&picture.view());
                metrics::histogram!("pigweight_inference_seconds").record(started.elapsed().as_secs_f64());
                found.map(|found| Some((why, see(&picture, found))))
            }
            _ => Ok(None),
        };
        let looked = seen
            .map(|seen| (sequence, Looked { pts, secs, is_damaged, seen, position }))
            .map_err(Error::Detect);
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
