//! The same boxes for a player that is fed while the camera sends (Media Source Extensions): an initialization segment, then a fragment for each frame.
//!
//! A fragment is sent with its frame, before the time of the next one is known. Two things follow.
//!
//! - A frame's duration is estimated, half as long again as frames usually are: players take a hole between two frames for the end of the video.
//! - Decode times are this side's own. Players drop everything up to the next keyframe where two of them are further apart than two durations, so they
//!   never are, whatever the camera does. When a frame is shown is exact.

use super::annex_b;
use super::boxes::{self, Sample};
use super::codec_string::codec_string;
use crate::access_unit::{AccessUnit, CLOCK_RATE_HZ, Codec};
use std::collections::VecDeque;
use std::sync::Arc;

/// Presentation is this much later than decoding: more than cameras reorder.
const LEAD_TICKS: i64 = CLOCK_RATE_HZ as i64;
/// Frames whose distances are looked at.
const RECENT_FRAMES: usize = 12;
/// Before there are two frames.
const FIRST_FRAME_TICKS: i64 = CLOCK_RATE_HZ as i64 / 10;
const LONGEST_FRAME_TICKS: i64 = CLOCK_RATE_HZ as i64;

/// What a player needs before the first fragment, and before those of another coding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initialization {
    /// For `MediaSource.isTypeSupported`, as in `avc1.4d401f`.
    pub codec: String,
    /// What media time 0 is on the camera's timeline: a frame at media time `t` has the pts `zero_ticks + t × 90000`.
    pub zero_ticks: i64,
    /// `ftyp` and `moov`.
    pub segment: Vec<u8>,
}

/// What a frame becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where the coding differs from that of the frame before.
    pub initialization: Option<Initialization>,
    /// `moof` and `mdat`.
    pub fragment: Vec<u8>,
}

/// What MP4 doesn't state, or browsers have no name for: JPEG, VP8, and coding whose parameters aren't known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("frames of this coding aren't played from fragments of MP4")]
pub struct NotPlayable;

/// Makes the segments of one viewer.
#[derive(Debug, Default)]
pub struct Segments {
    /// What media time 0 is; set by the first frame.
    zero_ticks: Option<i64>,
    sample_entry: Option<Arc<[u8]>>,
    sequence: u32,
    /// Decode time and duration of the frame before.
    last: Option<(i64, i64)>,
    latest_ticks: i64,
    recent: VecDeque<i64>,
}

impl Segments {
    /// The next frame. The first is a keyframe. `None`: there is nothing in it.
    ///
    /// # Errors
    /// [`NotPlayable`].
    pub fn next(&mut self, unit: &AccessUnit) -> Result<Option<Segment>, NotPlayable> {
        let mut data = Vec::with_capacity(unit.data.len() + 64);
        match unit.codec {
            Codec::H264 | Codec::H265 => annex_b::append_length_prefixed(&unit.data, &mut data),
            Codec::Mjpeg | Codec::Vp8 => return Err(NotPlayable),
        }
        let entry = unit.sample_entry.as_ref().ok_or(NotPlayable)?;
        let size_bytes = u32::try_from(data.len()).map_err(|_| NotPlayable)?;
        if size_bytes == 0 {
            return Ok(None);
        }
        let zero_ticks = *self.zero_ticks.get_or_insert(unit.time_ticks - LEAD_TICKS);
        let is_new = self.sample_entry.as_deref() != Some(&**entry);
        let initialization = match is_new {
            true => Some(Initialization {
                codec: codec_string(entry).ok_or(NotPlayable)?,
                zero_ticks,
                segment: boxes::file_head(entry, unit.arrived_unix_ms / 1000),
            }),
            false => None,
        };
        self.sample_entry = Some(entry.clone());
        let shown = unit.time_ticks - zero_ticks;
        self.latest_ticks = self.latest_ticks.max(shown - LEAD_TICKS);
        let duration = self.frame_ticks(unit.time_ticks);
        let decode = self
            .last
            .map_or(0, |(decode, duration)| decode + (self.latest_ticks - decode).clamp(1, 2 * duration));
        self.last = Some((decode, duration));
        self.sequence = self.sequence.wrapping_add(1);
        let sample = Sample {
            duration_ticks: u32::try_from(duration).unwrap_or(1),
            size_bytes,
            is_keyframe: unit.is_keyframe,
            // A frame that is sent later than the lead allows is shown when it is decoded.
            composition_ticks: u32::try_from(shown - decode).unwrap_or(0),
        };
        let decode = u64::try_from(decode).unwrap_or(0);
        let fragment = boxes::fragment(self.sequence, decode, &[sample], &data);
        Ok(Some(Segment { initialization, fragment }))
    }

    /// For how long to state that a frame is shown.
    fn frame_ticks(&mut self, ticks: i64) -> i64 {
        self.recent.push_back(ticks);
        if self.recent.len() > RECENT_FRAMES {
            self.recent.pop_front();
        }
        // In the order in which they are shown.
        let mut shown: Vec<i64> = self.recent.iter().copied().collect();
        shown.sort_unstable();
        let mut apart: Vec<i64> = shown.windows(2).map(|pair| pair[1] - pair[0]).collect();
        apart.sort_unstable();
        let usual = apart.get(apart.len() / 2).copied().unwrap_or(FIRST_FRAME_TICKS);
        (usual * 3 / 2).clamp(1, LONGEST_FRAME_TICKS)
    }
}
