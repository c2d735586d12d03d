//! Detects truncated Matroska files, which libav doesn't report: the file is shorter than it states.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// How many bytes a Matroska or WebM file lacks compared with its segment's length; `None` if it is complete, if its writer left
/// the length open, or if it is something else.
pub(crate) fn bytes_missing_of_matroska(path: &Path) -> Option<u64> {
    const HEADER: [u8; 4] = [0x1A, 0x45, 0xDF, 0xA3];
    const SEGMENT: [u8; 4] = [0x18, 0x53, 0x80, 0x67];
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let mut start = [0_u8; 12];
    let read = read_up_to(&mut file, &mut start);
    let (header_size, size_bytes) = element_size(start.get(4..read)?)?;
    let segment = (4 + size_bytes as u64).checked_add(header_size?)?;
    file.seek(SeekFrom::Start(segment)).ok()?;
    let mut second = [0_u8; 12];
    let read = read_up_to(&mut file, &mut second);
    let (segment_size, size_bytes) = element_size(second.get(4..read)?)?;
    let end = segment.checked_add(4 + size_bytes as u64)?.checked_add(segment_size?)?;
    (start.starts_with(&HEADER) && second.starts_with(&SEGMENT)).then_some(())?;
    end.checked_sub(length).filter(|&missing| missing > 0)
}

/// An EBML size (RFC 8794, section 4): the number, `None` if it is unknown, and the bytes that it takes.
fn element_size(bytes: &[u8]) -> Option<(Option<u64>, usize)> {
    let first = *bytes.first().filter(|&&first| first > 0)?;
    let width = first.leading_zeros() as usize + 1;
    let rest = bytes.get(1..width)?;
    let value =
        rest.iter().fold(u64::from(first) & (0xFF >> width), |value, &byte| value << 8 | u64::from(byte));
    let unknown = (1_u64 << (7 * width)) - 1;
    Some(((value != unknown).then_some(value), width))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_as_rfc_8794_writes_them() {
        // The RFC's own examples: 2 in one to four bytes.
        for bytes in [&[0x82_u8][..], &[0x40, 0x02], &[0x20, 0x00, 0x02], &[0x10, 0x00, 0x00, 0x02]] {
            assert_eq!(element_size(bytes), Some((Some(2), bytes.len())));
        }
        assert_eq!(element_size(&[0xFF]), Some((None, 1)));
        assert_eq!(element_size(&[0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]), Some((None, 8)));
        assert_eq!(element_size(&[0x01, 0, 0, 0, 0, 0x10, 0, 0]), Some((Some(0x0010_0000), 8)));
        for bad in [&[][..], &[0x00; 12], &[0x40], &[0x01, 0, 0]] {
            assert_eq!(element_size(bad), None);
        }
    }
}
