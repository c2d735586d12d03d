//! Objects in a pen that aren't pigs.

use super::camera::Camera;
use super::shape::{Part, bounding_sphere};
use super::vector::{Vec3, vec3};
use crate::random::Random;
use std::f32::consts::TAU;

/// The material of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Material {
    pub color: Vec3,
    pub gloss: f32,
    /// Variation of its colour.
    pub wear: f32,
    pub seed: f32,
}

/// An object: parts of one material each.
pub(super) struct Thing {
    pub parts: Vec<Part>,
    pub material: Material,
    /// Circles on the floor that pigs avoid: x, y, radius.
    pub footprint: Vec<(f32, f32, f32)>,
}

impl Thing {
    fn new(parts: Vec<Part>, color: Vec3, gloss: f32, random: &mut Random) -> Self {
        let material =
            Material { color, gloss, wear: random.between(0.05, 0.5), seed: random.between(0.0, 50.0) };
        Self { parts, material, footprint: Vec::new() }
    }

    fn standing(mut self, x: f32, y: f32, radius_m: f32) -> Self {
        self.footprint.push((x, y, radius_m));
        self
    }

    pub fn sphere(&self) -> (Vec3, f32) {
        bounding_sphere(&self.parts)
    }
}

fn any_color(random: &mut Random) -> Vec3 {
    let colors = [
        vec3(0.75, 0.60, 0.06),
        vec3(0.62, 0.08, 0.07),
        vec3(0.07, 0.17, 0.5),
        vec3(0.08, 0.3, 0.1),
        vec3(0.72, 0.42, 0.36),
        vec3(0.8, 0.78, 0.72),
        vec3(0.68, 0.55, 0.38),
        vec3(0.03, 0.03, 0.035),
        vec3(0.35, 0.36, 0.37),
    ];
    colors[random.below(colors.len())] * random.between(0.6, 1.15)
}

/// A position in the pen, `away_m` from its walls.
fn anywhere(random: &mut Random, (width, depth): (f32, f32), away_m: f32) -> (f32, f32) {
    let mut place =
        |length: f32| random.between(away_m.min(0.5 * length), (length - away_m).max(0.5 * length));
    (place(width), place(depth))
}

/// A position at one of the walls.
fn by_a_wall(random: &mut Random, (width, depth): (f32, f32), away_m: f32) -> (f32, f32) {
    let along = (random.unit() * width, random.unit() * depth);
    match random.below(4) {
        0 => (away_m, along.1),
        1 => (width - away_m, along.1),
        2 => (along.0, away_m),
        _ => (along.0, depth - away_m),
    }
}

/// A round feeder: a hopper over a bowl, standing or hanging.
pub(super) fn feeder(random: &mut Random, pen: (f32, f32)) -> Thing {
    let radius = random.between(0.17, 0.36);
    let (x, y) =
        if random.chance(0.6) { by_a_wall(random, pen, 0.9 * radius) } else { anywhere(random, pen, 0.8) };
    let top = random.between(0.65, 1.2);
    let colors = [
        vec3(0.62, 0.6, 0.5),
        vec3(0.7, 0.62, 0.42),
        vec3(0.5, 0.52, 0.54),
        vec3(0.55, 0.5, 0.3),
        vec3(0.2, 0.3, 0.25),
    ];
    let color = colors[random.below(colors.len())];
    let taper = random.between(0.45, 0.95);
    let hopper = Part::cone(vec3(x, y, 0.3), vec3(x, y, top + 0.3), (radius * taper, radius)).cut(0.28, top);
    let bowl_radius = radius * random.between(0.9, 1.2);
    let bowl = Part::cone(vec3(x, y, -0.3), vec3(x, y, 0.4), (bowl_radius, bowl_radius)).cut(0.0, 0.12);
    let post = Part::cone(vec3(x, y, 0.0), vec3(x, y, top), (0.05, 0.05));
    let mut parts = vec![hopper, bowl, post];
    // Bars that separate the eating places.
    if random.chance(0.3) {
        let (turn, away) = (random.between(0.0, TAU), 1.25 * radius);
        for number in 0..4 {
            let spoke = Vec3::heading(turn + number as f32 * TAU / 4.0) * away;
            parts.push(Part::cone(
                vec3(x + spoke.x, y + spoke.y, 0.0),
                vec3(x + spoke.x, y + spoke.y, 0.7),
                (0.014, 0.014),
            ));
        }
    }
    Thing::new(parts, color, 0.15, random).standing(x, y, 0.9 * radius)
}

/// A hopper that hangs tilted from a pipe, as wide as a pig is long.
pub(super) fn hanging_hopper(random: &mut Random, pen: (f32, f32)) -> Thing {
    let (x, y) = if random.chance(0.6) { by_a_wall(random, pen, 0.3) } else { anywhere(random, pen, 0.5) };
    let (radius, height) = (random.between(0.2, 0.4), random.between(0.35, 0.9));
    let foot = vec3(x, y, random.between(0.1, 0.5) + 0.5 * radius);
    let lean = Vec3::heading(random.between(0.0, TAU)) * random.between(0.0, 0.35);
    let rim = foot + (lean + vec3(0.0, 0.0, 1.0)) * height;
    let body = Part::cone(foot, rim, (radius * random.between(0.5, 0.9), radius)).cut(0.02, rim.z);
    let pipe = Part::cone(rim, vec3(rim.x, rim.y, 4.0), (0.05, 0.05));
    let mut parts = vec![body, pipe];
    for side in [-1.0, 1.0] {
        let away = Vec3::heading(random.between(0.0, TAU)) * (side * 1.1 * radius);
        parts.push(Part::cone(foot + away, rim + away * 1.1, (0.015, 0.015)));
    }
    let colors =
        [vec3(0.72, 0.66, 0.48), vec3(0.75, 0.73, 0.68), vec3(0.68, 0.52, 0.42), vec3(0.4, 0.42, 0.44)];
    let color = colors[random.below(colors.len())] * random.between(0.8, 1.1);
    Thing::new(parts, color, 0.1, random).standing(x, y, 0.8 * radius)
}

/// A box for dry feed along a wall.
pub(super) fn feed_box(random: &mut Random, pen: (f32, f32)) -> Thing {
    let along_x = random.chance(0.5);
    let half = vec3(random.between(0.2, 0.6), random.between(0.15, 0.3), random.between(0.3, 0.6));
    let (x, y) = if along_x {
        (pen.0 * random.between(0.2, 0.8), half.y)
    } else {
        (half.y, pen.1 * random.between(0.2, 0.8))
    };
    let yaw = if along_x { 0.0 } else { TAU / 4.0 };
    let body = Part::block(vec3(x, y, half.z + 0.05), half, yaw, 0.02);
    let color = [vec3(0.42, 0.43, 0.45), vec3(0.5, 0.46, 0.36), vec3(0.12, 0.25, 0.14)][random.below(3)];
    Thing::new(vec![body], color, 0.25, random).standing(x, y, half.x.max(half.y))
}

/// A trough along a wall.
pub(super) fn trough(random: &mut Random, (width, depth): (f32, f32)) -> Thing {
    let share = random.between(0.5, 0.9);
    let (from, to) = if random.chance(0.5) {
        (vec3(width * (1.0 - share), 0.14, 0.1), vec3(width * share, 0.14, 0.1))
    } else {
        (vec3(0.14, depth * (1.0 - share), 0.1), vec3(0.14, depth * share, 0.1))
    };
    let body = Part::cone(from, to, (0.13, 0.13)).cut(0.0, 0.19);
    let mut thing = Thing::new(vec![body], vec3(0.4, 0.41, 0.42), 0.2, random);
    for number in 0..9 {
        let at = from.lerp(to, number as f32 / 8.0);
        thing.footprint.push((at.x, at.y, 0.12));
    }
    thing
}

/// A drinker: a pipe on the wall with a nipple.
pub(super) fn drinker(random: &mut Random, pen: (f32, f32)) -> Thing {
    let (x, y) = (if random.chance(0.5) { 0.06 } else { pen.0 - 0.06 }, pen.1 * random.between(0.1, 0.9));
    let reach = if x < 1.0 { 0.16 } else { -0.16 };
    let pipe = Part::cone(vec3(x, y, 0.3), vec3(x, y, 1.6), (0.016, 0.016));
    let nipple = Part::cone(vec3(x, y, 0.35), vec3(x + reach, y, 0.28), (0.02, 0.03));
    Thing::new(vec![pipe, nipple], Vec3::splat(0.5), 0.3, random)
}

/// A toy, often the colour of a pig.
pub(super) fn ball(random: &mut Random, pen: (f32, f32)) -> Thing {
    let radius = random.between(0.08, 0.3);
    let (x, y) = anywhere(random, pen, radius);
    let center = vec3(x, y, radius);
    let color = any_color(random);
    Thing::new(vec![Part::cone(center, center, (radius, radius))], color, random.between(0.02, 0.4), random)
        .standing(x, y, radius)
}

pub(super) fn bucket(random: &mut Random, pen: (f32, f32)) -> Thing {
    let (x, y) = anywhere(random, pen, 0.3);
    let (radius, height) = (random.between(0.11, 0.28), random.between(0.2, 0.55));
    let body = if random.chance(0.7) {
        Part::cone(vec3(x, y, -0.1), vec3(x, y, height + 0.3), (0.8 * radius, radius)).cut(0.0, height)
    } else {
        // Fallen over.
        let end = Vec3::heading(random.between(0.0, TAU)) * height;
        Part::cone(vec3(x, y, radius), vec3(x + end.x, y + end.y, radius), (0.85 * radius, radius))
    };
    let color = any_color(random);
    Thing::new(vec![body], color, 0.2, random).standing(x, y, radius)
}

/// A sack or heap: soft and as long as a pig.
pub(super) fn sack(random: &mut Random, pen: (f32, f32)) -> Thing {
    let (x, y) = anywhere(random, pen, 0.4);
    let mut parts = Vec::new();
    let yaw = random.between(0.0, TAU);
    for _ in 0..1 + random.below(4) {
        let from = vec3(x + 0.2 * random.normal(), y + 0.2 * random.normal(), random.between(0.02, 0.1));
        let to = from + Vec3::heading(yaw + 0.4 * random.normal()) * random.between(0.1, 0.6);
        let radius = random.between(0.08, 0.2);
        parts.push(Part::cone(from, to, (radius, radius * random.between(0.6, 1.2))).blended(0.08));
    }
    let colors =
        [vec3(0.55, 0.45, 0.28), vec3(0.7, 0.68, 0.62), vec3(0.1, 0.08, 0.05), vec3(0.42, 0.32, 0.17)];
    let color = colors[random.below(colors.len())] * random.between(0.6, 1.2);
    Thing::new(parts, color, 0.02, random).standing(x, y, 0.4)
}

/// A sorting panel for driving pigs.
pub(super) fn panel(random: &mut Random, pen: (f32, f32)) -> Thing {
    let (x, y) = anywhere(random, pen, 0.5);
    let half = vec3(random.between(0.3, 0.6), 0.015, random.between(0.3, 0.45));
    let yaw = random.between(0.0, TAU);
    let body = Part::block(vec3(x, y, half.z + 0.02), half, yaw, 0.01);
    let color = any_color(random);
    Thing::new(vec![body], color, 0.2, random).standing(x, y, 0.3)
}

/// A chain or rope from the ceiling with a chew toy at its end.
pub(super) fn hanging_toy(random: &mut Random, pen: (f32, f32)) -> Thing {
    let (x, y) = anywhere(random, pen, 0.2);
    let low = random.between(0.15, 1.4);
    let chain = Part::cone(vec3(x, y, low), vec3(x, y, 4.0), (0.012, 0.012));
    let radius = random.between(0.03, 0.16);
    let end = Part::cone(vec3(x, y, low), vec3(x, y, low - 0.5 * radius), (radius, radius * 0.8));
    let color = any_color(random);
    Thing::new(vec![chain, end], color, 0.15, random)
}

/// The shade of a heat lamp.
pub(super) fn heat_lamp(random: &mut Random, pen: (f32, f32)) -> Thing {
    let (x, y) = anywhere(random, pen, 0.2);
    let low = random.between(0.6, 1.6);
    let shade = Part::cone(vec3(x, y, low), vec3(x, y, low + 0.25), (0.17, 0.06)).cut(low, low + 0.3);
    let cord = Part::cone(vec3(x, y, low + 0.2), vec3(x, y, 4.0), (0.01, 0.01));
    let color = [vec3(0.6, 0.6, 0.6), vec3(0.55, 0.12, 0.06)][random.below(2)];
    Thing::new(vec![shade, cord], color, 0.3, random)
}

/// A person in overalls and boots: the legs, the rest and the head, in different colours.
pub(super) fn person(random: &mut Random, pen: (f32, f32)) -> Vec<Thing> {
    let (x, y) = anywhere(random, pen, -0.6);
    let size = random.between(0.92, 1.08);
    let yaw = random.between(0.0, TAU);
    let (ahead, aside) = (Vec3::heading(yaw), Vec3::heading(yaw + TAU / 4.0));
    let stoop = if random.chance(0.3) { random.between(0.2, 0.6) } else { random.between(0.0, 0.1) };
    let at = |forward: f32, left: f32, up: f32| vec3(x, y, up * size) + ahead * forward + aside * left;
    let overalls = [
        vec3(0.05, 0.1, 0.3),
        vec3(0.06, 0.18, 0.08),
        vec3(0.6, 0.6, 0.62),
        vec3(0.05, 0.05, 0.06),
        vec3(0.35, 0.3, 0.2),
    ];
    let overall = overalls[random.below(overalls.len())] * random.between(0.7, 1.2);
    let step = 0.25 * random.normal();
    let (mut cloth, mut boots, mut skin) = (Vec::new(), Vec::new(), Vec::new());
    let shoulders = at(0.5 * stoop, 0.0, 1.38 - 0.4 * stoop);
    cloth.push(Part::cone(at(0.0, 0.0, 0.95), shoulders, (0.15, 0.17)).blended(0.05));
    for side in [-1.0, 1.0] {
        let (hip, knee) = (at(0.0, 0.09 * side, 0.9), at(0.5 * step * side, 0.11 * side, 0.48));
        let foot = at(step * side, 0.12 * side, 0.06);
        cloth.push(Part::cone(hip, knee, (0.10, 0.08)).blended(0.05));
        boots.push(Part::cone(knee, foot, (0.075, 0.06)).blended(0.02));
        boots.push(Part::cone(foot, foot + ahead * 0.16, (0.055, 0.045)).blended(0.03));
        let elbow =
            shoulders + aside * (0.27 * side) + vec3(0.0, 0.0, -0.26) + ahead * (0.1 * random.normal());
        let hand = elbow + ahead * random.between(-0.05, 0.25) + vec3(0.0, 0.0, random.between(-0.25, 0.15));
        cloth.push(Part::cone(shoulders + aside * (0.17 * side), elbow, (0.07, 0.055)).blended(0.04));
        cloth.push(Part::cone(elbow, hand, (0.052, 0.045)).blended(0.02));
        skin.push(Part::cone(hand, hand + ahead * 0.05, (0.045, 0.035)));
    }
    let head = shoulders + vec3(0.0, 0.0, 0.25) + ahead * (0.05 + 0.2 * stoop);
    skin.push(Part::cone(head, head + vec3(0.0, 0.0, 0.07), (0.1, 0.105)));
    let rubber = Vec3::splat(0.03).lerp(vec3(0.1, 0.2, 0.1), random.unit());
    let face =
        [vec3(0.65, 0.42, 0.33), vec3(0.3, 0.18, 0.12), vec3(0.04, 0.03, 0.03), overall][random.below(4)];
    vec![
        Thing::new(cloth, overall, 0.03, random).standing(x, y, 0.25),
        Thing::new(boots, rubber, 0.2, random),
        Thing::new(skin, face, 0.05, random),
    ]
}

/// A frame of pipes directly in front of the camera.
pub(super) fn rail(random: &mut Random, camera: &Camera) -> Option<Thing> {
    let (ahead, side) = (random.between(0.8, 1.6), random.sign());
    let from = camera.before(ahead, side * random.between(0.1, 0.9), random.between(0.25, 0.55));
    let to = camera.before(ahead, side * random.between(0.1, 0.9), random.between(0.25, 0.55));
    if from.z < 0.2 || to.z < 0.2 {
        return None;
    }
    let radius = random.between(0.01, 0.02);
    let post = |top: Vec3| Part::cone(top, top - vec3(0.0, 0.0, 0.9), (radius, radius));
    let parts = vec![Part::cone(from, to, (radius, radius)), post(from), post(to)];
    Some(Thing::new(parts, Vec3::splat(random.between(0.15, 0.5)), 0.2, random))
}

/// A random choice of objects for a pen of this size.
pub(super) fn furnish(random: &mut Random, pen: (f32, f32), camera: &Camera, plenty: f32) -> Vec<Thing> {
    let mut things = Vec::new();
    type Make = fn(&mut Random, (f32, f32)) -> Thing;
    let makers: [(f32, usize, Make); 11] = [
        (0.45, 1, feeder),
        (0.25, 1, hanging_hopper),
        (0.12, 1, feed_box),
        (0.3, 1, trough),
        (0.4, 2, drinker),
        (0.12, 3, ball),
        (0.06, 2, bucket),
        (0.06, 3, sack),
        (0.05, 1, panel),
        (0.2, 2, hanging_toy),
        (0.08, 2, heat_lamp),
    ];
    for (chance, most, make) in makers {
        if random.chance((chance * plenty).min(0.9)) {
            for _ in 0..1 + random.below(most) {
                things.push(make(random, pen));
            }
        }
    }
    if random.chance(0.06 * plenty) {
        things.extend(person(random, pen));
    }
    if random.chance(0.12) {
        things.extend(rail(random, camera));
    }
    things
}
