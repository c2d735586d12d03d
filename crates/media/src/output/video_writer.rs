//! Writes a video from pictures: for the demo and tests.

use crate::error::{Error, Result};
use crate::libav;
use std::path::Path;

/// Constant frame rate video of planar 4:2:0 pictures; the container follows from the file's extension.
pub struct VideoWriter {
    encoder: libav::Encoder,
    next_pts: i64,
    width: usize,
    height: usize,
}

/// What to write.
#[derive(Clone, Copy, Debug)]
pub struct VideoWriterSettings {
    /// px, even.
    pub width: u32,
    /// px, even.
    pub height: u32,
    /// Frames per second, constant.
    pub frames_per_sec: u32,
    /// Frames from one keyframe to the next.
    pub keyframe_interval: u32,
    /// Approximate bits per second.
    pub bit_rate: i64,
}

impl VideoWriter {
    /// Creates the file. H.264 if FFmpeg has an encoder for it, otherwise MPEG-4 part 2.
    pub fn create(path: &Path, settings: VideoWriterSettings) -> Result<Self> {
        let encoder = libav::Encoder::create(
            path,
            &libav::EncoderSettings {
                width: settings.width,
                height: settings.height,
                frames_per_sec: settings.frames_per_sec,
                codecs: &[c"libx264", c"libopenh264", c"mpeg4"],
                keyframe_interval: settings.keyframe_interval,
                bit_rate: settings.bit_rate,
            },
        )
        .map_err(|code| Error::libav("creating the video", code))?;
        Ok(Self { encoder, next_pts: 0, width: settings.width as usize, height: settings.height as usize })
    }

    /// Adds a picture of tightly packed RGB samples, `width * height * 3` bytes.
    pub fn write_rgb(&mut self, rgb: &[u8]) -> Result<()> {
        let no_memory =
            || Error::Libav { operation: "writing the video".into(), reason: "out of memory".into() };
        let mut frame = self.encoder.frame().ok_or_else(no_memory)?;
        let (width, height) = (self.width, self.height);
        if rgb.len() < width * height * 3 {
            return Err(Error::Libav {
                operation: "writing the video".into(),
                reason: "the picture is too small".into(),
            });
        }
        let pixel = |x: usize, y: usize| {
            let at = (y * width + x) * 3;
            (f32::from(rgb[at]), f32::from(rgb[at + 1]), f32::from(rgb[at + 2]))
        };
        // BT.601, limited range (ITU-R BT.601-7, 2.5.3).
        let (samples, stride) = frame.plane_mut(0, width, height).ok_or_else(no_memory)?;
        for y in 0..height {
            for x in 0..width {
                let (r, g, b) = pixel(x, y);
                samples[y * stride + x] = (16.5 + 0.2568 * r + 0.5041 * g + 0.0979 * b) as u8;
            }
        }
        for (plane, [kr, kg, kb]) in [(1, [-0.1482, -0.2910, 0.4392]), (2, [0.4392, -0.3678, -0.0714])] {
            let (samples, stride) = frame.plane_mut(plane, width / 2, height / 2).ok_or_else(no_memory)?;
            for y in 0..height / 2 {
                for x in 0..width / 2 {
                    let (r, g, b) = pixel(2 * x, 2 * y);
                    samples[y * stride + x] = (128.5 + kr * r + kg * g + kb * b) as u8;
                }
            }
        }
        frame.set_pts(self.next_pts);
        self.next_pts += 1;
        self.encoder.write(Some(&frame)).map_err(|code| Error::libav("writing the video", code))
    }

    /// Writes buffered frames and the container's index.
    pub fn finish(mut self) -> Result<()> {
        self.encoder.write(None).map_err(|code| Error::libav("finishing the video", code))
    }
}
