//! A camera as a frame source: decodes its access units as they come.

use crate::analysis::frame_source::{FrameSource, Next, Pressure};
use pigweight_core::time::{Pts, TimeBase, Timeline};
use pigweight_live::access_unit::CLOCK_RATE_HZ;
use pigweight_live::{AccessUnit, Codec, Received, Subscription};
use pigweight_media::isolate::Workers;
use pigweight_media::{DecodedFrame, Error, StreamCodec, StreamDecoder};
use std::collections::VecDeque;

/// Ticks of a camera's line.
pub const TIME_BASE: TimeBase = match TimeBase::new(1, CLOCK_RATE_HZ) {
    Some(time_base) => time_base,
    None => unreachable!(),
};

/// Assumed until a camera has said its size: 1080p, 8 bits, 4:2:0.
const USUAL_PICTURE_BYTES: u64 = 1920 * 1080 * 3 / 2;

/// A connected camera.
pub struct CameraSource {
    subscription: Subscription,
    workers: Option<Workers>,
    /// For messages.
    name: String,
    /// Seconds since 1970 at second 0 of the line.
    started_at: i64,
    decoder: Option<StreamDecoder>,
    ready: VecDeque<Next>,
    /// Only a keyframe can follow.
    waits_for_keyframe: bool,
    /// The next frame follows a gap.
    follows_gap: bool,
    epoch: u32,
    last_pts: Option<Pts>,
    picture_bytes: u64,
    /// Width and height of its frames, px.
    size: Option<(u32, u32)>,
}

impl CameraSource {
    /// Decodes what the subscription receives; with `workers`, in a confined process.
    pub fn new(
        subscription: Subscription,
        workers: Option<Workers>,
        name: String,
        started_at: i64,
        size: Option<(u32, u32)>,
    ) -> Self {
        let picture_bytes = size.map(|(width, height)| u64::from(width) * u64::from(height) * 3 / 2);
        Self {
            subscription,
            workers,
            name,
            started_at,
            decoder: None,
            ready: VecDeque::new(),
            waits_for_keyframe: true,
            follows_gap: false,
            epoch: 0,
            last_pts: None,
            picture_bytes: picture_bytes.unwrap_or(USUAL_PICTURE_BYTES),
            size: None,
        }
    }

    fn receive(&mut self, unit: &AccessUnit) {
        if unit.epoch != self.epoch {
            self.epoch = unit.epoch;
            self.lose();
        }
        self.follows_gap |= unit.follows_gap && self.last_pts.is_some();
        if self.waits_for_keyframe && !unit.is_keyframe {
            return;
        }
        match self.decode(unit) {
            Ok(frames) => {
                self.waits_for_keyframe = false;
                for frame in frames {
                    self.deliver(frame);
                }
            }
            Err(error) => {
                // Another process begins at the next keyframe.
                tracing::warn!("{}: {error}", self.name);
                self.decoder = None;
                self.lose();
            }
        }
    }

    fn decode(&mut self, unit: &AccessUnit) -> Result<Vec<DecodedFrame>, Error> {
        let codec = match unit.codec {
            Codec::H264 => StreamCodec::H264,
            Codec::H265 => StreamCodec::H265,
        };
        let is_same = self.decoder.as_ref().is_some_and(|decoder| decoder.codec() == codec);
        let decoder = match &mut self.decoder {
            Some(decoder) if is_same => {
                if self.waits_for_keyframe {
                    decoder.reset()?;
                }
                decoder
            }
            decoder => decoder.insert(StreamDecoder::open(self.workers.as_ref(), &self.name, codec, TIME_BASE)?),
        };
        decoder.decode(&unit.data, Pts(unit.time_ticks))
    }

    fn deliver(&mut self, frame: DecodedFrame) {
        // A frame that the line has passed: of before a restart, or out of order.
        if self.last_pts.is_some_and(|last| frame.pts <= last) {
            return;
        }
        let size = (frame.picture.width(), frame.picture.height());
        if *self.size.get_or_insert(size) != size {
            // Boxes and lines are in px of one size: the analysis begins anew with the other.
            let reason = format!("its picture is {}×{} px now", size.0, size.1);
            self.ready.push_back(Next::Away(Error::Unreadable { path: self.name.clone().into(), reason }));
            return;
        }
        if std::mem::take(&mut self.follows_gap) {
            self.ready.push_back(Next::Gap);
        }
        self.last_pts = Some(frame.pts);
        self.ready.push_back(Next::Frame(frame));
    }

    /// What comes next doesn't follow what was before.
    fn lose(&mut self) {
        self.waits_for_keyframe = true;
        self.follows_gap = self.last_pts.is_some();
    }
}

impl FrameSource for CameraSource {
    fn timeline(&self) -> Timeline {
        Timeline { time_base: TIME_BASE, first_pts: Pts(0), started_at: Some(self.started_at) }
    }

    fn pressure(&self) -> Pressure {
        Pressure::KeepNewest
    }

    fn picture_bytes(&self) -> u64 {
        self.picture_bytes
    }

    fn start_after(&mut self, pts: Option<Pts>) -> Result<(), Error> {
        self.last_pts = pts;
        self.follows_gap = pts.is_some();
        Ok(())
    }

    fn next(&mut self) -> Result<Next, Error> {
        loop {
            if let Some(next) = self.ready.pop_front() {
                return Ok(next);
            }
            match self.subscription.blocking_next() {
                Received::Unit(unit) => self.receive(&unit),
                Received::Lost(units) => {
                    tracing::info!(camera = self.name, units, "passed over: decoding is slower than the camera");
                    metrics::counter!("pigweight_camera_units_lost_total").increment(units);
                    self.lose();
                }
                // It was stopped; its run goes on when it is started again.
                Received::End => return Ok(Next::Away(Error::Cancelled)),
            }
        }
    }
}
