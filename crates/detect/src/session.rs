//! ONNX Runtime: the one place that knows it.

use crate::error::{Error, Result};
use crate::layout::Output;
use crate::source::ModelSource;
use ort::session::Session as OrtSession;
use ort::session::builder::SessionBuilder;
use ort::value::{TensorElementType, TensorRef, ValueType};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Where the shared library of ONNX Runtime is, in this order: the environment's ORT_DYLIB_PATH; beside the program
/// and in `lib/` there; `.tools/onnxruntime` (where setup puts it) in the working folder or above the program.
///
/// # Errors
/// [`Error::RuntimeMissing`].
pub fn find_runtime() -> Result<PathBuf> {
    if let Some(stated) = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
        return Ok(stated.into());
    }
    let mut folders = Vec::new();
    if let Some(beside) = std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned)) {
        folders.extend([beside.clone(), beside.join("lib")]);
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
    names: Vec<String>,
}

/// What the model takes.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub name: String,
    /// −1 where it is open.
    pub shape: Vec<i64>,
    pub is_float32: bool,
}

/// What a run gave: each output's flat numbers.
pub(crate) struct Numbers {
    pub outputs: Vec<(Output, Vec<f32>)>,
}

impl Session {
    /// `threads` run one inference; spinning is off: it doubles to triples the CPU time of the whole product.
    pub(crate) fn load(source: &ModelSource, model: &[u8], threads: usize) -> Result<Self> {
        let environment = environment()?;
        let refused = |reason: String| Error::NotAModel { model: source.clone(), reason: one_line(&reason) };
        let mut builder = configured(environment, threads).map_err(|error| refused(error.to_string()))?;
        let session = builder.commit_from_memory(model).map_err(|error| refused(error.to_string()))?;
        let names = session.outputs().iter().map(|output| output.name().to_owned()).collect();
        let input = match session.inputs() {
            [first, ..] => match first.dtype() {
                ValueType::Tensor { ty, shape, .. } => Input {
                    name: first.name().to_owned(),
                    shape: shape.to_vec(),
                    is_float32: *ty == TensorElementType::Float32,
                },
                other => Input {
                    name: format!("{} ({other})", first.name()),
                    shape: Vec::new(),
                    is_float32: false,
                },
            },
            [] => Input { name: "none".into(), shape: Vec::new(), is_float32: false },
        };
        Ok(Self { session, input, names })
    }

    pub(crate) fn input(&self) -> &Input {
        &self.input
    }

    pub(crate) fn input_count(&self) -> usize {
        self.session.inputs().len()
    }

    /// A value of the model's metadata.
    pub(crate) fn metadata(&self, key: &str) -> Option<String> {
        self.session.metadata().ok()?.custom(key)
    }

    /// All inputs and outputs in words, for an error's reader.
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

    /// Runs the model on a tensor of 1 × 3 × `height` × `width` and hands the named outputs to `read`.
    pub(crate) fn run<T>(
        &mut self,
        tensor: &[f32],
        width: usize,
        height: usize,
        read: impl FnOnce(&[(&str, &[i64], &[f32])]) -> T,
    ) -> Result<T> {
        let failed = |error: ort::Error| Error::Run { reason: one_line(&error.to_string()) };
        let input = TensorRef::from_array_view(([1, 3, height, width], tensor)).map_err(failed)?;
        let outputs = self.session.run(ort::inputs![self.input.name.as_str() => input]).map_err(failed)?;
        let mut views: Vec<(&str, &[i64], &[f32])> = Vec::with_capacity(self.names.len());
        for name in &self.names {
            // Outputs of other types (the integer labels of some exports) are none that we read.
            if let Some(Ok((shape, numbers))) =
                outputs.get(name).map(|value| value.try_extract_tensor::<f32>())
            {
                views.push((name, shape, numbers));
            }
        }
        Ok(read(&views))
    }

    /// Runs the model once on a grey picture: what comes out has shapes without open sizes.
    pub(crate) fn probe(&mut self, width: usize, height: usize) -> Result<Numbers> {
        let grey = vec![0.5; 3 * width * height];
        self.run(&grey, width, height, |views| Numbers {
            outputs: views
                .iter()
                .map(|(name, shape, numbers)| {
                    let shape = shape.iter().map(|&size| usize::try_from(size).unwrap_or(0)).collect();
                    (Output { name: (*name).to_owned(), shape }, numbers.to_vec())
                })
                .collect(),
        })
    }
}

fn configured(environment: &ort::environment::Environment, threads: usize) -> ort::Result<SessionBuilder> {
    let builder = OrtSession::builder(environment)?;
    let builder = builder.with_intra_threads(threads)?.with_inter_threads(1)?;
    Ok(builder.with_intra_op_spinning(false)?.with_inter_op_spinning(false)?)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
