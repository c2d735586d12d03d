//! `pigweight track`: only the tracker, for evaluation on public data.

use crate::args::Track;
use anyhow::Context as _;
use pigweight_core::interpolate::{InferredDetections, SettledTracker};
use pigweight_core::mot;
use pigweight_core::time::Pts;
use pigweight_core::track::{TrackedBox, Tracker, TrackerSettings};

pub fn run(args: &Track) -> anyhow::Result<()> {
    let input = args.detections.display();
    let text = std::fs::read_to_string(&args.detections).with_context(|| format!("cannot read {input}"))?;
    let detections =
        mot::read_detections(&text).with_context(|| format!("{input} is not MOTChallenge text"))?;
    let last = detections.keys().next_back().copied().unwrap_or(0);
    let frames = (1..=last).map(|frame| {
        let found = detections.get(&frame).map_or(&[][..], Vec::as_slice);
        (frame, f64::from(frame - 1) / args.fps, found)
    });
    let settings = match args.min_score {
        None => TrackerSettings::mot(),
        Some(score) => TrackerSettings::for_min_score(score),
    };
    let is_inferred = |frame: u32| (frame - 1).is_multiple_of(args.every);
    let mut tracks: Vec<(u32, Vec<TrackedBox>)> = Vec::new();
    if args.offline {
        let mut tracker = SettledTracker::new(settings);
        let number = |pts: Pts| u32::try_from(pts.0).unwrap_or(0);
        for (frame, secs, found) in frames {
            let settled = tracker.push(
                Pts(i64::from(frame)),
                secs,
                is_inferred(frame).then_some(InferredDetections::every(found)),
            );
            tracks.extend(settled.into_iter().map(|frame| (number(frame.pts), frame.boxes)));
        }
        tracks.extend(tracker.finish().into_iter().map(|frame| (number(frame.pts), frame.boxes)));
    } else {
        // The filter's boxes, as written by ByteTrack and BoT-SORT, with which this output is compared.
        let mut tracker = Tracker::new(settings);
        tracks.extend(
            frames
                .filter(|frame| is_inferred(frame.0))
                .map(|(frame, secs, found)| (frame, tracker.update_estimates(secs, found))),
        );
    }
    let text = mot::write_tracks(tracks.iter().map(|(frame, boxes)| (*frame, boxes.as_slice())));
    std::fs::write(&args.tracks, text).with_context(|| format!("cannot write {}", args.tracks.display()))
}
