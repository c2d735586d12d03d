//! A few pictures of a recording, spread over it.

use pigweight_media::{FrameSeeker, Picture, Video};
use std::sync::atomic::{AtomicBool, Ordering};

/// Decodes at most `most` frames, evenly spread, and passes each to `take`. Damaged frames are left out. `false` if `stop` was set meanwhile.
///
/// # Errors
/// If the recording can't be opened, or `take` fails.
pub fn each_spread(
    video: &Video,
    most: usize,
    stop: &AtomicBool,
    mut take: impl FnMut(Picture) -> anyhow::Result<()>,
) -> anyhow::Result<bool> {
    let frames = video.index().frame_count();
    let count = frames.min(most);
    let mut seeker = FrameSeeker::open(video)?;
    for place in 0..count {
        if stop.load(Ordering::SeqCst) {
            return Ok(false);
        }
        let Some(pts) = video.index().pts_at(place * frames / count) else { continue };
        match seeker.frame(pts) {
            Ok(shown) => take(shown.picture)?,
            // The next process may read it, and what is found must not depend on when one ends.
            Err(error) if error.is_of_worker() => return Err(error.into()),
            // A damaged frame.
            Err(_) => {}
        }
    }
    Ok(true)
}
