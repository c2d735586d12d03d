//! A folder's own detector: `pigweight adapt` writes it beside a camera's videos, and they are counted with it.

use crate::accuracy::calibration::nearest_above;
use crate::config::Config;
use std::path::{Path, PathBuf};

/// Its name.
pub const FILE_NAME: &str = "pigweight-detector.onnx";

/// The one that counts a video, if no model is named and no server infers: those decide for all videos.
pub fn of(video: &Path, config: &Config) -> Option<PathBuf> {
    if names_a_model(config) { None } else { nearest_above(video, FILE_NAME) }
}

/// Whether the configuration names a model or inference servers, which count all videos.
pub fn names_a_model(config: &Config) -> bool {
    config.model.is_some() || !config.detect.remote.endpoints.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_folder_above_decides() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let video = root.join("barn/pen/a.mp4");
        std::fs::create_dir_all(root.join("barn/pen")).unwrap();
        std::fs::write(&video, "video").unwrap();
        let of = |video: &Path| of(video, &Config::default());
        assert_eq!(of(&video), None);
        for folder in ["barn", "barn/pen"] {
            let file = root.join(folder).join(FILE_NAME);
            std::fs::write(&file, "detector").unwrap();
            assert_eq!(of(&video), Some(file));
        }
        let named = Config { model: Some("own.onnx".into()), ..Config::default() };
        assert_eq!(super::of(&video, &named), None, "a named model counts all videos");
    }
}
