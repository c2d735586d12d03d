//! The protocol between a worker process and its owner, over pipes.
//!
//! Each message is `length of the head (u32) | length of the bytes (u64) | head (postcard) | bytes`, numbers little-endian. Both
//! ends are the same program, so there are no versions.

use crate::decode::frame::Pass;
use crate::error::Error;
use crate::file::video::VideoInfo;
use crate::isolate::sandbox::Confinement;
use crate::libav::StreamCodec;
use pigweight_core::picture::ColorMatrix;
use pigweight_core::time::{Pts, TimeBase};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::Duration;

/// Size limit of heads, which hold names and numbers.
const MOST_HEAD_BYTES: u32 = 1 << 20;
/// Size limit of a stored index, which is compressed.
pub(crate) const MOST_INDEX_BYTES: u64 = 256 << 20;

/// A request of the owner.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Comes first: the one file, and the memory limit in bytes. Answered by [`Response::Ready`]. For a stream the path is empty: then
    /// no file can be read.
    Start {
        #[serde(with = "crate::path_bytes")]
        path: PathBuf,
        memory_bytes: u64,
    },
    /// Open the file; the bytes are its index, or none.
    Open,
    /// Use this video from now on; the bytes are its index. Not answered.
    Use { info: VideoInfo, stream_index: i32 },
    /// A frame.
    Frame { pts: Pts },
    /// Frames in order, to the end.
    Read(Pass),
    /// A stream's initialisation segment.
    Init,
    /// A segment of a stream.
    Fragment { number: usize },
    /// Decode a stream from now on. Not answered.
    UseStream { codec: StreamCodec, time_base: TimeBase },
    /// The bytes are the stream's next access unit. Answered by its frames and [`Response::End`].
    AccessUnit { pts: Pts },
    /// The bytes are the stream's next access unit, to be transcoded. Answered by [`Response::Coded`] for each frame and [`Response::End`].
    Transcode { pts: Pts, encodes: bool },
    /// The next access unit doesn't refer to earlier ones. Not answered.
    ResetStream,
    /// The caller no longer waits for the last answer. Not answered.
    Cancel,
}

/// An answer of the process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Response {
    /// It may read its file; lists the active protections.
    Ready(Confinement),
    /// Work continues.
    Working,
    /// The file is a video; the bytes are its index, or none if it came with the request. If the index is partial,
    /// another such answer follows.
    Opened { info: VideoInfo, stream_index: i32, is_whole: bool },
    /// The bytes are the samples.
    Frame(FrameHead),
    /// The bytes are a frame that was transcoded.
    Coded { pts: Pts, is_keyframe: bool },
    /// After the last frame.
    End { damaged_packets: usize },
    /// The bytes are the result.
    Bytes,
    /// It failed.
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

/// The sample layout of a frame.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Samples {
    Rgb,
    Yuv { shifts: (u8, u8), matrix: ColorMatrix, full_range: bool },
}

/// Writes a message. The bytes come in parts.
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

/// Reads a message's bytes, at most `most`.
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
    fn errors_arrive_unchanged_for_any_file_name() {
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
    fn oversized_or_truncated_messages_are_refused_before_allocation() {
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
