//! Walls, bars and gates around and between the pigs.

use super::surface::{Cladding, wall_color};
use super::vector::{UP, Vec3, vec3};
use crate::random::Random;

/// How a wall is built.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Build {
    Solid(Cladding),
    /// Upright bars, metres apart, under a rail.
    UprightBars(f32),
    /// Horizontal bars.
    LevelBars(f32),
}

/// A straight wall along x or y.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wall {
    along_x: bool,
    /// Its position on the other axis.
    at_m: f32,
    from_m: f32,
    to_m: f32,
    pub height_m: f32,
    build: Build,
    color: Vec3,
    seed: f32,
}

/// The point where a ray hits a wall.
#[derive(Clone, Copy, Debug)]
pub(super) struct WallHit {
    pub distance_m: f32,
    pub normal: Vec3,
    pub color: Vec3,
    pub gloss: f32,
}

const HALF_THICKNESS_M: f32 = 0.03;
const BAR_M: f32 = 0.016;

impl Wall {
    fn is_solid(&self) -> bool {
        matches!(self.build, Build::Solid(_))
    }

    fn extent(&self) -> (Vec3, Vec3) {
        let thick = HALF_THICKNESS_M;
        if self.along_x {
            (vec3(self.from_m, self.at_m - thick, 0.0), vec3(self.to_m, self.at_m + thick, self.height_m))
        } else {
            (vec3(self.at_m - thick, self.from_m, 0.0), vec3(self.at_m + thick, self.to_m, self.height_m))
        }
    }

    pub fn hit(&self, from: Vec3, direction: Vec3) -> Option<WallHit> {
        match self.build {
            Build::Solid(cladding) => {
                let (distance_m, normal) = enter(self.extent(), from, direction)?;
                let at = from + direction * distance_m;
                let along = if self.along_x { at.x } else { at.y };
                let color = if normal == UP {
                    self.color
                } else {
                    wall_color(cladding, self.color, self.seed, along, at.z)
                };
                Some(WallHit { distance_m, normal, color, gloss: 0.05 })
            }
            Build::UprightBars(apart_m) | Build::LevelBars(apart_m) => {
                let (origin, step) = if self.along_x { (from.y, direction.y) } else { (from.x, direction.x) };
                let distance_m = (self.at_m - origin) / step;
                if !(distance_m > 0.02 && distance_m < 60.0) {
                    return None;
                }
                let at = from + direction * distance_m;
                let along = if self.along_x { at.x } else { at.y };
                if along < self.from_m || along > self.to_m || at.z < 0.0 || at.z > self.height_m {
                    return None;
                }
                let across = if matches!(self.build, Build::UprightBars(_)) { along } else { at.z };
                let off = |value: f32, pitch: f32| ((value / pitch).fract().abs() - 0.5) * pitch;
                let from_bar = off(across, apart_m);
                let is_rail = self.height_m - at.z < 2.0 * BAR_M
                    || (matches!(self.build, Build::UprightBars(_)) && (at.z - 0.12).abs() < BAR_M)
                    || off(along, 1.6).abs() < 1.3 * BAR_M;
                if from_bar.abs() > BAR_M * 0.7 && !is_rail {
                    return None;
                }
                // Approximates a round bar: the normal turns with the position across it.
                let bulge = (from_bar / (0.7 * BAR_M)).clamp(-0.9, 0.9);
                let facing = if self.along_x {
                    vec3(0.0, -step.signum(), 0.0)
                } else {
                    vec3(-step.signum(), 0.0, 0.0)
                };
                let side = match (self.build, self.along_x) {
                    (Build::LevelBars(_), _) => UP,
                    (_, true) => vec3(1.0, 0.0, 0.0),
                    _ => vec3(0.0, 1.0, 0.0),
                };
                let normal = (facing + side * if is_rail { 0.2 } else { bulge }).normalized();
                Some(WallHit { distance_m, normal, color: self.color, gloss: 0.25 })
            }
        }
    }

    /// Whether it blocks the light of a lamp; bars do not.
    pub fn shades(&self, from: Vec3, direction: Vec3, distance_m: f32) -> bool {
        self.is_solid() && enter(self.extent(), from, direction).is_some_and(|(entry, _)| entry < distance_m)
    }

    /// The distance of a point; exact only near the wall.
    pub fn distance(&self, at: Vec3) -> f32 {
        if !self.is_solid() || at.z > self.height_m {
            return f32::MAX;
        }
        let (across, along) = if self.along_x { (at.y, at.x) } else { (at.x, at.y) };
        if along < self.from_m || along > self.to_m {
            return f32::MAX;
        }
        ((across - self.at_m).abs() - HALF_THICKNESS_M).abs()
    }

    /// Whether a circle on the floor reaches into it.
    pub fn blocks(&self, x: f32, y: f32, radius_m: f32) -> bool {
        let (across, along) = if self.along_x { (y, x) } else { (x, y) };
        along > self.from_m - 0.5 * radius_m
            && along < self.to_m + 0.5 * radius_m
            && (across - self.at_m).abs() < radius_m + HALF_THICKNESS_M
    }
}

/// The distance at which a ray enters a block, and the normal there.
fn enter((low, high): (Vec3, Vec3), from: Vec3, direction: Vec3) -> Option<(f32, Vec3)> {
    let (mut entry, mut exit, mut normal) = (f32::MIN, f32::MAX, UP);
    for (low, high, origin, step, axis) in [
        (low.x, high.x, from.x, direction.x, vec3(1.0, 0.0, 0.0)),
        (low.y, high.y, from.y, direction.y, vec3(0.0, 1.0, 0.0)),
        (low.z, high.z, from.z, direction.z, UP),
    ] {
        let inverse = 1.0 / if step.abs() < 1e-7 { 1e-7 } else { step };
        let (one, other) = ((low - origin) * inverse, (high - origin) * inverse);
        if one.min(other) > entry {
            entry = one.min(other);
            normal = if step < 0.0 { axis } else { -axis };
        }
        exit = exit.min(one.max(other));
    }
    (entry < exit && entry > 0.01).then_some((entry, normal))
}

/// The walls of a pen or corridor, and optionally some inside it.
pub(super) fn varied(
    random: &mut Random,
    (width, depth): (f32, f32),
    height_m: f32,
    has_crates: bool,
) -> Vec<Wall> {
    let shade = random.between(0.1, 0.55);
    let color =
        vec3(random.between(0.95, 1.1), random.between(0.97, 1.04), random.between(0.8, 1.05)) * shade;
    let cladding =
        [Cladding::Concrete, Cladding::Concrete, Cladding::Bricks, Cladding::Boards][random.below(4)];
    let steel = Vec3::splat(random.between(0.2, 0.6));
    let barred_share = if random.chance(0.4) { 0.6 } else { 0.0 };
    let mut walls = Vec::new();
    let mut wall = |random: &mut Random,
                    along_x: bool,
                    at_m: f32,
                    (from_m, to_m): (f32, f32),
                    height_m: f32,
                    is_barred: bool| {
        let build = match (is_barred, random.chance(0.6)) {
            (false, _) => Build::Solid(cladding),
            (true, true) => Build::UprightBars(random.between(0.07, 0.14)),
            (true, false) => Build::LevelBars(random.between(0.12, 0.25)),
        };
        let color = if is_barred { steel } else { color };
        walls.push(Wall {
            along_x,
            at_m,
            from_m,
            to_m,
            height_m,
            build,
            color,
            seed: random.between(0.0, 50.0),
        });
    };
    for (along_x, at_m, to_m) in
        [(true, 0.0, width), (true, depth, width), (false, 0.0, depth), (false, width, depth)]
    {
        let is_barred = random.chance(barred_share);
        let out = if at_m > 0.0 { HALF_THICKNESS_M } else { -HALF_THICKNESS_M };
        wall(
            random,
            along_x,
            at_m + out,
            (-2.0 * HALF_THICKNESS_M, to_m + 2.0 * HALF_THICKNESS_M),
            height_m,
            is_barred,
        );
    }
    if has_crates {
        let pitch = random.between(0.6, 0.9);
        for number in 1..(width / pitch) as usize {
            let reach = (0.0, (2.2_f32).min(depth));
            wall(random, false, pitch * number as f32, reach, 1.0, true);
        }
    } else if random.chance(0.18) {
        // A fence or a low wall, perhaps between two pens.
        let along_x = random.chance(0.5);
        let (length, across) = if along_x { (width, depth) } else { (depth, width) };
        let parts_pens = random.chance(0.4);
        let from = if parts_pens { 0.0 } else { random.between(0.0, 0.5) * length };
        let to = if parts_pens { length } else { from + random.between(0.2, 0.7) * length };
        let is_barred = random.chance(0.6);
        let at_m = across * random.between(0.25, 0.75);
        let height_m = height_m * random.between(0.6, 1.0);
        wall(random, along_x, at_m, (from, to.min(length)), height_m, is_barred);
    }
    walls
}
