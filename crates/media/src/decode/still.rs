//! Single pictures: JPEG, PNG, WebP, BMP, TIFF.

use crate::decode::picture::Picture;
use crate::error::{Error, Result};
use crate::file::container::{MAX_PIXELS, is_picture, open_input};
use crate::file::video::Rotation;
use crate::libav::{Decoder, Received, Scaler};
use std::path::Path;

/// Reads the picture in a file (the first frame if there are more), rotated upright according to its EXIF tag.
pub fn open(path: &Path) -> Result<Picture> {
    let (mut input, stream) = open_input(path).map_err(|error| match error {
        Error::NotAVideo { path, .. } | Error::NoVideoStream { path, .. } => Error::NotAPicture { path },
        other => other,
    })?;
    if !is_picture(&input) {
        return Err(Error::IsAVideo { path: path.to_owned() });
    }
    let mut decoder = Decoder::open(&input, stream.index, MAX_PIXELS, 1)
        .ok_or_else(|| Error::NoDecoder { path: path.to_owned(), codec: stream.codec.clone() })?;
    let no_frames = || Error::NoFrames { path: path.to_owned() };
    let mut ended = false;
    loop {
        match decoder.receive() {
            Ok(Received::Frame(frame, _)) => {
                // EXIF 2.3, tag 274; no camera writes the mirrored forms (2, 4, 5, 7), which are left as they are.
                let rotation = match frame.metadata(c"Orientation").as_deref().map(str::trim) {
                    Some("3") => Rotation::Half,
                    Some("6") => Rotation::Quarter,
                    Some("8") => Rotation::ThreeQuarters,
                    _ => Rotation::from_degrees(stream.rotation_degrees),
                };
                return Picture::from_frame(frame, rotation, &mut Scaler::new()).ok_or_else(no_frames);
            }
            Ok(Received::NeedsPacket) | Err(_) if !ended => {
                let packet = input.read().map_err(|_| no_frames())?;
                ended = packet.is_none();
                if packet.as_ref().is_none_or(|packet| packet.stream_index() == stream.index) {
                    decoder.send(packet.as_ref()).map_err(|_| no_frames())?;
                }
            }
            _ => return Err(no_frames()),
        }
    }
}
