//! What people see, as SQL that several queries share.

/// Of the video in hand: the published run, or the newest if none has ever been complete.
pub(crate) const SHOWN: &str = "coalesce(videos.published_run_id, (select shown.id from runs as shown where shown.video_id = videos.id \
     and shown.state <> 'abandoned' order by shown.number desc limit 1))";

/// Joins to a crossing its line version, if that is a current one of a line that holds for the run's recording.
pub(crate) const CURRENT: &str = "join line_versions on line_versions.id = crossings.line_version_id \
     join lines on lines.id = line_versions.line_id and lines.deleted_at is null \
     and line_versions.number = (select max(newest.number) from line_versions as newest where newest.line_id = lines.id) \
     join runs on runs.id = crossings.run_id join videos on videos.id = runs.video_id \
     and (lines.video_id = videos.id or lines.source_id = videos.source_id)";
