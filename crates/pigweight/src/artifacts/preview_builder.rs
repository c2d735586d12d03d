//! Builds the previews of one video.

use crate::artifacts::disk_budget::DiskBudget;
use crate::artifacts::disk_space;
use pigweight_media::preview::PreviewWriter;
use pigweight_media::{DecodedFrame, FrameReader, Result, Video};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Small frames are synced to the disk at least this often.
const FLUSH_AFTER: Duration = Duration::from_secs(2);
/// Others may use the space meanwhile: it is checked again after this many bytes.
const CHECK_ROOM_AFTER_BYTES: u64 = 64 << 20;

/// The small frames of one video while they are built. Errors never affect counting: they are logged,
/// and building stops.
pub struct PreviewBuilder<'a> {
    budget: &'a DiskBudget,
    video_id: &'a str,
    video: &'a Video,
    /// `None` after a failure.
    writer: Option<PreviewWriter>,
    last_flush: Instant,
    room_checked_at: u64,
    is_wanted: bool,
    /// Whether the incoming frames continue at the writer's position; `None` before the first.
    is_joined: Option<bool>,
}

impl<'a> PreviewBuilder<'a> {
    /// Continues behind the frames that `writer` has.
    pub fn new(
        budget: &'a DiskBudget,
        video_id: &'a str,
        video: &'a Video,
        writer: PreviewWriter,
        is_wanted: bool,
    ) -> Self {
        Self {
            budget,
            video_id,
            video,
            is_wanted,
            room_checked_at: writer.bytes(),
            writer: Some(writer),
            last_flush: Instant::now(),
            is_joined: None,
        }
    }

    /// A frame of a pass over the video, in order. If the pass starts behind the existing frames, building can't continue.
    pub fn see(&mut self, frame: &DecodedFrame) {
        let Some(place) = self.video.index().place_of(frame.pts) else { return };
        let place = place as u64;
        let Some(writer) = &mut self.writer else { return };
        if !*self.is_joined.get_or_insert(place <= writer.frames()) {
            return;
        }
        let pushed = writer.push(place, &frame.picture);
        self.keep_if(pushed);
        if self.last_flush.elapsed() >= FLUSH_AFTER {
            self.flush();
        }
    }

    /// Decodes the missing frames. `false` if stopped before the end.
    ///
    /// # Errors
    /// If the video can't be read further.
    pub fn complete(mut self, stop: &AtomicBool) -> Result<bool> {
        let total = self.video.index().frame_count() as u64;
        // The pass below starts right behind the existing frames.
        self.is_joined = Some(true);
        let Some(writer) = &self.writer else { return Ok(true) };
        let (done, width) = (writer.frames(), writer.width());
        if done < total {
            let before = done.checked_sub(1).and_then(|place| self.video.index().pts_at(place as usize));
            let mut reader = FrameReader::open_small(self.video, before, width)?;
            while let Some(frame) = reader.next_frame()? {
                if stop.load(Ordering::Relaxed) {
                    self.flush();
                    return Ok(false);
                }
                self.see(&frame);
                if self.writer.is_none() {
                    return Ok(true);
                }
            }
        }
        if let Some(writer) = &mut self.writer {
            let finished = writer.finish(total);
            self.keep_if(finished);
        }
        Ok(true)
    }

    fn flush(&mut self) {
        self.last_flush = Instant::now();
        let Some(writer) = &mut self.writer else { return };
        let flushed = writer.flush();
        let bytes = writer.bytes();
        self.keep_if(flushed);
        if !disk_space::has_room(self.budget.root(), 0) {
            tracing::warn!(
                "no more small pictures of {}: the disk is nearly full",
                self.video.path().display()
            );
            self.writer = None;
        }
        if bytes >= self.room_checked_at + CHECK_ROOM_AFTER_BYTES {
            self.room_checked_at = bytes;
            let is_too_much = bytes as f64 > self.budget.most_of_one();
            if is_too_much || !self.budget.make_room(self.video_id, bytes, self.is_wanted) {
                tracing::warn!(
                    "no room for more small pictures of {}; preview.disk_gb sets how much",
                    self.video.path().display()
                );
                self.writer = None;
            }
        }
    }

    fn keep_if(&mut self, done: Result<()>) {
        if let Err(error) = done {
            tracing::warn!("{error}");
            self.writer = None;
        }
    }
}

impl Drop for PreviewBuilder<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}
