//! What a process and its owner say to each other over pipes.
//!
//! Each message is `length of the head (u32) | length of the bytes (u64) | head (postcard) | bytes`, numbers little-endian. Both
//! ends are the same program, so there are no versions.

use crate::decode::frame::Pass;
use crate::error::Error;
use crate::file::video::VideoInfo;
use crate::isolate::sandbox::Confinement;
use pigweight_core::picture::ColorMatrix;
use pigweight_core::time::Pts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::Duration;

/// Heads hold names and numbers.
const MOST_HEAD_BYTES: u32 = 1 << 20;
/// Of an index in its stored form, which is compressed.
pub(crate) const MOST_INDEX_BYTES: u64 = 256 << 20;

/// What an owner wants.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// The first of all: the one file, and the bytes of memory to read it with. Answered by [`Answer::Ready`].
    Start {
        #[serde(with = "crate::path_bytes")]
        path: PathBuf,
        memory_bytes: u64,
    },
    /// Open the file; the bytes are its index, or none.
    Open,
    /// Work on this video from now on; the bytes are its index. Not answered.
    Use { info: VideoInfo, stream_index: i32 },
    /// A frame.
    Frame { pts: Pts },
    /// Frames one after the other, to the end.
    Read(Pass),
    /// The head of a stream.
    Init,
    /// A piece of a stream.
    Fragment { number: usize },
    /// Whoever waited for the last answer waits no more. Not answered.
    GiveUp,
}

/// What a process answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Response {
    /// It may read its file, and what else it may not.
    Ready(Confinement),
    /// It is at it.
    Working,
    /// The file is a video; the bytes are its index, or none where it came with the request. Where it is not the whole one,
    /// another such answer follows.
    Opened { info: VideoInfo, stream_index: i32, is_whole: bool },
    /// The bytes are the samples.
    Frame(FrameHead),
    /// After the last frame.
    End { damaged_packets: usize },
    /// The bytes are what was wanted.
    Bytes,
    /// It could not be done.
    Failed(Error),
}

/// A frame without its samples, which follow row by row, plane by plane.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FrameHead {
    pub pts: Pts,
    pub is_damaged: bool,
    /// Of all packets so far.
    pub damaged_packets: usize,
    pub sought: Option<Duration>,
    /// px.
    pub width: u32,
    /// px.
    pub height: u32,
    pub samples: Samples,
}

/// How the samples of a frame are to be read.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Samples {
    Rgb,
    Yuv { shifts: (u8, u8), matrix: ColorMatrix, full_range: bool },
}

/// Writes a message. The bytes come in pieces.
pub(super) fn write(to: &mut impl Write, head: &impl Serialize, bytes: &[&[u8]]) -> io::Result<()> {
    let head = postcard::to_stdvec(head).map_err(io::Error::other)?;
    let head_bytes = u32::try_from(head.len()).ok().filter(|&length| length <= MOST_HEAD_BYTES);
    let head_bytes = head_bytes.ok_or_else(|| io::Error::other("a message is too long"))?;
    let length: u64 = bytes.iter().map(|piece| piece.len() as u64).sum();
    let mut start = Vec::with_capacity(12 + head.len());
    start.extend_from_slice(&head_bytes.to_le_bytes());
    start.extend_from_slice(&length.to_le_bytes());
    start.extend_from_slice(&head);
    to.write_all(&start)?;
    for piece in bytes {
        to.write_all(piece)?;
    }
    to.flush()
}

/// Reads a message's head, and how many bytes follow it.
pub(super) fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<(T, u64)> {
    let (mut head_bytes, mut length) = ([0; 4], [0; 8]);
    from.read_exact(&mut head_bytes)?;
    from.read_exact(&mut length)?;
    let head_bytes = u32::from_le_bytes(head_bytes);
    if head_bytes > MOST_HEAD_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut head = vec![0; head_bytes as usize];
    from.read_exact(&mut head)?;
    let head = postcard::from_bytes(&head).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok((head, u64::from_le_bytes(length)))
}

/// Reads a message's bytes, of which there are at most `most`.
pub(super) fn read_bytes(from: &mut impl Read, length: u64, most: u64) -> io::Result<Vec<u8>> {
    if length > most {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Vec::new();
    from.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt as _;

    #[test]
    fn errors_arrive_as_they_were_told_whatever_the_file_is_called() {
        let name = std::ffi::OsString::from_vec(b"\xffpen \xd0\xb4.mp4".to_vec());
        let error = Error::Unfinished { path: name.into() };
        let mut wire = Vec::new();
        write(&mut wire, &Response::Failed(error), &[b"ab", b"c"]).unwrap();
        let mut from = wire.as_slice();
        let (answer, length) = read::<Response>(&mut from).unwrap();
        let Response::Failed(Error::Unfinished { path }) = answer else { panic!("{answer:?}") };
        assert_eq!(path.as_os_str().as_encoded_bytes(), b"\xffpen \xd0\xb4.mp4");
        assert_eq!(read_bytes(&mut from, length, 3).unwrap(), b"abc");
    }

    #[test]
    fn what_is_too_long_or_cut_is_refused_before_memory_is_taken_for_it() {
        let mut wire = u32::MAX.to_le_bytes().to_vec();
        wire.extend([0; 100]);
        assert!(read::<Response>(&mut wire.as_slice()).is_err());
        assert!(read_bytes(&mut [0_u8; 8].as_slice(), u64::MAX, 1 << 20).is_err());
        assert!(read_bytes(&mut [0_u8; 8].as_slice(), 9, 1 << 20).is_err());
        let mut wire = Vec::new();
        write(&mut wire, &Response::Working, &[]).unwrap();
        for length in 0..wire.len() {
            assert!(read::<Response>(&mut &wire[..length]).is_err(), "{length}");
        }
    }
}
