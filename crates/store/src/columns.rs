//! Settled frames as compressed columns.
//!
//! A box is predicted from the box that the same track had before it in the chunk, or from the nearest box of the frame
//! before; what is left over are small numbers, of which each kind has a column of its own, so that the compressor sees
//! like beside like:
//!
//! ```text
//! version · brotli( timeline · frames · per frame: pts delta, why it was inferred, boxes, unmatched
//!                 · tracks · x · y · width · height · score · class · origin
//!                 · references )
//! ```
//! Places and scores lie on a grid ([`pigweight_core::detection::GRID_PX`]): detections are put on
//! that grid before they are tracked, so measured boxes come back exactly; interpolated ones move by half a step at most.
//! Numbers are zigzag varints (LEB128).

use pigweight_core::detection::{Detection, GRID_PX, SCORE_STEPS};
use pigweight_core::geometry::Rect;
use pigweight_core::inference_schedule::InferenceReason;
use pigweight_core::interpolate::SettledFrame;
use pigweight_core::time::{Pts, TimeBase};
use pigweight_core::track::{Origin, TrackId, TrackedBox};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

const FORMAT_VERSION: u8 = 3;
/// Told only that a frame was inferred: 1, which is [`InferenceReason::EveryFrame`] now.
const FORMAT_BEFORE: u8 = 2;
/// Column of the references, behind track, six cells and origin.
const REFERENCES: usize = 8;
/// Place of the score among a box's cells.
const SCORE: usize = 4;
/// A chunk that claims more than this is damaged; checkpoints are far smaller.
const MAX_UNPACKED_BYTES: usize = 256 << 20;
const COLUMN_COUNT: usize = 9;
/// Brotli's quality: from 10 on it models contexts, which makes a chunk 6 to 9 % smaller than zstd's best; 11 gains
/// nothing more and takes three times as long.
const COMPRESSION: u32 = 10;
const WINDOW_BITS: u32 = 22;
const BUFFER_BYTES: usize = 16 << 10;

/// How pts become seconds since the first frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timeline {
    /// Of the video.
    pub time_base: TimeBase,
    /// Second 0.
    pub first_pts: Pts,
}

impl Timeline {
    /// Seconds since the first frame.
    pub fn secs(&self, pts: Pts) -> f64 {
        self.time_base.secs(Pts(pts.0 - self.first_pts.0))
    }
}

/// A box on the grid.
#[derive(Clone, Copy, Default)]
struct Cells([i64; 6]);

impl Cells {
    fn new(rect: Rect, score: f32, class: u16) -> Self {
        let px = |px: f32| (px / GRID_PX).round() as i64;
        Self([
            px(rect.x),
            px(rect.y),
            px(rect.width),
            px(rect.height),
            (score * SCORE_STEPS).round() as i64,
            i64::from(class),
        ])
    }

    fn rect(self) -> Rect {
        let px = |cells: i64| cells as f32 * GRID_PX;
        Rect::new(px(self.0[0]), px(self.0[1]), px(self.0[2]), px(self.0[3]))
    }

    fn score(self) -> f32 {
        self.0[4] as f32 / SCORE_STEPS
    }

    fn class(self) -> u16 {
        u16::try_from(self.0[5]).unwrap_or(0)
    }
}

/// Predictions of the next box from earlier ones: the same track's last box; or, for a new track or a detection without a
/// track, a box of the frame before that the writer names. Animals that lie still are seen again at their
/// place even where no track holds them.
#[derive(Default)]
struct Predictor {
    by_track: BTreeMap<u32, Cells>,
    frame_before: Vec<Cells>,
    this_frame: Vec<Cells>,
    /// Of the last box without a track. They come by falling score, so the next is a little lower.
    last_score: i64,
}

impl Predictor {
    fn of_track(&self, track: u32) -> Option<Cells> {
        self.by_track.get(&track).copied()
    }

    /// The number of the nearest box of the frame before, from 1; 0 if there is none.
    fn nearest(&self, cells: Cells) -> usize {
        let distance = |other: &Cells| -> i64 { (0..4).map(|n| (cells.0[n] - other.0[n]).abs()).sum() };
        (1..).zip(&self.frame_before).min_by_key(|(_, other)| distance(other)).map_or(0, |(number, _)| number)
    }

    fn of_reference(&self, reference: usize, track: u32) -> Option<Cells> {
        let mut cells = match reference {
            0 => Cells::default(),
            number => self.frame_before.get(number - 1).copied()?,
        };
        if track == 0 {
            cells.0[SCORE] = self.last_score;
        }
        Some(cells)
    }

    fn learn(&mut self, track: u32, cells: Cells) {
        if track == 0 {
            self.last_score = cells.0[SCORE];
        } else {
            self.by_track.insert(track, cells);
        }
        self.this_frame.push(cells);
    }

    fn next_frame(&mut self) {
        std::mem::swap(&mut self.frame_before, &mut self.this_frame);
        self.this_frame.clear();
        self.last_score = 0;
    }
}

/// The stored form of some frames.
pub fn encode(frames: &[SettledFrame], timeline: Timeline) -> Vec<u8> {
    let mut head = Vec::new();
    put(&mut head, i64::from(timeline.time_base.numerator()));
    put(&mut head, i64::from(timeline.time_base.denominator()));
    put(&mut head, timeline.first_pts.0);
    put(&mut head, frames.len() as i64);
    let mut columns: [Vec<u8>; COLUMN_COUNT] = Default::default();
    let mut predictor = Predictor::default();
    let mut last_pts = 0;
    for frame in frames {
        put(&mut head, frame.pts.0 - last_pts);
        last_pts = frame.pts.0;
        head.push(reason_code(frame.reason));
        put(&mut head, frame.boxes.len() as i64);
        put(&mut head, frame.unmatched.len() as i64);
        let mut last_track = 0;
        for found in &frame.boxes {
            let track = found.track.0;
            put(&mut columns[0], i64::from(track) - last_track);
            last_track = i64::from(track);
            put_cells(&mut columns, &mut predictor, track, Cells::new(found.rect, found.score, found.class));
            columns[7].push(u8::from(found.origin == Origin::Interpolated));
        }
        for found in &frame.unmatched {
            put_cells(&mut columns, &mut predictor, 0, Cells::new(found.rect, found.score, found.class));
        }
        predictor.next_frame();
    }
    for column in &columns {
        put(&mut head, column.len() as i64);
    }
    for column in &columns {
        head.extend_from_slice(column);
    }
    let mut bytes = vec![FORMAT_VERSION];
    let mut compressor = brotli::CompressorWriter::new(&mut bytes, BUFFER_BYTES, COMPRESSION, WINDOW_BITS);
    // Memory takes all that it is given.
    let _written = compressor.write_all(&head);
    drop(compressor);
    bytes
}

/// 0 for a frame that was not inferred, else the reason's place in [`InferenceReason::ALL`], from 1.
fn reason_code(reason: Option<InferenceReason>) -> u8 {
    let place = reason.and_then(|reason| InferenceReason::ALL.iter().position(|&other| other == reason));
    place.map_or(0, |place| place as u8 + 1)
}

fn put_cells(columns: &mut [Vec<u8>; COLUMN_COUNT], predictor: &mut Predictor, track: u32, cells: Cells) {
    let predicted = predictor.of_track(track).unwrap_or_else(|| {
        let reference = predictor.nearest(cells);
        put(&mut columns[REFERENCES], reference as i64);
        predictor.of_reference(reference, track).unwrap_or_default()
    });
    for (column, (cell, predicted)) in columns[1..7].iter_mut().zip(cells.0.iter().zip(predicted.0)) {
        put(column, cell - predicted);
    }
    predictor.learn(track, cells);
}

/// Back from [`encode`]; `None` for bytes that it did not write.
pub fn decode(bytes: &[u8]) -> Option<Vec<SettledFrame>> {
    let (&(FORMAT_VERSION | FORMAT_BEFORE), packed) = bytes.split_first()? else { return None };
    let mut unpacked = Vec::new();
    let mut reader = brotli::Decompressor::new(packed, BUFFER_BYTES).take(MAX_UNPACKED_BYTES as u64 + 1);
    reader.read_to_end(&mut unpacked).ok()?;
    if unpacked.len() > MAX_UNPACKED_BYTES {
        return None;
    }
    let mut head = unpacked.as_slice();
    let positive = |number: i64| u32::try_from(number).ok();
    let time_base = TimeBase::new(positive(get(&mut head)?)?, positive(get(&mut head)?)?)?;
    let timeline = Timeline { time_base, first_pts: Pts(get(&mut head)?) };
    let frame_count = usize::try_from(get(&mut head)?).ok().filter(|&count| count <= unpacked.len())?;
    let mut shape = Vec::with_capacity(frame_count);
    for _ in 0..frame_count {
        let pts_delta = get(&mut head)?;
        let (&code, rest) = head.split_first()?;
        let reason = if code == 0 { None } else { Some(*InferenceReason::ALL.get(usize::from(code) - 1)?) };
        head = rest;
        let boxes = usize::try_from(get(&mut head)?).ok().filter(|&count| count <= unpacked.len())?;
        let unmatched = usize::try_from(get(&mut head)?).ok().filter(|&count| count <= unpacked.len())?;
        shape.push((pts_delta, reason, boxes, unmatched));
    }
    let mut lengths = [0_usize; COLUMN_COUNT];
    for length in &mut lengths {
        *length = usize::try_from(get(&mut head)?).ok()?;
    }
    let mut columns: [&[u8]; COLUMN_COUNT] = [&[]; COLUMN_COUNT];
    for (column, length) in columns.iter_mut().zip(lengths) {
        (*column, head) = head.split_at_checked(length)?;
    }
    let mut predictor = Predictor::default();
    let mut pts = 0_i64;
    let mut frames = Vec::with_capacity(frame_count);
    for (pts_delta, reason, box_count, unmatched_count) in shape {
        pts = pts.checked_add(pts_delta)?;
        let mut boxes = Vec::with_capacity(box_count);
        let mut last_track = 0_i64;
        for _ in 0..box_count {
            last_track = last_track.checked_add(get(&mut columns[0])?)?;
            let track = u32::try_from(last_track).ok()?;
            let cells = get_cells(&mut columns, &mut predictor, track)?;
            let (&origin, rest) = columns[7].split_first()?;
            columns[7] = rest;
            let origin = if origin == 0 { Origin::Measured } else { Origin::Interpolated };
            boxes.push(TrackedBox {
                track: TrackId(track),
                rect: cells.rect(),
                score: cells.score(),
                class: cells.class(),
                origin,
            });
        }
        let mut unmatched = Vec::with_capacity(unmatched_count);
        for _ in 0..unmatched_count {
            let cells = get_cells(&mut columns, &mut predictor, 0)?;
            unmatched.push(Detection { rect: cells.rect(), score: cells.score(), class: cells.class() });
        }
        predictor.next_frame();
        frames.push(SettledFrame { pts: Pts(pts), secs: timeline.secs(Pts(pts)), reason, boxes, unmatched });
    }
    Some(frames)
}

fn get_cells(columns: &mut [&[u8]; COLUMN_COUNT], predictor: &mut Predictor, track: u32) -> Option<Cells> {
    let predicted = match predictor.of_track(track) {
        Some(cells) => cells,
        None => predictor.of_reference(usize::try_from(get(&mut columns[REFERENCES])?).ok()?, track)?,
    };
    let mut cells = Cells::default();
    for (number, cell) in cells.0.iter_mut().enumerate() {
        *cell = predicted.0[number].checked_add(get(&mut columns[1 + number])?)?;
    }
    predictor.learn(track, cells);
    Some(cells)
}

fn put(bytes: &mut Vec<u8>, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

fn get(bytes: &mut &[u8]) -> Option<i64> {
    let (mut number, mut shift) = (0_u64, 0);
    loop {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if shift > 63 {
            return None;
        }
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
        }
        shift += 7;
    }
}
