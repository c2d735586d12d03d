//! `pigweight frames export`: selects frames of a farm's own videos that are worth labelling, with draft boxes.
//!
//! Writes pictures, boxes in COCO's and YOLO's formats, and the class lists that CVAT and Label Studio need.

use super::analyse::{damage, progress_bar};
use super::{Partial, configure, print, start_inference, with_folder_detector};
use crate::accuracy::input_width;
use crate::analysis::frame_source::FileSource;
use crate::analysis::frames::{self, FrameInference, InferredFrames, StartPosition};
use crate::analysis::settings::RunSettings;
use crate::args::FramesExport;
use crate::config::Config;
use crate::describe::counted;
use anyhow::Context as _;
use pigweight_core::detection::Detection;
use pigweight_core::inference_schedule::Schedule;
use pigweight_core::selection::{Candidate, Sketch, select, uncertainty};
use pigweight_core::time::Pts;
use pigweight_detect::service::Inference;
use pigweight_media::{FrameSeeker, Picture, Video, jpeg};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::Path;
use tempfile::TempDir;

/// The most inferences per video, evenly spread, and the least interval between them.
const MOST_LOOKS: f64 = 2000.0;
const LEAST_APART_SECS: f64 = 0.5;
/// Pictures are training data: no artefacts that the video doesn't have.
const JPEG_QUALITY: u8 = 95;

pub fn export(args: &FramesExport) -> anyhow::Result<()> {
    let config = configure(&args.model)?;
    let place = Place::find(&args.out)?;
    let mut videos: Vec<(String, Video)> = Vec::new();
    for path in &args.videos {
        // The same file given twice exports its frames once.
        if videos.iter().all(|(_, known)| !is_same(known.path(), path)) {
            let name = unused_stem(path, |name| videos.iter().any(|(known, _)| known == name));
            videos.push((name, Video::open(path)?));
        }
    }
    let config =
        args.videos.first().map_or_else(|| config.clone(), |video| with_folder_detector(&config, video).0);
    let inference = start_inference(&config)?;

    let (mut seen, mut notes) = (Vec::new(), Vec::new());
    for (number, (name, video)) in videos.iter().enumerate() {
        seen.extend(infer_candidates(number, name, video, &inference, &config, &mut notes)?);
    }
    let candidates: Vec<Candidate> = seen.iter().map(|frame| frame.candidate.clone()).collect();
    let mut chosen = select(&candidates, args.count);
    // In the order of the videos, so that each is decoded once, forward.
    chosen.sort_unstable();

    let partial = place.begin()?;
    let mut dataset = Dataset::new(partial.path(), &inference.model().info().classes)?;
    let mut seeker: Option<(usize, FrameSeeker)> = None;
    for number in chosen {
        let frame = &seen[number];
        let (name, video) = &videos[frame.video];
        let name = format!("{name}_{:08.0}ms", frame.candidate.secs * 1000.0);
        let (_, open) = match seeker.take().filter(|(open, _)| *open == frame.video) {
            Some(open) => seeker.insert(open),
            None => seeker.insert((frame.video, FrameSeeker::open(video)?)),
        };
        // If the decoder returns the frame before, or none, skip it: the boxes would be those of another picture.
        let picture = match open.frame(frame.pts) {
            Ok(shown) if shown.pts == frame.pts => shown.picture,
            Ok(_) => {
                notes.push(format!("{name} is damaged and was left out"));
                continue;
            }
            Err(error) => {
                notes.push(format!("{name} was left out: {error}"));
                continue;
            }
        };
        let encoded = jpeg::encode(picture.view(), JPEG_QUALITY, &[], 1.0)?;
        dataset.add(&name, (picture.width(), picture.height()), &encoded, &frame.draft)?;
    }
    let (frames, boxes) = dataset.finish()?;
    place.finish(partial)?;
    let fewer = if frames < args.count {
        format!("No more could be taken: frames lie at least {LEAST_APART_SECS} s apart\n")
    } else {
        String::new()
    };
    print(format_args!(
        "{}: {}, {} as a first draft\n{fewer}Correct them in CVAT (COCO 1.0: annotations/instances_default.json) or \
         Label Studio (YOLO: labels/, classes.txt);\ntraining/README.md says how the detector learns from them\n",
        args.out.display(),
        counted(frames, "frame"),
        if boxes == 1 { "1 box".to_owned() } else { format!("{boxes} boxes") },
    ))?;
    Partial::unless_empty(&notes)
}

/// The output folder: one that doesn't exist yet, or an empty one, which is kept.
struct Place<'a> {
    out: &'a Path,
    is_there: bool,
}

impl<'a> Place<'a> {
    fn find(out: &'a Path) -> anyhow::Result<Self> {
        let is_there = out.symlink_metadata().is_ok();
        let is_empty = std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_none());
        anyhow::ensure!(
            !is_there || is_empty,
            "{} is there already; name a new folder with --out DIR",
            out.display()
        );
        Ok(Self { out, is_there })
    }

    /// A temporary folder, next to or inside the output folder; removed on error.
    fn begin(&self) -> anyhow::Result<TempDir> {
        let parent = self.out.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = if self.is_there { self.out } else { parent.unwrap_or(Path::new(".")) };
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        tempfile::Builder::new()
            .prefix(".pigweight-frames-")
            .tempdir_in(folder)
            .with_context(|| format!("cannot write into {}", folder.display()))
    }

    /// Moves the complete output into place.
    fn finish(&self, partial: TempDir) -> anyhow::Result<()> {
        let moved = if self.is_there {
            std::fs::read_dir(partial.path()).and_then(|entries| {
                for entry in entries {
                    let entry = entry?;
                    std::fs::rename(entry.path(), self.out.join(entry.file_name()))?;
                }
                Ok(())
            })
        } else {
            std::fs::rename(partial.path(), self.out)
        };
        moved.with_context(|| format!("cannot write {}", self.out.display()))?;
        if !self.is_there {
            let _moved = partial.keep();
        }
        Ok(())
    }
}

/// The file's name without its extension; with a number if another has the same.
fn unused_stem(path: &Path, is_used: impl Fn(&str) -> bool) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let numbered = (2..).map(|number| format!("{stem}-{number}"));
    std::iter::once(stem.clone()).chain(numbered).find(|name| !is_used(name)).unwrap_or(stem)
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

/// A candidate frame.
struct Seen {
    video: usize,
    pts: Pts,
    candidate: Candidate,
    draft: Vec<Detection>,
}

fn infer_candidates(
    place: usize,
    name: &str,
    video: &Video,
    inference: &Inference,
    config: &Config,
    notes: &mut Vec<String>,
) -> anyhow::Result<Vec<Seen>> {
    let min_score = RunSettings::of(config, video.path(), inference.model())?.tracker.high_score;
    let input_width = input_width::of_file(config, inference, video)?;
    let secs = (video.duration_secs() / MOST_LOOKS).max(LEAST_APART_SECS);
    let schedule = Schedule::Interval { secs };
    let frames = FrameInference { inference, input_width, schedule, line_proximity: None };
    let bar = progress_bar(name, video.index().frame_count() as u64);
    let sketch = |picture: &Picture, found: Vec<Detection>| (Sketch::of(&picture.view()), found);
    let (mut decoded, mut guessed) = (0, 0);
    let source = &mut FileSource::new(video);
    let choose = |frames: InferredFrames<(Sketch, Vec<Detection>)>| {
        let mut seen = Vec::new();
        for frame in frames {
            let frame = frame?;
            bar.inc(1);
            decoded += 1;
            guessed += usize::from(frame.is_damaged);
            let Some((_, (sketch, mut found))) = frame.inferred.filter(|_| !frame.is_damaged) else {
                continue;
            };
            let uncertainty = uncertainty(found.iter().map(|found| found.score), min_score);
            found.retain(|found| found.score >= min_score);
            let candidate = Candidate { secs: frame.secs, uncertainty, sketch };
            seen.push(Seen { video: place, pts: frame.pts, candidate, draft: found });
        }
        Ok::<_, frames::Error>(seen)
    };
    let seen = frames.run(source, StartPosition::default(), &mut |_| {}, sketch, choose)??;
    bar.finish_and_clear();
    notes.extend(damage(video, decoded, guessed));
    Ok(seen)
}

/// COCO's instances.
#[derive(Serialize)]
struct Coco {
    images: Vec<CocoImage>,
    annotations: Vec<CocoAnnotation>,
    categories: Vec<CocoCategory>,
}

#[derive(Serialize)]
struct CocoImage {
    id: usize,
    width: u32,
    height: u32,
    file_name: String,
}

#[derive(Serialize)]
struct CocoAnnotation {
    id: usize,
    image_id: usize,
    category_id: usize,
    /// x, y, width, height, px.
    bbox: [f32; 4],
    area: f32,
    iscrowd: u8,
}

#[derive(Serialize)]
struct CocoCategory {
    id: usize,
    name: String,
}

/// The output folder being made.
struct Dataset<'a> {
    folder: &'a Path,
    coco: Coco,
}

impl<'a> Dataset<'a> {
    fn new(folder: &'a Path, classes: &[String]) -> anyhow::Result<Self> {
        for part in ["images", "labels", "annotations"] {
            std::fs::create_dir(folder.join(part))?;
        }
        let categories = classes
            .iter()
            .enumerate()
            .map(|(place, name)| CocoCategory { id: place + 1, name: name.clone() });
        let coco = Coco { images: Vec::new(), annotations: Vec::new(), categories: categories.collect() };
        Ok(Self { folder, coco })
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> anyhow::Result<()> {
        let path = self.folder.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    }

    fn add(
        &mut self,
        name: &str,
        (width, height): (u32, u32),
        encoded: &[u8],
        draft: &[Detection],
    ) -> anyhow::Result<()> {
        let file_name = format!("{name}.jpg");
        self.write(&format!("images/{file_name}"), encoded)?;
        let image_id = self.coco.images.len() + 1;
        self.coco.images.push(CocoImage { id: image_id, width, height, file_name });
        let (wide, high) = (width as f32, height as f32);
        let mut rows = String::new();
        for Detection { rect, class, .. } in draft {
            let (middle, class) = (rect.center(), usize::from(*class));
            let parts = [middle.x / wide, middle.y / high, rect.width / wide, rect.height / high];
            writeln!(rows, "{class} {:.6} {:.6} {:.6} {:.6}", parts[0], parts[1], parts[2], parts[3])?;
            self.coco.annotations.push(CocoAnnotation {
                id: self.coco.annotations.len() + 1,
                image_id,
                category_id: class + 1,
                bbox: [rect.x, rect.y, rect.width, rect.height].map(|px| (px * 10.0).round() / 10.0),
                area: rect.area().round(),
                iscrowd: 0,
            });
        }
        self.write(&format!("labels/{name}.txt"), rows)
    }

    /// Returns the numbers of frames and boxes.
    fn finish(self) -> anyhow::Result<(usize, usize)> {
        let names: Vec<&str> = self.coco.categories.iter().map(|category| category.name.as_str()).collect();
        self.write("annotations/instances_default.json", serde_json::to_vec(&self.coco)?)?;
        self.write("classes.txt", names.iter().map(|name| format!("{name}\n")).collect::<String>())?;
        let mut yaml = String::from("path: .\ntrain: images\nval: images\nnames:\n");
        for (place, name) in names.iter().enumerate() {
            writeln!(yaml, "  {place}: {}", serde_json::to_string(name)?)?;
        }
        self.write("data.yaml", yaml)?;
        Ok((self.coco.images.len(), self.coco.annotations.len()))
    }
}
