//! Transcodes a stream without a container, access unit by access unit.

use crate::error::Result;
use crate::isolate::{Location, Request, Response, Worker, Workers};
use crate::libav::StreamCodec;
use crate::output::transcoder::{LocalTranscoder, TranscodedFrame};
use pigweight_core::time::{Pts, TimeBase};

/// Largest access unit, bytes; larger ones are left out.
const MOST_ACCESS_UNIT_BYTES: usize = 32 << 20;
/// Of a frame that was transcoded.
const MOST_FRAME_BYTES: u64 = 32 << 20;

/// Decodes access units in Annex B, or JPEG pictures, and codes their frames in VP8. Wide pictures are made smaller.
pub struct StreamTranscoder {
    place: Location<LocalTranscoder, Worker>,
}

impl StreamTranscoder {
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
            None => Location::InProcess(Box::new(LocalTranscoder::open(codec, time_base)?)),
            Some(workers) => Location::Worker(Box::new(workers.start_on_stream(name, codec, time_base)?)),
        };
        Ok(Self { place })
    }

    /// The frames that this access unit completes, in display order, each with the pts of its own access unit. Without `encodes` they are only decoded, because
    /// others refer to them.
    ///
    /// # Errors
    /// If the process has ended, or FFmpeg has no VP8 encoder. Another can begin at the next keyframe.
    pub fn transcode(&mut self, access_unit: &[u8], pts: Pts, encodes: bool) -> Result<Vec<TranscodedFrame>> {
        if access_unit.len() > MOST_ACCESS_UNIT_BYTES {
            return Ok(Vec::new());
        }
        let worker = match &mut self.place {
            Location::InProcess(transcoder) => return transcoder.transcode(access_unit, pts, encodes),
            Location::Worker(worker) => worker,
        };
        worker.send(&Request::Transcode { pts, encodes }, access_unit)?;
        let mut frames = Vec::new();
        loop {
            match worker.receive()? {
                Response::Coded { pts, is_keyframe } => {
                    frames.push(TranscodedFrame { data: worker.bytes(MOST_FRAME_BYTES)?, pts, is_keyframe });
                }
                Response::End { .. } => return Ok(frames),
                _ => return Err(worker.protocol_error()),
            }
        }
    }

    /// The next access unit is a keyframe that doesn't refer to earlier ones.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn reset(&mut self) -> Result<()> {
        match &mut self.place {
            Location::InProcess(transcoder) => {
                transcoder.reset();
                Ok(())
            }
            Location::Worker(worker) => worker.send(&Request::ResetStream, &[]),
        }
    }
}
