//! Rows that point at each other.

use super::{Finding, RESTORE};
use crate::Store;
use crate::error::{Error, Result};
use sqlx::Row as _;

/// What must not be: code, rows that name it, what to say about one of them.
const RULES: &[(&str, &str, &str)] = &[
    (
        "video_without_source",
        "select id from videos where source_id is null",
        "has no source; start `pigweight serve` with its folder, which registers it again",
    ),
    (
        "published_run_wrong",
        "select videos.id from videos join runs on runs.id = videos.published_run_id \
         where runs.video_id <> videos.id or runs.state <> 'done'",
        "is a video whose published run is another video's or not complete; retry its job",
    ),
    (
        "published_run_missing",
        "select id from videos where published_run_id is null \
         and exists (select 1 from runs where runs.video_id = videos.id and runs.state = 'done')",
        "is a video with a complete run of which none is published; retry its job",
    ),
    (
        "job_run_wrong",
        "select jobs.id from jobs join runs on runs.id = jobs.run_id where runs.video_id <> jobs.video_id",
        "is a job whose run is another video's; cancel and retry it",
    ),
    (
        "job_lease_wrong",
        "select id from jobs where (lease_owner is null) <> (lease_expires_at is null) \
         or (state <> 'running' and lease_owner is not null)",
        "is a job that a process holds without working on it; start `pigweight serve` once, which frees it",
    ),
    (
        "line_versions_wrong",
        "select lines.id from lines left join line_versions on line_versions.line_id = lines.id group by lines.id \
         having count(line_versions.id) = 0 or min(line_versions.number) <> 1 \
         or max(line_versions.number) <> count(line_versions.id)",
        "is a line whose versions are not numbered 1, 2, 3, …; delete it and draw it again",
    ),
    (
        "checkpoint_missing",
        "select id from runs where state in ('running', 'abandoned') and frames_done > 0 \
         and not exists (select 1 from run_checkpoints where run_id = runs.id)",
        "is a run in progress without the state to continue from; retry its job, which begins a new run",
    ),
    (
        "checkpoint_left",
        "select id from runs where state in ('done', 'failed') \
         and exists (select 1 from run_checkpoints where run_id = runs.id)",
        "is a run that ended and still has a state to continue from; it does no harm",
    ),
    (
        "progress_ahead",
        "select line_version_id from line_progress join runs on runs.id = line_progress.run_id \
         where line_progress.next_chunk > runs.next_chunk",
        "is a version of a line that was counted over more chunks than its run has; move the line, which counts it again",
    ),
    (
        "crossings_without_progress",
        "select id from crossings where not exists (select 1 from line_progress where line_progress.run_id = crossings.run_id \
         and line_progress.line_version_id = crossings.line_version_id)",
        "is a crossing of a line that was not counted in its run; move the line, which counts it again",
    ),
];

/// One line for each row; many of one kind are told by their number.
const MAX_OF_A_KIND: usize = 20;

pub async fn check(store: &Store, tell: &mut (dyn FnMut(Finding) + Send)) -> Result<()> {
    let failed = |error| Error::from_sql("checking references", error);
    let rows = sqlx::query("pragma foreign_key_check").fetch_all(&store.pool).await.map_err(failed)?;
    for row in rows.iter().take(MAX_OF_A_KIND) {
        let (table, parent): (String, String) =
            (row.try_get(0).map_err(failed)?, row.try_get(2).map_err(failed)?);
        tell(Finding::new(
            "reference_broken",
            format!("a row of {table} names a row of {parent} that is not there; {RESTORE}"),
        ));
    }
    tell_more("reference_broken", rows.len(), tell);
    for (code, sql, text) in RULES {
        let ids: Vec<String> = sqlx::query_scalar(*sql).fetch_all(&store.pool).await.map_err(failed)?;
        for id in ids.iter().take(MAX_OF_A_KIND) {
            tell(Finding::new(code, format!("{id} {text}")));
        }
        tell_more(code, ids.len(), tell);
    }
    Ok(())
}

fn tell_more(code: &'static str, number: usize, tell: &mut (dyn FnMut(Finding) + Send)) {
    if number > MAX_OF_A_KIND {
        tell(Finding::new(code, format!("… and {} more of this kind", number - MAX_OF_A_KIND)));
    }
}
