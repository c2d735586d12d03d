//! Cameras: a connection that stays alive, and its access units on one timeline.
//!
//! ```text
//! rtsp, http or usb (a session) → timeline (one monotonic timeline) → camera (state, retries) → subscriptions: decoder, webrtc, fragmented, recorder
//! ```
//! One rule holds for the whole crate: **nothing behind a camera can hold it back.** Access units go into a bounded broadcast. A subscriber
//! that is too slow loses the oldest, is told so, and continues at the next keyframe.
//!
//! A [`Camera`] is in exactly one [`CameraState`]. It reconnects by itself for as long as it exists ([`retry`] has the intervals). All
//! times are on one 90 kHz timeline; a reconnection continues it ([`timeline`]).
//!
//! [`onvif`] finds cameras on the network. [`recording`] writes access units to files. Left out on purpose: decoding (the media crate), and which files are kept (the binary). This
//! crate doesn't know libav.

pub mod access_unit;
pub mod address;
pub mod advice;
pub mod camera;
pub mod certificate;
mod challenge;
pub mod dial;
pub mod failure;
pub mod fragmented;
pub mod http;
mod jpeg_splitter;
pub mod onvif;
pub mod recording;
pub mod replay;
pub mod retry;
pub mod rtsp;
pub mod session;
pub mod state;
pub mod stream_meter;
mod subscription;
pub mod survey;
pub mod timeline;
pub mod usb;
pub mod webrtc;

pub use access_unit::{AccessUnit, Codec, StreamFormat};
pub use address::{CameraAddress, Scheme};
pub use camera::{Camera, Publisher, Subscriber};
pub use certificate::Fingerprint;
pub use failure::Failure;
pub use state::{CameraState, StateChange};
pub use subscription::{Received, Subscription};
pub use survey::StreamSurvey;
