//! Cameras that were found on the network, as the API and the command line tell them.

use crate::web::api::camera_answers::CameraReason;
use pigweight_live::CameraAddress;
use pigweight_live::onvif::{DeviceReport, ProbeMatch, Profile, Suggestion, Trouble, suggestions};
use serde::Serialize;
use utoipa::ToSchema;

/// How far a found camera was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FoundCameraState {
    /// It is being asked.
    Asking,
    /// It told everything.
    Told,
    /// It wants a user and a password.
    NeedsPassword,
    /// It didn't tell everything; `reason` says why.
    Failed,
}

/// A camera, a recorder, or another device that answered the search.
#[derive(Serialize, ToSchema)]
pub struct FoundCamera {
    /// In this search.
    pub id: String,
    /// The address that it answered from. Nothing else is ever asked.
    pub address: String,
    /// As it calls itself; null if it doesn't.
    pub name: Option<String>,
    pub manufacturer: Option<String>,
    pub model: Option<String>,
    pub firmware: Option<String>,
    pub serial: Option<String>,
    pub state: FoundCameraState,
    /// Why it didn't tell everything.
    pub reason: Option<CameraReason>,
    /// How far its clock is ahead of the server's, seconds; negative: behind. Null if it didn't tell the time.
    pub clock_offset_secs: Option<f64>,
    /// Another host that it named as its own address; its answering address was used instead. Null: none.
    pub named_host: Option<String>,
    pub profiles: Vec<FoundProfile>,
}

/// A stream of a found camera. Its settings are as the camera states them.
#[derive(Serialize, ToSchema)]
pub struct FoundProfile {
    /// In this search.
    pub id: String,
    pub name: String,
    /// Which of the device's cameras it shows: streams of one have the same.
    pub video_source: String,
    /// In capitals, such as `H264`, `H265` or `JPEG`.
    pub codec: Option<String>,
    /// px.
    pub width: Option<u32>,
    /// px.
    pub height: Option<u32>,
    /// The highest.
    pub frames_per_sec: Option<f64>,
    /// Frames from one keyframe to the next.
    pub gop_frames: Option<u32>,
    /// The highest, kbit/s.
    pub bitrate_kbps: Option<u32>,
    /// Of the codec, such as `Main`.
    pub codec_profile: Option<String>,
    /// Where the stream is, without user and password; passwords in its path are masked. Null: the camera doesn't say it, and `problem` says why.
    pub url: Option<String>,
    pub problem: Option<String>,
    /// `viewing`: the largest picture, for people. `counting`: the same view in a size that is enough for the detector. Null: neither.
    pub suggested_for: Option<&'static str>,
    /// The camera of this server that has this stream already; null: none.
    pub camera: Option<String>,
}

/// Whether an address is that of the stream, whoever may see it.
fn is_same(stream: &CameraAddress, known: &CameraAddress) -> bool {
    let url = |address: &CameraAddress| {
        let mut url = address.url().clone();
        url.set_fragment(None);
        url
    };
    stream.host() == known.host()
        && stream.port() == known.port()
        && url(stream).path() == url(known).path()
        && url(stream).query() == url(known).query()
}

impl FoundCamera {
    /// `known` are the server's cameras by their identifiers.
    pub fn of(
        number: usize,
        probed: &ProbeMatch,
        report: Option<&DeviceReport>,
        known: &[(String, CameraAddress)],
    ) -> Self {
        let empty = DeviceReport::default();
        let told = report.unwrap_or(&empty);
        let suggested = suggestions(&told.profiles);
        let profiles = told.profiles.iter().zip(suggested).enumerate();
        let profiles = profiles
            .map(|(at, (profile, suggested))| FoundProfile::of(number, at, profile, suggested, known));
        Self {
            id: number.to_string(),
            address: probed.host.to_string(),
            name: probed.name.clone(),
            manufacturer: told.manufacturer.clone(),
            model: told.model.clone().or_else(|| probed.hardware.clone()),
            firmware: told.firmware.clone(),
            serial: told.serial.clone(),
            state: match (report, &told.trouble) {
                (None, _) => FoundCameraState::Asking,
                (_, None) => FoundCameraState::Told,
                (_, Some(Trouble::NeedsPassword)) => FoundCameraState::NeedsPassword,
                (_, Some(_)) => FoundCameraState::Failed,
            },
            reason: told
                .trouble
                .as_ref()
                .map(|trouble| CameraReason { code: trouble.code().to_owned(), text: trouble.to_string() }),
            clock_offset_secs: told.clock_offset_secs,
            named_host: told.named_host.clone(),
            profiles: profiles.collect(),
        }
    }
}

impl FoundProfile {
    fn of(
        device: usize,
        number: usize,
        profile: &Profile,
        suggested: Option<Suggestion>,
        known: &[(String, CameraAddress)],
    ) -> Self {
        let video = profile.video.clone().unwrap_or_default();
        let stream = profile.stream.as_ref();
        let camera = stream.and_then(|stream| known.iter().find(|(_, known)| is_same(stream, known)));
        Self {
            id: format!("{device}-{number}"),
            name: profile.name.clone(),
            video_source: profile.video_source.clone(),
            codec: Some(video.codec).filter(|codec| !codec.is_empty()),
            width: video.size.map(|(width, _)| width),
            height: video.size.map(|(_, height)| height),
            frames_per_sec: video.frames_per_sec,
            gop_frames: video.gop_frames,
            bitrate_kbps: video.bitrate_kbps,
            codec_profile: video.codec_profile,
            url: stream.map(ToString::to_string),
            problem: profile.trouble.clone(),
            suggested_for: suggested.map(|suggested| match suggested {
                Suggestion::Viewing => "viewing",
                Suggestion::Counting => "counting",
            }),
            camera: camera.map(|(id, _)| id.clone()),
        }
    }
}

/// The numbers in a profile's identifier.
pub fn profile_numbers(id: &str) -> Option<(usize, usize)> {
    let (device, profile) = id.split_once('-')?;
    Some((device.parse().ok()?, profile.parse().ok()?))
}
