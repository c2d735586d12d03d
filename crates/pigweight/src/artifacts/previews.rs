//! Previews: every frame as a small JPEG, and thumbnails of keyframes, in a folder for each video beside the store.
//!
//! They are built in the background from the frames that the analysis decodes anyway, within a share of the disk
//! (`disk_budget.rs`). A video whose previews were removed gets them again when a viewer asks.

use crate::artifacts::disk_budget::{DiskBudget, FRAMES, TAKEN_AWAY, USED};
use crate::artifacts::preview_builder::PreviewBuilder;
use pigweight_media::preview::{PreviewReader, PreviewWriter};
use pigweight_media::{Result, Video, sprites};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Widths in px, from the usual one to that for very long videos.
const WIDTHS: [u32; 3] = [640, 480, 320];
/// Bytes of a noisy camera's small frame, per px: 14 kB at 640 × 360.
const BYTES_PER_PX: f64 = 0.06;

/// The previews of all videos.
pub struct Previews {
    budget: DiskBudget,
    usage: Mutex<Usage>,
}

#[derive(Default)]
struct Usage {
    /// Videos that were viewed since the last [`Previews::record_views`].
    viewed: BTreeSet<String>,
    /// Viewed videos without small frames.
    wanted: BTreeSet<String>,
    /// Of those, the ones to build now.
    taken: BTreeSet<String>,
}

/// Progress of a video's previews.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// The number of frames that have a small frame, from the first on.
    pub frames: u64,
    /// Whether thumbnails exist.
    pub has_sprites: bool,
}

impl Previews {
    /// In `data`, at most `disk_gb` · 10⁹ bytes; none are made if that is 0.
    pub fn new(data: &Path, disk_gb: f64) -> Self {
        Self {
            budget: DiskBudget::new(data.join("previews"), (disk_gb * 1e9) as u64),
            usage: Mutex::default(),
        }
    }

    /// The preview folder of a registered video. The store makes identifiers, so they can't lead elsewhere.
    pub fn folder(&self, video_id: &str) -> PathBuf {
        self.budget.folder(video_id)
    }

    /// Progress of a video's previews.
    pub fn made(&self, video_id: &str) -> Made {
        let folder = self.folder(video_id);
        let frames = PreviewReader::open(&folder).ok().flatten().map_or(0, |reader| reader.frames());
        Made { frames, has_sprites: folder.join(sprites::MAP).is_file() }
    }

    /// The JPEG of the frame with index `place`, if it exists. Only reads: the background records the view.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn frame(&self, video_id: &str, place: u64) -> Result<Option<Vec<u8>>> {
        let folder = self.folder(video_id);
        let reader = PreviewReader::open(&folder)?;
        self.note_use(video_id, reader.is_none());
        match reader {
            Some(mut reader) => reader.frame(place),
            None => Ok(None),
        }
    }

    /// Writes which videos were viewed since the last call, with the current time.
    pub fn record_views(&self) {
        let viewed = std::mem::take(&mut self.usage().viewed);
        for video_id in viewed {
            // If it can't be written, the video counts as unused.
            let _unrecorded = File::create(self.folder(&video_id).join(USED));
        }
    }

    /// Videos that were viewed without small frames since the last call.
    pub fn take_wanted(&self) -> BTreeSet<String> {
        let mut usage = self.usage();
        let wanted = std::mem::take(&mut usage.wanted);
        usage.taken.extend(wanted.iter().cloned());
        wanted
    }

    /// The disk space they share.
    pub fn budget(&self) -> &DiskBudget {
        &self.budget
    }

    /// Makes thumbnails, unless they exist. `false` if stopped before the end.
    ///
    /// # Errors
    /// If the disk fails or the video can't be read.
    pub fn make_sprites(&self, video_id: &str, video: &Video, stop: &AtomicBool) -> Result<bool> {
        if self.budget.is_empty() {
            return Ok(true);
        }
        sprites::make(video, &self.folder(video_id), &|| stop.load(Ordering::Relaxed))
    }

    /// Continues a video's small frames; `None` if all exist or there is no space for them.
    pub fn begin<'a>(&'a self, video_id: &'a str, video: &'a Video) -> Option<PreviewBuilder<'a>> {
        let folder = self.folder(video_id);
        let frames = video.index().frame_count() as u64;
        if self.budget.is_empty() || self.made(video_id).frames >= frames {
            return None;
        }
        // What is removed to make room depends on the views.
        self.record_views();
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
        // One that stays is found again, and a view makes the frames again.
        let _gone = std::fs::remove_file(taken_away);
        match PreviewWriter::open(&folder, width) {
            Ok(writer) => Some(PreviewBuilder::new(&self.budget, video_id, video, writer, is_wanted)),
            Err(error) => {
                tracing::warn!("{error}");
                None
            }
        }
    }

    /// Expected width in px and bytes of a video's small frames; `None` if even narrow ones take too much.
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
        usage.viewed.insert(video_id.to_owned());
        if is_in_vain && !self.budget.is_empty() {
            usage.wanted.insert(video_id.to_owned());
        }
    }

    fn usage(&self) -> MutexGuard<'_, Usage> {
        // Every change is a single insertion or a swap, so a panicking holder leaves consistent data.
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_writes_nothing_until_the_background_records_it() {
        let data = tempfile::tempdir().unwrap();
        let previews = Previews::new(data.path(), 1.0);
        let used = previews.folder("viewed").join(USED);
        std::fs::create_dir_all(previews.folder("viewed")).unwrap();
        assert_eq!(previews.frame("viewed", 0).unwrap(), None);
        assert!(!used.exists(), "a reader wrote");
        previews.record_views();
        assert!(used.exists());
        std::fs::remove_file(&used).unwrap();
        previews.record_views();
        assert!(!used.exists(), "one view is recorded once");
    }

    #[test]
    fn a_request_without_a_preview_is_reported_once() {
        let data = tempfile::tempdir().unwrap();
        let previews = Previews::new(data.path(), 1.0);
        assert_eq!(previews.frame("gone", 3).unwrap(), None);
        assert_eq!(previews.frame("gone", 4).unwrap(), None);
        assert_eq!(previews.take_wanted().into_iter().collect::<Vec<_>>(), ["gone"]);
        assert!(previews.take_wanted().is_empty());
    }
}
