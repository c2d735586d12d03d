//! Frame sources: the interface between files or cameras and the analysis.
//!
//! A source returns frames in order on its own timeline. Files and cameras differ in two
//! answers: [`FrameSource::pressure`] says whether a slow analysis holds the source back or loses frames, and
//! [`Next`] says why there is no frame now.

use pigweight_core::time::{Pts, Timeline};
use pigweight_media::{DecodedFrame, Error, FrameReader, Video};

/// What to do if frames come faster than they are analysed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressure {
    /// The source waits: every frame of a file counts.
    Wait,
    /// The newest frame wins and the source is never held back; skipped frames are counted.
    KeepNewest,
}

/// The next item of a source.
pub enum Next {
    /// A frame, later than all before it.
    Frame(DecodedFrame),
    /// Frames are missing between the last frame and the next one. Animals aren't tracked across the gap.
    Gap,
    /// The source is away, for this reason; analysis continues from here when it is back.
    Away(Error),
    /// No more frames, ever. Never returned by a camera.
    End {
        /// End of the last frame, seconds.
        end_secs: f64,
    },
}

/// Frames in order, from a file or a camera.
pub trait FrameSource: Send {
    /// How pts become seconds.
    fn timeline(&self) -> Timeline;

    /// What happens if the analysis is slower than the source.
    fn pressure(&self) -> Pressure;

    /// Upper bound of the bytes of one picture: limits how many may wait.
    fn picture_bytes(&self) -> u64;

    /// Continues behind a frame that was analysed before, or starts at the beginning. A camera can't go back and stays where it is.
    ///
    /// # Errors
    /// If the source can't be opened.
    fn start_after(&mut self, pts: Option<Pts>) -> Result<(), Error>;

    /// The next frame, or why there is none. Blocks until either is known.
    ///
    /// # Errors
    /// If the source can't be read further. Frames returned before are complete.
    fn next(&mut self) -> Result<Next, Error>;
}

/// A video file as a source.
pub struct FileSource<'a> {
    video: &'a Video,
    reader: Option<FrameReader>,
}

impl<'a> FileSource<'a> {
    /// At the beginning; nothing has been read yet.
    pub fn new(video: &'a Video) -> Self {
        Self { video, reader: None }
    }
}

impl FrameSource for FileSource<'_> {
    fn timeline(&self) -> Timeline {
        let info = self.video.info();
        Timeline {
            time_base: info.time_base,
            first_pts: self.video.index().first_pts(),
            started_at: info.recorded_at,
        }
    }

    fn pressure(&self) -> Pressure {
        Pressure::Wait
    }

    fn picture_bytes(&self) -> u64 {
        let info = self.video.info();
        u64::from(info.width) * u64::from(info.height) * 3 / 2
    }

    fn start_after(&mut self, pts: Option<Pts>) -> Result<(), Error> {
        self.reader = Some(match pts {
            Some(pts) => FrameReader::open_after(self.video, pts)?,
            None => FrameReader::open(self.video)?,
        });
        Ok(())
    }

    fn next(&mut self) -> Result<Next, Error> {
        if self.reader.is_none() {
            self.start_after(None)?;
        }
        let end = Next::End { end_secs: self.video.duration_secs() };
        let Some(reader) = &mut self.reader else { return Ok(end) };
        match reader.next_frame() {
            Ok(Some(frame)) => Ok(Next::Frame(frame)),
            Ok(None) => Ok(end),
            // For example, the disk was removed: that isn't the end of the video.
            Err(error) if !self.video.path().exists() => Ok(Next::Away(error)),
            Err(error) => Err(error),
        }
    }
}
