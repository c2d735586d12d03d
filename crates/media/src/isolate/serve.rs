//! The worker process's side.

use crate::decode::frame::{DecodedFrame, Pass};
use crate::decode::local_reader::LocalReader;
use crate::decode::local_seeker::LocalSeeker;
use crate::decode::local_stream_decoder::{LocalStreamDecoder, MOST_ACCESS_UNIT_BYTES};
use crate::error::{Error, Result};
use crate::file::index::VideoIndex;
use crate::file::video::Video;
use crate::isolate::wire::{self, FrameHead, Request, Response};
use crate::isolate::{pictures, sandbox};
use crate::libav::StreamCodec;
use crate::output::hls::LocalStreamer;
use crate::output::transcoder::{LocalTranscoder, TranscodedFrame};
use pigweight_core::time::{Pts, TimeBase};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often a waiting owner gets a heartbeat.
const HEARTBEAT_INTERVAL: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Back-to-back requests don't wait for read-ahead.
const AHEAD_AFTER: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
/// How often an owner gets the progress of an index.
const PARTS_AFTER: Duration = Duration::from_secs(2);

/// Why a process ended before its owner closed it.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Its pipes.
    #[error("a worker process talks to its owner over pipes, and they failed: {0}")]
    Pipes(#[from] io::Error),
    /// Its owner.
    #[error("a worker process is started by the server alone, which asks for things in their order")]
    Order,
}

/// Reads one file for the owner at the other end of stdin and stdout, until stdin closes. From the first request on,
/// the process can do nothing else.
///
/// # Errors
/// If the owner violates the protocol.
pub fn serve() -> std::result::Result<(), ServeError> {
    let mut from = File::from(owned(io::stdin().as_fd())?);
    let to = Arc::new(Mutex::new(File::from(owned(io::stdout().as_fd())?)));
    let (Request::Start { path, memory_bytes }, _) = wire::read(&mut from)? else {
        return Err(ServeError::Order);
    };
    let confinement = sandbox::confine(&path, memory_bytes);
    let (owner, heartbeat_to) = (from.try_clone()?, to.clone());
    // Confined like this thread.
    std::thread::Builder::new()
        .name("heartbeat".into())
        .spawn(move || send_heartbeats(&owner, &heartbeat_to))?;
    answer(&to, &Response::Ready(confinement), &[])?;
    let mut work = Work { path, from, to, opened: None, stream: None };
    work.run()
}

fn owned(fd: std::os::fd::BorrowedFd<'_>) -> io::Result<OwnedFd> {
    fd.try_clone_to_owned()
}

fn answer(to: &Mutex<File>, head: &Response, bytes: &[&[u8]]) -> io::Result<()> {
    // A panicking holder ends the process.
    wire::write(&mut *to.lock().unwrap_or_else(PoisonError::into_inner), head, bytes)
}

/// Sends a heartbeat while decoding makes progress. Exits the process when its owner is gone.
fn send_heartbeats(owner: &File, to: &Mutex<File>) {
    let mut steps = crate::libav::steps();
    loop {
        match poll(&mut [PollFd::new(owner, PollFlags::empty())], Some(&HEARTBEAT_INTERVAL)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            _ => std::process::exit(0),
        }
        let now = crate::libav::steps();
        if now == steps {
            continue;
        }
        steps = now;
        // A response that is being written counts as a heartbeat.
        if let Ok(mut to) = to.try_lock()
            && wire::write(&mut *to, &Response::Working, &[]).is_err()
        {
            std::process::exit(0);
        }
    }
}

struct Work {
    path: PathBuf,
    from: File,
    to: Arc<Mutex<File>>,
    opened: Option<Opened>,
    stream: Option<Stream>,
}

/// A stream without a file; its decoder or transcoder is opened by its first access unit.
struct Stream {
    codec: StreamCodec,
    time_base: TimeBase,
    decoder: Option<LocalStreamDecoder>,
    transcoder: Option<LocalTranscoder>,
}

/// A video, and its open readers.
struct Opened {
    video: Video,
    seeker: Option<LocalSeeker>,
    streamer: Option<LocalStreamer>,
}

impl Work {
    fn run(&mut self) -> std::result::Result<(), ServeError> {
        loop {
            self.decode_while_idle();
            let (request, length) = match wire::read(&mut self.from) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                read => read?,
            };
            match request {
                Request::Start { .. } => return Err(ServeError::Order),
                Request::Cancel => {}
                Request::Open => {
                    let index = wire::read_bytes(&mut self.from, length, wire::MOST_INDEX_BYTES)?;
                    self.open(&index)?;
                }
                Request::Use { info, stream_index } => {
                    let index = wire::read_bytes(&mut self.from, length, wire::MOST_INDEX_BYTES)?;
                    let index = VideoIndex::from_bytes(&index).map_err(|_| ServeError::Order)?;
                    let video = Video::known(&self.path, info, index, None, stream_index);
                    self.opened = Some(Opened { video, seeker: None, streamer: None });
                }
                Request::UseStream { codec, time_base } => {
                    self.stream = Some(Stream { codec, time_base, decoder: None, transcoder: None });
                }
                Request::AccessUnit { pts } => {
                    let bytes = wire::read_bytes(&mut self.from, length, MOST_ACCESS_UNIT_BYTES as u64)?;
                    self.decode(&bytes, pts)?;
                }
                Request::Transcode { pts, encodes } => {
                    let bytes = wire::read_bytes(&mut self.from, length, MOST_ACCESS_UNIT_BYTES as u64)?;
                    self.transcode(&bytes, pts, encodes)?;
                }
                Request::ResetStream => {
                    if let Some(Stream { decoder, transcoder, .. }) = &mut self.stream {
                        decoder.iter_mut().for_each(LocalStreamDecoder::reset);
                        transcoder.iter_mut().for_each(LocalTranscoder::reset);
                    }
                }
                Request::Frame { pts } => {
                    let found = self.frame(pts);
                    self.send_frame(found)?;
                }
                Request::Read(pass) => self.read(pass)?,
                Request::Init => self.send_segment(LocalStreamer::init)?,
                Request::Fragment { number } => self.send_segment(|streamer| streamer.fragment(number))?,
            }
        }
    }

    /// Reads ahead around the last frame while there is no request.
    fn decode_while_idle(&mut self) {
        let owner = &self.from;
        if let Some(seeker) = self.opened.as_mut().and_then(|opened| opened.seeker.as_mut())
            && !is_waiting(owner, AHEAD_AFTER)
        {
            seeker.decode_ahead(&|| is_cancelled(owner));
        }
    }

    fn open(&self, stored: &[u8]) -> io::Result<()> {
        let is_known = !stored.is_empty();
        let send = |video: &Video, index: &[u8]| {
            let (info, stream_index) = (video.info().clone(), video.stream_index());
            let opened = Response::Opened { info, stream_index, is_whole: video.is_whole() };
            answer(&self.to, &opened, &[index])
        };
        let mut sent = Ok(());
        let opened = Video::open_in_parts(&self.path, is_known.then_some(stored), PARTS_AFTER, &mut |part| {
            sent = send(&part, part.stored_index());
        });
        sent?;
        match opened {
            Err(error) => answer(&self.to, &Response::Failed(error), &[]),
            Ok(video) => send(&video, if is_known { &[] } else { video.stored_index() }),
        }
    }

    fn frame(&mut self, pts: Pts) -> Result<(DecodedFrame, FrameFacts)> {
        let Some(opened) = &mut self.opened else { return Err(out_of_order()) };
        let seeker = match &mut opened.seeker {
            Some(seeker) => seeker,
            none => none.insert(LocalSeeker::open(&opened.video)?),
        };
        let owner = &self.from;
        let frame = seeker.frame_unless(pts, &|| is_cancelled(owner))?;
        Ok((frame, FrameFacts { damaged_packets: 0, sought: seeker.sought() }))
    }

    fn read(&mut self, pass: Pass) -> io::Result<()> {
        let reader = match &self.opened {
            Some(opened) => LocalReader::open(&opened.video, pass),
            None => Err(out_of_order()),
        };
        let mut reader = match reader {
            Ok(reader) => reader,
            Err(error) => return answer(&self.to, &Response::Failed(error), &[]),
        };
        loop {
            let frame = reader.next_frame();
            let damaged_packets = reader.damaged_packets();
            match frame {
                Ok(None) => return answer(&self.to, &Response::End { damaged_packets }, &[]),
                Ok(Some(frame)) => {
                    self.send_frame(Ok((frame, FrameFacts { damaged_packets, sought: None })))?;
                }
                Err(error) => return answer(&self.to, &Response::Failed(error), &[]),
            }
        }
    }

    fn stream_decoder(&mut self) -> Result<&mut LocalStreamDecoder> {
        let Some(Stream { codec, time_base, decoder, .. }) = &mut self.stream else {
            return Err(out_of_order());
        };
        match decoder {
            Some(decoder) => Ok(decoder),
            none => Ok(none.insert(LocalStreamDecoder::open(*codec, *time_base)?)),
        }
    }

    fn decode(&mut self, access_unit: &[u8], pts: Pts) -> io::Result<()> {
        let decoded = self.stream_decoder().and_then(|decoder| {
            let frames = decoder.decode(access_unit, pts)?;
            Ok((frames, decoder.damaged_packets()))
        });
        let (frames, damaged_packets) = match decoded {
            Ok(decoded) => decoded,
            Err(error) => return answer(&self.to, &Response::Failed(error), &[]),
        };
        for frame in frames {
            self.send_frame(Ok((frame, FrameFacts { damaged_packets, sought: None })))?;
        }
        answer(&self.to, &Response::End { damaged_packets }, &[])
    }

    fn transcode(&mut self, access_unit: &[u8], pts: Pts, encodes: bool) -> io::Result<()> {
        let Some(Stream { codec, time_base, transcoder, .. }) = &mut self.stream else {
            return answer(&self.to, &Response::Failed(out_of_order()), &[]);
        };
        let opened = match transcoder {
            Some(transcoder) => Ok(transcoder),
            none => LocalTranscoder::open(*codec, *time_base).map(|opened| none.insert(opened)),
        };
        match opened.and_then(|transcoder| transcoder.transcode(access_unit, pts, encodes)) {
            Err(error) => answer(&self.to, &Response::Failed(error), &[]),
            Ok(frames) => {
                for TranscodedFrame { data, pts, is_keyframe } in frames {
                    answer(&self.to, &Response::Coded { pts, is_keyframe }, &[&data])?;
                }
                answer(&self.to, &Response::End { damaged_packets: 0 }, &[])
            }
        }
    }

    fn send_segment(&mut self, make: impl FnOnce(&mut LocalStreamer) -> Result<Vec<u8>>) -> io::Result<()> {
        let segment = match &mut self.opened {
            None => Err(out_of_order()),
            Some(opened) => match &mut opened.streamer {
                Some(streamer) => make(streamer),
                none => LocalStreamer::open(&opened.video).and_then(|streamer| make(none.insert(streamer))),
            },
        };
        match segment {
            Ok(bytes) => answer(&self.to, &Response::Bytes, &[&bytes]),
            Err(error) => answer(&self.to, &Response::Failed(error), &[]),
        }
    }

    fn send_frame(&self, found: Result<(DecodedFrame, FrameFacts)>) -> io::Result<()> {
        let (frame, facts) = match found {
            Ok(found) => found,
            Err(error) => return answer(&self.to, &Response::Failed(error), &[]),
        };
        let view = frame.picture.view();
        let (samples, planes) = pictures::samples(&view);
        let head = FrameHead {
            pts: frame.pts,
            is_damaged: frame.is_damaged,
            damaged_packets: facts.damaged_packets,
            sought: facts.sought,
            width: view.width,
            height: view.height,
            samples,
        };
        let planes: Vec<&[u8]> = planes.iter().map(AsRef::as_ref).collect();
        answer(&self.to, &Response::Frame(head), &planes)
    }
}

struct FrameFacts {
    damaged_packets: usize,
    sought: Option<Duration>,
}

fn out_of_order() -> Error {
    Error::NoWorker { reason: ServeError::Order.to_string() }
}

/// Any input during work means that the caller no longer waits: another request, or the owner's end.
fn is_cancelled(owner: &File) -> bool {
    is_waiting(owner, Timespec { tv_sec: 0, tv_nsec: 0 })
}

/// Whether the owner has sent something or is gone.
fn is_waiting(owner: &File, patience: Timespec) -> bool {
    poll(&mut [PollFd::new(owner, PollFlags::IN)], Some(&patience)).is_ok_and(|ready| ready > 0)
}
