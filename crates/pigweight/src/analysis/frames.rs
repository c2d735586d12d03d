//! A video past the detector: one thread decodes, the sessions that all share detect, and what they found
//! comes out in the order of the frames.
//!
//! Queues between them are bounded, so a slow step slows the one before it: a video is never sped up by leaving frames
//! out. The decoder's thread decides which frames the detector sees (`core::schedule`); what tracking tells it for that comes
//! back by [`Nearness`].

use crate::analysis::line_proximity::Nearness;
use crossbeam_channel::{Receiver, Sender, bounded};
use pigweight_core::detection::Detection;
use pigweight_core::motion::SmallLuma;
use pigweight_core::schedule::{Decided, Moment, Position, Schedule, Scheduler, Why};
use pigweight_core::time::Pts;
use pigweight_detect::Device;
use pigweight_detect::service::{Client, Inference, Served, Urgency};
use pigweight_media::{DecodedFrame, FrameReader, Picture, Video};
use std::path::Path;
use std::sync::Arc;

/// What pictures may take that wait to be looked back at.
const MOST_KEPT_BYTES: u64 = 64 << 20;
/// What pictures may take that wait for a device which looks at many at once.
const MOST_WAITING_BYTES: u64 = 64 << 20;
/// Frames, without pictures, whose turn has not come: enough for every session to have work at one look a second.
const MOST_ON_THEIR_WAY: usize = 512;
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
    /// What an earlier run kept could not be read.
    #[error("{0}")]
    Kept(pigweight_store::Error),
    /// All threads that look have come to a bad end.
    #[error("nobody looks at pictures any more; start the program again, and report what its log says")]
    NobodyLooks,
}

/// What is looked at, and how.
pub struct Looking<'a> {
    /// Opened.
    pub video: &'a Video,
    /// Who looks.
    pub inference: &'a Inference,
    /// Which frames are looked at.
    pub schedule: Schedule,
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
    /// What looked.
    pub device: Option<Device>,
    /// Where the schedule stands behind it.
    pub position: Position,
}

/// A decoded frame; without its picture where nobody will look at it.
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

/// A frame on its way to whoever follows: without a picture, so that many may wait.
struct OnItsWay<T> {
    pts: Pts,
    secs: f64,
    is_damaged: bool,
    /// Why the detector looks, and where its result comes.
    look: Option<(Why, Receiver<Seen<T>>)>,
    position: Position,
}

/// What was made of a picture, and what looked.
type Seen<T> = Result<(T, Option<Device>), Error>;
type Sent<T> = Result<OnItsWay<T>, Error>;

/// Sees every frame as it is decoded, on the decoder's thread.
pub type Watch<'a> = &'a mut (dyn FnMut(&DecodedFrame) + Send);

impl Looking<'_> {
    /// Shows the frames to the detector, and gives `follow` what `see` makes of each picture and its detections, in order.
    /// When `follow` returns, the work ends.
    ///
    /// # Errors
    /// Where the video does not open; later errors come out of the iterator.
    pub fn through<T: Send + 'static, R>(
        &self,
        begin: Begin,
        see: impl Fn(&Picture, Vec<Detection>) -> T + Send + Sync + 'static,
        follow: impl FnOnce(InOrder<T>) -> R,
    ) -> Result<R, Error> {
        self.through_watched(begin, &mut |_| {}, see, follow)
    }

    /// The same; `watch` sees each frame before the detector does.
    ///
    /// # Errors
    /// As [`Self::through`].
    pub fn through_watched<T: Send + 'static, R>(
        &self,
        begin: Begin,
        watch: Watch<'_>,
        see: impl Fn(&Picture, Vec<Detection>) -> T + Send + Sync + 'static,
        follow: impl FnOnce(InOrder<T>) -> R,
    ) -> Result<R, Error> {
        let reader = match begin.after_pts {
            Some(pts) => FrameReader::open_after(self.video, pts)?,
            None => FrameReader::open(self.video)?,
        };
        let info = self.video.info();
        let bytes = u64::from(info.width) * u64::from(info.height) * 3 / 2;
        let most_kept = (MOST_KEPT_BYTES / bytes.max(1)).clamp(1, MOST_KEPT) as usize;
        let scheduler = Scheduler::new(self.schedule, begin.position, most_kept);
        let client = self.inference.client(Urgency::Background, self.depth(bytes));
        let nearness = self.nearness;
        let (client, path) = (&client, self.video.path());
        std::thread::scope(|scope| {
            let (to_follow, frames) = bounded::<Sent<T>>(MOST_ON_THEIR_WAY);
            scope.spawn(move || {
                let failed = to_follow.clone();
                let decoding =
                    Decoding { path, reader, scheduler, nearness, client, see: Arc::new(see), to_follow };
                if let Err(error) = decoding.run(watch) {
                    // Nobody listens any more when following has stopped for a reason of its own.
                    let _stopped = failed.send(Err(error.into()));
                }
            });
            // Frees whoever waits, however following ends; the thread ends when its channel does.
            let _ending = Ending { nearness, client };
            Ok(follow(InOrder { frames }))
        })
    }
}

impl Looking<'_> {
    /// Pictures that wait to be looked at, of `bytes` each: those that others are looked at together with, within what may be taken for them.
    fn depth(&self, bytes: u64) -> usize {
        let room = (MOST_WAITING_BYTES / bytes.max(1)) as usize;
        let least =
            2 * self.inference.sessions().min(std::thread::available_parallelism().map_or(1, usize::from));
        self.inference.usual_depth().min(room.max(least))
    }
}

struct Ending<'a> {
    nearness: Option<&'a Nearness>,
    client: &'a Client,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.client.give_up();
        if let Some(nearness) = self.nearness {
            nearness.end();
        }
    }
}

struct Decoding<'a, T, S> {
    path: &'a Path,
    reader: FrameReader,
    scheduler: Scheduler<Arrived>,
    nearness: Option<&'a Nearness>,
    client: &'a Client,
    see: Arc<S>,
    to_follow: Sender<Sent<T>>,
}

impl<T: Send + 'static, S: Fn(&Picture, Vec<Detection>) -> T + Send + Sync + 'static> Decoding<'_, T, S> {
    fn run(mut self, watch: Watch<'_>) -> pigweight_media::Result<()> {
        // One frame is held back, so that each is decided on in the knowledge of when the next one comes, or that none does.
        let mut held: Option<Arrived> = None;
        let mut failure = None;
        loop {
            let next = match self.reader.next_frame() {
                Ok(next) => next,
                // That is no end of the video: it is read on from here another time, and what has not been decided yet is then.
                Err(error) if error.is_of_worker() || !self.path.exists() => return Err(error),
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
                && !self.decide(frame, next_secs)
            {
                return Ok(());
            }
            if is_end {
                break;
            }
        }
        let rest = self.scheduler.finish();
        self.send(rest);
        failure.map_or(Ok(()), Err)
    }

    /// `false` when nobody takes frames any more.
    fn decide(&mut self, frame: Arrived, next_secs: Option<f64>) -> bool {
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
        self.send(decided)
    }

    fn send(&self, decided: Vec<Decided<Arrived>>) -> bool {
        decided.into_iter().all(|decided| {
            let Decided { item: Arrived { pts, secs, is_damaged, picture }, why, position } = decided;
            let look = match (why, picture) {
                (Some(why), Some(picture)) => {
                    if let Some(nearness) = self.nearness {
                        nearness.will_tell(secs);
                    }
                    Some((why, self.look_at(picture)))
                }
                _ => None,
            };
            self.to_follow.send(Ok(OnItsWay { pts, secs, is_damaged, look, position })).is_ok()
        })
    }

    /// Where nobody looks any more, nothing comes.
    fn look_at(&self, picture: Picture) -> Receiver<Seen<T>> {
        let (told, result) = bounded(1);
        let see = self.see.clone();
        self.client.ask(picture, move |served: Served<Picture>| {
            let Served { picture, found, device, at_once, waited, took } = served;
            metrics::histogram!("pigweight_inference_seconds").record(took.as_secs_f64());
            metrics::histogram!("pigweight_inference_pictures").record(at_once as f64);
            metrics::histogram!("pigweight_inference_wait_seconds", "for" => Urgency::Background.name())
                .record(waited.as_secs_f64());
            // Whoever followed may have stopped.
            let _stopped =
                told.send(found.map(|found| (see(&picture, found), device)).map_err(Error::Detect));
        });
        result
    }
}

/// Frames in their order. Ends with the first error, behind the frames before it.
pub struct InOrder<T> {
    frames: Receiver<Sent<T>>,
}

impl<T> Iterator for InOrder<T> {
    type Item = Result<Looked<T>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let frame = match self.frames.recv().ok()? {
            Ok(frame) => frame,
            Err(error) => return Some(Err(error)),
        };
        let OnItsWay { pts, secs, is_damaged, look, position } = frame;
        let (seen, device) = match look {
            None => (None, None),
            Some((why, result)) => match result.recv().unwrap_or(Err(Error::NobodyLooks)) {
                Ok((seen, device)) => (Some((why, seen)), device),
                Err(error) => return Some(Err(error)),
            },
        };
        Some(Ok(Looked { pts, secs, is_damaged, seen, device, position }))
    }
}
