//! Cameras for MQTT: their states, counts, crossings and pictures, as a broker keeps them.
//!
//! The broker is told the latest values, never a backlog: after a connection everything is sent once, then what has changed, at most once a
//! second. Each connection is a session of its own. Topics are noted in the store before they are used, so those of a camera that is gone are
//! emptied, also after a restart.

pub mod connection;
pub mod figures;
pub mod messages;
pub mod pictures;
pub mod topics;

use crate::background::camera_supervisor::CameraSupervisor;
use crate::config::notifications::MqttConfig;
use crate::notifications::back_off::BackOff;
use crate::notifications::channel::{Channel, ChannelState};
use crate::notifications::mqtt::connection::{Connector, REFUSED_INTERVAL};
use crate::notifications::mqtt::figures::FigureReader;
use crate::notifications::mqtt::messages::{Messages, messages};
use crate::notifications::mqtt::pictures::TakenPicture;
use crate::notifications::mqtt::topics::Topics;
use crate::status::Status;
use bytes::Bytes;
use pigweight_store::{Reason, Store};
use rumqttc::{AsyncClient, ClientError, ConnectionError, Event, EventLoop, Packet, PublishOptions, QoS};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, watch};

/// Values are sent at most this often.
const INTERVAL: Duration = Duration::from_secs(1);
const SHORTEST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// A connection that lasted this long was good.
const GOOD_AFTER: Duration = Duration::from_secs(10);
/// How long the last message may take when the server stops.
const FAREWELL: Duration = Duration::from_secs(1);

/// Keeps a broker up to date.
pub struct Publisher {
    store: Store,
    cameras: Arc<CameraSupervisor>,
    figures: FigureReader,
    topics: Topics,
    connector: Connector,
    channel: Arc<Channel>,
    picture_interval: Option<Duration>,
    picture_width_px: u32,
}

/// What a connection tells the one who publishes.
#[derive(Default)]
struct Told {
    connected: watch::Sender<bool>,
    /// Home Assistant has started.
    restarted: Notify,
}

/// Why nothing can be published on this connection.
#[derive(Debug, thiserror::Error)]
enum PublishError {
    #[error("{0}")]
    Client(#[from] ClientError),
    #[error("{0}")]
    Store(#[from] pigweight_store::Error),
}

enum Ended {
    Connection(Box<ConnectionError>),
    Publishing(PublishError),
    Stopped,
}

impl Publisher {
    /// Connects to nothing yet; `None`: MQTT is off.
    ///
    /// # Errors
    /// If the password or certificates can't be read.
    pub fn new(
        config: &MqttConfig,
        store: Store,
        status: Arc<Status>,
        cameras: Arc<CameraSupervisor>,
    ) -> anyhow::Result<Option<Self>> {
        let topics = Topics::new(&config.topic_prefix, &config.discovery_prefix);
        let Some(connector) = Connector::new(config, &topics)? else { return Ok(None) };
        let secs = u64::from(config.picture_interval_secs);
        Ok(Some(Self {
            figures: FigureReader::new(store.clone(), status, cameras.clone()),
            channel: Arc::new(Channel::new(connector.name())),
            picture_interval: (secs > 0).then(|| Duration::from_secs(secs)),
            picture_width_px: config.picture_width_px,
            store,
            cameras,
            topics,
            connector,
        }))
    }

    /// How it is doing.
    pub fn channel(&self) -> Arc<Channel> {
        self.channel.clone()
    }

    /// Connects, and connects again, until it is told to stop.
    pub async fn work(mut self, mut stop: watch::Receiver<bool>) {
        let mut back_off = BackOff::new(SHORTEST_RETRY, LONGEST_RETRY);
        loop {
            let since = Instant::now();
            let (reason, wait) = match self.session(&mut stop).await {
                Ended::Stopped => return,
                Ended::Connection(error) => {
                    let (reason, needs_person) = self.connector.reason(&error);
                    (reason, needs_person.then_some(REFUSED_INTERVAL))
                }
                Ended::Publishing(error) => {
                    let text =
                        format!("the MQTT broker {} is not told anything: {error}", self.channel.name());
                    (Reason::new("mqtt_away", text), None)
                }
            };
            self.channel.fail(ChannelState::Failing(reason));
            if since.elapsed() >= GOOD_AFTER {
                back_off.reset();
            }
            let wait = wait.unwrap_or_else(|| back_off.after_failure(fastrand::f64()));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // A dropped sender stops it as well.
                _ = stop.wait_for(|&is_stopped| is_stopped) => return,
            }
        }
    }

    /// One connection, until it fails.
    async fn session(&mut self, stop: &mut watch::Receiver<bool>) -> Ended {
        let (client, mut connection) = self.connector.session();
        let told = Told::default();
        let (channel, topics) = (self.channel.clone(), self.topics.clone());
        let receiving = receive(&mut connection, &told, &channel, topics.home_assistant_status());
        let publishing = self.publish(&client, &told);
        let ended = tokio::select! {
            error = receiving => Ended::Connection(Box::new(error)),
            error = publishing => Ended::Publishing(error),
            _ = stop.wait_for(|&is_stopped| is_stopped) => Ended::Stopped,
        };
        if matches!(ended, Ended::Stopped) {
            let status = self.topics.status();
            let _unsent = tokio::time::timeout(FAREWELL, farewell(&client, &mut connection, status)).await;
        }
        ended
    }

    async fn publish(&mut self, client: &AsyncClient, told: &Told) -> PublishError {
        match self.publish_for_ever(client, told).await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    async fn publish_for_ever(
        &mut self,
        client: &AsyncClient,
        told: &Told,
    ) -> Result<std::convert::Infallible, PublishError> {
        // The sender lives as long as this connection.
        let mut connected = told.connected.subscribe();
        drop(connected.wait_for(|&is_connected| is_connected).await);
        metrics::counter!("pigweight_mqtt_connections_total").increment(1);
        if let Some(topic) = self.topics.home_assistant_status() {
            client.subscribe(topic, QoS::AtLeastOnce).await?;
        }
        // One picture: who takes the next waits until it is sent.
        let (to, mut taken) = mpsc::channel(1);
        let (store, cameras) = (self.store.clone(), self.cameras.clone());
        let (interval, width_px) = (self.picture_interval, self.picture_width_px);
        let taking = async move {
            match interval {
                Some(interval) => pictures::take(&store, &cameras, interval, width_px, to).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(taking);
        let mut sent = Messages::new();
        let mut times = tokio::time::interval(INTERVAL);
        times.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = told.restarted.notified() => {
                    sent.clear();
                    times.reset_immediately();
                }
                _ = times.tick() => self.publish_changes(client, &mut sent).await?,
                Some(picture) = taken.recv() => self.publish_picture(client, picture).await?,
                () = &mut taking => {}
            }
        }
    }

    /// Sends what has changed, and empties topics that are no longer wanted.
    async fn publish_changes(
        &mut self,
        client: &AsyncClient,
        sent: &mut Messages,
    ) -> Result<(), PublishError> {
        let figures = self.figures.read().await?;
        let mut wanted = messages(&self.topics, &figures, self.picture_interval.is_some());
        wanted.insert(self.topics.status(), Bytes::from_static(b"online"));
        let mut topics: BTreeSet<String> = wanted.keys().cloned().collect();
        if self.picture_interval.is_some() {
            topics.extend(figures.iter().map(|camera| self.topics.picture(&camera.id)));
        }
        let noted = self.store.retained_topics().await?;
        let new: Vec<String> = topics.difference(&noted).cloned().collect();
        if !new.is_empty() {
            self.store.add_retained_topics(&new).await?;
        }
        for (topic, message) in &wanted {
            if sent.get(topic) != Some(message) {
                let options = PublishOptions::at_least_once().retained();
                client.publish(topic.clone(), message.clone(), options).await?;
                metrics::counter!("pigweight_mqtt_messages_total").increment(1);
            }
        }
        for topic in noted.difference(&topics) {
            self.empty(client, topic).await?;
        }
        *sent = wanted;
        Ok(())
    }

    /// Makes the broker forget what it keeps under a topic.
    async fn empty(&self, client: &AsyncClient, topic: &str) -> Result<(), PublishError> {
        let options = PublishOptions::at_least_once().retained();
        let received = client.publish_tracked(topic.to_owned(), Bytes::new(), options).await?;
        // Without the broker's word it is emptied again at the next connection.
        if received.wait_completion_async().await.is_ok() {
            self.store.remove_retained_topic(topic).await?;
        }
        Ok(())
    }

    async fn publish_picture(&self, client: &AsyncClient, picture: TakenPicture) -> Result<(), PublishError> {
        let topic = self.topics.picture(&picture.camera_id);
        // Its camera may have been removed, and the topic emptied, since the picture was taken.
        if self.store.camera(&picture.camera_id).await.is_err()
            || !self.store.retained_topics().await?.contains(&topic)
        {
            return Ok(());
        }
        let options = PublishOptions::at_most_once().retained();
        client.publish(topic, picture.jpeg, options).await?;
        metrics::counter!("pigweight_mqtt_pictures_total").increment(1);
        Ok(())
    }
}

/// Receives until the connection fails.
async fn receive(
    connection: &mut EventLoop,
    told: &Told,
    channel: &Channel,
    home_assistant: Option<String>,
) -> ConnectionError {
    loop {
        match connection.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                channel.succeed();
                told.connected.send_replace(true);
            }
            Ok(Event::Incoming(Packet::PubAck(_))) => channel.succeed(),
            Ok(Event::Incoming(Packet::Publish(message))) => {
                let is_status =
                    home_assistant.as_ref().is_some_and(|topic| topic.as_bytes() == message.topic);
                // What the broker keeps says nothing new.
                if is_status && message.payload == "online" && !message.retain {
                    told.restarted.notify_one();
                }
            }
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}

/// Says that the server stops, and ends the connection.
async fn farewell(client: &AsyncClient, connection: &mut EventLoop, status_topic: String) {
    let offline = async {
        let options = PublishOptions::at_least_once().retained();
        client.publish(status_topic, "offline", options).await?;
        client.disconnect().await
    };
    let (_told, ()) = tokio::join!(offline, async { while connection.poll().await.is_ok() {} });
}
