//! `pigweight check`: accuracy of the counts.

use super::analyse::{CommandStore, damage, progress_bar};
use super::{Partial, configure, print, start_inference, with_folder_detector};
use crate::accuracy::calibration::{self, Calibration, DetectedFrame, Known};
use crate::accuracy::input_width;
use crate::accuracy::truth::Truth;
use crate::analysis::frame_source::FileSource;
use crate::analysis::frames::{self, FrameInference, InferredFrames, StartPosition};
use crate::analysis::run_warnings::other_view;
use crate::analysis::settings::{RunSettings, schedule_of};
use crate::args::Check;
use crate::config::{Config, USUAL_MIN_SCORE};
use crate::describe::Chain;
use crate::sources::library;
use pigweight_core::detection::Detection;
use pigweight_core::time::Pts;
use pigweight_detect::service::Inference;
use pigweight_media::Video;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

#[derive(Serialize)]
struct Accuracy {
    video: String,
    frames: usize,
    true_mean: f64,
    counted_mean: f64,
    /// Of the count, over all frames.
    mean_absolute_error: f64,
    /// Counted minus true: negative if animals are missed.
    bias: f64,
    /// Share of frames with the right count.
    exact: f64,
    /// Share of frames whose true number lies within the count ± its uncertainty; null if the detector doesn't say what its scores mean.
    within_uncertainty: Option<f64>,
}

/// A video with known counts.
struct Subject {
    /// Path below the folder.
    name: String,
    path: PathBuf,
    truth: Truth,
}

pub fn run(args: &Check) -> anyhow::Result<()> {
    anyhow::ensure!(
        args.folder.is_dir(),
        "{} is not a folder; name one that holds videos with their truth beside them",
        args.folder.display()
    );
    let mut config = configure(&args.model)?;
    if args.every_frame {
        config.detect.inference_hz = Some(0.0);
    }
    let mut notes = Vec::new();
    let subjects = subjects(&args.folder, &mut notes)?;
    let (mut of_folder, _) = with_folder_detector(&config, &args.folder.join("video"));
    let mut inference = start_inference(&of_folder)?;
    if args.calibrate {
        return calibrate(args, &config, &inference, subjects, notes);
    }
    let command_store = CommandStore::open(None)?;
    let mut results = Vec::new();
    for subject in &subjects {
        let (of_subject, is_other_view) = with_folder_detector(&config, &subject.path);
        if is_other_view {
            tracing::warn!("{}: {}", subject.name, other_view().message);
        }
        if of_subject.model != of_folder.model {
            inference = start_inference(&of_subject)?;
            of_folder = of_subject;
        }
        let result = command_store.analyse(&subject.path, &[], &inference, &config).and_then(|analysed| {
            let counted = command_store.counts(&analysed.run)?;
            let truth = by_pts(&subject.truth, &analysed.video);
            notes.extend(subject.truth.beyond(analysed.video.index().frame_count()));
            notes.extend(analysed.damage);
            accuracy(&subject.name, &counted, &truth, analysed.run.count_uncertainty())
        });
        match result {
            Ok(result) => results.push(result),
            Err(error) => notes.push(Chain(error.as_ref()).to_string()),
        }
    }
    anyhow::ensure!(!results.is_empty(), notes.join("; "));
    if args.json {
        print(format_args!("{}\n", serde_json::to_string(&results)?))?;
    } else {
        print(table(&results)?)?;
    }
    Partial::unless_empty(&notes)
}

fn subjects(folder: &Path, notes: &mut Vec<String>) -> anyhow::Result<Vec<Subject>> {
    let mut subjects = Vec::new();
    let (found, unread) = library::find_videos(&[folder.to_owned()], None);
    notes.extend(unread.map(|reason| reason.text));
    for found in found {
        match Truth::beside(&found.path) {
            Ok(Some(truth)) => subjects.push(Subject { name: found.name, path: found.path, truth }),
            Ok(None) => {}
            Err(error) => notes.push(Chain(error.as_ref()).to_string()),
        }
    }
    anyhow::ensure!(!subjects.is_empty() || notes.is_empty(), notes.join("; "));
    anyhow::ensure!(
        !subjects.is_empty(),
        "{} holds no video with its truth beside it; put NAME.boxes.csv (frame,x,y,w,h) or NAME.counts.csv \
         (frame,count) beside NAME.mp4, frames counted from 0; links that lead out of the folder are not followed",
        folder.display()
    );
    Ok(subjects)
}

#[derive(Serialize)]
struct Calibrated {
    kept_in: PathBuf,
    min_score: f32,
    videos: Vec<Improvement>,
}

#[derive(Serialize)]
struct Improvement {
    video: String,
    /// The previous threshold.
    min_score_before: f32,
    /// Mean absolute errors of the count per frame.
    error_before: f64,
    error_after: f64,
}

impl fmt::Display for Calibrated {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Improvement { video, min_score_before, error_before, error_after } in &self.videos {
            writeln!(
                formatter,
                "{video}: error {error_before:.2} pigs a frame before (from a score of {min_score_before:.2} on), \
                 {error_after:.2} after"
            )?;
        }
        let (min_score, kept_in) = (self.min_score, self.kept_in.display());
        writeln!(formatter, "A box is counted as a pig from a score of {min_score:.2} on; kept in {kept_in}")
    }
}

/// Infers each video once, tries all thresholds on its detections, and stores the best for the folder.
fn calibrate(
    args: &Check,
    config: &Config,
    inference: &Inference,
    subjects: Vec<Subject>,
    mut notes: Vec<String>,
) -> anyhow::Result<()> {
    let mut known = Vec::new();
    for subject in subjects {
        // The current threshold; this replaces a calibration that can't be read.
        let before = RunSettings::of(config, &subject.path, inference.model())
            .map_or_else(|_unreadable| config.detect.min_score(), |settings| settings.tracker.high_score);
        match detect_all(&subject, config, inference, &mut notes) {
            Ok(seen) => known.push((subject.name, before, seen)),
            Err(error) => notes.push(Chain(error.as_ref()).to_string()),
        }
        let nearest = Calibration::nearest(&subject.path);
        if let Some(nearer) =
            nearest.filter(|path| path.parent().is_some_and(|nearer| is_below(nearer, &args.folder)))
        {
            notes.push(format!(
                "{} goes on to decide for the videos in its folder; remove it to let this one do so",
                nearer.display()
            ));
        }
    }
    notes.dedup();
    anyhow::ensure!(!known.is_empty(), notes.join("; "));
    let all: Vec<_> = known.iter().map(|(_, _, known)| known).collect();
    let min_score = calibration::best_threshold(&all, USUAL_MIN_SCORE);
    let videos = known
        .iter()
        .map(|(video, before, known)| Improvement {
            video: video.clone(),
            min_score_before: *before,
            error_before: known.error_at(*before),
            error_after: known.error_at(min_score),
        })
        .collect();
    let kept_in =
        Calibration { model: inference.model().info().hash.clone(), min_score }.keep(&args.folder)?;
    let calibrated = Calibrated { kept_in, min_score, videos };
    if args.json {
        print(format_args!("{}\n", serde_json::to_string(&calibrated)?))?;
    } else {
        print(calibrated)?;
    }
    Partial::unless_empty(&notes)
}

/// All detections of the video, frame by frame.
fn detect_all(
    subject: &Subject,
    config: &Config,
    inference: &Inference,
    notes: &mut Vec<String>,
) -> anyhow::Result<Known> {
    let video = Video::open(&subject.path)?;
    let bar = progress_bar(&subject.name, video.index().frame_count() as u64);
    let schedule = schedule_of(&config.detect);
    let input_width = input_width::of_file(config, inference, &video)?;
    let frames = FrameInference { inference, input_width, schedule, line_proximity: None };
    let tracked = |_: &_, found: Vec<_>| Detection::tracked_from(found, 0.0);
    let mut guessed = 0;
    let source = &mut FileSource::new(&video);
    let collect = |frames: InferredFrames<Vec<Detection>>| {
        let frames = frames.inspect(|_| bar.inc(1)).map(|frame| {
            let frame = frame?;
            guessed += usize::from(frame.is_damaged);
            Ok::<_, frames::Error>((frame.pts, frame.secs, frame.inferred))
        });
        frames.collect::<Result<Vec<DetectedFrame>, _>>()
    };
    let frames = frames.run(source, StartPosition::default(), &mut |_| {}, tracked, collect)??;
    bar.finish_and_clear();
    let truth = by_pts(&subject.truth, &video);
    anyhow::ensure!(
        frames.iter().any(|(pts, ..)| truth.contains_key(pts)),
        "{} has no frame with a known count",
        subject.name
    );
    notes.extend(subject.truth.beyond(video.index().frame_count()));
    notes.extend(damage(&video, frames.len(), guessed));
    Ok(Known { frames, truth })
}

/// The table numbers all frames of the video, including those that can't be decoded.
fn by_pts(truth: &Truth, video: &Video) -> BTreeMap<Pts, u32> {
    let known = truth.known(video.index().frame_count());
    known.filter_map(|(place, count)| Some((video.index().pts_at(place)?, count))).collect()
}

/// Whether a folder is inside the other one and not the same.
fn is_below(folder: &Path, above: &Path) -> bool {
    above.canonicalize().is_ok_and(|above| folder != above && folder.starts_with(above))
}

/// Over the frames with known counts.
fn accuracy(
    video: &str,
    counted: &BTreeMap<Pts, u32>,
    truth: &BTreeMap<Pts, u32>,
    uncertainty: Option<f64>,
) -> anyhow::Result<Accuracy> {
    let pairs: Vec<(f64, f64)> = truth
        .iter()
        .filter_map(|(pts, &known)| Some((f64::from(*counted.get(pts)?), f64::from(known))))
        .collect();
    anyhow::ensure!(!pairs.is_empty(), "{video} has no frame with a known count");
    let frames = pairs.len() as f64;
    let mean = |value: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(value).sum::<f64>() / frames;
    Ok(Accuracy {
        frames: pairs.len(),
        true_mean: mean(&|pair| pair.1),
        counted_mean: mean(&|pair| pair.0),
        mean_absolute_error: mean(&|pair| (pair.0 - pair.1).abs()),
        bias: mean(&|pair| pair.0 - pair.1),
        exact: mean(&|pair| f64::from(u8::from(pair.0 == pair.1))),
        within_uncertainty: uncertainty
            .map(|pigs| mean(&|pair| f64::from(u8::from((pair.0 - pair.1).abs() <= pigs)))),
        video: video.to_owned(),
    })
}

fn table(results: &[Accuracy]) -> anyhow::Result<String> {
    let width = results.iter().map(|result| result.video.chars().count()).max().unwrap_or(0).max(5);
    let mut text = format!("{:width$}  frames  pigs  counted   error    bias  exact  within ±\n", "video");
    for result in results {
        writeln!(
            text,
            "{:width$}  {:6}  {:4.1}  {:7.1}  {:6.2}  {:+6.2}  {:4.0}%  {:>8}",
            result.video,
            result.frames,
            result.true_mean,
            result.counted_mean,
            result.mean_absolute_error,
            result.bias,
            result.exact * 100.0,
            result.within_uncertainty.map_or("".to_owned(), |share| format!("{:.0}%", share * 100.0))
        )?;
    }
    text.push_str("error: mean absolute error of the count per frame; bias: counted minus true; within ±: frames whose true number lies within the uncertainty\n");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_frames_of_known_count_are_compared() {
        let by_pts = |pairs: &[(i64, u32)]| pairs.iter().map(|&(pts, count)| (Pts(pts), count)).collect();
        // One frame could not be decoded.
        let counted: BTreeMap<Pts, u32> = by_pts(&[(0, 2), (1, 1), (2, 0), (4, 7)]);
        let result = accuracy("v", &counted, &by_pts(&[(0, 2), (1, 0), (2, 1), (3, 5)]), None).unwrap();
        assert_eq!(result.within_uncertainty, None);
        assert_eq!((result.frames, result.mean_absolute_error, result.bias), (3, 2.0 / 3.0, 0.0));
        let result = accuracy("v", &counted, &by_pts(&[(4, 5), (9, 5)]), Some(1.9)).unwrap();
        assert_eq!((result.frames, result.mean_absolute_error, result.bias), (1, 2.0, 2.0));
        assert_eq!(result.within_uncertainty, Some(0.0));
        let result = accuracy("v", &counted, &by_pts(&[(0, 2), (4, 5)]), Some(1.9)).unwrap();
        assert_eq!(result.within_uncertainty, Some(0.5));
        assert!(accuracy("v", &counted, &by_pts(&[(3, 5)]), None).is_err());
    }
}
