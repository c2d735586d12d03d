//! Small frames: every frame of a video as a small JPEG, so that scrubbing needs no decoding.
//!
//! ```text
//! frames.jpegs   JPEG JPEG JPEG …     in display order
//! frames.ends    header, then for each frame its end offset, u64, little endian
//! ```
//! Everything that "frames.ends" lists is on the disk: bytes are synced before their ends are written, so after `kill -9` or a power
//! cut the writer continues behind the last whole frame. A frame that could not be decoded has no bytes: its end is that of
//! the one before it.
//!
//! JPEG instead of intra-only H.264, which takes half the space: browsers decode single H.264 frames on HTTPS pages only,
//! and a farm's phone uses plain HTTP (`docs/design/0007-previews.md`).

use crate::decode::picture::Picture;
use crate::error::{Error, Result};
use crate::libav::Scaler;
use crate::output::jpeg;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// JPEG quality, 1 to 100: good enough while scrubbing, at half the bytes of the usual 80.
pub const QUALITY: u8 = 55;
/// "PWPV", the format version, the width as u16 little endian, padding.
const HEAD_BYTES: u64 = 16;
const MAGIC: &[u8; 4] = b"PWPV";
const FORMAT_VERSION: u8 = 1;
/// The most bytes that wait for a sync.
const MOST_PENDING_BYTES: usize = 4 << 20;

/// Writes a video's small frames in order.
pub struct PreviewWriter {
    folder: PathBuf,
    width: u32,
    scaler: Scaler,
    frames: File,
    ends: File,
    /// Of frames and bytes, including unsynced ones.
    count: u64,
    end: u64,
    pending: Vec<u8>,
    pending_ends: Vec<u8>,
}

impl PreviewWriter {
    /// Continues in `folder`, which is created if missing. `width` px applies to a new one; an existing one keeps its own.
    ///
    /// # Errors
    /// [`Error::Preview`] if the disk fails.
    pub fn open(folder: &Path, width: u32) -> Result<Self> {
        let open = || -> std::io::Result<Self> {
            std::fs::create_dir_all(folder)?;
            let file = |name| {
                OpenOptions::new().create(true).read(true).write(true).truncate(false).open(folder.join(name))
            };
            let (mut frames, mut ends) = (file("frames.jpegs")?, file("frames.ends")?);
            let (mut width, mut count, mut end) = (width.clamp(2, u32::from(u16::MAX)), 0, 0);
            match read_head(&mut ends)? {
                Some(stated) => {
                    width = stated;
                    (count, end) = whole(&mut frames, &mut ends)?;
                }
                None => {
                    ends.set_len(0)?;
                    ends.seek(SeekFrom::Start(0))?;
                    ends.write_all(&head(width))?;
                }
            }
            frames.set_len(end)?;
            ends.set_len(HEAD_BYTES + 8 * count)?;
            frames.seek(SeekFrom::Start(end))?;
            ends.seek(SeekFrom::Start(HEAD_BYTES + 8 * count))?;
            Ok(Self {
                folder: folder.to_owned(),
                width,
                scaler: Scaler::new(),
                frames,
                ends,
                count,
                end,
                pending: Vec::new(),
                pending_ends: Vec::new(),
            })
        };
        open().map_err(|error| failed(folder, &error))
    }

    /// px; no picture is wider.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// The number of frames, including those that wait for [`Self::flush`].
    pub fn frames(&self) -> u64 {
        self.count
    }

    /// Their bytes.
    pub fn bytes(&self) -> u64 {
        self.end
    }

    /// The frame with index `place`. Frames skipped before it have no picture; one that
    /// exists is left as it is.
    ///
    /// # Errors
    /// [`Error::Preview`] if the disk fails, [`Error::Jpeg`] if the encoder does.
    pub fn push(&mut self, place: u64, picture: &Picture) -> Result<()> {
        if place < self.count {
            return Ok(());
        }
        self.pass_over(place);
        let width = self.width.min(picture.width());
        let is_small = width == picture.width() && picture.is_usual_yuv();
        let scaled = match is_small {
            true => None,
            false => picture.small_copy(width, picture.height_at(width), &mut self.scaler),
        };
        let bytes = match scaled.as_ref().or(is_small.then_some(picture)) {
            Some(small) => jpeg::encode(small.view(), QUALITY, &[], 1.0)?,
            None => Vec::new(),
        };
        self.pending.extend_from_slice(&bytes);
        self.end += bytes.len() as u64;
        self.note_end();
        if self.pending.len() >= MOST_PENDING_BYTES { self.flush() } else { Ok(()) }
    }

    /// The video has no more than `total` frames: missing ones get no picture.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub fn finish(&mut self, total: u64) -> Result<()> {
        self.pass_over(total);
        self.flush()
    }

    /// Syncs waiting frames to the disk, first the pictures and then their ends.
    ///
    /// # Errors
    /// [`Error::Preview`] if the disk fails; then the writer must be reopened.
    pub fn flush(&mut self) -> Result<()> {
        let write = |frames: &mut File, ends: &mut File, pending: &[u8], pending_ends: &[u8]| {
            frames.write_all(pending)?;
            frames.sync_data()?;
            ends.write_all(pending_ends)
        };
        write(&mut self.frames, &mut self.ends, &self.pending, &self.pending_ends)
            .map_err(|error| failed(&self.folder, &error))?;
        self.pending.clear();
        self.pending_ends.clear();
        Ok(())
    }

    fn pass_over(&mut self, until: u64) {
        while self.count < until {
            self.note_end();
        }
    }

    fn note_end(&mut self) {
        self.pending_ends.extend_from_slice(&self.end.to_le_bytes());
        self.count += 1;
    }
}

/// Reads single small frames, also while they are being written.
pub struct PreviewReader {
    folder: PathBuf,
    frames: File,
    ends: File,
    count: u64,
}

impl PreviewReader {
    /// `None` if there are no small frames.
    ///
    /// # Errors
    /// [`Error::Preview`] if the disk fails.
    pub fn open(folder: &Path) -> Result<Option<Self>> {
        let open = || -> std::io::Result<Option<Self>> {
            let mut ends = File::open(folder.join("frames.ends"))?;
            if read_head(&mut ends)?.is_none() {
                return Ok(None);
            }
            let count = ends.metadata()?.len().saturating_sub(HEAD_BYTES) / 8;
            let frames = File::open(folder.join("frames.jpegs"))?;
            Ok(Some(Self { folder: folder.to_owned(), frames, ends, count }))
        };
        match open() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            opened => opened.map_err(|error| failed(folder, &error)),
        }
    }

    /// The number of frames processed, from the video's first on.
    pub fn frames(&self) -> u64 {
        self.count
    }

    /// The JPEG of the frame with index `place`; `None` if it isn't there yet, could not be decoded, or
    /// was damaged on the disk.
    ///
    /// # Errors
    /// [`Error::Preview`] if the disk fails.
    pub fn frame(&mut self, place: u64) -> Result<Option<Vec<u8>>> {
        if place >= self.count {
            return Ok(None);
        }
        let mut read = || -> std::io::Result<Option<Vec<u8>>> {
            let begin = if place == 0 { 0 } else { end_of(&mut self.ends, place - 1)? };
            let end = end_of(&mut self.ends, place)?;
            // No JPEG of this size is larger than its samples: a damaged offset must not allocate all memory.
            let Some(size) = end.checked_sub(begin).filter(|size| (1..64 << 20).contains(size)) else {
                return Ok(None);
            };
            let mut bytes = vec![0; size as usize];
            self.frames.seek(SeekFrom::Start(begin))?;
            self.frames.read_exact(&mut bytes)?;
            let is_jpeg = bytes.starts_with(&[0xff, 0xd8]) && bytes.ends_with(&[0xff, 0xd9]);
            Ok(is_jpeg.then_some(bytes))
        };
        match read() {
            // Removed or truncated during the read.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            read => read.map_err(|error| failed(&self.folder, &error)),
        }
    }
}

fn failed(folder: &Path, error: &std::io::Error) -> Error {
    Error::Preview { path: folder.to_owned(), reason: error.to_string() }
}

fn head(width: u32) -> [u8; HEAD_BYTES as usize] {
    let mut head = [0; HEAD_BYTES as usize];
    head[..4].copy_from_slice(MAGIC);
    head[4] = FORMAT_VERSION;
    head[5..7].copy_from_slice(&u16::try_from(width).unwrap_or(u16::MAX).to_le_bytes());
    head
}

/// Compares a folder's pictures with their ends. `None` if all is well or there are none; otherwise what is wrong. Bytes behind
/// the last end are none of it: a writer that was killed left them, and the next one removes them.
///
/// # Errors
/// [`Error::Preview`] if the disk fails.
pub fn check(folder: &Path) -> Result<Option<String>> {
    let check = || -> std::io::Result<Option<String>> {
        let (ends, frames) = (folder.join("frames.ends"), folder.join("frames.jpegs"));
        match (ends.is_file(), frames.is_file()) {
            (false, false) => return Ok(None),
            (true, false) => return Ok(Some("frames.ends is there without frames.jpegs".to_owned())),
            (false, true) => return Ok(Some("frames.jpegs is there without frames.ends".to_owned())),
            (true, true) => {}
        }
        let (mut ends, mut frames) = (File::open(ends)?, File::open(frames)?);
        if read_head(&mut ends)?.is_none() {
            return Ok(Some("frames.ends does not begin as it should".to_owned()));
        }
        let (bytes, mut before) = (frames.metadata()?.len(), 0);
        let mut ends = std::io::BufReader::new(ends);
        for place in 0..ends.get_ref().metadata()?.len().saturating_sub(HEAD_BYTES) / 8 {
            let mut end = [0; 8];
            ends.read_exact(&mut end)?;
            let end = u64::from_le_bytes(end);
            if end < before || end > bytes {
                return Ok(Some(format!(
                    "picture {place} ends at byte {end} of {bytes}, after one at {before}"
                )));
            }
            if end > before && !is_jpeg(&mut frames, before, end)? {
                return Ok(Some(format!("picture {place} is not a whole JPEG")));
            }
            before = end;
        }
        Ok(None)
    };
    check().map_err(|error| failed(folder, &error))
}

/// By its first and last two bytes.
fn is_jpeg(frames: &mut File, begin: u64, end: u64) -> std::io::Result<bool> {
    let mut marks = [0; 4];
    if end - begin < 4 {
        return Ok(false);
    }
    frames.seek(SeekFrom::Start(begin))?;
    frames.read_exact(&mut marks[..2])?;
    frames.seek(SeekFrom::Start(end - 2))?;
    frames.read_exact(&mut marks[2..])?;
    Ok(marks == [0xff, 0xd8, 0xff, 0xd9])
}

/// The width in the header; `None` without a header, or with one of another format.
fn read_head(ends: &mut File) -> std::io::Result<Option<u32>> {
    let mut head = [0; HEAD_BYTES as usize];
    match ends.read_exact(&mut head) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let width = u32::from(u16::from_le_bytes([head[5], head[6]]));
    Ok((head.starts_with(MAGIC) && head[4] == FORMAT_VERSION && width > 1).then_some(width))
}

fn end_of(ends: &mut File, place: u64) -> std::io::Result<u64> {
    let mut end = [0; 8];
    ends.seek(SeekFrom::Start(HEAD_BYTES + 8 * place))?;
    ends.read_exact(&mut end)?;
    Ok(u64::from_le_bytes(end))
}

/// How many frames are complete in both files, and their bytes.
fn whole(frames: &mut File, ends: &mut File) -> std::io::Result<(u64, u64)> {
    let bytes = frames.metadata()?.len();
    let mut count = ends.metadata()?.len().saturating_sub(HEAD_BYTES) / 8;
    while count > 0 {
        let end = end_of(ends, count - 1)?;
        // After a power cut, some file systems keep the length and fill the file with zeros.
        let before = if count > 1 { end_of(ends, count - 2)? } else { 0 };
        if end <= bytes && end >= before && (end > 0 || bytes == 0) {
            return Ok((count, end));
        }
        count -= 1;
    }
    Ok((0, 0))
}
