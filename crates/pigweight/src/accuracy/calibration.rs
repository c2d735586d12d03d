//! The threshold calibrated on a camera's own videos.
//!
//! A folder holds one camera's recordings. `pigweight check --calibrate` writes a small file in it. A video there
//! or in a subfolder that is counted with the same model takes its threshold from the nearest such file, unless one is given explicitly.

use anyhow::Context as _;
use pigweight_core::detection::Detection;
use pigweight_core::inference_schedule::InferenceReason;
use pigweight_core::interpolate::{InferredDetections, SettledFrame, SettledTracker};
use pigweight_core::time::Pts;
use pigweight_core::track::TrackerSettings;
use pigweight_detect::Model;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Lower thresholds aren't tried: detections below occur everywhere.
pub const LEAST_THRESHOLD: f32 = 0.05;
/// Next to the videos.
const FILE_NAME: &str = "pigweight-calibration.toml";

/// The file's contents.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// BLAKE3 of the model it was calibrated with; scores of another model mean something else.
    pub model: String,
    /// A box is an animal from this score on.
    pub min_score: f32,
}

impl Calibration {
    /// Writes it for a folder's videos; returns its path.
    pub fn keep(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let path = folder.join(FILE_NAME);
        let text = format!(
            "# Written by `pigweight check --calibrate`: videos in this folder are counted so. Without this file they are\n\
             # counted as usual.\n{}",
            toml_of(self)
        );
        // Written atomically: a reader never sees half of it.
        let mut named = tempfile::Builder::new();
        // The server may run as another user than the one who calibrates.
        #[cfg(unix)]
        named.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        let written = named.tempfile_in(folder).and_then(|file| {
            std::fs::write(file.path(), &text)?;
            file.persist(&path).map(drop).map_err(|error| error.error)
        });
        // Only the kind: the error names the temporary file.
        written.map_err(|error| {
            let min_score = self.min_score;
            anyhow::anyhow!(
                "cannot write {}: {}; --min-score {min_score:.2} counts as it would have",
                path.display(),
                error.kind()
            )
        })?;
        Ok(path)
    }

    /// The nearest file above a video, for any model.
    pub fn nearest(video: &Path) -> Option<PathBuf> {
        nearest_above(video, FILE_NAME)
    }

    /// A file's contents, for any model.
    ///
    /// # Errors
    /// If it can't be read or parsed.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        parse(&text)
    }

    /// The nearest file above a video that was calibrated with this model.
    ///
    /// # Errors
    /// If such a file can't be read or parsed.
    pub fn of(video: &Path, model: &Model) -> anyhow::Result<Option<Self>> {
        for folder in whole(video).ancestors().skip(1) {
            let path = folder.join(FILE_NAME);
            let text = match std::fs::read_to_string(&path) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
            };
            let found: Self = parse(&text).with_context(|| {
                format!("{} is not understood; remove it or calibrate again", path.display())
            })?;
            if found.model == model.info().hash {
                return Ok(Some(found));
            }
            tracing::info!("{} was made with another model: left out", path.display());
        }
        Ok(None)
    }
}

/// The file of this name in the nearest folder above a video that has one.
pub fn nearest_above(video: &Path, file_name: &str) -> Option<PathBuf> {
    let video = whole(video);
    let folders = video.ancestors().skip(1);
    folders.map(|folder| folder.join(file_name)).find(|path| path.is_file())
}

/// From the root on: folders above the working directory count too.
fn whole(video: &Path) -> PathBuf {
    video.canonicalize().unwrap_or_else(|_| video.to_owned())
}

fn toml_of(calibration: &Calibration) -> String {
    format!("model = {:?}\nmin_score = {}\n", calibration.model, calibration.min_score)
}

fn parse(text: &str) -> anyhow::Result<Calibration> {
    use figment::providers::{Format as _, Toml};
    let found: Calibration = figment::Figment::from(Toml::string(text)).extract().map_err(|error| {
        // The TOML reader prints the position over several lines; the last says what is wrong.
        let message = error.to_string();
        anyhow::anyhow!("{}", message.lines().last().unwrap_or_default().trim())
    })?;
    anyhow::ensure!((0.0..=1.0).contains(&found.min_score), "min_score lies between 0 and 1");
    Ok(found)
}

/// pts, seconds and, if the frame was inferred, all its detections with any score.
pub type DetectedFrame = (Pts, f64, Option<(InferenceReason, Vec<Detection>)>);

/// The count of every frame at a threshold, tracked as in the pipeline.
pub fn counts_at(frames: &[DetectedFrame], min_score: f32) -> Vec<(Pts, usize)> {
    let settings = TrackerSettings::for_min_score(min_score);
    let low_score = settings.low_score;
    let mut tracker = SettledTracker::new(settings);
    let mut counts = Vec::with_capacity(frames.len());
    let mut add = |settled: Vec<SettledFrame>| {
        counts.extend(settled.iter().map(|frame| (frame.pts, frame.boxes.len())));
    };
    for (pts, secs, inferred) in frames {
        let tracked = inferred
            .as_ref()
            .map(|(reason, found)| (*reason, Detection::tracked_from(found.iter().copied(), low_score)));
        let inferred =
            tracked.as_ref().map(|(reason, detections)| InferredDetections { reason: *reason, detections });
        add(tracker.push(*pts, *secs, inferred));
    }
    add(tracker.finish());
    counts
}

/// The detections of a video with known counts.
pub struct Known {
    /// Frame by frame.
    pub frames: Vec<DetectedFrame>,
    /// Known counts by frame pts.
    pub truth: BTreeMap<Pts, u32>,
}

impl Known {
    /// The mean absolute count error per frame at a threshold, tracked as in the pipeline.
    pub fn error_at(&self, min_score: f32) -> f64 {
        let counts: BTreeMap<Pts, usize> = counts_at(&self.frames, min_score).into_iter().collect();
        let off = |(pts, &known): (&Pts, &u32)| {
            counts.get(pts).map(|&count| (count as f64 - f64::from(known)).abs())
        };
        let errors: Vec<f64> = self.truth.iter().filter_map(off).collect();
        errors.iter().sum::<f64>() / errors.len().max(1) as f64
    }

    /// Animals on a frame, on average.
    fn mean(&self) -> f64 {
        self.truth.values().copied().map(f64::from).sum::<f64>() / self.truth.len().max(1) as f64
    }
}

/// A smaller gain in the mean relative error is chance: a threshold that gains no more says nothing of other recordings.
const LEAST_GAIN: f64 = 0.005;

/// The threshold with the least mean relative error over the videos, or the usual one if the gain over it is [chance](LEAST_GAIN). From 0.05
/// to 0.9 in steps of 0.01; of equal ones the middle, where a little more or less light matters least.
pub fn best_threshold(videos: &[&Known], usual: f32) -> f32 {
    let error_at = |min_score: f32| {
        videos.iter().map(|video| video.error_at(min_score) / video.mean().max(1.0)).sum::<f64>()
    };
    let error = |hundredths: u8| error_at(f32::from(hundredths) / 100.0);
    let errors: Vec<(u8, f64)> =
        ((LEAST_THRESHOLD * 100.0) as u8..=90).map(|hundredths| (hundredths, error(hundredths))).collect();
    let least = errors.iter().map(|&(_, error)| error).fold(f64::INFINITY, f64::min);
    if error_at(usual) - least < LEAST_GAIN * videos.len() as f64 {
        return usual;
    }
    let best: Vec<u8> = errors
        .iter()
        .filter(|&&(_, error)| error <= least + 1e-9)
        .map(|&(hundredths, _)| hundredths)
        .collect();
    best.get(best.len() / 2).map_or(usual, |&hundredths| f32::from(hundredths) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pigweight_core::geometry::Rect;

    /// Three pigs detected with these scores on every frame, of which `true_count` are real.
    fn video(scores: [f32; 3], true_count: u32) -> Known {
        let detection = |place: usize, score: f32| Detection {
            rect: Rect { x: 100.0 * place as f32, y: 10.0, width: 50.0, height: 30.0 },
            score,
            class: 0,
        };
        let found: Vec<Detection> =
            scores.iter().enumerate().map(|(place, &score)| detection(place, score)).collect();
        Known {
            frames: (0..20)
                .map(|n| (Pts(n), n as f64 / 10.0, Some((InferenceReason::EveryFrame, found.clone()))))
                .collect(),
            truth: (0..20).map(|frame| (Pts(frame), true_count)).collect(),
        }
    }

    #[test]
    fn the_calibrated_threshold_lies_between_pigs_and_false_detections() {
        let videos = [video([0.8, 0.7, 0.45], 2), video([0.9, 0.75, 0.4], 2)];
        let best = best_threshold(&[&videos[0], &videos[1]], 0.2);
        // New tracks start a quarter of the way above the threshold.
        assert!((0.3..=0.6).contains(&best), "{best}");
        assert!(videos.iter().all(|video| video.error_at(best) == 0.0));
        assert_eq!(videos[0].error_at(0.9), 2.0);
    }

    #[test]
    fn a_threshold_that_gains_nothing_is_not_chosen() {
        let videos = [video([0.8, 0.7, 0.2], 2), video([0.9, 0.75, 0.1], 2)];
        assert_eq!(best_threshold(&[&videos[0], &videos[1]], 0.3), 0.3);
        // Here one gains half of the animals.
        assert!(best_threshold(&[&video([0.8, 0.7, 0.42], 2)], 0.3) > 0.3);
    }

    #[test]
    fn a_calibration_is_read_as_stored_and_an_invalid_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Calibration { model: "abc".into(), min_score: 0.23 };
        let path = kept.keep(folder.path()).unwrap();
        assert_eq!(parse(&std::fs::read_to_string(&path).unwrap()).unwrap(), kept);
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o004, 0o004, "other users can read it");
        for bad in [
            "",
            "model = 5\nmin_score = 0.3",
            "model = \"a\"\nmin_score = 7.0",
            "model = \"a\"\nmin_score = 0.3\nx = 1",
            "model = \"a\"\nmin_score = high",
            "min_score 0.3",
        ] {
            let message = parse(bad).expect_err(bad).to_string();
            assert!(!message.is_empty() && !message.contains('\n'), "{bad}: {message}");
        }
    }
}
