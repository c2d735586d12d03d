//! Live counts, over a WebSocket.

use crate::status::LiveDetections;
use crate::web::api::types::{Recount, Run, RunState};
use crate::web::app::App;
use crate::web::app::Shared;
use crate::web::auth::caller::Caller;
use crate::web::request::arguments::{Field, Kind, Query, RequestArguments};
use crate::web::request::problem::Problem;
use crate::web::request::socket;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use pigweight_core::line::Direction;
use pigweight_store::{RunRecord, VideoLine, VideoRecord};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

/// Proxies cut silent connections after a minute; and a client that takes nothing is found out.
const PING_AFTER: Duration = Duration::from_secs(15);
/// Some hundred lines, or thousands of boxes.
const MOST_MESSAGE_BYTES: usize = 1 << 20;
/// During an analysis, figures are sent again after this time without progress. Their age shows that it is stuck.
const RESEND_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Deserialize, IntoParams)]
pub struct OfVideo {
    /// The identifier of a video or a camera.
    id: String,
}

impl RequestArguments for OfVideo {
    const FIELDS: &'static [Field] = &[Field::needed("id", Kind::Text)];
}

/// A message of the WebSocket: one at the start, one after each checkpoint, and one every five seconds while a checkpoint is expected.
#[derive(Serialize, ToSchema)]
pub struct CountUpdate {
    /// Always `count_update`.
    #[serde(rename = "type")]
    #[schema(value_type = String, pattern = "^count_update$")]
    kind: &'static str,
    /// The video; of a camera, what it sends.
    id: String,
    /// Animals on the last settled frame; null before the first.
    count: Option<u32>,
    /// Seconds of that frame.
    t: f64,
    /// `pending` before the first step, then as in `run.state`.
    state: &'static str,
    progress: f64,
    frames_per_sec: Option<f64>,
    eta_secs: Option<f64>,
    /// So far, for each line.
    crossings: Vec<LineCount>,
    /// What runs the detector, as measured; null before the first step.
    device: Option<String>,
    lag: Lag,
    /// An analysis with other settings that runs beside the published one; null if there is none.
    recount: Option<Recount>,
}

/// A message of the WebSocket for a camera: what the detector has found on a frame, as soon as it is found. It is provisional: a count
/// is settled some seconds later, when later frames have shown what was an animal.
#[derive(Serialize, ToSchema)]
pub struct BoxesUpdate {
    /// Always `boxes`.
    #[serde(rename = "type")]
    #[schema(value_type = String, pattern = "^boxes$")]
    kind: &'static str,
    /// The recording of the camera.
    id: String,
    /// Of the frame, in the recording's time base.
    pts: i64,
    /// The RTP timestamp of the frame by WebRTC: `requestVideoFrameCallback` tells it (`rtpTimestamp`).
    rtp: u32,
    /// Seconds since the camera was added.
    t: f64,
    /// Animals on the frame, by this frame alone.
    count: u32,
    /// x, y, width and height in px of the camera's picture, and the score.
    #[schema(value_type = Vec<Vec<f32>>)]
    boxes: Vec<[f32; 5]>,
}

impl BoxesUpdate {
    fn new(id: &str, live: &LiveDetections) -> Self {
        let boxes = live.detections.iter().map(|found| {
            let rect = found.rect;
            [rect.x, rect.y, rect.width, rect.height, found.score]
        });
        Self {
            kind: "boxes",
            id: id.to_owned(),
            pts: live.pts.0,
            // RTP counts modulo 2^32.
            rtp: (live.pts.0 & i64::from(u32::MAX)) as u32,
            t: live.secs,
            count: live.detections.len() as u32,
            boxes: boxes.collect(),
        }
    }
}

/// What crossed a line so far.
#[derive(Serialize, ToSchema)]
pub struct LineCount {
    line: String,
    name: String,
    forward: i64,
    backward: i64,
}

/// How far the counting is behind.
#[derive(Clone, Copy, Default, Serialize, ToSchema)]
pub struct Lag {
    /// Seconds of the video that are not counted yet.
    pub video_secs: f64,
    /// Frames that are not counted yet.
    pub backlog_frames: i64,
    /// Seconds since the figures were written; null while no analysis runs.
    pub age_secs: Option<f64>,
}

impl Lag {
    /// Of a video whose newest run is `run`.
    pub fn of(app: &App, video: &VideoRecord, run: Option<&RunRecord>) -> Self {
        let (counted_to_secs, frames_done) =
            run.map_or((0.0, 0), |run| (run.counted_to_secs, run.frames_done));
        // A finished run has reached the end, even if some frames could not be decoded.
        let is_done = run.is_some_and(|run| run.state == pigweight_store::RunState::Done);
        let going_on = app.status.latest(&video.id).filter(|progress| progress.frames_per_sec > 0.0);
        let left = |total: f64, done: f64| if is_done { 0.0 } else { (total - done).max(0.0) };
        Self {
            video_secs: left(video.duration_secs.unwrap_or(0.0), counted_to_secs),
            backlog_frames: left(video.frames.unwrap_or(0) as f64, frames_done as f64) as i64,
            age_secs: going_on.filter(|_| !is_done).map(|progress| progress.written.elapsed().as_secs_f64()),
        }
    }
}

/// Pushes `count_update` messages for a video that is being analysed, or a camera.
#[utoipa::path(
    get, path = "/ws/count", params(OfVideo),
    responses((status = 101, description = "A WebSocket of JSON text messages of the schema CountUpdate: one at once, one after each step, \
              and every 5 s while a step is awaited; of a camera, also of the schema BoxesUpdate, one for each inferred frame"),
              (status = 404, body = Problem), (status = 426, body = Problem))
)]
pub async fn count_updates(
    caller: Caller,
    app: Shared,
    Query(query): Query<OfVideo>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let video = caller.recording_or_camera(&app, &query.id).await?;
    let axum::extract::State(app) = app;
    let Ok(upgrade) = upgrade else { return Ok(Problem::websocket_only("/ws/count")) };
    let upgrade = socket::bounded(upgrade, MOST_MESSAGE_BYTES);
    Ok(upgrade.on_upgrade(move |socket| push(app, video.id, socket)))
}

async fn push(app: Arc<App>, id: String, mut socket: WebSocket) {
    let mut progress = app.status.watch(&id);
    let mut live = app.status.watch_live(&id);
    loop {
        let Ok((text, goes_on)) = update(&app, &id).await else { break };
        if !socket::send(&mut socket, Message::Text(text.into())).await {
            break;
        }
        let sent = Instant::now();
        let mut pinged = sent;
        loop {
            tokio::select! {
                changed = progress.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                changed = live.changed() => {
                    let newest = live.borrow_and_update().clone();
                    let (Ok(()), Some(newest)) = (changed, newest) else { return };
                    let Ok(text) = serde_json::to_string(&BoxesUpdate::new(&id, &newest)) else { return };
                    if !socket::send(&mut socket, Message::Text(text.into())).await {
                        return;
                    }
                }
                received = socket.recv() => match received {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => {}
                },
                () = tokio::time::sleep_until(sent + RESEND_INTERVAL), if goes_on => break,
                () = tokio::time::sleep_until(pinged + PING_AFTER) => {
                    pinged = Instant::now();
                    if !socket::send(&mut socket, Message::Ping(Vec::new().into())).await {
                        return;
                    }
                }
            }
        }
    }
}

/// The message, and whether another one will come by itself.
async fn update(app: &App, id: &str) -> Result<(String, bool), Problem> {
    let video = app.store.video(id).await?;
    let run = app.store.shown_run(id).await?;
    let job = app.store.latest_job(id).await?;
    let lag = Lag::of(app, &video, run.as_ref());
    let crossings = crossed(app, id, run.as_ref()).await?;
    let is_removed = video.is_of_camera
        && matches!(app.store.camera(&video.source_id).await, Err(pigweight_store::Error::NotFound { .. }));
    let recount = Recount::of(&video, job.as_ref(), &app.status);
    let message = match &run {
        None => CountUpdate {
            kind: "count_update",
            id: id.to_owned(),
            count: None,
            t: 0.0,
            state: if video.error.is_some() { "no_video" } else { "pending" },
            progress: 0.0,
            frames_per_sec: None,
            eta_secs: None,
            crossings,
            device: None,
            lag,
            recount,
        },
        Some(run) => {
            let shown = Run::new(run, &video, app, job.as_ref());
            let frame = app.store.settled_at(&run.id, run.counted_to_secs).await?;
            CountUpdate {
                kind: "count_update",
                id: id.to_owned(),
                count: frame.as_ref().map(|frame| frame.boxes.len() as u32),
                t: frame.map_or(0.0, |frame| frame.secs),
                state: match shown.state {
                    // A camera's run has no end; without its camera it doesn't go on.
                    _ if is_removed => "cancelled",
                    RunState::Queued => "queued",
                    RunState::Running => "running",
                    RunState::Done => "done",
                    RunState::Failed => "failed",
                    RunState::Cancelled => "cancelled",
                    RunState::Abandoned => "abandoned",
                },
                progress: shown.progress,
                frames_per_sec: shown.frames_per_sec,
                eta_secs: shown.eta_secs,
                crossings,
                device: Some(shown.device),
                lag,
                recount,
            }
        }
    };
    let text = serde_json::to_string(&message).map_err(Problem::internal)?;
    Ok((text, lag.age_secs.is_some()))
}

async fn crossed(app: &App, id: &str, run: Option<&RunRecord>) -> Result<Vec<LineCount>, Problem> {
    let lines = app.store.lines_of_video(id).await?;
    let counts = match run {
        Some(run) if !lines.is_empty() => app.store.count_crossings(&run.id).await?,
        _ => Vec::new(),
    };
    let of = |line: &str, direction: Direction| {
        let count = counts.iter().find(|(of, way, _)| of == line && *way == direction);
        count.map_or(0, |(_, _, count)| *count)
    };
    let crossed = lines.into_iter().map(|VideoLine { line, .. }| LineCount {
        forward: of(&line.id, Direction::Forward),
        backward: of(&line.id, Direction::Backward),
        line: line.id,
        name: line.name,
    });
    Ok(crossed.collect())
}
