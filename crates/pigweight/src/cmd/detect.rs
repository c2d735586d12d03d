//! `pigweight detect`: boxes on pictures.

use super::{configure, print, print_error};
use crate::analysis::model_trial::load_model;
use crate::analysis::settings::model_settings;
use crate::args::Detect;
use pigweight_core::detection::Detection;
use pigweight_detect::ModelSettings;
use pigweight_detect::mask::Mask;
use pigweight_media::{Error, still};
use serde::Serialize;
use std::fmt::Write as _;

/// Other programs rely on these names.
#[derive(Serialize)]
struct Picture {
    image: String,
    width: u32,
    height: u32,
    detections: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    /// x, y, width, height, px.
    #[serde(rename = "box")]
    rect: [f32; 4],
    score: f32,
    class: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mask: Option<Outline>,
}

/// A mask as a grid over a box.
#[derive(Serialize)]
struct Outline {
    /// What the grid covers: x, y, width, height, px.
    #[serde(rename = "box")]
    rect: [f32; 4],
    columns: usize,
    rows: usize,
    /// Lengths of runs, row by row, the first outside the animal.
    runs: Vec<u32>,
}

pub fn run(args: &Detect) -> anyhow::Result<()> {
    let config = configure(&args.model)?;
    let model = load_model(ModelSettings {
        min_score: config.detect.min_score(),
        threads: config.detect.workers,
        ..model_settings(&config)
    })?;
    let mut detector = model.detector();
    let mut pictures = Vec::new();
    let mut failed: Option<anyhow::Error> = None;
    for path in &args.images {
        let picture = match still::open(path) {
            Ok(picture) => picture,
            // A bad picture doesn't stop the others: each error is reported in a line, the last one when the command ends.
            Err(error) => {
                if let Some(earlier) = failed.replace(explain(error)) {
                    print_error(&earlier);
                }
                continue;
            }
        };
        let detections = detector.detect_with_masks(&picture.view())?;
        let found = detections.into_iter().map(|found| describe(found, &model.info().classes)).collect();
        pictures.push(Picture {
            image: path.display().to_string(),
            width: picture.width(),
            height: picture.height(),
            detections: found,
        });
    }
    if pictures.is_empty() {
        // Nothing to print: an empty list would look like a result.
    } else if args.json {
        print(format_args!("{}\n", serde_json::to_string(&pictures)?))?;
    } else {
        print(text(&pictures)?)?;
    }
    failed.map_or(Ok(()), Err)
}

fn explain(error: Error) -> anyhow::Error {
    match error {
        Error::IsAVideo { .. } => anyhow::anyhow!("{error}; count the pigs in it with pigweight count"),
        error => error.into(),
    }
}

fn text(pictures: &[Picture]) -> anyhow::Result<String> {
    let mut text = String::new();
    for picture in pictures {
        writeln!(
            text,
            "{}: {} found, {} × {}",
            picture.image,
            picture.detections.len(),
            picture.width,
            picture.height
        )?;
        for found in &picture.detections {
            let [x, y, width, height] = found.rect;
            writeln!(
                text,
                "  {:.2}  {width:.0} × {height:.0} at {x:.0}, {y:.0}  {}",
                found.score, found.class
            )?;
        }
    }
    Ok(text)
}

fn describe((detection, mask): (Detection, Option<Mask>), classes: &[String]) -> Found {
    let class = usize::from(detection.class);
    let rect = |rect: pigweight_core::geometry::Rect| [rect.x, rect.y, rect.width, rect.height];
    Found {
        rect: rect(detection.rect),
        score: (detection.score * 1000.0).round() / 1000.0,
        class: classes.get(class).cloned().unwrap_or_else(|| format!("class {class}")),
        mask: mask.map(|mask| Outline {
            rect: rect(mask.rect),
            columns: mask.columns,
            rows: mask.rows,
            runs: mask.runs(),
        }),
    }
}
