//! Delivers events to one webhook: in order, each at least once.
//!
//! The store is the queue. An event is finished after the receiver has answered 2xx, and before the next one is sent; whatever ends the
//! process between the two sends it once more, with the same identifier.

use crate::config::notifications::WebhookConfig;
use crate::notifications::back_off::BackOff;
use crate::notifications::channel::{Channel, ChannelState};
use crate::notifications::event_message::{kind_of, message};
use crate::notifications::signature::SigningKey;
use crate::notifications::webhook_request::{Answer, WebhookClient};
use crate::reason::Reasoned as _;
use pigweight_store::{EventKind, Reason, Store, StoredEvent};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Interval at which the store is asked for a new event.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
const SHORTEST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(300);

/// A webhook and its task's state.
pub struct Webhook {
    /// As the store knows it.
    id: String,
    kinds: Vec<EventKind>,
    client: Arc<WebhookClient>,
    channel: Arc<Channel>,
    store: Store,
    back_off: BackOff,
    /// Lost events up to this number have been told.
    lost_before: i64,
}

/// What comes after a step.
enum Then {
    Wait(Duration),
    GoOn,
    End,
}

/// The identifier under which the store knows a webhook: a hash, because an address may hold a secret.
pub fn id_of(webhook: &WebhookConfig) -> String {
    blake3::hash(webhook.url.reveal().as_bytes()).to_hex().to_string()
}

impl Webhook {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// What is wrong with its configuration.
    pub fn new(config: &WebhookConfig, channel: Arc<Channel>, store: Store) -> anyhow::Result<Self> {
        Ok(Self {
            id: id_of(config),
            kinds: config.events.iter().copied().map(kind_of).collect(),
            client: Arc::new(WebhookClient::new(config.address()?, SigningKey::new(config.key()?))?),
            channel,
            store,
            back_off: BackOff::new(SHORTEST_RETRY, LONGEST_RETRY),
            lost_before: 0,
        })
    }

    /// Delivers until it is told to stop, or the receiver wants no more. A delivery that was begun is finished first.
    pub async fn work(mut self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            match self.step().await {
                Then::Wait(wait) => tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    // A dropped sender stops it as well.
                    _ = stop.wait_for(|&is_stopped| is_stopped) => return,
                },
                Then::GoOn => {}
                Then::End => return,
            }
        }
    }

    async fn step(&mut self) -> Then {
        let next = match self.store.next_event(&self.id, &self.kinds).await {
            Ok(next) => next,
            // It could not be registered at the start, because the disk was full.
            Err(pigweight_store::Error::NotFound { kind: "webhook", .. }) => {
                return match self.store.add_webhook(&self.id).await {
                    Ok(()) => Then::GoOn,
                    Err(error) => self.fail(error.reason()),
                };
            }
            Err(error) => return self.fail(error.reason()),
        };
        let Some(event) = next.event else { return Then::Wait(LOOK_INTERVAL) };
        if next.lost > 0 && event.number > self.lost_before {
            self.lost_before = event.number;
            self.channel.lose(next.lost);
            tracing::error!(
                "{} was away for so long that {} events are lost to it; read /api/videos/…/crossings for what it misses",
                self.channel.name(),
                next.lost
            );
        }
        let answer = self.deliver(&event).await;
        let outcome = match &answer {
            Answer::Received => "received",
            Answer::Gone => "gone",
            Answer::Busy(_) => "busy",
            Answer::Failed(_) => "failed",
        };
        let labels = [("webhook", self.channel.name().to_owned()), ("outcome", outcome.to_owned())];
        metrics::counter!("pigweight_webhook_deliveries_total", &labels).increment(1);
        match answer {
            Answer::Received => match self.store.finish_event(&self.id, event.number).await {
                Ok(()) => {
                    self.back_off.reset();
                    self.channel.succeed();
                    Then::GoOn
                }
                // It is sent once more: a receiver tells by its identifier that it has it.
                Err(error) => self.fail(error.reason()),
            },
            Answer::Gone => self.end().await,
            Answer::Busy(wait) => {
                let text = format!(
                    "the webhook {} is busy and asked to wait {} s; events wait for it",
                    self.channel.name(),
                    wait.as_secs()
                );
                self.channel.fail(ChannelState::Failing(Reason::new("webhook_failing", text)));
                Then::Wait(wait)
            }
            Answer::Failed(why) => {
                let text = format!(
                    "the webhook {} does not receive events: {why}; they wait for it, and it is tried again by itself",
                    self.channel.name()
                );
                self.fail(Reason::new("webhook_failing", text))
            }
        }
    }

    async fn deliver(&self, event: &StoredEvent) -> Answer {
        let (client, id, body) = (self.client.clone(), event.id.clone(), message(event));
        let answered = tokio::task::spawn_blocking(move || client.deliver(&id, &body)).await;
        answered.unwrap_or_else(|_| Answer::Failed("sending broke down; the log says where".to_owned()))
    }

    fn fail(&mut self, reason: Reason) -> Then {
        self.channel.fail(ChannelState::Failing(reason));
        Then::Wait(self.back_off.after_failure(fastrand::f64()))
    }

    /// The receiver has said that it wants no more. Events are no longer kept for it; after a restart it is tried as a new one.
    async fn end(&mut self) -> Then {
        if let Err(error) = self.store.forget_webhook(&self.id).await {
            return self.fail(error.reason());
        }
        let text = format!(
            "the webhook {} answered 410 Gone and gets no more events; remove it from the configuration, or restart the server to try it again",
            self.channel.name()
        );
        self.channel.fail(ChannelState::Ended(Reason::new("webhook_gone", text)));
        Then::End
    }
}
