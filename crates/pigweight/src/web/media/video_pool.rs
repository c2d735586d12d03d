//! Videos that stay open between requests, with a limit on concurrent work.

use crate::sources::open_videos::OpenVideos;
use crate::web::media::fair_queue::{FairQueue, Place};
use crate::web::media::jpeg_cache::JpegCache;
use crate::web::request::client;
use crate::web::request::problem::Problem;
use pigweight_core::time::Pts;
use pigweight_media::hls::Streamer;
use pigweight_media::{DecodedFrame, FrameSeeker, Video};
use pigweight_store::VideoRecord;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Decoders that stay open for the next frame of the same video; one for 1080p takes about 60 MB.
const IDLE_SEEKERS: usize = 3;
/// Files that stay open for the next segment; one of 10 GB takes about 50 MB for its list of packets.
const IDLE_STREAMERS: usize = 3;
/// Bytes of full-size JPEGs: about 200 at 1080p.
const CACHED_BYTES: usize = 48 << 20;

/// See the module's head.
pub struct VideoPool {
    seekers: Arc<Idle<FrameSeeker>>,
    streamers: Arc<Idle<Streamer>>,
    queue: Arc<FairQueue>,
    /// Opens the videos.
    pub open_videos: OpenVideos,
    /// Full-size JPEGs, by their ETag.
    pub jpegs: JpegCache,
}

/// Open and unused, by video; if there are too many, the oldest is closed.
struct Idle<T> {
    most: usize,
    open: Mutex<Vec<(String, Instant, T)>>,
}

impl<T> Idle<T> {
    fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, open: Mutex::default() })
    }

    fn take(&self, id: &str) -> Option<T> {
        let mut open = lock(&self.open);
        open.iter().position(|(open, ..)| open == id).map(|place| open.remove(place).2)
    }

    fn put_back(&self, id: String, idle: T) {
        let mut open = lock(&self.open);
        let oldest = (open.len() >= self.most).then(|| open.remove(0));
        open.push((id, Instant::now(), idle));
        // Closing a file takes time: not while others wait for the lock.
        drop(open);
        drop(oldest);
    }

    fn release(&self, unused_for: Duration) {
        let mut open = lock(&self.open);
        let is_unused = |(_, since, _): &mut (String, Instant, T)| since.elapsed() >= unused_for;
        let unused: Vec<_> = open.extract_if(.., is_unused).collect();
        drop(open);
        drop(unused);
    }
}

/// Signals that the waiting future was dropped: the browser moved on to another frame.
struct WaitsNoMore(Arc<AtomicBool>);

impl Drop for WaitsNoMore {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Raises a gauge by one while it exists.
struct Counted(metrics::Gauge);

impl Counted {
    fn up(gauge: &'static str) -> Self {
        let gauge = metrics::gauge!(gauge);
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

impl VideoPool {
    /// At most `parallel` requests are processed at once; more wait.
    pub fn new(parallel: usize, open_videos: OpenVideos) -> Self {
        Self {
            seekers: Idle::new(IDLE_SEEKERS),
            streamers: Idle::new(IDLE_STREAMERS),
            queue: FairQueue::new(parallel),
            open_videos,
            jpegs: JpegCache::new(CACHED_BYTES),
        }
    }

    /// Closes what has been unused for this long: each holds a process and its memory.
    pub fn release(&self, unused_for: Duration) {
        self.seekers.release(unused_for);
        self.streamers.release(unused_for);
    }

    /// The whole video.
    pub async fn video(&self, record: &VideoRecord) -> Result<Video, Problem> {
        self.video_with(record, |_| false).await
    }

    /// The video as soon as `is_enough` of it is known, without waiting for the rest of its index.
    pub async fn video_with(
        &self,
        record: &VideoRecord,
        is_enough: impl Fn(&Video) -> bool,
    ) -> Result<Video, Problem> {
        match &record.error {
            Some(error) => Err(Problem::unreadable(error.clone())),
            None => Ok(self.open_videos.when(record, is_enough).await?),
        }
    }

    /// Decodes a frame and calls `then` with it, on the same thread. If the caller stops waiting, decoding stops too.
    pub async fn with_frame<T: Send + 'static>(
        &self,
        id: &str,
        video: &Video,
        pts: Pts,
        then: impl FnOnce(DecodedFrame) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = self.permit().await?;
        let cancelled = Arc::new(AtomicBool::new(false));
        let _waits = WaitsNoMore(cancelled.clone());
        let (idle, id, video) = (self.seekers.clone(), id.to_owned(), video.clone());
        blocking(move || {
            // Until the work ends, which may be later than the caller's wait for it.
            let _permit = permit;
            let started = Instant::now();
            // A decoder that was opened with a shorter partial index can't find frames read since.
            let fits = |open: &FrameSeeker| open.video().index().frame_count() == video.index().frame_count();
            let mut seeker = match idle.take(&id).filter(fits) {
                Some(seeker) => seeker,
                None => FrameSeeker::open(&video)?,
            };
            let frame = seeker.frame_unless(pts, &|| cancelled.load(Ordering::Relaxed));
            let sought = seeker.sought().unwrap_or_default();
            let was_cancelled = matches!(&frame, Err(pigweight_media::Error::Cancelled));
            if frame.is_ok() || was_cancelled {
                idle.put_back(id, seeker);
            }
            if was_cancelled {
                metrics::counter!("pigweight_frames_cancelled_total").increment(1);
            }
            let frame = frame?;
            metrics::histogram!("pigweight_frame_seek_seconds").record(sought.as_secs_f64());
            let decoding = started.elapsed().saturating_sub(sought);
            metrics::histogram!("pigweight_frame_decode_seconds").record(decoding.as_secs_f64());
            Ok(then(frame))
        })
        .await?
    }

    /// Makes a segment of a stream.
    pub async fn stream(
        &self,
        id: &str,
        video: &Video,
        piece: impl FnOnce(&mut Streamer) -> pigweight_media::Result<Vec<u8>> + Send + 'static,
    ) -> Result<pigweight_media::Result<Vec<u8>>, Problem> {
        let (idle, id, video) = (self.streamers.clone(), id.to_owned(), video.clone());
        self.work(move || {
            let mut streamer = match idle.take(&id) {
                Some(streamer) => streamer,
                None => Streamer::open(&video)?,
            };
            let bytes = piece(&mut streamer);
            // A missing segment says nothing about the file.
            if matches!(&bytes, Ok(_) | Err(pigweight_media::Error::OutsideVideo { .. })) {
                idle.put_back(id, streamer);
            }
            bytes
        })
        .await
    }

    /// Work on a video's file, under the same limit as decoding.
    pub async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = self.permit().await?;
        blocking(move || {
            let _permit = permit;
            work()
        })
        .await
    }

    /// A permit to work; reports how many wait for it, and for how long.
    async fn permit(&self) -> Result<Place, Problem> {
        let (started, waiting) = (Instant::now(), Counted::up("pigweight_frames_waiting"));
        let permit = self.queue.enter(client::current()).await.map_err(|_full| {
            metrics::counter!("pigweight_frames_refused_total").increment(1);
            Problem::unavailable(
                "too many requests for pictures are waiting; ask for fewer at once, or try again later",
            )
        })?;
        drop(waiting);
        metrics::histogram!("pigweight_frame_wait_seconds").record(started.elapsed().as_secs_f64());
        Ok(permit)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change of these lists is a single push or remove, so a panicking holder leaves them consistent.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(Problem::internal)
}
