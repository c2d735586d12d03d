//! A video for HTTP Live Streaming (RFC 8216) without coding it anew: fragments of an mp4, cut where its keyframes are.
//!
//! The playlist follows from the index alone, so it is there at once and its cuts are true. A fragment is made when it is
//! asked for. Its time runs from the first frame of the video; each keyframe's decode time is the time at which it is
//! shown, so a player that begins anywhere shows the frame that it names.

use crate::error::{Error, Result};
use crate::index::{PacketEntry, VideoIndex};
use crate::libav::{FragmentMuxer, Input, Packet, PacketTimes};
use crate::reader::PacketSource;
use crate::video::{Video, open_input};
use pigweight_core::time::TimeBase;
use std::fmt::Write as _;
use std::ops::Range;

/// Segments last at least this long, and go on to the next keyframe.
const LEAST_SECS: f64 = 4.0;
/// What an mp4 carries and at least one common browser plays.
const CODECS: [&str; 4] = ["h264", "hevc", "vp9", "av1"];
const SOUND_CODECS: [&str; 5] = ["aac", "mp3", "opus", "ac3", "flac"];
/// How much sound may lie in front of the picture that it belongs to, where a seek has to begin.
const SOUND_AHEAD_SECS: [i64; 2] = [1, 10];

/// Where a video is cut.
#[derive(Clone, Debug, PartialEq)]
pub struct Segments {
    segments: Vec<Segment>,
    /// No frame needs one of the segment before.
    are_independent: bool,
}

/// A piece from a keyframe on.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// Ordinals of its packets.
    packets: Range<usize>,
    /// Ticks from the first frame of the video.
    ticks: Range<i64>,
    start_secs: f64,
    duration_secs: f64,
}

impl Segment {
    /// Seconds since the first frame.
    pub fn start_secs(&self) -> f64 {
        self.start_secs
    }

    /// Until the next one begins.
    pub fn duration_secs(&self) -> f64 {
        self.duration_secs
    }
}

impl Segments {
    /// Of a video that a browser can play.
    ///
    /// # Errors
    /// [`Error::NotStreamable`] where its frames would have to be coded anew.
    pub fn of(video: &Video) -> Result<Self> {
        let refuse =
            |reason: &str| Error::NotStreamable { path: video.path().to_owned(), reason: reason.to_owned() };
        if !CODECS.contains(&video.info().codec.as_str()) {
            return Err(refuse(&format!("it is coded as {}", video.info().codec)));
        }
        let index = video.index();
        let first = index.first_pts();
        let key = index.packets().iter().position(|packet| packet.is_key).unwrap_or(0);
        if index.packets()[key..].iter().any(|packet| is_sent(packet) && packet.pts < first) {
            return Err(refuse("it begins with frames that are not shown"));
        }
        Ok(Self::cut(index, video.info().time_base))
    }

    fn cut(index: &VideoIndex, time_base: TimeBase) -> Self {
        let packets = index.packets();
        let first = index.first_pts().0;
        let end = index.last_pts().0 + index.last_duration_ticks() - first;
        let secs = |ticks: i64| time_base.secs(pigweight_core::time::Pts(ticks));
        let mut starts: Vec<(usize, i64)> = Vec::new();
        for (ordinal, packet) in
            packets.iter().enumerate().filter(|(_, packet)| packet.is_key && is_sent(packet))
        {
            let start = packet.pts.0 - first;
            match starts.last() {
                None => starts.push((ordinal, 0)),
                Some(&(_, before)) if secs(start - before) >= LEAST_SECS => starts.push((ordinal, start)),
                Some(_) => {}
            }
        }
        let mut are_independent = true;
        let segments = (0..starts.len()).map(|number| {
            let (ordinal, start) = starts[number];
            let (end_ordinal, end) = starts.get(number + 1).copied().unwrap_or((packets.len(), end));
            let leads = |packet: &PacketEntry| is_sent(packet) && packet.pts.0 - first < start;
            are_independent &= !packets[ordinal..end_ordinal].iter().any(leads);
            Segment {
                packets: ordinal..end_ordinal,
                ticks: start..end,
                start_secs: secs(start),
                duration_secs: secs(end - start),
            }
        });
        let segments = segments.collect();
        Self { segments, are_independent }
    }

    /// In their order.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The media playlist. `at` is put in front of the names: `init.mp4`, `0.m4s`, `1.m4s` …
    pub fn playlist(&self, at: &str) -> String {
        let longest = self.segments.iter().map(|segment| segment.duration_secs).fold(0.0, f64::max);
        // A fragment's duration, rounded, is not above the target (RFC 8216, 4.3.3.1).
        let target = longest.ceil().max(1.0);
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n"
        );
        if self.are_independent {
            text.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
        }
        // Writing to a string cannot fail.
        let _written = writeln!(text, "#EXT-X-MAP:URI=\"{at}init.mp4\"");
        for (number, segment) in self.segments.iter().enumerate() {
            let _written = writeln!(text, "#EXTINF:{:.6},\n{at}{number}.m4s", segment.duration_secs);
        }
        text.push_str("#EXT-X-ENDLIST\n");
        text
    }

    /// What every player needs before the first fragment: "ftyp" and "moov".
    ///
    /// # Errors
    /// Where the file cannot be read or put into an mp4.
    pub fn init(&self, video: &Video) -> Result<Vec<u8>> {
        let bytes = self.segments.first().map_or_else(|| Ok(Vec::new()), |first| mux(video, first))?;
        Ok(boxes(&bytes, |kind| matches!(kind, b"ftyp" | b"moov")))
    }

    /// A fragment: "moof" and "mdat".
    ///
    /// # Errors
    /// [`Error::OutsideVideo`] where there is none of this number; and where the file cannot be read.
    pub fn fragment(&self, video: &Video, number: usize) -> Result<Vec<u8>> {
        let segment = self.segments.get(number).ok_or_else(|| Error::OutsideVideo {
            secs: LEAST_SECS * number as f64,
            last_secs: video.duration_secs(),
        })?;
        Ok(boxes(&mux(video, segment)?, |kind| matches!(kind, b"moof" | b"mdat")))
    }
}

/// Packets without a picture stay behind.
fn is_sent(packet: &PacketEntry) -> bool {
    packet.size > 0
}

/// Decode times, ticks from the first frame: each the latest that is not after its own frame and before the next decode
/// time. A keyframe that no frame precedes is so decoded when it is shown. Containers' own differ: one has none, one is a
/// delay behind, and a player takes a fragment's first for the time of its first frame.
fn decode_ticks(packets: &[PacketEntry], first_pts: i64, mut next: i64) -> Vec<i64> {
    let mut times: Vec<i64> = packets
        .iter()
        .rev()
        .map(|packet| {
            if is_sent(packet) {
                next = (packet.pts.0 - first_pts).min(next - 1);
            }
            next
        })
        .collect();
    times.reverse();
    times
}

fn mux(video: &Video, segment: &Segment) -> Result<Vec<u8>> {
    let failed = |code| Error::libav("cutting the video for streaming", code);
    let mut source = PacketSource::open(video)?;
    if segment.packets.start > 0 && !source.land_on(segment.packets.start) {
        source = PacketSource::open(video)?;
    }
    let mut sound = Sound::open(video, segment)?;
    let mut streams = vec![(source.input(), video.stream_index())];
    streams.extend(sound.as_ref().map(|sound| (&sound.input, sound.stream_index)));
    let mut muxer = FragmentMuxer::create(&streams).map_err(failed)?;

    let packets = &video.index().packets()[segment.packets.clone()];
    let first_pts = video.index().first_pts().0;
    let tick = (
        video.info().time_base.numerator().cast_signed(),
        video.info().time_base.denominator().cast_signed(),
    );
    let decoded = decode_ticks(packets, first_pts, segment.ticks.end);
    while let Some((mut packet, ordinal)) = source.next()? {
        if ordinal >= segment.packets.end {
            break;
        }
        let Some(place) = ordinal.checked_sub(segment.packets.start) else { continue };
        if !is_sent(&packets[place]) {
            continue;
        }
        let until = decoded.get(place + 1).copied().unwrap_or(segment.ticks.end);
        let times = PacketTimes {
            pts: packets[place].pts.0 - first_pts,
            dts: decoded[place],
            duration: (until - decoded[place]).max(1),
        };
        muxer.write(&mut packet, 0, tick, times).map_err(failed)?;
    }
    if let Some(sound) = &mut sound {
        sound.add_to(&mut muxer, segment, tick).map_err(failed)?;
    }
    muxer.finish().map_err(failed)
}

/// The sound that belongs to a segment, read by a reader of its own: how far it lies from its picture in the file is the
/// container's affair.
struct Sound {
    input: Input,
    stream_index: i32,
    tick: (i32, i32),
    /// The video's first frame, ticks of the sound.
    zero: i64,
    /// Read to see where a seek has landed.
    waiting: Option<Packet>,
}

impl Sound {
    fn open(video: &Video, segment: &Segment) -> Result<Option<Self>> {
        let (mut input, _) = open_input(video.path())?;
        let Some(stream) = input.sound_stream(video.stream_index()) else { return Ok(None) };
        if !SOUND_CODECS.contains(&stream.codec.as_str()) {
            return Ok(None);
        }
        input.keep_only(stream.index);
        let base = video.info().time_base;
        let in_ticks_of_sound = |ticks: i64| {
            let up = i128::from(ticks) * i128::from(base.numerator()) * i128::from(stream.time_base.1);
            (up / (i128::from(base.denominator()) * i128::from(stream.time_base.0.max(1)))) as i64
        };
        let zero = in_ticks_of_sound(video.index().first_pts().0);
        let start = zero + in_ticks_of_sound(segment.ticks.start);
        let mut sound =
            Self { input, stream_index: stream.index, tick: stream.time_base, zero, waiting: None };
        if segment.ticks.start > 0 {
            sound.go_to(start);
        }
        Ok(Some(sound))
    }

    /// In front of `start`, ticks of the sound.
    fn go_to(&mut self, start: i64) {
        let per_sec = i64::from(self.tick.1) / i64::from(self.tick.0.max(1));
        for ahead_secs in SOUND_AHEAD_SECS {
            let target = crate::libav::SeekTarget::Timestamp(start - ahead_secs * per_sec);
            // Where the container cannot go there the sound is read from wherever it stands.
            let _stays = self.input.seek(self.stream_index, target);
            self.waiting = self.input.read().ok().flatten();
            if self.waiting.as_ref().and_then(Packet::pts).is_some_and(|pts| pts <= start) {
                break;
            }
        }
    }

    fn read(&mut self) -> std::result::Result<Option<Packet>, i32> {
        match self.waiting.take() {
            Some(packet) => Ok(Some(packet)),
            None => self.input.read(),
        }
    }

    fn add_to(
        &mut self,
        muxer: &mut FragmentMuxer,
        segment: &Segment,
        video_tick: (i32, i32),
    ) -> std::result::Result<(), i32> {
        // Compared as fractions of a second with whole numbers: each packet belongs to exactly one segment.
        let tick = self.tick;
        let is_before = |ticks: i64, bound: i64| {
            i128::from(ticks) * i128::from(tick.0) * i128::from(video_tick.1)
                < i128::from(bound) * i128::from(video_tick.0) * i128::from(tick.1)
        };
        while let Some(mut packet) = self.read()? {
            let Some(pts) = packet.pts().map(|pts| pts - self.zero) else { continue };
            if packet.stream_index() != self.stream_index || pts < 0 || is_before(pts, segment.ticks.start) {
                continue;
            }
            if !is_before(pts, segment.ticks.end) {
                break;
            }
            let times = PacketTimes { pts, dts: pts, duration: packet.duration() };
            muxer.write(&mut packet, 1, tick, times)?;
        }
        Ok(())
    }
}

/// Those of an mp4's top-level boxes that are wanted, in order.
fn boxes(mut bytes: &[u8], is_wanted: impl Fn(&[u8; 4]) -> bool) -> Vec<u8> {
    let mut wanted = Vec::new();
    while let Some((&head, _)) = bytes.split_first_chunk::<8>() {
        let [a, b, c, d, kind @ ..] = head;
        let size = match u32::from_be_bytes([a, b, c, d]) {
            0 => bytes.len(),
            size => size as usize,
        };
        // Ours come from the muxer, below 4 GiB each; anything else ends here.
        let Some((one, rest)) = bytes.split_at_checked(size.max(8)) else { break };
        if is_wanted(&kind) {
            wanted.extend_from_slice(one);
        }
        bytes = rest;
    }
    wanted
}
