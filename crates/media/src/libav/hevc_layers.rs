//! Temporal sub-layers of an H.265 stream (ITU-T H.265, 7.3.2.2 and ISO/IEC 14496-15, 8.3.3.1).
//!
//! A "sub-layer non-reference" picture isn't referenced within its own sub-layer, but may be by pictures of
//! the next one. Cameras with "SVC" switched on have several sub-layers: there such pictures can't be skipped.

const SEQUENCE_PARAMETER_SET: u8 = 33;

/// Whether a stream with this header has only one temporal layer. `false` if the header doesn't say.
pub(crate) fn has_one_layer(head: &[u8]) -> bool {
    let mut sets = match head.first() {
        // "hvcC": its version.
        Some(1) => units_of_record(head),
        _ => in_start_codes(head),
    };
    sets.retain(|unit| unit.first().is_some_and(|byte| byte >> 1 & 0x3F == SEQUENCE_PARAMETER_SET));
    // After the unit's own two bytes: sps_video_parameter_set_id u(4), sps_max_sub_layers_minus1 u(3).
    !sets.is_empty() && sets.iter().all(|unit| unit.get(2).is_some_and(|byte| byte >> 1 & 7 == 0))
}

/// The units of an HEVCDecoderConfigurationRecord.
pub(super) fn units_of_record(record: &[u8]) -> Vec<&[u8]> {
    fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
        let pair = bytes.get(at..at + 2)?;
        Some(usize::from(pair[0]) << 8 | usize::from(pair[1]))
    }
    let mut units = Vec::new();
    let mut read = || -> Option<()> {
        let mut at = 23;
        for _array in 0..*record.get(22)? {
            let count = u16_at(record, at + 1)?;
            at += 3;
            for _unit in 0..count {
                let length = u16_at(record, at)?;
                units.push(record.get(at + 2..at + 2 + length)?);
                at += 2 + length;
            }
        }
        Some(())
    };
    // A truncated unit says nothing.
    let _whole = read();
    units
}

/// The units between start codes (Annex B).
fn in_start_codes(stream: &[u8]) -> Vec<&[u8]> {
    const START: [u8; 3] = [0, 0, 1];
    let starts: Vec<usize> =
        stream.windows(3).enumerate().filter(|(_, bytes)| *bytes == START).map(|(at, _)| at + 3).collect();
    starts.iter().filter_map(|&start| stream.get(start..)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first bytes of a sequence parameter set with this many layers minus one.
    fn set(layers_minus_1: u8) -> Vec<u8> {
        vec![SEQUENCE_PARAMETER_SET << 1, 1, layers_minus_1 << 1 | 1, 0x60]
    }

    fn record(units: &[Vec<u8>]) -> Vec<u8> {
        let mut record = vec![1; 22];
        record.push(units.len() as u8);
        for unit in units {
            record.extend([unit[0] >> 1, 0, 1, 0, unit.len() as u8]);
            record.extend(unit);
        }
        record
    }

    #[test]
    fn layers_are_read_from_both_kinds_of_heads() {
        let other = vec![32 << 1, 1, 0xFF];
        for (layers_minus_1, is_one) in [(0, true), (1, false), (2, false), (6, false)] {
            let units = [other.clone(), set(layers_minus_1)];
            assert_eq!(has_one_layer(&record(&units)), is_one);
            let stream: Vec<u8> = units.iter().flat_map(|unit| [&[0, 0, 0, 1][..], unit].concat()).collect();
            assert_eq!(has_one_layer(&stream), is_one);
        }
        assert!(!has_one_layer(&record(&[set(0), set(2)])), "one set with more is enough");
    }

    #[test]
    fn an_unreadable_header_allows_no_layers() {
        let whole = record(&[set(0)]);
        for length in 0..whole.len() - 1 {
            assert!(!has_one_layer(&whole[..length]) || length > whole.len() - 4, "{length}");
        }
        for head in [&[][..], &[1], &[0, 0, 1], &[0, 0, 1, 66], &[0xFF; 64]] {
            assert!(!has_one_layer(head));
        }
    }
}
