//! Tests of conditions that only internal code can provoke.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::*;
use crate::open::MAX_CONNECTIONS;

/// What SQLite does on its own if the disk is full at the end of a transaction, without the driver's knowledge.
async fn fill(store: &Store) {
    let mut transaction = store.pool.begin().await.unwrap();
    sqlx::query("rollback").execute(&mut *transaction).await.unwrap();
    assert!(transaction.commit().await.is_err());
}

#[tokio::test]
async fn after_a_full_disk_no_stale_data_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    for number in 0..4 * MAX_CONNECTIONS {
        fill(&store).await;
        // Something else fails on the same connection, after it has read.
        let mut transaction = store.pool.begin().await.unwrap();
        sqlx::query("select count(*) from videos").execute(&mut *transaction).await.unwrap();
        drop(transaction);
        let stat = FileStat { size_bytes: 1, modified_nanos: 1, changed_nanos: None, inode: None };
        let file = FileIdentity {
            path: format!("/v/{number}.mp4"),
            stat,
            head_hash: "a".to_owned(),
            samples_hash: None,
        };
        store.add_video(&file, "pen.mp4", &NewSource::Upload).await.unwrap();
        let mut connections = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            let mut connection = store.pool.acquire().await.unwrap();
            let found: i64 =
                sqlx::query_scalar("select count(*) from videos").fetch_one(&mut *connection).await.unwrap();
            assert_eq!(found, i64::from(number) + 1);
            connections.push(connection);
        }
    }
    store.close().await;
}

/// Table by table: columns, foreign keys and indexes, in one order.
async fn described(pool: &SqlitePool) -> Vec<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select name from sqlite_schema where type = 'table' and name not like 'sqlite%' and name not like '\\_sqlx%' escape '\\' order by name",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let mut facts = Vec::new();
    for table in tables {
        for (what, sql) in [
            (
                "column",
                "select name || ' ' || lower(type) || ' notnull ' || \"notnull\" || ' default ' || coalesce(dflt_value, '-') || ' key ' || pk from pragma_table_info($1) order by name",
            ),
            (
                "reference",
                "select \"from\" || ' -> ' || \"table\" || '.' || \"to\" from pragma_foreign_key_list($1) order by 1",
            ),
            (
                "unique",
                "select group_concat(column_name) from (select il.name as index_name, ii.name as column_name from pragma_index_list($1) as il, pragma_index_info(il.name) as ii where il.\"unique\" and il.origin <> 'c' order by il.name, ii.seqno) group by index_name order by 1",
            ),
            (
                "index",
                "select lower(replace(replace(sql, char(10), ' '), '  ', ' ')) from sqlite_schema where type = 'index' and tbl_name = $1 and sql is not null order by 1",
            ),
        ] {
            let rows: Vec<String> =
                sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(&table).fetch_all(pool).await.unwrap();
            facts.extend(rows.into_iter().map(|row| format!("{table}: {what} {row}")));
        }
    }
    facts
}

#[tokio::test]
async fn schema_sql_describes_what_the_upgrades_make() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let written = SqlitePool::connect("sqlite::memory:").await.unwrap();
    let schema = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schema.sql")).unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(schema)).execute(&written).await.unwrap();
    let (made, written) = (described(&store.pool).await, described(&written).await);
    assert!(made.len() > 50, "{made:?}");
    let missing: Vec<_> = made.iter().filter(|fact| !written.contains(fact)).collect();
    let invented: Vec<_> = written.iter().filter(|fact| !made.contains(fact)).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "not in schema.sql: {missing:#?}\nonly there: {invented:#?}"
    );
}

#[tokio::test]
async fn a_receiver_that_was_away_for_a_million_events_is_told_how_many_are_lost() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let place =
        CameraPlace { url: "rtsp://10.0.0.5/s".into(), counting_url: None, user_name: None, password: None };
    let camera = store.add_camera("Gate", &place, 2).await.unwrap().unwrap();
    store.register_webhooks(&["away".to_owned()]).await.unwrap();
    let live = EnteredState { state: "live", reason: None, since_millis: 1 };
    store.note_camera_states(&camera.id, &vec![live.clone(); 3]).await.unwrap();
    // As if a million others had been told since.
    sqlx::query("update events set number = 1000998 where number = 3").execute(&store.pool).await.unwrap();
    store.note_camera_states(&camera.id, std::slice::from_ref(&live)).await.unwrap();
    let next = store.next_event("away", &[EventKind::CameraState]).await.unwrap();
    assert_eq!((next.lost, next.event.unwrap().number), (0, 1), "as many as are kept");
    store.note_camera_states(&camera.id, &[live]).await.unwrap();
    let next = store.next_event("away", &[EventKind::CameraState]).await.unwrap();
    assert_eq!((next.lost, next.event.unwrap().number), (1_000_997, 1_000_998));
}

fn short_line() -> LineGeometry {
    LineGeometry {
        x1_px: 1.0,
        y1_px: 1.0,
        x2_px: 50.0,
        y2_px: 50.0,
        picture_width_px: None,
        picture_height_px: None,
    }
}

async fn with_video() -> (tempfile::TempDir, Store, VideoRecord) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let stat = FileStat { size_bytes: 1, modified_nanos: 1, changed_nanos: None, inode: None };
    let file =
        FileIdentity { path: "/v/1.mp4".to_owned(), stat, head_hash: "a".to_owned(), samples_hash: None };
    let video = store.add_video(&file, "pen.mp4", &NewSource::Upload).await.unwrap();
    (folder, store, video)
}

#[tokio::test]
async fn what_was_added_last_is_the_newest_whatever_the_clock_said() {
    let (_folder, store, video) = with_video().await;
    let video = video.id;
    let run_with = |settings: &str| NewRun {
        video_id: video.clone(),
        model_name: "m".into(),
        model_hash: "h".into(),
        device: "cpu".into(),
        settings: settings.into(),
        inference_settings: "i".into(),
        least_score: 0.1,
        rule_version: 1,
    };
    let line_named = |name: &str| NewLine {
        name: name.to_owned(),
        scope: LineScope::Video(video.clone()),
        geometry: short_line(),
    };
    let before = store.start_run(&run_with("before")).await.unwrap();
    let line_before = store.add_line(&line_named("before")).await.unwrap();
    // They were made while the clock was a year ahead.
    let mut connection = store.pool.acquire().await.unwrap();
    sqlx::query("pragma foreign_keys = off").execute(&mut *connection).await.unwrap();
    for (table, id) in [("runs", &before.id), ("lines", &line_before.id)] {
        let sql = format!("update {table} set created_at = created_at + 31536000, id = 'zz' where id = $1");
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).execute(&mut *connection).await.unwrap();
    }
    sqlx::query("update line_versions set line_id = 'zz'").execute(&mut *connection).await.unwrap();
    sqlx::query("pragma foreign_keys = on").execute(&mut *connection).await.unwrap();
    drop(connection);
    let after = store.start_run(&run_with("after")).await.unwrap();
    store.add_line(&line_named("after")).await.unwrap();
    assert_eq!(store.shown_run(&video).await.unwrap().unwrap().id, after.id);
    let runs: Vec<String> = store.runs(&video).await.unwrap().into_iter().map(|run| run.id).collect();
    assert_eq!(runs, [after.id.as_str(), "zz"]);
    let lines = store.lines_of_video(&video).await.unwrap();
    let names: Vec<&str> = lines.iter().map(|line| line.line.name.as_str()).collect();
    assert_eq!(names, ["before", "after"]);
}

#[tokio::test]
async fn lines_of_a_video_are_bounded() {
    let (_folder, store, video) = with_video().await;
    let line = |scope: LineScope| NewLine { name: "gate".to_owned(), scope, geometry: short_line() };
    let of_video = line(LineScope::Video(video.id.clone()));
    for _ in 0..MOST_LINES {
        store.add_line(&of_video).await.unwrap();
    }
    assert!(matches!(store.add_line(&of_video).await, Err(Error::TooManyLines { most: MOST_LINES })));
    store.add_line(&line(LineScope::Source(video.source_id))).await.unwrap();
    let first = store.lines_of_video(&video.id).await.unwrap().swap_remove(0);
    store.remove_line(&first.line.id).await.unwrap();
    store.add_line(&of_video).await.unwrap();
}
