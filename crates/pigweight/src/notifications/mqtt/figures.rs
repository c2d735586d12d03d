//! Reads what the cameras show now.

use crate::background::camera_count::CountNow;
use crate::background::camera_supervisor::CameraSupervisor;
use crate::background::steady_state::StateTracker;
use crate::notifications::mqtt::messages::{CameraFigures, LineFigures};
use crate::status::Status;
use pigweight_core::line::Direction;
use pigweight_store::{CameraRecord, Store};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Lines are read anew after this time, also where nothing was counted: they may be drawn, renamed or removed.
const LINES_HOLD: Duration = Duration::from_secs(5);

/// Reads figures, and keeps what need not be read each time.
pub struct FigureReader {
    store: Store,
    status: Arc<Status>,
    cameras: Arc<CameraSupervisor>,
    kept: BTreeMap<String, Kept>,
}

#[derive(Default)]
struct Kept {
    tracker: StateTracker,
    lines: Option<KeptLines>,
}

struct KeptLines {
    read: Instant,
    /// The checkpoint that they are of.
    written: Option<Instant>,
    lines: Vec<LineFigures>,
    has_uncertainty: bool,
}

impl FigureReader {
    /// Nothing is read yet.
    pub fn new(store: Store, status: Arc<Status>, cameras: Arc<CameraSupervisor>) -> Self {
        Self { store, status, cameras, kept: BTreeMap::new() }
    }

    /// All cameras, by name.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn read(&mut self) -> pigweight_store::Result<Vec<CameraFigures>> {
        let cameras = self.store.cameras().await?;
        self.kept.retain(|id, _| cameras.iter().any(|camera| camera.id == *id));
        let mut figures = Vec::with_capacity(cameras.len());
        for camera in cameras {
            figures.push(self.read_camera(camera).await?);
        }
        Ok(figures)
    }

    async fn read_camera(&mut self, camera: CameraRecord) -> pigweight_store::Result<CameraFigures> {
        let status = self.cameras.status(&camera.id);
        let count = CountNow::of(&self.status, &camera, status.as_ref());
        let kept = self.kept.entry(camera.id.clone()).or_default();
        if let Some(status) = &status {
            kept.tracker.follow(&status.states);
        }
        let progress = self.status.latest(&camera.video_id);
        let written = progress.as_ref().map(|progress| progress.written);
        let holds = |lines: &KeptLines| lines.read.elapsed() < LINES_HOLD && lines.written == written;
        let lines = match kept.lines.take().filter(holds) {
            Some(lines) => lines,
            None => {
                // The run that is counted, or the one that people see.
                let run = match progress {
                    Some(progress) => Some(progress.run),
                    None => self.store.shown_run(&camera.video_id).await?,
                };
                let counts = match &run {
                    Some(run) => self.store.count_crossings(&run.id).await?,
                    None => Vec::new(),
                };
                let of = |line: &str, direction: Direction| {
                    let count = counts.iter().find(|(of, way, _)| of == line && *way == direction);
                    count.map_or(0, |(_, _, count)| *count)
                };
                let lines = self.store.lines_of_video(&camera.video_id).await?.into_iter();
                let lines = lines.map(|line| LineFigures {
                    forward: of(&line.line.id, Direction::Forward),
                    backward: of(&line.line.id, Direction::Backward),
                    id: line.line.id,
                    name: line.line.name,
                });
                let has_uncertainty = run.is_some_and(|run| run.uncertainty_squares.is_some());
                KeptLines { read: Instant::now(), written, lines: lines.collect(), has_uncertainty }
            }
        };
        let figures = CameraFigures {
            state: kept.tracker.now().cloned(),
            trouble: status.and_then(|status| status.trouble),
            count,
            has_uncertainty: lines.has_uncertainty,
            lines: lines.lines.clone(),
            id: camera.id,
            name: camera.name,
        };
        kept.lines = Some(lines);
        Ok(figures)
    }
}
