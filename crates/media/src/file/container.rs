//! Opening a container and finding its video stream.

use crate::error::{Error, Result};
use crate::file::mp4_boxes;
use crate::libav::{Input, OpenFailure, StreamInfo};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Frames of more pixels are refused: 16384 × 8192, four times 8K. A file can claim any size in a few bytes.
pub const MAX_PIXELS: u64 = 16_384 * 8_192;

/// Whether it is a single picture: libav's picture demuxers have names like this.
pub(crate) fn is_picture(input: &Input) -> bool {
    let format = input.format_name();
    format == "image2" || format.ends_with("_pipe")
}

/// How much of a file with several video streams is read to find the main one among them.
const COMPARED_PACKETS: usize = 4000;
const COMPARED_BYTES: u64 = 32 << 20;

/// Opens a container and finds its video stream; distinguishes everything that can be wrong with it.
pub(crate) fn open_input(path: &Path) -> Result<(Input, StreamInfo)> {
    let owned = || -> PathBuf { path.to_owned() };
    let mut input = open_container(path)?;
    let streams = input.video_streams();
    let index = match streams.as_slice() {
        [(index, _)] => Some(*index),
        [] => None,
        _ => {
            let best = input.best_video_stream();
            let index = main_video_stream(&mut input, &streams, best);
            // Comparing has read past the first packets.
            input = open_container(path)?;
            index
        }
    };
    let Some(stream) = index.and_then(|index| input.video_stream(index)) else {
        let kinds = input.stream_kinds();
        return Err(if kinds.is_empty() {
            Error::NotAVideo { path: owned(), reason: "it holds no streams".into() }
        } else {
            Error::NoVideoStream { path: owned(), streams: kinds.join(", ") }
        });
    };
    if u64::from(stream.width) * u64::from(stream.height) > MAX_PIXELS {
        return Err(Error::TooLarge {
            path: owned(),
            width: stream.width,
            height: stream.height,
            limit: MAX_PIXELS,
        });
    }
    Ok((input, stream))
}

/// Opens a container for the video stream that was found in it before.
pub(crate) fn open_known(path: &Path, stream_index: i32) -> Result<Input> {
    let input = open_container(path)?;
    match input.video_stream(stream_index) {
        Some(_) => Ok(input),
        None => Err(Error::Changed { path: path.to_owned() }),
    }
}

fn open_container(path: &Path) -> Result<Input> {
    let owned = || -> PathBuf { path.to_owned() };
    let unreadable = |error: std::io::Error| Error::Unreadable { path: owned(), reason: error.to_string() };
    // Opened here first, so that a missing file or permission is reported in the system's words. Opening a FIFO would block until somebody
    // writes to it, so its type is checked before that.
    let metadata = path.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Error::NotAFile { path: owned() });
    }
    std::fs::File::open(path).map_err(unreadable)?;
    if metadata.len() == 0 {
        return Err(Error::Empty { path: owned() });
    }
    Input::open(path).map_err(|failure| match failure {
        _ if mp4_boxes::is_without_index(path) => Error::Unfinished { path: owned() },
        OpenFailure::Path => Error::NotAVideo { path: owned(), reason: "its name holds a NUL byte".into() },
        OpenFailure::Code(code) => Error::NotAVideo { path: owned(), reason: crate::libav::describe(code) },
    })
}

/// The main one of several video streams. libav's choice follows what the file declares as default, which may be a still picture. A stream with more
/// than twice as many frames is preferred.
fn main_video_stream(input: &mut Input, streams: &[(i32, i64)], best: Option<i32>) -> Option<i32> {
    let mut frames: BTreeMap<i32, i64> = streams.iter().map(|&(index, _)| (index, 0)).collect();
    if streams.iter().all(|&(_, stated)| stated > 0) {
        frames.extend(streams.iter().copied());
    } else {
        input.keep_pictures();
        let (mut packets, mut bytes) = (0, 0);
        while let Ok(Some(packet)) = input.read() {
            if let Some(count) = frames.get_mut(&packet.stream_index()) {
                *count += 1;
            }
            packets += 1;
            bytes += u64::from(packet.size());
            if packets >= COMPARED_PACKETS || bytes >= COMPARED_BYTES {
                break;
            }
        }
    }
    let (&most, &count) = frames.iter().max_by_key(|&(&index, &count)| (count, -index))?;
    Some(best.filter(|best| frames.get(best).is_some_and(|&frames| frames * 2 >= count)).unwrap_or(most))
}
