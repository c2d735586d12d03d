//! The address of a video that is replayed as a camera: `replay:VIDEO?speed=2&once=true`. Playing it is the binary's, which has the videos.

use url::Url;

/// Fastest, times real time.
pub const MOST_SPEED: f64 = 16.0;
/// Slowest.
pub const LEAST_SPEED: f64 = 0.25;
/// No identifier of a video is longer.
const MOST_VIDEO_BYTES: usize = 64;

/// Which video, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// Its identifier: never a path.
    pub video: String,
    /// Times real time.
    pub speed: f64,
    /// It ends at its end. Otherwise it begins anew.
    pub is_once: bool,
}

impl Replay {
    /// Reads the address. `None`: it names no video, or no speed that can be.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        let video = url.path().to_owned();
        let is_identifier = !video.is_empty() && video.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_identifier || video.len() > MOST_VIDEO_BYTES || url.fragment().is_some() {
            return None;
        }
        let mut replay = Self { video, speed: 1.0, is_once: false };
        for (name, value) in url.query_pairs() {
            match (name.as_ref(), value.as_ref()) {
                ("speed", speed) => {
                    let speed = speed.parse().ok();
                    replay.speed = speed.filter(|speed| (LEAST_SPEED..=MOST_SPEED).contains(speed))?;
                }
                ("once", "true") => replay.is_once = true,
                ("once", "false") => replay.is_once = false,
                _ => return None,
            }
        }
        Some(replay)
    }
}
