//! Starts worker processes, and replaces those that end.

use crate::error::{Error, Result};
use crate::file::access::{FileAccess, WorkerSettings};
use crate::file::container::MAX_PIXELS;
use crate::file::index::VideoIndex;
use crate::file::video::{Video, VideoInfo};
use crate::isolate::client::Worker;
use crate::isolate::sandbox::Confinement;
use crate::isolate::wire::{self, Request, Response};
use crate::libav::StreamCodec;
use pigweight_core::time::TimeBase;
use std::path::Path;
use std::sync::Arc;

/// Starts the processes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Workers(Arc<WorkerSettings>);

impl Workers {
    /// The workers of a video; `None` if this process reads it.
    pub(crate) fn of(video: &Video) -> Option<Self> {
        match video.access() {
            FileAccess::InProcess => None,
            FileAccess::Worker(settings) => Some(Self(settings.clone())),
        }
    }

    /// Starts nothing yet.
    pub fn new(settings: WorkerSettings) -> Self {
        Self(Arc::new(settings))
    }

    /// Starts one and ends it: tests whether processes can be started, and which protections apply.
    ///
    /// # Errors
    /// [`Error::NoWorker`], or why it ended.
    pub fn check(&self) -> Result<Confinement> {
        Ok(Worker::start(&self.0, &self.0.program)?.1)
    }

    /// As [`Video::open_stored`]; only worker processes read the file, now and later.
    ///
    /// # Errors
    /// As [`Video::open_stored`], or why the process ended.
    pub fn open(&self, path: &Path, stored: Option<&[u8]>) -> Result<Video> {
        self.open_in_parts(path, stored, &mut |_| {})
    }

    /// The same; `tell` is called as for [`Video::open_in_parts`], every few seconds.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_in_parts(
        &self,
        path: &Path,
        stored: Option<&[u8]>,
        tell: &mut dyn FnMut(Video),
    ) -> Result<Video> {
        Self::retry_if_ended(|| self.open_once(path, stored, tell))
    }

    /// Runs something in a new process, and once more if that process ends: its end may have another cause, such as a system short of memory.
    /// What a file does to its process, it does twice.
    fn retry_if_ended<T>(mut work: impl FnMut() -> Result<T>) -> Result<T> {
        match work() {
            Err(Error::WorkerEnded { .. }) => work(),
            done => done,
        }
    }

    fn open_once(&self, path: &Path, stored: Option<&[u8]>, tell: &mut dyn FnMut(Video)) -> Result<Video> {
        let (mut worker, _) = Worker::start(&self.0, path)?;
        // Validated here like all results: the process isn't trusted.
        let mut known = stored.and_then(|bytes| Some((VideoIndex::from_bytes(bytes).ok()?, bytes.to_vec())));
        let sent = known.as_ref().map_or(&[][..], |(_, bytes)| bytes);
        worker.send(&Request::Open, sent)?;
        loop {
            let Response::Opened { info, stream_index, is_whole } = worker.receive()? else {
                return Err(worker.protocol_error());
            };
            let (index, stored) = match known.take() {
                Some(known) => known,
                None => {
                    let bytes = worker.bytes(wire::MOST_INDEX_BYTES)?;
                    (VideoIndex::from_bytes(&bytes)?, bytes)
                }
            };
            if index.frame_count() == 0 || !is_possible(&info) {
                return Err(worker.protocol_error());
            }
            let video = Video::known(path, info, index, Some(stored), stream_index)
                .with_access(FileAccess::Worker(self.0.clone()));
            if is_whole {
                return Ok(video);
            }
            tell(video.part());
        }
    }

    /// One that has opened the video and waits for requests.
    pub(crate) fn start_on(&self, video: &Video) -> Result<Worker> {
        let (mut worker, _) = Worker::start(&self.0, video.path())?;
        let (info, stream_index) = (video.info().clone(), video.stream_index());
        worker.send(&Request::Use { info, stream_index }, video.stored_index())?;
        Ok(worker)
    }

    /// One that decodes a stream and can't read any file. `name` stands in errors.
    pub(crate) fn start_on_stream(
        &self,
        name: &str,
        codec: StreamCodec,
        time_base: TimeBase,
    ) -> Result<Worker> {
        let (mut worker, _) = Worker::start_without_file(&self.0, name)?;
        worker.send(&Request::UseStream { codec, time_base }, &[])?;
        Ok(worker)
    }

    /// The same, replaced when it is gone.
    pub(crate) fn start_persistent(&self, video: &Video) -> Result<PersistentWorker> {
        let worker = Self::retry_if_ended(|| self.start_on(video))?;
        Ok(PersistentWorker { workers: self.clone(), video: video.clone(), worker: Some(worker) })
    }
}

/// Whether a file's metadata is plausible: a process is trusted no more than the file it reads.
fn is_possible(info: &VideoInfo) -> bool {
    let (base, pixels) = (info.time_base, u64::from(info.width) * u64::from(info.height));
    TimeBase::new(base.numerator(), base.denominator()).is_some() && (1..=MAX_PIXELS).contains(&pixels)
}

/// Where a file is read: in this process or in a worker.
pub(crate) enum Location<Local, Remote> {
    InProcess(Box<Local>),
    Worker(Box<Remote>),
}

/// A process that stays between requests, and is replaced when it is gone.
pub(crate) struct PersistentWorker {
    workers: Workers,
    video: Video,
    worker: Option<Worker>,
}

impl PersistentWorker {
    /// Sends it work. If it has ended while idle (a system short of memory kills idle processes), it is replaced
    /// silently; if it ends during the work, it is replaced once, and the second end is reported.
    pub(crate) fn with<T>(&mut self, work: impl Fn(&mut Worker) -> Result<T>) -> Result<T> {
        if let Some(mut worker) = self.worker.take() {
            match work(&mut worker) {
                Err(Error::WorkerEnded { .. }) => {}
                done => return self.keep(worker, done),
            }
        }
        let (worker, done) = Workers::retry_if_ended(|| {
            let mut worker = self.workers.start_on(&self.video)?;
            match work(&mut worker) {
                Err(error @ Error::WorkerEnded { .. }) => Err(error),
                done => Ok((worker, done)),
            }
        })?;
        self.keep(worker, done)
    }

    fn keep<T>(&mut self, worker: Worker, done: Result<T>) -> Result<T> {
        if !done.as_ref().is_err_and(Error::is_of_worker) {
            self.worker = Some(worker);
        }
        done
    }
}
