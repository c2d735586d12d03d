//! What cameras were doing: kept over restarts, and told to webhooks.

use crate::error::{Error, Result};
use crate::events::{self, EnteredState};
use crate::{Reason, Store, Transaction};
use sqlx::FromRow;

/// States that are kept of a camera; the oldest go.
const MOST_STATES: i64 = 2000;
/// The server isn't running: nothing is known of the camera, and webhooks aren't told.
const STOPPED: &str = "stopped";

/// A state that is kept.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct KeptState {
    /// `connecting`, `live`, `away` or `stopped`.
    pub state: String,
    /// Permanent short name of `reason`.
    pub reason_code: Option<String>,
    /// Why it is away, or stopped other than by a person; in English.
    pub reason: Option<String>,
    /// When it began, milliseconds since 1970.
    pub since_millis: i64,
}

impl Store {
    /// Keeps states that a camera has entered and tells webhooks of them, all or none. Nothing is kept of a removed camera.
    pub async fn note_camera_states(&self, camera_id: &str, entered: &[EnteredState]) -> Result<()> {
        let failed = |error| Error::from_sql("noting a camera's state", error);
        let mut transaction = self.begin_write("noting a camera's state").await?;
        let is_there: bool = sqlx::query_scalar(
            "select exists (select 1 from cameras where source_id = $1 and removed_at is null)",
        )
        .bind(camera_id)
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed)?;
        if !is_there || entered.is_empty() {
            return Ok(());
        }
        for state in entered {
            keep(&mut transaction, camera_id, state).await.map_err(failed)?;
            if state.state != STOPPED {
                events::tell_camera_state(&mut transaction, camera_id, state).await?;
            }
        }
        sqlx::query(
            "delete from camera_states where source_id = $1 \
             and number <= (select max(number) from camera_states where source_id = $1) - $2",
        )
        .bind(camera_id)
        .bind(MOST_STATES)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    /// Before a camera is started, at `now_millis`: if its last state wasn't ended, because the server was killed, then it ended at `heard_millis`,
    /// when the camera was last heard of. A camera's timeline may run ahead of the clock, but nothing ended later than now.
    pub async fn end_camera_states(
        &self,
        camera_id: &str,
        heard_millis: i64,
        now_millis: i64,
        reason: Reason,
    ) -> Result<()> {
        let Some(last) = self.camera_states(camera_id, 1).await?.pop() else { return Ok(()) };
        if last.state == STOPPED {
            return Ok(());
        }
        let since_millis = heard_millis.min(now_millis).max(last.since_millis);
        let stopped = EnteredState { state: STOPPED, reason: Some(reason), since_millis };
        self.note_camera_states(camera_id, &[stopped]).await
    }

    /// The last `most` states of a camera, the latest first.
    pub async fn camera_states(&self, camera_id: &str, most: u32) -> Result<Vec<KeptState>> {
        sqlx::query_as(
            "select state, reason_code, reason, since_millis from camera_states where source_id = $1 \
             order by number desc limit $2",
        )
        .bind(camera_id)
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("reading a camera's states", error))
    }
}

async fn keep(
    transaction: &mut Transaction,
    camera_id: &str,
    entered: &EnteredState,
) -> std::result::Result<(), sqlx::Error> {
    sqlx::query(
        "insert into camera_states (source_id, number, state, reason_code, reason, since_millis) \
         select $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5 from camera_states where source_id = $1",
    )
    .bind(camera_id)
    .bind(entered.state)
    .bind(entered.reason.as_ref().map(|reason| reason.code))
    .bind(entered.reason.as_ref().map(|reason| reason.text.as_str()))
    .bind(entered.since_millis)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CameraPlace;

    fn entered(state: &'static str, since_millis: i64) -> EnteredState {
        EnteredState { state, reason: None, since_millis }
    }

    async fn store_with_camera(folder: &std::path::Path) -> (Store, String) {
        let store = Store::open(folder).await.expect("a new store");
        let place = CameraPlace {
            url: "rtsp://10.0.0.5/s".into(),
            counting_url: None,
            user_name: None,
            password: None,
        };
        let camera = store.add_camera("Gate", &place, 2).await.expect("it is added").expect("there is room");
        (store, camera.id)
    }

    fn told(states: &[KeptState]) -> Vec<(&str, i64)> {
        states.iter().map(|state| (state.state.as_str(), state.since_millis)).collect()
    }

    #[tokio::test]
    async fn a_server_that_was_killed_ends_the_state_when_the_camera_was_last_heard_of() {
        let folder = tempfile::tempdir().expect("a folder");
        let (store, id) = store_with_camera(folder.path()).await;
        let killed = || Reason::new("server_ended", "killed");
        store.end_camera_states(&id, 50, 60, killed()).await.expect("nothing was entered");
        assert!(store.camera_states(&id, 9).await.expect("read").is_empty());
        store
            .note_camera_states(&id, &[entered("connecting", 100), entered("live", 110)])
            .await
            .expect("noted");
        // It was heard of at 520 on its own timeline, which runs ahead.
        store.end_camera_states(&id, 520, 500, killed()).await.expect("noted");
        // A second start without a camera adds nothing, and a clock that was set back doesn't turn the order round.
        store.end_camera_states(&id, 900, 950, killed()).await.expect("noted");
        store.note_camera_states(&id, &[entered("connecting", 90)]).await.expect("noted");
        let states = store.camera_states(&id, 9).await.expect("read");
        assert_eq!(told(&states), [("connecting", 90), ("stopped", 500), ("live", 110), ("connecting", 100)]);
        assert_eq!(states[1].reason_code.as_deref(), Some("server_ended"));
    }

    #[tokio::test]
    async fn the_oldest_states_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let (store, id) = store_with_camera(folder.path()).await;
        let many: Vec<_> = (0..MOST_STATES + 5).map(|number| entered("live", number)).collect();
        store.note_camera_states(&id, &many).await.expect("noted");
        let states = store.camera_states(&id, u32::MAX).await.expect("read");
        assert_eq!(states.len() as i64, MOST_STATES);
        assert_eq!(states.last().map(|state| state.since_millis), Some(5));
    }
}
