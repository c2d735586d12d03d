//! The audio of a segment.

use super::Segment;
use crate::error::Result;
use crate::file::container::open_known;
use crate::file::index::VideoIndex;
use crate::file::video::Video;
use crate::libav::{Input, Packet, PacketTimes, SeekTarget};
use pigweight_core::time::TimeBase;

/// Browsers refuse a whole video because of unsupported audio, for example AC-3.
const SOUND_CODECS: [&str; 4] = ["aac", "mp3", "opus", "flac"];

/// A video's audio, with its own reader: its distance from the picture in the file depends on the container.
pub(super) struct Sound {
    pub input: Input,
    pub stream_index: i32,
    pub tick: (i32, i32),
    /// The video's first frame, in ticks of the audio.
    zero: i64,
    /// The first packet, whose parameters describe the rest.
    pub first: Option<(Packet, PacketTimes)>,
    /// If several clocks stamped the file.
    clocks: Vec<SoundClock>,
}

/// Audio that was stamped by one clock.
#[derive(Clone, Copy, Debug)]
struct SoundClock {
    /// Where its pictures begin in the file.
    from_byte: i64,
    /// In ticks of the audio, as those of the pictures.
    added: i64,
    /// Times that its audio may have, repaired.
    possible: (i64, i64),
}

impl Sound {
    /// Audio may begin after the picture; if there is none within this much of the file, there is none at all.
    const FIRST_WITHIN_BYTES: u64 = 64 << 20;
    /// How far audio may precede its picture in the file, which is where a seek must start; and how far it may follow.
    const AHEAD_SECS: i64 = 1;
    const BEHIND_SECS: i64 = 10;
    const BEHIND_BYTES: i64 = 32 << 20;

    /// `None` if there is none to send.
    pub(super) fn open(video: &Video) -> Result<Option<Self>> {
        let mut input = open_known(video.path(), video.stream_index())?;
        let Some(stream) = input.sound_stream(video.stream_index()) else { return Ok(None) };
        if !SOUND_CODECS.contains(&stream.codec.as_str()) {
            return Ok(None);
        }
        input.keep_only(&[video.stream_index(), stream.index]);
        let zero = ticks_of_other(video.index().first_pts().0, video.info().time_base, stream.time_base);
        let clocks = clocks_of(video.index(), video.info().time_base, stream.time_base);
        let (stream_index, tick) = (stream.index, stream.time_base);
        let mut sound = Self { input, stream_index, tick, zero, first: None, clocks };
        let mut bytes = 0;
        // Unreadable audio is dropped.
        while let Ok(Some(packet)) = sound.input.read() {
            bytes += u64::from(packet.size());
            if let Some(times) = sound.times(&packet) {
                sound.first = Some((packet, times));
                return Ok(Some(sound));
            }
            if bytes > Self::FIRST_WITHIN_BYTES {
                break;
            }
        }
        Ok(None)
    }

    /// From the video's first frame on; `None` if it isn't audio or ends before that.
    fn times(&self, packet: &Packet) -> Option<PacketTimes> {
        if packet.stream_index() != self.stream_index {
            return None;
        }
        let stated = packet.pts()?;
        let repaired =
            if self.clocks.is_empty() { stated } else { self.repaired(stated, packet.position())? };
        let pts = repaired.checked_sub(self.zero).filter(|&pts| pts >= 0)?;
        Some(PacketTimes { pts, dts: pts, duration: packet.duration() })
    }

    /// Audio lies near its picture in the file, so that it is of the clock there or of the one before or after.
    fn repaired(&self, stated: i64, position: i64) -> Option<i64> {
        let here = self.clocks.partition_point(|clock| clock.from_byte <= position).saturating_sub(1);
        [Some(here), here.checked_sub(1), here.checked_add(1)].into_iter().flatten().find_map(|place| {
            let clock = self.clocks.get(place)?;
            let time = stated.checked_add(clock.added)?;
            (clock.possible.0..=clock.possible.1).contains(&time).then_some(time)
        })
    }

    /// Packets that begin during a segment.
    pub(super) fn of_segment(&mut self, video: &Video, segment: &Segment) -> Vec<(Packet, PacketTimes)> {
        let index = video.index();
        let (base, packets) = (video.info().time_base, &index.packets()[segment.packets.clone()]);
        let per_sec = i64::from(base.denominator()) / i64::from(base.numerator()).max(1);
        let begin = packets.first().map_or(0, |packet| packet.dts.unwrap_or(packet.pts.0));
        // Seeks by the video stream: containers list the positions of its keyframes, and often of nothing else. If that fails,
        // audio is read from the beginning.
        let target = match segment.packets.start {
            0 => begin - Self::BEHIND_SECS * per_sec,
            _ => begin - Self::AHEAD_SECS * per_sec,
        };
        let place = match self.clocks.as_slice() {
            [] => SeekTarget::Timestamp(target),
            // A time may be there twice.
            _ => SeekTarget::Byte(byte_before(index, segment, Self::AHEAD_SECS * per_sec)),
        };
        if self.input.seek(video.stream_index(), place).is_err()
            && let Ok(mut input) = open_known(video.path(), video.stream_index())
        {
            input.keep_only(&[video.stream_index(), self.stream_index]);
            self.input = input;
        }
        let far_pts = packets.iter().map(|packet| packet.dts.unwrap_or(packet.pts.0)).max().unwrap_or(0)
            + Self::BEHIND_SECS * per_sec;
        let far_byte = packets.iter().map(|packet| packet.position).max().unwrap_or(0) + Self::BEHIND_BYTES;
        // Compared as fractions of a second with integers: each packet belongs to exactly one segment.
        let tick = self.tick;
        let is_before = |ticks: i64, bound: i64| {
            i128::from(ticks) * i128::from(tick.0) * i128::from(base.denominator())
                < i128::from(bound) * i128::from(base.numerator()) * i128::from(tick.1)
        };
        let mut found = Vec::new();
        while let Ok(Some(packet)) = self.input.read() {
            if let Some(times) = self.times(&packet) {
                if !is_before(times.pts, segment.ticks.end) {
                    break;
                }
                if !is_before(times.pts, segment.ticks.start) {
                    found.push((packet, times));
                }
            } else if packet.stream_index() == video.stream_index() {
                let is_far = self.clocks.is_empty()
                    && packet.dts().or(packet.pts()).is_some_and(|ticks| ticks > far_pts);
                if is_far || packet.position() > far_byte {
                    break;
                }
            }
        }
        found
    }
}

/// Converts ticks of one clock to another, rounded towards zero.
fn ticks_of_other(ticks: i64, base: TimeBase, other: (i32, i32)) -> i64 {
    let up = i128::from(ticks) * i128::from(base.numerator()) * i128::from(other.1);
    let there = up / (i128::from(base.denominator()) * i128::from(other.0.max(1)));
    i64::try_from(there).unwrap_or(if there < 0 { i64::MIN / 2 } else { i64::MAX / 2 })
}

/// The clocks of a file with several.
fn clocks_of(index: &VideoIndex, base: TimeBase, tick: (i32, i32)) -> Vec<SoundClock> {
    if index.has_one_clock() {
        return Vec::new();
    }
    let clocks = index.clocks().filter_map(|(range, added)| {
        let packets = &index.packets()[range.clone()];
        let in_ticks = |ticks: i64| ticks_of_other(ticks, base, tick);
        let sec = i64::from(tick.1) / i64::from(tick.0).max(1);
        let (begin, end) = (packets.iter().map(|p| p.pts.0).min()?, packets.iter().map(|p| p.pts.0).max()?);
        Some(SoundClock {
            from_byte: if range.start == 0 { i64::MIN } else { packets[0].position },
            added: in_ticks(added),
            possible: (in_ticks(begin) - sec, in_ticks(end) + sec),
        })
    });
    clocks.collect()
}

/// Where the pictures lie that are shown so many ticks before a segment.
fn byte_before(index: &VideoIndex, segment: &Segment, ticks: i64) -> i64 {
    let packets = index.packets();
    let start = packets.get(segment.packets.start).map_or(0, |packet| packet.pts.0);
    let before = packets[..segment.packets.start].iter().rev();
    let near = before.take_while(|packet| packet.pts.0 > start - ticks);
    let here = packets.get(segment.packets.start).into_iter();
    here.chain(near).map(|packet| packet.position).min().unwrap_or(0).max(0)
}
