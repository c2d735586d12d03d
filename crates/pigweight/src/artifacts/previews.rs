//! Previews: every frame as a small JPEG, and thumbnails of keyframes, in a folder for each video beside the store.
//!
//! They are built in the background from the frames that the analysis decodes anyway, within a share of the disk
//! (`disk_budget.rs`). A video whose previews were removed gets them again when a viewer asks.

use crate::artifacts::disk_budget::{DiskBudget, FRAMES, TAKEN_AWAY, USED};
use crate::artifacts::preview_builder::PreviewBuilder;
use pigweight_media::preview::{PreviewReader, PreviewWriter};
use pigweight_media::{Result, Video, sprites};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A look at a video is noted at most this often.
const NOTE_USE_AFTER: Duration = Duration::from_secs(60);
/// px, from the usual width to what a very long video gets.
const WIDTHS: [u32; 3] = [640, 480, 320];
/// Of a small picture of a noisy camera, per px: 14 kB at 640 × 360.
const BYTES_PER_PX: f64 = 0.06;

/// The small pictures of all videos.
pub struct Previews {
    budget: DiskBudget,
    usage: Mutex<Usage>,
}

#[derive(Default)]
struct Usage {
    /// When a look at each was last noted.
    noted: BTreeMap<String, Instant>,
    /// Videos without small pictures that somebody looked at.
    wanted: BTreeSet<String>,
    /// Of those, the ones whose turn has come.
    taken: BTreeSet<String>,
}

/// How far the small pictures of a video are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// The first so many frames have one.
    pub frames: u64,
    /// Whether there are thumbnails.
    pub has_sprites: bool,
}

impl Previews {
    /// In `data`, taking at most `disk_gb` · 10⁹ bytes; none are made where that is 0.
    pub fn new(data: &Path, disk_gb: f64) -> Self {
        Self {
            budget: DiskBudget::new(data.join("previews"), (disk_gb * 1e9) as u64),
            usage: Mutex::default(),
        }
    }

    /// Where those of a registered video lie. Identifiers are made by the store: they lead nowhere else.
    pub fn folder(&self, video_id: &str) -> PathBuf {
        self.budget.folder(video_id)
    }

    /// How far those of a video are.
    pub fn made(&self, video_id: &str) -> Made {
        let folder = self.folder(video_id);
        let frames = PreviewReader::open(&folder).ok().flatten().map_or(0, |reader| reader.frames());
        Made { frames, has_sprites: folder.join(sprites::MAP).is_file() }
    }

    /// The JPEG of the frame that is shown after `place` others, where it is there. Notes that somebody looked.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn frame(&self, video_id: &str, place: u64) -> Result<Option<Vec<u8>>> {
        let folder = self.folder(video_id);
        let reader = PreviewReader::open(&folder)?;
        self.note_use(video_id, reader.is_none());
        match reader {
            Some(mut reader) => reader.frame(place),
            None => Ok(None),
        }
    }

    /// Videos that somebody looked at in vain since this was last asked.
    pub fn take_wanted(&self) -> BTreeSet<String> {
        let mut usage = self.usage();
        let wanted = std::mem::take(&mut usage.wanted);
        usage.taken.extend(wanted.iter().cloned());
        wanted
    }

    /// The disk space that they share.
    pub fn budget(&self) -> &DiskBudget {
        &self.budget
    }

    /// Thumbnails, unless they are there. `false` when stopped before the end.
    ///
    /// # Errors
    /// Where the disk refuses or the video cannot be read.
    pub fn make_sprites(&self, video_id: &str, video: &Video, stop: &AtomicBool) -> Result<bool> {
        if self.budget.is_empty() {
            return Ok(true);
        }
        sprites::make(video, &self.folder(video_id), &|| stop.load(Ordering::Relaxed))
    }

    /// Goes on with the small pictures of a video; `None` where they are all there, or there is no room for them.
    pub fn begin<'a>(&'a self, video_id: &'a str, video: &'a Video) -> Option<PreviewBuilder<'a>> {
        let folder = self.folder(video_id);
        let frames = video.index().frame_count() as u64;
        if self.budget.is_empty() || self.made(video_id).frames >= frames {
            return None;
        }
        let is_wanted = self.usage().taken.remove(video_id);
        let taken_away = folder.join(TAKEN_AWAY);
        if taken_away.exists() && !is_wanted {
            return None;
        }
        let (width, bytes) = self.size_for(video)?;
        let begun_bytes = folder.join(FRAMES).metadata().map_or(0, |frames| frames.len());
        if begun_bytes as f64 > self.budget.most_of_one()
            || !self.budget.make_room(video_id, bytes, is_wanted)
        {
            return None;
        }
        // One that stays is met again, and a look makes the frames again.
        let _gone = std::fs::remove_file(taken_away);
        match PreviewWriter::open(&folder, width) {
            Ok(writer) => Some(PreviewBuilder::new(&self.budget, video_id, video, writer, is_wanted)),
            Err(error) => {
                tracing::warn!("{error}");
                None
            }
        }
    }

    /// Width in px and bytes that the small pictures of a video will about have; `None` where even small ones are too many.
    fn size_for(&self, video: &Video) -> Option<(u32, u64)> {
        let info = video.info();
        let shape = f64::from(info.height) / f64::from(info.width.max(1));
        WIDTHS.into_iter().find_map(|width| {
            let width = width.min(info.width);
            let px = f64::from(width) * f64::from(width) * shape;
            let bytes = px * BYTES_PER_PX * video.index().frame_count() as f64;
            (bytes <= self.budget.most_of_one()).then_some((width, bytes as u64))
        })
    }

    fn note_use(&self, video_id: &str, is_in_vain: bool) {
        let mut usage = self.usage();
        if is_in_vain && !self.budget.is_empty() {
            usage.wanted.insert(video_id.to_owned());
        }
        let is_noted = usage.noted.get(video_id).is_some_and(|noted| noted.elapsed() < NOTE_USE_AFTER);
        if !is_noted {
            usage.noted.insert(video_id.to_owned(), Instant::now());
            drop(usage);
            // Where it cannot be written the video counts as unused, and nothing worse.
            let _unnoted = File::create(self.folder(video_id).join(USED));
        }
    }

    fn usage(&self) -> MutexGuard<'_, Usage> {
        // Every change is a single insertion or a swap: what a panicking holder left behind is whole.
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_a_preview_is_told_once() {
        let data = tempfile::tempdir().unwrap();
        let previews = Previews::new(data.path(), 1.0);
        assert_eq!(previews.frame("gone", 3).unwrap(), None);
        assert_eq!(previews.frame("gone", 4).unwrap(), None);
        assert_eq!(previews.take_wanted().into_iter().collect::<Vec<_>>(), ["gone"]);
        assert!(previews.take_wanted().is_empty());
    }
}
