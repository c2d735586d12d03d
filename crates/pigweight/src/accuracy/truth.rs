//! Known counts of a video: a table next to it, NAME.counts.csv or NAME.boxes.csv.
//!
//! Such tables come from Excel as often as from a program: columns are found by their titles and separated by commas, semicolons or
//! tabs. Implausible values are refused with their line, because a wrong truth makes a right count seem wrong.

use anyhow::Context as _;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// More animals on one frame are a typing error.
const MOST_ANIMALS: u32 = 10_000;
/// Four days at 25 frames a second: a higher frame number is a typing error too.
const MOST_FRAMES: u32 = 10_000_000;

/// The known counts of a video.
#[derive(Debug)]
pub struct Truth {
    /// The table.
    pub path: PathBuf,
    /// Animals by frame, the first is 0.
    counts: BTreeMap<usize, u32>,
    /// Frames before this one that are not in `counts` have no animal; for later ones the count is unknown.
    empty_before: usize,
}

impl Truth {
    /// Reads the table next to a video; `None` if there is none. Counts take precedence over boxes.
    ///
    /// # Errors
    /// If the table can't be read or parsed: with its path and line.
    pub fn beside(video: &Path) -> anyhow::Result<Option<Self>> {
        let (counts, boxes) = (video.with_extension("counts.csv"), video.with_extension("boxes.csv"));
        let (path, parse): (_, fn(&str) -> _) = match (counts.is_file(), boxes.is_file()) {
            (false, false) => return Ok(None),
            (false, true) => (boxes, parse_boxes),
            (true, has_boxes) => {
                if has_boxes {
                    tracing::warn!("{} is used, {} is not", counts.display(), boxes.display());
                }
                (counts, parse_counts)
            }
        };
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let read = text_of(&bytes).and_then(parse).with_context(|| path.display().to_string());
        read.map(|(counts, empty_before)| Some(Self { path, counts, empty_before }))
    }

    /// Frame and number of animals, for each frame with a known count, in a video with this many frames.
    pub fn known(&self, frames: usize) -> impl Iterator<Item = (usize, u32)> + '_ {
        let is_whole = 0..self.empty_before.min(frames);
        let behind =
            self.counts.range(is_whole.end..frames.max(is_whole.end)).map(|(&frame, &count)| (frame, count));
        is_whole.map(|frame| (frame, self.counts.get(&frame).copied().unwrap_or(0))).chain(behind)
    }

    /// A sentence if the table has frames that the video doesn't have.
    pub fn beyond(&self, frames: usize) -> Option<String> {
        let beyond = self.counts.range(frames..).count();
        let last = self.counts.keys().next_back()?;
        (beyond > 0).then(|| {
            format!(
                "{} goes on to frame {last}, but the video has {} (the first is 0): is it this video's?",
                self.path.display(),
                crate::describe::counted(frames, "frame")
            )
        })
    }
}

fn text_of(bytes: &[u8]) -> anyhow::Result<&str> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() + 1;
        anyhow::anyhow!("line {line} is not UTF-8; save the table as \"CSV UTF-8\"")
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The columns with these titles, for each non-empty row, with the line on which it begins.
fn rows<'a, const COLUMNS: usize>(
    text: &'a str,
    titles: [&str; COLUMNS],
) -> anyhow::Result<impl Iterator<Item = anyhow::Result<(usize, [String; COLUMNS])>> + use<'a, COLUMNS>> {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    // Files from old Macs end lines with a carriage return alone.
    let first = first.split('\r').next().unwrap_or_default();
    let separator = [',', ';', '\t'].into_iter().find(|&part| first.contains(part)).unwrap_or(',');
    let reader = csv::ReaderBuilder::new()
        .delimiter(separator as u8)
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    // Excel leaves rows that contain only separators.
    let is_filled = |record: &csv::Result<csv::StringRecord>| {
        record.as_ref().map_or(true, |record| record.iter().any(|cell| !cell.is_empty()))
    };
    let mut records = reader.into_records().filter(is_filled);
    let wanted = || titles.join(",");
    let head = records.next().with_context(|| format!("is empty; its first line is {}", wanted()))??;
    let number = line_of(&head);
    let mut places = [0; COLUMNS];
    for (place, title) in places.iter_mut().zip(titles) {
        let mut found = (0..head.len()).filter(|&place| head[place].eq_ignore_ascii_case(title));
        *place = found
            .next()
            .with_context(|| format!("line {number} has no column {title}; write {} there", wanted()))?;
        anyhow::ensure!(found.next().is_none(), "line {number} has two columns {title}");
    }
    let titles = titles.map(str::to_owned);
    let most = head.len();
    Ok(records.map(move |record| {
        let record = record?;
        let number = line_of(&record);
        anyhow::ensure!(
            record.iter().skip(most).all(str::is_empty),
            "line {number} has {} cells, more than the {most} titles: are separators in a text without quotes?",
            record.len()
        );
        let mut row = [const { String::new() }; COLUMNS];
        for ((value, place), title) in row.iter_mut().zip(places).zip(&titles) {
            let cell = record.get(place).filter(|cell| !cell.is_empty());
            *value = cell.with_context(|| format!("line {number} has no {title}"))?.to_owned();
        }
        Ok((number, row))
    }))
}

fn line_of(record: &csv::StringRecord) -> usize {
    record.position().map_or(0, |position| position.line() as usize)
}

fn whole(number: usize, title: &str, value: &str) -> anyhow::Result<u32> {
    value.parse().map_err(|_no_number| {
        anyhow::anyhow!("line {number}: {title} {value:?} is not a whole number from 0 on")
    })
}

fn frame_number(number: usize, value: &str) -> anyhow::Result<usize> {
    let frame = whole(number, "frame", value)?;
    anyhow::ensure!(frame < MOST_FRAMES, "line {number}: frame {frame} lies behind what a video holds");
    Ok(frame as usize)
}

/// The table's contents, as the fields of [`Truth`].
type Table = (BTreeMap<usize, u32>, usize);

/// One row for each box.
fn parse_boxes(text: &str) -> anyhow::Result<Table> {
    let titles = ["frame", "x", "y", "w", "h"];
    let mut counts = BTreeMap::new();
    for row in rows(text, titles)? {
        let (number, [frame, sides @ ..]) = row?;
        for (title, value) in titles[1..].iter().zip(&sides) {
            let px: Option<f64> = value.parse().ok().filter(|px: &f64| px.is_finite());
            // Labelling tools leave a box without extent for an animal at the edge of the picture.
            let is_fine = px.is_some_and(|px| px >= 0.0 || !["w", "h"].contains(title));
            anyhow::ensure!(
                is_fine,
                "line {number}: {title} {value:?} is no {} in px",
                match *title {
                    "w" | "h" => "length",
                    _ => "place",
                }
            );
        }
        let count = counts.entry(frame_number(number, &frame)?).or_insert(0_u32);
        *count += 1;
        anyhow::ensure!(
            *count <= MOST_ANIMALS,
            "line {number}: more than {MOST_ANIMALS} boxes on frame {frame}"
        );
    }
    // Frames without a box have no animal, up to the last box; after it nothing is known.
    let last =
        *counts.keys().next_back().context("has no box; write a NAME.counts.csv where there is no pig")?;
    Ok((counts, last + 1))
}

/// One row for each frame with a known count; other frames are unknown.
fn parse_counts(text: &str) -> anyhow::Result<Table> {
    let mut counts = BTreeMap::new();
    for row in rows(text, ["frame", "count"])? {
        let (number, [frame, count]) = row?;
        let frame = frame_number(number, &frame)?;
        let count = whole(number, "count", &count)?;
        anyhow::ensure!(count <= MOST_ANIMALS, "line {number}: {count} pigs are more than {MOST_ANIMALS}");
        anyhow::ensure!(counts.insert(frame, count).is_none(), "line {number}: frame {frame} is there twice");
    }
    anyhow::ensure!(!counts.is_empty(), "has no row");
    Ok((counts, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_without_a_box_are_empty_up_to_the_last_box() {
        let truth = parse_boxes("frame,x,y,w,h\n0,1,1,5,5\n0,-9,9.5,5,0\n2,1,1,5,5\n").unwrap();
        let truth = Truth { path: "pen.boxes.csv".into(), counts: truth.0, empty_before: truth.1 };
        let known = |frames| truth.known(frames).collect::<Vec<_>>();
        assert_eq!(known(9), [(0, 2), (1, 0), (2, 1)]);
        assert_eq!(known(2), [(0, 2), (1, 0)]);
        assert_eq!(known(0), []);
    }

    #[test]
    fn a_frame_number_that_no_video_has_takes_no_memory() {
        assert!(parse_boxes("frame,x,y,w,h\n4000000000,1,1,5,5\n").is_err());
        assert_eq!(parse_boxes("frame,x,y,w,h\n9999999,1,1,5,5\n").unwrap().0.len(), 1);
    }

    #[test]
    fn counts_are_found_by_their_titles_however_the_table_was_saved() {
        for text in [
            "frame,count\n3,5\n9,0\n",
            "count,frame\n5,3\n0,9\n",
            "Frame;Count;note\r\n3;5;calm\r\n\r\n9;0\r\n",
            "\"frame\"\t\"count\"\n\"3\"\t\"5\"\n 9 \t 0",
            "frame,note,count\r\n3,\"calm, 7\",5\r\n9,,0\r\n,,\r\n",
            "frame;count\r3;5\r9;0;;\r;;\r",
        ] {
            let (counts, _) = parse_counts(text_of(text.as_bytes()).unwrap()).expect(text);
            assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(3, 5), (9, 0)], "{text}");
        }
        assert_eq!(text_of(b"\xef\xbb\xbfframe").unwrap(), "frame");
    }

    #[test]
    fn an_impossible_value_is_reported_with_its_line() {
        for (text, words) in [
            ("", "is empty"),
            ("0,3\n1,4\n", "line 1 has no column frame"),
            ("frame,count\n", "has no row"),
            ("frame,count\n0,3\n1\n", "line 3 has no count"),
            ("frame,count\n0,3\n0,4\n", "line 3: frame 0 is there twice"),
            ("frame,count\n0,many\n", "line 2: count \"many\" is not a whole number"),
            ("frame,count\n-1,3\n", "line 2: frame \"-1\" is not a whole number"),
            ("frame,count\n0,3,calm\n", "line 2 has 3 cells"),
            ("frame,count,Frame\n0,3,1\n", "line 1 has two columns frame"),
            ("frame,count\n0,4000000000\n", "line 2: 4000000000 pigs are more"),
        ] {
            let error = parse_counts(text).expect_err(text).to_string();
            assert!(error.contains(words), "{text:?}: {error}");
        }
        for (text, words) in [
            ("frame,x,y,w,h\n", "has no box"),
            ("frame,x,y\n0,1,1\n", "line 1 has no column w"),
            ("frame,x,y,w,h\n0,nan,1,5,5\n", "line 2: x \"nan\""),
            ("frame,x,y,w,h\n0,1,1,-5,5\n", "line 2: w \"-5\""),
            ("frame,x,y,w,h\n0,1,1,5\n", "line 2 has no h"),
        ] {
            let error = parse_boxes(text).expect_err(text).to_string();
            assert!(error.contains(words), "{text:?}: {error}");
        }
        let error = text_of(b"frame,count\n0,\xff\n").expect_err("no text").to_string();
        assert!(error.starts_with("line 2 is not UTF-8"), "{error}");
    }

    #[test]
    fn rows_after_the_end_of_the_video_are_reported() {
        let (counts, empty_before) = parse_counts("frame,count\n0,3\n99,4\n").unwrap();
        let truth = Truth { path: "pen.counts.csv".into(), counts, empty_before };
        assert!(truth.beyond(100).is_none());
        let message = truth.beyond(99).unwrap();
        assert!(message.contains("frame 99") && message.contains("has 99 frames"), "{message}");
    }
}
