//! Noise that is the same everywhere.

use crate::random::mix;

/// A number from 0 to 1 for each place of a grid.
pub(super) fn grain(seed: u64, x: i32, y: i32) -> f32 {
    let place = (u64::from(x.cast_unsigned()) << 32) | u64::from(y.cast_unsigned());
    (mix(place ^ seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)) >> 40) as f32 / (1 << 24) as f32
}

/// Smooth noise from 0 to 1, one lump a unit.
pub(super) fn clouds(seed: u64, x: f32, y: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let ease = |part: f32| part * part * (3.0 - 2.0 * part);
    let (right_part, bottom_part) = (ease(x - left), ease(y - top));
    let (left, top) = (left as i32, top as i32);
    let row = |y: i32| {
        let (one, other) = (grain(seed, left, y), grain(seed, left + 1, y));
        one + (other - one) * right_part
    };
    let (upper, lower) = (row(top), row(top + 1));
    upper + (lower - upper) * bottom_part
}
