//! A viewer's request for a frame that no analysis has reached is answered at once, from the frame itself.

use crate::drawn::{Corridor, FRAMES_PER_SEC};
use crate::server::{Server, model};
use serde_json::Value;

const SECS: u32 = 20;

fn ask(server: &Server, id: &str, secs: f64) -> Value {
    server.get(&format!("/api/video_file/count_at_time?id={id}&t={secs}")).json()
}

#[test]
fn an_uncounted_moment_is_inferred_for_the_request() {
    let corridor = Corridor::draw(4, SECS, false);
    let (videos, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::copy(&corridor.video, videos.path().join("asked.mp4")).unwrap();
    // Another one keeps every session busy meanwhile.
    std::fs::copy(&corridor.video, videos.path().join("busy.mp4")).unwrap();
    let settings = [("PIGWEIGHT_DETECT__INFERENCE_HZ", "0")];
    let server = Server::start_with(videos.path(), data.path(), Some(&model()), &settings);
    let id = crate::api::indexed(&server, "asked.mp4")["id"].as_str().unwrap().to_owned();
    let paused = server.ask("PUT", &format!("/api/videos/{id}/work"), &[], Some("{\"paused\": true}"));
    assert_eq!(paused.status, 200);
    let counted_to = server.video("asked.mp4")["run"]["counted_to_secs"].as_f64().unwrap_or(0.0);
    let mut apart = 0;
    let moments: Vec<u32> = (0..SECS * FRAMES_PER_SEC)
        .step_by(13)
        .filter(|&frame| f64::from(frame) / f64::from(FRAMES_PER_SEC) > counted_to + 1.0)
        .collect();
    for &frame in &moments {
        let secs = (f64::from(frame) + 0.5) / f64::from(FRAMES_PER_SEC);
        let answer = ask(&server, &id, secs);
        assert_eq!((&answer["state"], &answer["cached"]), (&"counted".into(), &false.into()), "{answer}");
        let served = answer["t"].as_f64().unwrap() * f64::from(FRAMES_PER_SEC);
        assert!((served - f64::from(frame)).abs() < 0.1, "{answer}");
        let count = answer["count"].as_u64().unwrap() as u32;
        apart += count.abs_diff(corridor.counts[frame as usize]);
        let again = ask(&server, &id, secs);
        assert_eq!((&again["count"], &again["cached"]), (&answer["count"], &true.into()));
    }
    assert!(moments.len() > 5, "the video was counted before it could be paused");
    // On the picture's edge it is a matter of a pixel whether an animal counts.
    assert!(apart as usize * 3 <= moments.len(), "{apart} apart over {} frames", moments.len());
    let metrics = String::from_utf8(server.get("/metrics").bytes).unwrap();
    assert!(metrics.contains("pigweight_inference_wait_seconds_count{for=\"viewer\"}"), "{metrics}");
    assert!(metrics.contains("pigweight_inference_waiting{for=\"viewer\"} 0"), "{metrics}");
    // Its run, when it continues, gives the same results as without the request.
    server.ask("PUT", &format!("/api/videos/{id}/work"), &[], Some("{\"paused\": false}"));
    server.wait_for_run(&id, "done");
    assert_eq!(ask(&server, &id, 10.0)["cached"], true);
}
