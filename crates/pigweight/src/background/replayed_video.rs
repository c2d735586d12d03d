//! A video of this server, replayed as a camera: for trying cameras out, and for counting a recording as a camera would have counted it.
//!
//! Its frames are decoded in a worker process, whatever the container and the codec, and each becomes a JPEG picture: so one way serves all videos, and
//! frames come in the order in which they are shown. They come at the video's own intervals, divided by the speed; the camera's timeline runs with
//! the clock, so at twice the speed everything happens in half the time. A machine that decodes more slowly than that plays more slowly.

use crate::sources::open_videos::OpenVideos;
use pigweight_live::access_unit::CLOCK_RATE_HZ;
use pigweight_live::replay::Replay;
use pigweight_live::session::{BoxFuture, Connector, Session, SessionUnit};
use pigweight_live::{Codec, Failure, StreamFormat};
use pigweight_media::{FrameReader, Video, jpeg};
use pigweight_store::Store;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, sleep_until};

/// Nearly what the video has: the count must be the video's.
const JPEG_QUALITY: u8 = 95;
/// Pictures that wait for their time.
const MOST_WAITING: usize = 2;
/// Longer intervals between two frames, as in time-lapse videos, are shortened: a camera that is silent for longer has stalled.
const MOST_PAUSE_SECS: f64 = 3.0;
/// A picture that is late by more shifts all that follow, instead of being caught up with.
const MOST_LATE_SECS: f64 = 0.5;

/// Plays one video to everyone who connects.
pub struct ReplayConnector {
    store: Store,
    open_videos: OpenVideos,
    replay: Replay,
    has_ended: Arc<AtomicBool>,
}

impl ReplayConnector {
    /// Opens nothing yet.
    pub fn new(store: Store, open_videos: OpenVideos, replay: Replay) -> Self {
        Self { store, open_videos, replay, has_ended: Arc::default() }
    }

    async fn video(&self) -> Result<Video, Failure> {
        let id = &self.replay.video;
        let refused = |reason: String| Failure::NoSuchVideo { video: id.clone(), reason };
        let record = self.store.video(id).await.map_err(|error| refused(error.to_string()))?;
        if record.is_of_camera {
            return Err(refused("it is what a camera sends, and has no file".to_owned()));
        }
        if !record.is_present {
            return Err(refused("its file isn't there any more".to_owned()));
        }
        self.open_videos.when(&record, |_| false).await.map_err(|error| refused(error.to_string()))
    }
}

impl Connector for ReplayConnector {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Session>, Failure>> {
        Box::pin(async {
            if self.replay.is_once && self.has_ended.load(Ordering::SeqCst) {
                return Err(Failure::Played);
            }
            let video = self.video().await?;
            let (sender, pictures) = mpsc::channel(MOST_WAITING);
            // It ends at the next picture after the session was dropped; the runtime waits for it when it ends.
            tokio::task::spawn_blocking(move || send_pictures(&video, &sender));
            Ok(Box::new(ReplaySession {
                pictures,
                pace: Pace::new(self.replay.speed),
                started: None,
                size: None,
                at_end: self.replay.is_once.then(|| self.has_ended.clone()),
            }) as Box<dyn Session>)
        })
    }

    fn host(&self) -> String {
        format!("replay:{}", self.replay.video)
    }
}

/// A frame of the video.
struct Picture {
    jpeg: Vec<u8>,
    secs: f64,
    size: (u32, u32),
}

/// Blocks until the video or the session ends. Nothing is sent after the last picture: the channel closes.
fn send_pictures(video: &Video, to: &mpsc::Sender<Result<Picture, Failure>>) {
    let failed = |error: pigweight_media::Error| Failure::Ended { reason: error.to_string() };
    let mut reader = match FrameReader::open(video) {
        Ok(reader) => reader,
        Err(error) => {
            // The session may be over already.
            let _unheard = to.blocking_send(Err(failed(error)));
            return;
        }
    };
    loop {
        let picture = match reader.next_frame() {
            Ok(None) => return,
            Ok(Some(frame)) if frame.is_damaged => continue,
            Ok(Some(frame)) => jpeg::encode(frame.picture.view(), JPEG_QUALITY, &[], 1.0).map(|jpeg| {
                Picture { jpeg, secs: frame.secs, size: (frame.picture.width(), frame.picture.height()) }
            }),
            Err(error) => Err(error),
        };
        let is_last = picture.is_err();
        if to.blocking_send(picture.map_err(failed)).is_err() || is_last {
            return;
        }
    }
}

struct ReplaySession {
    pictures: mpsc::Receiver<Result<Picture, Failure>>,
    pace: Pace,
    /// With the first picture.
    started: Option<Instant>,
    size: Option<(u32, u32)>,
    /// Set when it was played to its end, if that is for good.
    at_end: Option<Arc<AtomicBool>>,
}

impl Session for ReplaySession {
    fn format(&self) -> StreamFormat {
        StreamFormat { codec: Codec::Mjpeg, size: self.size, frames_per_sec: None }
    }

    fn next(&mut self) -> BoxFuture<'_, Result<SessionUnit, Failure>> {
        Box::pin(async {
            let Some(picture) = self.pictures.recv().await.transpose()? else {
                if let Some(at_end) = &self.at_end {
                    at_end.store(true, Ordering::SeqCst);
                    return Err(Failure::Played);
                }
                return Err(Failure::Ended { reason: "the video is at its end and begins anew".to_owned() });
            };
            let started = *self.started.get_or_insert_with(Instant::now);
            let due = self.pace.due(picture.secs, started.elapsed().as_secs_f64());
            sleep_until(started + Duration::from_secs_f64(due)).await;
            self.size = Some(picture.size);
            Ok(SessionUnit {
                data: picture.jpeg.into(),
                session_ticks: (due * f64::from(CLOCK_RATE_HZ)).round() as i64,
                is_keyframe: true,
                is_disposable: false,
                lost_packets: 0,
            })
        })
    }
}

/// When a frame of the video is shown. Reads no clock.
struct Pace {
    speed: f64,
    /// Of the first frame, in the video.
    first_secs: Option<f64>,
    /// How much later than planned everything comes; negative: long intervals were shortened.
    shift_secs: f64,
    last_due_secs: f64,
}

impl Pace {
    fn new(speed: f64) -> Self {
        Self { speed, first_secs: None, shift_secs: 0.0, last_due_secs: 0.0 }
    }

    /// Seconds since the start for a frame at `secs` of the video, if so much time has passed now. Grows from frame to frame.
    fn due(&mut self, secs: f64, elapsed_secs: f64) -> f64 {
        let Some(first) = self.first_secs else {
            self.first_secs = Some(secs);
            return 0.0;
        };
        let planned = (secs - first) / self.speed + self.shift_secs;
        let paused = planned.min(self.last_due_secs + MOST_PAUSE_SECS);
        let due = if elapsed_secs - paused > MOST_LATE_SECS { elapsed_secs } else { paused };
        self.shift_secs += due - planned;
        self.last_due_secs = due.max(self.last_due_secs + 1.0 / f64::from(CLOCK_RATE_HZ));
        self.last_due_secs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_at_their_intervals_divided_by_the_speed() {
        let mut pace = Pace::new(2.0);
        let due: Vec<f64> = [10.0, 10.5, 12.0].iter().map(|&secs| pace.due(secs, 0.0)).collect();
        assert_eq!(due, [0.0, 0.25, 1.0]);
    }

    #[test]
    fn long_intervals_are_shortened_and_delays_are_not_caught_up_with() {
        let mut pace = Pace::new(1.0);
        assert_eq!(pace.due(0.0, 0.0), 0.0);
        assert_eq!(pace.due(60.0, 0.0), 3.0, "a time-lapse video");
        assert_eq!(pace.due(60.5, 3.0), 3.5);
        assert_eq!(pace.due(61.0, 6.0), 6.0, "the machine was busy for two seconds");
        assert_eq!(pace.due(61.5, 6.1), 6.5);
        assert!(pace.due(61.5, 6.1) > 6.5, "no two frames at once");
    }
}
