//! Renders pens and corridors in three dimensions as a farm camera shows them, with exact ground truth.
//!
//! A [`Pen`] and its picture depend on the seed alone: the same seed gives the same bytes. Bodies are signed distance functions
//! (`shape.rs`, `pig.rs`), traced by ray marching and lit by lamps with soft shadows (`light.rs`, `trace.rs`). A simulated camera
//! adds the faults of a real one (`camera.rs`, `sensor.rs`). The owner of each px is known, so boxes and visible shares are exact
//! (`truth.rs`).

mod camera;
mod coat;
mod digits;
mod enclosure;
mod grid;
mod herd;
mod light;
mod noise;
mod pig;
mod sensor;
mod shape;
mod surface;
mod things;
mod trace;
mod truth;
mod vector;

pub use truth::{LEAST_VISIBLE_PX, LEAST_VISIBLE_SHARE, NOBODY, Truth};

#[cfg(test)]
mod tests;

use crate::random::Random;
use camera::{Camera, View};
use coat::Coat;
use enclosure::Wall;
use grid::Grid;
use herd::{Mood, Pig, Room};
use light::Lighting;
use shape::Part;
use surface::{Floor, Hall};
use things::Material;
use vector::{Vec3, vec3};

/// The kind of a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 20 to 40 growing or finishing pigs, seen obliquely from under the ceiling.
    Crowd,
    /// A pen of any size and age, from anywhere.
    Pen,
    /// Close-up: one animal fills a tenth to a third of the picture.
    Near,
    /// A sow on her side and her piglets.
    Litter,
    /// Pigs that walk along a corridor.
    Corridor,
    /// No pig, but objects that may be mistaken for one.
    Empty,
}

/// The number of scenes of each kind in a hundred.
const SHARES: [(Kind, f32); 6] = [
    (Kind::Crowd, 0.42),
    (Kind::Pen, 0.2),
    (Kind::Near, 0.14),
    (Kind::Litter, 0.05),
    (Kind::Corridor, 0.07),
    (Kind::Empty, 0.12),
];

/// A body in the scene: a pig, or the parts of an object that share a material.
struct Body {
    parts: Vec<Part>,
    center: Vec3,
    radius_m: f32,
    pig: Option<u16>,
    surface: Surface,
}

enum Surface {
    Skin { coat: Coat, middle: Vec3, yaw: f32, length_m: f32 },
    Thing(Material),
}

impl Body {
    /// The normal of the skin, with muscles and folds.
    fn uneven(&self, at: Vec3, normal: Vec3) -> Vec3 {
        let Surface::Skin { length_m, .. } = &self.surface else { return normal };
        let place = at * (9.0 / length_m);
        let bump = |shift: f32| noise::noise(place + Vec3::splat(shift)) - 0.5;
        (normal + vec3(bump(0.0), bump(31.7), bump(57.3)) * 0.28).normalized()
    }

    /// Colour and gloss at a point of its surface.
    fn color(&self, at: Vec3, normal: Vec3, parts: &[Part]) -> (Vec3, f32) {
        match &self.surface {
            Surface::Skin { coat, middle, yaw, length_m } => {
                let offset = vec3(at.x - middle.x, at.y - middle.y, at.z);
                let local = offset.turned(yaw.cos(), -yaw.sin()) * (1.0 / length_m);
                (coat.color(local, shape::nakedness(parts, at), normal.z), coat.gloss)
            }
            Surface::Thing(material) => {
                (material.color * trace::worn(at, material.wear, material.seed), material.gloss)
            }
        }
    }
}

/// The scene and the camera.
struct Scene {
    /// px.
    width: usize,
    /// px.
    height: usize,
    width_m: f32,
    depth_m: f32,
    camera: Camera,
    lighting: Lighting,
    floor: Floor,
    hall: Hall,
    walls: Vec<Wall>,
    bodies: Vec<Body>,
    pig_count: usize,
    grid: Grid,
}

/// A pen with its camera, ready to render.
pub struct Pen {
    kind: Kind,
    scene: Scene,
    light: light::Kind,
    /// Corners of the polygon that stays visible, at a height in the pen. Outside it the picture is black.
    mask: Option<([(f32, f32); 4], f32)>,
    seed: u64,
}

/// A picture and its ground truth.
#[derive(Clone, Debug, PartialEq)]
pub struct Photograph {
    /// px.
    pub width: usize,
    /// px.
    pub height: usize,
    /// Red, green, blue.
    pub pixels: Vec<u8>,
    /// The pig at each px, or [`NOBODY`].
    pub owners: Vec<u16>,
    /// The truth of every pig that is at least partly visible.
    pub truths: Vec<Truth>,
}

/// Number and weight of the pigs, size of the pen, and view.
struct Plan {
    count: usize,
    weight_kg: f32,
    view: View,
    size_m: (f32, f32),
    mood: Mood,
    plenty: f32,
    has_crates: bool,
}

impl Plan {
    fn new(random: &mut Random, kind: Kind) -> Self {
        use View::{Above, EyeLevel, Near, Oblique};
        let mut mood = Mood::varied(random);
        let weight = |random: &mut Random, low: f32, high: f32| random.between(low.ln(), high.ln()).exp();
        // Space per animal, in squares of its length.
        let pen = |random: &mut Random, count: usize, weight_kg: f32, room: f32| {
            let length_m = 0.295 * weight_kg.cbrt();
            let area = (count as f32 * room * length_m * length_m).max(2.2 * length_m * length_m);
            let shape = random.between(1.0, 1.9).sqrt();
            let (long, short) = (area.sqrt() * shape, area.sqrt() / shape);
            if random.chance(0.5) { (long, short) } else { (short, long) }
        };
        let (count, weight_kg, view, size_m) = match kind {
            Kind::Crowd => {
                let (count, weight_kg) = (18 + random.below(25), weight(random, 22.0, 125.0));
                let view =
                    [Oblique, Oblique, Oblique, Oblique, Oblique, Oblique, EyeLevel, Above][random.below(8)];
                let room = random.between(0.4, 0.8);
                (count, weight_kg, view, pen(random, count, weight_kg, room))
            }
            Kind::Pen => {
                let (count, weight_kg) = (1 + random.below(26), weight(random, 5.0, 220.0));
                let view = [Oblique, Oblique, Above, Above, EyeLevel][random.below(5)];
                let room = random.between(0.6, 2.6);
                (count, weight_kg, view, pen(random, count.max(4), weight_kg, room))
            }
            Kind::Near => {
                let (count, weight_kg) = (1 + random.below(9), weight(random, 8.0, 260.0));
                let view = if random.chance(0.8) { Near } else { EyeLevel };
                let room = random.between(0.6, 1.6);
                (count, weight_kg, view, pen(random, count.max(3), weight_kg, room))
            }
            Kind::Litter => (1, weight(random, 160.0, 270.0), Above, (2.0, 2.6)),
            Kind::Corridor => {
                mood.in_corridor = true;
                let size_m = (random.between(4.0, 9.0), random.between(0.9, 2.4));
                let view = [Above, Oblique, Oblique, EyeLevel][random.below(4)];
                (1 + random.below(14), weight(random, 7.0, 130.0), view, size_m)
            }
            Kind::Empty => {
                let view = [Oblique, Oblique, Above, Near, EyeLevel][random.below(5)];
                (0, 60.0, view, (random.between(1.8, 6.5), random.between(1.8, 6.5)))
            }
        };
        let plenty = if kind == Kind::Empty { random.between(1.0, 7.0) } else { 1.0 };
        let has_crates = kind == Kind::Litter || (weight_kg > 130.0 && random.chance(0.3));
        Self { count, weight_kg, view, size_m, mood, plenty, has_crates }
    }
}

impl Pen {
    /// A scene of a kind chosen by the seed.
    pub fn varied(seed: u64, width: u32, height: u32) -> Self {
        let mut left = Random::new(seed ^ 0x6B69_6E64).unit();
        let kind = SHARES.iter().find(|(_, share)| {
            left -= share;
            left < 0.0
        });
        Self::new(seed, kind.map_or(Kind::Empty, |(kind, _)| *kind), width, height)
    }

    /// A scene of this kind.
    pub fn new(seed: u64, kind: Kind, width: u32, height: u32) -> Self {
        let random = &mut Random::new(seed);
        let plan = Plan::new(random, kind);
        let (width_m, depth_m) = plan.size_m;
        let wall_m = if plan.mood.in_corridor { random.between(0.5, 1.1) } else { random.between(0.65, 1.2) };
        let camera = Camera::varied(random, plan.view, plan.size_m, wall_m, (width, height));
        let light = match random.unit() {
            night if night < 0.34 => light::Kind::Infrared,
            day if day < 0.62 => light::Kind::Daylight,
            _ => light::Kind::Lamps,
        };
        let lighting = Lighting::varied(random, light, plan.size_m, camera.position);
        let floor = Floor::varied(random, width_m);
        let hall = Hall::varied(random, width_m, depth_m);
        let walls = enclosure::varied(random, plan.size_m, wall_m, plan.has_crates && kind != Kind::Litter);
        let mut things = things::furnish(random, plan.size_m, &camera, plan.plenty);
        // Keeps objects off the lens.
        things.retain(|thing| shape::distance(&thing.parts, camera.position) > 0.25);
        let taken: Vec<_> = things.iter().flat_map(|thing| thing.footprint.iter().copied()).collect();
        let room = Room { width_m, depth_m, walls: &walls, taken: &taken };
        let pigs = populate(random, kind, &plan, &room);
        let mask = (kind != Kind::Near && random.chance(0.3)).then(|| mask(random, plan.size_m, wall_m));
        let pig_count = pigs.len();
        let mut bodies: Vec<Body> =
            pigs.into_iter().enumerate().map(|(number, pig)| body_of_pig(number, pig)).collect();
        bodies.extend(things.into_iter().map(|thing| {
            let (center, radius_m) = thing.sphere();
            Body { parts: thing.parts, center, radius_m, pig: None, surface: Surface::Thing(thing.material) }
        }));
        let all_parts = bodies.iter().flat_map(|body| body.parts.iter().copied()).collect();
        let scene = Scene {
            width: width as usize,
            height: height as usize,
            width_m,
            depth_m,
            camera,
            lighting,
            floor,
            hall,
            walls,
            bodies,
            pig_count,
            grid: Grid::new(all_parts, width_m, depth_m),
        };
        Self { kind, scene, light, mask, seed }
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The picture and its truth.
    pub fn photograph(&self) -> Photograph {
        let scene = &self.scene;
        let mut exposure = trace::expose(scene);
        let is_masked: Vec<bool> = (0..scene.width * scene.height)
            .map(|place| {
                self.is_masked((place % scene.width) as f32 + 0.5, (place / scene.width) as f32 + 0.5)
            })
            .collect();
        for (owner, is_masked) in exposure.owners.iter_mut().zip(&is_masked) {
            if *is_masked {
                *owner = NOBODY;
            }
        }
        let truths = truth::of_picture(&exposure.owners, scene.width, &exposure.silhouettes);
        let (width, height) = (scene.width, scene.height);
        let frame = sensor::Frame { width, height, light: exposure.light, is_masked: &is_masked };
        let pixels = frame.develop(&mut Random::new(self.seed ^ 0x7365_6E73), self.light);
        Photograph { width, height, pixels, owners: exposure.owners, truths }
    }

    fn is_masked(&self, x: f32, y: f32) -> bool {
        let Some((corners, height_m)) = self.mask else { return false };
        let (from, direction) = (self.scene.camera.position, self.scene.camera.ray(x, y));
        let distance_m = (height_m - from.z) / direction.z;
        if distance_m <= 0.0 || !distance_m.is_finite() {
            return true;
        }
        let at = from + direction * distance_m;
        let next = corners.iter().cycle().skip(1);
        !corners
            .iter()
            .zip(next)
            .all(|(one, other)| (other.0 - one.0) * (at.y - one.1) - (other.1 - one.1) * (at.x - one.0) > 0.0)
    }
}

/// A polygon around the pen, at the height of the walls or below.
fn mask(random: &mut Random, (width, depth): (f32, f32), wall_m: f32) -> ([(f32, f32); 4], f32) {
    let mut off = || random.between(-0.25, 0.35);
    let corners =
        [(-off(), -off()), (width + off(), -off()), (width + off(), depth + off()), (-off(), depth + off())];
    (corners, wall_m * random.between(0.5, 1.05))
}

fn populate(random: &mut Random, kind: Kind, plan: &Plan, room: &Room<'_>) -> Vec<Pig> {
    let build = pig::Build::of_weight(plan.weight_kg, random);
    let mut pigs = Vec::new();
    if kind == Kind::Litter {
        let resting = Mood { active_share: 0.15, heaping: 0.0, in_corridor: false };
        herd::settle(random, &mut pigs, 1, build, resting, room);
        let piglet = pig::Build::of_weight(random.between(1.5, 8.0), random);
        let count = 5 + random.below(11);
        herd::settle(random, &mut pigs, count, piglet, plan.mood, room);
    } else {
        herd::settle(random, &mut pigs, plan.count, build, plan.mood, room);
    }
    pigs
}

fn body_of_pig(number: usize, pig: Pig) -> Body {
    let (center, radius_m) = shape::bounding_sphere(&pig.figure.parts);
    Body {
        parts: pig.figure.parts,
        center,
        radius_m,
        pig: Some(number as u16),
        surface: Surface::Skin {
            coat: pig.coat,
            middle: pig.figure.middle,
            yaw: pig.place.yaw,
            length_m: pig.length_m,
        },
    }
}
