//! Events for other programs: crossings, published runs, states of cameras.
//!
//! An event is written in the transaction that settles what it tells of, so none is lost or told too early. Only what people see
//! makes events: crossings of the run that is shown, or of the run that a camera's frames go to. When another run is published, an
//! event says so and the crossings of that run follow. `event_delivery.rs` reads them.

use crate::clock::unix_millis;
use crate::error::{Error, Result};
use crate::shown::{CURRENT, SHOWN};
use crate::{Reason, Transaction, new_id};

/// Events that are kept for a receiver that is away. It loses the oldest, and is told how many.
const MOST_EVENTS: i64 = 1_000_000;
/// How many more there may be until the oldest go.
const TRIM_EVERY: i64 = 1000;

/// What an event tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, sqlx::Type)]
#[sqlx(rename_all = "snake_case")]
pub enum EventKind {
    /// A crossing was settled.
    Crossing,
    /// A run was published.
    Run,
    /// A camera has another state.
    CameraState,
}

/// A state that a camera has entered.
#[derive(Clone, Debug, PartialEq)]
pub struct EnteredState {
    /// `connecting`, `live`, `away`, `stopped`, `removed`.
    pub state: &'static str,
    /// Why it is away, or stopped other than by a person.
    pub reason: Option<Reason>,
    /// When it began, milliseconds since 1970.
    pub since_millis: i64,
}

/// A crossing that has just been written.
pub(crate) struct SettledCrossing {
    pub(crate) id: String,
    pub(crate) secs: f64,
}

/// What an event refers to.
#[derive(Default)]
struct NewEvent<'a> {
    crossing_id: Option<&'a str>,
    run_id: Option<&'a str>,
    replaced_run_id: Option<&'a str>,
    source_id: Option<&'a str>,
    state: Option<&'a str>,
    reason: Option<&'a Reason>,
}

/// In the transaction in which a camera enters a state.
pub(crate) async fn tell_camera_state(
    transaction: &mut Transaction,
    camera_id: &str,
    entered: &EnteredState,
) -> Result<()> {
    if !is_anyone_told(transaction).await? {
        return Ok(());
    }
    let new = NewEvent {
        source_id: Some(camera_id),
        state: Some(entered.state),
        reason: entered.reason.as_ref(),
        ..NewEvent::default()
    };
    insert(transaction, EventKind::CameraState, entered.since_millis, &new).await
}

/// Crossings that this transaction has written, if people see them.
pub(crate) async fn tell_crossings(
    transaction: &mut Transaction,
    run_id: &str,
    mut settled: Vec<SettledCrossing>,
) -> Result<()> {
    if settled.is_empty() || !is_anyone_told(transaction).await? {
        return Ok(());
    }
    let failed = |error| Error::from_sql("noting events", error);
    // Of several lines, each in its own order.
    settled.sort_by(|one, other| one.secs.total_cmp(&other.secs));
    // Of a camera, those that settled before a line was drawn are history, not news.
    let sql = format!(
        "select exists (select 1 from crossings join runs on runs.id = crossings.run_id \
         join videos on videos.id = runs.video_id join line_versions on line_versions.id = crossings.line_version_id \
         where crossings.id = $1 and crossings.run_id = $2 and case \
         when exists (select 1 from cameras where cameras.video_id = videos.id) \
         then runs.state = 'running' and crossings.secs >= coalesce(line_versions.camera_settled_secs, 0) \
         else runs.id = {SHOWN} end)"
    );
    for SettledCrossing { id, .. } in &settled {
        let is_told: bool = sqlx::query_scalar(sqlx::AssertSqlSafe(sql.as_str()))
            .bind(id)
            .bind(run_id)
            .fetch_one(&mut **transaction)
            .await
            .map_err(failed)?;
        if is_told {
            tell_crossing(transaction, id).await?;
        }
    }
    Ok(())
}

/// A run that this transaction has published. Its crossings are told if they weren't while it was made (`was_shown`).
pub(crate) async fn tell_published(
    transaction: &mut Transaction,
    run_id: &str,
    replaced_run_id: Option<&str>,
    was_shown: bool,
) -> Result<()> {
    if !is_anyone_told(transaction).await? {
        return Ok(());
    }
    let new = NewEvent { run_id: Some(run_id), replaced_run_id, ..NewEvent::default() };
    insert(transaction, EventKind::Run, unix_millis(), &new).await?;
    if was_shown {
        return Ok(());
    }
    // In one statement: there may be thousands, and others wait to write.
    let told: Vec<i64> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
        "insert into events (number, id, kind, crossing_id, occurred_at_millis) \
         select number, $2 || '-' || number, 'crossing', id, cast($3 as bigint) from (select crossings.id as id, \
         (select coalesce(max(events.number), 0) from events) + row_number() over \
         (order by crossings.secs, line_versions.line_id, crossings.number) as number \
         from crossings {CURRENT} where crossings.run_id = $1) as told returning number"
    )))
    .bind(run_id)
    .bind(new_id())
    .bind(unix_millis())
    .fetch_all(&mut **transaction)
    .await
    .map_err(|error| Error::from_sql("noting events", error))?;
    match (told.iter().min(), told.iter().max()) {
        (Some(first), Some(last)) => trim(transaction, *first, *last).await,
        _ => Ok(()),
    }
}

async fn tell_crossing(transaction: &mut Transaction, id: &str) -> Result<()> {
    let new = NewEvent { crossing_id: Some(id), ..NewEvent::default() };
    insert(transaction, EventKind::Crossing, unix_millis(), &new).await
}

/// Whether there are webhooks. A new one is told of nothing that was before it.
async fn is_anyone_told(transaction: &mut Transaction) -> Result<bool> {
    sqlx::query_scalar("select exists (select 1 from webhooks)")
        .fetch_one(&mut **transaction)
        .await
        .map_err(|error| Error::from_sql("noting events", error))
}

async fn insert(
    transaction: &mut Transaction,
    kind: EventKind,
    occurred_at_millis: i64,
    new: &NewEvent<'_>,
) -> Result<()> {
    let failed = |error| Error::from_sql("noting events", error);
    let number: i64 = sqlx::query_scalar(
        "insert into events (number, id, kind, crossing_id, run_id, replaced_run_id, source_id, state, reason_code, reason, \
         occurred_at_millis) select coalesce(max(number), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 from events \
         where true returning number",
    )
    .bind(new_id())
    .bind(kind)
    .bind(new.crossing_id)
    .bind(new.run_id)
    .bind(new.replaced_run_id)
    .bind(new.source_id)
    .bind(new.state)
    .bind(new.reason.map(|reason| reason.code))
    .bind(new.reason.map(|reason| reason.text.as_str()))
    .bind(occurred_at_millis)
    .fetch_one(&mut **transaction)
    .await
    .map_err(failed)?;
    trim(transaction, number, number).await
}

/// Forgets the oldest events, now and then, after these were added.
async fn trim(transaction: &mut Transaction, first: i64, last: i64) -> Result<()> {
    if (first - 1) / TRIM_EVERY == last / TRIM_EVERY {
        return Ok(());
    }
    sqlx::query("delete from events where number <= $1")
        .bind(last - MOST_EVENTS)
        .execute(&mut **transaction)
        .await
        .map_err(|error| Error::from_sql("forgetting events", error))?;
    Ok(())
}
