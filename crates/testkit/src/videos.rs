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
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let directory = target.join("fixtures");
    std::fs::create_dir_all(&directory).expect("the build folder can be written");
    // Test processes run side by side: one makes the videos, the others wait for it.
    let lock = File::create(directory.join("lock")).expect("the build folder can be written");
    lock.lock().expect("file locks work here");
    let script = root.join("fixtures/make_videos.sh");
    let status = Command::new("bash").arg(&script).arg(&directory).status().expect("bash is installed");
    assert!(status.success(), "{} failed", script.display());
    directory.join(name)
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
