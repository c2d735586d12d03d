//! Seeking in a file that this process has open.
//!
//! target pts → its packet → the keyframe it decodes from → seek there, checked against the index → decode on,
//! leaving out pictures nobody refers to, until the target comes out. A target further on in the GOP where the
//! decoder already stands is reached by going on. A keyframe that was sought comes out as soon as the decoder is told that
//! nothing follows: the packets behind it need not be decoded for it. If no seek of the container lands right, the file is read
//! from its start: slower, and still the right frame.
//!
//! While nothing else is wanted the seeker goes ahead: the frames behind the last one are decoded before they are asked for.

use crate::decode::frame::DecodedFrame;
use crate::decode::frame_window::Window;
use crate::decode::local_reader::{MOST_ERRORS_AT_END, PacketSource, open_stream, shown_pts};
use crate::decode::picture::Picture;
use crate::error::{Error, Result};
use crate::file::video::Video;
use crate::libav::{Decoder, Frame, Packet, Received, Scaler, Skip};
use pigweight_core::time::Pts;
use std::time::{Duration, Instant};

/// How far ahead of the last frame the seeker goes.
const AHEAD_SECS: f64 = 1.0;

/// Serves single frames of one video, one at a time.
pub(crate) struct LocalSeeker {
    video: Video,
    source: PacketSource,
    decoder: Decoder,
    scaler: Scaler,
    /// The last frame that came out since the last seek.
    last_shown: Option<Pts>,
    /// The packet at which decoding began then.
    began_at: usize,
    /// The decoder has seen the end of the stream and must be reset before it takes more.
    is_drained: bool,
    /// How long the last frame's way to its keyframe took.
    sought: Option<Duration>,
    /// What has been decoded ahead, and what was asked for before.
    window: Window,
    /// The last frame that was given out, where the decoder goes on from it.
    ahead_of: Option<Pts>,
}

/// Somebody waits for the frame: two cores bring it sooner. Whole videos are read on one, since the others are kept busy by
/// inference, and more than two add as much delay as they take away.
fn threads() -> i32 {
    static THREADS: std::sync::OnceLock<i32> = std::sync::OnceLock::new();
    *THREADS.get_or_init(|| std::thread::available_parallelism().map_or(1, |cores| cores.get().min(2) as i32))
}

impl LocalSeeker {
    /// Opens the file; nothing is decoded yet.
    pub(crate) fn open(video: &Video) -> Result<Self> {
        let (source, decoder) = open_stream(video, threads())?;
        Ok(Self {
            video: video.clone(),
            source,
            decoder,
            scaler: Scaler::new(),
            last_shown: None,
            began_at: 0,
            is_drained: false,
            sought: None,
            window: Window::new(),
            ahead_of: None,
        })
    }

    /// How long the last frame's way to the keyframe that it decodes from took; `None` where decoding simply went on.
    pub(crate) fn sought(&self) -> Option<Duration> {
        self.sought
    }

    /// See [`crate::FrameSeeker::frame_unless`].
    pub(crate) fn frame_unless(&mut self, pts: Pts, is_given_up: &dyn Fn() -> bool) -> Result<DecodedFrame> {
        let index = self.video.index();
        let ordinal = index.ordinal_of(pts).ok_or_else(|| Error::OutsideVideo {
            secs: self.video.secs(pts),
            last_secs: self.video.secs(index.last_pts()),
        })?;
        let key = index.key_for(ordinal);
        self.ahead_of = None;
        if let Some(frame) = self.window.find(pts) {
            self.sought = None;
            self.ahead_of = Some(pts);
            if let Some(found) = self.finish(frame, pts) {
                return Ok(found);
            }
        }
        // The frame may be in the decoder already: packets come before their frames. One that has not come out yet was not
        // left out either, since only what is shown before an earlier target is.
        let can_go_on = !self.is_drained
            && self.last_shown.is_some_and(|last| last < pts)
            && self.began_at <= key
            && key <= self.source.next_ordinal();
        self.sought = None;
        if !can_go_on {
            let started = Instant::now();
            self.start_at(key)?;
            self.sought = Some(started.elapsed());
        }
        let mut found = self.decode_until(pts, ordinal, is_given_up)?;
        if found.is_none() && can_go_on {
            // It does not come out, and the one before it has been given out: it is decoded once more.
            self.start_at(key)?;
            found = self.decode_until(pts, ordinal, is_given_up)?;
        }
        match &found {
            Some(frame) if frame.pts == pts => self.ahead_of = Some(pts),
            _ => self.video.check_memory()?,
        }
        match found {
            Some(frame) => Ok(frame),
            // A container may hide the right start (a keyframe that is none): the whole way cannot miss.
            None if key > 0 => {
                self.restart()?;
                self.decode_until(pts, ordinal, is_given_up)?
                    .ok_or_else(|| Error::NoFrames { path: self.video.path().to_owned() })
            }
            None => Err(Error::NoFrames { path: self.video.path().to_owned() }),
        }
    }

    /// Decodes the frames behind the last one that was asked for, until something else `is_wanted` or there is no room for more.
    pub(crate) fn go_ahead(&mut self, is_wanted: &dyn Fn() -> bool) {
        let Some(from) = self.ahead_of.take() else { return };
        let end_secs = self.video.secs(from) + AHEAD_SECS;
        while self.last_shown.is_some_and(|last| self.video.secs(last) < end_secs) {
            if is_wanted() {
                self.ahead_of = Some(from);
                return;
            }
            match self.decoder.receive() {
                Ok(Received::Frame(frame, ordinal)) => {
                    let Some(pts) = shown_pts(&self.video, ordinal) else { continue };
                    self.last_shown = Some(pts);
                    if !self.window.keep(pts, &frame) {
                        return;
                    }
                }
                Ok(Received::NeedsPacket) if !self.is_drained && self.feed_next().is_ok() => {}
                // Whoever asks for what is damaged is told. A keyframe that came out because the decoder was told that nothing
                // follows is the end too.
                Ok(_) | Err(_) => return,
            }
        }
    }

    fn start_at(&mut self, key: usize) -> Result<()> {
        if key == 0 || !self.source.land_on(key) {
            return self.restart();
        }
        self.decoder.flush();
        self.window.clear();
        self.last_shown = None;
        self.began_at = self.source.next_ordinal();
        self.is_drained = false;
        Ok(())
    }

    fn restart(&mut self) -> Result<()> {
        (self.source, self.decoder) = open_stream(&self.video, threads())?;
        self.window.clear();
        self.last_shown = None;
        self.began_at = 0;
        self.is_drained = false;
        Ok(())
    }

    /// `None` when the target did not come out and no frame before it did either.
    fn decode_until(
        &mut self,
        target: Pts,
        target_ordinal: usize,
        is_given_up: &dyn Fn() -> bool,
    ) -> Result<Option<DecodedFrame>> {
        let mut before = None;
        let mut errors_at_end = 0;
        loop {
            if is_given_up() {
                // Pictures before the target were left out: a nearer one cannot be reached by going on.
                self.last_shown = None;
                return Err(Error::GivenUp);
            }
            match self.decoder.receive() {
                Ok(Received::Frame(frame, ordinal)) => {
                    let Some(pts) = shown_pts(&self.video, ordinal) else { continue };
                    self.last_shown = Some(pts);
                    match pts.cmp(&target) {
                        std::cmp::Ordering::Less => before = Some((frame, pts)),
                        std::cmp::Ordering::Equal => {
                            self.window.keep(pts, &frame);
                            return Ok(self.finish(frame, pts));
                        }
                        // The target should have come out before this one: it is damaged.
                        std::cmp::Ordering::Greater => break,
                    }
                }
                Ok(Received::End) => break,
                // An error may come some packets late, and good frames behind it.
                Err(_) if self.is_drained && errors_at_end < MOST_ERRORS_AT_END => errors_at_end += 1,
                Ok(Received::NeedsPacket) | Err(_) if self.is_drained => break,
                Ok(Received::NeedsPacket) | Err(_) => self.feed(target, target_ordinal)?,
            }
        }
        Ok(before.and_then(|(frame, pts)| self.finish(frame, pts)))
    }

    /// What the target needs next.
    fn feed(&mut self, target: Pts, target_ordinal: usize) -> Result<()> {
        let next = self.source.next_ordinal();
        let has_all =
            self.began_at == target_ordinal && next > target_ordinal && self.decoder.is_progressive();
        if has_all {
            self.send(None);
            return Ok(());
        }
        let entry = self.video.index().packets().get(next);
        let can_skip = entry.is_some_and(|entry| entry.pts < target && next != target_ordinal);
        self.decoder.skip(if can_skip { Skip::NonReference } else { Skip::Nothing });
        let packet = self.source.next()?;
        self.send(packet.as_ref().map(|(packet, _)| packet));
        Ok(())
    }

    /// The next packet, whoever refers to it.
    fn feed_next(&mut self) -> Result<()> {
        self.decoder.skip(Skip::Nothing);
        let packet = self.source.next()?;
        self.send(packet.as_ref().map(|(packet, _)| packet));
        Ok(())
    }

    fn send(&mut self, packet: Option<&Packet>) {
        self.is_drained = packet.is_none();
        // A refused packet is damage; the frames around it still come out.
        let _damaged = self.decoder.send(packet).is_err();
    }

    fn finish(&mut self, frame: Frame, pts: Pts) -> Option<DecodedFrame> {
        let is_damaged = frame.is_corrupt();
        let picture = Picture::from_frame(frame, self.video.info().rotation, &mut self.scaler)?;
        Some(DecodedFrame { pts, secs: self.video.secs(pts), picture, is_damaged })
    }
}
