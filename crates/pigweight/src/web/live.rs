//! Counts as they are made, over a WebSocket.

use super::error::Problem;
use super::types::{Query, Run, RunState, present_video};
use super::{App, Shared};
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use utoipa::IntoParams;

/// Proxies cut silent connections after a minute.
const PING_AFTER: Duration = Duration::from_secs(25);

#[derive(Deserialize, IntoParams)]
pub struct OfVideo {
    /// The video's identifier.
    id: String,
}

/// What is pushed: once at the start, then after each step of the analysis that has been written.
#[derive(Serialize)]
struct CountUpdate<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    /// Animals on the last settled frame; null before the first.
    count: Option<u32>,
    /// Seconds of that frame.
    t: f64,
    /// `pending` before the first step, then as in `run.state`.
    state: &'static str,
    progress: f64,
    frames_per_sec: Option<f64>,
    eta_secs: Option<f64>,
}

/// Pushes `count_update` messages for a video that is being analysed.
#[utoipa::path(
    get, path = "/ws/count", params(OfVideo),
    responses((status = 101, description = "A WebSocket of JSON text messages: {type: \"count_update\", id, count, t, \
              state, progress, frames_per_sec, eta_secs}"), (status = 404, body = Problem),
              (status = 426, body = Problem))
)]
pub async fn count_updates(
    app: Shared,
    Query(query): Query<OfVideo>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    present_video(&app, &query.id).await?;
    let axum::extract::State(app) = app;
    let Ok(upgrade) = upgrade else { return Ok(Problem::websocket_only("/ws/count")) };
    Ok(upgrade.on_upgrade(move |socket| push(app, query.id, socket)))
}

async fn push(app: Arc<App>, id: String, mut socket: WebSocket) {
    let mut progress = app.live.watch(&id);
    loop {
        let Ok(text) = update(&app, &id).await else { break };
        if socket.send(Message::Text(text.into())).await.is_err() {
            break;
        }
        loop {
            tokio::select! {
                changed = progress.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                received = socket.recv() => match received {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => {}
                },
                () = tokio::time::sleep(PING_AFTER) => {
                    if socket.send(Message::Ping(Vec::new().into())).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

async fn update(app: &App, id: &str) -> Result<String, Problem> {
    let video = app.store.video(id).await?;
    let run = app.store.latest_run(id).await?;
    let message = match &run {
        None => CountUpdate {
            kind: "count_update",
            id,
            count: None,
            t: 0.0,
            state: if video.error.is_some() { "no_video" } else { "pending" },
            progress: 0.0,
            frames_per_sec: None,
            eta_secs: None,
        },
        Some(run) => {
            let shown = Run::new(run, video.frames.unwrap_or(0), &app.live);
            let frame = app.store.settled_at(&run.id, run.counted_to_secs).await?;
            CountUpdate {
                kind: "count_update",
                id,
                count: frame.as_ref().map(|frame| frame.boxes.len() as u32),
                t: frame.map_or(0.0, |frame| frame.secs),
                state: match shown.state {
                    RunState::Queued => "queued",
                    RunState::Running => "running",
                    RunState::Done => "done",
                    RunState::Failed => "failed",
                },
                progress: shown.progress,
                frames_per_sec: shown.frames_per_sec,
                eta_secs: shown.eta_secs,
            }
        }
    };
    serde_json::to_string(&message).map_err(Problem::internal)
}
