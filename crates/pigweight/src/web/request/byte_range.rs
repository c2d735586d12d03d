//! The Range header.

/// The requested part of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum RangeRequest {
    /// All of it.
    Whole,
    /// First and last byte, both in the file.
    Part(u64, u64),
    /// It starts beyond the end.
    Outside,
}

/// RFC 9110, section 14.2: an invalid range is ignored, and a range that ends beyond the file ends with it. Multiple ranges
/// are ignored too, as the RFC allows: no player uses them.
pub fn requested_range(header: &[u8], size_bytes: u64) -> RangeRequest {
    let range = || {
        let (unit, range) = std::str::from_utf8(header).ok()?.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = range.trim().split_once('-')?;
        Some((place(first)?, place(last)?))
    };
    match range() {
        Some((Some(first), Some(last))) if first > last => RangeRequest::Whole,
        Some((Some(first), _)) if first >= size_bytes => RangeRequest::Outside,
        Some((Some(first), last)) => {
            let end = size_bytes - 1;
            RangeRequest::Part(first, last.map_or(end, |last| last.min(end)))
        }
        // The last bytes.
        Some((None, Some(count))) if count == 0 || size_bytes == 0 => RangeRequest::Outside,
        Some((None, Some(count))) => RangeRequest::Part(size_bytes.saturating_sub(count), size_bytes - 1),
        Some((None, None)) | None => RangeRequest::Whole,
    }
}

/// An offset in a file, empty if absent; `None` if it isn't a number. A number too large for any file is
/// beyond the end of each.
fn place(text: &str) -> Option<Option<u64>> {
    if text.is_empty() {
        return Some(None);
    }
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Some(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_clamped_and_invalid_ones_are_ignored() {
        for (header, expected) in [
            ("bytes=0-0", RangeRequest::Part(0, 0)),
            ("bytes=10-", RangeRequest::Part(10, 99)),
            ("Bytes=10-500", RangeRequest::Part(10, 99)),
            ("bytes=0-99999999999999999999999", RangeRequest::Part(0, 99)),
            ("bytes=-30", RangeRequest::Part(70, 99)),
            ("bytes=-300", RangeRequest::Part(0, 99)),
            ("bytes=100-", RangeRequest::Outside),
            ("bytes=99999999999999999999999-", RangeRequest::Outside),
            ("bytes=-0", RangeRequest::Outside),
            ("bytes=5-4", RangeRequest::Whole),
            ("bytes=-", RangeRequest::Whole),
            ("bytes=a-b", RangeRequest::Whole),
            ("bytes=0-1,5-6", RangeRequest::Whole),
            ("bytes 0-1", RangeRequest::Whole),
            ("frames=0-1", RangeRequest::Whole),
            ("", RangeRequest::Whole),
        ] {
            assert_eq!(requested_range(header.as_bytes(), 100), expected, "{header}");
        }
        assert_eq!(requested_range(b"bytes=\xff-", 100), RangeRequest::Whole);
        assert_eq!(requested_range(b"bytes=0-", 0), RangeRequest::Outside);
        assert_eq!(requested_range(b"bytes=-5", 0), RangeRequest::Outside);
    }
}
