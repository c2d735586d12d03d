//! Viewers that play fragments of MP4 which come one after the other over TCP, such as a browser's `MediaSource` behind a WebSocket.
//!
//! TCP delivers everything, however late. Frames in its buffers would keep a viewer seconds behind, and the server couldn't tell. So this side sends
//! *marks* between the frames, and the viewer's side returns each when it has come that far (a WebSocket's ping and pong). Little is on the way at any
//! time; the rest waits here. **What has waited for [`MOST_BEHIND`] is dropped, and the viewer goes on at the next keyframe.**
//!
//! A viewer has no socket and no clock: the time is given to it, and it says what to send.

use crate::access_unit::AccessUnit;
use crate::recording::{Initialization, NotPlayable, Segment, Segments};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How far a viewer may be behind the camera.
pub const MOST_BEHIND: Duration = Duration::from_secs(2);
/// A viewer that returns no mark for so long is given up.
pub const SILENCE_TIMEOUT: Duration = Duration::from_secs(15);
/// Frames that wait: as many as a subscription holds since the last keyframe.
const MOST_WAITING_UNITS: usize = 600;
/// Between two marks, while there are frames: so long at most, or so many bytes.
const MARK_INTERVAL: Duration = Duration::from_millis(200);
const MARK_BYTES: usize = 128 << 10;
/// While a mark hasn't come back for so long, nothing more is sent. A way around the world takes half as long.
const MOST_ON_THE_WAY: Duration = Duration::from_millis(600);
/// So many bytes are on the way at most: half as many after a mark that took longer, more after one that took half as long.
const BYTES_ON_THE_WAY: std::ops::RangeInclusive<usize> = 32 << 10..=4 << 20;
const FIRST_BYTES_ON_THE_WAY: usize = 512 << 10;

/// What is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// Before the first fragment, and before those of another coding.
    Initialization(Initialization),
    /// One frame.
    Fragment(Vec<u8>),
    /// To be returned when everything before it has arrived.
    Mark(u64),
}

/// What a viewer needs next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// This is to be sent.
    Send(Outgoing),
    /// To be asked again at this moment, if nothing happens before.
    WaitUntil(Instant),
    /// Nothing more is sent, and why.
    Over(Over),
}

/// Why a viewer is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Over {
    /// The camera sends what isn't played this way.
    #[error(transparent)]
    NotPlayable(#[from] NotPlayable),
    /// Nothing has come from it for too long.
    #[error("the viewer hasn't answered for {} s", SILENCE_TIMEOUT.as_secs())]
    Silent,
    /// The camera was stopped.
    #[error("the camera was stopped")]
    CameraStopped,
}

/// See the module's head.
#[derive(Debug)]
pub struct FragmentedViewer {
    segments: Segments,
    waiting: VecDeque<(Instant, Arc<AccessUnit>)>,
    /// After units were left out, until a keyframe.
    waits_for_keyframe: bool,
    /// The frame that belongs behind an initialization.
    pending: Option<Vec<u8>>,
    /// Marks that weren't returned.
    marks: VecDeque<Mark>,
    latest_mark: Option<Mark>,
    /// Of all fragments.
    sent_bytes: usize,
    /// Of them, those before the latest mark that was returned.
    arrived_bytes: usize,
    /// Of the bytes on the way.
    most_bytes: usize,
    over: Option<Over>,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    number: u64,
    sent: Instant,
    /// What was sent before it.
    bytes: usize,
}

impl Default for FragmentedViewer {
    fn default() -> Self {
        Self {
            segments: Segments::default(),
            waiting: VecDeque::new(),
            waits_for_keyframe: true,
            pending: None,
            marks: VecDeque::new(),
            latest_mark: None,
            sent_bytes: 0,
            arrived_bytes: 0,
            most_bytes: FIRST_BYTES_ON_THE_WAY,
            over: None,
        }
    }
}

impl FragmentedViewer {
    /// The next frame of the camera.
    pub fn push(&mut self, now: Instant, unit: Arc<AccessUnit>) {
        // Old frames delay the new ones. What lost packets leave behind isn't shown: a decoder may stop for good over it.
        let is_late = self.waiting.front().is_some_and(|(since, _)| now - *since > MOST_BEHIND);
        if is_late || self.waiting.len() >= MOST_WAITING_UNITS || unit.lost_packets > 0 {
            self.lose();
        }
        self.waits_for_keyframe &= !unit.is_keyframe;
        if !self.waits_for_keyframe {
            self.waiting.push_back((now, unit));
        }
    }

    /// Units were lost before they came here: it goes on at the next keyframe.
    pub fn lose(&mut self) {
        self.waiting.clear();
        self.waits_for_keyframe = true;
    }

    /// The camera was stopped.
    pub fn end(&mut self) {
        self.over = Some(Over::CameraStopped);
    }

    /// Whether nothing more is sent.
    pub fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// A mark has come back.
    pub fn returned(&mut self, now: Instant, number: u64) {
        // A client that returns marks it was never sent must not widen its window.
        let Some(found) = self.marks.iter().position(|mark| mark.number == number) else { return };
        let mark = self.marks[found];
        self.arrived_bytes = mark.bytes;
        let took = now - mark.sent;
        let more = if took > MOST_ON_THE_WAY {
            self.most_bytes / 2
        } else if took < MOST_ON_THE_WAY / 2 {
            self.most_bytes + self.most_bytes / 4
        } else {
            self.most_bytes
        };
        self.most_bytes = more.clamp(*BYTES_ON_THE_WAY.start(), *BYTES_ON_THE_WAY.end());
        self.marks.drain(..=found);
    }

    /// What to do now.
    pub fn next(&mut self, now: Instant) -> Next {
        let oldest = self.marks.front().map(|mark| mark.sent);
        if oldest.is_some_and(|sent| now - sent >= SILENCE_TIMEOUT) {
            self.over = Some(Over::Silent);
        }
        if let Some(over) = self.over {
            return Next::Over(over);
        }
        if let Some(fragment) = self.pending.take() {
            return self.send_fragment(fragment);
        }
        let (marked, marked_bytes) = self.latest_mark.map_or((None, 0), |mark| (Some(mark.sent), mark.bytes));
        let unmarked_bytes = self.sent_bytes - marked_bytes;
        let is_due =
            marked.is_none_or(|marked| now - marked >= MARK_INTERVAL) || unmarked_bytes >= MARK_BYTES;
        if unmarked_bytes > 0 && is_due {
            let number = self.latest_mark.map_or(1, |mark| mark.number + 1);
            let mark = Mark { number, sent: now, bytes: self.sent_bytes };
            self.latest_mark = Some(mark);
            self.marks.push_back(mark);
            return Next::Send(Outgoing::Mark(number));
        }
        let is_full = self.sent_bytes - self.arrived_bytes >= self.most_bytes;
        if let Some(sent) = oldest.filter(|&sent| is_full || now - sent >= MOST_ON_THE_WAY) {
            return Next::WaitUntil(sent + SILENCE_TIMEOUT);
        }
        while let Some((since, unit)) = self.waiting.pop_front() {
            if now - since > MOST_BEHIND {
                self.lose();
                break;
            }
            match self.segments.next(&unit) {
                Ok(None) => {}
                Ok(Some(Segment { initialization: None, fragment })) => return self.send_fragment(fragment),
                Ok(Some(Segment { initialization: Some(initialization), fragment })) => {
                    self.pending = Some(fragment);
                    return Next::Send(Outgoing::Initialization(initialization));
                }
                Err(error) => {
                    self.over = Some(error.into());
                    return Next::Over(error.into());
                }
            }
        }
        let mark = marked.filter(|_| unmarked_bytes > 0).map(|marked| marked + MARK_INTERVAL);
        Next::WaitUntil(mark.unwrap_or(now + SILENCE_TIMEOUT))
    }

    fn send_fragment(&mut self, fragment: Vec<u8>) -> Next {
        self.sent_bytes += fragment.len();
        Next::Send(Outgoing::Fragment(fragment))
    }
}
