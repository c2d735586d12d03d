//! Fragments: a segment's packets muxed into an mp4, with recomputed times.

use super::sound::Sound;
use super::{Segment, Segments, is_sent};
use crate::decode::local_reader::PacketSource;
use crate::error::{Error, Result};
use crate::file::index::{Timing, VideoIndex};
use crate::file::video::Video;
use crate::libav::nal_units::{self, Framing};
use crate::libav::{FragmentMuxer, Packet, PacketEntry, PacketTimes, StreamToWrite};
use pigweight_core::time::TimeBase;

/// See [`crate::hls::Streamer`].
pub(crate) struct LocalStreamer {
    video: Video,
    segments: Segments,
    picture: PacketSource,
    sound: Option<Sound>,
    /// Of a stream whose header has none: they stand before its keyframes alone, and players read them in the header.
    parameter_sets: Option<InBandSets>,
}

/// Parameter sets that come with the pictures.
struct InBandSets {
    /// Of the packets.
    framing: Framing,
    /// With start codes.
    head: Vec<u8>,
}

impl InBandSets {
    /// Those of the first keyframe. `None` if the stream's own header has its sets, or they aren't found.
    fn find(video: &Video, source: &mut PacketSource, first_key: usize) -> Result<Option<Self>> {
        let codec = video.info().codec.as_str();
        let head = source.input().head(video.stream_index());
        let framing = Framing::of_head(codec, head);
        if !matches!(codec, "h264" | "hevc") || nal_units::head_has_sets(codec, head) {
            return Ok(None);
        }
        while let Some((packet, ordinal)) = source.next()? {
            if ordinal < first_key {
                continue;
            }
            let units = nal_units::units(packet.bytes(), framing);
            let sets = units.into_iter().filter(|unit| nal_units::is_parameter_set(codec, unit));
            let head = nal_units::with_start_codes(sets);
            return Ok((!head.is_empty()).then_some(Self { framing, head }));
        }
        Ok(None)
    }

    /// The packet with start codes, as its new header has them.
    fn packet(&self, packet: &Packet) -> Option<Packet> {
        Packet::of(&nal_units::with_start_codes(nal_units::units(packet.bytes(), self.framing)))
            .map(|copy| copy.with_flags_of(packet))
    }
}

impl LocalStreamer {
    pub(crate) fn open(video: &Video) -> Result<Self> {
        let segments = Segments::of(video)?;
        let mut picture = PacketSource::open(video)?;
        let first_key = segments.segments().first().map_or(0, |first| first.packets.start);
        let parameter_sets = InBandSets::find(video, &mut picture, first_key)?;
        let sound = Sound::open(video)?;
        Ok(Self { video: video.clone(), segments, picture, sound, parameter_sets })
    }

    pub(crate) fn init(&mut self) -> Result<Vec<u8>> {
        let Some(first) = self.segments.segments().first() else {
            return Err(Error::NoFrames { path: self.video.path().to_owned() });
        };
        // A picture packet and an audio packet are enough to describe all.
        let head = Segment { packets: first.packets.start..first.packets.start + 1, ..first.clone() };
        let bytes = self.mux(&head, Part::Head)?;
        wanted(&self.video, &bytes, [b"ftyp", b"moov"])
    }

    pub(crate) fn fragment(&mut self, number: usize) -> Result<Vec<u8>> {
        let segment = self.segments.segments().get(number).cloned().ok_or_else(|| Error::OutsideVideo {
            secs: super::LEAST_SECS * number as f64,
            last_secs: self.video.duration_secs(),
        })?;
        let bytes = self.mux(&segment, Part::Whole)?;
        wanted(&self.video, &bytes, [b"moof", b"mdat"])
    }

    /// Seeks to a packet that decoding can start from, or before it.
    fn go_to(&mut self, ordinal: usize) -> Result<()> {
        let is_there = self.picture.next_ordinal() == ordinal;
        if !is_there && (ordinal == 0 || !self.picture.land_on(ordinal)) {
            self.picture = PacketSource::open(&self.video)?;
        }
        Ok(())
    }

    fn mux(&mut self, segment: &Segment, part: Part) -> Result<Vec<u8>> {
        self.go_to(segment.packets.start)?;
        let video = &self.video;
        let sounds = match &mut self.sound {
            Some(sound) if part == Part::Whole => sound.of_segment(video, segment),
            Some(sound) => {
                sound.first.iter().filter_map(|(packet, times)| Some((packet.share()?, *times))).collect()
            }
            None => Vec::new(),
        };
        let clock = Clock::of(video.info().time_base);
        let picture = StreamToWrite {
            input: self.picture.input(),
            index: video.stream_index(),
            tick: clock.tick,
            head: self.parameter_sets.as_ref().map(|sets| sets.head.as_slice()),
            pixel_aspect: video.info().pixel_aspect,
        };
        let audio = self.sound.as_ref().map(|sound| StreamToWrite {
            input: &sound.input,
            index: sound.stream_index,
            tick: sound.tick,
            head: None,
            pixel_aspect: (1, 1),
        });
        let failed = |code| Error::NotStreamable {
            path: video.path().to_owned(),
            reason: format!("it cannot be cut ({})", crate::libav::describe(code)),
        };
        // Audio that doesn't fit into mp4 is dropped from all segments alike, because that depends only on the stream's parameters.
        let with_sound = audio.map(|audio| FragmentMuxer::create(&[picture, audio]));
        let (mut muxer, has_sound) = match with_sound {
            Some(Ok(muxer)) => (muxer, true),
            _ => (FragmentMuxer::create(&[picture]).map_err(failed)?, false),
        };
        let index = video.index();
        let times = clock.times(index, segment);
        let mut next = segment.packets.start;
        while next < segment.packets.end {
            let Some((mut packet, ordinal)) = self.picture.next()? else { break };
            if ordinal < segment.packets.start {
                continue;
            }
            next = ordinal + 1;
            if is_sent(index, &index.packets()[ordinal]) {
                if let Some(sets) = &self.parameter_sets {
                    packet = sets.packet(&packet).ok_or_else(|| failed(crate::libav::NO_MEMORY))?;
                }
                muxer.write(&mut packet, 0, times[ordinal - segment.packets.start]).map_err(failed)?;
            }
        }
        if next < segment.packets.end {
            // The index lists packets that could be read: bytes have disappeared since.
            return Err(Error::Changed { path: video.path().to_owned() });
        }
        for (mut packet, times) in sounds.into_iter().filter(|_| has_sound) {
            // An audio packet that is damaged, or goes back in time, is dropped: the picture matters more.
            let _left_out = muxer.write(&mut packet, 1, times).is_err();
        }
        muxer.finish().map_err(failed)
    }
}

/// Times of a segment's packets, in ticks short enough that between two frames there are as many ticks as a decoder
/// reorders frames.
struct Clock {
    /// Ticks per tick of the video.
    fine: i64,
    /// Seconds of each, as a fraction.
    tick: (i32, i32),
}

impl Clock {
    fn of(time_base: TimeBase) -> Self {
        const FINE_HZ: i64 = 90_000;
        let (numerator, denominator) = (time_base.numerator(), i64::from(time_base.denominator()));
        let fine = (FINE_HZ / denominator).max(1);
        let tick = (numerator.cast_signed(), i32::try_from(denominator * fine).unwrap_or(i32::MAX));
        Self { fine, tick }
    }

    /// Decode times from the video's first frame: each is the latest that isn't after its own frame and is before the next
    /// decode time. So a keyframe that no frame precedes is decoded when it is displayed. Containers' own times differ: some have none, some
    /// are late by a reordering delay, and a player takes a fragment's first decode time as the time of its first frame. None is before the video's
    /// beginning, which players read as the far end of time; in exchange, frames that precede the first keyframe are displayed some ticks of
    /// 1/90,000 s late.
    fn times(&self, index: &VideoIndex, segment: &Segment) -> Vec<PacketTimes> {
        let packets = &index.packets()[segment.packets.clone()];
        let end = segment.ticks.end.saturating_mul(self.fine);
        let presented = self.presented(index, packets, end);
        let mut next = end;
        let mut decoded: Vec<i64> = packets
            .iter()
            .zip(&presented)
            .rev()
            .map(|(packet, &pts)| {
                if is_sent(index, packet) {
                    next = pts.min(next - 1);
                }
                next
            })
            .collect();
        decoded.reverse();
        let mut least = 0;
        for (packet, dts) in packets.iter().zip(&mut decoded) {
            *dts = least.max(*dts);
            least = *dts + i64::from(is_sent(index, packet));
        }
        let longest = i64::from(i32::MAX) / i64::from(self.tick.0.max(1));
        let times = presented.iter().enumerate().map(|(place, &pts)| {
            let dts = decoded[place];
            let until = decoded.get(place + 1).copied().unwrap_or(end);
            PacketTimes { pts: pts.max(dts), dts, duration: (until - dts).clamp(1, longest) }
        });
        times.collect()
    }

    /// Presentation times from the video's first frame. What an edit list hides is decoded, because others refer to it. Its own time may
    /// lie anywhere, so each hidden frame is there for one tick before the frame that is shown after it.
    fn presented(&self, index: &VideoIndex, packets: &[PacketEntry], end: i64) -> Vec<i64> {
        let first = index.first_pts().0;
        let ticks = |pts: i64| (pts - first).saturating_mul(self.fine);
        let mut presented: Vec<i64> = packets.iter().map(|packet| ticks(packet.pts.0)).collect();
        let is_hidden = |packet: &PacketEntry| index.timing() == Timing::Stated && !packet.is_shown;
        // By the frame after them and their own time.
        let mut hidden: Vec<(i64, i64, usize)> = (0..packets.len())
            .filter(|&place| is_hidden(&packets[place]))
            .map(|place| {
                let time = self.own_time(&packets[place]);
                (shown_after(&packets[place + 1..], time).map_or(end, ticks), time, place)
            })
            .collect();
        hidden.sort_unstable();
        for run in hidden.chunk_by(|one, other| one.0 == other.0) {
            for (&(next, _, place), before) in run.iter().rev().zip(1..) {
                presented[place] = next - before;
            }
        }
        presented
    }

    /// Of a hidden packet: when it would be shown, or decoded if the two lie far apart.
    fn own_time(&self, packet: &PacketEntry) -> i64 {
        const MOST_SECS: i64 = 2;
        let most = MOST_SECS * i64::from(self.tick.1) / (i64::from(self.tick.0) * self.fine).max(1);
        packet.dts.filter(|dts| packet.pts.0.abs_diff(*dts) > most.unsigned_abs()).unwrap_or(packet.pts.0)
    }
}

/// The pts of the frame that is shown after one with this time. Behind the next keyframe times may begin elsewhere.
fn shown_after(packets: &[PacketEntry], time: i64) -> Option<i64> {
    let key = packets.iter().position(|packet| packet.is_key).unwrap_or(packets.len());
    let (own, others) = packets.split_at(key);
    let mut own = own.iter().filter(|packet| packet.is_shown && packet.pts.0 > time);
    own.next().or_else(|| others.iter().find(|packet| packet.is_shown)).map(|packet| packet.pts.0)
}

/// How much of a segment is muxed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    /// As much as describes its streams.
    Head,
}

/// Selects these boxes of an mp4; all must be there.
fn wanted(video: &Video, bytes: &[u8], kinds: [&[u8; 4]; 2]) -> Result<Vec<u8>> {
    let is_there = |kind: &[u8; 4]| !boxes(bytes, |found| found == kind).is_empty();
    if !kinds.iter().all(|kind| is_there(kind)) {
        let reason = "it cannot be put into an mp4".to_owned();
        return Err(Error::NotStreamable { path: video.path().to_owned(), reason });
    }
    Ok(boxes(bytes, |found| kinds.contains(&found)))
}

/// The selected top-level boxes of an mp4, in order.
fn boxes(mut bytes: &[u8], is_wanted: impl Fn(&[u8; 4]) -> bool) -> Vec<u8> {
    let mut wanted = Vec::new();
    while let Some((&head, _)) = bytes.split_first_chunk::<8>() {
        let [a, b, c, d, kind @ ..] = head;
        let size = match u32::from_be_bytes([a, b, c, d]) {
            0 => bytes.len(),
            size => size as usize,
        };
        // The muxer's boxes are below 4 GiB each; anything else ends here.
        let Some((one, rest)) = bytes.split_at_checked(size.max(8)) else { break };
        if is_wanted(&kind) {
            wanted.extend_from_slice(one);
        }
        bytes = rest;
    }
    wanted
}
