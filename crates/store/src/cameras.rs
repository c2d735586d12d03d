//! Cameras: sources that are connected rather than read from a folder.

use crate::camera_recordings::RecordingMode;
use crate::clock::{unix_millis, unix_secs};
use crate::error::{Error, Result};
use crate::events::{self, EnteredState};
use crate::sources::SourceKind;
use crate::{Store, new_id};
use sqlx::FromRow;
use std::fmt;

/// A camera.
#[derive(Clone, PartialEq, Eq, FromRow)]
pub struct CameraRecord {
    /// ULID: its source's.
    pub id: String,
    /// What it sends, as a recording without a file.
    pub video_id: String,
    /// For people.
    pub name: String,
    /// Without user and password.
    pub url: String,
    /// Another stream of it, which is counted in place of this one; `None`: this one is.
    pub counting_url: Option<String>,
    /// The user that the camera knows.
    pub user_name: Option<String>,
    /// The password that the camera knows; sent to the camera and to no other host.
    pub password: Option<String>,
    /// What is kept of what it sends; `None`: as configured.
    pub recording: Option<RecordingMode>,
    /// Seconds since 1970: second 0 of the recording.
    pub created_at: i64,
}

/// Without the password.
impl fmt::Debug for CameraRecord {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("CameraRecord").field("id", &self.id).field("url", &self.url).finish_non_exhaustive()
    }
}

/// Where a camera is and how it is entered.
#[derive(Clone, PartialEq, Eq)]
pub struct CameraPlace {
    /// Without user and password.
    pub url: String,
    /// Another stream of it, which is counted in place of this one; `None`: this one is.
    pub counting_url: Option<String>,
    /// The user that the camera knows.
    pub user_name: Option<String>,
    /// The password that the camera knows.
    pub password: Option<String>,
}

const SELECT: &str = "select source_id as id, video_id, name, url, counting_url, user_name, password, recording, created_at \
     from cameras join sources on sources.id = source_id where removed_at is null";

impl Store {
    /// All cameras that were not removed, by name. There are few: the caller bounds their number.
    pub async fn cameras(&self) -> Result<Vec<CameraRecord>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} order by name, source_id")))
            .fetch_all(&self.pool)
            .await
            .map_err(|error| Error::from_sql("listing cameras", error))
    }

    /// One camera.
    pub async fn camera(&self, id: &str) -> Result<CameraRecord> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT} and source_id = $1")))
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| Error::from_sql("reading a camera", error))?
            .ok_or_else(|| Error::NotFound { kind: "camera", id: id.to_owned() })
    }

    /// Adds a camera, with its source and its recording. `None`, and nothing is added, if there are `most` already.
    pub async fn add_camera(
        &self,
        name: &str,
        place: &CameraPlace,
        most: u32,
    ) -> Result<Option<CameraRecord>> {
        let failed = |error| Error::from_sql("adding a camera", error);
        let mut transaction = self.begin_write("adding a camera").await?;
        let there: i64 = sqlx::query_scalar("select count(*) from cameras where removed_at is null")
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed)?;
        if there >= i64::from(most) {
            return Ok(None);
        }
        let (id, video_id, now) = (new_id(), new_id(), unix_secs());
        sqlx::query("insert into sources (id, kind, name, created_at) values ($1, $2, $3, $4)")
            .bind(&id)
            .bind(SourceKind::Camera)
            .bind(name)
            .bind(now)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        sqlx::query(
            "insert into videos (id, source_id, path, name, size_bytes, modified_nanos, head_hash, recorded_at, added_at, number) \
             values ($1, $2, $3, $4, 0, 0, '', $5, $5, (select coalesce(max(number), 0) + 1 from videos))",
        )
        .bind(&video_id)
        .bind(&id)
        .bind(format!("camera/{id}"))
        .bind(name)
        .bind(now)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        sqlx::query(
            "insert into cameras (source_id, video_id, url, user_name, password, counting_url) values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&id)
        .bind(&video_id)
        .bind(&place.url)
        .bind(&place.user_name)
        .bind(&place.password)
        .bind(&place.counting_url)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        self.camera(&id).await.map(Some)
    }

    /// Renames a camera, or connects it elsewhere. What was counted stays its own.
    pub async fn change_camera(&self, id: &str, name: &str, place: &CameraPlace) -> Result<CameraRecord> {
        let failed = |error| Error::from_sql("changing a camera", error);
        self.camera(id).await?;
        let mut transaction = self.begin_write("changing a camera").await?;
        sqlx::query("update sources set name = $2 where id = $1")
            .bind(id)
            .bind(name)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        sqlx::query("update cameras set url = $2, user_name = $3, password = $4, counting_url = $5 where source_id = $1 and removed_at is null")
            .bind(id)
            .bind(&place.url)
            .bind(&place.user_name)
            .bind(&place.password)
            .bind(&place.counting_url)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        self.camera(id).await
    }

    /// Sets what is kept of what a camera sends; `None`: as configured.
    pub async fn set_camera_recording(&self, id: &str, mode: Option<RecordingMode>) -> Result<CameraRecord> {
        sqlx::query("update cameras set recording = $2 where source_id = $1 and removed_at is null")
            .bind(id)
            .bind(mode)
            .execute(&self.pool)
            .await
            .map_err(|error| Error::from_sql("changing a camera", error))?;
        self.camera(id).await
    }

    /// Notes the size of a camera's picture, px: lines are drawn on it.
    pub async fn set_camera_size(&self, video_id: &str, (width_px, height_px): (u32, u32)) -> Result<()> {
        sqlx::query("update videos set width_px = $2, height_px = $3 where id = $1")
            .bind(video_id)
            .bind(i64::from(width_px))
            .bind(i64::from(height_px))
            .execute(&self.pool)
            .await
            .map_err(|error| Error::from_sql("describing a camera", error))?;
        Ok(())
    }

    /// Removes a camera and forgets its password. Its source stays, with what was counted.
    pub async fn remove_camera(&self, id: &str) -> Result<()> {
        let mut transaction = self.begin_write("removing a camera").await?;
        let removed = sqlx::query(
            "update cameras set removed_at = $2, user_name = null, password = null where source_id = $1 and removed_at is null",
        )
        .bind(id)
        .bind(unix_secs())
        .execute(&mut *transaction)
        .await
        .map_err(|error| Error::from_sql("removing a camera", error))?;
        if removed.rows_affected() == 0 {
            return Err(Error::NotFound { kind: "camera", id: id.to_owned() });
        }
        let removed = EnteredState { state: "removed", reason: None, since_millis: unix_millis() };
        events::tell_camera_state(&mut transaction, id, &removed).await?;
        transaction.commit().await.map_err(|error| Error::from_sql("removing a camera", error))
    }
}
