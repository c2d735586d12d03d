//! `pigweight adapt`: the detector learns a pen from its own film and one number.

use super::{configure, print};
use crate::accuracy::adaptation::{
    CheckpointFile, NumberedStretch, STEPS_PER_CHECKPOINT, constant_number, known_numbers, read_film,
    write_whole,
};
use crate::accuracy::truth::Truth;
use crate::accuracy::{folder_detector, viewpoint};
use crate::analysis::settings::model_settings;
use crate::args::Adapt;
use crate::describe::counted;
use crate::sources::library;
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use pigweight_core::picture::{PictureView, Plane, Planes};
use pigweight_media::overlay::OverlayBox;
use pigweight_media::{Video, jpeg};
use pigweight_train::Network;
use pigweight_train::adapt::{Adaptation, Advance, Film, Judgement, Settings, USUAL_THRESHOLD};
use pigweight_train::label::{USUAL_WIDTH, detect};
use std::path::{Path, PathBuf};

/// Pictures written before and after.
const SHOWN_PICTURES: usize = 4;
const JPEG_QUALITY: u8 = 90;
/// What made the detector, in the file's metadata.
const ADAPTATION: &str = "pigweight.adaptation";

pub fn run(args: &Adapt) -> anyhow::Result<()> {
    let config = configure(&args.model)?;
    let source = model_settings(&config).source;
    let file = source.read().with_context(|| format!("cannot read {source}"))?;
    let network = Network::read(&file)?;
    let videos = videos(&args.videos)?;
    let out = match &args.out {
        Some(out) => out.clone(),
        None => beside(&args.videos[0]),
    };
    anyhow::ensure!(
        out.extension().is_some_and(|extension| extension == "onnx"),
        "{} is no name for a detector; name one that ends in .onnx with --out",
        out.display()
    );

    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len}  {msg}  {eta} left") {
        bar.set_style(style);
    }
    bar.set_prefix("reading the film");
    let opened = videos.iter().map(|path| Video::open(path)).collect::<Result<Vec<_>, _>>()?;
    let numbered = match args.animals {
        Some(animals) => constant_number(&opened, animals),
        None => counted_beside(&opened)?,
    };
    let film = read_film(&opened, &numbered, |read, total| {
        bar.set_length(total as u64);
        bar.set_position(read as u64);
        true
    })?;
    let film = film.context("the film was not read to its end")?;
    let settings = Settings {
        rounds: args.rounds.unwrap_or(config.adapt.rounds),
        steps: args.steps.unwrap_or(config.adapt.steps),
        ..Settings::default()
    };
    let state = CheckpointFile::lock(&out, &file, &film, &settings)?;
    let saved = state.read();
    if saved.is_some() {
        print("An earlier run was cut off; going on from there\n")?;
    }
    let threads = if config.detect.workers > 0 {
        config.detect.workers
    } else {
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
    };
    let mut adaptation = Adaptation::new(network.clone(), &film, settings.clone(), saved, threads)?;
    learn(&mut adaptation, &film, &settings, &state, &bar)?;
    bar.finish_and_clear();

    let before = adaptation.before().context("the detector was not judged")?;
    let Some((after, adapted)) = adaptation.outcome() else {
        let best = adaptation.best().unwrap_or(before);
        state.remove();
        anyhow::bail!(
            "the detector did not get better: on the last third of the film its count is off by {:.1} animals on average, {:.1} after learning. \
             Nothing was written; check the number, or take a longer film",
            before.error,
            best.error
        );
    };
    let note = note(&film, &blake3::hash(&file), &before, &after);
    let metadata: Vec<_> = viewpoint::of_film(&film).into_iter().chain([(ADAPTATION, note)]).collect();
    write_whole(&out, &adapted.write(&file, &metadata)?)?;
    if let Some(folder) = &args.pictures {
        show(folder, &film, [(&network, before.threshold, "before"), (&adapted, USUAL_THRESHOLD, "after")])?;
    }
    state.remove();
    print(summary(&out, &film, &before, &after))
}

/// The numbers in the tables beside the videos.
fn counted_beside(opened: &[Video]) -> anyhow::Result<Vec<NumberedStretch>> {
    let mut numbered = Vec::new();
    for (number, video) in opened.iter().enumerate() {
        let Some(truth) = Truth::beside(video.path())? else { continue };
        let frames = video.index().frame_count();
        if let Some(beyond) = truth.beyond(frames) {
            anyhow::bail!(beyond);
        }
        let known: Vec<(usize, u32)> = truth.known(frames).collect();
        numbered.extend(known_numbers(number, video, &known));
    }
    anyhow::ensure!(
        !numbered.is_empty(),
        "no video has a table of counts beside it; write NAME.counts.csv with the columns frame and count, or name one number with --animals"
    );
    Ok(numbered)
}

fn mean_animals(film: &Film) -> f64 {
    let (training, held_out) = film.len();
    film.animals().map(f64::from).sum::<f64>() / (training + held_out).max(1) as f64
}

/// Where a detector counts the videos of a folder: in it.
fn beside(source: &Path) -> PathBuf {
    let folder = if source.is_dir() { Some(source) } else { source.parent() };
    folder.unwrap_or(Path::new("")).join(folder_detector::FILE_NAME)
}

/// The videos, and those in the folders.
fn videos(named: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut videos = Vec::new();
    for path in named {
        if path.is_dir() {
            let (found, unread) = library::find_videos(std::slice::from_ref(path), None);
            if let Some(reason) = unread {
                anyhow::bail!(reason.text);
            }
            anyhow::ensure!(!found.is_empty(), "{} holds no video", path.display());
            videos.extend(found.into_iter().map(|found| found.path));
        } else {
            videos.push(path.clone());
        }
    }
    Ok(videos)
}

fn learn(
    adaptation: &mut Adaptation,
    film: &Film,
    settings: &Settings,
    state: &CheckpointFile,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    bar.set_length(u64::from(settings.rounds * settings.steps));
    bar.set_position(u64::from(adaptation.steps_done()));
    bar.reset_eta();
    bar.set_prefix("judging the detector");
    loop {
        match adaptation.advance(film)? {
            Advance::Judged(before) => {
                bar.set_message(format!("count off by {:.1} so far", before.error));
                bar.set_prefix("labelling pictures");
            }
            Advance::Labelled { round, .. } => {
                bar.set_prefix(format!("round {round} of {}", settings.rounds));
                bar.reset_eta();
            }
            Advance::Trained { step, .. } => {
                bar.inc(1);
                if step % STEPS_PER_CHECKPOINT != 0 {
                    continue;
                }
            }
            Advance::Round { judgement, .. } => {
                if let Some(now) = judgement {
                    bar.set_message(format!("count off by {:.1} now", now.error));
                }
                bar.set_prefix("labelling pictures");
            }
            Advance::Done => return Ok(()),
        }
        state.write(adaptation.saved())?;
    }
}

fn note(film: &Film, from: &blake3::Hash, before: &Judgement, after: &Judgement) -> String {
    let (training, held_out) = film.len();
    serde_json::json!({
        "from": from.to_hex().to_string(),
        "animals": mean_animals(film),
        "training_pictures": training,
        "held_out_pictures": held_out,
        "count_error_before": before.error,
        "count_error_after": after.error,
    })
    .to_string()
}

fn summary(out: &Path, film: &Film, before: &Judgement, after: &Judgement) -> String {
    let animals = mean_animals(film);
    let animals = if animals.fract() == 0.0 {
        counted(animals as usize, "animal")
    } else {
        format!("{animals:.1} animals on average")
    };
    let is_of_folder = out.file_name().is_some_and(|name| name == folder_detector::FILE_NAME);
    let next = if is_of_folder {
        "counts the videos beside it and in the folders below from now on; remove it, and they are counted as before"
    } else {
        "is the adapted detector; count with it by --model"
    };
    format!(
        "On the last third of the film, which it did not learn from, with {animals} in view:\n  \
         before  {:.1} counted on average, off by {:.2}\n  \
         after   {:.1} counted on average, off by {:.2}\n\
         {} {next}\n",
        before.mean_count,
        before.error,
        after.mean_count,
        after.error,
        out.display(),
    )
}

/// Writes some held-out pictures with the boxes of each detector.
fn show(folder: &Path, film: &Film, detectors: [(&Network, f32, &str); 2]) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let pictures = film.held_out();
    let every = pictures.len().div_ceil(SHOWN_PICTURES).max(1);
    for (number, picture) in pictures.iter().step_by(every).enumerate() {
        for (network, threshold, name) in detectors {
            let found = detect(network, picture, USUAL_WIDTH, false);
            let counted = found.iter().filter(|found| found.score >= threshold);
            let boxes: Vec<_> =
                counted.map(|found| OverlayBox { rect: found.rect, is_measured: true }).collect();
            let samples = Plane { samples: &picture.data, stride: 3 * picture.width };
            let view = PictureView {
                width: picture.width as u32,
                height: picture.height as u32,
                planes: Planes::Rgb(samples),
            };
            let encoded = jpeg::encode(view, JPEG_QUALITY, &boxes, 1.0)?;
            write_whole(&folder.join(format!("{}-{name}.jpg", number + 1)), &encoded)?;
        }
    }
    Ok(())
}
