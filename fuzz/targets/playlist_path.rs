//! Any name beside a playlist: a piece of it has one name only.
#![no_main]

#[path = "../../crates/pigweight/src/web/media/hls_part.rs"]
mod hls_part;

use libfuzzer_sys::fuzz_target;
use hls_part::Piece;

fuzz_target!(|name: &str| {
    if let Some(piece) = Piece::named(name) {
        assert_eq!(piece.to_string(), name);
    }
});
