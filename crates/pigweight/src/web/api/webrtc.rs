//! WebRTC: a camera's picture in a browser, without delay. WHEP (draft-ietf-wish-whep) and a JSON form of the same.

use crate::background::camera_supervisor::reason_of;
use crate::web::app::{App, Shared};
use crate::web::auth::caller::Caller;
use crate::web::request::arguments::{Body, Field, Kind, RequestArguments};
use crate::web::request::problem::Problem;
use crate::web::serve::ConnectionEnds;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, Path};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use pigweight_live::webrtc::{Answer, OfferError, Requester, VideoCodec};
use pigweight_live::{CameraState as Live, Codec, Subscriber};
use pigweight_store::CameraRecord;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const SDP: &str = "application/sdp";

/// An SDP offer in JSON, as `RTCPeerConnection.localDescription` gives it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebRtcOffer {
    /// SDP with a video section that receives.
    sdp: String,
    /// `offer`.
    #[serde(rename = "type")]
    #[expect(dead_code, reason = "its value is checked before it is read")]
    kind: String,
    /// The camera's identifier; by default the first camera of `GET /api/cameras`.
    #[serde(default)]
    camera: Option<String>,
}

impl RequestArguments for WebRtcOffer {
    const FIELDS: &'static [Field] = &[
        Field::needed("sdp", Kind::Text),
        Field::needed("type", Kind::OneOf(&["offer"])),
        Field::optional("camera", Kind::TextOrNull),
    ];
}

/// The answer, for `RTCPeerConnection.setRemoteDescription`.
#[derive(Serialize, ToSchema)]
pub struct WebRtcAnswer {
    pub sdp: String,
    /// `answer`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

fn refused(error: &OfferError) -> Response {
    let status = match error {
        OfferError::NotSdp(_) | OfferError::NoVideo => StatusCode::BAD_REQUEST,
        OfferError::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
        OfferError::NoCommonCodec => StatusCode::NOT_ACCEPTABLE,
        OfferError::TooManyViewers | OfferError::TooManyWaiting | OfferError::Stopping => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    Problem::new(status, error.to_string()).into_response()
}

/// How a camera is shown: its own frames, if the browser takes them, or frames that are transcoded.
fn source(
    app: &App,
    camera: &CameraRecord,
    offered: &[VideoCodec],
) -> Result<(VideoCodec, Subscriber), Problem> {
    let connecting = || Problem::unavailable("the camera is being connected; ask again in a moment");
    let status = app.cameras.status(&camera.id);
    let is_reordered = status.as_ref().is_some_and(|status| status.delivered.has_reordered_frames);
    let sent = match status.map(|status| status.states.now().state.clone()) {
        Some(Live::Live(format)) => format.codec,
        state => {
            return Err(state
                .as_ref()
                .and_then(reason_of)
                .map_or_else(connecting, |reason| Problem::unavailable(reason.text)));
        }
    };
    if sent == Codec::H264 && !is_reordered && offered.contains(&VideoCodec::H264) {
        return Ok((VideoCodec::H264, app.cameras.subscriber(&camera.id).ok_or_else(connecting)?));
    }
    if offered.contains(&VideoCodec::Vp8) {
        return Ok((VideoCodec::Vp8, app.cameras.transcoded(&camera.id).ok_or_else(connecting)?));
    }
    let sends = match sent {
        Codec::H264 => "H.264 with B-frames",
        Codec::H265 => "H.265",
        Codec::Mjpeg => "JPEG pictures",
        Codec::Vp8 => "VP8",
    };
    Err(Problem::new(
        StatusCode::NOT_ACCEPTABLE,
        format!(
            "the camera sends {sends}, which browsers don't receive by WebRTC, and the offer has no VP8, which the server would code instead; \
             offer VP8, or use its pictures (frame.jpg)"
        ),
    ))
}

async fn answer(
    app: &App,
    camera: &CameraRecord,
    sdp: &str,
    ends: ConnectionEnds,
) -> Result<Answer, Response> {
    let Some(webrtc) = &app.webrtc else {
        return Err(Problem::unavailable(
            "WebRTC is off: its port was taken, or the configuration says so (webrtc.enabled); the server's log says which",
        )
        .into());
    };
    let offered = pigweight_live::webrtc::codecs(sdp).map_err(|error| refused(&error))?;
    let (codec, subscriber) = source(app, camera, &offered)?;
    let requester = Requester { address: ends.client, reached_at: ends.reached_at };
    webrtc.answer(sdp, codec, (&camera.id, subscriber), requester).await.map_err(|error| refused(&error))
}

/// Shows a camera by WebRTC (WHEP). The body is an SDP offer, the answer an SDP answer with all candidates; `DELETE` of its `Location` ends it.
/// The frames are the camera's own where it sends H.264 without B-frames and the offer has H.264; otherwise they are transcoded to VP8. Their RTP
/// timestamps are the low 32 bits of their pts.
#[utoipa::path(
    post, path = "/api/cameras/{id}/whep", request_body(content = String, content_type = "application/sdp"),
    responses((status = 201, content_type = "application/sdp", body = String,
               headers(("Location" = String, description = "The session"))),
              (status = 400, body = Problem, description = "It is no SDP offer, or asks for no video"), (status = 404, body = Problem),
              (status = 406, body = Problem, description = "No codec is common to the camera and the offer"),
              (status = 413, body = Problem), (status = 415, body = Problem),
              (status = 503, body = Problem, description = "The camera isn't live, or there are too many viewers; `detail` says which"))
)]
pub async fn whep(
    caller: Caller,
    app: Shared,
    Path(id): Path<String>,
    ConnectInfo(ends): ConnectInfo<ConnectionEnds>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Response> {
    let camera = caller.camera(&app, &id).await?;
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if content_type.split(';').next().is_none_or(|kind| !kind.trim().eq_ignore_ascii_case(SDP)) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("send the offer as SDP, with Content-Type: {SDP}"),
        )
        .into());
    }
    let body = body.map_err(|_too_long| refused(&OfferError::TooLong))?;
    let sdp =
        std::str::from_utf8(&body).map_err(|_| refused(&OfferError::NotSdp("it is not UTF-8".to_owned())))?;
    let Answer { sdp, session } = answer(&app, &camera, sdp, ends).await?;
    let location = HeaderValue::from_str(&format!("/api/cameras/{}/whep/{session:016x}", camera.id))
        .map_err(Problem::internal)?;
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(SDP)), (header::LOCATION, location)];
    Ok((StatusCode::CREATED, headers, sdp).into_response())
}

/// Ends a WebRTC session.
#[utoipa::path(
    delete, path = "/api/cameras/{id}/whep/{session}",
    responses((status = 204, description = "Ended"), (status = 404, body = Problem))
)]
pub async fn whep_end(
    caller: Caller,
    app: Shared,
    Path((id, session)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let camera = caller.camera(&app, &id).await?;
    let gone = || Problem::not_found("there is no such session; it has ended already");
    let number = u64::from_str_radix(&session, 16).map_err(|_| gone())?;
    let webrtc = app.webrtc.as_ref().ok_or_else(gone)?;
    if webrtc.close(number, &camera.id).await { Ok(StatusCode::NO_CONTENT) } else { Err(gone()) }
}

/// Shows a camera by WebRTC: the offer and the answer as JSON. The session ends when the viewer leaves.
#[utoipa::path(
    post, path = "/api/camera/webrtc_offer", request_body = WebRtcOffer,
    responses((status = 200, body = WebRtcAnswer), (status = 400, body = Problem),
              (status = 404, body = Problem, description = "There is no such camera, or none at all"),
              (status = 406, body = Problem, description = "No codec is common to the camera and the offer"),
              (status = 413, body = Problem), (status = 415, body = Problem),
              (status = 503, body = Problem, description = "The camera isn't live, or there are too many viewers; `detail` says which"))
)]
pub async fn webrtc_offer(
    caller: Caller,
    app: Shared,
    ConnectInfo(ends): ConnectInfo<ConnectionEnds>,
    Body(WebRtcOffer { sdp, camera, .. }): Body<WebRtcOffer>,
) -> Result<Json<WebRtcAnswer>, Response> {
    let id = match camera {
        Some(id) => id,
        None => {
            let cameras = app.store.cameras().await.map_err(Problem::from)?;
            let first = cameras.into_iter().next();
            first.ok_or_else(|| Problem::not_found("there is no camera yet; add one (POST /api/cameras)"))?.id
        }
    };
    let camera = caller.camera(&app, &id).await?;
    let Answer { sdp, .. } = answer(&app, &camera, &sdp, ends).await?;
    Ok(Json(WebRtcAnswer { sdp, kind: "answer" }))
}
