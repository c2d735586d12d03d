//! Decodes a stream without a container, such as a camera's, access unit by access unit.

use crate::decode::frame::DecodedFrame;
use crate::decode::local_stream_decoder::{LocalStreamDecoder, MOST_ACCESS_UNIT_BYTES};
use crate::error::Result;
use crate::isolate::{Location, Request, Response, Worker, Workers};
use crate::libav::StreamCodec;
use pigweight_core::time::{Pts, TimeBase};

/// Decodes access units in Annex B, or JPEG pictures. Damaged ones are counted and skipped.
pub struct StreamDecoder {
    codec: StreamCodec,
    time_base: TimeBase,
    place: Location<LocalStreamDecoder, Worker>,
    damaged_packets: usize,
}

impl StreamDecoder {
    /// Opens one; with `workers`, in a confined process. `name` is the camera's in errors.
    ///
    /// # Errors
    /// If libav lacks the codec, or the process doesn't start.
    pub fn open(
        workers: Option<&Workers>,
        name: &str,
        codec: StreamCodec,
        time_base: TimeBase,
    ) -> Result<Self> {
        let place = match workers {
            None => Location::InProcess(Box::new(LocalStreamDecoder::open(codec, time_base)?)),
            Some(workers) => Location::Worker(Box::new(workers.start_on_stream(name, codec, time_base)?)),
        };
        Ok(Self { codec, time_base, place, damaged_packets: 0 })
    }

    /// What it decodes.
    pub fn codec(&self) -> StreamCodec {
        self.codec
    }

    /// Access units so far that the decoder rejected.
    pub fn damaged_packets(&self) -> usize {
        self.damaged_packets
    }

    /// The frames that this access unit completes, in display order: none, one, or several. Each carries the pts of its own access unit.
    ///
    /// # Errors
    /// If the process has ended. Open another; it can begin at the next keyframe.
    pub fn decode(&mut self, access_unit: &[u8], pts: Pts) -> Result<Vec<DecodedFrame>> {
        if access_unit.len() > MOST_ACCESS_UNIT_BYTES {
            self.damaged_packets += 1;
            return Ok(Vec::new());
        }
        let worker = match &mut self.place {
            Location::InProcess(decoder) => {
                let frames = decoder.decode(access_unit, pts)?;
                self.damaged_packets = decoder.damaged_packets();
                return Ok(frames);
            }
            Location::Worker(worker) => worker,
        };
        worker.send(&Request::AccessUnit { pts }, access_unit)?;
        let mut frames = Vec::new();
        loop {
            match worker.receive()? {
                Response::Frame(head) => frames.push(worker.stream_frame(&head, self.time_base)?),
                Response::End { damaged_packets } => {
                    self.damaged_packets = damaged_packets;
                    return Ok(frames);
                }
                _ => return Err(worker.protocol_error()),
            }
        }
    }

    /// The next access unit is a keyframe that doesn't refer to earlier ones: after a reconnection, for example.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn reset(&mut self) -> Result<()> {
        match &mut self.place {
            Location::InProcess(decoder) => {
                decoder.reset();
                Ok(())
            }
            Location::Worker(worker) => worker.send(&Request::ResetStream, &[]),
        }
    }
}
