//! Disk budget for previews: the least recently used go first.
//!
//! Each video has a folder. When the budget is used up, the frames of the least recently viewed video are removed; its thumbnails and
//! counts stay. If no viewer waits, previews made or viewed within a day are kept: a library larger than the budget fills it once
//! and isn't rebuilt over and over.

use crate::artifacts::disk_space;
use pigweight_media::sprites;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The share of the budget that one video may take.
const MOST_OF_ONE: f64 = 0.5;
pub const FRAMES: &str = "frames.jpegs";
const ENDS: &str = "frames.ends";
/// Its mtime is the time of the last view.
pub const USED: &str = "used";
/// Marks evicted frames, which are made again only when the video is viewed.
pub const TAKEN_AWAY: &str = "taken-away";
/// How long the previews of a missing video are kept: it may be on a disk that comes back.
const GONE_KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// Previews used this recently are kept, unless a viewer waits.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);

/// The folders of all videos, and their total budget in bytes.
pub struct DiskBudget {
    root: PathBuf,
    bytes: u64,
}

/// The frames of one video.
struct VideoFrames {
    id: String,
    bytes: u64,
    used: SystemTime,
}

impl DiskBudget {
    /// Of folders below `root`.
    pub fn new(root: PathBuf, bytes: u64) -> Self {
        Self { root, bytes }
    }

    /// The preview folder of a registered video. The store makes identifiers, so they can't lead elsewhere.
    pub fn folder(&self, video_id: &str) -> PathBuf {
        self.root.join(video_id)
    }

    /// The folder that contains all of them.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether previews are off.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The most bytes that one video may take.
    pub fn most_of_one(&self) -> f64 {
        self.bytes as f64 * MOST_OF_ONE
    }

    /// Removes other videos' frames, least recently used first, until those of `video_id` may take `bytes`.
    pub fn make_room(&self, video_id: &str, bytes: u64, is_wanted: bool) -> bool {
        let mut kept = self.videos();
        let own = kept.iter().position(|video| video.id == video_id).map(|place| kept.remove(place));
        let own_bytes = own.map_or(0, |own| own.bytes);
        let needed = bytes.max(own_bytes);
        if !disk_space::has_room(&self.root, needed - own_bytes) {
            tracing::warn!(
                "no more small pictures are made: the disk of {} is nearly full",
                self.root.display()
            );
            return false;
        }
        kept.sort_by_key(|video| video.used);
        let mut total: u64 = kept.iter().map(|video| video.bytes).sum();
        let may_go =
            |video: &VideoFrames| is_wanted || video.used.elapsed().is_ok_and(|unused| unused > KEPT_FOR);
        let to_spare: u64 = kept.iter().filter(|video| may_go(video)).map(|video| video.bytes).sum();
        if total - to_spare + needed > self.bytes {
            return false;
        }
        for video in kept.iter().filter(|video| may_go(video)) {
            if total + needed <= self.bytes {
                break;
            }
            self.remove_frames(&video.id);
            total -= video.bytes;
        }
        total + needed <= self.bytes
    }

    fn remove_frames(&self, video_id: &str) {
        // First, so that they aren't made again in between. Without it they are made again once.
        let _unsaid = File::create(self.folder(video_id).join(TAKEN_AWAY));
        for name in [ENDS, FRAMES] {
            // A missing one needs no removing; one that can't be removed is found again.
            let _gone = std::fs::remove_file(self.folder(video_id).join(name));
        }
        tracing::info!("took the small pictures of the video {video_id} away to make room");
    }

    /// Removes previews of videos that aren't `present` and haven't been used for a month.
    pub fn remove_those_gone(&self, present: &BTreeSet<String>) {
        let entries = std::fs::read_dir(&self.root).into_iter().flatten().filter_map(std::result::Result::ok);
        for entry in entries.filter(|entry| !present.contains(&*entry.file_name().to_string_lossy())) {
            let times = [USED, ENDS, sprites::MAP]
                .map(|name| entry.path().join(name).metadata().and_then(|file| file.modified()).ok());
            let used = times.into_iter().flatten().max();
            let is_old = |used: SystemTime| used.elapsed().is_ok_and(|unused| unused > GONE_KEPT_FOR);
            if used.is_some_and(is_old) {
                tracing::info!("removing the pictures of a video that is gone: {}", entry.path().display());
                if let Err(error) = std::fs::remove_dir_all(entry.path()) {
                    tracing::warn!("cannot remove {}: {error}", entry.path().display());
                }
            }
        }
    }

    /// Bytes of disk space that the small frames of all videos take.
    pub fn used_bytes(&self) -> u64 {
        self.videos().iter().map(|video| video.bytes).sum()
    }

    fn videos(&self) -> Vec<VideoFrames> {
        let entries = std::fs::read_dir(&self.root).into_iter().flatten().filter_map(std::result::Result::ok);
        let kept = entries.filter_map(|entry| {
            let bytes = entry.path().join(FRAMES).metadata().ok()?.len();
            let time = |name| entry.path().join(name).metadata().and_then(|file| file.modified()).ok();
            // One that was never viewed is as old as its creation.
            let used = time(USED).max(time(ENDS)).unwrap_or(SystemTime::UNIX_EPOCH);
            Some(VideoFrames { id: entry.file_name().to_string_lossy().into_owned(), bytes, used })
        });
        kept.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(budget: &DiskBudget, id: &str, bytes: usize, used_secs: u64) {
        let folder = budget.folder(id);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(FRAMES), vec![0; bytes]).unwrap();
        std::fs::write(folder.join(sprites::MAP), "WEBVTT\n").unwrap();
        for name in [ENDS, USED] {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(used_secs);
            File::create(folder.join(name)).unwrap().set_modified(time).unwrap();
        }
    }

    #[test]
    fn the_least_recently_used_previews_are_evicted_and_keep_their_thumbnails() {
        let data = tempfile::tempdir().unwrap();
        let budget = DiskBudget::new(data.path().to_owned(), 1000);
        keep(&budget, "old", 300, 10);
        keep(&budget, "new", 300, 30);
        keep(&budget, "middle", 300, 20);
        let kept = || -> Vec<&str> {
            ["old", "middle", "new"]
                .into_iter()
                .filter(|id| budget.folder(id).join(FRAMES).exists())
                .collect()
        };
        assert!(budget.make_room("fresh", 100, false));
        assert_eq!(kept(), ["old", "middle", "new"], "there was room");
        assert!(budget.make_room("fresh", 500, false));
        assert_eq!(kept(), ["new"]);
        assert!(budget.folder("old").join(sprites::MAP).is_file());
        assert!(
            budget.folder("old").join(TAKEN_AWAY).exists() && !budget.folder("new").join(TAKEN_AWAY).exists()
        );
        // Its own bytes aren't counted twice, and aren't removed.
        assert!(budget.make_room("new", 900, false));
        assert_eq!(kept(), ["new"]);
        assert!(!budget.make_room("fresh", 1001, true));
        assert_eq!(kept(), ["new"], "nothing goes for what does not fit anyway");
    }

    #[test]
    fn previews_used_within_a_day_are_evicted_only_for_a_waiting_viewer() {
        let data = tempfile::tempdir().unwrap();
        let budget = DiskBudget::new(data.path().to_owned(), 1000);
        let now_secs = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        keep(&budget, "young", 800, now_secs - 3600);
        assert!(!budget.make_room("fresh", 300, false));
        assert!(budget.folder("young").join(FRAMES).exists());
        assert!(budget.make_room("fresh", 300, true));
        assert!(!budget.folder("young").join(FRAMES).exists());
    }

    #[test]
    fn pictures_of_a_video_that_is_gone_stay_for_a_month() {
        let data = tempfile::tempdir().unwrap();
        let budget = DiskBudget::new(data.path().to_owned(), 1_000_000_000);
        let days_ago = |days: u64| SystemTime::now() - Duration::from_secs(days * 24 * 3600);
        let ages = [("present", 90), ("gone", 90), ("gone-lately", 10), ("gone-but-viewed", 90)];
        for (id, days) in ages {
            std::fs::create_dir_all(budget.folder(id)).unwrap();
            for name in [sprites::MAP, ENDS, FRAMES] {
                let file = File::create(budget.folder(id).join(name)).unwrap();
                file.set_modified(days_ago(days)).unwrap();
            }
        }
        File::create(budget.folder("gone-but-viewed").join(USED)).unwrap();
        budget.remove_those_gone(&BTreeSet::from(["present".to_owned()]));
        assert_eq!(ages.map(|(id, _)| budget.folder(id).exists()), [true, false, true, true]);
    }
}
