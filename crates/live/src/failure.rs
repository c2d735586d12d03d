//! Why a camera's picture is not there, in words for people.

use crate::certificate::Fingerprint;

/// Why a connection could not be made, or ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nothing answers at the address.
    #[error("{host} doesn't answer ({reason}); check the address, the camera's power and its cable")]
    Unreachable {
        /// Host and port.
        host: String,
        /// The system's reason.
        reason: String,
    },
    /// It answers too slowly.
    #[error("{host} took the connection and said nothing for {secs} s; start the camera anew")]
    Silent {
        /// Host and port.
        host: String,
        /// How long it was waited for.
        secs: u64,
    },
    /// Name or password is wrong.
    #[error(
        "the camera refuses the name or password; enter them again. Wrong ones are tried once a minute, since cameras lock who tries too often"
    )]
    WrongPassword,
    /// It wants the password itself, and a person has not chosen this camera yet.
    #[error(
        "the camera wants the password unencrypted (basic authentication), and gets it only if you add it; add it by its address"
    )]
    PlainPassword,
    /// The path is wrong.
    #[error(
        "the camera has nothing at this path; look for the address of its stream in its manual or settings"
    )]
    NoSuchStream,
    /// Something else listens there.
    #[error("{host} doesn't speak RTSP ({reason}); cameras usually do on port 554")]
    NotRtsp {
        /// Host and port.
        host: String,
        /// What came instead.
        reason: String,
    },
    /// There is no encryption at the address.
    #[error(
        "{host} doesn't speak TLS ({reason}); if the camera doesn't encrypt, its address begins with rtsp:// or http://"
    )]
    NotTls {
        /// Host and port.
        host: String,
        /// What happened instead.
        reason: String,
    },
    /// The camera's certificate isn't the known one.
    #[error(
        "{host} shows another certificate than before (#sha256={found}). If the camera was reset or replaced, enter its address again without what follows the #; otherwise somebody may be listening in between, and its password was not sent"
    )]
    OtherCertificate {
        /// Host and port.
        host: String,
        /// That of the certificate it shows now.
        found: Fingerprint,
    },
    /// Something else than a camera's web server listens there.
    #[error("{host} doesn't speak HTTP ({reason}); check the port in the address")]
    NotHttp {
        /// Host and port.
        host: String,
        /// What came instead.
        reason: String,
    },
    /// A web page, for example.
    #[error(
        "{host} answers with {content_type} and not with pictures; the address of a camera's MJPEG stream or JPEG picture is in its manual, and isn't that of its web page"
    )]
    NoPictures {
        /// Host and port.
        host: String,
        /// The type of its answer.
        content_type: String,
    },
    /// It sends the caller to another host.
    #[error("the camera redirects to {to}, which isn't followed; enter the address of its pictures there")]
    Redirected {
        /// Host and port.
        to: String,
    },
    /// The video that is to be replayed isn't there.
    #[error("the video {video} can't be replayed: {reason}; /api/videos lists those that can")]
    NoSuchVideo {
        /// Its identifier.
        video: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It was to be replayed once.
    #[error(
        "the video was replayed to its end; change the camera's address, or start the server anew, to play it again"
    )]
    Played,
    /// Sound alone, or nothing.
    #[error("the stream has no video")]
    NoVideo,
    /// Not H.264 or H.265.
    #[error("the camera sends {codec}, which isn't supported; choose H.264 in its settings")]
    UnsupportedCodec {
        /// Its name in the session description.
        codec: String,
    },
    /// It sends more than any camera needs: it is broken, or not a camera.
    #[error(
        "the camera sends {what}, which no camera needs; it was disconnected so that the server's memory stays free. Start the camera anew or update its firmware"
    )]
    Oversized {
        /// What is too much.
        what: String,
    },
    /// It was connected, and nothing came any more.
    #[error("the camera stopped sending for {secs} s")]
    Stalled {
        /// How long it was waited for.
        secs: u64,
    },
    /// It closed the connection.
    #[error("the camera ended the connection: {reason}")]
    Ended {
        /// What it said.
        reason: String,
    },
    /// It answered with another error.
    #[error("the camera answered {status}: {reason}")]
    Refused {
        /// Status code of RTSP or HTTP.
        status: u16,
        /// What it said.
        reason: String,
    },
}

impl Failure {
    /// A permanent code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Silent { .. } => "silent",
            Self::WrongPassword => "wrong_password",
            Self::PlainPassword => "plain_password",
            Self::NoSuchStream => "no_such_stream",
            Self::NotRtsp { .. } => "not_rtsp",
            Self::NotHttp { .. } => "not_http",
            Self::NoPictures { .. } => "no_pictures",
            Self::Redirected { .. } => "redirected",
            Self::NoSuchVideo { .. } => "no_such_video",
            Self::Played => "played",
            Self::NotTls { .. } => "not_tls",
            Self::OtherCertificate { .. } => "other_certificate",
            Self::NoVideo => "no_video_stream",
            Self::UnsupportedCodec { .. } => "unsupported_codec",
            Self::Oversized { .. } => "oversized",
            Self::Stalled { .. } => "stalled",
            Self::Ended { .. } => "connection_ended",
            Self::Refused { .. } => "refused",
        }
    }

    /// Trying again soon can't help: a person must change something first.
    pub fn needs_person(&self) -> bool {
        matches!(
            self,
            Self::WrongPassword
                | Self::PlainPassword
                | Self::NoSuchStream
                | Self::NotRtsp { .. }
                | Self::NotTls { .. }
                | Self::NoSuchVideo { .. }
                | Self::Played
                | Self::NotHttp { .. }
                | Self::NoPictures { .. }
                | Self::Redirected { .. }
                | Self::OtherCertificate { .. }
                | Self::NoVideo
                | Self::UnsupportedCodec { .. }
                | Self::Oversized { .. }
        )
    }
}
