//! `pigweight check`: how far the counts are from the truth.

use super::analyse::{Workshop, progress_bar};
use super::{Partial, configure, print};
use crate::args::Check;
use crate::calibration::{self, Calibration, Known};
use crate::config::Config;
use crate::library;
use crate::looking::{Begin, Looking};
use anyhow::Context as _;
use pigweight_core::detection::Detection;
use pigweight_detect::Model;
use pigweight_media::Video;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

#[derive(Serialize)]
struct Accuracy {
    video: String,
    frames: usize,
    true_mean: f64,
    counted_mean: f64,
    /// Of the count, over all frames.
    mean_absolute_error: f64,
    /// Counted minus true: negative where animals are missed.
    bias: f64,
    /// Share of frames whose count is right.
    exact: f64,
}

pub fn run(args: &Check) -> anyhow::Result<()> {
    anyhow::ensure!(
        args.folder.is_dir(),
        "{} is not a folder; name one that holds videos with their truth beside them",
        args.folder.display()
    );
    let mut config = configure(&args.model)?;
    if args.every_frame {
        config.detect.looks_per_sec = 0.0;
    }
    let found = library::find_videos(std::slice::from_ref(&args.folder));
    let with_truth: Vec<(PathBuf, BTreeMap<usize, u32>)> = found
        .into_iter()
        .filter_map(|found| truth_beside(&found.path).map(|truth| truth.map(|truth| (found.path, truth))))
        .collect::<anyhow::Result<_>>()?;
    anyhow::ensure!(
        !with_truth.is_empty(),
        "{} holds no video with its truth beside it; put NAME.boxes.csv (frame,x,y,w,h) or NAME.counts.csv \
         (frame,count) beside NAME.mp4, frames counted from 0",
        args.folder.display()
    );
    let model = Model::load(config.model_settings())?;
    if args.calibrate {
        return calibrate(args, &config, &model, with_truth);
    }
    let workshop = Workshop::open(None)?;
    let mut results = Vec::new();
    let mut damage = Vec::new();
    for (path, truth) in with_truth {
        let analysed = workshop.analyse(&path, &[], &model, &config)?;
        let series = workshop.series(&analysed.run)?;
        results.push(accuracy(name_of(&path), &series, &truth)?);
        damage.extend(analysed.damage);
    }
    if args.json {
        print(format_args!("{}\n", serde_json::to_string(&results)?))?;
    } else {
        print(table(&results)?)?;
    }
    if damage.is_empty() { Ok(()) } else { Err(Partial(damage.join("; ")).into()) }
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
    /// Mean absolute errors of the count per frame.
    error_before: f64,
    error_after: f64,
}

/// Looks at each video once, tries all thresholds on what was found, and keeps the best for the folder.
fn calibrate(
    args: &Check,
    config: &Config,
    model: &Model,
    with_truth: Vec<(PathBuf, BTreeMap<usize, u32>)>,
) -> anyhow::Result<()> {
    let (mut names, mut known) = (Vec::new(), Vec::new());
    for (path, truth) in with_truth {
        let video = Video::open(&path)?;
        let bar = progress_bar(&name_of(&path), video.index().frame_count() as u64);
        let looking = Looking {
            video: &video,
            model,
            schedule: config.detect.schedule(),
            workers: config.detect.workers,
        };
        let see = |_: &_, found: Vec<_>| found.into_iter().map(Detection::on_grid).collect();
        let looks = looking.through(Begin::default(), see, |looks| {
            looks
                .inspect(|_| bar.inc(1))
                .map(|looked| looked.map(|looked| (looked.pts, looked.secs, looked.seen)))
                .collect::<Result<Vec<_>, _>>()
        })??;
        bar.finish_and_clear();
        let is_usable = truth.keys().next().is_some_and(|&first| first < looks.len());
        anyhow::ensure!(is_usable, "{} has no frame with a known count", name_of(&path));
        names.push(name_of(&path));
        known.push(Known { looks, truth });
    }
    let min_score = calibration::best_threshold(&known);
    let before = config.detect.min_score();
    let videos = names
        .into_iter()
        .zip(&known)
        .map(|(video, known)| Improvement {
            video,
            error_before: known.error_at(before),
            error_after: known.error_at(min_score),
        })
        .collect();
    let kept_in = Calibration { model: model.info().hash.clone(), min_score }.keep(&args.folder)?;
    let calibrated = Calibrated { kept_in, min_score, videos };
    if args.json {
        return print(format_args!("{}\n", serde_json::to_string(&calibrated)?));
    }
    let mut text = String::new();
    for Improvement { video, error_before, error_after } in &calibrated.videos {
        writeln!(text, "{video}: error {error_before:.2} pigs a frame before, {error_after:.2} after")?;
    }
    writeln!(
        text,
        "A box is counted as a pig from a score of {min_score:.2} on ({before:.2} before); kept in {}",
        calibrated.kept_in.display()
    )?;
    print(text)
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn truth_beside(video: &Path) -> Option<anyhow::Result<BTreeMap<usize, u32>>> {
    let boxes = video.with_extension("boxes.csv");
    let counts = video.with_extension("counts.csv");
    let read = |path: &Path| {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    if counts.is_file() {
        Some(read(&counts).and_then(|text| parse_counts(&text).with_context(|| counts.display().to_string())))
    } else if boxes.is_file() {
        Some(read(&boxes).and_then(|text| parse_boxes(&text).with_context(|| boxes.display().to_string())))
    } else {
        None
    }
}

fn rows(text: &str) -> impl Iterator<Item = (usize, Vec<&str>)> {
    (1..)
        .zip(text.lines())
        .skip(1)
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(number, line)| (number, line.split(',').collect()))
}

/// A row a box.
fn parse_boxes(text: &str) -> anyhow::Result<BTreeMap<usize, u32>> {
    let mut counts = BTreeMap::new();
    for (number, row) in rows(text) {
        let frame: usize = row[0]
            .trim()
            .parse()
            .with_context(|| format!("line {number}: {:?} is no frame number", row[0]))?;
        *counts.entry(frame).or_insert(0) += 1;
    }
    // Frames without a box have no animal, up to the last box; behind it nothing is known.
    let last = counts.keys().next_back().copied().unwrap_or(0);
    Ok((0..=last).map(|frame| (frame, counts.get(&frame).copied().unwrap_or(0))).collect())
}

/// A row a frame whose count is known; of the others nothing is.
fn parse_counts(text: &str) -> anyhow::Result<BTreeMap<usize, u32>> {
    rows(text)
        .map(|(number, row)| {
            let at = || format!("line {number}: write frame,count");
            let [frame, count, ..] = row[..] else { anyhow::bail!(at()) };
            Ok((frame.trim().parse().with_context(at)?, count.trim().parse().with_context(at)?))
        })
        .collect()
}

/// Over the frames whose count is known.
fn accuracy(video: String, series: &[(f64, u32)], truth: &BTreeMap<usize, u32>) -> anyhow::Result<Accuracy> {
    let pairs: Vec<(f64, f64)> = truth
        .iter()
        .filter_map(|(&frame, &known)| Some((f64::from(series.get(frame)?.1), f64::from(known))))
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
        video,
    })
}

fn table(results: &[Accuracy]) -> anyhow::Result<String> {
    let width = results.iter().map(|result| result.video.chars().count()).max().unwrap_or(0).max(5);
    let mut text = format!("{:width$}  frames  pigs  counted   error    bias  exact\n", "video");
    for result in results {
        writeln!(
            text,
            "{:width$}  {:6}  {:4.1}  {:7.1}  {:6.2}  {:+6.2}  {:4.0}%",
            result.video,
            result.frames,
            result.true_mean,
            result.counted_mean,
            result.mean_absolute_error,
            result.bias,
            result.exact * 100.0
        )?;
    }
    text.push_str("error: mean absolute error of the count per frame; bias: counted minus true\n");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_without_a_box_count_as_empty() {
        let truth = parse_boxes("frame,x,y,w,h\n0,1,1,5,5\n0,9,9,5,5\n2,1,1,5,5\n").unwrap();
        let series = [(0.0, 2), (0.1, 1), (0.2, 0), (0.3, 7)];
        let result = accuracy("v".into(), &series, &truth).unwrap();
        assert_eq!((result.frames, result.mean_absolute_error, result.bias), (3, 2.0 / 3.0, 0.0));
        let some = parse_counts("frame,count\n3,5\n").unwrap();
        let result = accuracy("v".into(), &series, &some).unwrap();
        assert_eq!((result.frames, result.mean_absolute_error, result.bias), (1, 2.0, 2.0));
        assert!(parse_boxes("frame,x\nx,1\n").is_err());
        assert!(parse_counts("frame,count\n0,3\n1\n").is_err());
    }
}
