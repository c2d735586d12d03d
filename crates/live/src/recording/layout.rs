//! What a recording's file holds: its fragments, found by their boxes. Reads files that [`super::writer`] wrote, also those that a crash cut off.

use super::boxes::{self, DECODE_TIME_AT, FIRST_SAMPLE_AT, SAMPLE_BYTES, SAMPLE_COUNT_AT};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

/// Of the boxes before a fragment's data. Thousands of frames.
const MOST_TABLE_BYTES: u64 = 1 << 20;
/// Fragments of one file: hours.
const MOST_FRAGMENTS: usize = 100_000;

/// A fragment of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Its bytes.
    pub bytes: Range<u64>,
    /// Decode time of its first frame, ticks from the file's start.
    pub decode_ticks: u64,
    /// Sum of its frames' durations.
    pub duration_ticks: u64,
    /// Frames in it.
    pub frames: u32,
    /// Its first frame is a keyframe.
    pub starts_with_keyframe: bool,
}

/// The parts of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileLayout {
    /// Bytes before the first fragment: what a player needs for any of them.
    pub head_bytes: u64,
    /// Presentation of the first frame, ticks from the file's start: more than 0 where frames are reordered.
    pub lead_ticks: u64,
    /// In their order.
    pub fragments: Vec<Fragment>,
}

/// Why a file can't be read.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The system's error.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It wasn't written by this program.
    #[error("it is no recording of a camera: {0}")]
    Foreign(&'static str),
}

struct BoxHead {
    start: u64,
    kind: [u8; 4],
    end: u64,
}

impl FileLayout {
    /// Reads the tables of a file. What was half written at its end is left out.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn read(file: &mut (impl Read + Seek)) -> Result<Self, LayoutError> {
        let length = file.seek(SeekFrom::End(0))?;
        let mut layout = Self::default();
        let mut at = 0;
        if length >= 8 {
            file.seek(SeekFrom::Start(4))?;
            let mut kind = [0; 4];
            file.read_exact(&mut kind)?;
            if &kind != b"ftyp" && kind != [0; 4] {
                return Err(LayoutError::Foreign("it doesn't begin as an MP4 file"));
            }
        }
        while let Some(head) = read_head(file, at, length)? {
            at = head.end;
            match &head.kind {
                b"ftyp" => {}
                b"moov" => layout.head_bytes = head.end,
                b"moof" if layout.head_bytes > 0 => {
                    let table = read_table(file, &head)?;
                    let Some(data) = read_head(file, head.end, length)? else { break };
                    if &data.kind != b"mdat" {
                        return Err(LayoutError::Foreign("a fragment has no data"));
                    }
                    if layout.fragments.len() >= MOST_FRAGMENTS {
                        return Err(LayoutError::Foreign("it has too many fragments"));
                    }
                    let fragment = fragment(&table, head.start..data.end)?;
                    if layout.fragments.is_empty() {
                        let composition = &table[FIRST_SAMPLE_AT + 12..FIRST_SAMPLE_AT + 16];
                        layout.lead_ticks =
                            composition.iter().fold(0, |all, &byte| all << 8 | u64::from(byte));
                    }
                    layout.fragments.push(fragment);
                    at = data.end;
                }
                _ => return Err(LayoutError::Foreign("it contains boxes that are never written")),
            }
        }
        Ok(layout)
    }

    /// Bytes that belong together; what follows was half written.
    pub fn whole_bytes(&self) -> u64 {
        self.fragments.last().map_or(self.head_bytes, |last| last.bytes.end)
    }

    /// From the first decode time to the end of the last frame.
    pub fn duration_ticks(&self) -> u64 {
        self.fragments.last().map_or(0, |last| last.decode_ticks + last.duration_ticks)
    }

    /// Frames in it.
    pub fn frames(&self) -> u64 {
        self.fragments.iter().map(|fragment| u64::from(fragment.frames)).sum()
    }
}

/// `None` where the box isn't whole.
fn read_head(file: &mut (impl Read + Seek), at: u64, length: u64) -> Result<Option<BoxHead>, LayoutError> {
    if at + 8 > length {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(at))?;
    let mut head = [0; 8];
    file.read_exact(&mut head)?;
    let [a, b, c, d, kind @ ..] = head;
    let size = u64::from(u32::from_be_bytes([a, b, c, d]));
    // A file system may have kept the length and lost the bytes.
    if size < 8 && kind != [0; 4] {
        return Err(LayoutError::Foreign("a box is smaller than its head"));
    }
    Ok((size >= 8 && at + size <= length).then_some(BoxHead { start: at, kind, end: at + size }))
}

fn read_table(file: &mut (impl Read + Seek), head: &BoxHead) -> Result<Vec<u8>, LayoutError> {
    let length = head.end - head.start;
    if length > MOST_TABLE_BYTES {
        return Err(LayoutError::Foreign("a fragment's table is too large"));
    }
    file.seek(SeekFrom::Start(head.start))?;
    let mut table = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact(&mut table)?;
    Ok(table)
}

fn fragment(table: &[u8], bytes: Range<u64>) -> Result<Fragment, LayoutError> {
    const OTHER: LayoutError = LayoutError::Foreign("a fragment's table has another layout");
    let u32_at = |at: usize| {
        let bytes = table.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_be_bytes).ok_or(OTHER)
    };
    let frames = u32_at(SAMPLE_COUNT_AT)?;
    let is_ours = table.get(DECODE_TIME_AT - 8..DECODE_TIME_AT - 4) == Some(b"tfdt")
        && table.len() as u64 == FIRST_SAMPLE_AT as u64 + u64::from(frames) * SAMPLE_BYTES as u64
        && frames > 0;
    if !is_ours {
        return Err(OTHER);
    }
    let decode_ticks = u64::from(u32_at(DECODE_TIME_AT)?) << 32 | u64::from(u32_at(DECODE_TIME_AT + 4)?);
    let samples = table[FIRST_SAMPLE_AT..].chunks_exact(SAMPLE_BYTES);
    let durations = samples.map(|sample| u32::from_be_bytes([sample[0], sample[1], sample[2], sample[3]]));
    Ok(Fragment {
        bytes,
        decode_ticks,
        duration_ticks: durations.map(u64::from).sum(),
        frames,
        starts_with_keyframe: boxes::is_keyframe(u32_at(FIRST_SAMPLE_AT + 8)?),
    })
}

/// Sets the decode time of a fragment's bytes, for another file.
///
/// # Errors
/// If these are no fragment's bytes.
pub fn set_decode_ticks(fragment: &mut [u8], decode_ticks: u64) -> Result<(), LayoutError> {
    let place = fragment.get_mut(DECODE_TIME_AT..DECODE_TIME_AT + 8);
    let place = place.ok_or(LayoutError::Foreign("a fragment is cut off"))?;
    place.copy_from_slice(&decode_ticks.to_be_bytes());
    Ok(())
}
