//! Reads all frames of a video in display order.

use crate::decode::frame::{DecodedFrame, Pass};
use crate::decode::local_reader::LocalReader;
use crate::error::Result;
use crate::file::video::Video;
use crate::isolate::{Location, Request, Response, Worker, Workers};
use pigweight_core::time::Pts;

/// Reads a video from start to end. Damaged packets are counted and skipped: all that can be decoded is.
pub struct FrameReader {
    video: Video,
    place: Location<LocalReader, Worker>,
    damaged_packets: usize,
    ended: bool,
}

impl FrameReader {
    /// From the first frame on.
    pub fn open(video: &Video) -> Result<Self> {
        Self::open_on(video, Pass { after: None, ..Pass::USUAL })
    }

    /// From the frame after `pts` on.
    pub fn open_after(video: &Video, pts: Pts) -> Result<Self> {
        Self::open_on(video, Pass { after: Some(pts), ..Pass::USUAL })
    }

    /// From the first frame on, or from the one after `after`; pictures wider than `most_width` px are scaled down.
    /// Decodes on two cores: for a pass that runs alone.
    pub fn open_small(video: &Video, after: Option<Pts>, most_width: u32) -> Result<Self> {
        Self::open_on(video, Pass { after, threads: 2, most_width: Some(most_width) })
    }

    fn open_on(video: &Video, pass: Pass) -> Result<Self> {
        let place = match Workers::of(video) {
            None => Location::InProcess(Box::new(LocalReader::open(video, pass)?)),
            Some(workers) => {
                let mut worker = workers.start_on(video)?;
                worker.send(&Request::Read(pass), &[])?;
                Location::Worker(Box::new(worker))
            }
        };
        Ok(Self { video: video.clone(), place, damaged_packets: 0, ended: false })
    }

    /// Packets so far that the decoder rejected.
    pub fn damaged_packets(&self) -> usize {
        self.damaged_packets
    }

    /// The next frame, or `None` after the last.
    pub fn next_frame(&mut self) -> Result<Option<DecodedFrame>> {
        if self.ended {
            return Ok(None);
        }
        let frame = match &mut self.place {
            Location::InProcess(reader) => {
                let frame = reader.next_frame()?;
                self.damaged_packets = reader.damaged_packets();
                frame
            }
            Location::Worker(worker) => match worker.receive()? {
                Response::Frame(head) => {
                    self.damaged_packets = head.damaged_packets;
                    Some(worker.frame(&head, &self.video)?)
                }
                Response::End { damaged_packets } => {
                    self.damaged_packets = damaged_packets;
                    None
                }
                _ => return Err(worker.protocol_error()),
            },
        };
        self.ended = frame.is_none();
        Ok(frame)
    }
}
