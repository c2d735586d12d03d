//! A look at a file's first and last boxes, to tell a cut-off mp4 from something that is no video at all.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Boxes walked before giving up: a hostile file of eight-byte boxes must not keep us for long.
const MAX_BOXES: usize = 4096;

/// Whether the file begins like an mp4 or mov and yet has no index box ("moov") among its top-level boxes.
pub(crate) fn is_mp4_without_index(path: &Path) -> bool {
    let Ok(mut file) = File::open(path) else { return false };
    let Ok(length) = file.metadata().map(|metadata| metadata.len()) else { return false };
    let mut position = 0_u64;
    for number in 0..MAX_BOXES {
        let mut head = [0_u8; 16];
        if file.seek(SeekFrom::Start(position)).is_err() {
            return false;
        }
        let read = read_up_to(&mut file, &mut head);
        if read < 8 {
            return number > 0;
        }
        let kind = [head[4], head[5], head[6], head[7]];
        if number == 0 && !matches!(&kind, b"ftyp" | b"mdat" | b"wide" | b"free") {
            return false;
        }
        if &kind == b"moov" {
            return false;
        }
        let size = match u32::from_be_bytes([head[0], head[1], head[2], head[3]]) {
            0 => return true, // reaches to the end of the file
            1 if read == 16 => u64::from_be_bytes([
                head[8], head[9], head[10], head[11], head[12], head[13], head[14], head[15],
            ]),
            size => u64::from(size),
        };
        if size < 8 {
            return false;
        }
        position = position.saturating_add(size);
        if position >= length {
            return true;
        }
    }
    false
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> usize {
    let mut filled = 0;
    while let Ok(count @ 1..) = file.read(&mut buffer[filled..]) {
        filled += count;
        if filled == buffer.len() {
            break;
        }
    }
    filled
}
