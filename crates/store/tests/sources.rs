//! Sources, presence and leases.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{described, described_in, file, folder_source, opened};
use pigweight_store::{FileIdentity, FileStat, NewSource, SourceChange, SourceKind};
use std::collections::BTreeSet;

fn set(ids: &[&String]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).clone()).collect()
}

#[tokio::test]
async fn files_of_a_folder_share_a_source_and_each_upload_has_its_own() {
    let (_folder, store) = opened().await;
    let (a, b) = (described(&store, "a", (800, 400)).await, described(&store, "b", (800, 400)).await);
    let other = described_in(&store, "c", (800, 400), &folder_source("/w")).await;
    let one = described_in(&store, "d", (800, 400), &NewSource::Upload).await;
    let two = described_in(&store, "e", (800, 400), &NewSource::Upload).await;
    assert_eq!(a.source_id, b.source_id);
    assert_eq!(set(&[&a.source_id, &other.source_id, &one.source_id, &two.source_id]).len(), 4);
    assert_eq!(store.source(&one.source_id).await.unwrap().kind, SourceKind::Upload);
    // A file that takes the place of another one belongs where that one belonged, also if that was moved.
    store.move_video(&a.id, &other.source_id).await.unwrap();
    let replacement = FileIdentity { head_hash: "new".into(), ..file("a") };
    let replaced = store.add_video(&replacement, "a", &folder_source("/v")).await.unwrap();
    assert_ne!(replaced.id, a.id);
    assert_eq!(replaced.source_id, other.source_id);

    // A threshold of the source holds for its recordings, and a recording's own goes before it.
    let change = SourceChange {
        name: Some("двор".into()),
        min_score: Some(Some(0.4)),
        animals: Some(Some(30)),
        ..SourceChange::default()
    };
    let changed = store.change_source(&b.source_id, &change).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.min_score), ("двор", Some(0.4)));
    assert_eq!(store.video(&b.id).await.unwrap().min_score, Some(0.4));
    assert_eq!(store.set_video_min_score(&b.id, Some(0.5), None).await.unwrap().min_score, Some(0.5));
    // A fitted one holds for the model that it was fitted with.
    let fitted = store.set_video_min_score(&b.id, Some(0.2), Some("one")).await.unwrap();
    assert_eq!((fitted.min_score_for("one"), fitted.min_score_for("other")), (Some(0.2), Some(0.4)));
    let back = SourceChange { min_score: Some(None), ..SourceChange::default() };
    assert_eq!(store.change_source(&b.source_id, &back).await.unwrap().name, "двор");
    assert_eq!(store.set_video_min_score(&b.id, None, None).await.unwrap().min_score, None);
    // Listed in pages.
    let first = store.sources(None, 2).await.unwrap();
    let second = store.sources(Some(&first[1].id), 10).await.unwrap();
    assert_eq!((first.len(), second.len()), (2, 2));
}

#[tokio::test]
async fn presence_comes_from_the_last_scan_or_an_upload() {
    let (_folder, store) = opened().await;
    let (a, b) = (described(&store, "a", (800, 400)).await, described(&store, "b", (800, 400)).await);
    assert!(!a.is_present);
    store.register_process("one", true).await.unwrap();
    store.set_present("one", &set(&[&a.id]), store.scan_start_millis()).await.unwrap();
    let listed = async || {
        store.videos_page(None, None, 10).await.unwrap().into_iter().map(|v| v.id).collect::<Vec<_>>()
    };
    assert_eq!(listed().await, std::slice::from_ref(&a.id));
    // An upload that came while a scan went on stays.
    let started = store.scan_start_millis() - 1000;
    store.add_present("one", &b.id).await.unwrap();
    store.set_present("one", &BTreeSet::new(), started).await.unwrap();
    assert!(store.video(&b.id).await.unwrap().is_present);
    store.set_present("one", &set(&[&a.id, &b.id]), store.scan_start_millis()).await.unwrap();
    // The next process takes over what the one before saw, until its own first scan.
    store.register_process("two", true).await.unwrap();
    assert_eq!(listed().await.len(), 2);
    store.set_present("two", &set(&[&b.id]), store.scan_start_millis() + 1).await.unwrap();
    assert_eq!(listed().await, std::slice::from_ref(&b.id));
    // A file that was replaced is not there.
    let replacement = FileIdentity { head_hash: "new".into(), ..file("b") };
    store.add_video(&replacement, "b", &folder_source("/v")).await.unwrap();
    assert!(listed().await.is_empty());
}

#[tokio::test]
async fn pages_follow_each_other_without_a_gap() {
    let (_folder, store) = opened().await;
    store.register_process("one", true).await.unwrap();
    let mut ids = BTreeSet::new();
    for name in ["a", "b", "c", "d", "e"] {
        // Two of one name are told apart by their identifiers.
        ids.insert(described(&store, name, (800, 400)).await.id);
    }
    store.set_present("one", &ids, store.scan_start_millis()).await.unwrap();
    let (mut after, mut names) = (None, Vec::new());
    loop {
        let page = store.videos_page(None, after.as_deref(), 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        names.extend(page.iter().map(|video| video.name.clone()));
    }
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
}

#[test]
fn a_file_is_unchanged_only_if_its_inode_says_so() {
    let stat = FileStat { size_bytes: 1, modified_nanos: 2, changed_nanos: Some(3), inode: Some(4) };
    assert!(stat.is_unchanged(&stat));
    for other in [
        FileStat { size_bytes: 2, ..stat },
        FileStat { modified_nanos: 3, ..stat },
        FileStat { changed_nanos: Some(4), ..stat },
        FileStat { inode: Some(5), ..stat },
        FileStat { changed_nanos: None, ..stat },
    ] {
        assert!(!stat.is_unchanged(&other));
    }
    let unknown = FileStat { changed_nanos: None, ..stat };
    assert!(!unknown.is_unchanged(&unknown), "a file system without a time of change");
}
