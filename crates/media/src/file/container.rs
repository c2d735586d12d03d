//! Opening a container and finding its video stream.

use crate::error::{Error, Result};
use crate::file::mp4_boxes;
use crate::libav::{Input, OpenFailure, StreamInfo};
use std::path::{Path, PathBuf};

/// Frames of more pixels are refused: 16384 × 8192, four times 8K. A file can claim any size in a few bytes.
pub const MAX_PIXELS: u64 = 16_384 * 8_192;

/// Whether it is a single picture: libav's picture demuxers have names like this.
pub(crate) fn is_picture(input: &Input) -> bool {
    let format = input.format_name();
    format == "image2" || format.ends_with("_pipe")
}

/// Opens a container and finds its video stream; distinguishes everything that can be wrong with it.
pub(crate) fn open_input(path: &Path) -> Result<(Input, StreamInfo)> {
    let owned = || -> PathBuf { path.to_owned() };
    let unreadable = |error: std::io::Error| Error::Unreadable { path: owned(), reason: error.to_string() };
    // Opened here first, so that a missing file or permission is reported in the system's words.
    let metadata = std::fs::File::open(path).and_then(|file| file.metadata()).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Error::NotAFile { path: owned() });
    }
    if metadata.len() == 0 {
        return Err(Error::Empty { path: owned() });
    }
    let input = Input::open(path).map_err(|failure| match failure {
        _ if mp4_boxes::is_without_index(path) => Error::Unfinished { path: owned() },
        OpenFailure::Path => Error::NotAVideo { path: owned(), reason: "its name holds a NUL byte".into() },
        OpenFailure::Code(code) => Error::NotAVideo { path: owned(), reason: crate::libav::describe(code) },
    })?;
    let Some(stream) = input.video_stream() else {
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
