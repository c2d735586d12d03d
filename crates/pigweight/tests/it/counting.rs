//! `pigweight count` against the truth of a rendered corridor.

use crate::drawn::{Corridor, FRAMES_PER_SEC, printed};
use crate::server::{model, pigweight};
use pigweight_core::line::Direction;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// With animals that come from both sides, turn back and stop on the line, none of them on it at the end.
const SEED: u64 = 4;
const SECS: u32 = 34;

static PLAIN: LazyLock<Corridor> = LazyLock::new(|| Corridor::draw(SEED, SECS, false));

pub fn count(corridor: &Corridor, arguments: &[&str]) -> Command {
    let mut command = pigweight();
    command.arg("count").arg(&corridor.video).args(["--line", &corridor.line()]);
    command.arg("--model").arg(model()).args(arguments);
    command
}

pub fn document(corridor: &Corridor, arguments: &[&str]) -> Value {
    let text = printed(count(corridor, arguments).arg("--json"));
    serde_json::from_str(&text).unwrap()
}

pub type Passage = (String, f64);

pub fn counted(document: &Value) -> Vec<Passage> {
    let crossings = document["crossings"].as_array().unwrap().iter();
    crossings
        .map(|crossing| {
            (crossing["direction"].as_str().unwrap().to_owned(), crossing["secs"].as_f64().unwrap())
        })
        .collect()
}

fn truth(corridor: &Corridor) -> Vec<Passage> {
    let until_secs = f64::from(corridor.frames - 1) / f64::from(FRAMES_PER_SEC);
    let line = corridor.scene.line();
    // Of who stands on the line at the end it is a matter of a pixel whether it has crossed.
    let is_off_it = |x: f32| (x - line.start.x).abs() > 40.0;
    assert!(corridor.at_the_end.iter().all(|truth| is_off_it(truth.center.x)), "{:?}", corridor.at_the_end);
    let crossings = corridor.scene.crossings(line, until_secs);
    crossings.iter().map(|crossing| (crossing.direction.to_string(), crossing.secs)).collect()
}

/// All of one and all of the other, direction by direction, the n-th within half a second of the n-th.
pub fn assert_same(counted: &[Passage], truth: &[Passage]) {
    for direction in [Direction::Forward, Direction::Backward].map(|direction| direction.to_string()) {
        let times = |passages: &[Passage]| {
            let mut secs: Vec<f64> =
                passages.iter().filter(|passage| passage.0 == direction).map(|passage| passage.1).collect();
            secs.sort_by(f64::total_cmp);
            secs
        };
        let (counted, truth) = (times(counted), times(truth));
        let is_near = counted.iter().zip(&truth).all(|(counted, truth)| (counted - truth).abs() <= 0.5);
        assert!(is_near && counted.len() == truth.len(), "{direction}: counted {counted:?}, true {truth:?}");
    }
}

#[test]
fn every_crossing_is_counted_once_with_its_direction_and_time() {
    let truth = truth(&PLAIN);
    let forward = truth.iter().filter(|passage| passage.0 == "forward").count();
    assert!(forward >= 5 && truth.len() - forward >= 5, "the scene has become too easy: {truth:?}");
    let document = document(&PLAIN, &["--every-frame"]);
    assert_same(&counted(&document), &truth);
    assert_eq!(document["frames"], PLAIN.frames);
    assert_eq!(document["inferred"], PLAIN.frames);
    assert!(document.get("damage").is_none());
}

#[test]
fn the_count_on_each_frame_is_the_true_one() {
    let document = document(&PLAIN, &["--every-frame"]);
    let series = document["series"].as_array().unwrap();
    assert_eq!(series.len(), PLAIN.counts.len());
    let mut wrong = 0;
    for (frame, (entry, &truth)) in series.iter().zip(&PLAIN.counts).enumerate() {
        let (secs, counted) = (entry[0].as_f64().unwrap(), entry[1].as_u64().unwrap());
        assert!((secs - frame as f64 / f64::from(FRAMES_PER_SEC)).abs() < 1e-3);
        // On the picture's edge it is a matter of a pixel whether an animal counts.
        assert!(counted.abs_diff(u64::from(truth)) <= 1, "frame {frame}: counted {counted}, true {truth}");
        wrong += u32::from(counted != u64::from(truth));
    }
    assert!(wrong * 20 <= PLAIN.frames, "{wrong} of {} frames", PLAIN.frames);
    assert_eq!(document["count"]["max"], *PLAIN.counts.iter().max().unwrap());
}

#[test]
fn the_usual_schedule_counts_the_same_with_fewer_looks() {
    let document = document(&PLAIN, &[]);
    assert_same(&counted(&document), &truth(&PLAIN));
    assert_eq!(document["frames"], PLAIN.frames);
    // While animals are near the line, every frame of 15 a second is inferred.
    let inferred = document["inferred"].as_u64().unwrap();
    assert!(inferred < u64::from(PLAIN.frames), "{inferred}");
    // A missed inference at the end would leave its last frames without animals.
    let series = document["series"].as_array().unwrap();
    assert_eq!(series.len(), PLAIN.counts.len());
    for (entry, &truth) in series.iter().zip(&PLAIN.counts).rev().take(5) {
        assert!(entry[1].as_u64().unwrap().abs_diff(u64::from(truth)) <= 1, "{entry}, true {truth}");
    }
}

#[test]
fn csv_has_a_row_for_each_frame_and_matches_json() {
    let text = printed(count(&PLAIN, &["--every-frame"]).arg("--csv"));
    let mut rows = text.lines();
    assert_eq!(rows.next(), Some("secs,count"));
    let series = &document(&PLAIN, &["--every-frame"])["series"];
    let expected = series.as_array().unwrap().iter();
    let expected = expected.map(|entry| format!("{:.3},{}", entry[0].as_f64().unwrap(), entry[1]));
    assert!(rows.eq(expected));
}

#[test]
fn the_mirrored_scene_swaps_directions() {
    let mirrored = Corridor::draw(SEED, SECS, true);
    let swapped: Vec<Passage> = truth(&PLAIN)
        .into_iter()
        .map(|(direction, secs)| {
            (if direction == "forward" { "backward" } else { "forward" }.to_owned(), secs)
        })
        .collect();
    assert_eq!(truth(&mirrored), swapped);
    assert_same(&counted(&document(&mirrored, &["--every-frame"])), &swapped);
}

/// Starts the analysis, kills it (SIGKILL) once a checkpoint is written, and tells of how many frames it was.
fn kill_at_a_checkpoint(data: &Path, arguments: &[&str]) -> u32 {
    let mut command = count(&PLAIN, arguments);
    let mut child = command
        .arg("-v")
        .arg("--data")
        .arg(data)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let written = log
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.contains("checkpoint written").then(|| frames_in(&line)));
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(!status.success(), "it was through before it could be killed");
    written.expect("a checkpoint is told with -v")
}

/// `frames=150`, colours or not.
fn frames_in(line: &str) -> u32 {
    let (_, number) = line.rsplit_once('=').unwrap();
    let digits: String = number.chars().skip_while(|character| !character.is_ascii_digit()).collect();
    // What a terminal's colour begins with is no digit, but holds some: `ESC[0m` comes before the number.
    let digits = digits.rsplit_once('m').map_or(digits.as_str(), |(_, digits)| digits);
    digits.trim().parse().unwrap()
}

#[test]
fn a_count_killed_midway_and_restarted_equals_an_undisturbed_one() {
    for arguments in [&["--every-frame"][..], &[]] {
        let undisturbed = document(&PLAIN, arguments);
        let folder = tempfile::tempdir().unwrap();
        let done = kill_at_a_checkpoint(folder.path(), arguments);
        assert!(done > 0 && done < PLAIN.frames);
        let mut again = count(&PLAIN, arguments);
        let output = again.args(["-v", "--json"]).arg("--data").arg(folder.path()).output().unwrap();
        assert!(output.status.success());
        let log = String::from_utf8(output.stderr).unwrap();
        let resumed =
            log.lines().find(|line| line.contains("going on where")).expect("it does not begin anew");
        assert!(frames_in(resumed) >= done);
        assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), undisturbed, "{arguments:?}");
    }
}
