//! Any name beside a playlist: a piece of it has one name only.
#![no_main]

#[path = "../../crates/pigweight/src/web/piece.rs"]
mod piece;

use libfuzzer_sys::fuzz_target;
use piece::Piece;

fuzz_target!(|name: &str| {
    if let Some(piece) = Piece::named(name) {
        assert_eq!(piece.to_string(), name);
    }
});
