//! Cameras at this machine, such as USB cameras: JPEG pictures, H.264, or raw pictures (YUYV), which are made JPEG pictures.
//!
//! A device is read by a thread of its own, because the system's calls block. [`FrameDevice`] is all that is known of it; tests bring their own.

#[cfg(target_os = "linux")]
mod v4l_device;

use crate::access_unit::{CLOCK_RATE_HZ, Codec, StreamFormat};
use crate::failure::Failure;
use crate::jpeg_splitter::JpegSplitter;
use crate::recording::jpeg_sample_entry;
use crate::session::{Connector, Session, SessionUnit};
use futures::future::BoxFuture;
use pigweight_core::picture::{ColorMatrix, PictureView, Plane, Planes};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;

#[cfg(target_os = "linux")]
pub use v4l_device::open_device;

/// Frames that wait for the camera's task.
const MOST_WAITING: usize = 4;
/// Most bytes of a frame.
const MOST_FRAME_BYTES: usize = 32 << 20;

/// How a device codes its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameCoding {
    /// A JPEG picture each.
    Jpeg,
    /// H.264, Annex B.
    H264,
    /// Two pixels in four bytes: luma, blue difference, luma, red difference.
    Yuyv {
        /// Bytes from the start of a row to the start of the next.
        stride: usize,
    },
}

/// What a device was set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceFormat {
    /// Of its frames.
    pub coding: FrameCoding,
    /// px.
    pub width: u32,
    /// px.
    pub height: u32,
}

/// An open device.
pub trait FrameDevice: Send {
    /// What it was set to.
    fn format(&self) -> DeviceFormat;

    /// The next frame. Waits for it, for a second or so at most.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] if there is none yet; others if the device has failed or was unplugged.
    fn next_frame(&mut self) -> io::Result<Vec<u8>>;
}

/// Other systems have no such devices.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::missing_errors_doc, reason = "there is nothing else")]
pub fn open_device(path: &Path) -> Result<Box<dyn FrameDevice>, Failure> {
    let reason = "cameras at this machine need Linux".to_owned();
    Err(Failure::Unreachable { host: path.display().to_string(), reason })
}

/// Opens a device. Blocks.
pub type OpenDevice = dyn Fn(&Path) -> Result<Box<dyn FrameDevice>, Failure> + Send + Sync;
/// Makes a JPEG picture. `Err`: why it can't.
pub type EncodeJpeg = dyn Fn(PictureView<'_>) -> Result<Vec<u8>, String> + Send + Sync;

/// Connects to a device.
pub struct UsbConnector {
    path: PathBuf,
    open: Arc<OpenDevice>,
    encode: Arc<EncodeJpeg>,
}

impl UsbConnector {
    /// For the device at this path; opens nothing yet.
    pub fn new(path: PathBuf, open: Arc<OpenDevice>, encode: Arc<EncodeJpeg>) -> Self {
        Self { path, open, encode }
    }
}

impl Connector for UsbConnector {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Session>, Failure>> {
        Box::pin(async {
            let (sender, mut frames) = mpsc::channel(MOST_WAITING);
            let (path, open, encode) = (self.path.clone(), self.open.clone(), self.encode.clone());
            // It ends at the next frame after the session was dropped.
            tokio::task::spawn_blocking(move || capture(&path, open.as_ref(), encode.as_ref(), &sender));
            match frames.recv().await {
                Some(Ok(Captured::Opened(format))) => {
                    Ok(Box::new(UsbSession { frames, format }) as Box<dyn Session>)
                }
                Some(Err(failure)) => Err(failure),
                Some(Ok(Captured::Frame { .. })) | None => Err(broken_down()),
            }
        })
    }

    fn host(&self) -> String {
        self.path.display().to_string()
    }
}

/// The thread has panicked.
fn broken_down() -> Failure {
    Failure::Ended { reason: "reading it broke down; the log says where".to_owned() }
}

enum Captured {
    /// The first: the device is open.
    Opened(StreamFormat),
    /// What follows.
    Frame { format: StreamFormat, unit: SessionUnit },
}

/// Reads a device until it fails or nobody listens. Blocks.
fn capture(
    path: &Path,
    open: &OpenDevice,
    encode: &EncodeJpeg,
    to: &mpsc::Sender<Result<Captured, Failure>>,
) {
    let mut device = match open(path) {
        Ok(device) => device,
        Err(failure) => {
            // The session may be over already.
            let _unheard = to.blocking_send(Err(failure));
            return;
        }
    };
    let DeviceFormat { coding, width, height } = device.format();
    let codec = if coding == FrameCoding::H264 { Codec::H264 } else { Codec::Mjpeg };
    let mut format = StreamFormat { codec, size: Some((width, height)), frames_per_sec: None };
    let mut sent = to.blocking_send(Ok(Captured::Opened(format)));
    let (started, mut last_ticks, mut lost) = (Instant::now(), -1, 0_u16);
    while sent.is_ok() && !to.is_closed() {
        let frame = match device.next_frame() {
            Ok(frame) => frame,
            // The camera's task knows how long it waits.
            Err(error) if error.kind() == io::ErrorKind::TimedOut => continue,
            Err(error) => {
                let _unheard = to.blocking_send(Err(Failure::Ended { reason: error.to_string() }));
                return;
            }
        };
        let arrived = started.elapsed();
        let (data, is_keyframe) = match coding {
            _ if frame.len() > MOST_FRAME_BYTES => {
                let what = format!("a picture of more than {} MB", MOST_FRAME_BYTES >> 20);
                let _unheard = to.blocking_send(Err(Failure::Oversized { what }));
                return;
            }
            FrameCoding::H264 => {
                let is_keyframe = has_idr(&frame);
                (Some(frame), is_keyframe)
            }
            FrameCoding::Jpeg => {
                let picture = whole_picture(&frame);
                format.size = picture.as_ref().map_or(format.size, |(_, size)| Some(*size));
                (picture.map(|(data, _)| data), true)
            }
            FrameCoding::Yuyv { stride } => {
                let planes = SplitPlanes::of(&frame, stride, width as usize, height as usize);
                match planes.map(|planes| encode(planes.view(width, height))).transpose() {
                    Ok(jpeg) => (jpeg, true),
                    Err(reason) => {
                        let _unheard = to.blocking_send(Err(Failure::Ended { reason }));
                        return;
                    }
                }
            }
        };
        let Some(data) = data else {
            lost = lost.saturating_add(1);
            continue;
        };
        let ticks = (arrived.as_secs_f64() * f64::from(CLOCK_RATE_HZ)) as i64;
        last_ticks = ticks.max(last_ticks + 1);
        let unit = SessionUnit {
            data: data.into(),
            session_ticks: last_ticks,
            is_keyframe,
            is_disposable: false,
            lost_packets: std::mem::take(&mut lost),
        };
        sent = to.blocking_send(Ok(Captured::Frame { format, unit }));
    }
}

/// Without the filling that devices put behind it; `None`: it is cut off.
fn whole_picture(frame: &[u8]) -> Option<(Vec<u8>, (u32, u32))> {
    let mut pictures = VecDeque::new();
    JpegSplitter::default().push(frame, &mut pictures).ok()?;
    pictures.pop_front().map(|picture| (picture.data, picture.size))
}

/// Whether an access unit holds a slice of an IDR picture.
fn has_idr(unit: &[u8]) -> bool {
    unit.windows(4).any(|bytes| bytes[..3] == [0, 0, 1] && bytes[3] & 0x1f == 5)
}

/// YUYV in planes, 4:2:2.
struct SplitPlanes {
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
    width: usize,
}

impl SplitPlanes {
    /// `None`: the frame is shorter than its picture.
    fn of(frame: &[u8], stride: usize, width: usize, height: usize) -> Option<Self> {
        let pairs = width.div_ceil(2);
        let mut planes = Self { y: Vec::new(), u: Vec::new(), v: Vec::new(), width };
        for row in 0..height {
            let begin = row.checked_mul(stride.max(pairs * 4))?;
            for (number, pair) in frame.get(begin..begin.checked_add(pairs * 4)?)?.chunks_exact(4).enumerate()
            {
                planes.y.push(pair[0]);
                if number * 2 + 1 < width {
                    planes.y.push(pair[2]);
                }
                planes.u.push(pair[1]);
                planes.v.push(pair[3]);
            }
        }
        Some(planes)
    }

    fn view(&self, width: u32, height: u32) -> PictureView<'_> {
        let chroma = self.width.div_ceil(2);
        let planes = Planes::Yuv {
            y: Plane { samples: &self.y, stride: self.width },
            u: Plane { samples: &self.u, stride: chroma },
            v: Plane { samples: &self.v, stride: chroma },
            chroma_shift_x: 1,
            chroma_shift_y: 0,
            matrix: ColorMatrix::Bt601,
            full_range: false,
        };
        PictureView { width, height, planes }
    }
}

struct UsbSession {
    frames: mpsc::Receiver<Result<Captured, Failure>>,
    format: StreamFormat,
}

impl Session for UsbSession {
    fn format(&self) -> StreamFormat {
        self.format
    }

    /// H.264 of such cameras isn't recorded: its parameters aren't read here.
    fn sample_entry(&self) -> Option<Vec<u8>> {
        let is_jpeg = self.format.codec == Codec::Mjpeg;
        self.format.size.filter(|_| is_jpeg).and_then(jpeg_sample_entry)
    }

    fn next(&mut self) -> BoxFuture<'_, Result<SessionUnit, Failure>> {
        Box::pin(async {
            loop {
                match self.frames.recv().await {
                    Some(Ok(Captured::Frame { format, unit })) => {
                        self.format = format;
                        return Ok(unit);
                    }
                    Some(Ok(Captured::Opened(_))) => {}
                    Some(Err(failure)) => return Err(failure),
                    None => return Err(broken_down()),
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yuyv_is_split_into_planes_and_short_frames_are_refused() {
        // Two rows of three px, with filling behind each.
        let rows = [[1, 10, 2, 20, 3, 11, 0, 21, 99], [4, 12, 5, 22, 6, 13, 0, 23, 99]].concat();
        let planes = SplitPlanes::of(&rows, 9, 3, 2).expect("it is long enough");
        assert_eq!(planes.y, [1, 2, 3, 4, 5, 6]);
        assert_eq!((planes.u, planes.v), (vec![10, 11, 12, 13], vec![20, 21, 22, 23]));
        assert!(SplitPlanes::of(&rows[..14], 9, 3, 2).is_none());
        assert!(SplitPlanes::of(&rows, usize::MAX, 3, 2).is_none());
    }

    #[test]
    fn keyframes_of_h264_are_known_by_their_slices() {
        assert!(has_idr(&[0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x65, 9]));
        assert!(!has_idr(&[0, 0, 0, 1, 0x41, 1, 2]));
    }
}
