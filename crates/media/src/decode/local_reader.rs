//! Sequential reading of a file that this process has open.

use crate::decode::frame::{DecodedFrame, Pass};
use crate::decode::picture::Picture;
use crate::decode::picture_maker::PictureMaker;
use crate::error::{Error, Result};
use crate::file::container::MAX_PIXELS;
use crate::file::video::Video;
use crate::libav::{Decoder, Input, Packet, Received, Scaler};
use pigweight_core::time::Pts;

/// More errors after the last packet aren't late ones.
pub(crate) const MOST_ERRORS_AT_END: usize = 64;

/// Reads a video from start to end. Damaged packets are counted and skipped: all that can be decoded is.
pub(crate) struct LocalReader {
    video: Video,
    source: PacketSource,
    decoder: Decoder,
    maker: PictureMaker,
    pass: Pass,
    /// For scaling down.
    small_scaler: Scaler,
    damaged_packets: usize,
    ended: bool,
    errors_at_end: usize,
}

impl LocalReader {
    /// At the first requested frame.
    pub(crate) fn open(video: &Video, pass: Pass) -> Result<Self> {
        let reader = Self::at_start(video, pass)?;
        match pass.after {
            Some(pts) => reader.go_behind(pts),
            None => Ok(reader),
        }
    }

    fn at_start(video: &Video, pass: Pass) -> Result<Self> {
        let (source, decoder) = open_stream(video, pass.threads)?;
        Ok(Self {
            video: video.clone(),
            source,
            decoder,
            maker: PictureMaker::new(video.info().picture_form()),
            pass,
            small_scaler: Scaler::new(),
            damaged_packets: 0,
            ended: false,
            errors_at_end: 0,
        })
    }

    fn go_behind(mut self, pts: Pts) -> Result<Self> {
        if let Some(ordinal) = self.video.index().ordinal_of(pts) {
            let key = self.video.index().key_for(ordinal);
            if !self.source.land_on(key) {
                self = Self::at_start(&self.video, self.pass)?;
            }
        }
        Ok(self)
    }

    /// Packets so far that the decoder rejected.
    pub(crate) fn damaged_packets(&self) -> usize {
        self.damaged_packets
    }

    /// The next frame, or `None` after the last.
    pub(crate) fn next_frame(&mut self) -> Result<Option<DecodedFrame>> {
        loop {
            match self.decoder.receive() {
                Ok(Received::Frame(frame, ordinal)) => {
                    let Some(pts) = shown_pts(&self.video, ordinal) else { continue };
                    if self.pass.after.is_some_and(|after| pts <= after) {
                        continue;
                    }
                    let is_damaged = frame.is_corrupt();
                    let picture = self.maker.picture(frame);
                    let Some(picture) = picture.and_then(|picture| self.made_small(picture)) else {
                        self.video.check_memory()?;
                        self.damaged_packets += 1;
                        continue;
                    };
                    let secs = self.video.secs(pts);
                    return Ok(Some(DecodedFrame { pts, secs, picture, is_damaged }));
                }
                Ok(Received::NeedsPacket) if self.ended => return Ok(None),
                Ok(Received::NeedsPacket) => self.feed()?,
                Ok(Received::End) => return Ok(None),
                Err(_) => {
                    self.video.check_memory()?;
                    self.damaged_packets += 1;
                    if !self.ended {
                        self.feed()?;
                    } else if self.errors_at_end < MOST_ERRORS_AT_END {
                        // The error may come some packets late, with good frames after it.
                        self.errors_at_end += 1;
                    } else {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Scaled to the requested width; `None` if there is no memory for it.
    fn made_small(&mut self, picture: Picture) -> Option<Picture> {
        match self.pass.most_width {
            Some(width) if width < picture.width() => {
                picture.small_copy(width, picture.height_at(width), &mut self.small_scaler)
            }
            _ => Some(picture),
        }
    }

    fn feed(&mut self) -> Result<()> {
        let packet = self.source.next()?;
        self.ended = packet.is_none();
        if self.decoder.send(packet.as_ref().map(|(packet, _)| packet)).is_err() && !self.ended {
            self.video.check_memory()?;
            self.damaged_packets += 1;
        }
        Ok(())
    }
}

/// The pts of the frame decoded from packet `ordinal`, if it is shown.
pub(crate) fn shown_pts(video: &Video, ordinal: i64) -> Option<Pts> {
    let entry = video.index().packets().get(usize::try_from(ordinal).ok()?)?;
    entry.is_shown.then_some(entry.pts)
}

pub(crate) fn open_stream(video: &Video, threads: i32) -> Result<(PacketSource, Decoder)> {
    let source = PacketSource::open(video)?;
    if let Some(decoder) = Decoder::open(source.input(), video.stream_index(), MAX_PIXELS, threads) {
        return Ok((source, decoder));
    }
    video.check_memory()?;
    Err(Error::NoDecoder { path: video.path().to_owned(), codec: video.info().codec.clone() })
}

/// Packets with their ordinals, checked against the index.
pub(crate) struct PacketSource {
    video: Video,
    input: Input,
    next_ordinal: usize,
    waiting: Option<Packet>,
}

impl PacketSource {
    pub(crate) fn open(video: &Video) -> Result<Self> {
        Ok(Self { video: video.clone(), input: video.open_input()?, next_ordinal: 0, waiting: None })
    }

    /// The container, for its stream descriptions.
    pub(crate) fn input(&self) -> &Input {
        &self.input
    }

    /// The ordinal of the next packet.
    pub(crate) fn next_ordinal(&self) -> usize {
        self.next_ordinal
    }

    /// The next packet, numbered; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(Packet, usize)>> {
        // A file that grew since it was indexed ends where its index ends.
        let Some(&entry) = self.video.index().packets().get(self.next_ordinal) else { return Ok(None) };
        let packet = match self.waiting.take() {
            Some(packet) => Some(packet),
            None => self.read()?,
        };
        let Some(mut packet) = packet else { return Ok(None) };
        if packet.size() != entry.size {
            return Err(Error::Changed { path: self.video.path().to_owned() });
        }
        let ordinal = self.next_ordinal;
        packet.set_ordinal(ordinal as i64);
        self.next_ordinal += 1;
        Ok(Some((packet, ordinal)))
    }

    fn read(&mut self) -> Result<Option<Packet>> {
        loop {
            match self.input.read() {
                Ok(Some(packet)) if packet.stream_index() != self.video.stream_index() => {}
                Ok(packet) => return Ok(packet),
                // The index ends at the same damage; everything before it has been read.
                Err(_) if self.video.index().damage().is_some() => return Ok(None),
                Err(code) => return Err(Error::libav("reading the video", code)),
            }
        }
    }

    /// Seeks to packet `ordinal`, a keyframe, or to a keyframe before it. Containers count seeks in different
    /// units and land inexactly, so each landing is checked against the index before it is accepted.
    /// `false` leaves the source unusable: it must be reopened and read from the start.
    pub(crate) fn land_on(&mut self, ordinal: usize) -> bool {
        use crate::libav::SeekTarget::{Byte, Timestamp};
        let Some(entry) = self.video.index().packets().get(ordinal).copied() else { return false };
        let index = self.video.index();
        let is_counted = index.timing() == crate::file::index::Timing::Counted;
        let by_pts = index.stated_pts(ordinal).filter(|_| !is_counted).map(Timestamp);
        let by_dts = entry.dts.map(|dts| Timestamp(dts.saturating_sub(index.added_ticks(ordinal))));
        let by_byte = (entry.position >= 0).then_some(Byte(entry.position));
        // If a clock was set back, a time is there twice.
        let targets =
            if index.has_one_clock() { [by_pts, by_dts, by_byte] } else { [by_byte, by_pts, by_dts] };
        let mut best = None;
        for target in targets.into_iter().flatten() {
            match self.try_seek(target) {
                Some(landed) if landed == ordinal => return true,
                Some(landed)
                    if landed < ordinal
                        && self.video.index().packets()[landed].is_key
                        && best.is_none_or(|(_, before)| before < landed) =>
                {
                    best = Some((target, landed));
                }
                _ => {}
            }
        }
        best.is_some_and(|(target, landed)| self.try_seek(target) == Some(landed))
    }

    fn try_seek(&mut self, target: crate::libav::SeekTarget) -> Option<usize> {
        self.waiting = None;
        self.input.seek(self.video.stream_index(), target).ok()?;
        let packet = self.read().ok()??;
        let landed = self.video.index().find(&packet)?;
        self.waiting = Some(packet);
        self.next_ordinal = landed;
        Some(landed)
    }
}
