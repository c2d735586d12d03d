//! The boxes of a fragmented MP4 (ISO/IEC 14496-12) with one video track. Fragments have one layout, so [`super::layout`] can read them back.

use crate::access_unit::CLOCK_RATE_HZ;

/// Seconds from 1904, where MP4's clock starts, to 1970.
const MP4_EPOCH_SECS: u64 = 2_082_844_800;
const TRACK_ID: u32 = 1;
/// `sample_depends_on` = 2 (none): decoding can start here.
const KEYFRAME_FLAGS: u32 = 0x0200_0000;
/// `sample_depends_on` = 1, `sample_is_non_sync_sample` = 1.
const OTHER_FLAGS: u32 = 0x0101_0000;
/// Where a visual sample entry states width and height, 16 bits each.
const SIZE_IN_SAMPLE_ENTRY: std::ops::Range<usize> = 32..36;

/// Of the decode time in a fragment: its place in the `moof` box.
pub(super) const DECODE_TIME_AT: usize = 60;
/// Of the count of samples; the data offset and the samples follow.
pub(super) const SAMPLE_COUNT_AT: usize = 80;
pub(super) const FIRST_SAMPLE_AT: usize = 88;
/// Duration, size, flags and composition offset.
pub(super) const SAMPLE_BYTES: usize = 16;

/// One frame of a fragment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) duration_ticks: u32,
    pub(super) size_bytes: u32,
    pub(super) is_keyframe: bool,
    /// From its decode time to its presentation.
    pub(super) composition_ticks: u32,
}

fn put(to: &mut Vec<u8>, kind: &[u8; 4], content: impl FnOnce(&mut Vec<u8>)) {
    let start = to.len();
    to.extend_from_slice(&[0; 4]);
    to.extend_from_slice(kind);
    content(to);
    // Only fragments are large, and their writer bounds them.
    let length = u32::try_from(to.len() - start).unwrap_or(u32::MAX);
    to[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn put_full(to: &mut Vec<u8>, kind: &[u8; 4], version: u8, flags: u32, content: impl FnOnce(&mut Vec<u8>)) {
    put(to, kind, |to| {
        put_u32(to, u32::from(version) << 24 | flags);
        content(to);
    });
}

fn put_u16(to: &mut Vec<u8>, value: u16) {
    to.extend_from_slice(&value.to_be_bytes());
}

fn put_u32(to: &mut Vec<u8>, value: u32) {
    to.extend_from_slice(&value.to_be_bytes());
}

fn put_u64(to: &mut Vec<u8>, value: u64) {
    to.extend_from_slice(&value.to_be_bytes());
}

fn put_matrix(to: &mut Vec<u8>) {
    for value in [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000] {
        put_u32(to, value);
    }
}

/// What a file begins with. `sample_entry` is the codec's `VisualSampleEntry` box; `started_unix_secs` the time of day of the first frame.
pub(super) fn file_head(sample_entry: &[u8], started_unix_secs: i64) -> Vec<u8> {
    let mut head = Vec::with_capacity(1024);
    put(&mut head, b"ftyp", |to| {
        to.extend_from_slice(b"isom");
        put_u32(to, 0x200);
        to.extend_from_slice(b"isomiso5iso6mp41");
    });
    let created = u64::try_from(started_unix_secs).unwrap_or(0) + MP4_EPOCH_SECS;
    put(&mut head, b"moov", |to| {
        put_full(to, b"mvhd", 1, 0, |to| {
            put_u64(to, created);
            put_u64(to, created);
            put_u32(to, CLOCK_RATE_HZ);
            put_u64(to, 0); // the duration is that of the fragments
            put_u32(to, 0x1_0000);
            put_u16(to, 0x100);
            to.extend_from_slice(&[0; 10]);
            put_matrix(to);
            to.extend_from_slice(&[0; 24]);
            put_u32(to, TRACK_ID + 1);
        });
        put(to, b"trak", |to| put_track(to, sample_entry, created));
        put(to, b"mvex", |to| {
            put_full(to, b"trex", 0, 0, |to| {
                for value in [TRACK_ID, 1, 0, 0, 0] {
                    put_u32(to, value);
                }
            });
        });
    });
    head
}

fn put_track(to: &mut Vec<u8>, sample_entry: &[u8], created: u64) {
    // Enabled, in the movie.
    put_full(to, b"tkhd", 1, 3, |to| {
        put_u64(to, created);
        put_u64(to, created);
        put_u32(to, TRACK_ID);
        put_u32(to, 0);
        put_u64(to, 0);
        to.extend_from_slice(&[0; 16]);
        put_matrix(to);
        let size = sample_entry.get(SIZE_IN_SAMPLE_ENTRY).unwrap_or(&[0; 4]);
        for side in size.chunks(2) {
            // 16.16 fixed point.
            to.extend_from_slice(side);
            put_u16(to, 0);
        }
    });
    put(to, b"mdia", |to| {
        put_full(to, b"mdhd", 1, 0, |to| {
            put_u64(to, created);
            put_u64(to, created);
            put_u32(to, CLOCK_RATE_HZ);
            put_u64(to, 0);
            put_u16(to, 0x55c4); // language: undetermined
            put_u16(to, 0);
        });
        put_full(to, b"hdlr", 0, 0, |to| {
            put_u32(to, 0);
            to.extend_from_slice(b"vide");
            to.extend_from_slice(&[0; 12]);
            to.extend_from_slice(b"camera\0");
        });
        put(to, b"minf", |to| {
            put_full(to, b"vmhd", 0, 1, |to| to.extend_from_slice(&[0; 8]));
            put(to, b"dinf", |to| {
                put_full(to, b"dref", 0, 0, |to| {
                    put_u32(to, 1);
                    put_full(to, b"url ", 0, 1, |_| {});
                });
            });
            put(to, b"stbl", |to| {
                put_full(to, b"stsd", 0, 0, |to| {
                    put_u32(to, 1);
                    to.extend_from_slice(sample_entry);
                });
                for kind in [b"stts", b"stsc", b"stco"] {
                    put_full(to, kind, 0, 0, |to| put_u32(to, 0));
                }
                put_full(to, b"stsz", 0, 0, |to| to.extend_from_slice(&[0; 8]));
            });
        });
    });
}

/// A fragment: the samples' table, and their bytes behind it.
pub(super) fn fragment(sequence: u32, decode_ticks: u64, samples: &[Sample], data: &[u8]) -> Vec<u8> {
    let mut all = Vec::with_capacity(FIRST_SAMPLE_AT + samples.len() * SAMPLE_BYTES + 8 + data.len());
    put(&mut all, b"moof", |to| {
        put_full(to, b"mfhd", 0, 0, |to| put_u32(to, sequence));
        put(to, b"traf", |to| {
            // default-base-is-moof
            put_full(to, b"tfhd", 0, 0x2_0000, |to| put_u32(to, TRACK_ID));
            put_full(to, b"tfdt", 1, 0, |to| put_u64(to, decode_ticks));
            // Data offset; duration, size, flags and composition offset of each sample.
            put_full(to, b"trun", 0, 0xf01, |to| {
                put_u32(to, u32::try_from(samples.len()).unwrap_or(u32::MAX));
                // The bytes begin behind this box and the head of the next.
                let table = FIRST_SAMPLE_AT + samples.len() * SAMPLE_BYTES;
                put_u32(to, u32::try_from(table + 8).unwrap_or(u32::MAX));
                for sample in samples {
                    put_u32(to, sample.duration_ticks);
                    put_u32(to, sample.size_bytes);
                    put_u32(to, if sample.is_keyframe { KEYFRAME_FLAGS } else { OTHER_FLAGS });
                    put_u32(to, sample.composition_ticks);
                }
            });
        });
    });
    put(&mut all, b"mdat", |to| to.extend_from_slice(data));
    all
}

/// Whether a sample's flags say that decoding can start at it.
pub(super) fn is_keyframe(flags: u32) -> bool {
    flags == KEYFRAME_FLAGS
}

/// The sample entry of JPEG pictures: a visual sample entry that nothing follows.
pub(super) fn jpeg_sample_entry(width: u16, height: u16) -> Vec<u8> {
    const RESOLUTION_72_DPI: u32 = 0x48_0000;
    let mut entry = Vec::new();
    put(&mut entry, b"jpeg", |to| {
        to.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]); // reserved; the data lies in this file
        to.extend_from_slice(&[0; 16]);
        put_u16(to, width);
        put_u16(to, height);
        put_u32(to, RESOLUTION_72_DPI);
        put_u32(to, RESOLUTION_72_DPI);
        put_u32(to, 0);
        put_u16(to, 1); // a frame in each sample
        to.extend_from_slice(&[0; 32]); // the encoder's name
        put_u16(to, 24); // bits of a pixel
        put_u16(to, u16::MAX);
    });
    entry
}

/// The sample entry in what a file begins with.
pub(super) fn sample_entry(head: &[u8]) -> Option<&[u8]> {
    // Version, flags and the number of entries follow the name.
    let at = head.windows(4).position(|kind| kind == b"stsd")? + 12;
    let length = u32::from_be_bytes(head.get(at..at + 4)?.try_into().ok()?);
    head.get(at..at.checked_add(usize::try_from(length).ok()?)?)
}
