//! Smooth noise in three dimensions, for concrete, dirt and skin.

use super::vector::{Vec3, vec3};

/// From 0 to 1 for each cell of a grid.
#[inline]
fn grain(x: i32, y: i32, z: i32) -> f32 {
    let mut bits = x.cast_unsigned().wrapping_mul(0x8DA6_B343)
        ^ y.cast_unsigned().wrapping_mul(0xD816_3841)
        ^ z.cast_unsigned().wrapping_mul(0xCB1A_B31F);
    bits ^= bits >> 13;
    bits = bits.wrapping_mul(0x5BD1_E995);
    bits ^= bits >> 15;
    (bits & 0xFF_FFFF) as f32 / 16_777_216.0
}

/// From 0 to 1, with one feature per unit.
pub(super) fn noise(at: Vec3) -> f32 {
    let low = vec3(at.x.floor(), at.y.floor(), at.z.floor());
    let (x, y, z) = (low.x as i32, low.y as i32, low.z as i32);
    let ease = |part: f32| part * part * (3.0 - 2.0 * part);
    let (a, b, c) = (ease(at.x - low.x), ease(at.y - low.y), ease(at.z - low.z));
    let mix = |one: f32, other: f32, share: f32| one + (other - one) * share;
    let row = |y: i32, z: i32| mix(grain(x, y, z), grain(x + 1, y, z), a);
    mix(mix(row(y, z), row(y + 1, z), b), mix(row(y, z + 1), row(y + 1, z + 1), b), c)
}

/// Octaves of noise, each of half the size: from 0 to 1, mostly near the middle.
pub(super) fn fractal(at: Vec3, octaves: u32) -> f32 {
    let (mut sum, mut total, mut weight, mut place) = (0.0, 0.0, 0.5, at);
    for _ in 0..octaves {
        sum += weight * noise(place);
        total += weight;
        weight *= 0.55;
        place = place * 2.03 + vec3(7.3, 1.9, 4.1);
    }
    sum / total
}

/// 0 below `low`, 1 above `high`, smooth between them.
#[inline]
pub(super) fn smoothstep(low: f32, high: f32, value: f32) -> f32 {
    let part = ((value - low) / (high - low)).clamp(0.0, 1.0);
    part * part * (3.0 - 2.0 * part)
}
