//! Fragments for HTTP Live Streaming, made in this process or in a worker.

use crate::error::Result;
use crate::file::video::Video;
use crate::isolate::{Location, PersistentWorker, Request, Response, Worker, Workers};
use crate::output::hls::{LocalStreamer, MOST_SEGMENT_BYTES, Segments};

/// A segment with its audio.
const MOST_FRAGMENT_BYTES: u64 = 4 * MOST_SEGMENT_BYTES;

/// Makes fragments from a file that stays open: viewers request one after the other.
pub struct Streamer {
    segments: Segments,
    place: Location<LocalStreamer, PersistentWorker>,
}

impl Streamer {
    /// Opens the file of a video that a browser can play.
    ///
    /// # Errors
    /// As [`Segments::of`], and if the file doesn't open.
    pub fn open(video: &Video) -> Result<Self> {
        let segments = Segments::of(video)?;
        let place = match Workers::of(video) {
            None => Location::InProcess(Box::new(LocalStreamer::open(video)?)),
            Some(workers) => Location::Worker(Box::new(workers.start_persistent(video)?)),
        };
        Ok(Self { segments, place })
    }

    /// The segments.
    pub fn segments(&self) -> &Segments {
        &self.segments
    }

    /// The initialisation segment: "ftyp" and "moov".
    ///
    /// # Errors
    /// If the file can't be read or muxed into an mp4.
    pub fn init(&mut self) -> Result<Vec<u8>> {
        match &mut self.place {
            Location::InProcess(streamer) => streamer.init(),
            Location::Worker(held) => held.with(|worker| fragment_bytes(worker, &Request::Init)),
        }
    }

    /// A fragment: "moof" and "mdat".
    ///
    /// # Errors
    /// [`crate::Error::OutsideVideo`] if there is none with this number; and if the file can't be read.
    pub fn fragment(&mut self, number: usize) -> Result<Vec<u8>> {
        match &mut self.place {
            Location::InProcess(streamer) => streamer.fragment(number),
            Location::Worker(held) => {
                held.with(|worker| fragment_bytes(worker, &Request::Fragment { number }))
            }
        }
    }
}

fn fragment_bytes(worker: &mut Worker, wanted: &Request) -> Result<Vec<u8>> {
    worker.send(wanted, &[])?;
    match worker.receive()? {
        Response::Bytes => worker.bytes(MOST_FRAGMENT_BYTES),
        _ => Err(worker.protocol_error()),
    }
}
