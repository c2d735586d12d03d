//! What the broker keeps of the cameras: topics and messages. Pure.
//!
//! Home Assistant's entities follow its MQTT discovery: <https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery>. A count that
//! isn't known is null there, shown as unknown; of a camera that isn't live it is unavailable; neither is 0.

use crate::background::camera_count::CountNow;
use crate::background::steady_state::SteadyState;
use crate::notifications::mqtt::topics::Topics;
use bytes::Bytes;
use pigweight_store::Reason;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Messages by their topics.
pub type Messages = BTreeMap<String, Bytes>;

/// A camera at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct CameraFigures {
    /// ULID.
    pub id: String,
    /// For people.
    pub name: String,
    /// Its state without the attempts in between; `None`: it is being started.
    pub state: Option<SteadyState>,
    /// Why it isn't counted although it is live.
    pub trouble: Option<Reason>,
    /// Animals.
    pub count: CountNow,
    /// Whether its counts come with an uncertainty.
    pub has_uncertainty: bool,
    /// What crossed its lines.
    pub lines: Vec<LineFigures>,
}

/// What crossed a line so far.
#[derive(Clone, Debug, PartialEq)]
pub struct LineFigures {
    /// ULID.
    pub id: String,
    /// For people.
    pub name: String,
    /// Left to right.
    pub forward: i64,
    /// Right to left.
    pub backward: i64,
}

/// All messages of the cameras but for their pictures.
pub fn messages(topics: &Topics, cameras: &[CameraFigures], has_pictures: bool) -> Messages {
    let mut messages = Messages::new();
    let mut add = |topic: Option<String>, message: &Value| {
        if let Some(topic) = topic {
            messages.insert(topic, Bytes::from(message.to_string()));
        }
    };
    for camera in cameras {
        add(Some(topics.camera(&camera.id)), &camera_message(camera));
        for (component, entity, message) in entities(topics, camera, has_pictures) {
            add(topics.discovery(component, &camera.id, &entity), &message);
        }
        for line in &camera.lines {
            let message = json!({"line": line.name, "forward": line.forward, "backward": line.backward});
            add(Some(topics.line(&camera.id, &line.id)), &message);
        }
    }
    messages
}

fn camera_message(camera: &CameraFigures) -> Value {
    let (count, uncertainty) = match camera.count {
        CountNow::Counted { count, uncertainty, .. } => (Some(count), uncertainty),
        CountNow::NoVideo | CountNow::Pending => (None, None),
    };
    let state = camera.state.as_ref();
    let reason = state.and_then(|state| state.reason.as_ref()).or(camera.trouble.as_ref());
    let since = state.and_then(|state| jiff::Timestamp::from_millisecond(state.since_millis).ok());
    json!({
        "name": camera.name,
        "state": state.map_or("connecting", |state| state.state),
        "since": since.map(|since| format!("{since:.3}")),
        "reason_code": reason.map(|reason| reason.code),
        "reason": reason.map(|reason| &reason.text),
        "count": count,
        // To a tenth of an animal: it would be another message every two seconds otherwise.
        "uncertainty": uncertainty.map(|uncertainty| (uncertainty * 10.0).round() / 10.0),
    })
}

/// Component, entity and configuration of each entity of a camera's device.
fn entities(
    topics: &Topics,
    camera: &CameraFigures,
    has_pictures: bool,
) -> Vec<(&'static str, String, Value)> {
    let camera_topic = topics.camera(&camera.id);
    let entity = |entity: &str, name: String, mut config: Value| {
        config["name"] = name.into();
        config["unique_id"] = format!("pigweight_{}_{entity}", camera.id).into();
        config["device"] = json!({
            "identifiers": [format!("pigweight_{}", camera.id)],
            "name": camera.name,
            "manufacturer": "PigWeight",
            "model": "Camera",
            "sw_version": env!("CARGO_PKG_VERSION"),
        });
        config["origin"] = json!({"name": "PigWeight", "sw_version": env!("CARGO_PKG_VERSION")});
        if config["availability"].is_null() {
            config["availability"] = json!([{"topic": topics.status()}]);
        }
        config
    };
    let while_live = json!([
        {"topic": topics.status()},
        {"topic": camera_topic, "value_template": "{{ 'online' if value_json.state == 'live' else 'offline' }}"},
    ]);
    let count = json!({
        "state_topic": camera_topic,
        "value_template": "{{ value_json.count }}",
        "unit_of_measurement": "pigs",
        "state_class": "measurement",
        "icon": "mdi:pig",
        "availability": while_live,
        "availability_mode": "all",
    });
    let mut uncertainty = count.clone();
    uncertainty["value_template"] = "{{ value_json.uncertainty }}".into();
    uncertainty["icon"] = "mdi:plus-minus".into();
    uncertainty["entity_category"] = "diagnostic".into();
    let state = json!({
        "state_topic": camera_topic,
        "value_template": "{{ value_json.state }}",
        "json_attributes_topic": camera_topic,
        "device_class": "enum",
        "options": ["connecting", "live", "away", "stopped"],
        "icon": "mdi:cctv",
    });
    let mut all = vec![
        ("sensor", "count".to_owned(), entity("count", "Pigs".to_owned(), count)),
        ("sensor", "state".to_owned(), entity("state", "State".to_owned(), state)),
    ];
    if camera.has_uncertainty {
        let config = entity("uncertainty", "Uncertainty of pigs".to_owned(), uncertainty);
        all.push(("sensor", "uncertainty".to_owned(), config));
    }
    if has_pictures {
        let config = json!({"image_topic": topics.picture(&camera.id), "content_type": "image/jpeg"});
        all.push(("image", "picture".to_owned(), entity("picture", "Picture".to_owned(), config)));
    }
    for line in &camera.lines {
        for direction in ["forward", "backward"] {
            let key = format!("line_{}_{direction}", line.id);
            let config = json!({
                "state_topic": topics.line(&camera.id, &line.id),
                "value_template": format!("{{{{ value_json.{direction} }}}}"),
                "unit_of_measurement": "pigs",
                "state_class": "total_increasing",
                "icon": if direction == "forward" { "mdi:arrow-right" } else { "mdi:arrow-left" },
            });
            let config = entity(&key, format!("{} {direction}", line.name), config);
            all.push(("sensor", key, config));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(count: CountNow) -> CameraFigures {
        CameraFigures {
            id: "01cam".into(),
            name: "Загон +/# \"4\"".into(),
            state: Some(SteadyState { state: "live", reason: None, since_millis: 0 }),
            trouble: None,
            count,
            has_uncertainty: true,
            lines: vec![LineFigures { id: "01line".into(), name: "a/b #".into(), forward: 3, backward: 1 }],
        }
    }

    fn read(messages: &Messages, topic: &str) -> Value {
        let message =
            messages.get(topic).unwrap_or_else(|| panic!("{topic} is not in {:?}", messages.keys()));
        serde_json::from_slice(message).unwrap()
    }

    #[test]
    fn odd_names_are_in_messages_and_never_in_topics() {
        let topics = Topics::new("farm/pigs", "homeassistant");
        let count = CountNow::Counted { count: 12, uncertainty: Some(1.26), secs: 5.0 };
        let messages = messages(&topics, &[camera(count)], true);
        for topic in messages.keys() {
            let is_plain = |one: char| one.is_ascii_alphanumeric() || "/_".contains(one);
            assert!(topic.chars().all(is_plain), "{topic}");
        }
        let state = read(&messages, "farm/pigs/cameras/01cam");
        assert_eq!((state["count"].as_u64(), state["uncertainty"].as_f64()), (Some(12), Some(1.3)));
        assert_eq!(read(&messages, "farm/pigs/cameras/01cam/lines/01line")["forward"], 3);
        let sensor = read(&messages, "homeassistant/sensor/pigweight_01cam/line_01line_forward/config");
        assert_eq!(sensor["state_class"], "total_increasing");
        assert_eq!(sensor["value_template"], "{{ value_json.forward }}");
        assert_eq!(sensor["device"]["name"], "Загон +/# \"4\"");
        // Each entity is one of its own, of the same device.
        let ids: Vec<_> = messages
            .iter()
            .filter(|(topic, _)| topic.starts_with("homeassistant/"))
            .map(|(topic, _)| read(&messages, topic)["unique_id"].as_str().unwrap().to_owned())
            .collect();
        let different: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!((ids.len(), different.len()), (6, 6), "{ids:?}");
    }

    #[test]
    fn no_video_not_counted_yet_and_no_pigs_are_three_messages() {
        let topics = Topics::new("pigweight", "");
        let told =
            |camera: CameraFigures| read(&messages(&topics, &[camera], true), "pigweight/cameras/01cam");
        let none = told(camera(CountNow::Counted { count: 0, uncertainty: None, secs: 1.0 }));
        assert_eq!((none["count"].as_u64(), none["state"].as_str()), (Some(0), Some("live")));
        let pending = told(camera(CountNow::Pending));
        assert_eq!((&pending["count"], pending["state"].as_str()), (&Value::Null, Some("live")));
        let mut away = camera(CountNow::NoVideo);
        let reason = Some(Reason::new("silent", "it is silent"));
        away.state = Some(SteadyState { state: "away", reason, since_millis: 1 });
        let away = told(away);
        assert_eq!((&away["count"], away["reason_code"].as_str()), (&Value::Null, Some("silent")));
    }
}
