//! Lines and their crossings.

use crate::error::{Error, Result};
use crate::{Store, new_id, now_secs};
use pigweight_core::geometry::Point;
use pigweight_core::line::{Crossing, Line, LineCounter};
use sqlx::{FromRow, Row as _};

/// A line as it is drawn, px of the upright frame.
#[derive(Clone, Debug, PartialEq)]
pub struct NewLine {
    /// What people call it.
    pub name: String,
    /// Start and end.
    pub x1_px: f64,
    /// px.
    pub y1_px: f64,
    /// px.
    pub x2_px: f64,
    /// px.
    pub y2_px: f64,
}

impl NewLine {
    fn line(&self) -> Result<Line> {
        line_of([self.x1_px, self.y1_px, self.x2_px, self.y2_px])
    }
}

/// A line that is kept.
#[derive(Clone, Debug, FromRow)]
pub struct LineRecord {
    /// ULID.
    pub id: String,
    /// The video it is drawn on.
    pub video_id: String,
    /// What people call it.
    pub name: String,
    /// px.
    pub x1_px: f64,
    /// px.
    pub y1_px: f64,
    /// px.
    pub x2_px: f64,
    /// px.
    pub y2_px: f64,
}

impl LineRecord {
    /// What is drawn.
    ///
    /// # Errors
    /// Where the ends are no line.
    pub fn line(&self) -> Result<Line> {
        line_of([self.x1_px, self.y1_px, self.x2_px, self.y2_px])
    }
}

/// A crossing and the line it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct LineCrossing {
    /// The line.
    pub line_id: String,
    /// `forward` or `backward`.
    pub direction: String,
    /// The animal.
    pub track: u32,
    /// First frame beyond the line.
    pub pts: i64,
    /// The same in seconds.
    pub secs: f64,
}

fn line_of(ends_px: [f64; 4]) -> Result<Line> {
    let [x1, y1, x2, y2] = ends_px.map(|px| px as f32);
    Ok(Line::new(Point::new(x1, y1), Point::new(x2, y2))?)
}

const COLUMNS: &str = "id, video_id, name, x1_px, y1_px, x2_px, y2_px";

impl Store {
    /// Keeps a new line.
    pub async fn add_line(&self, video_id: &str, line: &NewLine) -> Result<LineRecord> {
        line.line()?;
        self.video(video_id).await?;
        let id = new_id();
        sqlx::query(
            "insert into lines (id, video_id, name, x1_px, y1_px, x2_px, y2_px, created_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(&id)
        .bind(video_id)
        .bind(&line.name)
        .bind(line.x1_px)
        .bind(line.y1_px)
        .bind(line.x2_px)
        .bind(line.y2_px)
        .bind(now_secs())
        .execute(&self.pool)
        .await
        .map_err(|error| Error::from_sql("keeping a line", error))?;
        self.line(&id).await
    }

    /// Moves or renames a line; its crossings are counted anew from what is kept.
    pub async fn change_line(&self, id: &str, line: &NewLine) -> Result<LineRecord> {
        line.line()?;
        let failed = |error| Error::from_sql("changing a line", error);
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        let changed = sqlx::query(
            "update lines set name = $2, x1_px = $3, y1_px = $4, x2_px = $5, y2_px = $6 where id = $1",
        )
        .bind(id)
        .bind(&line.name)
        .bind(line.x1_px)
        .bind(line.y1_px)
        .bind(line.x2_px)
        .bind(line.y2_px)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        if changed.rows_affected() == 0 {
            return Err(Error::NotFound { kind: "line", id: id.to_owned() });
        }
        forget_crossings(&mut transaction, id).await?;
        transaction.commit().await.map_err(failed)?;
        self.line(id).await
    }

    /// Forgets a line and its crossings.
    pub async fn remove_line(&self, id: &str) -> Result<()> {
        let failed = |error| Error::from_sql("removing a line", error);
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        let removed = sqlx::query("delete from lines where id = $1")
            .bind(id)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        if removed.rows_affected() == 0 {
            return Err(Error::NotFound { kind: "line", id: id.to_owned() });
        }
        forget_crossings(&mut transaction, id).await?;
        transaction.commit().await.map_err(failed)
    }

    /// One line.
    pub async fn line(&self, id: &str) -> Result<LineRecord> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!("select {COLUMNS} from lines where id = $1")))
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| Error::from_sql("reading a line", error))?
            .ok_or_else(|| Error::NotFound { kind: "line", id: id.to_owned() })
    }

    /// The lines of a video in the order they were drawn.
    pub async fn lines(&self, video_id: &str) -> Result<Vec<LineRecord>> {
        sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS} from lines where video_id = $1 order by created_at, id"
        )))
        .bind(video_id)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("reading lines", error))
    }

    /// Counts every line of the run's video over the chunks it has not been counted over yet.
    pub async fn count_lines(&self, run_id: &str) -> Result<()> {
        let run = self.run(run_id).await?;
        for line in self.lines(&run.video_id).await? {
            while self.count_line_over_next_chunk(run_id, &line).await? {}
        }
        Ok(())
    }

    /// `false` when there is no further chunk.
    async fn count_line_over_next_chunk(&self, run_id: &str, record: &LineRecord) -> Result<bool> {
        let failed = |error| Error::from_sql("counting a line", error);
        let progress =
            sqlx::query("select next_chunk, counter from line_progress where run_id = $1 and line_id = $2")
                .bind(run_id)
                .bind(&record.id)
                .fetch_optional(&self.pool)
                .await
                .map_err(failed)?;
        let (next_chunk, mut counter) = match &progress {
            Some(row) => {
                let counter = postcard::from_bytes(row.try_get(1).map_err(failed)?)
                    .map_err(|_| Error::Damaged { what: "line counter" })?;
                (row.try_get::<i64, _>(0).map_err(failed)?, counter)
            }
            None => (0, LineCounter::new(record.line()?)),
        };
        let Some(frames) = self.chunk(run_id, next_chunk).await? else { return Ok(false) };
        let crossings: Vec<Crossing> =
            frames.iter().flat_map(|frame| counter.update(frame.pts, frame.secs, &frame.boxes)).collect();
        let state = postcard::to_stdvec(&counter).map_err(|_| Error::Damaged { what: "line counter" })?;

        let mut transaction = self.pool.begin().await.map_err(failed)?;
        // Only the one that finds the progress as it read it writes; another has done it otherwise.
        let written = if progress.is_some() {
            sqlx::query(
                "update line_progress set next_chunk = $3, counter = $4 where run_id = $1 and line_id = $2 \
                 and next_chunk = $5",
            )
        } else {
            sqlx::query(
                "insert into line_progress (run_id, line_id, next_chunk, counter) \
                 select $1, $2, $3, $4 where $5 = 0 and exists (select 1 from lines where id = $2) \
                 on conflict do nothing",
            )
        }
        .bind(run_id)
        .bind(&record.id)
        .bind(next_chunk + 1)
        .bind(state)
        .bind(next_chunk)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        if written.rows_affected() == 0 {
            // The line was changed or counted meanwhile: whoever did so counts on.
            return Ok(false);
        }
        for crossing in crossings {
            sqlx::query(
                "insert into crossings (run_id, line_id, number, direction, track, pts, secs) \
                 select $1, $2, coalesce(max(number) + 1, 0), $3, $4, $5, $6 from crossings \
                 where run_id = $1 and line_id = $2",
            )
            .bind(run_id)
            .bind(&record.id)
            .bind(crossing.direction.to_string())
            .bind(i64::from(crossing.track.0))
            .bind(crossing.pts.0)
            .bind(crossing.secs)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// How many crossings of a run there are: line, direction, number.
    pub async fn count_crossings(&self, run_id: &str) -> Result<Vec<(String, String, i64)>> {
        sqlx::query_as(
            "select line_id, direction, count(*) from crossings where run_id = $1 group by line_id, direction",
        )
        .bind(run_id)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| Error::from_sql("counting crossings", error))
    }

    /// All crossings of a run in order of time.
    pub async fn crossings(&self, run_id: &str) -> Result<Vec<LineCrossing>> {
        let failed = |error| Error::from_sql("reading crossings", error);
        let rows = sqlx::query(
            "select line_id, direction, track, pts, secs from crossings where run_id = $1 order by pts, line_id, number",
        )
        .bind(run_id)
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        rows.into_iter()
            .map(|row| {
                Ok(LineCrossing {
                    line_id: row.try_get(0).map_err(failed)?,
                    direction: row.try_get(1).map_err(failed)?,
                    track: u32::try_from(row.try_get::<i64, _>(2).map_err(failed)?).unwrap_or(0),
                    pts: row.try_get(3).map_err(failed)?,
                    secs: row.try_get(4).map_err(failed)?,
                })
            })
            .collect()
    }
}

async fn forget_crossings(
    transaction: &mut sqlx::Transaction<'_, sqlx::Sqlite>,
    line_id: &str,
) -> Result<()> {
    let failed = |error| Error::from_sql("forgetting crossings", error);
    for sql in ["delete from crossings where line_id = $1", "delete from line_progress where line_id = $1"] {
        sqlx::query(sql).bind(line_id).execute(&mut **transaction).await.map_err(failed)?;
    }
    Ok(())
}
