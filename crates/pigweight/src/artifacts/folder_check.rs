//! Verifies the files of a data folder: previews against their end offsets and owners, recordings and clips against the store, unfinished
//! uploads, orphaned files.
//! Changes nothing.

use crate::artifacts::recordings;
use pigweight_media::{preview, sprites};
use pigweight_store::{Finding, Store, VideoRecord};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// Files of a data folder. SQLite leaves the last two if a process was killed.
const OWNED: [&str; 10] = [
    "lock",
    "pigweight.sqlite",
    "previews",
    "uploads",
    "recordings",
    "clips",
    "detectors",
    "engines",
    "pigweight.sqlite-shm",
    "pigweight.sqlite-wal",
];
/// Files of a source's detector: what was asked for, the detector, and its state and lock while it is made.
const DETECTOR_ENDINGS: [&str; 4] = ["json", "onnx", "onnx.partial", "onnx.lock"];
/// How files begin that are written and then renamed.
const BEING_WRITTEN: &str = ".tmp";
/// Files of an unfinished upload, next to the finished ones.
const PARTIAL: &str = ".partial";
/// Clips of cameras, a folder for each.
const CLIPS: &str = "clips";
/// How clips begin that are being made.
const CLIP_BEING_MADE: &str = ".partial-";
/// Files of a video's previews, besides the numbered thumbnail sheets.
const PREVIEWS: [&str; 5] = ["frames.jpegs", "frames.ends", "used", "taken-away", sprites::MAP];

/// Verifies the files of a store's data folder, and reports each finding at once.
///
/// # Errors
/// If the folder or the store can't be read.
pub async fn check(
    folder: &Path,
    store: &Store,
    tell: &mut (dyn FnMut(Finding) + Send),
) -> anyhow::Result<()> {
    let videos: BTreeMap<String, VideoRecord> =
        store.all_videos().await?.into_iter().map(|video| (video.id.clone(), video)).collect();
    for path in entries(folder)? {
        if !OWNED.contains(&&*name(&path)) {
            tell(nobody_owns(&path));
        }
    }
    for path in entries(&folder.join("previews"))? {
        match videos.get(&name(&path)) {
            Some(video) => check_previews(&path, video, tell)?,
            None => {
                let what = format!("{} belongs to no video; it can be deleted", path.display());
                tell(Finding::new("preview_without_video", what));
            }
        }
    }
    check_uploads(&folder.join("uploads").join(PARTIAL), tell)?;
    check_recordings(&folder.join(recordings::FOLDER), store, tell).await?;
    check_clips(&folder.join(CLIPS), &videos, tell)?;
    check_detectors(&folder.join("detectors"), store, tell).await
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn nobody_owns(path: &Path) -> Finding {
    let what = format!("{} is not PigWeight's; move it elsewhere", path.display());
    Finding::new("file_nobody_owns", what)
}

/// Sorted by name; empty if the folder doesn't exist.
fn entries(folder: &Path) -> io::Result<BTreeSet<PathBuf>> {
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(error),
    }
}

fn check_previews(
    folder: &Path,
    video: &VideoRecord,
    tell: &mut (dyn FnMut(Finding) + Send),
) -> anyhow::Result<()> {
    let mut wrong = |what: String| {
        let text = format!(
            "previews of {} ({}): {what}; delete the folder, they are made again",
            video.name,
            folder.display()
        );
        tell(Finding::new("preview_wrong", text));
    };
    if let Some(what) = preview::check(folder)? {
        wrong(what);
    } else if let (Some(reader), Some(frames)) = (preview::PreviewReader::open(folder)?, video.frames)
        && reader.frames() > frames.unsigned_abs()
    {
        wrong(format!("there are {} pictures and the video has {frames} frames", reader.frames()));
    }
    let mut sheets = BTreeSet::new();
    let map = folder.join(sprites::MAP);
    if map.is_file() {
        let map = std::fs::read(&map)?;
        let map = String::from_utf8_lossy(&map);
        sheets.extend(map.lines().filter_map(|line| Some(line.split_once("#xywh=")?.0.to_owned())));
        if let Some(missing) = sheets.iter().find(|sheet| !folder.join(sheet).is_file()) {
            wrong(format!("{} names {missing}, which is not there", sprites::MAP));
        }
    }
    for path in entries(folder)? {
        let name = name(&path);
        // Sheets without a map yet are numbered all the same.
        let is_sheet = name.strip_suffix(".jpg").is_some_and(|number| number.parse::<u32>().is_ok());
        if !PREVIEWS.contains(&&*name) && !is_sheet {
            tell(nobody_owns(&path));
        }
    }
    Ok(())
}

async fn check_recordings(
    folder: &Path,
    store: &Store,
    tell: &mut (dyn FnMut(Finding) + Send),
) -> anyhow::Result<()> {
    const REPAIR: &str = "the next start of `pigweight serve` puts that right";
    let mut known = BTreeSet::new();
    for recording in store.all_recordings().await? {
        let path = folder.join(&recording.source_id).join(format!("{}.mp4", recording.id));
        let size_bytes = path.metadata().ok().map(|file| file.len().cast_signed());
        let shown = path.display();
        match size_bytes {
            None => {
                let what =
                    format!("the recording {shown} is gone; mount its disk, or copy it back from a backup");
                tell(Finding::new("recording_without_file", what));
            }
            Some(_) if recording.end_ticks.is_none() => {
                let what = format!("the recording {shown} was cut off; {REPAIR}");
                tell(Finding::new("recording_unfinished", what));
            }
            Some(here) if here != recording.size_bytes => {
                let what = format!(
                    "the recording {shown} has {here} bytes and should have {}; copy it back from a backup, or delete it",
                    recording.size_bytes
                );
                tell(Finding::new("recording_wrong", what));
            }
            Some(_) => {}
        }
        known.insert(path);
    }
    for camera in entries(folder)? {
        if !camera.is_dir() {
            tell(nobody_owns(&camera));
            continue;
        }
        for path in entries(&camera)?.difference(&known) {
            let what = format!("{} is no known recording; move it elsewhere, or delete it", path.display());
            tell(Finding::new("recording_unknown", what));
        }
    }
    Ok(())
}

/// A clip whose file is gone may have been deleted by a person, as any video.
fn check_clips(
    folder: &Path,
    videos: &BTreeMap<String, VideoRecord>,
    tell: &mut (dyn FnMut(Finding) + Send),
) -> io::Result<()> {
    // Videos know their files by whole paths.
    let folder = match folder.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    let known: BTreeSet<PathBuf> = videos.values().map(VideoRecord::file_path).collect();
    for camera in entries(&folder)? {
        if !camera.is_dir() {
            tell(nobody_owns(&camera));
            continue;
        }
        for path in entries(&camera)? {
            let shown = path.display();
            if name(&path).starts_with(CLIP_BEING_MADE) {
                let what =
                    format!("the clip {shown} was cut off; the next start of `pigweight serve` removes it");
                tell(Finding::new("clip_unfinished", what));
            } else if !known.contains(&path) {
                let what =
                    format!("the clip {shown} isn't known; the next start of `pigweight serve` counts it");
                tell(Finding::new("clip_unknown", what));
            }
        }
    }
    Ok(())
}

async fn check_detectors(
    folder: &Path,
    store: &Store,
    tell: &mut (dyn FnMut(Finding) + Send),
) -> anyhow::Result<()> {
    for path in entries(folder)? {
        let (name, shown) = (name(&path), path.display());
        let (source, ending) = name.split_once('.').unwrap_or((&name, ""));
        if name.starts_with(BEING_WRITTEN) {
            let what = format!("{shown} is left of a write that was cut off; it can be deleted");
            tell(Finding::new("write_cut_off", what));
        } else if !DETECTOR_ENDINGS.contains(&ending) {
            tell(nobody_owns(&path));
        } else if let Err(pigweight_store::Error::NotFound { .. }) = store.source(source).await {
            let what = format!("{shown} belongs to no source; it can be deleted");
            tell(Finding::new("detector_without_source", what));
        }
    }
    Ok(())
}

fn check_uploads(folder: &Path, tell: &mut (dyn FnMut(Finding) + Send)) -> anyhow::Result<()> {
    let paths = entries(folder)?;
    let has = |path: &Path, extension: &str| paths.contains(&path.with_extension(extension));
    for path in &paths {
        let shown = path.display();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("part") if !has(path, "json") => {
                let what = format!("{shown} belongs to no upload; it can be deleted");
                tell(Finding::new("upload_without_announcement", what));
            }
            Some("part") => {}
            Some("json") => match announced(path) {
                None => {
                    let what = format!("{shown} cannot be read; delete it and send the file again");
                    tell(Finding::new("upload_damaged", what));
                }
                Some((file, length)) if has(path, "part") => {
                    let here = path.with_extension("part").metadata()?.len();
                    tell(unfinished(&file, here, length));
                }
                // The result of a finished one, kept so that its client can ask for it.
                Some(_) => {}
            },
            _ => tell(nobody_owns(path)),
        }
    }
    Ok(())
}

fn unfinished(file: &str, here: u64, length: u64) -> Finding {
    let what = match here.cmp(&length) {
        std::cmp::Ordering::Less => "send the rest, or delete it in the page",
        std::cmp::Ordering::Equal => "the next start of `pigweight serve` moves it to its name",
        std::cmp::Ordering::Greater => "it is larger than announced: delete it and send the file again",
    };
    Finding::new(
        "upload_unfinished",
        format!("the upload of {file:?}: {here} of {length} bytes are here; {what}"),
    )
}

fn announced(path: &Path) -> Option<(String, u64)> {
    let announced: serde_json::Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    Some((announced.get("name")?.as_str()?.to_owned(), announced.get("length")?.as_u64()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pigweight_media::preview::PreviewWriter;
    use pigweight_store::{FileIdentity, FileStat, NewSource, NewVideo};

    async fn filled() -> (tempfile::TempDir, Store, PathBuf) {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).await.unwrap();
        let file = FileIdentity {
            path: "/v/a.mp4".into(),
            stat: FileStat { size_bytes: 1, modified_nanos: 1, changed_nanos: None, inode: None },
            head_hash: "a".into(),
            samples_hash: None,
        };
        let video = store.add_video(&file, "a.mp4", &NewSource::Upload).await.unwrap();
        let known = NewVideo { frames: Some(3), ..NewVideo::default() };
        store.describe_video(&video.id, &known).await.unwrap();
        let previews = data.path().join("previews").join(&video.id);
        let mut writer = PreviewWriter::open(&previews, 64).unwrap();
        writer.finish(3).unwrap();
        std::fs::write(previews.join(sprites::MAP), "WEBVTT\n\n0 --> 1\n0.jpg#xywh=0,0,1,1\n").unwrap();
        for sheet in ["0.jpg", "1.jpg", "used"] {
            std::fs::write(previews.join(sheet), "x").unwrap();
        }
        let recording = store.begin_recording(&video.source_id, 0, 0).await.unwrap();
        store.end_recording(&recording, 90_000, 5, 15).await.unwrap();
        let recordings = data.path().join(recordings::FOLDER).join(&video.source_id);
        std::fs::create_dir_all(&recordings).unwrap();
        std::fs::write(recordings.join(format!("{recording}.mp4")), "12345").unwrap();
        let clips = data.path().canonicalize().unwrap().join(CLIPS).join(&video.source_id);
        std::fs::create_dir_all(&clips).unwrap();
        std::fs::write(clips.join("gate.mp4"), "x").unwrap();
        let clip = FileIdentity {
            path: clips.join("gate.mp4").display().to_string(),
            stat: FileStat { size_bytes: 1, modified_nanos: 2, changed_nanos: None, inode: None },
            head_hash: "b".into(),
            samples_hash: None,
        };
        store.add_video(&clip, "gate.mp4", &NewSource::Upload).await.unwrap();
        let detectors = data.path().join("detectors");
        std::fs::create_dir_all(&detectors).unwrap();
        for ending in DETECTOR_ENDINGS {
            std::fs::write(detectors.join(format!("{}.{ending}", video.source_id)), "x").unwrap();
        }
        std::fs::create_dir(data.path().join("engines")).unwrap();
        let partial = data.path().join("uploads").join(PARTIAL);
        std::fs::create_dir_all(&partial).unwrap();
        std::fs::write(partial.join("done.json"), r#"{"name":"b.mp4","length":5,"becomes":"b.mp4"}"#)
            .unwrap();
        (data, store, previews)
    }

    /// The only one.
    fn recording(data: &Path) -> PathBuf {
        let camera = entries(&data.join(recordings::FOLDER)).unwrap().pop_first().unwrap();
        entries(&camera).unwrap().pop_first().unwrap()
    }

    /// The only one.
    fn clip_folder(data: &Path) -> PathBuf {
        entries(&data.join(CLIPS)).unwrap().pop_first().unwrap()
    }

    async fn codes(data: &Path, store: &Store) -> Vec<&'static str> {
        let mut found = Vec::new();
        check(data, store, &mut |finding| found.push(finding)).await.unwrap();
        assert!(found.iter().all(|finding| !finding.text.contains('\n')), "{found:?}");
        found.into_iter().map(|finding| finding.code).collect()
    }

    #[tokio::test]
    async fn each_kind_of_damage_is_found_and_a_sound_folder_has_none() {
        let (data, store, _) = filled().await;
        assert_eq!(codes(data.path(), &store).await, [""; 0]);
        type Damage = fn(&Path, &Path) -> io::Result<()>;
        let damages: [(&str, Damage); 20] = [
            ("recording_without_file", |data, _| std::fs::remove_file(recording(data))),
            ("recording_wrong", |data, _| std::fs::write(recording(data), "x")),
            ("recording_unknown", |data, _| std::fs::write(recording(data).with_file_name("new.mp4"), "x")),
            ("file_nobody_owns", |data, _| std::fs::write(data.join("recordings/notes.txt"), "x")),
            ("clip_unknown", |data, _| std::fs::write(clip_folder(data).join("new.mp4"), "x")),
            ("clip_unfinished", |data, _| std::fs::write(clip_folder(data).join(".partial-a1"), "x")),
            ("file_nobody_owns", |data, _| std::fs::write(data.join("clips/notes.txt"), "x")),
            ("detector_without_source", |data, _| std::fs::write(data.join("detectors/unknown.onnx"), "x")),
            ("write_cut_off", |data, _| std::fs::write(data.join("detectors/.tmpa1b2"), "x")),
            ("file_nobody_owns", |data, _| std::fs::write(data.join("detectors/notes.txt"), "x")),
            ("file_nobody_owns", |data, _| std::fs::write(data.join("notes.txt"), "x")),
            ("file_nobody_owns", |_, previews| std::fs::write(previews.join("notes.txt"), "x")),
            ("preview_without_video", |data, _| std::fs::create_dir(data.join("previews/nobody"))),
            ("preview_wrong", |_, previews| std::fs::remove_file(previews.join("frames.jpegs"))),
            ("preview_wrong", |_, previews| std::fs::write(previews.join("frames.ends"), "nonsense")),
            ("preview_wrong", |_, previews| std::fs::remove_file(previews.join("0.jpg"))),
            ("preview_wrong", |_, previews| {
                // A fourth picture of a video with three frames.
                let mut ends = std::fs::read(previews.join("frames.ends"))?;
                ends.extend([0; 8]);
                std::fs::write(previews.join("frames.ends"), ends)
            }),
            ("upload_unfinished", |data, _| {
                std::fs::write(data.join("uploads/.partial/new.json"), r#"{"name":"c.mp4","length":5}"#)?;
                std::fs::write(data.join("uploads/.partial/new.part"), "xxx")
            }),
            ("upload_damaged", |data, _| std::fs::write(data.join("uploads/.partial/new.json"), "{")),
            ("upload_without_announcement", |data, _| {
                std::fs::write(data.join("uploads/.partial/new.part"), "x")
            }),
        ];
        for (code, damage) in damages {
            let (data, store, previews) = filled().await;
            damage(data.path(), &previews).unwrap();
            assert_eq!(codes(data.path(), &store).await, [code]);
        }
    }
}
