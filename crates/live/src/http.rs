//! Cameras that send JPEG pictures over HTTP or HTTPS: as a stream (`multipart/x-mixed-replace`), or one at each request, which is then repeated.
//!
//! Where a picture begins and ends is read from the pictures themselves (`jpeg_splitter.rs`). Boundaries and lengths in the stream aren't
//! looked at: those of old cameras are wrong too often.

pub(crate) mod client;

use crate::access_unit::{CLOCK_RATE_HZ, Codec, StreamFormat};
use crate::address::CameraAddress;
use crate::dial::Dialler;
use crate::failure::Failure;
use crate::http::client::HttpClient;
use crate::jpeg_splitter::{JpegSplitter, Picture};
use crate::recording::jpeg_sample_entry;
use crate::session::{Connector, Session, SessionUnit};
use futures::future::BoxFuture;
use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// From one request of a single picture to the next.
pub const SNAPSHOT_INTERVAL: Duration = Duration::from_millis(500);

/// Connects to a camera over HTTP.
pub struct HttpConnector {
    dialler: Arc<Dialler>,
}

impl HttpConnector {
    /// For this address; connects to nothing yet.
    pub fn new(address: CameraAddress) -> Self {
        Self { dialler: Arc::new(Dialler::new(address)) }
    }

    async fn open(&self) -> Result<HttpSession, Failure> {
        let mut client = HttpClient::new(self.dialler.clone());
        let asked = Instant::now();
        let response = client.get().await?;
        let kind = Kind::of(&response).map_err(|content_type| {
            let host = self.dialler.address().host();
            Failure::NoPictures { host, content_type }
        })?;
        Ok(HttpSession {
            client,
            kind,
            body: Some(response.into_body()),
            splitter: JpegSplitter::default(),
            ready: VecDeque::new(),
            started: asked,
            asked,
            last_ticks: -1,
            size: None,
            host: self.dialler.address().host(),
        })
    }
}

impl Connector for HttpConnector {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Session>, Failure>> {
        Box::pin(async { Ok(Box::new(self.open().await?) as Box<dyn Session>) })
    }

    fn host(&self) -> String {
        self.dialler.address().host()
    }
}

/// What an answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Pictures until the connection ends.
    Stream,
    /// One picture.
    Snapshot,
}

impl Kind {
    /// `Err`: the content type of something else.
    fn of(response: &Response<Incoming>) -> Result<Self, String> {
        let stated = response.headers().get(CONTENT_TYPE).map(|value| value.as_bytes());
        let stated = String::from_utf8_lossy(stated.unwrap_or_default()).to_ascii_lowercase();
        Self::of_type(stated.split(';').next().unwrap_or_default().trim())
    }

    fn of_type(content_type: &str) -> Result<Self, String> {
        match content_type {
            "image/jpeg" | "image/jpg" | "image/pjpeg" => Ok(Self::Snapshot),
            // Cameras that don't say it, or say something vague. If it is something else, no picture is found.
            "" | "application/octet-stream" => Ok(Self::Stream),
            known if known.starts_with("multipart/") => Ok(Self::Stream),
            known if known.starts_with("video/") && known.contains("jpeg") => Ok(Self::Stream),
            other => Err(other.chars().filter(|c| !c.is_control()).take(60).collect()),
        }
    }
}

struct HttpSession {
    client: HttpClient,
    kind: Kind,
    /// `None` between two requests.
    body: Option<Incoming>,
    splitter: JpegSplitter,
    ready: VecDeque<Picture>,
    started: Instant,
    /// When the last request was made.
    asked: Instant,
    last_ticks: i64,
    size: Option<(u32, u32)>,
    host: String,
}

impl HttpSession {
    /// Receives until there is a picture.
    async fn receive(&mut self) -> Result<Picture, Failure> {
        loop {
            if let Some(picture) = self.ready.pop_front() {
                return Ok(picture);
            }
            let Some(body) = &mut self.body else {
                sleep_until(self.asked + SNAPSHOT_INTERVAL).await;
                self.asked = Instant::now();
                self.body = Some(self.client.get().await?.into_body());
                continue;
            };
            match body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.splitter.push(bytes, &mut self.ready)?;
                    }
                }
                Some(Err(error)) => return Err(Failure::Ended { reason: error.to_string() }),
                None if self.kind == Kind::Snapshot => {
                    self.splitter = JpegSplitter::default();
                    self.body = None;
                }
                None => return Err(Failure::Ended { reason: format!("{} closed it", self.host) }),
            }
        }
    }

    /// The time of arrival: HTTP tells no other. No two pictures have the same.
    fn ticks(&mut self) -> i64 {
        let ticks = self.started.elapsed().as_secs_f64() * f64::from(CLOCK_RATE_HZ);
        self.last_ticks = (ticks as i64).max(self.last_ticks + 1);
        self.last_ticks
    }
}

impl Session for HttpSession {
    fn format(&self) -> StreamFormat {
        StreamFormat { codec: Codec::Mjpeg, size: self.size, frames_per_sec: None }
    }

    fn sample_entry(&self) -> Option<Vec<u8>> {
        self.size.and_then(jpeg_sample_entry)
    }

    fn next(&mut self) -> BoxFuture<'_, Result<SessionUnit, Failure>> {
        Box::pin(async {
            let picture = self.receive().await?;
            self.size = Some(picture.size);
            Ok(SessionUnit {
                session_ticks: self.ticks(),
                is_keyframe: true,
                is_disposable: false,
                lost_packets: picture.broken_before,
                data: picture.data.into(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_of_pictures_are_told_from_others() {
        for (content_type, kind) in [
            ("multipart/x-mixed-replace", Ok(Kind::Stream)),
            ("video/x-motion-jpeg", Ok(Kind::Stream)),
            ("", Ok(Kind::Stream)),
            ("image/jpeg", Ok(Kind::Snapshot)),
            ("text/html", Err("text/html".to_owned())),
            ("video/mp4", Err("video/mp4".to_owned())),
        ] {
            assert_eq!(Kind::of_type(content_type), kind, "{content_type}");
        }
    }
}
