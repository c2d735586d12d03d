//! Appearance of a pig's skin: breed, patches, dirt, sprayed marks.

use super::digits;
use super::noise::{fractal, noise, smoothstep};
use super::vector::{Vec3, vec3};
use crate::random::Random;

/// Patches of a second colour.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Patches {
    None,
    /// Blots over the whole body; the share that they cover.
    Spots(f32),
    /// A ring around the body, from and to, in lengths from the middle.
    Belt(f32, f32),
    /// The back only.
    Saddle,
}

/// A sprayed mark.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mark {
    Across(f32),
    Along,
    Ring,
    Number(u32),
}

/// The skin of one pig.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coat {
    hair: Vec3,
    skin: Vec3,
    patches: Patches,
    patch_color: Vec3,
    dirt: f32,
    dirt_color: Vec3,
    mark: Option<(Mark, Vec3)>,
    seed: f32,
    pub gloss: f32,
}

const BLACK: Vec3 = vec3(0.036, 0.033, 0.031);
const RED: Vec3 = vec3(0.30, 0.15, 0.085);

/// What the coats of the pigs in a pen have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Herdbook {
    breed: f32,
    white: Vec3,
    pink: Vec3,
    dirt: f32,
    dirt_color: Vec3,
    marked_share: f32,
    mark_color: Vec3,
}

impl Herdbook {
    pub fn new(random: &mut Random) -> Self {
        let colors =
            [vec3(0.08, 0.14, 0.6), vec3(0.62, 0.07, 0.1), vec3(0.08, 0.45, 0.15), vec3(0.05, 0.05, 0.06)];
        Self {
            breed: random.unit(),
            white: vec3(0.80, 0.60, 0.53).lerp(vec3(0.82, 0.74, 0.67), random.unit()),
            pink: vec3(0.80, 0.50, 0.45),
            dirt: random.between(0.0, 0.5) * random.between(0.3, 1.0),
            dirt_color: vec3(0.13, 0.095, 0.06) * random.between(0.6, 1.5),
            marked_share: if random.chance(0.25) { random.between(0.2, 1.0) } else { 0.0 },
            mark_color: colors[random.below(colors.len())],
        }
    }

    pub fn coat(&self, random: &mut Random) -> Coat {
        let white = self.white * random.between(0.9, 1.08);
        let mut coat = Coat {
            hair: white,
            skin: self.pink * random.between(0.9, 1.05),
            patches: Patches::None,
            patch_color: BLACK * random.between(0.8, 1.6),
            dirt: self.dirt * random.between(0.4, 1.6),
            dirt_color: self.dirt_color,
            mark: None,
            seed: random.between(0.0, 99.0),
            gloss: random.between(0.01, 0.07),
        };
        let kind = random.unit();
        let dark = BLACK * random.between(0.9, 2.0);
        let red = RED * random.between(0.7, 1.5);
        let solid = |coat: &mut Coat, color: Vec3| {
            (coat.hair, coat.skin) = (color, color.lerp(vec3(0.5, 0.33, 0.28), 0.25));
        };
        match self.breed {
            // White with some dark blots.
            0.66..0.76 if kind < 0.6 => coat.patches = Patches::Spots(random.between(0.35, 0.6)),
            0.76..0.82 => solid(&mut coat, red),
            0.82..0.87 => solid(&mut coat, dark),
            0.87..0.90 => {
                solid(&mut coat, dark);
                coat.patches = Patches::Belt(random.between(0.0, 0.1), random.between(0.18, 0.32));
                coat.patch_color = white;
            }
            0.90..0.92 => coat.patches = Patches::Saddle,
            // A pen of all sorts.
            0.92.. if kind < 0.25 => solid(&mut coat, red),
            0.92.. if kind < 0.45 => solid(&mut coat, dark),
            0.92.. if kind < 0.6 => coat.patches = Patches::Spots(random.between(0.3, 0.7)),
            _ => {}
        }
        if random.chance(self.marked_share) {
            let mark = match random.below(4) {
                0 => Mark::Across(random.between(-0.25, 0.15)),
                1 => Mark::Along,
                2 => Mark::Ring,
                _ => Mark::Number(random.below(100) as u32),
            };
            coat.mark = Some((mark, self.mark_color));
        }
        coat
    }
}

impl Coat {
    /// The colour at a point in the pig's coordinates, in lengths: along from the middle, left, above the floor.
    pub fn color(&self, at: Vec3, nakedness: f32, facing_up: f32) -> Vec3 {
        let seeded = at + Vec3::splat(self.seed);
        let mut color = self.hair.lerp(self.skin, (0.15 + nakedness).min(0.9));
        // Bristles, folds, a warmer belly.
        color = color * (0.9 + 0.2 * noise(seeded * 30.0)) * (0.94 + 0.12 * fractal(seeded * 5.0, 2));
        let patch = match self.patches {
            Patches::None => 0.0,
            Patches::Spots(share) => smoothstep(1.0 - share, 1.04 - share, fractal(seeded * 3.2, 3) + 0.12),
            Patches::Belt(from, to) => {
                let wave = at.x + 0.04 * noise(seeded * 6.0);
                smoothstep(from - 0.02, from, wave) * (1.0 - smoothstep(to, to + 0.02, wave))
            }
            Patches::Saddle => smoothstep(0.30, 0.36, at.z + 0.08 * noise(seeded * 7.0)) * facing_up.max(0.0),
        };
        color = color.lerp(self.patch_color, patch);
        if let Some((mark, paint)) = self.mark {
            let edge = 0.02 * (noise(seeded * 25.0) - 0.5);
            let is_painted = facing_up > 0.15
                && match mark {
                    Mark::Across(along) => (at.x - along + edge).abs() < 0.028,
                    Mark::Along => at.y.abs() < 0.03 + edge && at.x.abs() < 0.3,
                    Mark::Ring => (vec3(at.x, at.y, 0.0).length() - 0.085 + edge).abs() < 0.018,
                    Mark::Number(number) => {
                        digits::is_inked(number, (at.x + 0.15) / 0.34, (at.y + 0.075) / 0.15)
                    }
                };
            if is_painted {
                color = color.lerp(paint, 0.75);
            }
        }
        // Dirt from below, and on the side it lay on.
        let low = 0.16 * (1.0 - smoothstep(0.05, 0.3, at.z));
        let dirty = smoothstep(
            0.98 - self.dirt - low,
            1.2 - self.dirt - low,
            0.85 * fractal(seeded * 4.0 + vec3(3.0, 9.0, 1.0), 3) + 0.15 * noise(seeded * 40.0) + 0.12,
        );
        color.lerp(self.dirt_color, 0.7 * dirty)
    }
}
