//! Takes the pictures that cameras show, every few seconds.

use crate::background::camera_supervisor::CameraSupervisor;
use pigweight_media::jpeg;
use pigweight_store::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// The largest picture, bytes.
pub const MOST_BYTES: usize = 1 << 20;
const JPEG_QUALITY: u8 = 80;
/// How long a camera's next picture is waited for; what is older says nothing of now.
const PATIENCE: Duration = Duration::from_secs(2);

/// A picture of a camera, JPEG.
pub struct TakenPicture {
    /// The camera.
    pub camera_id: String,
    /// The JPEG.
    pub jpeg: Vec<u8>,
}

/// Takes pictures of all live cameras for as long as `to` is open.
pub async fn take(
    store: &Store,
    cameras: &Arc<CameraSupervisor>,
    interval: Duration,
    most_width_px: u32,
    to: mpsc::Sender<TakenPicture>,
) {
    let mut times = tokio::time::interval(interval);
    times.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        times.tick().await;
        // The list is read again at the next time.
        let Ok(records) = store.cameras().await else { continue };
        for camera in records {
            let Some(latest) = cameras.picture(&camera.id) else { continue };
            // One that shows nothing isn't waited for.
            if latest.age().is_none_or(|age| age > PATIENCE) {
                continue;
            }
            let Some(picture) = latest.next(PATIENCE).await else { continue };
            let reduced = tokio::task::spawn_blocking(move || {
                jpeg::reduced(&picture.jpeg, JPEG_QUALITY, most_width_px, MOST_BYTES)
            });
            match reduced.await {
                Ok(Ok(jpeg)) => {
                    if to.send(TakenPicture { camera_id: camera.id, jpeg }).await.is_err() {
                        return;
                    }
                }
                Ok(Err(error)) => tracing::warn!("no picture of {} is sent by MQTT: {error}", camera.name),
                Err(_) => tracing::error!("making a picture for MQTT broke down; the log says where"),
            }
        }
    }
}
