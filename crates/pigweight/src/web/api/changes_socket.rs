//! What has changed on the server, over a WebSocket: pages that show lists ask again then, and need not ask in between.

use crate::web::app::{App, Shared};
use crate::web::auth::caller::Caller;
use crate::web::request::problem::Problem;
use crate::web::request::socket;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use pigweight_store::{ChangeCounts, TOPICS};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// Without a change. Whoever hears nothing for twice that knows that the server is gone: pings don't reach a page's scripts.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// Changes within this are told together. What is told when a transaction ends is readable by then.
const TOLD_TOGETHER: Duration = Duration::from_millis(300);
const MOST_MESSAGE_BYTES: usize = 1024;

/// A message of the WebSocket: one at the start, one after changes, and one every two seconds.
#[derive(Serialize, ToSchema)]
pub struct Changes {
    /// Always `changes`.
    #[serde(rename = "type")]
    #[schema(value_type = String, pattern = "^changes$")]
    kind: &'static str,
    /// What has changed since the last message.
    topics: Vec<Topic>,
}

/// What a change is about.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// `/api/videos`, `/api/sources` and what is below them.
    Videos,
    /// `/api/jobs`.
    Jobs,
    /// `/api/lines`.
    Lines,
    /// `/api/cameras` and what is below it.
    Cameras,
}

impl From<pigweight_store::Topic> for Topic {
    fn from(topic: pigweight_store::Topic) -> Self {
        match topic {
            pigweight_store::Topic::Videos => Self::Videos,
            pigweight_store::Topic::Jobs => Self::Jobs,
            pigweight_store::Topic::Lines => Self::Lines,
            pigweight_store::Topic::Cameras => Self::Cameras,
        }
    }
}

impl Changes {
    fn between(before: ChangeCounts, after: ChangeCounts) -> Self {
        let topics = TOPICS.into_iter().zip(before.into_iter().zip(after));
        let changed = topics.filter(|(_, (before, after))| before != after).map(|(topic, _)| topic.into());
        Self { kind: "changes", topics: changed.collect() }
    }
}

/// Tells what has changed.
#[utoipa::path(
    get, path = "/ws/changes",
    responses((status = 101, description = "A WebSocket of JSON text messages of the schema Changes: one at once, one after changes, and one \
              every 2 s, by which a client knows that the server is there"),
              (status = 426, body = Problem))
)]
pub async fn changes(
    caller: Caller,
    app: Shared,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    caller.view()?;
    let State(app) = app;
    let Ok(upgrade) = upgrade else { return Ok(Problem::websocket_only("/ws/changes")) };
    Ok(socket::bounded(upgrade, MOST_MESSAGE_BYTES).on_upgrade(move |socket| push(app, socket)))
}

async fn push(app: Arc<App>, mut socket: WebSocket) {
    let mut changes = app.store.watch_changes();
    let mut told = *changes.borrow_and_update();
    let mut next = Changes::between(told, told);
    loop {
        let Ok(text) = serde_json::to_string(&next) else { return };
        if !socket::send(&mut socket, Message::Text(text.into())).await {
            return;
        }
        let again = tokio::time::Instant::now() + SAID_AGAIN_AFTER;
        loop {
            tokio::select! {
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    tokio::time::sleep(TOLD_TOGETHER).await;
                    break;
                }
                received = socket.recv() => match received {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => {}
                },
                () = tokio::time::sleep_until(again) => break,
            }
        }
        let now = *changes.borrow_and_update();
        next = Changes::between(told, now);
        told = now;
    }
}
