//! The size of a video's pictures.
//!
//! A stream may change its size or the shape of its pixels in the middle. All pictures are brought to the size of the first frame:
//! it is known before the rest of the file is read and never changes while an index grows, so boxes and lines in px stay where
//! they are. Pixels that aren't square are stretched along the side where none are lost, as browsers do.

use crate::file::container::{MAX_PIXELS, open_known};
use crate::file::orientation::Orientation;
use crate::libav::{Decoder, Input, Received, StreamInfo};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What is read in search of a first frame.
const MOST_PACKETS: usize = 1000;
const MOST_BYTES: u64 = 64 << 20;
/// Pixels count as square up to this difference: it is invisible, and scaling every frame costs time.
const LEAST_CHANGE: f64 = 0.01;
/// A larger aspect is an error of the file.
const MOST_ASPECT: f64 = 16.0;

/// The size of the first frame as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shape {
    pub width: u32,
    pub height: u32,
    /// Width of a pixel over its height.
    pub pixel_aspect: (u32, u32),
}

/// What all pictures of a video are made to be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PictureForm {
    /// px before the turn; each frame's own if `None`.
    pub size: Option<(u32, u32)>,
    pub orientation: Orientation,
}

impl Shape {
    /// Before the first frame is decoded.
    pub(crate) const UNKNOWN: Self = Self { width: 0, height: 0, pixel_aspect: (1, 1) };

    /// px of the same picture in square pixels.
    pub(crate) fn square_size(self) -> (u32, u32) {
        let aspect = f64::from(self.pixel_aspect.0) / f64::from(self.pixel_aspect.1);
        let stretched = |side: u32, factor: f64| (f64::from(side) * factor).round() as u32;
        let size = match aspect {
            wide if wide > 1.0 => (stretched(self.width, wide), self.height),
            tall => (self.width, stretched(self.height, 1.0 / tall)),
        };
        let is_stretched = (aspect - 1.0).abs() >= LEAST_CHANGE
            && (1.0 / MOST_ASPECT..=MOST_ASPECT).contains(&aspect)
            && u64::from(size.0) * u64::from(size.1) <= MAX_PIXELS;
        if is_stretched { size } else { (self.width, self.height) }
    }

    /// Whether there can be pictures of it.
    pub(crate) fn is_possible(self) -> bool {
        let pixels = u64::from(self.width) * u64::from(self.height);
        (1..=MAX_PIXELS).contains(&pixels) && self.pixel_aspect.0 > 0 && self.pixel_aspect.1 > 0
    }

    /// Of the first frame that can be decoded, or what the container says where none can.
    pub(crate) fn find(path: &Path, stream: &StreamInfo) -> Self {
        let stated = Self { width: stream.width, height: stream.height, pixel_aspect: (1, 1) };
        let input = open_known(path, stream.index).ok();
        input.and_then(|mut input| first_frame(&mut input, stream)).unwrap_or(stated)
    }
}

fn first_frame(input: &mut Input, stream: &StreamInfo) -> Option<Shape> {
    input.keep_only(&[stream.index]);
    let mut decoder = Decoder::open(input, stream.index, MAX_PIXELS, 1)?;
    let (mut packets, mut bytes, mut ended) = (0, 0, false);
    loop {
        match decoder.receive() {
            Ok(Received::Frame(frame, _)) => {
                let pixel_aspect = input.pixel_aspect(stream.index, &frame).unwrap_or((1, 1));
                let shape = Shape { width: frame.width(), height: frame.height(), pixel_aspect };
                return shape.is_possible().then_some(shape);
            }
            Ok(Received::NeedsPacket) | Err(_) if !ended && packets < MOST_PACKETS && bytes < MOST_BYTES => {
                let packet = input.read().ok()?;
                ended = packet.is_none();
                if packet.as_ref().is_none_or(|packet| packet.stream_index() == stream.index) {
                    bytes += packet.as_ref().map_or(0, |packet| u64::from(packet.size()));
                    packets += 1;
                    // A rejected packet is damage; the next one may be sound.
                    let _damaged = decoder.send(packet.as_ref()).is_err();
                }
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_that_are_not_square_are_stretched_where_none_are_lost() {
        for (stored, pixel_aspect, expected) in [
            ((720, 576), (64, 45), (1024, 576)),
            ((1440, 1080), (4, 3), (1920, 1080)),
            ((720, 480), (8, 9), (720, 540)),
            ((640, 360), (1, 1), (640, 360)),
            // 0.7 % is invisible.
            ((1920, 1088), (136, 135), (1920, 1088)),
            // Implausible aspects.
            ((640, 360), (1000, 1), (640, 360)),
            ((640, 360), (1, 1000), (640, 360)),
            ((16_000, 8_000), (2, 1), (16_000, 8_000)),
        ] {
            let shape = Shape { width: stored.0, height: stored.1, pixel_aspect };
            assert_eq!(shape.square_size(), expected, "{shape:?}");
        }
    }
}
