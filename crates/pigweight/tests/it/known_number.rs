//! A person says how many animals there are: it is shown, and the detector's threshold can be fitted to it.

use crate::jobs::{NO_PICTURES, start, videos, wait};
use serde_json::{Value, json};

#[test]
fn a_known_number_holds_for_the_source_and_calibrates_a_video() {
    let (folder, data) = (videos(&[("a.mp4", 4)]), tempfile::tempdir().unwrap());
    let server = start(folder.path(), data.path(), &[NO_PICTURES]);
    let id = server.video("a.mp4")["id"].as_str().unwrap().to_owned();
    let calibrate = |body: &Value| {
        server.ask("POST", &format!("/api/videos/{id}/calibration"), &[], Some(&body.to_string()))
    };
    server.wait_for_run(&id, "done");
    let video = server.video("a.mp4");
    assert_eq!((&video["animals"], &video["min_score"]), (&Value::Null, &Value::Null));
    let message = calibrate(&json!({})).problem(400);
    assert!(message.contains("animals is missing"), "{message}");

    let mean = video["run"]["count"]["mean"].as_f64().unwrap();
    let animals = mean.round().max(1.0);
    let source = format!("/api/sources/{}", video["source"].as_str().unwrap());
    for bad in [json!(0), json!(-3), json!(2.5), json!("30"), json!(1e9)] {
        let body = json!({"animals": bad}).to_string();
        let message = server.ask("PUT", &source, &[], Some(&body)).problem(400);
        assert!(message.contains("a whole number from 1 to 100000, or null"), "{bad}: {message}");
        assert!(calibrate(&json!({"animals": bad})).problem(400).contains("a whole number from 1"), "{bad}");
    }
    let said = server.ask("PUT", &source, &[], Some(&json!({"animals": animals as i64}).to_string()));
    assert_eq!((said.status, &said.json()["animals"]), (200, &json!(animals as i64)));
    assert_eq!(server.video("a.mp4")["animals"], animals as i64);

    // A number that can't be right is refused, and nothing is changed.
    let message = calibrate(&json!({"animals": 1000})).problem(409);
    assert!(message.contains("not 1000") && message.contains("on average"), "{message}");
    assert_eq!(server.video("a.mp4")["min_score"], Value::Null);

    let found = calibrate(&json!({}));
    assert_eq!(found.status, 200, "{}", String::from_utf8_lossy(&found.bytes));
    let found = found.json();
    let after = found["mean_after"].as_f64().unwrap();
    assert!((after - animals).abs() <= 0.5, "{found}");
    assert!((found["mean_before"].as_f64().unwrap() - mean).abs() < 0.01, "{found}");
    let first_run = video["run"]["id"].clone();
    let min_score = found["min_score"].as_f64().unwrap();
    let recounted = wait(|| Some(server.video("a.mp4")).filter(|video| video["run"]["id"] != first_run));
    assert!((recounted["min_score"].as_f64().unwrap() - min_score).abs() < 1e-6);
    assert!((recounted["run"]["count"]["mean"].as_f64().unwrap() - after).abs() < 0.5, "{recounted}");

    // Taken back, the count before is there again at once.
    let body = json!({"min_score": null}).to_string();
    let back = server.ask("PUT", &format!("/api/videos/{id}/settings"), &[], Some(&body));
    assert_eq!(back.status, 200);
    wait(|| Some(server.video("a.mp4")).filter(|video| video["run"]["id"] == first_run));
}
