//! How a camera is connected, by its address.

use crate::background::job_context::JobContext;
use crate::background::replayed_video::ReplayConnector;
use pigweight_live::camera::CONNECT_TIMEOUT;
use pigweight_live::dial::Dialler;
use pigweight_live::http::HttpConnector;
use pigweight_live::rtsp::RtspConnector;
use pigweight_live::session::Connector;
use pigweight_live::{CameraAddress, Scheme};
use pigweight_store::CameraPlace;

/// Connects to the camera at this address; to nothing yet.
pub fn connector_of(address: CameraAddress, context: &JobContext) -> Box<dyn Connector> {
    if let Some(replay) = address.replay() {
        return Box::new(ReplayConnector::new(context.store.clone(), context.open_videos.clone(), replay));
    }
    match address.scheme() {
        Scheme::Rtsp | Scheme::Rtsps | Scheme::Replay => Box::new(RtspConnector::new(address)),
        Scheme::Http | Scheme::Https => Box::new(HttpConnector::new(address)),
    }
}

/// The same place with the certificate that the camera shows now, if it is encrypted and can be reached: later, no other is accepted.
pub async fn with_certificate(place: CameraPlace) -> CameraPlace {
    let Ok(address) = CameraAddress::parse(&place.url) else { return place };
    if !address.scheme().is_encrypted() || address.fingerprint().is_some() {
        return place;
    }
    let dialler = Dialler::new(address.clone());
    match tokio::time::timeout(CONNECT_TIMEOUT, dialler.certificate()).await {
        Ok(Ok(Some(shown))) => {
            CameraPlace { url: address.with_fingerprint(shown).url().to_string(), ..place }
        }
        // It is off: the first that it shows is kept for as long as the server runs, and that is told.
        _ => place,
    }
}
