//! Cameras: their sources, their bounds, and where their passwords are.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use pigweight_store::{CameraPlace, Error, SourceKind, Store};
use std::path::Path;

fn place(password: &str) -> CameraPlace {
    CameraPlace {
        counting_url: None,
        url: "rtsp://10.0.0.5/stream".to_owned(),
        user_name: Some("cam".to_owned()),
        password: Some(password.to_owned()),
    }
}

#[tokio::test]
async fn a_camera_is_a_source_whose_counts_stay_when_it_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let camera = store.add_camera("Gate", &place("one"), 2).await.unwrap().unwrap();
    assert_eq!(store.source(&camera.id).await.unwrap().kind, SourceKind::Camera);
    assert!(store.video(&camera.video_id).await.unwrap().is_of_camera);
    assert_eq!(store.videos_page(None, None, 10).await.unwrap().len(), 0, "it is no file");
    assert!(store.add_camera("Ramp", &place("two"), 2).await.unwrap().is_some());
    assert!(
        store.add_camera("Yard", &place("three"), 2).await.unwrap().is_none(),
        "there are as many as may be"
    );
    store.remove_camera(&camera.id).await.unwrap();
    assert!(matches!(store.camera(&camera.id).await, Err(Error::NotFound { .. })));
    assert!(matches!(store.remove_camera(&camera.id).await, Err(Error::NotFound { .. })));
    assert!(matches!(
        store.change_camera(&camera.id, "x", &place("four")).await,
        Err(Error::NotFound { .. })
    ));
    assert!(store.video(&camera.video_id).await.is_ok(), "what was counted stays");
    assert!(!format!("{:?}", store.cameras().await.unwrap()).contains("two"), "no password in a log");
}

fn holds(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|file| {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[tokio::test]
async fn a_removed_password_is_gone_from_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let camera = store.add_camera("Gate", &place("sekret-word"), 2).await.unwrap().unwrap();
    store.change_camera(&camera.id, "Gate", &place("another-word")).await.unwrap();
    store.remove_camera(&camera.id).await.unwrap();
    store.close().await;
    for password in ["sekret-word", "another-word"] {
        assert!(!holds(folder.path(), password), "{password}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_reads_the_database() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let mode = || folder.path().join("pigweight.sqlite").metadata().unwrap().permissions().mode() & 0o777;
    Store::open(folder.path()).await.unwrap().close().await;
    assert_eq!(mode(), 0o600);
    // As an earlier version made it.
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(folder.path().join("pigweight.sqlite"), open).unwrap();
    Store::open(folder.path()).await.unwrap().close().await;
    assert_eq!(mode(), 0o600);
}
