//! The owner's side.

use crate::decode::frame::DecodedFrame;
use crate::decode::picture::Picture;
use crate::error::{Error, Result};
use crate::file::access::WorkerSettings;
use crate::file::video::Video;
use crate::isolate::pictures;
use crate::isolate::sandbox::Confinement;
use crate::isolate::wire::{self, FrameHead, Request, Response};
use crate::libav::FramePool;
use pigweight_core::time::TimeBase;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How often a waiting owner checks for cancellation.
const LOOK_UP_AFTER: Duration = Duration::from_millis(20);
/// Longest interval between checks of a process that doesn't end.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Processes that were told to end and haven't been reaped yet.
const MOST_LEAVING: usize = 256;
/// Pipe size, if the system allows it: a frame passes in few pieces.
const PIPE_BYTES: usize = 1 << 20;

/// A process that reads one file.
pub(crate) struct Worker {
    process: ChildGuard,
    to: ChildStdin,
    from: ChildStdout,
    path: Arc<Path>,
    silence: Duration,
    /// Remaining bytes after the last answer.
    length: u64,
    /// Receives the samples of its frames.
    frames: FramePool,
}

impl Worker {
    /// Starts one for a file; also returns what confines it.
    pub(super) fn start(settings: &WorkerSettings, path: &Path) -> Result<(Self, Confinement)> {
        // It begins elsewhere.
        let absolute = std::path::absolute(path).map_err(no_worker)?;
        Self::start_confined_to(settings, path, absolute)
    }

    /// Starts one that can't read any file. `name` stands in errors.
    pub(super) fn start_without_file(settings: &WorkerSettings, name: &str) -> Result<(Self, Confinement)> {
        Self::start_confined_to(settings, Path::new(name), PathBuf::new())
    }

    fn start_confined_to(
        settings: &WorkerSettings,
        path: &Path,
        file: PathBuf,
    ) -> Result<(Self, Confinement)> {
        let mut process = Command::new(&settings.program)
            .args(&settings.arguments)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(no_worker)?;
        let pipes = process.stdin.take().zip(process.stdout.take());
        let process = ChildGuard::of(process);
        let (to, from) = pipes.ok_or_else(|| no_worker(io::Error::other("it has no pipes")))?;
        for pipe in [to.as_fd(), from.as_fd()] {
            rustix::io::ioctl_fionbio(pipe, true).map_err(|error| no_worker(error.into()))?;
            #[cfg(target_os = "linux")]
            // A smaller one works too.
            let _as_it_was = rustix::pipe::fcntl_setpipe_size(pipe, PIPE_BYTES);
        }
        let mut worker = Self {
            process,
            to,
            from,
            path: path.into(),
            silence: settings.silence,
            length: 0,
            frames: FramePool::new(),
        };
        worker.send(&Request::Start { path: file, memory_bytes: settings.memory_bytes }, &[])?;
        match worker.receive()? {
            Response::Ready(confinement) => Ok((worker, confinement)),
            _ => Err(worker.protocol_error()),
        }
    }

    /// Sends it a request.
    pub(crate) fn send(&mut self, request: &Request, bytes: &[u8]) -> Result<()> {
        let mut to = TimedPipe::new(&self.to, self.silence);
        wire::write(&mut to, request, &[bytes]).map_err(|error| self.ended(&error))
    }

    /// Its answer. Following bytes must be read before the next answer.
    pub(crate) fn receive(&mut self) -> Result<Response> {
        self.receive_unless(&|| false)
    }

    /// The same; checks now and then whether the caller still waits, and tells the process if not. It answers all the same.
    pub(crate) fn receive_unless(&mut self, is_cancelled: &dyn Fn() -> bool) -> Result<Response> {
        let mut is_sent = false;
        let answer = loop {
            let mut from = TimedPipe::new(&self.from, self.silence);
            let to = &self.to;
            let silence = self.silence;
            let mut look_up = || {
                if !is_sent && is_cancelled() {
                    is_sent = true;
                    // A process that no longer reads is detected when it doesn't answer.
                    let _gone = wire::write(&mut TimedPipe::new(to, silence), &Request::Cancel, &[]);
                }
            };
            from.look_up = Some(&mut look_up);
            match wire::read(&mut from) {
                Ok((Response::Working, _)) => {}
                other => break other,
            }
        };
        match answer {
            Ok((Response::Failed(error), _)) => Err(error),
            Ok((answer, length)) => {
                self.length = length;
                Ok(answer)
            }
            Err(error) => Err(self.ended(&error)),
        }
    }

    /// The bytes after the last answer, at most `most`.
    pub(crate) fn bytes(&mut self, most: u64) -> Result<Vec<u8>> {
        let mut from = TimedPipe::new(&self.from, self.silence);
        wire::read_bytes(&mut from, self.length, most).map_err(|error| self.ended(&error))
    }

    /// The frame whose samples follow the last answer.
    pub(crate) fn frame(&mut self, head: &FrameHead, video: &Video) -> Result<DecodedFrame> {
        if video.index().place_of(head.pts).is_none() {
            return Err(self.protocol_error());
        }
        let picture = self.picture(head)?;
        Ok(DecodedFrame { pts: head.pts, secs: video.secs(head.pts), picture, is_damaged: head.is_damaged })
    }

    /// The same for a stream, which has no index.
    pub(crate) fn stream_frame(&mut self, head: &FrameHead, time_base: TimeBase) -> Result<DecodedFrame> {
        let picture = self.picture(head)?;
        let secs = time_base.secs(head.pts);
        Ok(DecodedFrame { pts: head.pts, secs, picture, is_damaged: head.is_damaged })
    }

    fn picture(&mut self, head: &FrameHead) -> Result<Picture> {
        let mut from = TimedPipe::new(&self.from, self.silence);
        let size = (head.width, head.height);
        let picture = pictures::read(size, head.samples, self.length, &mut from, &mut self.frames);
        picture.map_err(|error| self.ended(&error))
    }

    /// It answered something that wasn't requested.
    pub(crate) fn protocol_error(&mut self) -> Error {
        self.ended(&io::ErrorKind::InvalidData.into())
    }

    /// Why a pipe failed; the process is unusable from now on.
    fn ended(&mut self, error: &io::Error) -> Error {
        let path = self.path.to_path_buf();
        match error.kind() {
            io::ErrorKind::TimedOut => Error::WorkerStuck { path, silence_secs: self.silence.as_secs() },
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => {
                Error::WorkerEnded { path, reason: self.process.reason() }
            }
            io::ErrorKind::InvalidData => {
                Error::WorkerEnded { path, reason: "it said what cannot be understood".into() }
            }
            _ => Error::WorkerEnded { path, reason: error.to_string() },
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the form that `map_err` takes")]
fn no_worker(error: io::Error) -> Error {
    Error::NoWorker { reason: error.to_string() }
}

/// A pipe with a timeout.
struct TimedPipe<'a, P> {
    pipe: &'a P,
    silence: Duration,
    /// Called now and then while waiting.
    look_up: Option<&'a mut dyn FnMut()>,
}

impl<'a, P: AsFd> TimedPipe<'a, P> {
    fn new(pipe: &'a P, silence: Duration) -> Self {
        Self { pipe, silence, look_up: None }
    }

    /// Until the pipe is ready, or closed at its other end.
    fn wait(&mut self, flags: PollFlags) -> io::Result<()> {
        let since = Instant::now();
        loop {
            let slice = if self.look_up.is_some() { LOOK_UP_AFTER } else { self.silence };
            let slice = slice.min(self.silence.saturating_sub(since.elapsed()));
            let timeout =
                Timespec { tv_sec: slice.as_secs().cast_signed(), tv_nsec: slice.subsec_nanos().into() };
            match poll(&mut [PollFd::new(self.pipe, flags)], Some(&timeout)) {
                Ok(0) if since.elapsed() >= self.silence => return Err(io::ErrorKind::TimedOut.into()),
                Ok(0) => {
                    if let Some(look_up) = &mut self.look_up {
                        look_up();
                    }
                }
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl<'a, P: AsFd> Read for TimedPipe<'a, P>
where
    &'a P: AsFd,
{
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match rustix::io::read(self.pipe, &mut *bytes) {
                Err(rustix::io::Errno::AGAIN) => self.wait(PollFlags::IN)?,
                Err(rustix::io::Errno::INTR) => {}
                other => return Ok(other?),
            }
        }
    }
}

impl<P: AsFd> Write for TimedPipe<'_, P> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::io::write(self.pipe, bytes) {
                Err(rustix::io::Errno::AGAIN) => self.wait(PollFlags::OUT)?,
                Err(rustix::io::Errno::INTR) => {}
                other => return Ok(other?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A process that ends with its owner.
struct ChildGuard(Option<Child>);

/// Processes of this one that haven't been told to end.
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

fn numbers() -> MutexGuard<'static, Vec<u32>> {
    // Every change is a single push or removal, so a panicking holder leaves the list consistent.
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The process ids of the current workers.
pub fn running() -> Vec<u32> {
    numbers().clone()
}

/// Reaps processes that were told to end, on a separate thread: one whose disk doesn't respond
/// delays no caller.
fn see_off(process: Child) {
    static LEAVING: OnceLock<Option<mpsc::SyncSender<Child>>> = OnceLock::new();
    let leaving = LEAVING.get_or_init(|| {
        let (leaving, left) = mpsc::sync_channel(MOST_LEAVING);
        let thread = std::thread::Builder::new().name("processes".into());
        thread.spawn(move || watch_ends(&left)).ok().map(|_| leaving)
    });
    // One that finds no space or thread stays in the process table until this process ends.
    if let Some(leaving) = leaving {
        let _not_taken = leaving.try_send(process);
    }
}

fn watch_ends(left: &mpsc::Receiver<Child>) {
    let mut leaving: Vec<Child> = Vec::new();
    let mut pause = LOOK_UP_AFTER;
    loop {
        let next = if leaving.is_empty() {
            left.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            left.recv_timeout(pause)
        };
        match next {
            Ok(process) => {
                leaving.push(process);
                pause = LOOK_UP_AFTER;
            }
            Err(RecvTimeoutError::Timeout) => pause = (pause * 2).min(LONGEST_PAUSE),
            Err(RecvTimeoutError::Disconnected) => return,
        }
        leaving.retain_mut(|process| matches!(process.try_wait(), Ok(None)));
    }
}

impl ChildGuard {
    fn of(process: Child) -> Self {
        numbers().push(process.id());
        Self(Some(process))
    }

    /// How it ended, after it closed its pipes.
    fn reason(&mut self) -> String {
        let Some(process) = &mut self.0 else { return "it was ended".into() };
        match process.wait() {
            Ok(status) => described(status),
            Err(error) => error.to_string(),
        }
    }
}

impl Drop for ChildGuard {
    fn drop(&mut self) {
        let Some(mut process) = self.0.take() else { return };
        // One that has ended needs no kill.
        let _ended = process.kill();
        numbers().retain(|&running| running != process.id());
        see_off(process);
    }
}

fn described(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match status.signal() {
        Some(9) => "it was ended from outside, perhaps since memory was short".into(),
        Some(6) => "it gave up, perhaps since it needed more memory than it may have".into(),
        _ => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result for a process that runs `script` instead of its work.
    fn outcome(script: &str, silence: Duration) -> Error {
        let settings = WorkerSettings {
            program: "sh".into(),
            arguments: ["-c", script].map(String::from).to_vec(),
            memory_bytes: 1 << 30,
            silence,
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        Worker::start(&settings, file.path()).err().expect(script)
    }

    #[test]
    fn each_way_a_worker_ends_has_its_own_error() {
        let soon = Duration::from_millis(50);
        let long = Duration::from_secs(60);
        assert!(matches!(outcome("exec sleep 1000", soon), Error::WorkerStuck { .. }));
        for (script, reason) in [
            ("exit 7", "exit status: 7"),
            ("kill -9 $$", "it was ended from outside"),
            ("kill -6 $$", "it gave up"),
            ("kill -11 $$", "SIGSEGV"),
            ("cat /dev/zero", "cannot be understood"),
            ("yes", "cannot be understood"),
        ] {
            let error = outcome(script, long);
            assert!(matches!(error, Error::WorkerEnded { .. }), "{script}: {error}");
            assert!(error.to_string().contains(reason), "{script}: {error}");
        }
    }

    #[test]
    fn a_missing_program_is_reported() {
        let settings = WorkerSettings {
            program: "/nowhere/pigweight".into(),
            arguments: Vec::new(),
            memory_bytes: 1 << 30,
            silence: Duration::from_secs(60),
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(Worker::start(&settings, file.path()), Err(Error::NoWorker { .. })));
    }
}
