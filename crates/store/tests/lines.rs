//! Lines of sources and recordings, their versions, and crossings that keep their identifiers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Walk, counted, described, folder_source, geometry, opened, write_walk};
use pigweight_core::line::Direction;
use pigweight_store::{CrossingCount, Error, LineGeometry, LineScope, NewLine, RunState, Store};

fn line(scope: LineScope, name: &str, x: f64) -> NewLine {
    NewLine { name: name.into(), scope, geometry: geometry(x) }
}

async fn counts(store: &Store, run_id: &str, line_id: &str) -> (usize, usize) {
    let crossings = store.crossings(run_id).await.unwrap();
    let of = |way| crossings.iter().filter(|c| c.line_id == line_id && c.direction == way).count();
    (of(Direction::Forward), of(Direction::Backward))
}

#[tokio::test]
async fn a_line_drawn_later_counts_what_a_line_drawn_before_counts() {
    let (_folder, store) = opened().await;
    let video = described(&store, "a", (800, 400)).await;
    let scope = || LineScope::Video(video.id.clone());
    let before = store.add_line(&line(scope(), "before", 200.0)).await.unwrap();
    // Only checkpoints count it, without any reader.
    let run = counted(&store, &video.id, "s", Walk::default()).await;
    assert!(store.line_progress(&run.id).await.unwrap()[&before.version_id].is_up_to_date);
    let after = store.add_line(&line(scope(), "after", 200.0)).await.unwrap();
    assert_eq!(store.runs_behind_on_lines(None).await.unwrap(), std::slice::from_ref(&run.id));
    assert!(!store.line_progress(&run.id).await.unwrap().contains_key(&after.version_id));
    store.fold_lines(&run.id).await.unwrap();
    assert_eq!(counts(&store, &run.id, &before.id).await, (2, 1));
    let crossings = store.crossings(&run.id).await.unwrap();
    let of = |id: &str| {
        let own = crossings.iter().filter(|crossing| crossing.line_id == id);
        own.map(|crossing| (crossing.direction, crossing.pts, crossing.track)).collect::<Vec<_>>()
    };
    assert_eq!(of(&before.id), of(&after.id));
    // Again, there is nothing to do.
    store.fold_lines(&run.id).await.unwrap();
    assert_eq!(store.crossings(&run.id).await.unwrap(), crossings);

    store.remove_line(&before.id).await.unwrap();
    assert_eq!(store.crossings(&run.id).await.unwrap().len(), 3);
    assert_eq!(store.count_crossings(&run.id).await.unwrap().len(), 2);
    assert!(matches!(store.remove_line(&before.id).await, Err(Error::NotFound { .. })));
    assert!(matches!(store.line(&before.id).await, Err(Error::NotFound { .. })));
    let kept = store.crossings_of_version(&run.id, &before.version_id).await.unwrap();
    assert_eq!(kept.len(), 3, "what a deleted line counted stays");
    let dot =
        NewLine { geometry: LineGeometry { y2_px: 100.0, ..geometry(5.0) }, ..line(scope(), "dot", 5.0) };
    assert!(matches!(store.add_line(&dot).await, Err(Error::Line(_))));
}

#[tokio::test]
async fn moving_a_line_adds_a_version_and_keeps_what_was_counted() {
    let (folder, store) = opened().await;
    let video = described(&store, "a", (800, 400)).await;
    let run = counted(&store, &video.id, "s", Walk::default()).await;
    let first = store.add_line(&line(LineScope::Video(video.id.clone()), "gate", 200.0)).await.unwrap();
    store.fold_lines(&run.id).await.unwrap();
    let before = store.crossings(&run.id).await.unwrap();
    // A name is no version.
    let renamed = store.change_line(&first.id, "ворота", &geometry(200.0)).await.unwrap();
    assert!(renamed.moved_from.is_none());
    assert_eq!(
        (renamed.line.name.as_str(), renamed.line.version_id.as_str()),
        ("ворота", first.version_id.as_str())
    );
    // Nor is the same place on a picture of half the size.
    let half = geometry(200.0).scaled_to(Some(400), Some(200)).unwrap();
    assert!(store.change_line(&first.id, "gate", &half).await.unwrap().moved_from.is_none());
    // Beyond where the second animal turns back.
    let moved = store.change_line(&first.id, "gate", &geometry(600.0)).await.unwrap();
    assert_eq!(moved.moved_from.as_ref().unwrap().id, first.version_id);
    assert_eq!((moved.line.version_number, moved.line.id.as_str()), (2, first.id.as_str()));
    assert!(store.crossings(&run.id).await.unwrap().is_empty(), "not counted yet");
    store.fold_lines(&run.id).await.unwrap();
    assert_eq!(counts(&store, &run.id, &first.id).await, (1, 0));
    let difference =
        store.compare_line_versions(&run.id, &first.version_id, &moved.line.version_id).await.unwrap();
    assert_eq!(difference.before, CrossingCount { forward: 2, backward: 1 });
    assert_eq!(difference.after, CrossingCount { forward: 1, backward: 0 });
    let tracks = |crossings: &[pigweight_store::LineCrossing]| {
        crossings.iter().map(|crossing| (crossing.track, crossing.direction)).collect::<Vec<_>>()
    };
    assert_eq!(tracks(&difference.only_before), [(2, Direction::Forward), (2, Direction::Backward)]);
    assert!(difference.only_after.is_empty(), "the first animal's crossing is the same one, later");
    assert_eq!(store.crossings_of_version(&run.id, &first.version_id).await.unwrap(), before);
    // Identifiers survive a restart.
    let now = store.crossings(&run.id).await.unwrap();
    store.close().await;
    let store = Store::open(folder.path()).await.unwrap();
    assert_eq!(store.crossings(&run.id).await.unwrap(), now);
    assert_eq!(store.crossing(&before[0].id).await.unwrap(), before[0]);
    // Back at its old place it is a third version, with crossings of its own.
    let back = store.change_line(&first.id, "gate", &geometry(200.0)).await.unwrap();
    store.fold_lines(&run.id).await.unwrap();
    assert_eq!(back.line.version_number, 3);
    assert_eq!(counts(&store, &run.id, &first.id).await, (2, 1));
    assert!(
        store.crossings(&run.id).await.unwrap().iter().all(|new| before.iter().all(|old| old.id != new.id))
    );
    assert_eq!(store.line_versions(&first.id).await.unwrap().len(), 3);
    let refused = store.change_line("nobody", "gate", &geometry(1.0)).await;
    assert!(matches!(refused, Err(Error::NotFound { kind: "line", .. })));
}

#[tokio::test]
async fn a_line_of_a_source_holds_for_all_its_recordings_scaled_to_their_size() {
    let (_folder, store) = opened().await;
    let drawn_on = described(&store, "a", (800, 400)).await;
    let half = described(&store, "b", (400, 200)).await;
    let upright = described(&store, "c", (400, 800)).await;
    let older = counted(&store, &drawn_on.id, "s", Walk::default()).await;
    let small = counted(&store, &half.id, "s", Walk { scale: 0.5, ..Walk::default() }).await;
    let other = counted(&store, &upright.id, "s", Walk::default()).await;
    let drawn =
        store.add_line(&line(LineScope::Source(drawn_on.source_id.clone()), "gate", 200.0)).await.unwrap();
    for run in store.runs_behind_on_lines(None).await.unwrap() {
        store.fold_lines(&run).await.unwrap();
    }
    assert_eq!(counts(&store, &older.id, &drawn.id).await, (2, 1));
    assert_eq!(counts(&store, &small.id, &drawn.id).await, (2, 1));
    // A picture of another aspect: the line is reported as not applying.
    let there = store.lines_of_video(&upright.id).await.unwrap();
    assert!(there.len() == 1 && there[0].on_video.is_none() && there[0].segment().is_none());
    assert_eq!(counts(&store, &other.id, &drawn.id).await, (0, 0));
    let scaled = store.lines_of_video(&half.id).await.unwrap()[0].on_video.unwrap();
    assert_eq!((scaled.x1_px, scaled.picture_width_px), (100.0, Some(400)));

    // A newer recording has the line from the beginning.
    let newer = described(&store, "d", (800, 400)).await;
    let run = counted(&store, &newer.id, "s", Walk::default()).await;
    assert_eq!(counts(&store, &run.id, &drawn.id).await, (2, 1));
    // One of another source does not, until it is moved there.
    let elsewhere = common::described_in(&store, "e", (800, 400), &folder_source("/other")).await;
    let run = counted(&store, &elsewhere.id, "s", Walk::default()).await;
    assert!(store.lines_of_video(&elsewhere.id).await.unwrap().is_empty());
    store.move_video(&elsewhere.id, &drawn_on.source_id).await.unwrap();
    store.fold_lines(&run.id).await.unwrap();
    assert_eq!(counts(&store, &run.id, &drawn.id).await, (2, 1));
    // Moved away again, its crossings are kept and not shown.
    store.move_video(&elsewhere.id, &elsewhere.source_id).await.unwrap();
    assert!(store.crossings(&run.id).await.unwrap().is_empty());
    assert_eq!(store.crossings_of_version(&run.id, &drawn.version_id).await.unwrap().len(), 3);
    for refused in
        [store.move_video("nobody", &drawn_on.source_id).await, store.move_video(&half.id, "nobody").await]
    {
        assert!(matches!(refused, Err(Error::NotFound { .. })));
    }
}

#[tokio::test]
async fn a_line_drawn_during_a_run_catches_up() {
    let (_folder, store) = opened().await;
    let video = described(&store, "a", (800, 400)).await;
    let run = store.start_run(&common::new_run(&video.id, "s")).await.unwrap();
    write_walk(&store, &run, Walk { to: 40, ..Walk::default() }).await;
    let drawn = store.add_line(&line(LineScope::Video(video.id.clone()), "late", 200.0)).await.unwrap();
    // It hasn't been counted over the existing frames: the next checkpoint finds it behind.
    let run = store.run(&run.id).await.unwrap();
    write_walk(&store, &run, Walk { from: 40, is_last: true, ..Walk::default() }).await;
    assert!(store.line_progress(&run.id).await.unwrap()[&drawn.version_id].is_up_to_date);
    assert_eq!(counts(&store, &run.id, &drawn.id).await, (2, 1));
    // Many at once count each crossing once.
    let moved = store.change_line(&drawn.id, "late", &geometry(210.0)).await.unwrap();
    let (one, other, third) =
        tokio::join!(store.fold_lines(&run.id), store.fold_lines(&run.id), store.fold_lines(&run.id));
    assert!(one.is_ok() && other.is_ok() && third.is_ok());
    let crossings = store.crossings_of_version(&run.id, &moved.line.version_id).await.unwrap();
    assert_eq!(crossings.len(), 3, "{crossings:?}");
    assert_eq!(store.run(&run.id).await.unwrap().state, RunState::Done);
}
