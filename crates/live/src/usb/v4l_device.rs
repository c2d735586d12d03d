//! Devices of Video4Linux.

use crate::failure::Failure;
use crate::usb::{DeviceFormat, FrameCoding, FrameDevice};
use std::io;
use std::path::Path;
use std::time::Duration;
use v4l::buffer::Type;
use v4l::io::traits::CaptureStream as _;
use v4l::prelude::MmapStream;
use v4l::video::Capture as _;
use v4l::{Device, Format, FourCC};

/// What is asked for; a device takes what is nearest. More pixels find no more pigs.
const WIDTH_PX: u32 = 1280;
const HEIGHT_PX: u32 = 720;
/// As many frames as the system keeps before it drops some.
const BUFFERS: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(1);

struct V4lDevice {
    stream: MmapStream<'static>,
    format: DeviceFormat,
}

/// Opens a device, such as `/dev/video0`.
///
/// # Errors
/// It isn't there, may not be opened, or offers no format that is supported.
pub fn open_device(path: &Path) -> Result<Box<dyn FrameDevice>, Failure> {
    let refused = |error: io::Error| Failure::Unreachable {
        host: path.display().to_string(),
        reason: error.to_string(),
    };
    let device = Device::with_path(path).map_err(refused)?;
    let offered: Vec<[u8; 4]> =
        device.enum_formats().map_err(refused)?.iter().map(|format| format.fourcc.repr).collect();
    // Raw pictures fill the bus: they come small and slowly.
    let wanted = [*b"MJPG", *b"JPEG", *b"H264", *b"YUYV"].into_iter().find(|code| offered.contains(code));
    let Some(wanted) = wanted else {
        let names: Vec<_> =
            offered.iter().map(|code| String::from_utf8_lossy(code).trim().to_owned()).collect();
        return Err(Failure::UnsupportedCodec { codec: names.join(", ") });
    };
    let set = device.set_format(&Format::new(WIDTH_PX, HEIGHT_PX, FourCC::new(&wanted))).map_err(refused)?;
    let coding = match &set.fourcc.repr {
        b"MJPG" | b"JPEG" => FrameCoding::Jpeg,
        b"H264" => FrameCoding::H264,
        b"YUYV" => FrameCoding::Yuyv { stride: set.stride as usize },
        other => {
            return Err(Failure::UnsupportedCodec { codec: String::from_utf8_lossy(other).into_owned() });
        }
    };
    let mut stream = MmapStream::with_buffers(&device, Type::VideoCapture, BUFFERS).map_err(refused)?;
    stream.set_timeout(PATIENCE);
    let format = DeviceFormat { coding, width: set.width, height: set.height };
    Ok(Box::new(V4lDevice { stream, format }))
}

impl FrameDevice for V4lDevice {
    fn format(&self) -> DeviceFormat {
        self.format
    }

    fn next_frame(&mut self) -> io::Result<Vec<u8>> {
        let (bytes, about) = self.stream.next()?;
        let used = usize::try_from(about.bytesused).unwrap_or(usize::MAX).min(bytes.len());
        Ok(bytes[..used].to_vec())
    }
}
