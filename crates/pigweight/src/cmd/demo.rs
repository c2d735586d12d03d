//! `pigweight demo`: a rendered pen and a rendered corridor with their truth.
//!
//! A video counts as present only with all its truth. The truth is put in place first and the video last, so after any
//! interruption existing files are complete. Existing files are never overwritten.

use super::print;
use crate::args::Demo;
use crate::describe::counted;
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use pigweight_core::line::Line;
use pigweight_media::{VideoWriter, VideoWriterSettings};
use pigweight_testkit::scene::{Floor, Scene, SceneSettings};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const FRAMES_PER_SEC: u32 = 15;
/// Detects the marks on the animals' backs; `fixtures/models/make_models.py` makes it.
const MODEL: &[u8] = include_bytes!("../../../../fixtures/models/drawn-pigs.onnx");
const MODEL_NAME: &str = "drawn-pigs.onnx";

pub fn run(args: &Demo) -> anyhow::Result<()> {
    let folder = &args.folder;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let settings =
        |pigs, floor| SceneSettings { pigs, floor, marked: args.marked, ..SceneSettings::default() };
    let pen = Scene::pen(args.seed, settings(12, Floor::Straw));
    let corridor = Scene::corridor(args.seed, settings(10, Floor::Concrete));
    let line = corridor.line();
    let mut summary = String::new();
    for (name, scene, line) in [("pen", pen, None), ("corridor", corridor, Some(line))] {
        let recording = Recording { folder, name, frames: args.secs * FRAMES_PER_SEC };
        summary.push_str(&recording.make(scene, line)?);
    }
    let model = folder.join(MODEL_NAME);
    if args.marked {
        if !model.exists() {
            put(&model, |path| Ok(std::fs::write(path, MODEL)?))?;
        }
        writeln!(
            summary,
            "{}: a detector that reads the marks on the drawn pigs; it knows no real pig",
            model.display()
        )?;
    }
    let model = if args.marked { format!(" --model {}", shell_word(&model)) } else { String::new() };
    let (start, end) = (line.start, line.end);
    writeln!(
        summary,
        "Next:\n  pigweight count {} --line {},{},{},{}{model}\n  pigweight check {}{model}",
        shell_word(&folder.join("corridor.mp4")),
        start.x,
        start.y,
        end.x,
        end.y,
        shell_word(folder),
    )?;
    print(summary)
}

/// A video and its truth, being made.
struct Recording<'a> {
    folder: &'a Path,
    name: &'a str,
    frames: u32,
}

impl Recording<'_> {
    fn file(&self, extension: &str) -> PathBuf {
        self.folder.join(format!("{}.{extension}", self.name))
    }

    /// Returns what to print about it.
    fn make(&self, mut scene: Scene, line: Option<Line>) -> anyhow::Result<String> {
        let (video, boxes, crossings) =
            (self.file("mp4"), self.file("boxes.csv"), self.file("crossings.csv"));
        if video.exists() {
            anyhow::ensure!(
                boxes.exists() && (line.is_none() || crossings.exists()),
                "{} is there without its truth beside it, so it may not be ours; move it away or name another folder",
                video.display()
            );
            return Ok(format!("{}: kept, as it is there already\n", video.display()));
        }
        let bar = ProgressBar::new(u64::from(self.frames));
        if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} frames  {eta} left")
        {
            bar.set_style(style);
        }
        bar.set_prefix(format!("drawing {}.mp4", self.name));
        let mut rows = String::from("frame,x,y,w,h\n");
        let mut summary = String::new();
        put(&video, |path| {
            let SceneSettings { width, height, .. } = *scene.settings();
            let mut writer = VideoWriter::create(
                path,
                VideoWriterSettings {
                    width,
                    height,
                    frames_per_sec: FRAMES_PER_SEC,
                    keyframe_interval: 2 * FRAMES_PER_SEC,
                    bit_rate: 2_000_000,
                },
            )?;
            for frame in 0..self.frames {
                scene.advance_to(frame_secs(frame));
                writer.write_rgb(&scene.draw())?;
                for truth in scene.boxes() {
                    let rect = truth.rect;
                    writeln!(
                        rows,
                        "{frame},{:.2},{:.2},{:.2},{:.2}",
                        rect.x, rect.y, rect.width, rect.height
                    )?;
                }
                bar.inc(1);
            }
            writer.finish()?;
            writeln!(
                summary,
                "{}: {} s, {}",
                video.display(),
                self.frames / FRAMES_PER_SEC,
                counted(self.frames, "frame")
            )?;
            put(&boxes, |path| Ok(std::fs::write(path, &rows)?))?;
            writeln!(summary, "{}: the true box of every pig on every frame", boxes.display())?;
            if let Some(line) = line {
                let true_crossings = scene.crossings(line, frame_secs(self.frames - 1));
                let mut rows = String::from("secs,direction,pig\n");
                for crossing in &true_crossings {
                    writeln!(rows, "{:.3},{},{}", crossing.secs, crossing.direction, crossing.id)?;
                }
                put(&crossings, |path| Ok(std::fs::write(path, &rows)?))?;
                writeln!(
                    summary,
                    "{}: {} of the line",
                    crossings.display(),
                    counted(true_crossings.len(), "true crossing")
                )?;
            }
            Ok(())
        })?;
        bar.finish_and_clear();
        Ok(summary)
    }
}

fn frame_secs(frame: u32) -> f64 {
    f64::from(frame) / f64::from(FRAMES_PER_SEC)
}

/// Writes a file under a temporary name in its folder, and renames it when it is complete.
fn put(path: &Path, write: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Hidden, with the same extension, which selects the video's container.
    let partial = path.with_file_name(format!(".{}.{name}", std::process::id()));
    let written = write(&partial).and_then(|()| Ok(std::fs::rename(&partial, path)?));
    if written.is_err() {
        // The error is reported below; a file that was never created can't be removed.
        let _absent = std::fs::remove_file(&partial);
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// A path as typed in a shell.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |character: char| character.is_alphanumeric() || "-_./".contains(character);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
