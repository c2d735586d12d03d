//! The current plan for analyses: the detector and the configuration.

use crate::analysis::frame_source::FileSource;
use crate::analysis::frames::Observer;
use crate::analysis::pipeline::{Analysis, Error};
use crate::analysis::settings::RunSettings;
use crate::config::Config;
use crate::status::Progress;
use pigweight_detect::service::Inference;
use pigweight_media::Video;
use pigweight_store::{RunRecord, Store, VideoRecord};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::runtime::Handle;

/// What analyses use.
pub struct AnalysisPlan {
    /// The detector.
    pub inference: Inference,
    /// Its configuration.
    pub config: Arc<Config>,
}

/// A video to analyse.
pub struct PlannedVideo<'a> {
    /// As registered.
    pub record: &'a VideoRecord,
    /// Opened.
    pub video: &'a Video,
    /// As [`AnalysisPlan::settings`] gives them.
    pub settings: &'a RunSettings,
    /// See [`Analysis::is_last_try`].
    pub is_last_try: bool,
}

impl AnalysisPlan {
    /// The settings with which a video is counted.
    ///
    /// # Errors
    /// If its folder's calibration can't be read.
    pub fn settings(&self, video: &VideoRecord) -> anyhow::Result<RunSettings> {
        RunSettings::of_video(&self.config, video, self.inference.model())
    }

    /// Analyses a video file, or returns the run that already has. As [`Analysis::run`].
    ///
    /// # Errors
    /// As [`Analysis::run`].
    pub fn analyse(
        &self,
        planned: &PlannedVideo<'_>,
        (store, runtime): (&Store, &Handle),
        stop: &AtomicBool,
        observe: Observer<'_>,
        tell: &mut dyn FnMut(&Progress),
    ) -> Result<RunRecord, Error> {
        let analysis = Analysis {
            video_id: &planned.record.id,
            inference: &self.inference,
            settings: planned.settings,
            is_last_try: planned.is_last_try,
            show: None,
            box_size: None,
        };
        analysis.run(&mut FileSource::new(planned.video), store, runtime, stop, observe, tell)
    }
}
