//! Prints who crosses a row of lines, from tracks in MOTChallenge text: what `bench/tracking/lines.py` compares.
//!
//!     crossings TRACKS FPS WIDTH_PX HEIGHT_PX LINES together|alone
//!
//! LINES upright and as many level lines, evenly spread over the picture; one row `line,direction,secs,track` each.
//! `alone` gives each track its own counter: true tracks never change their number, so none inherits another's side.

#![allow(clippy::print_stdout, reason = "its rows are what it is for")]

use pigweight_core::geometry::Point;
use pigweight_core::line::{Line, LineCounter};
use pigweight_core::mot::read_tracks;
use pigweight_core::time::Pts;
use pigweight_core::track::TrackedBox;
use std::collections::BTreeMap;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [tracks, fps, width, height, lines, company] = arguments.as_slice() else {
        return Err("usage: crossings TRACKS FPS WIDTH_PX HEIGHT_PX LINES together|alone".into());
    };
    let frames = read_tracks(&std::fs::read_to_string(tracks)?)?;
    let (fps, width, height): (f64, f32, f32) = (fps.parse()?, width.parse()?, height.parse()?);
    let lines: u16 = lines.parse()?;
    for number in 1..=lines {
        let part = f32::from(number) / f32::from(lines + 1);
        let upright = Line::new(Point::new(part * width, height), Point::new(part * width, 0.0))?;
        let level = Line::new(Point::new(0.0, part * height), Point::new(width, part * height))?;
        for (name, line) in [("upright", upright), ("level", level)] {
            // By track, or all under 0.
            let mut counters: BTreeMap<u32, LineCounter> = BTreeMap::new();
            for (&frame, boxes) in &frames {
                let mut groups: BTreeMap<u32, Vec<TrackedBox>> = BTreeMap::new();
                for &tracked in boxes {
                    let group = if company == "alone" { tracked.track.0 } else { 0 };
                    groups.entry(group).or_default().push(tracked);
                }
                for (group, boxes) in groups {
                    let counter = counters.entry(group).or_insert_with(|| LineCounter::new(line));
                    for crossing in counter.update(Pts(frame.into()), f64::from(frame) / fps, &boxes) {
                        println!(
                            "{name}-{number},{},{:.3},{}",
                            crossing.direction, crossing.secs, crossing.track
                        );
                    }
                }
            }
        }
    }
    Ok(())
}
