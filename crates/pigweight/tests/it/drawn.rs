//! Rendered videos with their truth.

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

/// A sensor's noise, up to 2 of 255 either way.
fn grain(picture: &mut [u8], seed: u32) {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    for sample in picture {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *sample = sample.saturating_add((state >> 29) as u8 % 5).saturating_sub(2);
    }
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
        Self::draw_in("", seed, secs, mirrored, |secs| secs)
    }

    /// Between two moments nothing moves but the noise of the picture.
    pub fn draw_standing(seed: u64, secs: u32, from_secs: f64, to_secs: f64) -> Self {
        let stands = move |secs: f64| {
            if secs < from_secs { secs } else { (secs - (to_secs - from_secs)).max(from_secs) }
        };
        Self::draw_in(&format!("-standing-{from_secs}-{to_secs}"), seed, secs, false, stands)
    }

    /// `scene_secs` tells the moment of the scene at each moment of the video, `kind` which function that is.
    fn draw_in(kind: &str, seed: u64, secs: u32, mirrored: bool, scene_secs: impl Fn(f64) -> f64) -> Self {
        let settings = SceneSettings { marked: true, pigs: 10, mirrored, ..SceneSettings::default() };
        let frames = secs * FRAMES_PER_SEC;
        let show = |scene: &mut Scene, frame: u32| {
            scene.advance_to(scene_secs(f64::from(frame) / f64::from(FRAMES_PER_SEC)));
        };
        let folder = tempfile::tempdir().unwrap();
        let name = format!("corridor{kind}-{seed}-{secs}-{mirrored}");
        crate::kept::keep(&name, folder.path(), |folder| {
            let mut scene = Scene::corridor(seed, settings.clone());
            let SceneSettings { width, height, .. } = *scene.settings();
            let mut writer = VideoWriter::create(
                &folder.join("corridor.mp4"),
                VideoWriterSettings {
                    width,
                    height,
                    frames_per_sec: FRAMES_PER_SEC,
                    keyframe_interval: 30,
                    bit_rate: 2_000_000,
                },
            )
            .unwrap();
            for frame in 0..frames {
                show(&mut scene, frame);
                let mut picture = scene.draw();
                grain(&mut picture, frame);
                writer.write_rgb(&picture).unwrap();
            }
            writer.finish().unwrap();
        });
        let mut scene = Scene::corridor(seed, settings);
        let mut counts = Vec::new();
        for frame in 0..frames {
            show(&mut scene, frame);
            counts.push(scene.boxes().len() as u32);
        }
        let (video, at_the_end) = (folder.path().join("corridor.mp4"), scene.boxes());
        Self { video, scene, frames, counts, at_the_end, _folder: folder }
    }

    /// The line across its middle as the command line takes it.
    pub fn line(&self) -> String {
        let line = self.scene.line();
        format!("{},{},{},{}", line.start.x, line.start.y, line.end.x, line.end.y)
    }
}
