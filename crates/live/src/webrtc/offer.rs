//! SDP offers, and why one isn't answered.

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
    /// The browser takes no H.264 as cameras send it.
    #[error("the offer has no codec that the camera sends; H.264 with packetization mode 1 is needed")]
    NoCommonCodec,
    /// There are as many viewers as a server takes.
    #[error("as many viewers as a server takes are connected already; close one, or try again later")]
    TooManyViewers,
    /// The server ends.
    #[error("the server is stopping")]
    Stopping,
}

/// Checks what str0m doesn't: whether the offer asks for video in H.264. str0m answers without a codec otherwise, at which browsers fail later,
/// without a reason.
///
/// # Errors
/// Why it isn't answered.
pub fn check(sdp: &str) -> Result<(), OfferError> {
    if sdp.len() > MOST_OFFER_BYTES {
        return Err(OfferError::TooLong);
    }
    let mut asks_for_video = false;
    for section in sections(sdp).filter(|section| section.receives_video()) {
        asks_for_video = true;
        if section.has_usual_h264() {
            return Ok(());
        }
    }
    Err(if asks_for_video { OfferError::NoCommonCodec } else { OfferError::NoVideo })
}

/// A media section: its first line and the lines after it.
struct Section<'a>(&'a str);

fn sections(sdp: &str) -> impl Iterator<Item = Section<'_>> {
    sdp.split("\nm=").skip(1).map(Section)
}

impl<'a> Section<'a> {
    fn attributes(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.0.lines().skip(1).filter_map(|line| line.trim().strip_prefix("a="))
    }

    fn receives_video(&self) -> bool {
        let is_video = self.0.starts_with("video ") && !self.0.starts_with("video 0 ");
        is_video && !self.attributes().any(|attribute| matches!(attribute, "sendonly" | "inactive"))
    }

    /// Cameras' frames are larger than a packet: mode 0 can't carry them. Without a statement it is mode 0 (RFC 6184, 8.1).
    fn has_usual_h264(&self) -> bool {
        let h264 = self.attributes().filter_map(|attribute| {
            let (payload, format) = attribute.strip_prefix("rtpmap:")?.split_once(' ')?;
            format.to_ascii_uppercase().starts_with("H264/90000").then_some(payload)
        });
        let is_mode_1 = |payload: &str| {
            self.attributes().any(|attribute| {
                let format = attribute.strip_prefix("fmtp:").and_then(|rest| rest.split_once(' '));
                format.is_some_and(|(of, format)| {
                    of == payload && format.split(';').any(|part| part.trim() == "packetization-mode=1")
                })
            })
        };
        h264.into_iter().any(is_mode_1)
    }
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
    fn an_offer_needs_video_in_h264_of_mode_1() {
        for (media, expected) in [
            (H264.to_owned(), Ok(())),
            (format!("m=audio 9 UDP/TLS/RTP/SAVPF 111\na=rtpmap:111 opus/48000/2\n{H264}"), Ok(())),
            (H264.replace("recvonly", "sendrecv"), Ok(())),
            (H264.replace("H264/90000", "h264/90000"), Ok(())),
            (H264.replace("recvonly", "sendonly"), Err(OfferError::NoVideo)),
            (H264.replace("recvonly", "inactive"), Err(OfferError::NoVideo)),
            (H264.replace("video 9", "video 0"), Err(OfferError::NoVideo)),
            (H264.replace("m=video", "m=audio"), Err(OfferError::NoVideo)),
            (String::new(), Err(OfferError::NoVideo)),
            (H264.replace("packetization-mode=1", "packetization-mode=0"), Err(OfferError::NoCommonCodec)),
            (H264.replace("packetization-mode=1;", ""), Err(OfferError::NoCommonCodec)),
            (H264.replace("H264/90000", "H265/90000"), Err(OfferError::NoCommonCodec)),
            (H264.replace("fmtp:102", "fmtp:96"), Err(OfferError::NoCommonCodec)),
        ] {
            assert_eq!(check(&offer(&media)), expected, "{media}");
        }
        assert_eq!(check(&offer(&H264.repeat(1000))), Err(OfferError::TooLong));
    }
}
