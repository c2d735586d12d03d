//! What is read from the answers of a device. No I/O.

use crate::onvif::profile::VideoSettings;
use crate::onvif::soap::{MEDIA, MEDIA2, short};
use crate::onvif::xml::{Element, Vocabulary};
use Vocabulary::Onvif;
use jiff::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;

/// Profiles of one device; more aren't asked.
pub(crate) const MOST_PROFILES: usize = 32;
/// Of a token, bytes.
const MOST_TOKEN_BYTES: usize = 200;

/// The answer to an operation.
fn answer<'a>(envelope: &'a Element, name: &str) -> Option<&'a Element> {
    envelope.find(Onvif, name)
}

/// The device's time. Cameras that don't tell the time in UTC tell their local one, which may be off by hours; it is the only one there is.
pub(crate) fn time(envelope: &Element) -> Option<Timestamp> {
    let told = answer(envelope, "GetSystemDateAndTimeResponse")?.child(Onvif, "SystemDateAndTime")?;
    ["UTCDateTime", "LocalDateTime"].into_iter().find_map(|which| {
        let moment = told.child(Onvif, which)?;
        let part = |path: &[&str]| moment.text_at(Onvif, path)?.parse::<i16>().ok();
        let small = |path: &[&str]| i8::try_from(part(path)?).ok();
        let date =
            civil::Date::new(part(&["Date", "Year"])?, small(&["Date", "Month"])?, small(&["Date", "Day"])?)
                .ok()?;
        let second = small(&["Time", "Second"])?.min(59);
        let time =
            civil::Time::new(small(&["Time", "Hour"])?, small(&["Time", "Minute"])?, second, 0).ok()?;
        TimeZone::UTC.to_timestamp(civil::DateTime::from_parts(date, time)).ok()
    })
}

/// Who made it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Information {
    pub(crate) manufacturer: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) firmware: Option<String>,
    pub(crate) serial: Option<String>,
}

pub(crate) fn information(envelope: &Element) -> Information {
    let told = answer(envelope, "GetDeviceInformationResponse");
    let text = |name| told?.text_at(Onvif, &[name]).map(short).filter(|text| !text.is_empty());
    Information {
        manufacturer: text("Manufacturer"),
        model: text("Model"),
        firmware: text("FirmwareVersion"),
        serial: text("SerialNumber"),
    }
}

/// Where a device's profiles are asked for, as it names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MediaServices {
    pub(crate) media: Option<String>,
    pub(crate) media2: Option<String>,
}

/// Of `GetServices`.
pub(crate) fn services(envelope: &Element) -> MediaServices {
    let mut found = MediaServices::default();
    for service in
        answer(envelope, "GetServicesResponse").into_iter().flat_map(|told| told.all(Onvif, "Service"))
    {
        let place = service.text_at(Onvif, &["XAddr"]).map(str::to_owned);
        match service.text_at(Onvif, &["Namespace"]).map(|uri| uri.trim_end_matches('/')) {
            Some(MEDIA) => found.media = found.media.or(place),
            Some(MEDIA2) => found.media2 = found.media2.or(place),
            _ => {}
        }
    }
    found
}

/// Of `GetCapabilities`, which knows the first media service alone.
pub(crate) fn capabilities(envelope: &Element) -> MediaServices {
    let told = answer(envelope, "GetCapabilitiesResponse");
    let place = told.and_then(|told| told.text_at(Onvif, &["Capabilities", "Media", "XAddr"]));
    MediaServices { media: place.map(str::to_owned), media2: None }
}

/// A profile, before its addresses are known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ToldProfile {
    pub(crate) token: String,
    pub(crate) name: String,
    pub(crate) video_source: String,
    pub(crate) video: Option<VideoSettings>,
}

/// Of both media services. Those without video are left out.
pub(crate) fn profiles(envelope: &Element) -> Vec<ToldProfile> {
    let told =
        answer(envelope, "GetProfilesResponse").into_iter().flat_map(|told| told.all(Onvif, "Profiles"));
    let profiles = told.filter_map(|profile| {
        let token = profile.attribute("token")?;
        // A shortened token would be another's.
        if token.is_empty() || token.len() > MOST_TOKEN_BYTES {
            return None;
        }
        let configurations = profile.child(Onvif, "Configurations");
        let source = profile.child(Onvif, "VideoSourceConfiguration");
        let source = source.or_else(|| configurations?.child(Onvif, "VideoSource"));
        let encoder = profile.child(Onvif, "VideoEncoderConfiguration");
        let encoder = encoder.or_else(|| configurations?.child(Onvif, "VideoEncoder"));
        if source.is_none() && encoder.is_none() {
            return None;
        }
        Some(ToldProfile {
            token: token.to_owned(),
            name: profile.text_at(Onvif, &["Name"]).map(short).unwrap_or_default(),
            video_source: source
                .and_then(|source| source.text_at(Onvif, &["SourceToken"]))
                .map(short)
                .unwrap_or_default(),
            video: encoder.and_then(video),
        })
    });
    profiles.take(MOST_PROFILES).collect()
}

/// Profiles of the first media service, with the settings that the second one tells of the same.
pub(crate) fn corrected(told: Vec<ToldProfile>, second: &[ToldProfile]) -> Vec<ToldProfile> {
    told.into_iter()
        .map(|profile| {
            let same = second.iter().find(|second| second.token == profile.token);
            let video = same.and_then(|same| same.video.clone()).or(profile.video);
            ToldProfile { video, ..profile }
        })
        .collect()
}

/// The settings of an encoder, where both media services have them.
fn video(encoder: &Element) -> Option<VideoSettings> {
    let codec = encoder.text_at(Onvif, &["Encoding"])?.to_ascii_uppercase().replace(['.', '-'], "");
    let number = |path: &[&str]| {
        encoder.text_at(Onvif, path)?.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0)
    };
    let whole = |path: &[&str]| number(path).map(|number| number as u32);
    let gop = encoder.attribute("GovLength").and_then(|gop| gop.parse().ok());
    let gop =
        gop.or_else(|| ["H264", "MPEG4", "H265"].into_iter().find_map(|codec| whole(&[codec, "GovLength"])));
    let profile = encoder.attribute("Profile").or_else(|| {
        [["H264", "H264Profile"], ["H265", "H265Profile"], ["MPEG4", "Mpeg4Profile"]]
            .into_iter()
            .find_map(|path| encoder.text_at(Onvif, &path))
    });
    Some(VideoSettings {
        codec: match codec.as_str() {
            "HEVC" => "H265".to_owned(),
            "AVC" => "H264".to_owned(),
            _ => short(&codec),
        },
        size: whole(&["Resolution", "Width"]).zip(whole(&["Resolution", "Height"])),
        frames_per_sec: number(&["RateControl", "FrameRateLimit"]),
        gop_frames: gop.filter(|&frames: &u32| frames > 0),
        bitrate_kbps: whole(&["RateControl", "BitrateLimit"]),
        codec_profile: profile.map(short),
    })
}

/// The address in the answer to `GetStreamUri` or `GetSnapshotUri` of either media service.
pub(crate) fn uri(envelope: &Element) -> Option<String> {
    let told = ["GetStreamUriResponse", "GetSnapshotUriResponse"]
        .into_iter()
        .find_map(|name| answer(envelope, name))?;
    let uri = told.text_at(Onvif, &["MediaUri", "Uri"]).or_else(|| told.text_at(Onvif, &["Uri"]));
    uri.map(str::to_owned)
}

#[cfg(test)]
mod tests;
