//! NAL units of H.264 and H.265: framing, and random access points.

/// Framing of NAL units in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// By start codes (Annex B).
    StartCodes,
    /// By their length before each, in so many bytes (ISO/IEC 14496-15).
    Lengths(u8),
}

impl Framing {
    /// Of a stream with this header: "avcC", "hvcC", or none.
    pub(crate) fn of_head(codec: &str, head: &[u8]) -> Self {
        let length_byte = match (codec, head.first()) {
            ("h264", Some(1)) => head.get(4),
            ("hevc", Some(1)) => head.get(21),
            _ => None,
        };
        length_byte.map_or(Self::StartCodes, |byte| Self::Lengths((byte & 3) + 1))
    }
}

/// Where decoding that begins with a packet gives the right pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// From its own picture on.
    Here,
    /// From its own picture on; those that follow it but are shown before it need others (an open group of pictures). `is_broken`: those are
    /// gone, whatever comes before.
    Open { is_broken: bool },
    /// After so many pictures that others refer to: an encoder renews its picture bit by bit (intra refresh).
    After(u32),
    /// Nowhere that is known: another picture is needed before it.
    Nowhere,
}

/// Bytes at a unit's beginning that can matter here.
const HEAD_BYTES: usize = 256;

/// The units of a packet, without their framing; up to the first one that is cut.
pub(crate) fn units(bytes: &[u8], framing: Framing) -> Vec<&[u8]> {
    match framing {
        Framing::StartCodes => between_start_codes(bytes),
        Framing::Lengths(length_bytes) => {
            let (mut rest, mut found) = (bytes, Vec::new());
            while let Some((length, after)) = rest.split_at_checked(usize::from(length_bytes.clamp(1, 4))) {
                let length = length.iter().fold(0, |length, &byte| length << 8 | usize::from(byte));
                let Some((unit, after)) = after.split_at_checked(length) else { break };
                if !unit.is_empty() {
                    found.push(unit);
                }
                rest = after;
            }
            found
        }
    }
}

fn between_start_codes(bytes: &[u8]) -> Vec<&[u8]> {
    let mut starts = Vec::new();
    let mut at = 0;
    while let Some(&third) = bytes.get(at + 2) {
        match (bytes[at], bytes[at + 1], third) {
            (0, 0, 1) => {
                starts.push(at + 3);
                at += 3;
            }
            // No start code can begin before a byte that is in none.
            (_, _, 2..) => at += 3,
            _ => at += 1,
        }
    }
    let ends = starts.iter().skip(1).map(|&next| next - 3).chain([bytes.len()]);
    let unit = |(&start, end): (&usize, usize)| {
        let unit = &bytes[start..end];
        // Zeros before the next start code belong to it.
        let length = unit.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        &unit[..length]
    };
    starts.iter().zip(ends).map(unit).filter(|unit| !unit.is_empty()).collect()
}

/// Units with start codes before them.
pub(crate) fn with_start_codes<'a>(units: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    units.into_iter().flat_map(|unit| [&[0, 0, 0, 1][..], unit]).flatten().copied().collect()
}

/// Whether a unit is a parameter set that describes the stream (sequence, picture; in H.265 the video's too).
pub(crate) fn is_parameter_set(codec: &str, unit: &[u8]) -> bool {
    match (codec, unit.first()) {
        ("h264", Some(byte)) => matches!(byte & 31, 7 | 8 | 13),
        ("hevc", Some(byte)) => matches!(byte >> 1 & 63, 32..=34),
        _ => false,
    }
}

/// Whether a stream's header has its parameter sets. An "avcC" or "hvcC" may be there without any, and says so in its counts
/// (ISO/IEC 14496-15, 5.3.3.1 and 8.3.3.1).
pub(crate) fn head_has_sets(codec: &str, head: &[u8]) -> bool {
    match (codec, Framing::of_head(codec, head)) {
        (_, Framing::StartCodes) => {
            units(head, Framing::StartCodes).iter().any(|unit| is_parameter_set(codec, unit))
        }
        ("h264", _) => head.get(5).is_some_and(|count| count & 31 > 0),
        (_, _) => super::hevc_layers::units_of_record(head).iter().any(|unit| is_parameter_set(codec, unit)),
    }
}

/// What a packet that its container calls a keyframe is. Other codecs than H.264 and H.265 are believed.
pub(crate) fn start(codec: &str, bytes: &[u8], framing: Framing) -> Start {
    let units = units(bytes, framing);
    match codec {
        "h264" => start_of_h264(&units),
        "hevc" => start_of_h265(&units),
        _ => Start::Here,
    }
}

/// Whether other pictures refer to a packet's picture.
pub(crate) fn is_reference(codec: &str, bytes: &[u8], framing: Framing) -> bool {
    let units = units(bytes, framing);
    let of_picture = |unit: &&&[u8]| match codec {
        "h264" => matches!(unit[0] & 31, 1..=5),
        _ => unit[0] >> 1 & 63 < 32,
    };
    match (codec, units.iter().find(of_picture)) {
        ("h264", Some(unit)) => unit[0] >> 5 & 3 != 0,
        // Sub-layer non-reference pictures have even types below 16 (ITU-T H.265, table 7-1).
        ("hevc", Some(unit)) => !matches!(unit[0] >> 1 & 63, kind @ 0..=15 if kind % 2 == 0),
        _ => true,
    }
}

/// Whether it is a picture that can't be decoded where decoding starts at the random access before it (ITU-T H.265, "RASL").
pub(crate) fn is_skipped_leading(codec: &str, bytes: &[u8], framing: Framing) -> bool {
    let kinds = units(bytes, framing).into_iter().map(|unit| unit[0] >> 1 & 63);
    codec == "hevc" && kinds.filter(|&kind| kind < 32).any(|kind| matches!(kind, 8 | 9))
}

/// An instantaneous refresh, or a picture that refers to none; its second field may refer to its first (ITU-T H.264, 7.4.1.2.4).
fn start_of_h264(units: &[&[u8]]) -> Start {
    const REFRESH: u8 = 5;
    let (mut recovery, mut slices, mut is_intra) = (None, 0, true);
    for unit in units {
        match unit[0] & 31 {
            REFRESH => return Start::Here,
            6 => recovery = recovery.or_else(|| recovery_point(&unit[1..])),
            1 | 2 => {
                let head = unescaped(&unit[1..]);
                let mut bits = Bits { bytes: &head, at: 0 };
                let (Some(first_block), Some(kind)) = (bits.unsigned(), bits.unsigned()) else { break };
                if first_block == 0 && slices > 0 {
                    break;
                }
                slices += 1;
                // I or SI; from 5 on "like all others of the picture".
                is_intra &= matches!(kind % 5, 2 | 4);
            }
            _ => {}
        }
    }
    match (slices, is_intra, recovery) {
        // Nothing that can be judged: the container is believed.
        (0, _, _) => Start::Here,
        (_, true, None) => Start::Open { is_broken: false },
        (_, true, Some(RecoveryPoint { count: 0, is_broken })) => Start::Open { is_broken },
        (_, _, Some(RecoveryPoint { count: frames @ 1.., .. })) => Start::After(frames),
        (_, false, _) => Start::Nowhere,
    }
}

/// An intra random access point.
fn start_of_h265(units: &[&[u8]]) -> Start {
    const PREFIX_MESSAGE: u8 = 39;
    let kind = |unit: &[u8]| unit[0] >> 1 & 63;
    match units.iter().map(|unit| kind(unit)).find(|&kind| kind < 32) {
        None | Some(19 | 20 | 22 | 23) => Start::Here,
        // Broken links, with leading pictures and without; and a clean random access.
        Some(16..=18) => Start::Open { is_broken: true },
        Some(21) => Start::Open { is_broken: false },
        Some(_) => {
            let messages = units.iter().filter(|unit| kind(unit) == PREFIX_MESSAGE);
            let recovery = messages.filter_map(|unit| recovery_point(unit.get(2..)?)).next();
            // Signed there: an odd code is positive, a count of (code + 1) / 2.
            match recovery {
                Some(RecoveryPoint { count: code, .. }) if code % 2 == 1 => Start::After(code / 2 + 1),
                _ => Start::Nowhere,
            }
        }
    }
}

/// What a "recovery point" message says (ITU-T H.264, D.1.8; H.265, D.2.8).
#[derive(Clone, Copy)]
struct RecoveryPoint {
    /// Its first number.
    count: u32,
    is_broken: bool,
}

/// The one among a unit's messages.
fn recovery_point(messages: &[u8]) -> Option<RecoveryPoint> {
    const RECOVERY_POINT: usize = 6;
    let messages = unescaped(messages);
    let mut rest = messages.as_slice();
    while rest.len() > 2 {
        let mut number = || -> Option<usize> {
            let mut sum = 0;
            loop {
                let (&byte, after) = rest.split_first()?;
                rest = after;
                sum += usize::from(byte);
                if byte != 255 {
                    return Some(sum);
                }
            }
        };
        let (kind, size) = (number()?, number()?);
        if kind == RECOVERY_POINT {
            let mut bits = Bits { bytes: rest, at: 0 };
            let (count, _is_exact, is_broken) = (bits.unsigned()?, bits.bit()?, bits.bit()?);
            return Some(RecoveryPoint { count, is_broken: is_broken == 1 });
        }
        rest = rest.get(size..)?;
    }
    None
}

/// A unit's beginning without the bytes that keep start codes out of it.
fn unescaped(unit: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(unit.len().min(HEAD_BYTES));
    for &byte in unit.iter().take(HEAD_BYTES) {
        if byte == 3 && plain.ends_with(&[0, 0]) {
            // The next byte counts as one after other than zeros, which can't be told from the bytes kept; a start code's escape
            // never follows at once.
            continue;
        }
        plain.push(byte);
    }
    plain
}

/// Reads bits, the highest first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn bit(&mut self) -> Option<u32> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit.into())
    }

    /// An Exp-Golomb code (ITU-T H.264, 9.1).
    fn unsigned(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let mut value = 1_u32;
        for _ in 0..zeros {
            value = value << 1 | self.bit()?;
        }
        Some(value - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODES: Framing = Framing::StartCodes;

    fn packet(units: &[&[u8]]) -> Vec<u8> {
        with_start_codes(units.iter().copied())
    }

    #[test]
    fn units_are_found_in_both_framings_and_cut_ones_are_left_out() {
        let bytes = [0, 0, 1, 9, 16, 0, 0, 0, 1, 7, 2, 3, 0, 0, 1, 8];
        assert_eq!(units(&bytes, CODES), [&[9, 16][..], &[7, 2, 3], &[8]]);
        let lengths = [0, 2, 9, 16, 0, 0, 0, 3, 7, 2, 3, 0, 9, 8];
        assert_eq!(units(&lengths, Framing::Lengths(2)), [&[9, 16][..], &[7, 2, 3]]);
        for framing in [CODES, Framing::Lengths(4), Framing::Lengths(0)] {
            for bytes in [&[][..], &[0], &[0, 0, 1], &[255; 9], &[0; 9]] {
                assert_eq!(units(bytes, framing), Vec::<&[u8]>::new(), "{bytes:?}");
            }
        }
    }

    #[test]
    fn a_start_is_where_decoding_gives_right_pictures() {
        // first_mb 0, then the kind of slice: `1 1` is 0 and 0 (P), `1 011` 2 (I), `1 0001000` 7 (I), `010 1` block 1 and P.
        let (p, i, all_i, p_below): (&[u8], &[u8], &[u8], &[u8]) =
            (&[0x61, 0b1100_0000], &[0x61, 0b1011_0000], &[0x61, 0b1000_1000], &[0x61, 0b0101_0000]);
        let idr: &[u8] = &[0x65, 0x88];
        // Payload 6 of one byte after one of kind 5: ue 0, and ue 23 (`0000 11000`).
        let now: &[u8] = &[6, 5, 2, 7, 7, 6, 1, 0b1100_0000, 0x80];
        let broken: &[u8] = &[6, 6, 1, 0b1110_0000, 0x80];
        let later: &[u8] = &[6, 6, 2, 0b0000_1100, 0b0100_0000, 0x80];
        for (units, expected) in [
            (vec![idr], Start::Here),
            (vec![later, idr], Start::Here),
            (vec![i], Start::Open { is_broken: false }),
            (vec![now, all_i], Start::Open { is_broken: false }),
            (vec![broken, all_i], Start::Open { is_broken: true }),
            (vec![later, p], Start::After(23)),
            (vec![p], Start::Nowhere),
            (vec![now, p], Start::Nowhere),
            // The upper part alone is renewed.
            (vec![i, p_below], Start::Nowhere),
            (vec![later, i, p_below], Start::After(23)),
            // Two fields, the second predicted from the first.
            (vec![now, i, p], Start::Open { is_broken: false }),
            (vec![&[9, 16]], Start::Here),
        ] {
            assert_eq!(start("h264", &packet(&units), CODES), expected, "{units:x?}");
        }
        for (kind, expected) in [
            (1, Start::Nowhere),
            (16, Start::Open { is_broken: true }),
            (19, Start::Here),
            (21, Start::Open { is_broken: false }),
        ] {
            let units: [&[u8]; 2] = [&[32 << 1, 1, 9], &[kind << 1, 1, 0x80]];
            assert_eq!(start("hevc", &packet(&units), CODES), expected, "{kind}");
        }
        let soon: &[u8] = &[39 << 1, 1, 6, 1, 0b0010_0000, 0x80];
        assert_eq!(start("hevc", &packet(&[soon, &[1 << 1, 1, 0x80]]), CODES), Start::After(2));
        assert_eq!(start("vp9", &[1, 2, 3], CODES), Start::Here);
    }

    #[test]
    fn any_bytes_are_judged_without_a_panic() {
        let mut bytes: Vec<u8> = Vec::new();
        let mut state = 1_u32;
        for _ in 0..3000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            bytes.push(if state >> 30 == 0 { 0 } else { (state >> 24) as u8 });
            if bytes.len() > 40 {
                bytes.clear();
            }
            for codec in ["h264", "hevc"] {
                for framing in [CODES, Framing::Lengths(1), Framing::Lengths(4)] {
                    start(codec, &bytes, framing);
                    is_reference(codec, &bytes, framing);
                }
            }
        }
    }
}
