//! An event as a webhook receives it.

use crate::config::notifications::WebhookEvent;
use pigweight_core::line::Direction;
use pigweight_store::{EventBody, EventKind, EventRecording, LineCrossing, StoredEvent};
use serde_json::{Value, json};

/// What the store calls it.
pub fn kind_of(event: WebhookEvent) -> EventKind {
    match event {
        WebhookEvent::CrossingSettled => EventKind::Crossing,
        WebhookEvent::RunPublished => EventKind::Run,
        WebhookEvent::CameraStateChanged => EventKind::CameraState,
    }
}

/// The body of the request: `type`, `timestamp` and `data`.
pub fn message(event: &StoredEvent) -> String {
    let (kind, data) = match &event.body {
        EventBody::Crossing { crossing, line_name, recording } => {
            ("crossing.settled", crossing_data(crossing, line_name, recording))
        }
        EventBody::Run { run_id, replaced_run_id, recording } => (
            "run.published",
            json!({
                "run": run_id,
                "replaces": replaced_run_id,
                "video": {"id": recording.video_id, "name": recording.video_name},
                "source": {"id": recording.source_id, "name": recording.source_name},
            }),
        ),
        EventBody::CameraState { camera_id, name, state, reason } => (
            "camera.state_changed",
            json!({
                "camera": {"id": camera_id, "name": name},
                "state": state,
                "reason_code": reason.as_ref().map(|(code, _)| code),
                "reason": reason.as_ref().map(|(_, text)| text),
                "since": time_of_millis(event.occurred_at_millis),
            }),
        ),
    };
    json!({"type": kind, "timestamp": time_of_millis(event.occurred_at_millis), "data": data}).to_string()
}

fn crossing_data(crossing: &LineCrossing, line_name: &str, recording: &EventRecording) -> Value {
    let direction = match crossing.direction {
        Direction::Forward => "forward",
        Direction::Backward => "backward",
    };
    let crossed_at = recording.recorded_at.and_then(|began| {
        time_of_millis(began.checked_mul(1000)?.checked_add((crossing.secs * 1000.0).round() as i64)?)
    });
    // All digits: a moment rounded down would be the frame before. A camera's picture is there as long as its recording.
    let picture = format!(
        "/api/video_file/frame_optimized?id={}&t={}&inference=true",
        recording.video_id, crossing.secs
    );
    json!({
        "crossing": crossing.id,
        "run": crossing.run_id,
        "line": {"id": crossing.line_id, "name": line_name, "version": crossing.line_version_number},
        "direction": direction,
        "crossed_at": crossed_at,
        "secs": crossing.secs,
        "pts": crossing.pts,
        "track": crossing.track,
        "video": {"id": recording.video_id, "name": recording.video_name},
        "source": {"id": recording.source_id, "name": recording.source_name},
        "is_of_camera": recording.is_of_camera,
        "picture": picture,
    })
}

fn time_of_millis(millis: i64) -> Option<String> {
    Some(format!("{:.3}", jiff::Timestamp::from_millisecond(millis).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crossing_says_where_when_and_which_way() {
        let crossing = LineCrossing {
            id: "c".into(),
            run_id: "r".into(),
            line_id: "l".into(),
            line_version_id: "v".into(),
            line_version_number: 2,
            direction: Direction::Backward,
            track: 7,
            pts: 90_000,
            secs: 1.25,
        };
        let recording = |is_of_camera, recorded_at| EventRecording {
            video_id: "video".into(),
            video_name: "pen \"4\".mp4".into(),
            source_id: "source".into(),
            source_name: "pens".into(),
            is_of_camera,
            recorded_at,
        };
        let told = |recording| {
            let body =
                EventBody::Crossing { crossing: crossing.clone(), line_name: "gate".into(), recording };
            let event =
                StoredEvent { number: 1, id: "e".into(), occurred_at_millis: 1_700_000_000_123, body };
            serde_json::from_str::<Value>(&message(&event)).unwrap()
        };
        let of_video = told(recording(false, Some(1_700_000_000)));
        assert_eq!(
            (of_video["type"].as_str(), of_video["timestamp"].as_str()),
            (Some("crossing.settled"), Some("2023-11-14T22:13:20.123Z"))
        );
        let data = &of_video["data"];
        assert_eq!(
            (data["direction"].as_str(), data["line"]["version"].as_i64()),
            (Some("backward"), Some(2))
        );
        assert_eq!(data["crossed_at"], "2023-11-14T22:13:21.250Z");
        assert_eq!(data["video"]["name"], "pen \"4\".mp4");
        assert_eq!(data["picture"], "/api/video_file/frame_optimized?id=video&t=1.25&inference=true");
        assert_eq!(told(recording(false, None))["data"]["crossed_at"], Value::Null, "unknown is not a time");
        let of_camera = told(recording(true, Some(0)));
        assert_eq!(of_camera["data"]["picture"], data["picture"], "a camera is recorded");
    }
}
