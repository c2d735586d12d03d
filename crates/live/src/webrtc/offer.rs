//! SDP offers, and why one isn't answered.

use std::collections::BTreeMap;
use thiserror::Error;

/// Longest offer, bytes. Browsers send 2 to 8 kB.
pub const MOST_OFFER_BYTES: usize = 64 << 10;

/// Why an offer isn't answered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OfferError {
    /// It can't be read.
    #[error("this is no SDP offer: {0}")]
    NotSdp(String),
    /// It is too long.
    #[error("the offer is longer than {MOST_OFFER_BYTES} bytes")]
    TooLong,
    /// It doesn't ask for video.
    #[error("the offer asks for no video; add a video transceiver that receives (recvonly)")]
    NoVideo,
    /// The browser takes none of the codecs.
    #[error("the offer has neither H.264 with packetization mode 1 nor VP8; one of them is needed")]
    NoCommonCodec,
    /// There are as many viewers as a server takes.
    #[error("as many viewers as a server takes are connected already; close one, or try again later")]
    TooManyViewers,
    /// There are many whose viewers haven't connected yet.
    #[error(
        "as many offers as the server takes wait for their viewers to connect; try again in a few seconds"
    )]
    TooManyWaiting,
    /// The server ends.
    #[error("the server is stopping")]
    Stopping,
}

/// What a viewer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VideoCodec {
    /// The camera's own frames.
    H264,
    /// Coded anew.
    Vp8,
}

/// Checks what str0m doesn't: whether the offer asks for video, and in which of the codecs; in the order in which they are preferred here. str0m answers
/// without a codec otherwise, at which browsers fail later, without a reason.
///
/// # Errors
/// Why it isn't answered.
pub fn codecs(sdp: &str) -> Result<Vec<VideoCodec>, OfferError> {
    if sdp.len() > MOST_OFFER_BYTES {
        return Err(OfferError::TooLong);
    }
    if !has_clear_payloads(sdp) {
        return Err(OfferError::NotSdp("a payload number has two meanings".to_owned()));
    }
    let video: Vec<_> = sections(sdp).filter(Section::receives_video).collect();
    if video.is_empty() {
        return Err(OfferError::NoVideo);
    }
    let mut codecs = Vec::new();
    if video.iter().any(|section| section.has_usual_h264()) {
        codecs.push(VideoCodec::H264);
    }
    if video.iter().any(Section::has_vp8) {
        codecs.push(VideoCodec::Vp8);
    }
    if codecs.is_empty() { Err(OfferError::NoCommonCodec) } else { Ok(codecs) }
}

/// A media section: its first line and the lines after it.
#[derive(Clone, Copy)]
struct Section<'a>(&'a str);

fn sections(sdp: &str) -> impl Iterator<Item = Section<'_>> {
    sdp.split("\nm=").skip(1).map(Section)
}

impl<'a> Section<'a> {
    fn attributes(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.0.lines().skip(1).filter_map(|line| line.trim().strip_prefix("a="))
    }

    /// Of its first line: what comes after the medium.
    fn port(&self) -> &'a str {
        self.0.lines().next().and_then(|line| line.split_whitespace().nth(1)).unwrap_or("0")
    }

    /// Of its first line: what comes after the protocol.
    fn formats(self) -> &'a str {
        let line = self.0.lines().next().unwrap_or_default();
        line.splitn(4, ' ').nth(3).unwrap_or_default().trim()
    }

    fn receives_video(&self) -> bool {
        let is_video = self.0.starts_with("video ") && self.port() != "0";
        is_video && !self.attributes().any(|attribute| matches!(attribute, "sendonly" | "inactive"))
    }

    fn has_vp8(&self) -> bool {
        self.payloads_of("VP8/90000").next().is_some()
    }

    /// The payload numbers of a format.
    fn payloads_of(&self, name: &'static str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.attributes().filter_map(move |attribute| {
            let (payload, format) = attribute.strip_prefix("rtpmap:")?.split_once(' ')?;
            format.to_ascii_uppercase().starts_with(name).then_some(payload)
        })
    }

    /// Cameras' frames are larger than a packet: mode 0 can't carry them. Without a statement it is mode 0 (RFC 6184, 8.1).
    fn has_usual_h264(&self) -> bool {
        let is_mode_1 = |payload: &str| {
            self.attributes().any(|attribute| {
                let format = attribute.strip_prefix("fmtp:").and_then(|rest| rest.split_once(' '));
                format.is_some_and(|(of, format)| {
                    of == payload && format.split(';').any(|part| part.trim() == "packetization-mode=1")
                })
            })
        };
        self.payloads_of("H264/90000").any(is_mode_1)
    }
}

/// Whether each payload number means the same wherever it stands: str0m breaks down over others.
fn has_clear_payloads(sdp: &str) -> bool {
    let (mut meanings, mut resent) = (BTreeMap::new(), BTreeMap::new());
    let mut attributes = sections(sdp).flat_map(|section| section.attributes().collect::<Vec<_>>());
    attributes.all(|attribute| {
        let Some((name @ ("rtpmap" | "fmtp"), rest)) = attribute.split_once(':') else { return true };
        let Some((payload, meaning)) = rest.split_once(' ') else { return true };
        let is_same = *meanings.entry((name, payload)).or_insert(meaning) == meaning;
        // Packets that are sent again have one number for each payload.
        let of = meaning.split(';').find_map(|part| part.trim().strip_prefix("apt="));
        is_same && of.is_none_or(|of| *resent.entry(of).or_insert(payload) == payload)
    })
}

/// The offer with what RFC 8866 and RFC 8843 let it leave out and str0m wants: a direction in each section, and a group of all of them.
pub fn completed(sdp: &str) -> String {
    const DIRECTIONS: [&str; 4] = ["a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"];
    let mut parts = sdp.split("\nm=");
    let session = parts.next().unwrap_or_default().trim_end();
    let usual =
        session.lines().map(str::trim).find(|line| DIRECTIONS.contains(line)).unwrap_or(DIRECTIONS[0]);
    let (mut mids, mut text) = (Vec::new(), String::new());
    for part in parts {
        let part = part.trim_end();
        let mut lines = part.lines().map(str::trim);
        mids.extend(lines.clone().find_map(|line| line.strip_prefix("a=mid:")));
        text += &format!("m={part}\r\n");
        if !part.starts_with("application ") && !lines.any(|line| DIRECTIONS.contains(&line)) {
            text += &format!("{usual}\r\n");
        }
    }
    let has_group = session.lines().any(|line| line.starts_with("a=group:")) || mids.is_empty();
    let group = if has_group { String::new() } else { format!("a=group:BUNDLE {}\r\n", mids.join(" ")) };
    format!("{session}\r\n{group}{text}")
}

/// The answer as browsers read it. A section that is refused names the formats that were offered: an empty list is no SDP. Candidates stand in a section
/// that is not refused. Audio is inactive: cameras' sound isn't sent.
pub fn repaired_answer(answer: &str, offer: &str) -> String {
    let offered: Vec<&str> = sections(offer).map(Section::formats).collect();
    let mut parts = answer.split("\nm=");
    let session = parts.next().unwrap_or_default().trim_end();
    let parts: Vec<Section<'_>> = parts.map(Section).collect();
    let is_candidate =
        |line: &&str| line.starts_with("a=candidate:") || line.starts_with("a=end-of-candidates");
    let candidates: Vec<&str> = parts.iter().flat_map(|part| part.0.lines()).filter(is_candidate).collect();
    let first_open = parts.iter().position(|part| part.port() != "0");
    let mut lines = vec![session.to_owned()];
    for (number, part) in parts.iter().enumerate() {
        let mut own = part.0.lines().map(str::trim_end).filter(|line| !is_candidate(line));
        let head = own.next().unwrap_or_default();
        let missing = match part.formats() {
            "" => offered.get(number).copied().filter(|formats| !formats.is_empty()).unwrap_or("0"),
            _ => "",
        };
        lines.push(format!("m={head} {missing}").trim_end().to_owned());
        let is_audio = part.0.starts_with("audio ");
        for line in own {
            let is_direction = matches!(line, "a=sendrecv" | "a=sendonly" | "a=recvonly");
            lines.push(if is_audio && is_direction { "a=inactive" } else { line }.to_owned());
        }
        if first_open == Some(number) {
            lines.extend(candidates.iter().map(|line| line.trim_end().to_owned()));
        }
    }
    lines.join("\r\n") + "\r\n"
}

/// Whether an answer sends video in this codec.
pub fn answers(answer: &str, codec: VideoCodec) -> bool {
    let name = match codec {
        VideoCodec::H264 => "H264/90000",
        VideoCodec::Vp8 => "VP8/90000",
    };
    sections(answer).any(|section| {
        let is_named = |attribute: &str| attribute.starts_with("rtpmap:") && attribute.contains(name);
        section.0.starts_with("video ") && section.port() != "0" && section.attributes().any(is_named)
    })
}

/// The name that STUN requests to the writer of this SDP begin with.
pub fn ufrag(sdp: &str) -> Option<&str> {
    sdp.lines().find_map(|line| line.trim().strip_prefix("a=ice-ufrag:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(media: &str) -> String {
        format!("v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n{media}")
            .replace('\n', "\r\n")
            .replace("\r\r", "\r")
    }

    const H264: &str = "m=video 9 UDP/TLS/RTP/SAVPF 96 102\na=recvonly\na=rtpmap:96 VP8/90000\na=rtpmap:102 H264/90000\n\
                        a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f\n";

    #[test]
    fn an_offer_needs_video_in_h264_of_mode_1_or_vp8() {
        use VideoCodec::{H264 as Own, Vp8 as Anew};
        let without_vp8 = H264.replace("VP8", "VP9");
        for (media, expected) in [
            (H264.to_owned(), Ok(vec![Own, Anew])),
            (without_vp8.clone(), Ok(vec![Own])),
            (
                format!("m=audio 9 UDP/TLS/RTP/SAVPF 111\na=rtpmap:111 opus/48000/2\n{H264}"),
                Ok(vec![Own, Anew]),
            ),
            (H264.replace("recvonly", "sendrecv"), Ok(vec![Own, Anew])),
            (without_vp8.replace("H264/90000", "h264/90000"), Ok(vec![Own])),
            (H264.replace("recvonly", "sendonly"), Err(OfferError::NoVideo)),
            (H264.replace("recvonly", "inactive"), Err(OfferError::NoVideo)),
            (H264.replace("video 9", "video 0"), Err(OfferError::NoVideo)),
            (H264.replace("m=video", "m=audio"), Err(OfferError::NoVideo)),
            (String::new(), Err(OfferError::NoVideo)),
            (H264.replace("packetization-mode=1", "packetization-mode=0"), Ok(vec![Anew])),
            (
                without_vp8.replace("packetization-mode=1", "packetization-mode=0"),
                Err(OfferError::NoCommonCodec),
            ),
            (without_vp8.replace("packetization-mode=1;", ""), Err(OfferError::NoCommonCodec)),
            (without_vp8.replace("H264/90000", "H265/90000"), Err(OfferError::NoCommonCodec)),
            (H264.replace("H264/90000", "H265/90000"), Ok(vec![Anew])),
            (without_vp8.replace("fmtp:102", "fmtp:96"), Err(OfferError::NoCommonCodec)),
        ] {
            assert_eq!(codecs(&offer(&media)), expected, "{media}");
        }
        assert_eq!(codecs(&offer(&H264.repeat(1000))), Err(OfferError::TooLong));
    }

    #[test]
    fn a_payload_number_with_two_meanings_is_refused() {
        let other = H264.replace("42001f", "4d001f");
        let resent = "a=rtpmap:103 rtx/90000\na=fmtp:103 apt=102\n";
        let twice = format!("{H264}{resent}{}", resent.replace("103", "104"));
        for media in [format!("{H264}{other}"), twice] {
            assert!(matches!(codecs(&offer(&media)), Err(OfferError::NotSdp(_))), "{media}");
        }
        let same = codecs(&offer(&format!("{H264}{resent}{H264}{resent}")));
        assert!(same.is_ok(), "the same in two sections");
    }

    #[test]
    fn an_offer_is_completed_with_what_it_may_leave_out() {
        let bare = offer(&H264.replace("a=recvonly\n", "a=mid:v\n"));
        let complete = completed(&bare);
        assert!(
            complete.contains("a=group:BUNDLE v\r\n") && complete.ends_with("a=sendrecv\r\n"),
            "{complete}"
        );
        assert_eq!(completed(&complete), complete);
        let session_wide = bare.replace("t=0 0\r\n", "t=0 0\r\na=recvonly\r\n");
        assert!(completed(&session_wide).ends_with("a=recvonly\r\n"));
    }

    #[test]
    fn an_answer_is_one_that_browsers_read() {
        let asked = offer(&format!("m=audio 9 UDP/TLS/RTP/SAVPF 9 8\na=mid:0\n{H264}a=mid:1\n"));
        let answer = "v=0\r\ns=-\r\nm=audio 0 UDP/TLS/RTP/SAVPF \r\na=candidate:1 1 udp 1 192.0.2.1 8080 typ host\r\na=mid:0\r\na=recvonly\r\n\
                      m=video 9 UDP/TLS/RTP/SAVPF 102\r\na=mid:1\r\na=sendonly\r\na=rtpmap:102 H264/90000\r\n";
        let repaired = repaired_answer(answer, &asked);
        assert_eq!(
            repaired,
            "v=0\r\ns=-\r\nm=audio 0 UDP/TLS/RTP/SAVPF 9 8\r\na=mid:0\r\na=inactive\r\nm=video 9 UDP/TLS/RTP/SAVPF 102\r\na=mid:1\r\n\
             a=sendonly\r\na=rtpmap:102 H264/90000\r\na=candidate:1 1 udp 1 192.0.2.1 8080 typ host\r\n"
        );
        assert!(answers(&repaired, VideoCodec::H264) && !answers(&repaired, VideoCodec::Vp8));
    }
}
