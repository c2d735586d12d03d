//! The MOTChallenge text format, used to evaluate trackers.
//!
//! A line is `frame,id,left,top,width,height,score,…`; frames count from 1, further columns are ignored. Input and output are text;
//! every fault of a file is an error with its line, and no input panics.

use crate::detection::Detection;
use crate::geometry::Rect;
use crate::track::{Origin, TrackId, TrackedBox};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use thiserror::Error;

/// No sequence is longer. A larger frame number means a broken file, and code that iterates up to the last frame
/// must not run for years.
pub const LAST_FRAME: u32 = 10_000_000;

/// A line that isn't valid MOTChallenge.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {fault}")]
pub struct MotError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub fault: MotFault,
}

/// What can be wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MotFault {
    /// The line ends too early.
    #[error("no {column}: a line is frame,id,left,top,width,height,score")]
    Missing {
        /// Its name.
        column: &'static str,
    },
    /// Not a finite number.
    #[error("{column} is not a number: {text:?}")]
    NotANumber {
        /// Its name.
        column: &'static str,
        /// The text found, its first characters.
        text: String,
    },
    /// Frames count from 1 to [`LAST_FRAME`].
    #[error("frame {frame} is not from 1 to {LAST_FRAME}")]
    Frame {
        /// The text found.
        frame: String,
    },
    /// Tracks have a positive number.
    #[error("track {id} is not a positive number")]
    Track {
        /// The text found.
        id: String,
    },
}

/// Detections by frame. Frames without any are absent: walk from 1 to the last key to visit them too.
pub fn read_detections(text: &str) -> Result<BTreeMap<u32, Vec<Detection>>, MotError> {
    let mut frames: BTreeMap<u32, Vec<Detection>> = BTreeMap::new();
    for_each_row(text, |row| {
        frames.entry(row.frame).or_default().push(Detection { rect: row.rect, score: row.score, class: 0 });
        Ok(())
    })?;
    Ok(frames)
}

/// Tracks by frame, as [`write_tracks`] writes them, or true tracks.
pub fn read_tracks(text: &str) -> Result<BTreeMap<u32, Vec<TrackedBox>>, MotError> {
    let mut frames: BTreeMap<u32, Vec<TrackedBox>> = BTreeMap::new();
    for_each_row(text, |row| {
        let id = row.id;
        if !(id >= 1.0 && id <= f64::from(u32::MAX) && id.fract() == 0.0) {
            return Err(MotFault::Track { id: id.to_string() });
        }
        let (track, origin) = (TrackId(id as u32), Origin::Measured);
        let tracked = TrackedBox { track, rect: row.rect, score: row.score, class: 0, origin };
        frames.entry(row.frame).or_default().push(tracked);
        Ok(())
    })?;
    Ok(frames)
}

/// One line `frame,id,left,top,width,height,score,-1,-1,-1` for each box.
pub fn write_tracks<'a>(frames: impl IntoIterator<Item = (u32, &'a [TrackedBox])>) -> String {
    let mut text = String::new();
    for (frame, boxes) in frames {
        for &TrackedBox { track, rect: Rect { x, y, width, height }, score, .. } in boxes {
            // Writing to a String cannot fail.
            let _ =
                writeln!(text, "{frame},{track},{x:.2},{y:.2},{width:.2},{height:.2},{score:.4},-1,-1,-1");
        }
    }
    text
}

struct Row {
    frame: u32,
    id: f64,
    rect: Rect,
    score: f32,
}

fn for_each_row(text: &str, mut take: impl FnMut(Row) -> Result<(), MotFault>) -> Result<(), MotError> {
    for (index, line) in text.lines().enumerate() {
        if !line.trim().is_empty() {
            read_row(line).and_then(&mut take).map_err(|fault| MotError { line: index + 1, fault })?;
        }
    }
    Ok(())
}

fn read_row(line: &str) -> Result<Row, MotFault> {
    let mut columns = line.split(',').map(str::trim);
    let mut number = |column: &'static str| -> Result<f64, MotFault> {
        let text = columns.next().ok_or(MotFault::Missing { column })?;
        match text.parse::<f64>() {
            // Also within what the boxes are made of.
            Ok(number) if (number as f32).is_finite() => Ok(number),
            _ => Err(MotFault::NotANumber { column, text: text.chars().take(20).collect() }),
        }
    };
    let frame = number("frame")?;
    let id = number("id")?;
    let rect = [number("left")?, number("top")?, number("width")?, number("height")?];
    let score = number("score")? as f32;
    if !(frame >= 1.0 && frame <= f64::from(LAST_FRAME) && frame.fract() == 0.0) {
        return Err(MotFault::Frame { frame: frame.to_string() });
    }
    let [x, y, width, height] = rect.map(|px| px as f32);
    Ok(Row { frame: frame as u32, id, rect: Rect::new(x, y, width, height), score })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn detections_are_gathered_by_frame_whatever_the_order_of_lines() {
        let frames =
            read_detections("3,-1,1.5,2,3,4,0.9,-1,-1,-1\r\n\n1, -1, 5,6,7,8, 0.5\n3,7,0,0,1,1,0.1,9")
                .unwrap();
        assert_eq!(frames.keys().copied().collect::<Vec<_>>(), [1, 3]);
        assert_eq!(frames[&1], [Detection { rect: Rect::new(5.0, 6.0, 7.0, 8.0), score: 0.5, class: 0 }]);
        assert_eq!(frames[&3].len(), 2);
    }

    #[test]
    fn faults_name_their_line_and_column() {
        let message = |text| read_detections(text).unwrap_err().to_string();
        assert_eq!(
            message("1,1,0,0,1,1,1\n1,1,0,0,1"),
            "line 2: no height: a line is frame,id,left,top,width,height,score"
        );
        assert_eq!(message("1,1,0,zero,1,1,1"), "line 1: top is not a number: \"zero\"");
        assert_eq!(message("1,1,NaN,0,1,1,1"), "line 1: left is not a number: \"NaN\"");
        assert_eq!(message("0,1,0,0,1,1,1"), format!("line 1: frame 0 is not from 1 to {LAST_FRAME}"));
        assert_eq!(message("1.5,1,0,0,1,1,1"), format!("line 1: frame 1.5 is not from 1 to {LAST_FRAME}"));
        assert_eq!(
            read_tracks("1,-1,0,0,1,1,1").unwrap_err().to_string(),
            "line 1: track -1 is not a positive number"
        );
    }

    #[test]
    fn written_tracks_are_read_back() {
        let tracked = TrackedBox {
            track: TrackId(7),
            rect: Rect::new(1.25, -2.5, 30.0, 40.75),
            score: 0.5,
            class: 0,
            origin: Origin::Measured,
        };
        let text = write_tracks([(12, [tracked].as_slice())]);
        assert_eq!(text, "12,7,1.25,-2.50,30.00,40.75,0.5000,-1,-1,-1\n");
        assert_eq!(read_tracks(&text).unwrap()[&12], [tracked]);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_panic(text in "[-0-9,.eENnaif\\n ]{0,200}", any in any::<String>()) {
            let _ = (read_detections(&text), read_tracks(&text), read_detections(&any));
        }
    }
}
