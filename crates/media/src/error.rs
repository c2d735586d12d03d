//! Errors of videos, each a single line that says what to do next.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// The result of anything that reads a video.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a video or picture could not be read.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Error {
    /// The operating system would not open or read the file.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// The file.
        #[serde(with = "crate::path_bytes")]
        path: PathBuf,
        /// In the operating system's words.
        reason: String,
    },
    /// A folder, a socket or the like.
    #[error("{path} is not a file; name a video file")]
    NotAFile {
        /// What was named.
        #[serde(with = "crate::path_bytes")]
        path: PathBuf,
    },
    /// Zero bytes.
    #[error("{path} is empty (0 bytes); copy it again from the camera or recorder")]
    Empty {
        /// The file.
        #[serde(with = "crate::path_bytes")]
        path: PathBuf,
    },
    /// An mp4 without its index: the recorder was cut off before it could write it.
    #[error(
        "{path} is an unfinished mp4: its index (the \"moov\" box) is missing, so nothing in it can be \
         found; copy it again, or repair it with a tool that rebuilds the index"
    )]
    Unfinished {
        /// The file.
        #[serde(with = "crate::path_bytes")]
        path: PathBuf,
    },
    /// No demuxer knows these bytes.
    #[error(
        "{path} is not a video that can be read ({reason}); mp4, mov, mkv, webm, avi and ts are understood"
    )]
    NotAVideo {
        /// The file.
        #[serde(with = "crate::path_bytes")]
        path: PathBuf,
        /// In libav's words.
        reason: String,
    },
    /// No picture decoder knows these bytes.
    #[error("{path} is not a picture that can be read; JPEG, PNG, WebP, BMP and TIFF are understood")]
    NotAPicture {
        /// The file.
        #[serde(with = "crate::path_bytes")]
        path: PathBuf,
    },
    /// A still where a video is expected.
    #[error("{path} is a picture, not a video")]
    IsAPicture {
        /// The file.
        #[serde(with = "crate::path_bytes")]
        path: PathBuf,
    },
    /// A video where a still is expected.
    #[error("{path} is a video, not a picture")]
    IsAVideo {
        /// The file.
        #[serde(with = "crate::path_bytes")]
        path: PathBuf,
    },
    /// Sound only, or only attached pictures.
    #[error("{path} has no video stream (only {streams}); name the file that holds the picture")]
    NoVideoStream {
        /// The file.
        #[serde(with = "crate::path_bytes")]
        path: PathBuf,
        /// What it has instead.
        streams: String,
    },
    /// No decoder is built in.
    #[error("{path} is coded as {codec}, which this build of FFmpeg cannot decode")]
    NoDecoder {
        /// The file.
        #[serde(with = "crate::path_bytes")]
        path: PathBuf,
        /// The codec's name.
        codec: String,
    },
    /// A camera's stream, and no decoder is built in or there is no memory for one.
    #[error("the stream is coded as {codec}, which this build of FFmpeg cannot decode")]
    NoStreamDecoder {
        /// The codec's name.
        codec: String,
    },
    /// A stream without one picture that can be decoded.
    #[error(
        "{path} holds no frame that can be decoded; the file is damaged or was cut before its first keyframe"
    )]
    NoFrames {
        /// The file.
        #[serde(with = "crate::path_bytes")]
        path: PathBuf,
    },
    /// Out of memory during decoding.
    #[error(
        "{path} needs more memory to decode than there is; end other programs, or raise worker.memory_mb where that is too low"
    )]
    NoMemory {
        /// The file.
        #[serde(with = "crate::path_bytes")]
        path: PathBuf,
    },
    /// More pixels than the limit in the message.
    #[error("{path} is {width}×{height} px, larger than the {limit} px per frame that are allowed")]
    TooLarge {
        /// The file.
        #[serde(with = "crate::path_bytes")]
        path: PathBuf,
        /// px.
        width: u32,
        /// px.
        height: u32,
        /// px.
        limit: u64,
    },
    /// A moment before the first or after the last frame.
    #[error("{secs:.3} s lies outside the video, which runs from 0 to {last_secs:.3} s")]
    OutsideVideo {
        /// What was asked for.
        secs: f64,
        /// The last moment that has a frame.
        last_secs: f64,
    },
    /// Browsers can't play it without transcoding.
    #[error("{path} cannot be streamed as it is: {reason}; use single frames, or the original file")]
    NotStreamable {
        /// The file.
        #[serde(with = "crate::path_bytes")]
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The caller no longer waits.
    #[error("the request was cancelled: its client no longer waits")]
    Cancelled,
    /// The packets no longer match the index.
    #[error("{path} was changed while it was being read; open it again")]
    Changed {
        /// The file.
        #[serde(with = "crate::path_bytes")]
        path: PathBuf,
    },
    /// Stored index bytes of another version, or damaged.
    #[error("the stored index is of another version or damaged; it is rebuilt")]
    StaleIndex,
    /// Any other failure in libav.
    #[error("{operation} failed: {reason}")]
    Libav {
        /// The operation that failed.
        operation: Cow<'static, str>,
        /// In libav's words.
        reason: String,
    },
    /// The worker process ended: a fault in a decoder, or too much memory.
    #[error(
        "the process that read {path} ended ({reason}); try again, and if it ends again copy the file again or convert it"
    )]
    WorkerEnded {
        /// The file.
        #[serde(with = "crate::path_bytes")]
        path: PathBuf,
        /// How it ended.
        reason: String,
    },
    /// The worker process stopped answering.
    #[error(
        "reading {path} got stuck: nothing came for {silence_secs} s, so the process that read it was ended; \
         check that its disk or network share responds, and try again"
    )]
    WorkerStuck {
        /// The file.
        #[serde(with = "crate::path_bytes")]
        path: PathBuf,
        /// How long it was silent.
        silence_secs: u64,
    },
    /// No worker process could be started.
    #[error("cannot start a process to read videos in: {reason}")]
    NoWorker {
        /// In the operating system's words.
        reason: String,
    },
    /// Small frames could not be written or read.
    #[error("cannot keep small pictures in {path}: {reason}; make room there, or set preview.disk_gb to 0")]
    Preview {
        /// The file or folder.
        #[serde(with = "crate::path_bytes")]
        path: PathBuf,
        /// In the operating system's words.
        reason: String,
    },
    /// The JPEG encoder refused.
    #[error("cannot make a JPEG: {reason}")]
    Jpeg {
        /// In turbojpeg's words.
        reason: String,
    },
}

impl Error {
    /// Whether the error concerns the worker process rather than the file.
    pub fn is_of_worker(&self) -> bool {
        matches!(self, Self::WorkerEnded { .. } | Self::WorkerStuck { .. } | Self::NoWorker { .. })
    }

    /// The file that it concerns.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Unreadable { path, .. }
            | Self::NotAFile { path }
            | Self::Empty { path }
            | Self::Unfinished { path }
            | Self::NotAVideo { path, .. }
            | Self::NotAPicture { path, .. }
            | Self::IsAPicture { path, .. }
            | Self::IsAVideo { path, .. }
            | Self::NoVideoStream { path, .. }
            | Self::NoDecoder { path, .. }
            | Self::NoFrames { path }
            | Self::NoMemory { path }
            | Self::TooLarge { path, .. }
            | Self::NotStreamable { path, .. }
            | Self::Changed { path }
            | Self::WorkerEnded { path, .. }
            | Self::WorkerStuck { path, .. }
            | Self::Preview { path, .. } => Some(path),
            Self::NoStreamDecoder { .. }
            | Self::OutsideVideo { .. }
            | Self::Cancelled
            | Self::StaleIndex
            | Self::Libav { .. }
            | Self::NoWorker { .. }
            | Self::Jpeg { .. } => None,
        }
    }

    /// Whether the machine lacks what a worker process needs, which says nothing about the file.
    pub fn is_of_machine(&self) -> bool {
        matches!(self, Self::NoWorker { .. })
    }

    /// A short name that doesn't change with the message.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "file_unreadable",
            Self::NotAFile { .. } => "not_a_file",
            Self::Empty { .. } => "file_empty",
            Self::Unfinished { .. } => "file_unfinished",
            Self::NotAVideo { .. } => "not_a_video",
            Self::NotAPicture { .. } => "not_a_picture",
            Self::IsAPicture { .. } => "is_a_picture",
            Self::IsAVideo { .. } => "is_a_video",
            Self::NoVideoStream { .. } => "no_video_stream",
            Self::NoDecoder { .. } | Self::NoStreamDecoder { .. } => "no_decoder",
            Self::NoFrames { .. } => "no_frames",
            Self::NoMemory { .. } => "no_memory",
            Self::TooLarge { .. } => "picture_too_large",
            Self::OutsideVideo { .. } => "outside_video",
            Self::NotStreamable { .. } => "not_streamable",
            Self::Cancelled => "request_cancelled",
            Self::Changed { .. } => "file_changed",
            Self::StaleIndex => "stale_index",
            Self::Libav { .. } => "decoding_failed",
            Self::WorkerEnded { .. } => "worker_ended",
            Self::WorkerStuck { .. } => "worker_stuck",
            Self::NoWorker { .. } => "no_worker",
            Self::Preview { .. } => "previews_not_kept",
            Self::Jpeg { .. } => "no_jpeg",
        }
    }

    /// From libav's return code.
    pub(crate) fn libav(operation: &'static str, code: i32) -> Self {
        Self::Libav { operation: operation.into(), reason: crate::libav::describe(code) }
    }
}
