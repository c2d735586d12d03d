//! What a camera sends: its stream profiles.

use crate::address::CameraAddress;

/// A stream of a device, with its settings.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The device's identifier of it.
    pub token: String,
    /// As the device calls it; may be empty.
    pub name: String,
    /// Which of the device's cameras it shows: profiles of one have the same.
    pub video_source: String,
    /// `None`: the device doesn't say.
    pub video: Option<VideoSettings>,
    /// Where the stream is, without credentials. `None`: `trouble` says why.
    pub stream: Option<CameraAddress>,
    /// Where a JPEG picture is, if the device has one.
    pub snapshot: Option<CameraAddress>,
    /// Why there is no stream.
    pub trouble: Option<String>,
}

/// The settings of an encoder, as the device states them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VideoSettings {
    /// In capitals, such as `H264`, `H265` or `JPEG`.
    pub codec: String,
    /// px.
    pub size: Option<(u32, u32)>,
    /// The highest.
    pub frames_per_sec: Option<f64>,
    /// Frames from one keyframe to the next (`GovLength`).
    pub gop_frames: Option<u32>,
    /// The highest, kbit/s.
    pub bitrate_kbps: Option<u32>,
    /// Such as `High` or `Baseline`.
    pub codec_profile: Option<String>,
}

impl VideoSettings {
    fn is_supported(&self) -> bool {
        matches!(self.codec.as_str(), "H264" | "H265")
    }
}

/// What a profile is best for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suggestion {
    /// The largest picture, for people.
    Viewing,
    /// A picture that is large enough for the detector, and costs less to decode.
    Counting,
}

/// As wide as counting needs it; a larger picture is made smaller for the detector.
const ENOUGH_WIDTH_PX: u32 = 1280;
/// No narrower than the detector's usual input.
const LEAST_WIDTH_PX: u32 = 640;
/// Aspects that differ by less show the same.
const SAME_ASPECT: f64 = 0.03;

/// For each profile, what it is suggested for. Profiles of each of the device's cameras are compared with each other. A stream for counting is
/// suggested beside a larger one only, and only if it shows the same: counts and lines belong to one view.
pub fn suggestions(profiles: &[Profile]) -> Vec<Option<Suggestion>> {
    let sizes: Vec<Option<(u32, u32)>> = profiles
        .iter()
        .map(|profile| {
            profile.stream.as_ref()?;
            profile.video.as_ref().filter(|video| video.is_supported())?.size
        })
        .collect();
    let area = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
    let aspect = |(width, height): (u32, u32)| f64::from(width) / f64::from(height.max(1));
    let mut found = vec![None; profiles.len()];
    for (at, profile) in profiles.iter().enumerate() {
        let of_same =
            || (0..profiles.len()).filter(|&other| profiles[other].video_source == profile.video_source);
        if of_same().next() != Some(at) {
            continue;
        }
        // The first of those that are equally large: cameras put their main stream first.
        let largest = of_same()
            .filter_map(|other| Some((area(sizes[other]?), other)))
            .max_by_key(|&(area, other)| (area, usize::MAX - other));
        let Some((_, largest)) = largest else { continue };
        found[largest] = Some(Suggestion::Viewing);
        let Some(main) = sizes[largest] else { continue };
        let smaller = of_same().filter_map(|other| {
            let size = sizes[other]?;
            let is_same_view = (aspect(size) / aspect(main) - 1.0).abs() < SAME_ASPECT;
            (area(size) < area(main) && size.0 >= LEAST_WIDTH_PX && is_same_view)
                .then_some((area(size), other))
        });
        let smaller: Vec<_> = smaller.collect();
        let is_enough =
            |&&(_, other): &&(u64, usize)| sizes[other].is_some_and(|size| size.0 >= ENOUGH_WIDTH_PX);
        // The smallest that is enough, or else the one that comes nearest.
        let best = smaller.iter().filter(is_enough).min().or_else(|| smaller.iter().max());
        if let Some(&(_, best)) = best {
            found[best] = Some(Suggestion::Counting);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    fn profile(source: &str, codec: &str, size: (u32, u32)) -> Profile {
        let video = VideoSettings { codec: codec.to_owned(), size: Some(size), ..VideoSettings::default() };
        Profile {
            token: String::new(),
            name: String::new(),
            video_source: source.to_owned(),
            video: Some(video),
            stream: Some(CameraAddress::parse("rtsp://192.168.1.20/a").unwrap()),
            snapshot: None,
            trouble: None,
        }
    }

    #[test]
    fn the_largest_stream_is_for_people_and_a_small_one_of_the_same_view_for_counting() {
        use Suggestion::{Counting, Viewing};
        let main = || profile("1", "H264", (1920, 1080));
        for (what, profiles, expected) in [
            ("one", vec![main()], vec![Some(Viewing)]),
            (
                "main and sub",
                vec![main(), profile("1", "H264", (640, 360))],
                vec![Some(Viewing), Some(Counting)],
            ),
            (
                "the sub stream first",
                vec![profile("1", "H265", (704, 396)), main()],
                vec![Some(Counting), Some(Viewing)],
            ),
            ("another view", vec![main(), profile("1", "H264", (704, 576))], vec![Some(Viewing), None]),
            ("too small", vec![main(), profile("1", "H264", (320, 180))], vec![Some(Viewing), None]),
            (
                "three",
                vec![main(), profile("1", "H264", (1280, 720)), profile("1", "H264", (640, 360))],
                vec![Some(Viewing), Some(Counting), None],
            ),
            ("equal", vec![main(), main()], vec![Some(Viewing), None]),
            (
                "not supported",
                vec![profile("1", "MPEG4", (1920, 1080)), profile("1", "H264", (640, 360))],
                vec![None, Some(Viewing)],
            ),
            (
                "two cameras",
                vec![main(), profile("2", "H264", (1920, 1080)), profile("2", "H264", (640, 360))],
                vec![Some(Viewing), Some(Viewing), Some(Counting)],
            ),
            ("no stream", vec![Profile { stream: None, ..main() }], vec![None]),
            ("no height", vec![main(), profile("1", "H264", (640, 0))], vec![Some(Viewing), None]),
            ("none", vec![], vec![]),
        ] {
            assert_eq!(suggestions(&profiles), expected, "{what}");
        }
    }
}
