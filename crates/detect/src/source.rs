//! The origin of a model.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The built-in detector. `models/README.md` is its model card, `training/` its recipe.
const STARTER: &[u8] = include_bytes!("../../../models/pigs-640x384.onnx");
const STARTER_NAME: &str = "pigs-640x384.onnx";

/// The origin of a model. As text it is the file's path, or says that it is built in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModelSource {
    /// The built-in detector.
    BuiltIn,
    /// An ONNX file.
    File(PathBuf),
}

impl ModelSource {
    /// The file's name without its folder.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::BuiltIn => STARTER_NAME.to_owned(),
            Self::File(path) => {
                path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
            }
        }
    }

    /// The file's bytes, with the weights that lie in files beside it.
    ///
    /// # Errors
    /// If one of them can't be read.
    pub fn read(&self) -> std::io::Result<Arc<[u8]>> {
        match self {
            Self::BuiltIn => Ok(STARTER.into()),
            Self::File(path) => {
                let metadata = path.metadata()?;
                if !metadata.is_file() {
                    // Opening a FIFO would block until somebody writes to it.
                    return Err(refused("it is no file"));
                }
                if metadata.len() > crate::onnx::MOST_BYTES {
                    return Err(refused("it is larger than 2 GiB, which no ONNX file can be"));
                }
                let bytes = std::fs::read(path)?;
                let folder = path.parent().unwrap_or(Path::new(""));
                Ok(crate::outside_weights::with_own_weights(bytes, folder)?.into())
            }
        }
    }
}

fn refused(reason: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, reason)
}

impl fmt::Display for ModelSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => write!(formatter, "{STARTER_NAME} (built in)"),
            Self::File(path) => path.display().fmt(formatter),
        }
    }
}
