//! Finds whole JPEG pictures in a stream by their own markers.

use crate::failure::Failure;
use std::collections::VecDeque;

/// Largest picture, bytes. 8 megapixels in good quality have 4 MB.
const MOST_PICTURE_BYTES: usize = 16 << 20;
/// Bytes in a row that belong to no picture: a boundary and some headers have a few hundred.
const MOST_OTHER_BYTES: usize = 64 << 10;

const START: u8 = 0xd8;
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;

/// A whole picture.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) data: Vec<u8>,
    /// Width and height, px.
    pub(crate) size: (u32, u32),
    /// Pictures before it that were damaged and left out.
    pub(crate) broken_before: u16,
}

/// Splits what is pushed into it.
#[derive(Debug, Default)]
pub(crate) struct JpegSplitter {
    /// From the beginning of a picture, if `is_inside`.
    buffer: Vec<u8>,
    is_inside: bool,
    /// Everything before it has been looked at.
    at: usize,
    /// Coded pixels come, until a marker.
    is_scan: bool,
    size: Option<(u32, u32)>,
    has_scan: bool,
    other_bytes: usize,
    broken: u16,
}

/// What follows at a place.
enum Step {
    /// Go on at this place.
    To(usize),
    /// More bytes are needed.
    Wait,
    /// The picture ends before this place.
    End(usize),
    /// It is no picture; go on looking for one at this place.
    Broken(usize),
}

impl JpegSplitter {
    /// Takes bytes of the stream, and adds the pictures that they complete.
    ///
    /// # Errors
    /// If there are no pictures in it, or one is too large.
    pub(crate) fn push(&mut self, bytes: &[u8], whole: &mut VecDeque<Picture>) -> Result<(), Failure> {
        self.buffer.extend_from_slice(bytes);
        loop {
            if !self.is_inside && !self.begin()? {
                return Ok(());
            }
            let step = if self.is_scan { self.scan() } else { self.marker() };
            match step {
                Step::To(at) => self.at = at,
                Step::Wait if self.buffer.len() > MOST_PICTURE_BYTES => {
                    let what = format!("a picture of more than {} MB", MOST_PICTURE_BYTES >> 20);
                    return Err(Failure::Oversized { what });
                }
                Step::Wait => return Ok(()),
                Step::End(end) => {
                    let rest = self.buffer.split_off(end);
                    let data = std::mem::replace(&mut self.buffer, rest);
                    match self.size.filter(|_| self.has_scan) {
                        Some(size) => {
                            let broken_before = std::mem::take(&mut self.broken);
                            whole.push_back(Picture { data, size, broken_before });
                            self.other_bytes = 0;
                        }
                        None => self.skip(data.len()),
                    }
                    self.is_inside = false;
                }
                Step::Broken(at) => {
                    self.skip(at);
                    self.buffer.drain(..at);
                    self.is_inside = false;
                }
            }
        }
    }

    /// Something began as a picture, and is none.
    fn skip(&mut self, bytes: usize) {
        self.broken = self.broken.saturating_add(1);
        self.other_bytes = self.other_bytes.saturating_add(bytes.min(MOST_OTHER_BYTES / 8));
    }

    /// Drops what comes before a picture. Whether one begins.
    fn begin(&mut self) -> Result<bool, Failure> {
        let start = self.buffer.windows(2).position(|pair| pair == [0xff, START]);
        // The last byte may be the first half of it.
        let end = start.unwrap_or(self.buffer.len().saturating_sub(1));
        self.other_bytes = self.other_bytes.saturating_add(end);
        self.buffer.drain(..end);
        if self.other_bytes > MOST_OTHER_BYTES {
            return Err(Failure::Oversized {
                what: format!("{} kB without a JPEG picture", MOST_OTHER_BYTES >> 10),
            });
        }
        if start.is_some() {
            self.is_inside = true;
            self.at = 2;
            self.is_scan = false;
            self.has_scan = false;
            self.size = None;
        }
        Ok(start.is_some())
    }

    /// Over coded pixels to the next marker.
    fn scan(&mut self) -> Step {
        let mut at = self.at;
        while let Some(found) = self.buffer[at..].iter().position(|&byte| byte == 0xff) {
            at += found;
            match self.buffer.get(at + 1) {
                None => break,
                // A pixel of this value, a restart marker, or filling.
                Some(0x00 | 0xd0..=0xd7) => at += 2,
                Some(0xff) => at += 1,
                Some(_) => {
                    self.is_scan = false;
                    return Step::To(at);
                }
            }
        }
        // Not looked at again.
        self.at = match self.buffer[at..].first() {
            Some(0xff) => at,
            _ => self.buffer.len(),
        };
        Step::Wait
    }

    fn marker(&mut self) -> Step {
        let at = self.at;
        let [first, code, rest @ ..] = &self.buffer[at..] else { return Step::Wait };
        match (*first, *code) {
            (0xff, 0xff) => Step::To(at + 1),
            (0xff, END) => Step::End(at + 2),
            (0xff, 0x01 | 0xd0..=0xd7) => Step::To(at + 2),
            // The one before was cut off, or this is text.
            (0xff, START | 0x00) => Step::Broken(at),
            (0xff, code) => {
                let [high, low, segment @ ..] = rest else { return Step::Wait };
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                if length < 2 {
                    return Step::Broken(at + 2);
                }
                let Some(segment) = segment.get(..length - 2) else { return Step::Wait };
                if matches!(code, 0xc0..=0xcf) && !matches!(code, 0xc4 | 0xc8 | 0xcc) {
                    let [_, h1, h2, w1, w2, ..] = *segment else { return Step::Broken(at + 2) };
                    let (width, height) = (u16::from_be_bytes([w1, w2]), u16::from_be_bytes([h1, h2]));
                    self.size = (width > 0 && height > 0).then_some((width.into(), height.into()));
                }
                self.is_scan = code == SCAN;
                self.has_scan |= self.is_scan;
                Step::To(at + 2 + length)
            }
            _ => Step::Broken(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture with a thumbnail inside, two scans, a stuffed byte and a restart marker. Nothing decodes it.
    fn picture(mark: u8) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8, 0xff, 0xe1, 0, 8, 0xff, 0xd8, 0xff, 0xd9, 0, 0];
        bytes.extend([0xff, 0xc0, 0, 8, 8, 0, 48, 0, 64, 1]);
        bytes.extend([0xff, 0xda, 0, 2, mark, 0xff, 0x00, 0xff, 0xd3, 7, 0xff, 0xff]);
        bytes.extend([0xff, 0xda, 0, 2, mark, 9, 0xff, 0xd9]);
        bytes
    }

    fn split(stream: &[u8], chunk: usize) -> Result<Vec<(Vec<u8>, u16)>, Failure> {
        let mut splitter = JpegSplitter::default();
        let mut whole = VecDeque::new();
        for bytes in stream.chunks(chunk) {
            splitter.push(bytes, &mut whole)?;
        }
        assert!(whole.iter().all(|picture| picture.size == (64, 48)));
        Ok(whole.into_iter().map(|picture| (picture.data, picture.broken_before)).collect())
    }

    #[test]
    fn pictures_are_found_however_the_stream_is_cut_and_whatever_its_boundaries_say() {
        let head = b"\r\n--wrong\r\nContent-Type: image/jpeg\r\nContent-Length: 3\r\n\r\n".to_vec();
        let stream = [head.clone(), picture(1), head, picture(2), picture(3)].concat();
        for chunk in 1..stream.len() {
            let found = split(&stream, chunk).unwrap_or_else(|failure| panic!("{chunk}: {failure}"));
            assert_eq!(found, vec![(picture(1), 0), (picture(2), 0), (picture(3), 0)], "{chunk}");
        }
    }

    #[test]
    fn a_picture_that_was_cut_off_is_left_out_and_told() {
        let stream = [&picture(1)[..29], &picture(2), b"text", &picture(3)[..12], &picture(4)].concat();
        for chunk in [1, 7, 1000] {
            assert_eq!(split(&stream, chunk), Ok(vec![(picture(2), 1), (picture(4), 1)]));
        }
    }

    #[test]
    fn what_is_too_much_ends_it() {
        let endless = [&picture(1)[..28], &vec![0; MOST_PICTURE_BYTES]].concat();
        assert!(matches!(split(&endless, 1 << 16), Err(Failure::Oversized { .. })));
        assert!(matches!(split(&vec![b'x'; 70_000], 1000), Err(Failure::Oversized { .. })));
        // Neither a picture nor text.
        let broken = [0xff, 0xd8, 0xff, 0xd9].repeat(30_000);
        assert!(matches!(split(&broken, 1000), Err(Failure::Oversized { .. })));
    }

    #[test]
    fn any_bytes_are_split_or_refused() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..200 {
            let mut stream = picture(1).repeat(4);
            for _ in 0..random.usize(0..12) {
                let at = random.usize(..stream.len());
                stream[at] = random.choice([0xff, 0xd8, 0xd9, 0xda, 0x00, 0x7f]).unwrap_or_default();
            }
            let mut splitter = JpegSplitter::default();
            let mut whole = VecDeque::new();
            let _refused = splitter.push(&stream, &mut whole);
        }
    }
}
