//! A picture of a camera that was found and isn't added yet.

use crate::analysis::camera_source::{TIME_BASE, stream_codec};
use crate::background::camera_connector::connector_of;
use crate::background::job_context::JobContext;
use pigweight_core::time::Pts;
use pigweight_live::session::{Session, SessionUnit};
use pigweight_live::{CameraAddress, Failure};
use pigweight_media::isolate::Workers;
use pigweight_media::{DecodedFrame, StreamDecoder, jpeg};
use std::time::Duration;
use tokio::time::timeout;

/// For one address, from the connection to the picture: keyframes may come every ten seconds.
const PICTURE_TIMEOUT: Duration = Duration::from_secs(12);
/// Access units that may be decoded before the first frame comes out.
const MOST_UNITS: usize = 64;
const JPEG_QUALITY: u8 = 80;
/// A picture is made no wider than this, px.
const MOST_WIDTH_PX: u32 = 640;
const MOST_BYTES: usize = 200_000;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The search was forgotten, or the device told something else meanwhile.
    #[error("this stream isn't known any more; search again")]
    Gone,
    /// The device names neither a picture nor a stream.
    #[error("the device names no address for a picture of this stream")]
    NoAddress,
    /// It can't be fetched.
    #[error(transparent)]
    Connection(#[from] Failure),
    /// It can't be decoded.
    #[error("what the device sends can't be decoded: {0}")]
    Undecodable(String),
}

/// A picture from the first of these addresses that gives one.
pub async fn picture_of(
    addresses: Vec<CameraAddress>,
    context: &JobContext,
) -> Result<bytes::Bytes, PictureError> {
    let mut trouble = PictureError::NoAddress;
    for address in addresses {
        match timeout(PICTURE_TIMEOUT, picture_at(address, context)).await {
            Ok(Ok(picture)) => return Ok(picture),
            Ok(Err(error)) => trouble = error,
            Err(_) => trouble = Failure::Stalled { secs: PICTURE_TIMEOUT.as_secs() }.into(),
        }
    }
    Err(trouble)
}

async fn picture_at(address: CameraAddress, context: &JobContext) -> Result<bytes::Bytes, PictureError> {
    let name = address.host();
    let mut session = connector_of(address, context).connect().await?;
    let mut unit = keyframe(session.as_mut()).await?;
    let codec = session.format().codec;
    let codec = stream_codec(codec).ok_or_else(|| PictureError::Undecodable("its format".to_owned()))?;
    let workers: Option<Workers> = context.open_videos.workers();
    let opened = blocking(move || {
        StreamDecoder::open(workers.as_ref(), &name, codec, TIME_BASE)
            .map_err(|error| PictureError::Undecodable(error.to_string()))
    });
    let mut decoder = opened.await?;
    for _ in 0..MOST_UNITS {
        let (returned, frame) = blocking(move || {
            let frames = decoder.decode(&unit.data, Pts(unit.session_ticks));
            let frames = frames.map_err(|error| PictureError::Undecodable(error.to_string()))?;
            Ok((decoder, frames.into_iter().find(|frame| !frame.is_damaged)))
        })
        .await?;
        if let Some(frame) = frame {
            return blocking(move || small_jpeg(&frame)).await;
        }
        decoder = returned;
        // Frames may come in another order than they are shown.
        unit = session.next().await?;
    }
    Err(PictureError::Undecodable("no whole picture came".to_owned()))
}

async fn keyframe(session: &mut dyn Session) -> Result<SessionUnit, Failure> {
    loop {
        let unit = session.next().await?;
        if unit.is_keyframe {
            return Ok(unit);
        }
    }
}

fn small_jpeg(frame: &DecodedFrame) -> Result<bytes::Bytes, PictureError> {
    let failed = |error: pigweight_media::Error| PictureError::Undecodable(error.to_string());
    let whole = jpeg::encode(frame.picture.view(), JPEG_QUALITY, &[], 1.0).map_err(failed)?;
    jpeg::reduced(&whole, JPEG_QUALITY, MOST_WIDTH_PX, MOST_BYTES).map(Into::into).map_err(failed)
}

/// Decoding waits for a process.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PictureError> + Send + 'static,
) -> Result<T, PictureError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(PictureError::Undecodable(error.to_string())),
    }
}
