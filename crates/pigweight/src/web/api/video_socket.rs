//! A camera's video over a WebSocket: fragments of MP4, for browsers' `MediaSource`. It goes through wherever the page does.

use crate::background::camera_supervisor::reason_of;
use crate::web::app::{App, Shared};
use crate::web::auth::caller::Caller;
use crate::web::request::problem::Problem;
use crate::web::request::socket;
use axum::extract::Path;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::StatusCode;
use axum::response::Response;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use pigweight_live::fragmented::{FragmentedViewer, Next, Outgoing, Over, SILENCE_TIMEOUT};
use pigweight_live::recording::Initialization;
use pigweight_live::{CameraState as Live, Codec, Received, Subscription};
use pigweight_store::CameraRecord;
use serde::Serialize;
use std::time::Instant;
use utoipa::ToSchema;

/// Viewers of one server.
pub const MOST_VIEWERS: usize = 128;
/// A frame, which is no larger than what a camera may send without a whole one.
const MOST_MESSAGE_BYTES: usize = 17 << 20;

/// A message of the WebSocket: what the binary messages after it hold, the initialization segment first. Sent at the start, and again where
/// the camera changes its coding.
#[derive(Serialize, ToSchema)]
pub struct VideoStart {
    /// Always `start`.
    #[serde(rename = "type")]
    #[schema(value_type = String, pattern = "^start$")]
    kind: &'static str,
    /// For `MediaSource.isTypeSupported`: `video/mp4; codecs="avc1.4d401f"`.
    media_type: String,
    /// The pts at media time 0, which may lie before the camera's beginning. A frame at media time `t` has the pts `zero_pts + t × 90000`.
    zero_pts: i64,
}

/// Whether a camera's frames are played this way, and its frames.
fn subscription(app: &App, camera: &CameraRecord) -> Result<Subscription, Problem> {
    let connecting = || Problem::unavailable("the camera is being connected; ask again in a moment");
    let state = app.cameras.status(&camera.id).map(|status| status.states.now().state.clone());
    match state {
        Some(Live::Live(format)) if matches!(format.codec, Codec::H264 | Codec::H265) => {}
        Some(Live::Live(_)) => {
            return Err(Problem::new(
                StatusCode::NOT_ACCEPTABLE,
                "the camera sends JPEG pictures, which browsers don't play as MP4; use WebRTC (whep) or its pictures (frame.jpg)",
            ));
        }
        state => {
            let reason = state.as_ref().and_then(reason_of);
            return Err(reason.map_or_else(connecting, |reason| Problem::unavailable(reason.text)));
        }
    }
    Ok(app.cameras.subscriber(&camera.id).ok_or_else(connecting)?.subscribe())
}

/// Plays a camera's own frames, H.264 or H.265: fragments of MP4 with a frame each, from the last keyframe on. A viewer that is more than two seconds behind
/// goes on at a keyframe. It is sent pings and has to answer them, as every WebSocket client does by itself.
#[utoipa::path(
    get, path = "/ws/cameras/{id}/video",
    responses((status = 101, description = "A WebSocket: a JSON text message of the schema VideoStart, then binary messages: the initialization segment, and a \
              fragment (`moof` and `mdat`) for each frame"),
              (status = 404, body = Problem), (status = 406, body = Problem, description = "The camera sends neither H.264 nor H.265"),
              (status = 426, body = Problem),
              (status = 503, body = Problem, description = "The camera isn't live, or there are too many viewers; `detail` says which"))
)]
pub async fn play(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let camera = caller.camera(&app, &id).await?;
    let Ok(upgrade) = upgrade else {
        return Ok(Problem::websocket_only(&format!("/ws/cameras/{id}/video")));
    };
    let Ok(place) = app.video_sockets.clone().try_acquire_owned() else {
        return Err(Problem::unavailable(
            "as many viewers as a server takes are connected; close one, or try again later",
        ));
    };
    let subscription = subscription(&app, &camera)?;
    Ok(socket::bounded(upgrade, MOST_MESSAGE_BYTES).on_upgrade(move |socket| async move {
        let (sink, stream) = socket.split();
        let hearing = Hearing { viewer: FragmentedViewer::default(), subscription, stream };
        // A viewer that has left is told nothing.
        if let Some((over, mut sink)) = serve(sink, hearing).await {
            let code = if over == Over::CameraStopped { close_code::AWAY } else { close_code::UNSUPPORTED };
            let told = sink.send(Message::Close(Some(CloseFrame { code, reason: over.to_string().into() })));
            let _told = tokio::time::timeout(SILENCE_TIMEOUT, told).await;
        }
        drop(place);
    }))
}

type Sink = SplitSink<WebSocket, Message>;

/// What may happen while something is sent.
struct Hearing {
    viewer: FragmentedViewer,
    subscription: Subscription,
    stream: SplitStream<WebSocket>,
}

impl Hearing {
    /// Takes what comes next. Returns whether the viewer is still there.
    async fn hear(&mut self) -> bool {
        tokio::select! {
            received = self.subscription.next(), if !self.viewer.is_over() => {
                match received {
                    Received::Unit(unit) => self.viewer.push(Instant::now(), unit),
                    Received::Lost(_) => self.viewer.lose(),
                    Received::End => self.viewer.end(),
                }
                true
            }
            message = self.stream.next() => match message {
                Some(Ok(Message::Pong(mark))) => {
                    if let Ok(mark) = mark.as_ref().try_into() {
                        self.viewer.returned(Instant::now(), u64::from_be_bytes(mark));
                    }
                    true
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => false,
                Some(Ok(_)) => true,
            },
        }
    }
}

/// Until the viewer leaves (`None`) or is over.
async fn serve(mut sink: Sink, mut hearing: Hearing) -> Option<(Over, Sink)> {
    loop {
        match hearing.viewer.next(Instant::now()) {
            Next::Send(outgoing) => {
                for message in messages(outgoing)? {
                    send(&mut sink, message, &mut hearing).await?;
                }
            }
            Next::WaitUntil(until) => tokio::select! {
                is_there = hearing.hear() => is_there.then_some(())?,
                () = tokio::time::sleep_until(until.into()) => {}
            },
            Next::Over(over) => return Some((over, sink)),
        }
    }
}

/// Sends a message, and hears what comes meanwhile. `None`: the viewer has left, or takes nothing any more.
async fn send(sink: &mut Sink, message: Message, hearing: &mut Hearing) -> Option<()> {
    let sending = sink.send(message);
    let patience = tokio::time::sleep(SILENCE_TIMEOUT);
    tokio::pin!(sending, patience);
    loop {
        tokio::select! {
            sent = &mut sending => return sent.ok(),
            is_there = hearing.hear() => is_there.then_some(())?,
            () = &mut patience => return None,
        }
    }
}

fn messages(outgoing: Outgoing) -> Option<Vec<Message>> {
    Some(match outgoing {
        Outgoing::Initialization(Initialization { codec, zero_ticks, segment }) => {
            let media_type = format!("video/mp4; codecs=\"{codec}\"");
            let start = VideoStart { kind: "start", media_type, zero_pts: zero_ticks };
            vec![Message::Text(serde_json::to_string(&start).ok()?.into()), Message::Binary(segment.into())]
        }
        Outgoing::Fragment(fragment) => vec![Message::Binary(fragment.into())],
        Outgoing::Mark(mark) => vec![Message::Ping(mark.to_be_bytes().to_vec().into())],
    })
}
