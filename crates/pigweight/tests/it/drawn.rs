//! Drawn videos with their truth.

use pigweight_media::{VideoWriter, VideoWriterSettings};
use pigweight_testkit::scene::{Scene, SceneSettings, TrueBox};
use std::path::PathBuf;
use std::process::{Command, Output};

pub const FRAMES_PER_SEC: u32 = 15;

/// What a command printed; its stderr is the message where it failed.
pub fn printed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{command:?}: {status}\n{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// A marked corridor as a video, with the number of animals on each frame.
pub struct Corridor {
    pub video: PathBuf,
    pub scene: Scene,
    pub frames: u32,
    pub counts: Vec<u32>,
    /// On the last frame.
    pub at_the_end: Vec<TrueBox>,
    _folder: tempfile::TempDir,
}

impl Corridor {
    pub fn draw(seed: u64, secs: u32, mirrored: bool) -> Self {
        let settings = SceneSettings { marked: true, pigs: 10, mirrored, ..SceneSettings::default() };
        let mut scene = Scene::corridor(seed, settings);
        let folder = tempfile::tempdir().unwrap();
        let video = folder.path().join("corridor.mp4");
        let SceneSettings { width, height, .. } = *scene.settings();
        let mut writer = VideoWriter::create(
            &video,
            VideoWriterSettings {
                width,
                height,
                frames_per_sec: FRAMES_PER_SEC,
                keyframe_interval: 30,
                bit_rate: 2_000_000,
            },
        )
        .unwrap();
        let frames = secs * FRAMES_PER_SEC;
        let mut counts = Vec::new();
        for frame in 0..frames {
            scene.advance_to(f64::from(frame) / f64::from(FRAMES_PER_SEC));
            writer.write_rgb(&scene.draw()).unwrap();
            counts.push(scene.boxes().len() as u32);
        }
        writer.finish().unwrap();
        let at_the_end = scene.boxes();
        Self { video, scene, frames, counts, at_the_end, _folder: folder }
    }

    /// The line across its middle as the command line takes it.
    pub fn line(&self) -> String {
        let line = self.scene.line();
        format!("{},{},{},{}", line.start.x, line.start.y, line.end.x, line.end.y)
    }
}
