//! What would be better set in a camera, by what it sends.

use crate::access_unit::Codec;
use crate::survey::StreamSurvey;
use std::fmt;

/// Viewers see the first picture late, and a lost packet costs more.
const LONG_KEYFRAME_INTERVAL_SECS: f64 = 4.5;
/// An animal that runs crosses a line within so few frames that it may be seen on one side only.
const LOW_RATE: f64 = 4.5;
const HIGH_RATE: f64 = 31.0;
/// More than 1920 × 1088.
const LARGE_PICTURE_PX: u64 = 1920 * 1088;
/// The stated rate is rounded by cameras.
const RATE_TOLERANCE: f64 = 0.25;
const MUCH_LOSS: f64 = 0.01;
/// Networks and cameras delay what they tell by less.
const CLOCK_TOLERANCE_SECS: f64 = 10.0;
/// Time zones differ by multiples of a quarter of an hour, up to 14 hours.
const ZONE_STEP_SECS: f64 = 15.0 * 60.0;
const ZONE_TOLERANCE_SECS: f64 = 60.0;
const MOST_ZONE_SECS: f64 = 14.0 * 3600.0;
/// A clock that is so far off was never set.
const UNSET_SECS: f64 = 365.0 * 24.0 * 3600.0;

/// One thing to change, for people: what is so, and what to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Advice {
    /// Keyframes come seldom, seconds.
    LongKeyframeInterval(f64),
    /// B-frames.
    ReorderedFrames,
    /// H.265.
    TranscodedForBrowsers,
    /// Single JPEG pictures.
    SinglePictures,
    /// Frames a second.
    LowRate(f64),
    /// Frames a second.
    HighRate(f64),
    /// Frames a second: stated and measured.
    OtherRateThanStated(f64, f64),
    /// Width and height, px.
    LargePicture(u32, u32),
    /// Share of the frames, 0 to 1.
    Losses(f64),
    /// The camera's clock is fast by so many seconds; negative: slow.
    WrongClock(f64),
    /// As `WrongClock`, by what a time zone makes.
    WrongZone(f64),
    /// As `WrongClock`, by years.
    UnsetClock,
}

impl Advice {
    /// A permanent code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::LongKeyframeInterval(_) => "long_keyframe_interval",
            Self::ReorderedFrames => "reordered_frames",
            Self::TranscodedForBrowsers => "transcoded_for_browsers",
            Self::SinglePictures => "single_pictures",
            Self::LowRate(_) => "low_frame_rate",
            Self::HighRate(_) => "high_frame_rate",
            Self::OtherRateThanStated(..) => "other_rate_than_stated",
            Self::LargePicture(..) => "large_picture",
            Self::Losses(_) => "losses",
            Self::WrongClock(_) => "wrong_clock",
            Self::WrongZone(_) => "wrong_time_zone",
            Self::UnsetClock => "unset_clock",
        }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::LongKeyframeInterval(secs) => write!(
                to,
                "a keyframe comes every {secs:.0} s; set one every 1 to 2 s (the camera may call it I-frame interval or GOP), and viewers see it \
                 sooner and less is missing after a lost packet"
            ),
            Self::ReorderedFrames => to.write_str(
                "frames come in another order than they are shown (B-frames), which browsers don't play live: each watched minute is transcoded; \
                 switch B-frames off, or choose the baseline profile",
            ),
            Self::TranscodedForBrowsers => to.write_str(
                "browsers don't play H.265 live: each watched minute is transcoded; choose H.264 in the camera if it can",
            ),
            Self::SinglePictures => to.write_str(
                "it sends single JPEG pictures, which take many times the network and disk of H.264; if the camera has an address that begins \
                 with rtsp://, use that",
            ),
            Self::LowRate(rate) => write!(
                to,
                "it sends {rate:.1} frames a second; an animal that runs may cross a line unseen; set 10 to 15"
            ),
            Self::HighRate(rate) => {
                write!(to, "it sends {rate:.0} frames a second; 15 are enough to count, and cost less")
            }
            Self::OtherRateThanStated(stated, measured) => write!(
                to,
                "it states {stated:.0} frames a second and sends {measured:.1}; in the dark cameras expose longer: give it more light, or limit \
                 the exposure time"
            ),
            Self::LargePicture(width, height) => write!(
                to,
                "its picture has {width} × {height} px; counting needs about 1280 × 720: name a smaller stream of the camera for counting"
            ),
            Self::Losses(share) => write!(
                to,
                "packets are missing before {:.0} of 100 frames; use a cable instead of the air, or lower the camera's bit rate",
                (share * 100.0).ceil()
            ),
            Self::WrongClock(secs) => {
                write!(to, "its clock is {} the server's; set its time server (NTP)", Deviation(secs))
            }
            Self::WrongZone(secs) => write!(
                to,
                "its clock is {} the server's, as if its time zone were wrong; set its time zone and its time server (NTP)",
                Deviation(secs)
            ),
            Self::UnsetClock => to.write_str(
                "its clock is years off: it was never set, or the camera's battery is empty; set its time server (NTP)",
            ),
        }
    }
}

/// `1 h 2 min ahead of`.
struct Deviation(f64);

impl fmt::Display for Deviation {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.0.abs().round();
        let (hours, minutes, rest) = ((secs / 3600.0).floor(), (secs / 60.0).floor() % 60.0, secs % 60.0);
        match () {
            () if hours > 0.0 => write!(to, "{hours} h {minutes} min")?,
            () if minutes > 0.0 => write!(to, "{minutes} min {rest} s")?,
            () => write!(to, "{rest} s")?,
        }
        to.write_str(if self.0 < 0.0 { " behind" } else { " ahead of" })
    }
}

/// What would be better, the most important first.
pub fn advice(survey: &StreamSurvey) -> Vec<Advice> {
    let StreamSurvey { format, measures, clock_offset_secs } = survey;
    let mut found = Vec::new();
    if let Some(rate) = measures.frames_per_sec {
        match format.frames_per_sec {
            _ if rate < LOW_RATE => found.push(Advice::LowRate(rate)),
            _ if rate > HIGH_RATE => found.push(Advice::HighRate(rate)),
            Some(stated) if (rate / stated - 1.0).abs() > RATE_TOLERANCE && rate < stated => {
                found.push(Advice::OtherRateThanStated(stated, rate));
            }
            _ => {}
        }
    }
    if measures.loss_share > MUCH_LOSS {
        found.push(Advice::Losses(measures.loss_share));
    }
    if let Some(secs) = measures.keyframe_interval_secs.filter(|&secs| secs > LONG_KEYFRAME_INTERVAL_SECS) {
        found.push(Advice::LongKeyframeInterval(secs));
    }
    match format.codec {
        Codec::H265 => found.push(Advice::TranscodedForBrowsers),
        Codec::Mjpeg => found.push(Advice::SinglePictures),
        Codec::H264 | Codec::Vp8 if measures.has_reordered_frames => found.push(Advice::ReorderedFrames),
        Codec::H264 | Codec::Vp8 => {}
    }
    let area = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
    if let Some((width, height)) = format.size.filter(|&size| area(size) > LARGE_PICTURE_PX) {
        found.push(Advice::LargePicture(width, height));
    }
    found.extend(clock_offset_secs.and_then(clock_advice));
    found
}

fn clock_advice(offset_secs: f64) -> Option<Advice> {
    let away = offset_secs.abs();
    let from_zone = (away / ZONE_STEP_SECS).round() * ZONE_STEP_SECS;
    match () {
        () if away <= CLOCK_TOLERANCE_SECS => None,
        () if away > UNSET_SECS => Some(Advice::UnsetClock),
        () if (ZONE_STEP_SECS..=MOST_ZONE_SECS).contains(&from_zone)
            && (away - from_zone).abs() <= ZONE_TOLERANCE_SECS =>
        {
            Some(Advice::WrongZone(offset_secs))
        }
        () => Some(Advice::WrongClock(offset_secs)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_unit::StreamFormat;
    use crate::stream_meter::StreamMeasures;

    fn survey() -> StreamSurvey {
        StreamSurvey {
            format: StreamFormat { codec: Codec::H264, size: Some((1280, 720)), frames_per_sec: Some(15.0) },
            measures: StreamMeasures {
                frames_per_sec: Some(14.9),
                bits_per_sec: Some(1e6),
                keyframe_interval_secs: Some(2.0),
                keyframe_interval_frames: Some(30),
                has_reordered_frames: false,
                loss_share: 0.0,
            },
            clock_offset_secs: Some(-0.2),
        }
    }

    fn codes(survey: &StreamSurvey) -> Vec<&'static str> {
        advice(survey).iter().map(Advice::code).collect()
    }

    #[test]
    fn a_camera_that_is_set_well_gets_no_advice() {
        assert!(codes(&survey()).is_empty());
    }

    #[test]
    fn what_is_set_badly_is_told() {
        let mut bad = survey();
        bad.format.codec = Codec::H265;
        bad.format.size = Some((3840, 2160));
        bad.measures.frames_per_sec = Some(8.0);
        bad.measures.keyframe_interval_secs = Some(10.0);
        bad.measures.loss_share = 0.03;
        assert_eq!(
            codes(&bad),
            [
                "other_rate_than_stated",
                "losses",
                "long_keyframe_interval",
                "transcoded_for_browsers",
                "large_picture"
            ]
        );
        let mut slow = survey();
        slow.measures.frames_per_sec = Some(1.0);
        slow.measures.has_reordered_frames = true;
        assert_eq!(codes(&slow), ["low_frame_rate", "reordered_frames"]);
    }

    #[test]
    fn clocks() {
        let table = [
            (9.0, None),
            (-40.0, Some("wrong_clock")),
            (3600.5, Some("wrong_time_zone")),
            (-5.5 * 3600.0 - 20.0, Some("wrong_time_zone")),
            (3600.0 + 200.0, Some("wrong_clock")),
            (20.0 * 3600.0, Some("wrong_clock")),
            (-1.79e9, Some("unset_clock")),
        ];
        for (offset, code) in table {
            assert_eq!(clock_advice(offset).map(|advice| advice.code()), code, "{offset}");
        }
        let text = Advice::WrongClock(-3723.0).to_string();
        assert!(text.contains("1 h 2 min behind the server's"), "{text}");
        assert!(Advice::WrongClock(61.0).to_string().contains("1 min 1 s ahead of"), "seconds");
    }
}
