//! Webhooks and the events that each has yet to receive.
//!
//! A webhook is known by a hash of its address, and has a number: that of the last event it received. The events after it are its
//! queue, so nothing that happens to the process or the receiver loses one. One that is new starts behind the newest event.

use crate::clock::unix_secs;
use crate::crossings::LineCrossing;
use crate::error::{Error, Result};
use crate::events::EventKind;
use crate::{Store, Transaction};
use sqlx::FromRow;

/// An event, with what it refers to as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// Its place in the order of all events.
    pub number: i64,
    /// No other event ever has it; the same at each try of a delivery.
    pub id: String,
    /// Milliseconds since 1970: when it was settled, published, or the state began.
    pub occurred_at_millis: i64,
    /// What happened.
    pub body: EventBody,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum EventBody {
    /// An animal has crossed a line.
    Crossing {
        /// The crossing.
        crossing: LineCrossing,
        /// The line's name.
        line_name: String,
        /// Where.
        recording: EventRecording,
    },
    /// People see this run of a video from now on.
    Run {
        /// The run.
        run_id: String,
        /// What they saw before; `None`: no complete run.
        replaced_run_id: Option<String>,
        /// The video.
        recording: EventRecording,
    },
    /// A camera has entered a state.
    CameraState {
        /// The camera, a ULID.
        camera_id: String,
        /// Its name.
        name: String,
        /// `connecting`, `live`, `away`, `removed`.
        state: String,
        /// Code and sentence of why it is away.
        reason: Option<(String, String)>,
    },
}

/// The recording that an event belongs to.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct EventRecording {
    /// The video; of a camera, what it sends.
    pub video_id: String,
    /// For people.
    pub video_name: String,
    /// Its source; of a camera, the camera.
    pub source_id: String,
    /// For people.
    pub source_name: String,
    /// Whether it is what a camera sends.
    pub is_of_camera: bool,
    /// When it began, seconds since 1970, if that is known.
    pub recorded_at: Option<i64>,
}

/// What a webhook gets next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NextEvent {
    /// How many events before it are no longer kept, because the receiver was away for too long.
    pub lost: i64,
    /// `None`: it has received all.
    pub event: Option<StoredEvent>,
}

#[derive(FromRow)]
struct EventRow {
    number: i64,
    id: String,
    kind: EventKind,
    crossing_id: Option<String>,
    run_id: Option<String>,
    replaced_run_id: Option<String>,
    source_id: Option<String>,
    state: Option<String>,
    reason_code: Option<String>,
    reason: Option<String>,
    occurred_at_millis: i64,
}

const DAMAGED: Error = Error::Damaged { what: "an event" };

impl Store {
    /// Makes these the webhooks. One that was here goes on behind the last event that it received; a new one starts behind the newest. Nothing is
    /// written if nothing changes.
    pub async fn register_webhooks(&self, ids: &[String]) -> Result<()> {
        let known: Vec<String> = sqlx::query_scalar("select id from webhooks")
            .fetch_all(&self.pool)
            .await
            .map_err(|error| Error::from_sql("registering webhooks", error))?;
        for id in known.iter().filter(|id| !ids.contains(id)) {
            self.forget_webhook(id).await?;
        }
        for id in ids.iter().filter(|id| !known.contains(id)) {
            self.add_webhook(id).await?;
        }
        Ok(())
    }

    /// Adds a webhook, which starts behind the newest event. One that is here stays as it is.
    pub async fn add_webhook(&self, id: &str) -> Result<()> {
        sqlx::query(
            "insert into webhooks (id, delivered_number, created_at) \
             select $1, coalesce(max(number), 0), cast($2 as bigint) from events where true on conflict do nothing",
        )
        .bind(id)
        .bind(unix_secs())
        .execute(&self.pool)
        .await
        .map_err(|error| Error::from_sql("registering webhooks", error))?;
        Ok(())
    }

    /// Forgets a webhook, whose receiver wants no more events.
    pub async fn forget_webhook(&self, id: &str) -> Result<()> {
        let mut transaction = self.begin_write("forgetting a webhook").await?;
        forget(&mut transaction, id).await?;
        transaction.commit().await.map_err(|error| Error::from_sql("forgetting a webhook", error))
    }

    /// The first event of these kinds that a webhook hasn't received. It stays the next until [`Store::finish_event`].
    pub async fn next_event(&self, webhook_id: &str, kinds: &[EventKind]) -> Result<NextEvent> {
        let failed = |error| Error::from_sql("reading events", error);
        // One view of all: an event that comes between two questions would be neither delivered nor kept.
        let mut view = self.pool.begin().await.map_err(failed)?;
        let delivered: Option<i64> =
            sqlx::query_scalar("select delivered_number from webhooks where id = $1")
                .bind(webhook_id)
                .fetch_optional(&mut *view)
                .await
                .map_err(failed)?;
        let delivered =
            delivered.ok_or_else(|| Error::NotFound { kind: "webhook", id: webhook_id.to_owned() })?;
        let wants = |kind| kinds.contains(&kind);
        let row: Option<EventRow> = sqlx::query_as(
            "select number, id, kind, crossing_id, run_id, replaced_run_id, source_id, state, reason_code, reason, \
             occurred_at_millis from events where number > $1 and ((kind = 'crossing' and $2) or (kind = 'run' and $3) \
             or (kind = 'camera_state' and $4)) order by number limit 1",
        )
        .bind(delivered)
        .bind(wants(EventKind::Crossing))
        .bind(wants(EventKind::Run))
        .bind(wants(EventKind::CameraState))
        .fetch_optional(&mut *view)
        .await
        .map_err(failed)?;
        let ends: (Option<i64>, Option<i64>) = sqlx::query_as(
            "select (select min(number) from events where number > $1), (select max(number) from events)",
        )
        .bind(delivered)
        .fetch_one(&mut *view)
        .await
        .map_err(failed)?;
        drop(view);
        let lost = ends.0.map_or(0, |oldest| oldest - delivered - 1);
        let event = match row {
            Some(row) => Some(self.event_of(row).await?),
            None => {
                // Events that it doesn't want must not be kept for it.
                if let Some(newest) = ends.1.filter(|newest| *newest > delivered) {
                    self.finish_event(webhook_id, newest).await?;
                }
                None
            }
        };
        Ok(NextEvent { lost, event })
    }

    /// How many events of any kind a webhook has yet to receive.
    pub async fn waiting_events(&self, webhook_id: &str) -> Result<i64> {
        sqlx::query_scalar(
            "select count(*) from events where number > (select delivered_number from webhooks where id = $1)",
        )
        .bind(webhook_id)
        .fetch_one(&self.pool)
        .await
        .map_err(|error| Error::from_sql("counting events", error))
    }

    /// A webhook has received the events up to this number. What all have received is no longer kept.
    pub async fn finish_event(&self, webhook_id: &str, number: i64) -> Result<()> {
        let failed = |error| Error::from_sql("noting a delivery", error);
        let mut transaction = self.begin_write("noting a delivery").await?;
        sqlx::query("update webhooks set delivered_number = $2 where id = $1 and delivered_number < $2")
            .bind(webhook_id)
            .bind(number)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        forget_received(&mut transaction).await?;
        transaction.commit().await.map_err(failed)
    }

    async fn event_of(&self, row: EventRow) -> Result<StoredEvent> {
        let body = match row.kind {
            EventKind::Crossing => self.crossing_body(&row.crossing_id.ok_or(DAMAGED)?).await?,
            EventKind::Run => {
                let run_id = row.run_id.ok_or(DAMAGED)?;
                let recording = self.recording_of_run(&run_id).await?;
                EventBody::Run { run_id, replaced_run_id: row.replaced_run_id, recording }
            }
            EventKind::CameraState => {
                let camera_id = row.source_id.ok_or(DAMAGED)?;
                let name = self.source(&camera_id).await?.name;
                let state = row.state.ok_or(DAMAGED)?;
                EventBody::CameraState { camera_id, name, state, reason: row.reason_code.zip(row.reason) }
            }
        };
        Ok(StoredEvent { number: row.number, id: row.id, occurred_at_millis: row.occurred_at_millis, body })
    }

    async fn crossing_body(&self, id: &str) -> Result<EventBody> {
        let crossing = self.crossing(id).await?;
        let line_name = sqlx::query_scalar("select name from lines where id = $1")
            .bind(&crossing.line_id)
            .fetch_one(&self.pool)
            .await
            .map_err(|error| Error::from_sql("reading an event", error))?;
        let recording = self.recording_of_run(&crossing.run_id).await?;
        Ok(EventBody::Crossing { crossing, line_name, recording })
    }

    async fn recording_of_run(&self, run_id: &str) -> Result<EventRecording> {
        sqlx::query_as(
            "select videos.id as video_id, videos.name as video_name, sources.id as source_id, sources.name as source_name, \
             sources.kind = 'camera' as is_of_camera, videos.recorded_at from runs join videos on videos.id = runs.video_id \
             join sources on sources.id = videos.source_id where runs.id = $1",
        )
        .bind(run_id)
        .fetch_one(&self.pool)
        .await
        .map_err(|error| Error::from_sql("reading an event", error))
    }
}

async fn forget(transaction: &mut Transaction, id: &str) -> Result<()> {
    sqlx::query("delete from webhooks where id = $1")
        .bind(id)
        .execute(&mut **transaction)
        .await
        .map_err(|error| Error::from_sql("forgetting a webhook", error))?;
    forget_received(transaction).await
}

/// The newest event stays: it says where the numbers go on.
async fn forget_received(transaction: &mut Transaction) -> Result<()> {
    sqlx::query(
        "delete from events where number < (select max(number) from events) \
         and number <= coalesce((select min(delivered_number) from webhooks), (select max(number) from events))",
    )
    .execute(&mut **transaction)
    .await
    .map_err(|error| Error::from_sql("forgetting events", error))?;
    Ok(())
}
