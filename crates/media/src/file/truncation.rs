//! Detects truncated files that libav reads without an error.

use crate::file::matroska_length::bytes_missing_of_matroska;
use crate::libav::{Input, StreamInfo};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// RIFF parts of one file: each holds a gigabyte.
const MOST_RIFF_PARTS: usize = 4096;

/// Packets that the container promises, before any is read; 0 if it doesn't.
pub(crate) fn frames_promised(input: &Input, stream: &StreamInfo) -> usize {
    // The table's own number counts what an edit list cuts off.
    let is_mp4 = input.format_name().contains("mp4");
    if is_mp4 && stream.frames_promised > 0 {
        return input.listed_packets(stream.index).len();
    }
    usize::try_from(stream.frames_promised).unwrap_or(0)
}

/// What is missing, in one sentence.
pub(crate) fn of(path: &Path, input: &Input, promised: usize, read: usize) -> Option<String> {
    // An AVI counts frames that its recorder dropped and that have no bytes.
    let is_avi = input.format_name() == "avi";
    if promised > read && !(is_avi && is_whole_riff(path)) {
        return Some(format!("only {read} of {promised} frames are in the file"));
    }
    bytes_missing_of_matroska(path).map(|bytes| format!("its last {bytes} bytes are missing"))
}

/// Whether the parts of a RIFF file have the sizes that they state, and nothing of the last is missing.
fn is_whole_riff(path: &Path) -> bool {
    let read = || -> std::io::Result<bool> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut place = 0;
        for _ in 0..MOST_RIFF_PARTS {
            if place + 8 > length {
                return Ok(place > 0);
            }
            let mut head = [0; 8];
            file.seek(SeekFrom::Start(place))?;
            file.read_exact(&mut head)?;
            let [kind @ .., a, b, c, d] = head;
            let size = u64::from(u32::from_le_bytes([a, b, c, d]));
            // Bytes of another kind behind the last part don't matter.
            if &kind != b"RIFF" || size == 0 {
                return Ok(place > 0 && &kind != b"RIFF");
            }
            place += 8 + size + size % 2;
            // Some writers leave out the last byte of padding.
            if place > length + 1 {
                return Ok(false);
            }
        }
        Ok(false)
    };
    read().unwrap_or(false)
}
