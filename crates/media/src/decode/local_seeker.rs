//! Seeking in a file that this process has open.
//!
//! target pts → its packet → the keyframe it decodes from → seek there, checked against the index → decode on,
//! skipping non-reference pictures, until the target comes out. If the target is later in the GOP where the
//! decoder already is, decoding just continues. If the target is a keyframe, the decoder is drained at once,
//! so the packets after it need not be decoded. If no seek of the container lands right, the file is read
//! from its start: slower, but still the right frame.
//!
//! While idle, the seeker reads ahead: it decodes the frames after the last one before they are requested.

use crate::decode::frame::DecodedFrame;
use crate::decode::frame_window::Window;
use crate::decode::local_reader::{MOST_ERRORS_AT_END, PacketSource, open_stream, shown_pts};
use crate::decode::picture_maker::PictureMaker;
use crate::error::{Error, Result};
use crate::file::video::Video;
use crate::libav::{Decoder, Frame, Packet, Received, Skip};
use pigweight_core::time::Pts;
use std::time::{Duration, Instant};

/// How far the seeker reads ahead of the last frame.
const AHEAD_SECS: f64 = 1.0;

/// Serves single frames of one video, one at a time.
pub(crate) struct LocalSeeker {
    video: Video,
    source: PacketSource,
    decoder: Decoder,
    maker: PictureMaker,
    /// The last frame decoded since the last seek.
    last_shown: Option<Pts>,
    /// The packet at which decoding began then.
    began_at: usize,
    /// The decoder has seen the end of the stream and must be reset before it takes more.
    is_drained: bool,
    /// Time of the last frame's seek to its keyframe.
    sought: Option<Duration>,
    /// Frames decoded ahead, and earlier requests.
    window: Window,
    /// The last frame returned, if the decoder continues from it.
    ahead_of: Option<Pts>,
}

/// A caller waits for the frame: two cores are faster. Whole videos are read on one, because inference keeps the others
/// busy, and more than two add as much delay as they save.
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
            maker: PictureMaker::new(video.info().picture_form()),
            last_shown: None,
            began_at: 0,
            is_drained: false,
            sought: None,
            window: Window::new(),
            ahead_of: None,
        })
    }

    /// Time of the last frame's seek to its keyframe; `None` if decoding just continued.
    pub(crate) fn sought(&self) -> Option<Duration> {
        self.sought
    }

    /// See [`crate::FrameSeeker::frame_unless`].
    pub(crate) fn frame_unless(&mut self, pts: Pts, is_cancelled: &dyn Fn() -> bool) -> Result<DecodedFrame> {
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
        // The frame may be in the decoder already: packets come before their frames. A frame that hasn't come out yet wasn't
        // skipped either, because only frames displayed before an earlier target are.
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
        let mut found = self.decode_until(pts, ordinal, is_cancelled)?;
        if found.is_none() && can_go_on {
            // It doesn't come out, and the one before it was already returned: it is decoded again.
            self.start_at(key)?;
            found = self.decode_until(pts, ordinal, is_cancelled)?;
        }
        match &found {
            Some(frame) if frame.pts == pts => self.ahead_of = Some(pts),
            _ => self.video.check_memory()?,
        }
        match found {
            Some(frame) => Ok(frame),
            // A container may hide the right start (a false keyframe): reading from the beginning can't miss.
            None if key > 0 => {
                self.restart()?;
                self.decode_until(pts, ordinal, is_cancelled)?
                    .ok_or_else(|| Error::NoFrames { path: self.video.path().to_owned() })
            }
            None => Err(Error::NoFrames { path: self.video.path().to_owned() }),
        }
    }

    /// Decodes the frames after the last requested one, until something else `is_wanted` or there is no space for more.
    pub(crate) fn decode_ahead(&mut self, is_wanted: &dyn Fn() -> bool) {
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
                // A request for a damaged frame reports it. A keyframe that came out because the decoder was drained
                // is the end too.
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

    /// `None` if neither the target nor a frame before it came out.
    fn decode_until(
        &mut self,
        target: Pts,
        target_ordinal: usize,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Option<DecodedFrame>> {
        let mut before = None;
        let mut errors_at_end = 0;
        loop {
            if is_cancelled() {
                // Pictures before the target were skipped: a nearer one can't be reached by continuing.
                self.last_shown = None;
                return Err(Error::Cancelled);
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
                // An error may come some packets late, with good frames after it.
                Err(_) if self.is_drained && errors_at_end < MOST_ERRORS_AT_END => errors_at_end += 1,
                Ok(Received::NeedsPacket) | Err(_) if self.is_drained => break,
                Ok(Received::NeedsPacket) | Err(_) => self.feed(target, target_ordinal)?,
            }
        }
        Ok(before.and_then(|(frame, pts)| self.finish(frame, pts)))
    }

    /// The next step towards the target.
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

    /// The next packet, reference or not.
    fn feed_next(&mut self) -> Result<()> {
        self.decoder.skip(Skip::Nothing);
        let packet = self.source.next()?;
        self.send(packet.as_ref().map(|(packet, _)| packet));
        Ok(())
    }

    fn send(&mut self, packet: Option<&Packet>) {
        self.is_drained = packet.is_none();
        // A rejected packet is damage; the frames around it still come out.
        let _damaged = self.decoder.send(packet).is_err();
    }

    fn finish(&mut self, frame: Frame, pts: Pts) -> Option<DecodedFrame> {
        let is_damaged = frame.is_corrupt();
        let picture = self.maker.picture(frame)?;
        Some(DecodedFrame { pts, secs: self.video.secs(pts), picture, is_damaged })
    }
}
