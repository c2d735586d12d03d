//! How a camera is connected, by its address.

use crate::background::job_context::JobContext;
use crate::background::replayed_video::ReplayConnector;
use pigweight_core::picture::PictureView;
use pigweight_live::dial::Dialler;
use pigweight_live::http::HttpConnector;
use pigweight_live::rtsp::RtspConnector;
use pigweight_live::session::{CONNECT_TIMEOUT, Connector};
use pigweight_live::usb::{UsbConnector, open_device};
use pigweight_live::{CameraAddress, Scheme};
use pigweight_media::jpeg;
use pigweight_store::CameraPlace;
use std::sync::Arc;

/// Of raw pictures, which the detector sees coded.
const JPEG_QUALITY: u8 = 92;

/// Connects to the camera at this address; to nothing yet.
pub fn connector_of(address: CameraAddress, context: &JobContext) -> Box<dyn Connector> {
    if let Some(replay) = address.replay() {
        return Box::new(ReplayConnector::new(context.store.clone(), context.open_videos.clone(), replay));
    }
    if let Some(device) = address.device() {
        let encode = |picture: PictureView<'_>| {
            jpeg::encode(picture, JPEG_QUALITY, &[], 1.0).map_err(|error| error.to_string())
        };
        return Box::new(UsbConnector::new(device, Arc::new(open_device), Arc::new(encode)));
    }
    match address.scheme() {
        Scheme::Rtsp | Scheme::Rtsps | Scheme::Replay | Scheme::Usb => Box::new(RtspConnector::new(address)),
        Scheme::Http | Scheme::Https => Box::new(HttpConnector::new(address)),
    }
}

/// The same place with the certificates that the camera shows now, if it is encrypted and can be reached: later, no others are accepted.
pub async fn with_certificate(place: CameraPlace) -> CameraPlace {
    let url = url_with_certificate(place.url).await;
    let counting_url = match place.counting_url {
        Some(url) => Some(url_with_certificate(url).await),
        None => None,
    };
    CameraPlace { url, counting_url, ..place }
}

async fn url_with_certificate(url: String) -> String {
    let Ok(address) = CameraAddress::parse(&url) else { return url };
    if !address.scheme().is_encrypted() || address.fingerprint().is_some() {
        return url;
    }
    let dialler = Dialler::new(address.clone());
    match tokio::time::timeout(CONNECT_TIMEOUT, dialler.certificate()).await {
        Ok(Ok(Some(shown))) => address.with_fingerprint(shown).url().to_string(),
        // It is off: the first that it shows is kept for as long as the server runs, and that is told.
        _ => url,
    }
}
