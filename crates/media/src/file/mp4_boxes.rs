//! Reads data from the boxes of an mp4 or mov (ISO/IEC 14496-12) that libav doesn't expose.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;

/// The most boxes read at one level: a hostile file of eight-byte boxes must not take long.
const MAX_BOXES: usize = 4096;

/// A box: its type and the position of its content in the file, which may end before it.
struct Mp4Box {
    kind: [u8; 4],
    content: Range<u64>,
}

/// The boxes of a part of the file, one after another, up to the first invalid one.
struct Boxes<'a> {
    file: &'a mut File,
    rest: Range<u64>,
    left: usize,
}

impl<'a> Boxes<'a> {
    fn of(file: &'a mut File, stretch: Range<u64>) -> Self {
        Self { file, rest: stretch, left: MAX_BOXES }
    }
}

impl Iterator for Boxes<'_> {
    type Item = Mp4Box;

    fn next(&mut self) -> Option<Mp4Box> {
        self.left = self.left.checked_sub(1)?;
        let start = self.rest.start;
        let head: [u8; 8] = read_at(self.file, start, self.rest.end)?;
        let [a, b, c, d, kind @ ..] = head;
        let (head_size, size) = match u32::from_be_bytes([a, b, c, d]) {
            0 => (8, self.rest.end - start),
            1 => (16, u64::from_be_bytes(read_at(self.file, start + 8, self.rest.end)?)),
            size => (8, u64::from(size)),
        };
        let end = start.checked_add(size).filter(|_| size >= head_size)?;
        self.rest.start = end;
        Some(Mp4Box { kind, content: start + head_size..end })
    }
}

/// Whether the file begins like an mp4 or mov but has no index box ("moov") among its top-level boxes.
pub(crate) fn is_without_index(path: &Path) -> bool {
    let Some((mut file, length)) = open(path) else { return false };
    let mut boxes = Boxes::of(&mut file, 0..length);
    let is_mp4 =
        boxes.next().is_some_and(|first| matches!(&first.kind, b"ftyp" | b"mdat" | b"wide" | b"free"));
    // The rest at the end may be the beginning of an unfinished box.
    is_mp4 && boxes.all(|one| &one.kind != b"moov") && boxes.rest.start.saturating_add(8) > length
}

/// How much later than decoded the packets of a track are displayed, in its ticks: runs of equal offsets, in decode
/// order ("ctts"). Empty if all are displayed as decoded. `None` if the track isn't found or is damaged,
/// and if packets are listed outside "moov" too (fragments).
pub(crate) fn composition_offsets(path: &Path, track_id: u32) -> Option<Vec<(u32, i32)>> {
    let (mut file, length) = open(path)?;
    let moov = child(&mut file, 0..length, *b"moov")?;
    if child(&mut file, moov.clone(), *b"mvex").is_some() {
        return None;
    }
    let tracks: Vec<Mp4Box> =
        Boxes::of(&mut file, moov).filter(|one| &one.kind == b"trak" && one.content.end <= length).collect();
    let track = tracks.into_iter().map(|one| one.content).find(|track| {
        child(&mut file, track.clone(), *b"tkhd").and_then(|head| id_of(&mut file, head)) == Some(track_id)
    })?;
    let table = [*b"mdia", *b"minf", *b"stbl"]
        .into_iter()
        .try_fold(track, |parent, kind| child(&mut file, parent, kind))?;
    let Some(offsets) = child(&mut file, table, *b"ctts") else { return Some(Vec::new()) };
    runs_of(&mut file, offsets)
}

fn open(path: &Path) -> Option<(File, u64)> {
    let file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    Some((file, length))
}

/// The content of the first box of this type, if it lies inside its parent.
fn child(file: &mut File, parent: Range<u64>, kind: [u8; 4]) -> Option<Range<u64>> {
    let end = parent.end;
    let found = Boxes::of(file, parent).find(|one| one.kind == kind)?.content;
    (found.end <= end).then_some(found)
}

/// The track's number in its header, which begins with a version and two times of four or, in version 1, eight bytes.
fn id_of(file: &mut File, head: Range<u64>) -> Option<u32> {
    let [version] = read_at(file, head.start, head.end)?;
    let times = if version == 1 { 16 } else { 8 };
    read_at(file, head.start + 4 + times, head.end).map(u32::from_be_bytes)
}

/// Version 0 declares the offsets unsigned; writers store negative ones, and libav reads them so.
fn runs_of(file: &mut File, content: Range<u64>) -> Option<Vec<(u32, i32)>> {
    let count = u64::from(u32::from_be_bytes(read_at(file, content.start + 4, content.end)?));
    let entries = content.start + 8;
    if count * 8 > content.end.checked_sub(entries)? {
        return None;
    }
    file.seek(SeekFrom::Start(entries)).ok()?;
    let mut reader = BufReader::with_capacity(64 << 10, file);
    let mut runs = Vec::new();
    for _ in 0..count {
        let mut entry = [0; 8];
        reader.read_exact(&mut entry).ok()?;
        let [a, b, c, d, offset @ ..] = entry;
        runs.push((u32::from_be_bytes([a, b, c, d]), i32::from_be_bytes(offset)));
    }
    Some(runs)
}

/// The file's bytes before `end`.
fn read_at<const N: usize>(file: &mut File, position: u64, end: u64) -> Option<[u8; N]> {
    if position.checked_add(N as u64)? > end {
        return None;
    }
    let mut bytes = [0; N];
    file.seek(SeekFrom::Start(position)).ok()?;
    file.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test's own files")]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(content.len() + 8).unwrap();
        [&size.to_be_bytes()[..], kind, content].concat()
    }

    /// Its number is where version 0 or 1 of the header has it.
    fn track(version: u8, id: u32, offsets: &[(u32, i32)]) -> Vec<u8> {
        let mut head = vec![0; if version == 1 { 20 } else { 12 }];
        head[0] = version;
        head.extend(id.to_be_bytes());
        let mut table = vec![0; 4];
        table.extend(u32::try_from(offsets.len()).unwrap().to_be_bytes());
        for (count, offset) in offsets {
            table.extend(count.to_be_bytes());
            table.extend(offset.to_be_bytes());
        }
        let stbl = boxed(b"stbl", &boxed(b"ctts", &table));
        let mdia = boxed(b"mdia", &boxed(b"minf", &stbl));
        boxed(b"trak", &[boxed(b"tkhd", &head), mdia].concat())
    }

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn the_offsets_are_those_of_the_track_asked_for() {
        let (first, second) = (track(0, 1, &[(3, 7)]), track(1, 2, &[(1, -5), (4_000_000_000, 9)]));
        let moov = boxed(b"moov", &[first, second].concat());
        let whole = file(&[boxed(b"ftyp", b"isom"), boxed(b"mdat", &[0; 100]), moov.clone()].concat());
        assert_eq!(composition_offsets(whole.path(), 1), Some(vec![(3, 7)]));
        assert_eq!(composition_offsets(whole.path(), 2), Some(vec![(1, -5), (4_000_000_000, 9)]));
        assert_eq!(composition_offsets(whole.path(), 3), None);
        assert!(!is_without_index(whole.path()));
        // A box of 64-bit size in front of it.
        let wide = [&1_u32.to_be_bytes()[..], b"mdat", &24_u64.to_be_bytes(), &[0; 8]].concat();
        let wide = file(&[boxed(b"ftyp", b"isom"), wide, moov].concat());
        assert_eq!(composition_offsets(wide.path(), 1), Some(vec![(3, 7)]));
    }

    #[test]
    fn fragments_and_damage_have_no_offsets() {
        let whole = track(0, 1, &[(3, 7), (2, 1)]);
        let fragmented = file(&boxed(b"moov", &[boxed(b"mvex", &[]), whole.clone()].concat()));
        assert_eq!(composition_offsets(fragmented.path(), 1), None);
        let moov = boxed(b"moov", &whole);
        for cut in 0..moov.len() {
            assert_eq!(composition_offsets(file(&moov[..cut]).path(), 1), None, "{cut} bytes of it");
        }
        // More entries than the box holds.
        let mut lying = moov.clone();
        let place = lying.windows(4).position(|four| four == b"ctts").unwrap() + 8;
        lying[place..place + 4].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(composition_offsets(file(&lying).path(), 1), None);
        let endless = file(&boxed(b"free", &[]).repeat(MAX_BOXES + 1));
        assert_eq!(composition_offsets(endless.path(), 1), None);
    }

    #[test]
    fn an_mp4_whose_recorder_did_not_end_it_has_no_index() {
        let ftyp = boxed(b"ftyp", b"isom");
        let open_ended = [&0_u32.to_be_bytes()[..], b"mdat", &[0; 50]].concat();
        let longer_than_the_file = boxed(b"mdat", &[0; 50])[..30].to_vec();
        for rest in [open_ended, longer_than_the_file, boxed(b"mdat", &[0; 50]), vec![0; 5]] {
            assert!(is_without_index(file(&[ftyp.clone(), rest].concat()).path()));
        }
        assert!(!is_without_index(file(b"plain text, longer than a box's head").path()));
    }
}
