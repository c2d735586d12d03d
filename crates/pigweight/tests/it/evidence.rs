//! What can be taken out to prove a number: the picture of each crossing, and tables for spreadsheets.

use crate::api::indexed;
use crate::jobs::NO_PICTURES;
use crate::server::{Server, model};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn counted() -> (Server, String, tempfile::TempDir, tempfile::TempDir) {
    let (videos, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    crate::kept::demo(&["--marked", "--secs", "10"], videos.path());
    let server = Server::start_with(videos.path(), data.path(), Some(&model()), &[NO_PICTURES]);
    let id = indexed(&server, "corridor.mp4")["id"].as_str().unwrap().to_owned();
    server.wait_for_run(&id, "done");
    (server, id, videos, data)
}

fn draw(server: &Server, id: &str, name: &str) -> Vec<Value> {
    let video = server.get(&format!("/api/videos/{id}")).json();
    let (x, bottom) = (video["width"].as_f64().unwrap() / 2.0, video["height"].as_f64().unwrap());
    let line = json!({"video": id, "name": name, "x1": x, "y1": 0, "x2": x, "y2": bottom}).to_string();
    assert_eq!(server.ask("POST", "/api/lines", &[], Some(&line)).status, 201);
    server.get(&format!("/api/videos/{id}/crossings")).json().as_array().unwrap().clone()
}

#[test]
fn each_crossing_has_the_picture_of_its_animal() {
    let (server, id, videos, _data) = counted();
    let crossings = draw(&server, &id, "gate");
    assert!(!crossings.is_empty());
    let whole = server.get(&format!("/api/videos/{id}")).json();
    let mut pictures = BTreeSet::new();
    for crossing in &crossings {
        let name = crossing["id"].as_str().unwrap();
        let answer = server.get(&format!("/api/videos/{id}/crossings/{name}/picture"));
        assert_eq!((answer.status, answer.header("content-type")), (200, "image/jpeg"));
        assert_eq!(answer.header("x-frame-pts"), crossing["pts"].to_string(), "its very frame");
        assert!(answer.header("cache-control").contains("immutable"));
        let file = videos.path().join("crossing.jpg");
        std::fs::write(&file, &answer.bytes).unwrap();
        let picture = pigweight_media::still::open(&file).unwrap();
        let (width, height) = (picture.view().width, picture.view().height);
        assert!((48..=whole["width"].as_u64().unwrap() as u32 / 2).contains(&width), "{width} × {height}");
        assert!(height >= 48, "{width} × {height}");
        pictures.insert(answer.bytes);
    }
    assert_eq!(pictures.len(), crossings.len(), "each shows its own animal");
    server.get(&format!("/api/videos/{id}/crossings/nothing/picture")).problem(404);
    // Of another video.
    let other = indexed(&server, "pen.mp4")["id"].as_str().unwrap().to_owned();
    let name = crossings[0]["id"].as_str().unwrap();
    server.get(&format!("/api/videos/{other}/crossings/{name}/picture")).problem(404);
    server.stop();
}

#[test]
fn tables_hold_each_crossing_and_each_frame() {
    let (server, id, _videos, _data) = counted();
    let crossings = draw(&server, &id, "=HYPERLINK(\"x\"), gate");
    let table = |what: &str, delimiter: u8| {
        // Compressed, as browsers ask for it.
        let path = format!("/api/videos/{id}/{what}");
        let zipped = server.ask("GET", &path, &[("accept-encoding", "gzip")], None);
        let answer = server.get(&path);
        assert_eq!(zipped.status, 200);
        assert_eq!((answer.status, answer.header("content-type")), (200, "text/csv; charset=utf-8"));
        assert!(answer.header("content-disposition").contains("corridor.mp4"));
        let bytes = answer.bytes.strip_prefix("\u{feff}".as_bytes()).expect("spreadsheets know UTF-8 by it");
        let mut reader = csv::ReaderBuilder::new().has_headers(false).delimiter(delimiter).from_reader(bytes);
        reader
            .records()
            .map(|row| row.unwrap().iter().map(str::to_owned).collect())
            .collect::<Vec<Vec<String>>>()
    };
    let rows = table("crossings.csv", b',');
    assert_eq!(rows[0], ["time", "secs", "line", "direction", "track", "id"]);
    assert_eq!(rows.len(), crossings.len() + 1);
    for (row, crossing) in rows[1..].iter().zip(&crossings) {
        assert_eq!(row[1], format!("{:.3}", crossing["secs"].as_f64().unwrap()));
        assert_eq!(row[2], "'=HYPERLINK(\"x\"), gate", "a name is no formula");
        assert_eq!(
            [&row[3], &row[5]],
            [crossing["direction"].as_str().unwrap(), crossing["id"].as_str().unwrap()]
        );
    }
    let comma = table("crossings.csv?decimal=comma", b';');
    assert_eq!(comma[1][1], rows[1][1].replace('.', ","));
    let counts = table("counts.csv", b',');
    let frames = server.get(&format!("/api/videos/{id}")).json()["frames"].as_u64().unwrap();
    assert_eq!((counts[0].join(" "), counts.len() as u64), ("time secs count".to_owned(), frames + 1));
    let curve = server.get(&format!("/api/videos/{id}/counts?points=10000")).json();
    let curve: Vec<u64> =
        curve["points"].as_array().unwrap().iter().map(|point| point[1].as_f64().unwrap() as u64).collect();
    assert_eq!(counts[1..].iter().map(|row| row[2].parse().unwrap()).collect::<Vec<u64>>(), curve);
    server.get(&format!("/api/videos/{id}/counts.csv?decimal=both")).problem(400);
    server.stop();
}
