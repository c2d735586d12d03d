//! `pigweight count`: counts one video.

use super::analyse::{Analysed, CommandStore};
use super::{Partial, configure, print, start_inference, with_folder_detector};
use crate::analysis::run_warnings::{RunWarning, repaired_times, warnings};
use crate::args::Count;
use crate::describe::{clock, counted};
use pigweight_core::curve::StepCurve;
use pigweight_core::line::Direction;
use pigweight_media::Error;
use serde::Serialize;
use std::fmt::Write as _;

/// Other programs rely on these names.
#[derive(Serialize)]
struct Document {
    video: String,
    /// Decoded frames.
    frames: i64,
    /// Inferred frames; the others are interpolated.
    inferred: i64,
    /// Seconds since the first frame, animals in the picture; one entry per frame.
    series: Vec<(f64, u32)>,
    count: Summary,
    crossings: Vec<Crossing>,
    /// Where the detector is beyond what it can do, and what was wrong with the file's times.
    warnings: Vec<Warning>,
    /// Why the result is incomplete.
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<String>,
}

#[derive(Serialize)]
struct Summary {
    mean: f64,
    max: i64,
    /// On scenes like those the detector was calibrated on, nine of ten frames' true numbers lie within the count ± this many animals. Null if the detector doesn't say what its scores mean.
    uncertainty: Option<f64>,
}

#[derive(Serialize)]
struct Warning {
    code: &'static str,
    message: String,
}

#[derive(Serialize)]
struct Crossing {
    /// Which `--line`, counted from 1.
    line: usize,
    direction: String,
    secs: f64,
    track: u32,
}

pub fn run(args: &Count) -> anyhow::Result<()> {
    let mut config = configure(&args.model)?;
    if args.every_frame {
        config.detect.inference_hz = Some(0.0);
    }
    // Before the model, which loads slowly: a mistyped path is reported at once.
    pigweight_media::Video::probe(&args.video).map_err(|error| match error {
        Error::IsAPicture { .. } => anyhow::anyhow!("{error}; find the pigs on it with pigweight detect"),
        error => error.into(),
    })?;
    let (config, is_other_view) = with_folder_detector(&config, &args.video);
    let inference = start_inference(&config)?;
    let command_store = CommandStore::open(args.data.as_deref())?;
    let analysed = command_store.analyse(&args.video, &args.lines, &inference, &config)?;
    if args.json {
        let text = serde_json::to_string(&document(
            args,
            &analysed,
            command_store.series(&analysed.run)?,
            is_other_view,
        ))?;
        print(format_args!("{text}\n"))?;
    } else if args.csv {
        let mut text = String::from("secs,count\n");
        for (secs, count) in command_store.series(&analysed.run)? {
            writeln!(text, "{secs:.3},{count}")?;
        }
        print(text)?;
        // The table has no place for them.
        for RunWarning { message, .. } in all_warnings(&analysed, is_other_view) {
            tracing::warn!("{message}");
        }
    } else {
        print(summary(args, &analysed, is_other_view)?)?;
    }
    match analysed.damage {
        Some(damage) => Err(Partial(damage).into()),
        None => Ok(()),
    }
}

fn all_warnings(analysed: &Analysed, is_other_view: bool) -> impl Iterator<Item = RunWarning> {
    let repaired = analysed.video.index().repairs().map(repaired_times);
    repaired.into_iter().chain(warnings(&analysed.run, None, is_other_view))
}

fn crossings(analysed: &Analysed) -> impl Iterator<Item = Crossing> + '_ {
    analysed.crossings.iter().filter_map(|crossing| {
        // A data folder may have other lines of this video as well.
        let place = analysed.lines.iter().position(|line| line.id == crossing.line_id)?;
        Some(Crossing {
            line: place + 1,
            direction: crossing.direction.to_string(),
            secs: crossing.secs,
            track: crossing.track,
        })
    })
}

fn document(args: &Count, analysed: &Analysed, series: Vec<(f64, u32)>, is_other_view: bool) -> Document {
    let run = &analysed.run;
    Document {
        video: args.video.display().to_string(),
        frames: run.frames_done,
        inferred: run.frames_inferred,
        series,
        count: Summary {
            mean: run.count_mean().unwrap_or(0.0),
            max: run.count_max,
            uncertainty: run.count_uncertainty(),
        },
        crossings: crossings(analysed).collect(),
        warnings: all_warnings(analysed, is_other_view)
            .map(|RunWarning { code, message }| Warning { code, message })
            .collect(),
        damage: analysed.damage.clone(),
    }
}

fn summary(args: &Count, analysed: &Analysed, is_other_view: bool) -> anyhow::Result<String> {
    let (run, video) = (&analysed.run, &analysed.video);
    let mut text = String::new();
    writeln!(
        text,
        "{}: {}, {} ({} inferred), {} × {} {}",
        args.video.display(),
        clock(video.duration_secs()),
        counted(run.frames_done, "frame"),
        run.frames_inferred,
        video.info().width,
        video.info().height,
        video.info().codec
    )?;
    let uncertainty =
        run.count_uncertainty().map(|pigs| format!(" (a frame ± {pigs:.1})")).unwrap_or_default();
    writeln!(
        text,
        "Pigs on the picture: {:.1} on average{uncertainty}, {} at most",
        run.count_mean().unwrap_or(0.0),
        run.count_max
    )?;
    for RunWarning { message, .. } in all_warnings(analysed, is_other_view) {
        writeln!(text, "Warning: {message}")?;
    }
    for (place, line) in analysed.lines.iter().enumerate() {
        let steps = StepCurve::new(crossings(analysed).filter(|crossing| crossing.line == place + 1).map(
            |crossing| {
                let is_forward = crossing.direction == Direction::Forward.to_string();
                (crossing.secs, if is_forward { Direction::Forward } else { Direction::Backward })
            },
        ));
        let total = steps.total();
        writeln!(
            text,
            "Line {} ({},{} → {},{}): {} forward, {} backward, {} net",
            place + 1,
            line.geometry.x1_px,
            line.geometry.y1_px,
            line.geometry.x2_px,
            line.geometry.y2_px,
            total.forward,
            total.backward,
            total.net()
        )?;
    }
    Ok(text)
}
