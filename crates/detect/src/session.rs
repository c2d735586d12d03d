//! ONNX Runtime, used only here.
//!
//! Devices are registered so that a missing one is an error: by default ONNX Runtime silently continues on the processor.

use crate::device::Device;
use crate::error::{Error, Result};
use crate::outputs::OutputView;
use crate::source::ModelSource;
use crate::tensor::{Form, Input, Kind, Samples};
use half::f16;
use ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};
use ort::logging::LogLevel;
use ort::session::builder::SessionBuilder;
use ort::session::{Session as OrtSession, SessionInputValue};
use ort::value::{DynValue, Outlet, TensorElementType, TensorRef, ValueType};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Finds the shared library of ONNX Runtime, in this order: the environment's ORT_DYLIB_PATH; the program's folder and
/// `lib/` in it; `../lib/pigweight` from there (where `make install` puts it); `.tools/onnxruntime` (where setup puts it) in the working
/// folder or above the program.
///
/// # Errors
/// [`Error::RuntimeMissing`].
pub fn find_runtime() -> Result<PathBuf> {
    if let Some(stated) = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        return Ok(stated.into());
    }
    let mut folders = Vec::new();
    if let Some(beside) = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned)) {
        folders.extend([beside.clone(), beside.join("lib"), beside.join("../lib/pigweight")]);
        folders.extend(beside.ancestors().map(|folder| folder.join(".tools/onnxruntime")));
    }
    folders.extend(std::env::current_dir().map(|folder| folder.join(".tools/onnxruntime")));
    folders.iter().find_map(|folder| library_in(folder)).ok_or(Error::RuntimeMissing)
}

fn library_in(folder: &Path) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("libonnxruntime.so")
                || name == "onnxruntime.dll"
                || name.starts_with("libonnxruntime.dylib")
        })
        .collect();
    found.sort();
    found.pop()
}

/// Loads the library once for the whole process.
fn environment() -> Result<&'static ort::environment::Environment> {
    static ENVIRONMENT: OnceLock<std::result::Result<ort::environment::Environment, (PathBuf, String)>> =
        OnceLock::new();
    let path = find_runtime()?;
    ENVIRONMENT
        .get_or_init(|| {
            ort::init_from(&path)
                .map_err(|error| error.to_string())
                .and_then(|builder| {
                    builder
                        .with_name("pigweight")
                        .with_telemetry(false)
                        .build()
                        .map_err(|error| error.to_string())
                })
                .map_err(|reason| (path, one_line(&reason)))
        })
        .as_ref()
        .map_err(|(path, reason)| Error::RuntimeUnusable { path: path.clone(), reason: reason.clone() })
}

/// A loaded model, used by one thread at a time.
pub(crate) struct Session {
    session: OrtSession,
    input: Input,
    /// Name of the second input of DETR with its postprocessor: the picture size to which boxes refer.
    size_input: Option<String>,
    names: Vec<String>,
}

/// How a session is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup<'a> {
    pub device: Device,
    /// Of one inference.
    pub threads: usize,
    /// Where the device stores what it builds.
    pub engines: Option<&'a Path>,
    /// Errors are expected, and not logged.
    pub is_trial: bool,
}

impl Session {
    /// Spinning is off: it doubles to triples the total CPU time.
    pub(crate) fn load(source: &ModelSource, model: &[u8], setup: Setup<'_>) -> Result<Self> {
        let environment = environment()?;
        let refused = |reason: String| Error::NotAModel { model: source.clone(), reason: one_line(&reason) };
        let builder = configured(environment, setup).map_err(|error| refused(error.to_string()))?;
        let mut builder = match providers(setup)? {
            providers if providers.is_empty() => builder,
            providers => builder.with_execution_providers(providers).map_err(|error| {
                Error::DeviceAbsent { device: setup.device, reason: one_line(&error.to_string()) }
            })?,
        };
        let session = builder.commit_from_memory(model).map_err(|error| match setup.device {
            Device::Cpu => refused(error.to_string()),
            // A device may fail at a model that another one accepts.
            device => Error::DeviceAbsent { device, reason: one_line(&error.to_string()) },
        })?;
        let names = session.outputs().iter().map(|output| output.name().to_owned()).collect();
        let (input, size_input) = match session.inputs() {
            [only] => (described(only), None),
            [one, other] if is_size_input(other) => (described(one), Some(other.name().to_owned())),
            [one, other] if is_size_input(one) => (described(other), Some(one.name().to_owned())),
            _ => (Input { name: "none".into(), shape: Vec::new(), kind: Kind::Other }, None),
        };
        Ok(Self { session, input, size_input, names })
    }

    /// Its input layout; `None` if it isn't supported.
    pub(crate) fn form(&self) -> Option<Form> {
        let open_size = self.metadata("imgsz").and_then(|text| stated_size(&text));
        self.input.form(open_size)
    }

    /// A value of the model's metadata.
    pub(crate) fn metadata(&self, key: &str) -> Option<String> {
        self.session.metadata().ok()?.custom(key)
    }

    /// All inputs and outputs in words, for error messages.
    pub(crate) fn describe(&self) -> String {
        let list = |outlets: &[ort::value::Outlet]| {
            outlets
                .iter()
                .map(|outlet| format!("{} {}", outlet.name(), outlet.dtype()))
                .collect::<Vec<_>>()
                .join(", ")
        };
        format!("inputs [{}], outputs [{}]", list(self.session.inputs()), list(self.session.outputs()))
    }

    /// Runs the model and passes its outputs to `read`.
    pub(crate) fn run<T>(
        &mut self,
        samples: &Samples<'_>,
        form: &Form,
        pictures: usize,
        read: impl FnOnce(&[OutputView<'_>]) -> T,
    ) -> Result<T> {
        let failed = |error: ort::Error| Error::Run { reason: one_line(&error.to_string()) };
        let shape = form.shape(pictures);
        let input: SessionInputValue<'_> = match samples {
            Samples::Floats(floats) => {
                TensorRef::from_array_view((shape, &floats[..])).map_err(failed)?.into()
            }
            Samples::Halves(halves) => {
                TensorRef::from_array_view((shape, &halves[..])).map_err(failed)?.into()
            }
            Samples::Bytes(bytes) => TensorRef::from_array_view((shape, &bytes[..])).map_err(failed)?.into(),
        };
        let mut inputs = ort::inputs![self.input.name.as_str() => input];
        let sizes = [form.width as i64, form.height as i64].repeat(pictures);
        if let Some(name) = &self.size_input {
            let sizes = TensorRef::from_array_view(([pictures as i64, 2], &sizes[..])).map_err(failed)?;
            inputs.push((name.as_str().into(), sizes.into()));
        }
        let outputs = self.session.run(inputs).map_err(failed)?;
        let read_outputs: Vec<_> = self
            .names
            .iter()
            .filter_map(|name| numbers(outputs.get(name)?).map(|(shape, numbers)| (name, shape, numbers)))
            .collect();
        let views: Vec<OutputView<'_>> =
            read_outputs.iter().map(|(name, shape, numbers)| OutputView { name, shape, numbers }).collect();
        Ok(read(&views))
    }
}

fn described(input: &Outlet) -> Input {
    match input.dtype() {
        ValueType::Tensor { ty, shape, .. } => Input {
            name: input.name().to_owned(),
            shape: shape.to_vec(),
            kind: match ty {
                TensorElementType::Float32 => Kind::Float32,
                TensorElementType::Float16 => Kind::Float16,
                TensorElementType::Uint8 => Kind::Uint8,
                _ => Kind::Other,
            },
        },
        other => Input { name: format!("{} ({other})", input.name()), shape: Vec::new(), kind: Kind::Other },
    }
}

/// Whether an input takes width and height of each picture. Only this name is accepted: other exporters' inputs of two numbers have the height
/// first.
fn is_size_input(input: &Outlet) -> bool {
    let is_pairs = match input.dtype() {
        ValueType::Tensor { ty: TensorElementType::Int64, shape, .. } => {
            matches!(shape.as_ref(), [-1 | 1, 2])
        }
        _ => false,
    };
    is_pairs && input.name() == "orig_target_sizes"
}

/// An output's shape and numbers, if its type is read. Integers are labels, which floats hold exactly.
fn numbers(value: &DynValue) -> Option<(&[i64], Cow<'_, [f32]>)> {
    if let Ok((shape, numbers)) = value.try_extract_tensor::<f32>() {
        return Some((shape, Cow::Borrowed(numbers)));
    }
    if let Ok((shape, halves)) = value.try_extract_tensor::<f16>() {
        return Some((shape, halves.iter().map(|half| half.to_f32()).collect()));
    }
    if let Ok((shape, labels)) = value.try_extract_tensor::<i64>() {
        return Some((shape, labels.iter().map(|&label| label as f32).collect()));
    }
    let (shape, labels) = value.try_extract_tensor::<i32>().ok()?;
    Some((shape, labels.iter().map(|&label| label as f32).collect()))
}

/// Width and height, px, from Ultralytics' `imgsz`: `[height, width]`. A size that no detector has is none.
fn stated_size(text: &str) -> Option<[i64; 2]> {
    let inner = text.trim().strip_prefix('[')?.strip_suffix(']')?;
    let sides: Vec<i64> = inner.split(',').map(|side| side.trim().parse().ok()).collect::<Option<_>>()?;
    match sides[..] {
        [height, width] if [height, width].iter().all(|side| (32..=4096).contains(side)) => {
            Some([width, height])
        }
        _ => None,
    }
}

/// The execution provider of a device; none for the processor.
fn providers(setup: Setup<'_>) -> Result<Vec<ExecutionProviderDispatch>> {
    let cuda = || ep::CUDA::default().build().error_on_failure();
    Ok(match setup.device {
        Device::Cpu => Vec::new(),
        Device::Cuda => {
            built_in::<ep::CUDA>(setup.device)?;
            vec![cuda()]
        }
        Device::Tensorrt => {
            built_in::<ep::TensorRT>(setup.device)?;
            let mut tensorrt = ep::TensorRT::default();
            if let Some(engines) = engines(setup)? {
                tensorrt = tensorrt
                    .with_engine_cache(true)
                    .with_engine_cache_path(&engines)
                    .with_timing_cache(true)
                    .with_timing_cache_path(&engines);
            }
            // What TensorRT can't build stays on the GPU.
            vec![tensorrt.build().error_on_failure(), cuda()]
        }
        Device::Openvino => {
            built_in::<ep::OpenVINO>(setup.device)?;
            // On newer processors its default is bfloat16, which moves boxes by some px.
            let mut openvino = ep::OpenVINO::default()
                .with_device_type("CPU")
                .with_precision("FP32")
                .with_num_threads(setup.threads);
            if let Some(engines) = engines(setup)? {
                openvino = openvino.with_cache_dir(&engines);
            }
            vec![openvino.build().error_on_failure()]
        }
        // Not an ONNX Runtime device: a call for it here is a bug.
        Device::Remote => {
            return Err(Error::DeviceAbsent {
                device: setup.device,
                reason: "it is no device of ONNX Runtime".to_owned(),
            });
        }
    })
}

/// The folder for what a device builds, created if missing.
fn engines(setup: Setup<'_>) -> Result<Option<String>> {
    let Some(folder) = setup.engines else { return Ok(None) };
    let folder = folder.join(setup.device.name());
    std::fs::create_dir_all(&folder).map_err(|error| Error::DeviceAbsent {
        device: setup.device,
        reason: format!("its folder {} cannot be made ({error})", folder.display()),
    })?;
    Ok(Some(folder.to_string_lossy().into_owned()))
}

/// Whether the library supports the device at all.
fn built_in<P: ExecutionProvider>(device: Device) -> Result<()> {
    let reason = match P::is_available() {
        Ok(true) => return Ok(()),
        Ok(false) => {
            let library = find_runtime()?;
            format!("the ONNX Runtime at {} was built without it", library.display())
        }
        Err(error) => one_line(&error.to_string()),
    };
    Err(Error::DeviceAbsent { device, reason })
}

fn configured(environment: &ort::environment::Environment, setup: Setup<'_>) -> ort::Result<SessionBuilder> {
    let builder = OrtSession::builder(environment)?;
    let builder = if setup.is_trial { builder.with_log_level(LogLevel::Fatal)? } else { builder };
    let builder = builder.with_intra_threads(setup.threads)?.with_inter_threads(1)?;
    Ok(builder.with_intra_op_spinning(false)?.with_inter_op_spinning(false)?)
}

/// In one line, without positions in ONNX Runtime's source.
fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.rsplit_once(": FAIL : ") {
        Some((_, message)) if line.starts_with("/onnxruntime_src/") && !message.is_empty() => {
            message.to_owned()
        }
        _ => line,
    }
}
