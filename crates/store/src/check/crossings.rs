//! Crossings against the tracks that they were computed from.

use super::Finding;
use crate::crossings::StoredDirection;
use crate::error::{Error, Result};
use crate::line_geometry::LineGeometry;
use crate::runs::RunRecord;
use crate::{Store, columns, line_counter};
use pigweight_core::line::{Direction, LineCounter};
use sqlx::FromRow;

/// How far a line version was counted in a run, and on which picture.
#[derive(FromRow)]
struct Counted {
    line_version_id: String,
    next_chunk: i64,
    counter: Vec<u8>,
    rule_version: u32,
    width_px: Option<i64>,
    height_px: Option<i64>,
    #[sqlx(flatten)]
    geometry: LineGeometry,
}

type Row = (i64, StoredDirection, i64, i64);

/// Gives the number of crossings that were computed.
pub async fn check(store: &Store, run: &RunRecord, tell: &mut (dyn FnMut(Finding) + Send)) -> Result<u64> {
    let counted: Vec<Counted> = sqlx::query_as(
        "select line_version_id, line_progress.next_chunk, counter, rule_version, width_px, height_px, x1_px, y1_px, x2_px, y2_px, picture_width_px, \
         picture_height_px from line_progress join line_versions on line_versions.id = line_progress.line_version_id \
         join runs on runs.id = line_progress.run_id join videos on videos.id = runs.video_id where line_progress.run_id = $1",
    )
    .bind(&run.id)
    .fetch_all(&store.pool)
    .await
    .map_err(|error| Error::from_sql("checking crossings", error))?;
    let mut checked = 0;
    for line in counted {
        checked += check_line(store, run, &line, tell).await?;
    }
    Ok(checked)
}

async fn check_line(
    store: &Store,
    run: &RunRecord,
    line: &Counted,
    tell: &mut (dyn FnMut(Finding) + Send),
) -> Result<u64> {
    let name = format!("run {}, line version {}", run.id, line.line_version_id);
    let again = "move the line and back, which counts it again";
    let segment = line.geometry.scaled_to(line.width_px, line.height_px).and_then(|line| line.line().ok());
    let Some(segment) = segment else {
        tell(Finding::new(
            "line_does_not_apply",
            format!("{name}: it was counted on a picture of another shape; {again}"),
        ));
        return Ok(0);
    };
    let mut counter = LineCounter::by_rule(segment, line.rule_version);
    let mut computed: Vec<(Direction, i64, i64)> = Vec::new();
    for sequence in 0..line.next_chunk {
        let data: Option<Vec<u8>> =
            sqlx::query_scalar("select data from detection_chunks where run_id = $1 and sequence = $2")
                .bind(&run.id)
                .bind(sequence)
                .fetch_optional(&store.pool)
                .await
                .map_err(|error| Error::from_sql("checking crossings", error))?;
        // Told with the chunks.
        let Some(frames) = data.and_then(|data| columns::decode(&data)) else { return Ok(0) };
        for frame in &frames {
            for crossing in counter.update(frame.pts, frame.secs, &frame.boxes) {
                computed.push((crossing.direction, i64::from(crossing.track.0), crossing.pts.0));
            }
        }
    }
    let rows: Vec<Row> = sqlx::query_as(
        "select number, direction, track, pts from crossings where run_id = $1 and line_version_id = $2 order by number",
    )
    .bind(&run.id)
    .bind(&line.line_version_id)
    .fetch_all(&store.pool)
    .await
    .map_err(|error| Error::from_sql("checking crossings", error))?;
    let is_numbered = rows.iter().zip(0..).all(|(row, number)| row.0 == number);
    let stored: Vec<(Direction, i64, i64)> =
        rows.iter().map(|&(_, direction, track, pts)| (direction.into(), track, pts)).collect();
    if stored != computed || !is_numbered {
        let (stored, computed) = (stored.len(), computed.len());
        tell(Finding::new(
            "crossings_wrong",
            format!("{name}: {stored} crossings are kept and its tracks give {computed}, or others; {again}"),
        ));
    } else if line_counter::decode(&line.counter, line.rule_version).ok().as_ref() != Some(&counter) {
        tell(Finding::new(
            "line_counter_wrong",
            format!("{name}: its counter is not the one that its tracks give; {again}"),
        ));
    }
    Ok(computed.len() as u64)
}
