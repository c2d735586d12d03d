//! Adapts the detector to a camera: samples pictures from its videos, and keeps a checkpoint on disk so that a killed process resumes.
//!
//! The training itself is in [`pigweight_train::adapt`].

use anyhow::Context as _;
use pigweight_core::picture::PictureView;
use pigweight_detect::letterbox::{InputStyle, Letterbox, Placement};
use pigweight_media::{FrameSeeker, Video};
use pigweight_train::adapt::{Film, NumberedPicture, Saved, Settings};
use pigweight_train::augment::RgbPicture;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Pictures to train on. More of them are more alike.
const TRAINING_PICTURES: usize = 128;
/// Pictures to judge by, of the last third of the film.
const HELD_OUT_PICTURES: usize = 64;
/// Wider pictures are scaled down to it, px: the detector sees no more.
const WIDEST_PX: u32 = 960;
/// Training steps between two checkpoints.
pub const STEPS_PER_CHECKPOINT: u32 = 20;
/// Version of the checkpoint's format. One of another version is ignored.
const CHECKPOINT_VERSION: u32 = 2;

/// How long a number holds before and after the moment at which it was counted, where the next one is another.
const NUMBER_HOLDS_SECS: f64 = 10.0;

/// Frames of a video on which the number of animals is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberedStretch {
    /// Which of the videos.
    pub video: usize,
    /// By index.
    pub frames: Range<usize>,
    /// In view.
    pub animals: u32,
}

/// All frames of the videos, with the same number.
pub fn constant_number(opened: &[Video], animals: u32) -> Vec<NumberedStretch> {
    let stretch = |(video, opened): (usize, &Video)| {
        let frames = 0..opened.index().frame_count();
        NumberedStretch { video, frames, animals }
    };
    opened.iter().enumerate().map(stretch).collect()
}

/// The frames of a video around which animals were counted: `known` has the index of a frame and its number, in order. Between two moments with the same
/// number it holds all the time, otherwise for ten seconds around each.
pub fn known_numbers(video: usize, opened: &Video, known: &[(usize, u32)]) -> Vec<NumberedStretch> {
    let index = opened.index();
    let secs = |frame: usize| index.pts_at(frame).map_or(0.0, |pts| opened.secs(pts));
    let pts: Vec<_> = index.frame_pts().collect();
    stretches(video, known, pts.len(), secs, |secs| pts.partition_point(|&pts| opened.secs(pts) < secs))
}

fn stretches(
    video: usize,
    known: &[(usize, u32)],
    frames: usize,
    secs_of: impl Fn(usize) -> f64,
    frame_at: impl Fn(f64) -> usize,
) -> Vec<NumberedStretch> {
    let mut found: Vec<NumberedStretch> = Vec::new();
    for (number, &(frame, animals)) in known.iter().enumerate() {
        let earlier = number.checked_sub(1).and_then(|before| known.get(before));
        let later = known.get(number + 1);
        let mut start = frame_at(secs_of(frame) - NUMBER_HOLDS_SECS);
        if let Some(&(before, _)) = earlier {
            start = start.max(before.midpoint(frame) + 1);
        }
        let end = match later {
            Some(&(next, same)) if same == animals => next,
            Some(&(next, _)) => frame_at(secs_of(frame) + NUMBER_HOLDS_SECS).min(frame.midpoint(next) + 1),
            None => frame_at(secs_of(frame) + NUMBER_HOLDS_SECS),
        };
        match found.last_mut().filter(|last| last.animals == animals && last.frames.end >= frame) {
            Some(last) => last.frames.end = end.clamp(frame + 1, frames),
            None => found.push(NumberedStretch {
                video,
                frames: start.min(frame)..end.clamp(frame + 1, frames.max(frame + 1)),
                animals,
            }),
        }
    }
    found
}

/// A film's pictures: the first two thirds of the frames with a known number to train on, the last to judge by. All have one size. `tell` gets how many of how
/// many are read, and says whether to go on; `None` if not.
///
/// # Errors
/// If a video can't be opened or has pictures of another size.
pub fn read_film(
    opened: &[Video],
    numbered: &[NumberedStretch],
    mut tell: impl FnMut(usize, usize) -> bool,
) -> anyhow::Result<Option<Film>> {
    let frames: usize = numbered.iter().map(|stretch| stretch.frames.len()).sum();
    let held_out = frames * 2 / 3..frames;
    let chosen = [spread(0..held_out.start, TRAINING_PICTURES), spread(held_out, HELD_OUT_PICTURES)];
    let total = chosen.iter().map(Vec::len).sum();
    let mut size = None;
    let (mut read, mut seeker): (usize, Option<(usize, FrameSeeker)>) = (0, None);
    let mut pictures = [Vec::new(), Vec::new()];
    for (frames, pictures) in chosen.into_iter().zip(&mut pictures) {
        for frame in frames {
            let Some((number, place, animals)) = place_of(numbered, frame) else { continue };
            let video = &opened[number];
            let Some(pts) = video.index().pts_at(place) else { continue };
            let (_, open) = match seeker.take().filter(|(open, _)| *open == number) {
                Some(open) => seeker.insert(open),
                None => seeker.insert((number, FrameSeeker::open(video)?)),
            };
            read += 1;
            if !tell(read, total) {
                return Ok(None);
            }
            // A damaged frame teaches nothing.
            let Ok(shown) = open.frame(pts) else { continue };
            let picture = shown.picture.scaled_to_width(WIDEST_PX);
            let found = (picture.width(), picture.height());
            let expected = *size.get_or_insert(found);
            anyhow::ensure!(
                found == expected,
                "{} shows pictures of {} × {} px, the film before it {} × {} px; name videos of one camera",
                video.path().display(),
                found.0,
                found.1,
                expected.0,
                expected.1
            );
            pictures.push(NumberedPicture { picture: rgb(&picture.view()), animals });
        }
    }
    let [training, held_out] = pictures;
    Ok(Some(Film::new(training, held_out)))
}

/// At most so many, evenly spread.
fn spread(all: Range<usize>, most: usize) -> Vec<usize> {
    let count = all.len().min(most);
    (0..count).map(|place| all.start + place * all.len() / count).collect()
}

/// The video that a frame of the whole film belongs to, its index there, and the number of animals.
fn place_of(numbered: &[NumberedStretch], mut frame: usize) -> Option<(usize, usize, u32)> {
    for NumberedStretch { video, frames, animals } in numbered {
        if frame < frames.len() {
            return Some((*video, frames.start + frame, *animals));
        }
        frame -= frames.len();
    }
    None
}

fn rgb(picture: &PictureView<'_>) -> RgbPicture {
    let size = (picture.width as usize, picture.height as usize);
    let style = InputStyle { placement: Placement::Centered, is_bgr: false, is_unit_range: false };
    let mut letterbox = Letterbox::new(style);
    letterbox.fill(picture, size);
    let area = size.0 * size.1;
    let planes = letterbox.tensor();
    let byte = |value: f32| value.round().clamp(0.0, 255.0) as u8;
    let data = (0..area)
        .flat_map(|place| [0, 1, 2].map(|channel: usize| byte(planes[channel * area + place])))
        .collect();
    RgbPicture { width: size.0, height: size.1, data }
}

/// A checkpoint on disk, and the adaptation that it belongs to.
#[derive(Serialize, Deserialize)]
struct StoredCheckpoint {
    version: u32,
    /// Of the detector, the settings and the pictures: another film or number begins anew.
    fingerprint: String,
    saved: Saved,
}

/// The checkpoint of one adaptation, next to its result. Only one process at a time may hold it.
pub struct CheckpointFile {
    path: PathBuf,
    fingerprint: String,
    lock_path: PathBuf,
    /// Held until it is dropped.
    _lock: File,
}

impl CheckpointFile {
    /// The state of the adaptation that writes `out`.
    ///
    /// # Errors
    /// If another process is writing `out`, or its folder can't be written.
    pub fn lock(out: &Path, detector: &[u8], film: &Film, settings: &Settings) -> anyhow::Result<Self> {
        let beside = |ending: &str| {
            let mut path = out.as_os_str().to_owned();
            path.push(ending);
            PathBuf::from(path)
        };
        let lock_path = beside(".lock");
        let lock = File::options().create(true).append(true).open(&lock_path);
        let lock = lock.with_context(|| format!("cannot write beside {}", out.display()))?;
        lock.try_lock().map_err(|_| {
            anyhow::anyhow!(
                "{} is being adapted by another process; wait for it, or name another file with --out",
                out.display()
            )
        })?;
        let mut hash = blake3::Hasher::new();
        hash.update(detector);
        hash.update(&postcard::to_stdvec(settings)?);
        for picture in film.pictures() {
            hash.update(&picture.data);
        }
        for animals in film.animals() {
            hash.update(&animals.to_le_bytes());
        }
        let fingerprint = hash.finalize().to_hex().to_string();
        Ok(Self { path: beside(".partial"), fingerprint, lock_path, _lock: lock })
    }

    /// The state of an earlier process, if it belongs to the same film, number and detector.
    pub fn read(&self) -> Option<Saved> {
        let file = std::fs::read(&self.path).ok()?;
        let state: StoredCheckpoint = postcard::from_bytes(&file).ok()?;
        (state.version == CHECKPOINT_VERSION && state.fingerprint == self.fingerprint).then_some(state.saved)
    }

    /// Replaces the state as a whole.
    ///
    /// # Errors
    /// If it can't be written: the state before stays.
    pub fn write(&self, saved: Saved) -> anyhow::Result<()> {
        let state =
            StoredCheckpoint { version: CHECKPOINT_VERSION, fingerprint: self.fingerprint.clone(), saved };
        write_whole(&self.path, &postcard::to_stdvec(&state)?)
    }

    /// Removes the state: the result is there, or there is none.
    pub fn remove(self) {
        // A file left behind does no harm: its fingerprint matches no other adaptation.
        let _gone = std::fs::remove_file(&self.path);
        let _gone = std::fs::remove_file(&self.lock_path);
    }
}

/// Writes a file that is there as a whole or not at all.
///
/// # Errors
/// If it can't be written, for want of space for example.
pub fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)
    };
    write().with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn film(brightness: u8, animals: u32) -> Film {
        let pictures = || vec![RgbPicture { width: 4, height: 2, data: vec![brightness; 24] }; 3];
        Film::with_constant_number(pictures(), pictures(), animals)
    }

    #[test]
    fn a_state_is_found_again_by_the_same_film_and_number_alone() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("pen.onnx");
        let lock = |brightness, animals| {
            CheckpointFile::lock(&out, b"detector", &film(brightness, animals), &Settings::default())
        };
        let state = lock(9, 30).unwrap();
        assert_eq!(state.read(), None);
        state.write(Saved::default()).unwrap();
        assert!(lock(9, 30).is_err_and(|error| error.to_string().contains("another process")));
        drop(state);
        assert_eq!(lock(9, 30).unwrap().read(), Some(Saved::default()));
        assert_eq!(lock(9, 31).unwrap().read(), None);
        assert_eq!(lock(10, 30).unwrap().read(), None);
        let state = lock(9, 30).unwrap();
        std::fs::write(folder.path().join("pen.onnx.partial"), "damaged").unwrap();
        assert_eq!(state.read(), None);
        state.remove();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn pictures_are_spread_over_the_film() {
        assert_eq!(spread(100..200, 4), [100, 125, 150, 175]);
        assert_eq!(spread(0..3, 4), [0, 1, 2]);
        assert!(spread(0..0, 4).is_empty());
        let stretch = |video, frames, animals| NumberedStretch { video, frames, animals };
        let numbered = [stretch(0, 0..5, 30), stretch(1, 7..7, 1), stretch(2, 10..13, 0)];
        assert_eq!(
            [0, 4, 5, 8].map(|frame| place_of(&numbered, frame)),
            [Some((0, 0, 30)), Some((0, 4, 30)), Some((2, 10, 0)), None]
        );
    }

    #[test]
    fn a_number_holds_until_the_next_one_or_for_ten_seconds() {
        // Five frames a second.
        let found = |known: &[(usize, u32)], frames: usize| {
            let found = stretches(
                0,
                known,
                frames,
                |frame| frame as f64 / 5.0,
                |secs| ((secs * 5.0).ceil().max(0.0) as usize).min(frames),
            );
            found.into_iter().map(|one| (one.frames, one.animals)).collect::<Vec<_>>()
        };
        assert_eq!(found(&[], 600), []);
        assert_eq!(found(&[(300, 30)], 600), [(250..350, 30)]);
        assert_eq!(found(&[(10, 30)], 20), [(0..20, 30)]);
        assert_eq!(found(&[(100, 30), (500, 30)], 600), [(50..550, 30)], "the same all the time");
        assert_eq!(found(&[(100, 30), (500, 28)], 600), [(50..150, 30), (450..550, 28)]);
        assert_eq!(found(&[(100, 30), (120, 28)], 600), [(50..111, 30), (111..170, 28)], "up to the middle");
        assert_eq!(found(&[(0, 0), (1, 1), (2, 0)], 3), [(0..1, 0), (1..2, 1), (2..3, 0)]);
        assert_eq!(found(&[(100, 30), (200, 30), (300, 0)], 600), [(50..250, 30), (251..350, 0)]);
    }
}
