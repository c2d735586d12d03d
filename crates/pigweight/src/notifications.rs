//! What other programs are told: events by webhooks, values of cameras by MQTT.
//!
//! Both are tasks of their own. Neither holds up a camera, a count or a request, and what can't be told waits in the store (events) or is
//! told anew (values).

pub mod back_off;
pub mod channel;
pub mod event_message;
mod mqtt;
pub mod signature;
pub mod tls;
pub mod webhook;
pub mod webhook_request;

use crate::background::camera_supervisor::CameraSupervisor;
use crate::config::Config;
use crate::config::notifications::WebhookConfig;
use crate::notifications::channel::{Channel, ChannelReport, ChannelState};
use crate::notifications::mqtt::Publisher;
use crate::notifications::webhook::Webhook;
use crate::status::Status;
use pigweight_store::{Reason, Store};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// How long a delivery that was begun may take when the server stops, and the broker to hear of it. What isn't finished by then is done again after
/// the next start.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// A webhook, for those who ask.
pub struct WebhookReport {
    /// As the store knows it.
    pub id: String,
    /// How it is doing.
    pub channel: Arc<Channel>,
}

/// The running notifications of a server.
pub struct Notifications {
    /// The broker; `None`: MQTT is off.
    pub mqtt: Option<Arc<Channel>>,
    /// In the order of the configuration.
    pub webhooks: Vec<WebhookReport>,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// Makes the configured webhooks those of the store. Has to be done before anything is counted: events are written for webhooks that there are.
///
/// # Errors
/// If the store can't be written.
pub async fn register(config: &Config, store: &Store) -> pigweight_store::Result<()> {
    let ids: Vec<String> = config.webhooks.iter().map(webhook::id_of).collect();
    store.register_webhooks(&ids).await
}

/// How each receiver is doing, with its name.
pub struct NotificationReports {
    /// The broker.
    pub mqtt: Option<(String, ChannelReport)>,
    /// In the order of the configuration.
    pub webhooks: Vec<(String, ChannelReport)>,
}

impl NotificationReports {
    /// What is wrong with one of them.
    pub fn trouble(&self) -> Option<Reason> {
        self.mqtt.iter().chain(&self.webhooks).find_map(|(_, report)| {
            report.state.trouble().cloned().or_else(|| {
                (report.lost > 0).then(|| Reason::new("webhook_events_lost", lost_words(report.lost)))
            })
        })
    }
}

impl Notifications {
    /// Starts telling. [`register`] was called before.
    ///
    /// # Errors
    /// If a password or a certificate can't be read.
    pub fn start(
        config: &Config,
        store: &Store,
        status: &Arc<Status>,
        cameras: &Arc<CameraSupervisor>,
    ) -> anyhow::Result<Arc<Self>> {
        let (stop, is_stopped) = watch::channel(false);
        let mut webhooks: Vec<WebhookReport> = Vec::new();
        let mut ready = Vec::new();
        for configured in &config.webhooks {
            let channel = Arc::new(Channel::new(name_of(configured, &webhooks)?));
            ready.push(Webhook::new(configured, channel.clone(), store.clone())?);
            webhooks.push(WebhookReport { id: webhook::id_of(configured), channel });
        }
        let publisher = Publisher::new(&config.mqtt, store.clone(), status.clone(), cameras.clone())?;
        // Nothing fails from here on.
        let mut tasks: Vec<JoinHandle<()>> =
            ready.into_iter().map(|webhook| tokio::spawn(webhook.work(is_stopped.clone()))).collect();
        let mqtt = publisher.as_ref().map(Publisher::channel);
        tasks.extend(publisher.map(|publisher| tokio::spawn(publisher.work(is_stopped))));
        Ok(Arc::new(Self { mqtt, webhooks, stop, tasks: Mutex::new(tasks) }))
    }

    /// Stops telling; the broker hears that the server stops.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        // Only ever taken out.
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let until = Instant::now() + STOP_TIMEOUT;
        for mut task in tasks {
            match timeout_at(until, &mut task).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => tracing::error!("telling other programs broke down; the log says where"),
                Err(_) => task.abort(),
            }
        }
    }

    /// How all of them are doing. Asked for once: what is said of the whole must not differ from what is said of each.
    pub fn reports(&self) -> NotificationReports {
        let named = |channel: &Channel| (channel.name().to_owned(), channel.report());
        NotificationReports {
            mqtt: self.mqtt.as_deref().map(named),
            webhooks: self.webhooks.iter().map(|webhook| named(&webhook.channel)).collect(),
        }
    }

    /// Sets the gauges, which are computed on request.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn measure(&self, store: &Store) -> pigweight_store::Result<()> {
        if let Some(mqtt) = &self.mqtt {
            let is_connected = u8::from(mqtt.report().state == ChannelState::Working);
            metrics::gauge!("pigweight_mqtt_connected").set(f64::from(is_connected));
        }
        for webhook in &self.webhooks {
            let waiting = store.waiting_events(&webhook.id).await?;
            let label = webhook.channel.name().to_owned();
            metrics::gauge!("pigweight_webhook_events_waiting", "webhook" => label).set(waiting as f64);
        }
        Ok(())
    }
}

fn lost_words(lost: i64) -> String {
    format!(
        "a webhook was away for so long that {lost} events are lost to it; read /api/videos/…/crossings for what its receiver misses, and \
         restart the server to clear this"
    )
}

/// Scheme, host and port: a path or a query may hold a secret. A second one of the same host gets a number.
fn name_of(webhook: &WebhookConfig, before: &[WebhookReport]) -> anyhow::Result<String> {
    let origin = webhook.address()?.origin().ascii_serialization();
    let names = |name: &str| before.iter().any(|other| other.channel.name() == name);
    let numbered = (2..).map(|number| format!("{origin} ({number})"));
    let name = std::iter::once(origin.clone()).chain(numbered).find(|name| !names(name));
    Ok(name.unwrap_or(origin))
}
