//! Single pictures: JPEG, PNG, WebP, BMP, TIFF.

use crate::decode::picture::Picture;
use crate::decode::picture_maker::PictureMaker;
use crate::error::{Error, Result};
use crate::file::container::{MAX_PIXELS, is_picture, open_input};
use crate::file::orientation::Orientation;
use crate::file::shape::PictureForm;
use crate::libav::{Decoder, Received};
use std::path::Path;

/// Reads the picture in a file (the first frame if there are more), made upright according to its EXIF tag.
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
                let tag = frame.metadata(c"Orientation");
                let matrix = || stream.display_matrix.map(Orientation::of_matrix);
                let orientation = tag.as_deref().and_then(Orientation::of_exif).or_else(matrix);
                let form = PictureForm { size: None, orientation: orientation.unwrap_or_default() };
                return PictureMaker::new(form).picture(frame).ok_or_else(no_frames);
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
