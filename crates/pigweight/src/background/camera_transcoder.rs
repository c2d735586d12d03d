//! Transcodes a camera for browsers, while there are viewers: what no browser receives by WebRTC (H.265, B-frames, JPEG), and for browsers without H.264.
//!
//! One thread and one worker process a camera, however many look. Where that is slower than the camera, frames are left out: what is shown is never late.

use crate::analysis::camera_source::{TIME_BASE, stream_codec};
use pigweight_core::time::Pts;
use pigweight_live::{AccessUnit, Codec, Publisher, Received, Subscriber, Subscription};
use pigweight_media::isolate::Workers;
use pigweight_media::{Error, StreamTranscoder};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::runtime::Handle;

/// A frame that waited longer than this is decoded and not shown.
const MOST_LATE_MS: i64 = 300;
/// How often it is looked whether somebody still looks, while the camera sends nothing.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// A camera that is transcoded when somebody wants it.
#[derive(Clone, Default)]
pub struct CameraTranscoder {
    /// What runs; the thread takes it out when nobody looks any more.
    running: Arc<Mutex<Weak<Publisher>>>,
}

impl CameraTranscoder {
    fn lock(&self) -> MutexGuard<'_, Weak<Publisher>> {
        // Only ever replaced as a whole.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For viewers: VP8, with the camera's times. Starts the thread if it doesn't run; it ends when the last subscriber is gone, or the camera.
    ///
    /// # Errors
    /// If the system has no more threads.
    pub fn subscriber(
        &self,
        name: &str,
        camera: &Subscriber,
        workers: Option<Workers>,
        runtime: &Handle,
    ) -> std::io::Result<Subscriber> {
        let mut running = self.lock();
        if let Some(publisher) = running.upgrade() {
            return Ok(publisher.subscriber());
        }
        let publisher = Arc::new(Publisher::new());
        let subscriber = publisher.subscriber();
        let work = Work {
            name: name.to_owned(),
            all: self.clone(),
            publisher: publisher.clone(),
            subscription: camera.subscribe(),
            workers,
            transcoder: None,
            epoch: None,
            waits_for_keyframe: true,
        };
        let runtime = runtime.clone();
        std::thread::Builder::new().name("transcoder".into()).spawn(move || work.run(&runtime))?;
        *running = Arc::downgrade(&publisher);
        Ok(subscriber)
    }
}

struct Work {
    name: String,
    all: CameraTranscoder,
    publisher: Arc<Publisher>,
    subscription: Subscription,
    workers: Option<Workers>,
    transcoder: Option<(Codec, StreamTranscoder)>,
    epoch: Option<u32>,
    waits_for_keyframe: bool,
}

impl Work {
    fn run(mut self, runtime: &Handle) {
        metrics::gauge!("pigweight_transcoded_cameras").increment(1);
        loop {
            let subscription = &mut self.subscription;
            let received =
                runtime.block_on(async { tokio::time::timeout(LOOK_INTERVAL, subscription.next()).await });
            match received {
                Ok(Received::Unit(unit)) => self.take(&unit),
                Ok(Received::Lost(_)) => self.waits_for_keyframe = true,
                Ok(Received::End) => break,
                Err(_silent) => {}
            }
            // Under the lock: who comes now gets this one, or starts another.
            let mut running = self.all.lock();
            if !self.publisher.has_subscribers() {
                *running = Weak::new();
                break;
            }
        }
        metrics::gauge!("pigweight_transcoded_cameras").decrement(1);
    }

    fn take(&mut self, unit: &AccessUnit) {
        if self.epoch.replace(unit.epoch) != Some(unit.epoch) || unit.lost_packets > 0 {
            self.waits_for_keyframe = true;
        }
        if self.waits_for_keyframe && !unit.is_keyframe {
            return;
        }
        let late_ms = jiff::Timestamp::now().as_millisecond() - unit.arrived_unix_ms;
        match self.transcode(unit, late_ms <= MOST_LATE_MS) {
            Ok(frames) => {
                self.waits_for_keyframe = false;
                for frame in frames {
                    self.publisher.send(AccessUnit {
                        data: frame.data.into(),
                        codec: Codec::Vp8,
                        sample_entry: None,
                        time_ticks: frame.pts.0,
                        arrived_unix_ms: unit.arrived_unix_ms,
                        is_keyframe: frame.is_keyframe,
                        is_disposable: false,
                        epoch: unit.epoch,
                        follows_gap: unit.follows_gap,
                        lost_packets: 0,
                    });
                }
            }
            Err(error) => {
                // Its words would be those for a file.
                match &error {
                    Error::WorkerEnded { reason, .. } => tracing::warn!(
                        camera = self.name,
                        "the process that transcodes it ended ({reason}); another begins at the next keyframe"
                    ),
                    other => tracing::warn!(camera = self.name, "it isn't transcoded for browsers: {other}"),
                }
                self.transcoder = None;
                self.waits_for_keyframe = true;
            }
        }
    }

    fn transcode(
        &mut self,
        unit: &AccessUnit,
        encodes: bool,
    ) -> Result<Vec<pigweight_media::TranscodedFrame>, Error> {
        let transcoder = match &mut self.transcoder {
            Some((codec, transcoder)) if *codec == unit.codec => {
                if self.waits_for_keyframe {
                    transcoder.reset()?;
                }
                transcoder
            }
            other => {
                let codec = stream_codec(unit.codec).ok_or(Error::Cancelled)?;
                let opened = StreamTranscoder::open(self.workers.as_ref(), &self.name, codec, TIME_BASE)?;
                &mut other.insert((unit.codec, opened)).1
            }
        };
        transcoder.transcode(&unit.data, Pts(unit.time_ticks), encodes)
    }
}
