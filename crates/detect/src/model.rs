//! A model file, what it is, and sessions of it.

use crate::decode::candidates;
use crate::error::{Error, Result};
use crate::layout::{Head, Layout, Output, UNDERSTOOD, recognise};
use crate::letterbox::{InputStyle, Letterbox, Placement};
use crate::mask::{Mask, mask};
use crate::session::Session;
use crate::source::ModelSource;
use crate::suppress::suppress;
use pigweight_core::detection::Detection;
use pigweight_core::picture::PictureView;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Detections of one frame at the most: no pen holds more, and a model gone wrong must not fill the disk.
const MAX_DETECTIONS: usize = 300;

/// Input size where the model leaves it open.
const DEFAULT_INPUT_PX: i64 = 640;

/// How to read and run a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSettings {
    /// Where it comes from.
    pub source: ModelSource,
    /// The head, where its shapes do not tell.
    pub head: Option<Head>,
    /// Classes to keep, by name. Empty: those named like pigs, or all where none is.
    pub classes: Vec<String>,
    /// The classes' names in order, where the file does not tell.
    pub class_names: Vec<String>,
    /// Detections below this are not made, 0 to 1.
    pub min_score: f32,
    /// Of boxes overlapping by more than this (IoU, 0 to 1) the surest stays.
    pub max_iou: f32,
    /// Threads of one inference.
    pub threads: usize,
}

impl ModelSettings {
    /// The usual settings for a model.
    pub fn new(source: ModelSource) -> Self {
        Self {
            source,
            head: None,
            classes: Vec::new(),
            class_names: Vec::new(),
            min_score: 0.05,
            max_iou: 0.5,
            threads: 1,
        }
    }
}

/// What a model is.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInfo {
    /// The file's name without its folder.
    pub name: String,
    /// BLAKE3 of the file, hexadecimal.
    pub hash: String,
    /// How its outputs are read.
    pub head: Head,
    /// px.
    pub input_width: usize,
    /// px.
    pub input_height: usize,
    /// Names of all its classes.
    pub classes: Vec<String>,
    /// Whether it gives outlines too.
    pub has_masks: bool,
}

/// What a run on this machine takes, measured when the model is loaded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// The shortest of a few runs on a grey picture.
    pub inference: Duration,
}

/// A model that has been read and understood. Cheap to clone.
#[derive(Clone)]
pub struct Model {
    settings: Arc<ModelSettings>,
    bytes: Arc<[u8]>,
    info: Arc<ModelInfo>,
    layout: Layout,
    wanted: Arc<[bool]>,
    speed: Speed,
}

/// One session of a model with its input buffer: owned by one thread.
pub struct Detector {
    model: Model,
    session: Session,
    letterbox: Letterbox,
}

impl Model {
    /// Reads the file, runs it once and finds out what it gives.
    pub fn load(settings: ModelSettings) -> Result<Self> {
        let source = &settings.source;
        let bytes = source.read()?;
        let mut session = Session::load(source, &bytes, settings.threads)?;
        let unknown =
            |found: String| Error::UnknownLayout { model: source.clone(), found, understood: UNDERSTOOD };

        let (input_width, input_height) = input_size(&session).ok_or_else(|| unknown(session.describe()))?;
        let probe = session.probe(input_width, input_height)?;
        let outputs: Vec<Output> = probe.outputs.into_iter().map(|(output, _)| output).collect();
        let stated_names = if settings.class_names.is_empty() {
            session.metadata("names").map(|names| class_names(&names)).unwrap_or_default()
        } else {
            settings.class_names.clone()
        };
        let class_count = (!stated_names.is_empty()).then_some(stated_names.len());
        let layout = recognise(input_width, input_height, &outputs, settings.head, class_count)
            .ok_or_else(|| unknown(session.describe()))?;

        let classes = match (stated_names.is_empty(), layout.classes) {
            (false, _) => stated_names,
            (true, 1) => vec!["pig".to_owned()],
            (true, count) => (0..count).map(|number| format!("class {number}")).collect(),
        };
        let wanted = wanted_classes(source, &classes, &settings.classes)?;
        let speed = measure(&mut session, input_width, input_height)?;
        let info = ModelInfo {
            name: source.name(),
            hash: blake3::hash(&bytes).to_hex().to_string(),
            head: layout.head,
            input_width,
            input_height,
            classes,
            has_masks: layout.prototypes.is_some(),
        };
        Ok(Self { settings: settings.into(), bytes, info: info.into(), layout, wanted: wanted.into(), speed })
    }

    /// What it is.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// As it was loaded.
    pub fn settings(&self) -> &ModelSettings {
        &self.settings
    }

    /// As measured.
    pub fn speed(&self) -> Speed {
        self.speed
    }

    /// A session of its own for one thread.
    pub fn detector(&self) -> Result<Detector> {
        let session = Session::load(&self.settings.source, &self.bytes, self.settings.threads)?;
        let letterbox =
            Letterbox::new(input_style(self.layout.head), self.info.input_width, self.info.input_height);
        Ok(Detector { model: self.clone(), session, letterbox })
    }
}

impl Detector {
    /// Everything found on a picture, surest first, px of the picture.
    pub fn detect(&mut self, picture: &PictureView<'_>) -> Result<Vec<Detection>> {
        Ok(self.find(picture, false)?.into_iter().map(|(detection, _)| detection).collect())
    }

    /// The same with outlines, where the model gives them.
    pub fn detect_with_masks(&mut self, picture: &PictureView<'_>) -> Result<Vec<(Detection, Option<Mask>)>> {
        self.find(picture, true)
    }

    fn find(
        &mut self,
        picture: &PictureView<'_>,
        with_masks: bool,
    ) -> Result<Vec<(Detection, Option<Mask>)>> {
        let Self { model, session, letterbox } = self;
        let fit = letterbox.fill(picture);
        let (layout, info, settings) = (&model.layout, &model.info, &model.settings);
        let input = (info.input_width, info.input_height);
        session.run(letterbox.tensor(), input.0, input.1, |views| {
            let numbers = |output: usize| views.get(output).map_or(&[] as &[f32], |view| view.2);
            let (boxes, scores) = (numbers(layout.boxes_output), numbers(layout.scores_output));
            let found =
                candidates(layout, input.0, input.1, boxes, scores, &model.wanted, settings.min_score);
            // End-to-end and DETR heads suppress doubles themselves; a limit of 1 leaves them as they are.
            let max_iou = match layout.head {
                Head::EndToEnd | Head::Detr => 1.0,
                Head::Yolox | Head::Yolov5 | Head::Yolov8 => settings.max_iou,
            };
            let (width, height) = (picture.width as f32, picture.height as f32);
            suppress(found, max_iou, MAX_DETECTIONS)
                .into_iter()
                .filter_map(|candidate| {
                    let outline = match layout.prototypes {
                        Some(prototypes) if with_masks => {
                            mask(layout, &candidate, boxes, numbers(prototypes.output), input, &fit)
                        }
                        _ => None,
                    };
                    let rect = fit.to_picture(candidate.rect).clipped(width, height);
                    let detection = Detection { rect, score: candidate.score, class: candidate.class };
                    (detection.rect.area() > 0.0).then_some((detection, outline))
                })
                .collect()
        })
    }
}

fn input_size(session: &Session) -> Option<(usize, usize)> {
    let input = session.input();
    let [_, 3 | -1, height, width] = input.shape[..] else { return None };
    if !input.is_float32 || session.input_count() != 1 {
        return None;
    }
    let size = |stated: i64| usize::try_from(if stated > 0 { stated } else { DEFAULT_INPUT_PX }).ok();
    Some((size(width)?, size(height)?))
}

fn input_style(head: Head) -> InputStyle {
    match head {
        Head::Yolox => InputStyle { placement: Placement::TopLeft, is_bgr: true, is_unit_range: false },
        Head::Yolov5 | Head::Yolov8 | Head::EndToEnd => {
            InputStyle { placement: Placement::Centered, is_bgr: false, is_unit_range: true }
        }
        Head::Detr => InputStyle { placement: Placement::Stretched, is_bgr: false, is_unit_range: true },
    }
}

/// Names in the order of their numbers from Ultralytics' metadata, a Python dictionary: `{0: 'sow', 1: 'piglet'}`.
fn class_names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut characters = text.chars();
    while let Some(quote) = characters.by_ref().find(|character| matches!(character, '\'' | '"')) {
        names.push(characters.by_ref().take_while(|&character| character != quote).collect());
    }
    names
}

/// Which classes to keep.
fn wanted_classes(source: &ModelSource, classes: &[String], stated: &[String]) -> Result<Vec<bool>> {
    for class in stated {
        if !classes.contains(class) {
            return Err(Error::UnknownClass {
                model: source.clone(),
                class: class.clone(),
                found: classes.join(", "),
            });
        }
    }
    let is_pig = |name: &String| {
        let name = name.to_lowercase();
        ["pig", "piglet", "sow", "boar", "hog", "swine"].contains(&name.as_str())
    };
    Ok(match (stated.is_empty(), classes.iter().any(is_pig)) {
        (false, _) => classes.iter().map(|class| stated.contains(class)).collect(),
        (true, true) => classes.iter().map(is_pig).collect(),
        // No names to go by: everything. An empty list means the same to those who ask it.
        (true, false) => vec![true; classes.len()],
    })
}

fn measure(session: &mut Session, width: usize, height: usize) -> Result<Speed> {
    let mut shortest = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        session.probe(width, height)?;
        shortest = shortest.min(start.elapsed());
    }
    Ok(Speed { inference: shortest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_a_python_dictionary() {
        assert_eq!(
            class_names("{0: 'sow', 1: \"farmer's dog\", 2: 'piglet'}"),
            ["sow", "farmer's dog", "piglet"]
        );
        assert!(class_names("").is_empty());
    }

    #[test]
    fn pigs_are_wanted_by_default_and_unknown_classes_are_refused() {
        let classes = ["person", "pig", "Sow"].map(String::from);
        let source = &ModelSource::File("m.onnx".into());
        assert_eq!(wanted_classes(source, &classes, &[]).expect("fits"), [false, true, true]);
        assert_eq!(wanted_classes(source, &classes, &["person".into()]).expect("fits"), [true, false, false]);
        assert!(wanted_classes(source, &classes, &["cow".into()]).is_err());
        assert_eq!(wanted_classes(source, &classes[..1], &[]).expect("fits"), [true]);
    }
}
