//! Stretches of a camera that a person wants to keep.

use crate::clock::unix_secs;
use crate::error::{Error, Result};
use crate::{Store, new_id};
use sqlx::FromRow;

/// A stretch to keep. The recordings that show it are removed last.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct CameraMark {
    /// ULID.
    pub id: String,
    /// Seconds since the camera was added.
    pub from_secs: f64,
    /// Seconds since the camera was added.
    pub to_secs: f64,
    /// For people; may be empty.
    pub note: String,
    /// Seconds since 1970.
    pub created_at: i64,
}

/// A stretch to mark.
#[derive(Clone, Debug, PartialEq)]
pub struct NewMark {
    /// Seconds since the camera was added.
    pub from_secs: f64,
    /// Seconds since the camera was added.
    pub to_secs: f64,
    /// For people; may be empty.
    pub note: String,
}

impl Store {
    /// Marks a stretch of a camera. `None`, and nothing is added, if there are `most` already.
    pub async fn add_mark(&self, source_id: &str, mark: &NewMark, most: u32) -> Result<Option<CameraMark>> {
        let failed = |error| Error::from_sql("marking a stretch", error);
        let mut transaction = self.begin_write("marking a stretch").await?;
        let there: i64 = sqlx::query_scalar("select count(*) from camera_marks where source_id = $1")
            .bind(source_id)
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed)?;
        if there >= i64::from(most) {
            return Ok(None);
        }
        let added = CameraMark {
            id: new_id(),
            from_secs: mark.from_secs,
            to_secs: mark.to_secs,
            note: mark.note.clone(),
            created_at: unix_secs(),
        };
        sqlx::query(
            "insert into camera_marks (id, source_id, from_secs, to_secs, note, created_at) values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&added.id)
        .bind(source_id)
        .bind(added.from_secs)
        .bind(added.to_secs)
        .bind(&added.note)
        .bind(added.created_at)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(Some(added))
    }

    /// The marks of a camera, by time.
    pub async fn marks(&self, source_id: &str) -> Result<Vec<CameraMark>> {
        sqlx::query_as(
            "select id, from_secs, to_secs, note, created_at from camera_marks where source_id = $1 order by from_secs, id",
        )
        .bind(source_id)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("listing marks", error))
    }

    /// Removes a mark. What it kept stays until there is no room.
    pub async fn remove_mark(&self, source_id: &str, id: &str) -> Result<()> {
        let removed = sqlx::query("delete from camera_marks where source_id = $1 and id = $2")
            .bind(source_id)
            .bind(id)
            .execute(&self.pool)
            .await
            .map_err(|error| Error::from_sql("removing a mark", error))?;
        if removed.rows_affected() == 0 {
            return Err(Error::NotFound { kind: "mark", id: id.to_owned() });
        }
        Ok(())
    }
}
