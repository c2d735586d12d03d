//! Small pictures of the videos, in a folder for each beside the store: every frame as a JPEG, and thumbnails of keyframes.
//!
//! They are made in the background, of the frames that the analysis decodes anyway, within a share of the disk. When it is
//! used up, the frames of the video that nobody looked at for longest go; its thumbnails and counts stay, and when somebody
//! looks at it again they are made anew. Where nobody asks, what was made or looked at within a day is not taken away: a
//! library larger than the room fills it once, and is not made over and over.

use crate::artifacts::disk_space;
use pigweight_media::preview::{PreviewReader, PreviewWriter};
use pigweight_media::{DecodedFrame, FrameReader, Result, Video, sprites};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Small pictures reach the disk at least this often.
const FLUSH_AFTER: Duration = Duration::from_secs(2);
/// A look at a video is noted at most this often.
const NOTE_USE_AFTER: Duration = Duration::from_secs(60);
/// px, from the usual width to what a very long video gets.
const WIDTHS: [u32; 3] = [640, 480, 320];
/// Of a small picture of a noisy camera, per px: 14 kB at 640 × 360.
const BYTES_PER_PX: f64 = 0.06;
/// Of the share of the disk that one video may take.
const MOST_OF_ONE: f64 = 0.5;
/// The room may be used by others while a video's pictures are made: it is looked at anew after so many bytes.
const LOOK_AT_ROOM_AFTER_BYTES: u64 = 64 << 20;

const FRAMES: &str = "frames.jpegs";
const ENDS: &str = "frames.ends";
/// Its time says when somebody last looked.
const USED: &str = "used";
/// Says that the frames were taken away, and are made again only when somebody looks.
const TAKEN_AWAY: &str = "taken-away";
/// What is there of a video that is gone is kept for so long: it may lie on a disk that comes back.
const GONE_KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// What was used so lately is left alone, unless somebody waits.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);

/// The small pictures of all videos.
pub struct Previews {
    root: PathBuf,
    budget_bytes: u64,
    looks: Mutex<Looks>,
}

#[derive(Default)]
struct Looks {
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
            root: data.join("previews"),
            budget_bytes: (disk_gb * 1e9) as u64,
            looks: Mutex::new(Looks::default()),
        }
    }

    /// Where those of a registered video lie. Identifiers are made by the store: they lead nowhere else.
    pub fn folder(&self, video_id: &str) -> PathBuf {
        self.root.join(video_id)
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
        let mut looks = self.looks();
        let wanted = std::mem::take(&mut looks.wanted);
        looks.taken.extend(wanted.iter().cloned());
        wanted
    }

    /// Thumbnails, unless they are there. `false` when stopped before the end.
    ///
    /// # Errors
    /// Where the disk refuses or the video cannot be read.
    pub fn make_sprites(&self, video_id: &str, video: &Video, stop: &AtomicBool) -> Result<bool> {
        if self.budget_bytes == 0 {
            return Ok(true);
        }
        sprites::make(video, &self.folder(video_id), &|| stop.load(Ordering::Relaxed))
    }

    /// Goes on with the small pictures of a video; `None` where they are all there, or there is no room for them.
    pub fn begin<'a>(&'a self, video_id: &'a str, video: &'a Video) -> Option<Making<'a>> {
        let folder = self.folder(video_id);
        let frames = video.index().frame_count() as u64;
        if self.budget_bytes == 0 || self.made(video_id).frames >= frames {
            return None;
        }
        let is_wanted = self.looks().taken.remove(video_id);
        let taken_away = folder.join(TAKEN_AWAY);
        if taken_away.exists() && !is_wanted {
            return None;
        }
        let (width, bytes) = self.size_for(video)?;
        let begun_bytes = folder.join(FRAMES).metadata().map_or(0, |frames| frames.len());
        if begun_bytes as f64 > self.budget_bytes as f64 * MOST_OF_ONE
            || !self.make_room(video_id, bytes, is_wanted)
        {
            return None;
        }
        // One that stays is met again, and a look makes the frames again.
        let _gone = std::fs::remove_file(taken_away);
        match PreviewWriter::open(&folder, width) {
            Ok(writer) => Some(Making {
                previews: self,
                video_id,
                video,
                is_wanted,
                room_looked_at: writer.bytes(),
                writer: Some(writer),
                last_flush: Instant::now(),
                is_joined: None,
            }),
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
            (bytes <= self.budget_bytes as f64 * MOST_OF_ONE).then_some((width, bytes as u64))
        })
    }

    /// Takes the frames of other videos away, longest unused first, until those of `video_id` may have `bytes`.
    fn make_room(&self, video_id: &str, bytes: u64, is_wanted: bool) -> bool {
        let mut kept = self.kept();
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
        let may_go = |video: &Kept| is_wanted || video.used.elapsed().is_ok_and(|unused| unused > KEPT_FOR);
        let to_spare: u64 = kept.iter().filter(|video| may_go(video)).map(|video| video.bytes).sum();
        if total - to_spare + needed > self.budget_bytes {
            return false;
        }
        for video in kept.iter().filter(|video| may_go(video)) {
            if total + needed <= self.budget_bytes {
                break;
            }
            self.remove_frames(&video.id);
            total -= video.bytes;
        }
        total + needed <= self.budget_bytes
    }

    fn remove_frames(&self, video_id: &str) {
        // First, so that nothing makes them again in between. Without it they are made again once.
        let _unsaid = File::create(self.folder(video_id).join(TAKEN_AWAY));
        for name in [ENDS, FRAMES] {
            // One that is not there needs no removing; one that cannot be removed is met again.
            let _gone = std::fs::remove_file(self.folder(video_id).join(name));
        }
        tracing::info!("took the small pictures of the video {video_id} away to make room");
    }

    /// Removes what there is of videos that are not `present` and have not been used for a month.
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

    /// Bytes that the small pictures of all videos take of the disk.
    pub fn bytes(&self) -> u64 {
        self.kept().iter().map(|video| video.bytes).sum()
    }

    fn kept(&self) -> Vec<Kept> {
        let entries = std::fs::read_dir(&self.root).into_iter().flatten().filter_map(std::result::Result::ok);
        let kept = entries.filter_map(|entry| {
            let bytes = entry.path().join(FRAMES).metadata().ok()?.len();
            let time = |name| entry.path().join(name).metadata().and_then(|file| file.modified()).ok();
            // One that nobody looked at yet is as young as its making.
            let used = time(USED).max(time(ENDS)).unwrap_or(SystemTime::UNIX_EPOCH);
            Some(Kept { id: entry.file_name().to_string_lossy().into_owned(), bytes, used })
        });
        kept.collect()
    }

    fn note_use(&self, video_id: &str, is_in_vain: bool) {
        let mut looks = self.looks();
        if is_in_vain && self.budget_bytes > 0 {
            looks.wanted.insert(video_id.to_owned());
        }
        let is_noted = looks.noted.get(video_id).is_some_and(|noted| noted.elapsed() < NOTE_USE_AFTER);
        if !is_noted {
            looks.noted.insert(video_id.to_owned(), Instant::now());
            drop(looks);
            // Where it cannot be written the video counts as unused, and nothing worse.
            let _unnoted = File::create(self.folder(video_id).join(USED));
        }
    }

    fn looks(&self) -> MutexGuard<'_, Looks> {
        // Every change is a single insertion or a swap: what a panicking holder left behind is whole.
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Kept {
    id: String,
    bytes: u64,
    used: SystemTime,
}

/// The small pictures of one video while they are made. What is wrong with them never hinders the counting: it is logged,
/// and no more are made.
pub struct Making<'a> {
    previews: &'a Previews,
    video_id: &'a str,
    video: &'a Video,
    /// `None` after a failure.
    writer: Option<PreviewWriter>,
    last_flush: Instant,
    room_looked_at: u64,
    is_wanted: bool,
    /// Whether the frames that come go on where the writer stands; `None` before the first.
    is_joined: Option<bool>,
}

impl Making<'_> {
    /// A frame of a pass over the video, in order. A pass that began behind what is there cannot be gone on with.
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

    /// Decodes what is still missing. `false` when stopped before the end.
    ///
    /// # Errors
    /// Where the video cannot be read on.
    pub fn complete(mut self, stop: &AtomicBool) -> Result<bool> {
        let total = self.video.index().frame_count() as u64;
        // The pass below begins right behind what is there.
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
        if !disk_space::has_room(&self.previews.root, 0) {
            tracing::warn!(
                "no more small pictures of {}: the disk is nearly full",
                self.video.path().display()
            );
            self.writer = None;
        }
        if bytes >= self.room_looked_at + LOOK_AT_ROOM_AFTER_BYTES {
            self.room_looked_at = bytes;
            let is_too_much = bytes as f64 > self.previews.budget_bytes as f64 * MOST_OF_ONE;
            if is_too_much || !self.previews.make_room(self.video_id, bytes, self.is_wanted) {
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

impl Drop for Making<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(previews: &Previews, id: &str, bytes: usize, used_secs: u64) {
        let folder = previews.folder(id);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(FRAMES), vec![0; bytes]).unwrap();
        std::fs::write(folder.join(sprites::MAP), "WEBVTT\n").unwrap();
        for name in [ENDS, USED] {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(used_secs);
            File::create(folder.join(name)).unwrap().set_modified(time).unwrap();
        }
    }

    #[test]
    fn the_longest_unused_make_room_and_keep_their_thumbnails() {
        let data = tempfile::tempdir().unwrap();
        let previews = Previews::new(data.path(), 1000e-9);
        keep(&previews, "old", 300, 10);
        keep(&previews, "new", 300, 30);
        keep(&previews, "middle", 300, 20);
        let kept = || -> Vec<&str> {
            ["old", "middle", "new"]
                .into_iter()
                .filter(|id| previews.folder(id).join(FRAMES).exists())
                .collect()
        };
        assert!(previews.make_room("fresh", 100, false));
        assert_eq!(kept(), ["old", "middle", "new"], "there was room");
        assert!(previews.make_room("fresh", 500, false));
        assert_eq!(kept(), ["new"]);
        assert!(previews.made("old").has_sprites);
        assert!(
            previews.folder("old").join(TAKEN_AWAY).exists()
                && !previews.folder("new").join(TAKEN_AWAY).exists()
        );
        // What it has itself is not counted twice, and is not taken away.
        assert!(previews.make_room("new", 900, false));
        assert_eq!(kept(), ["new"]);
        assert!(!previews.make_room("fresh", 1001, true));
        assert_eq!(kept(), ["new"], "nothing goes for what does not fit anyway");
    }

    #[test]
    fn what_was_used_within_a_day_goes_only_for_somebody_who_waits() {
        let data = tempfile::tempdir().unwrap();
        let previews = Previews::new(data.path(), 1000e-9);
        let now_secs = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        keep(&previews, "young", 800, now_secs - 3600);
        assert!(!previews.make_room("fresh", 300, false));
        assert!(previews.folder("young").join(FRAMES).exists());
        assert!(previews.make_room("fresh", 300, true));
        assert!(!previews.folder("young").join(FRAMES).exists());
    }

    #[test]
    fn a_look_in_vain_is_told_once() {
        let data = tempfile::tempdir().unwrap();
        let previews = Previews::new(data.path(), 1.0);
        assert_eq!(previews.frame("gone", 3).unwrap(), None);
        assert_eq!(previews.frame("gone", 4).unwrap(), None);
        assert_eq!(previews.take_wanted().into_iter().collect::<Vec<_>>(), ["gone"]);
        assert!(previews.take_wanted().is_empty());
    }

    #[test]
    fn pictures_of_a_video_that_is_gone_stay_for_a_month() {
        let data = tempfile::tempdir().unwrap();
        let previews = Previews::new(data.path(), 1.0);
        let days_ago = |days: u64| SystemTime::now() - Duration::from_secs(days * 24 * 3600);
        let ages = [("present", 90), ("gone", 90), ("gone-lately", 10), ("gone-but-looked-at", 90)];
        for (id, days) in ages {
            std::fs::create_dir_all(previews.folder(id)).unwrap();
            for name in [sprites::MAP, ENDS, FRAMES] {
                let file = File::create(previews.folder(id).join(name)).unwrap();
                file.set_modified(days_ago(days)).unwrap();
            }
        }
        previews.note_use("gone-but-looked-at", false);
        previews.remove_those_gone(&BTreeSet::from(["present".to_owned()]));
        assert_eq!(ages.map(|(id, _)| previews.folder(id).exists()), [true, false, true, true]);
    }
}
