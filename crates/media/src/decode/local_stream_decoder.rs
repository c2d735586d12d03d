//! Decoding of a stream without a container, packet by packet, in this process.

use crate::decode::frame::DecodedFrame;
use crate::decode::picture_maker::PictureMaker;
use crate::error::{Error, Result};
use crate::file::container::MAX_PIXELS;
use crate::file::shape::PictureForm;
use crate::libav::{Decoder, Packet, Received, StreamCodec};
use pigweight_core::time::{Pts, TimeBase};

/// Largest access unit, bytes.
pub(crate) const MOST_ACCESS_UNIT_BYTES: usize = 32 << 20;
/// Frames that one packet may give: a decoder that reorders holds some back.
const MOST_FRAMES: usize = 32;

/// Decodes access units. Damaged ones are counted and skipped: all that can be decoded is.
pub(crate) struct LocalStreamDecoder {
    codec: StreamCodec,
    time_base: TimeBase,
    decoder: Decoder,
    maker: PictureMaker,
    damaged_packets: usize,
}

impl LocalStreamDecoder {
    pub(crate) fn open(codec: StreamCodec, time_base: TimeBase) -> Result<Self> {
        let decoder = Decoder::of_codec(codec, MAX_PIXELS);
        let decoder = decoder.ok_or_else(|| Error::NoStreamDecoder { codec: format!("{codec:?}") })?;
        Ok(Self {
            codec,
            time_base,
            decoder,
            maker: PictureMaker::new(PictureForm::default()),
            damaged_packets: 0,
        })
    }

    /// Packets so far that the decoder rejected.
    pub(crate) fn damaged_packets(&self) -> usize {
        self.damaged_packets
    }

    /// The frames that this access unit completes, in display order. `pts` comes out with its frame.
    pub(crate) fn decode(&mut self, access_unit: &[u8], pts: Pts) -> Result<Vec<DecodedFrame>> {
        let no_memory = || Error::NoStreamDecoder { codec: format!("{:?} (there is no memory)", self.codec) };
        let mut packet = Packet::of(access_unit).ok_or_else(no_memory)?;
        packet.set_ordinal(pts.0);
        if self.decoder.send(Some(&packet)).is_err() {
            self.damaged_packets += 1;
        }
        let mut frames = Vec::new();
        while frames.len() < MOST_FRAMES {
            match self.decoder.receive() {
                Ok(Received::Frame(frame, pts)) => {
                    let is_damaged = frame.is_corrupt();
                    match self.maker.picture(frame) {
                        Some(picture) => {
                            let pts = Pts(pts);
                            let secs = self.time_base.secs(pts);
                            frames.push(DecodedFrame { pts, secs, picture, is_damaged });
                        }
                        None => self.damaged_packets += 1,
                    }
                }
                Ok(Received::NeedsPacket | Received::End) => break,
                Err(_) => {
                    self.damaged_packets += 1;
                    break;
                }
            }
        }
        Ok(frames)
    }

    /// The next access unit doesn't refer to earlier ones.
    pub(crate) fn reset(&mut self) {
        self.decoder.flush();
    }
}
