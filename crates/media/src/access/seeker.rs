//! Seeks exact single frames.

use crate::decode::frame::DecodedFrame;
use crate::decode::local_seeker::LocalSeeker;
use crate::error::{Error, Result};
use crate::file::video::Video;
use crate::isolate::{Location, PersistentWorker, Request, Response, Worker, Workers};
use pigweight_core::time::Pts;
use std::time::Duration;

/// Serves single frames of one video, one at a time.
pub struct FrameSeeker {
    video: Video,
    place: Location<LocalSeeker, PersistentWorker>,
    sought: Option<Duration>,
}

impl FrameSeeker {
    /// Opens the file; nothing is decoded yet.
    pub fn open(video: &Video) -> Result<Self> {
        let place = match Workers::of(video) {
            None => Location::InProcess(Box::new(LocalSeeker::open(video)?)),
            Some(workers) => Location::Worker(Box::new(workers.start_persistent(video)?)),
        };
        Ok(Self { video: video.clone(), place, sought: None })
    }

    /// Time of the last frame's seek to its keyframe; `None` if decoding just continued.
    pub fn sought(&self) -> Option<Duration> {
        self.sought
    }

    /// The video it serves.
    pub fn video(&self) -> &Video {
        &self.video
    }

    /// The frame named `pts`. If its bytes are damaged and it can't be decoded, the one before it is served:
    /// the result's own `pts` says which.
    ///
    /// # Errors
    /// [`Error::OutsideVideo`] if no frame has this pts; [`Error::NoFrames`] if nothing could be decoded.
    pub fn frame(&mut self, pts: Pts) -> Result<DecodedFrame> {
        self.frame_unless(pts, &|| false)
    }

    /// Read-ahead: decodes the frames after the last one until something else `is_wanted`. A worker process does so by
    /// itself while it is idle.
    pub fn decode_ahead(&mut self, is_wanted: &dyn Fn() -> bool) {
        if let Location::InProcess(seeker) = &mut self.place {
            seeker.decode_ahead(is_wanted);
        }
    }

    /// As [`Self::frame`], but checks before each packet whether the caller still waits.
    ///
    /// # Errors
    /// Also [`Error::Cancelled`] if it doesn't; the seeker stays usable.
    pub fn frame_unless(&mut self, pts: Pts, is_cancelled: &dyn Fn() -> bool) -> Result<DecodedFrame> {
        match &mut self.place {
            Location::InProcess(seeker) => {
                let frame = seeker.frame_unless(pts, is_cancelled);
                self.sought = seeker.sought();
                frame
            }
            Location::Worker(_) if is_cancelled() => Err(Error::Cancelled),
            Location::Worker(held) => {
                let video = &self.video;
                let (frame, sought) = held.with(|worker| Self::found_by(worker, video, pts, is_cancelled))?;
                self.sought = sought;
                Ok(frame)
            }
        }
    }

    fn found_by(
        worker: &mut Worker,
        video: &Video,
        pts: Pts,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<(DecodedFrame, Option<Duration>)> {
        worker.send(&Request::Frame { pts }, &[])?;
        match worker.receive_unless(is_cancelled)? {
            Response::Frame(head) => Ok((worker.frame(&head, video)?, head.sought)),
            _ => Err(worker.protocol_error()),
        }
    }
}
