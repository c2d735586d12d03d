//! A model: read from its file or from servers, probed, and ready to make sessions.

mod input_size;

use crate::backend::Backend;
use crate::class_names::class_names;
use crate::decode::Numbers;
use crate::device::{Device, DeviceChoice, DeviceReport, DeviceSettings};
use crate::error::{Error, Result};
use crate::input_shape::with_input_shape;
use crate::layout::{Head, Layout, Output, UNDERSTOOD, recognise};
use crate::layout_check::resolve;
use crate::letterbox::{Placement, input_style};
use crate::outputs::{KeptOutput, check};
use crate::remote::{Fallback, Known, Pool};
use crate::session::{Session, Setup};
use crate::source::ModelSource;
use crate::tensor::Form;
use pigweight_core::count::ScoreCalibration;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Default batch size on a device that gains from batches.
const USUAL_BATCH: usize = 4;

/// How to read and run a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSettings {
    /// Where it comes from.
    pub source: ModelSource,
    /// The head, if its shapes are ambiguous.
    pub head: Option<Head>,
    /// Classes to keep, by name. Empty: those named like pigs, or all if there are none.
    pub classes: Vec<String>,
    /// The classes' names in order, if the file doesn't contain them.
    pub class_names: Vec<String>,
    /// Detections below this are dropped, 0 to 1.
    pub min_score: f32,
    /// Of boxes that overlap by more than this (IoU, 0 to 1), the one with the highest score stays.
    pub max_iou: f32,
    /// Threads of one inference.
    pub threads: usize,
    /// Whether most of the border of pictures with another aspect than the input is trimmed, if the model allows it and infers them
    /// one by one.
    pub trims_border: bool,
    /// The device.
    pub device: DeviceSettings,
}

impl ModelSettings {
    /// A model's default settings.
    pub fn new(source: ModelSource) -> Self {
        Self {
            source,
            head: None,
            classes: Vec::new(),
            class_names: Vec::new(),
            min_score: 0.05,
            max_iou: 0.5,
            threads: 1,
            trims_border: true,
            device: DeviceSettings::default(),
        }
    }
}

/// The key in a model's metadata under which it says what its scores mean: a [`ScoreCalibration`] as JSON.
const CALIBRATION: &str = "pigweight.score_calibration";

/// A model's description.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInfo {
    /// The file's name without its folder, or its name on the servers.
    pub name: String,
    /// BLAKE3 of the file, hexadecimal; of what the servers report if the model is only there.
    pub hash: String,
    /// How its outputs are read.
    pub head: Head,
    /// px.
    pub input_width: usize,
    /// px.
    pub input_height: usize,
    /// Whether only the part of the input that a picture covers is inferred.
    pub is_trimmed: bool,
    /// Names of all its classes.
    pub classes: Vec<String>,
    /// Whether it returns outlines too.
    pub has_masks: bool,
    /// What its scores mean, if its file says so.
    pub calibration: Option<ScoreCalibration>,
}

/// Time of a run, measured when the model is loaded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// The shortest of a few runs on one picture; if the border is trimmed, of 16:9.
    pub inference: Duration,
}

/// A loaded model. Cheap to clone.
#[derive(Clone)]
pub struct Model {
    pub(crate) settings: Arc<ModelSettings>,
    pub(crate) info: Arc<ModelInfo>,
    /// Of the whole input.
    pub(crate) reading: Reading,
    pub(crate) wanted: Arc<[bool]>,
    speed: Speed,
    /// The largest batch.
    batch: usize,
    local: Option<Local>,
    remote: Option<Arc<Pool>>,
    /// What `auto` tried first, and why it isn't used.
    tried: Arc<[String]>,
    /// Why this machine's device isn't used any more.
    pub(crate) lost: Arc<Mutex<Option<Error>>>,
}

/// The outputs for one input size, and how they are read.
#[derive(Clone)]
pub(crate) struct Reading {
    pub layout: Layout,
    /// The outputs for one picture.
    pub promised: Arc<[Output]>,
    /// px.
    pub input_width: usize,
    /// px.
    pub input_height: usize,
}

/// The backend for one input size.
pub(crate) struct Fitted {
    pub backend: Backend,
    pub reading: Reading,
}

/// The model on this machine.
#[derive(Clone)]
struct Local {
    bytes: Arc<[u8]>,
    /// How the whole input is laid out.
    form: Form,
    device: Device,
}

impl Model {
    /// Reads the model, runs it once and examines its outputs.
    pub fn load(settings: ModelSettings) -> Result<Self> {
        match (settings.device.choice, settings.device.remote.fallback) {
            (DeviceChoice::Remote, Fallback::None) => Self::load_remote(settings),
            (DeviceChoice::Remote, Fallback::Local) => Self::load_both(settings),
            _ => Self::load_local(settings),
        }
    }

    /// Loads a model and runs it once on this machine's processor. Called in a process with limits: a file may declare more memory than there is, or
    /// a loop without end.
    pub fn try_once(source: ModelSource) -> Result<()> {
        let settings = ModelSettings::new(source);
        let bytes = read(&settings.source)?;
        let session = Session::load(&settings.source, &bytes, setup(&settings, Device::Cpu))?;
        if session.form().is_some() {
            Backend::Local(session, Device::Cpu).probe()?;
        }
        Ok(())
    }

    fn load_local(settings: ModelSettings) -> Result<Self> {
        let bytes = read(&settings.source)?;
        let (session, device, tried) = open(&settings, &bytes)?;
        let form = session.form().ok_or_else(|| unknown(&settings.source, session.describe()))?;
        let (found, names) = (session.describe(), session.metadata("names"));
        // Points and turned boxes have rows of their own, which would be read as classes.
        if let Some(task) =
            session.metadata("task").filter(|task| matches!(task.as_str(), "pose" | "obb" | "classify"))
        {
            return Err(unknown(
                &settings.source,
                format!("a model of the task \"{task}\", and not a detector"),
            ));
        }
        let calibration =
            session.metadata(CALIBRATION).and_then(|text| score_calibration(&settings.source, &text));
        let mut backend = Backend::Local(session, device);
        let shown = backend.probe()?;
        let identity = (settings.source.name(), blake3::hash(&bytes).to_hex().to_string());
        let mut model = Self::understand(settings, identity, form, &shown, names.as_deref(), &found)?;
        Arc::make_mut(&mut model.info).calibration = calibration;
        model.local = Some(Local { bytes, form, device });
        model.tried = tried.into();
        model.try_out(&mut backend)?;
        model.try_trimmed();
        Ok(model)
    }

    /// Finds out whether a part of the input is enough. Not if pictures of several videos are batched, which must
    /// have the same size, nor if a device builds an engine for minutes for each size.
    fn try_trimmed(&mut self) {
        let Some(local) = &self.local else { return };
        let is_stretched = input_style(self.info.head).placement == Placement::Stretched;
        if !self.settings.trims_border || is_stretched || local.device.gains_by_batches() || self.batch > 1 {
            return;
        }
        // The most common aspect first. Constants made for one size, such as a grid or an attention's table, don't fit another.
        let whole = (self.info.input_width, self.info.input_height);
        let [usual, square] = [(16, 9), (1, 1)].map(|(width, height)| {
            let trimmed = local.form.trimmed(width, height, self.stride());
            (trimmed.width, trimmed.height)
        });
        let Some(size) = [usual, square].into_iter().find(|&size| size != whole) else { return };
        let setup = Setup { is_trial: true, ..setup(&self.settings, local.device) };
        let measured = self.fitted(local, setup, size).and_then(|mut fitted| fastest(&mut fitted.backend));
        match measured {
            Ok(inference) => {
                // For a wide input, the most common aspect covers all of it: that was measured before.
                if size == usual {
                    self.speed = Speed { inference };
                }
                Arc::make_mut(&mut self.info).is_trimmed = true;
            }
            Err(error) => tracing::debug!("the border is not trimmed: {error}"),
        }
    }

    fn load_remote(settings: ModelSettings) -> Result<Self> {
        let pool = Arc::new(Pool::open(&settings.device.remote, None)?);
        let identity = (settings.device.remote.model.clone(), pool.hash().unwrap_or_default());
        let mut model =
            Self::understand(settings, identity, pool.form()?, pool.shown(), None, &pool.describe())?;
        model.remote = Some(pool.clone());
        model.try_out(&mut Backend::Remote(pool))?;
        Ok(model)
    }

    /// The servers, with this machine's copy of their model as the reference. The copy's file identifies the model: what was counted with the
    /// one need not be counted again with the other.
    fn load_both(settings: ModelSettings) -> Result<Self> {
        let mut here = settings.clone();
        here.device.choice = DeviceChoice::Auto;
        // As the servers infer.
        here.trims_border = false;
        let mut model = Self::load_local(here)?;
        let mut here =
            model.on_this_machine(false, (model.info.input_width, model.info.input_height))?.backend;
        let known = Known { form: here.form()?, shown: here.probe()? };
        let pool = Arc::new(Pool::open(&settings.device.remote, Some(known))?);
        model.settings = settings.into();
        model.remote = Some(pool.clone());
        // If no server is there yet, its batch size isn't known: one.
        if pool.form().is_ok() {
            model.try_out(&mut Backend::Remote(pool))?;
        }
        Ok(model)
    }

    /// Describes the model by its outputs.
    fn understand(
        settings: ModelSettings,
        (name, hash): (String, String),
        form: Form,
        shown: &[KeptOutput],
        names: Option<&str>,
        found: &str,
    ) -> Result<Self> {
        let source = &settings.source;
        let promised: Vec<Output> = shown.iter().map(|kept| kept.output.clone()).collect();
        let stated_names = if settings.class_names.is_empty() {
            names.map(class_names).unwrap_or_default()
        } else {
            settings.class_names.clone()
        };
        let class_count = (!stated_names.is_empty()).then_some(stated_names.len());
        let layout =
            recognise(form.width, form.height, &promised, settings.head, class_count).ok_or_else(|| {
                match settings.device.choice {
                    DeviceChoice::Remote => unknown(&name, found.to_owned()),
                    _ => unknown(source, found.to_owned()),
                }
            })?;
        let numbers = |output: usize| shown.get(output).map_or(&[] as &[f32], |kept| &kept.numbers);
        let shown = Numbers {
            boxes: numbers(layout.boxes_output),
            scores: numbers(layout.scores_output),
            labels: layout.labels_output.map_or(&[], numbers),
        };
        let size = (form.width, form.height);
        let layout = resolve(layout, size, shown, settings.head.is_some()).map_err(|reason| {
            let found = format!("{found}; {reason}");
            match settings.device.choice {
                DeviceChoice::Remote => unknown(&name, found),
                _ => unknown(source, found),
            }
        })?;
        let classes = match (stated_names.is_empty(), layout.classes) {
            (false, _) => stated_names,
            (true, 1) => vec!["pig".to_owned()],
            (true, count) => (0..count).map(|number| format!("class {number}")).collect(),
        };
        let wanted = wanted_classes(source, &classes, &settings.classes)?;
        let info = ModelInfo {
            name,
            hash,
            head: layout.head,
            input_width: form.width,
            input_height: form.height,
            is_trimmed: false,
            classes,
            has_masks: layout.prototypes.is_some(),
            calibration: None,
        };
        Ok(Self {
            settings: settings.into(),
            info: info.into(),
            reading: Reading {
                layout,
                promised: promised.into(),
                input_width: form.width,
                input_height: form.height,
            },
            wanted: wanted.into(),
            speed: Speed { inference: Duration::ZERO },
            batch: 1,
            local: None,
            remote: None,
            tried: Arc::new([]),
            lost: Arc::default(),
        })
    }

    /// Measures one picture, and finds the batch size if the device gains from batches.
    fn try_out(&mut self, backend: &mut Backend) -> Result<()> {
        let form = backend.form()?;
        let pattern = form.pattern();
        self.speed = Speed { inference: fastest(backend)? };
        let usual = if backend.device().gains_by_batches() { USUAL_BATCH } else { 1 };
        let wanted = self.settings.device.batch.unwrap_or(usual);
        self.batch = 1;
        if form.pictures.is_none() && wanted > 1 && self.reading.layout.head != Head::NmsRows {
            let pictures = vec![pattern.as_slice(); wanted];
            let Reading { promised, layout, .. } = self.reading.clone();
            match backend.run(&pictures, true, |views| check(views, &promised, &layout, wanted)) {
                Ok(()) => self.batch = wanted,
                Err(error) => tracing::warn!("pictures are inferred one by one: {error}"),
            }
        }
        Ok(())
    }

    /// Its description.
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

    /// The most pictures inferred at once.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Its origin: a file, or servers.
    pub fn place(&self) -> String {
        match &self.remote {
            Some(pool) => pool.place(),
            None => self.settings.source.to_string(),
        }
    }

    /// Parallel sessions, where a processor would have `workers`.
    pub fn sessions(&self, workers: usize) -> usize {
        match (&self.remote, &self.local) {
            (Some(_), _) => self.settings.device.remote.sessions(),
            (None, Some(local)) => local.device.sessions(workers),
            (None, None) => workers.max(1),
        }
    }

    /// Whether this machine's processor runs it.
    pub(crate) fn is_on_processor(&self) -> bool {
        let is_processor = |local: &Local| matches!(local.device, Device::Cpu | Device::Openvino);
        self.remote.is_none() && self.local.as_ref().is_some_and(is_processor)
    }

    /// The current state of its device.
    pub fn device(&self) -> DeviceReport {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let gone = self.remote.as_ref().and_then(|pool| pool.trouble());
        let here = match (&self.local, &lost) {
            (Some(_), Some(_)) if self.chose_freely() => Some(Device::Cpu),
            (Some(local), _) => Some(local.device),
            (None, _) => None,
        };
        let stands_in = |error: &Error| match here {
            Some(device) if self.is_spared(error) => {
                format!("{error}; meanwhile this machine runs the detector ({device})")
            }
            _ => error.to_string(),
        };
        DeviceReport {
            device: match (&self.remote, &gone, here) {
                (Some(_), None, _) | (_, _, None) => Device::Remote,
                (_, _, Some(device)) => device,
            },
            batch: self.batch,
            tried: self.tried.to_vec(),
            endpoints: self.remote.as_ref().map(|pool| pool.endpoints()).unwrap_or_default(),
            trouble: gone.as_ref().or(lost.as_ref()).map(stands_in),
        }
    }

    /// Whether another device takes over after this error.
    pub(crate) fn is_spared(&self, error: &Error) -> bool {
        match error {
            // No fallback for servers of another model: a person has to decide which one counts.
            Error::RemoteGone { .. } => self.local.is_some(),
            Error::DeviceLost { device, .. } => *device != Device::Cpu && self.chose_freely(),
            _ => false,
        }
    }

    /// Whether this machine's device is `auto`.
    fn chose_freely(&self) -> bool {
        matches!(self.settings.device.choice, DeviceChoice::Auto | DeviceChoice::Remote)
    }

    /// The backend for inputs of this size, px, on this machine; if `is_plain`, on its processor.
    ///
    /// # Errors
    /// If there is none, or the model doesn't accept this size.
    pub(crate) fn on_this_machine(&self, is_plain: bool, (width, height): (usize, usize)) -> Result<Fitted> {
        let Some(local) = &self.local else {
            return Err(Error::Run { reason: "the model's file is not on this machine".to_owned() });
        };
        let device = if is_plain { Device::Cpu } else { local.device };
        self.fitted(local, setup(&self.settings, device), (width, height))
    }

    fn fitted(&self, local: &Local, setup: Setup<'_>, (width, height): (usize, usize)) -> Result<Fitted> {
        let device = setup.device;
        let load = |bytes: &[u8]| Session::load(&self.settings.source, bytes, setup);
        let whole = &self.reading;
        if (width, height) == (whole.input_width, whole.input_height) {
            let backend = Backend::Local(load(&local.bytes)?, device);
            return Ok(Fitted { backend, reading: whole.clone() });
        }
        let shape = Form { width, height, ..local.form }.shape(1);
        let mut backend = Backend::Local(load(&with_input_shape(&local.bytes, shape)?)?, device);
        let promised: Vec<Output> = backend.probe()?.into_iter().map(|kept| kept.output).collect();
        // As the whole is read, with fewer rows.
        let classes = Some(whole.layout.classes).filter(|&classes| classes > 0);
        let layout =
            recognise(width, height, &promised, Some(whole.layout.head), classes).ok_or_else(|| {
                Error::Run {
                    reason: format!("{width} × {height} px do not give the same boxes as the whole input"),
                }
            })?;
        let promised = promised.into();
        Ok(Fitted {
            backend,
            reading: Reading { layout, promised, input_width: width, input_height: height },
        })
    }

    /// The backend for inputs of this size, px.
    pub(crate) fn open(&self, size: (usize, usize)) -> Result<Fitted> {
        if let Some(pool) = &self.remote {
            return Ok(Fitted { backend: Backend::Remote(pool.clone()), reading: self.reading.clone() });
        }
        let is_lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        self.on_this_machine(is_lost && self.chose_freely(), size)
    }

    /// As if another device had been found at the start.
    #[cfg(test)]
    pub(crate) fn change_device_for_tests(&mut self, choice: DeviceChoice, device: Device) {
        let mut settings = (*self.settings).clone();
        settings.device.choice = choice;
        self.settings = settings.into();
        if let Some(local) = &mut self.local {
            local.device = device;
        }
    }
}

/// The shortest of a few runs on one picture.
fn fastest(backend: &mut Backend) -> Result<Duration> {
    let pattern = backend.form()?.pattern();
    let mut shortest = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        backend.run(&[&pattern], true, |_| Ok(()))?;
        shortest = shortest.min(start.elapsed());
    }
    Ok(shortest)
}

fn read(source: &ModelSource) -> Result<Arc<[u8]>> {
    source.read().map_err(|error| Error::ModelUnreadable {
        path: source.to_string().into(),
        reason: error.to_string(),
    })
}

fn unknown(model: impl std::fmt::Display, found: String) -> Error {
    Error::UnknownLayout { model: model.to_string(), found, understood: UNDERSTOOD }
}

fn setup(settings: &ModelSettings, device: Device) -> Setup<'_> {
    Setup { device, threads: settings.threads, engines: settings.device.engines.as_deref(), is_trial: false }
}

/// A session on the requested device, and what was tried before.
fn open(settings: &ModelSettings, bytes: &[u8]) -> Result<(Session, Device, Vec<String>)> {
    let load = |device| Session::load(&settings.source, bytes, setup(settings, device));
    let mut tried = Vec::new();
    let device = match settings.device.choice {
        DeviceChoice::Auto => match load(Device::Cuda) {
            Ok(session) => return Ok((session, Device::Cuda, tried)),
            Err(Error::DeviceAbsent { device, reason }) => {
                tracing::info!("{device} is not used: {reason}");
                tried.push(format!("{device}: {reason}"));
                Device::Cpu
            }
            Err(error) => return Err(error),
        },
        DeviceChoice::Cpu | DeviceChoice::Remote => Device::Cpu,
        DeviceChoice::Cuda => Device::Cuda,
        DeviceChoice::Tensorrt => Device::Tensorrt,
        DeviceChoice::Openvino => Device::Openvino,
    };
    Ok((load(device)?, device, tried))
}

/// What the model's file says of its scores. A statement that makes no sense is reported and ignored: counts don't depend on it.
fn score_calibration(source: &ModelSource, text: &str) -> Option<ScoreCalibration> {
    // By way of a map: a list would be read by position.
    let stated = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).ok();
    let stated = stated.and_then(|stated| serde_json::from_value::<ScoreCalibration>(stated.into()).ok());
    let stated = stated.filter(ScoreCalibration::is_valid);
    if stated.is_none() {
        tracing::warn!(
            "{source}: what its metadata {CALIBRATION} says cannot be read: counts have no uncertainty"
        );
    }
    stated
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
        // No names to select by: all classes. An empty list means the same to callers.
        (true, false) => vec![true; classes.len()],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pigs_are_the_default_class_and_unknown_classes_are_refused() {
        let classes = ["person", "pig", "Sow"].map(String::from);
        let source = &ModelSource::File("m.onnx".into());
        assert_eq!(wanted_classes(source, &classes, &[]).expect("fits"), [false, true, true]);
        assert_eq!(wanted_classes(source, &classes, &["person".into()]).expect("fits"), [true, false, false]);
        assert!(wanted_classes(source, &classes, &["cow".into()]).is_err());
        assert_eq!(wanted_classes(source, &classes[..1], &[]).expect("fits"), [true]);
    }
}
