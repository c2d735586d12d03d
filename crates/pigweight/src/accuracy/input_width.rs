//! The width of the detector's input that a source's animals need.
//!
//! Small animals are found better in a larger input, at more time for each inference: `models/README.md` has the figures. A few pictures of a
//! source are inferred at the usual width, and the median size of the animals found decides for all its recordings. It is measured once
//! for each detector; a person may set another width.

use crate::accuracy::sampling::each_spread;
use crate::config::{Config, USUAL_MIN_SCORE};
use anyhow::Context as _;
use pigweight_core::detection::Detection;
use pigweight_core::inference_schedule::InferenceIntervals;
use pigweight_core::interpolate::SettledFrame;
use pigweight_core::track::Origin;
use pigweight_detect::service::{Completed, Inference, Urgency};
use pigweight_detect::{Model, ModelSource};
use pigweight_media::{Picture, Video};
use pigweight_store::{InputMeasurement, Store, VideoRecord};
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::runtime::Handle;

/// Pictures that are inferred, spread over the recording.
const PICTURES: usize = 8;
/// Fewer animals on all of them say nothing of the others.
const FEWEST_ANIMALS: usize = 10;
/// The median animal's side (root of its area) shall be as long in the input, px. Shorter ones are missed more often.
const WANTED_SIDE_PX: f32 = 60.0;
/// The shortest of so many is the time of an inference: the first one also makes the session.
const TIMED_INFERENCES: usize = 3;
/// The share of all sessions that one camera may take while something moves.
const MOST_LOAD: f64 = 0.5;

/// Whether the width of this detector's input is chosen for each source: it is the built-in one, its size can be changed, and no width
/// holds for all.
pub fn is_chosen(config: &Config, model: &Model) -> bool {
    let is_built_in = model.settings().source == ModelSource::BuiltIn;
    config.detect.input_width.is_none() && is_built_in && model.input_widths().len() > 1
}

/// The widths that may be set, in words.
pub fn widths_in_words(model: &Model) -> String {
    let widths: Vec<String> = model.input_widths().iter().map(u32::to_string).collect();
    widths.join(", ")
}

/// A width that a person has stated, px; `None` if that is the model's own.
///
/// # Errors
/// If the model doesn't have it.
pub fn stated(width: Option<u32>, model: &Model) -> anyhow::Result<Option<u32>> {
    let Some(width) = width else { return Ok(None) };
    anyhow::ensure!(
        model.input_widths().contains(&width),
        "the input of {} cannot be {width} px wide here; set detect.input_width to one of {}, or leave it out",
        model.info().name,
        widths_in_words(model)
    );
    Ok((width as usize != model.info().input_width).then_some(width))
}

/// Measures a recording's animals and keeps the result with its source, unless that is done or a person has set a width. Returns whether something
/// was kept: read the recording again then. `stop` ends it early; `keeps_up`: a wider input is taken only where this machine keeps up with a camera.
///
/// # Errors
/// If the recording can't be read, or the store can't be written.
pub fn measure_source(
    (store, runtime): (&Store, &Handle),
    (config, inference): (&Config, &Inference),
    record: &VideoRecord,
    video: &Video,
    stop: &AtomicBool,
    keeps_up: bool,
) -> anyhow::Result<bool> {
    let model = inference.model();
    let is_known = record.input_width_px.is_some() || record.is_measured_with(&model.info().hash);
    if is_known || !is_chosen(config, model) {
        return Ok(false);
    }
    match measure(inference, video, stop, keeps_up)? {
        Some(found) => keep(store, runtime, &record.source_id, &found),
        None => Ok(false),
    }
}

/// The input width for a file alone, px; `None`: the model's own.
///
/// # Errors
/// If it can't be read.
pub fn of_file(config: &Config, inference: &Inference, video: &Video) -> anyhow::Result<Option<u32>> {
    let model = inference.model();
    if !is_chosen(config, model) {
        return stated(config.detect.input_width, model);
    }
    let found = measure(inference, video, &AtomicBool::new(false), false)?;
    Ok(found.and_then(|found| u32::try_from(found.input_width_px).ok()))
}

/// Measures a recording's animals; `None` if it shows too few.
fn measure(
    inference: &Inference,
    video: &Video,
    stop: &AtomicBool,
    keeps_up: bool,
) -> anyhow::Result<Option<InputMeasurement>> {
    let model = inference.model();
    let (mut sides, mut last) = (Vec::new(), None);
    let is_whole = each_spread(video, PICTURES, stop, |shown| {
        let scale = usual_scale(model, shown.width(), shown.height());
        let (picture, found, _) = infer(inference, shown, None)?;
        sides.extend(sides_of(found.iter().filter(|found| found.score >= USUAL_MIN_SCORE), scale));
        last = Some(picture);
        Ok(())
    })?;
    if !is_whole {
        return Ok(None);
    }
    let time_of = |width: u32| {
        let mut shortest = Duration::MAX;
        for _ in 0..TIMED_INFERENCES {
            let Some(picture) = last.take() else { break };
            let (same, _, took) = infer(inference, picture, Some(width))?;
            last = Some(same);
            shortest = shortest.min(took);
        }
        Ok(shortest)
    };
    let limit = keeps_up.then(|| most_time(inference.sessions()));
    choose(model, sides, limit, time_of)
}

/// The same for a camera, from frames that were counted at the usual width.
///
/// # Errors
/// If the store can't be written.
pub fn measure_camera(
    (store, runtime): (&Store, &Handle),
    inference: &Inference,
    source_id: &str,
    (width_px, height_px): (u32, u32),
    frames: &[SettledFrame],
) -> anyhow::Result<bool> {
    let model = inference.model();
    let scale = usual_scale(model, width_px, height_px);
    let boxes = frames.iter().flat_map(|frame| &frame.boxes);
    let measured = boxes.filter(|tracked| tracked.origin == Origin::Measured);
    let sides = measured.map(|tracked| tracked.rect.area().max(0.0).sqrt() * scale).collect();
    let usual = (model.info().input_width as f64, model.speed().inference);
    // Estimated: the camera's own pictures are not asked for twice.
    let time_of = |width: u32| Ok(usual.1.mul_f64((f64::from(width) / usual.0).powi(2)));
    let limit = Some(most_time(inference.sessions()));
    let Some(found) = choose(model, sides, limit, time_of)? else { return Ok(false) };
    keep(store, runtime, source_id, &found)
}

fn keep(store: &Store, runtime: &Handle, source_id: &str, found: &InputMeasurement) -> anyhow::Result<bool> {
    runtime.block_on(store.keep_input_measurement(source_id, found))?;
    tracing::info!(
        source = source_id,
        "the animals measure {:.0} px in the usual input: it is {} px wide for them, an inference takes {:.0} ms",
        found.animal_px,
        found.input_width_px,
        1e3 * found.inference_secs
    );
    Ok(true)
}

fn most_time(sessions: usize) -> Duration {
    Duration::from_secs_f64(MOST_LOAD * sessions.max(1) as f64 * InferenceIntervals::USUAL.moving_secs)
}

/// Px of the usual input per px of a picture.
pub fn usual_scale(model: &Model, width_px: u32, height_px: u32) -> f32 {
    let info = model.info();
    let scale = |input: usize, px: u32| input as f32 / px.max(1) as f32;
    scale(info.input_width, width_px).min(scale(info.input_height, height_px))
}

fn sides_of<'a>(found: impl Iterator<Item = &'a Detection>, scale: f32) -> impl Iterator<Item = f32> {
    found.map(move |found| found.rect.area().max(0.0).sqrt() * scale)
}

fn infer(
    inference: &Inference,
    picture: Picture,
    input_width: Option<u32>,
) -> anyhow::Result<(Picture, Vec<Detection>, Duration)> {
    let client = inference.client(Urgency::Background, 1).at_input_width(input_width);
    let (sender, receiver) = crossbeam_channel::bounded(1);
    client.submit(picture, move |completed: Completed<Picture>| {
        // The caller waits for it.
        let _sent = sender.send(completed);
    });
    let Completed { picture, found, took, .. } = receiver.recv().context("the detector has ended")?;
    Ok((picture, found?, took))
}

/// The narrowest width, from the usual one on, at which the median animal is large enough; a narrower one if an inference takes longer
/// than `limit`, but never below the usual one. `None` if there are too few animals to say.
fn choose(
    model: &Model,
    mut sides_px: Vec<f32>,
    limit: Option<Duration>,
    mut time_of: impl FnMut(u32) -> anyhow::Result<Duration>,
) -> anyhow::Result<Option<InputMeasurement>> {
    if sides_px.len() < FEWEST_ANIMALS {
        return Ok(None);
    }
    sides_px.sort_by(f32::total_cmp);
    let animal_px = sides_px[sides_px.len() / 2];
    let usual = model.info().input_width as u32;
    let widths: Vec<u32> = model.input_widths().into_iter().filter(|&width| width >= usual).collect();
    let is_enough = |width: u32| animal_px * width as f32 / usual as f32 >= WANTED_SIDE_PX;
    let wanted = widths.iter().position(|&width| is_enough(width)).unwrap_or(widths.len().saturating_sub(1));
    for &width in widths.iter().take(wanted + 1).rev() {
        let took = time_of(width)?;
        if width == usual || limit.is_none_or(|limit| took <= limit) {
            return Ok(Some(InputMeasurement {
                input_width_px: i64::from(width),
                animal_px: f64::from(animal_px),
                inference_secs: took.as_secs_f64(),
                model_hash: model.info().hash.clone(),
            }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pigweight_detect::ModelSettings;
    use std::path::Path;

    #[test]
    fn smaller_animals_get_a_wider_input_where_the_machine_keeps_up() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        std::env::set_current_dir(&root).expect("the checkout");
        let model = Model::load(ModelSettings::new(ModelSource::BuiltIn)).expect("it is built in");
        assert_eq!(model.input_widths(), [512, 640, 768, 896]);
        let time_of = |width: u32| Ok(Duration::from_millis(u64::from(width)));
        let chosen = |side: f32, limit_ms: Option<u64>| {
            let limit = limit_ms.map(Duration::from_millis);
            let found = choose(&model, vec![side; FEWEST_ANIMALS], limit, time_of).expect("no error");
            found.map(|found| found.input_width_px)
        };
        for (side_px, limit_ms, width) in [
            (200.0, None, 640),
            (61.0, None, 640),
            (59.0, None, 768),
            (45.0, None, 896),
            (10.0, None, 896),
            (10.0, Some(800), 768),
            (10.0, Some(100), 640),
        ] {
            assert_eq!(chosen(side_px, limit_ms), Some(width), "{side_px} px, {limit_ms:?}");
        }
        let few = choose(&model, vec![20.0; FEWEST_ANIMALS - 1], None, time_of).expect("no error");
        assert_eq!(few, None, "an empty pen says nothing");
    }
}
