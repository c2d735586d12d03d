//! Chance that is the same everywhere: numbers and noise that follow from a seed alone.

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast and good enough for pictures.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// From 0 to 1, 1 excluded.
    pub(super) fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 24) as f32
    }

    pub(super) fn between(&mut self, least: f32, most: f32) -> f32 {
        least + (most - least) * self.unit()
    }

    pub(super) fn chance(&mut self, share: f32) -> bool {
        self.unit() < share
    }

    /// From 0 to `count - 1`; 0 for none.
    pub(super) fn below(&mut self, count: usize) -> usize {
        ((self.unit() * count as f32) as usize).min(count.saturating_sub(1))
    }
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

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
