//! API types that several handlers use.

use crate::analysis::run_warnings::{RunWarning, repaired_times, warnings};
use crate::artifacts::previews::Made;
use crate::describe::counted;
use crate::status::Status;
use crate::web::app::App;
use pigweight_store::{JobRecord, JobState, Reason, RunRecord, RunState as Stored, VideoRecord};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::web::request::arguments::{Field, Kind, RequestArguments};
use crate::web::request::problem::Problem;

/// How far the packet index is.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IndexState {
    /// The file has not been opened yet.
    Pending,
    /// The file is being read to its end; frames that `/api/videos/{id}/index` lists are available.
    Growing,
    /// Every frame is available.
    Ready,
    /// The file cannot be read; `error` says why.
    Failed,
}

/// A registered video.
#[derive(Serialize, ToSchema)]
pub struct Video {
    pub id: String,
    /// The source it is a recording of.
    pub source: String,
    /// The path below the folder it was found in.
    pub name: String,
    /// From the first frame to the end of the last; while the index grows, what the file says of itself.
    pub duration_secs: Option<f64>,
    pub frames: Option<i64>,
    /// px of the upright picture.
    pub width: Option<i64>,
    /// px of the upright picture.
    pub height: Option<i64>,
    /// `h264`, `hevc`, …
    pub codec: Option<String>,
    /// Of the original file.
    pub media_type: String,
    /// When recording began as the file says, RFC 3339 in UTC. Some phones write its end instead.
    pub recorded_at: Option<String>,
    pub has_audio: bool,
    pub index: IndexState,
    /// While the index grows: the share of the file that has been read, 0 to 1.
    pub index_progress: Option<f64>,
    /// Why it cannot be read, or what is missing although it can.
    pub error: Option<String>,
    /// A short name of `error` that stays the same, for programs that say it in other words; null where it has none.
    pub reason_code: Option<String>,
    pub preview: Preview,
    /// Boxes are pigs from this score on, as a person has set it for this video or its source; null: as calibrated or configured.
    pub min_score: Option<f64>,
    /// How many animals a person says its source holds; null: unknown. `PUT /api/sources/{id}` sets it.
    pub animals: Option<i64>,
    /// Background work on it is paused.
    pub paused: bool,
    /// The published analysis, a complete one; before any is complete, the one in progress. Null where there is none yet.
    pub run: Option<Run>,
    /// Another analysis that is made beside the published one, with another model or other settings; it takes its place when it is
    /// complete. Null where there is none.
    pub recount: Option<Recount>,
    /// The newest job, the one that is to come where there is one; null where nothing can be counted.
    pub job: Option<VideoJob>,
}

/// How far the small pictures for quick looks are.
#[derive(Serialize, ToSchema)]
pub struct Preview {
    /// Number of frames with a preview, from the first on; others are decoded on request.
    pub frames: u64,
    /// Whether `/api/videos/{id}/preview/sprites.vtt` is there.
    pub sprites: bool,
}

impl From<Made> for Preview {
    fn from(made: Made) -> Self {
        Self { frames: made.frames, sprites: made.has_sprites }
    }
}

/// The state of an analysis.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It waits in the queue; what is settled stays.
    Queued,
    Running,
    Done,
    Failed,
    /// It was cancelled; what is settled stays.
    Cancelled,
    /// Other settings hold now. It is never shown; if its settings come back, it continues.
    Abandoned,
}

/// An analysis of a video.
#[derive(Serialize, ToSchema)]
pub struct Run {
    pub id: String,
    pub state: RunState,
    /// 0 to 1.
    pub progress: f64,
    pub frames_done: i64,
    pub frames_total: i64,
    /// Inferred frames of those done; the others are interpolated.
    pub frames_inferred: i64,
    /// Null while the analysis does not run.
    pub frames_per_sec: Option<f64>,
    pub eta_secs: Option<f64>,
    pub model: String,
    /// What ran the detector, as measured: cpu, cuda, tensorrt, openvino, remote. Several, separated by commas, if it changed during the run.
    pub device: String,
    /// Animals on the picture over all frames done; null before the first.
    pub count: Option<Count>,
    /// Where the detector is beyond what it can do, the most important first.
    pub warnings: Vec<CountWarning>,
    pub counted_to_secs: f64,
    /// Why it failed, or why it waits although it is its turn.
    pub error: Option<String>,
    /// A short name of `error` that stays the same; null where it has none.
    pub reason_code: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct Count {
    pub mean: f64,
    pub max: i64,
    /// On scenes like those the detector was calibrated on, nine of ten frames' true numbers lie within the count ± this many animals. Null if the detector doesn't say what its scores mean, or nothing was found.
    pub uncertainty: Option<f64>,
}

/// What a reader of a count has to know.
#[derive(Serialize, ToSchema)]
pub struct CountWarning {
    /// `other_view`: the recording shows another view than the detector of its source has learned. `nothing_found`: no animal at all. `far_from_known`: a person says that there is another number of them. `small_animals`: many are too
    /// small in the picture to be found reliably. `uncertain_count`: the detector is unsure. `times_repaired`: the file's times are not all as they should be; what
    /// was done is said.
    pub code: &'static str,
    /// One sentence: what is wrong, and what to do.
    pub message: String,
}

impl Run {
    /// `job` is the video's newest.
    pub fn new(run: &RunRecord, video: &VideoRecord, app: &App, job: Option<&JobRecord>) -> Self {
        let status = &app.status;
        let frames_total = video.frames.unwrap_or(0);
        // An unfinished run continues, unless its job doesn't.
        let job = job.filter(|job| job.run_id.as_ref().is_none_or(|id| *id == run.id));
        let frames_per_sec = status
            .latest(&run.video_id)
            .filter(|progress| progress.run.id == run.id)
            .map(|progress| progress.frames_per_sec)
            .filter(|&rate| rate > 0.0);
        let state = match run.state {
            Stored::Done => RunState::Done,
            Stored::Failed => RunState::Failed,
            Stored::Abandoned => RunState::Abandoned,
            _ if frames_per_sec.is_some() => RunState::Running,
            _ => match job.map(|job| job.state) {
                Some(JobState::Cancelled) => RunState::Cancelled,
                Some(JobState::Failed) => RunState::Failed,
                _ => RunState::Queued,
            },
        };
        let left = (frames_total - run.frames_done).max(0) as f64;
        let is_running = matches!(state, RunState::Running);
        let why = Explanation::of_run(run, job).or_else(|| match state {
            RunState::Failed => job.map(Explanation::of_job).unwrap_or_default(),
            RunState::Queued => Explanation::from(status.blocked_reason(&run.video_id))
                .or_else(|| job.map(Explanation::of_job).unwrap_or_default()),
            RunState::Running | RunState::Done | RunState::Cancelled | RunState::Abandoned => {
                Explanation::default()
            }
        });
        Self {
            id: run.id.clone(),
            state,
            progress: match state {
                RunState::Done => 1.0,
                _ => (run.frames_done as f64 / frames_total.max(1) as f64).clamp(0.0, 1.0),
            },
            frames_done: run.frames_done,
            frames_total,
            frames_inferred: run.frames_inferred,
            frames_per_sec: frames_per_sec.filter(|_| is_running),
            eta_secs: frames_per_sec.filter(|_| is_running).map(|rate| left / rate),
            model: run.model_name.clone(),
            device: run.device.clone(),
            count: run.count_mean().map(|mean| Count {
                mean,
                max: run.count_max,
                uncertainty: run.count_uncertainty(),
            }),
            warnings: (video.repairs.as_deref().map(repaired_times).into_iter())
                .chain(warnings(run, video.animals, app.detector.leaves_out_own(video, run)))
                .map(|RunWarning { code, message }| CountWarning { code, message })
                .collect(),
            counted_to_secs: run.counted_to_secs,
            error: why.error,
            reason_code: why.reason_code,
        }
    }
}

/// An analysis that is made beside the published one.
#[derive(Serialize, ToSchema)]
pub struct Recount {
    /// Null before its first step.
    pub run_id: Option<String>,
    /// `running`, `waiting`, `paused`, `failed`.
    #[schema(value_type = JobStateName)]
    pub state: &'static str,
    /// 0 to 1.
    pub progress: f64,
    pub frames_done: i64,
    pub frames_total: i64,
    /// Null while the analysis does not run.
    pub frames_per_sec: Option<f64>,
    pub eta_secs: Option<f64>,
    /// Why it failed or waits.
    pub error: Option<String>,
    /// A short name of `error` that stays the same; null where it has none.
    pub reason_code: Option<String>,
}

impl Recount {
    /// `job` is the video's newest.
    pub fn of(video: &VideoRecord, job: Option<&JobRecord>, status: &Status) -> Option<Self> {
        let published = video.published_run_id.as_ref()?;
        let job = job.filter(|job| job.state.is_open() || job.state == JobState::Failed)?;
        // A run's first progress is published before it is recorded with its job.
        let going_on = status.latest(&video.id).filter(|progress| progress.run.id != *published);
        let going_on = going_on.filter(|progress| progress.frames_per_sec > 0.0);
        let run_id = job.run_id.clone().or_else(|| going_on.as_ref().map(|going_on| going_on.run.id.clone()));
        if run_id.as_ref() == Some(published) {
            return None;
        }
        let frames_done =
            going_on.as_ref().map_or(0, |going_on| going_on.run.frames_done).max(job.frames_done);
        let frames_total = video.frames.unwrap_or(0);
        let frames_per_sec =
            going_on.filter(|_| job.state == JobState::Running).map(|going_on| going_on.frames_per_sec);
        let left = (frames_total - frames_done).max(0) as f64;
        let why = Explanation::from(status.blocked_reason(&video.id).filter(|_| job.state.is_open()))
            .or_else(|| Explanation::of_job(job));
        Some(Self {
            run_id,
            state: job.state.name(),
            progress: (frames_done as f64 / frames_total.max(1) as f64).clamp(0.0, 1.0),
            frames_done,
            frames_total,
            frames_per_sec,
            eta_secs: frames_per_sec.map(|rate| left / rate),
            error: why.error,
            reason_code: why.reason_code,
        })
    }
}

/// The state of a job.
#[derive(ToSchema)]
#[schema(as = JobState, rename_all = "snake_case")]
#[expect(dead_code, reason = "for the document alone")]
pub enum JobStateName {
    /// The video is being counted.
    Running,
    Waiting,
    /// It waits until it is resumed.
    Paused,
    Failed,
    /// It was cancelled; what is counted stays.
    Cancelled,
    Done,
}

/// Which way an animal crossed a line.
#[derive(ToSchema)]
#[schema(as = Direction, rename_all = "snake_case")]
#[expect(dead_code, reason = "for the document alone")]
pub enum DirectionName {
    /// From the left of the arrow to its right as seen on the picture.
    Forward,
    Backward,
}

/// The newest job of a video.
#[derive(Serialize, ToSchema)]
pub struct VideoJob {
    pub id: String,
    /// As in `/api/jobs/{id}`, which has more.
    #[schema(value_type = JobStateName)]
    pub state: &'static str,
    /// Why it failed, was cancelled or waits.
    pub error: Option<String>,
    /// A short name of `error` that stays the same; null where it has none.
    pub reason_code: Option<String>,
}

/// A sentence and its code, as they are told and kept.
#[derive(Clone, Default)]
pub struct Explanation {
    pub error: Option<String>,
    pub reason_code: Option<String>,
}

impl Explanation {
    /// What is kept with a job. A code without its sentence says nothing.
    pub fn of_job(job: &JobRecord) -> Self {
        Self { reason_code: job.error_code.clone().filter(|_| job.error.is_some()), error: job.error.clone() }
    }

    /// Of a run, which keeps its sentence alone: its job has both.
    fn of_run(run: &RunRecord, job: Option<&JobRecord>) -> Self {
        match job.map(Self::of_job).filter(|why| why.error == run.error) {
            Some(why) => why,
            None => Self { error: run.error.clone(), reason_code: None },
        }
    }

    /// `opened`: of a video whose opening isn't stored yet.
    fn of_video(
        video: &VideoRecord,
        opened: Option<&pigweight_media::Video>,
        run: Option<&RunRecord>,
    ) -> Self {
        if video.error.is_some() {
            return Self { error: video.error.clone(), reason_code: video.error_code.clone() };
        }
        let missing = || opened.filter(|opened| opened.is_whole())?.index().damage().map(str::to_owned);
        if let Some(damage) = video.damage.clone().or_else(missing) {
            return Self { error: Some(damage), reason_code: Some("parts_missing".to_owned()) };
        }
        let damaged = run.map_or(0, |run| run.damaged_frames);
        if damaged == 0 {
            return Self::default();
        }
        let are = if damaged == 1 { "is" } else { "are" };
        let text = format!("{} {are} damaged and partly guessed", counted(damaged, "frame"));
        Reason::new("frames_damaged", text).into()
    }

    /// This one, or where there is none another.
    pub fn or_else(self, other: impl FnOnce() -> Self) -> Self {
        if self.error.is_some() { self } else { other() }
    }
}

impl From<Reason> for Explanation {
    fn from(Reason { code, text }: Reason) -> Self {
        Self { error: Some(text), reason_code: Some(code.to_owned()) }
    }
}

impl From<Option<Reason>> for Explanation {
    fn from(reason: Option<Reason>) -> Self {
        reason.map(Self::from).unwrap_or_default()
    }
}

/// RFC 3339 in UTC of seconds since 1970.
pub fn time(secs: i64) -> Option<String> {
    jiff::Timestamp::from_second(secs).ok().map(|time| time.to_string())
}

impl Video {
    /// With what the store knows of it besides.
    pub async fn of(app: &App, video: &VideoRecord) -> Result<Self, Problem> {
        let run = app.store.shown_run(&video.id).await?;
        let job = app.store.latest_job(&video.id).await?;
        Ok(Self::new(video, run.as_ref(), job.as_ref(), app))
    }

    pub fn new(video: &VideoRecord, run: Option<&RunRecord>, job: Option<&JobRecord>, app: &App) -> Self {
        // Of a file that is being read, or that was and isn't stored yet.
        let part = match (&video.error, video.frames) {
            (None, None) => app.pool.open_videos.known_of(&video.id),
            _ => None,
        };
        let counted =
            part.as_ref().filter(|part| part.is_whole()).map(|part| part.index().frame_count() as i64);
        let frames = video.frames.or(counted);
        let index = match (&video.error, frames) {
            (Some(_), _) => IndexState::Failed,
            (None, Some(_)) => IndexState::Ready,
            (None, None) if part.is_some() => IndexState::Growing,
            (None, None) => IndexState::Pending,
        };
        let info = part.as_ref().map(|part| part.info());
        let why = Explanation::of_video(video, part.as_ref(), run);
        Self {
            id: video.id.clone(),
            source: video.source_id.clone(),
            name: video.name.clone(),
            duration_secs: video.duration_secs.or(part.as_ref().map(expected_secs)),
            frames,
            width: video.width_px.or(info.map(|info| info.width.into())),
            height: video.height_px.or(info.map(|info| info.height.into())),
            codec: video.codec.clone().or(info.map(|info| info.codec.clone())),
            media_type: media_type(&video.name).to_owned(),
            recorded_at: video.recorded_at.or(info.and_then(|info| info.recorded_at)).and_then(time),
            has_audio: video.has_audio == Some(true) || info.is_some_and(|info| info.has_audio),
            index,
            index_progress: part.and_then(|part| part.share_read()),
            error: why.error,
            reason_code: why.reason_code,
            preview: app.previews.made(&video.id).into(),
            min_score: run.map_or(video.min_score, |run| video.min_score_for(&run.model_hash)),
            animals: video.animals,
            paused: video.is_paused,
            run: run.map(|run| Run::new(run, video, app, job)),
            recount: Recount::of(video, job, &app.status),
            job: job.map(|job| {
                let Explanation { error, reason_code } = Explanation::of_job(job);
                VideoJob { id: job.id.clone(), state: job.state.name(), error, reason_code }
            }),
        }
    }
}

/// Seconds that a video lasts; of one that is still being read, as many as it says, and no fewer than are known.
pub fn expected_secs(video: &pigweight_media::Video) -> f64 {
    let stated = video.info().stated_secs.filter(|_| !video.is_whole());
    stated.unwrap_or(0.0).max(video.duration_secs())
}

/// By the file's extension, as browsers want it.
pub fn media_type(name: &str) -> &'static str {
    let extension = name.rsplit('.').next().unwrap_or_default().to_lowercase();
    match extension.as_str() {
        "mp4" | "m4v" => "video/mp4",
        "mov" => "video/quicktime",
        "mkv" => "video/x-matroska",
        "webm" => "video/webm",
        "avi" => "video/x-msvideo",
        "ts" | "m2ts" | "mts" | "m2t" | "tp" | "trp" => "video/mp2t",
        "mpg" | "mpeg" | "vob" | "ps" | "m2v" => "video/mpeg",
        _ => "application/octet-stream",
    }
}

/// `from` and `to` in seconds since the first frame.
#[derive(Deserialize, IntoParams)]
pub struct Window {
    /// Seconds; default 0.
    pub from: Option<f64>,
    /// Seconds; default the end.
    pub to: Option<f64>,
}

impl RequestArguments for Window {
    const FIELDS: &'static [Field] =
        &[Field::optional("from", Kind::Number), Field::optional("to", Kind::Number)];
}

impl Window {
    /// The window as a sound pair.
    pub fn range(&self, end_secs: f64) -> Result<(f64, f64), Problem> {
        let (from, to) = (self.from.unwrap_or(0.0), self.to.unwrap_or(end_secs));
        if !from.is_finite() || !to.is_finite() || to < from {
            return Err(Problem::bad_request("from and to must be seconds, from not after to"));
        }
        Ok((from, to))
    }
}

/// The identifier belongs to bytes that are no longer there; a file that took their place has one of its own.
pub fn is_gone(video: &VideoRecord) -> Problem {
    if video.is_of_camera {
        let id = &video.source_id;
        return Problem::not_found(format!(
            "what the camera {:?} sends has no file; its picture now is at /api/cameras/{id}/frame.jpg",
            video.name
        ));
    }
    Problem::not_found(format!(
        "the file of the video {:?} was changed or removed; /api/videos lists what there is now",
        video.name
    ))
}
