//! Analyses one video from file to result, for commands that wait for it.

use crate::accuracy::input_width;
use crate::analysis::plan::{AnalysisPlan, PlannedVideo};
use crate::config::Config;
use crate::describe::{clock, counted};
use crate::sources::library::{self, FoundFile};
use crate::status::Progress;
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use pigweight_core::line::Line;
use pigweight_core::time::Pts;
use pigweight_detect::service::Inference;
use pigweight_media::Video;
use pigweight_store::{
    LineCrossing, LineGeometry, LineRecord, LineScope, NewLine, RunRecord, Store, VideoLine,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::runtime::Runtime;

/// A persistent or temporary store, and the runtime it uses.
pub struct CommandStore {
    pub runtime: Runtime,
    pub store: Store,
    /// Removed on drop.
    _scratch: Option<tempfile::TempDir>,
}

/// A video that has been analysed.
pub struct Analysed {
    pub video: Video,
    pub run: RunRecord,
    pub lines: Vec<LineRecord>,
    pub crossings: Vec<LineCrossing>,
    /// Why the result is incomplete.
    pub damage: Option<String>,
}

impl CommandStore {
    /// In `data`, or in a temporary folder.
    pub fn open(data: Option<&Path>) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (folder, scratch) = match data {
            Some(data) => (data.to_owned(), None),
            None => {
                let scratch = tempfile::tempdir()
                    .context("cannot make a temporary folder; name one with --data DIR")?;
                (scratch.path().to_owned(), Some(scratch))
            }
        };
        let store = runtime.block_on(Store::open(&folder))?;
        Ok(Self { runtime, store, _scratch: scratch })
    }

    /// Analyses a file, or reads the stored result of the same analysis.
    pub fn analyse(
        &self,
        path: &Path,
        lines: &[Line],
        inference: &Inference,
        config: &Config,
    ) -> anyhow::Result<Analysed> {
        let path = path.canonicalize().with_context(|| format!("cannot read {}", path.display()))?;
        let found = FoundFile::alone(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = found.name.clone();
        let mut record = self.runtime.block_on(library::register(&self.store, &found))?;
        let opened = library::open(&self.store, self.runtime.handle(), None, &record, &mut |_| {})?;
        let video = self.runtime.block_on(opened.stored(&self.store, &record.id))?;
        record = self.runtime.block_on(self.store.video(&record.id))?;
        for line in lines {
            line.check_on_picture(video.info().width, video.info().height)?;
        }
        let picture = (video.info().width, video.info().height);
        let lines = self.runtime.block_on(self.keep_lines(&record.id, picture, lines))?;
        let plan = AnalysisPlan { inference: inference.clone(), config: Arc::new(config.clone()) };
        let (store, handle, stop) = (&self.store, self.runtime.handle(), AtomicBool::new(false));
        // A file waits: how long an inference takes decides nothing here, and the result is the same on every machine.
        if input_width::measure_source((store, handle), (config, inference), &record, &video, &stop, false)? {
            record = self.runtime.block_on(store.video(&record.id))?;
        }
        let settings = plan.settings(&record)?;
        let planned = PlannedVideo { record: &record, video: &video, settings: &settings, is_last_try: true };
        let bar = progress_bar(&name, video.index().frame_count() as u64);
        let ended = plan.analyse(&planned, (store, handle), &stop, &mut |_| {}, &mut |progress| {
            show(&bar, progress);
        });
        bar.finish_and_clear();
        let run = ended?;
        // Lines added to a finished run are counted from its stored tracks.
        self.runtime.block_on(self.store.fold_lines(&run.id))?;
        let crossings = self.runtime.block_on(self.store.crossings(&run.id))?;
        let [decoded, guessed] =
            [run.frames_done, run.damaged_frames].map(|frames| frames.try_into().unwrap_or(0));
        let damage = damage(&video, decoded, guessed);
        Ok(Analysed { video, run, lines, crossings, damage })
    }

    /// Count of every settled frame by its pts.
    pub fn counts(&self, run: &RunRecord) -> anyhow::Result<BTreeMap<Pts, u32>> {
        let mut counts = BTreeMap::new();
        for sequence in 0..run.next_chunk {
            let frames = self.runtime.block_on(self.store.chunk(&run.id, sequence))?.unwrap_or_default();
            counts.extend(frames.iter().map(|frame| (frame.pts, frame.boxes.len() as u32)));
        }
        Ok(counts)
    }

    /// Seconds and count of every settled frame.
    pub fn series(&self, run: &RunRecord) -> anyhow::Result<Vec<(f64, u32)>> {
        let mut series = Vec::new();
        for sequence in 0..run.next_chunk {
            let frames = self.runtime.block_on(self.store.chunk(&run.id, sequence))?.unwrap_or_default();
            series.extend(frames.iter().map(|frame| (frame.secs, frame.boxes.len() as u32)));
        }
        Ok(series)
    }

    async fn keep_lines(
        &self,
        video_id: &str,
        (width_px, height_px): (u32, u32),
        lines: &[Line],
    ) -> anyhow::Result<Vec<LineRecord>> {
        let mut kept = Vec::new();
        for (number, line) in lines.iter().enumerate() {
            let geometry = LineGeometry {
                x1_px: f64::from(line.start.x),
                y1_px: f64::from(line.start.y),
                x2_px: f64::from(line.end.x),
                y2_px: f64::from(line.end.y),
                picture_width_px: Some(i64::from(width_px)),
                picture_height_px: Some(i64::from(height_px)),
            };
            let is_same =
                |known: &VideoLine| known.on_video.is_some_and(|known| known.is_same_place(&geometry));
            let known = self.store.lines_of_video(video_id).await?.into_iter().find(is_same);
            let scope = LineScope::Video(video_id.to_owned());
            kept.push(match known {
                Some(known) => known.line,
                None => {
                    let name = (number + 1).to_string();
                    self.store.add_line(&NewLine { name, scope, geometry }).await?
                }
            });
        }
        Ok(kept)
    }
}

/// One sentence if frames are missing (the file has more than were decoded) or guessed.
pub fn damage(video: &Video, decoded: usize, guessed: usize) -> Option<String> {
    let missing = video.index().frame_count().saturating_sub(decoded);
    let found = if let Some(damage) = video.index().damage() {
        damage.to_owned()
    } else {
        let missing = (missing > 0).then(|| format!("{} cannot be decoded", counted(missing, "frame")));
        let guessed = (guessed > 0).then(|| {
            let are = if guessed == 1 { "is" } else { "are" };
            format!("{} {are} partly guessed", counted(guessed, "frame"))
        });
        let found: Vec<String> = missing.into_iter().chain(guessed).collect();
        if found.is_empty() {
            return None;
        }
        found.join(" and ")
    };
    Some(format!("{} is damaged: {found}; what can be decoded was used", video.path().display()))
}

pub fn progress_bar(name: &str, frames: u64) -> ProgressBar {
    let bar = ProgressBar::new(frames);
    if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} frames  {msg}") {
        bar.set_style(style);
    }
    bar.set_prefix(name.to_owned());
    bar
}

fn show(bar: &ProgressBar, progress: &Progress) {
    bar.set_position(progress.run.frames_done.unsigned_abs());
    let left = bar.length().unwrap_or(0).saturating_sub(bar.position()) as f64;
    let count = progress.count.map_or_else(|| "– pigs".to_owned(), |count| counted(count, "pig"));
    if progress.frames_per_sec > 0.0 {
        bar.set_message(format!(
            "{count}  {:.0} frames/s  {} left",
            progress.frames_per_sec,
            clock(left / progress.frames_per_sec)
        ));
    }
}
