//! Writes one recording.

use super::annex_b;
use super::boxes::{self, Sample};
use crate::access_unit::{AccessUnit, CLOCK_RATE_HZ, Codec};
use std::io::{self, Write};

/// A fragment is written when it is this long,
const FRAGMENT_TICKS: i64 = CLOCK_RATE_HZ as i64 / 2;
/// or this long and a keyframe follows: clips and players begin there,
const KEYFRAME_FRAGMENT_TICKS: i64 = CLOCK_RATE_HZ as i64 / 5;
/// or this large.
const FRAGMENT_BYTES: usize = 4 << 20;
/// Where frames are sent in another order than they are shown, presentation is this much later than decoding: more than cameras reorder.
/// Offsets are never negative then, which not all players understand.
const REORDERED_LEAD_TICKS: i64 = CLOCK_RATE_HZ as i64;
/// Of the last frame, if nothing better is known.
const USUAL_FRAME_TICKS: i64 = CLOCK_RATE_HZ as i64 / 15;

/// What has been written so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Time of the first frame on the camera's timeline.
    pub start_ticks: i64,
    /// End of the last frame.
    pub end_ticks: i64,
    /// Size of the file.
    pub size_bytes: u64,
    /// Frames in it.
    pub frames: u64,
}

/// A recording that is being written.
#[derive(Debug)]
pub struct RecordingWriter<W> {
    to: W,
    written: Written,
    /// Presentation of the first frame in the file.
    lead_ticks: i64,
    next_sequence: u32,
    /// Decode times never go back.
    next_decode_ticks: i64,
    /// Of the next fragment: when each frame is shown, its size, and whether it is a keyframe.
    collected: Vec<(i64, u32, bool)>,
    data: Vec<u8>,
}

impl<W: Write> RecordingWriter<W> {
    /// Begins a file for frames from `start_ticks` on. `is_reordered`: frames are sent in another order than they are shown.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn begin(
        mut to: W,
        sample_entry: &[u8],
        start_ticks: i64,
        started_unix_secs: i64,
        is_reordered: bool,
    ) -> io::Result<Self> {
        let head = boxes::file_head(sample_entry, started_unix_secs);
        to.write_all(&head)?;
        let written =
            Written { start_ticks, end_ticks: start_ticks, size_bytes: head.len() as u64, frames: 0 };
        Ok(Self {
            to,
            written,
            lead_ticks: if is_reordered { REORDERED_LEAD_TICKS } else { 0 },
            next_sequence: 1,
            next_decode_ticks: 0,
            collected: Vec::new(),
            data: Vec::new(),
        })
    }

    /// What is in the file; without the frames of the fragment that is being collected.
    pub fn written(&self) -> Written {
        self.written
    }

    /// When the latest frame is shown, written or collected.
    pub fn latest_ticks(&self) -> i64 {
        let collected = self.collected.iter().map(|&(ticks, ..)| ticks).max();
        collected.unwrap_or(self.written.end_ticks)
    }

    /// Adds a frame. Writes the fragment before it, if that is long enough.
    ///
    /// # Errors
    /// If it can't be written. The file is whole up to [`Self::written`] then.
    pub fn add(&mut self, unit: &AccessUnit) -> io::Result<()> {
        let collected_ticks = self.collected.first().map_or(0, |&(first, ..)| unit.time_ticks - first);
        let is_due = collected_ticks >= FRAGMENT_TICKS || self.data.len() >= FRAGMENT_BYTES;
        if is_due || (unit.is_keyframe && collected_ticks >= KEYFRAME_FRAGMENT_TICKS) {
            self.write_fragment(Some(unit.time_ticks))?;
        }
        let before = self.data.len();
        match unit.codec {
            Codec::H264 | Codec::H265 => annex_b::append_length_prefixed(&unit.data, &mut self.data),
            Codec::Mjpeg | Codec::Vp8 => self.data.extend_from_slice(&unit.data),
        }
        let size_bytes = u32::try_from(self.data.len() - before).unwrap_or(u32::MAX);
        if size_bytes > 0 {
            self.collected.push((unit.time_ticks, size_bytes, unit.is_keyframe));
        }
        Ok(())
    }

    /// Writes what was collected, and ends the file.
    ///
    /// # Errors
    /// If it can't be written. The file is whole up to what was written before.
    pub fn finish(mut self) -> io::Result<(W, Written)> {
        self.write_fragment(None)?;
        Ok((self.to, self.written))
    }

    /// `next_ticks`: when the first frame of the next fragment is shown.
    fn write_fragment(&mut self, next_ticks: Option<i64>) -> io::Result<()> {
        if self.collected.is_empty() {
            return Ok(());
        }
        let shown_in_file = |ticks: i64| ticks - self.written.start_ticks + self.lead_ticks;
        let latest_ticks = self.latest_ticks();
        // Frames are decoded in the order they were sent, at the times at which frames are shown.
        let mut decode: Vec<i64> =
            self.collected.iter().map(|&(ticks, ..)| ticks - self.written.start_ticks).collect();
        decode.sort_unstable();
        let mut earliest = self.next_decode_ticks;
        for ticks in &mut decode {
            *ticks = (*ticks).max(earliest);
            earliest = *ticks + 1;
        }
        let usual = decode.windows(2).last().map_or(USUAL_FRAME_TICKS, |pair| pair[1] - pair[0]);
        let end_ticks = next_ticks.unwrap_or(latest_ticks + usual).max(latest_ticks + 1);
        let last = decode.last().copied().unwrap_or(0);
        let end_of_last = (end_ticks - self.written.start_ticks).max(last + 1);
        let ends = decode.iter().copied().skip(1).chain([end_of_last]);
        let samples = self.collected.iter().zip(&decode).zip(ends).map(
            |((&(ticks, size_bytes, is_keyframe), &decode), end)| Sample {
                duration_ticks: u32::try_from(end - decode).unwrap_or(u32::MAX),
                size_bytes,
                is_keyframe,
                // A frame that is sent later than the lead allows is shown when it is decoded.
                composition_ticks: u32::try_from(shown_in_file(ticks) - decode).unwrap_or(0),
            },
        );
        let samples: Vec<Sample> = samples.collect();
        let first = decode.first().copied().unwrap_or(0);
        let fragment =
            boxes::fragment(self.next_sequence, u64::try_from(first).unwrap_or(0), &samples, &self.data);
        self.to.write_all(&fragment)?;
        self.written.size_bytes += fragment.len() as u64;
        self.written.frames += samples.len() as u64;
        self.written.end_ticks = end_ticks;
        self.next_sequence = self.next_sequence.wrapping_add(1);
        self.next_decode_ticks = last + 1;
        self.collected.clear();
        self.data.clear();
        Ok(())
    }
}
