//! Settings of what other programs are told: webhooks and MQTT.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::path::PathBuf;
use url::Url;
use utoipa::ToSchema;

/// Webhooks of one server: each has a task and a connection.
const MOST_WEBHOOKS: usize = 16;
const MOST_URL_BYTES: usize = 2048;
/// What the Standard Webhooks specification asks of a secret, bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
const MOST_PREFIX_BYTES: usize = 100;

/// A password or key. Neither a log nor an answer shows it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, for whom it is meant.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("(secret)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(secret)")
    }
}

/// What a webhook is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WebhookEvent {
    /// An animal has crossed a line.
    #[serde(rename = "crossing.settled")]
    CrossingSettled,
    /// Another run of a video is shown.
    #[serde(rename = "run.published")]
    RunPublished,
    /// A camera has entered another state.
    #[serde(rename = "camera.state_changed")]
    CameraStateChanged,
}

/// Receivers of events by HTTP. Each has a table `[[webhooks]]`; at most 16. See the [guide](../guide/other-programs.md).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where events are sent by POST: `http://…` or `https://…`. A webhook is known by its address; under another address it begins anew. Default: none, it has to be given.
    #[schema(value_type = String)]
    pub url: Secret,
    /// The key that signs events: `whsec_` and 24 to 64 bytes in base64. Default: none, it has to be given.
    #[schema(value_type = String)]
    pub secret: Secret,
    /// What it is told of: `crossing.settled`, `run.published`, `camera.state_changed`. Default: all.
    #[serde(default = "all_events")]
    #[schema(value_type = Vec<String>)]
    pub events: Vec<WebhookEvent>,
}

fn all_events() -> Vec<WebhookEvent> {
    vec![WebhookEvent::CrossingSettled, WebhookEvent::RunPublished, WebhookEvent::CameraStateChanged]
}

impl WebhookConfig {
    /// Its address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn address(&self) -> anyhow::Result<Url> {
        let wrong =
            || anyhow::anyhow!("webhooks.url is an address such as https://receiver.example/pigweight");
        anyhow::ensure!(
            self.url.reveal().len() <= MOST_URL_BYTES,
            "webhooks.url is at most {MOST_URL_BYTES} bytes long"
        );
        let url = Url::parse(self.url.reveal()).map_err(|_| wrong())?;
        anyhow::ensure!(matches!(url.scheme(), "http" | "https") && url.has_host(), wrong());
        anyhow::ensure!(
            url.username().is_empty() && url.password().is_none() && url.fragment().is_none(),
            "webhooks.url has no user, password or fragment; the signature says who sends"
        );
        Ok(url)
    }

    /// The key that signs.
    ///
    /// # Errors
    /// That it is none. The error doesn't repeat it.
    pub fn key(&self) -> anyhow::Result<Vec<u8>> {
        let encoded = self.secret.reveal().strip_prefix("whsec_");
        encoded
            .and_then(|encoded| STANDARD.decode(encoded).ok())
            .filter(|key| SECRET_BYTES.contains(&key.len()))
            .ok_or_else(|| {
                anyhow::anyhow!(
                    "webhooks.secret is whsec_ and {} to {} bytes in base64; `openssl rand -base64 32` makes such bytes",
                    SECRET_BYTES.start(),
                    SECRET_BYTES.end()
                )
            })
    }
}

/// Checks all webhooks together.
///
/// # Errors
/// What is wrong with one of them.
pub fn check_webhooks(webhooks: &[WebhookConfig]) -> anyhow::Result<()> {
    anyhow::ensure!(webhooks.len() <= MOST_WEBHOOKS, "there are at most {MOST_WEBHOOKS} webhooks");
    for (place, webhook) in webhooks.iter().enumerate() {
        webhook.address()?;
        webhook.key()?;
        anyhow::ensure!(
            !webhook.events.is_empty(),
            "webhooks.events names at least one event; leave it out for all"
        );
        anyhow::ensure!(
            webhooks[..place].iter().all(|other| other.url != webhook.url),
            "two webhooks have the same url; name all their events in one"
        );
    }
    Ok(())
}

/// Cameras for MQTT and Home Assistant. See the [guide](../guide/other-programs.md).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MqttConfig {
    /// The broker: `mqtt://HOST:PORT`, or `mqtts:` for TLS. The port is 1883, or 8883, if it isn't given. Default: none, nothing is sent.
    pub broker: Option<String>,
    /// The user that the broker knows. Default: none.
    pub user_name: Option<String>,
    /// The user's password. Default: none.
    #[schema(value_type = Option<String>)]
    pub password: Option<Secret>,
    /// A file that holds the password, instead of `password`. Default: none.
    #[schema(value_type = Option<String>)]
    pub password_file: Option<PathBuf>,
    /// Certificates to trust, a PEM file. Default: those that this machine trusts.
    #[schema(value_type = Option<String>)]
    pub ca_file: Option<PathBuf>,
    /// All topics begin with it. Servers that share a broker need different ones.
    pub topic_prefix: String,
    /// Where Home Assistant looks for devices. Empty: it isn't told of any.
    pub discovery_prefix: String,
    /// Seconds between two pictures of a camera, up to 3600; 0 sends none.
    pub picture_interval_secs: u32,
    /// Pictures are made no wider than this, 160 to 4096 px.
    pub picture_width_px: u32,
}

impl Default for MqttConfig {
    fn default() -> Self {
        Self {
            broker: None,
            user_name: None,
            password: None,
            password_file: None,
            ca_file: None,
            topic_prefix: "pigweight".to_owned(),
            discovery_prefix: "homeassistant".to_owned(),
            picture_interval_secs: 10,
            picture_width_px: 1280,
        }
    }
}

/// Where a broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerAddress {
    /// Name or address.
    pub host: String,
    /// TCP.
    pub port: u16,
    /// By TLS.
    pub is_encrypted: bool,
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}:{}", self.host, self.port)
    }
}

impl MqttConfig {
    /// The broker; `None`: MQTT is off.
    ///
    /// # Errors
    /// That its address is none. The error doesn't repeat it.
    pub fn address(&self) -> anyhow::Result<Option<BrokerAddress>> {
        let Some(broker) = &self.broker else { return Ok(None) };
        let wrong = || {
            anyhow::anyhow!(
                "mqtt.broker is an address such as mqtt://192.168.1.5:1883 or mqtts://broker.example"
            )
        };
        let url = Url::parse(broker).map_err(|_| wrong())?;
        let (is_encrypted, usual_port) = match url.scheme() {
            "mqtt" => (false, 1883),
            "mqtts" => (true, 8883),
            _ => return Err(wrong()),
        };
        anyhow::ensure!(
            url.username().is_empty() && url.password().is_none(),
            "mqtt.broker has no user and password in it; give them as mqtt.user_name and mqtt.password"
        );
        let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let host = url.host_str().filter(|host| !host.is_empty() && is_bare).ok_or_else(wrong)?;
        Ok(Some(BrokerAddress {
            // An IPv6 address stands in brackets in an address alone.
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(usual_port),
            is_encrypted,
        }))
    }

    /// The password, from the file if one is named.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn read_password(&self) -> anyhow::Result<Option<Secret>> {
        let Some(file) = &self.password_file else { return Ok(self.password.clone()) };
        let text = std::fs::read_to_string(file).map_err(|error| {
            anyhow::anyhow!("mqtt.password_file {} cannot be read: {error}", file.display())
        })?;
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned().into()))
    }

    /// Checks the values together.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> anyhow::Result<()> {
        self.address()?;
        anyhow::ensure!(
            self.password.is_none() || self.password_file.is_none(),
            "mqtt.password and mqtt.password_file exclude each other"
        );
        anyhow::ensure!(
            self.user_name.is_some() || (self.password.is_none() && self.password_file.is_none()),
            "mqtt.password needs mqtt.user_name"
        );
        anyhow::ensure!(is_topic(&self.topic_prefix), "mqtt.topic_prefix is {TOPIC_RULE}");
        anyhow::ensure!(
            self.discovery_prefix.is_empty() || is_topic(&self.discovery_prefix),
            "mqtt.discovery_prefix is empty, or {TOPIC_RULE}"
        );
        anyhow::ensure!(
            self.picture_interval_secs <= 3600,
            "mqtt.picture_interval_secs lies between 0 and 3600"
        );
        anyhow::ensure!(
            (160..=4096).contains(&self.picture_width_px),
            "mqtt.picture_width_px lies between 160 and 4096"
        );
        Ok(())
    }
}

const TOPIC_RULE: &str =
    "made of letters, digits, - and _, in parts between single slashes, at most 100 characters";

fn is_topic(prefix: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.chars().all(|one| one.is_ascii_alphanumeric() || matches!(one, '-' | '_'))
    };
    prefix.len() <= MOST_PREFIX_BYTES && prefix.split('/').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brokers_address_has_a_host_and_a_port() {
        let of =
            |broker: &str| MqttConfig { broker: Some(broker.to_owned()), ..MqttConfig::default() }.address();
        let read = |broker: &str| of(broker).unwrap().unwrap();
        assert_eq!(read("mqtt://broker").to_string(), "broker:1883");
        assert_eq!((read("mqtts://[::1]").host.as_str(), read("mqtts://[::1]").port), ("::1", 8883));
        assert!(read("mqtts://broker:9").is_encrypted);
        for wrong in
            ["broker", "broker:1883", "http://broker", "mqtt://", "mqtt://broker/topic", "mqtt://a:secret@b"]
        {
            let error = of(wrong).expect_err(wrong).to_string();
            assert!(error.contains("mqtt.broker") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn secrets_are_in_no_debug_output_and_no_error() {
        let key = STANDARD.encode([7; 32]);
        let webhook = |secret: String| WebhookConfig {
            url: "https://receiver.example/token".to_owned().into(),
            secret: secret.into(),
            events: all_events(),
        };
        let good = webhook(format!("whsec_{key}"));
        assert_eq!(good.key().unwrap(), [7; 32]);
        let shown = format!("{good:?}{}", serde_json::to_string(&good).unwrap());
        assert!(!shown.contains(&key) && !shown.contains("token"), "{shown}");
        for wrong in [
            key.clone(),
            "whsec_".to_owned(),
            format!("whsec_{}", STANDARD.encode([7; 23])),
            "whsec_!".to_owned(),
        ] {
            let error = webhook(wrong.clone()).key().expect_err(&wrong).to_string();
            assert!(error.contains("openssl rand") && !error.contains(&key), "{error}");
        }
    }

    #[test]
    fn prefixes_are_plain_topics() {
        for (prefix, is_good) in [
            ("pigweight", true),
            ("farm/pigs_2", true),
            ("", false),
            ("/a", false),
            ("a/", false),
            ("a//b", false),
            ("a/+", false),
            ("#", false),
            ("$SYS", false),
            ("загон", false),
        ] {
            assert_eq!(is_topic(prefix), is_good, "{prefix}");
        }
    }
}
