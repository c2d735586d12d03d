//! Jobs from a user's view: list, order, stop, retry; they survive whatever ends the server; short videos don't wait for long ones.

use crate::server::{Answer, Server, model, pigweight};
use crate::workers::signal;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// So that counting takes its time.
const EVERY_FRAME: (&str, &str) = ("PIGWEIGHT_DETECT__INFERENCE_HZ", "0");
pub const NO_PICTURES: (&str, &str) = ("PIGWEIGHT_PREVIEW__DISK_GB", "0");
pub const ONE_BY_ONE: (&str, &str) = ("PIGWEIGHT_JOBS__AT_ONCE", "1");

/// A drawn corridor of ten seconds, over and over, under these names; each with so many rounds.
pub fn videos(rounds: &[(&str, u32)]) -> tempfile::TempDir {
    let (folder, drawn) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    crate::kept::demo(&["--marked", "--secs", "10"], drawn.path());
    for (name, rounds) in rounds {
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-stream_loop", &(rounds - 1).to_string(), "-i"]);
        ffmpeg.arg(drawn.path().join("corridor.mp4")).args(["-c", "copy"]).arg(folder.path().join(name));
        assert!(ffmpeg.status().expect("ffmpeg is installed").success());
    }
    folder
}

pub fn start(videos: &Path, data: &Path, settings: &[(&str, &str)]) -> Server {
    Server::start_with(videos, data, Some(&model()), &[&[NO_PICTURES, EVERY_FRAME], settings].concat())
}

pub fn jobs(server: &Server) -> Vec<Value> {
    server.get("/api/jobs").json()["jobs"].as_array().unwrap().clone()
}

/// The job of this video, once it is there.
pub fn job(server: &Server, name: &str) -> Value {
    wait(|| jobs(server).into_iter().find(|job| job["video_name"] == name))
}

pub fn wait<T>(mut found: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = found() {
            return found;
        }
        crate::server::pause();
    }
}

pub fn wait_for(server: &Server, name: &str, state: &str) -> Value {
    wait(|| Some(job(server, name)).filter(|job| job["state"] == state))
}

pub fn id(job: &Value) -> &str {
    job["id"].as_str().unwrap()
}

pub fn tell(server: &Server, job: &Value, what: &str) -> Answer {
    server.ask("POST", &format!("/api/jobs/{}/{what}", id(job)), &[], None)
}

pub fn prioritise(server: &Server, job: &Value, priority: &Value) -> Answer {
    let body = json!({ "priority": priority }).to_string();
    server.ask("PUT", &format!("/api/jobs/{}/priority", id(job)), &[], Some(&body))
}

#[test]
fn a_short_video_does_not_wait_for_long_ones_and_no_progress_is_lost() {
    let videos = videos(&[("a long.mp4", 12), ("b long.mp4", 12), ("c short.mp4", 1)]);
    let data = tempfile::tempdir().unwrap();
    let server = start(videos.path(), data.path(), &[]);
    wait_for(&server, "c short.mp4", "done");
    for name in ["a long.mp4", "b long.mp4"] {
        let job = job(&server, name);
        assert!(["running", "waiting"].contains(&job["state"].as_str().unwrap()), "{job}");
    }
    assert!(jobs(&server).iter().filter(|job| job["state"] == "running").count() <= 2, "two at once");
    let left = server.get("/api/jobs").json();
    assert_eq!(left["counts"]["done"], 1, "{left}");
    for name in ["a long.mp4", "b long.mp4"] {
        let done = wait_for(&server, name, "done");
        assert_eq!(done["frames_done"], done["frames_total"]);
        assert_eq!(
            server.video(name)["run"]["frames_done"],
            done["frames_total"],
            "neither lost nor doubled"
        );
    }
    assert_eq!(server.get("/api/jobs").json()["eta_secs"], Value::Null, "nothing goes on");
}

#[test]
fn higher_priority_runs_first_and_running_jobs_yield() {
    let videos = videos(&[("a.mp4", 12), ("b.mp4", 12), ("c.mp4", 1)]);
    let data = tempfile::tempdir().unwrap();
    let server = start(videos.path(), data.path(), &[ONE_BY_ONE]);
    wait_for(&server, "a.mp4", "running");
    let last = job(&server, "c.mp4");
    assert_eq!((&last["state"], &last["place"], &last["tries"]), (&"waiting".into(), &2.into(), &0.into()));
    let first = prioritise(&server, &last, &json!(50)).json();
    assert_eq!((&first["priority"], &first["place"]), (&50.into(), &1.into()));
    wait_for(&server, "c.mp4", "done");
    let given_way = job(&server, "a.mp4");
    assert_ne!(given_way["state"], "done");
    // And is taken up where it was.
    let run = wait(|| job(&server, "a.mp4")["run"].as_str().map(str::to_owned));
    let done = wait_for(&server, "a.mp4", "done");
    assert_eq!((done["run"].as_str(), &done["frames_done"]), (Some(&*run), &done["frames_total"]));
}

#[test]
fn jobs_are_paused_resumed_and_cancelled_and_invalid_requests_are_refused() {
    let videos = videos(&[("a.mp4", 12), ("b.mp4", 1)]);
    let data = tempfile::tempdir().unwrap();
    let server = start(videos.path(), data.path(), &[ONE_BY_ONE]);
    wait(|| job(&server, "a.mp4")["run"].as_str().map(str::to_owned));
    let running = job(&server, "a.mp4");
    assert_eq!(running["state"], "running");

    let cancelled = tell(&server, &running, "cancel");
    assert_eq!((cancelled.status, &cancelled.json()["state"]), (200, &"cancelled".into()));
    // The other has its turn, and this one stays as it is.
    wait_for(&server, "b.mp4", "done");
    let video = server.video("a.mp4");
    assert_eq!((&video["run"]["state"], &video["job"]["state"]), (&"cancelled".into(), &"cancelled".into()));
    let done_before = video["run"]["frames_done"].as_i64().unwrap();
    assert!(done_before > 0 && video["run"]["frames_per_sec"].is_null(), "{video}");
    for (what, job) in
        [("cancel", &running), ("pause", &running), ("resume", &running), ("retry", &job(&server, "b.mp4"))]
    {
        let message = tell(&server, job, what).problem(409);
        assert!(message.contains(id(job)) && message.contains("; only"), "{message}");
    }
    assert!(prioritise(&server, &running, &json!(1)).problem(409).contains("cancelled"));

    let again = tell(&server, &running, "retry");
    assert_eq!((again.status, &again.json()["state"]), (200, &"waiting".into()));
    wait_for(&server, "a.mp4", "running");
    assert_eq!(tell(&server, &running, "pause").json()["state"], "paused");
    wait(|| Some(server.video("a.mp4")).filter(|video| video["run"]["state"] == "queued"));
    let paused = server.video("a.mp4");
    assert_eq!((&paused["paused"], &paused["job"]["state"]), (&true.into(), &"paused".into()));
    assert!(paused["run"]["frames_done"].as_i64().unwrap() >= done_before, "it goes on where it was");
    // The pause of the video and the one of its job are the same.
    let work = format!("/api/videos/{}/work", paused["id"].as_str().unwrap());
    assert_eq!(server.ask("PUT", &work, &[], Some("{\"paused\": false}")).status, 200);
    let done = wait_for(&server, "a.mp4", "done");
    assert_eq!(done["frames_done"], done["frames_total"]);
    assert_eq!(jobs(&server).len(), 2, "one each");

    for what in ["pause", "resume", "cancel", "retry"] {
        let message = server.ask("POST", &format!("/api/jobs/nobody/{what}"), &[], None).problem(404);
        assert_eq!(message, "there is no job \"nobody\"");
    }
    server.get("/api/jobs/nobody").problem(404);
    for priority in [json!(101), json!(-101), json!(1e30), json!("first"), json!(1.5), json!(null)] {
        let message = prioritise(&server, &running, &priority).problem(400);
        assert!(message.contains("-100") && !message.contains('\n'), "{message}");
    }
    for (query, words) in
        [("state=asleep", "running, waiting, paused"), ("limit=0", "1000"), ("limit=5000", "1000")]
    {
        assert!(server.get(&format!("/api/jobs?{query}")).problem(400).contains(words), "{query}");
    }
    let of_b =
        server.get(&format!("/api/jobs?video={}", job(&server, "b.mp4")["video"].as_str().unwrap())).json();
    assert_eq!(of_b["jobs"].as_array().unwrap().len(), 1);
    assert_eq!(server.get("/api/jobs?state=failed").json()["jobs"], json!([]));
}

#[test]
fn after_kill_9_jobs_keep_their_state_and_continue() {
    let videos = videos(&[("a.mp4", 8), ("b.mp4", 8), ("c.mp4", 1)]);
    let data = tempfile::tempdir().unwrap();
    let server = start(videos.path(), data.path(), &[ONE_BY_ONE]);
    let run = wait(|| job(&server, "a.mp4")["run"].as_str().map(str::to_owned));
    prioritise(&server, &job(&server, "b.mp4"), &json!(-7));
    tell(&server, &job(&server, "c.mp4"), "cancel");
    server.kill();

    let server = start(videos.path(), data.path(), &[ONE_BY_ONE]);
    let (a, b, c) = (wait_for(&server, "a.mp4", "running"), job(&server, "b.mp4"), job(&server, "c.mp4"));
    assert_eq!(
        (a["run"].as_str(), &b["priority"], &c["state"]),
        (Some(&*run), &(-7).into(), &"cancelled".into())
    );
    for name in ["a.mp4", "b.mp4"] {
        let done = wait_for(&server, name, "done");
        assert_eq!(done["frames_done"], done["frames_total"], "{done}");
    }
    assert_eq!(jobs(&server).len(), 3, "none is doubled");
    assert_eq!(job(&server, "c.mp4")["state"], "cancelled");
}

/// A file that ends every process that reads it must not keep the others from their turn for ever.
#[test]
fn a_video_that_kills_its_workers_has_a_limited_number_of_attempts() {
    let videos = videos(&[("a.mp4", 12)]);
    let data = tempfile::tempdir().unwrap();
    let server = start(videos.path(), data.path(), &[ONE_BY_ONE]);
    // Before the first step, each time.
    let failed = wait(|| {
        for pid in server.workers() {
            // It may have ended meanwhile.
            let _gone = Command::new("kill").args(["-KILL", &pid.to_string()]).output();
        }
        Some(job(&server, "a.mp4")).filter(|job| job["state"] == "failed")
    });
    let error = failed["error"].as_str().unwrap();
    assert!(!error.contains('\n') && failed["finished_at"].is_string(), "{failed}");
    assert_eq!(failed["tries"], 3, "{failed}");
    // Paused, it is counted when it is resumed.
    assert_eq!(tell(&server, &failed, "retry").status, 200);
    let done = wait_for(&server, "a.mp4", "done");
    assert_eq!((&done["frames_done"], &done["error"]), (&done["frames_total"], &Value::Null));
}

#[test]
fn a_removed_video_keeps_its_job_and_an_open_one_is_counted_to_its_end() {
    let videos = videos(&[("a.mp4", 12), ("b.mp4", 1)]);
    let (data, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = start(videos.path(), data.path(), &[ONE_BY_ONE]);
    wait(|| job(&server, "a.mp4")["run"].as_str().map(str::to_owned));
    let takes = |from: &Path, to: &Path, name: &str| std::fs::rename(from.join(name), to.join(name)).unwrap();
    for name in ["a.mp4", "b.mp4"] {
        takes(videos.path(), elsewhere.path(), name);
    }
    // A request makes the server scan its folders at once.
    let look = |name: &str| prioritise(&server, &job(&server, name), &json!(0));
    let missing = wait(|| {
        look("b.mp4");
        Some(job(&server, "b.mp4")).filter(|job| job["error"].is_string())
    });
    assert_eq!(missing["state"], "waiting");
    assert!(missing["error"].as_str().unwrap().contains("not in its folder"), "{missing}");
    // What was open stays open.
    let read = wait_for(&server, "a.mp4", "done");
    assert_eq!(read["frames_done"], read["frames_total"]);
    assert_eq!(job(&server, "b.mp4")["state"], "waiting");
    takes(elsewhere.path(), videos.path(), "b.mp4");
    let found = wait(|| {
        look("b.mp4");
        Some(job(&server, "b.mp4")).filter(|job| job["state"] == "done")
    });
    assert_eq!(found["error"], Value::Null);
}

#[test]
fn the_jobs_command_uses_the_server_or_the_data_folder() {
    let videos = videos(&[("a.mp4", 12), ("b.mp4", 1)]);
    let data = tempfile::tempdir().unwrap();
    let command = |words: &[&str]| {
        let ended = pigweight().arg("jobs").args(words).arg("--data").arg(data.path()).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        (ended.status.code(), String::from_utf8(ended.stdout).unwrap(), said.trim_end().to_owned())
    };
    let listed = |words: &[&str]| -> Value {
        let (code, text, said) = command(words);
        assert_eq!(code, Some(0), "{said}");
        serde_json::from_str(&text).unwrap()
    };
    let check = |name: &str| {
        let jobs = listed(&["--json"]);
        jobs["jobs"].as_array().unwrap().iter().find(|job| job["video_name"] == name).unwrap().clone()
    };
    let server = start(videos.path(), data.path(), &[ONE_BY_ONE]);
    wait(|| job(&server, "a.mp4")["run"].as_str().map(str::to_owned));
    let (a, b) = (check("a.mp4"), check("b.mp4"));
    assert_eq!((&a["state"], &b["state"]), (&"running".into(), &"waiting".into()));
    assert!(a["frames_per_sec"].is_number(), "{a}");
    let (_, text, _) = command(&[]);
    assert!(text.contains("running") && text.contains("frames/s") && text.contains("left"), "{text}");
    assert!(text.ends_with("left\n") && text.contains("1 job running, 1 waiting, 0 paused, "), "{text}");
    // As the list shows it, as a person types it.
    let short = &id(&a)[18..];
    assert!(text.starts_with(short), "{text}");
    assert_eq!(command(&["cancel", &short.to_uppercase()]).0, Some(0));
    wait_for(&server, "b.mp4", "done");
    // Made in the same second, both begin alike.
    let (code, _, said) = command(&["retry", &id(&a)[..4]]);
    assert!(code == Some(1) && said.contains("may mean several jobs") && said.contains(id(&b)), "{said}");
    let (code, _, said) = command(&["retry", &short[5..]]);
    assert!(code == Some(1) && said.contains("type 4 characters") && said.lines().count() == 1, "{said}");
    assert_eq!(listed(&["--json", "--state", "cancelled"])["jobs"][0]["id"], a["id"]);
    let unknown = command(&["pause", "../nobody"]);
    assert_eq!(unknown, (Some(1), String::new(), "pigweight: there is no job \"../nobody\"".to_owned()));
    let (code, _, said) = command(&["retry", id(&b)]);
    assert!(
        code == Some(1) && said.contains("only failed and cancelled") && said.lines().count() == 1,
        "{said}"
    );
    assert_eq!(command(&["prioritise", id(&a), "500"]).0, Some(1));
    assert_eq!(command(&["--state", "asleep"]).0, Some(2));
    server.stop();

    // The same without a server.
    assert_eq!(check("a.mp4")["state"], "cancelled");
    assert_eq!(command(&["retry", &id(&a)[20..]]).0, Some(0));
    assert_eq!(command(&["prioritise", id(&a), "-3"]).0, Some(0));
    let kept = check("a.mp4");
    assert_eq!(
        (&kept["state"], &kept["priority"], &kept["place"]),
        (&"waiting".into(), &(-3).into(), &1.into())
    );
    assert_eq!(command(&["pause", "../nobody"]), unknown);
    let (code, _, said) = command(&["prioritise", id(&a), "-101"]);
    assert!(code == Some(1) && said.contains("-100 (last) to 100 (first)"), "{said}");
    let elsewhere = tempfile::tempdir().unwrap();
    for folder in [elsewhere.path(), Path::new("/nowhere/at all")] {
        let ended = pigweight().arg("jobs").arg("--data").arg(folder).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(ended.status.code() == Some(1) && said.contains("no data folder"), "{said}");
    }
    assert!(elsewhere.path().read_dir().unwrap().next().is_none(), "looking makes nothing");

    let server = start(videos.path(), data.path(), &[]);
    let done = wait_for(&server, "a.mp4", "done");
    assert_eq!(done["frames_done"], done["frames_total"]);
}

#[test]
fn the_count_socket_sends_crossings_device_and_lag() {
    let videos = videos(&[("a.mp4", 12)]);
    let data = tempfile::tempdir().unwrap();
    let server = start(videos.path(), data.path(), &[]);
    let video = crate::api::indexed(&server, "a.mp4");
    let video_id = video["id"].as_str().unwrap();
    let (width, height) = (video["width"].as_f64().unwrap(), video["height"].as_f64().unwrap());
    let line = json!({ "video": video_id, "name": "ramp", "x1": width / 2.0, "y1": height, "x2": width / 2.0, "y2": 0 });
    assert_eq!(server.ask("POST", "/api/lines", &[], Some(&line.to_string())).status, 201);
    let going_on = server.wait_for_run(video_id, "running");
    let lag = &going_on["lag"];
    let (secs, frames) = (lag["video_secs"].as_f64().unwrap(), lag["backlog_frames"].as_i64().unwrap());
    let duration_secs = video["duration_secs"].as_f64().unwrap();
    assert!(secs > 0.0 && secs < duration_secs && frames > 0, "{going_on}");
    assert!((0.0..60.0).contains(&lag["age_secs"].as_f64().unwrap()), "{going_on}");
    assert_eq!((&going_on["device"], &going_on["crossings"][0]["name"]), (&"cpu".into(), &"ramp".into()));
    let metrics = String::from_utf8(server.get("/metrics").bytes).unwrap();
    for name in ["backlog_frames", "lag_seconds", "figures_age_seconds"] {
        let figure = format!("pigweight_source_{name}{{source=\"a.mp4\"}} ");
        assert_eq!(
            metrics.lines().filter(|line| line.starts_with(&figure)).count(),
            1,
            "{name} in\n{metrics}"
        );
    }
    assert!(metrics.contains("pigweight_jobs{state=\"running\"} 1"), "{metrics}");

    let done = server.wait_for_run(video_id, "done");
    wait_for(&server, "a.mp4", "done");
    let metrics = String::from_utf8(server.get("/metrics").bytes).unwrap();
    assert!(metrics.contains("pigweight_jobs{state=\"running\"} 0"), "none goes on any more: {metrics}");
    assert_eq!(done["lag"], json!({ "video_secs": 0.0, "backlog_frames": 0, "age_secs": null }), "{done}");
    let counted = server.get(&format!("/api/lines?video={video_id}")).json();
    let crossed = &done["crossings"][0];
    assert_eq!(
        (&crossed["forward"], &crossed["backward"]),
        (&counted[0]["forward"], &counted[0]["backward"])
    );
    assert!(crossed["forward"].as_i64().unwrap() + crossed["backward"].as_i64().unwrap() > 0, "{done}");
    wait_for(&server, "a.mp4", "done");
    let metrics = String::from_utf8(server.get("/metrics").bytes).unwrap();
    assert!(!metrics.contains("pigweight_source_"), "of what nobody works on nothing is told");
}

#[test]
fn a_job_reports_a_full_disk_and_continues_when_there_is_room() {
    crate::small_disk::with("16m", fill_the_disk);
}

#[test]
fn a_full_disk_is_reported_while_no_job_runs() {
    crate::small_disk::with("16m", |data| {
        let videos = tempfile::tempdir().unwrap();
        let server = start(videos.path(), data, &[]);
        assert_eq!(server.get("/api/health").json()["status"], "ok");
        let ballast = data.join("ballast");
        std::fs::write(&ballast, vec![0; 20 << 20]).unwrap_err();
        let health = server.get("/api/health").json();
        assert_eq!((&health["status"], &health["reason_code"]), (&"degraded".into(), &"disk_full".into()));
        let message = health["message"].as_str().unwrap();
        assert!(message.contains(data.to_str().unwrap()) && message.contains("free some space"), "{message}");
        std::fs::remove_file(&ballast).unwrap();
        assert_eq!(server.get("/api/health").json()["status"], "ok");
    });
}

#[test]
fn a_video_that_comes_while_the_disk_is_full_is_registered_when_there_is_room() {
    crate::small_disk::with("16m", |data| {
        let (kept, folder) = (videos(&[("a.mp4", 1)]), tempfile::tempdir().unwrap());
        let settings = [NO_PICTURES, EVERY_FRAME, ("ORT_DYLIB_PATH", crate::server::NO_RUNTIME)];
        let server = Server::start_asking(folder.path(), data, None, &settings);
        let ballast = data.join("ballast");
        std::fs::write(&ballast, vec![0; 20 << 20]).unwrap_err();
        std::fs::copy(kept.path().join("a.mp4"), folder.path().join("a.mp4")).unwrap();
        let health = wait(|| {
            let health = server.get("/api/health").json();
            Some(health)
                .filter(|health| health["message"].as_str().is_some_and(|text| text.contains("was not done")))
        });
        assert_eq!((&health["status"], &health["reason_code"]), (&"degraded".into(), &"disk_full".into()));
        std::fs::remove_file(&ballast).unwrap();
        crate::api::wait_for_video(&server, "a.mp4");
        wait(|| Some(()).filter(|()| server.get("/api/health").json()["status"] == "no_model"));
    });
}

fn fill_the_disk(data: &Path) {
    let videos = videos(&[("a.mp4", 12)]);
    let ballast: PathBuf = data.join("ballast");
    let server = start(videos.path(), data, &[]);
    wait(|| job(&server, "a.mp4")["run"].as_str().map(str::to_owned));
    std::fs::write(&ballast, vec![0; 20 << 20]).unwrap_err();
    let waiting = wait(|| {
        let job = job(&server, "a.mp4");
        assert_ne!(job["state"], "done", "the video is too short for this machine");
        Some(job).filter(|job| job["error"].is_string())
    });
    assert_eq!(waiting["state"], "running");
    assert!(waiting["error"].as_str().unwrap().contains("disk is full"), "{waiting}");
    assert_eq!(server.get("/api/health").json()["status"], "degraded");
    std::fs::remove_file(&ballast).unwrap();
    // If it is paused meanwhile, it is given back and not held for ever.
    assert_eq!(tell(&server, &waiting, "pause").json()["state"], "paused");
    prioritise(&server, &waiting, &json!(1));
    assert_eq!(tell(&server, &waiting, "resume").status, 200);
    let done = wait_for(&server, "a.mp4", "done");
    assert_eq!((&done["frames_done"], &done["error"]), (&done["frames_total"], &Value::Null));
    let video = server.video("a.mp4");
    assert_eq!(video["run"]["frames_done"], video["frames"], "neither lost nor doubled");
}

/// The kind of process that reads a video may be stopped for a while by its machine.
#[test]
fn a_job_keeps_its_lease_while_its_worker_is_silent() {
    let videos = videos(&[("a.mp4", 12)]);
    let data = tempfile::tempdir().unwrap();
    let server = start(videos.path(), data.path(), &[]);
    wait(|| job(&server, "a.mp4")["run"].as_str().map(str::to_owned));
    let readers = server.workers();
    for &pid in &readers {
        signal(pid, "-STOP");
    }
    let stuck = server.wait_for_run(job(&server, "a.mp4")["video"].as_str().unwrap(), "running");
    assert!(stuck["lag"]["backlog_frames"].as_i64().unwrap() > 0);
    assert_eq!(job(&server, "a.mp4")["state"], "running");
    for &pid in &readers {
        signal(pid, "-CONT");
    }
    let done = wait_for(&server, "a.mp4", "done");
    assert_eq!(done["frames_done"], done["frames_total"]);
}
