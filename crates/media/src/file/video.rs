//! A video file: its metadata and its index.

use crate::error::{Error, Result};
use crate::file::access::FileAccess;
use crate::file::container::{is_picture, open_input, open_known};
use crate::file::index::VideoIndex;
use crate::file::orientation::Orientation;
use crate::file::partial_index::PartialReports;
use crate::file::recording_date;
use crate::file::shape::{PictureForm, Shape};
use crate::libav::Input;
use pigweight_core::time::{Pts, TimeBase};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A video's metadata.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct VideoInfo {
    /// libav's short name of the container.
    pub container: String,
    /// libav's short name of the codec, "h264" for instance.
    pub codec: String,
    /// px of the upright picture in square pixels. Every frame is brought to it, also where the stream changes its size.
    pub width: u32,
    /// px of the upright picture.
    pub height: u32,
    /// Width of a stored pixel over its height. Already applied to `width` and `height`.
    pub pixel_aspect: (u32, u32),
    /// Ticks of every pts.
    pub time_base: TimeBase,
    /// How the stored picture is made upright. Already applied to `width` and `height`.
    pub orientation: Orientation,
    /// Whether the file has audio.
    pub has_audio: bool,
    /// Seconds from the first frame to the end of the last, as stated by the container or guessed by libav.
    pub stated_secs: Option<f64>,
    /// Start of recording according to the container, seconds since 1970 (UTC). Some phones write the end instead.
    pub recorded_at: Option<i64>,
    /// Of the file when it was opened.
    pub size_bytes: u64,
}

impl VideoInfo {
    /// What its frames are made to be.
    pub(crate) fn picture_form(&self) -> PictureForm {
        let (width, height) = (self.width, self.height);
        let size = if self.orientation.swaps_sides() { (height, width) } else { (width, height) };
        PictureForm { size: Some(size), orientation: self.orientation }
    }
}

/// A video file with its index. Cheap to clone; each reader opens the file for itself.
#[derive(Clone, Debug)]
pub struct Video {
    path: Arc<Path>,
    info: Arc<VideoInfo>,
    index: Arc<VideoIndex>,
    /// The stored form of the index, once it is needed.
    stored_index: Arc<OnceLock<Vec<u8>>>,
    stream_index: i32,
    is_whole: bool,
    access: FileAccess,
}

impl Video {
    /// Opens a file and reads its packets once to index them.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_stored(path, None)
    }

    /// Whether a file is a video that can be opened, without indexing it.
    pub fn probe(path: &Path) -> Result<()> {
        let (input, _) = open_input(path)?;
        if is_picture(&input) { Err(Error::IsAPicture { path: path.to_owned() }) } else { Ok(()) }
    }

    /// Opens a file with an index made earlier for the same bytes, in its stored form. If it is damaged or of another
    /// version, it is rebuilt: then [`Self::stored_index`] differs.
    pub fn open_stored(path: &Path, stored: Option<&[u8]>) -> Result<Self> {
        Self::open_for(path, stored, None)
    }

    /// The same. If the whole file must be read for its index, `tell` repeatedly receives the video as far as it is known,
    /// with pauses of at most `pause`: it ends before the last keyframe read ([`Self::is_whole`]).
    ///
    /// The frames of such a part are those of the whole, with one exception: if only the whole file gives the order of its
    /// frames ([`crate::Timing::Counted`]), and this is detected late, they get other pts.
    pub fn open_in_parts(
        path: &Path,
        stored: Option<&[u8]>,
        pause: Duration,
        tell: &mut dyn FnMut(Self),
    ) -> Result<Self> {
        Self::open_for(path, stored, Some((pause, tell)))
    }

    fn open_for(
        path: &Path,
        stored: Option<&[u8]>,
        hearer: Option<(Duration, &mut dyn FnMut(Self))>,
    ) -> Result<Self> {
        let (mut input, stream) = open_input(path)?;
        let time_base = match stream.time_base {
            (numerator, denominator) if numerator > 0 && denominator > 0 => {
                TimeBase::new(numerator.unsigned_abs(), denominator.unsigned_abs())
            }
            _ => None,
        }
        .ok_or(Error::Libav { operation: "reading the time base".into(), reason: "it is zero".into() })?;
        let orientation = stream.display_matrix.map(Orientation::of_matrix).unwrap_or_default();
        let known = stored.and_then(|bytes| Some((VideoIndex::from_bytes(bytes).ok()?, bytes.to_vec())));
        let shape = known.as_ref().map_or_else(|| Shape::find(path, &stream), |(index, _)| index.shape());
        let (width, height) = match (orientation.swaps_sides(), shape.square_size()) {
            (true, (width, height)) => (height, width),
            (false, size) => size,
        };
        let info = VideoInfo {
            container: input.format_name(),
            codec: stream.codec.clone(),
            width,
            height,
            time_base,
            orientation,
            pixel_aspect: shape.pixel_aspect,
            has_audio: input.stream_kinds().contains(&"sound"),
            stated_secs: input.stated_secs(),
            recorded_at: recording_date::recorded_at(&input),
            size_bytes: path.metadata().map_or(0, |metadata| metadata.len()),
        };
        let (index, stored) = match known {
            Some((index, stored)) => (index, Some(stored)),
            None => {
                let index = match hearer {
                    None => {
                        VideoIndex::scan(path, &mut input, &stream, time_base, &mut PartialReports::none())?
                    }
                    Some((pause, tell)) => {
                        let mut tell = |part: VideoIndex| {
                            let part = part.with_shape(shape);
                            tell(Self::known(path, info.clone(), part, None, stream.index).part());
                        };
                        let parts = &mut PartialReports::new(pause, &mut tell);
                        VideoIndex::scan(path, &mut input, &stream, time_base, parts)?
                    }
                };
                (index.with_shape(shape), None)
            }
        };
        if index.frame_count() == 0 {
            return Err(Error::NoFrames { path: path.to_owned() });
        }
        Ok(Self::known(path, info, index, stored, stream.index))
    }

    /// Fully known.
    pub(crate) fn known(
        path: &Path,
        info: VideoInfo,
        index: VideoIndex,
        stored: Option<Vec<u8>>,
        stream_index: i32,
    ) -> Self {
        let stored_index = Arc::new(stored.map_or_else(OnceLock::new, OnceLock::from));
        Self {
            path: path.into(),
            info: info.into(),
            index: index.into(),
            stored_index,
            stream_index,
            is_whole: true,
            access: FileAccess::InProcess,
        }
    }

    /// The same, with more to come.
    pub(crate) fn part(self) -> Self {
        Self { is_whole: false, ..self }
    }

    /// The same video, with its file opened according to `access` from now on.
    pub(crate) fn with_access(self, access: FileAccess) -> Self {
        Self { access, ..self }
    }

    /// Which process opens the file.
    pub(crate) fn access(&self) -> &FileAccess {
        &self.access
    }

    /// Whether no more of the file must be read for its index.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// How much of the file has been read for its index, 0 to 1; `None` if the container doesn't report positions.
    pub fn share_read(&self) -> Option<f64> {
        let last = self.index.packets().last().filter(|packet| packet.position >= 0)?;
        let read = last.position as f64 / self.info.size_bytes.max(1) as f64;
        Some(if self.is_whole { 1.0 } else { read.clamp(0.0, 1.0) })
    }

    /// The stored form of the index, for opening the file later.
    pub fn stored_index(&self) -> &[u8] {
        self.stored_index.get_or_init(|| self.index.to_bytes())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says about itself.
    pub fn info(&self) -> &VideoInfo {
        &self.info
    }

    /// Its packets.
    pub fn index(&self) -> &VideoIndex {
        &self.index
    }

    /// Seconds from the first frame to `pts`.
    pub fn secs(&self, pts: Pts) -> f64 {
        self.info.time_base.secs(Pts(pts.0 - self.index.first_pts().0))
    }

    /// Seconds from the first frame to the end of the last one.
    pub fn duration_secs(&self) -> f64 {
        self.secs(Pts(self.index.last_pts().0 + self.index.last_duration_ticks()))
    }

    /// The frame that is on the screen at `secs` after the first one.
    ///
    /// # Errors
    /// [`Error::OutsideVideo`] before the first frame or after the end of the last.
    pub fn frame_at(&self, secs: f64) -> Result<Pts> {
        let outside = Error::OutsideVideo { secs, last_secs: self.secs(self.index.last_pts()) };
        if !secs.is_finite() || secs < 0.0 || secs > self.duration_secs() + 1e-3 {
            return Err(outside);
        }
        let ticks = self.info.time_base.floor_pts(secs);
        self.index.frame_at(Pts(ticks.0 + self.index.first_pts().0)).ok_or(outside)
    }

    /// Distinguishes lack of memory from damage if a frame didn't come out: decoders lose the reason.
    ///
    /// # Errors
    /// [`Error::NoMemory`] if there is no memory for a frame.
    pub(crate) fn check_memory(&self) -> Result<()> {
        // What decoders need for 4:4:4 with 8 bits, or 4:2:0 with 16.
        let bytes = u64::from(self.info.width) * u64::from(self.info.height) * 3;
        let room = usize::try_from(bytes).ok().map(|bytes| Vec::<u8>::new().try_reserve_exact(bytes));
        match room {
            Some(Ok(())) => Ok(()),
            None | Some(Err(_)) => Err(Error::NoMemory { path: self.path.to_path_buf() }),
        }
    }

    pub(crate) fn stream_index(&self) -> i32 {
        self.stream_index
    }

    pub(crate) fn open_input(&self) -> Result<Input> {
        let mut input = open_known(&self.path, self.stream_index)?;
        input.keep_only(&[self.stream_index]);
        Ok(input)
    }
}
