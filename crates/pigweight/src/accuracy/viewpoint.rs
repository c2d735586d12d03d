//! Whether a recording shows the view that an adapted detector learned. One that was adapted to a camera is not used blindly after the camera was
//! moved: it knows what stands where.

use crate::accuracy::sampling::each_spread;
use pigweight_core::motion::SmallLuma;
use pigweight_core::picture::{PictureView, Plane, Planes};
use pigweight_core::viewpoint::{ViewMatch, Viewpoint, ViewpointBuilder};
use pigweight_media::Video;
use pigweight_train::Network;
use pigweight_train::adapt::Film;
use std::sync::atomic::AtomicBool;

/// The key in a detector's metadata under which it says which view it learned.
pub const VIEWPOINT: &str = "pigweight.viewpoint";
/// Pictures of a recording that are compared, spread over it.
const PICTURES: usize = 16;

/// The view of the pictures to train on, as the text for a detector's metadata; `None` if they are too few.
pub fn of_film(film: &Film) -> Option<(&'static str, String)> {
    let mut builder = ViewpointBuilder::default();
    for picture in film.pictures().take(film.len().0) {
        let samples = Plane { samples: &picture.data, stride: 3 * picture.width };
        let (width, height) = (picture.width as u32, picture.height as u32);
        builder.add(SmallLuma::of(&PictureView { width, height, planes: Planes::Rgb(samples) }));
    }
    Some((VIEWPOINT, builder.finish()?.to_text()))
}

/// How a recording's view relates to the one that a detector learned. `None` if the detector's file doesn't say, the recording is too short, or
/// `stop` was set.
///
/// # Errors
/// If the recording can't be read.
pub fn compare(detector: &[u8], video: &Video, stop: &AtomicBool) -> anyhow::Result<Option<ViewMatch>> {
    let stated = Network::metadata(detector, VIEWPOINT).ok().flatten();
    let Some(learned) = stated.and_then(|text| Viewpoint::from_text(&text)) else { return Ok(None) };
    let mut builder = ViewpointBuilder::default();
    let is_whole = each_spread(video, PICTURES, stop, |shown| {
        builder.add(SmallLuma::of(&shown.view()));
        Ok(())
    })?;
    if !is_whole {
        return Ok(None);
    }
    Ok(builder.finish().map(|shown| learned.compare(&shown)))
}
