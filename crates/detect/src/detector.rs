//! A model's sessions with their input buffers, owned by one thread: takes pictures, returns boxes.
//!
//! There is a session for each input size: if the model allows it, only the part of the input that a picture covers is inferred, which for a
//! 16:9 picture in a square is little more than half.
//!
//! If its device fails, it is tried once more with a new session. If that fails too and there is a fallback (the
//! processor for `auto`, this machine for servers with `fallback = "local"`), the fallback takes over, and the model's report says so.

use crate::decode::{Numbers, candidates, is_any_finite};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::layout::Head;
use crate::letterbox::{Fit, Letterbox, input_style};
use crate::mask::{Mask, mask};
use crate::model::{Fitted, Model, Reading};
use crate::outputs::{OutputView, check};
use crate::suppress::suppress;
use pigweight_core::detection::Detection;
use pigweight_core::picture::PictureView;
use std::sync::PoisonError;

/// The most detections on one frame: no pen holds more, and a faulty model must not fill the disk.
pub const MAX_DETECTIONS: usize = 300;

/// Sessions of one detector, one for each input size. Pictures of a farm's cameras are 16:9, some 4:3; each session takes memory.
const MOST_SIZES: usize = 4;

/// See the module's head.
pub struct Detector {
    pub(crate) model: Model,
    /// The backends, most recently used first.
    pub(crate) fitted: Vec<Fitted>,
    /// The fallback while the servers are gone.
    spare: Option<Fitted>,
    letterboxes: Vec<Letterbox>,
}

type Found = Vec<(Detection, Option<Mask>)>;

/// Letterboxed pictures.
struct Boxed<'a> {
    tensors: Vec<&'a [f32]>,
    /// Position of each picture, and its size, px.
    fits: Vec<(Fit, f32, f32)>,
}

impl Model {
    /// A detector for one thread. Its sessions are made when first needed.
    pub fn detector(&self) -> Detector {
        Detector::new(self.clone())
    }
}

impl Detector {
    pub(crate) fn new(model: Model) -> Self {
        Self { model, fitted: Vec::new(), spare: None, letterboxes: Vec::new() }
    }

    /// All detections on a picture, highest score first, px of the picture.
    pub fn detect(&mut self, picture: &PictureView<'_>) -> Result<Vec<Detection>> {
        let (mut found, _) = self.detect_batch(std::slice::from_ref(picture))?;
        Ok(found.pop().unwrap_or_default())
    }

    /// The same with outlines, if the model has them.
    pub fn detect_with_masks(&mut self, picture: &PictureView<'_>) -> Result<Vec<(Detection, Option<Mask>)>> {
        let (mut found, _) = self.infer(std::slice::from_ref(picture), &[None], true)?;
        Ok(found.pop().unwrap_or_default())
    }

    /// All detections on each of several pictures, and the device that ran.
    pub fn detect_batch(&mut self, pictures: &[PictureView<'_>]) -> Result<(Vec<Vec<Detection>>, Device)> {
        self.detect_batch_at(pictures, &vec![None; pictures.len()])
    }

    /// The same, each at the input width that is named for it, one of [`Model::input_widths`].
    pub fn detect_batch_at(
        &mut self,
        pictures: &[PictureView<'_>],
        input_widths: &[Option<u32>],
    ) -> Result<(Vec<Vec<Detection>>, Device)> {
        let (found, device) = self.infer(pictures, input_widths, false)?;
        let plain = |found: Found| found.into_iter().map(|(detection, _)| detection).collect();
        Ok((found.into_iter().map(plain).collect(), device))
    }

    fn infer(
        &mut self,
        pictures: &[PictureView<'_>],
        input_widths: &[Option<u32>],
        with_masks: bool,
    ) -> Result<(Vec<Found>, Device)> {
        // The whole input is the same for all of them; parts of it differ.
        let at_once = if self.model.info.is_trimmed { 1 } else { pictures.len().max(1) };
        let (mut all, mut device) = (Vec::with_capacity(pictures.len()), None);
        for (alike, widths) in pictures.chunks(at_once).zip(input_widths.chunks(at_once)) {
            let (Some(first), Some(&width)) = (alike.first(), widths.first()) else { continue };
            let size = self.model.size_for(first.width, first.height, width);
            let (found, device_used) = self.infer_equal_sizes(alike, size, with_masks)?;
            all.extend(found);
            device = Some(device_used);
        }
        Ok((all, device.unwrap_or_else(|| self.model.device().device)))
    }

    /// Infers pictures that cover inputs of the same size.
    fn infer_equal_sizes(
        &mut self,
        pictures: &[PictureView<'_>],
        size: (usize, usize),
        with_masks: bool,
    ) -> Result<(Vec<Found>, Device)> {
        let Self { model, fitted, spare, letterboxes } = self;
        while letterboxes.len() < pictures.len() {
            letterboxes.push(Letterbox::new(input_style(model.info.head)));
        }
        let fill = |(letterbox, picture): (&mut Letterbox, &PictureView<'_>)| {
            (letterbox.fill(picture, size), picture.width as f32, picture.height as f32)
        };
        let fits = letterboxes.iter_mut().zip(pictures).map(fill).collect();
        let tensors = letterboxes.iter().take(pictures.len()).map(Letterbox::tensor).collect();
        let boxed = Boxed { tensors, fits };
        let fitted = in_front(model, fitted, size)?;
        let error = match model.run(fitted, &boxed, with_masks) {
            Ok(found) => return Ok((found, fitted.backend.device())),
            Err(error) => error,
        };
        match error {
            Error::Run { reason } if !matches!(fitted.backend.device(), Device::Cpu | Device::Remote) => {
                model.with_another_session(fitted, &boxed, with_masks, reason)
            }
            error if model.is_spared(&error) => {
                let spare = match spare {
                    Some(spare) => spare,
                    None => spare.insert(model.on_this_machine(false, size)?),
                };
                Ok((model.run(spare, &boxed, with_masks)?, spare.backend.device()))
            }
            error => Err(error),
        }
    }
}

/// The backend for inputs of this size, moved to the front.
fn in_front<'a>(model: &Model, all: &'a mut Vec<Fitted>, size: (usize, usize)) -> Result<&'a mut Fitted> {
    let is_it = |fitted: &Fitted| (fitted.reading.input_width, fitted.reading.input_height) == size;
    let fitted = match all.iter().position(is_it) {
        Some(place) => all.remove(place),
        None => {
            all.truncate(MOST_SIZES - 1);
            model.open(size)?
        }
    };
    all.insert(0, fitted);
    Ok(&mut all[0])
}

impl Model {
    /// After a device on this machine has failed.
    fn with_another_session(
        &self,
        fitted: &mut Fitted,
        boxed: &Boxed<'_>,
        with_masks: bool,
        reason: String,
    ) -> Result<(Vec<Found>, Device)> {
        let device = fitted.backend.device();
        let size = (fitted.reading.input_width, fitted.reading.input_height);
        let note = |lost: Option<Error>| *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = lost;
        if let Ok(mut fresh) = self.on_this_machine(false, size)
            && let Ok(found) = self.run(&mut fresh, boxed, with_masks)
        {
            tracing::warn!("the device {device} failed once: {reason}");
            *fitted = fresh;
            note(None);
            return Ok((found, device));
        }
        let lost = Error::DeviceLost { device, reason };
        tracing::error!("{lost}");
        note(Some(lost.clone()));
        if !self.is_spared(&lost) {
            return Err(lost);
        }
        *fitted = self.on_this_machine(true, size)?;
        Ok((self.run(fitted, boxed, with_masks)?, fitted.backend.device()))
    }

    fn run(&self, fitted: &mut Fitted, boxed: &Boxed<'_>, with_masks: bool) -> Result<Vec<Found>> {
        let Fitted { backend, reading } = fitted;
        let is_unit_range = input_style(self.info.head).is_unit_range;
        let is_alone = backend.form()?.pictures.is_some() || reading.layout.head == Head::NmsRows;
        let at_once = if is_alone { 1 } else { boxed.tensors.len() };
        let mut all = Vec::with_capacity(boxed.fits.len());
        for (tensors, fits) in boxed.tensors.chunks(at_once.max(1)).zip(boxed.fits.chunks(at_once.max(1))) {
            all.extend(backend.run(tensors, is_unit_range, |views| {
                check(views, &reading.promised, &reading.layout, tensors.len())?;
                fits.iter()
                    .enumerate()
                    .map(|(place, fit)| self.read(reading, views, place, tensors.len(), fit, with_masks))
                    .collect::<Result<Vec<Found>>>()
            })?);
        }
        Ok(all)
    }

    /// The boxes of one of several pictures.
    fn read(
        &self,
        reading: &Reading,
        views: &[OutputView<'_>],
        place: usize,
        pictures: usize,
        (fit, width, height): &(Fit, f32, f32),
        with_masks: bool,
    ) -> Result<Found> {
        let (layout, settings) = (&reading.layout, &self.settings);
        let input = (reading.input_width, reading.input_height);
        let numbers = |output: usize| {
            views.get(output).map_or(&[] as &[f32], |view| {
                let each = view.numbers.len() / pictures;
                &view.numbers[place * each..(place + 1) * each]
            })
        };
        let boxes = numbers(layout.boxes_output);
        let all = Numbers {
            boxes,
            scores: numbers(layout.scores_output),
            labels: layout.labels_output.map_or(&[], &numbers),
        };
        if !is_any_finite(layout, all) {
            return Err(Error::NotFinite { model: self.info.name.clone(), rows: layout.rows });
        }
        let found = candidates(layout, input.0, input.1, all, &self.wanted, settings.min_score);
        // A limit of 1 keeps everything: the model has already suppressed duplicates.
        let max_iou = if layout.head.is_suppressed() { 1.0 } else { settings.max_iou };
        let on_picture = |candidate: crate::decode::Candidate| {
            let outline = match layout.prototypes {
                Some(prototypes) if with_masks => {
                    mask(layout, &candidate, boxes, numbers(prototypes.output), input, fit)
                }
                _ => None,
            };
            let rect = fit.to_picture(candidate.rect).clipped(*width, *height);
            let detection = Detection { rect, score: candidate.score, class: candidate.class };
            (detection.rect.area() > 0.0).then_some((detection, outline))
        };
        Ok(suppress(found, max_iou, MAX_DETECTIONS).into_iter().filter_map(on_picture).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Backend;
    use crate::device::{DeviceChoice, DeviceSettings};
    use crate::model::ModelSettings;
    use crate::source::ModelSource;
    use pigweight_core::picture::{Plane, Planes};
    use std::path::Path;

    /// A detector whose device is lost from now on.
    fn vanished(choice: DeviceChoice) -> Detector {
        std::env::set_current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).expect("the root");
        let mut model = Model::load(ModelSettings::new(ModelSource::BuiltIn)).expect("it is built in");
        model.change_device_for_tests(choice, Device::Cuda);
        let mut detector = model.detector();
        for size in [model.size_for(64, 64, None), model.size_for(640, 360, None)] {
            let mut fitted = model.on_this_machine(true, size).expect("it infers");
            let form = fitted.backend.form().expect("pictures");
            fitted.backend = Backend::Broken(form, Device::Cuda);
            detector.fitted.push(fitted);
        }
        detector
    }

    fn infer(detector: &mut Detector) -> Result<(Vec<Vec<Detection>>, Device)> {
        let samples = vec![128; 64 * 64 * 3];
        let planes = Planes::Rgb(Plane { samples: &samples, stride: 64 * 3 });
        detector.detect_batch(&[PictureView { width: 64, height: 64, planes }])
    }

    #[test]
    fn a_lost_device_is_replaced_by_the_processor_unless_it_was_named() {
        let mut detector = vanished(DeviceChoice::Auto);
        assert_eq!(infer(&mut detector).expect("the processor infers").1, Device::Cpu);
        let report = detector.model.device();
        assert_eq!(report.device, Device::Cpu);
        let trouble = report.trouble.expect("it is told");
        assert!(
            trouble.contains("cuda") && trouble.contains("this machine runs the detector (cpu)"),
            "{trouble}"
        );
        assert_eq!(infer(&mut detector).expect("and continues").1, Device::Cpu);
    }

    #[test]
    fn a_named_device_that_vanishes_makes_work_wait() {
        let mut detector = vanished(DeviceChoice::Cuda);
        let error = infer(&mut detector).expect_err("a named device is not replaced");
        assert!(error.is_passing(), "{error}");
        let report = detector.model.device();
        assert_eq!(report.device, Device::Cuda);
        assert!(report.trouble.is_some_and(|trouble| trouble.contains("does not work any more")));
    }

    #[test]
    fn a_missing_device_is_an_error_and_auto_lists_what_it_tried() {
        std::env::set_current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).expect("the root");
        let load = |choice| {
            let device = DeviceSettings { choice, ..DeviceSettings::default() };
            Model::load(ModelSettings { device, ..ModelSettings::new(ModelSource::BuiltIn) })
        };
        for (choice, device) in [
            (DeviceChoice::Cuda, Device::Cuda),
            (DeviceChoice::Tensorrt, Device::Tensorrt),
            (DeviceChoice::Openvino, Device::Openvino),
        ] {
            match load(choice) {
                Err(error) => {
                    let message = error.to_string();
                    assert!(matches!(error, Error::DeviceAbsent { .. }), "{message}");
                    assert!(
                        message.contains(device.name()) && message.contains("ORT_DYLIB_PATH"),
                        "{message}"
                    );
                    println!("not tried: there is no {device} here ({message})");
                }
                // Where there is one, it finds what the processor finds.
                Ok(model) => assert_eq!(model.device().device, device),
            }
        }
        let auto = load(DeviceChoice::Auto).expect("the processor is always there");
        let report = auto.device();
        assert_eq!(report.tried.is_empty(), report.device == Device::Cuda, "{report:?}");
        assert!(report.tried.iter().all(|tried| tried.starts_with("cuda: ")), "{report:?}");
        assert_eq!(report.trouble, None);
    }
}
