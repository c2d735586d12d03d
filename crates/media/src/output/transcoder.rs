//! Transcodes a stream for browsers that don't take it as it is: VP8, frame by frame, without looking ahead.

use crate::error::{Error, Result};
use crate::file::container::MAX_PIXELS;
use crate::libav::{
    CodedFrame, Decoder, Frame, Packet, Received, Scaler, StreamCodec, StreamEncoder, StreamEncoderSettings,
};
use pigweight_core::time::{Pts, TimeBase};

/// A wider picture is made smaller: a core codes no more in real time.
const MOST_WIDTH_PX: u32 = 1280;
/// Frames from one keyframe to the next: who comes new gets those since the last one.
const KEYFRAME_INTERVAL: u32 = 50;
/// At 15 frames a second and 640 × 360 about 1 Mbit/s, which is what cameras send.
const BITS_PER_PIXEL_A_SECOND: i64 = 4;
/// Frames that one packet may give: a decoder that reorders holds some back.
const MOST_FRAMES: usize = 32;

/// A frame that was transcoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscodedFrame {
    /// VP8.
    pub data: Vec<u8>,
    /// Of the frame that it was made of.
    pub pts: Pts,
    /// Decoding can start here.
    pub is_keyframe: bool,
}

/// Decodes and encodes in this process.
pub(crate) struct LocalTranscoder {
    codec: StreamCodec,
    time_base: TimeBase,
    decoder: Decoder,
    scaler: Scaler,
    encoder: Option<(StreamEncoderSettings, StreamEncoder)>,
    last_pts: Option<i64>,
}

impl LocalTranscoder {
    pub(crate) fn open(codec: StreamCodec, time_base: TimeBase) -> Result<Self> {
        let decoder = Decoder::of_codec(codec, MAX_PIXELS);
        let decoder = decoder.ok_or_else(|| Error::NoStreamDecoder { codec: format!("{codec:?}") })?;
        Ok(Self { codec, time_base, decoder, scaler: Scaler::new(), encoder: None, last_pts: None })
    }

    /// Takes an access unit. With `encodes`, gives the frames that it completes; otherwise they are only decoded, because others refer to them.
    pub(crate) fn transcode(
        &mut self,
        access_unit: &[u8],
        pts: Pts,
        encodes: bool,
    ) -> Result<Vec<TranscodedFrame>> {
        let no_memory = || Error::NoStreamDecoder { codec: format!("{:?} (there is no memory)", self.codec) };
        let mut packet = Packet::of(access_unit).ok_or_else(no_memory)?;
        packet.set_ordinal(pts.0);
        // What is damaged isn't shown.
        let _rejected = self.decoder.send(Some(&packet));
        let mut coded = Vec::new();
        for _ in 0..MOST_FRAMES {
            let Ok(Received::Frame(frame, pts)) = self.decoder.receive() else { break };
            let is_next = self.last_pts.is_none_or(|last| pts > last);
            if encodes && is_next && !frame.is_corrupt() {
                self.last_pts = Some(pts);
                coded.extend(self.encode(&frame, pts)?);
            }
        }
        Ok(coded)
    }

    fn encode(&mut self, frame: &Frame, pts: i64) -> Result<impl Iterator<Item = TranscodedFrame> + use<>> {
        let failed = |code| Error::libav("transcoding a picture", code);
        let settings = self.settings_for(frame);
        let encoder = match &mut self.encoder {
            Some((known, encoder)) if *known == settings => encoder,
            other => &mut other.insert((settings, StreamEncoder::vp8(&settings).map_err(failed)?)).1,
        };
        let picture = self.scaler.convert_to_limited_yuv(frame, settings.width, settings.height);
        let mut picture = picture.ok_or_else(|| Error::NoStreamDecoder {
            codec: format!("{:?} (its pictures can't be converted)", self.codec),
        })?;
        picture.set_pts(pts);
        let coded = encoder.encode(&picture).map_err(failed)?;
        Ok(coded.into_iter().map(|CodedFrame { data, pts, is_keyframe }| TranscodedFrame {
            data,
            pts: Pts(pts),
            is_keyframe,
        }))
    }

    fn settings_for(&self, frame: &Frame) -> StreamEncoderSettings {
        let (width, height) = (frame.width().max(2), frame.height().max(2));
        let shown_width = width.min(MOST_WIDTH_PX);
        let shown_height = (u64::from(height) * u64::from(shown_width)).div_ceil(u64::from(width));
        // Even sides: colour has half of them.
        let (shown_width, shown_height) = (shown_width & !1, u32::try_from(shown_height).unwrap_or(2) & !1);
        let pixels = i64::from(shown_width) * i64::from(shown_height);
        StreamEncoderSettings {
            width: shown_width,
            height: shown_height.max(2),
            clock_rate_hz: self.time_base.denominator(),
            keyframe_interval: KEYFRAME_INTERVAL,
            bits_per_sec: pixels * BITS_PER_PIXEL_A_SECOND,
        }
    }

    /// The next access unit doesn't refer to earlier ones.
    pub(crate) fn reset(&mut self) {
        self.decoder.flush();
    }
}
