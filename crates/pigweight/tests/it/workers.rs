//! Worker processes: they give the same results as reading in the server, and their end never ends the server.

use crate::api::folder_of;
use crate::server::{Answer, Server, model};
use pigweight_media::WorkerSettings;
use pigweight_media::hls::Streamer;
use pigweight_media::isolate::Workers;
use pigweight_media::{DecodedFrame, Error, FrameReader, FrameSeeker, Video};
use pigweight_testkit::videos::video;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

fn workers() -> Workers {
    workers_with(2_000_000_000)
}

fn workers_with(memory_bytes: u64) -> Workers {
    Workers::new(WorkerSettings {
        program: env!("CARGO_BIN_EXE_pigweight").into(),
        arguments: vec!["worker".into()],
        memory_bytes,
        silence: Duration::from_secs(60),
    })
}

/// Its pts, whether it is damaged, its size, and a hash of all its samples.
type Whole = (i64, bool, [u32; 2], String);

fn whole(frame: &DecodedFrame) -> Whole {
    let view = frame.picture.view();
    // JPEG without loss to speak of: equal bytes for equal samples, whatever the strides.
    let jpeg = pigweight_media::jpeg::encode(view, 100, &[], 1.0).expect("a JPEG");
    let hash = blake3::hash(&jpeg).to_hex().to_string();
    (frame.pts.0, frame.is_damaged, [view.width, view.height], hash)
}

fn all(video: &Video) -> (Vec<Whole>, usize) {
    let mut reader = FrameReader::open(video).expect("the reader opens");
    let mut frames = Vec::new();
    while let Some(frame) = reader.next_frame().expect("it reads on") {
        frames.push(whole(&frame));
    }
    assert!(reader.next_frame().expect("the end stays the end").is_none());
    (frames, reader.damaged_packets())
}

#[test]
fn an_isolated_worker_returns_the_same_frames_and_fragments_as_direct_access() {
    let names = [
        "rot90.mp4",
        "vfr.mp4",
        "opengop.ts",
        "hevc10.mkv",
        "mjpeg.avi",
        "vp9.webm",
        "corrupt.mp4",
        "truncated.mkv",
        "raw.h264",
        "oneframe.mp4",
    ];
    for name in names {
        let here = Video::open(&video(name)).expect(name);
        let there = workers().open(&video(name), None).expect(name);
        assert_eq!((here.info(), here.index()), (there.info(), there.index()), "{name}");
        assert_eq!(here.stored_index(), there.stored_index(), "{name}");
        let known = workers().open(&video(name), Some(here.stored_index())).expect(name);
        assert_eq!(here.index(), known.index(), "{name}");
        assert_eq!(all(&here), all(&there), "{name}");
        let (mut seeker_here, mut seeker_there) =
            (FrameSeeker::open(&here).unwrap(), FrameSeeker::open(&there).unwrap());
        // With two threads libav does not always say of the same frame that it is damaged.
        let sought = if name == "corrupt.mp4" { usize::MAX } else { 13 };
        for pts in here.index().frame_pts().collect::<Vec<_>>().into_iter().rev().step_by(sought) {
            let [mine, its] =
                [&mut seeker_here, &mut seeker_there].map(|seeker| seeker.frame(pts).expect(name));
            assert_eq!(whole(&mine), whole(&its), "{name} {pts:?}");
        }
        let outside = pigweight_core::time::Pts(i64::MAX / 2);
        assert_eq!(
            seeker_here.frame(outside).err().map(|error| error.to_string()),
            seeker_there.frame(outside).err().map(|error| error.to_string())
        );
        match (Streamer::open(&here), Streamer::open(&there)) {
            (Ok(mut mine), Ok(mut its)) => {
                assert_eq!(mine.init().unwrap(), its.init().unwrap(), "{name}");
                for number in (0..mine.segments().segments().len()).rev() {
                    let [mine, its] = [&mut mine, &mut its]
                        .map(|streamer| streamer.fragment(number).map_err(|e| e.to_string()));
                    assert_eq!(mine, its, "{name}");
                }
                assert!(matches!(its.fragment(1_000_000), Err(Error::OutsideVideo { .. })));
            }
            (mine, its) => assert_eq!(mine.err().map(|e| e.to_string()), its.err().map(|e| e.to_string())),
        }
    }
}

#[test]
fn a_worker_reports_file_errors_like_direct_access() {
    for name in ["empty.mp4", "nomoov.mp4", "text.mp4", "soundonly.mp4", "nothing.mp4"] {
        let path = video("").join(name);
        let [here, there] =
            [Video::open(&path), workers().open(&path, None)].map(|opened| opened.err().unwrap().to_string());
        assert_eq!(here, there);
    }
}

#[test]
fn an_abandoned_frame_request_stops_its_decoding() {
    let opened = workers().open(&video("gop150.mp4"), None).unwrap();
    let mut seeker = FrameSeeker::open(&opened).unwrap();
    let last = opened.index().last_pts();
    assert!(matches!(seeker.frame_unless(last, &|| true), Err(Error::Cancelled) | Ok(_)));
    assert_eq!(seeker.frame(last).unwrap().pts, last);
}

#[test]
fn a_worker_beyond_its_memory_limit_fails_alone() {
    let opened = workers().open(&video("large8k.mp4"), None).unwrap();
    let first = opened.index().first_pts();
    assert!(FrameSeeker::open(&opened).unwrap().frame(first).is_ok());
    let mut refused = 0;
    for memory_mb in [100, 120, 140, 160, 200, 300, 400] {
        let workers = workers_with(memory_mb * 1_000_000);
        let opened = workers.open(&video("large8k.mp4"), Some(opened.stored_index()));
        if let Err(error) = opened.and_then(|opened| FrameSeeker::open(&opened)?.frame(first)) {
            assert!(error.to_string().contains("memory"), "{memory_mb} MB: {error}");
            refused += 1;
        }
    }
    assert!((1..7).contains(&refused), "8K takes more than 100 MB and less than 400: {refused}");
}

/// How a process is ended from outside: before it has said anything, or in the midst of its first frame.
const BEFORE_A_WORD: &str = "head -c 1 > /dev/null; kill -9 $$";
const IN_A_FRAME: &str = "\"$0.program\" worker | { dd bs=1 count=5000 status=none; kill -9 $$; }";

/// Processes of which those are ended so whose number, from 1, is in `ended`.
fn ended_from_outside(folder: &Path, ended: &[u32], how: &str) -> Workers {
    let pattern = ended.iter().map(u32::to_string).collect::<Vec<_>>().join("|");
    // Each adds a line to the list, and so has a number.
    let script = format!(
        "#!/bin/sh\necho >> \"$0.started\"\ncase $(wc -l < \"$0.started\") in {pattern}) {how};; esac\nexec \"$0.program\" worker\n"
    );
    let program = folder.join("ended");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_pigweight"), folder.join("ended.program")).unwrap();
    Workers::new(WorkerSettings {
        program,
        arguments: Vec::new(),
        memory_bytes: 2_000_000_000,
        silence: Duration::from_secs(60),
    })
}

#[test]
fn a_frame_is_decoded_again_once_when_its_worker_is_killed() {
    // Which are ended and how, whether opening and a frame come to pass all the same, and how many processes are started.
    let cases: [(&[u32], &str, bool, bool, usize); 8] = [
        (&[1], BEFORE_A_WORD, true, true, 3),
        (&[2], BEFORE_A_WORD, true, true, 3),
        (&[1, 3], BEFORE_A_WORD, true, true, 4),
        (&[1, 2], BEFORE_A_WORD, false, false, 2),
        (&[2, 3], BEFORE_A_WORD, true, false, 3),
        (&[2], IN_A_FRAME, true, true, 3),
        (&[2, 3], IN_A_FRAME, true, true, 4),
        (&[2, 3, 4], IN_A_FRAME, true, false, 4),
    ];
    for (ended, how, opens, finds, starts) in cases {
        let folder = tempfile::tempdir().unwrap();
        let opened = ended_from_outside(folder.path(), ended, how).open(&video("gop25.mp4"), None);
        assert_eq!(opened.is_ok(), opens, "{ended:?} {how}");
        if let Ok(opened) = opened {
            let last = opened.index().last_pts();
            let found = FrameSeeker::open(&opened).and_then(|mut seeker| seeker.frame(last));
            assert_eq!(found.as_ref().is_ok_and(|frame| frame.pts == last), finds, "{ended:?} {how}");
            assert!(
                !found.is_err_and(|error| !matches!(error, Error::WorkerEnded { .. })),
                "{ended:?} {how}"
            );
        }
        let started = std::fs::read_to_string(folder.path().join("ended.started")).unwrap().lines().count();
        assert_eq!(started, starts, "bounded: {ended:?} {how}");
    }
}

pub fn signal(pid: u32, signal: &str) {
    let sent = Command::new("kill").args([signal, &pid.to_string()]).status().expect("kill is there");
    assert!(sent.success(), "{signal} {pid}");
}

fn frame_at(server: &Server, id: &str, secs: f64) -> Answer {
    server.get(&format!("/api/video_file/frame_optimized?id={id}&t={secs}"))
}

/// A server that reads videos for nobody but who asks.
fn quiet_server(videos: &Path, data: &Path) -> Server {
    let settings = [("PIGWEIGHT_PREVIEW__DISK_GB", "0"), ("PIGWEIGHT_WORKER__SILENCE_SECS", "2")];
    Server::start_with(videos, data, None, &settings)
}

#[test]
fn a_worker_that_dies_or_hangs_is_replaced_and_the_server_survives() {
    let (videos, data) = (folder_of(&["gop150.mp4"]), tempfile::tempdir().unwrap());
    let server = quiet_server(videos.path(), data.path());
    let id = crate::api::indexed(&server, "gop150.mp4")["id"].as_str().unwrap().to_owned();
    let first = frame_at(&server, &id, 0.0);
    assert_eq!(first.status, 200);
    let the_one = || -> u32 {
        let found = server.workers();
        assert_eq!(found.len(), 1, "one process for the one open video");
        found[0]
    };

    // Ended while idle: callers don't notice.
    let before = the_one();
    signal(before, "-KILL");
    assert_eq!(frame_at(&server, &id, 5.0).status, 200);
    assert_ne!(the_one(), before);

    // Hanging: told, within the time that it is given, and well again with the next request.
    let before = the_one();
    signal(before, "-STOP");
    let advice = frame_at(&server, &id, 1.0).problem(503);
    assert!(advice.contains("got stuck") && advice.contains("try again"), "{advice}");
    assert_eq!(frame_at(&server, &id, 1.0).status, 200);
    assert_ne!(the_one(), before);
    assert_eq!(server.get("/api/health").json()["status"], "no_model");
}

#[test]
fn processes_end_with_their_server() {
    let (videos, data) = (folder_of(&["gop150.mp4"]), tempfile::tempdir().unwrap());
    let server = quiet_server(videos.path(), data.path());
    let id = crate::api::indexed(&server, "gop150.mp4")["id"].as_str().unwrap().to_owned();
    assert_eq!(frame_at(&server, &id, 0.0).status, 200);
    let left = server.workers();
    assert_eq!(left.len(), 1);
    server.kill();
    let runs = |pid: u32| {
        // What is dead and not yet taken note of is dead.
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    };
    while left.iter().any(|&pid| runs(pid)) {
        crate::server::pause();
    }
}

#[test]
fn a_count_continues_after_the_worker_of_the_video_dies() {
    let (videos, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    crate::kept::demo(&["--marked", "--secs", "20"], videos.path());
    let settings = [("PIGWEIGHT_PREVIEW__DISK_GB", "0")];
    let server = Server::start_with(videos.path(), data.path(), Some(&model()), &settings);
    let id = crate::api::indexed(&server, "corridor.mp4")["id"].as_str().unwrap().to_owned();
    server.wait_for_run(&id, "running");
    for pid in server.workers() {
        signal(pid, "-KILL");
    }
    server.wait_for_run(&id, "done");
    let found = server.video("corridor.mp4");
    assert_eq!(found["run"]["frames_done"], found["frames"]);
    // The process's end doesn't affect the schedule: exactly the frames that would have been inferred otherwise are.
    let run = found["run"]["id"].as_str().unwrap();
    let looks = server.get(&format!("/api/videos/{id}/runs/{run}/schedule")).json();
    let reasons: Vec<&str> = looks["inferred_frames"]
        .as_array()
        .unwrap()
        .iter()
        .map(|look| look["reason"].as_str().unwrap())
        .collect();
    let last = reasons.iter().filter(|&&reason| reason == "last").count();
    assert_eq!((last, reasons.last()), (1, Some(&"last")), "{reasons:?}");
    let metrics = String::from_utf8(server.get("/metrics").bytes).unwrap();
    // Of the two videos that are counted at once, this one's process and perhaps the other's.
    let lost = metrics.lines().find_map(|line| line.strip_prefix("pigweight_workers_lost_total "));
    assert!(
        lost.is_some_and(|lost| lost == "1" || lost == "2"),
        "the process was ended in the middle of its work"
    );
}
