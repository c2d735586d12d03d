//! Annex B (ITU-T H.264 and H.265) to the length-prefixed form of MP4.

/// Appends the NAL units of an access unit, each behind its length in four bytes.
///
/// Parameter sets stay among them: a camera may have several, and the sample entry names one of each.
pub(super) fn append_length_prefixed(annex_b: &[u8], to: &mut Vec<u8>) {
    for unit in nal_units(annex_b) {
        // An access unit is bounded by far less than 4 GiB.
        let length = u32::try_from(unit.len()).unwrap_or(u32::MAX);
        to.extend_from_slice(&length.to_be_bytes());
        to.extend_from_slice(unit);
    }
}

/// What lies between start codes, without the zeros that may follow a unit. A unit never ends in a zero.
fn nal_units(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = start_code(data).map(|start| &data[start + 3..]);
    std::iter::from_fn(move || {
        let unit_and_rest = rest?;
        let end = start_code(unit_and_rest);
        rest = end.map(|end| &unit_and_rest[end + 3..]);
        let unit = &unit_and_rest[..end.unwrap_or(unit_and_rest.len())];
        let length = unit.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        Some(&unit[..length])
    })
    .filter(|unit| !unit.is_empty())
}

/// Where the next `00 00 01` begins.
fn start_code(data: &[u8]) -> Option<usize> {
    data.windows(3).position(|bytes| bytes == [0, 0, 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_split_at_start_codes_of_either_length() {
        let table: [(&[u8], &[&[u8]]); 7] = [
            (&[], &[]),
            (&[1, 2, 3], &[]),
            (&[0, 0, 1, 0x67, 1], &[&[0x67, 1]]),
            (&[0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68], &[&[0x67, 1], &[0x68]]),
            (&[0, 0, 1, 0x67, 0, 0, 0, 0, 1, 0x68, 0, 0], &[&[0x67], &[0x68]]),
            (&[0, 0, 1, 0, 0, 1, 0x65], &[&[0x65]]),
            (&[9, 0, 0, 1, 0x65, 0, 0, 3, 1], &[&[0x65, 0, 0, 3, 1]]),
        ];
        for (data, expected) in table {
            assert_eq!(nal_units(data).collect::<Vec<_>>(), expected, "{data:?}");
        }
        let mut to = Vec::new();
        append_length_prefixed(&[0, 0, 1, 7, 1, 0, 0, 1, 8], &mut to);
        assert_eq!(to, [0, 0, 0, 2, 7, 1, 0, 0, 0, 1, 8]);
    }
}
