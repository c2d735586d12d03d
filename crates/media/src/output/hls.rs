//! HTTP Live Streaming (RFC 8216) of a video without transcoding: mp4 fragments, cut at keyframes.
//!
//! The playlist ([`Segments`]) follows from the index alone, so it is available at once and its cuts are exact. A fragment is made
//! on request ([`crate::hls::Streamer`]). Its time starts at the video's first frame. Each keyframe's decode time is its presentation
//! time, so a player that starts anywhere shows the right frame.

mod fragments;
mod sound;

pub(crate) use fragments::LocalStreamer;

use crate::error::{Error, Result};
use crate::file::index::{Timing, VideoIndex};
use crate::file::video::Video;
use crate::libav::PacketEntry;
use pigweight_core::time::TimeBase;
use std::fmt::Write as _;
use std::ops::Range;

/// Segments last at least this long, and extend to the next keyframe.
const LEAST_SECS: f64 = 4.0;
/// Codecs that an mp4 carries and at least one common browser plays.
const CODECS: [&str; 4] = ["h264", "hevc", "vp9", "av1"];
/// A segment is made in memory, a few at once.
pub(crate) const MOST_SEGMENT_BYTES: u64 = 64 << 20;

/// The segments of a video.
#[derive(Clone, Debug, PartialEq)]
pub struct Segments {
    segments: Vec<Segment>,
    /// No frame needs one from the previous segment.
    are_independent: bool,
    /// Time of the first frame, if known.
    recorded_at: Option<jiff::Timestamp>,
}

/// A segment, starting with a keyframe.
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

    /// Until the next one starts.
    pub fn duration_secs(&self) -> f64 {
        self.duration_secs
    }
}

impl Segments {
    /// Of a video that a browser can play.
    ///
    /// # Errors
    /// [`Error::NotStreamable`] if its frames would have to be transcoded.
    pub fn of(video: &Video) -> Result<Self> {
        let refuse =
            |reason: &str| Error::NotStreamable { path: video.path().to_owned(), reason: reason.to_owned() };
        if !CODECS.contains(&video.info().codec.as_str()) {
            return Err(refuse(&format!("it is coded as {}", video.info().codec)));
        }
        let index = video.index();
        let first = index.first_pts();
        let Some(first_key) = index.packets().iter().position(|packet| packet.is_key) else {
            return Err(refuse("it has no keyframe"));
        };
        let is_hidden = |packet: &PacketEntry| is_sent(index, packet) && !packet.is_shown;
        let is_before = |packet: &PacketEntry| is_sent(index, packet) && packet.pts < first;
        if is_hidden(&index.packets()[first_key]) || index.packets()[first_key..].iter().any(is_before) {
            return Err(refuse("it begins with frames that are not shown"));
        }
        let Some(key) = index.packets().iter().position(is_start) else {
            return Err(refuse("it has no keyframe that is shown"));
        };
        if index.packets()[..key].iter().any(|packet| packet.is_shown) {
            return Err(refuse("it begins with frames that no keyframe precedes"));
        }
        let mut segments = Self::cut(index, video.info().time_base);
        let recorded_at = video.info().recorded_at;
        segments.recorded_at = recorded_at.and_then(|secs| jiff::Timestamp::from_second(secs).ok());
        let bytes = |segment: &Segment| -> u64 {
            index.packets()[segment.packets.clone()].iter().map(|packet| u64::from(packet.size)).sum()
        };
        if segments.segments.iter().any(|segment| bytes(segment) > MOST_SEGMENT_BYTES) {
            return Err(refuse("its keyframes lie too far apart"));
        }
        Ok(segments)
    }

    fn cut(index: &VideoIndex, time_base: TimeBase) -> Self {
        let packets = index.packets();
        let first = index.first_pts().0;
        let end = index.last_pts().0 + index.last_duration_ticks() - first;
        let secs = |ticks: i64| time_base.secs(pigweight_core::time::Pts(ticks));
        let mut starts: Vec<(usize, i64)> = Vec::new();
        for (ordinal, packet) in packets.iter().enumerate().filter(|(_, packet)| is_start(packet)) {
            let start = packet.pts.0 - first;
            match starts.last() {
                None => starts.push((ordinal, 0)),
                Some(&(_, before)) if secs(start - before) >= LEAST_SECS => starts.push((ordinal, start)),
                Some(_) => {}
            }
        }
        // Packets after the last shown frame are beyond the end set by an edit list.
        let past_last = packets.iter().rposition(|packet| packet.is_shown).map_or(0, |last| last + 1);
        let mut are_independent = true;
        let segments = (0..starts.len()).map(|number| {
            let (ordinal, start) = starts[number];
            let (end_ordinal, end) = starts.get(number + 1).copied().unwrap_or((past_last, end));
            let leads = |packet: &PacketEntry| {
                is_sent(index, packet) && packet.is_shown && packet.pts.0 - first < start
            };
            are_independent &= !packets[ordinal..end_ordinal].iter().any(leads);
            Segment {
                packets: ordinal..end_ordinal,
                ticks: start..end,
                start_secs: secs(start),
                duration_secs: secs(end - start),
            }
        });
        let segments = segments.collect();
        Self { segments, are_independent, recorded_at: None }
    }

    /// In their order.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The media playlist. `at` is prepended to the names: `init.mp4`, `0.m4s`, `1.m4s` …
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
        if let Some(recorded_at) = self.recorded_at {
            // Applies to all later segments (RFC 8216, 4.3.2.6).
            let _written = writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{recorded_at:.3}");
        }
        for (number, segment) in self.segments.iter().enumerate() {
            let _written = writeln!(text, "#EXTINF:{:.6},\n{at}{number}.m4s", segment.duration_secs);
        }
        text.push_str("#EXT-X-ENDLIST\n");
        text
    }
}

/// Whether a segment can begin here.
fn is_start(packet: &PacketEntry) -> bool {
    packet.is_key && packet.is_shown && packet.size > 0
}

/// Packets without a picture stay where they are; so do those without a frame if only decoding found the times, and those that would be shown
/// before a keyframe with which the video begins: nothing refers to them.
fn is_sent(index: &VideoIndex, packet: &PacketEntry) -> bool {
    let is_needed = || {
        index.timing() == Timing::Stated && (packet.pts >= index.first_pts() || !index.begins_with_keyframe())
    };
    packet.size > 0 && (packet.is_shown || is_needed())
}
