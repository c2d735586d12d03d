//! How browsers name a codec (RFC 6381, ISO/IEC 14496-15 annex E), read from its sample entry.

/// Of a `VisualSampleEntry` box: its own head and fields, before the boxes in it.
const VISUAL_SAMPLE_ENTRY_BYTES: usize = 86;

/// For `MediaSource.isTypeSupported`: `avc1.4d401f`, `hvc1.1.6.L93.B0`. `None`: the entry is neither H.264's nor H.265's, or is damaged.
pub fn codec_string(sample_entry: &[u8]) -> Option<String> {
    let kind = sample_entry.get(4..8)?;
    match kind {
        b"avc1" | b"avc3" => {
            let config = content(sample_entry, b"avcC")?;
            let [_, profile, constraints, level, ..] = *config else { return None };
            Some(format!("{}.{profile:02x}{constraints:02x}{level:02x}", std::str::from_utf8(kind).ok()?))
        }
        b"hvc1" | b"hev1" => h265(std::str::from_utf8(kind).ok()?, content(sample_entry, b"hvcC")?),
        _ => None,
    }
}

fn h265(kind: &str, config: &[u8]) -> Option<String> {
    let profile = config.get(1)?;
    let space = match profile >> 6 {
        0 => "",
        1 => "A",
        2 => "B",
        _ => "C",
    };
    let compatible = u32::from_be_bytes(config.get(2..6)?.try_into().ok()?).reverse_bits();
    let tier = if profile & 0x20 == 0 { 'L' } else { 'H' };
    let constraints = config.get(6..12)?;
    let level = config.get(12)?;
    let mut name = format!("{kind}.{space}{}.{compatible:X}.{tier}{level}", profile & 0x1f);
    let stated = constraints.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    for byte in &constraints[..stated] {
        name += &format!(".{byte:X}");
    }
    Some(name)
}

/// What a box in the sample entry holds.
fn content<'a>(sample_entry: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    let mut rest = sample_entry.get(VISUAL_SAMPLE_ENTRY_BYTES..)?;
    loop {
        let length = usize::try_from(u32::from_be_bytes(rest.get(..4)?.try_into().ok()?)).ok()?;
        let content = rest.get(8..length)?;
        if rest.get(4..8)? == kind {
            return Some(content);
        }
        rest = rest.get(length..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &[u8; 4], boxes: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut entry = vec![0; VISUAL_SAMPLE_ENTRY_BYTES];
        entry[4..8].copy_from_slice(kind);
        for (kind, content) in boxes {
            entry.extend_from_slice(&(content.len() as u32 + 8).to_be_bytes());
            entry.extend_from_slice(*kind);
            entry.extend_from_slice(content);
        }
        entry
    }

    #[test]
    fn codecs_are_named_as_browsers_ask_for_them() {
        let main: &[u8] = &[1, 0x01, 0x60, 0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 93];
        let high_tier: &[u8] = &[1, 0x62, 0x20, 0, 0, 0, 0x90, 0, 0x10, 0, 0, 0, 120];
        for (entry, expected) in [
            (entry(b"avc1", &[(b"avcC", &[1, 0x4d, 0x40, 0x1f, 0xff])]), Some("avc1.4d401f")),
            (
                entry(b"avc3", &[(b"pasp", &[0; 8]), (b"avcC", &[1, 0x64, 0, 0x28, 0xff])]),
                Some("avc3.640028"),
            ),
            (entry(b"hvc1", &[(b"hvcC", main)]), Some("hvc1.1.6.L93.B0")),
            (entry(b"hev1", &[(b"hvcC", high_tier)]), Some("hev1.A2.4.H120.90.0.10")),
            (entry(b"jpeg", &[]), None),
            (entry(b"avc1", &[]), None),
            (entry(b"avc1", &[(b"avcC", &[1, 0x4d])]), None),
            (entry(b"hvc1", &[(b"hvcC", &main[..12])]), None),
            (Vec::new(), None),
        ] {
            assert_eq!(codec_string(&entry).as_deref(), expected, "{entry:?}");
        }
        // A box that claims no length, or more than there is.
        for length in [0_u32, 7, 8, 500] {
            let mut damaged = entry(b"avc1", &[(b"pasp", &[0; 8]), (b"avcC", &[1, 0x4d, 0x40, 0x1f])]);
            damaged[VISUAL_SAMPLE_ENTRY_BYTES..][..4].copy_from_slice(&length.to_be_bytes());
            assert_eq!(codec_string(&damaged), None, "{length}");
        }
    }
}
