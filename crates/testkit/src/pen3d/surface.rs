//! Appearance of floors, walls and the hall around them.

use super::noise::{fractal, noise, smoothstep};
use super::vector::{Vec3, vec3};
use crate::random::Random;

/// The material of a floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FloorKind {
    /// Concrete beams with rows of short slots.
    Slots,
    /// Long gaps.
    Slats,
    /// Worn concrete.
    Solid,
    Straw,
    /// Partly solid concrete, partly slatted.
    Half,
    /// A plastic or steel grid.
    Grid,
}

/// A floor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Floor {
    kind: FloorKind,
    color: Vec3,
    /// Spacing and width of the gaps, across and along.
    gaps_m: [(f32, f32); 2],
    /// Slots of neighbouring rows are offset by half.
    is_staggered: bool,
    /// Where the solid part of a `Half` floor ends.
    border_m: f32,
    dirt: f32,
    wet: f32,
    dung: f32,
    seed: f32,
    /// Laid along y.
    is_turned: bool,
}

const DUNG: Vec3 = vec3(0.085, 0.068, 0.045);

impl Floor {
    pub fn varied(random: &mut Random, width_m: f32) -> Self {
        use FloorKind::{Grid, Half, Slats, Slots, Solid, Straw};
        let kind =
            [Slots, Slots, Slots, Slots, Slats, Solid, Solid, Straw, Half, Half, Grid][random.below(11)];
        let grey = random.between(0.1, 0.36);
        let mut color = vec3(grey * random.between(0.95, 1.15), grey, grey * random.between(0.75, 1.05));
        let scale = random.between(0.8, 1.4);
        let mut gaps_m = [
            (0.075 * scale, random.between(0.016, 0.03)),
            (random.between(0.2, 0.5), random.between(0.06, 0.12)),
        ];
        if kind == Grid {
            let plastic =
                [vec3(0.5, 0.5, 0.47), vec3(0.12, 0.3, 0.14), vec3(0.1, 0.2, 0.35), vec3(0.4, 0.2, 0.08)];
            color = plastic[random.below(4)] * random.between(0.5, 1.2);
            let pitch = random.between(0.02, 0.045);
            gaps_m = [(pitch, 0.45 * pitch), (pitch * random.between(1.0, 4.0), 0.3 * pitch)];
        }
        Self {
            kind,
            color,
            gaps_m,
            is_staggered: random.chance(0.5),
            border_m: width_m * random.between(0.25, 0.75),
            dirt: random.between(0.15, 0.6),
            wet: random.between(0.2, 0.55),
            dung: random.between(0.0, 0.35),
            seed: random.between(0.0, 50.0),
            is_turned: random.chance(0.5),
        }
    }

    /// Colour and gloss at a point, averaged over `footprint_m`, the size of a px there.
    pub fn color(&self, at: Vec3, footprint_m: f32) -> (Vec3, f32) {
        let at = if self.is_turned { vec3(at.y, at.x, at.z) } else { at };
        let seeded = vec3(at.x + self.seed, at.y, self.seed);
        let coarse = fractal(seeded * 1.3, 3);
        let fine = fractal(seeded * 9.0, 3);
        let sharp = 1.0 - smoothstep(0.02, 0.08, footprint_m);
        let mut color = self.color * (0.75 + 0.35 * coarse + 0.3 * (fine - 0.5) * sharp);
        let [(pitch, gap), (row_pitch, bridge)] = self.gaps_m;
        match self.kind {
            FloorKind::Half if at.x < self.border_m => {}
            FloorKind::Slots | FloorKind::Half => {
                let row = (at.y / row_pitch).floor();
                let shift = if self.is_staggered { 0.5 * pitch * row } else { 0.0 };
                let hole = gap_share(at.x + shift, pitch, gap, footprint_m)
                    * (1.0 - gap_share(at.y, row_pitch, bridge, footprint_m));
                color = color.lerp(color * 0.12, hole);
            }
            FloorKind::Grid => {
                let hole = gap_share(at.x, pitch, gap, footprint_m)
                    * (1.0 - gap_share(at.y, row_pitch, bridge, footprint_m));
                color = color.lerp(color * 0.15, hole);
            }
            FloorKind::Slats => {
                color = color.lerp(color * 0.13, gap_share(at.x, 2.2 * pitch, gap, footprint_m));
            }
            FloorKind::Straw => {
                let stalks = 0.6 * noise(vec3(40.0 * at.x, 9.0 * at.y, self.seed))
                    + 0.6 * noise(vec3(11.0 * at.x, 47.0 * at.y, 3.0));
                color = color.lerp(vec3(0.42, 0.32, 0.17), 0.7) * (0.45 + 0.75 * stalks);
            }
            FloorKind::Solid => {}
        }
        let stain = 0.75 * fractal(vec3(2.1 * at.x, 2.1 * at.y, self.seed + 5.0), 4) + 0.25 * fine + 0.12;
        color = color.lerp(DUNG, 0.85 * smoothstep(1.02 - self.dirt, 1.25 - self.dirt, stain));
        let heap = fractal(vec3(5.0 * at.x, 5.0 * at.y, self.seed + 17.0), 3);
        color = color.lerp(DUNG * 0.8, 0.9 * smoothstep(1.0 - self.dung, 1.05 - self.dung, heap));
        let puddle = fractal(vec3(0.9 * at.x, 0.9 * at.y, self.seed + 9.0), 3);
        let wet = smoothstep(1.0 - self.wet, 1.06 - self.wet, puddle);
        (color * (1.0 - 0.55 * wet), 0.02 + 0.25 * wet)
    }
}

/// The share of a px that lies in a gap; the mean if gaps are finer than px.
fn gap_share(at: f32, pitch: f32, gap: f32, footprint_m: f32) -> f32 {
    let part = (at / pitch - (at / pitch).floor()) * pitch;
    let soft = 0.6 * footprint_m + 0.003;
    let (low, high) = ((pitch - gap) * 0.5, (pitch + gap) * 0.5);
    let sharp = smoothstep(-soft, soft, part - low) * (1.0 - smoothstep(-soft, soft, part - high));
    let blurred = smoothstep(0.4 * pitch, 1.2 * pitch, footprint_m);
    sharp * (1.0 - blurred) + gap / pitch * blurred
}

/// The material of a solid wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cladding {
    Concrete,
    Bricks,
    /// Boards of plastic or wood, one above the other.
    Boards,
}

/// Colour of a wall at `along` and `up`, metres.
pub(super) fn wall_color(cladding: Cladding, base: Vec3, seed: f32, along: f32, up: f32) -> Vec3 {
    let at = vec3(along + seed, up, seed);
    let blotch = 0.75 + 0.4 * fractal(at * 1.7, 3) + 0.12 * (noise(at * 14.0) - 0.5);
    let seam = |place: f32, pitch: f32, width: f32| (place / pitch).fract().abs() * pitch < width;
    let is_joint = match cladding {
        Cladding::Concrete => seam(along, 1.8, 0.012),
        Cladding::Bricks => {
            let row = (up / 0.08).floor();
            seam(up, 0.08, 0.01) || seam(along + 0.12 * (row % 2.0), 0.24, 0.01)
        }
        Cladding::Boards => seam(up, 0.25, 0.008) || seam(along, 0.9, 0.006),
    };
    let color = base * blotch * if is_joint { 0.7 } else { 1.0 };
    // Pigs rub along it, so it is dirty up to the height of their backs.
    let splash = fractal(vec3(1.9 * along, 3.0 * up, seed + 7.0), 3) + 0.35 * (0.5 - up);
    color.lerp(vec3(0.1, 0.08, 0.055), 0.7 * smoothstep(0.5, 0.75, splash))
}

/// The hall around the pen: its own floor, walls with windows, a ceiling.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hall {
    pub low: Vec3,
    pub high: Vec3,
    floor: Vec3,
    wall: Vec3,
    window: f32,
    has_windows: bool,
    seed: f32,
}

impl Hall {
    pub fn varied(random: &mut Random, width_m: f32, depth_m: f32) -> Self {
        let mut away = || random.between(1.2, 7.0);
        let low = vec3(-away(), -away(), 0.0);
        let high = vec3(width_m + away(), depth_m + away(), 0.0);
        let grey = random.between(0.02, 0.3);
        let shade = random.between(0.03, 0.45);
        Self {
            low,
            high: vec3(high.x, high.y, random.between(3.4, 5.5)),
            floor: vec3(1.05, 1.0, random.between(0.8, 1.0)) * grey,
            wall: vec3(1.0, 1.0, random.between(0.85, 1.05)) * shade,
            window: random.between(1.0, 6.0),
            has_windows: random.chance(0.4),
            seed: random.between(0.0, 50.0),
        }
    }

    pub fn floor_color(&self, at: Vec3) -> Vec3 {
        self.floor * (0.6 + 0.6 * fractal(vec3(at.x, at.y, self.seed) * 1.5, 3))
    }

    /// Distance and colour of its wall or ceiling in a direction. Windows emit light.
    pub fn hit(&self, from: Vec3, direction: Vec3) -> (f32, Vec3, bool) {
        let mut nearest = (60.0, 0);
        for (axis, (origin, step, low, high)) in [
            (from.x, direction.x, self.low.x, self.high.x),
            (from.y, direction.y, self.low.y, self.high.y),
            (from.z, direction.z, -1.0, self.high.z),
        ]
        .into_iter()
        .enumerate()
        {
            let distance = (if step > 0.0 { high } else { low } - origin) / step;
            if distance.is_finite() && distance > 0.0 && distance < nearest.0 {
                nearest = (distance, axis);
            }
        }
        let at = from + direction * nearest.0;
        let along = if nearest.1 == 0 { at.y } else { at.x };
        let is_window = self.has_windows
            && nearest.1 < 2
            && (1.4..2.3).contains(&at.z)
            && ((along / 2.4).fract().abs() * 2.4) < 1.3;
        if is_window {
            return (nearest.0, vec3(0.85, 0.95, 1.1) * self.window, true);
        }
        let beam = if nearest.1 == 2 && (at.x / 1.5).fract().abs() < 0.08 { 0.6 } else { 1.0 };
        (nearest.0, self.wall * (0.7 + 0.5 * fractal(at * 0.9 + Vec3::splat(self.seed), 3)) * beam, false)
    }
}
