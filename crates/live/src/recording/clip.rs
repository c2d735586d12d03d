//! A stretch of a camera out of its recordings, as one file: fragments copied as they are, with their times moved.
//!
//! A stretch begins at the last keyframe before it that the recordings have, and ends with the fragment that its end lies in. Gaps stay gaps.

use super::boxes;
use super::layout::{FileLayout, Fragment, LayoutError, set_decode_ticks};
use super::writer::Written;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

/// A fragment is copied through memory; the writer makes none that is larger.
const MOST_FRAGMENT_BYTES: u64 = 64 << 20;

/// A recording that a clip may take from.
#[derive(Debug)]
pub struct ClipPart<F> {
    /// Its file.
    pub file: F,
    /// What the file holds.
    pub layout: FileLayout,
    /// Of its first frame on the camera's timeline.
    pub start_ticks: i64,
}

/// Why there is no clip.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A recording can't be read.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Nothing of the stretch is recorded.
    #[error("nothing of it is recorded")]
    Empty,
    /// The camera's coding or picture size changes within the stretch.
    #[error("what the camera sends changes within it, at {ticks} ticks")]
    Changed {
        /// The first frame that is coded in another way.
        ticks: i64,
    },
}

struct Taken {
    part: usize,
    fragment: Fragment,
    /// On the camera's timeline.
    ticks: i64,
}

/// What a clip of this stretch would hold: its first frame and the end of its last, on the camera's timeline.
///
/// # Errors
/// [`ClipError::Empty`].
pub fn clip_range<F>(parts: &[ClipPart<F>], stretch: &Range<i64>) -> Result<Range<i64>, ClipError> {
    let taken = take(parts, stretch);
    let (Some(first), Some(last)) = (taken.first(), taken.last()) else { return Err(ClipError::Empty) };
    Ok(first.ticks..last.ticks + i64::try_from(last.fragment.duration_ticks).unwrap_or(0))
}

/// Writes the clip of a stretch. `parts` are in the order of time; `started_unix_secs` is the time of day of the clip's first frame.
///
/// # Errors
/// [`ClipError`]. What was written is of no use then.
pub fn write_clip<F: Read + Seek>(
    parts: &mut [ClipPart<F>],
    stretch: &Range<i64>,
    started_unix_secs: i64,
    to: &mut impl Write,
) -> Result<Written, ClipError> {
    let range = clip_range(parts, stretch)?;
    let taken = take(parts, stretch);
    let entries: Vec<Vec<u8>> = parts.iter_mut().map(sample_entry).collect::<Result<_, _>>()?;
    let entry = taken.first().map(|first| &entries[first.part]).ok_or(ClipError::Empty)?;
    let head = boxes::file_head(entry, started_unix_secs);
    to.write_all(&head)?;
    let mut size_bytes = head.len() as u64;
    let mut frames = 0;
    let mut lead_ticks = None;
    for Taken { part, fragment, ticks } in taken {
        let mut bytes = read(&mut parts[part].file, fragment.bytes.clone())?;
        // Frames of another lead would be shown at other times.
        let lead = *lead_ticks.get_or_insert(parts[part].layout.lead_ticks);
        if entries[part] != *entry || lead != parts[part].layout.lead_ticks {
            return Err(ClipError::Changed { ticks });
        }
        set_decode_ticks(&mut bytes, u64::try_from(ticks - range.start).unwrap_or(0))?;
        to.write_all(&bytes)?;
        size_bytes += bytes.len() as u64;
        frames += u64::from(fragment.frames);
    }
    Ok(Written { start_ticks: range.start, end_ticks: range.end, size_bytes, frames })
}

fn take<F>(parts: &[ClipPart<F>], stretch: &Range<i64>) -> Vec<Taken> {
    let all = parts.iter().enumerate().flat_map(|(part, recording)| {
        recording.layout.fragments.iter().map(move |fragment| Taken {
            part,
            fragment: fragment.clone(),
            ticks: recording.start_ticks + i64::try_from(fragment.decode_ticks).unwrap_or(i64::MAX),
        })
    });
    let all: Vec<Taken> = all.filter(|taken| taken.ticks < stretch.end).collect();
    // The last keyframe before the stretch whose frames reach into it, or the first one in it.
    let ends = |place: usize| {
        let taken = &all[place];
        taken.ticks + i64::try_from(taken.fragment.duration_ticks).unwrap_or(0)
    };
    let Some(first) = (0..all.len()).find(|&place| ends(place) > stretch.start) else { return Vec::new() };
    let is_same_file = |place: usize| all[place].part == all[first].part;
    let start = (0..=first)
        .rev()
        .take_while(|&place| is_same_file(place))
        .find(|&place| all[place].fragment.starts_with_keyframe)
        .or_else(|| (first..all.len()).find(|&place| all[place].fragment.starts_with_keyframe));
    start.map_or_else(Vec::new, |start| all.into_iter().skip(start).collect())
}

fn sample_entry<F: Read + Seek>(part: &mut ClipPart<F>) -> Result<Vec<u8>, ClipError> {
    let head = read(&mut part.file, 0..part.layout.head_bytes)?;
    boxes::sample_entry(&head)
        .map(<[u8]>::to_vec)
        .ok_or(LayoutError::Foreign("it has no sample entry").into())
}

fn read(file: &mut (impl Read + Seek), bytes: Range<u64>) -> Result<Vec<u8>, ClipError> {
    let length = bytes.end - bytes.start;
    if length > MOST_FRAGMENT_BYTES {
        return Err(LayoutError::Foreign("a fragment is too large").into());
    }
    file.seek(SeekFrom::Start(bytes.start))?;
    let mut read = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact(&mut read)?;
    Ok(read)
}
