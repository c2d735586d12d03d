//! The bar-coded videos of `fixtures/make_videos.sh`, made once into the build folder.

use pigweight_core::picture::{PictureView, Planes};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Side of a block of the bar code, px.
const BLOCK_PX: usize = 24;
/// Blocks of the bar code.
const BITS: usize = 12;

/// The path of one of the videos; the first call of all makes them.
///
/// # Panics
/// When they cannot be made: a test that needs them has failed then.
pub fn video(name: &str) -> PathBuf {
    made_by("make_videos.sh", "").join(name)
}

/// The same of those whose pictures are stored in unusual ways (`fixtures/make_picture_videos.sh`).
///
/// # Panics
/// As [`video`].
pub fn picture_video(name: &str) -> PathBuf {
    made_by("make_picture_videos.sh", "pictures").join(name)
}

fn made_by(script: &str, folder: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let directory = target.join("fixtures").join(folder);
    std::fs::create_dir_all(&directory).expect("the build folder can be written");
    // Test processes run side by side: one makes the videos, the others wait for it.
    let lock = File::create(directory.join("lock")).expect("the build folder can be written");
    lock.lock().expect("file locks work here");
    let script = root.join("fixtures").join(script);
    let status = Command::new("bash").arg(&script).arg(&directory).status().expect("bash is installed");
    assert!(status.success(), "{} failed", script.display());
    directory
}

/// A copy of an mp4 whose picture lies as this part of a display matrix says: where a step to the right leads, then one down, in
/// 1/65,536.
///
/// # Panics
/// For a file without a track header of version 0, which the fixtures have.
pub fn write_with_display_matrix(mp4: &Path, matrix: [i32; 4], to: &Path) {
    let mut bytes = std::fs::read(mp4).expect("the fixture is there");
    let header = bytes.windows(4).position(|four| four == b"tkhd").expect("a track header") + 4;
    // Version and flags, four numbers, two reserved, layer and the like: ISO/IEC 14496-12, 8.3.2.
    let place = header + 40;
    let [right_x, right_y, down_x, down_y] = matrix;
    for (number, value) in [(0, right_x), (1, right_y), (3, down_x), (4, down_y)] {
        bytes[place + 4 * number..][..4].copy_from_slice(&value.to_be_bytes());
    }
    std::fs::write(to, bytes).expect("the folder can be written");
}

/// The number that the bar code of a picture bears. `None` if a block is neither black nor white.
pub fn bar_code(picture: &PictureView<'_>) -> Option<u32> {
    bar_code_of_size(picture, BLOCK_PX)
}

/// The same of a picture at half its size.
pub fn bar_code_of_half(picture: &PictureView<'_>) -> Option<u32> {
    bar_code_of_size(picture, BLOCK_PX / 2)
}

fn bar_code_of_size(picture: &PictureView<'_>, block_px: usize) -> Option<u32> {
    let mut number = 0;
    for bit in 0..BITS {
        let (x, y) = (bit * block_px + block_px / 2, block_px / 2);
        let luma = match picture.planes {
            Planes::Yuv { y: plane, .. } => *plane.samples.get(y * plane.stride + x)?,
            Planes::Rgb(plane) => *plane.samples.get(y * plane.stride + x * 3 + 1)?,
        };
        match luma {
            160.. => number |= 1 << bit,
            0..=95 => {}
            _ => return None,
        }
    }
    Some(number)
}
