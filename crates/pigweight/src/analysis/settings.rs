//! A run's settings: those of the model and of the run, from the configuration and a folder's calibration.

use crate::accuracy::calibration::{self, Calibration};
use crate::accuracy::input_width::{self, is_chosen};
use crate::config::{Config, DetectConfig, RemoteConfig};
use pigweight_core::inference_schedule::{self, InferenceIntervals, Schedule};
use pigweight_core::line::RULE_VERSION;
use pigweight_core::track::TrackerSettings;
use pigweight_detect::{DeviceSettings, Model, ModelSettings, ModelSource, RemoteSettings};
use pigweight_store::{NewRun, VideoRecord};
use std::path::Path;
use std::time::Duration;

/// Everything besides the model that could change a run's result.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSettings {
    /// Which frames are inferred.
    pub schedule: Schedule,
    /// How detections become tracks.
    pub tracker: TrackerSettings,
    /// Width of the detector's input, px; `None`: the model's own.
    pub input_width: Option<u32>,
    /// The file's times were repaired: an earlier version may have counted it by other times, and is counted again.
    pub has_repaired_times: bool,
}

impl RunSettings {
    /// The settings with which a video is counted. The tracker's thresholds follow from the score in the configuration or the
    /// calibration of the video's folder.
    ///
    /// # Errors
    /// If the folder's calibration can't be read.
    pub fn of(config: &Config, video: &Path, model: &Model) -> anyhow::Result<Self> {
        let min_score = match config.detect.min_score {
            Some(stated) => stated,
            None => Calibration::of(video, model)?
                .map_or_else(|| config.detect.min_score(), |found| found.min_score),
        };
        let tracker = TrackerSettings::for_min_score(min_score);
        let input_width = input_width::stated(config.detect.input_width, model)?;
        let schedule = schedule_of(&config.detect);
        Ok(Self { schedule, tracker, input_width, has_repaired_times: false })
    }

    /// The same for a registered video: its own threshold and input width, or its source's, take precedence over the configuration.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn of_video(config: &Config, video: &VideoRecord, model: &Model) -> anyhow::Result<Self> {
        let mut settings = Self::of(config, &video.file_path(), model)?;
        settings.has_repaired_times = video.repairs.is_some();
        if let Some(min_score) = video.min_score_for(&model.info().hash) {
            settings.tracker = TrackerSettings::for_min_score(min_score as f32);
        }
        let is_chosen = video.input_width_px.is_some() || is_chosen(config, model);
        if let Some(width) = video.input_width_for(&model.info().hash).filter(|_| is_chosen) {
            // One that was set for another model or device may be none of this one's: its own then.
            settings.input_width = input_width::stated(u32::try_from(width).ok(), model).unwrap_or_default();
        }
        Ok(settings)
    }

    /// The run key for these settings and a model.
    pub fn run_of(&self, video_id: &str, model: &Model) -> NewRun {
        let mut inference = describe_inference(model, self.input_width);
        if self.has_repaired_times {
            // As the rest, compared for equality.
            inference.push_str(" times repaired");
        }
        NewRun {
            video_id: video_id.to_owned(),
            model_name: model.info().name.clone(),
            model_hash: model.info().hash.clone(),
            device: model.device().device.name().to_owned(),
            settings: format!("{} {inference}", canonical(self)),
            inference_settings: format!("{} {inference}", canonical_schedule(self.schedule)),
            least_score: f64::from(self.tracker.low_score),
            rule_version: RULE_VERSION,
        }
    }
}

/// Which frames are inferred.
pub fn schedule_of(detect: &DetectConfig) -> Schedule {
    match detect.inference_hz {
        None => Schedule::ByMotion(InferenceIntervals::USUAL),
        Some(0.0) => Schedule::EveryFrame,
        Some(hz) => Schedule::Interval { secs: 1.0 / hz },
    }
}

/// The configured model, for runs with any threshold.
pub fn model_settings(config: &Config) -> ModelSettings {
    let detect = &config.detect;
    let source = config.model.clone().map_or(ModelSource::BuiltIn, ModelSource::File);
    ModelSettings {
        head: detect.head,
        classes: detect.classes.clone(),
        class_names: detect.class_names.clone(),
        // The lowest threshold a calibration may set; each run uses the part it needs.
        min_score: TrackerSettings::for_min_score(calibration::LEAST_THRESHOLD).low_score,
        max_iou: detect.max_iou,
        trims_border: detect.trim_border,
        device: DeviceSettings {
            choice: detect.device,
            engines: Some(config.data.join("engines")),
            batch: detect.batch,
            remote: remote_settings(&detect.remote),
        },
        ..ModelSettings::new(source)
    }
}

fn remote_settings(remote: &RemoteConfig) -> RemoteSettings {
    RemoteSettings {
        endpoints: remote.endpoints.clone(),
        model: remote.model.clone(),
        version: remote.version.clone(),
        ca_file: remote.ca_file.clone(),
        timeout: Duration::from_secs_f64(remote.timeout_secs),
        patience: Duration::from_secs_f64(remote.patience_secs),
        in_flight: remote.in_flight,
        fallback: remote.fallback,
    }
}

/// Everything besides the schedule and the model's bytes that could change detections, in one line that is equal for equal settings.
/// Without the device: results don't depend on it, so a run isn't repeated for another device.
fn describe_inference(model: &Model, input_width: Option<u32>) -> String {
    let ModelSettings {
        head,
        classes,
        class_names,
        max_iou,
        min_score: _,
        source: _,
        threads: _,
        device: _,
        trims_border,
    } = model.settings();
    let rule = inference_schedule::RULE_VERSION;
    let border = if *trims_border { " without border" } else { "" };
    // Stored with every run and compared for equality: the words never change.
    let input = input_width.map(|px| format!(" input {px}")).unwrap_or_default();
    format!("looks v{rule} {head:?} {classes:?} {class_names:?} {max_iou}{border}{input}")
}

/// One line that is equal for equal settings. Runs in the store are compared by it, so its words never change, even if fields are
/// renamed here; a new field is added if it changes results.
fn canonical(settings: &RunSettings) -> String {
    // The others are part of the description of the inference.
    let RunSettings { schedule, tracker, input_width: _, has_repaired_times: _ } = settings;
    let TrackerSettings {
        high_score,
        low_score,
        new_score,
        lost_secs,
        lost_inferences,
        lookback_secs,
        confirm_hits,
        match_overlap,
        low_iou,
        recover_iou,
        unconfirmed_overlap,
        duplicate_iou,
        direction_weight,
        direction_bodies,
        direction_secs,
    } = tracker;
    format!(
        "RunSettings {{ schedule: {}, tracker: TrackerSettings {{ high_score: {high_score:?}, low_score: {low_score:?}, \
         new_score: {new_score:?}, lost_secs: {lost_secs:?}, lost_looks: {lost_inferences:?}, look_back_secs: {lookback_secs:?}, confirm_hits: {confirm_hits:?}, \
         match_overlap: {match_overlap:?}, low_iou: {low_iou:?}, recover_iou: {recover_iou:?}, \
         unconfirmed_overlap: {unconfirmed_overlap:?}, duplicate_iou: {duplicate_iou:?}, direction_weight: {direction_weight:?}, \
         direction_bodies: {direction_bodies:?}, direction_secs: {direction_secs:?} }} }}",
        canonical_schedule(*schedule)
    )
}

fn canonical_schedule(schedule: Schedule) -> String {
    match schedule {
        Schedule::EveryFrame => "EveryFrame".to_owned(),
        Schedule::Interval { secs } => format!("Interval {{ secs: {secs:?} }}"),
        Schedule::ByMotion(InferenceIntervals {
            moving_secs,
            near_line_secs,
            still_secs,
            still_after_secs,
            lookback_secs,
        }) => format!(
            "ByMotion(Floors {{ moving_secs: {moving_secs:?}, near_line_secs: {near_line_secs:?}, still_secs: {still_secs:?}, \
             still_after_secs: {still_after_secs:?}, look_back_secs: {lookback_secs:?} }})"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As earlier versions stored it: a change would count every user's videos again.
    #[test]
    fn stored_settings_keep_their_words() {
        let schedule = Schedule::ByMotion(InferenceIntervals::USUAL);
        let settings = RunSettings {
            schedule,
            tracker: TrackerSettings::for_min_score(0.3),
            input_width: None,
            has_repaired_times: false,
        };
        assert_eq!(
            canonical(&settings),
            "RunSettings { schedule: ByMotion(Floors { moving_secs: 0.16666666666666666, near_line_secs: 0.1, still_secs: 1.0, \
             still_after_secs: 1.0, look_back_secs: 0.5 }), tracker: TrackerSettings { high_score: 0.3, low_score: 0.05, \
             new_score: 0.47500002, lost_secs: 1.0, lost_looks: 12, look_back_secs: 1.0, confirm_hits: 2, match_overlap: 0.1, low_iou: 0.5, recover_iou: 0.3, \
             unconfirmed_overlap: 0.3, duplicate_iou: 0.85, direction_weight: 0.2, direction_bodies: 0.15, direction_secs: 0.1 } }"
        );
        assert_eq!(canonical_schedule(Schedule::EveryFrame), "EveryFrame");
        assert_eq!(canonical_schedule(Schedule::Interval { secs: 0.5 }), "Interval { secs: 0.5 }");
    }
}
