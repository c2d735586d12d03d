//! Turns decoded frames into pictures: standard dynamic range, one size, a supported sample layout, upright.

use crate::decode::picture::Picture;
use crate::decode::sdr::SdrMap;
use crate::file::shape::PictureForm;
use crate::libav::{Frame, PixelFormat, Scaler};

/// Keeps tables for frames like the last one.
pub(crate) struct PictureMaker {
    form: PictureForm,
    scaler: Scaler,
    /// For frames that [`SdrMap`] doesn't read.
    deepener: Scaler,
    sdr: Option<SdrMap>,
}

impl PictureMaker {
    pub(crate) fn new(form: PictureForm) -> Self {
        Self { form, scaler: Scaler::new(), deepener: Scaler::new(), sdr: None }
    }

    /// `None` for a format that swscale can't convert, or if there is no memory.
    pub(crate) fn picture(&mut self, frame: Frame) -> Option<Picture> {
        let frame = if frame.colors().are_unusual() { self.usual(frame)? } else { frame };
        let own = (frame.width(), frame.height());
        let (width, height) = self.form.size.unwrap_or(own);
        let is_fit = (width, height) == own && !matches!(frame.pixel_format(), PixelFormat::Other { .. });
        let frame = if is_fit { frame } else { self.scaler.convert(&frame, width, height)? };
        Some(Picture::of_frame(frame).turned(self.form.orientation))
    }

    fn usual(&mut self, frame: Frame) -> Option<Frame> {
        let colors = frame.colors();
        let deep = match frame.ten_bit_shifts() {
            Some(_) => frame,
            None => self.deepener.convert_to_ten_bits(&frame)?,
        };
        match &self.sdr {
            Some(map) if map.colors() == colors => map,
            _ => self.sdr.insert(SdrMap::of(colors)),
        }
        .apply(&deep)
    }
}
